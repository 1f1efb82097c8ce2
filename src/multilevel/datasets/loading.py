"""How a packaged data set becomes a frame: one JSON of types and level orders, one CSV a set."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np

from multilevel._typing import Frame
from multilevel.frames.column import Categorical, Numeric, missing_mask
from multilevel.frames.output import Column, to_frame
from multilevel.frames.table import FrameKind

FOLDER = resources.files("multilevel.datasets") / "data"


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """What a column holds."""

    name: str
    type: Literal["double", "integer", "logical", "factor", "ordered"]
    description: str  # with its unit
    levels: tuple[str, ...] = ()  # of factors, in their own order


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What a data set is, and where it comes from."""

    title: str
    r_name: str | None  # its name in R, where it has one
    rows: int
    source: str
    licence: str
    columns: tuple[ColumnInfo, ...]


def load(name: str, kind: FrameKind) -> Frame:
    """One data set as a frame of the given kind."""
    columns = infos()[name].columns
    typed = {column.name: _typed(texts, column) for column, texts in zip(columns, _cells(name), strict=True)}
    return to_frame(typed, kind)


@cache
def infos() -> dict[str, DatasetInfo]:
    """Every data set by name, in alphabetical order."""
    entries = json.loads((FOLDER / "catalogue.json").read_text(encoding="utf-8"))
    return {name: _info(entry) for name, entry in entries.items()}


def _info(entry: Mapping[str, Any]) -> DatasetInfo:
    columns = [
        ColumnInfo(**{**column, "levels": tuple(column.get("levels", ()))}) for column in entry["columns"]
    ]
    return DatasetInfo(**{**entry, "columns": tuple(columns)})


def _cells(name: str) -> list[tuple[str, ...]]:
    """The text of every cell, column by column, without the header."""
    packed = (FOLDER / f"{name}.csv.gz").read_bytes()
    _header, *rows = csv.reader(io.StringIO(gzip.decompress(packed).decode("utf-8"), newline=""))
    return list(zip(*rows, strict=True))


def _typed(texts: Sequence[str], column: ColumnInfo) -> Column:
    """Cells (n,) as what the column's type says; an empty cell is missing."""
    match column.type:
        case "factor" | "ordered":
            code = {"": -1, **{level: i for i, level in enumerate(column.levels)}}
            codes = np.fromiter(map(code.__getitem__, texts), dtype=np.int32, count=len(texts))
            return Categorical(codes, column.levels, ordered=column.type == "ordered")
        case "logical":
            return np.array([text == "TRUE" for text in texts])
    values = np.array([float(text or "nan") for text in texts])
    return Numeric(values, integer=column.type == "integer", missing=missing_mask(np.isnan(values)))
