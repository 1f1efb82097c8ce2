"""On what was it measured?"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from benchmarks.processes import memory_of_machine


def processor() -> str:
    """The name of the processor."""
    information = Path("/proc/cpuinfo")
    if not information.exists():
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1] for line in information.read_text().splitlines() if "model name" in line]
    return names[0].strip() if names else platform.machine()


def r_version() -> str:
    """R and the BLAS it uses, on which lme4's and glmmTMB's times depend."""
    if shutil.which("Rscript") is None:
        return "none"
    ask = "cat(R.version$version.string, '; BLAS', basename(extSoftVersion()[['BLAS']]))"
    return subprocess.run(["Rscript", "-e", ask], capture_output=True, text=True, check=True).stdout


def describe() -> dict[str, str]:
    """What the table says of the machine."""
    return {
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory_of_machine() / 1024:.0f} GB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "R": r_version(),
    }
