"""Keeping: both catalogs copied into one embedded store, searched, corrected, and asked in version 1's words."""

from __future__ import annotations

from typing import Any

from databroker_like.transfer import copy
from scripts.demo.mends import sample_x_in_millimetres
from scripts.demo.narration import Narrator
from scripts.demo.reading import unit_of

__all__ = ["stored"]


def stored(tell: Narrator, catalog: Any) -> None:
    """Move every run into the store, then search, correct and tabulate there."""
    tell.step("Keep them all in one store: a folder with a database, nothing to install.")
    tell.code('lab = catalog["lab"]\nfor name in ("alignment", "imaging"):\n    copy(catalog[name], lab)')
    lab = catalog["lab"]
    for name in ("alignment", "imaging"):
        copy(catalog[name], lab, progress=False)
    tell.line(f"{len(lab)} runs; the newest is scan {lab[-1].metadata['start']['scan_id']}")
    for source, found in (
        ('lab.search({"stop.exit_status": "success"})', lab.search({"stop.exit_status": "success"})),
        ('lab.search("silver")  # words, anywhere', lab.search("silver")),
    ):
        tell.code(source)
        tell.line(f"{len(found)} of {len(lab)}")
    tell.code('lab.distinct("plan_name")')
    tell.line(lab.distinct("plan_name"))

    tell.step("Correct the unit for good: what was recorded stays, as revision 0.")
    tell.code(
        'lab.search({"scan_id": 2}).with_transforms({"descriptor": sample_x_in_millimetres})\\\n'
        '   .apply_transforms(author="demo", reason="the motor moves in mm")'
    )
    trial = lab.search({"scan_id": 2}).with_transforms({"descriptor": sample_x_in_millimetres})
    trial.apply_transforms(author="demo", reason="the motor moves in mm")
    run = lab[2]
    recorded = [doc for name, doc in run.documents(fill="no", revision=0) if name == "descriptor"]
    before = next(doc["data_keys"]["sample_x"]["units"] for doc in recorded if doc["name"] == "primary")
    tell.line(f"recorded {before!r}, now {unit_of(run, 'sample_x')!r}")
    for revision in run.revisions:
        tell.line(f"revision {revision.number}: {revision.author or 'as recorded'} {revision.reason}")

    tell.step("Notebooks of version 1 go on.")
    tell.code("db = lab.v1\ndb[2].table().head(3)")
    tell.line(lab.v1[2].table().head(3))
    lab.close()
