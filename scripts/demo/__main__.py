"""Record, open, search, read, mend, keep, draw: what ``make demo`` runs."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import intake

from scripts.demo.narration import Narrator
from scripts.demo.reading import baseline, images, listing, mended, scalars, searches, unit_of
from scripts.demo.recording import record
from scripts.demo.storing import stored

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "demo-output"
CATALOG = ROOT / "catalogs" / "demo.yml"


def main() -> int:
    """Run the demonstration once; everything it makes lies in demo-output/."""
    began = time.perf_counter()
    tell = Narrator()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    for folder in ("alignment", "imaging", "images"):
        (OUTPUT / folder).mkdir(parents=True)

    tell.step("Open the catalog file. Nothing has been recorded yet.")
    tell.code('catalog = intake.open_catalog("catalogs/demo.yml")\nlist(catalog)')
    catalog = intake.open_catalog(str(CATALOG))
    tell.line(list(catalog))

    tell.step("Record six runs with the bluesky RunEngine and simulated devices.")
    tell.code('RE.subscribe(catalog["alignment"].insert)\nRE(scan([diode], sample_x, -2, 3, 81))')
    record(OUTPUT / "images", catalog["alignment"], catalog["imaging"], lambda what, scan: tell.line(f"{scan}: {what}"))

    listing(tell, catalog)
    searches(tell, catalog)
    curve, grid = scalars(tell, catalog)
    baseline(tell, catalog)
    spot, blob, pixel, position = images(tell, catalog)
    mended(tell, catalog)
    stored(tell, catalog)

    tell.step("Draw what was read.")
    from scripts.demo.figure import draw

    picture = OUTPUT / "demo.png"
    run = catalog["alignment_mended"][4]
    units = {key: unit_of(run, key) for key in ("sample_x", "sample_y", "diode")}
    draw(picture, curve=curve, grid=grid, spot=spot, blob=blob, pixel=pixel, position=position, units=units)
    tell.line(f"saved {picture.relative_to(ROOT)}")
    tell.line(f"done in {time.perf_counter() - began:.1f} s; the runs stay in demo-output/ for you to play with")
    return 0


if __name__ == "__main__":
    sys.exit(main())
