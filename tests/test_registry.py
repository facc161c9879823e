import importlib.metadata
import json
import subprocess
import sys

import pytest

from databroker_like import registry
from databroker_like.errors import Invalid, MissingExtra, NotFound


@pytest.mark.parametrize("name", sorted(registry.NAMES))
def test_every_name_of_the_table_resolves(name):
    assert callable(registry.load(name))


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(NotFound, match="'catalog'"):
        registry.load("catalogue")


def test_a_dotted_path_gives_the_object_with_either_separator():
    assert registry.import_path("json.JSONDecoder") is json.JSONDecoder
    assert registry.import_path("json:JSONDecoder") is json.JSONDecoder
    assert registry.import_path("json.decoder:JSONDecoder.decode") is json.JSONDecoder.decode


@pytest.mark.parametrize("path", ["json", "", "json..loads", "json.loads()", "os; import sys", "a b.c", None, 3])
def test_what_is_no_dotted_path_is_refused_with_an_example(path):
    with pytest.raises(Invalid, match=r"package\.module\.Name"):
        registry.import_path(path)


def test_a_misspelt_attribute_is_answered_with_the_nearest():
    with pytest.raises(Invalid, match="'JSONDecoder'"):
        registry.import_path("json.JSONDecodr")


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(MissingExtra, match="no module 'no_such_package'"):
        registry.import_path("no_such_package.module.Name")


def test_a_module_that_misses_something_else_names_what_it_misses(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingExtra, match="needs 'no_such_package'"):
        registry.import_path("needs_more.Name")


def test_a_missing_extra_is_answered_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtra, match=r"pip install 'databroker-like\[files\]'"):
        registry.require("h5py", "read HDF5 files")


def test_an_extra_that_is_there_but_broken_shows_its_own_error(tmp_path, monkeypatch):
    (tmp_path / "broken_extra.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_package") as caught:
        registry.require("broken_extra", "do this")
    assert not isinstance(caught.value, MissingExtra)


def test_a_path_of_databroker_is_looked_up_here_with_a_notice():
    from databroker_like.core import BlueskyRun
    from databroker_like.drivers.jsonl import BlueskyJSONLCatalog

    with pytest.warns(UserWarning, match=r"databroker_like\.core\.BlueskyRun"):
        assert registry.import_path("databroker.core.BlueskyRun") is BlueskyRun
    with pytest.warns(UserWarning, match=r"databroker_like\.drivers\.jsonl"):
        found = registry.import_path("databroker._drivers.jsonl.BlueskyJSONLCatalog")
    assert found is BlueskyJSONLCatalog


@pytest.mark.parametrize("name", sorted(registry.databroker_paths._KNOWN))
def test_every_driver_path_of_databroker_that_intake_may_meet_resolves(name):
    with pytest.warns(UserWarning, match="databroker_like"):
        assert isinstance(getattr(registry.databroker_paths, name), type)
    assert not hasattr(registry.databroker_paths, "other")


def test_entry_points_come_in_the_same_order_every_time(tmp_path, monkeypatch):
    for distribution in ("zebra", "aardvark"):
        folder = tmp_path / f"{distribution}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text("[some.group]\nB = json:loads\nA = json:dumps\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = registry.entry_points("some.group")
    assert [(e.name, e.distro.name) for e in found] == [
        ("A", "aardvark"),
        ("A", "zebra"),
        ("B", "aardvark"),
        ("B", "zebra"),
    ]
    assert found[0].load() is json.dumps


def test_the_extras_named_in_hints_are_those_of_the_distribution():
    metadata = importlib.metadata.metadata("databroker-like")
    assert set(registry.EXTRAS.values()) <= set(metadata.get_all("Provides-Extra"))


def test_importing_the_package_loads_none_of_the_heavy_ones():
    code = (
        "import sys, databroker_like, databroker_like.core;print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "databroker_like" in loaded
    assert not {"numpy", "dask", "xarray", "pandas", "intake", "yaml", "event_model", "jsonschema"} & set(loaded)
