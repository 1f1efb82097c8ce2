"""Cluster-robust variances of mixed models, against the textbook's n x n matrices and repeated rows."""

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from dense_robust import dense_robust
from multilevel.errors import ModelError, MultilevelWarning

KINDS = ("CR0", "CR2", "CR3")


@pytest.fixture(scope="module")
def schools():
    """Districts of schools of classes, unbalanced, in no order; effects of schools, classes and slopes."""
    rng = np.random.default_rng(1)
    n, J = 180, 14
    school = rng.integers(J, size=n)
    klass = school * 3 + rng.integers(3, size=n)
    x = rng.normal(size=n)
    y = x + rng.normal(size=J)[school] + 0.7 * rng.normal(size=3 * J)[klass]
    y = y + 0.5 * x * rng.normal(size=J)[school] + rng.normal(size=n)
    return pd.DataFrame(
        {
            "y": y,
            "x": x,
            "z": rng.normal(size=J)[school],
            "w": rng.uniform(0.3, 3.0, n),
            "one": 2.0,
            "count": rng.integers(1, 4, n),
            "district": school // 2,
            "school": school,
            "klass": klass,
            "item": rng.integers(7, size=n),
            "visit": pd.Categorical(rng.integers(3, size=n)),
        }
    )


def dense(fit, codes, kind):
    matrices = fit.matrices()
    variance = matrices.residual_variance
    sigma = fit.sigma if fit.sigma > 0.0 else 1.0
    Lambda = sigma * matrices.Lambda  # relative to 1 where there is no residual
    V = (matrices.Z @ Lambda @ Lambda.T @ matrices.Z.T).toarray() + np.diag(variance)
    residuals = fit.residuals("fixed")
    return dense_robust(matrices.X, residuals, np.linalg.inv(V), V, codes, kind)


@pytest.mark.filterwarnings("ignore:.*tend to be too small")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("formula", "cluster", "options"),
    [
        pytest.param("y ~ x + z + (1 | school)", None, {}, id="intercepts"),
        pytest.param("y ~ x + z + (1 + x | school)", None, {"reml": False}, id="slopes"),
        pytest.param("y ~ x + z + (1 + x || school)", "district", {}, id="a cluster above"),
        pytest.param("y ~ x * z + (1 + x | school) + (1 | klass)", None, {}, id="nested"),
        pytest.param("y ~ x + (1 | school/klass)", "district", {}, id="nested, a cluster above"),
        pytest.param("y ~ x + (1 + x | school)", None, {"weights": "w"}, id="weights"),
        pytest.param("y ~ x + (1 | school/klass)", "district", {"weights": "w"}, id="weights, nested"),
        pytest.param("y ~ x + (1 | school)", None, {"weights": "one"}, id="equal weights"),
        pytest.param("y ~ 0 + x + (1 + x | school)", None, {}, id="no intercept"),
        pytest.param("y ~ x + cs(0 + visit | school)", None, {}, id="compound symmetry"),
    ],
)
def test_variance_and_df_are_the_textbooks(schools, formula, cluster, options, kind):
    fit = ml.lmm(formula, schools, **options)
    codes = schools[cluster or "school"].to_numpy()
    expected = dense(fit, codes, kind)
    inference = fit._inference(df="satterthwaite", vcov=kind, cluster=cluster)
    identity = np.eye(len(fit.fixef))
    np.testing.assert_allclose(inference.covariance(identity), expected.vcov, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(inference.df(identity), [expected.df(c) for c in identity], rtol=1e-8)
    if "z" in fit.coef_names:
        C = identity[1:3]
        test = inference.f_test(C)
        statistic, df_den = expected.hotelling(C, C @ fit.fixef)
        assert (test.statistic, test.df_den) == pytest.approx((statistic, df_den), rel=1e-7)


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
def test_a_model_without_a_residual(kind):
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"g": np.repeat(np.arange(15), 3), "t": pd.Categorical(np.tile(np.arange(3), 15))})
    data["x"] = rng.normal(size=45)
    data["y"] = data["x"] + rng.normal(size=15)[data["g"]] + rng.normal(size=45)
    fit = ml.lmm("y ~ x + ar1(0 + t | g)", data, residual="none")
    expected = dense(fit, data["g"].to_numpy(), kind)
    inference = fit._inference(vcov=kind)
    np.testing.assert_allclose(inference.covariance(np.eye(2)), expected.vcov, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(inference.df(np.eye(2)), [expected.df(c) for c in np.eye(2)], rtol=1e-8)


@pytest.mark.parametrize("kind", ["CR2", "CR3", "CR1S"])
@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.filterwarnings("ignore:.*tend to be too small")
def test_counts_are_repeated_rows(schools, kind, weights):
    formula = "y ~ x + z + (1 + x | school)"
    counted = ml.lmm(formula, schools, freq_weights="count", weights=weights)
    repeated = ml.lmm(formula, schools.loc[schools.index.repeat(schools["count"])], weights=weights)
    # both searches stop where a step promises 1e-10, about 1e-6 in theta
    np.testing.assert_allclose(counted.vcov(kind=kind), repeated.vcov(kind=kind), rtol=1e-5, atol=1e-9)
    L = np.eye(3)
    options = {"vcov": kind, "df": "satterthwaite"}
    np.testing.assert_allclose(
        counted._inference(**options).df(L), repeated._inference(**options).df(L), rtol=1e-5
    )


def test_a_singular_fit_is_least_squares(schools):
    """Without variance between groups the working model is that of independent errors."""
    data = schools.assign(y=np.random.default_rng(8).normal(size=len(schools)))
    data["y"] -= data.groupby("school")["y"].transform("mean")
    fit = ml.lmm("y ~ x + (1 | school)", data)
    assert fit.singular
    plain = ml.ols("y ~ x", data, vcov="CR2", cluster="school")
    np.testing.assert_allclose(fit.vcov(kind="CR2"), plain.vcov(), rtol=1e-9)
    np.testing.assert_allclose(
        fit._inference(vcov="CR2").df(np.eye(2)), plain._inference().df(np.eye(2)), rtol=1e-9
    )


def test_columns_far_from_zero_keep_their_digits(schools):
    near = ml.lmm("y ~ x + z + (1 + x | school)", schools)
    far = ml.lmm("y ~ x + z + (1 + x | school)", schools.assign(x=schools["x"] + 2.0**27))
    L = np.eye(3)[1:]
    for kind in ("CR2", "CR3"):
        one, other = near._inference(vcov=kind), far._inference(vcov=kind)
        # x + 2^27 keeps x to 1.5e-8, and so do its products with roots of Sigma
        np.testing.assert_allclose(other.covariance(L), one.covariance(L), rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(other.df(L), one.df(L), rtol=1e-5)


def test_rows_in_any_order_and_labels_of_any_kind(schools):
    fit = ml.lmm("y ~ x + z + (1 | school/klass)", schools)
    shuffled = schools.sample(frac=1.0, random_state=5)
    shuffled["school"] = shuffled["school"].map(lambda k: f"s{(k * 5) % 14}")
    again = ml.lmm("y ~ x + z + (1 | school/klass)", shuffled)
    np.testing.assert_allclose(again.vcov(kind="CR2"), fit.vcov(kind="CR2"), rtol=1e-6, atol=1e-9)
    labels = np.array([f"d{k}" for k in schools["district"]])
    np.testing.assert_allclose(
        fit.vcov(kind="CR2", cluster=labels), fit.vcov(kind="cr2", cluster="district"), rtol=1e-12
    )


def test_a_polars_frame(schools):
    pl = pytest.importorskip("polars")
    frame = pl.from_pandas(schools[["y", "x", "school", "district"]])
    fit = ml.lmm("y ~ x + (1 | school)", frame)
    expected = ml.lmm("y ~ x + (1 | school)", schools).vcov(kind="CR2", cluster="district")
    np.testing.assert_allclose(fit.vcov(kind="CR2", cluster="district"), expected, rtol=1e-10)


def test_few_clusters_are_told_unless_the_kind_is_made_for_them(schools):
    fit = ml.lmm("y ~ x + (1 | school)", schools)
    with pytest.warns(MultilevelWarning, match=r"'school' has 14 clusters; below 40.*vcov=\"CR2\".*") as told:
        inference = fit._inference(vcov="CR1")
    assert "mixed model" not in str(told[0].message)
    np.testing.assert_array_equal(inference.df(np.eye(2)), [13.0, 13.0])
    assert inference.method == "CR1"
    assert fit._inference(vcov="CR3").method == "CR3, Satterthwaite"  # without a warning
    assert np.isinf(fit._inference(vcov="CR3", df="z").df(np.eye(2))).all()


# Misuse --------------------------------------------------------------------------------------------------


def test_crossed_factors_have_no_clusters_of_their_own(schools):
    fit = ml.lmm("y ~ x + (1 | school) + (1 | item)", schools)
    with pytest.raises(ModelError, match=r"'item' and 'school' cross.*cluster="):
        fit.vcov(kind="CR2")
    with pytest.raises(ModelError, match="rows of one 'item' are in different clusters of 'school'"):
        fit.vcov(kind="CR2", cluster="school")


def test_factors_that_cross_within_a_larger_cluster_are_served(schools):
    data = schools.assign(item=schools["district"] * 7 + schools["item"])
    fit = ml.lmm("y ~ x + (1 | school) + (1 | item)", data)
    expected = dense(fit, data["district"].to_numpy(), "CR2")
    np.testing.assert_allclose(fit.vcov(kind="CR2", cluster="district"), expected.vcov, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "CR2", "cluster": "klass"}, "rows of one 'school' are in different clusters of 'klass'"),
        ({"kind": "CR1", "cluster": ["school", "item"]}, "clusters in one way"),
        ({"kind": "HC3"}, "would ignore the clusters"),
        ({"kind": "model", "cluster": "school"}, "would ignore the clusters"),
        ({"kind": "CR2", "cluster": "one"}, "'one' has one cluster"),
    ],
)
def test_impossible_clusters(schools, options, message):
    fit = ml.lmm("y ~ x + (1 | school)", schools)
    with pytest.raises(ModelError, match=message):
        fit.vcov(**options)


def test_a_model_without_coefficients(schools):
    with pytest.raises(ModelError, match="no coefficients"):
        ml.lmm("y ~ 0 + (1 | school)", schools).vcov(kind="CR2")


def test_clusters_too_large_for_their_matrices(schools, monkeypatch):
    monkeypatch.setattr("multilevel.inference.lmm_sandwich.LARGEST_DENSE", 5)
    with pytest.raises(ModelError, match=r'CR2 needs a matrix.*vcov="CR3"'):
        ml.lmm("y ~ x + (1 | school)", schools, weights="w").vcov(kind="CR2")
    with pytest.raises(ModelError, match="more than the 5 that"):
        ml.lmm("y ~ x + (1 | school/klass)", schools).vcov(kind="CR2", cluster="district")
    ml.lmm("y ~ x + (1 | school)", schools).vcov(kind="CR2")  # four dimensions, whatever the rows
