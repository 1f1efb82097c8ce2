"""Run one worker in a process of its own, with an end to its time and its memory."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker may take."""

    seconds: float
    megabytes: float


def memory_of_machine() -> float:
    """Physical memory (MB)."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20


def resident(pid: int) -> float:
    """What a process holds in memory (MB); 0 where the system does not say."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def overstepped(worker: subprocess.Popen[bytes], limits: Limits) -> str | None:
    """Wait for a worker to end; the limit it overstepped, if one, in words."""
    deadline = time.monotonic() + limits.seconds
    while worker.poll() is None:
        if time.monotonic() > deadline:
            return f"not done after {limits.seconds:.0f} s"
        if resident(worker.pid) > limits.megabytes:
            return f"more than {limits.megabytes / 1024:.0f} GB of memory"
        time.sleep(0.25)
    return None


def complaint(log: Path, code: int) -> str:
    """Why a worker failed: the last thing it said."""
    said = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    halted = [line for line in said if "Execution halted" not in line]
    return halted[-1][:200] if halted else f"stopped with code {code}"


def run(command: Sequence[str | Path], limits: Limits, log: Path) -> str | None:
    """Run a worker to its end; None if all went well, otherwise why not."""
    with log.open("wb") as output:
        worker = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            reason = overstepped(worker, limits)
        finally:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)
            code = worker.wait()
    if reason is not None or code == 0:
        return reason
    return f"failed: {complaint(log, code)}"
