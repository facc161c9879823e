"""All routes of the service in one table: what answers each, and what it may be asked. They are described by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from databroker_like.tree._asked import Asked, Reply
from databroker_like.tree._envelopes import DEPTH, FIELDS
from databroker_like.tree._filters import FILTERS, SORT
from databroker_like.tree._parameters import FARTHEST, Parameter, choice, text, whole
from databroker_like.tree.formats._container import JSON_SEQ
from databroker_like.tree.routes import _assets as assets
from databroker_like.tree.routes import _data as data
from databroker_like.tree.routes import _deep as deep
from databroker_like.tree.routes import _revisions as revisions
from databroker_like.tree.routes import _told as tell
from databroker_like.tree.routes import _zarr as zarr
from databroker_like.tree.routes._pages import PAGES
from databroker_like.tree.routes._run_parts import PART_PARAMETERS, PART_SEQUENCE
from databroker_like.tree.routes._told import FORMAT, TELLING

__all__ = ["API", "REVISION", "ROUTES", "VIEWS", "Answers"]

#: Under which path the routes are.
API = "/api/v1"


@dataclass(frozen=True)
class Answers:
    """What is answered under one name, which a path in the tree follows.

    Parameters
    ----------
    answer : callable
    says : str
        What it is.
    parameters : tuple of Parameter
        That it may be asked with; others are passed over.
    methods : tuple of str
        ``GET`` by default; where there is ``POST``, a list of texts may be sent as JSON.
    sends : tuple of str
        Media types, in the description; empty for those that only nodes know.
    is_data : bool
        Whether what is sent is as old as the version of the node says; False by default.
    """

    answer: Callable[[Asked], Reply]
    says: str
    parameters: tuple[Parameter, ...] = ()
    methods: tuple[str, ...] = ("GET",)
    sends: tuple[str, ...] = ()
    is_data: bool = field(default=False, kw_only=True)


_TOLD = ("application/json", "application/x-msgpack")
_BOTH = ("GET", "POST")
_NAMED = text("filename", "The name of the file that the answer is saved as.", pattern=r"^[A-Za-z0-9._+ -]{1,200}$")
_AS = (FORMAT, _NAMED)
_COLUMNS = (
    text("column", "A column that is wanted; all when none is named.", many=True),
    text("field", "The same, as older clients say it.", many=True),
)
_INSIDE = text("field", "A key that is wanted; all when none is named.", many=True)
_FILL = choice("fill", "Whether documents have the data of external files in them.", ("no", "yes"))
#: Where it is not among the parameters, a run is answered as it is now.
REVISION = whole("revision", "Of a run, or in one: as it was after so many amendments.", 0, FARTHEST)
_SLICE = text("slice", "The part that is wanted: an index or start:stop:step for each axis, with commas: 1:3,0,::2.")
_SHAPE = text("expected_shape", "The shape that the answer must have, with commas; 'scalar' when it has no axes.")
_BLOCK = text("block", "The number of the block along each axis, with commas.", required=True)
_FORM_KEY = text("form_key", "A buffer that is wanted, or a part of the form; all when none is named.", many=True)
_PARTITION = whole("partition", "The number of the part, from 0 on.", 0, 1 << 53, required=True)

#: Name -> what is answered under it.
ROUTES: Mapping[str, Answers] = {
    "metadata": Answers(tell.metadata, "What a node is.", TELLING, sends=_TOLD),
    "search": Answers(
        tell.search,
        "What is in a container, page by page.",
        (*FIELDS, DEPTH, *PAGES, SORT, *FILTERS, FORMAT),
        sends=_TOLD,
    ),
    "search-deep": Answers(
        deep.search_deep,
        "What is in a container, and in those in it, page by page.",
        (*FIELDS, deep.DEPTH, *PAGES, *FILTERS, FORMAT),
        sends=_TOLD,
    ),
    "distinct": Answers(
        tell.distinct, "The different values that nodes in a container have.", (*tell.DISTINCT, *FILTERS), sends=_TOLD
    ),
    "revisions": Answers(revisions.revisions, "What a node was before it was changed.", (*PAGES, FORMAT), sends=_TOLD),
    "array/full": Answers(
        data.array_full, "An array, or a part of it.", (_SLICE, _SHAPE, REVISION, *_AS), is_data=True
    ),
    "array/block": Answers(
        data.array_block,
        "A block of an array, or a part of it.",
        (_BLOCK, _SLICE, _SHAPE, REVISION, *_AS),
        is_data=True,
    ),
    "table/full": Answers(data.table_full, "A table, or some columns.", (*_COLUMNS, *_AS), _BOTH, is_data=True),
    "table/partition": Answers(
        data.table_partition, "A part of a table.", (_PARTITION, *_COLUMNS, *_AS), _BOTH, is_data=True
    ),
    "awkward/full": Answers(data.awkward_full, "An awkward array.", _AS, is_data=True),
    "awkward/buffers": Answers(
        data.awkward_buffers, "Buffers of an awkward array, in a zip file.", (_FORM_KEY, *_AS), _BOTH, is_data=True
    ),
    "ragged/full": Answers(data.ragged_full, "A ragged array, or a part of it.", (_SLICE, *_AS), is_data=True),
    "container/full": Answers(
        data.container_full, "A container with all that is in it.", (_INSIDE, _FILL, *_AS), _BOTH, is_data=True
    ),
    "node/full": Answers(
        data.node_full, "A table or a container, as older clients ask for it.", (_INSIDE, *_AS), is_data=True
    ),
    "documents": Answers(
        data.documents,
        "The documents of a run, one a line; or a part of the run.",
        (_FILL, REVISION, _NAMED, *PART_PARAMETERS),
        sends=(JSON_SEQ, PART_SEQUENCE),
        is_data=True,
    ),
    "asset/manifest": Answers(
        assets.manifest, "The files in a folder of which a node is read.", (assets.ID, FORMAT), sends=_TOLD
    ),
    "asset/bytes": Answers(
        assets.octets, "A file of which a node is read.", (assets.ID, assets.RELATIVE_PATH), sends=(assets.OCTETS,)
    ),
}

#: Path outside the API -> what is answered under it.
VIEWS: Mapping[str, Answers] = {
    "/zarr/v2": Answers(zarr.zarr_v2, "The tree as a store of zarr, in its second format."),
    "/zarr/v3": Answers(zarr.zarr_v3, "The tree as a store of zarr, in its third format."),
}
