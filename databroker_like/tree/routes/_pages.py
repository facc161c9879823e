"""Which of many nodes are on a page of a listing, and the links to other pages of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from databroker_like.errors import InvalidRequest
from databroker_like.tree._asked import Asked
from databroker_like.tree._parameters import FARTHEST, whole
from databroker_like.utils._node_path import path_of

__all__ = ["PAGES", "Page", "listing_links"]

_OFFSET = whole("page[offset]", "How many come before the page.", 0, FARTHEST, 0)
_LIMIT = whole(
    "page[limit]",
    "How many are wanted on the page; what is more than the service puts on one is on the next. By default 100 nodes, "
    "or as many keys as there may be.",
    0,
    FARTHEST,
)
_CURSOR = whole("page[cursor]", "Where the page begins, as the link to it says.", 0, FARTHEST)
#: By which a page is asked for.
PAGES = (_OFFSET, _LIMIT, _CURSOR)


@dataclass(frozen=True)
class Page:
    """Which of many are told.

    Parameters
    ----------
    offset, limit : int
    """

    offset: int
    limit: int

    @classmethod
    def of(cls, asked: Asked, *, keys: bool = False) -> Page:
        """As the parameters of `PAGES` say.

        Parameters
        ----------
        asked : Asked
        keys : bool
            Whether keys alone are on the page, of which there may be more; False by default.

        Returns
        -------
        Page
            One that is asked for too long is not refused but cut: the clients follow the link to the next.

        Raises
        ------
        InvalidRequest
            When one is no number.
        """
        params = asked.params
        most = asked.settings.most_keys if keys else asked.settings.most_items
        default = most if keys else min(100, most)
        limit = min(params.number(_LIMIT.name, default, 0, FARTHEST), most)
        offset, cursor = params.number(_OFFSET.name, 0, 0, FARTHEST), params.whole(_CURSOR)
        if cursor is not None and params.one(_OFFSET.name) is not None:
            raise InvalidRequest("a page begins where 'page[offset]' says, or 'page[cursor]'; both are given")
        return cls(offset if cursor is None else cursor, limit)


def listing_links(asked: Asked, route: str, page: Page, count: int) -> dict[str, Any]:
    """The links of a page of a listing.

    Parameters
    ----------
    asked : Asked
    route : str
        ``"search"`` and the like.
    page : Page
    count : int
        Of all that are in the listing.

    Returns
    -------
    dict
        Always with ``next``, which is None at the end.
    """
    pairs = [
        (name, value)
        for name in asked.params
        if name != "api_key" and not name.startswith("page[")
        for value in asked.params.many(name)
    ]
    where = f"{asked.base}/{route}/{path_of(asked.segments)}?"

    def link(offset: int) -> str:
        place = [("page[offset]", str(offset))] if offset else []
        # What came in with half a surrogate pair goes out as it came.
        return where + urlencode([*pairs, *place, ("page[limit]", str(page.limit))], errors="surrogatepass")

    after = page.offset + page.limit
    return {
        "self": link(page.offset),
        "first": link(0),
        "next": link(after) if page.limit and after < count else None,
    }
