"""Configuration files are found where they lie, read with care, and shown without their passwords."""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from databroker_like import utils
from databroker_like.errors import InvalidConfig, NoSuchConfig
from databroker_like.utils import Secret, describe_configs, list_configs, lookup_config


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of the user's configuration files."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    folder = tmp_path / "home" / ".config" / "databroker"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def environment(home: Path, tmp_path: Path) -> Path:
    """The folder of those of the Python environment."""
    folder = tmp_path / "env" / "etc" / "databroker"
    folder.mkdir(parents=True)
    return folder


def test_the_places_are_the_users_the_environments_and_the_machines(home: Path, environment: Path) -> None:
    assert (str(home), str(environment), "/etc/databroker") == utils.CONFIG_SEARCH_PATH
    with pytest.raises(AttributeError, match="CONFIG_SEARCH_PTH"):
        _ = utils.CONFIG_SEARCH_PTH


def test_configurations_are_listed_described_and_looked_up(home: Path, environment: Path) -> None:
    (home / "b.yml").write_text("description: mine\n")
    (home / "a.yaml").write_text("{}")
    (home / "notes.txt").write_text("no configuration")
    (environment / "b.yml").write_text("description: everybody's\n")
    (environment / "c.yml").write_text("description: 5\n")
    assert list_configs() == ["a", "b", "c"]
    assert list_configs([str(environment)]) == list_configs(paths=(str(environment),)) == ["b", "c"]
    assert describe_configs() == {"a": None, "b": "mine", "c": "5"}
    assert lookup_config("b") == lookup_config("b.yml") == {"description": "mine"}
    assert lookup_config("c") == {"description": 5}


def test_there_may_be_none(home: Path) -> None:
    assert list_configs() == []
    assert describe_configs() == {}
    with pytest.raises(FileNotFoundError, match=r"No config file named 'x\.yml'") as caught:
        lookup_config("x")
    assert str(home / "x.yml") in str(caught.value)
    assert isinstance(caught.value, KeyError)


def test_a_misspelt_name_is_answered_with_the_nearest(home: Path) -> None:
    (home / "calibration.yml").write_text("{}")
    with pytest.raises(NoSuchConfig, match="There is 'calibration'"):
        lookup_config("calibrtion")


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/passwd", "..", ".", "", "a\0b", "a\\b"])
def test_a_name_is_no_path(home: Path, name: str) -> None:
    (home.parent / "x.yml").write_text("{}")
    with pytest.raises(NoSuchConfig, match="is no name of a configuration file"):
        lookup_config(name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1", "is no YAML at line"),
        ("- 1", "holds list"),
        ("", "holds NoneType"),
        ("!!python/object/apply:os.system ['true']", "is no YAML"),
        ("a: " + "[" * 5000, "is no YAML"),
        ("a: " + "x" * 1_000_001, "more than 1000000"),
    ],
)
def test_a_file_that_is_no_configuration_says_so(home: Path, text: str, said: str) -> None:
    (home / "x.yml").write_text(text)
    (home / "y.yml").write_text("description: fine")
    with pytest.raises(InvalidConfig, match=said):
        lookup_config("x")
    with pytest.warns(UserWarning, match="has no description"):
        assert describe_configs() == {"x": None, "y": "fine"}


def test_a_file_that_cannot_be_read_says_so(home: Path) -> None:
    (home / "x.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidConfig, match="cannot be read"):
        lookup_config("x")


def test_a_file_that_names_itself_ends(home: Path) -> None:
    (home / "x.yml").write_text("a: &a {b: *a, mongo_pwd: swordfish}")
    assert "swordfish" not in repr(lookup_config("x"))
    bomb = "a0: &a0 {x: 1}\n" + "".join(
        f"a{n}: &a{n} {{p: *a{n - 1}, q: *a{n - 1}, r: *a{n - 1}}}\n" for n in range(1, 40)
    )
    (home / "x.yml").write_text(bomb)
    assert len(lookup_config("x")) == 40


def test_a_password_is_read_and_not_shown(home: Path) -> None:
    text = "a: {mongo_pwd: swordfish, uri: 'mongodb://me:swordfish@db/x', host: db}\npassword: swordfish\ntoken: 5\n"
    (home / "x.yml").write_text(text)
    config = lookup_config("x")
    assert config == yaml.safe_load(text)
    assert json.loads(json.dumps(config)) == config
    assert "swordfish" not in repr(config)
    assert "mongodb://me:***@db/x" in repr(config)
    assert "'host': 'db'" in repr(config)


@given(
    st.text("abcdef", min_size=1),
    st.text(st.characters(exclude_characters="/@?# ", min_codepoint=33, max_codepoint=126), min_size=1),
)
def test_a_secret_is_the_text_and_does_not_show_it(user: str, password: str) -> None:
    secret = Secret(f"mongodb://{user}:{password}@db/x")
    assert secret == f"mongodb://{user}:{password}@db/x"
    assert repr(secret) == f"'mongodb://{user}:***@db/x'"
    assert repr(Secret(password)) == "'***'" or "://" in password
    again = pickle.loads(pickle.dumps(secret))
    assert (again, type(again)) == (secret, Secret)


def test_a_folder_that_is_closed_is_passed_over(home: Path, environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (environment / "x.yml").write_text("{}")
    home.rmdir()
    home.write_text("no folder")
    assert list_configs() == ["x"]
    assert os.path.isfile(home)
