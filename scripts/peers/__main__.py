"""Record the runs of tests/data anew and have databroker 1.2.5, in an environment of its own, answer about them.

    python -m scripts.peers

Afterwards ``git diff tests/data`` shows what has changed; where nothing has, there is nothing to see.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: Where the environments lie; the name ends in the version, so that another version gets another.
PEERS = ROOT / ".venv-peers"
DATABROKER = PEERS / "databroker-1.2.5"
DATABROKER_PACK = PEERS / "databroker-pack-0.3.0"


def python_of(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    return environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"


def make_environment(environment: Path, requirements: Path) -> Path:
    """Make a virtual environment with exactly the required versions, unless it is there already.

    Parameters
    ----------
    environment : Path
        Where it lies.
    requirements : Path
        A list of ``name==version``.

    Returns
    -------
    Path
        Its interpreter.
    """
    done = environment / "installed.txt"
    wanted = requirements.read_text(encoding="utf-8")
    python = python_of(environment)
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making {environment.relative_to(ROOT)}", flush=True)
    venv.EnvBuilder(with_pip=True, clear=True).create(environment)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", requirements], check=True)
    subprocess.run([python, "-m", "pip", "check"], check=True)
    done.write_text(wanted, encoding="utf-8")
    return python


def main() -> None:
    """Make what is needed, record, ask."""
    data = ROOT / "tests" / "data"
    python = make_environment(DATABROKER, HERE / "databroker-1.2.5.txt")
    print("recording runs with the RunEngine", flush=True)
    subprocess.run([sys.executable, "-m", "scripts.peers.record_runs", data], check=True, cwd=ROOT)
    print("asking databroker 1.2.5 about them", flush=True)
    subprocess.run([python, HERE / "ask_databroker.py", data], check=True, env={**os.environ, "PYTHONHASHSEED": "0"})
    subprocess.run([python, HERE / "ask_projector.py", data], check=True)
    utc = {**os.environ, "PYTHONHASHSEED": "0", "TZ": "UTC"}
    subprocess.run([python, HERE / "ask_v1.py", data], check=True, env=utc)
    print("packing some of them with databroker-pack 0.3.0", flush=True)
    python = make_environment(DATABROKER_PACK, HERE / "databroker-pack-0.3.0.txt")
    subprocess.run([python, HERE / "make_packs.py", data], check=True)
    print(f"{data.relative_to(ROOT)} is made anew; git diff shows what changed", flush=True)


if __name__ == "__main__":
    main()
