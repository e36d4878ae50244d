"""One training in several processes, on one host or on many: who prepares, and who waits.

Every process runs the same command. The first one prepares the data and writes the run folder,
which all hosts must see; the others wait for it, learn their share of every batch, and end when the
training ends. Nothing here needs torch.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path

RUN_VARIABLE = "RECURRENT_SUITE_RUN"  # the environment's: where the first process writes
PATIENCE = 24 * 3600.0  # seconds that the others wait for the first one's preparation
_LOOK = 0.05


def is_first_process() -> bool:
    """Whether this is the one that prepares and writes; known before any are connected."""
    if (rank := os.environ.get("RANK")) is not None:  # torchrun's
        return rank == "0"
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "NODE_RANK"))


def name_run(path: Path) -> None:
    """Tell the processes that this one will start where it writes."""
    os.environ[RUN_VARIABLE] = str(path)


def named_run(run: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the first process writes: for the others.

    Raises:
        ValueError: Nobody says.
    """
    if run is None and RUN_VARIABLE not in environment:
        raise ValueError("several processes train together; give --run, the same to each")
    return run or Path(environment[RUN_VARIABLE])


def wait_for(path: Path) -> None:
    """Wait until the first process has written a file or a folder.

    Raises:
        TimeoutError: It does not come, or this host does not see the first one's disk.
    """
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path}: the first process did not write it; share the disk")
        time.sleep(_LOOK)
