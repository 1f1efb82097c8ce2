"""How much of what a generalized mixed model says is there belongs to groups? ICC and R2, latent and
observed.

On the latent scale, that of the linear predictor, an observation has a variance of its own beside the
random effects and the fixed part. For thresholded latent variables (logit, probit, complementary log-
log) it is that of the latent distribution; for other families it is the variance of the response carried
through the link at a mean lambda, by the delta method, Var(y) g'(lambda)^2, or for the log link by the
log-normal, log(1 + Var(y) / lambda^2), or the trigamma function (Nakagawa, Johnson & Schielzeth 2017). A
random effect for each row is part of that variance.

On the observed scale two responses of a group correlate by Cov / Var of the responses themselves, the
random effects integrated out (Goldstein, Browne & Rasbash 2002); it depends on the fixed part, and is
averaged over rows.

Nakagawa, S., Johnson, P. C. D. & Schielzeth, H. (2017). The coefficient of determination R2 and intra-
class correlation coefficient from generalized linear mixed-effects models revisited and expanded.
Journal of the Royal Society Interface 14, 20170213. Goldstein, H., Browne, W. & Rasbash, J. (2002).
Partitioning variation in multilevel models. Understanding Statistics 1, 223-231.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import polygamma

from multilevel._typing import Array
from multilevel.clusters.icc import fixed_variance, group_variances
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.families.moments import RowParameters, response_variance
from multilevel.fitted.glmm import GLMMRecord

Method = Literal["latent", "delta", "lognormal", "trigamma"]
LATENT = {"logit": np.pi**2 / 3.0, "probit": 1.0, "cloglog": np.pi**2 / 6.0}  # of the latent variable
LATENT_RESPONSES = ("binomial", "beta_binomial", "ordinal")


@dataclass(frozen=True, slots=True)
class LatentVariance:
    """The parts of the variance of a linear predictor and an observation about it."""

    groups: tuple[str, ...]  # (G,) grouping factors, those with a level for each row left out
    between: Array  # (G,) mean variance of each factor's random effects
    rows: float  # of random effects for each row
    observation: float  # of an observation about its linear predictor
    fixed: float  # of the fixed part

    @property
    def left(self) -> float:
        """All but the fixed part."""
        return float(self.between.sum() + self.rows + self.observation)


def latent_variance(design: GLMMDesign, record: GLMMRecord, method: Method, mean: float) -> LatentVariance:
    """Split the variance on the scale of the link; `mean` is lambda, where the method needs one."""
    main = design.main
    between = group_variances(main, record)
    own = np.array([grouping.n_levels == main.n_rows for grouping in main.groupings], dtype=np.bool_)
    return LatentVariance(
        groups=tuple(g.name for g, is_row in zip(main.groupings, own, strict=True) if not is_row),
        between=between[~own],
        rows=float(between[own].sum()),
        observation=observation_variance(design, record, method, mean),
        fixed=fixed_variance(main, record),
    )


def usual_method(record: GLMMRecord) -> Method:
    """Latent where there is a latent variable, log-normal with a log link, else the delta method."""
    if is_latent(record):
        return "latent"
    return "lognormal" if record.family.link.name == "log" else "delta"


def is_latent(record: GLMMRecord) -> bool:
    """Whether the response cuts a latent variable whose variance is known."""
    return record.family.density in LATENT_RESPONSES and record.family.link.name in LATENT


def observation_variance(design: GLMMDesign, record: GLMMRecord, method: Method, mean: float) -> float:
    """Variance of an observation on the scale of the link."""
    link = record.family.link
    if method == "latent":
        if not is_latent(record):
            raise ModelError(
                f"there is no latent variable behind a {record.family.name} response with this link; "
                'choose method="delta".'
            )
        return LATENT[link.name]
    if record.family.response == "ordered":
        raise ModelError("ordered categories have no variance but that of their latent variable.")
    variance = variance_at(design, record, mean)
    if method == "delta":
        slope = float(link.slope(link.link(np.array([mean])))[0])
        return variance / slope**2
    if link.name != "log":
        raise ModelError(f'method="{method}" belongs to the log link; choose "delta" with {link.name}.')
    relative = variance / mean**2
    return float(np.log1p(relative) if method == "lognormal" else polygamma(1, 1.0 / relative))


def variance_at(design: GLMMDesign, record: GLMMRecord, mean: float) -> float:
    """Variance of one response (of one trial) with that mean, its dispersion averaged over rows."""
    phi = record.dispersion
    typical = (
        None if phi is None else np.array([np.exp(np.average(np.log(phi), weights=design.main.freq_weights))])
    )
    rows = RowParameters(np.array([mean]), typical, record.shape)
    return float(response_variance(record.family.density, rows)[0])
