"""Children that work on stores and are killed by SIGKILL, again and again; and what is left each time.

It is a process of its own, without threads: ``python -m tests.store.crashing SCENARIO FOLDER SEED KILLS`` prints, as
JSON, how many were killed, how much they had acknowledged, and whatever was wrong afterwards.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import struct
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from sqlalchemy import event

from databroker_like.errors import DatabrokerError
from databroker_like.store import _growth, _vacuum
from databroker_like.store._recording import StoreSink
from databroker_like.store._store import Store
from databroker_like.store._versions import HEAD, VERSIONS
from tests.store.conftest import as_page, files, harmful, make_event, make_run, record, recorded

ACKNOWLEDGED = struct.Struct("<I")
#: What a child may be killed right after, besides at any moment.
STEPS = frozenset(("open", "os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir"))


def be_strict() -> None:
    """Warnings are errors, but for one: numpy keeps threads that do nothing, and Python sees them when it forks."""
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", ".*is multi-threaded, use of fork", DeprecationWarning)


def small() -> None:
    """A few events are enough for a segment, and a few segments for a data file."""
    _growth.EVENTS_AT_MOST, _growth.ROWS_TO_A_FILE, _growth.SMALLEST_FILE = 5, 15, 1000


class Child:
    """A forked process that does something and says how far it is; killed after some time, or after some steps.

    Parameters
    ----------
    work : callable
        ``work(acknowledge)``; what it acknowledges are numbers.
    steps : int, optional
        How many statements and changes of files it lives for; for ever by default.
    """

    def __init__(self, work: Callable[[Callable[[int], None]], None], steps: int | None = None) -> None:
        self._read, write = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(write)
            return
        os.close(self._read)
        code = 70
        try:
            step = (lambda: None) if steps is None else die_after(steps)
            work(lambda number: os.write(write, ACKNOWLEDGED.pack(number)) and step())
            code = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            sys.stderr.flush()
            os._exit(code)

    def end(self, after: float | None) -> tuple[bool, list[int]]:
        """Wait, or kill it after some seconds; whether it was killed, and what it acknowledged."""
        if after is not None:
            time.sleep(after)
            os.kill(self.pid, signal.SIGKILL)
        said = b""
        while chunk := os.read(self._read, 1 << 16):
            said += chunk
        os.close(self._read)
        _, status = os.waitpid(self.pid, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise AssertionError("a child failed; it says why above")
        whole = len(said) // ACKNOWLEDGED.size * ACKNOWLEDGED.size
        return os.WIFSIGNALED(status), [number for (number,) in ACKNOWLEDGED.iter_unpack(said[:whole])]


def die_after(steps: int) -> Callable[[], None]:
    """Count statements and changes of files, and what is returned is called, and die after so many."""
    done = 0

    def step(*args: object) -> None:
        nonlocal done
        done += 1
        if done >= steps:
            os.kill(os.getpid(), signal.SIGKILL)

    from sqlalchemy.engine import Engine

    event.listen(Engine, "after_cursor_execute", step)
    sys.addaudithook(lambda name, args: step() if name in STEPS else None)
    return step


class Campaign:
    """Kills, and what came of them."""

    def __init__(self, folder: str, seed: int, kills: int, database: str | None = None) -> None:
        self.folder = Path(folder)
        self.database = database
        self.random = random.Random(seed)
        self.wanted = kills
        self.killed = self.finished = self.acknowledged = 0
        self.problems: list[str] = []
        self.longest = 0.1

    def store(self, number: int, **options: str) -> Store:
        """One of several in the folder; in a database on a server, the one in it."""
        if self.database is not None:
            return Store(database=self.database, data=self.folder / "data", **options)
        return Store(self.folder / f"store{number}", **options)

    def go_on(self) -> bool:
        """Until so many are killed, and some did something before: on a busy machine that may take more."""
        did_little = self.acknowledged + self.finished <= self.wanted / 10 and self.killed < 5 * self.wanted
        return not self.problems and (self.killed < self.wanted or did_little)

    def run(self, work: Callable[[Callable[[int], None]], None], most_steps: int = 60) -> list[int]:
        """One child, killed at a random moment, or after a random step."""
        began = time.monotonic()
        if self.random.random() < 0.5:
            killed, said = Child(work, self.random.randint(1, most_steps)).end(None)
        else:
            killed, said = Child(work).end(self.random.uniform(0, self.longest))
        if not killed:
            self.longest = max(0.002, 0.7 * self.longest + 0.3 * (time.monotonic() - began))
        elif not said:  # on a busy machine, and with a server, it takes a while until anything happens
            self.longest = min(2.0, 1.2 * self.longest)
        self.killed += killed
        self.finished += not killed
        self.acknowledged += len(said)
        return said

    def expect(self, held: object, what: str) -> None:
        if not held:
            self.problems.append(f"after {self.killed} kills: {what}")

    def whole(self, store: Store, **options: bool) -> None:
        for problem in harmful(store, **options):
            self.expect(False, problem)


# -- scenarios


def recording(campaign: Campaign) -> None:
    """A run is recorded until it is killed, and the next child sends it anew from where all was acknowledged."""
    number = 0
    while campaign.go_on():
        store = campaign.store(number // 4)
        docs = _documents(campaign, f"run{number}")
        place, number = number // 4, number + 1
        sure = 0
        while sure < len(docs) and campaign.go_on():
            begin = campaign.random.choice([0, sure, max(0, sure - 7)])

            fsync = campaign.random.choice(["never", "stop", "event"])
            send = partial(_send, campaign.store(place, fsync=fsync), docs, begin)
            said = campaign.run(send, most_steps=6 * (len(docs) - begin))
            sure = max([sure, *(place + 1 for place in said)])
            if not sure:
                continue
            try:
                held = recorded(store, docs[0][1]["uid"])
            except DatabrokerError as error:
                campaign.expect(False, str(error))
                break
            # What was on its way may be there, but nothing after it; and of a page all of it, or nothing.
            campaign.expect(held[:sure] == docs[:sure], f"of {sure} documents acknowledged some are not there")
            campaign.expect(held == docs[: len(held)] and len(held) <= sure + 1, "there is more than was sent")
            if number % 4 == 0:
                campaign.whole(store)
            store.close()
        campaign.whole(store, integrity=True)
        store.close()


def _send(store: Store, docs: list, begin: int, acknowledge: Callable[[int], None]) -> None:
    sink = StoreSink(store)
    for place in range(begin, len(docs)):
        sink.insert(*docs[place])
        acknowledge(place)


def _documents(campaign: Campaign, uid: str) -> list:
    some = campaign.random
    docs = make_run(uid, 0, stop=False)
    number = 0
    for _ in range(some.randint(5, 25)):
        kind = some.choice(["event", "event", "event", "event_page", "resource"])
        if kind == "resource":
            resource = {"uid": f"{uid}-r{number}", "run_start": uid, "spec": "X", "root": "/", "resource_path": "x"}
            docs.append(("resource", {**resource, "resource_kwargs": {}, "path_semantics": "posix"}))
            datum = {"datum_id": f"{uid}-r{number}/0", "resource": resource["uid"], "datum_kwargs": {"point": number}}
            docs.append(("datum", datum))
            number += 1
            continue
        events = [make_event(uid, number + n + 1) for n in range(1 if kind == "event" else some.randint(1, 12))]
        number += len(events)
        docs.append((kind, events[0] if kind == "event" else as_page(events)))
    docs = list(
        {
            doc.get("uid", doc.get("datum_id")) if name != "event_page" else id(doc): (name, doc) for name, doc in docs
        }.values()
    )
    return [*docs, ("stop", {"uid": f"{uid}-s", "run_start": uid, "time": 2e9, "exit_status": "success"})]


def _template(campaign: Campaign, runs: int = 6) -> tuple[Path, dict[str, list]]:
    docs = {f"run{n}": make_run(f"run{n}", 40, pages=0 if n % 2 else 9, stop=n != 3) for n in range(runs)}
    path = campaign.folder / "template"
    store = Store(path)
    record(store, *docs.values())
    store.close()
    return path, docs


def _copies(campaign: Campaign, template: Path) -> Iterator[Store]:
    while campaign.go_on():
        path = campaign.folder / "store"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(template, path)
        store = Store(path)
        yield store
        store.close()


def deleting(campaign: Campaign) -> None:
    """What is acknowledged is deleted; everything else is there as it was."""
    template, docs = _template(campaign)
    for store in _copies(campaign, template):
        uids = list(docs)
        campaign.random.shuffle(uids)

        def delete(acknowledge: Callable[[int], None], store: Store = store, uids: list[str] = uids) -> None:
            own = Store(store.path)
            for number, uid in enumerate(uids[:4]):
                own.delete(uid, unfinished=True)
                acknowledge(number)

        gone = len(campaign.run(delete, most_steps=140))
        campaign.whole(store)
        for number, uid in enumerate(uids):
            try:
                held = recorded(store, uid)
            except DatabrokerError:
                campaign.expect(number <= gone and number < 4, f"{uid} is gone, and was not deleted")
            else:
                campaign.expect(number >= gone and held == docs[uid], f"{uid} is not as it was")
        _vacuum.vacuum(store, older_than=-1)
        campaign.expect(store.check() == [], "something is left after vacuum()")


def vacuuming(campaign: Campaign) -> None:
    """Nothing that is referred to is taken away."""
    template, docs = _template(campaign)
    store = Store(template)
    store.files.write(f"{store.file_prefix}/000000/9/0-left.arrow", b"left")
    store.close()
    for store in _copies(campaign, template):
        campaign.run(lambda acknowledge, path=store.path: _do(_vacuum.vacuum, Store(path)) or acknowledge(0), 120)
        campaign.whole(store)
        campaign.expect(all(recorded(store, uid) == docs[uid] for uid in docs), "a run is not as it was")


def _do(work: Callable, store: Store) -> None:
    work(store, older_than=-1)


def backing_up(campaign: Campaign) -> None:
    """A backup that has its name is whole; of others only parts are left, and the store is not touched."""
    template, docs = _template(campaign)
    store = Store(template)
    before = files(store)
    number = 0
    while campaign.go_on():
        number += 1
        target = campaign.folder / f"backup{number}"
        said = campaign.run(
            lambda acknowledge, target=target: bool(Store(template).backup(target)) and acknowledge(0), most_steps=90
        )
        campaign.expect(target.exists() or not said, "a backup was acknowledged and is not there")
        if target.exists():
            saved = Store(target)
            campaign.whole(saved)
            campaign.expect(all(recorded(saved, uid) == docs[uid] for uid in docs), "a run is not as it was")
            saved.close()
        for left in campaign.folder.glob("backup*"):
            shutil.rmtree(left)
        campaign.expect(files(store) == before, "the store has other files than before")
        campaign.whole(store)
        store.close()


def upgrading(campaign: Campaign) -> None:
    """The store is of one version or of the other, and can be upgraded again."""
    from tests.store.test_upgrade import make_old

    template = campaign.folder / "template"
    docs = {"a": make_run("a", 30), "b": make_run("b", 5, stop=False)}
    make_old(Store(template), *docs.values())
    for store in _copies(campaign, template):
        said = campaign.run(lambda acknowledge, path=store.path: Store(path).upgrade() and acknowledge(0), 30)
        version = store.version()
        campaign.expect(version in VERSIONS and (version == HEAD or not said), f"it is of version {version}")
        store.upgrade()
        campaign.whole(store)
        campaign.expect(all(recorded(store, uid) == docs[uid] for uid in docs), "a run is not as it was")


def warm_up(folder: Path) -> None:
    """Import all that children need, so that they die of what they do."""
    store = Store(folder / "warm")
    record(store, make_run("a", 30), make_run("b", 30, pages=9))
    store.backup(folder / "warmed")
    _vacuum.vacuum(store)
    store.upgrade()
    store.check()
    store.delete("a")
    store.close()


SCENARIOS = {work.__name__: work for work in (recording, deleting, vacuuming, backing_up, upgrading)}


def main(scenario: str, folder: str, seed: str, kills: str, database: str | None = None) -> None:
    be_strict()
    small()
    campaign = Campaign(folder, int(seed), int(kills), database)
    warm_up(campaign.folder)
    SCENARIOS[scenario](campaign)
    about = ("killed", "finished", "acknowledged", "problems")
    print(json.dumps({name: getattr(campaign, name) for name in about}))


if __name__ == "__main__":
    main(*sys.argv[1:])
