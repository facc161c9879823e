"""A store with very many runs, which are the same each time, written in the order of its index and so in a minute."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection

from databroker_like.codecs import encode
from databroker_like.store import _terms as terms

__all__ = ["EPOCH", "fill", "start_of", "stop_of", "uid_of"]

EPOCH = 1_700_000_000.0
#: Seconds between two runs.
EVERY = 30.0
INSERT = "INSERT OR IGNORE INTO term (key_id, kind, num, txt, time, run_id) VALUES (?, ?, ?, ?, ?, ?)"

INSERT_FOR_ALL = "INSERT OR IGNORE INTO term SELECT ?, ?, ?, ?, time, id FROM run ORDER BY time, id"


@dataclass(frozen=True)
class Feature:
    """A part of the start document that runs have in turns.

    Parameters
    ----------
    turns : int
        After how many runs it begins again.
    part : callable
        What it is in one turn.
    """

    turns: int
    part: Callable[[int], dict[str, Any]]


def _same(turn: int) -> dict[str, Any]:
    return {
        "plan_type": "generator",
        "plan_args": {"detectors": ["det1", "det2"], "num": 10, "args": ["motor", -1.5, 1.5]},
        "detectors": ["det1", "det2"],
        "motors": ["motor"],
        "hints": {"dimensions": [[["motor"], "primary"]]},
        "versions": {"bluesky": "1.15.1", "ophyd": "1.9.0"},
        "facility": {"name": "ring", "beamline": "4-ID", "current": 400.5},
        "operator": "somebody",
        "purpose": "to see how long it takes",
    }


def features(number: int) -> list[Feature]:
    """The parts of a start document when there are so many runs: one sample in every thousandth part of them."""
    return [
        Feature(1, _same),
        Feature(2, lambda turn: {"plan_name": "count" if turn else "scan"}),
        Feature(7, lambda turn: {"num_points": 10 * turn + 1, "exposure": turn / 8}),
        Feature(50, lambda turn: {"user": {"name": f"user{turn}", "proposal": 300_000 + turn}}),
        Feature(max(number // 1000, 1), lambda turn: {"sample": {"name": f"sample {turn}", "temperature": turn % 300}}),
    ]


def uid_of(what: str, n: int) -> str:
    """The uid of a document of the run with a number."""
    text = hashlib.blake2b(f"{what}{n}".encode(), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def start_of(n: int, number: int) -> dict[str, Any]:
    """The start document of the run with a number, of so many."""
    start: dict[str, Any] = {"uid": uid_of("start", n), "time": EPOCH + EVERY * n, "scan_id": n + 1}
    for feature in features(number):
        start |= feature.part(n % feature.turns)
    return start


def stop_of(n: int) -> dict[str, Any]:
    """Its stop document; every twentieth run was aborted."""
    return {
        "uid": uid_of("stop", n),
        "run_start": uid_of("start", n),
        "time": EPOCH + EVERY * n + 10,
        "exit_status": "success" if n % 20 else "abort",
        "reason": "",
        "num_events": {"primary": 10},
    }


def fill(connection: Connection, number: int) -> None:
    """Write runs, as recording them one by one would have left them, into an SQLite database without any.

    Parameters
    ----------
    connection : Connection
        In a transaction.
    number : int
        How many runs.
    """
    cursor: Any = connection.connection.cursor()
    cursor.executemany("INSERT INTO run (id, uid, time, start, stop) VALUES (?, ?, ?, ?, ?)", _run_rows(number))
    keys = _Keys(cursor)
    ids = np.arange(1, number + 1)
    for feature in features(number):
        at: dict[terms.Term, list[int]] = {}
        for turn in range(min(feature.turns, number)):
            for term in terms.terms_of(feature.part(turn), None):
                at.setdefault(term, []).append(turn)
        for (key, *rest), turns in sorted(at.items()):
            for turn in turns:
                if feature.turns == 1:
                    cursor.execute(INSERT_FOR_ALL, (keys[key], *rest))
                else:
                    _insert(cursor, keys[key], rest, ids[turn :: feature.turns])
    stops = [terms.stop_terms_of(stop_of(n)) for n in (0, 1)]
    for key, *rest in sorted(stops[0] | stops[1]):
        if key not in ("stop.uid", "stop.run_start", "stop.time"):
            is_in = [term in stops[n] for n in (0, 1) for term in [(key, *rest)]]
            aborted = (ids - 1) % 20 == 0
            _insert(cursor, keys[key], rest, ids if all(is_in) else ids[aborted if is_in[0] else ~aborted])
    each = list(range(number))
    _insert_each(cursor, keys["scan_id"], terms.NUMBER, [float(n + 1) for n in each], each)
    _insert_each(cursor, keys["stop.time"], terms.NUMBER, [EPOCH + EVERY * n + 10 for n in each], each)
    for key, what in (("stop.uid", "stop"), ("stop.run_start", "start")):
        uids = [uid_of(what, n) for n in each]
        _insert_each(cursor, keys[key], terms.TEXT, uids, each)
    words = [word for uid in uids for word in uid.split("-")]
    _insert_each(cursor, keys[terms.WORDS], terms.TEXT + terms.SEVERAL, words, [n for n in each for _ in range(5)])
    cursor.close()


def _run_rows(number: int) -> Iterator[tuple[Any, ...]]:
    for n in range(number):
        start = start_of(n, number)
        yield n + 1, start["uid"], start["time"], encode(start), encode(stop_of(n))


class _Keys(dict[str, int]):
    """The ids of keys, which are written when they are first asked for."""

    def __init__(self, cursor: Any) -> None:
        super().__init__()
        self._cursor = cursor

    def __missing__(self, name: str) -> int:
        self._cursor.execute("INSERT OR IGNORE INTO key (name) VALUES (?)", (name,))
        found = self[name] = self._cursor.execute("SELECT id FROM key WHERE name = ?", (name,)).fetchone()[0]
        return int(found)


def _insert(cursor: Any, key: int, term: list[Any], ids: np.ndarray) -> None:
    """One term of many runs."""
    times = (EPOCH + EVERY * (ids - 1)).tolist()
    rows = ((key, *term, time, run_id) for time, run_id in zip(times, ids.tolist(), strict=True))
    cursor.executemany(INSERT, rows)


def _insert_each(cursor: Any, key: int, kind: int, values: list[Any], numbers: list[int]) -> None:
    """One term for each of many runs, in order of the value."""
    is_text = kind % terms.SEVERAL == terms.TEXT
    order = np.argsort(np.array([each.encode() for each in values] if is_text else values), kind="stable")
    rows = (
        (
            key,
            kind,
            0.0 if is_text else values[i],
            values[i] if is_text else "",
            EPOCH + EVERY * numbers[i],
            numbers[i] + 1,
        )
        for i in order.tolist()
    )
    cursor.executemany(INSERT, rows)
