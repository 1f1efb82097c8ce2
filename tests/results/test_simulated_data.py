"""`ml.simulate`: what is said to be true is what fits find, in plans, data and fits that are changed."""

from __future__ import annotations

import numpy as np
import pytest

import multilevel as ml
from multilevel.errors import ColumnNotFoundError, DataError, DataTypeError, FormulaError, ModelError
from multilevel.results.data_source import data_source
from multilevel.simulation.parameters import Values

SCHOOLS = ml.Plan(school=20, pupil=25).assign("treated", at="school")
FORMULA = "y ~ treated + (1 | school)"


def test_fits_find_what_is_true_in_many_schools() -> None:
    plan = ml.Plan(school=2000, pupil=5).assign("treated", at="school")
    fit = ml.lmm(
        FORMULA, ml.simulate(FORMULA, plan, fixef={"Intercept": 3, "treated": 0.5}, icc=0.25, seed=1)
    )
    assert fit.fixef == pytest.approx([3.0, 0.5], abs=0.12)  # four standard errors of the difference
    assert fit.sigma == pytest.approx(np.sqrt(0.75), abs=0.03)
    assert fit.record.terms[0].sd == pytest.approx([0.5], abs=0.06)


def test_deviations_and_correlations_are_those_given() -> None:
    plan = ml.Plan(person=4000).visits("day", 4)
    formula = "y ~ day + (1 + day | person)"
    data = ml.simulate(
        formula, plan, sd={"person": {"Intercept": 2, "day": 0.5}}, cor={"person": -0.4}, sigma=1.0, seed=1
    )
    term = ml.lmm(formula, data).record.terms[0]
    assert term.sd == pytest.approx([2.0, 0.5], rel=0.1)
    assert term.correlation[0, 1] == pytest.approx(-0.4, abs=0.1)


def test_one_deviation_and_correlation_make_an_autoregression() -> None:
    plan = ml.Plan(person=1500).visits("day", 4)
    formula = "y ~ 1 + ar1(0 + factor(day) | person)"
    data = ml.simulate(formula, plan, sd={"person": 1.0}, cor={"person": 0.6}, sigma=0.5, seed=1)
    table = data.pivot(index="person", columns="day", values="y").corr().to_numpy()
    expected = 0.6 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4))) / 1.25
    np.testing.assert_allclose(table[~np.eye(4, dtype=bool)], expected[~np.eye(4, dtype=bool)], atol=0.1)


@pytest.mark.parametrize(
    ("family", "more"),
    [
        ("binomial", {}),
        ("poisson", {}),
        ("nbinom2", {"dispersion": 2.0}),
        ("gamma", {"dispersion": 0.5, "link": "log"}),
        ("beta", {"dispersion": 5.0}),
        ("ordinal", {"thresholds": (-1.0, 0.0, 1.5)}),
    ],
)
def test_every_family_gives_data_that_its_own_model_takes(family: str, more: dict[str, object]) -> None:
    plan = ml.Plan(school=150, pupil=20).assign("treated", at="school")
    data = ml.simulate(
        FORMULA, plan, fixef={"treated": 0.8}, sd={"school": 0.5}, family=family, seed=3, **more
    )
    link = {"link": more["link"]} if "link" in more else {}
    fit = ml.glmm(FORMULA, data, family=family, **link)
    assert abs(fit.fixef[-1] - 0.8) < 4.0 * fit.se[-1]
    assert fit.record.terms[0].sd[0] == pytest.approx(0.5, abs=0.2)


def test_an_icc_of_binary_responses_is_that_of_the_latent_scale() -> None:
    fits = [
        ml.simulate(FORMULA, SCHOOLS, family="binomial", seed=1, **said)
        for said in ({"icc": 0.2}, {"sd": {"school": np.sqrt(0.25 * np.pi**2 / 3)}})
    ]
    assert fits[0].equals(fits[1])


def test_a_family_may_hold_its_own_size() -> None:
    held = ml.families.NegativeBinomial(size=2.0)
    data = ml.simulate(FORMULA, SCHOOLS, sd={"school": 0.3}, family=held, seed=1)
    said = ml.simulate(FORMULA, SCHOOLS, sd={"school": 0.3}, family="nbinom2", dispersion=2.0, seed=1)
    assert data.equals(said)
    with pytest.raises(DataError, match="the family holds 2"):
        ml.simulate(FORMULA, SCHOOLS, sd={"school": 0.3}, family=held, dispersion=3.0)


def test_several_iccs_share_the_total_variance() -> None:
    plan = ml.Plan(school=10, room=3, pupil=4)
    formula = "y ~ 1 + (1 | school) + (1 | room)"
    by_icc = ml.simulate(formula, plan, icc={"school": 0.1, "room": 0.2}, seed=1)
    by_sd = ml.simulate(
        formula, plan, sd={"school": np.sqrt(0.1), "room": np.sqrt(0.2)}, sigma=np.sqrt(0.7), seed=1
    )
    np.testing.assert_allclose(by_icc["y"], by_sd["y"])  # the same roots by other operations


def test_trials_come_from_a_column_and_the_kind_of_frame_stays() -> None:
    herds = ml.datasets.cbpp(frame="polars").drop("incidence")
    data = ml.simulate(
        "cases / size ~ period + (1 | herd)", herds, sd={"herd": 0.6}, family="binomial", seed=1
    )
    assert data.columns == [*herds.columns, "cases"]
    assert (data["cases"] <= data["size"]).all()


def test_a_fit_is_taken_for_true_where_nothing_else_is_said() -> None:
    sleep = ml.datasets.sleepstudy()
    fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleep)
    data = ml.simulate(fit, sizes={"Subject": 3000}, seed=1)
    again = ml.lmm(fit.formula, data)
    assert again.ngroups == {"Subject": 3000}
    assert again.fixef == pytest.approx(fit.fixef, rel=0.05)
    assert again.record.terms[0].sd == pytest.approx(fit.record.terms[0].sd, rel=0.08)
    changed = ml.simulate(fit, fixef={"Days": 0.0}, seed=1)
    kept = ml.simulate(fit, seed=1)
    moved = kept["Reaction"] - changed["Reaction"]
    np.testing.assert_allclose(moved, fit.fixef[1] * kept["Days"], atol=1e-8)  # nothing else has moved


@pytest.mark.parametrize(
    "bars", ["(1 + Days | Subject) + (0 + late | Subject)", "(1 | Subject) + (0 + Days + late | Subject)"]
)
def test_terms_on_one_factor_keep_their_own_covariances(bars: str) -> None:
    sleep = ml.datasets.sleepstudy().assign(late=lambda d: (d.Days > 5) * 1.0)
    fit = ml.lmm(f"Reaction ~ Days + {bars}", sleep)
    source = data_source(fit, None, Values({}), None, None, None, None)
    _, truth, _ = source.study(np.random.default_rng(1))
    for first, second in zip(fit.record.terms, truth.terms, strict=True):
        np.testing.assert_allclose(second.covariance, first.covariance, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(truth.beta, fit.fixef)


def test_more_groups_of_nested_factors_have_rooms_of_their_own() -> None:
    fit = ml.lmm("strength ~ 1 + (1 | batch / cask)", ml.datasets.pastes())
    data = ml.simulate(fit, sizes={"batch": 25}, seed=1)
    assert ml.lmm(fit.formula, data).ngroups == {"batch": 25, "batch:cask": 75}
    assert ml.lmm(fit.formula, ml.simulate(fit, sizes={"batch": 4}, seed=1)).ngroups["batch"] == 4


def test_glmm_and_ols_fits_are_simulated_too() -> None:
    fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
    assert ml.simulate(fit, sizes={"herd": 30}, seed=1)["herd"].nunique() == 30
    line = ml.ols("Reaction ~ Days", ml.datasets.sleepstudy())
    data = ml.simulate(line, seed=1)
    assert abs(ml.ols("Reaction ~ Days", data).fixef[1] - line.fixef[1]) < 4.0 * line.se[1]


@pytest.mark.parametrize("frame", ["pandas", "polars", "pyarrow"])
def test_ordered_categories_are_numbers_that_models_take(frame):
    data = ml.simulate(
        FORMULA, SCHOOLS, sd={"school": 0.3}, family="ordinal", thresholds=(-1, 1), seed=1, frame=frame
    )
    fit = ml.glmm(FORMULA, data, family="ordinal")
    np.testing.assert_allclose(fit.thresholds, [-1, 1], atol=0.6)


def test_a_mapping_of_columns_is_a_design():
    columns = {"x": [0.0, 1.0, 2.0, 3.0] * 3, "g": list("aaaabbbbcccc")}
    data = ml.simulate("y ~ x + (1 | g)", columns, fixef={"x": 1}, icc=0.1, seed=1)
    assert list(data.columns) == ["x", "g", "y"]


def test_each_data_set_has_a_stream_of_its_own() -> None:
    few = ml.simulate(FORMULA, SCHOOLS, icc=0.1, n=2, seed=7)
    many = ml.simulate(FORMULA, SCHOOLS, icc=0.1, n=4, seed=7)
    assert all(a.equals(b) for a, b in zip(few, many, strict=False))
    assert not many[0].equals(many[1])
    assert ml.simulate(FORMULA, SCHOOLS, icc=0.1, seed=7).equals(few[0])


def test_incomplete_rows_of_the_design_have_no_response() -> None:
    data = ml.datasets.sleepstudy().drop(columns="Reaction")
    data.loc[3, "Days"] = np.nan
    made = ml.simulate("Reaction ~ Days + (1 | Subject)", data, icc=0.3, seed=1)
    assert np.flatnonzero(made["Reaction"].isna()).tolist() == [3]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fixef": {"treat": 1.0}, "icc": 0.1}, "'treat'.*Did you mean 'treated'.*Intercept, treated"),
        ({"icc": 1.0}, "out of range"),
        ({"icc": -0.1}, "out of range"),
        ({"icc": {"pupil": 0.1}}, "random intercepts of school"),
        ({}, r"nothing is said of the random effects \(1 \| school\)"),
        ({"sd": {"scool": 0.3}}, "random effects of school"),
        ({"sd": 0.3}, "by group"),
        ({"sd": {"school": -0.3}}, "negative"),
        ({"sd": {"school": [0.3, 0.1]}}, "has 2 numbers"),
        ({"icc": 0.1, "sigma": 0.0}, "leaves no residual"),
        ({"icc": 0.1, "cor": {"school": 0.2}}, "no correlation"),
        ({"icc": 0.1, "dispersion": 2.0}, "sigma="),
        ({"icc": 0.1, "family": "poisson"}, "no one meaning"),
        ({"sd": {"school": 1}, "family": "nbinom2"}, "needs dispersion="),
        ({"sd": {"school": 1}, "family": "ordinal"}, "needs thresholds="),
        ({"sd": {"school": 1}, "family": "binomial", "sigma": 1.0}, "has none"),
        ({"icc": 0.1, "thresholds": (0, 1)}, "ordinal"),
        ({"icc": 0.1, "frame": "excel"}, "kind of frame"),
        ({"icc": 0.1, "sizes": 3}, "sizes= maps names"),
        ({"sd": {"school": 1}, "family": "poisson", "link": "identity"}, "identity link has no mean"),
        ({"sd": {"school": 1}, "family": "gamma", "dispersion": 1.0}, "inverse link has no mean"),
        ({"icc": 0.1, "fixef": {"treated": "big"}}, "is a number"),
    ],
)
def test_what_is_said_wrongly_is_named(options: dict[str, object], said: str) -> None:
    with pytest.raises((DataError, DataTypeError), match=said):
        ml.simulate(FORMULA, SCHOOLS, **options)


def test_correlations_that_no_variables_have_are_refused() -> None:
    formula, plan = "y ~ 1 + (1 + a + b | g)", ml.Plan(g=10, row=9).draw("a", (0, 1), at="row")
    plan = plan.draw("b", (0, 1), at="row")
    R = [[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]]
    with pytest.raises(DataError, match="not positive definite"):
        ml.simulate(formula, plan, sd={"g": [1, 1, 1]}, cor={"g": R})
    with pytest.raises(DataError, match="between -1 and 1"):
        ml.simulate(formula, plan, sd={"g": [1, 1, 1]}, cor={"g": 1.5})


def test_a_fit_whose_columns_cannot_be_made_again_is_refused() -> None:
    sleep = ml.datasets.sleepstudy()
    with pytest.raises(ModelError, match="offset="):
        ml.simulate(ml.lmm("Reaction ~ 1 + (1 | Subject)", sleep, offset="Days"), seed=1)
    with pytest.raises(ModelError, match="weights"):
        ml.simulate(ml.lmm("Reaction ~ Days + (1 | Subject)", sleep, weights=np.full(180, 2.0)), seed=1)
    structured = ml.lmm("Reaction ~ 1 + ar1(0 + factor(Days) | Subject)", sleep, residual="none")
    with pytest.raises(ModelError, match="independent residuals"):
        ml.simulate(structured, seed=1)
    herds = ml.datasets.cbpp()
    coded = ml.glm("incidence / size ~ period", herds, family="binomial", contrasts={"period": "sum"})
    with pytest.raises(ModelError, match="contrasts="):
        ml.simulate(coded, seed=1)
    with pytest.raises(DataTypeError, match="fixef= maps"):
        ml.simulate(FORMULA, SCHOOLS, fixef=[1.0, 2.0], icc=0.1)


def test_models_and_designs_that_cannot_be_are_refused() -> None:
    with pytest.raises(ColumnNotFoundError, match="'treated'"):
        ml.simulate("y ~ trated + (1 | school)", SCHOOLS, icc=0.1)
    with pytest.raises(DataError, match="needs a design"):
        ml.simulate(FORMULA, icc=0.1)
    with pytest.raises(FormulaError, match="cannot be simulated"):
        ml.simulate("log(y) ~ treated + (1 | school)", SCHOOLS, icc=0.1)
    with pytest.raises(DataTypeError, match="formula or a fit"):
        ml.simulate(3, SCHOOLS)
    with pytest.raises(ModelError, match="cannot be told apart"):
        ml.simulate(
            "y ~ treated + twin + (1 | school)",
            SCHOOLS.data(seed=1).assign(twin=lambda d: d.treated),
            icc=0.1,
        )
    with pytest.raises(DataError, match="no grouping factor 'school'"):
        ml.simulate(ml.lmm("Reaction ~ 1 + (1 | Subject)", ml.datasets.sleepstudy()), sizes={"school": 3})
