"""What a template in a catalog file may say: names of parameters and ``env``, nothing that reaches a shell."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

from databroker_like.errors import listed, nearest

__all__ = ["is_template", "problems"]

_SHELLS = frozenset({"shell", "client_shell"})
_CALLS = frozenset({"env", "client_env"})
_REACHING = frozenset({"attr", "groupby", "map", "reject", "rejectattr", "select", "selectattr"})


def is_template(text: str) -> bool:
    """Whether a text of a catalog file is filled in when it is opened.

    Examples
    --------
    >>> is_template("{{ CATALOG_DIR }}/data"), is_template("/data")
    (True, False)
    """
    return "{{" in text or "{%" in text


def problems(text: str, known: Set[str] | None) -> list[str]:
    """What is wrong with a text that may be a template.

    Parameters
    ----------
    text : str
    known : set of str or None
        The names it may use; None allows any.

    Returns
    -------
    list of str

    Examples
    --------
    >>> problems("{{ CATALOG_DIR }}/{{ env(USER) }}", {"CATALOG_DIR"})
    []
    >>> problems("{{ CATALOGDIR }}/data", {"CATALOG_DIR"})
    ["the template uses 'CATALOGDIR', which nothing defines; nearest: 'CATALOG_DIR'"]
    """
    if not is_template(text):
        return []
    import jinja2

    try:
        tree = jinja2.Environment(autoescape=False).parse(text)  # noqa: S701  (parsed, never rendered)
    except jinja2.TemplateSyntaxError as error:
        return [f"the template {text!r} cannot be read: {error.message}"]
    return list(dict.fromkeys(_walk(tree, known, set())))


def _walk(node: Any, known: Set[str] | None, bound: set[str]) -> Iterator[str]:
    from jinja2 import nodes

    children = list(node.iter_child_nodes())
    if isinstance(node, nodes.Call):
        called = node.node.name if isinstance(node.node, nodes.Name) else None
        if called in _SHELLS:
            yield f"{called}(...) would run a shell; nothing in a catalog file does, write the value itself"
            return
        if called not in _CALLS:
            yield "a template calls nothing but env(...) and client_env(...)"
            return
        # env(HOME) names a variable of the environment without quotes.
        children = [c for c in children if not isinstance(c, nodes.Name)]
    elif isinstance(node, nodes.Name):
        if node.ctx != "load":
            bound.add(node.name)
        elif node.name in _SHELLS:
            yield f"{node.name!r} would run a shell; nothing in a catalog file does"
        elif node.name in _CALLS:
            yield f"{node.name!r} is called with the name of a variable: {node.name}(NAME)"
        elif known is not None and node.name not in known and node.name not in bound:
            near = nearest(node.name, known)
            hint = f"nearest: {listed(near)}" if near else f"there are {listed(known)}"
            yield f"the template uses {node.name!r}, which nothing defines; {hint}"
        return
    elif isinstance(node, nodes.Getattr | nodes.Getitem):
        name = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
        if isinstance(name, bool) or not isinstance(name, str | int) or str(name).startswith("_"):
            yield "a template reads only attributes and items that are named, and whose name begins with a letter"
            return
    elif isinstance(node, nodes.Filter | nodes.Test) and node.name in _REACHING:
        yield f"the filter {node.name!r} reaches into Python objects; a catalog file does not"
        return
    elif isinstance(node, nodes.Import | nodes.FromImport | nodes.Include | nodes.Extends):
        yield "a template in a catalog file includes no other"
        return
    for child in children:
        yield from _walk(child, known, bound)
