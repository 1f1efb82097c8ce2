"""`ml.glm(...).bootstrap()`: by its own figures, by samples made by hand, and when misused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.errors import ModelError

MONTE_CARLO = 0.12  # of a standard error from 400 replicates: three times 1 / sqrt(800)


def counts(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(6)
    x = rng.normal(size=n)
    return pd.DataFrame(
        {"x": x, "y": rng.poisson(np.exp(0.5 + 0.3 * x)), "g": np.repeat(np.arange(n // 8), 8)}
    )


@pytest.mark.parametrize("kind", ["parametric", "case"])
def test_standard_errors_are_those_of_the_likelihood(kind):
    fit = ml.glm("y ~ x", counts(), family="poisson")
    boot = fit.bootstrap(400, kind, seed=1)
    np.testing.assert_allclose(boot.se, fit.se, rtol=MONTE_CARLO)
    assert np.all(np.abs(boot.bias) < 4.0 * fit.se / 20.0)


def test_clusters_are_drawn_as_wholes():
    ohio = ml.datasets.ohio()
    fit = ml.glm("resp ~ age + smoke", ohio, family="binomial", cluster="id")
    boot = fit.bootstrap(400, "case", seed=1)
    np.testing.assert_allclose(boot.se, fit.se, rtol=MONTE_CARLO)
    assert "Clusters drawn with replacement: id (537)." in str(boot)
    named = fit.update(cluster=None).bootstrap(50, "case", groups="id", seed=1)
    np.testing.assert_array_equal(named.replicates, boot.replicates[:50])


def test_a_case_replicate_is_the_fit_to_the_rows_drawn():
    data = counts(80)
    fit = ml.glm("y ~ x", data, family="poisson")
    child = np.random.SeedSequence(3).spawn(1)[0]
    rows = np.random.default_rng(child).integers(80, size=80)
    again = ml.glm("y ~ x", data.iloc[rows].reset_index(drop=True), family="poisson")
    np.testing.assert_allclose(fit.bootstrap(1, "case", seed=3).replicates[0], again.fixef, atol=1e-8)


def test_a_parametric_replicate_is_a_refit():
    fit = ml.glm("y ~ x", counts(80), family="poisson")
    found = fit.bootstrap(5, seed=3).replicates
    for k, y in enumerate(fit.simulate(5, seed=3).T):
        np.testing.assert_allclose(found[k], fit.refit(y).fixef, atol=1e-8)


def test_other_parameters_and_limits():
    rng = np.random.default_rng(7)
    data = counts(120).assign(y=rng.negative_binomial(2, 0.4, 120))
    fit = ml.glm("y ~ x", data, family="negative_binomial")
    boot = fit.bootstrap(300, seed=2)
    assert boot.parameters == ("Intercept", "x", "disp~Intercept")
    table = fit.confint("bootstrap", n=300, seed=2)
    assert list(table) == ["term", "estimate", "conf_low", "conf_high"]
    assert table["estimate"].iloc[2] == pytest.approx(np.log(fit.dispersion))
    pd.testing.assert_frame_equal(table, boot.confint())
    for limits in ("basic", "normal", "bca"):
        low, high = fit.confint("bootstrap", n=300, seed=2, limits=limits, which="x").iloc[0, 2:]
        assert abs(low - (fit.fixef[1] - 1.96 * fit.se[1])) < fit.se[1]
        assert abs(high - (fit.fixef[1] + 1.96 * fit.se[1])) < fit.se[1]


def test_statistics_of_ones_own():
    fit = ml.glm("y ~ x", counts(), family="poisson")
    for kind in ("parametric", "case"):
        boot = fit.bootstrap(100, kind, seed=1, statistic=lambda f: {"effect": f.ame()["estimate"].iloc[0]})
        assert boot.se[0] == pytest.approx(fit.ame()["std_error"].iloc[0], rel=3.0 * MONTE_CARLO)
    same = fit.bootstrap(20, seed=1, statistic=lambda f: f.fixef)
    np.testing.assert_allclose(same.replicates, fit.bootstrap(20, seed=1).replicates, atol=1e-10)


def test_samples_that_cannot_be_fitted_are_counted():
    """Few successes at x = 0: some samples have none, and no finite estimate."""
    data = pd.DataFrame({"x": np.repeat([0, 1], 20), "y": [1, 1, 1, *[0] * 17, *[0, 1] * 10]})
    fit = ml.glm("y ~ x", data, family="binomial")
    boot = fit.bootstrap(300, "case", seed=1)
    assert boot.n_failed > 0
    assert np.isnan(boot.replicates).all(axis=1).sum() == boot.n_failed
    assert f"{boot.n_failed} samples could not be fitted; left out." in " ".join(str(boot).split())


def test_misuse():
    fit = ml.glm("y ~ x", counts(80), family="poisson")
    with pytest.raises(ModelError, match='use kind="parametric" or kind="case"'):
        fit.bootstrap(10, "residual")
    with pytest.raises(ModelError, match='say kind="case"'):
        fit.bootstrap(10, groups="g")
    with pytest.raises(ModelError, match="n= belongs to bootstraps, not to profile limits"):
        fit.confint("profile", n=10)
    with pytest.raises(ModelError, match="studentized limits"):
        fit.bootstrap(50, seed=1).confint("studentized")
    with pytest.raises(ModelError, match="freq_weights"):
        ml.glm("y ~ x", counts(80).assign(w=2), family="poisson", freq_weights="w").bootstrap(10)
