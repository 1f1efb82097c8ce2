"""What are a mixed model's coefficients in the population, its random effects averaged over?

A coefficient of a generalized mixed model compares members of one group (it is subject-specific).
Averaged over the random effects the mean of row i is m_i = E g^-1(x_i'beta + s_i Z), Z standard normal
and s_i^2 = z_i'Sigma z_i; the population-averaged coefficients are those of the least-squares fit of
g(m_i) on x_i (Hedeker et al. 2018). Standard errors follow by the delta method from the joint covariance
of beta and theta.

Hedeker, D., du Toit, S. H. C., Demirtas, H. & Gibbons, R. D. (2018). A note on marginalization of regression
parameters from mixed models of binary outcomes. Biometrics 74, 354-361.
Zeger, S. L., Liang, K.-Y. & Albert, P. S. (1988). Models for longitudinal data: a generalized estimating
equation approach. Biometrics 44, 1049-1060.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.estimation.centring import constant_combination
from multilevel.estimation.thresholds import threshold_map
from multilevel.families.ordinal import Ordinal
from multilevel.fitted.assemble import theta_labels
from multilevel.fitted.glmm import GLMMRecord
from multilevel.fitted.term_theta import covariance_at, split_theta
from multilevel.inference.matrices import effect_variance
from multilevel.inference.normal_average import POINTS, ROWS_AT_ONCE, WEIGHTS

C_SQUARED = (16.0 * np.sqrt(3.0) / (15.0 * np.pi)) ** 2  # of a normal curve through a logistic one
THETA_STEP = 1e-5
CONSTANT = 1e-10  # relative spread of s_i at which it is one number


@dataclass(frozen=True, slots=True)
class PopulationAveraged:
    """Coefficients of both kinds; of ordered categories thresholds come first."""

    names: tuple[str, ...]  # (p,)
    conditional: Array  # (p,) subject-specific
    conditional_se: Array  # (p,)
    estimate: Array  # (p,) population-averaged
    vcov: Array  # (p, p) of the estimate
    closed_form: Array | None  # (p,) of random intercepts alone, where the link has one
    closed_is_exact: bool
    sd: float  # root mean square of s_i

    @property
    def std_error(self) -> Array:
        """Standard errors of the population-averaged coefficients (p,)."""
        return np.sqrt(np.maximum(np.diag(self.vcov), 0.0))


@dataclass(frozen=True, slots=True)
class LinkRows:
    """Rows whose averages are fitted: those of the data, or of an ordered response one for each threshold."""

    names: tuple[str, ...]  # (p,)
    columns: Array  # (m, p)
    known: Array  # (m,) offset
    conditional: Array  # (p,) coefficients of the columns
    places: tuple[int, ...]  # (p,) of theirs in the joint covariance
    copies: int  # m over the number of rows

    @property
    def eta(self) -> Array:
        """The linear predictor (m,) without random effects."""
        return np.asarray(self.columns @ self.conditional + self.known)


def population_averaged(design: GLMMDesign, record: GLMMRecord) -> PopulationAveraged:
    """Average over the random effects of the mean, row by row, and fit the link to the averages."""
    if not record.terms:
        raise ModelError(
            "the mean has no random effects, so its coefficients are population-averaged already."
        )
    rows = threshold_rows(design, record) if len(record.thresholds) else plain_rows(design, record)
    variance, counts = row_variance(design, record), design.main.freq_weights
    mean, by_eta, by_sd = averages(record, rows.eta, np.tile(np.sqrt(variance), rows.copies))
    link = record.family.link
    target = link.link(mean)
    slope = 1.0 / link.slope(target)
    project = projection(rows.columns, None if counts is None else np.tile(counts, rows.copies))
    spread = np.tile(sd_slopes(design, record, variance), (rows.copies, 1))
    moves = np.hstack([(slope * by_eta)[:, None] * rows.columns, (slope * by_sd)[:, None] * spread])
    jacobian = project @ moves
    places = np.array([*rows.places, *theta_places(record)])
    joint = record.joint_vcov[np.ix_(places, places)]
    p = len(rows.names)
    return PopulationAveraged(
        names=rows.names,
        conditional=rows.conditional,
        conditional_se=np.sqrt(np.maximum(np.diag(joint)[:p], 0.0)),
        estimate=project @ (target - rows.known),
        vcov=jacobian @ joint @ jacobian.T,
        closed_form=closed_form(record, rows, variance),
        closed_is_exact=link.name != "logit",
        sd=float(np.sqrt(np.average(variance, weights=counts))),
    )


# ---- the rows ----


def plain_rows(design: GLMMDesign, record: GLMMRecord) -> LinkRows:
    """The rows of the data."""
    main = design.main
    known = np.zeros(main.n_rows) if main.offset is None else main.offset
    places = tuple(range(len(record.beta)))
    return LinkRows(record.coef_names, main.X, known, record.beta, places, 1)


def threshold_rows(design: GLMMDesign, record: GLMMRecord) -> LinkRows:
    """A row for each row of the data and threshold: link(P(y <= j)) = threshold_j - x'beta."""
    part, family, main = record.part("threshold"), record.family, design.main
    assert part is not None
    assert isinstance(family, Ordinal)
    J = threshold_map(len(record.thresholds) + 1, family.thresholds)
    known = np.zeros(main.n_rows) if main.offset is None else -main.offset
    p, k = len(record.beta), len(part.names)
    return LinkRows(
        names=(*part.names, *record.coef_names),
        columns=np.vstack([np.hstack([np.tile(row, (main.n_rows, 1)), -main.X]) for row in J]),
        known=np.tile(known, len(J)),
        conditional=np.concatenate([part.estimate, record.beta]),
        places=(*range(p, p + k), *range(p)),
        copies=len(J),
    )


def row_variance(design: GLMMDesign, record: GLMMRecord) -> Array:
    """s_i^2 (n,): what all random effects of the mean add to the variance of a row's linear predictor."""
    pairs = zip(design.main.terms, record.terms, strict=True)
    return np.asarray(sum(effect_variance(term.Z, fit) for term, fit in pairs))


def sd_slopes(design: GLMMDesign, record: GLMMRecord, variance: Array) -> Array:
    """Derivative (n, parameters) of s_i in the covariance parameters of the mean."""
    n_theta = len(theta_places(record))
    theta = split_theta(record.terms, record.theta[:n_theta])
    columns = []
    for term, fit, own in zip(design.main.terms, record.terms, theta, strict=True):
        for k in range(len(own)):
            step = np.zeros(len(own))
            step[k] = THETA_STEP * max(1.0, abs(float(own[k])))
            change = (covariance_at(fit, own + step) - covariance_at(fit, own - step)) / (2.0 * step[k])
            columns.append(np.einsum("ni,ij,nj->n", term.Z, change, term.Z))
    sd = np.sqrt(variance)
    return np.column_stack(columns) / np.where(sd > 0.0, 2.0 * sd, np.inf)[:, None]


def theta_places(record: GLMMRecord) -> range:
    """Places of the mean's covariance parameters in the joint covariance."""
    first = len(record.joint_vcov) - len(record.theta)
    return range(first, first + sum(len(theta_labels(term)) for term in record.terms))


# ---- their averages ----


def averages(record: GLMMRecord, eta: Array, sd: Array) -> tuple[Array, Array, Array]:
    """E g^-1(eta + s Z), and its derivatives in eta and in s: (m,) each."""
    link, parts = record.family.link, []
    for begin in range(0, len(eta), ROWS_AT_ONCE):
        rows = slice(begin, begin + ROWS_AT_ONCE)
        points = eta[rows, None] + sd[rows, None] * POINTS
        slope = link.slope(points)
        parts.append((link.inverse(points) @ WEIGHTS, slope @ WEIGHTS, slope @ (WEIGHTS * POINTS)))
    mean, by_eta, by_sd = (np.concatenate(part) for part in zip(*parts, strict=True))
    return mean, by_eta, by_sd


def projection(X: Array, weights: Array | None) -> Array:
    """(X'WX)^-1 X'W: (p, m)."""
    root = np.ones(len(X)) if weights is None else np.sqrt(weights)
    Q, R = np.linalg.qr(root[:, None] * X)
    return np.asarray(np.linalg.solve(R, Q.T) * root)


def closed_form(record: GLMMRecord, rows: LinkRows, variance: Array) -> Array | None:
    """What the coefficients are by formula where s_i is one number; None where there is no formula."""
    if np.ptp(variance) > CONSTANT * variance.max():
        return None
    square = float(variance[0])
    match record.family.link.name:
        case "logit":
            return np.asarray(rows.conditional / np.sqrt(1.0 + C_SQUARED * square))
        case "probit":
            return np.asarray(rows.conditional / np.sqrt(1.0 + square))
        case "identity":
            return rows.conditional
        case "log":
            one = constant_combination(rows.columns)
            return None if one is None else rows.conditional + 0.5 * square * one
    return None
