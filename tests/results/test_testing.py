"""`anova` and `test` of a fit: R's car and lmerTest on unbalanced data, algebra, and misuse."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import multilevel as ml
from multilevel.errors import DataError, DataTypeError, ModelError
from reference_cases import load_data

OATS = load_data("oats").assign(x=np.round(np.sin(np.arange(72.0)), 3), w=1.0 + np.arange(72) % 3)
UNBALANCED = OATS[np.arange(72) % 5 != 0]
EMPTY = UNBALANCED[
    ~((UNBALANCED["V"] == "Victory") & (UNBALANCED["N"] == "0.6cwt"))
    & ~((UNBALANCED["V"] == "Marvellous") & (UNBALANCED["N"] == "0.0cwt"))
]
INTERACTION = "Y ~ V * N + (1 | B)"


def statistics(table):
    return dict(zip(table["term"], table["statistic"], strict=True))


# Unbalanced mixed models: F values of lmerTest 3.1.3 in the formula's order; its optimum is good to 1e-7.
LMERTEST = [
    (
        (INTERACTION, UNBALANCED, 1),
        [1.840577778736, 20.815554625190, 0.232651251966],
        [40.0147578654, 40.0690122073, 40.2336773246],
    ),
    (
        (INTERACTION, UNBALANCED, 2),
        [2.641959840727, 20.815554625190, 0.232651251966],
        [40.0134820870, 40.0690122073, 40.2334064329],
    ),
    (
        (INTERACTION, UNBALANCED, 3),
        [2.668221681474, 20.776556321575, 0.232651251966],
        [40.0110897213, 40.0745945117, 40.2334064329],
    ),
    (
        ("Y ~ V * x + (1 | B)", UNBALANCED, 1),
        [0.918839487250, 0.763473072003, 2.969634958364],
        [46.0184350094, 46.8420678802, 47.1547492108],
    ),
    (
        ("Y ~ V * x + (1 | B)", UNBALANCED, 2),
        [0.872558076037, 0.763473072003, 2.969634958364],
        [46.0410649051, 46.8420678802, 47.1719764438],
    ),
    (
        ("Y ~ V * x + (1 | B)", UNBALANCED, 3),
        [0.872558076037, 0.152108024321, 2.969634958364],
        [46.0410649051, 46.8041076171, 47.1719764438],
    ),
    (
        (INTERACTION, EMPTY, 1),
        [10.3684770613340, 11.5537448741524, 0.0437423502153],
        [31.9781938416, 32.0866512156, 32.3096044724],
    ),
    (
        (INTERACTION, EMPTY, 2),
        [2.9369932916473, 11.5537448741524, 0.0437423502153],
        [32.0338204243, 32.0866512156, 32.3098715093],
    ),
    (
        (INTERACTION, EMPTY, 3),
        [2.8707555959534, 11.4898957579002, 0.0437423502153],
        [32.0359661422, 32.1001331745, 32.3098715093],
    ),
]


@pytest.mark.parametrize(("asked", "statistic", "df"), LMERTEST)
def test_unbalanced_data_and_empty_cells(asked, statistic, df):
    """Degrees of freedom differ by the basis of a hypothesis, in the digits shown here."""
    formula, data, kind = asked
    table = ml.lmm(formula, data).anova(kind)
    np.testing.assert_allclose(table["statistic"], statistic, rtol=1e-6)
    np.testing.assert_allclose(table["df_den"], df, rtol=1e-7)


def test_three_way_interactions_with_empty_cells():
    found = statistics(ml.lmm("Y ~ V * N * x + (1 | B)", EMPTY).anova())
    expected = {
        "V": 0.827304307488,
        "N": 5.434750359969,
        "x": 0.777697171843,
        "V:N": 0.686080647318,
        "V:x": 1.040926665531,
        "N:x": 1.023513469375,
        "V:N:x": 0.902497702727,
    }
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (1, [2.088214057337, 24.629145352377, 0.444994583642]),
        (2, [3.090371759023, 24.971917407686, 0.444994583642]),
    ],
)
def test_precision_weights_change_estimates_not_hypotheses(kind, expected):
    """As in lmerTest, whose optimum here is its default one, good to 1e-7."""
    table = ml.lmm("Y ~ V + N + x + (1 | B)", UNBALANCED, weights="w").anova(kind)
    np.testing.assert_allclose(table["statistic"], expected, rtol=1e-6)


# Sums of squares of R's anova(lm) and of car's Anova(lm), type III with sum contrasts, to the digits printed.
CAR = [
    (None, 1, {"V": 830.456140, "N": 17642.539765, "x": 17.313037, "V:N": 722.547412}),
    (None, 2, {"V": 1190.259768, "N": 17036.255080, "x": 34.394951, "V:N": 722.547412}),
    (None, 3, {"V": 1263.4220, "N": 17274.8911, "x": 34.3950, "V:N": 722.5474}),
    ("w", 1, {"V": 633.19305, "N": 32906.98390, "x": 5.04964, "V:N": 1145.26964}),
    ("w", 2, {"V": 1477.35165, "N": 32741.40337, "x": 135.82607, "V:N": 1145.26964}),
]


@pytest.mark.parametrize(("weights", "kind", "expected"), CAR)
def test_least_squares(weights, kind, expected):
    fit = ml.ols("Y ~ V * N + x", UNBALANCED, weights=weights)
    table = fit.anova(kind)
    assert dict(zip(table["term"], table["sum_sq"], strict=True)) == pytest.approx(expected, rel=2e-6)
    np.testing.assert_allclose(table["mean_sq"], table["statistic"] * fit.sigma**2)
    assert list(table["df_num"]) == [2, 3, 1, 6]
    assert set(table["df_den"]) == {44}


def test_a_joint_test_with_a_robust_variance():
    """car's linearHypothesis with sandwich's vcovHC of type HC2: F 2.62843, p 0.083501."""
    fit = ml.ols("Y ~ V * N + x", UNBALANCED)
    hypotheses = "V[T.Marvellous] = V[T.Victory], N[T.0.2cwt] - 2 * x = 1"
    table = fit.test(hypotheses, joint=True, vcov="HC2")
    assert list(table.columns) == ["term", "df_num", "df_den", "statistic", "p_value"]
    assert table["statistic"][0] == pytest.approx(2.62843, rel=2e-6)
    assert table["p_value"][0] == pytest.approx(0.083501, rel=1e-5)
    assert (table["df_num"][0], table["df_den"][0]) == (2, 44)


def test_names_of_types():
    fit = ml.lmm(INTERACTION, UNBALANCED)
    for names in ((1, "1", "I"), (2, "2", "II"), (3, "3", "III")):
        first, *others = (fit.anova(name) for name in names)
        for other in others:
            pd.testing.assert_frame_equal(first, other)
    pd.testing.assert_frame_equal(fit.anova(), fit.anova(type=3))


def test_a_term_of_one_column_is_its_coefficient():
    fit = ml.lmm("Reaction ~ Days + (Days | Subject)", load_data("sleepstudy"))
    t = fit.fixef[1] / fit.se[1]
    for kind in (1, 2, 3, "sequential"):
        assert fit.anova(kind)["statistic"][0] == pytest.approx(t**2, rel=1e-9)
    assert fit.test("Days")["statistic"][0] == pytest.approx(t, rel=1e-12)
    assert fit.test("Days", joint=True)["statistic"][0] == pytest.approx(t**2, rel=1e-12)


def test_sequential_hypotheses_are_the_models_whatever_variance_tests_them():
    fit = ml.ols("Y ~ V * N", UNBALANCED)
    robust = {kind: fit.anova(kind, vcov="HC3")["statistic"] for kind in (1, "sequential")}
    np.testing.assert_allclose(robust["sequential"], robust[1], rtol=1e-8)


def test_clusters_too_few_for_a_joint_test():
    fit = ml.ols("Y ~ V * N", UNBALANCED)
    for call in (fit.anova, lambda **options: fit.test(np.eye(12)[6:], joint=True, **options)):
        with (
            pytest.warns(ml.errors.MultilevelWarning, match="6 clusters"),
            pytest.raises(ModelError, match="says 6 things at once, and a variance by CR1 knows 5"),
        ):
            call(vcov="CR1", cluster="B")


def test_sequential_tests_add_up_to_the_whole():
    fit = ml.lmm("Y ~ V * N + x + (1 | B)", UNBALANCED)
    table = fit.anova("sequential", df="z")
    whole = fit.test(np.eye(len(fit.fixef))[1:], joint=True, df="z")
    total = (table["statistic"] * table["df_num"]).sum()
    assert total == pytest.approx(whole["statistic"][0] * whole["df_num"][0], rel=1e-9)


def test_hypotheses_and_their_limits():
    fit = ml.ols("Reaction ~ Days", load_data("sleepstudy"))
    row = fit.test("Intercept + 9 * Days = 300", level=0.9).iloc[0]
    L = np.array([1.0, 9.0])
    se = np.sqrt(L @ fit.vcov() @ L)
    assert row["term"] == "Intercept + 9 * Days = 300"
    assert row["null_value"] == 300.0
    assert row["estimate"] == pytest.approx(L @ fit.fixef)
    assert row["std_error"] == pytest.approx(se)
    assert row["statistic"] == pytest.approx((L @ fit.fixef - 300) / se)
    assert row["df"] == 178
    predicted = fit.predict({"Days": [9.0]}, interval="confidence", level=0.9)
    assert row["conf_low"] == pytest.approx(predicted["conf_low"][0])
    assert row["conf_high"] == pytest.approx(predicted["conf_high"][0])


def test_coefficients_tested_one_by_one_are_the_tidy_table():
    fit = ml.ols("Y ~ V + x", UNBALANCED, vcov="HC3")
    tested = fit.test(list(fit.coef_names))
    tidy = fit.tidy(conf_int=True)
    for column in ("estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high"):
        np.testing.assert_allclose(tested[column], tidy[column], rtol=1e-9)


def test_joint_tests_do_not_count_repetitions_nor_mind_units():
    data = UNBALANCED.assign(tiny=UNBALANCED["x"] * 1e-9)
    fit = ml.ols("Y ~ V + tiny + w", data)
    once = fit.test("tiny = 0, w = 0", joint=True)
    again = fit.test("tiny = 0, w = 0, 2 * w = 0", joint=True)
    plain = ml.ols("Y ~ V + x + w", data).test("x = 0, w = 0", joint=True)
    for column in ("df_num", "df_den", "statistic", "p_value"):
        assert once[column][0] == pytest.approx(again[column][0])
        assert once[column][0] == pytest.approx(plain[column][0])


@pytest.mark.parametrize("kind", [1, 2, 3, "sequential"])
def test_counts_are_repeated_rows(kind):
    data = UNBALANCED.assign(k=1 + np.arange(len(UNBALANCED)) % 3)
    repeated = data.loc[data.index.repeat(data["k"])]
    for fit_model, formula in ((ml.lmm, INTERACTION), (ml.ols, "Y ~ V * N")):
        counted = fit_model(formula, data, freq_weights="k").anova(kind)
        rows = fit_model(formula, repeated).anova(kind)
        for column in ("sum_sq", "df_den", "statistic", "p_value"):
            np.testing.assert_allclose(counted[column], rows[column], rtol=1e-6)


@pytest.mark.parametrize("kind", [1, 2, 3, "sequential"])
def test_rows_labels_codings_and_units_do_not_matter(kind):
    expected = ml.lmm(INTERACTION, EMPTY).anova(kind)
    others = [
        ml.lmm(INTERACTION, EMPTY.sample(frac=1.0, random_state=2)),
        ml.lmm(INTERACTION, EMPTY.assign(V=EMPTY["V"].cat.rename_categories(["z", "k", "c"]))),
        ml.lmm(INTERACTION, EMPTY.assign(V=pd.Categorical(EMPTY["V"], OATS["V"].cat.categories[::-1]))),
        ml.lmm(INTERACTION, EMPTY, contrasts={"V": "sum", "N": "helmert"}),
        ml.lmm(INTERACTION, EMPTY.assign(Y=1e3 * EMPTY["Y"] + 1e6)),
    ]
    for other in others:
        np.testing.assert_allclose(other.anova(kind)["statistic"], expected["statistic"], rtol=1e-6)
        assert list(other.anova(kind)["df_num"]) == list(expected["df_num"])


def test_robust_variances_have_no_sums_of_squares():
    table = ml.ols("Y ~ V + x", UNBALANCED, vcov="HC3").anova()
    assert list(table.columns) == ["term", "df_num", "df_den", "statistic", "p_value"]
    own = ml.ols("Y ~ V + x", UNBALANCED).anova(vcov="HC3")
    pd.testing.assert_frame_equal(table, own)
    assert "sum_sq" in ml.ols("Y ~ V + x", UNBALANCED, vcov="HC3").anova(vcov="model")


def test_tables_come_back_in_the_users_kind_of_frame():
    fit = ml.lmm(INTERACTION, pl.from_pandas(UNBALANCED))
    balanced = ml.lmm(INTERACTION, pl.from_pandas(OATS))
    tables = [
        fit.anova(),
        fit.test("N[T.0.2cwt]"),
        fit.test("N[T.0.2cwt]", joint=True),
        balanced.anova(strata=True),
    ]
    assert all(isinstance(table, pl.DataFrame) for table in tables)


def test_a_term_that_was_dropped_keeps_its_row():
    data = UNBALANCED.assign(copy=2 * UNBALANCED["x"])
    table = ml.lmm("Y ~ x + V + copy + (1 | B)", data).anova()
    assert list(table["df_num"]) == [1, 2, 0]
    assert np.isnan(table["statistic"][2])
    assert np.isfinite(table["statistic"][:2]).all()


def test_what_cannot_be_tested():
    data = UNBALANCED.assign(copy=2 * UNBALANCED["x"])
    fit = ml.lmm("Y ~ x + V + copy + (1 | B)", data)
    with pytest.raises(ModelError, match="'copy' was dropped from the model"):
        fit.test("copy = 0")
    with pytest.raises(DataError, match=r"no coefficient 'V\[T.Victori\]'; did you mean 'V\[T.Victory\]'"):
        fit.test("V[T.Victori]")
    with pytest.raises(DataError, match=r"4 coefficients, Intercept, .* \(copy dropped\)"):
        fit.test(np.eye(5))
    with pytest.raises(DataError, match="contradict each other"):
        fit.test("x = 0, x = 1", joint=True)
    with pytest.raises(DataError, match="confidence level"):
        fit.test("x", level=95)
    with pytest.raises(DataTypeError, match="joint="):
        fit.test("x", joint="yes")
    with pytest.raises(DataTypeError, match="strata="):
        fit.anova(strata="B")


@pytest.mark.parametrize("kind", [4, 0, True, "IV", "type3", None, 2.5])
def test_types_that_do_not_exist(kind):
    fit = ml.ols("Y ~ V", OATS)
    with pytest.raises(DataError, match="does not exist; choose 1, 2 or 3"):
        fit.anova(kind)


def test_methods_that_do_not_fit():
    fit = ml.lmm(INTERACTION, OATS, reml=False)
    for call in (fit.anova, lambda **options: fit.test("N[T.0.2cwt]", **options)):
        with pytest.raises(ModelError, match="made for REML"):
            call(df="kenward-roger")
        with pytest.raises(DataError, match="df='kenward'"):
            call(df="kenward")
        with pytest.raises(DataError, match="vcov='best'"):
            call(vcov="best")


def test_a_mean_alone_has_no_terms():
    with pytest.raises(ModelError, match="no terms beside the intercept"):
        ml.lmm("Y ~ 1 + (1 | B)", OATS).anova()


def test_without_a_residual_there_are_no_sums_of_squares():
    fit = ml.lmm(
        "Reaction ~ Days + ar1(0 + factor(Days) | Subject)", load_data("sleepstudy"), residual="none"
    )
    table = fit.anova(df="z")
    assert "sum_sq" not in table
    assert table["statistic"][0] == pytest.approx((fit.fixef[1] / fit.se[1]) ** 2)
