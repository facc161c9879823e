"""The rules of the house that no linter checks."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "databroker_like"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [
    *MODULES,
    *(file for folder in ("scripts", "benchmarks", "handlers") for file in sorted((ROOT / folder).rglob("*.py"))),
]
SOURCES = [file for file in SOURCES if "build" not in file.relative_to(ROOT).parts]

#: About 400 lines: a file above this many holds two nouns.
MOST_LINES = 480


def _names(files):
    return [str(file.relative_to(ROOT)) for file in files]


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


@pytest.mark.parametrize("file", SOURCES, ids=_names(SOURCES))
def test_every_module_says_what_it_is(file):
    assert not file.read_text().strip() or ast.get_docstring(_tree(file))


@pytest.mark.parametrize("file", SOURCES, ids=_names(SOURCES))
def test_every_module_is_short(file):
    lines = len(file.read_text().splitlines())
    assert lines <= MOST_LINES


def _public(body: list[ast.stmt]):
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
            if not any(name == "overload" or name.endswith(".setter") for name in decorators):
                yield node


#: The modules whose names a user imports, from there or from the package above.
FOR_USERS = [file for file in MODULES if not file.name.startswith("_") or file.parent.name in ("core", "testing")]


@pytest.mark.parametrize("file", MODULES, ids=_names(MODULES))
def test_every_class_and_function_is_documented(file):
    assert not [node.name for node in _public(_tree(file).body) if not ast.get_docstring(node)]


@pytest.mark.parametrize("file", FOR_USERS, ids=_names(FOR_USERS))
def test_every_method_for_users_is_documented(file):
    """An override may leave it to what it overrides, and a test's name is a sentence of its own."""
    missing = [
        f"{node.name}.{method.name}"
        for node in _public(_tree(file).body)
        if isinstance(node, ast.ClassDef) and not node.bases
        for method in _public(node.body)
        if not ast.get_docstring(method) and not method.name.startswith("test_")
    ]
    assert not missing


def _catches_anything(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or ast.unparse(handler.type) in ("Exception", "BaseException")


@pytest.mark.parametrize("file", SOURCES, ids=_names(SOURCES))
def test_no_error_is_swallowed_unseen(file):
    """A named error may stand for another way to go on; any error at all may not."""
    swallowed = [
        handler.lineno
        for handler in ast.walk(_tree(file))
        if isinstance(handler, ast.ExceptHandler)
        and _catches_anything(handler)
        and all(isinstance(statement, ast.Pass | ast.Continue) for statement in handler.body)
    ]
    assert not swallowed


@pytest.mark.parametrize("file", MODULES, ids=_names(MODULES))
def test_no_import_of_our_own_is_hidden_in_a_function(file):
    hidden = [
        inner.lineno
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if (isinstance(inner, ast.ImportFrom) and (inner.module or "").startswith("databroker_like"))
        or (isinstance(inner, ast.Import) and any(a.name.startswith("databroker_like") for a in inner.names))
    ]
    assert not hidden


def _dotted(file: Path) -> str:
    inside = file.relative_to(PACKAGE).with_suffix("")
    return ".".join(("databroker_like", *(part for part in inside.parts if part != "__init__")))


def _imported(file: Path) -> set[str]:
    """The modules that a file imports, or names in a table of what is loaded late."""
    text = file.read_text()
    return {_dotted(other) for other in MODULES if re.search(rf"\b{re.escape(_dotted(other))}\b", text)}


def _tested() -> set[str]:
    """Modules with a test file of their name in the same place, or that a test imports; and their private parts."""
    tests = {file: file.read_text() for file in (ROOT / "tests").rglob("*.py") if file != Path(__file__)}
    # Every sample catalog is opened by the tests.
    tests |= {file: file.read_text() for file in (ROOT / "catalogs").glob("*.yml")}
    named = set()
    for file in MODULES:
        folder, stem = ROOT / "tests" / file.relative_to(PACKAGE).parent, file.stem.lstrip("_")
        if any(re.fullmatch(rf"test_{stem}(_\w+)?", test.stem) for test in tests if test.parent == folder) or any(
            re.search(rf"\b{re.escape(_dotted(file))}\b", text) for text in tests.values()
        ):
            named.add(_dotted(file))
    files = {_dotted(file): file for file in MODULES}
    waiting, found = list(named), set(named)
    while waiting:
        for name in _imported(files[waiting.pop()]) - found:
            if files[name].name.startswith("_"):
                found.add(name)
                waiting.append(name)
    return found


def test_every_module_is_reached_by_the_tests_of_its_place():
    """Tests mirror the package; a private part may be tested through the neighbour that it is a part of."""
    with_code = {
        _dotted(file)
        for file in MODULES
        if file.name != "__init__.py"
        and any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in _tree(file).body)
    }
    untested = sorted(with_code - _tested())
    assert untested == []


def test_every_folder_of_the_package_has_its_folder_of_tests():
    folders = {file.parent.relative_to(PACKAGE) for file in MODULES}
    without = [str(folder) for folder in folders if not list((ROOT / "tests" / folder).glob("test_*.py"))]
    assert not without


def test_test_files_have_names_of_their_own():
    names = [file.name for file in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))


def test_the_readme_says_two_commands_and_the_makefile_has_them():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    commands = re.findall(r"^make (\w+)$", "\n".join(re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)), re.MULTILINE)
    assert commands == ["demo", "test"]
    for target in ("demo", "test", "lint", "bench", "peers", "interop", "docs", "clean"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def _git_grep(*patterns: str) -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    arguments = [argument for pattern in patterns for argument in ("-e", pattern)]
    done = subprocess.run(
        ["git", "grep", "-nIiE", *arguments, "--", ".", ":!tests/test_house.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


def test_no_tracked_file_names_a_registry_host_or_a_path_of_one_machine():
    found = _git_grep(
        r"pypi\.org",
        r"pythonhosted",
        r"/home/[a-z]",
        r"/Users/[a-z]",
        r"(^|[^a-z.])/root/",
        re.escape(f"{ROOT}/"),
        r"/opt/(wheels|pypi)",
    )
    assert not found


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_module_runs_text_as_code(file: Path) -> None:
    called = {node.func.id for node in ast.walk(_tree(file)) if isinstance(node, ast.Call) and hasattr(node.func, "id")}
    assert not called & {"eval", "exec", "compile"}
