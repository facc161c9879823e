"""The node of the page on one's own format keeps the contract that the page has it inherit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_node_of_the_page_passes_the_tests_of_the_page(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "how-to" / "serve-your-own-format.md").read_text()
    files = re.findall(r"```python\n# ([\w.]+\.py)\n(.*?)```", text, re.DOTALL)
    assert [name for name, _ in files] == ["mylab_nodes.py", "test_mylab_nodes.py"]
    for name, code in files:
        (tmp_path / name).write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mylab_nodes.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"\d\d passed", done.stdout), done.stdout
