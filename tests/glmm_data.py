"""Simulated groups for tests of generalized mixed models."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from scipy.special import expit


@cache
def _grouped() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    n, groups = 240, 24
    g = np.repeat(np.arange(groups), n // groups)
    x = rng.normal(size=n)
    effect = rng.normal(size=groups)[g]
    eta = -0.2 + 0.8 * x + effect
    latent = eta + rng.logistic(size=n)
    cuts = np.quantile(latent, [0.3, 0.55, 0.8])
    mu = np.exp(0.4 + 0.3 * x + 0.5 * effect)
    size = rng.integers(1, 9, n)
    return pd.DataFrame(
        {
            "g": g,
            "x": x,
            "a": pd.Categorical(rng.choice(["p", "q", "r"], n)),
            "binary": (rng.random(n) < expit(eta)).astype(int),
            "size": size,
            "hits": rng.binomial(size, expit(eta)),
            "count": rng.poisson(mu),
            "wide": rng.poisson(mu * rng.gamma(1.5, 1 / 1.5, n)),
            "empty": np.where(rng.random(n) < 0.3, 0, rng.poisson(3.0 * mu)),
            "amount": mu * rng.gamma(4.0, 0.25, n),
            "line": 10.0 + 2.0 * x + 3.0 * effect + 2.0 * rng.normal(size=n),
            "tailed": 10.0 + 2.0 * x + 3.0 * effect + rng.standard_t(3.0, n),
            "share": rng.beta(4.0 * expit(eta), 4.0 * expit(-eta)).clip(1e-6, 1 - 1e-6),
            "grade": pd.Categorical(
                np.array(["low", "some", "much", "all"])[np.searchsorted(cuts, latent)],
                ["low", "some", "much", "all"],
                ordered=True,
            ),
        }
    )


def grouped() -> pd.DataFrame:
    """240 rows in 24 groups with responses of every kind; a copy of its own for every caller."""
    return _grouped().copy()


MODELS = {  # response and family of a model with a random intercept
    "binary": ("binary", "binomial"),
    "trials": ("hits / size", "binomial"),
    "probit": ("hits / size", "probit"),
    "count": ("count", "poisson"),
    "wide": ("wide", "negative_binomial"),
    "wide1": ("wide", "nbinom1"),
    "amount": ("amount", "gamma"),
    "inverse_gaussian": ("amount", "inverse_gaussian"),
    "line": ("line", "gaussian"),
    "student": ("tailed", "student"),
    "share": ("share", "beta"),
    "overdispersed": ("hits / size", "beta_binomial"),
    "grade": ("grade", "ordinal"),
}
