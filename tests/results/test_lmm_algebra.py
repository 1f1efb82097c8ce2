"""What a fit says must not depend on the order of rows, the names of groups or the units of the response."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multilevel as ml
from reference_cases import load_data

SLOPES = "Reaction ~ Days + (1 + Days | Subject)"
SLEEP = load_data("sleepstudy")[["Reaction", "Days", "Subject"]]
FIT = ml.lmm(SLOPES, SLEEP)
RTOL = 1e-6  # the search stops at about 1e-10 in the criterion, which is 1e-5 of a standard error in theta


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(seed):
    order = np.random.default_rng(seed).permutation(len(SLEEP))
    fit = ml.lmm(SLOPES, SLEEP.iloc[order])
    assert fit.criterion == pytest.approx(FIT.criterion, abs=1e-8)
    np.testing.assert_allclose(fit.fitted, FIT.fitted[order], rtol=RTOL)
    np.testing.assert_allclose(fit.ranef()["estimate"], FIT.ranef()["estimate"], rtol=1e-4)
    np.testing.assert_allclose(fit.ranef()["raw_deviation"], FIT.ranef()["raw_deviation"], rtol=1e-5)
    ours = fit.predict(interval="prediction").to_numpy()
    np.testing.assert_allclose(ours, FIT.predict(interval="prediction").to_numpy()[order], rtol=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(18)))
def test_the_names_of_groups_do_not_matter(names):
    labels = {level: f"s{new:02d}" for level, new in zip(SLEEP["Subject"].cat.categories, names, strict=True)}
    fit = ml.lmm(SLOPES, SLEEP.assign(Subject=SLEEP["Subject"].astype(str).map(labels)))
    np.testing.assert_allclose(fit.fitted, FIT.fitted, rtol=RTOL)
    renamed = FIT.coef().assign(level=lambda table: table["level"].map(labels)).sort_values("level")
    np.testing.assert_allclose(fit.coef()["Days"], renamed["Days"], rtol=1e-4)


@settings(max_examples=10, deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_the_units_of_the_response_scale_what_has_units(scale, shift):
    fit = FIT.refit(scale * SLEEP["Reaction"] + shift)
    np.testing.assert_allclose(fit.fixef, [scale * FIT.fixef[0] + shift, scale * FIT.fixef[1]], rtol=1e-5)
    np.testing.assert_allclose(fit.se, scale * FIT.se, rtol=1e-5)
    np.testing.assert_allclose(fit.ranef()["std_error"], scale * FIT.ranef()["std_error"], rtol=1e-4)
    np.testing.assert_allclose(fit.ranef()["reliability"], FIT.ranef()["reliability"], rtol=1e-4)
    assert fit.icc()["icc"][0] == pytest.approx(FIT.icc()["icc"][0], rel=1e-5)


def test_counted_rows_are_repeated_rows():
    counts = np.tile([1.0, 2.0, 3.0], 60)
    counted = ml.lmm(SLOPES, SLEEP, freq_weights=counts)
    repeated = ml.lmm(SLOPES, SLEEP.loc[SLEEP.index.repeat(counts.astype(int))].reset_index(drop=True))
    assert counted.nobs == repeated.nobs
    assert counted.bic == pytest.approx(repeated.bic, abs=1e-6)
    assert str(counted.summary().blocks[0]) == str(repeated.summary().blocks[0])  # quantiles of the residuals
    for column in ("estimate", "std_error", "raw_deviation", "reliability"):
        np.testing.assert_allclose(counted.ranef()[column], repeated.ranef()[column], rtol=1e-4)
