"""Where catalog YAML files are looked for."""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
import warnings

__all__ = ["catalog_search_path"]

# Between folders, but not within "protocol://" or after a Windows drive letter.
_SEPARATOR = re.compile(r";" if os.name == "nt" else r"(?<!:):(?![:/]{2})")
_noticed: set[tuple[str, str]] = set()


def catalog_search_path() -> tuple[str, ...]:
    """List the directories that are searched for catalog YAML files.

    They are the user's and the environment's data directory of intake, what intake's configuration names as
    ``catalog_path``, and the environment variables ``INTAKE_CATALOG_PATH`` and ``INTAKE_PATH``. Intake 2 does not
    look at ``INTAKE_PATH``, nor at a plain string in ``INTAKE_CATALOG_PATH``; `databroker_like.catalog` does, and a
    warning says so, once.

    Returns
    -------
    directories : tuple of str
        In the order in which they are searched; a name that ends in ``.yml`` or ``.yaml`` is one file.

    Examples
    --------
    >>> import os
    >>> all(os.path.isabs(folder) for folder in catalog_search_path()[:2])
    True
    """
    import platformdirs
    from intake.config import conf

    places = [platformdirs.user_data_dir(appname="intake", appauthor="intake"), _environment_data_dir()]
    places += _configured(conf.get("catalog_path", []))
    places += _from_variable("INTAKE_CATALOG_PATH", "['/one/folder', '/another']")
    places += _from_variable("INTAKE_PATH", None)
    return tuple(dict.fromkeys(os.path.expanduser(place) for place in places if place))


def _configured(value: object) -> list[str]:
    if isinstance(value, str):
        return _SEPARATOR.split(value)
    return [os.fspath(place) for place in value] if isinstance(value, list | tuple) else []


def _from_variable(name: str, as_intake_reads_it: str | None) -> list[str]:
    value = os.environ.get(name, "")
    if not value:
        return []
    if as_intake_reads_it is not None:
        try:
            parsed = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            parsed = value
        if isinstance(parsed, list | tuple):
            return [str(place) for place in parsed]
        value = str(parsed)
    if (name, value) not in _noticed:
        _noticed.add((name, value))
        cure = (
            f'write it as {name}="{as_intake_reads_it}"'
            if as_intake_reads_it
            else "write INTAKE_CATALOG_PATH=\"['/one/folder', '/another']\""
        )
        warnings.warn(
            f"{name}={value!r} is searched by databroker_like.catalog, but intake 2 ignores it; {cure} for both",
            UserWarning,
            stacklevel=3,
        )
    return _SEPARATOR.split(value)


def _environment_data_dir() -> str:
    # intake's own function asks distutils, which Python 3.12 has no more.
    import platformdirs

    if os.environ.get("VIRTUAL_ENV"):
        return os.path.join(os.environ["VIRTUAL_ENV"], "share", "intake")
    if os.environ.get("CONDA_PREFIX"):
        return os.path.join(sys.prefix, "share", "intake")
    if shutil.which("conda"):
        from intake.catalog.default import conda_prefix

        prefix = conda_prefix()
        if prefix:
            return os.path.join(prefix, "share", "intake")
    return platformdirs.site_data_dir(appname="intake", appauthor="intake")
