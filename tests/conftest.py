"""What every test shares: caches and settings of its own, and the recorded runs beside the checkout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.store.servers import postgresql_said

# A busy machine is no failure: examples are counted, not timed.
# The same examples each time, so that what fails once fails again; HYPOTHESIS_PROFILE=search looks for others.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.register_profile("search", settings.get_profile("house"), derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))

_XDG = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")


def pytest_report_header() -> list[str]:
    """On what the tests of databases run."""
    server = os.environ.get("DATABROKER_LIKE_TEST_MONGO")
    if server:
        mongo = f"MongoDB: mongomock and the server at {server.rpartition('@')[2].removeprefix('mongodb://')}"
    else:
        mongo = "MongoDB: mongomock alone; DATABROKER_LIKE_TEST_MONGO names no server"
    return [mongo, postgresql_said()]


@pytest.fixture(scope="session", autouse=True)
def _home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the caches and settings of the person who runs it; nor do processes it starts."""
    home = tmp_path_factory.mktemp("home")
    patch = pytest.MonkeyPatch()
    patch.setenv("HOME", str(home))
    for name in _XDG:
        patch.setenv(name, str(home / name.lower()))
    patch.setenv("MPLCONFIGDIR", str(home / "matplotlib"))
    for name in ("INTAKE_PATH", "INTAKE_CATALOG_PATH"):
        patch.delenv(name, raising=False)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded runs beside the checkout; skips where it is absent."""
    shared = Path(os.environ.get("DATABROKER_LIKE_SHARED", Path(__file__).parents[2] / "shared"))
    runs = shared / "data" / "runs"
    if not runs.is_dir():
        pytest.skip(f"there is no {runs}: the recorded runs are not part of the checkout")
    return runs
