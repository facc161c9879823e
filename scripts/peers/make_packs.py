"""Runs in the environment of databroker-pack 0.3.0: packs recorded runs with it, small enough to be kept.

    python scripts/peers/make_packs.py tests/data

It must not import this project. With suitcase-utils 0.5.4 databroker-pack 0.3.0 packs one run and fails, which is why
it has an environment of its own, with 0.5.3.
"""

from __future__ import annotations

import shutil
import sys
import warnings
from pathlib import Path

import databroker_pack
from databroker._drivers.jsonl import BlueskyJSONLCatalog
from suitcase.jsonl import Serializer as JSONLSerializer
from suitcase.msgpack import Serializer as MsgpackSerializer
from suitcase.utils import MultiFileManager

#: The runs in them, of tests/data/runs.
RUNS = ("scalars", "numpy_images", "two_camera_streams")
#: The folder of each pack, whether external files are copied into it, and its format.
PACKS = {"copied-msgpack": (True, "msgpack"), "listed-jsonl": (False, "jsonl")}


def main(data: Path) -> None:
    warnings.simplefilter("ignore")
    paths = [str(data / "runs" / f"{name}.jsonl") for name in RUNS]
    for name, (copied, kind) in PACKS.items():
        folder = data / "packs" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        catalog = BlueskyJSONLCatalog(paths, root_map={"/recorded/external": str(data / "external")})
        write(catalog, folder, copied, kind)
        for file in (*folder.glob("*.yml"), *folder.glob("*.txt")):
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace(str(data), "/packed/elsewhere"), encoding="utf-8")


def write(catalog: BlueskyJSONLCatalog, folder: Path, copied: bool, kind: str) -> None:
    """What the command databroker-pack does, with runs in a fixed order."""
    artifacts, files, failures, _ = databroker_pack.export_catalog(
        catalog,
        folder,
        strict=True,
        serializer_class={"msgpack": MsgpackSerializer, "jsonl": JSONLSerializer}[kind],
        salt=b"salt",
    )
    if failures:
        raise SystemExit(f"not packed: {failures}")
    manager = MultiFileManager(folder)
    databroker_pack.write_documents_manifest(manager, folder, artifacts["all"])
    root_map = {}
    for (_, root, unique_id), names in files.items():
        if copied:
            target = folder / "external_files"
            place, names, failed = databroker_pack.copy_external_files(target, root, unique_id, names)
            names = [str(Path(name).relative_to(folder)) for name in names]
            if failed:
                raise SystemExit(f"not copied: {failed}")
            root_map[unique_id] = str(Path(place).relative_to(folder))
        else:
            root_map[unique_id] = str(root)
        databroker_pack.write_external_files_manifest(manager, unique_id, names)
    write_catalog = getattr(databroker_pack, f"write_{kind}_catalog_file")
    write_catalog(manager, folder, [f"./documents/*.{kind}"], root_map)
    manager.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
