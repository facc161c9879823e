"""Every example of README.md and docs/ runs, page by page, in an empty folder.

A fenced ``python`` block (or a notebook's ``code-cell``) is executed, or checked as a doctest where it has prompts.
A block of any language whose first line is a comment with a file name (``# beamline.yml``) becomes that file.
"""

from __future__ import annotations

import doctest
import re
import sys
from pathlib import Path

import pytest
from sybil import Document, Example
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.abstract.doctest import DocTestStringParser
from sybil.parsers.myst import CodeBlockParser
from sybil.region import Lexeme, Region

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]

_FILE_NAME = re.compile(r"#\s+([\w.-]+\.(?:yml|yaml|py|cfg|toml|json))\n")
_DOCTEST = DocTestStringParser(DocTestEvaluator(doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE))


def _python(document: Document):
    """Python blocks: files to write, sessions to check, code to run."""
    for language in ("python", "{code-cell} ipython3", "{code-cell}"):
        for region in CodeBlockParser(language, PythonEvaluator())(document):
            region.parsed = _without_options(region.parsed)
            source = str(region.parsed)
            if _FILE_NAME.match(source):
                yield Region(region.start, region.end, region.parsed, _write)
            elif ">>> " in source:
                for session in _DOCTEST(source, document.path):
                    session.adjust(region, region.parsed)
                    yield session
            else:
                yield region


def _without_options(source: Lexeme) -> Lexeme:
    """The code of a notebook's cell: its ``:tags:`` lines become comments, so that line numbers stay."""
    return Lexeme(re.sub(r"^:", "#", source, flags=re.MULTILINE), source.offset, source.line_offset)


def _files(document: Document):
    for language in ("yaml", "toml", "cfg", "ini"):
        for region in CodeBlockParser(language, _write)(document):
            if _FILE_NAME.match(str(region.parsed)):
                yield region


def _write(example: Example) -> None:
    text = str(example.parsed)
    Path(_FILE_NAME.match(text)[1]).write_text(text)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_example_of_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    before = set(sys.modules)
    document = Document.parse(str(page), _python, _files)
    try:
        for example in document.examples():
            example.evaluate()
    finally:
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(tmp_path):
                del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_to_another_page_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text)
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


def test_the_readme_says_what_comes_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = Document.parse(str(ROOT / "README.md"), _python)
    for example in document.examples():
        example.evaluate()
    run, data = document.namespace["run"], document.namespace["data"]
    assert list(run) == ["primary"]
    assert list(data) == ["det", "motor", "motor_setpoint"]
    assert data["det"].values.round(3).tolist() == [0.607, 0.882, 1.0, 0.882, 0.607]
    assert document.namespace["found"].metadata["start"]["uid"] == run.metadata["start"]["uid"]
