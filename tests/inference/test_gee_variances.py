"""Corrected sandwiches: against CR2 and CR3, and against matrices as the papers have them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import multilevel as ml
from multilevel.errors import ModelError, MultilevelWarning
from multilevel.inference.gee_degrees import hangs_on
from reference_cases import align_names, case_data, load_case, load_data

CORRECTIONS = {"kauermann-carroll": "CR2", "mancl-derouen": "CR3", "sandwich": "CR0"}
LM_CASES = [
    "robust_dietox_lm",
    "robust_dropout_lm",
    "robust_hsb82_lm",
    "robust_petersen_lm",
    "robust_sleep_lm",
    "robust_sleep_lm_cond",
    "robust_sleep_lm_daysF",
]
GLM_CASES = ["robust_epil_glm", "robust_ohio_glm"]


def independent_fit(name):
    case = load_case(name)
    spec, data = case["spec"], case_data(case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MultilevelWarning)
        fit = ml.gee(spec["formula"], data, groups=spec["cluster"], family=spec["family"], link=spec["link"])
    return case, fit, align_names(case["fixed"]["names"], fit.coef_names, load_data(case["data"]["name"]))


@pytest.mark.parametrize("kind", CORRECTIONS)
@pytest.mark.parametrize("name", LM_CASES + GLM_CASES)
def test_independence_is_clubsandwich(name, kind):
    case, fit, order = independent_fit(name)
    r = case["clubSandwich"].get(CORRECTIONS[kind])
    if r is None or (kind == "kauermann-carroll" and name in GLM_CASES):
        return  # CR3 is not there, or CR2 has another working model
    # least squares is exact; R's glm stops at 1e-8
    tolerance = 1e-8 if name in LM_CASES else 1e-5
    np.testing.assert_allclose(np.sqrt(np.diag(fit.vcov(kind=kind)))[order], r["se"], rtol=tolerance)
    test = r.get("test_Satterthwaite")
    if test is not None and kind != "sandwich" and name in LM_CASES:
        table = fit.tidy(vcov=kind)
        np.testing.assert_allclose(table["df"].to_numpy()[order], test["df_Satt"], rtol=1e-6)
        np.testing.assert_allclose(table["p_value"].to_numpy()[order], test["p_Satt"], rtol=1e-5)


@pytest.mark.parametrize("kind", ["kauermann-carroll", "mancl-derouen"])
def test_the_same_as_ols_with_clusters(kind):
    exam = ml.datasets.exam()
    fit = ml.gee("normexam ~ standLRT", exam, groups="school", vcov=kind)
    ols = ml.ols("normexam ~ standLRT", exam, cluster="school", vcov=CORRECTIONS[kind])
    np.testing.assert_allclose(fit.vcov(), ols.vcov(), rtol=1e-9)
    np.testing.assert_allclose(fit.tidy()["df"], ols.tidy()["df"], rtol=1e-7)
    joint = "Intercept = 0, standLRT = 0"
    expected = ols.test(joint, joint=True).iloc[0]
    ours = fit.test(joint, joint=True).iloc[0]
    np.testing.assert_allclose(
        [ours["statistic"], ours["df_den"]], [expected["statistic"], expected["df_den"]], rtol=1e-7
    )


# Against the textbook, in matrices -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def binary():
    rng = np.random.default_rng(11)
    sizes = rng.integers(2, 7, 15)
    g = np.repeat(np.arange(15), sizes)
    x = rng.normal(size=len(g)) + 5.0
    z = (g % 2).astype(float)
    eta = 0.4 * (x - 5.0) + rng.normal(size=15)[g]
    y = (rng.random(len(g)) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    data = {"y": y, "x": x, "z": z, "g": g}
    return data, ml.gee("y ~ x + z", data, groups="g", family="binomial", corr="exchangeable")


def pieces(data, fit):
    """D_i, R_i^-1 and e_i of each cluster, and A^-1."""
    mu = fit.fitted
    v = mu * (1.0 - mu)
    X = np.column_stack([np.ones(len(mu)), data["x"], data["z"]])
    out = []
    for k in range(15):
        rows = data["g"] == k
        m = int(rows.sum())
        R = (1.0 - fit.alpha[0]) * np.eye(m) + fit.alpha[0]
        D = X[rows] * np.sqrt(v[rows])[:, None]
        e = (data["y"] - mu)[rows] / np.sqrt(v[rows])
        out.append((D, R, e))
    A = sum(D.T @ np.linalg.solve(R, D) for D, R, _ in out)
    return out, np.linalg.inv(A)


def root(S, power):
    values, vectors = np.linalg.eigh(S)
    return (vectors * values**power) @ vectors.T


@pytest.mark.parametrize("kind", ["sandwich", "kauermann-carroll", "mancl-derouen", "fay-graubard"])
def test_corrections_are_those_of_the_papers(binary, kind):
    data, fit = binary
    clusters, inverse = pieces(data, fit)
    meat = 0.0
    for D, R, e in clusters:
        white = root(R, -0.5)  # the symmetric root; any other gives the same
        Dw, ew = white @ D, white @ e
        H = Dw @ inverse @ Dw.T
        left = np.eye(len(e)) - H
        match kind:
            case "sandwich":
                u = Dw.T @ ew
            case "kauermann-carroll":
                u = Dw.T @ root(left, -0.5) @ ew
            case "mancl-derouen":
                u = Dw.T @ np.linalg.solve(left, ew)
            case _:
                leverage = np.diag(Dw.T @ Dw @ inverse)
                u = (Dw.T @ ew) / np.sqrt(1.0 - np.minimum(0.75, leverage))
        meat = meat + np.outer(u, u)
    np.testing.assert_allclose(fit.vcov(kind=kind), inverse @ meat @ inverse, rtol=1e-7)


def test_morel_bokossa_neerchal(binary):
    data, fit = binary
    clusters, inverse = pieces(data, fit)
    n, K, p = len(data["y"]), 15, 3
    meat = sum(np.outer(u, u) for u in (D.T @ np.linalg.solve(R, e) for D, R, e in clusters))
    k = (n - 1) / (n - p) * K / (K - 1)
    psi = max(1.0, np.trace(k * inverse @ meat) / fit.scale / p)
    expected = k * inverse @ meat @ inverse + min(0.5, p / (K - p)) * psi * fit.scale * inverse
    np.testing.assert_allclose(fit.vcov(kind="MBN"), expected, rtol=1e-8)


def test_gosho_pools_residuals():
    sleep = ml.datasets.sleepstudy()
    fit = ml.gee("Reaction ~ Days", sleep, groups="Subject", time="Days", corr="ar1")
    E = fit.residuals("response").reshape(18, 10)
    pooled = E.T @ E / (18 - 2)
    X = np.column_stack([np.ones(10), np.arange(10.0)])
    W = np.linalg.inv(fit.working_correlation())
    inverse = np.linalg.inv(18 * X.T @ W @ X)
    expected = inverse @ (18 * X.T @ W @ pooled @ W @ X) @ inverse
    np.testing.assert_allclose(fit.vcov(kind="gosho"), expected, rtol=1e-9)


def test_fay_and_graubards_degrees_of_freedom(binary):
    """(tr Psi B)^2 / tr (Psi B Psi B), with matrices over all clusters as in their paper."""
    data, fit = binary
    clusters, inverse = pieces(data, fit)
    p, K = 3, 15
    omega = [D.T @ np.linalg.solve(R, D) for D, R, _ in clusters]
    H = [np.diag(1.0 / np.sqrt(1.0 - np.minimum(0.75, np.diag(each @ inverse)))) for each in omega]
    u = [h @ D.T @ np.linalg.solve(R, e) for (D, R, e), h in zip(clusters, H, strict=True)]
    total = sum(np.outer(each, each) for each in u)
    df = fit.tidy(vcov="FG")["df"]
    for j in range(p):
        c = np.eye(p)[j]
        w = np.array([c @ (np.linalg.inv(sum(omega) - each) - inverse) @ c for each in omega])
        Psi = np.kron(np.diag(w / w.sum()), total)
        M = np.zeros((K * p, K * p))
        for k in range(K):
            block = slice(k * p, (k + 1) * p)
            M[block, block] = H[k] @ inverse @ np.outer(c, c) @ inverse @ H[k]
        G = np.eye(K * p) - np.vstack(omega) @ np.hstack([inverse] * K)
        B = G.T @ M @ G
        expected = np.trace(Psi @ B) ** 2 / np.trace(Psi @ B @ Psi @ B)
        np.testing.assert_allclose(df[j], expected, rtol=1e-7)


def test_pan_and_walls_degrees_of_freedom(binary):
    data, fit = binary
    clusters, inverse = pieces(data, fit)
    terms = np.array([inverse @ D.T @ np.linalg.solve(R, e) for D, R, e in clusters]) ** 2
    expected = 2.0 * terms.sum(axis=0) ** 2 / (15 * terms.var(axis=0, ddof=1))
    np.testing.assert_allclose(fit.tidy(vcov="sandwich", df="pan-wall")["df"], expected, rtol=1e-8)


@pytest.mark.parametrize(
    ("kind", "df"),
    [("FG", "fay-graubard"), ("sandwich", "pan-wall"), ("KC", "satterthwaite"), ("sandwich", "fay-graubard")],
)
def test_a_joint_test_of_one_is_the_square_of_t(binary, kind, df):
    _, fit = binary
    alone = fit.test("x", vcov=kind, df=df)
    joint = fit.test("x", vcov=kind, df=df, joint=True)
    np.testing.assert_allclose(joint["statistic"][0], alone["statistic"][0] ** 2, rtol=1e-9)
    np.testing.assert_allclose(joint["df_den"][0], alone["df"][0], rtol=1e-8)


def test_joint_tests_do_not_depend_on_how_hypotheses_are_written(binary):
    _, fit = binary
    one = fit.test("x = 0, z = 0", joint=True)
    other = fit.test("x + z = 0, 3 * x - z = 0", joint=True)
    for column in ("statistic", "df_num", "df_den", "p_value"):
        np.testing.assert_allclose(one[column], other[column], rtol=1e-7)


def test_shares_grow_with_what_hangs_on_a_cluster():
    informations = np.array([np.diag([0.5, 0.1]), np.diag([0.3, 0.1]), np.diag([0.2, 0.8])])
    shares = hangs_on(np.array([[1.0, 0.0]]), informations)
    assert shares[0] > shares[1] > shares[2]
    np.testing.assert_allclose(shares.sum(), 1.0)


def test_what_cannot_be_corrected_is_refused():
    sleep = ml.datasets.sleepstudy()
    few = sleep[sleep["Subject"].isin(sleep["Subject"].unique()[:3])]
    fit = ml.gee("Reaction ~ Days", few, groups="Subject")
    for kind in ("jackknife", "one-step"):
        with pytest.raises(ModelError, match="more clusters than parameters"):
            fit.vcov(kind=kind)
    fit = ml.gee("Reaction ~ Days + I(Days**2)", few, groups="Subject")
    for kind in ("MBN", "gosho"):
        with pytest.raises(ModelError, match="too few"):
            fit.vcov(kind=kind)
    with pytest.raises(ModelError, match="no degrees of freedom"):
        fit.tidy(vcov="sandwich", df="residual")


def test_kinds_and_methods_that_do_not_go_together():
    fit = ml.gee("Reaction ~ Days", ml.datasets.sleepstudy(), groups="Subject")
    with pytest.raises(ValueError, match="vcov='HC3' does not exist"):
        fit.vcov(kind="HC3")
    with pytest.raises(ValueError, match="df='pan-wall' does not exist"):
        fit.tidy(vcov="KC", df="pan-wall")
    with pytest.raises(ValueError, match="df='kenward-roger'"):
        fit.tidy(df="kenward-roger")
