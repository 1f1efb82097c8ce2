"""Objects that print as a page and hold one table."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from multilevel.report.summary import Summary
from multilevel.report.tables import Columns


class Page:
    """`print` shows the page, a notebook its HTML, and `result["column"]` one column of the table."""

    __slots__ = ()

    @abstractmethod
    def columns(self) -> Columns:
        """The columns of the table by name."""

    @abstractmethod
    def page(self) -> Summary:
        """What is printed."""

    def __getitem__(self, column: str) -> Any:
        return self.columns()[column]

    def __str__(self) -> str:
        return str(self.page())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.page()._repr_html_()
