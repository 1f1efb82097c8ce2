"""A table with words around it: it prints as a page, and hands out its columns and a frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from multilevel._typing import Frame
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind
from multilevel.report.summary import Summary


class PrintedTable(ABC):
    """`table.frame` is the user's own kind of frame, `table["p_value"]` one column, `print(table)` a page."""

    __slots__ = ()

    @property
    @abstractmethod
    def _kind(self) -> FrameKind:
        """The kind of frame that the user has."""

    @abstractmethod
    def columns(self) -> dict[str, Any]:
        """The columns of the table by name."""

    @abstractmethod
    def page(self) -> Summary:
        """The table as it prints, with what a reader should know."""

    @property
    def frame(self) -> Frame:
        """The table in the user's own kind of frame."""
        return to_frame(self.columns(), self._kind)

    def __getitem__(self, column: str) -> Any:
        return self.columns()[column]

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """For whatever reads Arrow: `polars.DataFrame(table)`, `pyarrow.table(table)`."""
        return self.frame.__arrow_c_stream__(requested_schema)

    def __str__(self) -> str:
        return str(self.page())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.page()._repr_html_()
