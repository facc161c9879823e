from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from databroker_like import errors
from databroker_like.client import constructors, from_profile, list_profiles, load_profiles, profiles
from databroker_like.client.cache import Cache
from databroker_like.client.container import Container


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Path]]:
    """Folders of the machine, of the environment and of the user, which are empty."""
    made = {name: tmp_path / name / "profiles" for name in ("site", "user")}
    made["environment"] = tmp_path / "prefix" / "etc" / "tiled" / "profiles"
    for folder in made.values():
        folder.mkdir(parents=True)
    monkeypatch.setenv("TILED_SITE_PROFILES", str(made["site"]))
    monkeypatch.setenv("TILED_PROFILES", str(made["user"]))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    load_profiles.cache_clear()
    yield made
    load_profiles.cache_clear()


@pytest.fixture
def write(folders: dict[str, Path]) -> Callable[..., Path]:
    def write_(text: str, name: str = "lab.yml", folder: str = "user") -> Path:
        path = folders[folder] / name
        path.write_text(text)
        load_profiles.cache_clear()
        return path

    return write_


Write = Callable[..., Path]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What a context was opened with, in place of a server."""
    seen: list[dict[str, Any]] = []

    class Opened:
        @classmethod
        def from_any_uri(cls, uri: str, **settings: Any) -> tuple[Opened, list[str]]:
            seen.append({"uri": uri, **settings})
            return cls(), []

    def opened(context: Any, clients: Any, path: Any, include: bool, remember_me: bool) -> Any:
        seen[-1].update(clients=clients, include_data_sources=include, remember_me=remember_me)

    monkeypatch.setattr(constructors, "Context", Opened)
    monkeypatch.setattr(constructors, "_opened", opened)
    return seen


def test_where_they_are_looked_for(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    assert profiles.profile_paths() == [folders["site"], folders["environment"], folders["user"]]
    monkeypatch.delenv("TILED_SITE_PROFILES")
    monkeypatch.delenv("TILED_PROFILES")
    usual = profiles.profile_paths()
    assert Path("/etc/tiled/profiles").absolute() in usual
    assert Path.home() / ".config" / "tiled" / "profiles" in usual


def test_the_profile_of_the_user_goes_before_that_of_the_environment_and_the_machine(write: Write) -> None:
    for folder in ("site", "environment", "user"):
        write(f"all: {{uri: 'http://{folder}'}}\n{folder}: {{uri: http://h}}", "a.yaml", folder)
    assert load_profiles()["all"][1] == {"uri": "http://user"}
    assert sorted(list_profiles()) == ["all", "environment", "site", "user"]
    assert list_profiles()["site"].parent.parent.name == "site"


def test_a_profile_opens_its_server_with_its_settings(
    write: Write, asked: list[dict[str, Any]], tmp_path: Path
) -> None:
    write(
        "lab:\n  uri: http://h:8000/api/v1/metadata/raw\n  headers: {X-Beamline: 7}\n  structure_clients: dask\n"
        "  timeout: {connection: 1, read: 2}\n  max_connections: 4\n  verify: false\n"
        f"  token_cache: {tmp_path}/tokens\n"
        f"  cache: {{filepath: {tmp_path}/c.db, capacity: 1_000_000, readonly: false}}\n"
    )
    from_profile("lab")
    found = asked[-1]
    cache = found.pop("cache")
    assert isinstance(cache, Cache)
    assert (cache.filepath, cache.capacity) == (tmp_path / "c.db", 1e6)
    cache.close()
    assert found == {
        "uri": "http://h:8000/api/v1/metadata/raw",
        "headers": {"X-Beamline": "7"},
        "verify": False,
        "max_connections": 4,
        "token_cache": f"{tmp_path}/tokens",
        "timeout": httpx.Timeout(30.0, connect=1, read=2),
        "clients": "dask",
        "include_data_sources": False,
        "remember_me": True,
    }


def test_what_is_given_goes_before_what_the_profile_says(write: Write, asked: list[dict[str, Any]]) -> None:
    write("lab: {uri: http://h, structure_clients: dask, verify: false, max_connections: 4}")
    from_profile("lab", "numpy", verify=True, api_key="k", remember_me=False, include_data_sources=True)
    assert asked[-1] == {
        "uri": "http://h",
        "verify": True,
        "max_connections": 4,
        "api_key": "k",
        "clients": "numpy",
        "include_data_sources": True,
        "remember_me": False,
    }


def test_classes_of_ones_own_are_imported(write: Write, asked: list[dict[str, Any]]) -> None:
    write("lab: {uri: http://h, structure_clients: {my_spec: 'databroker_like.client.container:Container'}}")
    from_profile("lab")
    assert asked[-1]["clients"]["my_spec"] is Container
    assert "array" in asked[-1]["clients"]


def test_variables_of_the_environment_are_filled_in(
    write: Write, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_HOST", "beamline")
    write("lab: {uri: 'http://$MY_HOST:8000/${MY_HOST}', headers: {a: '${NOT_THERE}'}}")
    from_profile("lab")
    assert asked[-1]["uri"] == "http://beamline:8000/beamline"
    assert asked[-1]["headers"] == {"a": "${NOT_THERE}"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lab: {uri: http://h, api_key: hushhush}", "'api_key', which does not stand in a profile"),
        ("lab: {}", "either 'uri' or 'direct'"),
        ("lab: {uri: http://h, direct: {}}", "either 'uri' or 'direct'; it has both"),
        ("lab: {urii: http://h}", "has 'urii', which is nothing; there is 'uri'"),
        ("lab: [1]", "no mapping of settings"),
        ("lab: {uri: 3}", "'uri' .* is an address"),
        ("lab: {uri: http://h, tiemout: {}}", "has 'tiemout', which is nothing; there is 'timeout'"),
        ("lab: {uri: http://h, timeout: {raed: 3}}", "there is 'read'"),
        ("lab: {uri: http://h, timeout: {read: soon}}", "a number of seconds"),
        ("lab: {uri: http://h, cache: {size: 3}}", "'size', which is nothing"),
        ("lab: {uri: http://h, cache: {capacity: true}}", "a number of bytes"),
        ("lab: {uri: http://h, structure_clients: pandas}", "'numpy', 'dask'"),
        ("lab: {uri: http://h, structure_clients: {array: 3}}", "package.module:Class"),
        ("lab: {uri: http://h, headers: {a: [1]}}", "whose value is no text"),
        ("lab: {uri: http://h, max_connections: 0}", "a whole number above 0"),
        ("lab: {uri: http://h, verify: maybe}", "true or false"),
        ("lab: {direct: {}, verify: true}", "'trees'"),
    ],
)
def test_a_profile_that_cannot_be_meant_is_told(write: Write, text: str, said: str) -> None:
    write(text)
    with pytest.raises(errors.InvalidConfig, match=said) as caught:
        from_profile("lab")
    assert "hushhush" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lab: [", "is not YAML"),
        ("", "no file of profiles"),
        ("- 1", "no file of profiles"),
        ("#" * (1 << 21), "too long"),
    ],
)
def test_a_file_that_cannot_be_meant_is_left_out_and_told(write: Write, text: str, said: str) -> None:
    write("good: {uri: http://h}", "good.yml")
    write(text)
    with pytest.warns(UserWarning, match=said):
        assert list(list_profiles()) == ["good"]
    with pytest.raises(errors.InvalidConfig, match=said):
        from_profile("lab")
    with pytest.raises(errors.NoSuchProfile, match=said):
        from_profile("other")


def test_nothing_in_a_file_is_made_into_an_object_or_run(write: Write) -> None:
    write("lab: !!python/object/apply:os.getcwd []")
    with pytest.raises(errors.InvalidConfig, match="not YAML"):
        from_profile("lab")


def test_a_name_in_two_files_of_a_folder_is_in_none(write: Write) -> None:
    write("lab: {uri: http://a}", "a.yml")
    write("lab: {uri: http://b}\nother: {uri: http://c}", "b.yml")
    write("lab: {uri: http://site}", "a.yml", "site")
    with pytest.warns(UserWarning, match="stands in both a.yml and b.yml"):
        assert list(list_profiles()) == ["other"]
    with pytest.raises(errors.InvalidConfig, match="both"):
        from_profile("lab")


def test_what_older_clients_knew_is_told_and_left_out(write: Write, asked: list[dict[str, Any]]) -> None:
    write("lab: {uri: http://h, username: ann, auth_provider: toy}")
    with pytest.warns(UserWarning, match="'auth_provider', 'username' in the profile 'lab'"):
        from_profile("lab")
    assert "username" not in asked[-1]


def test_names_that_are_not_there_bring_the_nearest_ones(write: Write) -> None:
    write("beamline: {uri: http://a}\nother: {uri: http://b}")
    with pytest.raises(errors.NoSuchProfile, match=r"no profile 'beamlien' in .*; there is 'beamline'") as caught:
        from_profile("beamlien")
    assert isinstance(caught.value, KeyError)
    with pytest.raises(errors.NoSuchProfile, match="no default profile"):
        from_profile()


def test_a_default_profile_is_opened_when_none_is_named(write: Write, asked: list[dict[str, Any]]) -> None:
    write("lab: {uri: http://h}")
    assert profiles.get_default_profile_name() is None
    profiles.set_default_profile_name("lab")
    assert profiles.get_default_profile_name() == "lab"
    from_profile()
    assert asked[-1]["uri"] == "http://h"
    with pytest.raises(errors.NoSuchProfile):
        profiles.set_default_profile_name("lap")
    profiles.set_default_profile_name(None)
    assert profiles.get_default_profile_name() is None


def test_profiles_are_made_and_deleted(write: Write, folders: dict[str, Path]) -> None:
    made = profiles.create_profile("http://h:8000", "my lab", verify=False)
    assert made == folders["user"] / "my lab.yml"
    assert load_profiles()["my lab"] == (made, {"uri": "http://h:8000", "verify": False})
    with pytest.raises(errors.Conflict, match="overwrite=True"):
        profiles.create_profile("http://h:9000", "my lab")
    profiles.create_profile("http://h:9000", "my lab", overwrite=True)
    assert load_profiles()["my lab"][1]["uri"] == "http://h:9000"
    assert profiles.delete_profile("my lab") == made
    assert load_profiles() == {}
    write("a: {uri: http://a}\nb: {uri: http://b}")
    with pytest.raises(errors.Conflict, match="has 'b', too"):
        profiles.delete_profile("a")


@pytest.mark.parametrize(
    ("uri", "name", "said"),
    [("http://h", "../a", "no name"), ("http://h", "", "no name"), ("http://h?api_key=k", "a", "does not stand")],
)
def test_a_profile_that_should_not_be_is_not_made(uri: str, name: str, said: str, folders: dict[str, Path]) -> None:
    with pytest.raises(errors.Invalid, match=said):
        profiles.create_profile(uri, name)
    assert list(folders["user"].iterdir()) == []


def test_a_tree_in_this_process_is_opened_without_a_server(write: Write) -> None:
    write("lab: {direct: {trees: [{path: /, tree: 'tests.test_direct:A_TREE'}]}, max_connections: 3}")
    client = from_profile("lab")
    try:
        assert client["small"].read().tolist() == [0, 1, 2]
        assert client.context.max_connections == 3
    finally:
        client.context.close()
