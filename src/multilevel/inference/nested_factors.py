"""Do grouping factors lie within each other?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.design.design import Grouping


def lies_within(inner: Grouping, outer: Grouping) -> bool:
    """Whether each level of one factor meets one level of the other only."""
    home = np.empty(inner.n_levels, dtype=outer.codes.dtype)
    home[inner.codes] = outer.codes
    return bool((home[inner.codes] == outer.codes).all())


def nested_chain(groupings: Sequence[Grouping]) -> list[int] | None:
    """The factors from the outermost to the innermost, if each lies within the one before; else None."""
    order = sorted(range(len(groupings)), key=lambda k: groupings[k].n_levels)
    pairs = zip(order[1:], order[:-1], strict=True)
    return order if all(lies_within(groupings[i], groupings[o]) for i, o in pairs) else None
