"""Samples of whole clusters of generalized mixed models, and bca limits."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from glmm_data import grouped
from multilevel.errors import ModelError
from multilevel.estimation.glmm_cases import fit_samples
from multilevel.simulation.clusters import draw_clusters
from multilevel.simulation.streams import random_streams

pytestmark = pytest.mark.filterwarnings("ignore:.*below 40:multilevel.errors.MultilevelWarning")


@pytest.fixture(scope="module")
def fit() -> Any:
    return ml.glmm("hits / size ~ x + (1 | g)", grouped(), family="binomial")


def sample_by_hand(data: pd.DataFrame, factor: str, times: np.ndarray, *inner: str) -> pd.DataFrame:
    """Each cluster as often as it was drawn, every copy with names of its own."""
    parts = []
    for cluster, count in enumerate(times):
        for copy in range(count):
            part = data[data[factor] == cluster].copy()
            for name in (factor, *inner):
                part[name] = part[name].astype(str) + f"-{cluster}-{copy}"
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(
    ("formula", "factor", "inner", "arguments"),
    [
        ("hits / size ~ x + (1 | g)", "g", (), {"family": "binomial"}),
        ("hits / size ~ x + a + (1 + x | g)", "g", (), {"family": "binomial", "nagq": 5}),
        ("wide ~ x + (1 | g)", "g", (), {"family": "negative_binomial"}),
        ("empty ~ x + (1 | g)", "g", (), {"family": "poisson", "zi": "~ 1"}),
        ("grade ~ x + (1 | g)", "g", (), {"family": "ordinal"}),
        ("count ~ x + (1 | h) + (1 | g)", "h", ("g",), {"family": "poisson"}),
    ],
)
def test_a_sample_is_fitted_as_its_rows_would_be(
    formula: str, factor: str, inner: tuple[str, ...], arguments: dict[str, Any]
) -> None:
    data = grouped()
    data["h"] = data["g"] // 3
    fit = ml.glmm(formula, data, **arguments)
    boot = fit.bootstrap(3, kind="case", seed=11)
    count = data[factor].nunique()
    times = draw_clusters(count, random_streams(3, np.random.SeedSequence(11)))[:, 1]
    other = ml.glmm(formula, sample_by_hand(data, factor, times, *inner), **arguments)
    profile = other.profile()
    expected = dict(zip(profile.parameters, profile.estimates, strict=True))
    for name, value in zip(boot.parameters, boot.replicates[1], strict=True):
        # columns are moved and scaled by all rows here, by the sample there: searches end 3e-6 errors apart
        assert value == pytest.approx(expected[name], abs=2e-4), name


def test_standard_errors_are_near_those_of_the_sandwich(fit: Any) -> None:
    boot = fit.bootstrap(500, kind="case", seed=2)
    robust = np.sqrt(fit.vcov(kind="CR1").diagonal())
    np.testing.assert_allclose(boot.se[:2], robust, rtol=0.15)  # 3% is one standard error of 500
    assert boot.clusters == "g (24)"
    page = str(boot)
    assert page.startswith("Case bootstrap of a generalized linear mixed model")
    assert "Clusters drawn with replacement: g (24)." in page


def test_seeds_and_pickles(fit: Any) -> None:
    few, many = (fit.bootstrap(n, kind="case", seed=4) for n in (5, 60))
    np.testing.assert_array_equal(few.replicates, many.replicates[:5])
    again = pickle.loads(pickle.dumps(many))
    pd.testing.assert_frame_equal(again.confint("bca", 0.9), many.confint("bca", 0.9))


def test_counted_rows_are_repeated_rows() -> None:
    data = grouped()
    data["times"] = np.random.default_rng(1).integers(1, 4, len(data))
    counted = ml.glmm("count ~ x + (1 | g)", data, family="poisson", freq_weights="times")
    again = data.loc[data.index.repeat(data["times"])]
    repeated = ml.glmm("count ~ x + (1 | g)", again, family="poisson")
    ours, theirs = (each.bootstrap(10, kind="case", seed=1).replicates for each in (counted, repeated))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    with pytest.raises(ModelError, match="freq_weights"):
        counted.bootstrap(10)


def test_a_statistic_of_whole_fits(fit: Any) -> None:
    own = fit.bootstrap(6, kind="case", seed=3, statistic=lambda refit: refit.fixef)
    np.testing.assert_allclose(
        own.replicates, fit.bootstrap(6, kind="case", seed=3).replicates[:, :2], atol=1e-4
    )
    rows = fit.bootstrap(6, kind="case", seed=3, statistic=lambda refit: refit.design.trials.sum())
    assert len(set(rows.replicates[:, 0])) > 1  # clusters have their own trials


def test_the_jackknife_leaves_out_one_cluster_at_a_time(fit: Any) -> None:
    without = fit.fixef - fit.influence("g").dfbeta
    for kind in ("parametric", "case"):
        boot = fit.bootstrap(60, kind=kind, seed=1)
        np.testing.assert_allclose(boot._jackknife()[:, :2], without, atol=1e-6)
        limits = boot.confint("bca", 0.8, effects="fixed")
        assert (limits["conf_low"] < limits["estimate"]).all()
        assert (limits["estimate"] < limits["conf_high"]).all()


def test_samples_without_estimates_are_left_out_and_counted() -> None:
    data = grouped()
    data["only"] = (data["g"] == 4) * 1.0
    fit = ml.glmm("count ~ x + only + (1 | g)", data, family="poisson")
    boot = fit.bootstrap(100, kind="case", seed=1)
    times = draw_clusters(24, random_streams(100, np.random.SeedSequence(1)))
    np.testing.assert_array_equal(np.isnan(boot.replicates[:, 2]), times[4] == 0)
    assert boot.n_failed == (times[4] == 0).sum()
    assert f"{boot.n_failed} samples could not be fitted; left out." in str(boot)


def test_separated_samples_are_left_out() -> None:
    data = pd.DataFrame({"g": np.repeat(np.arange(8), 6), "t": np.repeat([0, 1], 24)})
    data["y"] = np.tile([0, 1, 1, 0, 1, 1], 8)
    data.loc[(data["t"] == 1) & (data["g"] != 5), "y"] = 1  # one group has the only failures of t = 1
    fit = ml.glmm("y ~ t + (1 | g)", data, family="binomial")
    times = np.ones((8, 2), np.int32)
    times[5, 0] = 0
    found = fit_samples(fit._working_model(), fit.optimum.theta, data["g"].to_numpy(np.int32), times)
    assert np.isnan(found.psi[0]).all()
    np.testing.assert_allclose(found.psi[1], fit.optimum.theta, atol=1e-5)


def test_crossed_factors_have_no_clusters() -> None:
    data = grouped()
    data["h"] = np.arange(len(data)) % 6
    fit = ml.glmm("count ~ x + (1 | g) + (1 | h)", data, family="poisson")
    with pytest.raises(ModelError, match=r"'g' and 'h' cross.*resample by kind=\"parametric\"\."):
        fit.bootstrap(10, kind="case")
    boot = fit.bootstrap(40, seed=1)
    with pytest.raises(ModelError, match='bca limits need some; use "percentile" or "basic" limits'):
        boot.confint("bca")


def test_limits_of_a_case_bootstrap_by_confint(fit: Any) -> None:
    table = fit.confint("bootstrap", n=60, kind="case", seed=1, level=0.9, effects="ran_pars", limits="bca")
    assert table["term"].tolist() == ["sd__(Intercept)"]
