"""Cluster-robust variances of generalized mixed models against scores that know nothing of ours."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import logsumexp
from scipy.stats import binom, nbinom, norm, t

import multilevel as ml
from glmm_data import grouped
from multilevel.errors import DataError, ModelError, MultilevelWarning
from multilevel.estimation.glmm_subsets import SomeRows, cluster_scores, kernel_of, rows_by_cluster

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*below 40 cluster-robust:multilevel.errors.MultilevelWarning"
)
NODES = np.linspace(-8.0, 8.0, 401)  # the trapezoidal rule is exact to rounding for smooth bells
LOG_WEIGHTS = norm.logpdf(NODES) + np.log(NODES[1] - NODES[0])


def sandwich_by_differences(logliks: Callable[[np.ndarray], np.ndarray], at: np.ndarray) -> np.ndarray:
    """H^-1 S'S H^-1 from central differences of the groups' log-likelihoods (G,)."""
    k, h = len(at), 1e-4
    steps = h * np.eye(k)
    scores = np.array([(logliks(at + e) - logliks(at - e)) / (2 * h) for e in steps])
    total = lambda psi: logliks(psi).sum()  # noqa: E731
    hessian = np.array(
        [
            [
                (total(at + a + b) - total(at + a - b) - total(at - a + b) + total(at - a - b)) / (4 * h * h)
                for b in steps
            ]
            for a in steps
        ]
    )
    bread = np.linalg.inv(-hessian)
    return np.asarray(bread @ scores @ scores.T @ bread)


def by_group(rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Log of the integral over each group's effect, from log-densities (n, nodes)."""
    sums = np.zeros((codes.max() + 1, rows.shape[1]))
    np.add.at(sums, codes, rows)
    return np.asarray(logsumexp(sums + LOG_WEIGHTS, axis=1))


# ---- lme4's criterion, differenced by numDeriv ----

# R 4.2.2, lme4 1.1-31, numDeriv 2016.8-1.1, with the tolerances of bobyqa and PIRLS at 1e-9 and 1e-12:
#   f <- glmer(formula, d, family, devFunOnly = TRUE); H <- hessian(f, par) / 2; g <- grad(f, par)
#   fh <- the same without one group; s <- (grad(fh, par) - g) / 2, a row of S each
#   sqrt(diag(solve(H) %*% crossprod(S) %*% solve(H))), here with theta last
LME4 = {
    "cbpp": [0.28624030, 0.45431545, 0.51321514, 0.36181901, 0.10906830],
    "epil": [0.09911762, 0.10510589, 0.15050344, 0.06514078, 0.06278089],
}


def test_standard_errors_from_lme4s_criterion() -> None:
    fits = {
        "cbpp": ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial"),
        "epil": ml.glmm("y ~ lbase + trt + V4 + (1 | subject)", ml.datasets.epil(), family="poisson"),
    }
    for name, fit in fits.items():
        ours = np.sqrt(fit.vcov(kind="CR0", full=True).diagonal())
        np.testing.assert_allclose(ours, LME4[name], rtol=2e-5)  # differences of differences


# ---- scores by plain quadrature and differences ----


def test_binomial_against_plain_quadrature() -> None:
    data = grouped()
    fit = ml.glmm("hits / size ~ x + (1 | g)", data, family="binomial", nagq=25)
    X, y, size = fit.design.X, data["hits"].to_numpy(), data["size"].to_numpy()

    def logliks(psi: np.ndarray) -> np.ndarray:
        eta = (X @ psi[:2])[:, None] + psi[2] * NODES
        return by_group(binom.logpmf(y[:, None], size[:, None], 1 / (1 + np.exp(-eta))), data["g"].to_numpy())

    expected = sandwich_by_differences(logliks, np.append(fit.fixef, fit.theta))
    # differences with steps of 1e-4 have errors of about 1e-7 of the second derivatives
    np.testing.assert_allclose(fit.vcov(kind="CR0", full=True), expected, rtol=1e-4, atol=1e-7)


def test_a_dispersion_takes_part() -> None:
    data = grouped()
    fit = ml.glmm("wide ~ x + (1 | g)", data, family="negative_binomial", nagq=25)
    X, y = fit.design.X, data["wide"].to_numpy()

    def logliks(psi: np.ndarray) -> np.ndarray:
        mean, size = np.exp((X @ psi[:2])[:, None] + psi[3] * NODES), np.exp(psi[2])
        return by_group(nbinom.logpmf(y[:, None], size, size / (size + mean)), data["g"].to_numpy())

    at = np.concatenate([fit.fixef, [np.log(fit.dispersion)], fit.theta])
    assert fit.vcov_names[:3] == ("Intercept", "x", "disp~Intercept")
    expected = sandwich_by_differences(logliks, at)
    np.testing.assert_allclose(fit.vcov(kind="CR0", full=True), expected, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize(
    "formula", ["Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (1 + Days | Subject)"]
)
def test_gaussian_responses_have_the_sandwich_of_a_linear_mixed_model(formula: str) -> None:
    """In balanced data coefficients and variances have no covariance, so that both breads agree."""
    sleep = ml.datasets.sleepstudy()
    ours = ml.glmm(formula, sleep, family="gaussian").vcov(kind="CR1")
    linear = ml.lmm(formula, sleep, reml=False).vcov(kind="CR1")
    np.testing.assert_allclose(ours, linear, rtol=1e-5)  # searches stop at about 1e-6 in theta


def test_nested_factors_against_a_linear_mixed_model() -> None:
    pastes = ml.datasets.pastes()
    ours = ml.glmm("strength ~ 1 + (1 | batch / cask)", pastes, family="gaussian")
    linear = ml.lmm("strength ~ 1 + (1 | batch / cask)", pastes, reml=False)
    for kind in ("CR0", "CR1", "CR1S", "CR1p"):
        np.testing.assert_allclose(ours.vcov(kind=kind), linear.vcov(kind=kind), rtol=1e-5)


def test_scores_of_nested_clusters_are_differences_of_their_log_likelihoods() -> None:
    data = grouped()
    data["h"] = data["g"] // 3
    fit = ml.glmm("count ~ x + (1 | h / g)", data, family="poisson")
    model, psi = fit._working_model(), fit.optimum.theta + 0.1
    codes = data["h"].to_numpy(np.int32)
    scores = cluster_scores(model, psi, codes, 8)
    np.testing.assert_allclose(-2.0 * scores.sum(axis=0), model.kernel.derivatives(psi)[1], atol=1e-8)
    kernels = [kernel_of(model, SomeRows(rows), prior=False) for rows in rows_by_cluster(codes, 8)]
    for k, step in enumerate(1e-5 * np.eye(len(psi))):
        slope = [(kernel.value(psi + step) - kernel.value(psi - step)) / 2e-5 for kernel in kernels]
        np.testing.assert_allclose(scores[:, k], -0.5 * np.array(slope), atol=1e-6)


def test_random_effects_of_zeros_are_among_the_factors() -> None:
    data = grouped()
    data["h"] = data["g"] // 2
    fit = ml.glmm("empty ~ x + (1 | g)", data, family="poisson", zi="~ 1 + (1 | h)")
    joint = fit.vcov(kind="CR1", full=True)  # clusters are the levels of h, which hold those of g
    assert joint.shape == (len(fit.vcov_names),) * 2
    np.testing.assert_allclose(fit.vcov(cluster="h", full=True), joint)
    with pytest.raises(ModelError, match=r"rows of one 'h' are in different clusters of 'g'"):
        fit.vcov(cluster="g")


# ---- algebra ----


@pytest.fixture(scope="module")
def slopes() -> Any:
    return ml.glmm("hits / size ~ x + a + (1 + x | g)", grouped(), family="binomial")


def test_counted_rows_are_repeated_rows() -> None:
    data = grouped()
    data["times"] = np.random.default_rng(1).integers(1, 4, len(data))
    counted = ml.glmm("count ~ x + (1 | g)", data, family="poisson", freq_weights="times")
    again = data.loc[data.index.repeat(data["times"])]
    repeated = ml.glmm("count ~ x + (1 | g)", again, family="poisson")
    for kind in ("CR0", "CR1S"):
        np.testing.assert_allclose(
            counted.vcov(kind=kind, full=True), repeated.vcov(kind=kind, full=True), rtol=1e-5
        )


def test_order_and_names_do_not_matter(slopes: Any) -> None:
    data = grouped().sample(frac=1.0, random_state=3)
    data["g"] = [f"group {(k * 7) % 24}" for k in data["g"]]
    other = ml.glmm("hits / size ~ x + a + (1 + x | g)", data, family="binomial")
    # searches stop where a step promises 1e-11 of the criterion
    np.testing.assert_allclose(
        other.vcov(kind="CR1", full=True), slopes.vcov(kind="CR1", full=True), rtol=1e-4
    )


def test_units_of_a_predictor(slopes: Any) -> None:
    data = grouped()
    data["x"] = 100.0 * data["x"]
    other = ml.glmm("hits / size ~ x + a + (1 + x | g)", data, family="binomial")
    at = slopes.coef_names.index("x")
    unit = np.ones(len(slopes.fixef))
    unit[at] = 0.01
    np.testing.assert_allclose(
        other.vcov(kind="CR0"), slopes.vcov(kind="CR0") * np.outer(unit, unit), rtol=1e-4, atol=1e-9
    )


def test_coarser_clusters_add_scores(slopes: Any) -> None:
    data = grouped()
    model, psi = slopes._working_model(), slopes.optimum.theta
    codes = data["g"].to_numpy(np.int32)
    single = cluster_scores(model, psi, codes, 24)
    np.testing.assert_allclose(
        cluster_scores(model, psi, codes // 2, 12), single.reshape(12, 2, -1).sum(axis=1)
    )
    labels = np.array([f"pair {k // 2}" for k in data["g"]])
    by_label = slopes.vcov(kind="CR0", cluster=labels)
    assert not np.allclose(by_label, slopes.vcov(kind="CR0"))


def test_factors_before_the_sandwich(slopes: Any) -> None:
    plain, G, n, p = slopes.vcov(kind="CR0"), 24, 240, 4
    np.testing.assert_allclose(slopes.vcov(kind="CR1"), plain * G / (G - 1))
    np.testing.assert_allclose(slopes.vcov(kind="cr1s"), plain * G * (n - 1) / ((G - 1) * (n - p)))
    np.testing.assert_allclose(slopes.vcov(kind="CR1p"), plain * G / (G - p))
    np.testing.assert_array_equal(slopes.vcov(cluster="g"), slopes.vcov(kind="CR1"))
    np.testing.assert_array_equal(slopes.vcov(), slopes.vcov(kind="model"))


# ---- the jackknife ----


@pytest.mark.parametrize("random", ["(1 | Subject)", "(1 + Days | Subject)"])
def test_the_jackknife_is_that_of_a_linear_mixed_model(random: str) -> None:
    sleep, formula = ml.datasets.sleepstudy(), f"Reaction ~ Days + {random}"
    ours = ml.glmm(formula, sleep, family="gaussian").vcov(kind="CR3")
    linear = ml.lmm(formula, sleep, reml=False).vcov(kind="CR3")
    # which holds the variances; in balanced data they have no covariance with the coefficients
    np.testing.assert_allclose(ours, linear, rtol=1e-4)


def test_the_jackknife_is_what_influence_says(slopes: Any) -> None:
    one, anew = slopes.influence("g", refit=False).dfbeta, slopes.influence("g").dfbeta
    ours = slopes.vcov(kind="CR3")
    np.testing.assert_allclose(ours, one.T @ one, rtol=1e-8)
    refits = (anew * anew).sum(axis=0)
    np.testing.assert_allclose(np.diag(ours), refits, rtol=0.1)  # a step is not all the way
    assert (np.diag(ours) > np.diag(slopes.vcov(kind="CR1"))).all()
    assert "below 40" not in str(slopes.summary(vcov="CR3"))


def test_the_jackknife_needs_every_cluster_to_be_dispensable() -> None:
    data = grouped()
    data["only"] = (data["g"] == 4) * 1.0
    fit = ml.glmm("count ~ x + only + (1 | g)", data, family="poisson")
    with pytest.raises(ModelError, match=r"CR3 leaves out each 'g' in turn, and without 4 the other rows"):
        fit.vcov(kind="CR3")


# ---- where it is asked for ----


def test_every_table_has_the_same_standard_errors(slopes: Any) -> None:
    se = np.sqrt(slopes.vcov(kind="CR1").diagonal())
    tidy = slopes.tidy(vcov="CR1", conf_int=True)
    np.testing.assert_allclose(tidy["std_error"], se)
    np.testing.assert_array_equal(tidy["df"], 23.0)
    np.testing.assert_allclose(tidy["p_value"], 2 * t.sf(np.abs(slopes.fixef / se), 23))
    np.testing.assert_allclose(slopes.confint(vcov="CR1")["conf_low"], tidy["conf_low"])
    np.testing.assert_allclose(slopes.test("x", vcov="CR1")["p_value"], tidy["p_value"][1:2])
    np.testing.assert_allclose(slopes.emmeans("a", vcov="CR1").contrasts("trt.vs.ctrl")["std_error"], se[2:])
    chi = slopes.anova(vcov="CR1").set_index("term")["statistic"]
    assert chi["x"] == pytest.approx((slopes.fixef[1] / se[1]) ** 2)
    normal = slopes.tidy(vcov="CR1", df="z")
    assert "df" not in normal
    assert (normal["p_value"] < tidy["p_value"]).all()
    assert slopes.ame("x", vcov="CR1")["std_error"][0] != slopes.ame("x")["std_error"][0]
    page = str(slopes.summary(vcov="CR1"))
    assert "Standard errors: CR1, robust to clustering within 24 g" in page
    assert "below 40 cluster-robust standard errors tend to be too small" in page.replace("\n ", "")
    assert "Standard errors:" not in str(slopes.summary())


def test_few_clusters_are_said_once_and_many_are_not() -> None:
    cbpp = ml.datasets.cbpp()
    fit = ml.glmm("incidence / size ~ period + (1 | herd)", cbpp, family="binomial")
    with pytest.warns(
        MultilevelWarning, match=r"'herd' has 15 clusters; below 40 .* bootstrap\(kind=\"case\"\)"
    ):
        fit.vcov(kind="CR1")
    epil = ml.glmm("y ~ lbase + trt + (1 | subject)", ml.datasets.epil(), family="poisson")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (np.diag(epil.vcov(kind="CR1")) > 0.0).all()


def test_polars_labels_and_dropped_rows() -> None:
    data = grouped().astype({"count": float})
    data.loc[[3, 50], "count"] = np.nan
    fit = ml.glmm("count ~ x + (1 | g)", pl.from_pandas(data), family="poisson")
    labels = data["g"].to_numpy()
    np.testing.assert_allclose(fit.vcov(cluster=labels), fit.vcov(kind="CR1"))


def test_a_variance_of_zero_is_no_obstacle() -> None:
    rng = np.random.default_rng(5)
    data = pd.DataFrame(
        {"y": rng.poisson(2.0, 200), "x": rng.normal(size=200), "g": np.tile(np.arange(50), 4)}
    )
    fit = ml.glmm("y ~ x + (1 | g)", data, family="poisson")
    poisson = ml.glm("y ~ x", data, family="poisson")
    assert fit.singular
    np.testing.assert_allclose(
        fit.vcov(kind="CR0"), poisson.vcov(kind="CR0", cluster="g"), rtol=1e-6
    )  # with theta held at zero the model is that of glm


@pytest.mark.parametrize(
    ("response", "wide", "narrow"),
    [("amount", "tweedie", "gamma"), ("normal", "student", "gaussian"), ("count", "nbinom1", "poisson")],
)
def test_a_shape_that_ran_off_to_infinity_leaves_the_others_alone(
    response: str, wide: str, narrow: str
) -> None:
    """A family whose limit the data want has the variances of that limit."""
    data, rng = grouped(), np.random.default_rng(2)
    data["normal"] = data["x"] + rng.normal(size=24)[data["g"]] + rng.normal(size=240)
    link = "identity" if response == "normal" else "log"
    fits = [ml.glmm(f"{response} ~ x + (1 | g)", data, family=f, link=link) for f in (wide, narrow)]
    assert np.sqrt(fits[0].vcov(full=True).diagonal()).max() > 1000.0
    for kind in ("model", "CR1", "CR3"):
        ours, limit = (fit.vcov(kind=kind) for fit in fits)
        np.testing.assert_allclose(np.diag(ours), np.diag(limit), rtol=1e-3)
        # which is not determined keeps the model's very large variance
        assert np.sqrt(fits[0].vcov(kind=kind, full=True).diagonal()).max() > 1000.0


# ---- misuse ----


def test_kinds_that_have_no_meaning_are_refused(slopes: Any) -> None:
    with pytest.raises(ModelError, match=r'vcov="CR2" corrects the residuals of a linear .*use vcov="CR3"'):
        slopes.vcov(kind="CR2")
    with pytest.raises(ModelError, match=r'"HC3" takes rows for independent'):
        slopes.vcov(kind="HC3")
    with pytest.raises(ModelError, match=r'"model" takes no clusters'):
        slopes.vcov(kind="model", cluster="g")
    with pytest.raises(DataError, match="vcov='robust' does not exist; choose 'model', 'CR0'"):
        slopes.vcov(kind="robust")
    with pytest.raises(DataError, match="df='satterthwaite' does not exist"):
        slopes.tidy(vcov="CR1", df="satterthwaite")
    with pytest.raises(DataError, match="df='residual' does not exist"):
        slopes.tidy(df="residual")
    with pytest.raises(ModelError, match=r'vcov= belongs to confint\("wald"\)'):
        slopes.confint("profile", vcov="CR1")


def test_clusters_must_be_independent() -> None:
    data = grouped()
    data["h"] = np.arange(len(data)) % 6
    fit = ml.glmm("count ~ x + (1 | g) + (1 | h)", data, family="poisson")
    with pytest.raises(
        ModelError, match=r"'h' and 'g' cross.*give a cluster= that holds whole levels of both"
    ):
        fit.vcov(kind="CR1")
    with pytest.raises(ModelError, match=r"rows of one 'h' are in different clusters of 'g'"):
        fit.vcov(cluster="g")
    one = ml.glmm("count ~ x + (1 | g)", data, family="poisson")
    with pytest.raises(ModelError, match=r"rows of one 'g' are in different clusters of 'a'"):
        one.vcov(cluster="a")
    with pytest.raises(ModelError, match="one cluster"):
        one.vcov(cluster=np.ones(len(data)))
    with pytest.raises(ModelError, match="takes clusters in one way"):
        one.vcov(cluster=["g", "h"])
    few = np.where(data["g"] < 12, "low", "high")
    with pytest.raises(ModelError, match=r"2 clusters of 'cluster' do not bear a joint test of 2"):
        one.anova(cluster=few)


def test_a_posterior_has_its_own_variance() -> None:
    fit = ml.glmm("hits / size ~ x + (1 | g)", grouped(), family="binomial", prior="weak")
    with pytest.raises(ModelError, match="with prior= use the posterior's"):
        fit.vcov(kind="CR1")


# ---- is it right where the model is not? ----


@pytest.mark.study
@pytest.mark.parametrize("groups", [12, 80])
def test_coverage_where_slopes_vary_and_the_model_has_none_that_do(groups: int) -> None:
    rng = np.random.default_rng(7)

    def fitted(groups: int) -> Any:
        g, x = np.repeat(np.arange(groups), 10), rng.normal(size=10 * groups)
        w, slope = (g % 2) * 1.0, 0.3 + rng.choice([-0.4, 0.4], groups)[g]
        y = rng.poisson(np.exp(0.5 + slope * x + 0.5 * w + 0.5 * rng.normal(size=groups)[g]))
        return ml.glmm("y ~ x + w + (1 | g)", {"y": y, "x": x, "w": w, "g": g}, family="poisson")

    nearest = fitted(50_000).fixef[1:]  # what the estimates of the wrong model are about
    kinds, samples = ("model", "CR1", "CR3"), 1000
    covered = np.zeros((3, 2))
    for _ in range(samples):
        fit = fitted(groups)
        for row, kind in zip(covered, kinds, strict=True):
            half = t.ppf(0.975, groups - 1) * np.sqrt(fit.vcov(kind=kind).diagonal()[1:])
            np.add(row, np.abs(fit.fixef[1:] - nearest) < half, out=row)
    print(groups, dict(zip(kinds, (covered / samples).tolist(), strict=True)))
    assert covered[0, 0] / samples < 0.75
    assert (covered[1] / samples > 0.85).all()
    assert (covered[2] / samples > 0.88).all()
    assert (covered[2] >= covered[1]).all()
    assert (covered / samples < 0.98).all()
