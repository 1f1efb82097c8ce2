"""A sandwich that knows that weights were estimated: the stacked equations written out."""

import numpy as np
import pytest

import multilevel as ml
from longitudinal import drop_out, trial
from multilevel.errors import DataError
from multilevel.inference.weighted_scores import (
    corrected_scores,
    dropout_scores_of,
    projected_scores,
    score_slopes,
)


def weighted_problem(level, numerator=None):
    data = drop_out(trial(n_groups=120))
    weights = ml.dropout_weights(data, "id", "week", "~ y + arm", numerator=numerator, level=level)
    fit = ml.ols("y ~ week * arm", data, weights=weights)
    rows = fit.design.X * (weights.weights * fit.record.residuals)[:, None]
    return weights.model, fit.design.X, rows


def by_group(rows, codes):
    total = np.zeros((codes.max() + 1, rows.shape[1]))
    np.add.at(total, codes, rows)
    return total


@pytest.mark.parametrize(
    ("level", "numerator"), [("observation", None), ("cluster", None), ("observation", "~ arm")]
)
def test_corrected_scores_are_the_stacked_sandwich(level, numerator):
    model, X, rows = weighted_problem(level, numerator)
    U = by_group(rows, model.codes)
    G = score_slopes(rows, model.weights, model.weight_slopes)
    A = (X.T * model.weights) @ X
    p, r = X.shape[1], len(model.names)
    bread = np.linalg.inv(np.block([[A, -G], [np.zeros((r, p)), model.information]]))
    stacked = np.hstack([U, model.scores])
    expected = (bread @ stacked.T @ stacked @ bread.T)[:p, :p]
    E = corrected_scores(U, model.scores, model.information, G)
    inverse = np.linalg.inv(A)
    np.testing.assert_allclose(inverse @ E.T @ E @ inverse, expected, rtol=1e-9)


@pytest.mark.parametrize("numerator", [None, "~ arm * factor(week)"])
def test_projection_makes_variances_smaller_and_is_near_the_derivative(numerator):
    model, X, rows = weighted_problem("observation", numerator)
    U = by_group(rows, model.codes)
    inverse = np.linalg.inv((X.T * model.weights) @ X)
    G = score_slopes(rows, model.weights, model.weight_slopes)
    stay = dropout_scores_of(model, model.groups)
    assert stay.shape == (120, 3)
    plain, projected, derived = (
        np.sqrt(np.diag(inverse @ E.T @ E @ inverse))
        for E in (U, projected_scores(U, stay), corrected_scores(U, model.scores, model.information, G))
    )
    assert (projected <= plain).all()
    np.testing.assert_allclose(projected, derived, rtol=0.1)  # equal as groups grow many; here 120


def test_scores_that_do_not_vary_project_away_nothing():
    U = np.array([[1.0, 2.0], [3.0, -1.0]])
    np.testing.assert_array_equal(projected_scores(U, np.zeros((2, 1))), U)


def test_groups_are_found_by_label():
    model = weighted_problem("observation")[0]
    chosen = model.groups[5], model.groups[2]
    np.testing.assert_array_equal(dropout_scores_of(model, chosen), model.scores[[5, 2]])
    with pytest.raises(DataError, match=r"know nothing of 1 .* \(nobody"):
        dropout_scores_of(model, ("nobody",))
