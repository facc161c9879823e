"""Pictures and plain arrays: TIFF, NPY, JPEG and PNG, one file or numbered ones, as nodes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from types import MappingProxyType
from typing import Any

from databroker_like.errors import InvalidFile
from databroker_like.files._array import ArrayInfo, LazyArray
from databroker_like.files._stacks import Stacked
from databroker_like.files._views import Sliced
from databroker_like.files.jpeg import JPEGArray
from databroker_like.files.npy import NPYArray
from databroker_like.files.tiff import TIFFArray, tiff_tags
from databroker_like.nodes._sources import DataSource
from databroker_like.nodes.files._arrays import FileArray
from databroker_like.nodes.files._attributes import attributes
from databroker_like.nodes.files._place import Place, Stamp, lasting, once

__all__ = ["PICTURES", "Places", "numbered_node", "picture_node"]


class ServedJPEG(JPEGArray):
    """A picture that is what its name says: Pillow would hand some others to programs outside of it."""

    formats = ("JPEG",)


class ServedPNG(JPEGArray):
    """A PNG file, and nothing else that Pillow reads."""

    kind = "png"
    formats = ("PNG",)


#: So many files are opened for one block.
_MOST_FILES = 256

#: Format -> what reads a file, its media type, and what it is.
PICTURES = MappingProxyType(
    {
        "tiff": (TIFFArray, "image/tiff", "a TIFF file"),
        "npy": (NPYArray, "application/x-npy", "an NPY file"),
        "jpeg": (ServedJPEG, "image/jpeg", "a JPEG file"),
        "png": (ServedPNG, "image/png", "a PNG file"),
    }
)


class ServedTIFF(TIFFArray):
    """A TIFF file that is kept open between readings, one thread at a time, for its pages are found one by one.

    Parameters
    ----------
    place : Place
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place.path)
        self._place = place
        self._stamp: Stamp | None = place.stamp()
        self._once = once(self._stamp)

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        stamp = self._place.stamp()
        if stamp is None:
            raise FileNotFoundError(self.path)
        known = self._once if stamp == self._stamp else once(stamp)
        plain = TIFFArray(self.path)
        with self._place.served.files.use(self.path, known, plain._open, alone=True) as frames:
            yield frames


class OnlyPage(Sliced):
    """The one page of a TIFF file; another that has more is not taken for its first.

    Parameters
    ----------
    parent : TIFFArray
    """

    def __init__(self, parent: LazyArray) -> None:
        super().__init__(parent, 0)

    def _describe(self, handle: Any) -> ArrayInfo:
        pages = self.parent._look(handle).shape[0]
        if pages != 1:
            raise InvalidFile(f"{self._where()} has {pages} pages, the first file of its sequence has one")
        return super()._describe(handle)


class Places(Sequence[Place]):
    """The places of some names in a folder, each made when it is asked for.

    Parameters
    ----------
    folder : Place
    names : tuple of str
    """

    def __init__(self, folder: Place, names: tuple[str, ...]) -> None:
        self._folder = folder
        self._names = names

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return Places(self._folder, self._names[at])
        return self._folder.inside(self._names[at])

    def __len__(self) -> int:
        return len(self._names)


class NumberedFiles(Sequence[LazyArray]):
    """The arrays of numbered files, each made when it is asked for: a file may have been replaced since.

    Parameters
    ----------
    places : sequence of Place
    make : callable
        Gives the array of a path.
    """

    def __init__(self, places: Sequence[Place], make: Callable[[str], LazyArray]) -> None:
        self._places = places
        self._make = make

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return NumberedFiles(self._places[at], self._make)
        return self._make(self._places[at].path)

    def __len__(self) -> int:
        return len(self._places)


def picture_node(place: Place, form: str) -> FileArray:
    """A file as an array.

    Parameters
    ----------
    place : Place
    form : str
        A key of `PICTURES`.

    Returns
    -------
    FileArray

    Raises
    ------
    DatabrokerError
        When it cannot be read.
    """
    reader, media_type, what = PICTURES[form]
    array: LazyArray = ServedTIFF(place) if form == "tiff" else reader(place.path)
    said: dict[str, Any] = {}
    if form == "tiff":
        with place.border(what):
            said = attributes(tags := tiff_tags(place.path), tags.__getitem__)
            array = OnlyPage(array) if array.shape[0] == 1 else array
    source = DataSource(media_type, (place.asset(),))
    return FileArray(array, place, what, version=place.version, source=source, metadata=said)


def numbered_node(places: Sequence[Place], form: str) -> FileArray:
    """Numbered files as one array, whose first axis counts them.

    Parameters
    ----------
    places : sequence of Place
        By their numbers; at least one.
    form : str
        A key of `PICTURES`.

    Returns
    -------
    FileArray

    Raises
    ------
    DatabrokerError
        When the first cannot be read.
    """
    reader, media_type, what = PICTURES[form]
    make: Callable[[str], LazyArray] = reader
    with places[0].border(what):
        if form == "tiff" and reader(places[0].path).shape[0] == 1:
            make = _only_page

    def source() -> DataSource:
        assets = (place.asset(parameter="data_uris", num=number) for number, place in enumerate(places))
        return DataSource(f"multipart/related;type={media_type}", tuple(assets))

    def version() -> Any:
        return lasting(tuple(place.quick_stamp() for place in places))

    return FileArray(
        Stacked(NumberedFiles(places, make)),
        places[0],
        what,
        version=version,
        source=source,
        metadata={},
        most_rows=_MOST_FILES,
    )


def _only_page(path: str) -> LazyArray:
    return OnlyPage(TIFFArray(path))
