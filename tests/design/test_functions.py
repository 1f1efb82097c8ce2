"""What the functions of a formula compute: R's numbers, and the same on new data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from design_data import design, mixed_data
from multilevel.errors import DataError

X = np.array([0, 1, 2, 3.5, 5, 8, 13, 21])
NEW = np.array([-1, 4, 30.0])


def by_column(n: int, numbers: str) -> np.ndarray:
    return np.array(numbers.split(), dtype=float).reshape(-1, n)


# R: x <- c(0,1,2,3.5,5,8,13,21); p <- poly(x, 3); predict(p, c(-1, 4, 30)); scale(x)
POLY = by_column(
    8,
    """
    -0.353214191413832 -0.300397116062232 -0.24758004071063 -0.168354427683229
    -0.0891288146558269 0.0693224113989765 0.333407788156982 0.755944390969791
    0.421533825559979 0.249068637097051 0.0942710970031502 -0.104798372445772
    -0.264115633064379 -0.463493527810651 -0.442437051673864 0.509971025334484
    -0.44704393066214 -0.100966356692689 0.144899094518609 0.349528148043899
    0.389696343054456 0.123089559990025 -0.662235184700589 0.203032326448429
    """,
)
POLY_NEW = by_column(
    3,
    """
    -0.406031266765434 -0.141945890007428 1.2312980691342
    0.611666662391937 -0.162321038077565 2.93300521219957
    -0.904180990534825 0.379383081247096 10.3833042576731
    """,
)
SCALED = by_column(
    8,
    """
    -0.934516910019767 -0.794776063661671 -0.655035217303575 -0.445423947766431
    -0.235812678229287 0.183409860845001 0.882114092635481 2.00004086350025
    """,
)
# R: library(splines); ns(x, df = 3); bs(x, df = 4); predict(..., c(-1, 4, 30))
NS = by_column(
    8,
    """
    0 -0.101722702530538 -0.171353381991544 -0.154825546121123
    -0.0136478740440346 0.322423612430195 0.42749548249686 -0.162433364691126
    0 0.242458800456583 0.448319136280176 0.618237767673929
    0.63359643196507 0.493623881618805 0.362155494677807 0.377077453747256
    0 -0.13801500949067 -0.255197046805638 -0.351550359690944
    -0.354887578574342 -0.219982040840689 0.116214071547525 0.78535591094387
    """,
)
NS_NEW = by_column(
    3,
    """
    0.107071373042127 -0.117695541147737 -1.02602696770147
    -0.248558544562081 0.636957247522295 0.453276889306993
    0.141487171519954 -0.361328262726828 1.57275007839448
    """,
)
BS = by_column(
    8,
    """
    0 0.522375501527024 0.742523537673431 0.71864893592962
    0.554506379666294 0.297424442413781 0.0693132974582868 0
    0 0.0299100032169731 0.104826244223179 0.252979623221838
    0.379154082365106 0.473625375003347 0.320315369037643 0
    0 0.000533546752034147 0.00426837401627318 0.0228758169934641
    0.0662497662879074 0.217728722496359 0.467817229442068 0
    0 0 0 0
    8.97716806921064e-05 0.0112214600865133 0.142554104062002 1
    """,
)
BS_NEW = by_column(
    3,
    """
    -0.921782323079174 0.664854638510537 -0.0986902223575998
    0.0373168875393295 0.300794827735016 1.01194302626375
    -0.000533546752034147 0.0341469921301854 -3.54643574196701
    0 0 3.63318293806087
    """,
)


@pytest.mark.parametrize(
    ("term", "here", "on_new"),
    [
        ("poly(x, 3)", POLY, POLY_NEW),
        ("poly(x, degree = 2, raw = TRUE)", [X, X**2], [NEW, NEW**2]),
        ("ns(x, df = 3)", NS, NS_NEW),
        ("bs(x, df = 4)", BS, BS_NEW),
        ("scale(x)", SCALED, [(NEW - X.mean()) / X.std(ddof=1)]),
        ("scale(x, scale = FALSE)", [X - X.mean()], [NEW - X.mean()]),
        ("center(x)", [X - X.mean()], [NEW - X.mean()]),
        ("I(x - mean(x))", [X - X.mean()], [NEW - X.mean()]),
        ("I(x / sd(x) + max(x) * min(x) - median(x) + var(x))", None, None),
        ("scale(log(x + 1))", None, None),
        ("log(x + 1, 10)", [np.log10(X + 1)], None),
        ("log2(x + 1)", [np.log2(X + 1)], None),
        ("sqrt(x)", [np.sqrt(X)], None),
        ("I(x^2)", [X**2], [NEW**2]),
        ("I(-x^2)", [-(X**2)], [-(NEW**2)]),
        ("I(x %% 2)", [X % 2], None),
        ("I(pi * x)", [np.pi * X], [np.pi * NEW]),
        ("ifelse(x > 3, x, 0)", [np.where(X > 3, X, 0)], None),
        ("pmin(x, 4)", [np.minimum(X, 4)], [np.minimum(NEW, 4)]),
        ("np.log1p(x)", [np.log1p(X)], None),
        ("abs(x - 4)", [abs(X - 4)], [abs(NEW - 4)]),
    ],
)
def test_values_are_rs_and_new_data_are_coded_alike(term: str, here: Any, on_new: Any) -> None:
    y = np.arange(8.0)
    made = design(f"y ~ 0 + {term}", {"y": y, "x": X})
    if here is not None:
        np.testing.assert_allclose(made.X.T, here, rtol=1e-12, atol=1e-13)
    if on_new is not None:
        np.testing.assert_allclose(made.encoder.encode({"x": NEW}).X.T, on_new, rtol=1e-11, atol=1e-13)
    part = made.encoder.encode({"x": X[2:5]})  # what a row holds does not depend on the rows beside it
    np.testing.assert_allclose(part.X, made.X[2:5], rtol=1e-12, atol=1e-14)


def test_splines_with_given_knots_and_intercept() -> None:
    data = {"y": np.arange(8.0), "x": X}
    basis = design("y ~ 0 + bs(x, knots = c(3, 9), Boundary.knots = c(-2, 30), intercept = TRUE)", data)
    assert basis.X.shape == (8, 6)
    np.testing.assert_allclose(basis.X.sum(axis=1), 1.0, rtol=1e-12)  # B-splines add up to one
    natural = design("y ~ 0 + ns(x, knots = 3)", data).encoder.encode({"x": np.array([22.0, 23, 24, 40])})
    slopes = np.diff(natural.X, axis=0) / np.array([1, 1, 16.0])[:, None]
    np.testing.assert_allclose(slopes - slopes[0], 0, atol=1e-12)  # straight beyond the last knot


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("poly(h, 4)", "degree 4 needs more than 4 distinct values"),
        ("bs(x, df = 2)", "at least 1 more degrees of freedom"),
        ("log(text)", "'text' holds labels, not numbers"),
        ("I(3)", "one value for each row"),
        ("log(x)", r"'log\(x\)' is not finite in rows .* \(counted from 0\)"),
        ("I(x / 0)", "not finite"),
        ("scale(0 * x)", "not finite"),
    ],
)
def test_what_cannot_be_computed_is_named(term: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        design(f"y ~ {term}", mixed_data())


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("poly(text, 2)", "'text' holds labels, not numbers"),
        ("scale(text)", "'text' holds labels, not numbers"),
        ("log(text)", "'text' holds labels, not numbers"),
        ("C(text, base='v')", "unexpected keyword argument 'base'.*write relevel"),
        ("within(x)", r"missing a required argument: 'groups'; it takes within\(x, groups\)"),
        ("within(x, g, g)", r"too many positional arguments; it takes within\(x, groups\)"),
        ("log(x, bas=2)", r"'bas'; it takes log\(x, base\)"),
        ("ifelse(text == 'u', 1)", r"'no'; it takes ifelse\(condition, yes, no\)"),
    ],
)
def test_a_call_that_does_not_fit_says_what_does(term: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        design(f"y ~ {term}", mixed_data())


def test_raw_and_orthogonal_polynomials_number_their_columns_alike() -> None:
    assert design("y ~ poly(x, 2, raw=TRUE)", mixed_data()).coef_names[1:] == (
        "poly(x, 2, raw=True)[1]",
        "poly(x, 2, raw=True)[2]",
    )
    assert design("y ~ poly(x, 2)", mixed_data()).coef_names[1:] == ("poly(x, 2)[1]", "poly(x, 2)[2]")
