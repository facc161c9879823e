"""The environments of the peers: exactly the versions that are compared with, apart from those of this package."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

__all__ = ["DATABROKER", "DATABROKER_PACK", "HERE", "ROOT", "TILED", "make_environment", "python_of"]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: Where the environments lie; the name ends in the version, so that another version gets another.
_PEERS = ROOT / ".venv-peers"
DATABROKER = _PEERS / "databroker-1.2.5"
DATABROKER_PACK = _PEERS / "databroker-pack-0.3.0"
TILED = _PEERS / "tiled-0.2.20"


def python_of(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    return environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"


def make_environment(environment: Path) -> Path:
    """Make a virtual environment with exactly the required versions, unless it is there already.

    Parameters
    ----------
    environment : Path
        Where it lies; the file of its name beside this one is a list of ``name==version``.

    Returns
    -------
    Path
        Its interpreter.

    Raises
    ------
    subprocess.CalledProcessError
        When the packages cannot be installed; pip has said why.
    """
    requirements = HERE / f"{environment.name}.txt"
    done = environment / "installed.txt"
    wanted = requirements.read_text(encoding="utf-8")
    python = python_of(environment)
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making {environment.relative_to(ROOT)}: some minutes, once", flush=True)
    venv.EnvBuilder(with_pip=True, clear=True).create(environment)
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-qq", "--no-deps", "-r", requirements], check=True)
    subprocess.run([*pip, "check"], check=True, stdout=subprocess.DEVNULL)
    done.write_text(wanted, encoding="utf-8")
    return python
