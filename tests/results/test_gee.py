"""`ml.gee` as users meet it: algebra that must hold, structures on simulated data, tables, and misuse."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

import multilevel as ml
from multilevel.errors import DataError, FormulaError, ModelError, MultilevelWarning

SOLVED = 1e-7  # what is left when a step is 1e-9 of a standard error, beside what it is compared with
CORRS = [
    "independence",
    "exchangeable",
    "ar1",
    "stationary2",
    "nonstationary1",
    "unstructured",
    ml.FixedCorrelation(0.7 * np.eye(5) + 0.3),
    ml.NestedExchangeable(inner="half"),
]


def names(corr):
    return corr if isinstance(corr, str) else corr.name


@pytest.fixture(scope="module")
def visits():
    """60 persons, up to five visits, some missing; y is 0 or 1."""
    rng = np.random.default_rng(3)
    person, visit = np.repeat(np.arange(60), 5), np.tile(np.arange(5), 60)
    x = rng.normal(size=300)
    eta = 0.5 * x - 0.3 * visit / 5 + 1.2 * rng.normal(size=60)[person]
    y = (rng.random(300) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    data = pd.DataFrame(
        {"y": y, "x": x, "visit": visit, "person": person, "half": visit // 3, "w": rng.uniform(0.5, 2, 300)}
    )
    return data[rng.random(300) < 0.8].reset_index(drop=True)


def logistic(data, corr, **options):
    return ml.gee(
        "y ~ x + visit", data, groups="person", time="visit", family="binomial", corr=corr, **options
    )


def same(one, other, tolerance=SOLVED):
    np.testing.assert_allclose(other.fixef, one.fixef, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(other.vcov(), one.vcov(), rtol=10 * tolerance, atol=tolerance)
    np.testing.assert_allclose(other.alpha, one.alpha, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(other.scale, one.scale, rtol=tolerance)


@pytest.mark.parametrize("corr", CORRS, ids=names)
def test_the_order_of_rows_and_names_of_clusters_do_not_matter(visits, corr):
    fit = logistic(visits, corr)
    other = visits.sample(frac=1.0, random_state=1)
    other = other.assign(person=[f"p{(7 * each) % 61}" for each in other["person"]])
    again = logistic(other, corr)
    same(fit, again)
    np.testing.assert_allclose(again.fitted, fit.fitted[other.index.to_numpy()], rtol=1e-6)
    np.testing.assert_allclose(
        again.association()["std_error"], fit.association()["std_error"], rtol=1e-5, atol=1e-9
    )


@pytest.mark.parametrize("corr", CORRS, ids=names)
def test_units_of_predictors_only_scale_coefficients(visits, corr):
    fit = logistic(visits, corr)
    moved = logistic(visits.assign(x=1000.0 + visits["x"] / 50.0), corr)
    np.testing.assert_allclose(moved.fixef[1:] / [50.0, 1.0], fit.fixef[1:], rtol=1e-6)
    np.testing.assert_allclose(moved.alpha, fit.alpha, rtol=1e-6, atol=1e-9)
    table, expected = moved.tidy(vcov="KC"), fit.tidy(vcov="KC")
    np.testing.assert_allclose(table["statistic"][1:], expected["statistic"][1:], rtol=1e-5)


@pytest.mark.parametrize("corr", ["exchangeable", "ar1", "unstructured"])
def test_units_of_the_response_scale_everything(corr):
    sleep = ml.datasets.sleepstudy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MultilevelWarning)
        fit = ml.gee("Reaction ~ Days", sleep, groups="Subject", time="Days", corr=corr)
        other = ml.gee("I(Reaction / 1000 - 3) ~ Days", sleep, groups="Subject", time="Days", corr=corr)
    np.testing.assert_allclose(other.fixef * 1000 + [3000.0, 0.0], fit.fixef, rtol=1e-8)
    np.testing.assert_allclose(other.alpha, fit.alpha, rtol=1e-7)
    np.testing.assert_allclose(other.scale * 1e6, fit.scale, rtol=1e-8)
    np.testing.assert_allclose(other.vcov(kind="sandwich") * 1e6, fit.vcov(kind="sandwich"), rtol=1e-6)


@pytest.mark.parametrize("corr", ["exchangeable", "ar1", "unstructured"])
@pytest.mark.parametrize("vcov", ["sandwich", "MD", "FG", "one-step"])
def test_counts_are_clusters_alike(visits, corr, vcov):
    counted = logistic(visits.assign(n=1 + visits["person"] % 3), corr, freq_weights="n", vcov=vcov)
    copies = [visits[visits["person"] % 3 >= k].assign(person=visits["person"] + 100 * k) for k in range(3)]
    repeated = logistic(pd.concat(copies), corr, vcov=vcov)
    same(counted, repeated)
    assert counted.nobs == repeated.nobs
    assert counted.n_clusters == repeated.n_clusters
    assert len(counted.fitted) == len(visits)


@pytest.mark.parametrize("corr", ["independence", "exchangeable", "ar1"])
def test_one_weight_for_all_changes_no_estimate(visits, corr):
    fit, weighted = logistic(visits, corr), logistic(visits.assign(w=3.0), corr, weights="w")
    np.testing.assert_allclose(weighted.fixef, fit.fixef, rtol=SOLVED)
    np.testing.assert_allclose(weighted.scale, fit.scale, rtol=SOLVED)
    np.testing.assert_allclose(weighted.vcov(), fit.vcov(), rtol=1e-6)


def test_independence_is_the_generalized_linear_model_whatever_the_clusters(visits):
    apart = ml.gee("y ~ x + visit", visits.assign(row=range(len(visits))), groups="row", family="binomial")
    np.testing.assert_allclose(logistic(visits, "independence").fixef, apart.fixef, rtol=1e-7)


def test_structures_that_are_one_another():
    sleep = ml.datasets.sleepstudy()
    options = {"groups": "Subject", "time": "Days"}
    lag = np.abs(np.subtract.outer(np.arange(10), np.arange(10)))
    exchangeable = ml.gee("Reaction ~ Days", sleep, corr="exchangeable", **options)
    one = ml.UserCorrelation((lag > 0)[:, :, None] * 1.0)
    same(exchangeable, ml.gee("Reaction ~ Days", sleep, corr=one, **options))
    fixed = ml.FixedCorrelation(exchangeable.working_correlation())
    again = ml.gee("Reaction ~ Days", sleep, corr=fixed, **options)
    np.testing.assert_allclose(again.fixef, exchangeable.fixef, rtol=1e-10)
    np.testing.assert_allclose(again.vcov(), exchangeable.vcov(), rtol=1e-8)
    lags = ml.UserCorrelation(np.stack([lag == k for k in (1, 2)], axis=2) * 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MultilevelWarning)  # that the correlation is none
        dependent = ml.gee("Reaction ~ Days", sleep, corr="stationary2", **options)
        same(dependent, ml.gee("Reaction ~ Days", sleep, corr=lags, **options))


def test_inner_groups_have_a_correlation_of_their_own(visits):
    fit = logistic(visits, ml.NestedExchangeable("half"))
    assert fit.record.alpha_names == ("alpha[half]", "alpha[person]")
    with pytest.raises(ModelError, match=r"no cluster has the pairs of rows that alpha\[person\]"):
        logistic(visits.assign(half=1), ml.NestedExchangeable("half"))


# Structures find what was simulated -----------------------------------------------------------------------


def gaussian_clusters(R, K=4000, seed=5):
    rng = np.random.default_rng(seed)
    m = len(R)
    e = rng.normal(size=(K, m)) @ np.linalg.cholesky(R).T
    x = rng.normal(size=(K, m))
    return {
        "y": (2.0 + 0.5 * x + 1.5 * e).ravel(),
        "x": x.ravel(),
        "id": np.repeat(np.arange(K), m),
        "t": np.tile(np.arange(m), K),
        "inner": np.tile(np.arange(m) // 2, K),
    }


TRUTHS = {
    "exchangeable": (ml.Exchangeable(), [0.4], None),
    "ar1": (ml.AR1(), [0.7], None),
    "negative ar1": (ml.AR1(), [-0.5], None),
    "stationary": (ml.MDependent(2), [0.5, 0.2], None),
    "nested": (ml.NestedExchangeable("inner"), [0.6, 0.2], np.array([0, 0, 1, 1])),
    "unstructured": (ml.Unstructured(), [0.5, 0.1, 0.3, 0.4, 0.0, 0.2], None),
}


@pytest.mark.parametrize("name", TRUTHS)
def test_structures_find_their_parameters(name):
    corr, alpha, at = TRUTHS[name]
    data = gaussian_clusters(corr.matrix(np.array(alpha), np.arange(4) if at is None else at))
    fit = ml.gee("y ~ x", data, groups="id", time="t", corr=corr)
    table = fit.association()
    truth = np.array([2.25, *alpha])
    z = (table["estimate"] - truth) / table["std_error"]
    assert np.abs(z).max() < 4.0  # standard errors
    exact = fit.association(exact=True)["std_error"]
    np.testing.assert_allclose(exact, table["std_error"], rtol=0.02)  # of Gaussian data they nearly agree
    assert abs((fit.fixef[1] - 0.5) / fit.se[1]) < 4.0
    # the right working correlation makes the model-based variance right
    np.testing.assert_allclose(np.sqrt(np.diag(fit.vcov(kind="model"))), fit.se, rtol=0.1)


def test_autoregression_at_times_that_are_any_numbers():
    rng = np.random.default_rng(8)
    K, m = 3000, 5
    t = np.cumsum(rng.uniform(0.1, 1.5, (K, m)), axis=1)
    e = np.empty((K, m))
    e[:, 0] = rng.normal(size=K)
    for j in range(1, m):
        rho = 0.6 ** (t[:, j] - t[:, j - 1])
        e[:, j] = rho * e[:, j - 1] + np.sqrt(1.0 - rho**2) * rng.normal(size=K)
    data = {"y": e.ravel(), "t": t.ravel(), "id": np.repeat(np.arange(K), m)}
    fit = ml.gee("y ~ t", data, groups="id", time="t", corr="ar1")
    assert abs(fit.alpha[0] - 0.6) < 4.0 * fit.association()["std_error"][1]
    hours = ml.gee("y ~ t", {**data, "t": data["t"] * 24.0}, groups="id", time="t", corr="ar1")
    np.testing.assert_allclose(hours.alpha**24.0, fit.alpha, rtol=1e-5)  # another unit of time


def test_dates_are_times():
    ohio = ml.datasets.ohio()
    dates = ohio.assign(day=pd.to_datetime("2020-01-01") + pd.to_timedelta(365 * ohio["age"], unit="D"))
    options = {"groups": "id", "family": "binomial", "corr": "ar1"}
    years = ml.gee("resp ~ smoke", ohio, time="age", **options)
    days = ml.gee("resp ~ smoke", dates, time="day", **options)
    np.testing.assert_allclose(days.alpha**365, years.alpha, rtol=1e-5)
    np.testing.assert_allclose(days.fixef, years.fixef, rtol=1e-6)


def test_exact_standard_errors_of_the_scale_are_those_of_a_simulation():
    rng = np.random.default_rng(2)
    K, m, n = 200, 4, 150
    found, exact, geepack = [], [], []
    for _ in range(n):
        b = rng.gamma(4.0, 0.25, K)[:, None]
        data = {"y": rng.poisson(3.0 * b, (K, m)).ravel(), "id": np.repeat(np.arange(K), m)}
        fit = ml.gee("y ~ 1", data, groups="id", family="poisson", corr="exchangeable")
        found.append(fit.scale)
        exact.append(fit.association(exact=True)["std_error"][0])
        geepack.append(fit.association()["std_error"][0])
    sd = np.std(found, ddof=1)
    assert abs(np.mean(exact) / sd - 1.0) < 4.0 / np.sqrt(2.0 * n)
    assert abs(np.mean(exact) / sd - 1.0) < abs(np.mean(geepack) / sd - 1.0)


def test_long_clusters_need_no_matrix():
    rng = np.random.default_rng(1)
    n = 100_000
    data = {"y": rng.normal(size=n + 6), "id": np.repeat([0, 1, 2, 3], [n, 2, 2, 2])}
    for corr in ("exchangeable", "ar1"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MultilevelWarning)
            fit = ml.gee("y ~ 1", data, groups="id", corr=corr)
        assert np.isfinite(fit.fixef).all()
    with pytest.raises(ModelError, match="forms a matrix of the rows of each cluster"):
        ml.gee("y ~ 1", data, groups="id", corr="stationary1")


# Tables, predictions, tests ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ohio():
    return ml.gee(
        "resp ~ age + smoke",
        ml.datasets.ohio(),
        groups="id",
        time="age",
        family="binomial",
        corr="exchangeable",
    )


def test_the_summary_says_what_it_is(ohio):
    page = str(ohio.summary())
    for words in (
        "binomial family, logit link",
        "537 clusters of 'id' (4 each)",
        "exchangeable",
        "z tests",
        "population-averaged",
        "alpha",
    ):
        assert words in page
    assert "MCAR" not in page  # each child has all four rows
    few = str(ml.gee("Reaction ~ Days", ml.datasets.sleepstudy(), groups="Subject"))
    assert "Fay and Graubard's correction" in " ".join(few.split())
    assert "t tests" in few


def test_tables_come_back_in_the_frame_they_came_in():
    frame = pl.from_pandas(ml.datasets.ohio()[["resp", "age", "smoke", "id"]])
    fit = ml.gee("resp ~ age", frame, groups="id", family="binomial")
    assert isinstance(fit.tidy(conf_int=True), pl.DataFrame)
    assert isinstance(fit.association(conf_level=0.9), pl.DataFrame)
    assert isinstance(fit.qic(), pl.DataFrame)
    assert isinstance(fit.predict(frame[:3], interval="confidence"), pl.DataFrame)


def test_ratios(ohio):
    plain, ratios = ohio.tidy(conf_int=True), ohio.tidy(conf_int=True, exponentiate=True)
    np.testing.assert_allclose(ratios["estimate"], np.exp(plain["estimate"]))
    np.testing.assert_allclose(ratios["conf_high"], np.exp(plain["conf_high"]))


def test_predictions(ohio):
    new = {"age": [0.0, np.nan, 1.0], "smoke": [0, 1, 1]}
    link, mean = ohio.predict(new, kind="link"), ohio.predict(new)
    np.testing.assert_allclose(link[[0, 2]], [ohio.fixef[0], ohio.fixef.sum()])
    np.testing.assert_allclose(mean, 1.0 / (1.0 + np.exp(-link)))
    table = ohio.predict(pd.DataFrame(new), interval="confidence")
    x = np.array([1.0, 1.0, 1.0])
    half = 1.959964 * np.sqrt(x @ ohio.vcov() @ x)
    np.testing.assert_allclose(table["conf_low"].iloc[2], 1.0 / (1.0 + np.exp(half - link[2])), rtol=1e-6)
    assert np.isnan(table["conf_low"].iloc[1])
    np.testing.assert_allclose(ohio.predict(), ohio.fitted)


def test_limits_are_in_order_whichever_way_the_link_goes():
    fit = ml.gee(
        "Reaction ~ Days", ml.datasets.sleepstudy(), groups="Subject", family="gamma", link="inverse"
    )
    table = fit.predict({"Days": [0, 9]}, interval="confidence")
    assert (table["conf_low"] < table["fitted"]).all()
    assert (table["fitted"] < table["conf_high"]).all()


def test_residuals_add_up(ohio):
    y = ml.datasets.ohio()["resp"].to_numpy()
    np.testing.assert_allclose(ohio.residuals(), y - ohio.fitted)
    np.testing.assert_allclose((ohio.residuals("pearson") ** 2).mean(), ohio.scale)
    np.testing.assert_allclose((ohio.residuals("scaled") ** 2).mean(), 1.0)
    augmented = ohio.augment()
    np.testing.assert_allclose(augmented["residual"], ohio.residuals())


def test_tests_of_hypotheses_agree(ohio):
    z = ohio.tidy()["statistic"].to_numpy()
    np.testing.assert_allclose(ohio.wald_test(". ~ . - smoke")["statistic"], [z[2] ** 2], rtol=1e-9)
    np.testing.assert_allclose(ohio.anova()["statistic"], z[1:] ** 2, rtol=1e-9)
    np.testing.assert_allclose(ohio.anova("sequential")["statistic"].iloc[-1], z[2] ** 2, rtol=1e-6)
    score = ohio.score_test(". ~ . - smoke")
    assert abs(score["statistic"].iloc[0] / z[2] ** 2 - 1.0) < 0.1  # the same to first order
    both = ohio.score_test("resp ~ 1")
    assert both["df"].iloc[0] == 2


def test_the_score_test_is_the_papers():
    """Of one binary predictor under independence: with matrices, at the smaller model's estimates."""
    data = ml.datasets.ohio()
    fit = ml.gee("resp ~ smoke", data, groups="id", family="binomial")
    mu = data["resp"].mean()
    r = (data["resp"] - mu).to_numpy()
    X = np.column_stack([np.ones(len(r)), data["smoke"]])
    U = np.array(
        [(X[data["id"] == k] * r[data["id"] == k][:, None]).sum(axis=0) for k in data["id"].unique()]
    )
    A = mu * (1.0 - mu) * X.T @ X
    influence = np.linalg.solve(A, U.T)[1]
    expected = influence.sum() ** 2 / (influence**2).sum()
    np.testing.assert_allclose(fit.score_test("resp ~ 1")["statistic"], [expected], rtol=1e-6)


def test_criteria_choose_over_one_scale():
    sleep = ml.datasets.sleepstudy()
    fits = [ml.gee("Reaction ~ Days", sleep, groups="Subject", corr=corr) for corr in ("independence", "ar1")]
    table = fits[0].qic(fits[1])
    assert table["scale"].nunique() == 1
    in_seconds = [fit.update("I(Reaction / 1000) ~ Days") for fit in fits]
    np.testing.assert_allclose(in_seconds[0].qic(in_seconds[1])["qic"], table["qic"], rtol=1e-9)
    null = fits[0].update("Reaction ~ 1")
    both = null.qic(fits[0])
    assert both["qicu"].iloc[0] > both["qicu"].iloc[1]
    np.testing.assert_allclose(both["scale"], fits[0].qic()["scale"].iloc[0])  # of the larger model
    assert fits[0].qic()["rj"].iloc[0] > 0.0


def test_means_and_slopes(ohio):
    means = ohio.emmeans("smoke", at={"smoke": [0, 1], "age": [0.0]})
    np.testing.assert_allclose(means["estimate"], [ohio.fixef[0], ohio.fixef[0] + ohio.fixef[2]])
    fit = ml.gee("Reaction ~ Days", ml.datasets.sleepstudy(), groups="Subject")
    np.testing.assert_allclose(fit.ame()["estimate"], fit.fixef[1])


def test_again(ohio):
    same(ohio, ohio.refit(ml.datasets.ohio()["resp"]))
    assert ohio.update(corr="independence").alpha.size == 0
    again = pickle.loads(pickle.dumps(ohio.record))
    np.testing.assert_array_equal(again.beta, ohio.fixef)
    assert "logit E[resp]" in ohio.equation()
    assert r"\begin{aligned}" in ohio.equation("latex")


def test_working_correlation_of_a_cluster(visits):
    fit = logistic(visits, "ar1")
    R = fit.working_correlation(visits["person"].iloc[0])
    t = visits["visit"][visits["person"] == visits["person"].iloc[0]].to_numpy()
    np.testing.assert_allclose(R, fit.alpha[0] ** np.abs(np.subtract.outer(t, t)))
    assert logistic(visits, "unstructured").working_correlation().shape == (5, 5)
    nested = logistic(visits, ml.NestedExchangeable("half"))
    assert set(np.round(nested.working_correlation().ravel(), 12)) == {1.0, *np.round(nested.alpha, 12)}
    with pytest.raises(DataError, match="no cluster"):
        fit.working_correlation("nobody")


@pytest.mark.parametrize("corr", ["independence", "exchangeable"])
def test_trials_are_weights_of_shares(corr):
    cbpp = ml.datasets.cbpp()
    options = {"groups": "herd", "family": "binomial", "corr": corr}
    counts = ml.gee("incidence / size ~ period", cbpp, **options)
    both = ml.gee("cbind(incidence, size - incidence) ~ period", cbpp, **options)
    same(counts, both)
    shares = ml.gee("I(incidence / size) ~ period", cbpp, weights="size", **options)
    same(counts, shares)
    np.testing.assert_allclose(counts.residuals(), cbpp["incidence"] / cbpp["size"] - counts.fitted)
    means = counts.emmeans("period", kind="response")
    assert ((means["estimate"] > 0.0) & (means["estimate"] < 1.0)).all()
    if corr == "independence":
        glm = ml.glm("incidence / size ~ period", cbpp, family="binomial")
        np.testing.assert_allclose(counts.fixef, glm.fixef, rtol=1e-7)
    with pytest.raises(ModelError, match="no trials"):
        ml.gee("incidence / size ~ period", cbpp, moments="gee", **options)


def test_truth_values_are_zero_and_one():
    ohio = ml.datasets.ohio()
    truth = ml.gee("resp ~ age", ohio.assign(resp=ohio["resp"] == 1), groups="id", family="binomial")
    np.testing.assert_allclose(truth.fixef, ml.gee("resp ~ age", ohio, groups="id", family="binomial").fixef)


def test_scale_held(visits):
    fit = logistic(visits, "exchangeable", scale=1)
    assert fit.scale == 1.0
    assert fit.association()["std_error"].iloc[0] == 0.0
    assert "scale (given)" in str(fit)


def test_missing_values_are_dropped_and_said(visits):
    holes = visits.assign(
        x=visits["x"].where(visits.index % 10 != 0), person=visits["person"].astype("Int64")
    )
    holes.loc[3, "person"] = pd.NA
    fit = logistic(holes, "exchangeable")
    assert fit.dropped.n_missing == int(holes[["x", "person"]].isna().any(axis=1).sum())
    assert "dropped for missing values" in str(fit)
    with pytest.raises(DataError):
        logistic(holes, "exchangeable", missing="raise")


# Misuse --------------------------------------------------------------------------------------------------


def test_a_visit_twice(visits):
    twice = pd.concat([visits, visits.iloc[[4]]])
    with pytest.raises(DataError, match=r"'visit' is \d in more than one row of person '\d'"):
        logistic(twice, "ar1")


def test_more_visits_than_clusters():
    sleep = ml.datasets.sleepstudy()
    few = sleep[sleep["Subject"].isin(sleep["Subject"].unique()[:8])]
    with pytest.raises(
        ModelError, match="unstructured correlation of 10 visits has 45 parameters, too many for 8"
    ):
        ml.gee("Reaction ~ Days", few, groups="Subject", time="Days", corr="unstructured")


def test_order_that_is_guessed_is_said(visits):
    with pytest.warns(MultilevelWarning, match="Name the column of visits as time="):
        ml.gee("y ~ x", visits, groups="person", family="binomial", corr="ar1")


def test_a_correlation_that_is_none_is_said():
    with pytest.warns(MultilevelWarning, match="not positive definite"):
        fit = ml.gee("Reaction ~ Days", ml.datasets.sleepstudy(), groups="Subject", corr="unstructured")
    assert "not positive definite" in str(fit)


def test_sandwich_of_few_clusters_is_warned_about():
    with pytest.warns(MultilevelWarning, match="18 clusters; below 40 the sandwich"):
        ml.gee("Reaction ~ Days", ml.datasets.sleepstudy(), groups="Subject", vcov="sandwich")


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"formula": "y ~ x + (1 | person)"}, FormulaError, "corr="),
        ({"groups": "nobody"}, DataError, "nobody"),
        ({"time": "never"}, DataError, "never"),
        ({"groups": ["person", "half"]}, ModelError, "NestedExchangeable"),
        ({"corr": "circulant"}, DataError, "circulant"),
        ({"family": "student"}, ModelError, "student"),
        ({"family": "nonsense"}, DataError, "no family"),
        ({"family": "negative_binomial"}, ModelError, "size"),
        ({"family": "tweedie"}, ModelError, "power"),
        ({"groups": None}, DataError, "groups= needs the name of a column"),
        ({"family": "poisson", "link": "logit"}, DataError, "no link"),
        ({"scale": 0}, DataError, "positive"),
        ({"scale": True}, DataError, "positive"),
        ({"moments": "mine"}, DataError, "moments"),
        ({"moments": "gee", "weights": "w"}, ModelError, "no weights"),
        ({"vcov": "HC3"}, DataError, "vcov='HC3'"),
        ({"freq_weights": "visit"}, DataError, "freq_weights"),
        ({"corr": ml.FixedCorrelation(np.eye(3))}, DataError, "3 visits and the data have 5"),
        ({"corr": ml.UserCorrelation(np.ones((7, 1)))}, DataError, "7 rows"),
        ({"corr": ml.NestedExchangeable("nobody")}, DataError, "nobody"),
        ({"formula": "x ~ visit"}, DataError, "proportion"),
        ({"formula": "y ~ 0"}, ModelError, "no terms"),
        (
            {"formula": "y ~ x", "data": {"y": [0.0, 1.0], "x": [1.0, 2.0], "person": [1, 1]}, "time": None},
            ModelError,
            "one cluster",
        ),
    ],
    ids=str,
)
def test_what_is_refused(visits, options, error, said):
    call = {
        "formula": "y ~ x",
        "data": visits,
        "groups": "person",
        "time": "visit",
        "family": "binomial",
    } | options
    with pytest.raises(error, match=said):
        ml.gee(call.pop("formula"), call.pop("data"), **call)


def test_what_rests_on_one_cluster_is_said():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(10), 6)
    data = {"y": rng.normal(size=60), "g": g, "x": (g == 3).astype(float)}
    fit = ml.gee("y ~ x", data, groups="g", corr="exchangeable")
    assert "Resting on one 'g' each: x." in str(fit)
    for kind in ("one-step", "jackknife"):
        with pytest.raises(ModelError, match="one cluster alone determines a coefficient"):
            fit.vcov(kind=kind)


def test_complete_separation_is_an_error(visits):
    apart = visits.assign(y=(visits["x"] > 0.0).astype(float))
    with pytest.raises(ModelError, match="separates the successes and failures"):
        logistic(apart, "independence")


def test_no_likelihood(ohio):
    for name in ("loglik", "aic", "bic"):
        with pytest.raises(ModelError, match="qic"):
            getattr(ohio, name)


def test_models_of_other_rows_are_not_compared(ohio):
    other = ml.gee("resp ~ age", ml.datasets.ohio().iloc[:-4], groups="id", family="binomial")
    for compare in (ohio.qic, ohio.wald_test, ohio.score_test):
        with pytest.raises(ModelError, match="other rows"):
            compare(other)
    with pytest.raises(ModelError, match="not nested"):
        ohio.update("resp ~ age").wald_test("resp ~ smoke")
    with pytest.raises(ModelError, match="same mean"):
        ohio.wald_test(ohio)
    with pytest.raises(ModelError, match="clusters of estimating equations"):
        ohio.test("age", cluster="age")
