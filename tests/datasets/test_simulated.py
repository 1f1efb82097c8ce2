"""The simulated data set can be made again from its seed, and shows what it was made to show."""

from __future__ import annotations

import io
import runpy
from pathlib import Path

import numpy as np
import pandas as pd

from multilevel import datasets

MAKER = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "make_income_blood_pressure.py"))


def test_it_is_what_the_script_makes() -> None:
    made, packaged = pd.read_csv(io.StringIO(MAKER["table"]())), datasets.income_blood_pressure()
    assert list(made["neighbourhood"]) == list(packaged["neighbourhood"])
    np.testing.assert_array_equal(made["income"], packaged["income"])
    np.testing.assert_array_equal(made["blood_pressure"], packaged["blood_pressure"])


def slope(x: pd.Series, y: pd.Series) -> float:
    return float(np.polyfit(x, y, 1)[0])


def test_the_three_slopes_contradict_each_other() -> None:
    data = datasets.income_blood_pressure()
    groups = data.groupby("neighbourhood", observed=True)[["income", "blood_pressure"]]
    means, deviations = groups.mean(), data[["income", "blood_pressure"]] - groups.transform("mean")
    pooled = slope(data["income"], data["blood_pressure"])
    between = slope(means["income"], means["blood_pressure"])
    within = slope(deviations["income"], deviations["blood_pressure"])
    assert (round(pooled, 2), round(between, 2), round(within, 2)) == (0.21, 0.46, -0.34)
