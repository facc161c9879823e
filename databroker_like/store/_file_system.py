"""What kind of file system a folder lies on."""

from __future__ import annotations

import os

__all__ = ["network_file_system"]

#: Where several machines see the same files, SQLite's write-ahead log is not safe.
_NETWORK = frozenset(
    (
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb3",
        "smbfs",
        "afs",
        "ncpfs",
        "coda",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "davfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.ceph",
        "fuse.s3fs",
        "fuse.juicefs",
        "fuse.rclone",
    )
)
_MOUNTS = "/proc/self/mounts"


def network_file_system(path: str, mounts: str = _MOUNTS) -> str | None:
    """The kind of network file system that a path lies on.

    Parameters
    ----------
    path : str
        It need not be there yet.
    mounts : str
        The table of what is mounted, as Linux has it in ``/proc/self/mounts``.

    Returns
    -------
    str or None
        Such as ``"nfs4"``; None on a local disk, and where the system does not tell.

    Examples
    --------
    >>> network_file_system("/proc") is None
    True
    """
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    real = os.path.realpath(path)
    best, found = "", None
    for line in lines:
        fields = line.split()
        if len(fields) < 3:
            continue
        place = fields[1].encode().decode("unicode_escape")
        inside = real == place or real.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best):
            best, found = place, fields[2]
    return found if found in _NETWORK else None
