"""Which level of a grouping factor does each row belong to?

Interactions such as `batch:cask` are coded from integer codes, never from text, one part after the
other: the levels that occur are the distinct values of `code_before * n_levels + code_of_part`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel._typing import Codes, Mask
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
    keys: tuple[Keys, ...]  # for each further part, increasing: the combinations with those before it


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

    The levels of `parts` are text already. The first part of an interaction varies slowest.
    """
    (codes, labels), *others = [_used(part) for part in parts]
    tables, every_key = [_table(labels)], []
    for part_codes, part_labels in others:
        keys, codes = _distinct(_pair(codes, part_codes, len(part_labels)))
        labels = _pair_labels(keys, labels, part_labels)
        tables.append(_table(part_labels))
        every_key.append(keys)
    grouping = Grouping(group_name(expressions), codes, tuple(labels))
    return grouping, GroupCoder(tuple(expressions), tuple(tables), tuple(every_key))


def find_groups(coder: GroupCoder, parts: Sequence[Categorical]) -> FoundLevels:
    """Levels of the fit in new data; labels that the fit has not seen are listed."""
    codes, *others = [_translate(part, table) for part, table in zip(parts, coder.labels, strict=True)]
    for part_codes, table, keys in zip(others, coder.labels[1:], coder.keys, strict=True):
        codes = _look_up(_pair(codes, part_codes, len(table)), (codes < 0) | (part_codes < 0), keys)
    return _with_new_labels(codes, parts)


def refuse_single_level(grouping: Grouping) -> None:
    """A variance between groups needs at least two of them."""
    if grouping.n_levels < 2:
        raise ModelError(
            f"{grouping.name!r} has one level, so its variance cannot be estimated; "
            f"drop (1 | {grouping.name}) or check the data."
        )


def _used(part: Categorical) -> tuple[Codes, list[str]]:
    """Codes and labels of the levels that occur."""
    codes, kept = used_levels(part.codes, len(part.levels))
    return codes, [str(part.levels[i]) for i in kept]


def _table(labels: Sequence[str]) -> dict[str, int]:
    return {label: i for i, label in enumerate(labels)}


def _pair(before: Codes, part: Codes, size: int) -> Keys:
    """One number a row for the combination of two codes."""
    keys: Keys = before.astype(np.int64) * size + part
    return keys


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


def _pair_labels(keys: Keys, before: Sequence[str], part: Sequence[str]) -> list[str]:
    """Text of the combinations, "A:a"."""
    first, second = np.divmod(keys, len(part))
    return [f"{before[i]}:{part[j]}" for i, j in zip(first.tolist(), second.tolist(), strict=True)]


def _look_up(wanted: Keys, unknown: Mask, keys: Keys) -> Codes:
    """Index of each wanted key among the increasing keys; -1 where it is not there."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    codes: Codes = np.where((keys[place] == wanted) & ~unknown, place, -1).astype(np.int32)
    return codes


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
