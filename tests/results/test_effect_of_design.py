"""`ml.design_effect` against R, the course, simulation, and misuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import multilevel as ml
from multilevel.errors import DataError, DataTypeError, ModelError
from reference_cases import case_data, case_names, load_case

SLEEP = ml.datasets.sleepstudy()


@pytest.mark.parametrize("name", case_names("icc_"))
def test_with_the_mean_size_it_is_rs(name: str) -> None:
    case = load_case(name)
    found = ml.design_effect(m=case["dims"]["mean_group_size"], icc=case["icc"]["ICC1"])
    assert found["deff"][0] == pytest.approx(case["icc"]["design_effect"], rel=1e-9)


@pytest.mark.parametrize("name", case_names("icc_"))
def test_in_data_sizes_are_weighed_by_themselves(name: str) -> None:
    case = load_case(name)
    found = ml.design_effect(case_data(case), case["spec"]["response"], groups=case["spec"]["group"])
    n = np.array(case["group_means"]["n"])
    size = (n**2).sum() / n.sum()
    assert found["deff"][0] == pytest.approx(1.0 + (size - 1.0) * case["icc"]["ICC1"], rel=1e-9)
    assert found["n_effective"][0] == pytest.approx(n.sum() / found["deff"][0], rel=1e-12)


def test_the_figures_of_the_course() -> None:
    found = ml.design_effect(m=30, icc=0.25, n_groups=10)
    assert found["deff"][0] == 8.25
    assert found["se_ratio"][0] == pytest.approx(2.87, abs=5e-3)
    assert found["n_effective"][0] == pytest.approx(36, abs=0.5)
    assert "300 observations are worth 36 independent" in " ".join(str(found).split())


def test_days_have_a_naive_standard_error_that_is_too_large() -> None:
    found = ml.design_effect(SLEEP, "Reaction", groups="Subject", x="Days")
    naive = ml.ols("Reaction ~ Days", SLEEP)
    mixed = ml.lmm("Reaction ~ Days + (1 | Subject)", SLEEP)
    # least squares estimates the variance of an observation with divisor N - 2, a little too large here
    assert found["se_ratio"][1] == pytest.approx(mixed.se[1] / naive.se[1], rel=0.02)
    assert "naive standard errors are too large" in " ".join(str(found).split())


def test_treatment_of_schools_has_one_that_is_too_small() -> None:
    demo = ml.datasets.course_demo_10x30()
    found = ml.design_effect(demo, "y", groups="school", x="treatment")
    ratio = ml.lmm("y ~ treatment + (1 | school)", demo).se[1] / ml.ols("y ~ treatment", demo).se[1]
    assert ratio == pytest.approx(2.798, abs=5e-4)
    assert found["se_ratio"][1] == pytest.approx(ratio, rel=0.03)
    assert found["icc_x"][1] == pytest.approx(1.0)


def test_standard_errors_in_simulated_samples_are_as_foretold() -> None:
    rng, codes = np.random.default_rng(1), np.repeat(np.arange(12), np.tile([3, 6, 9], 4))
    x = rng.standard_normal(len(codes)) + 0.7 * rng.standard_normal(12)[codes]
    found = ml.design_effect({"g": codes, "x": x}, groups="g", x="x", icc=0.4)
    y = np.sqrt(0.4) * rng.standard_normal((4000, 12))[:, codes]
    y += np.sqrt(0.6) * rng.standard_normal(y.shape)
    centred = x - x.mean()
    spread = [(y @ centred / (centred @ centred)).std(), y.mean(axis=1).std()]
    independent = [1.0 / np.sqrt(centred @ centred), 1.0 / np.sqrt(len(codes))]
    foretold = found["se_ratio"][::-1] * independent
    np.testing.assert_allclose(spread, foretold, rtol=3 / np.sqrt(2 * 4000))  # three standard errors


def test_several_predictors_are_taken_one_by_one() -> None:
    pupils = ml.datasets.hsb82()
    table = ml.design_effect(pupils, "mAch", groups="school", x=["ses", "meanses", "sx"])
    alone = ml.design_effect(pupils, "mAch", groups="school", x="ses")
    assert list(table["term"]) == ["mean", "ses", "meanses", "sx"]
    assert table["deff"][1] == alone["deff"][1]
    assert table["deff"][2] > 1.0


def test_groups_needed_give_the_precision_of_independent_observations() -> None:
    found = ml.design_effect(m=30, icc=0.25, n_groups=10)
    needed = found["groups_needed"][0]
    assert needed == 83
    enough = ml.design_effect(m=30, icc=0.25, n_groups=int(needed))
    assert enough["n_effective"][0] >= 300
    assert ml.design_effect(m=30, icc=0.25, n_groups=82)["n_effective"][0] < 300
    many = ml.design_effect(m=1e9, icc=0.25, n_groups=10)
    assert many["n_effective"][0] == pytest.approx(40.0)
    assert "worth at most k / ICC = 40" in " ".join(str(found).split())


def test_a_negative_icc_is_no_promise(dyestuff2: pd.DataFrame) -> None:
    found = ml.design_effect(dyestuff2, "Yield", groups="Batch")
    assert found["deff"][0] < 1.0
    assert "a design effect of 1 is the safer figure" in " ".join(str(found).split())
    impossible = ml.design_effect(m=[1, 30], icc=-0.5)
    assert np.isnan(impossible["se_ratio"][0])
    assert "no population has so negative an ICC" in " ".join(str(impossible).split())


def test_sizes_alone_will_do() -> None:
    sizes = ml.design_effect(m=[10, 20, 30], icc=0.1)
    assert sizes.size == pytest.approx(1400 / 60)
    assert sizes.n_obs == 60
    unknown = ml.design_effect(m=20, icc=0.1, icc_x=-0.05)
    assert np.isnan(unknown["n_effective"]).all()
    assert list(unknown["term"]) == ["mean", "x"]
    assert "effective n" not in str(unknown)


def test_counted_rows_are_repeated_rows() -> None:
    counts = np.tile([1, 2, 0], 60)
    repeated = SLEEP.loc[SLEEP.index.repeat(counts)]
    counted = ml.design_effect(SLEEP, "Reaction", groups="Subject", x="Days", freq_weights=counts)
    by_rows = ml.design_effect(repeated, "Reaction", groups="Subject", x="Days")
    pd.testing.assert_frame_equal(counted.frame, by_rows.frame)


@pytest.mark.parametrize(("scale", "shift"), [(1e-3, 1e6), (-5.0, 0.0)])
def test_units_and_the_order_of_rows_do_not_matter(scale: float, shift: float) -> None:
    changed = SLEEP.assign(Reaction=7.0 * SLEEP["Reaction"], Days=scale * SLEEP["Days"] + shift).iloc[::-1]
    pd.testing.assert_frame_equal(
        ml.design_effect(changed, "Reaction", groups="Subject", x="Days").frame,
        ml.design_effect(SLEEP, "Reaction", groups="Subject", x="Days").frame,
        rtol=1e-6,
    )


def test_limits_of_the_icc_are_carried_over() -> None:
    text = " ".join(str(ml.design_effect(SLEEP, "Reaction", groups="Subject")).split())
    assert "95% limits 0.233 to 0.620, which make the DEFF of the mean 3.10 to 6.58" in text


def test_tables_come_back_in_the_users_kind_of_frame() -> None:
    found = ml.design_effect(pl.from_pandas(SLEEP), "Reaction", groups="Subject", x="Days")
    assert isinstance(found.frame, pl.DataFrame)
    assert found._repr_html_().startswith("<div")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, DataError, "needs m= and icc="),
        ({"m": 30}, DataError, "needs m= and icc="),
        ({"m": 30, "icc": 2.0}, DataError, "between -1 and 1"),
        ({"m": 30, "icc": "0.2"}, DataTypeError, "icc= is a number"),
        ({"m": 30, "icc": True}, DataTypeError, "icc= is a number"),
        ({"m": 0, "icc": 0.2}, DataError, "each 1 or more"),
        ({"m": [10, 20], "icc": 0.2, "n_groups": 3}, DataError, "leave n_groups out"),
        ({"m": 30, "icc": 0.2, "n_groups": 0}, DataError, "n_groups=0"),
        ({"m": 30, "icc": 0.2, "y": "y"}, DataError, "y= needs data"),
        ({"data": SLEEP, "y": "Reaction"}, DataError, "needs groups="),
        ({"data": SLEEP, "groups": "Subject"}, DataError, "needs y"),
        ({"data": SLEEP, "y": "Reaction", "groups": "Subject", "m": 3}, DataError, "m= is not for data"),
        ({"data": SLEEP, "y": "Reaction", "groups": "Subject", "x": [3]}, DataTypeError, "x= takes"),
        (
            {"data": SLEEP, "y": "Reaction", "groups": "Subject", "x": "Reaction"},
            ModelError,
            "too little is left of 'Reaction'",
        ),
        (
            {"data": SLEEP.assign(c=1.0), "y": "Reaction", "groups": "Subject", "x": "c"},
            DataError,
            "'c' is 1 in every row",
        ),
    ],
)
def test_errors_say_what_is_wrong(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ml.design_effect(**arguments)
