"""One BLAS thread inside our own loops: the same bits on any number of threads, and no pools that fight."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache

from threadpoolctl import ThreadpoolController

SMALLEST_LARGE_TAIL = 48  # below it the core does not call BLAS (core/lapack.cpp)


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # finding the loaded libraries takes a millisecond: once is enough


def one_blas_thread(tail_size: int) -> AbstractContextManager[object]:
    """A context in which BLAS runs on one thread, if a matrix of this size is given to BLAS at all."""
    if tail_size < SMALLEST_LARGE_TAIL:
        return nullcontext()
    context: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return context
