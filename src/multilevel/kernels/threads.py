"""One BLAS thread inside our own loops: the same bits on any number of threads, and no pools that fight."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from functools import cache

from threadpoolctl import ThreadpoolController

from multilevel.kernels import _core

SMALLEST_LARGE_TAIL = 48  # below it the core does not call BLAS (core/dense.cpp)


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # finding the loaded libraries takes a millisecond: once is enough


def one_blas_thread(tail_size: int) -> AbstractContextManager[object]:
    """A context in which BLAS runs on one thread, if a matrix of this size is given to BLAS at all."""
    if tail_size < SMALLEST_LARGE_TAIL:
        return nullcontext()
    context: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return context


def use_threads(count: int | None = None) -> int:
    """Set how many threads the core works on, and return it; by default all that this process may use.

    The environment variable MULTILEVEL_NUM_THREADS sets another default. Results do not depend on it.
    """
    if count is None:
        count = int(os.environ.get("MULTILEVEL_NUM_THREADS", available_cpus()))
    _core.set_threads(count)
    return _core.threads()


def available_cpus() -> int:
    """Processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
