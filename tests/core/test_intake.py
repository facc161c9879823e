"""What intake 2 and our catalogs make of each other."""

import inspect
import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import intake
import mongomock
import pytest
from intake.catalog import Catalog
from intake.catalog.local import LocalCatalogEntry

from databroker_like.core._intake import CatalogBase, accepted_arguments, calling_source, required_arguments
from databroker_like.core._stream import BlueskyEventStream
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.errors import Invalid, WrongType
from tests.support.loopback import listening

RUNS = Path(__file__).parents[1] / "data" / "runs"


class Shelf(CatalogBase):
    """A catalog of ours in its smallest form."""

    name = "shelf"
    container = "catalog"

    def __init__(self, books, *, height=3, **kwargs):
        if height == "wrong":
            raise Invalid("a height is a number")
        self.books = {name: Book(title=name) for name in books}
        super().__init__(**kwargs)

    def _make_entries_container(self):
        return self.books


class Book(CatalogBase):
    name = "book"
    container = "book"

    def __init__(self, *, title, **kwargs):
        self.title = title
        super().__init__(**kwargs)

    def _make_entries_container(self):
        return {}


def test_a_class_tells_the_arguments_it_and_its_bases_take():
    accepted = accepted_arguments(Shelf)
    assert {"books", "height", "name", "description", "metadata", "persist_mode"} <= accepted
    assert not {"self", "kwargs", "entries", "auth"} & accepted
    assert set(inspect.signature(Catalog.__init__).parameters) - {"self", "entries"} <= accepted
    assert required_arguments(Shelf) == ("books",)
    assert required_arguments(Book) == ("title",)


def test_an_unknown_argument_is_told_with_the_nearest():
    with pytest.raises(
        WrongType, match=r"Shelf \(shelf\) takes no argument 'heigth' \(nearest: 'height'.*it takes .*'books'"
    ):
        Shelf(["a"], heigth=3)


def test_a_missing_argument_is_told():
    with pytest.raises(TypeError, match=r"Shelf \(shelf\) needs 'books'"):
        Shelf(height=3)


def test_auth_that_stands_in_old_files_is_dropped():
    assert list(Shelf(["a"], auth=None)) == ["a"]


def entry(**args):
    parent = Catalog(name="parent")
    parent.path = "/catalogs/cat.yml"
    driver = f"{Shelf.__module__}.Shelf"
    made = LocalCatalogEntry("upper", "", Shelf, args=args, catalog_dir="/catalogs", catalog=parent)
    assert driver.endswith("Shelf")
    return made


@pytest.mark.parametrize(
    ("args", "error", "said"),
    [
        ({"books": ["a"], "heigth": 3}, TypeError, "no argument 'heigth'"),
        ({"height": 3}, TypeError, "needs 'books'"),
        ({"books": ["a"], "height": "wrong"}, ValueError, "a height is a number"),
    ],
)
def test_an_error_in_the_arguments_names_the_source_and_its_file(args, error, said):
    with pytest.raises(error) as caught:
        entry(**args)()
    assert str(caught.value).startswith("source 'upper' of /catalogs/cat.yml: ")
    assert said in str(caught.value)
    assert str(caught.value).count("source 'upper'") == 1


def test_without_intake_making_it_no_source_is_named():
    assert calling_source() is None
    with pytest.raises(ValueError, match=r"^a height is a number$"):
        Shelf(["a"], height="wrong")


def test_members_are_looked_up_by_key_attribute_and_path():
    shelf = Shelf(["a", "b.c"])
    assert shelf["a"] is shelf.a
    assert shelf["b.c"].title == "b.c"
    assert shelf["a"]() is shelf["a"].get() is shelf["a"].configure_new() is shelf["a"]
    assert list(shelf) == ["a", "b.c"]
    assert len(shelf) == 2
    assert "a" in shelf
    assert "z" not in shelf
    with pytest.raises(KeyError):
        shelf["z"]
    with pytest.raises(AttributeError):
        _ = shelf.z


def test_members_of_members_are_reached_through_a_tuple():
    outer = Catalog.from_dict({"upper": entry(books=["a"])})
    assert outer["upper", "a"].title == "a"
    assert Shelf(["a"])["a",].title == "a"


def test_another_one_is_made_with_arguments_changed():
    shelf = Shelf(["a"], height=4)
    other = shelf(books=["b"]) if not shelf._captured_init_args else Shelf(books=["a"], height=4)(books=["b"])
    assert list(other) == ["b"]
    assert other._captured_init_kwargs["height"] == 4


def test_what_was_made_of_the_same_is_equal_with_the_same_hash_and_token():
    import dask.base

    one, two, three = Shelf(books=["a"]), Shelf(books=["a"]), Shelf(books=["b"])
    assert one == two
    assert hash(one) == hash(two)
    assert one != three
    assert one != Book(title="a")
    assert one != "a"
    assert dask.base.tokenize(one) == dask.base.tokenize(two) != dask.base.tokenize(three)


def test_the_methods_are_listed():
    assert {"walk", "search", "books"} <= set(dir(Shelf(["a"])))


# -- real files


@pytest.fixture
def write(tmp_path):
    def write(text, name="cat.yml"):
        (tmp_path / name).write_text(textwrap.dedent(text))
        return str(tmp_path / name)

    return write


@pytest.fixture
def recorded(write):
    return write(
        f"""
        sources:
          recorded:
            description: Runs of mine
            driver: bluesky-jsonl-catalog
            args:
              paths: ["{RUNS}/*.jsonl"]
            metadata:
              beamline: sim
        """
    )


def test_a_source_is_the_same_object_each_time(recorded):
    catalog = intake.open_catalog(recorded)
    assert catalog.recorded is catalog["recorded"] is catalog.recorded()
    assert catalog.recorded[-1] is catalog.recorded[-1]
    assert catalog.recorded.name == "recorded"
    assert catalog.recorded.description == "Runs of mine"
    assert catalog.recorded.metadata["beamline"] == "sim"
    assert catalog.recorded.metadata["catalog_dir"].rstrip("/") == os.path.dirname(recorded)


def test_runs_are_reached_through_the_file_by_every_kind_of_path(recorded):
    catalog = intake.open_catalog(recorded)
    run = catalog["recorded"][-1]
    uid = run.metadata["start"]["uid"]
    assert catalog["recorded", uid] is run
    assert catalog["recorded", -1] is run
    assert catalog[f"recorded.{uid}"] is run
    assert catalog["recorded", uid, "primary"] is run["primary"]


def test_walking_a_file_lists_the_sources_and_their_runs(recorded, capsys):
    catalog = intake.open_catalog(recorded)
    found = catalog.walk(depth=2)
    assert "recorded" in found
    assert {f"recorded.{uid}" for uid in catalog.recorded} <= set(found)
    assert list(catalog.walk(depth=1)) == ["recorded"]
    assert capsys.readouterr().out == ""


def test_the_text_search_of_intake_finds_the_source(recorded):
    found = intake.open_catalog(recorded).search("mine")
    assert "recorded" in found


def test_filter_and_yaml_of_intake_work(recorded):
    catalog = intake.open_catalog(recorded)
    assert list(catalog.filter(lambda entry: entry.name == "recorded")) == ["recorded"]
    assert "bluesky" in catalog.recorded.yaml() or "BlueskyJSONLCatalog" in catalog.recorded.yaml()
    assert catalog.recorded.describe()["container"] == "catalog"


def test_user_parameters_environment_and_the_folder_are_filled_in(write, monkeypatch, tmp_path):
    monkeypatch.setenv("MY_RUNS", "from-environment")
    path = write(
        """
        sources:
          mine:
            driver: bluesky-jsonl-catalog
            args:
              paths:
              - "{{ CATALOG_DIR }}/{{ which }}/*.jsonl"
              - "{{ env(MY_RUNS) }}/*.jsonl"
              - "{{ env('NOT_SET_ANYWHERE') }}a"
            parameters:
              which: {description: the folder, type: str, default: first}
        """
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # intake speaks of getshell for every text that is a default
        source = intake.open_catalog(path).mine
        assert [os.path.normpath(p) for p in source.paths] == [
            str(tmp_path / "first" / "*.jsonl"),
            "from-environment/*.jsonl",
            "a",
        ]
        other = intake.open_catalog(path).mine(which="second")
        again = source(which="second")
    assert os.path.normpath(other.paths[0]) == os.path.normpath(again.paths[0]) == str(tmp_path / "second" / "*.jsonl")
    assert type(again) is BlueskyJSONLCatalog


def test_a_wrong_argument_is_told_through_intake_with_the_source_the_file_and_the_nearest(write):
    path = write("sources:\n  mine:\n    driver: bluesky-jsonl-catalog\n    args: {pathz: a}\n")
    with pytest.raises(TypeError) as caught:
        intake.open_catalog(path)["mine"]
    message = str(caught.value)
    assert message.startswith("source 'mine' of ")
    assert path in message
    assert "no argument 'pathz' (nearest: 'paths')" in message
    assert "'handler_registry'" in message


def test_in_several_files_side_by_side_the_folder_is_named(write, tmp_path):
    write("sources:\n  mine:\n    driver: bluesky-jsonl-catalog\n    args: {pathz: a}\n")
    with pytest.raises(TypeError, match=f"source 'mine' of a catalog file in {tmp_path}"):
        intake.open_catalog(str(tmp_path))["mine"]


@pytest.mark.parametrize(
    "driver",
    ["bluesky-jsonl-catalog", "databroker_like.drivers.jsonl.BlueskyJSONLCatalog"],
)
def test_drivers_open_by_name_and_by_dotted_path(write, driver):
    path = write(f"sources:\n  mine:\n    driver: {driver}\n    args: {{paths: '{RUNS}/*.jsonl'}}\n")
    assert len(intake.open_catalog(path)["mine"]) == len(list(RUNS.glob("*.jsonl")))


def test_the_dotted_paths_of_databroker_open_with_a_notice(write):
    path = write(
        "sources:\n  mine:\n    driver: databroker._drivers.jsonl.BlueskyJSONLCatalog\n"
        f"    args: {{paths: '{RUNS}/*.jsonl'}}\n"
    )
    with pytest.warns(UserWarning, match="taken from databroker_like"):
        source = intake.open_catalog(path)["mine"]
    assert isinstance(source, BlueskyJSONLCatalog)


def test_the_driver_option_of_intake_makes_a_catalog():
    catalog = intake.open_catalog(f"{RUNS}/*.jsonl", driver="bluesky-jsonl-catalog")
    assert len(catalog) == len(list(RUNS.glob("*.jsonl")))


SAMPLES = Path(__file__).parents[2] / "catalogs"


@pytest.fixture(scope="module")
def lab_server():
    """Where the runs of a catalog are served."""
    from databroker_like.nodes.runs import RunsNode
    from databroker_like.tree import build_app

    served = RunsNode(BlueskyJSONLCatalog(f"{RUNS}/*.jsonl"))
    with listening(build_app(served, public=True)) as url:
        yield url


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yml")), ids=lambda path: path.name)
def test_every_sample_catalog_has_no_mistake_and_its_sources_open(path, lab_server, monkeypatch, tmp_path):
    from databroker_like import open_catalog
    from databroker_like.core._yaml import CatalogFile

    monkeypatch.setenv("LAB_SERVER", lab_server)
    monkeypatch.syspath_prepend(str(SAMPLES.parent))
    for name in ("MY_RUNS", "MY_EXPORT"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("MONGO_HOST", "mongomock.test")
    monkeypatch.setenv("MONGO_PASSWORD", "secret")
    with warnings.catch_warnings(), mongomock.patch(servers="mongomock.test"):
        warnings.filterwarnings("ignore", "Shell command not executed")
        catalog = open_catalog(path)
        assert list(catalog)
        for name in catalog:
            source = catalog[name]
            # A file in a file is checked here, and is not there.
            assert isinstance(source, CatalogFile) or source == intake.open_catalog(str(path))[name]
            if isinstance(source, BlueskyEventStream):
                assert list(source.read())
            elif not isinstance(source, intake.catalog.Catalog):
                assert len(source.read())
            else:
                assert len(list(source)) == len(source)


def test_a_run_and_a_stream_are_made_from_getters_that_a_file_names():
    catalog = intake.open_catalog(str(SAMPLES / "getters.yml"))
    run = catalog["simulated"]
    assert run is catalog["simulated"]
    assert run.metadata["start"]["plan_name"] == "scan"
    assert list(run) == ["primary"]
    dataset = run.primary.read()
    assert dataset["diode"].values.tolist() == [1.0, 2.0, 4.0, 2.0, 1.0]
    assert run.primary.config["diode"].read()["gain"].values.tolist() == [10] * 5
    alone = catalog["simulated_primary"].read()
    assert alone.identical(dataset)


# -- in a process of its own


def in_another_process(code, **environment):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("INTAKE_", "CONDA_"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={**env, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def package(tmp_path):
    """An installed package that offers a catalog as an entry point."""
    folder = tmp_path / "site"
    (folder / "offered-1.0.dist-info").mkdir(parents=True)
    (folder / "offered-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    (folder / "offered-1.0.dist-info" / "entry_points.txt").write_text("[intake.catalogs]\noffered = offered:catalog\n")
    (folder / "offered.py").write_text(
        "from databroker_like.drivers.jsonl import BlueskyJSONLCatalog\n"
        f"catalog = BlueskyJSONLCatalog('{RUNS}/*.jsonl', name='offered')\n"
    )
    return str(folder)


def test_a_catalog_that_a_package_offers_is_in_both_builtin_catalogs(package, tmp_path):
    found = in_another_process(
        """
        import intake, databroker_like
        print(len(intake.cat["offered"]), len(databroker_like.catalog["offered"]), len(databroker_like.catalog.offered))
        """,
        PYTHONPATH=os.pathsep.join([package, *sys.path]),
        VIRTUAL_ENV=str(tmp_path / "venv"),
        XDG_DATA_HOME=str(tmp_path / "home"),
    )
    assert found == [str(len(list(RUNS.glob("*.jsonl"))))] * 3


@pytest.mark.parametrize(
    ("variable", "form", "intake_sees_it"),
    [
        ("INTAKE_CATALOG_PATH", "['%s']", True),
        ("INTAKE_CATALOG_PATH", "%s", False),
        ("INTAKE_PATH", "%s", False),
    ],
)
def test_a_file_on_the_search_path_is_in_the_builtin_catalog(recorded, tmp_path, variable, form, intake_sees_it):
    found = in_another_process(
        """
        import databroker_like
        print(*databroker_like.catalog)
        print(databroker_like.catalog is databroker_like.catalog)
        print(databroker_like.catalog.recorded is databroker_like.catalog.recorded)
        import intake
        print("recorded" in list(intake.cat))
        """,
        **{variable: form % tmp_path},
        VIRTUAL_ENV=str(tmp_path / "venv"),
        XDG_DATA_HOME=str(tmp_path / "home"),
        PYTHONPATH=os.pathsep.join(sys.path),
    )
    assert found == ["recorded", "True", "True", str(intake_sees_it)]


def test_a_file_with_a_mistake_on_the_search_path_is_left_out_with_a_warning(write, recorded, tmp_path, monkeypatch):
    from databroker_like.core._yaml import BuiltinCatalog

    bad = write("sources: 3\n", "bad.yml")
    again = write(Path(recorded).read_text(), "same.yml")
    monkeypatch.setenv("INTAKE_CATALOG_PATH", f"['{tmp_path}', '{tmp_path / 'gone.yml'}']")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    with pytest.warns(UserWarning, match="left out of the built-in catalog") as caught:
        catalog = BuiltinCatalog()
    assert sum(str(bad) in str(w.message) for w in caught) == 1
    assert "recorded" in catalog
    assert again
    Path(bad).unlink()
    write(Path(recorded).read_text().replace("recorded:", "another:"), "another.yml")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert {"recorded", "another"} <= set(catalog)


def test_opening_a_file_in_a_fresh_process_loads_no_array_library(recorded):
    loaded = in_another_process(
        f"""
        import sys, intake
        run = intake.open_catalog({recorded!r})["recorded"][-1]
        print(run.metadata["start"]["uid"])
        print(*sorted({{m.partition(".")[0] for m in sys.modules}} & {{"xarray", "dask", "pandas", "h5py", "ophyd"}}))
        """,
        PYTHONPATH=os.pathsep.join(sys.path),
    )
    assert loaded[1:] == []
