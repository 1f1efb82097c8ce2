"""Which data sets are there?"""

from __future__ import annotations

import numpy as np

from multilevel._typing import Frame
from multilevel.datasets.loading import DatasetInfo, infos
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind


def catalogue(frame: FrameKind = "pandas") -> Frame:
    """All data sets: name, title, rows, columns, factors with their numbers of levels, source, licence.

    >>> list(catalogue().columns)
    ['name', 'title', 'rows', 'columns', 'factors', 'r_name', 'source', 'licence']
    """
    known = infos()
    about = list(known.values())
    return to_frame(
        {
            "name": list(known),
            "title": [info.title for info in about],
            "rows": [info.rows for info in about],
            "columns": [len(info.columns) for info in about],
            "factors": [_factors(info) for info in about],
            "r_name": np.array([info.r_name for info in about], dtype=object),  # null where R has no such set
            "source": [info.source for info in about],
            "licence": [info.licence for info in about],
        },
        frame,
    )


def _factors(info: DatasetInfo) -> str:
    return ", ".join(f"{column.name} ({len(column.levels)})" for column in info.columns if column.levels)
