"""The store that searches are measured on is one that recording would have left."""

from sqlalchemy import create_engine, select

from benchmarks.many_runs import fill, start_of, stop_of
from databroker_like.store._schema import key, metadata, run, term
from tests.store.searching import Runs


def rows(connection):
    """The runs by uid with what is searched by them, without the ids that were given."""
    uids = dict(map(tuple, connection.execute(select(run.c.id, run.c.uid))))
    names = dict(map(tuple, connection.execute(select(key.c.id, key.c.name))))
    bodies = set(map(tuple, connection.execute(select(run.c.uid, run.c.time, run.c.start, run.c.stop))))
    found = connection.execute(select(term.c.key_id, term.c.kind, term.c.num, term.c.txt, term.c.time, term.c.run_id))
    return bodies, sorted((names[name], *rest, uids[run_id]) for name, *rest, run_id in found)


def test_filling_a_store_is_recording_its_runs(tmp_path):
    number = 60
    runs = Runs()
    for n in range(number):
        runs.add(start_of(n, number), stop_of(n))
    filled = create_engine(f"sqlite:///{tmp_path}/store.db")
    metadata.create_all(filled)
    with filled.begin() as connection:
        fill(connection, number)
    with filled.connect() as ours, runs.engine.connect() as theirs:
        assert rows(ours) == rows(theirs)
    filled.dispose()
