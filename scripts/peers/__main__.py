"""Record the runs of tests/data anew and have databroker 1.2.5, in an environment of its own, answer about them.

    python -m scripts.peers

Afterwards ``git diff tests/data`` shows what has changed; where nothing has, there is nothing to see.
"""

from __future__ import annotations

import os
import subprocess
import sys

from scripts.peers.environments import DATABROKER, DATABROKER_PACK, HERE, ROOT, make_environment


def main() -> None:
    """Make what is needed, record, ask."""
    data = ROOT / "tests" / "data"
    python = make_environment(DATABROKER)
    # What goes by the order of a set comes out the same each time.
    same_each_time = {**os.environ, "PYTHONHASHSEED": "0"}
    print("recording runs with the RunEngine", flush=True)
    subprocess.run([sys.executable, "-m", "scripts.peers.record_runs", data], check=True, cwd=ROOT)
    print("asking databroker 1.2.5 about them", flush=True)
    subprocess.run([python, HERE / "ask_databroker.py", data], check=True, env=same_each_time)
    subprocess.run([python, HERE / "ask_projector.py", data], check=True, env=same_each_time)
    subprocess.run([python, HERE / "ask_v1.py", data], check=True, env={**same_each_time, "TZ": "UTC"})
    print("packing some of them with databroker-pack 0.3.0", flush=True)
    python = make_environment(DATABROKER_PACK)
    subprocess.run([python, HERE / "make_packs.py", data], check=True, env=same_each_time)
    print(f"{data.relative_to(ROOT)} is made anew; git diff shows what changed", flush=True)


if __name__ == "__main__":
    main()
