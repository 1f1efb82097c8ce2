"""Who is right when people leave because of what was seen? Bias and coverage under dropout at random.

A trial of 200 people, seen at five times or until they leave, with a probability that their response at the
last time decides. The slope over time is 1. Least squares, which is a GEE with independence, takes those who
are left for all; its weighted form and the mixed model use what was seen of those who left.

    python -m benchmarks.studies.dropout
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import multilevel as ml
from multilevel.fitted.dropout import DropoutModel
from multilevel.inference.weighted_scores import corrected_scores, projected_scores, score_slopes
from multilevel.results.dropout_weights import DropoutWeights

Array = npt.NDArray[np.float64]
PEOPLE, TIMES, SLOPE = 200, 5, 1.0
STAY = (2.0, -0.6)  # log odds to stay: intercept, and slope in the last response about its mean
LEVEL = 1.959964


@dataclass(frozen=True, slots=True)
class Estimates:
    """Estimates of the slope by one method, with the standard errors it gave."""

    estimate: Array  # (n,)
    std_error: Array  # (n,)

    @property
    def bias(self) -> float:
        return float(self.estimate.mean() - SLOPE)

    @property
    def distance(self) -> float:
        """Bias in standard deviations of a mean of so many estimates: beyond 4 it is hardly chance."""
        return self.bias / (self.sd / np.sqrt(len(self.estimate)))

    @property
    def sd(self) -> float:
        return float(self.estimate.std(ddof=1))

    @property
    def se_ratio(self) -> float:
        """Mean standard error over the standard deviation of the estimates."""
        return float(self.std_error.mean() / self.sd)

    @property
    def coverage(self) -> float:
        return float((np.abs(self.estimate - SLOPE) < LEVEL * self.std_error).mean())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("-n", type=int, default=2000, help="data sets")
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    print(printed(study(asked.n, asked.seed)))


def study(n: int, seed: int) -> dict[str, Estimates]:
    """Every method on the same data sets."""
    found: dict[str, list[tuple[float, float]]] = {}
    for child in np.random.SeedSequence(seed).spawn(n):
        for method, pair in methods(trial(np.random.default_rng(child))).items():
            found.setdefault(method, []).append(pair)
    return {method: Estimates(*np.array(pairs).T) for method, pairs in found.items()}


def trial(rng: np.random.Generator) -> dict[str, Array]:
    """Long data of those who are seen."""
    person, time = np.repeat(np.arange(PEOPLE), TIMES), np.tile(np.arange(TIMES), PEOPLE)
    own = rng.normal(size=PEOPLE)
    y = SLOPE * time + own[person] + rng.normal(size=len(person))
    stays = rng.random(len(y)) < 1.0 / (1.0 + np.exp(-STAY[0] - STAY[1] * (y - SLOPE * time)))
    there = np.logical_and.accumulate(stays.reshape(PEOPLE, TIMES), axis=1)
    seen = np.column_stack([np.ones(PEOPLE, dtype=bool), there[:, :-1]]).ravel()
    return {"person": person[seen], "time": time[seen], "y": y[seen]}


def methods(data: Mapping[str, Array]) -> dict[str, tuple[float, float]]:
    """Slope and standard error by each method."""
    plain = ml.ols("y ~ time", data, vcov="CR0", cluster="person")
    mixed = ml.lmm("y ~ time + (1 | person)", data)
    weights = ml.dropout_weights(data, "person", "time", "~ I(y - time)", numerator="~ factor(time)")
    weighted = ml.ols("y ~ time", data, weights=weights)
    errors = weighted_errors(weighted.design.X, weighted.record.residuals, weights)
    slope = float(weighted.fixef[1])
    return {
        "least squares": (float(plain.fixef[1]), float(plain.se[1])),
        "mixed model": (float(mixed.fixef[1]), float(mixed.se[1])),
        **{f"weighted, {kind}": (slope, error) for kind, error in errors.items()},
    }


def weighted_errors(X: Array, residuals: Array, weights: DropoutWeights) -> dict[str, float]:
    """Standard errors of the weighted slope: weights as known, and as estimated in two ways."""
    model = weights.model
    rows = X * (model.weights * residuals)[:, None]
    U = by_group(rows, model)
    G = score_slopes(rows, model.weights, model.weight_slopes)
    inverse = np.linalg.inv((X.T * model.weights) @ X)
    scores = {
        "weights as known": U,
        "projected": projected_scores(U, model.scores[:, : model.n_stay]),
        "derivative": corrected_scores(U, model.scores, model.information, G),
    }
    return {kind: float(np.sqrt((inverse @ E.T @ E @ inverse)[1, 1])) for kind, E in scores.items()}


def by_group(rows: Array, model: DropoutModel) -> Array:
    """Sums of rows (n, p) by group (K, p)."""
    total = np.zeros((len(model.groups), rows.shape[1]))
    np.add.at(total, model.codes, rows)
    return total


def printed(found: Mapping[str, Estimates]) -> str:
    """A line a method."""
    n = len(next(iter(found.values())).estimate)
    width = max(map(len, found))
    head = f"{PEOPLE} people, {TIMES} times, dropout at random; {n} data sets, slope {SLOPE:g}"
    columns = f"  {'':<{width}}     bias  sd from 0      SD  SE / SD  covers"
    lines = [
        f"  {name:<{width}}  {each.bias:+7.4f}  {each.distance:+9.1f}  {each.sd:6.4f}  {each.se_ratio:7.3f}  "
        f"{100.0 * each.coverage:5.1f}%"
        for name, each in found.items()
    ]
    return "\n".join([head, columns, *lines])


if __name__ == "__main__":
    main()
