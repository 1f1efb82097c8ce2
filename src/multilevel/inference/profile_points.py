"""How well can a mixed model fit when one parameter is held at a value?

The deviance is -2 log-likelihood, minimised over all other parameters. Each parameter has a coordinate in
which the search is smooth: log sigma, a standard deviation itself, minus the angle whose cosine a
correlation is. The minimum's slope is exact (by the envelope theorem, it is the partial derivative at the
minimum), which makes following a profile quick.

A coefficient is held through a change of basis: with beta_j = g'c + k in the coefficients c of the working
columns, c = g (beta_j - k) / g'g + N d, where N spans the vectors orthogonal to g. Then X N takes the place
of X and y - X g (beta_j - k) / g'g that of y, and the model is fitted as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design, RandomTerm
from multilevel.estimation.lmm import MAX_EVALUATIONS, TOLERANCE, WorkingModel
from multilevel.estimation.optimum import Optimum
from multilevel.estimation.refits import warm_start
from multilevel.fitted.assemble import user_roots
from multilevel.inference.parameters import Parameter, lmm_parameters, parameter_values
from multilevel.kernels.gaussian import ConstrainedMinimum, Constraint, Held

NO_HESSIAN = np.zeros((0, 0))


@dataclass(frozen=True, slots=True)
class Point:
    """The best fit with one parameter held."""

    coordinate: float
    deviance: float
    slope: float  # of the deviance in the coordinate
    beta: Array  # (p,) in working coordinates
    factors: Sequence[Array]  # T of each term (q, q)
    log_sigma: float  # in working units
    converged: bool
    state: object  # where a search for a neighbouring point begins


@dataclass(frozen=True, slots=True)
class ProfiledModel:
    """A model fitted by maximum likelihood, ready to be profiled."""

    design: Design
    model: WorkingModel
    optimum: Optimum
    parameters: tuple[Parameter, ...]  # (K,)
    values: Array  # (K,) the estimates
    std_errors: Array  # (p,) of the coefficients
    deviance: float  # at the estimates, in working units
    theta: Array  # the estimates
    inner_theta: Array  # the same moved off the boundary
    log_sigma: float  # in working units


class HeldParameter(Protocol):
    """A parameter with the coordinate it is followed in; coordinates increase with values."""

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest coordinate; infinite where there is none."""

    @property
    def step(self) -> float:
        """A first step in the coordinate: about half a standard error."""

    def coordinate(self, value: float) -> float:
        """The coordinate of a value."""

    def value(self, coordinate: float) -> float:
        """The value at a coordinate."""

    def point(self, coordinate: float, near: Point | None) -> Point:
        """The best fit at a coordinate, searched from that at another."""


def profiled_model(design: Design, model: WorkingModel, optimum: Optimum) -> ProfiledModel:
    """Estimates of an ML fit, with all that its profiles need."""
    kernel, parameters = model.kernel, lmm_parameters(design)
    solution = kernel.solution(optimum.theta)
    log_sigma = 0.5 * float(np.log(solution.pwrss / design.n_obs))
    half = np.linalg.solve(solution.fixed_factor, model.fixed.jacobian().T)
    sigma = np.exp(log_sigma) / model.response.scale
    return ProfiledModel(
        design=design,
        model=model,
        optimum=optimum,
        parameters=parameters,
        values=parameter_values(
            parameters,
            model.fixed.coefficients(solution.beta, model.response),
            user_roots(model, kernel.term_factors(optimum.theta)),
            sigma,
        ),
        std_errors=sigma * np.sqrt((half * half).sum(axis=0)),
        deviance=kernel.criterion(optimum.theta, reml=False),
        theta=optimum.theta,
        inner_theta=warm_start(model, optimum),
        log_sigma=log_sigma,
    )


def held_parameter(profiled: ProfiledModel, parameter: Parameter) -> HeldParameter:
    """The parameter as something that can be held."""
    if parameter.kind == "fixed":
        return HeldCoefficient(profiled, parameter)
    if parameter.kind == "sigma":
        return HeldSigma(profiled, Constraint(Held.residual, -1, np.zeros((1, 1))))
    term = profiled.design.terms[parameter.index]
    directions = profiled.model.terms[parameter.index].back[list(parameter.columns)].T
    if parameter.kind == "sd":
        estimate = float(profiled.values[profiled.parameters.index(parameter)])
        levels = profiled.design.groupings[term.grouping].n_levels
        return HeldDeviation(
            profiled, Constraint(Held.deviation, parameter.index, directions), estimate, levels
        )
    return HeldCorrelation(profiled, Constraint(Held.correlation, parameter.index, directions), term)


# ---- coefficients ----


@dataclass(frozen=True, slots=True)
class HeldCoefficient:
    """A coefficient; its coordinate is its value."""

    profiled: ProfiledModel
    parameter: Parameter

    @property
    def bounds(self) -> tuple[float, float]:
        """A coefficient has no bounds."""
        return -np.inf, np.inf

    @property
    def step(self) -> float:
        """Half a standard error."""
        return 0.5 * float(self.profiled.std_errors[self.parameter.index])

    def coordinate(self, value: float) -> float:
        """The value itself."""
        return value

    def value(self, coordinate: float) -> float:
        """The coordinate itself."""
        return coordinate

    def point(self, coordinate: float, near: Point | None) -> Point:
        """Fit the model whose X and y have the coefficient taken out."""
        profiled, model = self.profiled, self.profiled.model
        g, constant = self._gradient()
        along = g * ((coordinate - constant) / (g @ g))
        rest = np.linalg.qr(g[:, None], mode="complete")[0][:, 1:]
        start = profiled.inner_theta if near is None else near.state
        fit = model.kernel.fit_with_tail(
            without(along, rest),
            np.asarray(start),
            tolerance=TOLERANCE,
            max_evaluations=MAX_EVALUATIONS,
        )
        solution = model.kernel.solution(fit.theta)
        apart = g @ (along - solution.beta)
        variance = np.sum(np.linalg.solve(solution.fixed_factor, g) ** 2)
        return Point(
            coordinate=coordinate,
            deviance=fit.criterion,
            slope=float(2.0 * profiled.design.n_obs * apart / (variance * fit.pwrss)),
            beta=along + rest @ fit.beta,
            factors=model.kernel.term_factors(fit.theta),
            log_sigma=0.5 * float(np.log(fit.pwrss / profiled.design.n_obs)),
            converged=fit.converged,
            state=fit.theta,
        )

    def _gradient(self) -> tuple[Array, float]:
        """beta_j = g'c + k in the working coefficients c: g (p,) and k."""
        fixed, response = self.profiled.model.fixed, self.profiled.model.response
        j = self.parameter.index
        constant = fixed.coefficients(np.zeros(len(fixed.scale)), response)[j]
        return fixed.jacobian()[j] / response.scale, float(constant)


def without(along: Array, rest: Array) -> Array:
    """[X y] -> [X rest, y - X along]: (p + 1, p)."""
    p = len(along)
    mapping = np.zeros((p + 1, p))
    mapping[:p, : p - 1] = rest
    mapping[:p, -1] = -along
    mapping[p, -1] = 1.0
    return mapping


# ---- covariances ----


def covariance_point(
    profiled: ProfiledModel, constraint: Constraint, coordinate: float, near: Point | None
) -> ConstrainedMinimum:
    """The core's constrained search, from a neighbour or from the estimates."""
    kernel = profiled.model.kernel
    inner = kernel.profile_start(constraint, profiled.inner_theta, profiled.log_sigma)
    if near is None:
        return kernel.profile_point(constraint, coordinate, inner[:, None], NO_HESSIAN)
    state = near.state
    assert isinstance(state, ConstrainedMinimum)
    starts = np.column_stack([state.free, inner])
    return kernel.profile_point(constraint, coordinate, starts, state.inverse_hessian)


def as_point(coordinate: float, found: ConstrainedMinimum, orientation: float = 1.0) -> Point:
    """The core's answer as a point."""
    return Point(
        coordinate=coordinate,
        deviance=found.deviance,
        slope=orientation * found.slope,
        beta=found.beta,
        factors=found.factors,
        log_sigma=found.log_sigma,
        converged=found.converged,
        state=found,
    )


def values_at(profiled: ProfiledModel, point: Point) -> Array:
    """All parameters (K,) at a point, the one held among them, in the user's units."""
    model = profiled.model
    return parameter_values(
        profiled.parameters,
        model.fixed.coefficients(point.beta, model.response),
        user_roots(model, point.factors),
        np.exp(point.log_sigma) / model.response.scale,
    )


@dataclass(frozen=True, slots=True)
class HeldSigma:
    """The residual standard deviation; its coordinate is log sigma in working units."""

    profiled: ProfiledModel
    constraint: Constraint

    @property
    def bounds(self) -> tuple[float, float]:
        """The logarithm has no bounds."""
        return -np.inf, np.inf

    @property
    def step(self) -> float:
        """About half a standard error of log sigma."""
        return 0.5 / float(np.sqrt(2.0 * self.profiled.design.n_obs))

    def coordinate(self, value: float) -> float:
        """log sigma."""
        return float(np.log(value * self.profiled.model.response.scale))

    def value(self, coordinate: float) -> float:
        """Sigma in the user's units."""
        return float(np.exp(coordinate) / self.profiled.model.response.scale)

    def point(self, coordinate: float, near: Point | None) -> Point:
        """Search over the covariances of the random effects."""
        return as_point(coordinate, covariance_point(self.profiled, self.constraint, coordinate, near))


@dataclass(frozen=True, slots=True)
class HeldDeviation:
    """The standard deviation of a random effect; its coordinate is its value in working units."""

    profiled: ProfiledModel
    constraint: Constraint
    estimate: float
    levels: int

    @property
    def bounds(self) -> tuple[float, float]:
        """A standard deviation is not negative."""
        return 0.0, np.inf

    @property
    def step(self) -> float:
        """About half a standard error, were the effects observed; or a tenth of sigma."""
        if self.estimate > 0.0:
            return 0.5 * self.coordinate(self.estimate) / float(np.sqrt(2.0 * self.levels))
        return float(0.1 * np.exp(self.profiled.log_sigma) * np.sqrt((self.constraint.directions**2).sum()))

    def coordinate(self, value: float) -> float:
        """On the scale of the working response."""
        return value * self.profiled.model.response.scale

    def value(self, coordinate: float) -> float:
        """In the user's units."""
        return coordinate / self.profiled.model.response.scale

    def point(self, coordinate: float, near: Point | None) -> Point:
        """Search over sigma and what is left of the covariances."""
        return as_point(coordinate, covariance_point(self.profiled, self.constraint, coordinate, near))


@dataclass(frozen=True, slots=True)
class HeldCorrelation:
    """A correlation; its coordinate is minus an angle, so that both ends of its range are reached smoothly.

    rho = cos(angle); under compound symmetry of q columns, rho = 1 - q / (q - 1) sin^2(angle).
    """

    profiled: ProfiledModel
    constraint: Constraint
    term: RandomTerm

    @property
    def bounds(self) -> tuple[float, float]:
        """Half a turn, or the quarter turn in which a compound-symmetric correlation moves."""
        return (-np.pi / 2.0, 0.0) if self.term.structure == "cs" else (-np.pi, 0.0)

    @property
    def step(self) -> float:
        """A tenth of a radian."""
        return 0.1

    def coordinate(self, value: float) -> float:
        """Minus the angle."""
        if self.term.structure != "cs":
            return -float(np.arccos(value))
        q = self.term.n_columns
        return -float(np.arcsin(np.sqrt(min(max((1.0 - value) * (q - 1.0) / q, 0.0), 1.0))))

    def value(self, coordinate: float) -> float:
        """The correlation."""
        if self.term.structure != "cs":
            return float(np.cos(coordinate))
        q = self.term.n_columns
        return float(1.0 - q / (q - 1.0) * np.sin(coordinate) ** 2)

    def point(self, coordinate: float, near: Point | None) -> Point:
        """Search over all other parameters of the covariances; sigma is profiled out."""
        found = covariance_point(self.profiled, self.constraint, -coordinate, near)
        return as_point(coordinate, found, orientation=-1.0)
