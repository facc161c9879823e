"""Where a MongoDB is: no password in anything that is shown, and clear words when it is not there."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import subprocess
import sys
import textwrap
import traceback

import intake
import mongomock
import pytest

from databroker_like.drivers._mongo_address import MongoAddress
from databroker_like.drivers._mongo_server import MongoServer, close_clients
from databroker_like.drivers.mongo_embedded import BlueskyMongoCatalog as EmbeddedCatalog
from databroker_like.drivers.mongo_normalized import BlueskyMongoCatalog as NormalizedCatalog
from databroker_like.errors import Invalid, MissingExtra, NotOffered, NotWritable, Unreachable, WrongType
from databroker_like.testing import _runs as samples

SECRET = "hunter2"
URI = f"mongodb://ann:{SECRET}@mongomock.test:27017/runs?authSource=admin"


# -- URIs


@pytest.mark.parametrize(
    ("uri", "shown", "database"),
    [
        ("mongodb://localhost/runs", "mongodb://localhost/runs", "runs"),
        (URI, "mongodb://ann:***@mongomock.test:27017/runs?authSource=admin", "runs"),
        ("mongodb://a:1,b:2/my%20runs?replicaSet=r", "mongodb://a:1,b:2/my%20runs?replicaSet=r", "my runs"),
        ("mongodb+srv://u:p%40ss@cluster.example.org/r", "mongodb+srv://u:***@cluster.example.org/r", "r"),
        ("mongodb://[::1]:27017/r", "mongodb://[::1]:27017/r", "r"),
        (
            f"mongodb://h/r?tlsCertificateKeyFilePassword={SECRET}&tls=true",
            "mongodb://h/r?tlsCertificateKeyFilePassword=***&tls=true",
            "r",
        ),
        (
            f"mongodb://h/r?authMechanismProperties=AWS_SESSION_TOKEN:{SECRET}",
            "mongodb://h/r?authMechanismProperties=***",
            "r",
        ),
    ],
)
def test_an_address_shows_everything_but_the_password(uri, shown, database):
    address = MongoAddress(uri)
    assert str(address) == shown
    assert repr(address) == f"MongoAddress({shown!r})"
    assert address.database == database
    assert pickle.loads(pickle.dumps(address)).uri == uri


@pytest.mark.parametrize(
    "uri",
    [
        f"mongodb://ann:{SECRET}@host",
        f"mongodb://ann:{SECRET}@host/",
        f"mongodb://ann:{SECRET}@host/?authSource=admin",
        f"mongodb://ann:{SECRET}/x@host/runs",
        f"mongodb://ann:{SECRET}@x@host/runs",
        f"http://ann:{SECRET}@host/runs",
        f"ann:{SECRET}@host/runs",
        f"mongodb://ann:{SECRET}:x@/runs",
        "",
    ],
)
def test_a_uri_that_cannot_be_used_is_told_without_the_password(uri):
    with pytest.raises(Invalid, match="metadatastore_db") as caught:
        NormalizedCatalog(uri, URI)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(Invalid, match="asset_registry_db"):
        NormalizedCatalog(URI, uri)
    with pytest.raises(Invalid, match="datastore_db"):
        EmbeddedCatalog(uri)


def test_a_uri_without_a_database_says_where_to_write_it():
    with pytest.raises(
        Invalid, match=r"mongodb://ann:\*\*\*@host/' names no database; .* as in mongodb://host/database"
    ):
        EmbeddedCatalog(f"mongodb://ann:{SECRET}@host")


@pytest.mark.parametrize("value", [5, None, ["mongodb://h/r"], mongomock.MongoClient()])
def test_anything_else_than_a_uri_or_a_database_is_refused(value):
    with pytest.raises(WrongType, match="datastore_db is the URI of a MongoDB database or a pymongo Database"):
        EmbeddedCatalog(value)


def test_options_that_pymongo_refuses_are_told_without_the_password():
    catalog = EmbeddedCatalog(f"mongodb://ann:{SECRET}@host:99999999/runs")
    with pytest.raises(Invalid) as caught:
        list(catalog)
    text = "".join(traceback.format_exception(caught.value))
    assert SECRET not in text
    assert "mongodb://ann:***@host:99999999/runs" in text


# -- the password stays away


@pytest.fixture
def mocked():
    with mongomock.patch(servers="mongomock.test"):
        yield


@pytest.mark.parametrize("make", [lambda: NormalizedCatalog(URI, URI), lambda: EmbeddedCatalog(datastore_db=URI)])
def test_the_password_is_in_nothing_that_is_shown(make, mocked, caplog):
    with caplog.at_level(logging.DEBUG):
        catalog = make()
        list(catalog)
        results = catalog.search({"plan_name": "scan"}).search({}, max_time_ms=100)
    shown = [
        repr(catalog),
        str(catalog),
        catalog._repr_html_(),
        repr(results),
        catalog.yaml(),
        catalog.serialize(),
        repr(catalog.__getstate__()),
        repr(pickle.loads(pickle.dumps(catalog)).__getstate__()),
        repr(catalog._captured_init_args) + repr(catalog._captured_init_kwargs),
        repr(results._captured_init_args) + repr(results._captured_init_kwargs),
        repr(catalog.__dask_tokenize__()),
        repr(vars(catalog.collection)),
        repr(catalog.collection.source("x", None)),
        caplog.text,
    ]
    assert [text for text in shown if SECRET in text] == []


def test_yaml_takes_the_password_from_the_environment_when_it_is_opened_again(mocked, tmp_path, monkeypatch):
    catalog = NormalizedCatalog(URI, URI, name="mine")
    catalog.insert("start", {"uid": "a", "time": 1.0})
    (tmp_path / "catalog.yml").write_text(catalog.yaml())
    monkeypatch.setenv("MONGO_PASSWORD", SECRET)
    again = intake.open_catalog(str(tmp_path / "catalog.yml"))["mine"]
    assert list(again) == ["a"]
    assert again.collection.server.address.uri == URI


def test_a_catalog_of_a_database_object_says_that_it_cannot_be_written_down_or_sent():
    catalog = EmbeddedCatalog(mongomock.MongoClient()["runs"])
    with pytest.raises(WrongType, match="make the catalog from a URI"):
        catalog.yaml()
    with pytest.raises(WrongType, match="make the catalog from a URI"):
        pickle.dumps(catalog)


def test_catalogs_are_equal_when_they_ask_the_same_database(mocked):
    assert NormalizedCatalog(URI, URI) == NormalizedCatalog(URI, URI)
    assert NormalizedCatalog(URI, URI) != NormalizedCatalog(URI, URI + "2")
    client = mongomock.MongoClient()
    assert EmbeddedCatalog(client["a"]) == EmbeddedCatalog(client["a"])
    assert EmbeddedCatalog(client["a"]) != EmbeddedCatalog(client["b"])
    assert hash(EmbeddedCatalog(client["a"])) == hash(EmbeddedCatalog(client["a"]))


# -- connecting


def test_making_and_sending_a_catalog_connects_to_nothing(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("connected")

    monkeypatch.setattr("pymongo.MongoClient", refuse)
    catalog = pickle.loads(pickle.dumps(NormalizedCatalog(URI, URI)))
    assert isinstance(catalog.search({"plan_name": "scan"}), NormalizedCatalog)


@pytest.fixture
def nobody():
    """A port at which nobody listens, nor can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_a_server_that_is_away_is_told_once_with_its_host_and_without_the_password(nobody):
    port = nobody
    uri = f"mongodb://ann:{SECRET}@127.0.0.1:{port}/runs?serverSelectionTimeoutMS=700"
    catalog = NormalizedCatalog(uri, uri)
    for ask in (
        lambda: list(catalog),
        lambda: catalog[-1],
        lambda: list(catalog.search({"stop.exit_status": "fail"})),
        lambda: catalog.distinct("plan_name"),
        lambda: catalog.create_indexes(),
        lambda: catalog.insert("start", {"uid": "a", "time": 1.0}),
    ):
        with pytest.raises(
            Unreachable, match=rf"no answer from mongodb://ann:\*\*\*@127.0.0.1:{port}/runs.*refused"
        ) as c:
            ask()
        assert isinstance(c.value, ConnectionError)
        assert SECRET not in "".join(traceback.format_exception(c.value))
        assert len(str(c.value)) < 400
    assert f"127.0.0.1:{port}" in repr(catalog)
    assert SECRET not in repr(catalog)


@pytest.mark.parametrize(
    ("options", "seconds"),
    [("", (5, 5)), ("?serverSelectionTimeoutMS=700", (0.7, 5)), ("?connectTimeoutMS=900", (5, 0.9))],
)
def test_a_server_is_looked_for_a_few_seconds_unless_the_address_says_otherwise(nobody, options, seconds):
    set_up = MongoServer(f"mongodb://127.0.0.1:{nobody}/runs{options}").database.client.options
    assert (set_up.server_selection_timeout, set_up.pool_options.connect_timeout) == seconds
    close_clients()


def test_refused_logins_and_rights_are_told():
    from pymongo.errors import OperationFailure

    server = MongoServer(URI)
    with pytest.raises(Unreachable, match="refuses the login of 'ann'; look at user, password"), server.translated():
        raise OperationFailure("Authentication failed.", code=18)
    with pytest.raises(NotWritable, match="not authorized on runs"), server.translated(writes=True):
        raise OperationFailure("not authorized on runs to execute command", code=13)
    with pytest.raises(Unreachable, match="operation exceeded time limit"), server.translated():
        raise OperationFailure("operation exceeded time limit", code=50)


def test_without_pymongo_the_install_command_is_told(monkeypatch):
    catalog = NormalizedCatalog(URI, URI)
    monkeypatch.setitem(sys.modules, "pymongo", None)
    monkeypatch.setitem(sys.modules, "pymongo.errors", None)
    for ask in (lambda: list(catalog), lambda: catalog.insert("start", {"uid": "a", "time": 1.0})):
        with pytest.raises(MissingExtra, match=r"pip install 'databroker-like\[mongo\]'"):
            ask()


def test_the_drivers_load_without_pymongo():
    code = """
        import sys
        import databroker_like.drivers.mongo_normalized, databroker_like.drivers.mongo_embedded as embedded
        embedded.BlueskyMongoCatalog("mongodb://host/runs").search({"plan_name": "scan"})
        print(sorted({"pymongo", "bson", "mongomock"} & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_has_connections_of_its_own(mongo_server):
    uri = mongo_server()
    catalog = NormalizedCatalog(uri, uri)
    run = samples.scalars()
    for name, doc in run:
        catalog.insert(name, doc)
    mine = catalog.collection.server.database.client
    code = f"""
        import os, sys, warnings
        warnings.simplefilter("ignore")
        from databroker_like.drivers.mongo_normalized import BlueskyMongoCatalog
        catalog = BlueskyMongoCatalog({uri!r}, {uri!r})
        mine = catalog.collection.server.database.client
        assert len(catalog) == 1
        child = os.fork()
        if not child:
            ok = len(catalog) == 1 and catalog.collection.server.database.client is not mine
            os._exit(0 if ok else 1)
        _, status = os.waitpid(child, 0)
        assert len(catalog) == 1 and catalog.collection.server.database.client is mine
        sys.exit(os.waitstatus_to_exitcode(status))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert catalog.collection.server.database.client is mine


# -- keywords of find


@pytest.mark.parametrize(
    ("find_kwargs", "said"),
    [
        ({"max_time": 5}, "'max_time' here \\(nearest: 'max_time_ms'\\)"),
        ({"limit": 5}, "'limit' here \\(give it to search"),
        ({"sort": []}, "'sort' here \\(runs are in order of time\\)"),
        ({"query": {}}, "'query' here \\(give it as query\\)"),
    ],
)
def test_an_unknown_keyword_of_find_is_named(find_kwargs, said):
    with pytest.raises(TypeError, match=said):
        EmbeddedCatalog(URI, find_kwargs=find_kwargs)


def test_keywords_of_find_are_passed_on(mongo):
    uri = mongo()
    catalog = NormalizedCatalog(uri, uri, find_kwargs={"max_time_ms": 60_000, "batch_size": 1})
    for number in range(5):
        catalog.insert("start", {"uid": str(number), "time": float(number), "scan_id": number})
    assert list(catalog.search({"scan_id": {"$gt": 0}}, limit=2)) == ["3", "4"]
    assert list(catalog.search(limit=2, skip=1)) == ["2", "3"]
    assert len(catalog.search({"stop": {"$exists": False}}, batch_size=2)) == 5
    found = catalog.search("nothing", comment="looking for words")
    assert found.collection.find_kwargs == {"max_time_ms": 60_000, "batch_size": 1, "comment": "looking for words"}
    with pytest.raises(TypeError, match="'scan_id'"):
        catalog.search(scan_id=3)
    again = pickle.loads(pickle.dumps(found))
    assert again.collection.find_kwargs == found.collection.find_kwargs


# -- what a database says of itself, and what a layout does not do


def test_stats_say_how_much_there_is(mongo):
    uri = mongo()
    catalog = NormalizedCatalog(uri, uri)
    catalog.insert("start", {"uid": "a", "time": 1.0})
    stats = catalog.stats()
    assert stats["db"] == MongoServer(uri).address.database
    assert stats["collections"] >= 1
    assert stats["ok"] == 1


def test_the_embedded_layout_says_what_to_record_with():
    with pytest.raises(NotOffered, match="mongo_normalized"):
        EmbeddedCatalog(mongomock.MongoClient()["runs"]).insert("start", {"uid": "a", "time": 1.0})


def test_indexes_are_made_once(mongo):
    normalized, embedded = NormalizedCatalog(mongo(), mongo()), EmbeddedCatalog(mongo())
    for catalog, name in ((normalized, "run_start"), (embedded, "header")):
        catalog.create_indexes()
        made = catalog.collection.server.collection(name).index_information()
        catalog.create_indexes()
        assert catalog.collection.server.collection(name).index_information() == made
        assert len(made) > 3
    events = normalized.collection.server.collection("event").index_information()
    assert {tuple(k for k, _ in each["key"]) for each in events.values() if each.get("unique")} == {
        ("uid",),
        ("descriptor", "seq_num", "time"),
    }
