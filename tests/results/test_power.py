"""`ml.power`: simulation against exact formulas, every way to test, reproducibility and misuse."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import multilevel as ml
from multilevel.errors import DataError, DataTypeError, ModelError, MultilevelError, MultilevelWarning
from multilevel.kernels.threads import use_threads
from multilevel.results import simulated_tests

FORMULA = "y ~ treated + (1 | school)"
SCHOOLS = ml.Plan(school=20, pupil=25).assign("treated", at="school")
EFFECT = {"fixef": {"treated": 0.4}, "icc": 0.1}


def power_of_t(effect: float, error: float, df: float, alpha: float = 0.05) -> float:
    bound = stats.t.isf(alpha / 2, df)
    return float(stats.nct.sf(bound, df, effect / error) + stats.nct.cdf(-bound, df, effect / error))


# ---- formulas ----


@pytest.mark.parametrize("icc", [0.01, 0.1, 0.3])
@pytest.mark.parametrize(("schools", "pupils"), [(6, 10), (20, 25), (40, 4)])
def test_treated_clusters_have_the_power_that_the_design_effect_says(schools, pupils, icc):
    plan = ml.Plan(school=schools, pupil=pupils).assign("treated", at="school")
    found = ml.power(FORMULA, plan, test="treated", fixef={"treated": 0.4}, icc=icc, n=None)
    deff = ml.design_effect(m=pupils, icc=icc)["deff"][0]
    error = np.sqrt(4.0 * deff / (schools * pupils))  # the total variance is one
    assert found["formula"][0] == pytest.approx(power_of_t(0.4, error, schools - 2), abs=1e-9)
    assert found["deff"][0] == pytest.approx(deff, rel=1e-9)


def test_treated_pupils_of_each_school_have_the_power_of_snijders_and_bosker():
    plan = ml.Plan(school=12, pupil=20).assign("treated", at="pupil")
    formula = "y ~ treated + (1 + treated | school)"
    said = {"fixef": {"treated": 0.3}, "sd": {"school": [0.4, 0.3]}, "sigma": 1.0}
    found = ml.power(formula, plan, test="treated", n=None, **said)
    error = np.sqrt((0.3**2 + 4.0 / 20) / 12)  # variance of a school's own difference, over schools
    assert found["formula"][0] == pytest.approx(power_of_t(0.3, error, 11), abs=1e-9)


def test_independent_persons_have_the_power_of_the_t_test():
    plan = ml.Plan(person=40).assign("treated", at="person")
    found = ml.power("y ~ treated", plan, test="treated", fixef={"treated": 0.9}, n=None)
    assert found["formula"][0] == pytest.approx(power_of_t(0.9, np.sqrt(4.0 / 40), 38), abs=1e-9)


def test_three_arms_have_the_power_of_the_f_test_of_school_means():
    plan = ml.Plan(school=21, pupil=10).assign("arm", ("a", "b", "c"), at="school")
    said = {"fixef": {"arm[T.b]": 0.3, "arm[T.c]": 0.6}, "icc": 0.1}
    found = ml.power("y ~ arm + (1 | school)", plan, test="arm", n=None, **said)
    variance = 0.1 + 0.9 / 10  # of a school's mean
    distance = 7 * np.var([0.0, 0.3, 0.6]) * 3 / variance
    bound = stats.f.isf(0.05, 2, 18)
    assert found["formula"][0] == pytest.approx(stats.ncf.sf(bound, 2, 18, distance), abs=1e-9)


def test_words_seen_by_all_readers_have_the_power_of_the_balanced_analysis():
    plan = ml.Plan(reader=10).cross("word", 16).assign("rare", at="word")
    said = {"fixef": {"rare": 0.5}, "icc": {"reader": 0.2, "word": 0.1}}
    found = ml.power("y ~ rare + (1 | reader) + (1 | word)", plan, test="rare", n=None, **said)
    error = np.sqrt(4.0 / 16 * (0.1 + 0.7 / 10))  # readers see both kinds: their part cancels
    assert found["formula"][0] == pytest.approx(power_of_t(0.5, error, 14), abs=1e-9)


@pytest.mark.parametrize("n", [None, 10])
def test_too_few_clusters_are_refused(n):
    with pytest.raises(ModelError, match="with 2 of 'school' the variances"):
        ml.power(FORMULA, SCHOOLS, test="treated", over={"school": [2]}, n=n, **EFFECT)


def test_independent_binary_responses_have_the_power_of_fisher_information():
    plan = ml.Plan(person=200).assign("treated", at="person")
    true = {"fixef": {"Intercept": -0.5, "treated": 0.8}, "family": "binomial"}
    found = ml.power("y ~ treated", plan, test="treated", n=None, **true)
    shares = 1 / (1 + np.exp([0.5, -0.3]))
    error = np.sqrt((1 / (100 * shares * (1 - shares))).sum())  # Woolf's standard error of a log odds ratio
    expected = stats.norm.sf(1.959964 - 0.8 / error) + stats.norm.cdf(-1.959964 - 0.8 / error)
    assert found["formula"][0] == pytest.approx(expected, abs=1e-6)


def test_counts_in_clusters_have_about_the_power_that_the_formula_says():
    plan = ml.Plan(clinic=80, patient=10).assign("treated", at="clinic")
    true = {"fixef": {"Intercept": 0.5, "treated": 0.3}, "sd": {"clinic": 0.4}, "family": "poisson"}
    formula = "y ~ treated + (1 | clinic)"
    found = ml.power(formula, plan, test="treated", n=400, seed=1, progress=False, **true)
    # beside the error of simulation, what the approximation may be off in eighty clusters
    assert found["power"][0] == pytest.approx(found["formula"][0], abs=0.06 + 3 * found["mc_error"][0])
    assert "linearised" in str(found)


# ---- simulation ----


@pytest.mark.parametrize("method", ["satterthwaite", "kenward-roger", "means", "cluster-robust"])
def test_simulation_agrees_with_the_exact_formula(method):
    found = ml.power(FORMULA, SCHOOLS, test="treated", method=method, seed=1, n=2000, **EFFECT)
    exact = power_of_t(0.4, np.sqrt(4.0 * 3.4 / 500), 18)
    assert abs(found["power"][0] - exact) < 4.0 * np.sqrt(exact * (1 - exact) / 2000)
    assert found["conf_low"][0] < found["power"][0] < found["conf_high"][0]
    assert found["coverage"][0] == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 2000))
    assert abs(found["bias"][0]) < 4.0 * 0.165 / np.sqrt(2000)


def test_what_is_significant_is_exaggerated_where_power_is_low():
    plan = ml.Plan(person=20).assign("treated", at="person")
    found = ml.power("y ~ treated", plan, test="treated", fixef={"treated": 0.2}, n=4000, seed=1)
    rng = np.random.default_rng(0)
    estimate = 0.2 + np.sqrt(0.2) * rng.standard_normal(200_000)
    error = np.sqrt(0.2 * rng.chisquare(18, 200_000) / 18)
    significant = np.abs(estimate / error) > stats.t.isf(0.025, 18)
    assert found["exaggeration"][0] == pytest.approx(np.abs(estimate[significant]).mean() / 0.2, rel=0.1)
    assert found["wrong_sign"][0] == pytest.approx((estimate[significant] < 0).mean(), abs=0.06)


@pytest.mark.parametrize(
    "method", ["satterthwaite", "kenward-roger", "z", "lrt", "ols", "cluster-robust", "means", "gee"]
)
def test_every_way_is_that_of_the_model_it_names(method):
    plan = ml.Plan(school=8, pupil=6).assign("treated", at="school")
    found = ml.power(FORMULA, plan, test="treated", method=method, seed=3, n=6, **EFFECT).replicates
    root = np.random.SeedSequence(3).spawn(7)
    design = plan.rows(np.random.default_rng(root[0]))  # the first stream deals the treatment
    data = pd.DataFrame(design.frame_columns())
    for b, y in enumerate(responses(data, root[1:]).T):
        expected = p_value(method, data.assign(y=y))
        assert found["p_value"][b] == pytest.approx(expected, rel=1e-6, abs=1e-12)


def responses(data, seeds):
    """Responses as streams make them: effects of schools first, then errors."""
    school, n = data["school"].to_numpy() - 1, len(data)
    columns = []
    for seed in seeds:
        normal = np.random.default_rng(seed).standard_normal(8 + n)
        columns.append(0.4 * data["treated"] + np.sqrt(0.1) * normal[:8][school] + np.sqrt(0.9) * normal[8:])
    return np.array(columns).T


def p_value(method, data):
    match method:
        case "satterthwaite" | "kenward-roger" | "z":
            return ml.lmm(FORMULA, data).tidy(df=method)["p_value"][1]
        case "lrt":
            large, small = (ml.lmm(f, data, reml=False) for f in (FORMULA, "y ~ 1 + (1 | school)"))
            return stats.chi2.sf(small.criterion - large.criterion, 1)
        case "ols":
            return ml.ols("y ~ treated", data).tidy()["p_value"][1]
        case "cluster-robust":
            return ml.ols("y ~ treated", data, vcov="CR2", cluster="school").tidy()["p_value"][1]
        case "means":
            return ml.ols("y ~ treated", data.groupby("school").mean()).tidy()["p_value"][1]
        case _:
            fit = ml.gee("y ~ treated", data, groups="school", corr="exchangeable")
            return fit.tidy()["p_value"][1]


def test_a_plan_that_draws_covariates_is_drawn_anew_unless_told():
    plan = SCHOOLS.draw("x", (0, 1), at="pupil")
    said = {"fixef": {"treated": 0.4, "x": 0.5}, "icc": 0.1, "test": "treated", "n": 40, "seed": 1}
    anew = ml.power("y ~ treated + x + (1 | school)", plan, **said)
    kept = ml.power("y ~ treated + x + (1 | school)", plan, redraw=False, **said)
    assert anew["n"][0] == kept["n"][0] == 40
    assert not np.allclose(anew.replicates["estimate"], kept.replicates["estimate"])


def test_dropout_costs_power():
    plan = ml.Plan(person=30).assign("t", at="person").visits("week", 4)
    said = {"fixef": {"t:week": 0.4}, "sd": {"person": [1.0, 0.3]}, "test": "t:week", "n": 150, "seed": 1}
    formula = "y ~ t * week + (1 + week | person)"
    whole = ml.power(formula, plan, **said)
    left = ml.power(formula, plan.leave("person", "week", share=0.6), **said)
    assert left["width"][0] > 1.1 * whole["width"][0]
    with pytest.raises(DataError, match="loses some"):
        ml.power(formula, plan.miss(0.1), redraw=False, **said)


@pytest.mark.parametrize(
    ("family", "more"), [("binomial", {}), ("poisson", {}), (ml.families.NegativeBinomial(size=3.0), {})]
)
@pytest.mark.parametrize("method", ["z", "gee", "ols", "cluster-robust"])
def test_generalized_models_have_power(family, more, method):
    true = {"fixef": {"treated": 2.0}, "sd": {"school": 0.2}, "family": family, **more}
    found = ml.power(FORMULA, SCHOOLS, test="treated", method=method, n=5, seed=1, **true)
    assert found["power"][0] == 1.0
    assert found["formula"][0] > 0.99 if method == "z" else np.isnan(found["formula"][0])


def test_a_fit_is_extended():
    fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", ml.datasets.sleepstudy(frame="polars"))
    found = ml.power(fit, test="Days", fixef={"Days": 4.0}, over={"Subject": [10, 18, 30]}, n=300, seed=1)
    assert found.frame.columns[:3] == ["Subject", "n_rows", "truth"]  # a polars frame
    assert found["n_rows"] == [100, 180, 300]
    assert (np.diff(found["power"]) > 0).all()
    assert np.abs(found["power"] - found["formula"]).max() < 4 * np.sqrt(0.25 / 300)


def test_the_smallest_size_by_formula_is_the_smallest():
    said = {"test": "treated", "fixef": {"treated": 0.3}, "icc": 0.05}
    needed = ml.power(FORMULA, SCHOOLS, find="school", n=None, **said).needed
    powers = ml.power(FORMULA, SCHOOLS, over={"school": [needed - 2, needed]}, n=None, **said)["formula"]
    assert powers[0] < 0.8 <= powers[1]
    assert needed % 2 == 0  # two arms
    found = ml.power(FORMULA, SCHOOLS, find="school", n=400, seed=1, **said)
    assert abs(found.needed - needed) <= 6
    assert "It takes" in str(found)


def test_a_size_is_found_without_a_formula():
    said = {"test": "treated", "fixef": {"treated": 0.4}, "icc": 0.0}
    found = ml.power(FORMULA, SCHOOLS, find="school", method="ols", n=200, seed=1, **said)
    assert 4 <= found.needed <= 16
    with pytest.raises(DataError, match="no formula"):
        ml.power(FORMULA, SCHOOLS, test="treated", find="school", method="ols", n=None, **EFFECT)


def test_draws_that_cannot_be_analysed_are_counted_and_left_out():
    rare = ml.Plan(school=6, pupil=4).draw("x", 0.06, at="pupil")
    found = ml.power("y ~ x + (1 | school)", rare, test="x", fixef={"x": 1.0}, icc=0.1, n=60, seed=3)
    assert found["n"][0] + found["n_failed"][0] == 60
    assert found["n_failed"][0] > 0
    assert "analyses failed" in str(found)
    said = {
        "fixef": {"treated": 4.0},
        "icc": 0.1,
        "family": "binomial",
        "test": "treated",
        "n": 40,
        "seed": 1,
    }
    few = ml.Plan(school=8, pupil=4).assign("treated", at="school")
    assert ml.power(FORMULA, few, **said)["n_failed"][0] > 0


def test_several_ways_analyse_the_same_data_sets():
    ways = ["kenward-roger", "ols", "means"]
    sizes = {"school": [10, 20]}
    found = ml.power(FORMULA, SCHOOLS, test="treated", method=ways, over=sizes, n=100, seed=1, **EFFECT)
    assert found.frame["school"].tolist() == [10, 10, 10, 20, 20, 20]
    assert found.frame["analysis"].nunique() == 3
    for k, way in enumerate(ways):
        alone = ml.power(FORMULA, SCHOOLS, test="treated", method=way, over=sizes, n=100, seed=1, **EFFECT)
        np.testing.assert_array_equal(found["power"][k::3], alone["power"])
    estimates = found.replicates.groupby("analysis")["estimate"]
    assert len(found.replicates) == 600
    assert estimates.size().tolist() == [200, 200, 200]
    assert len(found.plot().get_legend().get_texts()) == 4
    assert "Intervals of 'least squares, rows as if independent' cover the truth in only" in " ".join(
        str(found).split()
    )
    with pytest.raises(DataError, match="several ways"):
        ml.power(FORMULA, SCHOOLS, test="treated", method=ways, find="school", n=5, **EFFECT)
    with pytest.raises(DataError, match="nothing was simulated"):
        _ = ml.power(FORMULA, SCHOOLS, test="treated", n=None, **EFFECT).replicates


# ---- reproducibility ----


def test_the_same_seed_gives_the_same_numbers_on_any_number_of_threads():
    found = []
    threads = use_threads()
    for count in (1, 2):
        use_threads(count)
        found.append(ml.power(FORMULA, SCHOOLS, test="treated", n=600, seed=5, **EFFECT).replicates)
    use_threads(threads)
    assert found[0].equals(found[1])


def test_more_data_sets_begin_with_the_same_ones():
    few = ml.power(FORMULA, SCHOOLS, test="treated", n=10, seed=5, **EFFECT).replicates
    many = ml.power(FORMULA, SCHOOLS, test="treated", n=20, seed=5, **EFFECT).replicates
    # sums over blocks of another size round otherwise
    np.testing.assert_allclose(many[:10]["p_value"], few["p_value"], rtol=1e-9)


def test_an_interrupt_keeps_what_is_done(monkeypatch):
    calls = []

    def interrupted(ready, streams):
        calls.append(len(streams))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(ready, streams)

    original = simulated_tests.kept_rows
    monkeypatch.setattr(simulated_tests, "kept_rows", interrupted)
    with pytest.warns(MultilevelWarning, match="interrupted after 512 data sets"):
        found = ml.power(FORMULA, SCHOOLS, test="treated", n=1000, seed=1, progress=False, **EFFECT)
    assert found["n"] == [512]


# ---- misuse ----


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"test": "treatd"}, "did you mean 'treated'"),
        ({"method": "wald"}, "method='wald' does not exist"),
        ({"over": {"pupils": [3]}}, r"'pupils'.*neither a size \(school, pupil\) nor a coefficient"),
        ({"over": {"pupil": [3.5]}}, "whole number"),
        ({"over": [3]}, "maps names to values"),
        ({"over": {"school": []}}, "list of numbers"),
        ({"find": "treated"}, "no size of the design"),
        ({"find": "school", "over": {"pupil": [3]}}, "give one of them"),
        ({"alpha": 1.5}, "alpha lies between 0 and 1"),
        ({"n": 0}, "n=0 is too few"),
        ({"limits": "wald"}, "limits='wald'"),
        ({"test": 3}, "names what is tested"),
        ({"test": []}, "names what is tested"),
        ({"find": "pupil", "target": 0.99, "n": None}, "out of reach"),
        ({"analysis": "z ~ treated + (1 | school)"}, "another response"),
        ({"method": "means", "test": "Intercept = 1, treated = 0"}, "tests one statement"),
        ({"analysis": "y ~ treated", "method": "gee"}, "no random effects"),
        ({"family": "binomial", "method": "kenward-roger"}, "linear mixed models"),
    ],
)
def test_a_mistake_is_named(options, said):
    with pytest.raises((DataError, DataTypeError), match=said):
        ml.power(FORMULA, SCHOOLS, **{"test": "treated", "n": 5, **EFFECT, **options})


def test_a_name_that_means_two_things_must_be_told_apart():
    plan = ml.Plan(person=20).visits("week", 4)
    said = {"test": "week", "fixef": {"week": 0.3}, "sd": {"person": [1, 0.3]}, "n": None}
    formula = "y ~ week + (1 + week | person)"
    with pytest.raises(DataError, match=r"size\[week\].*fixef\[week\]"):
        ml.power(formula, plan, over={"week": [3, 4]}, **said)
    assert ml.power(formula, plan, over={"size[week]": [3, 5]}, **said)["n_rows"] == [60, 100]
    found = ml.power(formula, plan, over={"fixef[week]": [0.1, 0.3]}, **said)
    assert found["formula"][0] < found["formula"][1]


def test_means_of_clusters_say_nothing_of_what_varies_within():
    plan = ml.Plan(person=20).visits("week", 4)
    with pytest.raises(MultilevelError, match="does not vary between clusters"):
        ml.power("y ~ week + (1 | person)", plan, test="week", method="means", icc=0.3, n=5)


def test_the_page_says_what_was_done():
    page = str(ml.power(FORMULA, SCHOOLS, test="treated", n=200, seed=1, over={"school": [10, 20]}, **EFFECT))
    for words in ("Model: y ~ treated", "two-sided at 5%", "seed 1", "Formula", "Exaggeration", "Clopper"):
        assert words in page
    assert "nan" not in page.lower()


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_likelihood_ratios_of_generalized_models_are_those_of_two_fits(family):
    plan = ml.Plan(school=12, pupil=8).assign("treated", at="school")
    true = {"fixef": {"treated": 0.8}, "sd": {"school": 0.5}, "family": family}
    found = ml.power(FORMULA, plan, test="treated", method="lrt", n=4, seed=3, **true).replicates
    first, *rest = np.random.SeedSequence(3).spawn(5)
    design = plan.rows(np.random.default_rng(first))
    data = pd.DataFrame(design.frame_columns())
    for b, seed in enumerate(rest):
        rng = np.random.default_rng(seed)
        effects = 0.5 * rng.standard_normal((12, 1))[data["school"] - 1, 0]
        eta = 0.8 * data["treated"].to_numpy() + effects
        ones = np.ones(len(data), dtype=np.int64)
        y = rng.binomial(ones, 1 / (1 + np.exp(-eta))) if family == "binomial" else rng.poisson(np.exp(eta))
        large, small = (
            ml.glmm(f, data.assign(y=y), family=family) for f in (FORMULA, "y ~ 1 + (1 | school)")
        )
        expected = stats.chi2.sf(2 * (large.loglik - small.loglik), 1)
        assert found["p_value"][b] == pytest.approx(expected, rel=1e-4)
        assert found["estimate"][b] == pytest.approx(large.fixef[1], rel=1e-4)


# ---- random effects ----


def test_a_random_slope_is_tested_as_ranova_does():
    plan, formula = ml.Plan(person=12).visits("day", 5), "y ~ day + (1 + day | person)"
    said = {"sd": {"person": [1.0, 0.3]}, "sigma": 1.0, "n": 6, "seed": 2}
    found = ml.power(formula, plan, test="day | person", **said)
    assert np.isnan(found["truth"][0])
    data = plan.data(seed=1)
    for b, seed in enumerate(np.random.SeedSequence(2).spawn(7)[1:]):
        normal = np.random.default_rng(seed).standard_normal(24 + 60)
        effects = normal[:24].reshape(12, 2) * [1.0, 0.3]
        person = data["person"].to_numpy() - 1
        y = effects[person, 0] + effects[person, 1] * data["day"] + normal[24:]
        expected = ml.lmm(formula, data.assign(y=y)).ranova()["p_boundary"][1]
        assert found.replicates["p_value"][b] == pytest.approx(expected, rel=1e-4, abs=1e-10)


def test_a_random_effect_is_named_by_its_label_too():
    plan, formula = ml.Plan(person=12).visits("day", 5), "y ~ day + (1 + day | person)"
    said = {"sd": {"person": [1.0, 0.3]}, "n": 3, "seed": 1}
    labels = ["day in (1 + day | person)", "(0 + day | person)", "day|person"]
    found = [ml.power(formula, plan, test=label, **said)["power"][0] for label in labels]
    assert len(set(found)) == 1
    with pytest.raises(DataError, match=r"there are 'day in \(1 \+ day \| person\)'"):
        ml.power(formula, plan, test="(1 | school)", **said)
    with pytest.raises(DataError, match="likelihood ratio"):
        ml.power(formula, plan, test="day | person", method="z", **said)


def test_deviations_vary_by_group():
    said = {"test": "treated", "fixef": {"treated": 0.4}, "sigma": 1.0, "n": None}
    found = ml.power(FORMULA, SCHOOLS, over={"sd[school]": [0.1, 0.3]}, **said)
    error = np.sqrt(4 / 20 * (np.array([0.1, 0.3]) ** 2 + 1 / 25))
    np.testing.assert_allclose(found["formula"], [power_of_t(0.4, e, 18) for e in error], atol=1e-9)


def test_averages_over_groups_have_no_bias_against_what_holds_within_one():
    true = {"fixef": {"treated": 1.0}, "icc": 0.3, "family": "binomial"}
    found = ml.power(FORMULA, SCHOOLS, test="treated", method="gee", n=10, seed=1, **true)
    assert np.isnan(found["bias"][0])
    assert "on average over groups" in str(found)
    assert "nan" not in str(found).lower()


def test_a_curve_is_drawn():
    sizes = {"school": [10, 20], "pupil": [5, 25]}
    found = ml.power(FORMULA, SCHOOLS, test="treated", over=sizes, n=20, seed=1, **EFFECT)
    axes = found.plot()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["formula", "pupil 5", "pupil 25"]
    alone = ml.power(FORMULA, SCHOOLS, test="treated", over={"school": [10, 20]}, n=None, **EFFECT)
    assert alone.plot().get_xlabel() == "school"
    with pytest.raises(DataError, match="no curve"):
        ml.power(FORMULA, SCHOOLS, test="treated", n=None, **EFFECT).plot()
