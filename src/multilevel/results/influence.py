"""`fit.influence()`: what happens to a fit without each row, or each cluster, of its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from multilevel._typing import Array, Frame
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind
from multilevel.inference.influence import Influence
from multilevel.report.influence import LeftOut, influence_columns, influence_page
from multilevel.report.summary import Summary


@dataclass(frozen=True, slots=True, repr=False)
class InfluenceTable:
    """G deletions, and what each does to the estimates; NaN where nothing can be estimated without the rows.

    `frame` holds the table in the user's kind of frame; `table["cooks_distance"]` is one of its columns.
    """

    subject: LeftOut  # what was left out
    coef_names: tuple[str, ...]  # (p,) of a generalized mixed model with zi= those of zeros too
    found: Influence
    rows: Mapping[str, Array]  # what only single rows have: leverage, Cook's distance over the fitted values
    deviations: Mapping[str, Array]  # standard deviations (G,) of the random effects, dispersion, without
    notes: Mapping[int, str]  # deletion -> why there is no answer
    how: str  # "refitted", "variances held"
    kind: FrameKind

    @property
    def frame(self) -> Frame:
        """One row a deletion: cooks_distance, covratio, dfbetas__<coefficient>, dfbeta__..., sigma, ..."""
        return to_frame(self.columns(), self.kind)

    @property
    def dfbeta(self) -> Array:
        """Estimates of the fit less those without the rows: (G, p)."""
        return self.found.dfbeta

    @property
    def dfbetas(self) -> Array:
        """The same in standard errors of the fit without the rows: (G, p)."""
        return self.found.dfbetas

    @property
    def cooks_distance(self) -> Array:
        """Cook's distance (G,): for single rows of a mixed model over the fitted values, else over beta."""
        return np.asarray(self.columns()["cooks_distance"])

    def columns(self) -> dict[str, Any]:
        """The columns of the table by name."""
        return influence_columns(
            self.subject, self.coef_names, self.found, self.rows, self.deviations, self.notes
        )

    def __getitem__(self, column: str) -> Any:
        return self.columns()[column]

    def __len__(self) -> int:
        return len(self.subject.labels)

    def page(self) -> Summary:
        """The most influential rows or clusters, as text and HTML."""
        return influence_page(self.columns(), self.subject, self.coef_names, self.how, self.notes)

    def __str__(self) -> str:
        return str(self.page())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.page()._repr_html_()
