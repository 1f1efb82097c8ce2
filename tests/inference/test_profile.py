"""Likelihood profiles: R's limits, an independent likelihood, exact slopes, algebra, the ends of ranges."""

from __future__ import annotations

import pickle
import re
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import ndtri

import multilevel as ml
from multilevel.design.design import Design
from multilevel.errors import DataError, DataTypeError, ModelError
from multilevel.inference.parameters import Parameter
from multilevel.inference.profile_points import held_parameter, values_at
from multilevel.results import profile as profile_module
from multilevel.results.lmm import LMMFit
from multilevel.results.profile import Profile
from reference_cases import case_data, case_names, load_case, name_key, to_formulaic_names

Z = float(ndtri(0.975))
CASES = [name for name in case_names("lmm_") if "ci_profile" in load_case(name)]

# R's profile of sigma breaks off in this case (its upper limit is null, its lower one has zeta = 0.91).
# That ours is right is checked below against a likelihood written out by hand.
R_BREAKS_OFF = {("lmm_orthodont_reml", "sigma")}


@cache
def fit_case(name: str) -> LMMFit:
    case = load_case(name)
    spec = case["spec"]
    contrasts = spec["contrasts"]
    return ml.lmm(
        spec["formula"],
        case_data(case),
        reml=spec["method"] == "REML",
        weights=spec["weights"],
        offset=spec["offset"],
        contrasts={k: v.removeprefix("contr.") for k, v in contrasts.items()} if contrasts else None,
    )


@cache
def profile_case(name: str) -> Profile:
    return fit_case(name).profile(level=0.95)


# ---- R's limits ----


def r_key(name: str, case: dict[str, Any]) -> Any:
    """What R's name of a parameter means, whatever the order of columns and factors in it."""
    found = re.fullmatch(r"(sd|cor)_(.*)\|(.*)", name)

    def columns(names: list[str]) -> frozenset[Any]:
        return frozenset(
            name_key(n) for n in to_formulaic_names(names, case_data(case), case["spec"]["contrasts"])
        )

    if found is None:
        return name if name == "sigma" else columns([name])
    parts = found[2].split(".") if found[1] == "cor" else [found[2]]
    return found[1], columns(parts), frozenset(found[3].split(":"))


def our_key(parameter: Parameter, design: Design) -> Any:
    if parameter.kind == "sigma":
        return "sigma"
    if parameter.kind == "fixed":
        return frozenset([name_key(parameter.name)])
    assert parameter.group is not None
    names = design.terms[parameter.index].names
    columns = frozenset(name_key(names[c]) for c in parameter.columns)
    return parameter.kind, columns, frozenset(parameter.group.split(":"))


@pytest.mark.parametrize("name", CASES)
def test_limits_are_those_of_r(name: str) -> None:
    """To 1e-3 of the interval's length: R interpolates splines of its profile."""
    case, profile = load_case(name), profile_case(name)
    limits = profile.interval_columns(0.95)
    ours = {
        our_key(p, profile.design): (low, high)
        for p, low, high in zip(
            profile._model().parameters, limits["conf_low"], limits["conf_high"], strict=True
        )
    }
    theirs = case["ci_profile"]
    for r_name, low, high in zip(theirs["names"], theirs["2.5 %"], theirs["97.5 %"], strict=True):
        if (name, r_name) in R_BREAKS_OFF or low is None or high is None:
            continue
        tolerance = 1e-3 * (high - low)
        assert ours[r_key(r_name, case)] == pytest.approx((low, high), abs=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_zeta_at_a_limit_is_the_quantile(name: str) -> None:
    """Each limit inside its range is the exact root, searched afresh from its neighbours and the estimate."""
    profile = profile_case(name)
    limits = profile.interval_columns(0.95)
    for parameter, low, high in zip(profile.parameters, limits["conf_low"], limits["conf_high"], strict=True):
        ends = {"sd": (0.0,), "cor": (-1.0, 1.0)}.get(parameter.split("_")[0], ())
        for limit, sign in ((low, -1.0), (high, 1.0)):
            if limit in ends:
                assert abs(profile.zeta(parameter, limit)) < Z
            else:
                assert profile.zeta(parameter, limit) == pytest.approx(sign * Z, abs=1e-6)


# ---- an independent likelihood ----


def deviance(
    design: Design, root: np.ndarray, sigma: float, drop: int | None = None, at: float = 0.0
) -> float:
    """-2 log-likelihood of a model with one term, coefficients profiled out (all of them, or all but one)."""
    X, y = design.X, design.y
    if drop is not None:
        y, X = y - at * X[:, drop], np.delete(X, drop, axis=1)
    Sigma, codes = root @ root.T, design.groupings[0].codes
    total = np.zeros((X.shape[1] + 1,) * 2)
    log_det = 0.0
    for level in range(codes.max() + 1):
        rows = codes == level
        Zi = design.terms[0].Z[rows]
        C = np.linalg.cholesky(Zi @ Sigma @ Zi.T + sigma**2 * np.eye(rows.sum()))
        half = np.linalg.solve(C, np.column_stack([X[rows], y[rows]]))
        total += half.T @ half
        log_det += 2.0 * np.log(np.diag(C)).sum()
    p = X.shape[1]
    explained = total[:p, p] @ np.linalg.solve(total[:p, :p], total[:p, p])
    return float(len(y) * np.log(2.0 * np.pi) + log_det + total[p, p] - explained)


def least(function: Any, starts: list[list[float]]) -> float:
    """Smallest value over simplex searches from several places."""
    options = {"xatol": 1e-7, "fatol": 1e-10, "maxiter": 3000, "maxfev": 3000}
    return min(float(minimize(function, s, method="Nelder-Mead", options=options).fun) for s in starts)


def two_by_two(a: float, b: float, rho: float) -> np.ndarray:
    return np.array([[a, 0.0], [b * rho, b * np.sqrt(1.0 - rho**2)]])


def independent_zeta(profile: Profile, parameter: str, value: float) -> float:
    """|zeta| by simplex searches over the likelihood above."""
    design = profile.design
    term = profile.record.terms[0]
    a, b = term.sd.tolist()
    angle, s = float(np.arctanh(term.correlation[1, 0])), float(np.log(profile.record.sigma))
    if parameter == "sigma":
        found = least(
            lambda t: deviance(design, two_by_two(np.exp(t[0]), np.exp(t[1]), np.tanh(t[2])), value),
            [[np.log(a), np.log(b), angle], [np.log(a), np.log(b), 0.0]],
        )
    elif parameter.startswith("sd__(I"):
        found = least(
            lambda t: deviance(design, two_by_two(value, np.exp(t[0]), np.tanh(t[1])), np.exp(t[2])),
            [[np.log(b), angle, s], [np.log(b), 0.0, s]],
        )
    elif parameter.startswith("cor"):
        found = least(
            lambda t: deviance(design, two_by_two(np.exp(t[0]), np.exp(t[1]), value), np.exp(t[2])),
            [[np.log(a), np.log(b), s], [np.log(a), np.log(0.1 * b), s]],
        )
    else:
        j = design.coef_names.index(parameter)
        found = least(
            lambda t: deviance(
                design, two_by_two(np.exp(t[0]), np.exp(t[1]), np.tanh(t[2])), np.exp(t[3]), j, value
            ),
            [[np.log(a), np.log(b), angle, s]],
        )
    return float(np.sqrt(max(found - profile.record.criterion, 0.0)))


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("lmm_sleepstudy_m2_reml", "Days"),
        ("lmm_sleepstudy_m2_reml", "sd__(Intercept)|Subject"),
        ("lmm_sleepstudy_m2_reml", "cor__(Intercept).Days|Subject"),
        ("lmm_orthodont_reml", "sigma"),  # where R's profile breaks off
    ],
)
def test_limits_hold_for_a_likelihood_written_by_hand(name: str, parameter: str) -> None:
    profile = profile_case(name)
    place = profile.parameters.index(parameter)
    limits = profile.interval_columns(0.95)
    for limit in (limits["conf_low"][place], limits["conf_high"][place]):
        # the simplex stops at 1e-10 in the deviance, and cannot do better than the minimum
        assert independent_zeta(profile, parameter, limit) == pytest.approx(Z, abs=1e-5)


def test_a_correlation_is_not_trapped_in_the_valley_it_came_from() -> None:
    """With rho held far off, leaving the slopes out altogether fits better than large, correlated effects."""
    profile = profile_case("lmm_orthodont_reml")
    parameter = "cor__(Intercept).age|Subject"
    without = ml.lmm(
        "distance ~ age * Sex + (1 | Subject)", case_data(load_case("lmm_orthodont_reml")), reml=False
    )
    plateau = np.sqrt(without.criterion - profile.record.criterion)
    for rho in (-0.99, -0.95, 0.95, 1.0):
        assert abs(profile.zeta(parameter, rho)) <= plateau + 1e-6
    assert profile.zeta(parameter, -0.95) == pytest.approx(
        -independent_zeta(profile, parameter, -0.95), abs=1e-4
    )


# ---- points ----

MODELS = {
    "slopes": "Reaction ~ Days + (Days | Subject)",
    "three": "score ~ 1 + (0 + Machine | Worker)",
    "double": "Reaction ~ Days + (Days || Subject)",
    "hom": "Reaction ~ Days + diag(1 + Days | Subject, hom=True)",
    "cs": "score ~ Machine + cs(0 + Machine | Worker)",
    "cs_hom": "score ~ Machine + cs(0 + Machine | Worker, hom=True)",
    "ar1": "score ~ Machine + ar1(0 + Machine | Worker)",
    "nested": "strength ~ 1 + (1 | batch / cask)",
    "crossed": "diameter ~ 1 + (1 | plate) + (1 | sample)",
}


def data_for(model: str) -> pd.DataFrame:
    name = {"score": "machines", "strength": "pastes", "diameter": "penicillin"}.get(
        MODELS[model].split()[0], "sleepstudy"
    )
    return getattr(ml.datasets, name)()


@cache
def ml_fit(model: str) -> LMMFit:
    return ml.lmm(MODELS[model], data_for(model), reml=False)


@cache
def profile_of(model: str) -> Profile:
    return ml_fit(model).profile()


@pytest.mark.parametrize("model", MODELS)
def test_points_hold_their_parameter_and_know_their_slope(model: str) -> None:
    """The parameter has the value asked for, and the envelope slope is that of differences of minima."""
    profile = profile_of(model)
    profiled = profile._model()
    for k, parameter in enumerate(profiled.parameters):
        held = held_parameter(profiled, parameter)
        at = held.coordinate(float(profiled.values[k])) + 2.0 * held.step
        at = min(at, held.bounds[1] - 0.1 * held.step)
        point = held.point(at, None)
        h = 1e-3 * held.step
        above, below = held.point(at + h, point), held.point(at - h, point)
        assert point.converged
        assert values_at(profiled, point)[k] == pytest.approx(held.value(at), rel=1e-8)
        difference = (above.deviance - below.deviance) / (2.0 * h)
        # minima are found to 1e-10, and the difference divides their rounding by the step
        assert point.slope == pytest.approx(difference, rel=1e-4, abs=1e-6 / held.step)


@pytest.mark.parametrize("model", MODELS)
def test_limits_are_exact_roots_under_every_structure(model: str) -> None:
    profile = profile_of(model)
    limits = profile.interval_columns(0.9)
    z = float(ndtri(0.95))
    for parameter, low, high in zip(profile.parameters, limits["conf_low"], limits["conf_high"], strict=True):
        assert low < high
        for limit in (low, high):
            at_end = limit in (0.0, 1.0, -1.0, -0.5)
            zeta = abs(profile.zeta(parameter, limit))
            assert zeta < z if at_end else zeta == pytest.approx(z, abs=1e-6)


def test_the_fit_at_a_point_is_that_of_the_constrained_model(sleepstudy: pd.DataFrame) -> None:
    """A coefficient held at v: the model with v times its column as an offset."""
    fit = ml.lmm("Reaction ~ Days + (Days | Subject)", sleepstudy, reml=False)
    held = ml.lmm("Reaction ~ 1 + (Days | Subject)", sleepstudy, reml=False, offset=7.0 * sleepstudy["Days"])
    curve = fit.profile("Days")
    assert curve.zeta("Days", 7.0) == pytest.approx(-np.sqrt(held.criterion - fit.criterion), abs=1e-7)


def test_a_deviation_at_zero_is_the_model_without_the_term(sleepstudy: pd.DataFrame) -> None:
    fit = ml.lmm("Reaction ~ Days + (Days | Subject)", sleepstudy, reml=False)
    without = ml.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy, reml=False)
    zeta = fit.profile("sd__Days|Subject").zeta("sd__Days|Subject", 0.0)
    assert zeta == pytest.approx(-np.sqrt(without.criterion - fit.criterion), abs=1e-6)


def test_a_correlation_at_zero_is_the_model_with_double_bars(sleepstudy: pd.DataFrame) -> None:
    fit = ml.lmm("Reaction ~ Days + (Days | Subject)", sleepstudy, reml=False)
    apart = ml.lmm("Reaction ~ Days + (Days || Subject)", sleepstudy, reml=False)
    zeta = fit.profile("ran_pars").zeta("cor__(Intercept).Days|Subject", 0.0)
    assert abs(zeta) == pytest.approx(np.sqrt(apart.criterion - fit.criterion), abs=1e-6)


# ---- algebra ----


def limits_of(fit: LMMFit, level: float = 0.95) -> np.ndarray:
    columns = fit.profile(level=level).interval_columns(level)
    return np.array([columns["conf_low"], columns["conf_high"]])


def test_the_order_of_rows_and_the_names_of_groups_do_not_matter(sleepstudy: pd.DataFrame) -> None:
    formula = "Reaction ~ Days + (Days | Subject)"
    other = sleepstudy.sample(frac=1.0, random_state=1)
    other["Subject"] = [f"s{label}" for label in other["Subject"]]
    np.testing.assert_allclose(
        limits_of(ml.lmm(formula, other)), limits_of(ml.lmm(formula, sleepstudy)), rtol=1e-6
    )


def test_limits_are_in_the_units_of_the_response(sleepstudy: pd.DataFrame) -> None:
    formula = "Reaction ~ Days + (Days | Subject)"
    scaled = limits_of(ml.lmm(formula, sleepstudy.assign(Reaction=1e4 * sleepstudy["Reaction"])))
    plain = limits_of(ml.lmm(formula, sleepstudy))
    units = np.array([1e4, 1e4, 1e4, 1e4, 1.0, 1e4])
    np.testing.assert_allclose(scaled / units, plain, rtol=1e-6)


def test_a_predictor_far_from_zero_keeps_its_limits(sleepstudy: pd.DataFrame) -> None:
    far = ml.lmm("Reaction ~ x + (x | Subject)", sleepstudy.assign(x=sleepstudy["Days"] + 1e6))
    near = ml.lmm("Reaction ~ x + (x | Subject)", sleepstudy.assign(x=sleepstudy["Days"]))
    same = [1, 3, 5]  # the slope, its standard deviation, sigma
    np.testing.assert_allclose(limits_of(far)[:, same], limits_of(near)[:, same], rtol=1e-6)


def test_counts_are_repeated_rows(sleepstudy: pd.DataFrame) -> None:
    counts = np.arange(len(sleepstudy)) % 3 + 1
    repeated = sleepstudy.loc[np.repeat(sleepstudy.index, counts)]
    formula = "Reaction ~ Days + (1 | Subject)"
    np.testing.assert_allclose(
        limits_of(ml.lmm(formula, sleepstudy, freq_weights=counts)),
        limits_of(ml.lmm(formula, repeated)),
        rtol=1e-6,
    )


def test_precision_weights_and_offsets_are_part_of_the_likelihood(sleepstudy: pd.DataFrame) -> None:
    weights = np.where(np.arange(len(sleepstudy)) % 2 == 0, 2.0, 0.5)
    fit = ml.lmm(
        "Reaction ~ Days + (1 | Subject)", sleepstudy, reml=False, weights=weights, offset=3.0 * weights
    )
    profile = fit.profile(["Days", "sd__(Intercept)|Subject"])
    held = ml.lmm(
        "Reaction ~ 1 + (1 | Subject)",
        sleepstudy,
        reml=False,
        weights=weights,
        offset=3.0 * weights + 12.0 * sleepstudy["Days"].to_numpy(),
    )
    assert profile.zeta("Days", 12.0) == pytest.approx(np.sqrt(held.criterion - fit.criterion), abs=1e-6)


def test_dropped_columns_have_no_profile(sleepstudy: pd.DataFrame) -> None:
    fit = ml.lmm("Reaction ~ Days + twice + (1 | Subject)", sleepstudy.assign(twice=2 * sleepstudy["Days"]))
    assert "twice" not in fit.profile("fixed").parameters


# ---- the ends of ranges ----


def test_a_variance_estimated_as_zero_has_a_limit_above_it_only(dyestuff2: pd.DataFrame) -> None:
    profile = ml.lmm("Yield ~ 1 + (1 | Batch)", dyestuff2).profile()
    limits = profile.interval_columns(0.95)
    assert limits["conf_low"][1] == 0.0
    assert limits["conf_high"][1] == pytest.approx(2.0840, abs=1e-3)
    assert profile.curve("sd__(Intercept)|Batch").value[0] == 0.0


def test_correlations_of_an_effect_that_does_not_vary_are_said_to_be_unknown(dyestuff2: pd.DataFrame) -> None:
    data = dyestuff2.assign(x=np.tile([-1.0, 0.0, 1.0, 0.0, 0.0], 6))
    fit = ml.lmm("Yield ~ 1 + (x | Batch)", data)
    assert fit.singular
    profile = fit.profile("ran_pars")
    limits = profile.interval_columns(0.95)
    place = profile.parameters.index("cor__(Intercept).x|Batch")
    low, high = limits["conf_low"][place], limits["conf_high"][place]
    assert np.isnan([low, high]).all() or (low, high) == (-1.0, 1.0)


def test_a_correlation_ends_at_one_where_the_data_allow_it() -> None:
    limits = profile_of("cs").interval_columns(0.99)
    place = profile_of("cs").parameters.index("cor__all|Worker")
    assert -0.5 <= limits["conf_low"][place] < limits["conf_high"][place] <= 1.0


# ---- the object ----


def test_a_reml_fit_is_profiled_by_maximum_likelihood_and_says_so(sleepstudy: pd.DataFrame) -> None:
    formula = "Reaction ~ Days + (1 | Subject)"
    by_reml, by_ml = (ml.lmm(formula, sleepstudy, reml=reml).profile() for reml in (True, False))
    assert by_reml.refitted
    assert not by_ml.refitted
    np.testing.assert_allclose(by_reml.estimates, by_ml.estimates, rtol=1e-6)
    assert "ML refit" in str(by_reml)
    assert "ML refit" not in str(by_ml)


def test_the_frame_has_every_parameter_at_every_point() -> None:
    profile = profile_of("slopes")
    frame = profile.frame()
    assert list(frame.columns[:3]) == ["parameter", "value", "zeta"]
    assert list(frame.columns[3:]) == list(profile.parameters)
    held = frame[frame["parameter"] == "sigma"]
    np.testing.assert_allclose(held["sigma"], held["value"], rtol=1e-10)
    assert held["zeta"].is_monotonic_increasing
    assert held["zeta"].abs().max() >= ndtri(0.995)


def test_interpolation_passes_through_the_points() -> None:
    profile = profile_of("slopes")
    curve = profile.curve("sd__Days|Subject")
    np.testing.assert_allclose(profile.interpolate("sd__Days|Subject", curve.zeta), curve.value, rtol=1e-12)
    exact = profile.interpolate("sd__Days|Subject", np.array([1.2345]))[0]
    assert profile.zeta("sd__Days|Subject", exact) == pytest.approx(1.2345, abs=2e-3)
    assert np.isnan(profile.interpolate("sigma", np.array([9.0])))[0]


def test_limits_of_a_higher_level_follow_the_profile_further() -> None:
    profile = ml_fit("slopes").profile("sigma", level=0.5)
    wide, narrow = profile.interval_columns(0.999), profile.interval_columns(0.5)
    assert wide["conf_low"][0] < narrow["conf_low"][0]
    assert profile.zeta("sigma", wide["conf_high"][0]) == pytest.approx(ndtri(0.9995), abs=1e-6)


def test_profiles_travel() -> None:
    profile = profile_of("nested")
    again = pickle.loads(pickle.dumps(profile))
    np.testing.assert_allclose(
        again.interval_columns(0.8)["conf_low"], profile.interval_columns(0.8)["conf_low"], rtol=1e-7
    )


def test_a_refit_of_the_fit_leaves_its_profile_alone(sleepstudy: pd.DataFrame) -> None:
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy, reml=False)
    profile = fit.profile("Days", level=0.8)
    before = profile.interval_columns(0.9)["conf_low"]
    fit.refit(-5.0 * fit.design.y)
    np.testing.assert_allclose(profile.interval_columns(0.9)["conf_low"], before, rtol=1e-12)


def test_parameters_are_chosen_by_name_term_or_part() -> None:
    fit = ml_fit("slopes")
    assert fit.profile("sd__Days", level=0.5).parameters == ("sd__Days|Subject",)
    assert fit.profile(["sigma", "Days"], level=0.5).parameters == ("sigma", "Days")
    assert fit.profile("fixed", level=0.5).parameters == ("Intercept", "Days")
    assert len(fit.profile("ran_pars", level=0.5).parameters) == 4


def test_interrupted_work_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def impatient(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return trace(*arguments)

    trace = profile_module.trace_parameter
    monkeypatch.setattr(profile_module, "trace_parameter", impatient)
    found = ml_fit("slopes").profile()
    assert found.parameters == ("Intercept", "Days")
    assert "Interrupted" in str(found)


# ---- misuse ----


def test_unknown_parameters_are_named_with_those_that_exist() -> None:
    with pytest.raises(DataError, match=r"'sd__Days\|Sub' is no parameter.*did you mean 'sd__Days\|Subject'"):
        ml_fit("slopes").profile("sd__Days|Sub")


def test_a_correlation_fixed_at_zero_is_no_parameter() -> None:
    with pytest.raises(DataError, match=r"it has Intercept, Days, sd__\(Intercept\)\|Subject, .*sigma"):
        ml_fit("double").profile("cor__(Intercept).Days|Subject")


def test_values_outside_the_range_of_a_parameter_are_refused() -> None:
    with pytest.raises(DataError, match="between 0 and inf, got -1"):
        profile_of("slopes").zeta("sd__Days|Subject", -1.0)
    with pytest.raises(DataError, match="between -1 and 1"):
        profile_of("slopes").zeta("cor__(Intercept).Days|Subject", 1.5)
    with pytest.raises(DataError, match="level"):
        profile_of("slopes").confint(95)
    with pytest.raises(DataTypeError, match="by name"):
        ml_fit("slopes").profile([1])


def test_a_model_without_residual_is_refused() -> None:
    data = pd.DataFrame(
        {"y": [1.0, 2.0, 4.0, 3.0, 6.0, 5.5, 2.5, 3.0], "t": list("abab" * 2), "g": list("11223344")}
    )
    fit = ml.lmm("y ~ 1 + ar1(0 + t | g)", data, residual="none")
    with pytest.raises(ModelError, match="residual term"):
        fit.profile()
