"""Which level of a grouping factor does each row belong to?

Interactions such as `batch:cask` are coded from integer codes, never from text, one part after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from multilevel._typing import Codes, Mask
from multilevel.design.design import Grouping
from multilevel.design.expressions import plain_name
from multilevel.design.pairs import Keys, distinct_pairs, pair
from multilevel.errors import ModelError
from multilevel.frames.codes import without_gaps
from multilevel.frames.table import Categorical


@dataclass(frozen=True, slots=True)
class GroupCoder:
    """What is needed to find the levels of a grouping factor in new data."""

    expressions: tuple[str, ...]  # the parts of an interaction, or the one factor
    labels: tuple[tuple[str, ...], ...]  # for each part, its levels in the order of their codes
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
    each_labels, every_key = [labels], []
    for part_codes, part_labels in others:
        keys, codes = distinct_pairs(codes, part_codes, len(labels), len(part_labels))
        labels = _pair_labels(keys, labels, part_labels)
        each_labels.append(part_labels)
        every_key.append(keys)
    grouping = Grouping(group_name(expressions), codes, labels)
    return grouping, GroupCoder(tuple(expressions), tuple(each_labels), tuple(every_key))


def find_groups(coder: GroupCoder, parts: Sequence[Categorical]) -> FoundLevels:
    """Levels of the fit in new data; labels that the fit has not seen are listed."""
    codes, *others = [_translate(part, labels) for part, labels in zip(parts, coder.labels, strict=True)]
    for part_codes, labels, keys in zip(others, coder.labels[1:], coder.keys, strict=True):
        codes = _look_up(pair(codes, part_codes, len(labels)), (codes < 0) | (part_codes < 0), keys)
    return _with_new_labels(codes, parts)


def refuse_single_level(grouping: Grouping) -> None:
    """A variance between groups needs at least two of them."""
    if grouping.n_levels < 2:
        raise ModelError(
            f"{grouping.name!r} has one level, so its variance cannot be estimated; "
            f"drop (1 | {grouping.name}) or check the data."
        )


def _used(part: Categorical) -> tuple[Codes, tuple[str, ...]]:
    """Codes and labels of the levels that occur."""
    levels = cast(tuple[str, ...], part.levels)
    codes, kept = without_gaps(part.codes, len(levels))
    return codes, levels if len(kept) == len(levels) else tuple(levels[i] for i in kept)


def _pair_labels(keys: Keys, before: Sequence[str], part: Sequence[str]) -> tuple[str, ...]:
    """Text of the combinations, "A:a"."""
    first, second = np.divmod(keys, len(part))
    return tuple(f"{before[i]}:{part[j]}" for i, j in zip(first.tolist(), second.tolist(), strict=True))


def _look_up(wanted: Keys, unknown: Mask, keys: Keys) -> Codes:
    """Index of each wanted key among the increasing keys; -1 where it is not there."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    codes: Codes = np.where((keys[place] == wanted) & ~unknown, place, -1).astype(np.int32)
    return codes


def _translate(part: Categorical, labels: Sequence[str]) -> Codes:
    """Codes of the fit for the labels of new data; -1 where they are new."""
    table = {label: code for code, label in enumerate(labels)}
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
