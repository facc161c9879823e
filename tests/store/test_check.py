"""check() finds whatever is not whole, names it, and finds nothing in a store that is."""

from pathlib import Path

import pytest

from databroker_like.codecs import encode
from databroker_like.errors import InvalidFile
from databroker_like.store import _check
from databroker_like.store import _schema as tables
from databroker_like.store._places import of_descriptor
from databroker_like.store._recording import StoreSink
from databroker_like.store._store import Store
from databroker_like.store._stored_run import StoredRun
from databroker_like.testing import _runs as samples
from tests.store.conftest import files, harmful, make_run, record


@pytest.fixture
def filled(store, small):
    record(store, make_run("a", 40), make_run("b", 8, pages=4), make_run("c", 3, stop=False))
    return store


def change(store, statement):
    with store.write() as connection:
        return connection.execute(statement)


def test_a_store_that_is_not_there_has_no_problems(store):
    assert store.check() == []
    assert not store.exists


def test_whole_runs_of_every_kind_have_no_problems(store, small):
    sink = StoreSink(store, checked=False)
    for make in samples.SAMPLES.values():
        for name, doc in make():
            sink.insert(name, doc)
    sink.close()
    assert store.check(integrity=True) == []


def test_a_run_that_is_being_recorded_has_no_problems(store, small):
    sink = StoreSink(store)
    for name, doc in make_run("a", 33):
        sink.insert(name, doc)
        assert harmful(store) == []
    sink.close()


def test_a_store_opened_to_be_read_is_checked(filled):
    assert Store(filled.path, read_only=True).check(integrity=True) == []


def test_events_that_are_missing_are_named(filled):
    change(filled, tables.segment.delete().where(tables.segment.c.first == 15))
    (said,) = harmful(filled)
    assert said.startswith("run a: of descriptor 'a-d' the events 15 to 29 are missing")


def test_a_single_event_that_is_missing_is_named(filled):
    (number,) = [n for n in _owners(filled) if n == 3]
    change(filled, tables.event.delete().where(of_descriptor(number, 1, 2)))
    assert harmful(filled) == ["run c: of descriptor 'c-d' the events 1 to 1 are missing"]


def _owners(store):
    with store.database.read() as connection:
        return list(_check.event_owners(connection))


def test_events_that_are_there_twice_are_named(filled):
    change(filled, tables.segment.update().where(tables.segment.c.first == 15).values(first=10))
    assert any("the events from 10 to before 15 are there twice" in said for said in harmful(filled))


def test_a_file_that_is_missing_is_named(filled):
    name = files(filled)[0]
    filled.files.delete(name)
    (said,) = harmful(filled)
    assert name in said
    assert "are lost" in said
    assert "backup" in said


def test_a_damaged_file_is_named(filled, tmp_path):
    name = files(filled)[-1]
    path = tmp_path / "store" / "data" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    (said,) = harmful(filled)
    assert f"damaged in the data file {name}: its checksum is another" in said


def test_a_truncated_file_is_named(filled, tmp_path):
    for name in files(filled):
        path = tmp_path / "store" / "data" / name
        path.write_bytes(path.read_bytes()[:10])
    assert len(harmful(filled)) == len(files(filled))


def test_a_damaged_segment_in_the_database_is_named(filled):
    record(filled, make_run("d", 12, stop=False))
    change(filled, tables.segment.update().where(tables.segment.c.body.is_not(None)).values(body=b"\0" * 100))
    assert any("damaged in the database" in said for said in harmful(filled))


def test_a_segment_that_is_none_is_named(filled):
    import zlib

    record(filled, make_run("d", 12, stop=False))
    values = {"body": b"nothing", "size": 7, "checksum": f"{zlib.crc32(b'nothing'):08x}"}
    change(filled, tables.segment.update().where(tables.segment.c.body.is_not(None)).values(values))
    assert any("cannot be read" in said for said in harmful(filled))


@pytest.mark.parametrize("column", ["rows", "last_seq_num"])
def test_a_segment_that_is_not_what_its_row_says_is_named(filled, column):
    last = tables.segment.c.first == 30
    change(filled, tables.segment.update().where(last).values({column: tables.segment.c[column] + 1}))
    assert harmful(filled)


@pytest.mark.parametrize("table", ["document", "event"])
def test_a_body_that_cannot_be_read_is_named(filled, table):
    change(filled, tables.metadata.tables[table].update().values(body=b"\xc1"))
    said = harmful(filled)
    assert any("cannot be read" in one for one in said)
    if table == "document":
        assert any("start 'a'" in one for one in said)
    else:
        assert any("event 0 of descriptor 'c-d'" in one for one in said)


def test_an_event_under_another_number_is_named(filled):
    change(filled, tables.event.update().values(seq_num=tables.event.c.seq_num + 10))
    assert any("is kept under seq_num 11" in said for said in harmful(filled))


@pytest.mark.parametrize("name", ["start", "stop"])
def test_a_document_that_searches_see_otherwise_is_named(filled, name):
    other = encode({"uid": "a", "time": 1_700_000_000.0, "plan_name": "count"})
    change(filled, tables.run.update().where(tables.run.c.uid == "a").values({name: other}))
    assert any(f"its {name} document is another one where searches look" in said for said in harmful(filled))


def test_a_stop_document_that_searches_do_not_see_is_named(filled):
    change(filled, tables.run.update().where(tables.run.c.uid == "a").values(stop=None))
    assert any("stop document is not where searches look" in said for said in harmful(filled))


def test_a_document_that_is_gone_is_named(filled):
    change(filled, tables.document.delete().where(tables.document.c.name != "event"))
    said = " ".join(harmful(filled))
    for name in ("start document is not among", "stop document is not among", "has no place for its events"):
        assert name in said


def test_terms_that_are_missing_and_too_many_are_named_and_mended(filled):
    with filled.database.read() as connection:
        key = connection.execute(tables.key.select().where(tables.key.c.name == "plan_name")).one().id
    change(filled, tables.term.delete().where(tables.term.c.key_id == key, tables.term.c.run_id == 1))
    more = {"key_id": key, "kind": 6, "num": 0.0, "txt": "other", "time": 1_700_000_000.0, "run_id": 2}
    change(filled, tables.term.insert().values(more))
    said = harmful(filled)
    assert len(said) == 2
    assert all("'plan_name'" in one and "store.reindex()" in one for one in said)
    assert [one.partition(":")[0] for one in said] == ["run a", "run b"]
    assert filled.reindex() == ["a", "b"]
    assert filled.check() == []
    assert filled.reindex() == []


def test_a_datum_that_is_not_found_by_its_id_is_named(store, tmp_path):
    record(store, samples.external(tmp_path))
    assert store.check() == []
    change(store, tables.datum_id.delete().where(tables.datum_id.c.position > 0))
    assert any("is not found by its datum_id" in said for said in harmful(store))


def test_what_nobody_refers_to_is_harmless_and_comes_last(filled):
    filled.files.write(f"{filled.file_prefix}/000000/77/0-left.arrow", b"left")
    change(filled, tables.event.insert().values(place=99 << 32, position=1, seq_num=1, body=encode({"seq_num": 1})))
    change(
        filled, tables.term.insert().values({"key_id": 1, "kind": 6, "num": 0.0, "txt": "", "time": 0.0, "run_id": 99})
    )
    filled.files.delete(files(filled)[0])
    problems = filled.check()
    assert [problem.harmless for problem in problems] == [False, True, True, True]
    assert "0-left.arrow" in " ".join(map(str, problems))


def test_files_of_somebody_else_are_not_looked_at(filled, tmp_path):
    (tmp_path / "store" / "data" / "notes.txt").write_text("keep")
    other = tmp_path / "store" / "data" / "ffffffffffff" / "000000"
    other.mkdir(parents=True)
    (other / "x.arrow").write_text("of another store")
    assert filled.check() == []
    _ = filled.vacuum()
    assert (other / "x.arrow").exists()


def test_pages_of_the_database_that_are_damaged_are_named(filled, tmp_path):
    filled.vacuum()
    filled.close()
    path = tmp_path / "store" / "store.db"
    content = bytearray(path.read_bytes())
    begin = len(content) // 4096 // 2 * 4096
    content[begin : begin + 2048] = bytes(2048)
    path.write_bytes(content)
    said = _problems(filled)
    assert "damaged" in said
    assert "restore it from a backup" in said


def _problems(store):
    from databroker_like.errors import InvalidFile

    try:
        return " ".join(harmful(store, integrity=True))
    except InvalidFile as error:
        return str(error)


def test_a_run_deleted_while_it_is_checked_is_no_problem(filled, monkeypatch):
    """Its file is gone in the middle of the check."""
    opened = filled.files.open

    def open_and_delete(name):
        if filled.files.names(filled.file_prefix) and "a" not in gone:
            gone.add("a")
            other = Store(filled.path)
            other.delete("a")
            other.close()
        return opened(name)

    gone = set()
    monkeypatch.setattr(filled.files, "open", open_and_delete)
    assert harmful(filled) == []
    assert gone


@pytest.mark.parametrize("what", ["cut off", "overwritten"])
def test_who_reads_a_damaged_file_is_told_which_it_is_and_of_which_run(filled, what):
    path = Path(filled.files.shown(files(filled)[0]))
    raw = path.read_bytes()
    quarter = len(raw) // 4
    path.unlink()  # what is mapped into memory stays as it is
    path.write_bytes(raw[:quarter] if what == "cut off" else raw[:quarter] + b"\xff" * quarter + raw[2 * quarter :])
    run = StoredRun(filled, "a")
    with pytest.raises(InvalidFile, match=rf"data file {path} of run a cannot be read: .*; restore it from a backup"):
        list(run.recorded())
