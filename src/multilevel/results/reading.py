"""`fit.check()`: what an expert would see in a fit, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from multilevel._typing import Frame
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind
from multilevel.inference.finding import NOTE, Finding
from multilevel.report.checks import check_columns, checks_page
from multilevel.report.summary import Summary

LOOKS = (
    f"These are looks, not tests: each would raise a note in about 1 of {1.0 / NOTE:.0f} data sets where all"
    " is well, and there are several. Plot the residuals before acting on one."
)


@dataclass(frozen=True, slots=True, repr=False)
class Checks:
    """Looks at a fit: what each found and what to do about it.

    `frame` holds a row a look; `checks["status"]` is one of its columns; printing tells what deserves notice.
    """

    formula: str
    findings: tuple[Finding, ...]
    left_out: tuple[str, ...]  # what was not looked at
    kind: FrameKind

    @property
    def frame(self) -> Frame:
        """One row a look: check, status (ok, note, warn), statistic, p_value, message."""
        return to_frame(self.columns(), self.kind)

    def columns(self) -> dict[str, Any]:
        """The columns of the table by name."""
        return check_columns(self.findings)

    def __getitem__(self, column: str) -> Any:
        return self.columns()[column]

    def page(self) -> Summary:
        """What deserves notice, as text and HTML."""
        left_out = [f"Not looked at: {', '.join(self.left_out)}."] if self.left_out else []
        return checks_page(self.formula, self.findings, [*left_out, LOOKS])

    def __str__(self) -> str:
        return str(self.page())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.page()._repr_html_()
