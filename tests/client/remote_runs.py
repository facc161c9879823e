"""Catalogs with recorded and made runs, here and on a service in process; and what makes two readings the same."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from databroker_like.client import Context
from databroker_like.client.remote import BlueskyRemoteCatalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.drivers.msgpack import BlueskyMsgpackCatalog
from databroker_like.nodes import ContainerNode, MapNode
from databroker_like.nodes.runs import RunsNode
from databroker_like.tree import build_app
from tests.support.loopback import listening

__all__ = ["RECORDED", "assert_same", "counting", "live", "live_tree", "read_quietly", "recorded", "served"]

RECORDED = ("absorption", "beamline", "edge-scans", "images", "engine")
_DATA = Path(__file__).parents[1] / "data"


def recorded(name: str, shared_data: Path) -> Any:
    """A catalog of recorded runs."""
    if name == "absorption":
        return BlueskyMsgpackCatalog(str(shared_data / "absorption-pack" / "documents" / "*.msgpack"))
    if name == "beamline":
        return BlueskyJSONLCatalog(str(shared_data / "beamline-json"))
    if name == "edge-scans":
        return BlueskyJSONLCatalog(str(shared_data / "edge-scans-jsonl" / "*.jsonl"))
    if name == "engine":
        return BlueskyJSONLCatalog(
            str(_DATA / "runs" / "*.jsonl"), root_map={"/recorded/external": str(_DATA / "external")}
        )
    pack, root = shared_data / "images-pack", "f8483b80395561ac779a5425da6646ca"
    return BlueskyMsgpackCatalog(
        str(pack / "documents" / "*.msgpack"),
        root_map={root: str(pack / "external_files" / root)},
        handler_registry={"NPY_SEQ": "ophyd.sim.NumpySeqHandler"},
    )


@contextmanager
def served(catalog: Any, **settings: Any) -> Iterator[BlueskyRemoteCatalog]:
    """The same catalog over a service in process."""
    with Context.from_app(build_app(RunsNode(catalog), api_key="secret"), api_key="secret") as context:
        yield BlueskyRemoteCatalog("", context=context, **settings)


@contextmanager
def counting(catalog: BlueskyRemoteCatalog) -> Iterator[list[str]]:
    """What is asked for while this goes on."""
    session, asked = catalog.collection._server.context.session, []  # type: ignore[attr-defined]
    before = session._once

    def once(*args: Any) -> Any:
        asked.append(" ".join(map(str, args)))
        return before(*args)

    session._once = once
    try:
        yield asked
    finally:
        del session._once


def read_quietly(read: Any) -> tuple[Any, list[str]]:
    """What is read, and of which columns it is said that they are left out."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = read()
    return found, sorted(str(one.message).partition("is left out")[0] for one in told)


def assert_same(one: Any, other: Any) -> None:
    """Documents and values that are equal to the letter: types, dtypes, order."""
    if hasattr(other, "dask"):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        return
    if isinstance(other, np.ndarray):
        assert isinstance(one, np.ndarray)
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_array_equal(one, other)
    elif isinstance(other, dict):
        assert list(one) == list(other)
        for key in other:
            assert_same(one[key], other[key])
    elif isinstance(other, list | tuple):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    else:
        assert type(one) is type(other)
        assert one == other or (one != one and other != other)


@contextmanager
def live(catalog: Any) -> Iterator[str]:
    """The address of a catalog on a service, over loopback, whose key is "secret"."""
    with live_tree(MapNode({"raw": RunsNode(catalog)})) as url:
        yield f"{url}/raw"


@contextmanager
def live_tree(tree: ContainerNode) -> Iterator[str]:
    """The address of the root of a tree on a service, over loopback, whose key is "secret"."""
    with listening(build_app(tree, api_key="secret")) as url:
        yield f"{url}/api/v1/metadata"
