"""Every name of databroker 1.2.5's version 2 API is here, with its parameters, and does what was documented.

The tables hold the parameters as databroker 1.2.5 has them. Where more is offered (a default, a further keyword), the
call that was written for databroker still means the same, which is what is checked.
"""

from __future__ import annotations

import copy
import functools
import inspect
import os
import pickle
import sys
import time
import types
import warnings
from pathlib import Path
from typing import Any

import event_model
import intake
import pytest
import xarray

import databroker_like
import databroker_like.core as core
from databroker_like import ALL, queries, registry, utils, v1, v2
from databroker_like.assets import handlers_base
from databroker_like.core import _plugins
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog

RUNS = Path(__file__).parent / "data" / "runs"

_REQUIRED = "required"
_READING = ["get_event_pages", "get_event_count"]
_DATUMS = ["lookup_resource_for_datum", "get_datum_pages"]
_GETTERS = [
    "get_run_start",
    "get_run_stop",
    "get_event_descriptors",
    *_READING,
    "get_resource",
    "get_resources",
    *_DATUMS,
]
_RUN = [*_GETTERS, "get_filler", "entry", "transforms"]
_STREAM = ["stream_name", "get_run_stop", "get_event_descriptors", *_READING, "get_resources", "get_resource", *_DATUMS]
_STREAM += ["fillers", "transforms", "metadata", "entry"]
_CHOICE = {"include": None, "exclude": None, "sub_dict": "data", "configuration_for": None}
_GENERATED = ["gen_func", "gen_args", "gen_kwargs", "get_filler", "transforms"]
_BROKER = {"handler_registry": None, "root_map": None, "transforms": None}
_WANTED = {"fields": None, "fill": False}
_TIMES = {"handler_registry": None, "convert_times": True, "timezone": None, "localize_times": True}
_HEADER_TIMES = {"timezone": None, "convert_times": True, "localize_times": True}
_COPYING = {"verify": False, "file_rename_hook": None, "run_start_uid": None}
_DOCUMENTS = ["Start", "Stop", "Resource", "Descriptor", "Event", "EventPage", "Datum", "DatumPage"]


def positional(*names: str, **defaults: Any) -> dict[str, tuple[str, Any]]:
    found = dict.fromkeys(names, ("positional", _REQUIRED))
    return {**found, **{name: ("positional", default) for name, default in defaults.items()}}


def keyword(*names: str, **defaults: Any) -> dict[str, tuple[str, Any]]:
    found = dict.fromkeys(names, ("keyword", _REQUIRED))
    return {**found, **{name: ("keyword", default) for name, default in defaults.items()}}


#: (what, its parameters in databroker 1.2.5)
SIGNATURES: list[tuple[Any, dict[str, tuple[str, Any]]]] = [
    (core.BlueskyRun.__init__, positional(*_RUN)),
    (core.BlueskyEventStream.__init__, positional(*_STREAM, **_CHOICE)),
    (core.BlueskyRunFromGenerator.__init__, positional(*_GENERATED)),
    (core.SingleRunCache.__init__, keyword(**_BROKER, filler_class=event_model.Filler)),
    (core.SingleRunCache.callback, positional("name", "doc")),
    (core.SingleRunCache.retrieve, {}),
    (core.RemoteBlueskyRun.__init__, positional("url", "http_args", "name", "parameters", metadata=None)),
    (core.RemoteBlueskyEventStream.__init__, positional("url", "headers")),
    (core.BlueskyRun.documents, keyword("fill", strict_order=True)),
    (core.BlueskyRun.canonical, keyword("fill", strict_order=True)),
    (core.BlueskyRun.read_canonical, {}),
    (core.BlueskyRun.get_file_list, positional("resource")),
    (core.BlueskyEventStream.read_partition, positional("partition")),
    (core.discover_handlers, positional(entrypoint_group_name="databroker.handlers", skip_failures=True)),
    (core.parse_handler_registry, positional("handler_registry")),
    (core.parse_transforms, positional("transforms")),
    (core.to_event_pages, positional("get_event_cursor", "page_size")),
    (core.to_datum_pages, positional("get_datum_cursor", "page_size")),
    (core.extract_shape, positional("descriptor", "key", resource=None)),
    (core.extract_dtype, positional("descriptor", "key")),
    (core.tokenize_document, positional("instance")),
    (core.coerce_dask, positional("handler_class", "filler_state")),
    (v2.Broker.__init__, keyword(**_BROKER)),
    (v2.Broker.register_handler, positional("spec", "handler", overwrite=False)),
    (v2.Broker.deregister_handler, positional("spec")),
    (v2.Broker.items, {}),
    (v2.temp, {}),
    (BlueskyJSONLCatalog.__init__, {**positional("paths"), **keyword(**_BROKER, query=None)}),
    (BlueskyMsgpackCatalog.__init__, {**positional("paths"), **keyword(**_BROKER, query=None)}),
    (BlueskyJSONLCatalog.search, positional("query")),
    (BlueskyMsgpackCatalog.search, positional("query")),
    (BlueskyInMemoryCatalog.__init__, keyword(**_BROKER, query=None)),
    (BlueskyInMemoryCatalog.search, positional("query")),
    (BlueskyInMemoryCatalog.upsert, positional("start_doc", "stop_doc", "gen_func", "gen_args", "gen_kwargs")),
    (queries.TimeRange.__init__, positional(since=None, until=None, timezone=None)),
    (queries.TextQuery.__init__, positional("text_search")),
    (utils.catalog_search_path, {}),
    (v1.Broker.__init__, {**positional("catalog"), **keyword(serializer=None, external_fetchers=None)}),
    (v1.Broker.__call__, positional(text_search=None)),
    (v1.Broker.__getitem__, positional("key")),
    (v1.Broker.from_config, positional("config", auto_register=True, name=None)),
    (v1.Broker.named, positional("name", auto_register=True)),
    (v1.Broker.get_config, {}),
    (v1.Broker.alias, positional("key")),
    (v1.Broker.dynamic_alias, positional("key", "func")),
    (v1.Broker.add_filter, {}),
    (v1.Broker.clear_filters, {}),
    (v1.Broker.fetch_external, positional("start", "stop")),
    (v1.Broker.get_fields, positional("header", name=None)),
    (v1.Broker.get_documents, positional("headers", stream_name=ALL, **_WANTED, handler_registry=None)),
    (v1.Broker.get_events, positional("headers", stream_name="primary", **_WANTED, handler_registry=None)),
    (v1.Broker.get_table, positional("headers", stream_name="primary", **_WANTED, **_TIMES)),
    (v1.Broker.get_images, positional("headers", "name", stream_name="primary", handler_registry=None)),
    (v1.Broker.restream, positional("headers", **_WANTED)),
    (v1.Broker.stream, positional("headers", **_WANTED)),
    (v1.Broker.process, positional("headers", "func", **_WANTED)),
    (v1.Broker.export, positional("headers", "db", new_root=None, copy_kwargs=None)),
    (v1.Broker.export_size, positional("headers")),
    (v1.Broker.insert, positional("name", "doc")),
    (v1.Broker.stats, {}),
    (v1.Header.__init__, positional("datasource")),
    (v1.Header.config_data, positional("device_name")),
    (v1.Header.data, positional("field", stream_name="primary", fill=True)),
    (v1.Header.devices, positional(stream_name=ALL)),
    (v1.Header.documents, positional(stream_name=ALL, **_WANTED)),
    (v1.Header.events, positional(stream_name="primary", **_WANTED)),
    (v1.Header.fields, positional(stream_name=ALL)),
    (v1.Header.table, positional(stream_name="primary", **_WANTED, **_HEADER_TIMES)),
    (v1.Header.xarray, positional(stream_name="primary")),
    (v1.Header.xarray_dask, positional(stream_name="primary")),
    (v1.Results.__init__, positional("broker", "catalog", "data_key")),
    (v1.Registry.__init__, positional("catalog")),
    (v1.Registry.copy_files, positional("resource", "new_root", **_COPYING)),
    (v1.Registry.register_handler, positional("key", "handler", overwrite=False)),
    (v1.Registry.deregister_handler, positional("key")),
    (v1.from_config, positional("config", auto_register=True, name=None)),
    (v1.temp, {}),
    (v1.temp_config, {}),
    (utils.list_configs, positional("paths")),
    (utils.describe_configs, {}),
    (utils.lookup_config, positional("name")),
    (utils.LazyMap.add, {}),
    (utils.apply_to_dict_recursively, positional("d", "f")),
    (utils.ensure_path_exists, positional("path", exist_ok=True)),
    (utils.format_time, positional("search_dict", "tz")),
    (utils.get_fields, positional("header", name=None)),
    (utils.normalize_human_friendly_time, positional("val", "tz")),
    (utils.sanitize_np, positional("val")),
    (utils.transpose, positional("in_data", "keys", "field")),
    (utils.wrap_in_doct, positional("name", "doc")),
    (utils.wrap_in_deprecated_doct, positional("name", "doc")),
    (utils.DeprecatedDoct.__init__, positional("name")),
]  # fmt: skip


@pytest.mark.parametrize(("what", "expected"), SIGNATURES, ids=lambda v: getattr(v, "__qualname__", ""))
def test_parameters_are_those_of_the_reference(what: Any, expected: dict[str, tuple[str, Any]]) -> None:
    ours = {name: p for name, p in inspect.signature(what).parameters.items() if name not in ("self", "cls")}
    order = [name for name, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert order[: len(expected)] == [name for name, (kind, _) in expected.items() if kind == "positional"]
    for name, (kind, default) in expected.items():
        parameter = ours[name]
        if kind == "keyword":
            assert parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        if default is not _REQUIRED:
            assert parameter.default == default
    for name in ours.keys() - expected.keys():
        more = ours[name]
        assert more.default is not more.empty or more.kind in (more.VAR_KEYWORD, more.VAR_POSITIONAL), name


_SOURCE = ["configure_new", "get", "__call__", "persist", "get_persisted", "describe", "read", "to_dask"]
METHODS = {
    core.BlueskyRun: _SOURCE,
    core.BlueskyEventStream: _SOURCE,
    core.RemoteBlueskyRun: ["persist", "get_persisted", "documents", "canonical", "read_canonical", "search"],
    core.RemoteBlueskyEventStream: ["persist", "get_persisted", "read", "to_dask", "read_partition"],
    core.Document: ["clear", "pop", "popitem", "setdefault", "update", "to_dict", "copy"],
    queries.TimeRange: ["replace"],
    v1.Header: ["get", "items", "keys", "values", "stream", "__iter__", "__getitem__", "__eq__", "_repr_html_"],
    v1.Broker: ["fill_event", "fill_events", "stream_names_given_header"],
    v1.Results: ["__iter__"],
}  # fmt: skip
PROPERTIES = {
    core.BlueskyRun: ["has_been_persisted", "is_persisted", "pmode", "metadata", "fillers", "_descriptors"],
    core.BlueskyEventStream: ["has_been_persisted", "is_persisted", "config", "config_timestamps", "timestamps"],
    core.RemoteBlueskyRun: ["has_been_persisted", "is_persisted"],
    core.RemoteBlueskyEventStream: ["has_been_persisted", "is_persisted"],
    v2.Broker: ["v1", "v2", "root_map", "handler_registry"],
    queries.TimeRange: ["query", "kwargs"],
    v1.Header: ["descriptors", "start", "stop", "stream_names", "uid"],
    v1.Broker: ["fs", "name", "reg", "v1", "v2"],
    v1.Registry: ["handler_reg", "root_map"],
    queries.TextQuery: ["query", "kwargs"],
}


@pytest.mark.parametrize(("cls", "name"), [(cls, name) for cls, names in METHODS.items() for name in names])
def test_methods_of_the_reference_are_there(cls: type, name: str) -> None:
    assert callable(getattr(cls, name))


@pytest.mark.parametrize(("cls", "name"), [(cls, name) for cls, names in PROPERTIES.items() for name in names])
def test_properties_of_the_reference_are_there(cls: type, name: str) -> None:
    assert hasattr(cls, name)
    assert not inspect.isroutine(inspect.getattr_static(cls, name))


@pytest.mark.parametrize("name", ["Document", *_DOCUMENTS, "NotMutable", "PartitionIndexError", "DocumentCache"])
def test_other_names_of_the_reference_are_there(name: str) -> None:
    assert inspect.isclass(getattr(core, name))


#: What ``from databroker import ...`` gave.
TOP = ["ALL", "Broker", "DeprecatedDoct", "EntrypointsCatalog", "Header", "MergedCatalog", "__version__", "assets"]
TOP += ["catalog", "catalog_search_path", "describe_configs", "list_configs", "load_combo_catalog", "logger"]
TOP += ["lookup_config", "temp", "temp_config", "utils", "v1", "wrap_in_deprecated_doct", "wrap_in_doct"]
TOP += ["yaml_catalogs"]


@pytest.mark.parametrize("name", TOP)
def test_names_at_the_top_of_the_reference_are_there(name: str) -> None:
    assert getattr(databroker_like, name) is not None
    assert name in dir(databroker_like)


@pytest.mark.parametrize("name", ["V0Catalog", "discovery", "eventsource", "headersource", "v0"])
def test_a_name_of_version_0_says_what_there_is_in_its_place(name: str) -> None:
    assert not hasattr(databroker_like, name)
    with pytest.raises(AttributeError, match="which was part of version 0"):
        getattr(databroker_like, name)


def test_other_names_of_the_old_helpers_are_there() -> None:
    assert issubclass(v1.InvalidConfig, ValueError)
    assert issubclass(utils.DuplicateHandler, Exception)
    assert utils.SPECIAL_NAME == "_legacy_config"
    assert len(utils.CONFIG_SEARCH_PATH) >= 2
    assert inspect.isclass(utils.ALL)


def test_bases_are_those_that_callers_catch_and_look_for() -> None:
    assert issubclass(core.PartitionIndexError, IndexError)
    assert issubclass(core.Document, dict)
    assert issubclass(v2.Broker, intake.catalog.Catalog)
    assert issubclass(core.BlueskyRun, intake.catalog.Catalog)
    assert issubclass(core.BlueskyRunFromGenerator, core.BlueskyRun)
    assert handlers_base.HandlerBase.specs == set()
    with pytest.raises(TypeError):
        queries.Query()


# -- a catalog, as its users know it -----------------------------------------------------------------------------------


@pytest.fixture
def catalog() -> BlueskyJSONLCatalog:
    paths = [str(RUNS / f"{name}.jsonl") for name in ("scalars", "scan_with_motor", "numpy_images", "without_stop")]
    return BlueskyJSONLCatalog(paths, name="c")


@pytest.fixture
def run(catalog: BlueskyJSONLCatalog) -> core.BlueskyRun:
    return catalog.search({"plan_name": "scan"})[-1]


def test_lookup(catalog: BlueskyJSONLCatalog, run: core.BlueskyRun) -> None:
    uid, scan_id = run.metadata["start"]["uid"], run.metadata["start"]["scan_id"]
    newest = max((r for r in catalog.values()), key=lambda r: r.metadata["start"]["time"])
    assert catalog[uid] == catalog[uid[:12]] == catalog[scan_id] == catalog[str(scan_id)] == run
    assert catalog[-1] == catalog["-1"] == newest
    assert catalog[-1] is catalog[-1]
    assert catalog[-len(catalog)].metadata["start"]["time"] <= newest.metadata["start"]["time"]
    for key in (uid, uid[:12], scan_id, str(scan_id), -1, "-1"):
        assert key in catalog


@pytest.mark.parametrize(
    ("key", "error", "said"),
    [
        ("", ValueError, "Multiple matches"),
        ("zzzz", KeyError, "zzzz"),
        (-99, IndexError, "Catalog only contains 4 runs"),
        ("-99", IndexError, "Catalog only contains 4 runs"),
        (0, KeyError, "No run with scan_id=0"),
        ("0", KeyError, "No run with scan_id=0"),
        (99999, KeyError, "No run with scan_id=99999"),
        ("123456789", KeyError, "No run with scan_id=123456789"),
        (slice(1, 2), TypeError, "slice"),
        ([1], TypeError, "list"),
        (None, TypeError, "None"),
    ],
)
def test_keys_that_lead_nowhere(catalog: BlueskyJSONLCatalog, key: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        catalog[key]
    assert key not in catalog


def test_attributes_are_items_and_a_mistake_names_what_is_near(catalog: BlueskyJSONLCatalog, run: Any) -> None:
    assert run.primary is run["primary"] is run.primary()
    with pytest.raises(AttributeError, match="'seach'; nearest: 'search'"):
        catalog.seach  # noqa: B018
    with pytest.raises(AttributeError, match="it has 'primary'"):
        run.primaryy  # noqa: B018
    with pytest.raises(KeyError, match="it has 'primary'"):
        run["primaryy"]


def test_a_run_that_is_called_is_itself(run: core.BlueskyRun) -> None:
    for thing in (run, run.primary):
        assert thing() is thing.get() is thing.configure_new() is thing
        with pytest.raises(TypeError, match="'bogus'"):
            thing.configure_new(bogus=1)


def test_a_run_is_a_catalog_of_streams(run: core.BlueskyRun) -> None:
    assert (list(run), len(run), "primary" in run, "baseline" in run) == (["primary"], 1, True, False)
    assert run.walk() == {"primary": run.primary}
    assert (run.container, run.PARTITION_SIZE, run.pmode) == ("bluesky-run", 100, "never")
    assert run.primary.container == "bluesky-event-stream"
    assert sorted(run.metadata) == ["catalog_dir", "start", "stop"]
    assert sorted(run.primary.metadata) == ["descriptors", "start", "stop"]
    assert type(run.metadata["start"]) is core.Start
    assert type(run.metadata["stop"]) is core.Stop
    assert all(type(doc) is core.Descriptor for doc in run.primary.metadata["descriptors"])
    assert run.describe()["container"] == "bluesky-run"
    assert repr(run) == f"<BlueskyRun uid={run.metadata['start']['uid']!r}>"
    assert repr(run.primary) == f"<BlueskyEventStream 'primary' from Run {run.metadata['start']['uid'][:8]}...>"


def test_a_run_itself_is_neither_read_nor_persisted(run: core.BlueskyRun) -> None:
    for refused in (run.read, run.to_dask, run.persist, run.primary.persist, lambda: run.read_partition(0)):
        with pytest.raises(NotImplementedError, match=r".{10}"):
            refused()
    for thing in (run, run.primary):
        with pytest.raises(KeyError):
            thing.get_persisted()
        assert thing.is_persisted is thing.has_been_persisted is False


def test_documents_and_how_they_are_filled(run: core.BlueskyRun) -> None:
    names = [name for name, _ in run.documents(fill="no")]
    assert (names[0], names[1], names[-1]) == ("start", "descriptor", "stop")
    assert names.count("event_page") == 5
    assert set(run.fillers) == {"yes", "no", "delayed"}
    for fill in ("yes", "no", "delayed"):
        assert [name for name, _ in run.documents(fill=fill, strict_order=True)] == names
    for wrong in (True, False, None, "Yes", ""):
        with pytest.raises(ValueError, match="'yes', 'no' or 'delayed'"):
            list(run.documents(fill=wrong))
    with pytest.raises(TypeError):
        run.documents()
    with pytest.raises(TypeError):
        run.documents("yes")
    kinds = {name: type(doc) for name, doc in run.documents(fill="no")}
    assert kinds == {"start": core.Start, "descriptor": core.Descriptor, "event_page": dict, "stop": core.Stop}


def test_a_run_without_a_stop_has_no_stop_document(catalog: BlueskyJSONLCatalog) -> None:
    cut = next(r for r in catalog.values() if r.metadata["stop"] is None)
    assert "stop" not in {name for name, _ in cut.documents(fill="no")}


def test_old_names_of_documents_still_work_with_a_warning(run: core.BlueskyRun) -> None:
    names = [name for name, _ in run.documents(fill="yes")]
    with pytest.warns(UserWarning, match="documents"):
        assert [name for name, _ in run.canonical(fill="yes")] == names
    with pytest.warns(UserWarning, match="documents"):
        assert [name for name, _ in run.read_canonical()] == names


def test_streams_are_read_whole_in_part_and_for_their_configuration(run: core.BlueskyRun) -> None:
    stream, whole = run.primary, run.primary.read()
    key = next(iter(whole))
    xarray.testing.assert_identical(stream.to_dask().compute(), whole)
    assert list(stream.configure_new(include=[key]).read()) == [key]
    assert list(stream.configure_new(exclude=[key]).read()) == list(whole)[1:]
    with pytest.warns(UserWarning, match="no data key 'nothing'"):
        assert list(stream.configure_new(include=["nothing"]).read()) == []
    with pytest.raises(ValueError, match="exclusive"):
        stream.configure_new(include=[key], exclude=[key]).read()
    with pytest.raises(ValueError, match="sub_dict"):
        stream.configure_new(sub_dict="bogus")
    assert list(stream.timestamps.read()) == list(stream.configure_new(sub_dict="timestamps").read()) == list(whole)
    assert set(stream.config) == set(stream.config_timestamps) >= {"det", "motor"}
    for device in stream.config:
        assert isinstance(stream.config[device].read(), xarray.Dataset)
        assert isinstance(stream.config_timestamps[device].read(), xarray.Dataset)


def test_partitions_of_a_stream(run: core.BlueskyRun) -> None:
    stream = run.primary
    parts = [stream.read_partition({"index": n, "fill": "no", "partition_size": "auto"}) for n in range(3)]
    assert [name for name, _ in parts[0]] == ["start", "descriptor"]
    assert [name for name, _ in parts[1]][-1] == "stop"
    assert sum(len(doc["seq_num"]) for name, doc in parts[1] if name == "event_page") == 5
    assert parts[2] == []
    with pytest.raises(TypeError):
        stream.read_partition(0)
    with pytest.raises(core.PartitionIndexError):
        stream.read_partition(("det", 7))


def test_the_file_list_of_a_missing_handler_is_event_models_error(run: core.BlueskyRun) -> None:
    with pytest.raises(event_model.UndefinedAssetSpecification, match="'NOPE'"):
        run.get_file_list({"uid": "x", "spec": "NOPE"})


# -- handlers, root map, fillers ---------------------------------------------------------------------------------------


class OneHandler(handlers_base.HandlerBase):
    specs = {"ZZ"} | handlers_base.HandlerBase.specs


class OtherHandler(handlers_base.HandlerBase):
    pass


def test_handlers_are_registered_and_deregistered_and_the_view_follows(catalog: BlueskyJSONLCatalog) -> None:
    view = catalog.handler_registry
    catalog.register_handler("ZZ", OneHandler)
    catalog.register_handler("ZZ", OneHandler)
    assert view["ZZ"] is OneHandler
    with pytest.raises(event_model.DuplicateHandler, match="overwrite=True"):
        catalog.register_handler("ZZ", OtherHandler)
    catalog.register_handler("ZZ", OtherHandler, overwrite=True)
    assert view["ZZ"] is OtherHandler
    with pytest.raises(TypeError, match="register_handler"):
        view["ZZ"] = OneHandler  # type: ignore[index]
    catalog.deregister_handler("ZZ")
    catalog.deregister_handler("ZZ")
    assert "ZZ" not in view
    with pytest.raises(AttributeError):
        catalog.handler_registry = {}  # type: ignore[misc]


def test_the_root_map_is_one_dictionary_behind_a_property(catalog: BlueskyJSONLCatalog) -> None:
    assert catalog.root_map is catalog.root_map
    catalog.root_map["/recorded"] = "/now"
    assert catalog.search({}).root_map == {"/recorded": "/now"}
    with pytest.raises(AttributeError):
        catalog.root_map = {}  # type: ignore[misc]
    with pytest.raises(ValueError, match="relative"):
        BlueskyJSONLCatalog([], root_map={"/recorded": "now"})


@pytest.mark.parametrize(
    "filler_class",
    [event_model.Filler, "event_model.Filler", functools.partial(event_model.Filler, inplace=False)],
    ids=["class", "path", "partial"],
)
def test_filler_classes(filler_class: Any, catalog: BlueskyJSONLCatalog) -> None:
    filling = BlueskyJSONLCatalog(str(RUNS / "scan_with_motor.jsonl"), filler_class=filler_class)
    xarray.testing.assert_identical(filling[-1].primary.read(), catalog[filling[-1].name].primary.read())


def test_v2_is_the_catalog_itself_and_v1_is_always_the_same(catalog: BlueskyJSONLCatalog) -> None:
    assert catalog.v2 is catalog
    assert catalog.v1.v2 is catalog
    assert catalog.v1 is catalog.v1 is catalog.v1.v1


def test_catalogs_runs_and_streams_pickle_and_are_equal(catalog: BlueskyJSONLCatalog, run: Any) -> None:
    assert pickle.loads(pickle.dumps(catalog)) == catalog
    assert pickle.loads(pickle.dumps(run)) == run
    assert pickle.loads(pickle.dumps(run.primary)) == run.primary
    assert catalog == BlueskyJSONLCatalog(list(catalog._captured_init_args[0]), name="c")
    assert catalog != BlueskyJSONLCatalog([], name="c")


# -- search ------------------------------------------------------------------------------------------------------------


def test_searches_narrow_and_keep_the_class(catalog: BlueskyJSONLCatalog) -> None:
    scans = catalog.search({"plan_name": "scan"})
    assert type(scans) is type(catalog)
    assert scans.name == "search results"
    assert (len(scans), len(catalog.search({})), len(scans.search({"scan_id": -5}))) == (1, 4, 0)
    outside = next(uid for uid in catalog if uid not in scans)
    with pytest.raises(KeyError):
        scans[outside]
    assert len(catalog.search(queries.TimeRange(since="2020"))) == 4
    assert len(catalog.search(queries.TimeRange(until="2020"))) == 0
    assert len(catalog.search(queries.TextQuery("scan"))) >= 1


def test_time_ranges_are_mappings_that_pickle() -> None:
    asked = queries.TimeRange(since="2020", until="2021", timezone="UTC")
    assert asked == dict(asked) == {"time": {"$gte": 1577836800.0, "$lt": 1609459200.0}} == asked.query
    assert asked.kwargs == {"since": "2020", "until": "2021", "timezone": "UTC"}
    assert asked.replace(until="2022").kwargs["until"] == "2022"
    assert pickle.loads(pickle.dumps(asked)) == asked
    assert dict(queries.TextQuery("gold")) == {"$text": {"$search": "gold"}}
    with pytest.raises(ValueError, match="since"):
        queries.TimeRange(since="2025", until="2020")


# -- runs as they come -------------------------------------------------------------------------------------------------

DOCUMENTS = [
    ("start", {"uid": "41fb8ca9", "time": 1.0}),
    ("stop", {"uid": "5d2b", "run_start": "41fb8ca9", "time": 2.0, "exit_status": "success"}),
]


def get_filler(coerce: str = "force_numpy") -> event_model.Filler:
    return event_model.Filler({}, inplace=False, coerce=coerce)


def test_a_single_run_is_collected() -> None:
    cache = core.SingleRunCache()
    assert cache.retrieve() is None
    for name, doc in DOCUMENTS:
        cache.callback(name, doc)
    assert cache.retrieve().metadata["stop"]["uid"] == "5d2b"
    with pytest.raises(ValueError, match="one run"):
        cache.callback("start", {"uid": "another", "time": 1.0})


def test_a_run_is_made_from_a_generator() -> None:
    def generate(pairs: list[Any], most: int) -> Any:
        yield from pairs[:most]

    no_change = core.parse_transforms({})
    run = core.BlueskyRunFromGenerator(generate, (DOCUMENTS,), {"most": 2}, get_filler, no_change, name="x")
    assert (run.name, run.metadata["stop"]["exit_status"]) == ("x", "success")
    assert [name for name, _ in run.documents(fill="no")] == ["start", "stop"]


def test_a_run_in_memory_is_replaced() -> None:
    catalog = BlueskyInMemoryCatalog()
    for stop in (None, DOCUMENTS[1][1]):
        catalog.upsert(DOCUMENTS[0][1], stop, lambda: iter(DOCUMENTS), (), {})
    assert len(catalog) == len(catalog.search({"uid": "41fb8ca9"})) == 1
    assert catalog[-1].metadata["stop"]["uid"] == "5d2b"


# -- functions ---------------------------------------------------------------------------------------------------------


def test_handlers_by_path_are_imported() -> None:
    assert core.parse_handler_registry({"A": "json.JSONDecoder", "B": dict})["A"].__name__ == "JSONDecoder"
    with pytest.raises(ImportError, match="nowhere"):
        core.parse_handler_registry({"A": "nowhere.Handler"})


def test_transforms_by_path_are_imported() -> None:
    assert set(core.parse_transforms(None)) == {"start", "stop", "resource", "descriptor"}
    assert core.parse_transforms({"start": "copy.copy"})["start"] is copy.copy
    with pytest.raises(NotImplementedError):
        core.parse_transforms({"event": "copy.copy"})
    with pytest.raises(ValueError, match="mapping"):
        core.parse_transforms(3)  # type: ignore[arg-type]


def test_a_plugin_that_fails_is_a_warning_or_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    distribution = types.SimpleNamespace(name="plugin", version="1")
    broken = types.SimpleNamespace(name="ZZ", module_name="broken", object_name="Handler", distro=distribution)
    monkeypatch.setattr(registry, "entry_points", lambda group, **more: [broken])
    monkeypatch.setattr(_plugins, "entry_points", lambda group, **more: [broken], raising=False)
    with pytest.warns(UserWarning, match="ZZ"):
        assert core.discover_handlers("some.group") == {}
    with pytest.raises(ImportError, match="broken"):
        core.discover_handlers("some.group", skip_failures=False)
    monkeypatch.undo()
    assert core.discover_handlers("a.group.of.nobody") == {}


# -- documents ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", _DOCUMENTS)
def test_documents_are_immutable_dictionaries_that_copy_and_pickle(name: str) -> None:
    cls = getattr(core, name)
    doc = cls({"uid": "x", "datum_id": "x", "resource": "r", "inner": {"a": 1}})
    changes = [
        lambda: doc.__setitem__("a", 1), lambda: doc.__delitem__("uid"), doc.clear, lambda: doc.pop("uid"), doc.popitem,
        lambda: doc.setdefault("a", 1), lambda: doc.update(a=1), lambda: doc.__ior__({"a": 1}),
    ]  # fmt: skip
    for change in changes:
        with pytest.raises(core.NotMutable):
            change()
    mine = doc.to_dict()
    mine["inner"]["a"] = 2
    assert (type(mine), doc["inner"]["a"]) == (dict, 1)
    for again in (copy.copy(doc), copy.deepcopy(doc), pickle.loads(pickle.dumps(doc))):
        assert (type(again), again) == (cls, doc)
    assert type(doc.copy()) is type(doc | {}) is dict
    assert doc.__dask_tokenize__() == cls(dict(doc, more=1)).__dask_tokenize__()
    with pytest.raises(NotImplementedError):
        core.Document(doc).__dask_tokenize__()


# -- through YAML ------------------------------------------------------------------------------------------------------


def test_a_source_of_a_catalog_file_is_one_object(tmp_path: Path) -> None:
    (tmp_path / "transforms_of_a_user.py").write_text("def start(doc):\n    return {**doc, 'beamline': 'X'}\n")
    (tmp_path / "c.yml").write_text(
        f"""
sources:
  abc:
    driver: bluesky-jsonl-catalog
    args:
      paths: ["{RUNS}/*.jsonl"]
      root_map: {{/recorded: ./now}}
      transforms: {{start: transforms_of_a_user.start}}
  written_for_databroker:
    driver: databroker._drivers.jsonl.BlueskyJSONLCatalog
    args: {{paths: "{RUNS}/*.jsonl"}}
"""
    )
    sys.path.insert(0, str(tmp_path))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*is taken from databroker_like", UserWarning)
            catalog = intake.open_catalog(str(tmp_path / "c.yml"))
            assert catalog.abc is catalog.abc is catalog["abc"]
            assert catalog.abc[-1] is catalog.abc[-1]
            assert catalog.abc[-1].metadata["start"]["beamline"] == "X"
            assert catalog.abc.root_map == {"/recorded": os.path.join(tmp_path, "now")}
            assert list(catalog.written_for_databroker) == list(catalog.abc)
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("transforms_of_a_user", None)


def test_a_temporary_catalog_records_and_shows_a_new_run_at_once() -> None:
    catalog = v2.temp()
    for number in range(3):
        catalog.insert("start", {"uid": f"run-{number}", "time": time.time() + number, "scan_id": number})
        assert catalog[-1].metadata["start"]["scan_id"] == number
        assert len(catalog) == number + 1
    catalog.close()
