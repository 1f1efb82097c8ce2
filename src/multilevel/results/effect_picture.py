"""Which lines show the slopes of one predictor?"""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.clusters.effect_numbers import EffectNumbers
from multilevel.clusters.within_between import split_columns
from multilevel.errors import DataError
from multilevel.report.effect_plot import EffectPicture
from multilevel.results.effect_fits import EffectFits, within_name


def effect_picture(
    numbers: EffectNumbers, fits: EffectFits, response: str, term: str | None
) -> EffectPicture:
    """Lines through what each slope describes: group means, their centre, the centre of all rows."""
    found = numbers.found
    name = checked_term(term, found.chosen(found.both))
    j = found.names.index(name)
    x, y, split = found.X[:, j], fits.pooled.design.y, found.split
    means = np.column_stack(
        [split.means[:, j], split_columns(y[:, None], split.codes, found.counts).means[:, 0]]
    )
    within, between, total = (
        float(numbers.slopes.tests.estimate[numbers.slopes.labels.index((name, effect))])
        for effect in ("within", "between", "total")
    )
    own = own_slopes(fits, name, within)
    return EffectPicture(
        term=name,
        response=response,
        groups=found.groups,
        x=x,
        y=y,
        means=means,
        sizes=split.sizes,
        segments=lines_through(means, own, *ranges(x, split.codes)),
        between=one_line(means.mean(axis=0), between, means[:, 0].min(), means[:, 0].max()),
        total=one_line(centre(x, y, found.counts), total, x.min(), x.max()),
        slopes=(within, between, total),
    )


def checked_term(term: str | None, able: list[str]) -> str:
    """A predictor that has slopes to draw."""
    if term is None:
        return able[0]
    if term not in able:
        raise DataError(
            f"{term!r} has no slopes within and between groups to draw; choose {', '.join(able)}."
        )
    return term


def own_slopes(fits: EffectFits, name: str, within: float) -> Array:
    """Slope in each group (J,): the common one, or the group's own where slopes vary."""
    record, part = fits.within_between.record, within_name(name)
    columns, modes = record.terms[0].names, record.modes[0].values
    return np.asarray(within + (modes[:, columns.index(part)] if part in columns else 0.0 * modes[:, 0]))


def ranges(x: Array, codes: Codes) -> tuple[Array, Array]:
    """Smallest and largest x in each group (J,), (J,)."""
    order = np.argsort(codes, kind="stable")
    first = np.flatnonzero(np.diff(codes[order], prepend=-1))
    return np.minimum.reduceat(x[order], first), np.maximum.reduceat(x[order], first)


def lines_through(points: Array, slopes: Array, low: Array, high: Array) -> Array:
    """Ends (J, 2, 2) of lines through points (J, 2) from low to high (J,)."""
    ends = np.stack([low, high], axis=1)
    heights = points[:, 1:] + slopes[:, None] * (ends - points[:, :1])
    return np.stack([ends, heights], axis=2)


def one_line(point: Array, slope: float, low: float, high: float) -> Array:
    """Ends (2, 2) of one line."""
    lines = lines_through(point[None, :], np.array([slope]), np.array([low]), np.array([high]))
    return np.asarray(lines[0])


def centre(x: Array, y: Array, counts: Array | None) -> Array:
    """Means of x and y over observations (2,)."""
    return np.array([np.average(x, weights=counts), np.average(y, weights=counts)])
