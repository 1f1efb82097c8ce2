"""gpboost's grouped random effects: random intercepts, by maximum likelihood.

By default it solves and takes determinants iteratively, which is the faster for crossed factors but not for
nested ones, and makes what it says of its likelihood itself an estimate. The criterion reported is the exact
one at its estimates, computed outside the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gpboost
import numpy as np
import pandas as pd
from measure import Adapter, Job, Outcome, main


@dataclass(frozen=True, slots=True)
class Model:
    """Columns of a frame that make the model."""

    response: str
    fixed: Callable[[pd.DataFrame], Any]  # model matrix (n, p)
    groups: Callable[[pd.DataFrame], pd.DataFrame]  # one column a factor
    method: str = "default"  # of solving
    likelihood: str = "gaussian"


@dataclass(frozen=True, slots=True)
class Fit:
    """A fit and what it was fitted to."""

    model: Any
    y: Any  # (n,)
    X: Any  # (n, p)
    groups: pd.DataFrame
    likelihood: str


def beside_intercept(frame: pd.DataFrame, *columns: str) -> Any:
    """Intercept, numbers as they are, factors by treatment coding."""
    dummies = pd.get_dummies(frame[list(columns)], drop_first=True, dtype=float)
    return np.column_stack([np.ones(len(frame)), dummies.to_numpy()])


def interaction(frame: pd.DataFrame, first: str, second: str) -> Any:
    """Model matrix of `first * second`, two factors."""
    one, two = (pd.get_dummies(frame[name], drop_first=True, dtype=float) for name in (first, second))
    products = [one.to_numpy()[:, [j]] * two.to_numpy() for j in range(one.shape[1])]
    return np.column_stack([np.ones(len(frame)), one, two, *products])


def crossing(frame: pd.DataFrame, first: str, second: str) -> Any:
    """One group for each pair of levels."""
    pairs = [frame[name].astype("category").cat for name in (first, second)]
    return pairs[0].codes.to_numpy(dtype=np.int64) * len(pairs[1].categories) + pairs[1].codes.to_numpy()


MODELS = {
    "warm-up": Model("y", lambda f: beside_intercept(f, "x"), lambda f: f[["g"]]),
    "insteval": Model(
        "y",
        lambda f: beside_intercept(f, "service"),
        lambda f: f[["s", "d"]].assign(both=crossing(f, "dept", "service")),
    ),
    "insteval-fixed": Model("y", lambda f: interaction(f, "service", "dept"), lambda f: f[["s", "d"]]),
    "three-level": Model("y", lambda f: beside_intercept(f, "x"), lambda f: f[["a", "b"]], "cholesky"),
    "chem97": Model(
        "score",
        lambda f: beside_intercept(f, "gcsecnt", "gender"),
        lambda f: f[["lea", "school"]],
        "cholesky",
    ),
    "ratings": Model("y", lambda f: np.ones((len(f), 1)), lambda f: f[["user", "item"]]),
    "logistic": Model(
        "y", lambda f: beside_intercept(f, "x1", "x2"), lambda f: f[["g"]], likelihood="bernoulli_logit"
    ),
    "rasch": Model(
        "yes", lambda f: np.ones((len(f), 1)), lambda f: f[["id", "item"]], likelihood="bernoulli_logit"
    ),
    "verbagg": Model(
        "yes",
        lambda f: beside_intercept(f, "Anger", "Gender", "btype", "situ"),
        lambda f: f[["id", "item"]],
        likelihood="bernoulli_logit",
    ),
    "poisson-crossed": Model(
        "y", lambda f: beside_intercept(f, "x"), lambda f: f[["a", "b"]], likelihood="poisson"
    ),
}


def fit(frame: pd.DataFrame, job: Job) -> Fit:
    columns = MODELS[job.line]
    y, X = frame[columns.response].to_numpy(dtype=float), columns.fixed(frame)
    groups = columns.groups(frame)
    model = gpboost.GPModel(
        group_data=groups, likelihood=columns.likelihood, matrix_inversion_method=columns.method
    )
    model.fit(y=y, X=X)
    return Fit(model, y, X, groups, columns.likelihood)


def outcome(fit: Fit) -> Outcome:
    exact = gpboost.GPModel(
        group_data=fit.groups, likelihood=fit.likelihood, matrix_inversion_method="cholesky"
    )
    mean = fit.X @ fit.model.get_coef(format_pandas=False).ravel()
    variances = fit.model.get_cov_pars(format_pandas=False).ravel()
    if fit.likelihood == "gaussian":
        return Outcome(2 * exact.neg_log_likelihood(cov_pars=variances, y=fit.y - mean), None)
    return Outcome(2 * exact.neg_log_likelihood(cov_pars=variances, y=fit.y, fixed_effects=mean), None)


main(Adapter(package="gpboost", load=pd.read_parquet, fit=fit, outcome=outcome))
