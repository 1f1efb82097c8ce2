"""Designs of the physician-patient-clinic kind, simulated: their variances are found again."""

from __future__ import annotations

import numpy as np
import pytest

import multilevel as ml
from clinic_designs import clinic_data


@pytest.mark.parametrize(
    ("policy", "formula"),
    [
        ("within", "y ~ x + (1 | clinic) + (1 | clinic:patient) + (1 | clinic:physician)"),
        ("across", "y ~ x + (1 | patient) + (1 | clinic) + (1 | clinic:physician)"),
    ],
)
def test_variances_are_recovered(policy, formula):
    data, true = clinic_data(1, policy)
    fit = ml.lmm(formula, data)
    found = {term.group.split(":")[-1]: term.sd[0] for term in fit.record.terms}
    assert fit.converged
    assert not fit.singular
    # sixty clinics know their standard deviation to 10%, 480 physicians and 2,400 patients to 5% and 3%
    assert found["clinic"] == pytest.approx(true["clinic"], rel=0.3)
    assert found["physician"] == pytest.approx(true["physician"], rel=0.15)
    assert found["patient"] == pytest.approx(true["patient"], rel=0.1)
    assert fit.sigma == pytest.approx(true["residual"], rel=0.05)
    assert fit.fixef[1] == pytest.approx(0.5, abs=4 * fit.se[1])


def test_the_labels_of_nested_levels_do_not_matter():
    data, _ = clinic_data(2, "within")
    named = dict(data)
    named["physician"] = data["clinic"] * 8 + data["physician"]  # a number of their own
    one = ml.lmm("y ~ x + (1 | clinic) + (1 | patient) + (1 | clinic:physician)", data)
    two = ml.lmm("y ~ x + (1 | clinic) + (1 | patient) + (1 | physician)", named)
    three = ml.lmm("y ~ x + (1 | clinic / patient) + (1 | clinic:physician)", data)
    assert two.criterion == pytest.approx(one.criterion, abs=1e-7)
    assert three.criterion == pytest.approx(one.criterion, abs=1e-7)


@pytest.mark.parametrize("unit", [1e-8, 1e8])
@pytest.mark.parametrize("level", [0.0, 1e12])
def test_numbers_survive_large_levels_and_units(level, unit):
    """y around 1e12 with unit noise: its own spacing is 1e-4, which is what the estimates can keep."""
    rng = np.random.default_rng(5)
    g, x = np.repeat(np.arange(30), 12), rng.normal(size=360)
    y = 1.0 + x + rng.normal(size=30)[g] + 0.5 * rng.normal(size=30)[g] * x + rng.normal(size=360)
    plain = ml.lmm("y ~ x + (1 + x | g)", {"y": y, "x": x, "g": g})
    moved = ml.lmm("y ~ x + (1 + x | g)", {"y": y + level, "x": x * unit, "g": g})
    digits = 1e-9 if level == 0.0 else 2e-4
    assert moved.converged
    assert moved.sigma == pytest.approx(plain.sigma, rel=digits)
    assert moved.fixef[1] * unit == pytest.approx(plain.fixef[1], rel=10 * digits)
    assert moved.record.terms[0].sd[0] == pytest.approx(plain.record.terms[0].sd[0], rel=10 * digits)
    assert moved.record.terms[0].sd[1] * unit == pytest.approx(plain.record.terms[0].sd[1], rel=10 * digits)


def test_constant_within_groups_is_refused():
    """Nothing varies within a group: the likelihood has no maximum."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(30), 5)
    with pytest.raises(ml.errors.ModelError, match="fits the response exactly"):
        ml.lmm("y ~ 1 + (1 | g)", {"y": rng.normal(size=30)[g], "g": g})
