"""Long series of replicates: block after block with a progress bar, until done or interrupted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from tqdm.auto import tqdm

Streams = Sequence[np.random.Generator]
T = TypeVar("T")

DELAY = 1.0  # seconds before a progress bar is shown unless told


def replicated(
    work: Callable[[Streams], T], streams: Streams, block: int, progress: bool | None, name: str
) -> tuple[list[T], bool]:
    """What `work` makes of blocks of streams, and whether Ctrl-C ended it early.

    Blocks have a size that does not depend on time or machine, so that the numbers do not either.
    """
    done: list[T] = []
    bar = tqdm(
        total=len(streams),
        desc=name,
        disable=progress is False,
        delay=0.0 if progress else DELAY,
        leave=False,
    )
    try:
        with bar:
            for first in range(0, len(streams), block):
                part = streams[first : first + block]
                done.append(work(part))
                bar.update(len(part))
    except KeyboardInterrupt:
        return done, True
    return done, False
