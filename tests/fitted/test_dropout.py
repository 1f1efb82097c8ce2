"""Weights for dropout by hand, their slopes by differences, and scores that sum to zero."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from multilevel.fitted.assemble_dropout import assemble_dropout, risk_set, truncated
from multilevel.fitted.dropout import StayModel

OBSERVED = np.array(
    [[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=bool
)
CODES, VISIT = (each.astype(np.int32) for each in np.nonzero(OBSERVED))
GROUPS = tuple("abcdefgh")


@pytest.fixture
def risk():
    return risk_set(OBSERVED, CODES, VISIT)


def model_at(risk, beta):
    x = np.linspace(-1.0, 1.0, len(CODES))[risk.at_risk]
    X = np.column_stack([np.ones(len(x)), x])
    return StayModel(("Intercept", "x"), beta, X, risk.stays[risk.at_risk], expit(X @ beta))


def test_who_is_followed(risk):
    followed = np.zeros_like(OBSERVED)
    followed[CODES, VISIT] = risk.followed
    expected = np.logical_and.accumulate(OBSERVED, axis=1)
    np.testing.assert_array_equal(followed, expected)
    assert risk.at_risk.sum() == expected[:, :2].sum()
    assert risk.stays[risk.at_risk].sum() == expected[:, 1:].sum()


def test_weights_by_hand(risk):
    model = model_at(risk, np.array([0.5, -0.3]))
    p = np.full(OBSERVED.shape, np.nan)
    p[CODES[risk.at_risk], VISIT[risk.at_risk]] = model.probability
    weights = assemble_dropout(GROUPS, risk, model, None, "observation", None).weights
    expected = {(0, 0): 1.0, (0, 1): 1 / p[0, 0], (0, 2): 1 / (p[0, 0] * p[0, 1]), (1, 1): 1 / p[1, 0]}
    for (group, time), value in expected.items():
        assert weights[(group == CODES) & (time == VISIT)][0] == pytest.approx(value, rel=1e-12)
    assert np.isnan(weights[(CODES == 3) & (VISIT == 2)]).all()  # after a gap
    assert np.isnan(weights[CODES == 4]).all()  # never seen at first
    whole = assemble_dropout(GROUPS, risk, model, None, "cluster", None).weights
    left = 1 / (p[1, 0] * (1 - p[1, 1]))
    np.testing.assert_allclose(whole[CODES == 1], [left, left], rtol=1e-12)
    np.testing.assert_allclose(whole[CODES == 2], [1 / (1 - p[2, 0])], rtol=1e-12)


def test_weights_of_shares_restore_the_start(risk):
    # with one probability a time, weighted counts of those followed equal those at the first time
    X = np.column_stack([VISIT == 0, VISIT == 1])[risk.at_risk].astype(float)
    stays = risk.stays[risk.at_risk]
    shares = np.array([stays[X[:, t] == 1.0].mean() for t in range(2)])
    model = StayModel(("first", "second"), np.zeros(2), X, stays, X @ shares)
    weights = assemble_dropout(GROUPS, risk, model, None, "observation", None).weights
    sums = [np.nansum(weights[t == VISIT]) for t in range(3)]
    np.testing.assert_allclose(sums, 7.0, rtol=1e-9)
    same = assemble_dropout(GROUPS, risk, model, model, "observation", None)
    np.testing.assert_allclose(same.weights[risk.followed], 1.0, rtol=1e-12)


@pytest.mark.parametrize("level", ["observation", "cluster"])
def test_slopes_are_derivatives(risk, level):
    beta = np.array([0.4, 0.7])
    top = model_at(risk, np.array([0.2, 0.1]))
    found = assemble_dropout(GROUPS, risk, model_at(risk, beta), top, level, None)
    for k in range(2):
        step = np.eye(2)[k] * 1e-6
        up, down = (
            assemble_dropout(GROUPS, risk, model_at(risk, beta + sign * step), top, level, None).weights
            for sign in (1.0, -1.0)
        )
        slope = np.where(risk.followed, (up - down) / 2e-6, 0.0)
        np.testing.assert_allclose(found.weight_slopes[:, k], slope, atol=1e-7)
    assert found.names == ("Intercept", "x", "Intercept", "x")
    assert found.weight_slopes.shape == (len(CODES), 4)
    assert found.information[0, 2] == 0.0


def test_scores_of_groups(risk):
    model = model_at(risk, np.array([0.4, 0.7]))
    found = assemble_dropout(GROUPS, risk, model, None, "observation", None)
    np.testing.assert_allclose(found.scores.sum(axis=0), model.scores.sum(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(found.scores[4], 0.0)
    own = (risk.at_risk & (CODES == 0))[risk.at_risk]
    np.testing.assert_allclose(
        found.scores[0], model.X[own].T @ (model.stays - model.probability)[own], rtol=1e-12
    )


def test_truncated_weights_do_not_move(risk):
    model = model_at(risk, np.array([0.4, 0.7]))
    free = assemble_dropout(GROUPS, risk, model, None, "observation", None)
    bounded = assemble_dropout(GROUPS, risk, model, None, "observation", (0.1, 0.8))
    assert np.nanmax(bounded.weights) == np.nanquantile(free.weights, 0.8)
    moved = np.abs(bounded.weights - free.weights) > 0
    assert moved.any()
    assert (bounded.weight_slopes[moved] == 0.0).all()
    np.testing.assert_array_equal(truncated(free.weights, None), free.weights)
    assert replace(bounded, weights=free.weights).groups == GROUPS
