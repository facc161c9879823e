"""A run in the parts that a client on another machine asks for: what is around its events, its events, its datums."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from databroker_like.core._columns import COLUMNS, GROUPS, one_by_one, page_size, scalars
from databroker_like.core._external import ExternalColumn
from databroker_like.core._header import Header
from databroker_like.core._stream_assets import count_events
from databroker_like.core._transforms import apply_transform
from databroker_like.errors import DatabrokerError, NotFound, listed, nearest
from databroker_like.nodes._run_leaves import EventArray

__all__ = ["RunParts"]

Doc = Mapping[str, Any]
Pair = tuple[str, Any]
#: The external arrays of a stream, by data key.
Arrays = Callable[[str], Mapping[str, EventArray]]


class RunParts:
    """The parts of a run, out of which its documents and its datasets are made elsewhere.

    Parameters
    ----------
    header : Header
    arrays : callable
        ``(stream name) -> external arrays by data key``
    """

    def __init__(self, header: Header, arrays: Arrays) -> None:
        self._header = header
        self._source = header.source
        self._arrays = arrays

    def around(self) -> Iterator[Pair]:
        """Start, descriptors, resources, stream resources and datums, ``event_counts``, and the stop document.

        Yields
        ------
        (name, document)
            ``event_counts`` is a mapping of the uids of the descriptors to the numbers of their events.
        """
        source, stop = self._source, self._header.stop
        yield "start", self._header.start
        descriptors = self._header.descriptors
        for descriptor in descriptors:
            yield "descriptor", descriptor
        for resource in self._header.resources:
            yield "resource", resource
        for streamed in source.get_stream_resources():
            yield "stream_resource", streamed
            for datum in source.get_stream_datums(streamed["uid"]):
                yield "stream_datum", datum
        yield "event_counts", {doc["uid"]: source.get_event_count(doc["uid"]) for doc in descriptors}
        if stop is not None:
            yield "stop", stop

    def events(
        self,
        descriptor_uids: Sequence[str],
        skip: int = 0,
        limit: int | None = None,
        *,
        columns: bool = True,
        enough: Callable[[], bool] = lambda: False,
    ) -> Iterator[Pair]:
        """The events of some descriptors, and how the external columns of their streams lie.

        Parameters
        ----------
        descriptor_uids : sequence of str
        skip, limit : int
            Which of the rows of each; all by default.
        columns : bool
            Whether the external columns are told; True by default.
        enough : callable
            Whether no more pages are wanted, asked after each; all are by default.

        Yields
        ------
        (name, document)
            ``column`` has a ``stream`` and a ``key``, the number of ``rows`` for each descriptor, and the
            ``structure`` of the array, or the ``error`` for which there is none; ``streamed`` says whether stream
            datums announce it. ``event_page`` has columns as the source has them.

        Raises
        ------
        NotFound
            When the run has no such descriptor.
        """
        known = {doc["uid"]: doc for doc in self._header.descriptors}
        for uid in descriptor_uids:
            if uid not in known:
                near = listed(nearest(uid, known) or known)
                raise NotFound(f"the run has no descriptor {uid!r:.100}; it has {near}")
        names = dict.fromkeys(str(known[uid].get("name", "primary")) for uid in descriptor_uids)
        for uid in descriptor_uids:
            for page in one_by_one(self._source.get_event_pages(uid, skip=skip, limit=limit)):
                if page_size(page):
                    yield "event_page", _plain(page)
                    if enough():
                        break
            if enough():
                break
        for name in names if columns else ():
            yield from self._columns(name)

    def _columns(self, stream: str) -> Iterator[Pair]:
        descriptors = self._header.of_stream(stream)
        for key, array in self._arrays(stream).items():
            having = [doc for doc in descriptors if key in doc.get("data_keys", {})]
            told: dict[str, Any] = {"stream": stream, "key": key, "structure": None, "error": None}
            told["streamed"] = any(_is_streamed(doc["data_keys"][key]) for doc in having)
            told["rows"] = {doc["uid"]: self._rows(doc, key) for doc in having}
            try:
                told["structure"] = array.found.to_json()
            except DatabrokerError as error:
                told["error"] = error
            yield "column", told

    def _rows(self, descriptor: Doc, key: str) -> int:
        source, uid = self._source, descriptor["uid"]
        if not _is_streamed(descriptor["data_keys"][key]):
            return source.get_event_count(uid)
        streamed = [doc for doc in source.get_stream_resources() if doc.get("data_key") == key]
        datums = [datum for doc in streamed for datum in source.get_stream_datums(doc["uid"])]
        return count_events(key, streamed, [datum for datum in datums if datum["descriptor"] == uid])

    def datums(self, *, resource_uid: str | None = None, datum_id: str | None = None) -> Iterator[Pair]:
        """The datum pages of the resources, each after its resource.

        Parameters
        ----------
        resource_uid : str, optional
            Of this one alone; of all that the run lists, by default.
        datum_id : str, optional
            Of the resource to which this datum belongs.

        Yields
        ------
        (name, document)

        Raises
        ------
        NotFound
            When there is no such resource or datum.
        """
        source = self._source
        if datum_id is not None:
            resource_uid = _found(lambda: source.lookup_resource_for_datum(datum_id), f"datum {datum_id!r:.100}")
        if resource_uid is None:
            resources: Sequence[Doc] = self._header.resources
        else:
            found = _found(lambda: source.get_resource(resource_uid), f"resource {resource_uid!r:.100}")
            resources = [apply_transform(self._header.transforms, "resource", found)]
        for resource in resources:
            yield "resource", resource
            for page in source.get_datum_pages(resource["uid"]):
                yield "datum_page", _plain(page)

    def values(self, descriptor_uid: str, key: str) -> Iterator[Pair]:
        """The external values of the events of a descriptor, each an array of its own.

        Parameters
        ----------
        descriptor_uid, key : str

        Yields
        ------
        (``value``, numpy array)

        Raises
        ------
        NotFound
            When the descriptor has no such external values.
        """
        for descriptor in self._header.descriptors:
            if descriptor["uid"] != descriptor_uid:
                continue
            array = self._arrays(str(descriptor.get("name", "primary"))).get(key)
            for part in array.parts if array is not None else ():
                if isinstance(part, ExternalColumn) and part.descriptor_uid == descriptor_uid:
                    for value in part.each_value():
                        yield "value", value
                    return
        raise NotFound(f"descriptor {descriptor_uid!r:.100} has no external values {key!r:.100}")


def _plain(page: Doc) -> Doc:
    """A page whose columns are lists and arrays, however the source keeps them."""
    plain = dict(page)
    for name in page:
        if name in GROUPS:
            plain[name] = {key: _own(column) for key, column in page[name].items()}
        elif name in COLUMNS:
            plain[name] = _own(page[name])
    return plain


def _own(column: Any) -> Any:
    return column if type(column) is list or hasattr(column, "dtype") else scalars(column)


def _is_streamed(data_key: Doc) -> bool:
    return str(data_key.get("external", "")).startswith("STREAM:")


def _found(get: Callable[[], Any], what: str) -> Any:
    try:
        found = get()
    except (KeyError, ValueError):
        found = None
    if found is None:
        raise NotFound(f"the run has no {what}")
    return found
