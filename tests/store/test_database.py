"""What the database says when it cannot be written, in the user's words; and what was recorded stays readable."""

import contextlib
import gc
import os
import pickle
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

import pytest
from sqlalchemy import text

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.errors import Invalid, InvalidFile, NotWritable, Unreachable
from databroker_like.store._database import Database
from databroker_like.store._recording import StoreSink
from databroker_like.store._store import Store
from tests.store.conftest import harmful, make_run, record, recorded

ROOT = Path(__file__).parents[2]


# -- locked


def test_a_store_that_another_process_is_making_is_waited_for(tmp_path):
    """SQLite itself does not wait where a new file gets its write-ahead log."""
    store = Store(tmp_path, timeout=60)
    with contextlib.closing(sqlite3.connect(store.database.path, isolation_level=None, check_same_thread=False)) as one:
        one.execute("BEGIN IMMEDIATE")
        done = threading.Timer(0.2, one.execute, ["ROLLBACK"])
        done.start()
        record(store, make_run("a"))
        done.join()
    assert recorded(store, "a") == make_run("a")
    store.close()


def test_a_store_that_another_process_makes_for_too_long_is_told(tmp_path):
    store = Store(tmp_path, timeout=0.1)
    with contextlib.closing(sqlite3.connect(store.database.path, isolation_level=None)) as one:
        one.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotWritable, match="is locked"):
            record(store, make_run("a"))
    store.close()


@contextlib.contextmanager
def locked(store):
    with contextlib.closing(sqlite3.connect(store.database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.parametrize("at", [0, 1, 2, 6, -1])
def test_a_locked_database_is_told_and_the_document_can_be_sent_again(tmp_path, at):
    store = Store(tmp_path / "store", timeout=0.1)
    store.prepare()
    docs = make_run("a", 10)
    sink = StoreSink(store)
    at %= len(docs)
    for name, doc in docs[:at]:
        sink.insert(name, doc)
    with locked(store):
        with pytest.raises(NotWritable, match=r"is locked: another process has been writing for more than 0\.1 s"):
            sink.insert(*docs[at])
        if at:
            assert recorded(Store(store.path), "a") == docs[:at]
    for name, doc in docs[at:]:
        sink.insert(name, doc)
    sink.close()
    assert recorded(store, "a") == docs
    assert store.check() == []


def test_a_page_that_comes_while_it_is_locked_can_be_sent_again(tmp_path):
    store = Store(tmp_path / "store", timeout=0.1)
    docs = make_run("a", 10, pages=5)
    sink = StoreSink(store)
    for name, doc in docs[:3]:
        sink.insert(name, doc)
    with locked(store), pytest.raises(NotWritable, match="is locked"):
        sink.insert(*docs[3])
    for name, doc in docs[3:]:
        sink.insert(name, doc)
    sink.close()
    assert recorded(store, "a") == docs


def test_upkeep_of_a_locked_database_is_told(tmp_path):
    store = Store(tmp_path / "store", timeout=0.1)
    record(store, make_run("a"))
    with locked(store):
        for use in (store.vacuum, lambda: store.delete("a")):
            with pytest.raises(NotWritable, match="is locked"):
                use()
        assert store.backup(tmp_path / "backup").runs == 1
    assert recorded(store, "a") == make_run("a")


# -- full


@contextlib.contextmanager
def files_at_most(size):
    """As on a full disk: a file cannot grow any further."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("pages", [0, 50])
def test_a_disk_that_becomes_full_is_told_and_recording_goes_on_when_there_is_room(store, pages):
    docs = make_run("a", 3000, pages=pages)
    sink = StoreSink(store)
    for name, doc in docs[:2]:
        sink.insert(name, doc)
    done = 2
    with files_at_most(400_000), pytest.raises(NotWritable, match=r"cannot be written: .*; make room on the disk"):  # noqa: PT012
        for done in range(2, len(docs)):
            sink.insert(*docs[done])
    assert 2 < done < len(docs) - 1
    assert recorded(store, "a") == docs[:done]
    assert recorded(Store(store.path, read_only=True), "a") == docs[:done]
    assert harmful(store) == []
    for name, doc in docs[done:]:
        sink.insert(name, doc)
    sink.close()
    assert recorded(store, "a") == docs
    assert store.check(integrity=True) == []


@pytest.fixture
def tiny(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root may mount a small file system; the other tests limit the size of files instead")
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tiny", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    gc.collect()
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_file_system_that_is_full_is_told_and_what_was_recorded_is_there(tiny, small):
    store = Store(tiny / "store")
    docs = make_run("a", 20_000, pages=500)
    sink = StoreSink(store)
    sink.insert(*docs[0])
    done = 0
    with pytest.warns(UserWarning, match="not yet columns"), pytest.raises(NotWritable, match="make room"):  # noqa: PT012, PT031
        for done in range(1, len(docs)):
            sink.insert(*docs[done])
    assert recorded(store, "a") == docs[:done]
    assert harmful(store) == []
    sink.close()
    store.close()


# -- read only

#: Becomes somebody who may only read, and does what it is told, line by line.
READER = """
import os, sys, tempfile, warnings
warnings.simplefilter("error")
from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog as Catalog
from tests.store.conftest import make_run, record, recorded
from databroker_like.store._store import Store
path = sys.argv[1]
with tempfile.TemporaryDirectory() as folder:  # all modules that are needed, while they can be read
    record(Store(folder + "/s"), make_run("a", 30))
    warm = Catalog(folder + "/s")
    warm["a"].primary.read(), warm.store.check(), list(warm)
    warm.delete("a")
    warm.close()
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
catalogs = {"open": Catalog(path), "read only": Catalog(path, read_only=True)}
print("ready", flush=True)
for line in sys.stdin:
    which, _, what = line.strip().partition(": ")
    catalog = catalogs[which]
    try:
        if what == "uids": said = list(catalog)
        elif what == "check": said = [str(one) for one in catalog.store.check()]
        elif what == "read": said = catalog["a"].primary.read()["n"].values.tolist()
        elif what == "record": said = record(catalog.store, make_run("mine"))
        elif what == "delete": said = catalog.delete("a")
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    print(said, flush=True)
"""


@pytest.fixture
def open_folder():
    """A folder that others may look into."""
    with tempfile.TemporaryDirectory(prefix="store") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)
        for below, _, _ in os.walk(folder):
            os.chmod(below, 0o755)


def test_a_folder_that_may_only_be_read_is_read_while_others_record(open_folder, small):
    store = Store(open_folder / "store")
    record(store, make_run("a", 40))
    store.close()
    if os.geteuid() != 0:
        os.chmod(store.path, 0o555)
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, store.path], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def ask(line):
        reader.stdin.write(f"{line}\n")
        reader.stdin.flush()
        return reader.stdout.readline().strip()

    try:
        assert reader.stdout.readline().strip() == "ready"
        for which in ("open", "read only"):
            assert ask(f"{which}: uids") == "['a']"
            assert ask(f"{which}: read") == str(list(range(1, 41)))
            assert ask(f"{which}: check") == "[]"
        for what in ("record", "delete"):
            said = ask(f"open: {what}")
            assert said.startswith("NotWritable: ")
            assert "cannot be written" in said
            assert "choose a folder that can be written to" in said
            assert "opened to be read only" in ask(f"read only: {what}")
        os.chmod(store.path, 0o755)
        sink = StoreSink(store)
        for number, (name, doc) in enumerate(make_run("b", 10)):
            sink.insert(name, doc)
            if number in (0, 5):
                assert ask("open: uids") == ask("read only: uids") == "['a', 'b']"
        sink.close()
        store.close()
        record(store, make_run("c", 10))
        assert ask("open: uids") == ask("read only: uids") == "['a', 'b', 'c']"
        assert ask("open: check") == ask("read only: check") == "[]"
    finally:
        reader.stdin.close()
        assert reader.wait(300) == 0
        reader.stdout.close()


@pytest.fixture
def read_only_mount(tmp_path):
    """The store of ``tmp_path / "store"`` on a file system that is mounted to be read."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount; another test takes the permission to write away instead")

    def mount():
        for options in (["--bind", tmp_path / "store", folder], ["-o", "remount,ro,bind", folder]):
            done = subprocess.run(["mount", *options], capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"a file system cannot be mounted to be read here: {done.stderr.strip()}")
        return folder

    yield mount
    gc.collect()
    subprocess.run(["umount", "-l", folder], check=False, capture_output=True)


def test_a_read_only_file_system_is_read(store, read_only_mount, small):
    record(store, make_run("a", 40))
    store.close()
    mounted = Store(read_only_mount())
    assert recorded(mounted, "a") == make_run("a", 40)
    assert mounted.check(integrity=True) == []
    with pytest.raises(NotWritable, match="choose a folder that can be written to"):
        record(mounted, make_run("b"))
    with pytest.raises(NotWritable, match=r"cannot be made|choose a folder"):
        record(Store(mounted.path + "/new"), make_run("b"))
    record(store, make_run("b"))  # where it can be written
    assert len(BlueskyEmbeddedCatalog(mounted.path)) == 2
    assert recorded(mounted, "b") == make_run("b")
    mounted.close()


def test_what_a_killed_recorder_left_is_read_where_nothing_can_be_written(store, read_only_mount, small):
    """The log beside the database holds what was recorded last."""
    code = (
        "import os, sys; from databroker_like.store._store import Store; from tests.store.conftest import *\n"
        "store = Store(sys.argv[1]); record(store, make_run('a', 4, stop=False)); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, store.path], cwd=ROOT, check=True)
    assert os.path.getsize(f"{store.database.path}-wal")
    mounted = Store(read_only_mount())
    assert recorded(mounted, "a") == make_run("a", 4, stop=False)
    mounted.close()


# -- others


def test_a_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.db").write_bytes(b"This is a text file, and not a database at all." * 100)
    for use in (lambda store: store.check_version(), lambda store: record(store, make_run("a"))):
        with pytest.raises(InvalidFile, match=r"store\.db is damaged, or no store: .*restore it from a backup"):
            use(Store(tmp_path / "store"))


def test_an_empty_file_becomes_a_store(tmp_path):
    """A process was killed before it made the tables."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.db").write_bytes(b"")
    store = Store(tmp_path / "store")
    assert not store.exists
    record(store, make_run("a"))
    assert store.check() == []
    store.close()


@pytest.mark.parametrize("name", ["with space", "a#b", "a?b=c", "a%20b", "ä€", "a&mode=memory", "a:b", "'"])
def test_a_folder_may_have_any_name(tmp_path, name):
    for read_only in (False, True):
        store = Store(tmp_path / name, read_only=read_only)
        if not read_only:
            record(store, make_run("a"))
        assert recorded(store, "a") == make_run("a")
        store.close()
    assert os.listdir(tmp_path) == [name]


def test_a_transaction_that_fails_leaves_nothing(store):
    store.prepare()
    with pytest.raises(ZeroDivisionError), store.write() as connection:  # noqa: PT012
        connection.execute(text("INSERT INTO setting VALUES ('a', 'b')"))
        _ = 1 / 0
    with store.database.read() as connection:
        assert not connection.execute(text("SELECT * FROM setting WHERE name = 'a'")).all()


def test_a_database_that_is_forgotten_is_closed(store):
    record(store, make_run("a"))
    database = Database(store.database.url)
    with database.read() as connection:
        connection.execute(text("SELECT 1"))
    store.close()
    assert os.path.exists(store.database.path + "-wal")
    del database, connection
    gc.collect()
    assert not os.path.exists(store.database.path + "-wal")


def test_a_catalog_that_is_forgotten_in_the_middle_of_a_run_is_closed(tmp_path):
    """From Python 3.13 on, SQLite's connections complain when they are not."""
    catalog = BlueskyEmbeddedCatalog(str(tmp_path))
    for name, doc in make_run("a")[:-1]:
        catalog.insert(name, doc)
    catalog.itself = catalog  # so that all of it goes at once, in any order
    assert os.path.exists(tmp_path / "store.db-wal")
    del catalog
    gc.collect()
    assert not os.path.exists(tmp_path / "store.db-wal")
    again = BlueskyEmbeddedCatalog(str(tmp_path))
    assert list(again) == ["a"]
    again.close()


def test_any_number_of_iterators_may_be_open(store):
    record(store, make_run("a"), make_run("b"))
    catalog = BlueskyEmbeddedCatalog(store.path)
    opened = [iter(catalog) for _ in range(40)]
    assert [next(one) for one in opened] == ["a"] * 40
    record(store, make_run("c"))
    assert [list(one) for one in opened] == [["b"]] * 40
    assert len(catalog) == 3
    catalog.close()


def test_connections_of_a_server_that_are_all_in_use_are_told(store):
    from sqlalchemy import exc

    with pytest.raises(Unreachable, match="all connections of this process"), store.database.errors("be read"):
        raise exc.TimeoutError("QueuePool limit")


def test_a_store_pickles_without_its_connections(store):
    record(store, make_run("a"))
    other = pickle.loads(pickle.dumps(store))
    assert recorded(other, "a") == make_run("a")
    other.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://me:secret@host/name", "postgresql+psycopg://me:***@host/name"),
        ("postgresql+psycopg://me:se/cr@et@host:5/name", "postgresql+psycopg://me:***@host:5/name"),
        ("postgresql+psycopg://host/name?user=me&password=s", "postgresql+psycopg://host/name?user=me&password=***"),
        ("postgresql+psycopg://me@host/name", "postgresql+psycopg://me@host/name"),
        ("sqlite:////a/b:c@d/store.db", "/a/b:c@d/store.db"),
    ],
)
def test_passwords_are_not_shown(url, shown):
    assert Database(url).shown == shown
    assert repr(Database(url)) == f"Database({shown!r})"


@pytest.mark.parametrize(
    "url", ["postgresql://me:p@ss:secret@host:5x/name", "postgresql+psycopg://me:secret@[::1/name"]
)
def test_an_address_that_is_none_is_told_without_its_password(tmp_path, url):
    with pytest.raises(Invalid, match="no address of a database") as told:
        Store(tmp_path, database=url).version()
    assert "secret" not in "".join(traceback.format_exception(told.value))
