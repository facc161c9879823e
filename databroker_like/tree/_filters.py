"""The filters of a search as they stand in a URL, and how it is sorted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from databroker_like import queries
from databroker_like.errors import InvalidRequest, listed, nearest
from databroker_like.nodes import ContainerNode
from databroker_like.queries import TiledQuery
from databroker_like.service import Settings
from databroker_like.tree._asked import Params
from databroker_like.tree._parameters import Parameter, text
from databroker_like.tree._words import from_json

__all__ = ["FILTERS", "QUERIES", "SORT", "filters_of", "narrowed", "short_text", "sorting_of"]

Query = queries.Node | TiledQuery
_FILTER = re.compile(r"filter\[(\w{1,64})\]\[condition\]\[(\w{1,64})\]")
#: Parts of a pattern between ``%``; each is looked for at many places.
_MOST_WILD = 4
_LONGEST_KEY = 1000


def short_text(text: str, what: str) -> str:
    """A text, when it is not longer than a key of metadata or a pattern may be.

    Parameters
    ----------
    text : str
    what : str
        What it is, for an error.

    Returns
    -------
    str

    Raises
    ------
    InvalidRequest
        When it is longer.

    Examples
    --------
    >>> short_text("color", "a key to sort by")
    'color'
    """
    if len(text) > _LONGEST_KEY:
        raise InvalidRequest(f"{what} has {len(text)} characters; {_LONGEST_KEY} are the most")
    return text


def _value(text: str, what: str) -> Any:
    return from_json(text, what)


def _list(text: str, what: str) -> list[Any]:
    value = from_json(text, what)
    if not isinstance(value, list):
        raise InvalidRequest(f"{what} is a list in JSON, such as [1, 2], not {text!r:.80}")
    return value


def _texts(text: str, what: str) -> list[str]:
    value = _list(text, what)
    if not all(isinstance(one, str) for one in value):
        raise InvalidRequest(f'{what} is a list of texts in JSON, such as ["a"], not {text!r:.80}')
    return value


def _flag(text: str, what: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise InvalidRequest(f"{what} is true or false, not {text!r:.80}")
    return text.lower() == "true"


def _pattern(text: str, what: str) -> str:
    value = from_json(text, what)
    if not isinstance(value, str):
        raise InvalidRequest(f'{what} is a text in JSON, such as "gold%", not {text!r:.80}')
    if len([part for part in value.split("%") if part]) > _MOST_WILD:
        raise InvalidRequest(f"{what} has more than {_MOST_WILD} texts between '%'")
    return re.sub("%+", "%", value)


_Reader = Callable[[str, str], Any]
#: Name on the wire -> the query, and how each of its fields is read, in the order in which the query takes them.
_FORMS: Mapping[str, tuple[Callable[..., Query], Mapping[str, _Reader]]] = {
    "fulltext": (queries.FullText, {"text": short_text}),
    "lookup": (queries.KeyLookup, {"key": short_text}),
    "keys_filter": (queries.KeysFilter, {"keys": _texts}),
    "eq": (queries.Eq, {"key": short_text, "value": _value}),
    "noteq": (queries.NotEq, {"key": short_text, "value": _value}),
    "comparison": (queries.Comparison, {"operator": short_text, "key": short_text, "value": _value}),
    "contains": (queries.Contains, {"key": short_text, "value": _value}),
    "in": (queries.In, {"key": short_text, "value": _list}),
    "notin": (queries.NotIn, {"key": short_text, "value": _list}),
    "keypresent": (queries.KeyPresent, {"key": short_text, "exists": _flag}),
    "like": (queries.Like, {"key": short_text, "pattern": _pattern}),
    "regex": (queries.LinearRegex, {"key": short_text, "pattern": short_text, "case_sensitive": _flag}),
    "specs": (queries.SpecsQuery, {"include": _texts, "exclude": _texts}),
    "structure_family": (queries.StructureFamilyQuery, {"value": short_text}),
}
_OPTIONAL: Mapping[str, Mapping[str, str]] = {
    "keypresent": {"exists": "true"},
    "regex": {"case_sensitive": "true"},
    "specs": {"include": "[]", "exclude": "[]"},
}
#: Those that clients of the protocol know and that are not answered, with the reason.
_REFUSED: Mapping[str, str] = {
    "access_tags_filter": "nothing has access tags here",
}

#: The names of the queries that are answered.
QUERIES: tuple[str, ...] = tuple(_FORMS)
_SAID: Mapping[Callable[[str, str], Any], str] = {
    short_text: "as it is",
    _flag: "true or false",
    _list: "a list in JSON",
    _texts: "a list of texts in JSON",
}
#: Each field of each query, as it stands in a URL.
FILTERS: tuple[Parameter, ...] = tuple(
    text(
        f"filter[{name}][condition][{field}]",
        f"Of the query {name!r}: {field}, {_SAID.get(reader, 'in JSON')}. Given twice it stands for two queries.",
        many=True,
    )
    for name, (_, readers) in _FORMS.items()
    for field, reader in readers.items()
)
SORT = text("sort", "A dotted key to sort by, with a minus before it for descending; the empty key is last.", many=True)


def filters_of(params: Params, settings: Settings) -> list[Query]:
    """The conditions in a URL, all of which hold.

    Parameters
    ----------
    params : Params
        ``filter[eq][condition][key]`` and the like; a filter that is given twice stands for two conditions.
    settings : Settings

    Returns
    -------
    list of queries.Node or TiledQuery

    Raises
    ------
    InvalidRequest
        When one cannot be understood; with its name.

    Examples
    --------
    >>> url = [("filter[eq][condition][key]", "color"), ("filter[eq][condition][value]", '"red"')]
    >>> filters_of(Params(url), Settings())
    [Eq(key='color', value='red')]
    """
    given: dict[str, dict[str, list[str]]] = {}
    for name in params:
        if not name.startswith("filter"):
            continue
        matched = _FILTER.fullmatch(name)
        if matched is None:
            raise InvalidRequest(f"{name!r:.100} is no filter; write filter[eq][condition][key]=color and the like")
        given.setdefault(matched[1], {})[matched[2]] = params.many(name)
    if sum(max(map(len, fields.values())) for fields in given.values()) > settings.most_filters:
        raise InvalidRequest(f"a search has no more than {settings.most_filters} filters")
    return [query for name, fields in given.items() for query in _queries(name, fields)]


def _queries(name: str, fields: Mapping[str, list[str]]) -> list[Query]:
    if name in _REFUSED:
        raise InvalidRequest(f"the query {name!r} is not answered: {_REFUSED[name]}")
    if name not in _FORMS:
        raise InvalidRequest(f"there is no query {name!r}; there is {listed(nearest(name, _FORMS) or _FORMS, most=20)}")
    make, readers = _FORMS[name]
    unknown = fields.keys() - readers.keys()
    if unknown:
        raise InvalidRequest(f"the query {name!r} has no {listed(unknown)}; it has {listed(readers)}")
    number = max(map(len, fields.values()))
    columns: dict[str, list[str]] = {}
    for field in readers:
        default = _OPTIONAL.get(name, {}).get(field)
        texts = fields.get(field) or ([default] * number if default is not None else [])
        if len(texts) != number:
            raise InvalidRequest(f"the query {name!r} has {field!r} {len(texts)} times, and not {number}")
        columns[field] = texts
    return [
        make(*(readers[field](texts[at], f"{field!r} of the query {name!r}") for field, texts in columns.items()))
        for at in range(number)
    ]


def sorting_of(params: Params) -> tuple[tuple[str, int], ...]:
    """By what a listing is sorted.

    Parameters
    ----------
    params : Params
        ``sort=color&sort=-time``: a minus is for descending, and the empty key the order that the container has.

    Returns
    -------
    tuple of (str, int)
        Empty when nothing is said.

    Raises
    ------
    InvalidRequest
        When a key is there twice, or something comes after the order of the container.

    Examples
    --------
    >>> sorting_of(Params([("sort", "color"), ("sort", "-time"), ("sort", "-")]))
    (('color', 1), ('time', -1), ('', -1))
    """
    found: dict[str, int] = {}
    for said in params.many("sort"):
        key, direction = (said[1:], -1) if said.startswith("-") else (said, 1)
        if key in found:
            raise InvalidRequest(f"'sort' has the key {key!r:.80} twice")
        if "" in found:
            raise InvalidRequest("'sort' has the order of the container itself, which is the empty key, before others")
        found[short_text(key, "a key to sort by")] = direction
    if len(found) > 10:
        raise InvalidRequest(f"'sort' has {len(found)} keys; 10 are the most")
    return tuple(found.items())


def narrowed(container: ContainerNode, params: Params, settings: Settings) -> ContainerNode:
    """A container searched and sorted as a URL says.

    Parameters
    ----------
    container : ContainerNode
    params : Params
    settings : Settings

    Returns
    -------
    ContainerNode
    """
    for query in filters_of(params, settings):
        container = container.search(query)
    sorting = sorting_of(params)
    return container.sorted(sorting) if sorting and sorting != (("", 1),) else container
