"""Text of errors, as strangers may see it: without the paths of a machine, and without passwords."""

from __future__ import annotations

import re

__all__ = ["without_paths"]

#: ``://user:password@``
_LOGIN = re.compile(r"(?<=://)[^\s/@'\"]*@")
#: The path of a file on this machine, after nothing, a space or a quote: one slash alone is none.
_PATH = re.compile(r"(?<![\w.:/\\])(?:file://)?(?:~?/|[A-Za-z]:[\\/]|\\\\)[^\s'\",;:)\]}>]*[^\s'\",;:)\]}>.]")


def without_paths(text: str) -> str:
    """A text in which each absolute path is only the name at its end, and no URL has a password.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> without_paths("there is no file '/data/2024/run.h5'; ask mongodb://lab:secret@host/runs")
    "there is no file 'run.h5'; ask mongodb://host/runs"
    """
    return _PATH.sub(lambda found: re.split(r"[/\\]", found[0].rstrip("/\\"))[-1], _LOGIN.sub("", text))
