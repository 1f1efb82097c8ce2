"""Type names shared by the whole package."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]  # real numbers: data, parameters, results
Codes = npt.NDArray[np.int32]  # group codes 0 .. J-1; -1 marks a missing label
Mask = npt.NDArray[np.bool_]
Frame = Any  # any data frame that narwhals reads, or a mapping of arrays
