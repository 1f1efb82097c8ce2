"""What deserves notice in a fitted generalized mixed model, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.fitted.glmm import GLMMRecord
from multilevel.inference.glmm_checks import is_binary
from multilevel.inference.laplace_error import LaplaceError, is_poor
from multilevel.report.lmm_summary import convergence_notes, singular_note
from multilevel.report.wording import plural

OVERDISPERSED = (
    1.5  # Pearson's sum of squares over its degrees of freedom, in the families without a dispersion
)
BOUNDLESS = 10.0  # standard error of a logit beyond which its estimate says "as far as it goes"
INFINITE = 1e5  # a dispersion (a size, a precision) that stands for infinity
MANY_DF = 1e4


def glmm_notes(
    design: GLMMDesign, record: GLMMRecord, residuals: Array | None, laplace: Sequence[LaplaceError]
) -> tuple[str, ...]:
    """Singular terms, overdispersion, what has no bound, and whether the search converged."""
    terms = (*record.terms, *record.zi_terms)
    return (
        *(singular_note(term, unit_of(record)) for term in terms if term.singular),
        *undefined_notes(residuals),
        *overdispersion_notes(design, record, residuals),
        *boundless_notes(record),
        *fast_notes(record),
        *laplace_notes(laplace),
        *prior_notes(record),
        *convergence_notes(record.optimum),
    )


def unit_of(record: GLMMRecord) -> float:
    """What a standard deviation of random effects is small against."""
    return max(1.0, max((float(term.sd.max()) for term in record.terms), default=1.0))


def undefined_notes(residuals: Array | None) -> list[str]:
    """Why rows have no residuals, and with them no mean that they could have."""
    count = 0 if residuals is None else int(np.isnan(residuals).sum())
    if not count:
        return []
    return [
        f"Pearson's residuals are left out in {plural(count, 'row')} whose fitted mean the family cannot have"
        " (a probability above 1, for instance): choose a link that keeps means in their range."
    ]


def overdispersion_notes(design: GLMMDesign, record: GLMMRecord, residuals: Array | None) -> list[str]:
    """Whether counts or shares vary more than the family allows; single trials cannot."""
    if residuals is None or record.family.density not in ("poisson", "binomial") or is_binary(design, record):
        return []
    counts = design.main.freq_weights
    squares = residuals**2 if counts is None else counts * residuals**2
    df = record.n_obs - record.n_parameters
    ratio = float(np.nansum(squares)) / df if df > 0 else 0.0
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


def laplace_notes(errors: Sequence[LaplaceError]) -> list[str]:
    """Where quadrature would find other estimates."""
    told = [laplace_words(error, len(errors)) for error in errors if is_poor(error)]
    return [f"The Laplace approximation is poor here: {words}" for words in told]


def laplace_words(error: LaplaceError, n_factors: int) -> str:
    """How far off it is, and what to do."""
    way_out = (
        "fit with nagq=25 (nagq=9 with random slopes) and see what changes."
        if n_factors == 1
        else f"nagq= serves one grouping factor. Fit {error.group} alone with nagq=25 to see what changes;"
        " take variances and the intercept with care."
    )
    return (
        f"with {error.responses:.1f} responses a level of {error.group}, integrating its effects by"
        f" quadrature moves estimates by {error.change:.1f} standard errors in the first step; {way_out}"
    )


def prior_notes(record: GLMMRecord) -> list[str]:
    """Estimates under a prior are no maximum likelihood estimates."""
    if not record.prior:
        return []
    return [
        "Estimates are those of a weak prior; the log-likelihood above is the likelihood's alone, and tests"
        " by likelihood ratios do not apply."
    ]
