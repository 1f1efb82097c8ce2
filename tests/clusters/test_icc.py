"""Intraclass correlations against the R package performance, and against the model's own covariance."""

import numpy as np
import pytest

import multilevel as ml
from multilevel.errors import DataError
from reference_cases import case_data, case_names, load_case

# performance 0.10 misses variance where random columns are spread over several terms, where a random column
# is not among the fixed ones by name (poly(x, 2) against x), and where a term has no intercept.
OTHERWISE = {
    "lmm_machines_slopes",
    "lmm_sleepstudy_poly2",
    "lmm_sleepstudy_two_terms",
    "lmm_sleepstudy_uncorr_ml",
    "lmm_sleepstudy_uncorr_reml",
}
LARGE = {"lmm_chem97_3level", "lmm_chem97_rs", "lmm_insteval_crossed", "lmm_insteval_ml"}
CASES = [name for name in case_names("lmm_") if load_case(name).get("icc") and name not in OTHERWISE | LARGE]


def fit_of(case):
    spec = case["spec"]
    contrasts = {name: kind.removeprefix("contr.") for name, kind in (spec["contrasts"] or {}).items()}
    return ml.lmm(
        spec["formula"],
        case_data(case),
        reml=spec["method"] == "REML",
        weights=spec["weights"],
        offset=spec["offset"],
        contrasts=contrasts or None,
    )


@pytest.mark.parametrize("name", CASES)
def test_adjusted_and_unadjusted_are_those_of_performance(name):
    case = load_case(name)
    last = fit_of(case).icc().iloc[-1]
    assert last["icc"] == pytest.approx(case["icc"]["ICC_adjusted"], rel=1e-5)
    assert last["icc_unadjusted"] == pytest.approx(case["icc"]["ICC_unadjusted"], rel=1e-5)


@pytest.mark.parametrize("name", sorted(OTHERWISE))
def test_the_variance_between_groups_is_its_mean_over_the_rows(name):
    fit = fit_of(load_case(name))
    M = fit.matrices()
    between = (M.Z @ M.Sigma @ M.Z.T).diagonal().mean()
    assert fit.icc()["icc"][0] == pytest.approx(between / (between + fit.sigma**2), rel=1e-10)


def test_nested_factors_share_out_and_add_up(pastes):
    table = ml.lmm("strength ~ 1 + (1 | batch/cask)", pastes).icc().set_index("group")
    assert table["icc"]["batch:cask"] == pytest.approx(0.783, abs=5e-4)
    assert table["icc"]["batch"] == pytest.approx(0.154, abs=5e-4)
    assert table["icc_cumulative"]["batch"] == table["icc"]["batch"]
    assert table["icc_cumulative"]["batch:cask"] == pytest.approx(0.937, abs=5e-4)
    assert table["icc"]["all groups"] == pytest.approx(table["icc"][["batch", "batch:cask"]].sum())


def test_crossed_factors_do_not_hold_each_other(penicillin):
    table = ml.lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", penicillin).icc().iloc[:2]
    np.testing.assert_allclose(table["icc_cumulative"], table["icc"])


def test_the_correlation_at_a_covariate_is_that_of_the_marginal_covariance(sleepstudy):
    fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleepstudy)
    days = np.array([0.0, 3.0, 9.0])
    Z = np.column_stack([np.ones(3), days])
    between = np.einsum("ij,jk,ik->i", Z, fit.record.terms[0].covariance, Z)
    table = fit.icc(at={"Days": days})
    np.testing.assert_allclose(table["icc"], between / (between + fit.sigma**2))
    np.testing.assert_array_equal(table["Days"], days)


def test_the_correlation_at_a_covariate_needs_it(sleepstudy):
    fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleepstudy)
    with pytest.raises(DataError, match="'Days'"):
        fit.icc(at={"Hours": [1.0]})


def test_no_variance_between_groups_is_no_correlation(dyestuff2):
    assert ml.lmm("Yield ~ 1 + (1 | Batch)", dyestuff2).icc()["icc"][0] == 0.0


def test_counted_rows_are_repeated_rows(sleepstudy):
    counts = np.tile([1, 2, 3], 60)
    repeated = sleepstudy.loc[sleepstudy.index.repeat(counts)].reset_index(drop=True)
    formula = "Reaction ~ Days + (1 + Days | Subject)"
    counted = ml.lmm(formula, sleepstudy, freq_weights=counts.astype(float)).icc()
    np.testing.assert_allclose(
        counted.iloc[:, 1:].to_numpy(float),
        ml.lmm(formula, repeated).icc().iloc[:, 1:].to_numpy(float),
        rtol=1e-5,
    )
