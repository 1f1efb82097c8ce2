"""The mixed model for repeated measures: exact cases, other ways to the same numbers, and mistakes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

import multilevel as ml
from multilevel.errors import DataError, ModelError
from reference_cases import load_data

DFS = ("satterthwaite", "kenward-roger")
FORMULA = "distance ~ age * Sex"


@pytest.fixture(scope="module")
def teeth() -> pd.DataFrame:
    return load_data("Orthodont").assign(visit=lambda d: d.age.astype(int).astype(str).astype("category"))


@pytest.fixture(scope="module")
def gaps(teeth: pd.DataFrame) -> pd.DataFrame:
    """Some visits are missing, and rows stand in any order."""
    return teeth.iloc[np.random.default_rng(1).permutation(len(teeth))[:95]].reset_index(drop=True)


def fit(data, residual="unstructured", formula=FORMULA, **options):
    return ml.mmrm(formula, data, groups="Subject", time="age", residual=residual, **options)


@pytest.mark.parametrize(
    ("residual", "term"),
    [
        ("unstructured", "us(0 + visit | Subject)"),
        ("exchangeable-h", "cs(0 + visit | Subject)"),
        ("exchangeable", "cs(0 + visit | Subject, hom=TRUE)"),
    ],
)
def test_as_a_random_effect_without_residual(gaps, residual, term):
    """Another estimator of the same model, with exact derivatives of all orders."""
    f = fit(gaps, residual)
    g = ml.lmm(f"{FORMULA} + {term}", gaps, residual="none")
    assert f.criterion == pytest.approx(g.criterion, abs=1e-7)
    np.testing.assert_allclose(f.fixef, g.fixef, rtol=1e-5)
    # differences of exact gradients here, exact second derivatives there; two ends of a flat search
    np.testing.assert_allclose(f.tidy()["df"], g.tidy()["df"], rtol=1e-3)
    if residual == "exchangeable-h":  # not linear in its parameters: the other one adds second derivatives
        return
    ours, theirs = f.tidy(df="kenward-roger"), g.tidy(df="kenward-roger")
    if residual == "unstructured":
        np.testing.assert_allclose(ours["std_error"], theirs["std_error"], rtol=1e-5)
        np.testing.assert_allclose(ours["df"], theirs["df"], rtol=1e-4)
        L = {"hypotheses": "age = 0, Sex[T.Female] = 0", "joint": True, "df": "kenward-roger"}
        np.testing.assert_allclose(f.test(**L)["df_den"], g.test(**L)["df_den"], rtol=1e-4)
        np.testing.assert_allclose(f.test(**L)["statistic"], g.test(**L)["statistic"], rtol=1e-5)


def test_kenward_roger_as_with_a_random_intercept(gaps):
    f, m = fit(gaps, "exchangeable"), ml.lmm(f"{FORMULA} + (1 | Subject)", gaps)
    ours, theirs = f.tidy(df="kenward-roger"), m.tidy(df="kenward-roger")
    for column in ("std_error", "df"):
        np.testing.assert_allclose(ours[column], theirs[column], rtol=1e-5)
    np.testing.assert_allclose(
        f.anova(df="kenward-roger")["statistic"], m.anova(df="kenward-roger")["statistic"], rtol=1e-5
    )


@pytest.mark.parametrize("df", DFS)
def test_balanced_data_have_exact_degrees_of_freedom(teeth, df):
    """People less arms, where everybody has every visit."""
    f = fit(teeth, formula="distance ~ Sex * C(age)", df=df)
    np.testing.assert_allclose(f.tidy()["df"], 25.0, rtol=1e-4)
    means = teeth.pivot(index="Subject", columns="age", values="distance")
    sex = teeth.groupby("Subject", observed=True).Sex.first().loc[means.index]
    pooled = sum((sex == s).sum() - 1 for s in ("Male", "Female"))
    within = sum(
        (means[sex == s] - means[sex == s].mean()).T @ (means[sex == s] - means[sex == s].mean())
        for s in ("Male", "Female")
    )
    np.testing.assert_allclose(f.visit_covariance(), within / pooled, rtol=1e-5)


def test_kenward_roger_is_hotelling_in_balanced_data(teeth):
    """F of the interaction: T^2 (n - g - q + 1) / (q (n - g)) on q and n - g - q + 1 degrees of freedom."""
    f = fit(teeth, formula="distance ~ Sex * C(age)", df="kenward-roger")
    wide = teeth.pivot(index="Subject", columns="age", values="distance")
    sex = teeth.groupby("Subject", observed=True).Sex.first().loc[wide.index]
    steps = wide.to_numpy() @ np.vstack([-np.ones(3), np.eye(3)])
    a, b = steps[sex == "Male"], steps[sex == "Female"]
    n, q = len(steps), 3
    S = ((a - a.mean(0)).T @ (a - a.mean(0)) + (b - b.mean(0)).T @ (b - b.mean(0))) / (n - 2)
    gap = a.mean(0) - b.mean(0)
    T2 = gap @ np.linalg.solve(S * (1 / len(a) + 1 / len(b)), gap)
    row = f.anova().iloc[-1]
    assert row["df_den"] == pytest.approx(n - 2 - q + 1, rel=1e-4)
    assert row["statistic"] == pytest.approx(T2 * (n - 2 - q + 1) / (q * (n - 2)), rel=1e-4)


def test_covariances_by_arm(gaps):
    formula = "distance ~ 0 + Sex + Sex:age"
    f = fit(gaps, formula=formula, by="Sex", reml=False)
    apart = [fit(gaps[gaps.Sex == s], formula="distance ~ age", reml=False) for s in ("Male", "Female")]
    assert f.loglik == pytest.approx(sum(each.loglik for each in apart), abs=1e-6)
    for sex, each in zip(("Male", "Female"), apart, strict=True):
        np.testing.assert_allclose(f.visit_covariance(sex), each.visit_covariance(), rtol=1e-3)
    with pytest.raises(DataError, match="choose a stratum of 'Sex': Male, Female"):
        f.visit_covariance()


@pytest.mark.parametrize("residual", ["unstructured", "ar1-h", "toeplitz-h", "exchangeable", "toeph", "csh"])
def test_the_table_of_visits(gaps, residual):
    f = fit(gaps, residual)
    V = f.visit_covariance()
    table = f.varcorr()
    np.testing.assert_allclose(table["variance"][:4], V.diagonal())
    assert table["covariance"].iloc[4] == pytest.approx(V[0, 1])
    whole = gaps.groupby("Subject", observed=True).size().pipe(lambda s: s[s == 4]).index[0]
    np.testing.assert_allclose(f.marginal_cov(whole), V, rtol=1e-10)
    assert len(f.residual_parameters()) == f.df_model - len(f.fixef)


def test_labels_as_visits(teeth):
    f = fit(teeth)
    labelled = teeth.assign(when=pd.Categorical("y" + teeth.visit.astype(str), ["y8", "y10", "y12", "y14"]))
    g = ml.mmrm(FORMULA, labelled, groups="Subject", time="when")
    assert g.criterion == pytest.approx(f.criterion, abs=1e-8)
    assert g.varcorr()["term"].tolist()[:4] == ["y8", "y10", "y12", "y14"]


def test_the_face_of_a_fit(gaps):
    f = fit(pl.from_pandas(gaps), df="kenward-roger")
    assert "Mixed model for repeated measures fit by REML" in str(f)
    assert "Kenward" in str(f)
    assert isinstance(f.varcorr(), pl.DataFrame)
    assert f.update(df="satterthwaite").tidy()["df"][0] != f.tidy()["df"][0]
    other = f.update(residual="toeplitz-h")
    assert np.isfinite(ml.compare(other, f)["p_value"][1])


MISTAKES = [
    ({"residual": ml.Residual("ar1", ml.VarPower("age"))}, ModelError, "use ml.gls"),
    ({"residual": "independence"}, ModelError, "use ml.ols"),
    ({"residual": "banana"}, DataError, "does not exist"),
    ({"df": "kenward-roger", "reml": False}, ModelError, "leave out reml=False"),
    ({"df": "residual"}, DataError, "choose 'satterthwaite' or 'kenward-roger'"),
    ({"by": "age"}, DataError, "differs within Subject"),
    ({"time": "Sex"}, DataError, "more than one row"),
    ({"time": [1, 2]}, DataError, "name of a column"),
    ({"groups": "Sex"}, DataError, "more than one row"),
]


@pytest.mark.parametrize(("wrong", "error", "words"), MISTAKES, ids=[m[2] for m in MISTAKES])
def test_mistakes(gaps, wrong, error, words):
    with pytest.raises(error, match=words):
        ml.mmrm(FORMULA, gaps, **{"groups": "Subject", "time": "age", **wrong})


def test_kenward_roger_of_a_maximum_likelihood_fit(gaps):
    with pytest.raises(ModelError, match="made for REML"):
        fit(gaps, reml=False).summary(df="kenward-roger")
