"""Expected ranks against the sum over all pairs, and limits against what draws say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

import multilevel as ml
from multilevel.clusters.ranks import expected_rank, rank_effects
from multilevel.errors import DataTypeError


def over_all_pairs(b: np.ndarray, variance: np.ndarray) -> np.ndarray:
    chance = ndtr((b[:, None] - b) / np.sqrt(variance[:, None] + variance))
    np.fill_diagonal(chance, 1.0)
    return chance.sum(axis=1)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 700), st.floats(-8.0, 2.0), st.integers(0, 2**32 - 1))
def test_each_pair_is_looked_at_once(n_levels: int, log_variance: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    b, variance = rng.normal(size=n_levels), 10.0**log_variance * rng.uniform(0.1, 10.0, n_levels)
    np.testing.assert_allclose(expected_rank(b, variance), over_all_pairs(b, variance), rtol=1e-12)


def test_effects_that_are_known_have_their_ranks_and_ties_share_them() -> None:
    b = np.array([3.0, 1.0, 2.0, 1.0])
    np.testing.assert_allclose(expected_rank(b, np.zeros(4)), [4.0, 1.5, 3.0, 1.5])
    np.testing.assert_allclose(expected_rank(np.zeros(5), np.zeros(5)), 3.0)


def test_expected_ranks_add_up_to_those_of_places() -> None:
    rng = np.random.default_rng(1)
    ranks = expected_rank(rng.normal(size=300), rng.uniform(0.0, 2.0, 300))
    assert ranks.sum() == pytest.approx(300 * 301 / 2)


def test_a_level_known_badly_is_drawn_to_the_middle() -> None:
    b = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    known, blurred = (expected_rank(b, np.full(5, v))[-1] for v in (0.01, 1.0))
    assert 3.0 < blurred < known <= 5.0


def test_draws_agree_with_expectation_and_depend_on_the_seed_alone() -> None:
    rng = np.random.default_rng(3)
    b, sd = rng.normal(size=(30, 2)), rng.uniform(0.1, 1.0, (30, 2))
    ranks = rank_effects(b, sd, 0.8, 2000, 1)
    np.testing.assert_array_equal(ranks.low, rank_effects(b, sd, 0.8, 2000, 1).low)
    drawn = b[:, 0] + sd[:, 0] * rng.standard_normal((4000, 30))
    places = np.argsort(np.argsort(drawn, axis=1), axis=1) + 1.0
    np.testing.assert_allclose(ranks.expected[:, 0], places.mean(axis=0), atol=5 * 9.0 / np.sqrt(4000))
    low, high = np.quantile(places, [0.1, 0.9], axis=0)
    np.testing.assert_allclose(ranks.low[:, 0], low, atol=1.0)
    np.testing.assert_allclose(ranks.high[:, 0], high, atol=1.0)


# ---- in the table of random effects ----

SLOPES = "Reaction ~ Days + (1 + Days | Subject)"


def test_ranks_stand_in_the_table_column_by_column(sleepstudy: pd.DataFrame) -> None:
    fit = ml.lmm(SLOPES, sleepstudy)
    table = fit.ranef(ranks=True, seed=1)
    for column in ("Intercept", "Days"):
        mine = table[table["term"] == column]
        expected = over_all_pairs(mine["estimate"].to_numpy(), mine["std_error"].to_numpy() ** 2)
        np.testing.assert_allclose(mine["expected_rank"], expected)
        np.testing.assert_allclose(mine["percentile_rank"], 100.0 * (expected - 0.5) / 18.0)
        assert (mine["rank_low"] <= mine["rank_high"]).all()
    np.testing.assert_array_equal(fit.ranef()["expected_rank"], table["expected_rank"])
    assert "expected_rank" not in fit.ranef(ranks=False)


def test_many_levels_are_ranked_on_request_only(
    sleepstudy: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multilevel.results.ranks.MOST_LEVELS", 17)
    fit = ml.lmm(SLOPES, sleepstudy)
    assert fit.ranef()["expected_rank"].isna().all()
    assert fit.ranef(ranks=True, n=10)["expected_rank"].notna().all()


def test_ranks_is_a_switch(sleepstudy: pd.DataFrame) -> None:
    with pytest.raises(DataTypeError, match="ranks="):
        ml.lmm(SLOPES, sleepstudy).ranef(ranks="yes")  # type: ignore[arg-type]
