"""`fit.ranova()` and simulated p-values: what they return, what must not matter, what is refused."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

import multilevel as ml
from multilevel.errors import DataError, DataTypeError, ModelError
from reference_cases import load_data

SLOPES = "Reaction ~ Days + (1 + Days | Subject)"
APART = "Reaction ~ Days + (1 + Days || Subject)"


@pytest.fixture(scope="module")
def apart(sleepstudy):
    return ml.lmm(APART, sleepstudy)


def test_the_table_comes_in_the_users_own_kind_of_frame(sleepstudy):
    table = ml.lmm(SLOPES, pl.from_pandas(sleepstudy[["Reaction", "Days", "Subject"]])).ranova()
    assert isinstance(table.frame, pl.DataFrame)
    assert table.frame.columns == [
        "term",
        "n_parameters",
        "loglik",
        "aic",
        "statistic",
        "df",
        "p_value",
        "p_boundary",
    ]
    assert table.frame["term"].to_list() == ["<none>", "Days in (1 + Days | Subject)"]


@pytest.mark.parametrize("options", [{}, {"method": "bootstrap", "n": 20, "seed": 1}])
def test_it_travels(sleepstudy, options):
    table = ml.lmm(SLOPES, sleepstudy).ranova(**options)
    assert str(pickle.loads(pickle.dumps(table))) == str(table)


def test_it_prints_as_a_page(apart):
    text = str(apart.ranova(method="exact", n=500, seed=1))
    assert "Random effects taken out one at a time (REML)" in text
    assert "p (naive)  p (boundary)  p (exact)" in text
    assert "no simulated statistic was as large" in text
    assert "Greven" in text
    assert "<table>" in apart.ranova()._repr_html_()


def test_boundary_p_values_of_the_sleep_study(sleepstudy):
    table = ml.lmm(SLOPES, sleepstudy).ranova()
    chisq = 42.836813436430475
    halves = 0.5 * stats.chi2.sf(chisq, 1) + 0.5 * stats.chi2.sf(chisq, 2)  # Stram and Lee's case 2
    assert table["p_boundary"][1] == pytest.approx(halves, rel=1e-6)


def test_a_fit_by_maximum_likelihood_stays_one(sleepstudy):
    table = ml.lmm(SLOPES, sleepstudy, reml=False).ranova()
    by_hand = ml.compare(ml.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy), ml.lmm(SLOPES, sleepstudy))
    assert table["statistic"][1] == pytest.approx(by_hand["chisq"][1], abs=1e-9)
    assert table["p_boundary"][1] == pytest.approx(by_hand["p_boundary"][1], rel=1e-8)


def test_whole_terms(sleepstudy):
    table = ml.lmm(SLOPES, sleepstudy).ranova(reduce=False)
    assert table["df"][1] == 3.0
    assert table["statistic"][1] == pytest.approx(2.0 * (-871.8141359792454 + 946.8318317360545), abs=1e-6)


def test_order_of_rows_labels_and_units_do_not_matter(sleepstudy, apart):
    shuffled = sleepstudy.sample(frac=1.0, random_state=1)
    renamed = sleepstudy.assign(Subject=sleepstudy["Subject"].astype(str) + "x")
    scaled = sleepstudy.assign(Reaction=1000.0 * sleepstudy["Reaction"], Days=sleepstudy["Days"] / 24.0)
    for data in (shuffled, renamed, scaled):
        table = ml.lmm(APART, data).ranova()
        for column in ("statistic", "p_boundary"):
            np.testing.assert_allclose(table[column], apart.ranova()[column], rtol=1e-6)
    exact = [ml.lmm(APART, d).ranova(method="exact", n=200, seed=1)["p_exact"] for d in (shuffled, scaled)]
    np.testing.assert_array_equal(*exact)


def test_counts_are_repeated_rows(sleepstudy):
    counts = np.tile([1, 2], 90)
    counted = ml.lmm(SLOPES, sleepstudy, freq_weights=counts)
    repeated = ml.lmm(SLOPES, sleepstudy.loc[np.repeat(sleepstudy.index, counts)])
    for options in ({}, {"reduce": False}):
        ours, theirs = counted.ranova(**options), repeated.ranova(**options)
        for column in ("loglik", "statistic", "p_value", "p_boundary"):
            np.testing.assert_allclose(ours[column], theirs[column], rtol=1e-7)
    one, other = (
        ml.lmm("Reaction ~ Days + (1 | Subject)", *args, **options).ranova(method="exact", n=300, seed=2)
        for args, options in [
            ((sleepstudy,), {"freq_weights": counts}),
            ((sleepstudy.loc[np.repeat(sleepstudy.index, counts)],), {}),
        ]
    )
    np.testing.assert_array_equal(one["p_exact"], other["p_exact"])


def test_the_same_seed_gives_the_same_p_values(apart):
    for method in ("exact", "bootstrap"):
        first, second, other = (apart.ranova(method=method, n=100, seed=s)[f"p_{method}"] for s in (1, 1, 2))
        np.testing.assert_array_equal(first, second)
        assert first.shape == other.shape


def test_a_variance_estimated_as_zero_has_p_one(dyestuff2):
    table = ml.lmm("Yield ~ 1 + (1 | Batch)", dyestuff2).ranova(method="exact", n=200, seed=1)
    assert table["statistic"][1] == 0.0
    assert [table[p][1] for p in ("p_value", "p_boundary", "p_exact")] == [1.0, 1.0, 1.0]


def test_models_that_are_not_nested_are_shown_and_not_tested(sleepstudy):
    fit = ml.lmm("Reaction ~ Days + (0 + Days | Subject)", sleepstudy)
    table = fit.ranova()
    assert table["df"][1] == 0.0
    assert np.isnan([table["p_value"][1], table["p_boundary"][1]]).all()
    assert "reduce=False" in table.notes[0]
    assert np.isfinite(fit.ranova(reduce=False)["p_boundary"][1])


def test_structures(sleepstudy):
    data = sleepstudy.assign(visit=sleepstudy["Days"].astype(int).astype(str))
    fit = ml.lmm("Reaction ~ Days + (1 | Subject) + ar1(0 + visit | Subject)", data)
    table = fit.ranova()
    assert table["term"] == ["<none>", "(1 | Subject)", "ar1(0 + visit | Subject)"]
    assert table["df"][1:].tolist() == [1.0, 2.0]
    assert np.isnan(table["p_boundary"][2])  # a correlation before there is a variance: no known mixture
    same = ml.lmm("Reaction ~ Days + cs(1 + Days | Subject)", sleepstudy).ranova()
    usual = ml.lmm(SLOPES, sleepstudy).ranova()
    np.testing.assert_allclose(same["p_boundary"], usual["p_boundary"], rtol=1e-5)


def test_without_coefficients(sleepstudy):
    table = ml.lmm("Reaction ~ 0 + (1 | Subject)", sleepstudy).ranova(method="bootstrap", n=19, seed=1)
    assert table["p_bootstrap"][1] == 0.05


def test_no_exact_test_of_several_parameters(sleepstudy, apart):
    with pytest.raises(ModelError, match=r"Days in \(1 \+ Days \| Subject\) tests 2 parameters.*bootstrap"):
        ml.lmm(SLOPES, sleepstudy).ranova(method="exact")
    mixed = ml.lmm("score ~ 1 + (1 | Machine) + (1 + Machine | Worker)", load_data("Machines"))
    table = mixed.ranova(method="exact", n=100, seed=1)
    assert np.isfinite(table["p_exact"]).tolist() == [False, True, False]
    assert any("Machine in (1 + Machine | Worker) tests 5 parameters" in note for note in table.notes)
    explained = ml.lmm("score ~ Worker + (1 | Worker)", load_data("Machines"))
    with pytest.raises(ModelError, match="fixed part explains"):
        explained.ranova(method="exact")


def test_no_exact_test_of_a_factor_that_another_lies_within(pastes):
    # the variance of batches is judged by that of casks, which is estimated: taken for known, the test would
    # reject 6 to 8% at a nominal 5%
    nested = ml.lmm("strength ~ 1 + (1 | batch / cask)", pastes)
    table = nested.ranova(method="exact", n=100, seed=1)
    assert np.isfinite(table["p_exact"]).tolist() == [False, False, True]
    assert any("(1 | batch) is judged by how batch:cask varies within its groups" in n for n in table.notes)


def test_misuse(sleepstudy, apart):
    with pytest.raises(DataError, match="method='lrt' does not exist"):
        apart.ranova(method="lrt")
    with pytest.raises(DataTypeError, match="reduce"):
        apart.ranova(reduce="yes")
    with pytest.raises(DataError, match="n=0"):
        apart.ranova(method="exact", n=0)
    with pytest.raises(DataTypeError, match="seed"):
        apart.ranova(method="exact", seed="x")
    counted = ml.lmm(APART, sleepstudy, freq_weights=np.full(180, 2))
    with pytest.raises(ModelError, match="freq_weights"):
        counted.ranova(method="bootstrap", n=10)
    data = sleepstudy.assign(visit=sleepstudy["Days"].astype(int).astype(str))
    free = ml.lmm("Reaction ~ Days + ar1(0 + visit | Subject)", data, residual="none")
    with pytest.raises(ModelError, match="residual"):
        free.ranova()


# ---- compare ----


def test_compare_by_bootstrap(sleepstudy):
    fits = [
        ml.ols("Reaction ~ Days", sleepstudy),
        ml.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy),
        ml.lmm("Reaction ~ Days + I(Days**2) + (1 | Subject)", sleepstudy),
    ]
    comparison = ml.compare(fits, method="bootstrap", n=199, seed=1)
    assert np.isnan(comparison["p_bootstrap"][0])
    assert comparison["p_bootstrap"][1] == 1.0 / 200.0
    # a fixed effect of 178 observations: the bootstrap and the chi-square agree
    error = np.sqrt(comparison["p_value"][2] * (1.0 - comparison["p_value"][2]) / 199)
    assert comparison["p_bootstrap"][2] == pytest.approx(comparison["p_value"][2], abs=4.0 * error)
    assert {"p_bootstrap", "p_error"} <= set(comparison.frame.columns)
    assert "p (bootstrap)" in str(comparison)
    assert "p_bootstrap" not in ml.compare(fits).frame.columns


def test_compare_by_bootstrap_leaves_out_what_is_not_nested(sleepstudy):
    fits = [ml.ols("Reaction ~ Days", sleepstudy), ml.ols("Reaction ~ I(Days**2) + I(Days**3)", sleepstudy)]
    assert np.isnan(ml.compare(fits, method="bootstrap", n=10, seed=1)["p_bootstrap"]).all()


def test_compare_refuses_what_the_bootstrap_cannot_refit(sleepstudy):
    data = sleepstudy.assign(visit=pd.Categorical(sleepstudy["Days"].astype(int).astype(str)))
    small, large = (
        ml.lmm(f"Reaction ~ {x} + ar1(0 + visit | Subject)", data, residual="none") for x in ("1", "Days")
    )
    with pytest.raises(ModelError, match="cannot be refitted"):
        ml.compare(small, large, method="bootstrap", n=10)
    with pytest.raises(DataError, match="method='exact' does not exist"):
        ml.compare(small, large, method="exact")
