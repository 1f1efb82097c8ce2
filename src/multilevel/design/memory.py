"""Would a model matrix fit in memory? Asked before it is built."""

from __future__ import annotations

import os

from multilevel.errors import MemoryNeedError

USABLE_FRACTION = 0.8  # of what is available, so that the system keeps working
_BYTES_PER_NUMBER = 8
_NEVER_A_PROBLEM = 2**26  # bytes; asking the system takes longer than building so small a matrix


def available_memory() -> int | None:
    """Bytes that could be used now; None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            found = {name: value for name, _, value in (line.partition(":") for line in lines)}
        return int(found["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return _physical_memory()


def is_small(n_rows: int, n_columns: int) -> bool:
    """Whether a matrix is so small that it always fits."""
    return n_rows * n_columns * _BYTES_PER_NUMBER <= _NEVER_A_PROBLEM


def require_memory(n_rows: int, widths: dict[str, int]) -> None:
    """Refuse a matrix of n_rows and sum(widths) columns that would not fit; `widths` is by term."""
    n_columns = sum(widths.values())
    need = n_rows * n_columns * _BYTES_PER_NUMBER
    available = None if is_small(n_rows, n_columns) else available_memory()
    if available is not None and need > USABLE_FRACTION * available:
        raise MemoryNeedError(_refusal(n_rows, widths, _size(need), _size(available)))


def _refusal(n_rows: int, widths: dict[str, int], need: str, available: str) -> str:
    widest = max(widths, key=lambda term: widths[term])
    return (
        f"The model matrix would need {need} ({n_rows:,} rows by {sum(widths.values()):,} columns), and "
        f"{available} are available. Most of it is {widest!r} with {widths[widest]:,} columns: "
        f"a factor with that many levels belongs in a random effect, (1 | {widest})."
    )


def _physical_memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return None


def _size(n_bytes: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:,.3g} TB"
