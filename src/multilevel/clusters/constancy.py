"""Is a column the same in all rows of a level?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from multilevel.design.design import Grouping


def first_rows_of(grouping: Grouping) -> npt.NDArray[np.intp]:
    """One row of each level (J,)."""
    rows = np.empty(grouping.n_levels, dtype=np.intp)
    rows[grouping.codes[::-1]] = np.arange(len(grouping.codes) - 1, -1, -1)
    return rows


def constant_within(grouping: Grouping, rows: npt.NDArray[np.intp], values: npt.NDArray[np.generic]) -> bool:
    """Whether values (n,) are the same in all rows of a level; `rows` has one row of each."""
    head = slice(0, 4096)  # what varies mostly varies soon
    representative = values[rows]
    codes = grouping.codes
    if not np.array_equal(representative[codes[head]], values[head]):
        return False
    return bool(np.array_equal(representative[codes], values))
