"""Is the constant found wherever it hides, and only there?"""

import numpy as np
import pytest

from multilevel.estimation.centring import centre, constant_combination

X = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 3.0])
A = np.array([0, 0, 1, 1, 2, 2])[:, None] == np.arange(3)
B = np.array([0, 1, 0, 1, 0, 1])[:, None] == np.arange(2)


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param([np.ones(6), X], id="intercept"),
        pytest.param([X, np.full(6, -7.0)], id="constant of another value, last"),
        pytest.param([A, X], id="all dummies of a factor"),
        pytest.param([A, B[:, 1:], X], id="a second factor beside"),
        pytest.param([A[:, :2] @ [1.0, 1.0], A[:, 2], X], id="pooled dummies"),
    ],
)
def test_constant_is_found(columns):
    design = np.column_stack(columns).astype(float)
    one = constant_combination(design)
    np.testing.assert_allclose(design @ one, 1.0, rtol=1e-14)


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param([X], id="no intercept"),
        pytest.param([np.zeros(6), X], id="a column of zeros"),
        pytest.param([A[:, 1:], X], id="reduced dummies"),
        pytest.param([A[:, 1:], B, X][::2], id="dummies that leave rows out"),
    ],
)
def test_constant_is_not_imagined(columns):
    assert constant_combination(np.column_stack(columns).astype(float)) is None


def test_overlapping_indicators_that_do_not_add_up():
    design = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    assert constant_combination(design) is None


def test_centring_there_and_back():
    design = np.column_stack([A, X]).astype(float)
    centring = centre(design, None)
    beta = np.array([1.0, 2.0, 3.0, 0.5])
    centred_beta = beta + centring.one * (centring.shift @ beta)  # y = X beta = Xc c, unmoved
    np.testing.assert_allclose(centring.columns(design) @ centred_beta, design @ beta)
    np.testing.assert_allclose(centring.coefficients(centred_beta, 0.0), beta)
    np.testing.assert_allclose(centring.contrasts(design), centring.columns(design), atol=1e-12)
