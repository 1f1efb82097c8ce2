"""Do tests of coefficients keep their size, and intervals their coverage?

Two designs in which there is no effect. A treatment of whole schools, ten of thirty pupils, intraclass
correlation 0.25: pupils counted one by one reject half the time. A slope that differs between persons,
eighteen on ten days as in the sleep study: a model that lets intercepts alone vary rejects far too often.

    python -m benchmarks.studies.size
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt
from scipy import stats

import multilevel as ml
from benchmarks.studies.rates import Rate, printed, rate_of
from multilevel.results.lmm import LMMFit

Array = npt.NDArray[np.float64]
SCHOOLS, PUPILS, ICC = 10, 30, 0.25
PERSONS, DAYS = 18, 10
SLEEP_SD = (24.7, 5.9, 25.6)  # of intercepts, of slopes, of the residual: about those of the sleep study
DF = {"Satterthwaite": "satterthwaite", "Kenward-Roger": "kenward-roger", "normal": "z"}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("-n", type=int, default=10_000, help="data sets for each design")
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    treatment, slope = schools(asked.n, asked.seed), slopes(asked.n, asked.seed)
    print(printed(f"A treatment of schools: 10 schools of 30 pupils, ICC {ICC}", treatment, intervals=True))
    print()
    print(printed("A slope that differs between persons: 18 persons on 10 days", slope, intervals=True))


def schools(n: int, seed: int) -> dict[str, Rate]:
    """Size of tests of a treatment that five of the ten schools had."""
    school = np.repeat(np.arange(SCHOOLS), PUPILS)
    data = {"y": np.arange(float(SCHOOLS * PUPILS)), "treated": (school % 2).astype(float), "school": school}
    rng = np.random.default_rng(seed)
    between = np.sqrt(ICC) * rng.standard_normal((SCHOOLS, n))
    Y = between[school] + np.sqrt(1.0 - ICC) * rng.standard_normal((len(school), n))
    fit = ml.lmm("y ~ treated + (1 | school)", {**data, "y": Y[:, 0]})
    return {"pupils, one by one": least_squares(fit.design.X, Y), **mixed("schools vary, ", fit, Y)}


def slopes(n: int, seed: int) -> dict[str, Rate]:
    """Size of tests of the mean slope, with and without slopes that vary."""
    person, day = np.repeat(np.arange(PERSONS), DAYS), np.tile(np.arange(float(DAYS)), PERSONS)
    rng = np.random.default_rng(seed)
    intercept, slope, residual = SLEEP_SD
    Y = intercept * rng.standard_normal((PERSONS, n))[person]
    Y += slope * rng.standard_normal((PERSONS, n))[person] * day[:, None]
    Y += residual * rng.standard_normal((len(person), n))
    data = {"y": Y[:, 0], "day": day, "person": person}
    without = ml.lmm("y ~ day + (1 | person)", data)
    within = ml.lmm("y ~ day + (1 + day | person)", data)
    return {
        "days, one by one": least_squares(without.design.X, Y),
        **mixed("intercepts vary, ", without, Y),
        **mixed("slopes vary too, ", within, Y),
    }


def least_squares(X: Array, Y: Array) -> Rate:
    """Student's test of the last coefficient, as if rows were independent."""
    inverse = np.linalg.inv(X.T @ X)
    beta = inverse @ (X.T @ Y)
    df = len(X) - X.shape[1]
    sigma2 = ((Y - X @ beta) ** 2).sum(axis=0) / df
    return rate_of(2.0 * stats.t.sf(np.abs(beta[-1]) / np.sqrt(sigma2 * inverse[-1, -1]), df))


def mixed(name: str, fit: LMMFit, Y: Array) -> dict[str, Rate]:
    """Tests of the last coefficient by each way to degrees of freedom."""
    p_values = {method: np.empty(Y.shape[1]) for method in DF}
    for column, y in enumerate(Y.T):
        again = fit.refit(y)
        for method, df in DF.items():
            p_values[method][column] = again.tidy(df=df)["p_value"].iloc[-1]
    return {name + method: rate_of(found) for method, found in p_values.items()}


if __name__ == "__main__":
    main()
