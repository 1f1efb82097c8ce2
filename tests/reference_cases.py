"""The reference answers from R, for tests: cases by name, their data, and R's coefficient names in ours.

    case = load_case("lmm_sleepstudy_m2_reml")
    data = case_data(case)

What the fields of a case mean is written in `reference/README.md`.
"""

from __future__ import annotations

import ast
import json
import lzma
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

REFERENCE = Path(__file__).resolve().parent / "reference"
FAMILIES = tuple(sorted(path.name.split(".")[0] for path in (REFERENCE / "cases").glob("*.json.xz")))

Case = dict[str, Any]
Contrasts = Mapping[str, str]


def case_names(prefix: str = "") -> list[str]:
    """Names of the cases that begin with `prefix`, in alphabetical order."""
    first = prefix.split("_", maxsplit=1)[0]
    families = [family for family in FAMILIES if family.startswith(first)]
    return sorted(name for family in families for name in _family(family) if name.startswith(prefix))


def load_case(name: str) -> Case:
    """One case. It is shared between tests: read it, never change it."""
    case: Case = _family(name.split("_", maxsplit=1)[0])[name]
    return case


def load_data(name: str) -> pd.DataFrame:
    """One data set under R's name, with R's level orders; a copy of its own for every caller."""
    return _data(name).copy()


def case_data(case: Case) -> pd.DataFrame:
    """The rows a case was fitted to, before rows with missing values are dropped."""
    data = load_data(case["data"]["name"])
    subset = case["spec"].get("subset")
    return data if subset is None else data[data.eval(_python_condition(subset))]


def warnings_about(name: str) -> list[str]:
    """Why R's own answer to a case deserves care; empty for nearly all."""
    known: dict[str, list[str]] = json.loads((REFERENCE / "trust.json").read_text(encoding="utf-8"))["cases"]
    return known.get(name, [])


def to_formulaic_names(
    r_names: Sequence[str], data: pd.DataFrame, contrasts: Contrasts | None = None
) -> list[str]:
    """R's coefficient names of one model (or one random term) as formulaic writes them.

    `contrasts` is R's, by column: {"cond": "contr.sum"}. The parts of an interaction stay in R's order,
    which may differ from formulaic's: compare with `name_key`, or use `align_names`.
    """
    split = [[_Part.of(text, data, contrasts or {}) for text in _split(name)] for name in r_names]
    full = {(_term(parts), part.factor) for parts in split for part in parts if part.is_reference}
    return [
        ":".join(part.formulaic((_term(parts), part.factor) in full) for part in parts) for parts in split
    ]


def name_key(name: str) -> frozenset[str]:
    """The parts of a coefficient name, whatever their order: a:b and b:a are one coefficient."""
    return frozenset(_split(name))


def align_names(
    r_names: Sequence[str], ours: Iterable[str], data: pd.DataFrame, contrasts: Contrasts | None = None
) -> list[int]:
    """Position in `ours` of each of R's coefficients; a KeyError names one that we do not have."""
    position = {name_key(name): i for i, name in enumerate(ours)}
    return [position[name_key(name)] for name in to_formulaic_names(r_names, data, contrasts)]


@cache
def _family(family: str) -> dict[str, Case]:
    cases: dict[str, Case] = _read_json(REFERENCE / "cases" / f"{family}.json.xz")
    return cases


@cache
def _shapes() -> dict[str, Any]:
    shapes: dict[str, Any] = _read_json(REFERENCE / "data" / "datasets.json.xz")
    return shapes


@cache
def _data(name: str) -> pd.DataFrame:
    path = REFERENCE / "data" / f"{name}.csv.xz"
    text = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])  # numbers are read by Python
    return pd.DataFrame({c["name"]: _typed(text[c["name"]], c) for c in _shapes()[name]["columns"]})


def _typed(text: pd.Series, column: Mapping[str, Any]) -> pd.Series:
    match column["type"]:
        case "factor" | "ordered" as kind:
            return text.astype(pd.CategoricalDtype(column["levels"], ordered=kind == "ordered"))
        case "logical":
            return text == "TRUE"
        case "integer" if text.notna().all():
            return text.astype(int)
    return text.astype(float)


def _read_json(path: Path) -> Any:
    return json.loads(lzma.decompress(path.read_bytes()))


def _python_condition(r_condition: str) -> str:
    """R's row condition as pandas evaluates it: `%%` is modulo, `!` before a bracket is not."""
    return re.sub(r"!\s*\(", "not (", r_condition).replace("%%", "%")


def _split(name: str) -> list[str]:
    """Parts of an interaction: split at the colons that stand outside all brackets."""
    parts, depth = [""], 0
    for character in name:
        depth += (character in "([") - (character in ")]")
        if character == ":" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


class _Part:
    """One part of an R coefficient name: a number, or a factor with its contrast."""

    def __init__(self, factor: str, coded: str | None, full: str | None, is_reference: bool = False) -> None:
        self.factor = factor
        self.coded = coded  # what formulaic puts in brackets under a contrast; None for numbers
        self.full = full  # the same when every level has a column
        self.is_reference = is_reference  # the level that treatment contrasts leave out

    @classmethod
    def of(cls, text: str, data: pd.DataFrame, contrasts: Contrasts) -> _Part:
        if text == "(Intercept)":
            return cls("Intercept", None, None)
        if text in data.columns:
            return cls(text, None, None)
        called = re.fullmatch(r"(factor|poly)\((.*)\)(.*)", text)
        if called and called[1] == "poly":
            return cls(f"poly({called[2]})", called[3], called[3])
        if called:
            levels = [f"{level:g}" for level in sorted(data[called[2]].dropna().unique())]
            return cls._coded(f"factor({called[2]})", called[3], levels, "contr.treatment")
        for column in sorted(data.columns, key=len, reverse=True):  # the longest name that fits
            if text.startswith(column) and isinstance(data[column].dtype, pd.CategoricalDtype):
                levels = list(data[column].cat.categories)
                usual = "contr.poly" if data[column].cat.ordered else "contr.treatment"
                return cls._coded(column, text.removeprefix(column), levels, contrasts.get(column, usual))
        return cls(ast.unparse(ast.parse(text.replace("^", "**"))), None, None)

    @classmethod
    def _coded(cls, factor: str, suffix: str, levels: list[str], contrast: str) -> _Part:
        match contrast:  # sums and Helmert contrasts are numbered, whatever the levels are called
            case "contr.sum" if suffix.isdecimal():
                return cls(factor, f"S.{levels[int(suffix) - 1]}", None)
            case "contr.helmert" if suffix.isdecimal():
                return cls(factor, f"H.{levels[int(suffix)]}", None)
            case "contr.poly" if suffix not in levels:
                return cls(factor, suffix, None)
        return cls(factor, f"T.{suffix}", suffix, suffix == levels[0])

    def formulaic(self, full: bool) -> str:
        bracket = self.full if full else self.coded
        return self.factor if bracket is None else f"{self.factor}[{bracket}]"


def _term(parts: Iterable[_Part]) -> frozenset[str]:
    return frozenset(part.factor for part in parts)
