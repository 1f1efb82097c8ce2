"""Are these labels numbers that came as text, and does it matter?"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

from multilevel.design.expressions import Value
from multilevel.design.factor import Factor
from multilevel.errors import DataError, MultilevelWarning

_NUMBER = re.compile(r"\s*[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?\s*")
_DIGITS = re.compile(r"(\d+(?:\.\d+)?)")
_LABELLED = re.compile(r".*\[(?:T\.)?(?P<label>[^\[\]]*)\]")  # Days[T.10]
_FEWEST = 10  # this many levels or fewer are taken for a factor
_MANY = 1 / 4  # of the rows, for labels that read as numbers
_NEARLY_ALL = 0.9


def read_as_numbers(labels: Sequence[object]) -> bool:
    """Whether nearly all labels are text that reads as a number."""
    texts = [label for label in labels if isinstance(label, str)]
    readable = sum(_NUMBER.fullmatch(text) is not None for text in texts)
    return bool(texts) and readable >= _NEARLY_ALL * len(labels)


def natural_order(labels: Sequence[str]) -> list[int] | None:
    """Places of labels in the order of the numbers in them; None where they differ in more than numbers.

    >>> natural_order(["week 11", "week 2", "week 4"])
    [1, 2, 0]
    >>> natural_order(["before", "week 2"]) is None
    True
    """
    parts = [_DIGITS.split(label.casefold()) for label in labels]
    if len({tuple(part[::2]) for part in parts}) > 1 or len(parts[0]) == 1:
        return None
    numbers = [[float(number) for number in part[1::2]] for part in parts]
    return sorted(range(len(labels)), key=numbers.__getitem__)


def refuse_text_of_numbers(name: str, value: Value) -> None:
    """An error for a column of text that has a level for every few rows: its user meant numbers.

    Levels given an order or contrasts are left alone, and so is `factor(x)`, which says what is meant.
    """
    if not isinstance(value, Factor) or value.ordered or value.contrasts is not None:
        return
    n, n_levels = len(value), len(value.levels)
    if n_levels <= _FEWEST or n_levels <= _MANY * n:
        return
    counts = f"{name!r} is text with {n_levels} levels in {n} rows"
    if read_as_numbers(value.levels):
        raise DataError(f"{counts}{_exceptions(value)}; convert it to numbers, or write factor({name}).")
    if n_levels > _NEARLY_ALL * n and isinstance(value.levels[0], str):
        raise DataError(f"{counts}, too many to estimate an effect of each; group by it or leave it out.")


def warn_of_text_order(term: str, columns: Sequence[str]) -> None:
    """A warning when neighbours in an ordered structure stand by text, "1", "10", "2", not by number."""
    labels = [found["label"] for found in map(_LABELLED.fullmatch, columns) if found is not None]
    if not labels or not all(map(_NUMBER.fullmatch, labels)):
        return
    numbers = [float(label.replace(",", ".")) for label in labels]
    if numbers not in (sorted(numbers), sorted(numbers, reverse=True)):
        warnings.warn(
            f"the columns of {term} stand in the order of their text ({', '.join(labels[:5])}), not of their "
            "numbers, and neighbours are taken to be closest; make the column numeric inside factor(...), or "
            "a categorical with its levels in order.",
            MultilevelWarning,
            stacklevel=2,
        )


def _exceptions(value: Factor) -> str:
    """The labels because of which the column was not read as numbers."""
    odd = [repr(level) for level in value.levels if not _NUMBER.fullmatch(str(level))]
    return f" that read as numbers, but for {', '.join(odd[:5])}" if odd else " that read as numbers"
