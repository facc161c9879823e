"""How a pack lies in its folder, which is how databroker-pack lays one out.

::

    catalog.yml                           opens the pack with intake
    documents/UID.msgpack                 one file a run; or UID.jsonl
    documents_manifest.txt                the names of these files
    external_files/ROOT/...               external files, by a name for each root, when they travel along
    external_files_manifest_ROOT.txt      their names; or where they are, when they do not
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from databroker_like.core._yaml_check import check_catalog
from databroker_like.core._yaml_templates import is_template
from databroker_like.errors import Invalid, InvalidCatalog, InvalidDocument, InvalidFile, MissingFile, listed
from databroker_like.transfer._files import inside, not_writable, writing

__all__ = ["FORMATS", "Format", "Pack", "manifest_lines", "read_pack", "run_file", "write_catalog", "write_manifest"]

CATALOG = "catalog.yml"
DOCUMENTS = "documents"
DOCUMENTS_MANIFEST = "documents_manifest.txt"
EXTERNAL = "external_files"
EXTERNAL_MANIFEST = "external_files_manifest_{}.txt"
#: What a stranger's files may measure, in bytes.
MOST_CATALOG = 1 << 20
MOST_MANIFEST = 1 << 28

_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=@~-]{0,199}")


@dataclass(frozen=True)
class Format:
    """A format of documents in a pack.

    Parameters
    ----------
    suffix : str
        Of its files.
    driver : str
        The intake driver that reads it, as a catalog file names it.
    """

    suffix: str
    driver: str


FORMATS: Mapping[str, Format] = {
    "msgpack": Format(".msgpack", "bluesky-msgpack-catalog"),
    "jsonl": Format(".jsonl", "bluesky-jsonl-catalog"),
}

#: The drivers of FORMATS, also by the dotted paths that a catalog file may have for them.
_DRIVERS = {
    **{one.driver: name for name, one in FORMATS.items()},
    "databroker._drivers.msgpack.BlueskyMsgpackCatalog": "msgpack",
    "databroker._drivers.jsonl.BlueskyJSONLCatalog": "jsonl",
}


@dataclass(frozen=True)
class Pack:
    """What a pack says of itself, checked: nothing in it leads out of its folder but to where files were left.

    Parameters
    ----------
    folder : str
        Its full path.
    format : str
        A key of `FORMATS`.
    patterns : tuple of str
        Where its documents are, relative to the folder.
    root_map : dict
        The root of external files as recorded -> where they are, as a full path.
    metadata : dict
        What stands under ``metadata`` in its catalog file.
    """

    folder: str
    format: str
    patterns: tuple[str, ...]
    root_map: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        """The patterns of its documents, as full paths."""
        folder = glob.escape(self.folder)
        return [os.path.join(folder, pattern.removeprefix("./")) for pattern in self.patterns]

    def files(self) -> list[str]:
        """Its files of documents.

        Raises
        ------
        InvalidFile
            When one of them is a link that leads out of the pack.
        """
        found = sorted(path for pattern in self.paths for path in glob.glob(pattern))
        return [inside(self.folder, os.path.relpath(path, self.folder)) for path in found]

    def missing(self) -> list[str]:
        """What its manifests name and is not there: files of documents, and external files that should be in it."""
        names = manifest_lines(os.path.join(self.folder, DOCUMENTS_MANIFEST))
        names += [name for name in self._external() if not os.path.isabs(name)]
        return [name for name in names if not os.path.exists(inside(self.folder, name))]

    def left_behind(self) -> int:
        """How many external files its manifests name that were left where they were."""
        return sum(map(os.path.isabs, self._external()))

    def _external(self) -> list[str]:
        manifests = sorted(glob.glob(os.path.join(glob.escape(self.folder), EXTERNAL_MANIFEST.format("*"))))
        return [name for manifest in manifests for name in manifest_lines(manifest)]


def run_file(folder: str, uid: str, file_format: Format) -> str:
    """The file of documents of a run.

    Raises
    ------
    InvalidDocument
        When its uid cannot be the name of a file.
    """
    if not _UID.fullmatch(uid):
        raise InvalidDocument(f"the uid {uid!r} becomes the name of a file; only letters, digits and ._+=@~- can be")
    return os.path.join(folder, DOCUMENTS, uid + file_format.suffix)


def write_catalog(pack: Pack, generator: Mapping[str, str]) -> None:
    """Write the catalog file of a pack, in the place of the one that is there."""
    import yaml

    if is_template(pack.folder):
        raise Invalid(
            f"the folder {pack.folder!r} would be read as a template in its catalog file; choose another name"
        )
    root_map = {
        root: os.path.relpath(place, pack.folder) if _in(place, pack.folder) else place
        for root, place in pack.root_map.items()
    }
    source = {
        "driver": FORMATS[pack.format].driver,
        "args": {"paths": pack.paths, "root_map": root_map},
        "metadata": {**pack.metadata, "generated_by": dict(generator), "relative_paths": list(pack.patterns)},
    }
    text = yaml.safe_dump({"sources": {"packed_catalog": source}}, allow_unicode=True, sort_keys=True)
    with writing(os.path.join(pack.folder, CATALOG), replace=True) as file:
        file.write(text.encode())


def _in(path: str, folder: str) -> bool:
    return os.path.normpath(path).startswith(os.path.normpath(folder) + os.sep)


def write_manifest(folder: str, name: str, lines: Iterable[str]) -> None:
    """Add lines to a manifest; those that are there stay."""
    path = os.path.join(folder, name)
    with contextlib.suppress(MissingFile):
        lines = [*manifest_lines(path, must_exist=True), *lines]
    text = "".join(f"{line}\n" for line in sorted(set(lines)))
    with writing(path, replace=True) as file:
        file.write(text.encode(errors="surrogateescape"))


def manifest_lines(path: str, *, must_exist: bool = False) -> list[str]:
    """The names in a manifest; none when there is no such file.

    Raises
    ------
    MissingFile
        When it must exist, and does not.
    InvalidFile
        When it is larger than a manifest can be.
    """
    try:
        text = _read(path, MOST_MANIFEST)
    except MissingFile:
        if must_exist:
            raise
        return []
    return [line for line in text.splitlines() if line.strip()]


def _read(path: str, most: int) -> str:
    try:
        with open(path, "rb") as file:
            raw = file.read(most + 1)
    except FileNotFoundError as error:
        raise MissingFile(f"there is no {path}") from error
    except OSError as error:
        raise InvalidFile(f"{path} cannot be read: {error.strerror or error}") from error
    if len(raw) > most:
        raise InvalidFile(f"{path} is larger than {most} bytes, which is no such file any more")
    return raw.decode(errors="surrogateescape")


def read_pack(folder: str) -> Pack:
    """What a pack says of itself, which somebody else may have written.

    Parameters
    ----------
    folder : str

    Returns
    -------
    Pack

    Raises
    ------
    MissingFile
        When there is no pack.
    InvalidCatalog
        When its catalog file is not one of a pack, or leads out of it.
    """
    folder = os.path.abspath(folder)
    path = os.path.join(folder, CATALOG)
    if not os.path.isdir(folder):
        raise MissingFile(f"there is no folder {folder}; a pack is a folder with {CATALOG!r} in it")
    if not os.path.exists(path):
        raise MissingFile(f"{folder} is no pack: there is no {CATALOG!r} in it")
    source = _source(_read(inside(folder, CATALOG), MOST_CATALOG), path)
    driver, args = source.get("driver"), source.get("args", {})
    name = _DRIVERS.get(driver) if isinstance(driver, str) else None
    if name is None or not isinstance(args, Mapping):
        raise InvalidCatalog(f"{path}: the driver of a pack is one of {listed(_DRIVERS)}, not {driver!r}")
    metadata = source.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        raise InvalidCatalog(f"{path}: 'metadata' is no mapping")
    patterns = metadata.get("relative_paths") or [f"./{DOCUMENTS}/*{FORMATS[name].suffix}"]
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise InvalidCatalog(f"{path}: 'relative_paths' is no list of paths")
    for pattern in patterns:
        _stays_inside(folder, pattern, path)
    kept = {key: value for key, value in metadata.items() if key not in ("generated_by", "relative_paths")}
    return Pack(folder, name, tuple(patterns), _root_map(args.get("root_map"), folder, path), kept)


def _source(text: str, path: str) -> Mapping[str, Any]:
    """The one source of a catalog file; nothing that it names is imported, no template in it is filled in."""
    import yaml

    try:
        found = yaml.safe_load(text)
    except RecursionError as error:
        raise InvalidCatalog(f"{path} is no catalog file: it is nested without end") from error
    except (yaml.YAMLError, ValueError) as error:
        check_catalog(text, path)  # which says the line
        raise InvalidCatalog(f"{path} is no catalog file: {error}") from error
    sources = found.get("sources") if isinstance(found, Mapping) else None
    if not isinstance(sources, Mapping) or len(sources) != 1 or not isinstance(next(iter(sources.values())), Mapping):
        raise InvalidCatalog(f"{path} is not the catalog file of a pack, which has one source")
    only: Mapping[str, Any] = next(iter(sources.values()))
    return only


def _root_map(found: Any, folder: str, path: str) -> dict[str, str]:
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise InvalidCatalog(f"{path}: 'root_map' is no mapping")
    root_map = {}
    for root, place in found.items():
        if not isinstance(root, str) or not isinstance(place, str) or is_template(root):
            raise InvalidCatalog(f"{path}: 'root_map' maps texts to folders; it cannot map {root!r} to {place!r}")
        if os.path.isabs(place):
            if is_template(place) or "\0" in place:
                raise InvalidCatalog(f"{path}: 'root_map' maps {root!r} to {place!r}, which is no folder")
            root_map[root] = os.path.normpath(place)
        else:
            root_map[root] = _stays_inside(folder, place, path)
    return root_map


def _stays_inside(folder: str, relative: str, path: str) -> str:
    if is_template(relative):
        raise InvalidCatalog(f"{path}: {relative!r} is a template; a pack has none")
    try:
        return inside(folder, relative)
    except InvalidFile as error:
        raise InvalidCatalog(f"{path}: {error}") from error


def check_room(folder: str) -> None:
    """Refuse a folder that holds something else than a pack, or the beginning of one."""
    try:
        there = {entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")}
    except OSError as error:
        raise not_writable(folder, error) from error
    ours = {CATALOG, DOCUMENTS, DOCUMENTS_MANIFEST, EXTERNAL}
    if there and CATALOG not in there and there - ours:
        raise Invalid(f"{folder} holds {listed(there)} and is no pack; choose an empty folder, or a new one")
