"""`ml.glm`: against R's robust variances, the likelihood written out, by algebra, and when misused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import multilevel as ml
from reference_cases import align_names, case_data, case_names, load_case

CASES = [name for name in case_names("robust_") if load_case(name)["spec"]["model_class"] == "glm"]
RTOL = 1e-6  # R's iterations stop when the deviance moves by less than 1e-8 of itself
WEIGHTS = 1e-5  # R's working weights and residuals are those before its last step
FAMILIES = {
    "gaussian": "identity",
    "gamma": "log",
    "inverse_gaussian": "log",
    "poisson": "log",
    "binomial": "logit",
}

pytestmark = pytest.mark.filterwarnings("ignore:.*cluster-robust standard errors tend to be too small")


@pytest.fixture(scope="module", params=CASES)
def fitted(request):
    case = load_case(request.param)
    spec = case["spec"]
    fit = ml.glm(
        spec["formula"], case_data(case), family=spec["family"], link=spec["link"], cluster=spec["cluster"]
    )
    return fit, case, align_names(case["fixed"]["names"], fit.coef_names, case_data(case))


def assert_matrix(got, expected):
    expected = np.array(expected)
    sd = np.sqrt(expected.diagonal())
    np.testing.assert_allclose(got / np.outer(sd, sd), expected / np.outer(sd, sd), atol=WEIGHTS)


def test_coefficients_and_model_variance(fitted):
    fit, case, rows = fitted
    np.testing.assert_allclose(fit.fixef[rows], case["fixed"]["estimate"], rtol=RTOL)
    assert_matrix(fit.vcov(kind="model")[np.ix_(rows, rows)], case["fixed"]["vcov_model"])


def test_cluster_variances(fitted):
    fit, case, rows = fitted
    for kind, reference in case["clubSandwich"].items():
        assert_matrix(fit.vcov(kind=kind)[np.ix_(rows, rows)], reference["vcov"])


def test_satterthwaite_degrees_of_freedom(fitted):
    fit, case, rows = fitted
    for kind in {"CR2", "CR3"} & set(case["clubSandwich"]):
        reference = case["clubSandwich"][kind]["test_Satterthwaite"]
        tidy = fit.update(vcov=kind).tidy().iloc[rows]
        np.testing.assert_allclose(tidy["df"], reference["df_Satt"], rtol=WEIGHTS)
        np.testing.assert_allclose(tidy["statistic"], reference["tstat"], rtol=WEIGHTS)


def simulated(family: str, n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    x, group = rng.normal(size=n), rng.integers(0, 30, n)
    eta = 0.3 + 0.4 * x
    mu = {"gaussian": eta, "binomial": 1.0 / (1.0 + np.exp(-eta))}.get(family, np.exp(eta))
    draw = {
        "gaussian": lambda: rng.normal(mu, 0.7),
        "binomial": lambda: (rng.random(n) < mu).astype(float),
        "poisson": lambda: rng.poisson(mu).astype(float),
        "gamma": lambda: rng.gamma(2.0, mu / 2.0),
        "inverse_gaussian": lambda: rng.wald(mu, 3.0),
    }[family]
    return pd.DataFrame({"y": draw(), "x": x, "g": group, "n": rng.integers(1, 4, n)})


def log_likelihood(family: str, y: np.ndarray, mu: np.ndarray, phi: float) -> float:
    """As textbooks write it."""
    match family:
        case "gaussian":
            return float(stats.norm.logpdf(y, mu, np.sqrt(phi)).sum())
        case "binomial":
            return float(stats.bernoulli.logpmf(y, mu).sum())
        case "poisson":
            return float(stats.poisson.logpmf(y, mu).sum())
        case "gamma":
            return float(stats.gamma.logpdf(y, 1.0 / phi, scale=phi * mu).sum())
    return float(stats.invgauss.logpdf(y, phi * mu, scale=1.0 / phi).sum())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_likelihood_is_the_textbooks_and_highest_here(family):
    data = simulated(family)
    fit = ml.glm("y ~ x", data, family=family, link=FAMILIES[family])
    y, phi = data["y"].to_numpy(), 1.0 if fit.record.dispersion is None else fit.record.dispersion[0]

    def at(beta: np.ndarray, size: float) -> float:
        mu = fit.record.family.link.inverse(beta[0] + beta[1] * data["x"].to_numpy())
        return log_likelihood(family, y, mu, size)

    assert fit.loglik == pytest.approx(at(fit.fixef, phi), rel=1e-12)
    step = 1e-3 * fit.se
    for move in ([1, 0], [0, 1], [-1, 0], [0, -1]):
        assert at(fit.fixef + step * move, phi) < fit.loglik
    if fit.record.dispersion is not None:
        assert at(fit.fixef, phi * 1.01) < fit.loglik > at(fit.fixef, phi * 0.99)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("vcov", ["model", "HC1", "CR1"])
def test_counts_are_repetition(family, vcov):
    data = simulated(family)
    options = {
        "family": family,
        "link": FAMILIES[family],
        "vcov": vcov,
        "cluster": "g" if vcov == "CR1" else None,
    }
    counted = ml.glm("y ~ x", data, freq_weights="n", **options)
    repeated = ml.glm("y ~ x", data.loc[data.index.repeat(data["n"])], **options)
    np.testing.assert_allclose(counted.fixef, repeated.fixef, rtol=1e-9)
    np.testing.assert_allclose(counted.se, repeated.se, rtol=1e-8)
    for name in ("loglik", "deviance", "null_deviance", "df_residual", "aic", "bic"):
        assert getattr(counted, name) == pytest.approx(getattr(repeated, name), rel=1e-9)


def test_the_gaussian_identity_is_least_squares():
    data = simulated("gaussian")
    fit, least_squares = ml.glm("y ~ x", data, family="gaussian"), ml.ols("y ~ x", data)
    np.testing.assert_allclose(fit.fixef, least_squares.fixef, rtol=1e-10)
    np.testing.assert_allclose(fit.se, least_squares.se, rtol=1e-9)
    assert fit.loglik == pytest.approx(least_squares.loglik, rel=1e-12)
    np.testing.assert_allclose(fit.vcov(kind="HC3"), least_squares.vcov(kind="HC3"), rtol=1e-8)


def test_trials_are_rows_of_single_trials():
    cbpp = ml.datasets.cbpp()
    pooled = ml.glm("incidence / size ~ period", cbpp, family="binomial")
    rows = cbpp.loc[cbpp.index.repeat(cbpp["size"])].assign(
        ill=np.concatenate([np.arange(n) < k for k, n in zip(cbpp["incidence"], cbpp["size"], strict=True)])
    )
    single = ml.glm("ill ~ period", rows, family="binomial")
    np.testing.assert_allclose(pooled.fixef, single.fixef, rtol=1e-9)
    np.testing.assert_allclose(pooled.se, single.se, rtol=1e-9)
    both = ml.glm("cbind(incidence, size - incidence) ~ period", cbpp, family="binomial")
    assert both.loglik == pytest.approx(pooled.loglik, rel=1e-12)


def test_an_offset_is_a_predictor_with_coefficient_one():
    data = simulated("poisson").assign(exposure=lambda d: np.exp(0.2 * d["x"]))
    fit = ml.glm("y ~ x + offset(log(exposure))", data, family="poisson")
    plain = ml.glm("y ~ x", data, family="poisson")
    np.testing.assert_allclose(fit.fixef + np.array([0.0, 0.2]), plain.fixef, rtol=1e-8)
    assert fit.deviance == pytest.approx(plain.deviance, rel=1e-9)


def test_residuals_add_up_to_their_sums():
    fit = ml.glm("incidence / size ~ period", ml.datasets.cbpp(), family="binomial")
    assert (fit.residuals() ** 2).sum() == pytest.approx(fit.deviance, rel=1e-12)
    assert (fit.residuals("pearson") ** 2).sum() == pytest.approx(fit.record.pearson, rel=1e-10)


def test_predictions_with_limits():
    fit = ml.glm("resp ~ age + smoke", ml.datasets.ohio(), family="binomial", cluster="id")
    new = pd.DataFrame({"age": [0, 1, np.nan], "smoke": [1, 1, 0]})
    table = fit.predict(new, interval="confidence")
    assert np.isnan(table["fitted"].iloc[2])
    eta = fit.predict(new, kind="link")
    X = np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    half = stats.t.ppf(0.975, 536) * np.sqrt(np.diag(X @ fit.vcov() @ X.T))
    np.testing.assert_allclose(table["conf_low"][:2], 1.0 / (1.0 + np.exp(-(eta[:2] - half))), rtol=1e-9)
    assert (table["conf_low"] < table["fitted"])[:2].all()


@pytest.mark.parametrize("family", ["binomial", "poisson", "gamma", "negative_binomial", "beta", "ordinal"])
def test_simulated_responses_are_found_again(family):
    rng = np.random.default_rng(2)
    n = 2000
    data = pd.DataFrame({"x": rng.normal(size=n)})
    start = {
        "beta": rng.beta(2, 3, n),
        "negative_binomial": rng.negative_binomial(2, 0.4, n) + 0.0,
        "ordinal": rng.integers(0, 4, n),
    }.get(family, rng.integers(0, 2, n) + 0.0)
    data["y"] = start + (0.1 if family == "gamma" else 0.0)
    link = "log" if family == "gamma" else None
    fit = ml.glm("y ~ x", data, family=family, link=link)
    again = fit.refit(fit.simulate(seed=1)[:, 0])
    assert np.all(np.abs(again.fixef - fit.fixef) < 4.5 * fit.se)


def test_ratios_have_names():
    fit = ml.glm("y ~ trt", ml.datasets.epil(), family="poisson")
    assert "as rate ratios" in str(fit.summary(exponentiate=True))
    table = fit.tidy(exponentiate=True, conf_int=True)
    np.testing.assert_allclose(table["estimate"], np.exp(fit.fixef))
    with pytest.raises(ml.errors.ModelError, match="no meaning with the probit link"):
        ml.glm("resp ~ age", ml.datasets.ohio(), family="binomial", link="probit").tidy(exponentiate=True)


def test_marginal_means_on_both_scales():
    fit = ml.glm("incidence / size ~ period", ml.datasets.cbpp(), family="binomial")
    link, response = fit.emmeans("period"), fit.emmeans("period", kind="response")
    np.testing.assert_allclose(response["estimate"], 1.0 / (1.0 + np.exp(-link["estimate"])))
    ratios = fit.contrasts("period", "pairwise", kind="response")["estimate"]
    np.testing.assert_allclose(np.log(ratios), fit.contrasts("period", "pairwise")["estimate"], rtol=1e-10)


def test_the_summary_says_when_responses_vary_too_much():
    said = "responses vary more than the binomial family says"
    text = " ".join(str(ml.glm("incidence / size ~ period", ml.datasets.cbpp(), family="binomial")).split())
    assert said in text
    robust = ml.glm("incidence / size ~ period", ml.datasets.cbpp(), family="binomial", vcov="HC3")
    assert said not in " ".join(str(robust).split())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"formula": "incidence / size ~ period + (1 | herd)"}, "use ml.glmm"),
        ({"formula": "size / incidence ~ period"}, "more successes than trials"),
        ({"formula": "size ~ period"}, "a proportion lies between 0 and 1"),
        ({"family": "poissn"}, "no family 'poissn'"),
        ({"link": "inverse"}, "The binomial family has no link 'inverse'"),
        ({"vcov": "CR2"}, 'vcov="CR2" needs to know the clusters'),
    ],
)
def test_mistakes_are_named(change, message):
    options = {"formula": "incidence / size ~ period", "family": "binomial", **change}
    with pytest.raises(ml.errors.MultilevelError, match=message):
        ml.glm(options.pop("formula"), ml.datasets.cbpp(), **options)


def test_separation_is_named():
    data = {"y": [0, 0, 0, 1, 1, 1], "x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}
    with pytest.raises(ml.errors.SeparationError, match="x separates the successes and failures of 'y'"):
        ml.glm("y ~ x", data, family="binomial")


def test_sandwiches_are_of_weighted_regressions():
    data = pd.DataFrame({"y": np.linspace(0.1, 0.9, 30), "x": np.tile([0.0, 1.0, 2.0], 10)})
    with pytest.raises(ml.errors.ModelError, match='the beta family has its likelihood\'s own, vcov="model"'):
        ml.glm("y ~ x", data, family="beta", vcov="HC0")


def test_a_weak_prior_keeps_separated_coefficients_finite():
    data = {"y": [0, 0, 0, 1, 1, 1], "x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}
    fit = ml.glm("y ~ x", data, family="binomial", prior="weak")
    assert 0.0 < fit.fixef[1] < 5.0
    assert np.isfinite(fit.se).all()
    assert "A weak prior drew the coefficients to zero" in " ".join(str(fit).split())
    with pytest.raises(ml.errors.ModelError, match="with prior= use the posterior's"):
        fit.vcov(kind="HC0")


def test_the_posterior_is_the_likelihood_times_the_prior():
    """On standardised columns: a normal density for the slope, none for the intercept."""
    data = simulated("binomial", n=80)
    fit = ml.glm("y ~ x", data, family="binomial", prior={"coef": 0.5})
    x, y = data["x"].to_numpy(), data["y"].to_numpy()
    unit = np.sqrt(np.mean((x - x.mean()) ** 2))

    def log_posterior(beta: np.ndarray) -> float:
        eta = beta[0] + beta[1] * x
        return float((y * eta - np.logaddexp(0.0, eta)).sum() - 0.5 * (beta[1] * unit / 0.5) ** 2)

    here = log_posterior(fit.fixef)
    for step in ([1e-3, 0.0], [-1e-3, 0.0], [0.0, 1e-3], [0.0, -1e-3]):
        assert log_posterior(fit.fixef + step) < here
    vague = ml.glm("y ~ x", data, family="binomial", prior={"coef": 1e4})
    np.testing.assert_allclose(vague.fixef, ml.glm("y ~ x", data, family="binomial").fixef, rtol=1e-6)


def test_probabilities_that_round_to_one_have_residuals():
    rng = np.random.default_rng(1)
    x = 5.0 * rng.normal(size=200)
    data = pd.DataFrame({"x": x, "y": (rng.random(200) < 1.0 / (1.0 + np.exp(-3.0 * x))).astype(int)})
    fit = ml.glm("y ~ x", data, family="binomial")
    assert 1.0 / (1.0 + np.exp(-fit.record.eta.max())) == 1.0
    assert np.isfinite(fit.residuals()).all()
    assert np.isfinite(fit.residuals("pearson")).all()
    assert (fit.residuals() ** 2).sum() == pytest.approx(fit.deviance, rel=1e-9)
    assert -2.0 * fit.loglik == pytest.approx(fit.deviance, rel=1e-9)  # one trial: nothing else is in it


def test_the_page_names_what_was_maximised_and_what_the_dispersion_is():
    epil = ml.datasets.epil()
    page = str(ml.glm("y ~ trt", epil, family="poisson", prior="weak"))
    assert page.startswith("Generalized linear model fit by maximum a posteriori (weak prior)\n")
    assert "maximum likelihood" not in page
    fit = ml.glm("y ~ trt", epil, family="negative_binomial")
    assert "Family: negative binomial (log link)" in str(fit)
    assert f"Dispersion: {fit.dispersion:.5g} (size: variance = mean + mean^2 / size)" in str(fit)
    assert "Power of the mean: 1.58" in str(ml.glm("y ~ trt", epil, family="tweedie"))


def test_clusters_whose_numbers_begin_anew():
    data = simulated("binomial").assign(
        centre=lambda d: np.where(np.arange(len(d)) % 2, "a", "b"),
        both=lambda d: d["centre"] + ":" + d["g"].astype(str),
    )
    one, other = (
        ml.glm("y ~ x", data, family="binomial", cluster=cluster, vcov="CR2")
        for cluster in ("centre:g", "both")
    )
    np.testing.assert_allclose(one.se, other.se, rtol=1e-12)
