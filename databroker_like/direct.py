"""A tree that a profile describes, served in this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import ExitStack
from typing import Any

from databroker_like import registry
from databroker_like.doors import open_app, open_root
from databroker_like.errors import DatabrokerError, InvalidConfig, PluginFailed, listed, nearest
from databroker_like.nodes import ContainerNode, MapNode

__all__ = ["DirectApp", "app_from_config"]

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_OURS = ("catalog", "files")


class DirectApp:
    """An ASGI application over trees that are opened when it starts, and closed when it ends.

    Parameters
    ----------
    trees : mapping
        Path, as ``"/"`` or ``"raw"``, -> what opens the tree, given a stack on which it leaves what is to be closed.
    """

    def __init__(self, trees: Mapping[str, Callable[[ExitStack], ContainerNode]]) -> None:
        self._trees = trees
        self._open = ExitStack()
        self._app: Any = None

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Serve, as ASGI has it."""
        if self._app is None:
            self._start()
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._app = None
            self._open.close()

    def _start(self) -> None:
        nodes = {path.strip("/"): open_tree(self._open) for path, open_tree in self._trees.items()}
        root = nodes[""] if set(nodes) == {""} else MapNode(nodes)
        # Who can call it is in this process, and may read all of it.
        self._app = open_app(root, public=True)


def app_from_config(config: Mapping[str, Any]) -> DirectApp:
    """The application that ``direct:`` in a profile describes, for this process alone.

    Parameters
    ----------
    config : mapping
        ``trees``: a list of mappings with ``path``, as ``/`` or ``raw``; ``tree``, which is ``files`` or ``catalog``,
        for what `databroker-like serve` takes, or ``package.module:object``, a node or what makes one; and ``args``
        for it. How a server would know its users says nothing here.

    Returns
    -------
    DirectApp

    Raises
    ------
    InvalidConfig
        When it cannot be meant.

    Examples
    --------
    >>> app = app_from_config({"trees": [{"path": "/", "tree": "catalog", "args": {"path": "lab.yml"}}]})
    """
    listed_trees = config.get("trees")
    if not isinstance(listed_trees, list) or not listed_trees:
        raise InvalidConfig("'direct' has 'trees', a list of mappings with 'path', 'tree' and 'args'")
    trees: dict[str, Callable[[ExitStack], ContainerNode]] = {}
    for told in listed_trees:
        if not isinstance(told, dict) or not isinstance(told.get("tree"), str):
            raise InvalidConfig(f"a tree has 'path', 'tree' and 'args', not {told!r}")
        path, args = told.get("path", "/"), told.get("args") or {}
        if not isinstance(path, str) or not isinstance(args, dict):
            raise InvalidConfig(f"the 'path' of a tree is text and its 'args' a mapping, not {path!r} and {args!r}")
        if path.strip("/") in trees:
            raise InvalidConfig(f"there are two trees at {path!r}")
        trees[path.strip("/")] = _opener(told["tree"], args)
    if "" in trees and len(trees) > 1:
        raise InvalidConfig("a tree at '/' is the only one; give each of several a path of its own")
    nested = next((path for path in trees if "/" in path), None)
    if nested is not None:
        raise InvalidConfig(f"the path of a tree is one name, not {nested!r}")
    return DirectApp(trees)


def _opener(tree: str, args: Mapping[str, Any]) -> Callable[[ExitStack], ContainerNode]:
    if ":" in tree or "." in tree:
        return lambda _: _made(tree, args)
    if tree not in _OURS:
        near = listed(nearest(tree, _OURS) or _OURS)
        raise InvalidConfig(f"the tree {tree!r} is nothing; it is {near}, or 'package.module:object'")
    where = [args[name] for name in ("path", "directory", "uri") if name in args]
    if len(where) != 1 or not isinstance(where[0], str):
        raise InvalidConfig(f"'args' of the tree {tree!r} has 'path', what is to be served, and not {dict(args)!r}")
    return lambda stack: stack.enter_context(open_root(where[0]))


def _made(path: str, args: Mapping[str, Any]) -> ContainerNode:
    found = registry.import_path(path)
    if not isinstance(found, ContainerNode):
        if not callable(found):
            raise InvalidConfig(f"{path!r} is neither a container of nodes nor what makes one")
        try:
            found = found(**args)
        except DatabrokerError:
            raise
        except Exception as error:
            raise PluginFailed(f"{path!r} makes no tree of {dict(args)!r}: {error!r}") from error
    if not isinstance(found, ContainerNode):
        raise InvalidConfig(f"{path!r} makes {type(found).__name__}, which is no container of nodes")
    return found
