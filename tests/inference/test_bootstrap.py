"""Bootstraps: reproducible, the same on any number of threads, consistent with theory, honest in trouble."""

from __future__ import annotations

import pickle
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.errors import DataError, DataTypeError, ModelError, MultilevelWarning
from multilevel.inference.bootstrap import BootstrapKind
from multilevel.kernels.threads import use_threads
from multilevel.results import bootstrap as bootstrap_module
from multilevel.results.bootstrap import Bootstrap
from multilevel.results.lmm import LMMFit
from multilevel.simulation.clusters import independent_clusters
from multilevel.simulation.streams import random_streams

KINDS: tuple[BootstrapKind, ...] = ("parametric", "residual", "case")


@cache
def slopes() -> LMMFit:
    return ml.lmm("Reaction ~ Days + (Days | Subject)", ml.datasets.sleepstudy())


@cache
def boot(kind: BootstrapKind = "parametric") -> Bootstrap:
    return slopes().bootstrap(1000, kind, seed=11)


# ---- replicates ----


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_replicates(kind: BootstrapKind) -> None:
    first, again = (slopes().bootstrap(50, kind, seed=3).replicates for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, slopes().bootstrap(50, kind, seed=4).replicates)


@pytest.mark.parametrize("kind", KINDS)
def test_replicates_do_not_depend_on_how_many_follow(kind: BootstrapKind) -> None:
    few, many = (slopes().bootstrap(n, kind, seed=3).replicates for n in (20, 70))
    np.testing.assert_array_equal(few, many[:20])


@pytest.mark.parametrize("kind", KINDS)
def test_replicates_do_not_depend_on_threads(kind: BootstrapKind) -> None:
    count = use_threads()
    try:
        use_threads(1)
        one = slopes().bootstrap(64, kind, seed=3).replicates
        use_threads(3)
        three = slopes().bootstrap(64, kind, seed=3).replicates
    finally:
        use_threads(count)
    np.testing.assert_array_equal(one, three)


def test_a_seed_that_was_not_given_is_kept() -> None:
    first = slopes().bootstrap(20)
    np.testing.assert_array_equal(slopes().bootstrap(20, seed=first.seed).replicates, first.replicates)


def test_parametric_replicates_are_refits_of_simulated_responses() -> None:
    fit = slopes()
    refits = fit.refit_many(fit.simulate(30, seed=5))
    found = fit.bootstrap(30, seed=5).replicates
    np.testing.assert_allclose(found[:, :2], refits.beta, rtol=1e-12)
    np.testing.assert_allclose(found[:, -1], refits.sigma, rtol=1e-12)
    one = fit.refit(fit.simulate(30, seed=5)[:, 7])
    expected = [*one.record.terms[0].sd, one.record.terms[0].correlation[1, 0]]
    np.testing.assert_allclose(
        found[7, 2:5], expected, rtol=1e-4
    )  # two searches, each to 1e-10 of a flat optimum


@pytest.mark.parametrize(
    ("formula", "data"),
    [
        ("Reaction ~ Days + (Days | Subject)", ml.datasets.sleepstudy()),
        ("strength ~ 1 + (1 | batch / cask)", ml.datasets.pastes()),
        ("score ~ Machine + (1 | Worker / Machine)", ml.datasets.machines()),
        ("score ~ Machine + cs(0 + Machine | Worker)", ml.datasets.machines()),
    ],
)
def test_cases_in_the_core_are_fits_to_the_rows_drawn(formula: str, data: pd.DataFrame) -> None:
    """Cross-products put together from clusters, against designs built from the rows and fitted anew."""
    fit = ml.lmm(formula, data, reml=False)
    quick = fit.bootstrap(12, "case", seed=2)
    slow = fit.bootstrap(
        12, "case", seed=2, statistic=lambda refit: [*refit.fixef, refit.sigma, refit.criterion]
    ).replicates
    p = len(fit.fixef)
    scale = np.abs(slow[:, :p]).max()
    np.testing.assert_allclose(quick.replicates[:, :p] / scale, slow[:, :p] / scale, atol=1e-5)
    np.testing.assert_allclose(quick.replicates[:, -1], slow[:, p], rtol=1e-4)


def test_case_replicates_carry_their_standard_errors() -> None:
    fit = slopes()
    quick = fit.bootstrap(10, "case", seed=2)
    slow = fit.bootstrap(10, "case", seed=2, statistic=lambda refit: refit.se)
    errors = quick._replicates.std_errors
    assert errors is not None
    np.testing.assert_allclose(errors, slow.replicates, rtol=1e-5)


def test_counts_of_rows_within_clusters_are_repeated_rows() -> None:
    data = ml.datasets.sleepstudy()
    counts = np.arange(len(data)) % 3 + 1
    formula = "Reaction ~ Days + (1 | Subject)"
    weighted = ml.lmm(formula, data, freq_weights=counts).bootstrap(40, "case", seed=1)
    repeated = ml.lmm(formula, data.loc[np.repeat(data.index, counts)]).bootstrap(40, "case", seed=1)
    np.testing.assert_allclose(weighted.replicates, repeated.replicates, rtol=1e-6)


def test_a_refit_of_the_fit_leaves_its_bootstrap_alone() -> None:
    fit = ml.lmm("Reaction ~ Days + (Days | Subject)", ml.datasets.sleepstudy())
    before = fit.bootstrap(10, seed=1).replicates
    fit.refit(-100.0 * fit.design.y)
    np.testing.assert_array_equal(fit.bootstrap(10, seed=1).replicates, before)


# ---- theory ----


def test_parametric_standard_errors_are_those_of_the_model() -> None:
    """A standard deviation of B replicates has relative SE 1 / sqrt(2 B), about: 2.2%, so 8% is ample."""
    np.testing.assert_allclose(boot().se[:2], slopes().se, rtol=0.08)


def test_reflated_effects_have_the_variance_that_the_model_estimates() -> None:
    """Shrunken effects resampled as they are would give too small standard errors; reflated ones do not."""
    np.testing.assert_allclose(boot("residual").se[:2], slopes().se, rtol=0.1)


def test_clusters_drawn_estimate_the_sandwich_variance() -> None:
    """In the balanced study the slope is a mean over subjects, whose bootstrap variance has the divisor J."""
    per_subject = np.array(
        [
            np.polyfit(group["Days"], group["Reaction"], 1)[0]
            for _, group in ml.datasets.sleepstudy().groupby("Subject")
        ]
    )
    expected = per_subject.std() / np.sqrt(len(per_subject))
    assert boot("case").se[1] == pytest.approx(expected, rel=0.08)


def test_residual_responses_have_the_moments_of_the_model() -> None:
    fit = slopes()
    draw = bootstrap_module.response_draws(
        bootstrap_module.bootstrapped(fit.design, fit.record, fit._working_model()), "residual"
    )
    Y = draw(random_streams(4000, 1))
    rows = np.flatnonzero(fit.design.groupings[0].codes == 3)
    V = fit.marginal_cov("330")
    spread = np.sqrt((np.outer(np.diag(V), np.diag(V)) + V**2) / 4000)
    # 8 standard errors of normal data: those of resampled tails are larger
    assert (np.abs(np.cov(Y[rows]) - V) / spread).max() < 8
    assert (np.abs(Y.mean(axis=1) - fit.record.fitted_fixed)[rows] / np.sqrt(np.diag(V) / 4000)).max() < 5


def test_residuals_of_a_weighted_fit_are_drawn_on_their_own_scale() -> None:
    data = ml.datasets.sleepstudy()
    weights = np.where(np.arange(180) % 2 == 0, 9.0, 1.0)
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", data, weights=weights)
    draw = bootstrap_module.response_draws(
        bootstrap_module.bootstrapped(fit.design, fit.record, fit._working_model()), "residual"
    )
    Y = draw(random_streams(500, 1))
    within = Y - fit.record.fitted_fixed[:, None]
    sd = fit.record.terms[0].sd[0]
    np.testing.assert_allclose(within[weights == 9.0].std(), np.hypot(sd, fit.sigma / 3.0), rtol=0.03)
    np.testing.assert_allclose(within[weights == 1.0].std(), np.hypot(sd, fit.sigma), rtol=0.03)


@pytest.mark.parametrize("method", ["percentile", "basic", "normal", "bca", "studentized"])
def test_intervals_of_a_well_determined_slope_agree_with_wald(method: Any) -> None:
    """18 subjects: limits of all kinds within a quarter of a standard error or so of Wald's."""
    low, high = np.array(
        [boot().interval_columns(method, 0.9, "fixed")[side][1] for side in ("conf_low", "conf_high")]
    )
    half = 1.6449 * slopes().se[1]
    assert low == pytest.approx(slopes().fixef[1] - half, abs=0.3 * slopes().se[1])
    assert high == pytest.approx(slopes().fixef[1] + half, abs=0.3 * slopes().se[1])


def test_coverage_of_the_percentile_interval() -> None:
    """60 data sets of 30 groups: 90% intervals of the intercept cover it 54 times, give or take 3 x 2.3."""
    rng = np.random.default_rng(8)
    groups = np.repeat(np.arange(30), 4)
    hits = 0
    for k in range(60):
        y = 5.0 + rng.standard_normal(30)[groups] + rng.standard_normal(120)
        fit = ml.lmm("y ~ 1 + (1 | g)", {"y": y, "g": groups})
        limits = fit.bootstrap(99, seed=k).interval_columns("percentile", 0.9)
        hits += limits["conf_low"][0] <= 5.0 <= limits["conf_high"][0]
    assert 47 <= hits <= 60


# ---- models of many kinds ----


@pytest.mark.parametrize("kind", ["parametric", "residual"])
def test_crossed_factors_are_resampled_each_on_its_own(kind: BootstrapKind) -> None:
    fit = ml.lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", ml.datasets.penicillin())
    found = fit.bootstrap(200, kind, seed=1)
    assert found.parameters == ("Intercept", "sd__(Intercept)|plate", "sd__(Intercept)|sample", "sigma")
    np.testing.assert_allclose(found.estimates[1:], found.replicates[:, 1:].mean(axis=0), rtol=0.2)
    with pytest.raises(ModelError, match="'plate' and 'sample' cross"):
        fit.bootstrap(10, "case")
    with pytest.raises(ModelError, match="cross"):
        found.confint("bca")


def test_nested_factors_are_drawn_at_the_top() -> None:
    fit = ml.lmm("strength ~ 1 + (1 | batch / cask)", ml.datasets.pastes())
    clusters = independent_clusters(fit.design)
    assert (clusters.name, clusters.count) == ("batch", 10)
    assert "batch (10)" in str(fit.bootstrap(50, "case", seed=1))


def test_a_singular_fit_is_bootstrapped_and_its_replicates_counted(dyestuff2: pd.DataFrame) -> None:
    fit = ml.lmm("Yield ~ 1 + (1 | Batch)", dyestuff2)
    for kind in KINDS:
        found = fit.bootstrap(100, kind, seed=1)
        assert found.n_singular == int((found.replicates[:, 1] == 0.0).sum()) > 30
        limits = found.interval_columns("basic", 0.95)
        assert limits["conf_low"][1] >= 0.0
        assert f"{found.n_singular} replicates are singular" in str(found)


def test_samples_that_cannot_be_fitted_are_counted_and_left_out() -> None:
    """A predictor of one cluster only: samples without the cluster cannot tell its effect."""
    data = ml.datasets.sleepstudy()
    data = data.assign(first=(data["Subject"].astype(str) == "308").astype(float))
    found = ml.lmm("Reaction ~ first + (1 | Subject)", data).bootstrap(200, "case", seed=1)
    assert 40 < found.n_failed < 110  # (1 - 1 / 18)^18 = 0.36 of the samples lack it
    assert np.isfinite(found.se).all()
    assert f"{found.n_failed} samples could not be fitted" in str(found)


# ---- a statistic ----


def test_a_statistic_of_the_refitted_fits() -> None:
    fit = slopes()
    by_name = fit.bootstrap(40, seed=5, statistic=lambda refit: {"ratio": refit.fixef[1] / refit.fixef[0]})
    plain = fit.bootstrap(40, seed=5)
    np.testing.assert_allclose(
        by_name.replicates[:, 0], plain.replicates[:, 1] / plain.replicates[:, 0], rtol=1e-6
    )
    assert by_name.parameters == ("ratio",)
    assert list(by_name.confint(level=0.9).columns) == ["term", "estimate", "conf_low", "conf_high"]
    number = fit.bootstrap(3, seed=5, statistic=lambda refit: refit.sigma)
    assert number.parameters == ("statistic",)
    array = fit.bootstrap(3, seed=5, statistic=lambda refit: refit.fixef)
    assert array.parameters == ("statistic[0]", "statistic[1]")
    with pytest.raises(ModelError, match="parameters of the model"):
        by_name.confint("bca", 0.9)
    with pytest.raises(DataTypeError, match="returns a number"):
        fit.bootstrap(3, statistic=lambda refit: refit.vcov())


def test_a_model_without_residual_has_a_bootstrap_of_statistics_only() -> None:
    data = pd.DataFrame({"t": list("abc" * 12), "g": np.repeat(np.arange(12), 3)})
    data["y"] = np.random.default_rng(1).standard_normal(36) + np.repeat(np.arange(12) % 4, 3)
    fit = ml.lmm("y ~ 1 + ar1(0 + t | g)", data, residual="none")
    with pytest.raises(ModelError, match='residual="none"'):
        fit.bootstrap(10)
    found = fit.bootstrap(20, seed=1, statistic=lambda refit: refit.fixef)
    assert found.se[0] == pytest.approx(fit.se[0], rel=0.6)


# ---- the object ----


def test_what_is_printed_and_the_frame() -> None:
    text = str(boot())
    for part in (
        "Parametric bootstrap",
        "Replicates: 1000, seed 11",
        "Bias",
        "Std. Error",
        "2.5%",
        "singular",
    ):
        assert part in text
    frame = boot().frame()
    assert list(frame.columns) == [*boot().parameters, "converged", "singular"]
    assert len(frame) == boot().n == 1000
    assert frame["singular"].sum() == boot().n_singular


def test_bias_and_standard_errors_are_those_of_the_replicates() -> None:
    np.testing.assert_allclose(boot().bias[0], boot().replicates[:, 0].mean() - slopes().fixef[0])
    np.testing.assert_allclose(boot().se[-1], boot().replicates[:, -1].std(ddof=1))


def test_bootstraps_travel() -> None:
    again = pickle.loads(pickle.dumps(boot()))
    for method in ("bca", "studentized"):
        np.testing.assert_allclose(
            again.interval_columns(method, 0.9, "fixed")["conf_low"],
            boot().interval_columns(method, 0.9, "fixed")["conf_low"],
            rtol=1e-9,
        )


def test_interrupted_work_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    make = bootstrap_module.replicate_fits

    def impatient(*arguments: Any) -> Any:
        fit, calls = make(*arguments), []

        def fit_until_interrupted(streams: Any) -> Any:
            calls.append(len(streams))
            if len(calls) == 3:
                raise KeyboardInterrupt
            return fit(streams)

        return fit_until_interrupted

    monkeypatch.setattr(bootstrap_module, "replicate_fits", impatient)
    with pytest.warns(MultilevelWarning, match="interrupted after 48 of 500"):
        found = slopes().bootstrap(500, seed=1)
    monkeypatch.undo()
    np.testing.assert_array_equal(found.replicates, slopes().bootstrap(48, seed=1).replicates)
    assert "48 of 500 (interrupted)" in str(found)


# ---- misuse ----


def test_too_few_replicates_for_a_level() -> None:
    few = slopes().bootstrap(30, seed=1)
    with pytest.raises(DataError, match="need at least 39 replicates, and there are 30"):
        few.confint()
    with pytest.raises(DataError, match="need at least 199"):
        slopes().bootstrap(100, seed=1).confint(level=0.99)
    assert np.isfinite(few.interval_columns("normal")["conf_low"]).all()
    assert "2.5%" not in str(few)


def test_studentized_limits_are_for_coefficients() -> None:
    with pytest.raises(ModelError, match='effects="fixed"'):
        boot().confint("studentized")


def test_options_that_do_not_exist() -> None:
    with pytest.raises(DataError, match="kind='wild'"):
        slopes().bootstrap(10, "wild")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="method='exact'"):
        boot().confint("exact")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="n=0"):
        slopes().bootstrap(0)


def test_counted_rows_have_no_response_to_draw() -> None:
    data = ml.datasets.sleepstudy()
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", data, freq_weights=np.full(180, 2))
    for kind in ("parametric", "residual"):
        with pytest.raises(ModelError, match="freq_weights"):
            fit.bootstrap(10, kind)


def test_effects_of_too_few_levels_cannot_be_resampled() -> None:
    fit = ml.lmm("Reaction ~ Days + (Days | g)", ml.datasets.sleepstudy().assign(g=np.repeat([0, 1], 90)))
    if not fit.singular:
        with pytest.raises(ModelError, match="'g' has 2 levels"):
            fit.bootstrap(10, "residual")
