"""Where do the rows of each cluster stand, and when were they measured?

Estimation wants clusters one after another, in each the rows by time. Rows may come in any order and
clusters in pieces: what belongs together is told by labels, never by what stands side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Codes
from multilevel.design.times import Times
from multilevel.errors import DataError, ModelError

Indices = npt.NDArray[np.int64]
MOST_ROWS = 50_000_000  # after clusters are repeated as counts say


@dataclass(frozen=True, slots=True)
class ClusterLayout:
    """n rows in K clusters, in the order of estimation."""

    name: str  # of the clusters
    labels: tuple[str, ...]  # (K,)
    order: Indices | None  # (n,) places among the rows used; None if they stand in order already
    start: Indices  # (K + 1,) where clusters begin, and the end
    time: Array  # (n,) numbers, or places in the cluster where no times were given
    time_name: str | None
    visits: tuple[str, ...]  # (T,) labels of the different times
    visit: Indices  # (n,) which of them each row is
    place: Indices  # (n,) visits as whole numbers whose differences are lags
    inner: Indices | None  # (G + 1,) rows where inner groups begin, and the end; None without them
    repeats: Indices | None  # (K,) which cluster of the data each is, where counts repeat them

    @property
    def n_clusters(self) -> int:
        """Number of clusters K."""
        return len(self.start) - 1

    @property
    def sizes(self) -> Indices:
        """Rows of each cluster (K,)."""
        return np.diff(self.start)

    @property
    def n_rows(self) -> int:
        """Number of rows n."""
        return int(self.start[-1])

    def in_order(self, values: Array) -> Array:
        """Numbers of the rows used (n, ...), in the order of estimation."""
        return values if self.order is None else values[self.order]

    def sums(self, values: Array) -> Array:
        """Sums (K, ...) of numbers in the order of estimation (n, ...) over clusters."""
        return np.asarray(np.add.reduceat(values, self.start[:-1], axis=0))


def lay_out(
    name: str,
    codes: Codes,
    labels: Sequence[str],
    times: Times | None = None,
    inner: Codes | None = None,
    counts: Array | None = None,
) -> ClusterLayout:
    """Put the rows used in order.

    Args:
        name: of the clusters, for messages.
        codes: cluster of each row used (n,), every cluster present.
        labels: of the clusters (K,).
        times: of the rows; rows without times keep the order of the data within clusters.
        inner: inner group of each row (n,), for nested structures.
        counts: how often each row stands (n,), one number throughout a cluster: it stands so often.

    >>> layout = lay_out("id", np.array([1, 0, 1], dtype=np.int32), ("a", "b"))
    >>> layout.start, layout.order, layout.place
    (array([0, 1, 3]), array([1, 0, 2]), array([0, 0, 1]))
    """
    order = sorted_order(codes, None if times is None else times.value, inner)
    sizes = np.bincount(codes, minlength=len(labels)).astype(np.int64)
    start = np.concatenate([[0], np.cumsum(sizes)])
    if times is not None:
        refuse_duplicates(name, labels, start, times, order)
    repeats = None
    if counts is not None:
        repeats = repeated_clusters(name, labels, start, counts if order is None else counts[order])
        if np.array_equal(repeats, np.arange(len(labels))):
            repeats = None
    if repeats is not None:
        order = repeated_rows(order, start, repeats)
        start = np.concatenate([[0], np.cumsum(sizes[repeats])])
        labels = [labels[k] for k in repeats]
    time, visits, visit, place = visits_of(times, order, start)
    return ClusterLayout(
        name=name,
        labels=tuple(labels),
        order=order,
        start=start,
        time=time,
        time_name=None if times is None else times.name,
        visits=visits,
        visit=visit,
        place=place,
        inner=None if inner is None else inner_starts(inner if order is None else inner[order], start),
        repeats=repeats,
    )


def sorted_order(codes: Codes, time: Array | None, inner: Codes | None) -> Indices | None:
    """The order of rows by cluster, then inner group, then time, then as they stand; None if it is that."""
    keys = [key for key in (time, inner, codes) if key is not None]
    if len(keys) == 1:
        if (codes[1:] >= codes[:-1]).all():
            return None
        return np.argsort(codes, kind="stable").astype(np.int64)
    if stand_in_order(keys[::-1]):
        return None
    return np.lexsort(keys).astype(np.int64)


def stand_in_order(keys: Sequence[npt.NDArray[Any]]) -> bool:
    """Whether rows are sorted by the first key, ties by the second, and so on."""
    tied: Any = True
    for key in keys:
        step = np.diff(key)
        if (tied & (step < 0)).any():
            return False
        tied = tied & (step == 0)
    return True


def refuse_duplicates(
    name: str, labels: Sequence[str], start: Indices, times: Times, order: Indices | None
) -> None:
    """Two rows of one visit have no place in a correlation between visits."""
    time = times.value if order is None else times.value[order]
    same = np.zeros(len(time), dtype=np.bool_)
    same[1:] = time[1:] == time[:-1]
    same[start[:-1]] = False
    if not same.any():
        return
    first = int(np.flatnonzero(same)[0])
    k = int(np.searchsorted(start, first, side="right")) - 1
    shown = f"{time[first]:g}" if times.labels is None else f"'{times.labels[int(time[first])]}'"
    concerned = len(np.unique(np.searchsorted(start, np.flatnonzero(same), side="right")))
    more = f" (and {concerned - 1} more clusters have such rows)" if concerned > 1 else ""
    raise DataError(
        f"'{times.name}' is {shown} in more than one row of {name} '{labels[k]}'{more}; a visit is one row. "
        f"Remove or average the duplicates, or leave out time= if the order of rows does not matter."
    )


def repeated_clusters(name: str, labels: Sequence[str], start: Indices, counts: Array) -> Indices:
    """Clusters, each as often as its count says."""
    each = counts[start[:-1]]
    differs = counts != np.repeat(each, np.diff(start))
    if differs.any():
        k = int(np.searchsorted(start, np.flatnonzero(differs)[0], side="right")) - 1
        raise DataError(
            f"freq_weights= counts how many clusters are alike, and must be one number in each; in {name} "
            f"'{labels[k]}' it varies. For rows that are more or less precise use weights=."
        )
    times = np.round(each).astype(np.int64)
    if int((times * np.diff(start)).sum()) > MOST_ROWS:
        raise ModelError(
            f"freq_weights= makes {int(times.sum())} clusters, more than is kept in memory at once; "
            "divide the counts by a common factor, or draw a sample of clusters."
        )
    return np.repeat(np.arange(len(each)), times)


def repeated_rows(order: Indices | None, start: Indices, repeats: Indices) -> Indices:
    """The rows of clusters that are listed again and again."""
    sizes = np.diff(start)[repeats]
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rows = np.arange(int(sizes.sum())) + np.repeat(start[repeats] - first, sizes)
    return np.asarray(rows if order is None else order[rows], dtype=np.int64)


def visits_of(
    times: Times | None, order: Indices | None, start: Indices
) -> tuple[Array, tuple[str, ...], Indices, Indices]:
    """Times, labels of visits, the visit of each row, and visits as whole numbers."""
    if times is None:
        place = np.arange(start[-1]) - np.repeat(start[:-1], np.diff(start))
        visits = tuple(str(k + 1) for k in range(int(np.diff(start).max())))
        return place.astype(np.float64), visits, place, place
    time = np.ascontiguousarray(times.value if order is None else times.value[order])
    distinct, visit = numbered(time)
    labels = times.labels
    visits = tuple(f"{value:g}" if labels is None else labels[int(value)] for value in distinct)
    whole = bool((distinct == np.round(distinct)).all()) and float(distinct[-1] - distinct[0]) < 2**53
    place = np.round(time - distinct[0]).astype(np.int64) if whole else visit
    return time, visits, visit, place


def numbered(time: Array) -> tuple[Array, Indices]:
    """Distinct times, and the number of each row's among them; whole numbers are counted, not sorted."""
    first = float(time.min())
    if float(time.max()) - first < len(time) and (time == np.round(time)).all():
        place = (time - first).astype(np.int64)
        there = np.bincount(place) > 0
        numbers = np.cumsum(there, dtype=np.int64) - 1
        return np.asarray(np.flatnonzero(there) + first, dtype=np.float64), numbers[place]
    distinct, visit = np.unique(time, return_inverse=True)
    return distinct, visit.astype(np.int64)


def inner_starts(inner: Codes, start: Indices) -> Indices:
    """Where inner groups begin (G + 1,), in rows sorted by cluster and inner group."""
    begins = np.ones(len(inner), dtype=np.bool_)
    begins[1:] = inner[1:] != inner[:-1]
    begins[start[:-1]] = True
    return np.append(np.flatnonzero(begins), len(inner)).astype(np.int64)
