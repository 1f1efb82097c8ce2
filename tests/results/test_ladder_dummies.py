"""Dummies for groups beside random effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

import multilevel as ml
from multilevel.errors import ModelError

SLEEP = ml.datasets.sleepstudy()
HSB = ml.datasets.hsb82()


def by_term(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index("term")


def test_the_slope_of_sleepstudy_is_that_of_lm_with_dummies() -> None:
    both = ml.ladder("Reaction ~ Days", SLEEP, groups="Subject").dummies()
    days = by_term(both.frame).loc["Days"]
    # R: lm(Reaction ~ Days + factor(Subject))
    assert days["dummies"] == pytest.approx(10.467285959595959, rel=1e-9)
    assert days["dummies_std_error"] == pytest.approx(0.804221429099433, rel=1e-9)
    assert both.df_residual == 161
    assert both.hausman is None  # everybody has the same days
    assert "Both give the same coefficients by design" in " ".join(str(both).split())


def test_unbalanced_predictors_are_those_of_lm_with_dummies() -> None:
    both = ml.ladder("mAch ~ ses*sector + meanses + minrty", HSB, groups="school").dummies()
    table = by_term(both.frame)
    # R: lm(mAch ~ ses * sector + meanses + minrty + factor(school)); R has Catholic as reference
    assert table.loc["minrty[T.Yes]", "dummies"] == pytest.approx(-2.82678423081485, rel=1e-9)
    assert table.loc["minrty[T.Yes]", "dummies_std_error"] == pytest.approx(0.220017297200837, rel=1e-9)
    assert table.loc["ses:sector[T.Catholic]", "dummies"] == pytest.approx(-1.190824693340252, rel=1e-9)
    assert table.loc["ses:sector[T.Catholic]", "dummies_std_error"] == pytest.approx(
        0.216236012750736, rel=1e-9
    )
    assert both.df_residual == 7022
    assert table.index[~table["identified"]].tolist() == ["Intercept", "sector[T.Catholic]", "meanses"]
    assert "Not estimable with dummies (-): sector[T.Catholic], meanses." in " ".join(str(both).split())


def test_ols_with_dummies_is_the_same() -> None:
    rng = np.random.default_rng(2)
    n = 120
    data = pd.DataFrame(
        {"g": rng.integers(0, 9, n).astype(str), "x": rng.normal(size=n) + 1e6, "w": rng.uniform(0.5, 2, n)}
    )
    data["f"] = rng.integers(1, 4, n)
    data["y"] = 0.3 * (data["x"] - 1e6) + rng.normal(size=n)
    options = {"weights": "w", "freq_weights": "f"}
    both = ml.ladder("y ~ x", data, groups="g", **options).dummies()
    plain = ml.ols("y ~ x + g", data, **options)
    k = plain.coef_names.index("x")
    found = by_term(both.frame).loc["x"]
    assert found["dummies"] == pytest.approx(plain.fixef[k], rel=1e-7)  # x is far from zero
    assert found["dummies_std_error"] == pytest.approx(plain.se[k], rel=1e-7)
    assert both.df_residual == plain.df_residual


def test_hausman_is_that_of_dense_matrices() -> None:
    steps = ml.ladder("mAch ~ ses + minrty", HSB, groups="school")
    both, fit = steps.dummies(), steps.fits["intercept"]
    D = pd.get_dummies(HSB["school"]).to_numpy(float)
    X = np.column_stack([fit.design.X[:, 1:], D])
    unscaled = np.linalg.inv(X.T @ X)[:2, :2]
    V = fit.sigma**2 * unscaled - fit.vcov()[1:, 1:]
    d = both.dummies.beta[1:] - fit.fixef[1:]
    statistic = d @ np.linalg.solve(V, d)
    assert both.hausman is not None
    assert both.hausman.statistic == pytest.approx(statistic, rel=1e-6)
    assert both.hausman.p_value == pytest.approx(chi2.sf(statistic, 2), rel=1e-5)
    assert both.hausman.df == 2
    assert "A random intercept blends" in str(both) or "blends the two" in " ".join(str(both).split())


def test_hausman_has_its_size() -> None:
    """Without a difference between effects, p-values are uniform."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(40), 6)
    p_values = []
    for _ in range(60):
        x = rng.normal(size=240) + rng.normal(size=40)[g]
        y = x + rng.normal(size=40)[g] + rng.normal(size=240)
        data = {"y": y, "x": x, "g": g}
        found = ml.ladder("y ~ x", data, groups="g").dummies().hausman
        assert found is not None
        p_values.append(found.p_value)
    assert 0.35 < np.mean(p_values) < 0.65  # standard error 0.037
    assert np.mean(np.array(p_values) < 0.05) < 0.15


def test_what_depends_on_others_within_groups_is_not_told_apart() -> None:
    data = HSB.assign(double=2 * HSB["cses"] + HSB["meanses"])
    text = " ".join(str(ml.ladder("mAch ~ ses + double", data, groups="school").dummies()).split())
    assert "Not told apart within school (-): double depends there on the columns before it." in text


def test_misuse() -> None:
    with pytest.raises(ModelError, match="has no predictors, whose coefficients dummies would change"):
        ml.ladder("Yield ~ 1", ml.datasets.dyestuff(), groups="Batch").dummies()
