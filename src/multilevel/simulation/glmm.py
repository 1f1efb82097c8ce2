"""New responses from a fitted generalized mixed model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np

from multilevel._options import Seed, checked_choice
from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.families.family import Family
from multilevel.fitted.glmm import GLMMRecord
from multilevel.fitted.lmm import TermCovariance
from multilevel.kernels.density import DensityCode
from multilevel.simulation.families import draw
from multilevel.simulation.lmm import draw_effects, refuse_counted_rows
from multilevel.simulation.streams import random_streams


class Distribution(Protocol):
    """What the record of a fit says of the distribution of a row around its mean."""

    @property
    def family(self) -> Family: ...  # noqa: D102
    @property
    def dispersion(self) -> Array | None: ...  # noqa: D102
    @property
    def shape(self) -> float | None: ...  # noqa: D102
    @property
    def thresholds(self) -> Array: ...  # noqa: D102


class MixedModel(Distribution, Protocol):
    """The same with its linear predictors and random effects: a fit, or what is true in a planned study."""

    @property
    def terms(self) -> tuple[TermCovariance, ...]: ...  # noqa: D102
    @property
    def zi_terms(self) -> tuple[TermCovariance, ...]: ...  # noqa: D102
    @property
    def eta(self) -> Array: ...  # noqa: D102
    @property
    def eta_fixed(self) -> Array: ...  # noqa: D102
    @property
    def eta_zi(self) -> Array | None: ...  # noqa: D102
    @property
    def eta_zi_fixed(self) -> Array | None: ...  # noqa: D102


def simulate_glmm(
    design: GLMMDesign, record: GLMMRecord, n: int, seed: Seed, re: Literal["new", "keep"]
) -> Array:
    """Draw responses (rows, n): new random effects in each column, or the conditional modes kept."""
    refuse_counted_rows(design.main)
    checked_choice("re", re, ("new", "keep"))
    return draw_glmm(design, record, random_streams(n, seed), keep=re == "keep")


def draw_glmm(
    design: GLMMDesign, record: MixedModel, streams: Sequence[np.random.Generator], *, keep: bool
) -> Array:
    """A response from each stream, which gives its random effects first: (rows, streams), Fortran order."""
    density = density_of(design, record)
    drawn = np.empty((len(streams), design.main.n_rows))
    for row, rng in zip(drawn, streams, strict=True):
        predictors = kept_predictors(design, record) if keep else drawn_predictors(design, record, rng)
        row[:] = draw(density, predictors, design.trials, rng)
    return drawn.T


def density_of(design: GLMMDesign, record: Distribution) -> DensityCode:
    """The distribution of a row, as the core calls it."""
    family = record.family
    return DensityCode(family.density, family.link.name, design.zi is not None, len(design.categories))


def kept_predictors(design: GLMMDesign, record: MixedModel) -> Array:
    """All linear predictors (K, n) with the conditional modes; all thresholds of ordered categories."""
    return stacked(design, record, record.eta, record.eta_zi)


def kept_core_predictors(design: GLMMDesign, record: GLMMRecord) -> Array:
    """The same as the log-density takes them: of ordered categories the thresholds about the one observed."""
    if not len(record.thresholds):
        return kept_predictors(design, record)
    category = design.main.y.astype(np.int64)
    padded = np.concatenate([[0.0], record.thresholds, [0.0]])
    return np.array([record.eta, padded[category + 1], padded[category]])


def fixed_predictors(design: GLMMDesign, record: MixedModel) -> Array:
    """The same without random effects."""
    return stacked(design, record, record.eta_fixed, record.eta_zi_fixed)


def drawn_predictors(design: GLMMDesign, record: MixedModel, rng: np.random.Generator) -> Array:
    """The same with new random effects."""
    eta = record.eta_fixed + drawn_part(design.main, record.terms, rng)
    zeros = record.eta_zi_fixed
    if zeros is not None and design.zi is not None:
        zeros = zeros + drawn_part(design.zi, record.zi_terms, rng)
    return stacked(design, record, eta, zeros)


def drawn_part(side: Design, terms: Sequence[TermCovariance], rng: np.random.Generator) -> Array:
    """Z b (n,) with one draw of all random effects of a side."""
    total = np.zeros(side.n_rows)
    for term, fit in zip(side.terms, terms, strict=True):
        grouping = side.groupings[term.grouping]
        effects = draw_effects(fit, 1.0, grouping.n_levels, rng)
        total += np.einsum("nq,nq->n", term.Z, effects[grouping.codes])
    return total


def stacked(design: GLMMDesign, record: Distribution, eta: Array, zeros: Array | None) -> Array:
    """Predictors (K, n) in the order of the core."""
    n, rows = design.main.n_rows, [eta]
    if record.dispersion is not None:
        rows.append(np.log(dispersion_of_rows(design, record, record.dispersion)))
    if record.shape is not None:
        rows.append(np.full(n, shape_predictor(record, record.shape)))
    rows += [np.full(n, threshold) for threshold in record.thresholds]
    return np.array(rows if zeros is None else [*rows, zeros])


def dispersion_of_rows(design: GLMMDesign, record: Distribution, phi: Array) -> Array:
    """The dispersion (n,), over precision weights where the family has them."""
    divided = design.main.weights is not None and record.family.weights_divide_dispersion
    return np.asarray(phi / design.main.weights) if divided and design.main.weights is not None else phi


def shape_predictor(record: Distribution, shape: float) -> float:
    """What the core takes for a power or for degrees of freedom."""
    if record.family.density == "tweedie":
        return float(np.log((shape - 1.0) / (2.0 - shape)))
    return float(np.log(shape))
