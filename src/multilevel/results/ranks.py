"""Which ranks does a table of random effects show?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._options import Seed, checked_count, checked_seed, checked_switch
from multilevel._typing import Array
from multilevel.clusters.ranks import expected_ranks, rank_effects
from multilevel.clusters.shrinkage import Shrinkage
from multilevel.inference.wald import checked_level
from multilevel.report.explained import expected_rank_columns, rank_columns
from multilevel.report.tables import Columns

MOST_LEVELS = 2000  # whose pairs are compared without being asked: about 20 ms


def ranked_columns(
    parts: Sequence[Shrinkage], ranks: bool | None, level: float, n: int, seed: Seed
) -> Columns:
    """The columns of ranks beside those of the effects."""
    level, n, root = checked_level(level), checked_count("n", n), checked_seed(seed)
    if ranks is None:
        return expected_rank_columns([quick_ranks(part) for part in parts])
    if not checked_switch("ranks", ranks):
        return {}
    return rank_columns([rank_effects(part.value, part.std_error, level, n, root) for part in parts])


def quick_ranks(part: Shrinkage) -> Array:
    """Expected ranks (J, Q), or NaN where there are so many levels that the user should ask."""
    if len(part.value) > MOST_LEVELS:
        return np.full(part.value.shape, np.nan)
    return expected_ranks(part.value, part.std_error)
