"""The page "Write a handler" leads to a package that installs, is found, keeps the contract and reads a run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "write-a-handler.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.timeout(900)

#: The commands of the page, as they are typed, in this environment: no index, and a folder in place of site-packages.
COMMANDS = {
    "pip": 'exec {python} -m pip -qq "$@" --no-index --no-deps --no-build-isolation --target "$SITE"',
    "python": 'exec {python} "$@"',
    "pytest": 'exec {python} -m pytest -p no:cacheprovider "$@"',
}


@pytest.fixture
def typed(tmp_path):
    """``typed(commands)``: what they print, in the folder with the files of the page."""
    folder, site, commands = tmp_path / "mylab-handlers", tmp_path / "site", tmp_path / "commands"
    for made in (folder, site, commands):
        made.mkdir()
    for _, text in BLOCKS:
        name = re.match(r"# ([\w.-]+\.\w+)\n", text)
        if name:
            (folder / name[1]).write_text(text)
    for name, line in COMMANDS.items():
        script = commands / name
        script.write_text(f"#!/bin/sh\n{line.format(python=sys.executable)}\n")
        script.chmod(0o755)

    def run(text, where=folder):
        environment = {
            **os.environ,
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
            "SITE": str(site),
        }
        done = subprocess.run(["sh", "-e", "-c", text], cwd=where, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_page_leads_to_a_package_that_is_found_and_keeps_the_contract(typed, tmp_path):
    (commands,) = (text for language, text in BLOCKS if language == "sh")
    printed = typed(commands)
    assert "<class 'mylab_handlers.RawHandler'>" in printed
    rules = int(re.search(r"(\d+) passed", printed)[1])
    assert rules == 8
    assert "failed" not in printed

    # Elsewhere, without the sources, the installed package reads a run of a catalog that does not mention it.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    yml = next(text for language, text in BLOCKS if language == "yaml")
    without = re.sub(r"^ *handler_registry:\n.*\n", "", yml, flags=re.MULTILINE)
    assert "MYLAB_RAW" not in without
    (elsewhere / "beamline.yml").write_text(without)
    (elsewhere / "test_mylab_handlers.py").write_text(
        next(text for _, text in BLOCKS if text.startswith("# test_mylab_handlers.py"))
    )
    recording = next(text for language, text in BLOCKS if language == "python" and "compose_run" in text)
    (elsewhere / "use.py").write_text(
        recording + "\nprint(catalog[-1].primary.read()['image'].values[2, 0].tolist())\n"
        "import mylab_handlers; print(mylab_handlers.__file__)\n"
    )
    values, file = typed("python use.py", elsewhere).splitlines()
    assert values == "[40, 41, 42, 43, 44]"
    assert Path(file) == tmp_path / "site" / "mylab_handlers.py"


def test_the_contract_on_the_page_notices_a_wrong_handler(typed, tmp_path):
    module = tmp_path / "mylab-handlers" / "mylab_handlers.py"
    module.write_text(module.read_text().replace("frames[slices(box)]", "frames[slices(box)] + 1"))
    with pytest.raises(AssertionError, match="does not give what is there"):
        typed("pytest test_mylab_handlers.py")
