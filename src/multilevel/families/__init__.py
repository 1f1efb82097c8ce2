"""Distributions of the response and their links, for `ml.glm`, `ml.glmm` and `ml.gee`.

>>> from multilevel import families
>>> families.Binomial(link="cloglog")
Binomial(link=Cloglog())
"""

from __future__ import annotations

from multilevel.families.continuous import Gamma, Gaussian, InverseGaussian, StudentT, Tweedie
from multilevel.families.counts import (
    NegativeBinomial,
    NegativeBinomial1,
    Poisson,
    TruncatedNegativeBinomial,
    TruncatedNegativeBinomial1,
    TruncatedPoisson,
)
from multilevel.families.family import Family
from multilevel.families.ordinal import Ordinal
from multilevel.families.proportions import Beta, BetaBinomial, Binomial

__all__ = [
    "Beta",
    "BetaBinomial",
    "Binomial",
    "Family",
    "Gamma",
    "Gaussian",
    "InverseGaussian",
    "NegativeBinomial",
    "NegativeBinomial1",
    "Ordinal",
    "Poisson",
    "StudentT",
    "TruncatedNegativeBinomial",
    "TruncatedNegativeBinomial1",
    "TruncatedPoisson",
    "Tweedie",
]
