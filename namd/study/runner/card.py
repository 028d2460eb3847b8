"""The GPU of this machine, which notebooks side by side have to share."""

import os
import shutil
import subprocess

ASK = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")
PATIENCE = 60           # seconds; a driver that wakes up takes several, one that is broken may never answer


def memory_mb() -> int:
    """MB (1e6 bytes) of the card that notebooks take here, the first they may see; 0 where none is or answers.

    Source: nvidia-smi, because torch would hold memory of the card from then on.
    """
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if seen == "" or shutil.which(ASK[0]) is None:
        return 0
    which = ["--id", seen.split(",")[0]] if seen else []
    try:
        done = subprocess.run([*ASK, *which], capture_output=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    first = done.stdout.partition(b"\n")[0].strip()
    return int(int(first) * 2**20 / 1e6) if done.returncode == 0 and first.isdigit() else 0
