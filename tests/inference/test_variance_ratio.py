"""Exact limits of a variance ratio, against textbook formulas, a dense calculation and simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f as f_distribution

import multilevel as ml
from multilevel.errors import ModelError
from multilevel.inference.variance_ratio import exact_theta_limits, least_squares_within
from multilevel.results.lmm import LMMFit
from reference_cases import case_data, case_names, load_case


def theta_limits(fit: LMMFit, level: float = 0.95) -> tuple[float, float]:
    return exact_theta_limits(fit.design, fit._working_model(), level)


def unbalanced(seed: int = 1, n_groups: int = 9, tau: float = 0.7) -> pd.DataFrame:
    """Groups of 1 to 7 rows, a covariate within them and one between."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), rng.integers(1, 8, n_groups))
    x, w = rng.normal(size=len(group)), rng.normal(size=n_groups)[group]
    y = 1.0 + x + w + tau * rng.normal(size=n_groups)[group] + rng.normal(size=len(group))
    return pd.DataFrame({"y": y, "x": x, "w": w, "g": group, "precision": rng.uniform(0.5, 2.0, len(group))})


def test_balanced_layouts_have_searles_limits(dyestuff: pd.DataFrame) -> None:
    values = dyestuff["Yield"].to_numpy().reshape(6, 5)
    between, within = 5.0 * values.mean(axis=1).var(ddof=1), values.var(axis=1, ddof=1).mean()
    quantiles = f_distribution.ppf([0.975, 0.025], 5, 24)
    by_hand = (between / within / quantiles - 1.0) / 5.0
    table = ml.lmm("Yield ~ 1 + (1 | Batch)", dyestuff).icc(conf_int="exact")
    limits = table[["conf_low", "conf_high"]].to_numpy()[0]
    np.testing.assert_allclose(limits, by_hand / (1.0 + by_hand), rtol=1e-9)


BALANCED = [name for name in case_names("icc_") if load_case(name)["dims"]["balanced"]]


@pytest.mark.parametrize("name", BALANCED)
def test_balanced_layouts_have_the_limits_of_r(name: str) -> None:
    case = load_case(name)
    response, group = case["spec"]["response"], case["spec"]["group"]
    row = ml.lmm(f"{response} ~ 1 + (1 | {group})", case_data(case)).icc(conf_int="exact").iloc[0]
    low, high = np.maximum(case["icc"]["ICC1_ci95"], 0.0)  # R's may be negative, a variance is not
    assert row["conf_low"] == pytest.approx(low, rel=1e-8)
    assert row["conf_high"] == pytest.approx(high, rel=1e-8)


@pytest.mark.parametrize("term", ["(1 | g)", "(0 + x | g)"])
@pytest.mark.parametrize("weights", [None, "precision"])
def test_the_statistic_at_the_limits_is_at_its_quantiles(term: str, weights: str | None) -> None:
    """F by the projections of Harville and Fenech, with a pseudo-inverse in the place of sums of squares."""
    data = unbalanced(tau=3.0)
    data["y"] += 3.0 * (data["g"] % 3) * data["x"]
    fit = ml.lmm(f"y ~ x + w + {term}", data, weights=weights)
    root = np.sqrt(np.ones(len(data)) if weights is None else data[weights].to_numpy())
    M = fit.matrices()
    X, Z, y = (root[:, None] * M.X, root[:, None] * M.Z.toarray(), root * fit.design.y)
    without = np.eye(len(y)) - X @ np.linalg.pinv(X)
    C, q = Z.T @ without @ Z, Z.T @ without @ y
    both = np.hstack([X, Z])
    rank = np.linalg.matrix_rank(both)
    r, f = rank - X.shape[1], len(y) - rank
    rss = y @ (y - both @ np.linalg.lstsq(both, y, rcond=None)[0])
    scale = 1.0 / np.sqrt(np.mean(fit.design.terms[0].Z ** 2))  # theta is that of the working column
    for theta, quantile in zip(theta_limits(fit, 0.9), f_distribution.ppf([0.95, 0.05], r, f), strict=True):
        gamma = (theta * scale) ** 2
        statistic = q @ np.linalg.pinv(C + gamma * C @ C, hermitian=True) @ q / r / (rss / f)
        assert statistic == pytest.approx(quantile, rel=1e-8)


def test_predictors_between_groups_cost_their_degrees_of_freedom() -> None:
    data = unbalanced()
    within = least_squares_within(ml.lmm("y ~ x + w + (1 | g)", data).design)
    assert (within.df_effects, within.df_residual) == (9 - 2, len(data) - 9 - 1)


@pytest.mark.parametrize("shift", [1e8, -1e6])
def test_covariates_far_from_zero_do_not_matter(shift: float) -> None:
    data = unbalanced()
    far = data.assign(x=data["x"] + shift, w=data["w"] + shift, y=data["y"] + shift)
    near, there = (theta_limits(ml.lmm("y ~ x + w + (1 | g)", d)) for d in (data, far))
    np.testing.assert_allclose(there, near, rtol=1e-6)


def test_limits_meet_the_boundary_and_not_more(dyestuff2: pd.DataFrame) -> None:
    low, high = theta_limits(ml.lmm("Yield ~ 1 + (1 | Batch)", dyestuff2))
    assert low == 0.0 < high
    assert theta_limits(ml.lmm("Yield ~ 1 + (1 | Batch)", dyestuff2), 0.01) == (0.0, 0.0)


def test_nothing_between_or_within_levels_is_an_error() -> None:
    data = unbalanced().assign(b=lambda d: pd.Categorical(d["g"]))
    with pytest.raises(ModelError, match="degrees of freedom"):
        ml.lmm("y ~ b + (1 | g)", data).icc(conf_int="exact")


@pytest.mark.parametrize("method", ["exact", "delta"])
def test_limits_cover_the_truth(method: str) -> None:
    """300 data sets of 25 uneven groups with a true share of 0.3: 0.95 -+ 3 standard errors of 0.0126."""
    tau = np.sqrt(0.3 / 0.7)
    data = unbalanced(seed=5, n_groups=25)
    fit = ml.lmm("y ~ x + w + (1 | g)", data)
    rng = np.random.default_rng(7)
    covered = []
    for _ in range(300):
        y = tau * rng.normal(size=25)[data["g"]] + rng.normal(size=len(data))
        refit = fit.refit(y)
        if method == "delta" and refit.singular:  # no limits on a boundary; they do not cover
            covered.append(False)
            continue
        row = refit.icc(conf_int=method).iloc[0]  # type: ignore[arg-type]
        covered.append(row["conf_low"] <= 0.3 <= row["conf_high"])
    assert np.mean(covered) == pytest.approx(0.95, abs=0.038)
