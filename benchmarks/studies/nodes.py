"""How many nodes: bias and coverage of logistic random intercepts by Laplace's way and by quadrature.

Patients are seen seven times, their outcome is yes or no, and their intercepts have a standard deviation
of 4, as in the toenail trial (De Backer et al. 1998): hardly any data make it harder to integrate them out.

    python -m benchmarks.studies.nodes
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel.kernels.density import DensityCode
from multilevel.kernels.gaussian import ScaledColumns, StructureCode, TermLayout
from multilevel.kernels.marginal import MarginalKernel, RandomColumns, RowPredictor

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]

VISITS = 7
NAMES = ("sd", "intercept", "time", "time:treated")
TRUTH = np.array([4.0, -1.5, -0.4, -0.15])
NODES = (1, 3, 7, 15, 25, 51)


@dataclass(frozen=True, slots=True)
class Trial:
    """Who is seen when, and under which treatment."""

    codes: Codes  # (n,)
    X: Array  # (n, 3)


@dataclass(frozen=True, slots=True)
class Estimates:
    """Fits to n simulated trials with so many nodes."""

    values: Array  # (n, 4)
    errors: Array  # (n, 4) standard errors

    @property
    def bias(self) -> Array:
        return np.asarray(self.values.mean(axis=0) - TRUTH)

    @property
    def simulation_error(self) -> Array:
        """Standard error that simulation leaves in the bias."""
        return np.asarray(self.values.std(axis=0, ddof=1) / np.sqrt(len(self.values)))

    @property
    def distance(self) -> Array:
        """The bias in such standard errors: beyond 3 it is hardly chance."""
        return np.asarray(self.bias / self.simulation_error)

    @property
    def coverage(self) -> Array:
        """Share of Wald intervals at 95% that hold the truth."""
        return np.asarray((np.abs(self.values - TRUTH) < 1.96 * self.errors).mean(axis=0))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("-n", type=int, default=400, help="simulated trials")
    arguments.add_argument("--patients", type=int, default=300)
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    print(printed(compared(asked.n, asked.patients, NODES, asked.seed), asked.n, asked.patients))


def compared(n: int, patients: int, nodes: Sequence[int], seed: int) -> dict[int, Estimates]:
    """Estimates by each number of nodes, on the same simulated trials."""
    trial = seven_visits(patients)
    responses = [
        simulated(trial, np.random.default_rng(child)) for child in np.random.SeedSequence(seed).spawn(n)
    ]
    return {count: fitted(trial, responses, count) for count in nodes}


def seven_visits(patients: int) -> Trial:
    codes = np.repeat(np.arange(patients, dtype=np.int32), VISITS)
    time = np.tile(np.arange(VISITS, dtype=float), patients)
    return Trial(codes, np.column_stack([np.ones_like(time), time, time * (codes % 2)]))


def simulated(trial: Trial, rng: np.random.Generator) -> Array:
    effects = rng.normal(0.0, TRUTH[0], trial.codes.max() + 1)
    eta = trial.X @ TRUTH[1:] + effects[trial.codes]
    return (rng.random(len(eta)) < 1.0 / (1.0 + np.exp(-eta))).astype(float)


def fitted(trial: Trial, responses: Sequence[Array], nodes: int) -> Estimates:
    kernel = logistic_intercepts(trial, responses[0], nodes)
    values, errors = [], []
    for y in responses:
        kernel.set_response(y)
        psi = kernel.search(kernel.start(np.zeros(3)), tolerance=1e-9, max_evaluations=200).psi
        errors.append(np.sqrt(np.diag(2.0 * np.linalg.inv(kernel.hessian(psi)))))
        values.append([abs(psi[0]), *psi[1:]])
    return Estimates(np.array(values), np.array(errors))


def logistic_intercepts(trial: Trial, y: Array, nodes: int) -> MarginalKernel:
    ones = trial.X[:, :1]
    return MarginalKernel(
        DensityCode("binomial", "logit"),
        y,
        None,
        None,
        [RowPredictor(None, unscaled(trial.X), np.arange(3, dtype=np.int32))],
        [RandomColumns(trial.codes, int(trial.codes.max()) + 1, unscaled(ones), (0,))],
        [TermLayout(0, 0, 1, StructureCode.us, False)],
        3,
        nodes,
    )


def unscaled(columns: Array) -> ScaledColumns:
    return ScaledColumns(np.asfortranarray(columns), np.zeros(columns.shape[1]), np.ones(columns.shape[1]))


def printed(estimates: Mapping[int, Estimates], n: int, patients: int) -> str:
    """Bias, its distance from zero in standard errors, and coverage, a line for each number of nodes."""
    lines = [
        f"{n} trials of {patients} patients, {VISITS} visits each: "
        "bias (in standard errors of the simulation), coverage",
        "  nodes" + "".join(f"{f'{name} = {truth:g}':>26}" for name, truth in zip(NAMES, TRUTH, strict=True)),
    ]
    for nodes, of in estimates.items():
        cells = [
            f"{bias:+.3f} ({distance:+5.1f}) {100.0 * share:5.1f}%"
            for bias, distance, share in zip(of.bias, of.distance, of.coverage, strict=True)
        ]
        lines.append(f"{nodes:>7}" + "".join(f"{cell:>26}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
