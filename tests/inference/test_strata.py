"""Classical strata: R's aov with Error(), by hand, and what is refused."""

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.errors import DataError, ModelError
from reference_cases import load_data

BIBD = pd.DataFrame(  # 4 treatments in 6 blocks of 2
    {
        "block": np.repeat([1, 2, 3, 4, 5, 6], 2),
        "treatment": list("abacadbcbdcd"),
        "y": [10.1, 12.3, 9.4, 14.2, 11.0, 15.9, 12.2, 13.1, 11.7, 16.4, 15.0, 17.2],
    }
)
STRIPS = pd.DataFrame(
    [(b, r, c, i) for b in (1, 2, 3) for r in "pq" for c in "xyz" for i in (1, 2)],
    columns=["block", "row", "col", "rep"],
).assign(
    y=np.array(
        [
            [5.1, 4.9, 6.2, 6.6, 7.7, 7.1, 5.9, 6.4, 6.8, 7.3, 9.0, 8.2],
            [4.4, 4.8, 5.7, 5.5, 6.9, 7.4, 5.3, 5.0, 6.1, 6.9, 8.8, 8.1],
            [6.0, 5.2, 6.4, 7.0, 8.1, 8.3, 6.6, 6.9, 7.4, 7.9, 9.6, 9.9],
        ]
    ).ravel(),
    x=np.array(
        [
            [0.22, -0.54, 0.89, 0.6, 1.64, 0.69, -1.28, -0.21, 1.9, 1.78, 0.57, 0.02],
            [0.38, -0.05, 0.03, 0.17, 1.17, -0.04, -0.1, -0.28, 1.54, 0.17, 1.31, 1.29],
            [0.59, -0.28, 1.26, 0.91, -0.93, 1.24, 0.15, 1.05, -0.75, -1.48, 0.86, -0.4],
        ]
    ).ravel(),
)


def strata(formula, data, **options):
    return ml.lmm(formula, data, **options).anova(strata=True)


def rows(table):
    return list(zip(table["stratum"], table["term"], table["df"], strict=True))


# R 4.2.2: summary(aov(... + Error(...))); its printed digits are 10, so no more is asked.
R_DIGITS = {"rtol": 2e-9}


def test_a_split_plot():
    table = strata("Y ~ V * N + (1 | B/V)", load_data("oats"))
    assert rows(table) == [
        ("B", "Residuals", 5),
        ("B:V", "V", 2),
        ("B:V", "Residuals", 10),
        ("Within", "N", 3),
        ("Within", "V:N", 6),
        ("Within", "Residuals", 45),
    ]
    squares = [15875.2777778, 1786.36111111, 6013.30555556, 20020.5, 321.75, 7968.75]
    np.testing.assert_allclose(table["sum_sq"], squares, **R_DIGITS)
    np.testing.assert_allclose(table["mean_sq"], table["sum_sq"] / table["df"])
    statistic = [np.nan, 1.4853404, np.nan, 37.6856471, 0.3028235, np.nan]
    np.testing.assert_allclose(table["statistic"], statistic, rtol=1e-7)
    np.testing.assert_allclose(table["p_value"][1], 0.2723869, rtol=1e-6)


def test_incomplete_blocks_compare_treatments_in_two_strata():
    table = strata("y ~ treatment + (1 | block)", BIBD)
    assert rows(table) == [
        ("block", "treatment", 3),
        ("block", "Residuals", 2),
        ("Within", "treatment", 3),
        ("Within", "Residuals", 3),
    ]
    np.testing.assert_allclose(table["sum_sq"], [29.7125, 1.201666666667, 38.0825, 1.7325], **R_DIGITS)
    np.testing.assert_allclose(table["statistic"].dropna(), [16.484049930652, 21.981240981241], **R_DIGITS)
    np.testing.assert_allclose(table["p_value"].dropna(), [0.057736, 0.015207], rtol=1e-4)


def test_strips_that_cross_within_blocks():
    table = strata("y ~ row * col + (1 | block) + (1 | block:row) + (1 | block:col)", STRIPS)
    assert rows(table) == [
        ("block", "Residuals", 2),
        ("block:row", "row", 1),
        ("block:row", "Residuals", 2),
        ("block:col", "col", 2),
        ("block:col", "Residuals", 4),
        ("Within", "row:col", 2),
        ("Within", "Residuals", 22),
    ]
    squares = [8.685, 9.81777778, 0.14388889, 44.7816667, 0.4283333, 0.440555556, 2.632777778]
    np.testing.assert_allclose(table["sum_sq"], squares, rtol=1e-7)  # as many digits as R printed


def test_a_covariate_varies_in_every_stratum():
    table = strata("y ~ x + row * col + (1 | block/row)", STRIPS)
    squares = [5.826306133, 2.858693867, 1.315514748, 8.634617298, 0.011534621]
    squares += [4.98387940, 39.82762636, 0.43320858, 3.03861900]
    np.testing.assert_allclose(table["sum_sq"], squares, rtol=1e-7)
    assert list(table["term"][table["stratum"] == "Within"]) == ["x", "col", "row:col", "Residuals"]


def test_factors_that_cross_without_blocks_above_them():
    data = load_data("Penicillin")
    table = strata("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    assert rows(table) == [
        ("sample", "Residuals", 5),
        ("plate", "Residuals", 23),
        ("Within", "Residuals", 115),
    ]
    between = data.groupby("plate", observed=True)["diameter"].mean()
    assert table["sum_sq"][1] == pytest.approx(6 * ((between - between.mean()) ** 2).sum())
    assert table["sum_sq"].sum() == pytest.approx(((data["diameter"] - data["diameter"].mean()) ** 2).sum())


def test_least_squares_has_one_stratum():
    table = ml.ols("Y ~ V * N", load_data("oats")).anova(strata=True)
    assert rows(table) == [
        ("Within", "V", 2),
        ("Within", "N", 3),
        ("Within", "V:N", 6),
        ("Within", "Residuals", 60),
    ]


def test_order_of_rows_names_of_levels_units_offset_and_counts_do_not_matter():
    formula, data = "Y ~ V * N + (1 | B/V)", load_data("oats")
    expected = strata(formula, data)
    shuffled = data.sample(frac=1.0, random_state=1)
    pd.testing.assert_frame_equal(strata(formula, shuffled), expected)
    renamed = data.assign(
        B=data["B"].map({b: f"block {9 - k}" for k, b in enumerate(data["B"].cat.categories)})
    )
    pd.testing.assert_frame_equal(strata(formula, renamed), expected)
    moved = strata(formula, data.assign(Y=1000.0 * data["Y"] + 1e9))
    np.testing.assert_allclose(moved["sum_sq"], 1e6 * expected["sum_sq"], rtol=1e-8)  # 1e9 costs digits
    offset = strata(
        formula, data.assign(Y=data["Y"] + 5.0 * data["N"].cat.codes, o=5.0 * data["N"].cat.codes), offset="o"
    )
    np.testing.assert_allclose(offset["sum_sq"], expected["sum_sq"], rtol=1e-10)
    twice = strata(formula, pd.concat([data, data], ignore_index=True))
    counted = strata(formula, data.assign(k=2), freq_weights="k")
    pd.testing.assert_frame_equal(counted, twice)


def test_a_constant_shift_in_every_sum_of_squares_is_accounted_for():
    data = load_data("oats")
    table = strata("Y ~ V + N + (1 | B/V)", data)
    assert table["sum_sq"].sum() == pytest.approx(((data["Y"] - data["Y"].mean()) ** 2).sum(), rel=1e-12)
    assert table["df"].sum() == 71


@pytest.mark.parametrize(
    ("formula", "data", "options", "message"),
    [
        ("Y ~ V + (1 | B)", load_data("oats").iloc[1:], {}, "'B' have 11 to 12 rows, .*kenward-roger"),
        ("Reaction ~ Days + (Days | Subject)", load_data("sleepstudy"), {}, "is no random intercept"),
        ("Reaction ~ Days + (0 + Days | Subject)", load_data("sleepstudy"), {}, "is no random intercept"),
        ("y ~ 1 + (1 | block) + (1 | treatment)", BIBD, {}, "neither nested nor crossed"),
        ("y ~ 1 + (1 | block:row) + (1 | block:col)", STRIPS, {}, "neither nested nor crossed"),
        ("y ~ row + (1 | block)", STRIPS, {"weights": "rep"}, "equal precision"),
    ],
)
def test_designs_without_strata_are_refused(formula, data, options, message):
    with pytest.raises(ModelError, match=message):
        strata(formula, data, **options)


def test_strata_take_no_other_options():
    fit = ml.lmm("Y ~ V + (1 | B)", load_data("oats"))
    for options in ({"df": "z"}, {"vcov": "model"}, {"cluster": "B"}):
        with pytest.raises(ModelError, match="takes no df="):
            fit.anova(strata=True, **options)
    with pytest.raises(DataError, match="leave type=2 out"):
        fit.anova(2, strata=True)
