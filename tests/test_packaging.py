"""The distributions build and install, and say what is missing when an extra is not installed."""

from __future__ import annotations

import ast
import configparser
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from databroker_like import registry

ROOT = Path(__file__).parents[1]

#: Distribution -> what it is imported as, where the two differ.
IMPORTED_AS = {"pillow": "PIL", "ophyd-async": "ophyd_async"}

pytestmark = pytest.mark.timeout(900)


def _settings(folder: Path) -> configparser.ConfigParser:
    settings = configparser.ConfigParser(delimiters=("=",))
    settings.optionxform = str
    settings.read(folder / "setup.cfg")
    return settings


def _extras() -> dict[str, set[str]]:
    """Extra -> the distributions that it brings itself, without those of the extras it includes."""
    return {
        extra: {
            requirement.name
            for requirement in map(Requirement, filter(None, text.splitlines()))
            if requirement.name != "databroker-like"
        }
        for extra, text in _settings(ROOT)["options.extras_require"].items()
    }


def _python(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment},
        cwd=environment.get("PWD", ROOT),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["databroker-like", "handlers"])
def built(request, tmp_path_factory):
    """A copy of the distribution's sources, built: the folder that has its sdist and its wheel."""
    top = tmp_path_factory.mktemp("built")
    source = ROOT if request.param == "databroker-like" else ROOT / "handlers"
    copy = top / "source"
    nothing_made = shutil.ignore_patterns(
        ".git", ".venv*", ".*_cache", "__pycache__", "*.egg-info", "build", "dist", "demo-output", "_build"
    )
    shutil.copytree(source, copy, ignore=nothing_made)
    _python("-m", "build", "--no-isolation", "--outdir", str(top / "dist"), str(copy))
    return top / "dist"


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The wheel, alone in a folder of its own."""
    target = tmp_path_factory.mktemp("installed")
    (wheel,) = built.glob("*.whl")
    _python("-m", "pip", "install", "-qq", "--no-index", "--no-deps", "--target", str(target), str(wheel))
    return target


def _metadata(installed: Path):
    (info,) = installed.glob("*.dist-info")
    return info, Parser().parsestr((info / "METADATA").read_text())


def test_sdist_and_wheel_carry_the_code_the_licence_and_no_tests(built):
    (wheel,) = built.glob("*.whl")
    (sdist,) = built.glob("*.tar.gz")
    in_wheel = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith("LICENSE") for name in in_wheel)
    assert any(name.endswith("py.typed") for name in in_wheel)
    assert not [name for name in in_wheel if "test_" in name or name.startswith(("tests", "docs", "scripts"))]
    with tarfile.open(sdist) as archive:
        in_sdist = archive.getnames()
    assert any(name.endswith("setup.cfg") for name in in_sdist)
    modules = {name for name in in_wheel if name.endswith(".py")}
    assert modules <= {name.partition("/")[2] for name in in_sdist}
    assert modules


def test_the_installed_package_is_the_one_in_the_wheel(built, installed, tmp_path):
    _, metadata = _metadata(installed)
    package = next(p.name for p in sorted(installed.iterdir()) if (p / "__init__.py").exists())
    found = _python(
        "-c",
        "import importlib, importlib.metadata as m, sys;"
        f"print(importlib.import_module({package!r}).__file__); print(m.version({metadata['Name']!r}))",
        PYTHONPATH=str(installed),
        PWD=str(tmp_path),
    )
    file, version = found.splitlines()
    assert Path(file).is_relative_to(installed)
    assert version == metadata["Version"]


def test_metadata_has_every_extra_and_every_entry_point(built, installed):
    info, metadata = _metadata(installed)
    folder = ROOT if metadata["Name"] == "databroker-like" else ROOT / "handlers"
    settings = _settings(folder)
    extras = dict(settings["options.extras_require"]) if settings.has_section("options.extras_require") else {}
    assert set(metadata.get_all("Provides-Extra", [])) == set(extras)
    assert metadata["Requires-Python"] == ">=3.11"
    assert "BSD" in (metadata["License-Expression"] or metadata["License"])

    written = configparser.ConfigParser(delimiters=("=",))
    written.optionxform = str
    written.read(info / "entry_points.txt")
    assert {group: dict(written[group]) for group in written.sections()} == {
        group: dict(re.split(r"\s*=\s*", line, maxsplit=1) for line in text.strip().splitlines())
        for group, text in settings["options.entry_points"].items()
    }


@pytest.mark.parametrize("group", ["intake.drivers"])
def test_every_entry_point_of_ours_resolves(group):
    text = _settings(ROOT)["options.entry_points"][group]
    for line in filter(None, text.splitlines()):
        name, _, path = map(str.strip, line.partition("="))
        old = name.startswith("databroker.")
        with pytest.warns(UserWarning, match="is taken from") if old else contextlib.nullcontext():
            assert callable(registry.import_path(path))


@pytest.mark.parametrize("package", sorted(registry.EXTRAS))
def test_an_optional_package_is_in_the_extra_that_the_error_names(package):
    imported = {IMPORTED_AS.get(name, name) for name in _extras()[registry.EXTRAS[package]]}
    assert package in imported


@pytest.mark.parametrize("extra", ["files", "zarr", "mongo", "distributed", "testing", "demo"])
def test_everything_an_extra_brings_is_known_to_the_errors(extra):
    brought = {IMPORTED_AS.get(name, name) for name in _extras()[extra]}
    assert brought <= set(registry.EXTRAS)


def _required() -> set[str]:
    """The packages that the code asks `registry.require` for."""
    found = set()
    for file in (ROOT / "databroker_like").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "require":
                package = node.args[0]
                if isinstance(package, ast.Constant):
                    found.add(str(package.value).partition(".")[0])
    return found


def test_every_package_that_is_asked_for_by_name_has_its_extra():
    assert _required() - {"json"} <= set(registry.EXTRAS)


#: What a user does -> the packages that are not there -> the extra that the error must name.
FEATURES = {
    "an HDF5 file": ("h5py", "files", "from databroker_like.files.hdf5 import HDF5Array as A; A({file!r}, 'x')[:]"),
    "a TIFF file": ("tifffile", "files", "from databroker_like.files.tiff import TIFFArray as A; A({file!r})[:]"),
    "a JPEG file": ("PIL", "files", "from databroker_like.files.jpeg import JPEGArray as A; A({file!r})[:]"),
    "a Zarr array": ("zarr", "zarr", "from databroker_like.files.zarr import ZarrArray as A; A({file!r})[:]"),
    "a driver's contract": ("pytest", "testing", "from databroker_like.testing import DriverContract"),
    "a handler's contract": ("pytest", "testing", "from databroker_like.testing import HandlerContract"),
}

_BLOCKED = """
import importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
"""

_ASKED = """
from databroker_like.errors import MissingExtra
try:
    {code}
except MissingExtra as error:
    print(error)
"""


@pytest.mark.parametrize("package", sorted(registry.EXTRAS))
def test_without_the_package_the_error_is_the_command_that_installs_it(package):
    code = f"from databroker_like import registry; registry.require({package!r}, 'do this')"
    printed = _python("-c", _BLOCKED.format(package=package) + _ASKED.format(code=code), PYTHONPATH=str(ROOT))
    assert f"pip install 'databroker-like[{registry.EXTRAS[package]}]'" in printed


@pytest.mark.parametrize("feature", sorted(FEATURES))
def test_a_feature_without_its_extra_names_it(feature, tmp_path):
    package, extra, code = FEATURES[feature]
    file = tmp_path / "file"
    file.write_bytes(b"\x89HDF\r\n\x1a\n")
    asked = _ASKED.format(code=code.format(file=str(file)))
    printed = _python("-c", _BLOCKED.format(package=package) + asked, PYTHONPATH=str(ROOT))
    assert f"pip install 'databroker-like[{extra}]'" in printed


def test_the_package_imports_with_only_what_it_requires():
    """Importing every public module, with all the optional packages blocked, needs none of them."""
    optional = set(registry.EXTRAS)
    blocked = "".join(_BLOCKED.format(package=package) for package in sorted(optional))
    modules = ["databroker_like", "databroker_like.core", "databroker_like.v2", "databroker_like.queries",
               "databroker_like.utils", "databroker_like.drivers.jsonl", "databroker_like.drivers.msgpack",
               "databroker_like.drivers.in_memory"]  # fmt: skip
    imports = f"import importlib\nfor name in {modules!r}: importlib.import_module(name)\nprint('imported')"
    assert "imported" in _python("-c", blocked + imports, PYTHONPATH=str(ROOT))
