"""The files of an asset, and nothing else of this machine: no path that a stranger writes leads out of its folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from databroker_like.errors import InvalidRequest, MissingFile, NotFound, TooLarge
from databroker_like.nodes import Asset

__all__ = ["OpenFile", "files_in", "opened"]

#: Folders in one another.
_DEEPEST = 64
_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class OpenFile:
    """A file that is open for reading, as it is now.

    Parameters
    ----------
    descriptor : int
        Of the operating system; it is closed with this.
    found : os.stat_result
    """

    def __init__(self, descriptor: int, found: os.stat_result) -> None:
        self._descriptor = descriptor
        self.size = found.st_size
        #: What becomes another when the file does.
        self.tag = f'"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"'

    def pieces(self, first: int, length: int, most: int) -> Iterator[bytes]:
        """Bytes of it, piece by piece.

        Parameters
        ----------
        first, length : int
            Which of them.
        most : int
            In a piece.

        Returns
        -------
        iterator of bytes

        Raises
        ------
        MissingFile
            When the file became shorter meanwhile.
        """
        os.lseek(self._descriptor, first, os.SEEK_SET)
        while length:
            piece = os.read(self._descriptor, min(length, most))
            if not piece:
                raise MissingFile("the file became shorter while it was sent; ask for it again")
            length -= len(piece)
            yield piece

    def close(self) -> None:
        """Give the file back."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def opened(asset: Asset, relative: str | None) -> OpenFile:
    """A file of an asset.

    Parameters
    ----------
    asset : Asset
    relative : str or None
        Which file in a folder, with ``/`` between its parts; None for an asset that is a file.

    Returns
    -------
    OpenFile

    Raises
    ------
    InvalidRequest
        When it is no path inside the folder, or there is none to give.
    NotFound
        When no such file is in the folder; a link that leads out of it is none.
    MissingFile
        When the asset itself is gone.
    """
    if not asset.is_directory:
        if relative is not None:
            raise InvalidRequest(f"asset {asset.name!r:.300} is a file; 'relative_path' is for what is in a folder")
        try:
            return _regular(os.open(asset.path, _READ), asset.name)
        except OSError as error:
            raise _gone(asset) from error
    if relative is None:
        raise InvalidRequest(
            f"asset {asset.name!r:.300} is a folder; say which file in it by 'relative_path', as its manifest has them"
        )
    _check(relative)
    root, found = _really(asset), None
    # What a link stands for is looked up first, and then opened without following any: nobody can put one in its way.
    with suppress(OSError, RuntimeError):
        found = (root / relative).resolve(strict=True)
    if found is None or not found.is_relative_to(root):
        raise NotFound(f"there is no file {relative!r:.300} in {asset.name!r:.300}; its manifest has those that are")
    try:
        return _regular(_opened_inside(root, found.relative_to(root).parts), relative)
    except OSError:
        raise NotFound(f"there is no file {relative!r:.300} in {asset.name!r:.300} any more, or none to read") from None


def _check(relative: str) -> None:
    """Refuse what is no path downwards."""
    parts = relative.split("/")
    if len(parts) > _DEEPEST:
        raise InvalidRequest(f"'relative_path' has {len(parts)} parts; {_DEEPEST} are the most")
    # A drive of Windows, and what it takes for a slash, are no parts of names here.
    if any(part in ("", ".", "..") for part in parts) or set(relative) & set("\0\\") or Path(relative).is_absolute():
        raise InvalidRequest(f"'relative_path' is a path inside the folder, such as a/b.tif, not {relative!r:.300}")
    try:
        os.fsencode(relative)
    except UnicodeEncodeError:
        raise InvalidRequest("'relative_path' has half of a pair of surrogates in it, as no name has") from None


def _really(asset: Asset) -> Path:
    try:
        return asset.path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise _gone(asset) from error


def _gone(asset: Asset) -> MissingFile:
    return MissingFile(f"{asset.name!r:.300} is not there any more, or cannot be read; who keeps the files can tell")


def _opened_inside(root: Path, parts: tuple[str, ...]) -> int:
    """A file opened part by part, none of which may be a link."""
    if os.open not in os.supports_dir_fd:
        return os.open(root.joinpath(*parts), _READ | _NO_LINK)
    folder = os.open(root, _READ)
    try:
        for part in parts:
            inside = os.open(part, _READ | _NO_LINK, dir_fd=folder)
            os.close(folder)
            folder = inside
    except BaseException:
        os.close(folder)
        raise
    return folder


def _regular(descriptor: int, name: str) -> OpenFile:
    """A file that is a file, and no folder, pipe or device."""
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NotFound(f"{name!r:.300} is no file")
    except BaseException:
        os.close(descriptor)
        raise
    return OpenFile(descriptor, found)


def files_in(asset: Asset, most: int) -> list[str]:
    """The files in a folder, as paths inside it.

    Parameters
    ----------
    asset : Asset
    most : int

    Returns
    -------
    list of str
        In order, with ``/`` between their parts; links that lead out of the folder, and names that are no text, are
        left out.

    Raises
    ------
    MissingFile
        When the folder is gone.
    TooLarge
        When there are more than ``most``.
    """
    root = _really(asset)
    found: list[str] = []
    seen = 0
    for folder, folders, names in os.walk(root, followlinks=False):
        seen += len(folders) + len(names)
        if seen > most:
            raise TooLarge(f"{asset.name!r:.300} has more than {most} files and folders in it, too many for a list")
        here = Path(folder)
        if len(here.relative_to(root).parts) >= _DEEPEST:
            folders.clear()
        found += [path.relative_to(root).as_posix() for name in names if _is_inside(path := here / name, root)]
    return sorted(found)


def _is_inside(path: Path, root: Path) -> bool:
    try:
        os.fspath(path).encode()
        return path.is_file() and (not path.is_symlink() or path.resolve(strict=True).is_relative_to(root))
    except (OSError, RuntimeError, UnicodeEncodeError):
        return False
