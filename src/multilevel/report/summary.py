"""`Summary`: what a fit says of itself, as blocks of formatted text that print and render as HTML."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from textwrap import fill

WIDTH = 88  # columns that notes are wrapped to


@dataclass(frozen=True, slots=True)
class Block:
    """A titled table of formatted cells: the first `n_labels` columns are text, the others numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_labels: int = 1

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        lines = [self._line(row, widths) for row in (self.header, *self.rows)]
        return "\n".join([self.title, *lines])

    def _line(self, cells: tuple[str, ...], widths: list[int]) -> str:
        padded = [
            cell.ljust(width) if column < self.n_labels else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return ("  " + "  ".join(padded)).rstrip()

    def html(self) -> str:
        """The block as an HTML table."""
        rows = "".join(self._html_row(row, "td") for row in self.rows)
        return (
            f"<table><caption>{escape(self.title)}</caption>"
            f"<thead>{self._html_row(self.header, 'th')}</thead><tbody>{rows}</tbody></table>"
        )

    def _html_row(self, cells: tuple[str, ...], tag: str) -> str:
        labels = [f"<{tag} class='label'>{escape(cell)}</{tag}>" for cell in cells[: self.n_labels]]
        numbers = [f"<{tag}>{escape(cell.strip())}</{tag}>" for cell in cells[self.n_labels :]]
        return f"<tr>{''.join(labels + numbers)}</tr>"


@dataclass(frozen=True, slots=True)
class Summary:
    """A fit on one page: `print` shows text, a notebook shows HTML."""

    title: str
    facts: tuple[tuple[str, str], ...]  # ("Formula", "y ~ x"), one line each
    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = ()  # sentences below the tables

    def __str__(self) -> str:
        facts = "\n".join(f"{name}: {value}" for name, value in self.facts)
        notes = "\n".join(fill(note, WIDTH, subsequent_indent="  ") for note in self.notes)
        parts = ["\n".join(filter(None, [self.title, facts])), *map(str, self.blocks), notes]
        return "\n\n".join(filter(None, parts))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        facts = "".join(
            f"<tr><th class='label'>{escape(n)}</th><td>{escape(v)}</td></tr>" for n, v in self.facts
        )
        blocks = "".join(block.html() for block in self.blocks)
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return (
            f"<div class='multilevel'><style>{STYLE}</style><h4>{escape(self.title)}</h4>"
            f"<table class='facts'><tbody>{facts}</tbody></table>{blocks}{notes}</div>"
        )


STYLE = (
    ".multilevel{font-family:sans-serif;font-size:0.9em}"
    ".multilevel h4{margin:0 0 .4em}"
    ".multilevel table{border-collapse:collapse;margin:0 0 .8em}"
    ".multilevel caption{text-align:left;font-weight:bold;padding:.2em 0;white-space:nowrap}"
    ".multilevel td,.multilevel th{padding:.15em .7em;text-align:right;border:0}"
    ".multilevel td{font-variant-numeric:tabular-nums}"
    ".multilevel thead th{border-bottom:1px solid currentColor}"
    ".multilevel .label,.multilevel .facts td{text-align:left;white-space:pre-wrap}"
    ".multilevel p{margin:.2em 0}"
)
