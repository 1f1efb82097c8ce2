"""Tables of a mixed model: their columns, their kinds of frame, and R's numbers in them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import multilevel as ml
from multilevel.errors import DataError, ModelError
from reference_cases import load_case


@pytest.fixture(scope="module")
def slopes(sleepstudy):
    return ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleepstudy)


@pytest.fixture(scope="module")
def nested(pastes):
    return ml.lmm("strength ~ 1 + (1 | batch/cask)", pastes)


def by_level(case, group):
    entry = next(entry for entry in load_case(case)["ranef"] if entry["group"] == group)
    return np.array(entry["values"]), np.array(entry["condvar"]["values"])


def test_tidy_has_the_columns_of_broom(slopes):
    assert list(slopes.tidy()) == ["term", "estimate", "std_error", "statistic", "df", "p_value"]
    assert list(slopes.tidy(conf_int=True))[-2:] == ["conf_low", "conf_high"]


def test_tidy_exponentiates_estimates_and_limits(slopes):
    fit = slopes.update("log(Reaction) ~ .")
    plain, grown = fit.tidy(conf_int=True), fit.tidy(conf_int=True, exponentiate=True)
    for column in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(grown[column], np.exp(plain[column]))
    np.testing.assert_allclose(grown["std_error"], np.exp(plain["estimate"]) * plain["std_error"])
    np.testing.assert_array_equal(grown["statistic"], plain["statistic"])


def test_tidy_of_variance_parameters(slopes):
    table = slopes.tidy("ran_pars")
    assert list(table["term"]) == ["sd__(Intercept)", "sd__Days", "cor__(Intercept).Days", "sd__Observation"]
    np.testing.assert_allclose(table["estimate"], [24.740451, 5.922133, 0.065551, 25.591816], rtol=1e-4)
    with pytest.raises(ModelError, match="mislead"):
        slopes.tidy("ran_pars", conf_int=True)


def test_tidy_refuses_other_effects(slopes):
    with pytest.raises(DataError, match="ran_pars"):
        slopes.tidy("random")


def test_random_effects_are_those_of_lme4(slopes):
    values, variance = by_level("lmm_sleepstudy_m2_reml", "Subject")
    table = slopes.ranef()
    np.testing.assert_allclose(table["estimate"], values.ravel(), rtol=1e-4)
    deviations = np.sqrt(np.diagonal(variance, axis1=1, axis2=2))
    np.testing.assert_allclose(table["std_error"], deviations.ravel(), rtol=1e-4)
    tidy = slopes.tidy("ran_vals", conf_int=True)
    np.testing.assert_allclose(tidy["conf_high"] - tidy["estimate"], 1.959964 * table["std_error"], rtol=1e-5)


def test_five_communities_shrink_as_in_the_course(school_prevention):
    fit = ml.lmm("score ~ 1 + (1 | community)", school_prevention)
    table = fit.ranef()
    np.testing.assert_allclose(table["estimate"], [-0.19, -11.84, 12.42, -6.02, 5.63], atol=0.005)
    np.testing.assert_allclose(table["raw_deviation"], [-0.2, -12.2, 12.8, -6.2, 5.8], atol=0.05)
    np.testing.assert_allclose(table["estimate"], table["reliability"] * table["raw_deviation"], rtol=1e-8)
    assert fit.icc()["icc"][0] == pytest.approx(0.892, abs=5e-4)


def test_coefficients_by_level(slopes):
    table = slopes.coef()
    values, _ = by_level("lmm_sleepstudy_m2_reml", "Subject")
    assert list(table.columns) == ["group", "level", "Intercept", "Days"]
    np.testing.assert_allclose(table[["Intercept", "Days"]], slopes.fixef + values, rtol=1e-5)


def test_coefficients_of_two_factors_vary_one_at_a_time(nested):
    table = nested.coef()
    assert list(table["group"].unique()) == ["batch", "batch:cask"] or len(table) == 40
    batches = table[table["group"] == "batch"]
    values, _ = by_level("lmm_pastes_nested", "batch")
    np.testing.assert_allclose(batches["Intercept"], nested.fixef[0] + values.ravel(), rtol=1e-6)


def test_a_random_column_without_fixed_effect_varies_about_zero(machines):
    fit = ml.lmm("score ~ 1 + (0 + Machine | Worker)", machines)
    table = fit.coef()
    assert len(table.columns) == 2 + 1 + 3
    modes = fit.ranef()
    np.testing.assert_allclose(table.iloc[:, 3:].to_numpy().ravel(), modes["estimate"])


def test_varcorr_lists_variances_covariances_and_the_residual(slopes):
    table = slopes.varcorr()
    expected = load_case("lmm_sleepstudy_m2_reml")["varcorr"][0]
    np.testing.assert_allclose(table["variance"][:2], expected["var"], rtol=1e-5)
    assert table["covariance"][2] == pytest.approx(expected["cov"][0][1], rel=1e-3)
    assert table["correlation"][2] == pytest.approx(expected["corr"][0][1], rel=1e-3)
    assert table["sd"][3] == pytest.approx(slopes.sigma)
    assert (table["term"][2], table["term2"][2]) == ("Intercept", "Days")


def test_uncorrelated_effects_have_no_covariance_row(sleepstudy):
    fit = ml.lmm("Reaction ~ Days + (Days || Subject)", sleepstudy)
    assert len(fit.varcorr()) == 3


def test_plausible_ranges_are_two_standard_deviations_wide(slopes):
    table = slopes.plausible_ranges()
    np.testing.assert_allclose(table["estimate"], slopes.fixef)
    np.testing.assert_allclose(table["conf_high"] - table["conf_low"], 2 * 1.959964 * table["sd"], rtol=1e-6)


def test_glance_is_one_row(slopes):
    table = slopes.glance()
    assert len(table) == 1
    assert table["nobs"][0] == 180
    assert table["criterion"][0] == pytest.approx(1743.628, abs=1e-3)


def test_augment_restores_all_rows(sleepstudy):
    data = sleepstudy.assign(Days=sleepstudy["Days"].astype(float).where(sleepstudy.index != 3))
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", data)
    table = fit.augment()
    assert len(table) == 180
    assert table["fitted"].isna().sum() == 1
    used = table.drop(index=3)
    np.testing.assert_allclose(used["fitted"] + used["residual"], used["Reaction"])
    np.testing.assert_array_equal(fit.augment(data)["fitted"], table["fitted"])


def test_augment_refuses_other_rows_and_taken_names(slopes, sleepstudy):
    with pytest.raises(DataError, match="180 rows and these data have 5"):
        slopes.augment(sleepstudy.head())
    with pytest.raises(DataError, match="'fitted'"):
        slopes.augment(sleepstudy.assign(fitted=1.0))


@pytest.mark.parametrize("kind", ["pandas", "polars", "dict"])
def test_tables_come_back_in_the_users_kind(sleepstudy, kind):
    columns = sleepstudy[["Reaction", "Days", "Subject"]].astype({"Subject": str})
    data = {
        "pandas": lambda: columns,
        "polars": lambda: pl.DataFrame({name: columns[name].to_list() for name in columns}),
        "dict": lambda: {name: columns[name].to_numpy() for name in columns},
    }[kind]()
    fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", data)
    expected = pl.DataFrame if kind == "polars" else pd.DataFrame
    tables = [
        fit.tidy(),
        fit.tidy("ran_pars"),
        fit.tidy("ran_vals"),
        fit.glance(),
        fit.augment(),
        fit.ranef(),
        fit.coef(),
        fit.varcorr(),
        fit.plausible_ranges(),
        fit.icc(),
        fit.icc(at={"Days": [0, 5]}),
        fit.confint(),
        fit.predict(interval="confidence"),
    ]
    assert all(type(table) is expected for table in tables)


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (np.arange(18) + 300, int),
        (np.arange(18) / 2, float),
        ([f"s{k:02d}" for k in range(18)], str),
        (pd.Categorical(np.arange(18) + 300), int),
        (pd.array(np.arange(18) + 300, dtype="Int64"), int),
    ],
)
def test_levels_join_the_data_they_came_from(sleepstudy, labels, kind):
    data = sleepstudy.assign(
        g=labels[np.repeat(np.arange(18), 10)] if kind is not str else np.repeat(labels, 10)
    )
    fit = ml.lmm("Reaction ~ Days + (1 | g)", data)
    for table in (fit.ranef(), fit.coef(), fit.tidy("ran_vals")):
        assert all(isinstance(level, kind) for level in table["level"].tolist())
        joined = data.merge(table, left_on="g", right_on="level")
        assert len(joined) == len(data)
    joined = data.merge(fit.ranef(), left_on="g", right_on="level")
    np.testing.assert_allclose(joined["estimate"], fit.fitted - fit.record.fitted_fixed, atol=1e-9)


def test_levels_of_factors_of_different_types_are_text(sleepstudy):
    data = sleepstudy.assign(
        g=np.repeat(np.arange(18), 10), b=sleepstudy["Days"] > 4, t=np.tile(list("abcde"), 36)
    )
    several = ml.lmm("Reaction ~ Days + (1 | g) + (1 | t)", data).ranef()
    assert set(several["level"]) == {*map(str, range(18)), *"abcde"}
    interaction = ml.lmm("Reaction ~ Days + (1 | g) + (1 | g:b)", data).coef()
    assert "3:True" in set(interaction["level"])
    truth = ml.lmm("Reaction ~ 1 + (1 | b)", data).ranef()
    assert truth["level"].tolist() == [False, True]


def test_a_group_is_found_by_its_own_label(sleepstudy):
    fit = ml.lmm("Reaction ~ Days + (1 | g)", sleepstudy.assign(g=np.repeat(np.arange(18.0), 10)))
    np.testing.assert_array_equal(fit.marginal_cov(3.0), fit.marginal_cov("3"))


@pytest.mark.parametrize("kind", ["polars", "pyarrow"])
def test_what_is_missing_is_null_in_the_kind_of_frame(kind):
    data = ml.datasets.sleepstudy(kind)
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", data)
    table = fit.varcorr()
    columns = {name: table[name] for name in ("term2", "covariance")}
    if kind == "polars":
        assert {name: column.null_count() for name, column in columns.items()} == {
            "term2": 2,
            "covariance": 2,
        }
        assert str(columns["term2"].dtype) == "String"
    else:
        assert {name: column.null_count for name, column in columns.items()} == {"term2": 2, "covariance": 2}
        assert str(columns["term2"].type) in ("string", "large_string")
