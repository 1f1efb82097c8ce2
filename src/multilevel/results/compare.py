"""`ml.compare`: fits side by side, by information criteria and likelihood-ratio tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from multilevel._options import Seed, checked_choice
from multilevel._typing import Array, Frame
from multilevel.errors import DataError, ModelError
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind
from multilevel.inference.bootstrap_lrt import bootstrap_neighbours
from multilevel.inference.compare import (
    NO_TEST,
    LikelihoodRatio,
    LikelihoodRatios,
    gathered,
    likelihood_ratio,
    likelihood_ratios,
    tested,
)
from multilevel.inference.glmm_bootstrap_lrt import bootstrap_glmm_neighbours
from multilevel.inference.glmm_nesting import (
    AnyCandidate,
    GLMCandidate,
    GLMMCandidate,
    glmm_ratio,
    is_special_case,
)
from multilevel.inference.nesting import lies_within, precision, same_fixed_part
from multilevel.inference.residual_nesting import residual_lies_within
from multilevel.inference.simulated_p import SimulatedP
from multilevel.inference.smaller_models import Candidate
from multilevel.report.compare import comparison_page
from multilevel.report.simulated_p import simulated_columns, simulation_notes
from multilevel.results.fit_labels import told_formulas
from multilevel.results.given_fits import AnyFit, given_fits
from multilevel.results.glm import GLMFit
from multilevel.results.glmm_base import GLMMBase
from multilevel.results.gls import GLSFit
from multilevel.results.structured import StructuredFit

GENERALIZED = (GLMFit, GLMMBase)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Models by increasing number of parameters, each tested against the one before it; K models.

    `frame` holds the table in the user's kind of frame; `comparison["p_value"]` is one of its columns.
    """

    models: tuple[str, ...]  # (K,)
    formulas: tuple[str, ...]  # (K,)
    npar: Array  # (K,)
    aic: Array  # (K,)
    bic: Array  # (K,)
    loglik: Array  # (K,) of the maximum-likelihood fits
    tests: LikelihoodRatios
    notes: tuple[str, ...]
    kind: FrameKind
    bootstrap: tuple[SimulatedP | None, ...] | None = None  # (K,) where asked for

    @property
    def frame(self) -> Frame:
        """One row a model: npar, aic, bic, loglik, deviance, chisq, df, p_value, p_boundary.

        With `method="bootstrap"` also p_bootstrap, and p_error, its Monte-Carlo error.
        """
        return to_frame(self.columns(), self.kind)

    def columns(self) -> dict[str, Any]:
        """The columns of the table by name."""
        return {
            "model": list(self.models),
            "formula": list(self.formulas),
            "npar": self.npar,
            "aic": self.aic,
            "bic": self.bic,
            "loglik": self.loglik,
            "deviance": -2.0 * self.loglik,
            "chisq": self.tests.chisq,
            "df": self.tests.df,
            "p_value": self.tests.p_value,
            "p_boundary": self.tests.p_boundary,
            **simulated_columns("p_bootstrap", self.bootstrap),
        }

    def __getitem__(self, column: str) -> Any:
        return self.columns()[column]

    def __str__(self) -> str:
        return str(comparison_page(self.columns(), self.notes))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return comparison_page(self.columns(), self.notes)._repr_html_()


def compare(
    *fits: AnyFit | Sequence[AnyFit],
    names: Sequence[str] | None = None,
    method: Literal["chi-square", "bootstrap"] = "chi-square",
    n: int = 1000,
    seed: Seed = None,
    progress: bool | None = None,
) -> Comparison:
    """Compare fits to the same data: AIC, BIC, log-likelihood and likelihood-ratio tests.

    Models are sorted by their number of parameters, and each is tested against the one before it if that one
    is nested in it (otherwise compare AIC or BIC). Fits by REML are refitted by maximum likelihood.
    `p_value` takes the chi-square as it is; where variances are tested, `p_boundary` uses the mixture of
    chi-squares that holds on the boundary (the naive p-value is then too large). `method="bootstrap"` adds
    `p_bootstrap`: the larger model's gain among its gains on data simulated from the smaller model.

    Args:
        fits: fits by `lmm`, `glmm`, `gls`, `ols` or `glm`, one by one or as one list.
        names: what to call them, one name a fit.
        method: "chi-square", or "bootstrap" to simulate too.
        n: data sets to simulate for each test.
        seed: of the simulation; the same seed gives the same p-values.
        progress: show a progress bar; on by default when it will be long.

    Example:
        >>> import multilevel as ml
        >>> sleep = ml.datasets.sleepstudy()
        >>> intercepts = ml.lmm("Reaction ~ Days + (1 | Subject)", sleep)
        >>> slopes = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleep)
        >>> ml.compare(intercepts, slopes)["chisq"].round(3)
        array([   nan, 42.139])

    References:
        Stram, D. O. and Lee, J. W. (1994). Variance components testing in the longitudinal mixed effects
        model. Biometrics 50, 1171-1177.

        Halekoh, U. and Højsgaard, S. (2014). A Kenward-Roger approximation and parametric bootstrap methods
        for tests in linear mixed models. Journal of Statistical Software 59(9).
    """
    checked_choice("method", method, ("chi-square", "bootstrap"))
    given = given_fits("compare", fits)
    labels = checked_names(names, given)
    refuse_different_data(given)
    refitted = [fit._by_ml() for fit in given]
    order = sorted(range(len(given)), key=lambda k: refitted[k].df_model)
    ordered = [refitted[k] for k in order]
    nested = [is_nested(small, large) for small, large in pairwise(ordered)]
    generalized = any(isinstance(fit, GENERALIZED) for fit in ordered)
    structured = any(isinstance(fit, GLSFit | StructuredFit) for fit in ordered)
    if structured and method == "bootstrap":
        raise ModelError(
            'method="bootstrap" serves fits by ml.lmm, ml.ols and ml.glmm with independent residuals; leave '
            "it out for others."
        )
    linear = not (generalized or structured)
    models = [Candidate(fit.design, fit.record, fit.loglik) for fit in ordered] if linear else []
    bootstrap = None
    if method == "bootstrap":
        refuse_without_random_effects(ordered)
        bootstrap = (
            bootstrap_glmm_neighbours(glmm_candidates(ordered), nested, n, seed, progress)
            if generalized
            else bootstrap_neighbours(models, nested, n, seed, progress)
        )
    return Comparison(
        models=tuple(labels[k] for k in order),
        formulas=told_formulas(ordered),
        npar=np.array([fit.df_model for fit in ordered]),
        aic=np.array([fit.aic for fit in ordered]),
        bic=np.array([fit.bic for fit in ordered]),
        loglik=np.array([fit.loglik for fit in ordered]),
        tests=likelihood_ratios(models, nested) if linear else other_tests(ordered, nested),
        notes=(
            *refit_notes(given, refitted, labels),
            *nesting_notes(ordered, nested, [labels[k] for k in order]),
            *fast_notes(ordered, [labels[k] for k in order]),
            *boundary_notes(ordered, nested),
            *simulation_notes("bootstrap", bootstrap),
        ),
        kind=given[0].design.frame_kind,
        bootstrap=bootstrap,
    )


def checked_names(names: Sequence[str] | None, fits: Sequence[AnyFit]) -> list[str]:
    """The names given, or the fits' numbers in the order given."""
    labels = [str(k + 1) for k in range(len(fits))] if names is None else [str(name) for name in names]
    if len(labels) != len(fits):
        raise DataError(f"{len(labels)} names for {len(fits)} fits; give one name a fit.")
    return labels


def refuse_different_data(fits: Sequence[AnyFit]) -> None:
    """Likelihoods compare only over the same responses in the same rows, counted alike."""
    first = fits[0].design
    for number, fit in enumerate(fits[1:], start=2):
        other = fit.design
        if not np.array_equal(first.rows, other.rows):
            raise ModelError(
                f"fit 1 uses {first.n_rows} rows and fit {number} uses {other.n_rows} other ones, so their"
                " likelihoods do not compare; fit both to the rows that are complete for both."
            )
        if not np.array_equal(first.y, other.y):
            raise ModelError(
                f"fit 1 explains '{first.response_name}' and fit {number} '{other.response_name}', whose"
                " values differ, so their likelihoods do not compare; use one response in one order of rows."
            )
        if not np.array_equal(counts(fits[0]), counts(fit)):
            raise ModelError(f"fit 1 and fit {number} have different freq_weights; use the same for both.")


def counts(fit: AnyFit) -> Array:
    """How often each row stands (n,)."""
    return np.ones(fit.design.n_rows) if fit.design.freq_weights is None else fit.design.freq_weights


def is_nested(small: AnyFit, large: AnyFit) -> bool:
    """Whether the larger model holds the smaller one as a special case."""
    if isinstance(small, GENERALIZED) or isinstance(large, GENERALIZED):
        one, other = generalized_candidate(small), generalized_candidate(large)
        return one is not None and other is not None and is_special_case(one, other)
    if isinstance(small, GLSFit | StructuredFit) or isinstance(large, GLSFit | StructuredFit):
        return is_nested_structured(small, large)
    without_residual = large.sigma == 0.0 < small.sigma
    return not without_residual and lies_within(small.design, large.design)


def generalized_candidate(fit: AnyFit) -> AnyCandidate | None:
    """A generalized model, with random effects or without, as tests take it; None for others."""
    if isinstance(fit, GLMFit):
        return GLMCandidate(fit.model, fit.record)
    return fit.candidate if isinstance(fit, GLMMBase) else None


def refuse_without_random_effects(fits: Sequence[AnyFit]) -> None:
    """Simulated likelihood ratios are those of mixed models, or of linear ones."""
    if any(isinstance(fit, GLMFit) for fit in fits):
        raise ModelError(
            'method="bootstrap" simulates mixed models and linear ones; for random effects against none use '
            'ranova(method="bootstrap") of the mixed model, and leave method= out for glm.'
        )


def glmm_candidates(fits: Sequence[AnyFit]) -> list[GLMMCandidate | None]:
    """Generalized mixed models as tests take them; None for others."""
    return [fit.candidate if isinstance(fit, GLMMBase) else None for fit in fits]


def is_nested_structured(small: AnyFit, large: AnyFit) -> bool:
    """The same where residuals of one at least have a structure."""
    if 0.0 in (small.sigma, large.sigma):
        return False
    one, other = (fit.rows if isinstance(fit, GLSFit | StructuredFit) else None for fit in (small, large))
    return lies_within(small.design, large.design) and residual_lies_within(one, other)


def other_tests(ordered: Sequence[AnyFit], nested: Sequence[bool]) -> LikelihoodRatios:
    """Each of K models against the one before it, where not all are linear models of `lmm` and `ols`."""
    return gathered(
        [
            test_of_pair(small, large) if is_one else NO_TEST
            for (small, large), is_one in zip(pairwise(ordered), nested, strict=True)
        ]
    )


def test_of_pair(small: AnyFit, large: AnyFit) -> LikelihoodRatio:
    """The test of a nested pair, by what its models are."""
    one, other = generalized_candidate(small), generalized_candidate(large)
    if one is not None and other is not None:
        return glmm_ratio(one, other)
    if isinstance(small, GLSFit | StructuredFit) or isinstance(large, GLSFit | StructuredFit):
        df = large.df_model - small.df_model
        return likelihood_ratio(small.loglik, large.loglik, df, None) if df > 0 else NO_TEST
    return tested(*(Candidate(fit.design, fit.record, fit.loglik) for fit in (small, large)))


def refit_notes(
    given: Sequence[AnyFit], refitted: Sequence[AnyFit], labels: Sequence[str]
) -> tuple[str, ...]:
    """Say which fits were refitted by maximum likelihood, and why."""
    names = [label for label, old, new in zip(labels, given, refitted, strict=True) if old is not new]
    if not names:
        return ()
    first, *others = (fit.design for fit in given)
    why = (
        "likelihood-ratio tests here are those of maximum likelihood; the fixed parts agree, so the REML"
        " criteria of these fits would compare, too"
        if all(same_fixed_part(first, other) for other in others)
        else "REML likelihoods compare only between models with the same fixed part"
    )
    return (f"Refitted by maximum likelihood: {', '.join(names)} ({why}).",)


def nesting_notes(
    ordered: Sequence[AnyFit], nested: Sequence[bool], labels: Sequence[str]
) -> tuple[str, ...]:
    """Say which neighbours a likelihood ratio cannot test."""
    return tuple(
        f"No test of {second} against {first}: {why_not(small, large)}."
        for (small, large), (first, second), is_one in zip(
            pairwise(ordered), pairwise(labels), nested, strict=True
        )
        if not is_one
    )


def why_not(small: AnyFit, large: AnyFit) -> str:
    """Why a likelihood ratio does not test one fit against another, and what to do."""
    nodes = [fit.record.nodes for fit in (small, large) if isinstance(fit, GLMMBase)]
    if len(nodes) == 2 and nodes[0] != nodes[1]:
        return (
            f"they are not nested, for their likelihoods are approximated differently (nagq={nodes[1]} and "
            f"nagq={nodes[0]}); fit both with one nagq"
        )
    weights = "" if same_weights(small, large) else " (their weights differ)"
    return f"they are not nested{weights}; compare AIC or BIC"


def fast_notes(fits: Sequence[AnyFit], labels: Sequence[str]) -> tuple[str, ...]:
    """Say that log-likelihoods of nagq=0 are below their maximum."""
    fast = [
        label
        for fit, label in zip(fits, labels, strict=True)
        if isinstance(fit, GLMMBase) and not fit.record.nodes
    ]
    if not fast:
        return ()
    return (
        f"Fitted with nagq=0: {', '.join(fast)}. Such log-likelihoods are below their maximum, so tests and "
        "criteria are approximate; compare fits with nagq=1 to decide.",
    )


def boundary_notes(ordered: Sequence[AnyFit], nested: Sequence[bool]) -> tuple[str, ...]:
    """Say where a variance is tested and the distribution on the boundary is not known."""
    concerned = any(
        is_one
        and any(isinstance(fit, StructuredFit) for fit in (small, large))
        and n_random(small) != n_random(large)
        for (small, large), is_one in zip(pairwise(ordered), nested, strict=True)
    )
    if not concerned:
        return ()
    return (
        "Where random effects are added beside a residual structure, p is by the naive chi-square, and too"
        " large: a variance cannot be negative.",
    )


def n_random(fit: AnyFit) -> int:
    """Columns of all random-effects terms."""
    return sum(term.n_columns for term in fit.design.terms)


def same_weights(one: AnyFit, other: AnyFit) -> bool:
    """Whether two fits trust the rows alike."""
    return np.array_equal(precision(one.design), precision(other.design))
