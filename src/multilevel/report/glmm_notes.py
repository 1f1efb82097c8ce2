"""What deserves notice in a fitted generalized mixed model, in sentences."""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.fitted.glmm import GLMMRecord
from multilevel.report.lmm_summary import convergence_notes, singular_note

OVERDISPERSED = (
    1.5  # Pearson's sum of squares over its degrees of freedom, in the families without a dispersion
)
BOUNDLESS = 10.0  # standard error of a logit beyond which its estimate says "as far as it goes"
INFINITE = 1e5  # a dispersion (a size, a precision) that stands for infinity
MANY_DF = 1e4
FEW_TRIALS = 8.0  # per group, for a remark on the Laplace approximation


def glmm_notes(design: GLMMDesign, record: GLMMRecord, residuals: Array | None) -> tuple[str, ...]:
    """Singular terms, overdispersion, what has no bound, and whether the search converged."""
    terms = (*record.terms, *record.zi_terms)
    return (
        *(singular_note(term, unit_of(record)) for term in terms if term.singular),
        *overdispersion_notes(record, residuals, design.main.freq_weights),
        *boundless_notes(record),
        *fast_notes(record),
        *laplace_notes(design, record),
        *prior_notes(record),
        *convergence_notes(record.optimum),
    )


def unit_of(record: GLMMRecord) -> float:
    """What a standard deviation of random effects is small against."""
    return max(1.0, max((float(term.sd.max()) for term in record.terms), default=1.0))


def overdispersion_notes(record: GLMMRecord, residuals: Array | None, counts: Array | None) -> list[str]:
    """Whether counts or proportions vary more than the family allows."""
    if residuals is None or record.family.predictors or record.family.density not in ("poisson", "binomial"):
        return []
    squares = residuals**2 if counts is None else counts * residuals**2
    df = record.n_obs - record.n_parameters
    ratio = float(squares.sum()) / df if df > 0 else 0.0
    if ratio < OVERDISPERSED:
        return []
    other = "negative_binomial" if record.family.density == "poisson" else "beta_binomial"
    return [
        f"Overdispersion: Pearson's residuals have {ratio:.1f} times the variance that the"
        f" {record.family.name} family gives them, so standard errors are too small. Consider"
        f' family="{other}" or a random effect for each row; check() tests it.'
    ]


LIMITS = {  # a family whose dispersion may run off to infinity, and where it then arrives
    "nbinom2": "the counts vary no more than Poisson ones",
    "truncated_nbinom2": "the counts vary no more than Poisson ones",
    "beta_binomial": "the trials of a row vary no more than binomial ones",
}


def boundless_notes(record: GLMMRecord) -> list[str]:
    """Coefficients and dispersions that the data push towards infinity."""
    notes = []
    if record.dispersion is not None and float(record.dispersion.min()) > INFINITE:
        words = LIMITS.get(record.family.density)
        notes += [f"The dispersion runs off to infinity: {words}. Use the simpler family."] if words else []
    if record.family.density == "student" and record.shape is not None and record.shape > MANY_DF:
        notes.append(
            "The degrees of freedom run off to infinity: the errors have no long tails. Use"
            ' family="gaussian".'
        )
    part = record.part("zi")
    if part is not None and np.nanmax(part.std_error, initial=0.0) > BOUNDLESS:
        names = ", ".join(
            name for name, se in zip(part.names, part.std_error, strict=True) if not se <= BOUNDLESS
        )
        notes.append(
            f"The zero-inflation model is not determined by these data ({names}): its probability runs to 0"
            " or 1 somewhere, so those estimates stand for infinity and their tests mean nothing. There may"
            " be no excess of zeros: compare with the model without zi=."
        )
    return notes


def fast_notes(record: GLMMRecord) -> list[str]:
    """What fixed effects found with the modes of the random effects are."""
    if record.nodes:
        return []
    return [
        "With nagq=0 the fixed effects are those that are most likely together with the random effects:"
        " quick, but biased where groups are small (slopes lean towards zero). The log-likelihood is"
        " Laplace's at these estimates, below its maximum, and standard errors take the covariances for"
        " known. For tests and reports fit the final model with nagq=1."
    ]


def laplace_notes(design: GLMMDesign, record: GLMMRecord) -> list[str]:
    """Where one binary response or few stand against a large variance the approximation is poor."""
    if record.nodes > 1 or len(record.terms) != 1 or record.zi_terms:
        return []
    if record.family.density not in ("binomial", "ordinal") or len(record.terms[0].names) > 1:
        return []
    trials = float(design.main.n_rows if design.trials is None else design.trials.sum())
    each = trials / design.main.groupings[record.terms[0].grouping].n_levels
    if each >= FEW_TRIALS or float(record.terms[0].sd[0]) < 1.0:
        return []
    return [
        f"The Laplace approximation is poor with {each:.1f} responses a group and a standard deviation of"
        f" {float(record.terms[0].sd[0]):.2g}: fit with nagq=25 and see what changes."
    ]


def prior_notes(record: GLMMRecord) -> list[str]:
    """Estimates under a prior are no maximum likelihood estimates."""
    if not record.prior:
        return []
    return [
        "Estimates are those of a weak prior; the log-likelihood above is the likelihood's alone, and tests"
        " by likelihood ratios do not apply."
    ]
