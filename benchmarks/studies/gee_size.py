"""With ten clusters, how often do tests of estimating equations reject a hypothesis that is true?

Two predictors that do nothing: one of whole clusters, which five of the ten have, and one that varies
within clusters; measurements and yes/no responses, whose clusters differ. The working correlation is
exchangeable, as the true one nearly is. The default below 40 clusters is Fay and Graubard's variance with
its degrees of freedom.

    python -m benchmarks.studies.gee_size
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

import multilevel as ml
from benchmarks.studies.rates import Rate, printed, rate_of
from multilevel.errors import MultilevelWarning

Array = npt.NDArray[np.float64]
CLUSTERS = 10
TESTS: Mapping[str, tuple[str, str | None]] = {
    "sandwich, normal": ("sandwich", None),
    "sandwich, Pan-Wall df": ("sandwich", "pan-wall"),
    "Kauermann-Carroll": ("kauermann-carroll", None),
    "Mancl-DeRouen": ("mancl-derouen", None),
    "Fay-Graubard": ("fay-graubard", None),
    "Morel-Bokossa-Neerchal": ("morel-bokossa-neerchal", None),
    "Gosho": ("gosho", None),
    "one-step jackknife": ("one-step", None),
}
DEFAULT = "the default"


@dataclass(frozen=True, slots=True)
class Setting:
    """Ten clusters of some rows, and a predictor that does nothing."""

    title: str
    family: Literal["gaussian", "binomial"]
    predictor: Literal["between", "within"]
    rows: int  # of a cluster
    sd: float  # of the differences between clusters, on the scale of the link


SETTINGS = (
    Setting("Measurements, a predictor of whole clusters", "gaussian", "between", 30, 0.6),
    Setting("Measurements, a predictor that varies within", "gaussian", "within", 6, 1.0),
    Setting("Yes or no, a predictor of whole clusters", "binomial", "between", 60, 0.6),
    Setting("Yes or no, a predictor that varies within", "binomial", "within", 60, 0.6),
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("-n", type=int, default=4_000, help="data sets for each setting")
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    for setting in SETTINGS:
        print(printed(setting.title, rates(setting, asked.n, asked.seed), intervals=False), "\n")


def rates(setting: Setting, n: int, seed: int) -> dict[str, Rate]:
    """Rates of all tests of the predictor."""
    rng = np.random.default_rng(seed)
    p_values: dict[str, list[float]] = {DEFAULT: [], **{name: [] for name in TESTS}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MultilevelWarning)
        for _ in range(n):
            data = simulated(setting, rng)
            fit = ml.gee("y ~ x", data, groups="g", family=setting.family, corr="exchangeable")
            p_values[DEFAULT].append(float(fit.tidy()["p_value"][1]))
            for name, (kind, df) in TESTS.items():
                p_values[name].append(float(fit.tidy(vcov=kind, df=df)["p_value"][1]))
    return {name: rate_of(np.array(found)) for name, found in p_values.items()}


def simulated(setting: Setting, rng: np.random.Generator) -> dict[str, npt.NDArray[np.generic]]:
    """One data set."""
    g = np.repeat(np.arange(CLUSTERS), setting.rows)
    x = (g % 2).astype(float) if setting.predictor == "between" else rng.normal(size=len(g))
    eta = setting.sd * rng.normal(size=CLUSTERS)[g]
    if setting.family == "gaussian":
        y = eta + rng.normal(size=len(g))
    else:
        y = (rng.random(len(g)) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    return {"y": y, "x": x, "g": g}


if __name__ == "__main__":
    main()
