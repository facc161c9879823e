"""Files that look as if nobody had touched them for an hour."""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["settle"]

_HOUR = 3600 * 10**9


def settle(folder: Path) -> None:
    """Move the times of change of a folder and all that is in it back by an hour, where they are of just now."""
    for path in [*folder.rglob("*"), folder]:
        found = path.stat()
        if found.st_mtime_ns > time.time_ns() - _HOUR // 2:
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns - _HOUR))
