"""Unpacking: a pack becomes a catalog under a name, or goes into a catalog that is there."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from databroker_like import registry
from databroker_like.core._yaml_templates import is_template
from databroker_like.errors import Conflict, Invalid, InvalidCatalog, InvalidFile, listed
from databroker_like.transfer._copy import copy
from databroker_like.transfer._files import make_folder, writing
from databroker_like.transfer._layout import FORMATS, Pack, read_pack
from databroker_like.transfer._report import TransferReport
from databroker_like.utils import catalog_search_path

if TYPE_CHECKING:
    from databroker_like.v2 import Broker

__all__ = ["unpack"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def unpack(
    folder: str | os.PathLike[str],
    name: str | None = None,
    *,
    into: Broker | None = None,
    catalog_dir: str | os.PathLike[str] | None = None,
    merge: bool = True,
    external_files: str | None = None,
    verify: bool | str = True,
    progress: bool | None = None,
) -> TransferReport:
    """Unpack runs that `pack`, or databroker-pack, has packed.

    With a name the pack stays where it is and becomes a catalog of that name, ``databroker_like.catalog[name]``, as
    ``databroker-unpack inplace`` does it. With ``into`` its runs are copied into a catalog.

    Parameters
    ----------
    folder : path
        The pack.
    name : str, optional
        The name of the catalog it becomes.
    into : v2.Broker, optional
        The catalog its runs are copied into.
    catalog_dir : path, optional
        Where the catalog file of the name goes; by default the user's folder of intake catalogs.
    merge : bool
        Whether the pack joins others under the same name; True by default.
    external_files : str, optional
        With ``into``: a folder to copy its external files into. Without it they are read from the pack.
    verify : bool or "documents"
        With ``into``: as for `copy`.
    progress : bool, optional
        Show it; by default where the standard error is a terminal.

    Returns
    -------
    TransferReport
        ``to`` is the catalog file, or the name of the catalog; ``issues`` has the external files that the pack
        misses, and folders outside of the pack that it reads them from.

    Raises
    ------
    MissingFile
        When there is no pack.
    InvalidCatalog
        When its catalog file is not one of a pack, or leads out of it.
    InvalidFile
        When files of documents are missing.
    Conflict
        When the name is taken by something else.

    Notes
    -----
    A pack comes from somebody else: nothing that it names is imported, no template in it is filled in, no path in it
    leads out of it but those of folders that external files were left in, and nothing is unpickled.
    """
    if (name is None) == (into is None):
        raise Invalid("a pack becomes a catalog of a name, or goes into one; hand in 'name' or 'into'")
    pack = read_pack(os.fspath(folder))
    issues = _problems(pack)
    catalog = registry.load(f"drivers.{pack.format}")(pack.files(), root_map=pack.root_map)
    issues += [f"{what} cannot be read: {why}" for what, why in catalog.problems.items()]
    if into is not None:
        return _into(pack, catalog, into, issues, external_files=external_files, verify=verify, progress=progress)
    assert name is not None
    if external_files is not None:
        raise Invalid("under a name the external files stay in the pack; with into=... they can be copied elsewhere")
    path = _register(pack, name, catalog_dir, merge)
    return TransferReport("unpacked", path, tuple(catalog), root_map=pack.root_map, issues=tuple(issues))


def _problems(pack: Pack) -> list[str]:
    missing = pack.missing()
    documents = [name for name in missing if name.endswith(FORMATS[pack.format].suffix)]
    if documents:
        raise InvalidFile(
            f"{pack.folder} is not whole: it misses {listed(documents)}; copy it anew, or pack the runs once more"
        )
    issues = [f"{name} is not in the pack" for name in missing]
    left = pack.left_behind()
    if left:
        issues.append(f"{left} external files are not in the pack; they are looked for where they were")
    for root, place in pack.root_map.items():
        if not place.startswith(pack.folder + os.sep):
            issues.append(
                f"the external files of the root {root!r} are not in the pack; they are looked for in {place}"
            )
    return issues


def _into(pack: Pack, catalog: Any, into: Any, issues: list[str], **options: Any) -> TransferReport:
    report = copy(catalog, into, **options)
    root_map = dict(report.root_map)
    for root, place in pack.root_map.items():
        known = into.root_map.setdefault(root, place)
        if known != place and root not in root_map:
            issues.append(f"the root {root!r} stays mapped to {known}; in the pack its files are in {place}")
        root_map.setdefault(root, known)
    return TransferReport(
        "unpacked",
        report.to,
        report.copied,
        report.continued,
        report.skipped,
        report.failed,
        report.documents,
        report.files,
        report.bytes,
        root_map,
        (*issues, *report.issues),
    )


def _register(pack: Pack, name: str, catalog_dir: Any, merge: bool) -> str:
    """Write the catalog file of a name."""
    import yaml

    if not _NAME.fullmatch(name):
        raise Invalid(f"{name!r} cannot be the name of a catalog; use letters, digits and _.-")
    if is_template(pack.folder):
        raise Invalid(f"the folder {pack.folder!r} would be read as a template in a catalog file; rename it")
    place = catalog_search_path()[0] if catalog_dir is None else os.path.abspath(os.fspath(catalog_dir))
    make_folder(place)
    path = os.path.join(place, f"databroker_unpack_{name}.yml")
    driver, paths, root_map = FORMATS[pack.format].driver, pack.paths, pack.root_map
    if os.path.exists(path):
        if not merge:
            raise Conflict(f"{path} is there already; choose another name, or merge=True to have both under this one")
        paths, root_map = _merged(path, name, driver, paths, root_map)
    source = {
        "driver": driver,
        "args": {"paths": paths, "root_map": root_map},
        "metadata": {"unpacked_from": pack.folder},
    }
    with writing(path, replace=True) as file:
        file.write(yaml.safe_dump({"sources": {name: source}}, allow_unicode=True).encode())
    return path


def _merged(
    path: str, name: str, driver: str, paths: list[str], root_map: dict[str, str]
) -> tuple[list[str], dict[str, str]]:
    import yaml

    with open(path, encoding="utf-8") as file:
        known = yaml.safe_load(file)
    try:
        source = known["sources"][name]
        args = source["args"]
        known_paths, known_map = [args["paths"]] if isinstance(args["paths"], str) else args["paths"], args["root_map"]
        its_driver = source["driver"]
        merged = {**known_map, **root_map}
        all_paths = list(dict.fromkeys([*known_paths, *paths]))
    except (KeyError, TypeError) as error:
        raise InvalidCatalog(f"{path} is not what unpacking writes; choose another name, or move it away") from error
    if its_driver != driver:
        raise Conflict(f"{name!r} is a catalog of {its_driver!r}, this pack one of {driver!r}; choose another name")
    differing = [root for root in known_map.keys() & root_map.keys() if known_map[root] != root_map[root]]
    if differing:
        raise Conflict(
            f"the roots {listed(differing)} are in one place for {name!r} and in another for this pack; "
            "choose another name"
        )
    return all_paths, merged
