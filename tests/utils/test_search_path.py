import os
import subprocess
import sys

import pytest

from databroker_like import utils
from databroker_like.utils import _search_path


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch, tmp_path):
    for name in ("INTAKE_PATH", "INTAKE_CATALOG_PATH", "CONDA_PREFIX", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    monkeypatch.setattr(_search_path, "_noticed", set())


def test_the_first_two_are_the_user_and_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    user, environment = utils.catalog_search_path()[:2]
    assert user == str(tmp_path / "data-home" / "intake")
    assert environment == str(tmp_path / "venv" / "share" / "intake")


def test_it_agrees_with_intake_where_intake_can_tell(monkeypatch, tmp_path):
    from intake.catalog.default import global_data_dir, user_data_dir

    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path))
    assert utils.catalog_search_path()[:2] == (user_data_dir(), global_data_dir())
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    assert utils.catalog_search_path()[:2] == (user_data_dir(), global_data_dir())


def test_outside_any_environment_the_site_is_searched_without_asking_distutils(monkeypatch):
    monkeypatch.setattr(_search_path.shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "distutils", None)
    assert utils.catalog_search_path()[1].endswith("intake")


def test_the_prefix_of_a_conda_that_is_not_activated_is_searched(monkeypatch):
    import intake.catalog.default

    monkeypatch.setattr(_search_path.shutil, "which", lambda name: "/opt/conda/bin/conda")
    monkeypatch.setattr(intake.catalog.default, "conda_prefix", lambda: "/opt/conda")
    assert utils.catalog_search_path()[1] == "/opt/conda/share/intake"
    monkeypatch.setattr(intake.catalog.default, "conda_prefix", lambda: False)
    assert utils.catalog_search_path()[1] != "/opt/conda/share/intake"


def test_a_list_in_the_variable_is_taken_without_a_word(monkeypatch):
    monkeypatch.setenv("INTAKE_CATALOG_PATH", "['/one', '/two/cat.yml']")
    assert utils.catalog_search_path()[2:] == ("/one", "/two/cat.yml")


def test_a_plain_string_is_honoured_with_one_notice(monkeypatch):
    monkeypatch.setenv("INTAKE_CATALOG_PATH", f"/one{os.pathsep}/two")
    with pytest.warns(UserWarning, match="intake 2 ignores it") as caught:
        assert utils.catalog_search_path()[2:] == ("/one", "/two")
    assert "INTAKE_CATALOG_PATH" in str(caught[0].message)
    assert utils.catalog_search_path()[2:] == ("/one", "/two")


def test_the_old_variable_is_honoured_with_one_notice(monkeypatch):
    monkeypatch.setenv("INTAKE_PATH", "/old:s3://bucket/catalogs:~/mine")
    with pytest.warns(UserWarning, match="INTAKE_PATH"):
        found = utils.catalog_search_path()
    assert found[2:] == ("/old", "s3://bucket/catalogs", os.path.expanduser("~/mine"))


@pytest.mark.parametrize("value", ["/conf/a:/conf/b", ["/conf/a", "/conf/b"]])
def test_the_configuration_of_intake_is_searched(monkeypatch, value):
    from intake.config import conf

    monkeypatch.setitem(conf, "catalog_path", value)
    assert utils.catalog_search_path()[2:] == ("/conf/a", "/conf/b")


def test_a_place_named_twice_is_searched_once(monkeypatch):
    monkeypatch.setenv("INTAKE_CATALOG_PATH", "['/one', '/two', '/one']")
    assert utils.catalog_search_path()[2:] == ("/one", "/two")


def test_importing_the_helpers_imports_nothing_else():
    code = "import sys; import databroker_like.utils; print('intake' in sys.modules, 'yaml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
