"""Which level of a grouping factor does each row belong to?

Interactions such as `batch:cask` are coded from integer codes, never from text: the levels that occur
are the distinct values of `code_batch * n_cask + code_cask`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel._typing import Codes
from multilevel.design.design import Grouping
from multilevel.design.expressions import plain_name
from multilevel.design.factor import used_levels
from multilevel.errors import ModelError
from multilevel.frames.table import Categorical

Keys = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GroupCoder:
    """What is needed to find the levels of a grouping factor in new data."""

    expressions: tuple[str, ...]  # the parts of an interaction, or the one factor
    labels: tuple[dict[str, int], ...]  # for each part, label -> code
    keys: Keys  # (J,) increasing: the combinations of codes that are levels


@dataclass(frozen=True, slots=True)
class FoundLevels:
    """Rows of new data, by the levels of the fit."""

    codes: Codes  # (k,) -1 where the level is new
    new_codes: Codes  # (k,) index into new_labels; -1 where the level is known
    new_labels: tuple[str, ...]


def group_name(expressions: Sequence[str]) -> str:
    """How a grouping factor is called: "batch:cask"."""
    return ":".join(plain_name(expression) for expression in expressions)


def code_groups(expressions: Sequence[str], parts: Sequence[Categorical]) -> tuple[Grouping, GroupCoder]:
    """Levels of a factor or of an interaction in the data of the fit, unused ones left out.

    The levels of `parts` are text already.
    """
    used = [used_levels(part.codes, len(part.levels)) for part in parts]
    labels = [[str(part.levels[i]) for i in kept] for part, (_, kept) in zip(parts, used, strict=True)]
    present, codes = _levels_present([codes for codes, _ in used], [len(kept) for _, kept in used])
    name = group_name(expressions)
    grouping = Grouping(name, codes, tuple(_key_labels(present, labels)))
    tables = tuple({label: i for i, label in enumerate(each)} for each in labels)
    return grouping, GroupCoder(tuple(expressions), tables, present)


def find_groups(coder: GroupCoder, parts: Sequence[Categorical]) -> FoundLevels:
    """Levels of the fit in new data; labels that the fit has not seen are listed."""
    known = [_translate(part, table) for part, table in zip(parts, coder.labels, strict=True)]
    keys = _combine(known, [len(table) for table in coder.labels])
    keys[np.logical_or.reduce([codes < 0 for codes in known])] = -1
    place = np.minimum(np.searchsorted(coder.keys, keys), len(coder.keys) - 1)
    codes = np.where(coder.keys[place] == keys, place, -1).astype(np.int32)
    return _with_new_labels(codes, parts)


def refuse_single_level(grouping: Grouping) -> None:
    """A variance between groups needs at least two of them."""
    if grouping.n_levels < 2:
        raise ModelError(
            f"{grouping.name!r} has one level, so its variance cannot be estimated; "
            f"drop (1 | {grouping.name}) or check the data."
        )


def _combine(codes: Sequence[Codes], sizes: Sequence[int]) -> Keys:
    """One number a row for the combination of codes, the first part varying slowest."""
    keys = codes[0].astype(np.int64)
    for part, size in zip(codes[1:], sizes[1:], strict=True):
        keys = keys * size + part
    return keys


def _levels_present(codes: Sequence[Codes], sizes: Sequence[int]) -> tuple[Keys, Codes]:
    """The combinations of codes that occur, and each row's index among them; one part is coded already."""
    if len(codes) == 1:
        return np.arange(sizes[0], dtype=np.int64), codes[0]
    return _distinct(_combine(codes, sizes))


def _distinct(keys: Keys) -> tuple[Keys, Codes]:
    """The distinct keys in increasing order, and each row's index among them."""
    span = int(keys.max()) + 1
    if span > 4 * len(keys) + 1024:
        present, codes = np.unique(keys, return_inverse=True)
        return present, codes.astype(np.int32)
    occurs = np.zeros(span, dtype=np.bool_)  # a table over the range: no sort
    occurs[keys] = True
    rank = np.cumsum(occurs, dtype=np.int32) - np.int32(1)
    return np.flatnonzero(occurs).astype(np.int64), rank[keys]


def _key_labels(keys: Keys, labels: Sequence[Sequence[str]]) -> list[str]:
    """Text of combined levels, "A:a"."""
    if len(labels) == 1:
        return list(labels[0])
    columns: list[list[str]] = []
    rest = keys
    for each in reversed(labels):
        rest, position = np.divmod(rest, max(len(each), 1))
        columns.append([each[i] for i in position.tolist()])
    return [":".join(parts) for parts in zip(*reversed(columns), strict=True)]


def _translate(part: Categorical, table: dict[str, int]) -> Codes:
    """Codes of the fit for the labels of new data; -1 where they are new."""
    lookup = np.array([table.get(str(level), -1) for level in part.levels], dtype=np.int32)
    codes: Codes = lookup[part.codes] if len(lookup) else np.full(len(part.codes), -1, dtype=np.int32)
    return codes


def _with_new_labels(codes: Codes, parts: Sequence[Categorical]) -> FoundLevels:
    new = np.flatnonzero(codes < 0)
    labels = [":".join(str(part.levels[part.codes[row]]) for part in parts) for row in new.tolist()]
    position = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    new_codes = np.full(len(codes), -1, dtype=np.int32)
    new_codes[new] = [position[label] for label in labels]
    return FoundLevels(codes, new_codes, tuple(position))
