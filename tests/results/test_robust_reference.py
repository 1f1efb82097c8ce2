"""Cluster-robust inference of `ml.ols` and `ml.lmm` against R's clubSandwich and sandwich::vcovCL, all cases.

Least squares: closed forms on both sides, so that only rounding differs (1e-9). Mixed models: variances and
degrees of freedom depend on theta, which both sides know to about 1e-6 (README of the reference); F and p
magnify that of t, so they get ten times as much.
"""

import re

import numpy as np
import pytest

import multilevel as ml
from multilevel.inference.wald import wald_limits, wald_table
from reference_cases import align_names, case_data, case_names, load_case

RTOL = {"lm": 1e-9, "lmerMod": 1e-6}
CASES = [name for name in case_names("robust_") if load_case(name)["spec"]["model_class"] in RTOL]
TESTS = {
    "test_z": ("z", "z"),
    "test_naive_t": ("residual", "t"),
    "test_Satterthwaite": ("satterthwaite", "Satt"),
}
WALD = {"chi-sq": "z", "Naive-F": "residual", "HTZ": "satterthwaite"}  # HTZ: approximate Hotelling

pytestmark = pytest.mark.filterwarnings("ignore:.*cluster-robust standard errors tend to be too small")


def kinds(quantity="vcov"):
    return [
        (name, kind)
        for name in CASES
        for kind, each in load_case(name)["clubSandwich"].items()
        if quantity in each
    ]


@pytest.fixture(scope="module")
def fits():
    """Each case is fitted once."""
    return {}


def fitted(fits, name):
    """The fit, the case, rows (p, p) that pick R's coefficients in R's order, and the tolerance."""
    case = load_case(name)
    data = case_data(case)
    if name not in fits:
        weights = re.search(r"weights = (\w+)", case["spec"]["fit"])
        fit = ml.ols if case["spec"]["model_class"] == "lm" else ml.lmm
        fits[name] = fit(case["spec"]["formula"], data, weights=weights and weights[1])
    order = align_names(case["fixed"]["names"], fits[name].coef_names, data)
    return fits[name], case, np.eye(len(order))[order], RTOL[case["spec"]["model_class"]]


def inference(fit, case, kind, df):
    return fit._inference(df=df, vcov=kind, cluster=case["spec"]["cluster"])


def assert_matrix(got, expected, rtol):
    """Entries to within `rtol` of the standard errors' products: covariances may vanish."""
    expected = np.array(expected)
    sd = np.sqrt(expected.diagonal())
    np.testing.assert_allclose(got / np.outer(sd, sd), expected / np.outer(sd, sd), atol=rtol)


@pytest.mark.parametrize(("name", "kind"), kinds())
def test_variance(fits, name, kind):
    fit, case, L, rtol = fitted(fits, name)
    reference = case["clubSandwich"][kind]
    vcov = L @ fit.vcov(kind=kind, cluster=case["spec"]["cluster"]) @ L.T
    assert_matrix(vcov, reference["vcov"], rtol)
    np.testing.assert_allclose(np.sqrt(vcov.diagonal()), reference["se"], rtol=rtol)


@pytest.mark.parametrize("method", TESTS)
@pytest.mark.parametrize(("name", "kind"), kinds())
def test_tests_of_coefficients(fits, name, kind, method):
    fit, case, L, rtol = fitted(fits, name)
    reference = case["clubSandwich"][kind][method]
    df, suffix = TESTS[method]
    table = robust_table(fit, case, kind, df, L)
    np.testing.assert_allclose(table.statistic, reference["tstat"], rtol=10 * rtol)
    if df != "z":
        np.testing.assert_allclose(table.df, reference[f"df_{suffix}"], rtol=rtol)
    # a relative error of t is magnified by t^2 in the normal's tail, by df in that of t
    np.testing.assert_allclose(table.p_value, reference[f"p_{suffix}"], rtol=1e3 * rtol)


def robust_table(fit, case, kind, df, L):
    found = inference(fit, case, kind, df)
    error = np.sqrt(found.covariance(L).diagonal())
    return wald_table(case["fixed"]["names"], L @ fit.fixef, error, None if df == "z" else found.df(L))


@pytest.mark.parametrize(("name", "kind"), kinds("conf_int_satterthwaite"))
def test_confidence_limits(fits, name, kind):
    fit, case, L, rtol = fitted(fits, name)
    reference = case["clubSandwich"][kind]["conf_int_satterthwaite"]
    low, high = wald_limits(robust_table(fit, case, kind, "satterthwaite", L), 0.95)
    error = np.array(reference["SE"])
    np.testing.assert_allclose((low - reference["CI_L"]) / error, 0.0, atol=10 * rtol)
    np.testing.assert_allclose((high - reference["CI_U"]) / error, 0.0, atol=10 * rtol)


@pytest.mark.parametrize(("name", "kind"), kinds("wald"))
def test_tests_of_several_coefficients(fits, name, kind):
    fit, case, L, rtol = fitted(fits, name)
    for reference in case["clubSandwich"][kind]["wald"].values():
        some = L[np.array(reference["zero_constraints_on_coefficient_numbers"]) - 1]
        for method, df in WALD.items():
            k = reference["test"].index(method)
            test = inference(fit, case, kind, df).f_test(some)
            assert test.df_num == reference["df_num"][k]
            assert test.statistic == pytest.approx(reference["Fstat"][k], rel=10 * rtol)
            if df != "z":
                assert test.df_den == pytest.approx(reference["df_denom"][k], rel=rtol)
            assert test.p_value == pytest.approx(reference["p_val"][k], rel=1e3 * rtol)


# sandwich::vcovCL ----------------------------------------------------------------------------------------

# type and the G / (G - 1) factor -> clubSandwich's name; HC2 and HC3 have no such factor
VCOVCL = {
    ("HC0", False): "CR0",
    ("HC0", True): "CR1",
    ("HC1", True): "CR1S",
    ("HC2", True): "CR2",
    ("HC3", True): "CR3",
}
VARIANTS = [
    (name, variant) for name in CASES for variant, _ in enumerate(load_case(name).get("sandwich") or [])
]


def clusters_of(text):
    """`dat$firm` and `dat[, c('firm', 'year')]` as we write them."""
    return re.findall(r"'(\w+)'", text) or text.removeprefix("dat$")


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_vcovcl(fits, name, variant):
    fit, case, L, rtol = fitted(fits, name)
    reference = case["sandwich"][variant]
    kind, cluster = VCOVCL[reference["type"], reference["cadjust"]], clusters_of(reference["cluster"])
    if fit.design.weights is not None and kind in ("CR2", "CR3"):
        expected = untransposed_hat(fit, case, kind)
        assert_matrix(L @ expected @ L.T, reference["vcov"], rtol)
        return
    vcov = fit.vcov(kind=kind, cluster=cluster)
    if reference["multi0"]:  # the intersection of the two ways is taken without its factor
        both = case_data(case)[cluster].astype(str).agg(":".join, axis=1).to_numpy()
        vcov += fit.vcov(kind=kind, cluster=both) - fit.vcov(kind="CR0", cluster=both)
    assert_matrix(L @ vcov @ L.T, reference["vcov"], rtol)


def untransposed_hat(fit, case, kind):
    """What vcovCL has for HC2 and HC3 with weights, where it is not the change without a cluster.

    Weighted residuals are (I - H')W e with H = X (X'WX)^-1 X'W, so (I - H_jj')^-1 brings them back to W e;
    vcovCL takes (I - H_jj)^-1, which is the same without weights only. Our CR3 is compared with estimates
    without each cluster in tests/inference/test_cluster_adjustment.py, and with clubSandwich's above.
    """
    X, w, residuals = fit.design.X, fit.design.weights, fit.residuals()
    codes = case_data(case)[case["spec"]["cluster"]].cat.codes.to_numpy()
    bread = np.linalg.inv(X.T @ (X * w[:, None]))
    scores = []
    for j in np.unique(codes):
        here = codes == j
        left = np.eye(here.sum()) - X[here] @ bread @ (X[here] * w[here, None]).T
        values, vectors = np.linalg.eig(left)
        power = (vectors * values ** (-0.5 if kind == "CR2" else -1.0)) @ np.linalg.inv(vectors)
        scores.append(bread @ X[here].T @ power.real @ (w * residuals)[here])
    return np.transpose(scores) @ np.array(scores)
