"""`ml.ols` against R: lm, clubSandwich and sandwich::vcovCL, one test a case and quantity."""

import re

import numpy as np
import pytest

import multilevel as ml
from reference_cases import align_names, case_data, case_names, load_case

RTOL = 1e-9  # closed forms on both sides: only rounding differs
CASES = [name for name in case_names("robust_") if load_case(name)["spec"]["model_class"] == "lm"]
KINDS = ("CR0", "CR1", "CR1p", "CR1S")
# sandwich::vcovCL: type and the G / (G - 1) factor -> clubSandwich's name
VCOVCL = {("HC0", False): "CR0", ("HC0", True): "CR1", ("HC1", True): "CR1S"}

pytestmark = pytest.mark.filterwarnings("ignore:.*cluster-robust standard errors tend to be too small")


@pytest.fixture(scope="module")
def fits():
    """Each case is fitted once."""
    return {}


def fitted(fits, name):
    if name not in fits:
        case = load_case(name)
        weights = re.search(r"weights = (\w+)", case["spec"]["fit"])
        fits[name] = ml.ols(
            case["spec"]["formula"],
            case_data(case),
            cluster=case["spec"]["cluster"],
            weights=weights and weights[1],
        )
    return fits[name], load_case(name)


def order(fit, case):
    return align_names(case["fixed"]["names"], fit.coef_names, case_data(case))


def assert_matrix(got, expected):
    """Entries to within RTOL of the standard errors' products: covariances may vanish."""
    expected = np.array(expected)
    sd = np.sqrt(expected.diagonal())
    np.testing.assert_allclose(got / np.outer(sd, sd), expected / np.outer(sd, sd), atol=RTOL)


@pytest.mark.parametrize("name", CASES)
def test_coefficients(fits, name):
    fit, case = fitted(fits, name)
    assert fit.nobs == case["dims"]["nobs"]
    assert fit.n_clusters == case["dims"]["n_clusters"]
    np.testing.assert_allclose(fit.fixef[order(fit, case)], case["fixed"]["estimate"], rtol=RTOL)


@pytest.mark.parametrize("name", CASES)
def test_model_variance(fits, name):
    fit, case = fitted(fits, name)
    rows = order(fit, case)
    assert_matrix(fit.vcov(kind="model")[np.ix_(rows, rows)], case["fixed"]["vcov_model"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in CASES for kind in KINDS if kind in load_case(name)["clubSandwich"]],
)
def test_cluster_variance(fits, name, kind):
    fit, case = fitted(fits, name)
    rows = order(fit, case)
    reference = case["clubSandwich"][kind]
    vcov = fit.vcov(kind=kind)[np.ix_(rows, rows)]
    assert_matrix(vcov, reference["vcov"])
    np.testing.assert_allclose(np.sqrt(vcov.diagonal()), reference["se"], rtol=RTOL)


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        (name, variant)
        for name in CASES
        for variant, each in enumerate(load_case(name).get("sandwich") or [])
        if each["cluster"].startswith("dat$") and (each["type"], each["cadjust"]) in VCOVCL
    ],
)
def test_vcovcl(fits, name, variant):
    fit, case = fitted(fits, name)
    rows = order(fit, case)
    reference = case["sandwich"][variant]
    kind = VCOVCL[reference["type"], reference["cadjust"]]
    vcov = fit.vcov(kind=kind, cluster=reference["cluster"].removeprefix("dat$"))
    assert_matrix(vcov[np.ix_(rows, rows)], reference["vcov"])


@pytest.mark.parametrize("name", CASES)
def test_t_tests_on_one_df_fewer_than_clusters(fits, name):
    fit, case = fitted(fits, name)
    reference = case["clubSandwich"]["CR1"]["test_naive_t"]
    tidy = fit.tidy().iloc[order(fit, case)]
    np.testing.assert_allclose(tidy["statistic"], reference["tstat"], rtol=RTOL)
    np.testing.assert_allclose(tidy["df"], reference["df_t"])
    np.testing.assert_allclose(
        tidy["p_value"], reference["p_t"], rtol=1e-8
    )  # tails magnify the rounding of t


@pytest.mark.parametrize(
    ("name", "constraint"), [("robust_sleep_lm_daysF", "all"), ("robust_sleep_lm", "Days")]
)
def test_overall_f_test(fits, name, constraint):
    fit, case = fitted(fits, name)
    reference = case["clubSandwich"]["CR1"]["wald"][constraint]
    naive = reference["test"].index("Naive-F")
    glance = fit.glance().iloc[0]
    assert glance["statistic"] == pytest.approx(reference["Fstat"][naive], rel=RTOL)
    assert glance["p_value"] == pytest.approx(reference["p_val"][naive], rel=1e-8)
