"""The Broker itself, over runs in memory and in files that really are there."""

import gc
import json
import pickle
import shutil
from functools import partial
from pathlib import Path

import event_model
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like import v2
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.errors import AmbiguousKey, Invalid, InvalidQuery, NoSuchRun, NotOffered, OutOfRange, WrongType
from databroker_like.queries import Eq, TextQuery, TimeRange

RUNS = Path(__file__).parent / "data" / "runs"


def start(uid, time, **more):
    return {"uid": uid, "time": float(time), **more}


STARTS = [
    start("bbbb1111-0000", 3, scan_id=7, plan_name="scan", sample={"element": "Ni"}),
    start("aaaa2222-0000", 1, scan_id=7, plan_name="count"),
    start("aaaa3333-0000", 2, scan_id=8, plan_name="scan"),
]


def in_memory(starts, **kwargs):
    catalog = BlueskyInMemoryCatalog(**kwargs)
    for doc in starts:
        catalog.upsert(doc, None, iter, ([("start", doc)],), {})
    return catalog


@pytest.fixture
def three():
    return in_memory(STARTS, name="three")


def write_run(folder, doc, *, stop=False):
    lines = [["start", doc]]
    if stop:
        lines.append(
            ["stop", {"uid": doc["uid"] + "-stop", "run_start": doc["uid"], "time": 9.0, "exit_status": "success"}]
        )
    (folder / f"{doc['uid']}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def uid_of(run):
    return run.metadata["start"]["uid"]


# -- looking up


@pytest.mark.parametrize(
    ("key", "uid"),
    [
        ("bbbb1111-0000", "bbbb1111-0000"),
        ("b", "bbbb1111-0000"),
        ("aaaa2", "aaaa2222-0000"),
        (-1, "bbbb1111-0000"),
        ("-3", "aaaa2222-0000"),
        (7, "bbbb1111-0000"),
        ("8", "aaaa3333-0000"),
    ],
)
def test_a_key_gives_its_run_and_is_in_the_catalog(three, key, uid):
    assert uid_of(three[key]) == uid
    assert key in three


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("aaaa", AmbiguousKey),
        ("zzzz", NoSuchRun),
        (-4, OutOfRange),
        (0, NoSuchRun),
        ("1111", NoSuchRun),
        (slice(None), WrongType),
        ([1], WrongType),
        (None, WrongType),
    ],
)
def test_a_key_without_a_run_is_an_error_and_is_not_in_the_catalog(three, key, error):
    with pytest.raises(error):
        three[key]
    assert key not in three


@given(st.data())
def test_what_is_in_a_catalog_is_what_it_gives(data):
    uids = data.draw(st.lists(st.text("01ab", min_size=1, max_size=4), unique=True, max_size=5))
    catalog = in_memory([start(uid, i, scan_id=i % 2) for i, uid in enumerate(uids)])
    key = data.draw(st.one_of(st.text("01ab-", max_size=4), st.integers(-6, 6), st.none(), st.floats()))
    try:
        catalog[key]
    except (KeyError, IndexError, ValueError, TypeError):
        given_back = False
    else:
        given_back = True
    assert (key in catalog) == given_back


def test_what_is_in_a_run_is_in_the_catalog(three):
    uid = next(iter(three))
    for key, is_in in (((uid,), True), ((uid, "nothing"), False), (("zzzz",), False), ((), False), ((None,), False)):
        assert (key in three) == is_in


def test_different_values_are_lists_where_tuples_were_recorded():
    catalog = in_memory([start("a", 0, hints={"dimensions": [(("motor",), "primary")]})])
    assert catalog.distinct("hints.dimensions") == [([["motor"], "primary"], 1)]


def test_a_run_is_reached_as_an_attribute(three):
    assert three.bbbb1111 is three["bbbb1111"] is three[-1]
    for name in ("zzzz", "aaaa", "no_such_method"):
        with pytest.raises(AttributeError, match=name):
            getattr(three, name)
        assert not hasattr(three, name)
    with pytest.raises(AttributeError):
        _ = three._private


def test_a_run_calls_to_itself_and_streams_follow_in_a_tuple(tmp_path):
    shutil.copy(RUNS / "scalars.jsonl", tmp_path)
    catalog = BlueskyJSONLCatalog(f"{tmp_path}/*.jsonl")
    run = catalog[-1]
    assert run() is run.get() is run
    assert catalog[-1, "primary"] is run["primary"]


def test_iteration_is_in_the_order_of_time_and_all_views_agree(three):
    uids = ["aaaa2222-0000", "aaaa3333-0000", "bbbb1111-0000"]
    assert list(three) == list(three.keys()) == uids
    assert [uid for uid, _ in three.items()] == [uid_of(run) for run in three.values()] == uids
    assert len(three) == 3
    assert list(three.walk()) == uids
    assert all(three[uid] is run for uid, run in three.walk().items())


def test_the_same_run_is_the_same_object_also_through_searches_and_while_others_are_opened():
    catalog = in_memory([start(f"run{i:03}x", i) for i in range(60)])
    held = catalog[0 - 60]
    for uid in catalog:
        assert uid_of(catalog[uid]) == uid
    gc.collect()
    assert catalog["run000x"] is held
    assert catalog[-1] is catalog[-1]
    assert catalog.search({"uid": "run000x"})[-1] is held


def test_not_every_run_that_was_ever_opened_is_kept():
    catalog = in_memory([start(f"run{i:03}x", i) for i in range(60)])
    for uid in catalog:
        assert uid_of(catalog[uid]) == uid
    gc.collect()
    assert len(catalog._runs) < 20


def test_runs_that_come_and_go_show_at_once(tmp_path):
    catalog = BlueskyJSONLCatalog(f"{tmp_path}/*.jsonl")
    assert len(catalog) == 0
    with pytest.raises(OutOfRange, match="only contains 0 runs"):
        catalog[-1]
    found = catalog.search({"plan_name": "scan"})
    for number, doc in enumerate(sorted(STARTS, key=lambda doc: doc["time"]), 1):
        write_run(tmp_path, doc)
        assert uid_of(catalog[-1]) == doc["uid"]
        assert len(catalog) == number
    assert list(found) == ["aaaa3333-0000", "bbbb1111-0000"]
    (tmp_path / "bbbb1111-0000.jsonl").unlink()
    assert uid_of(catalog[-1]) == "aaaa3333-0000"
    assert "bbbb" not in catalog
    assert list(found) == ["aaaa3333-0000"]


def test_a_run_that_is_still_recorded_is_the_same_object_and_shows_what_came(tmp_path):
    write_run(tmp_path, STARTS[0])
    catalog = BlueskyJSONLCatalog(f"{tmp_path}/*.jsonl")
    run = catalog[-1]
    assert run.metadata["stop"] is None
    write_run(tmp_path, STARTS[0], stop=True)
    assert catalog[-1] is run
    assert run.metadata["stop"]["exit_status"] == "success"


def test_a_start_document_that_was_edited_shows(tmp_path):
    write_run(tmp_path, STARTS[0])
    catalog = BlueskyJSONLCatalog(f"{tmp_path}/*.jsonl")
    before = catalog[-1]
    assert before.metadata["start"]["plan_name"] == "scan"
    write_run(tmp_path, {**STARTS[0], "plan_name": "mended_scan"})
    assert catalog[-1].metadata["start"]["plan_name"] == "mended_scan"


# -- searching


@pytest.mark.parametrize(
    ("query", "uids"),
    [
        ({}, ["aaaa2222-0000", "aaaa3333-0000", "bbbb1111-0000"]),
        ({"plan_name": "scan"}, ["aaaa3333-0000", "bbbb1111-0000"]),
        ({"sample.element": {"$in": ["Ni", "Co"]}}, ["bbbb1111-0000"]),
        ({"$or": [{"scan_id": 8}, {"plan_name": "count"}]}, ["aaaa2222-0000", "aaaa3333-0000"]),
        ({"exit_status": "success"}, []),
        (TimeRange(since=2, until=3), ["aaaa3333-0000"]),
        (TextQuery("ni"), ["bbbb1111-0000"]),
        ("ni", ["bbbb1111-0000"]),
        (Eq("scan_id", 8), ["aaaa3333-0000"]),
        (None, ["aaaa2222-0000", "aaaa3333-0000", "bbbb1111-0000"]),
    ],
)
def test_a_search_gives_a_catalog_of_the_runs_that_match(three, query, uids):
    three.metadata["beamline"] = "sim"
    found = three.search(query)
    assert type(found) is type(three)
    assert list(found) == uids
    assert len(found) == len(uids)
    assert found.name == "search results"
    assert found.metadata == three.metadata
    found.metadata["beamline"] = "other"
    assert three.metadata["beamline"] == "sim"


def test_a_search_of_a_result_narrows_it(three):
    found = three.search({"plan_name": "scan"}).search({"scan_id": 7})
    assert list(found) == ["bbbb1111-0000"]
    assert list(found.search({"plan_name": "count"})) == []
    assert list(found.search({})) == ["bbbb1111-0000"]
    assert len(three) == 3


def test_lookups_in_a_result_are_confined_to_it(three):
    found = three.search({"plan_name": "scan"})
    assert uid_of(found["a"]) == "aaaa3333-0000"
    assert uid_of(found[-2]) == "aaaa3333-0000"
    assert "aaaa2222-0000" in three
    for key in ("aaaa2222-0000", "aaaa2", -3):
        assert key not in found
        with pytest.raises((KeyError, IndexError)):
            found[key]


def test_a_query_that_cannot_be_understood_is_told_at_once(three):
    with pytest.raises(InvalidQuery, match=r"\$gte"):
        three.search({"time": {"$gtee": 3}})


def test_a_query_may_be_given_when_the_catalog_is_made(tmp_path):
    for doc in STARTS:
        write_run(tmp_path, doc)
    catalog = BlueskyJSONLCatalog(f"{tmp_path}/*.jsonl", query={"plan_name": "scan"})
    assert list(catalog) == ["aaaa3333-0000", "bbbb1111-0000"]
    assert list(catalog.search({"scan_id": 8})) == ["aaaa3333-0000"]
    assert "aaaa2222-0000" not in catalog


def test_transforms_mend_what_is_read_and_not_what_is_searched():
    catalog = in_memory(STARTS, transforms={"start": lambda doc: {**doc, "plan_name": "mended"}})
    assert catalog[-1].metadata["start"]["plan_name"] == "mended"
    assert list(catalog.search({"plan_name": "mended"})) == []
    assert catalog.search({"plan_name": "count"})[-1].metadata["start"]["plan_name"] == "mended"


def test_filter_keeps_the_runs_for_which_a_function_is_true(three):
    found = three.filter(lambda run: run.metadata["start"]["scan_id"] == 7)
    assert type(found) is type(three)
    assert list(found) == ["aaaa2222-0000", "bbbb1111-0000"]
    assert "aaaa3333-0000" not in found


# -- settings


def test_the_root_map_is_one_dict_that_changes_in_place_and_is_shared_with_searches(three):
    assert three.root_map == {}
    three.root_map["/old"] = "/new"
    assert three.root_map == {"/old": "/new"}
    assert three.search({}).root_map is three.root_map
    with pytest.raises(AttributeError):
        three.root_map = {}


def test_a_relative_root_map_needs_a_catalog_file():
    with pytest.raises(Invalid, match="relative path 'data'"):
        v2.Broker(root_map={"/old": "data"})
    catalog = v2.Broker(root_map={"/old": "data"}, metadata={"catalog_dir": "/catalogs/"})
    assert catalog.root_map == {"/old": "/catalogs/data"}


class Handler:
    def __init__(self, path, **kwargs):
        self.path = path

    def __call__(self, **kwargs):
        return 1


class OtherHandler(Handler):
    pass


def test_handlers_are_registered_and_taken_out_and_the_view_follows():
    catalog = v2.Broker(handler_registry={"MINE": Handler})
    view = catalog.handler_registry
    assert dict(view) == {"MINE": Handler}
    catalog.register_handler("MINE", Handler)
    with pytest.raises(event_model.DuplicateHandler, match="overwrite=True"):
        catalog.register_handler("MINE", OtherHandler)
    catalog.register_handler("MINE", OtherHandler, overwrite=True)
    assert view["MINE"] is OtherHandler
    catalog.register_handler("PATH", "json.JSONDecoder")
    assert view["PATH"] is json.JSONDecoder
    catalog.deregister_handler("MINE")
    catalog.deregister_handler("MINE")
    assert "MINE" not in view
    with pytest.raises((TypeError, AttributeError)):
        view["MINE"] = Handler
    assert catalog.search({}).handler_registry.keys() == view.keys()


class Router(event_model.DocumentRouter):
    def __init__(self, handler_registry, *, root_map=None, **kwargs):
        self.handler_registry = handler_registry
        super().__init__()


@pytest.mark.parametrize(
    "filler_class",
    [
        event_model.Filler,
        "event_model.Filler",
        "event_model.NoFiller",
        partial(event_model.Filler, retry_intervals=[]),
        Router,
    ],
)
def test_a_filler_may_be_a_class_a_dotted_path_a_partial_or_any_router(filler_class):
    catalog = in_memory(STARTS, filler_class=filler_class, handler_registry={"MINE": Handler})
    filler = catalog[-1].source.get_filler(coerce="as_is")
    assert isinstance(filler, event_model.DocumentRouter)
    assert "MINE" in filler.handler_registry


def test_a_filler_that_cannot_be_imported_is_told_when_the_catalog_is_made():
    with pytest.raises(Invalid, match="'Filler'"):
        v2.Broker(filler_class="event_model.Fillr")


def test_transforms_of_unknown_documents_are_refused():
    with pytest.raises(NotImplementedError):
        v2.Broker(transforms={"event": dict})
    with pytest.raises(ValueError, match="transforms"):
        v2.Broker(transforms=["start"])


def test_an_unknown_argument_is_told_with_the_nearest():
    with pytest.raises(TypeError, match=r"no argument 'root_mp' \(nearest: 'root_map'\)"):
        v2.Broker(root_mp={})


def test_auth_of_old_files_is_dropped_and_shells_are_refused():
    assert list(v2.Broker(auth=None)) == []
    with pytest.raises(Invalid, match="nothing in a catalog runs a shell"):
        v2.Broker(getshell=True)
    with pytest.raises(Invalid, match="nothing in a catalog runs a shell"):
        v2.Broker(root_map={"/old": "{{shell(ls)}}"})


def test_each_version_of_the_api_leads_to_the_other(three):
    assert three.v2 is three
    assert three.v1 is three.v1
    assert three.v1.v2 is three
    assert three.search({}).v1 is not three.v1


# -- recording


def test_a_catalog_that_only_reads_says_what_records():
    with pytest.raises(NotOffered, match=r"v2\.temp"):
        v2.Broker(name="mine").insert("start", STARTS[0])


def test_what_is_recorded_is_read_back_from_a_temporary_catalog_whose_folder_goes_with_it():
    catalog = v2.temp()
    folder = Path(catalog.paths[0]).parent
    assert folder.is_dir()
    run = event_model.compose_run(metadata={"plan_name": "count"})
    catalog.insert("start", run.start_doc)
    described = run.compose_descriptor(name="primary", data_keys={"x": {"source": "s", "dtype": "number", "shape": []}})
    catalog.insert("descriptor", described.descriptor_doc)
    catalog.insert("event", described.compose_event(data={"x": 1.5}, timestamps={"x": 1.0}))
    catalog.insert("stop", run.compose_stop())
    catalog.close()
    assert catalog[-1].primary.read()["x"].values.tolist() == [1.5]
    assert catalog.search({"plan_name": "count"})[-1] is catalog[-1]
    del catalog
    gc.collect()
    assert not folder.exists()


# -- identity, pickling, tokens


def test_catalogs_are_equal_after_pickling_and_carry_their_settings(tmp_path):
    for doc in STARTS:
        write_run(tmp_path, doc)
    catalog = BlueskyJSONLCatalog(f"{tmp_path}/*.jsonl", name="mine", handler_registry={"MINE": Handler})
    catalog.root_map["/old"] = "/new"
    catalog.register_handler("OTHER", OtherHandler)
    catalog.description = "told afterwards"
    for each in (catalog, catalog.search({"plan_name": "scan"})):
        again = pickle.loads(pickle.dumps(each))
        assert again == each
        assert hash(again) == hash(each)
        assert list(again) == list(each)
        assert again.root_map == {"/old": "/new"}
        assert dict(again.handler_registry) == {"MINE": Handler, "OTHER": OtherHandler}
        assert (again.name, again.description) == (each.name, each.description)


def test_runs_in_memory_travel_with_their_catalog():
    catalog = BlueskyInMemoryCatalog(name="three")
    for doc in STARTS:
        catalog.insert("start", doc)
    again = pickle.loads(pickle.dumps(catalog))
    assert list(again) == list(catalog) == ["aaaa2222-0000", "aaaa3333-0000", "bbbb1111-0000"]


def test_catalogs_in_memory_are_equal_only_to_their_own_pickle(three):
    import dask.base

    other = in_memory(STARTS, name="three")
    assert three != other
    assert dask.base.tokenize(three) != dask.base.tokenize(other)
    for catalog in (three, BlueskyInMemoryCatalog()):
        again = pickle.loads(pickle.dumps(catalog))
        assert again == catalog
        assert dask.base.tokenize(again) == dask.base.tokenize(catalog)


def test_what_is_equal_has_one_token_and_looking_for_it_reads_nothing(tmp_path, monkeypatch):
    import dask.base

    one, two = (BlueskyJSONLCatalog(f"{tmp_path}/*.jsonl", name="mine") for _ in range(2))
    other = BlueskyJSONLCatalog(f"{tmp_path}/other/*.jsonl", name="mine")
    monkeypatch.setattr(BlueskyJSONLCatalog, "_make_collection", lambda self: pytest.fail("it looked at the runs"))
    assert one == two
    assert one != other
    assert dask.base.tokenize(one) == dask.base.tokenize(two) != dask.base.tokenize(other)


def test_a_search_is_another_catalog_than_the_one_it_was_made_from(three):
    import dask.base

    scans = three.search({"plan_name": "scan"})
    assert scans == three.search({"plan_name": "scan"})
    assert scans != three.search({"plan_name": "count"})
    assert scans != three
    assert dask.base.tokenize(scans) != dask.base.tokenize(three.search({"plan_name": "count"}))


def test_making_a_catalog_asks_no_storage(monkeypatch):
    monkeypatch.setattr(v2.Broker, "_make_collection", lambda self: pytest.fail("it looked at the runs"))
    catalog = v2.Broker(name="mine", query={"plan_name": "scan"}, root_map={"/a": "/b"})
    assert catalog.name == "mine"


# -- what people see


def test_a_catalog_shows_its_name_its_number_and_the_newest(three):
    shown = repr(three)
    assert shown.startswith("<BlueskyInMemoryCatalog 'three': 3 runs>")
    assert shown.index("bbbb1111") < shown.index("aaaa3333") < shown.index("aaaa2222")
    assert "no stop yet" in shown
    html = three._repr_html_()
    assert "three" in html
    assert "bbbb1111-0000" in html
    assert "plan_name" in repr(three.search({"plan_name": "scan"}))


def test_a_notebook_shows_the_table(three):
    from IPython.core.formatters import DisplayFormatter

    data, _ = DisplayFormatter().format(three)
    assert "<table>" in data["text/html"]
    assert data["text/plain"].startswith("<BlueskyInMemoryCatalog 'three'")


def test_a_storage_that_fails_is_shown_and_does_not_spoil_the_notebook(monkeypatch):
    class Unreachable(v2.Broker):
        def _make_collection(self):
            raise ConnectionError("no route to the database")

    catalog = Unreachable(name="far")
    assert "ConnectionError: no route to the database" in repr(catalog)
    with pytest.raises(ConnectionError):
        len(catalog)


def test_completion_offers_the_newest_and_not_all():
    catalog = in_memory([start(f"run{i:04}x", i) for i in range(300)])
    keys = catalog._ipython_key_completions_()
    assert len(keys) == 100
    assert keys[0] == "run0299x"
    names = dir(catalog)
    assert {"search", "root_map", "run0299x"} <= set(names)
    assert "run0000x" not in names
