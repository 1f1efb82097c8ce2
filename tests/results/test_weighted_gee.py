"""Estimating equations with weights for dropout: the correction, bias under MAR, and side by side."""

import numpy as np
import pytest

import multilevel as ml
from longitudinal import drop_out, trial
from multilevel.errors import DataError, ModelError, MultilevelWarning
from multilevel.inference.weighted_scores import projected_scores

FORMULA = "y ~ week"


@pytest.fixture(scope="module")
def seen():
    return drop_out(trial(n_groups=300, effect=0.0), on_y=-0.6)


@pytest.fixture(scope="module")
def weights(seen):
    return ml.dropout_weights(seen, "id", "week", "~ I(y - week)", numerator="~ factor(week)")


def test_the_sandwich_is_that_of_projected_scores(seen, weights):
    fit = ml.gee(FORMULA, seen, groups="id", time="week", weights=weights)
    X, w = fit.design.X, weights.weights
    residuals = seen["y"] - X @ fit.fixef
    U = np.zeros((300, 2))
    np.add.at(U, weights.model.codes, X * np.asarray(w * residuals)[:, None])
    E = projected_scores(U, weights.model.scores[:, : weights.model.n_stay])
    inverse = np.linalg.inv((X.T * w) @ X)
    np.testing.assert_allclose(fit.se, np.sqrt(np.diag(inverse @ E.T @ E @ inverse)), rtol=1e-8)
    known = ml.gee(FORMULA, seen, groups="id", time="week", weights=weights.weights)
    np.testing.assert_allclose(fit.fixef, known.fixef, rtol=1e-12)
    assert (fit.se < known.se).all()
    assert "allow for its estimation" in " ".join(str(fit).split())


def test_the_order_of_rows_does_not_matter(seen, weights):
    order = np.random.default_rng(20).permutation(len(seen))
    shuffled = seen.iloc[order].reset_index(drop=True)
    again = ml.dropout_weights(shuffled, "id", "week", "~ I(y - week)", numerator="~ factor(week)")
    one = ml.gee(FORMULA, seen, groups="id", time="week", weights=weights)
    other = ml.gee(FORMULA, shuffled, groups="id", time="week", weights=again)
    np.testing.assert_allclose(other.se, one.se, rtol=1e-8)


def test_refits_and_updates_keep_the_weights(seen, weights):
    fit = ml.gee(FORMULA, seen, groups="id", time="week", weights=weights)
    np.testing.assert_allclose(fit.refit(fit.design.y).se, fit.se, rtol=1e-9)
    np.testing.assert_allclose(fit.update("~ .").se, fit.se, rtol=1e-9)


def test_plain_equations_are_biased_under_mar_and_weighted_ones_are_not():
    found = []
    for seed in range(60):
        data = drop_out(trial(n_groups=300, seed=seed, effect=0.0), seed=100 + seed, on_y=-0.6)
        w = ml.dropout_weights(data, "id", "week", "~ I(y - week)", numerator="~ factor(week)")
        plain = ml.gee(FORMULA, data, groups="id", time="week")
        weighted = ml.gee(FORMULA, data, groups="id", time="week", weights=w)
        found.append([plain.fixef[1], weighted.fixef[1]])
    bias = np.mean(found, axis=0) - 1.0
    error = np.std(found, axis=0, ddof=1) / np.sqrt(60.0)
    assert bias[0] < -8.0 * error[0]
    assert abs(bias[1]) < 3.0 * error[1]


def test_weights_by_row_warn_beside_a_working_correlation(seen, weights):
    with pytest.warns(MultilevelWarning, match='level="cluster"'):
        ml.gee(FORMULA, seen, groups="id", time="week", corr="exchangeable", weights=weights)
    whole = ml.dropout_weights(seen, "id", "week", "~ I(y - week)", level="cluster", truncate=(0.0, 0.95))
    fit = ml.gee(FORMULA, seen, groups="id", time="week", corr="exchangeable", weights=whole)
    assert np.isfinite(fit.se).all()


def test_misuse(seen, weights):
    with pytest.raises(ModelError, match="freq_weights do not go together"):
        ml.gee(FORMULA, seen, groups="id", weights=weights, freq_weights=np.ones(len(seen)))
    other = seen.assign(person="p" + seen["id"].astype(str))
    with pytest.raises(DataError, match="the weights know nothing of 300 of the groups"):
        ml.gee(FORMULA, other, groups="person", weights=weights)


def test_side_by_side_with_equations(sleepstudy):
    naive = ml.ols("Reaction ~ Days", sleepstudy)
    marginal = ml.gee("Reaction ~ Days", sleepstudy, groups="Subject", corr="exchangeable", vcov="model")
    mixed = ml.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy)
    both = ml.sidebyside(naive, marginal, mixed)
    assert list(both["estimand"]) == ["both"] * 6
    text = " ".join(str(both).split())
    assert "The estimates agree" in text
    assert "gee: Reaction ~ Days; rows of one Subject alike" in text
    pooled = ml.pool(marginal, marginal)
    np.testing.assert_allclose(pooled.se, marginal.se, rtol=1e-10)


def test_averages_beside_single_groups():
    rng = np.random.default_rng(21)
    g = np.repeat(np.arange(400), 6)
    x = rng.normal(size=2400)
    chance = 1.0 / (1.0 + np.exp(-0.3 - x - 2.0 * rng.normal(size=400)[g]))
    data = {"g": g, "x": x, "y": (rng.random(2400) < chance).astype(float)}
    naive = ml.glm("y ~ x", data, family="binomial")
    average = ml.gee("y ~ x", data, groups="g", family="binomial", corr="exchangeable")
    single = ml.glmm("y ~ x + (1 | g)", data, family="binomial", nagq=15)
    text = " ".join(str(ml.sidebyside(naive, average, single)).split())
    assert (average.estimand, average.link) == ("population-averaged", "logit")
    assert "glmm tells what changes for a single group (subject-specific), glm and gee what changes" in text
    assert average.fixef[1] / single.fixef[1] == pytest.approx(0.65, rel=0.15)  # 1 / sqrt(1 + c^2 4)
