"""Which rows stand or fall together? Clusters that share nothing, and samples of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from multilevel._typing import Array, Codes
from multilevel.design.design import Design, Grouping, RandomTerm
from multilevel.errors import ModelError

Indices = npt.NDArray[np.intp]  # row numbers


@dataclass(frozen=True, slots=True)
class IndependentClusters:
    """Rows fall into clusters that no level of a grouping factor joins."""

    codes: Codes  # (n,) 0 .. K-1
    count: int  # K
    n_obs: Array  # (K,) observations in each
    name: str  # the grouping factor whose levels they are, or "linked levels"


def independent_clusters(design: Design) -> IndependentClusters:
    """The levels of the top grouping factor where factors are nested; else levels linked by rows."""
    used = sorted({term.grouping for term in design.terms})
    groupings = [design.groupings[g] for g in used]
    return linked_clusters(groupings, design.freq_weights, 'resample by kind="parametric" or "residual"')


def linked_clusters(groupings: Sequence[Grouping], counts: Array | None, instead: str) -> IndependentClusters:
    """Rows that levels of these factors link; `instead` says what to do where all are linked."""
    codes = linked_rows(groupings)
    count = int(codes.max()) + 1
    if count < 2:
        names = " and ".join(f"'{grouping.name}'" for grouping in groupings)
        how = "cross" if len(groupings) > 1 else "are one"
        raise ModelError(
            f"the levels of {names} {how}, so that no cluster of rows is independent of the rest; {instead}."
        )
    same = [grouping.name for grouping in groupings if grouping.n_levels == count]
    return IndependentClusters(
        codes, count, np.bincount(codes, weights=counts).astype(float), same[-1] if same else "linked levels"
    )


def linked_rows(groupings: Sequence[Grouping]) -> Codes:
    """The connected part (n,) that each row is in, when rows of one level are linked."""
    if len(groupings) == 1:
        return groupings[0].codes
    first = np.cumsum([0, *(grouping.n_levels for grouping in groupings)])
    nodes = [grouping.codes + at for grouping, at in zip(groupings, first[:-1], strict=True)]
    rows = np.tile(nodes[0], len(nodes) - 1)
    links = coo_matrix((np.ones(len(rows)), (rows, np.concatenate(nodes[1:]))), shape=(first[-1], first[-1]))
    parts = connected_components(links, directed=False)[1]
    return np.asarray(parts[nodes[0]], dtype=np.int32)


def draw_clusters(count: int, streams: Sequence[np.random.Generator]) -> Codes:
    """How often each cluster is drawn, K draws of K with replacement: (K, len(streams))."""
    draws = [np.bincount(rng.integers(count, size=count), minlength=count) for rng in streams]
    return np.array(draws, dtype=np.int32).T


def without_each(count: int, blocks: int) -> Codes:
    """Samples (K, m) without one cluster each, or without one of `blocks` interleaved sets of them."""
    n = min(count, blocks)
    return np.asarray(np.arange(count)[:, None] % n != np.arange(n), dtype=np.int32)


def design_of_sample(design: Design, clusters: IndependentClusters, times: Codes) -> Design:
    """The design with each cluster as often as `times` (K,) says, every copy with levels of its own."""
    order = np.argsort(clusters.codes, kind="stable")
    ends = np.cumsum(np.bincount(clusters.codes, minlength=clusters.count))
    rows_of = np.split(order, ends[:-1])
    drawn = np.repeat(np.arange(clusters.count), times)
    rows = np.concatenate([rows_of[c] for c in drawn])
    copy = np.repeat(np.arange(len(drawn)), [len(rows_of[c]) for c in drawn]).astype(np.intp)
    return replace(
        design,
        y=design.y[rows],
        X=np.asfortranarray(design.X[rows]),
        groupings=tuple(sampled_grouping(grouping, rows, copy) for grouping in design.groupings),
        terms=tuple(sampled_term(term, rows) for term in design.terms),
        weights=None if design.weights is None else design.weights[rows],
        freq_weights=None if design.freq_weights is None else design.freq_weights[rows],
        offset=None if design.offset is None else design.offset[rows],
        trials=None if design.trials is None else design.trials[rows],
        rows=np.ones(len(rows), dtype=np.bool_),
        dropped=replace(design.dropped, n_total=len(rows), n_missing=0, missing_by_column={}),
    )


def sampled_grouping(grouping: Grouping, rows: Indices, copy: Indices) -> Grouping:
    """A factor over sampled rows, with a level for each pair of a level and the copy it is in."""
    pairs = copy.astype(np.int64) * grouping.n_levels + grouping.codes[rows]
    distinct, codes = np.unique(pairs, return_inverse=True)
    levels = tuple(
        f"{grouping.levels[pair % grouping.n_levels]} ({pair // grouping.n_levels + 1})" for pair in distinct
    )
    return Grouping(grouping.name, codes.astype(np.int32), levels)


def sampled_term(term: RandomTerm, rows: Indices) -> RandomTerm:
    """A term's columns over sampled rows."""
    return replace(term, Z=np.asfortranarray(term.Z[rows]))
