from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import pytest

from databroker_like import errors, registry
from databroker_like.client import _specials, register_special_client
from databroker_like.client.array import ArrayClient, DaskArrayClient
from databroker_like.client.base import BaseClient, class_of
from databroker_like.client.container import Container


class Mine(Container):
    """A container of my own."""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    register_special_client("mine", None)
    _specials._points.cache_clear()
    _specials._of_plugins.cache_clear()


def brings(monkeypatch: pytest.MonkeyPatch, name: str, load: Any) -> None:
    point = types.SimpleNamespace(name=name, load=load)
    monkeypatch.setattr(registry, "entry_points", lambda group, **more: [point] if group == _specials.GROUP else [])
    _specials._points.cache_clear()


def test_the_first_spec_that_has_a_class_decides() -> None:
    register_special_client("mine", Mine)
    assert class_of(["unknown", "mine"], "container") is Mine
    assert class_of(["mine"], "container", "dask") is Mine
    assert class_of(["mine"], "container", {"mine": Container}) is Container
    register_special_client("mine", None)
    assert class_of(["mine"], "container") is Container


def test_what_a_mapping_does_not_name_is_as_without_it() -> None:
    assert class_of([], "array", {"container": Mine}) is ArrayClient
    assert class_of([], "container", {"container": Mine}) is Mine
    assert class_of([], "array", "dask") is DaskArrayClient
    assert class_of([], "a family of tomorrow") is BaseClient


def test_a_package_brings_a_class(monkeypatch: pytest.MonkeyPatch) -> None:
    brings(monkeypatch, "theirs", lambda: Mine)
    assert class_of(["theirs"], "container") is Mine


def test_a_package_that_fails_is_told_and_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise ImportError("no such thing")

    brings(monkeypatch, "theirs", load)
    with pytest.warns(UserWarning, match=r"theirs.*no such thing"):
        assert class_of(["theirs"], "container") is Container
    assert class_of(["theirs"], "container") is Container


def test_ours_are_found_through_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        registry, "NAMES", {**registry.NAMES, "special_client.Ours": "databroker_like.client.container:Container"}
    )
    assert class_of(["Ours"], "array") is Container


def test_what_is_no_class_is_told() -> None:
    with pytest.raises(errors.WrongType, match="'mine'"):
        register_special_client("mine", 3)
    with pytest.raises(errors.Invalid, match="'dask'"):
        class_of([], "array", "daks")
