"""Log-densities and their derivatives in 800 digits, by definition and by differences: needs mpmath.

    python tests/reference/generate/densities.py tests/reference

writes densities.json.xz: for each family, link and excess of zeros, rows of y, trials and predictors, each
with the log-density and its derivatives to third order, in the order of the core's `log_density`.
"""

from __future__ import annotations

import itertools
import json
import lzma
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import mpmath as mp

DIGITS = 800  # 1 - mu may be as small as exp(-800), and third differences divide by STEP^3
STEP = mp.mpf(10) ** -30  # differences err by its square
STENCIL = {0: {0: 1}, 1: {1: 0.5, -1: -0.5}, 2: {1: 1, 0: -2, -1: 1}, 3: {2: 0.5, 1: -1, -1: 1, -2: -0.5}}

MEANS: dict[str, Callable] = {
    "logit": lambda x: 1 / (1 + mp.exp(-x)),
    "probit": mp.ncdf,
    "cloglog": lambda x: 1 - mp.exp(-mp.exp(x)),
    "cauchit": lambda x: mp.mpf(1) / 2 + mp.atan(x) / mp.pi,
    "log": mp.exp,
    "identity": lambda x: x,
    "inverse": lambda x: 1 / x,
    "1/mu^2": lambda x: 1 / mp.sqrt(x),
    "sqrt": lambda x: x * x,
}


def nbinom(y, mu, size):
    return (
        mp.loggamma(y + size) - mp.loggamma(size) - mp.loggamma(y + 1)
        + size * mp.log(size / (size + mu)) + y * mp.log(mu / (size + mu))
    )  # fmt: skip


def choose(n, y):
    return mp.loggamma(n + 1) - mp.loggamma(y + 1) - mp.loggamma(n - y + 1)


def successes(y, n, mu):
    return choose(n, y) + (y * mp.log(mu) if y else 0) + ((n - y) * mp.log(1 - mu) if n - y else 0)


def beta_function(a, b):
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def tweedie(y, mu, phi, shape):
    p = 1 + 1 / (1 + mp.exp(-shape))
    rate, a, scale = mu ** (2 - p) / (phi * (2 - p)), (2 - p) / (p - 1), phi * (p - 1) * mu ** (p - 1)
    if y == 0:
        return -rate
    top = float(mp.mpf(y) ** (2 - p) / (phi * (2 - p)))
    last = int(top + 60 + 40 * top**0.5)
    terms = (
        j * mp.log(rate)
        - mp.loggamma(j + 1)
        + (j * a - 1) * mp.log(y)
        - mp.loggamma(j * a)
        - j * a * mp.log(scale)
        for j in range(1, last)
    )
    return mp.log(mp.fsum(mp.exp(term) for term in terms)) - rate - y / scale


def log_density(family: str, link: str, y, n, categories: int, x: list):
    mean = MEANS[link]
    mu, phi = mean(x[0]), mp.exp(x[1]) if len(x) > 1 else None
    y = mp.mpf(y)
    match family:
        case "gaussian":
            return -((y - mu) ** 2) / (2 * phi) - mp.log(2 * mp.pi * phi) / 2
        case "binomial":
            return successes(y, n, mu)
        case "poisson":
            return (y * mp.log(mu) if y else 0) - mu - mp.loggamma(y + 1)
        case "nbinom2":
            return nbinom(y, mu, phi)
        case "nbinom1":
            return nbinom(y, mu, mu / phi)
        case "gamma":
            a = 1 / phi
            return a * mp.log(a * y / mu) - a * y / mu - mp.log(y) - mp.loggamma(a)
        case "inverse_gaussian":
            return -mp.log(2 * mp.pi * phi * y**3) / 2 - (y - mu) ** 2 / (2 * phi * mu**2 * y)
        case "beta":
            a, b = mu * phi, (1 - mu) * phi
            return (a - 1) * mp.log(y) + (b - 1) * mp.log(1 - y) - beta_function(a, b)
        case "beta_binomial":
            a, b = mu * phi, (1 - mu) * phi
            return choose(n, y) + beta_function(y + a, n - y + b) - beta_function(a, b)
        case "student":
            nu = mp.exp(x[2])
            kernel = -(nu + 1) / 2 * mp.log(1 + (y - mu) ** 2 / (phi * nu))
            return mp.loggamma((nu + 1) / 2) - mp.loggamma(nu / 2) - mp.log(nu * mp.pi * phi) / 2 + kernel
        case "tweedie":
            return tweedie(y, mu, phi, x[2])
        case "ordinal":
            upper = 1 if y == categories - 1 else mean(x[1] - x[0])
            return mp.log(upper - (0 if y == 0 else mean(x[2] - x[0])))
    base = log_density(family.removeprefix("truncated_"), link, y, n, categories, x)
    none = log_density(family.removeprefix("truncated_"), link, 0, n, categories, x)
    return base - mp.log(1 - mp.exp(none))


POSITIVE = ("gamma", "inverse_gaussian", "beta")


def with_zeros(family: str, link: str, y, n, categories: int, x: list):
    pi = 1 / (1 + mp.exp(-x[-1]))
    if y != 0:
        return mp.log(1 - pi) + log_density(family, link, y, n, categories, x[:-1])
    if family in POSITIVE or family.startswith("truncated"):
        return mp.log(pi)
    return mp.log(pi + (1 - pi) * mp.exp(log_density(family, link, y, n, categories, x[:-1])))


def derivatives(f: Callable, x: list[float]) -> list[float]:
    """The value and the derivatives to third order, by central differences."""
    K = len(x)
    point = [mp.mpf(value) for value in x]

    @cache
    def at(offset: tuple[int, ...]):
        return f([value + k * STEP for value, k in zip(point, offset, strict=True)])

    def partial(index: tuple[int, ...]) -> float:
        orders = [index.count(k) for k in range(K)]
        stencils = [STENCIL[order].items() for order in orders]
        total = mp.mpf(0)
        for corner in itertools.product(*stencils):
            weight = mp.mpf(1)
            for _, w in corner:
                weight *= w
            total += weight * at(tuple(k for k, _ in corner))
        return float(total / STEP ** len(index))

    return [partial(index) for index in places(K)]


def places(K: int) -> Iterator[tuple[int, ...]]:
    yield ()
    yield from ((i,) for i in range(K))
    yield from ((i, j) for j in range(K) for i in range(j + 1))
    yield from ((i, j, k) for k in range(K) for j in range(k + 1) for i in range(j + 1))


COUNTS = (0, 1, 3, 14, 150, 1_000_000)
LOG_MEANS = (-700.0, -40.0, -3.0, 0.4, 5.0, 13.8, 40.0)
LOG_PHIS = (-18.4, -4.0, 0.3, 5.0, 18.4, 60.0)
PROBITS = (-700.0, -40.0, -12.0, -5.1, -4.9, -1.3, -0.05, 0.7, 3.0, 5.5, 40.0)
TRIALS = ((0, 1), (1, 1), (0, 5), (2, 5), (5, 5), (40, 1000))


def predictor_ranges(family: str, link: str) -> tuple[float, ...]:
    """Linear predictors of the mean, from end to end of what means something."""
    proportion = family in ("binomial", "beta_binomial", "beta", "ordinal")
    match link:
        case "logit" | "cauchit":
            return (*PROBITS, 700.0)
        case "probit":
            return (*PROBITS[1:], 8.0) if family != "beta" else PROBITS[2:9]
        case "cloglog":
            return (-700.0, -40.0, -12.0, -3.0, -0.8, -0.6, 0.4, 1.5, 3.0, 5.0)
        case "log":
            return (-700.0, -40.0, -3.0, -0.5, -1e-3) if proportion else LOG_MEANS
        case "identity":
            return (1e-9, 0.3, 0.999) if proportion else (1e-6, 0.3, 1.0, 40.0, 1e6)
        case "sqrt":
            return (-2.0, 1e-3, 0.3, 6.0, 1e3)
    return (1e-5, 0.3, 2.0, 1e4)


def rows(family: str, link: str) -> Iterator[tuple[float, float, list[float]]]:
    """y, trials and predictors."""
    means = predictor_ranges(family, link)
    match family:
        case "binomial":
            yield from ((y, n, [eta]) for (y, n), eta in itertools.product(TRIALS, means))
        case "beta_binomial":
            few = [eta for eta in means if abs(eta) < 13][::2]
            yield from ((y, n, [eta, s]) for (y, n), eta, s in itertools.product(TRIALS, few, LOG_PHIS[:5]))
        case "beta":
            few = [eta for eta in means if abs(eta) < 13] if link != "identity" else means
            yield from (
                (y, 1, [eta, s]) for y, eta, s in itertools.product((1e-6, 0.4, 0.98), few, LOG_PHIS[:5])
            )
        case "poisson":
            yield from ((y, 1, [eta]) for y, eta in itertools.product(COUNTS, means))
        case "truncated_poisson":
            yield from ((y, 1, [eta]) for y, eta in itertools.product(COUNTS[1:], means))
        case "nbinom1" | "nbinom2":
            yield from ((y, 1, [eta, s]) for y, eta, s in itertools.product(COUNTS, means, LOG_PHIS))
        case "truncated_nbinom1" | "truncated_nbinom2":
            yield from (
                (y, 1, [eta, s]) for y, eta, s in itertools.product(COUNTS[1:], means[:-1], LOG_PHIS[:5])
            )
        case "gaussian":
            few = [eta for eta in means if link != "log" or abs(eta) < 20]
            yield from (
                (y, 1, [eta, s]) for y, eta, s in itertools.product((-3.0, 0.0, 40.0), few, LOG_PHIS[:5])
            )
        case "student":
            few = [eta for eta in means if link != "log" or abs(eta) < 20][:4]
            grid = itertools.product((-3.0, 0.0, 4e3), few, (-6.0, 1.0), (-4.0, 0.7, 3.0, 18.0))
            yield from ((y, 1, [eta, s, t]) for y, eta, s, t in grid)
        case "gamma" | "inverse_gaussian":
            few = [eta for eta in means if link != "log" or abs(eta) < 14]
            grid = itertools.product((1e-3, 0.8, 300.0), few, LOG_PHIS[:5])
            yield from ((y, 1, [eta, s]) for y, eta, s in grid)
        case "tweedie":
            few = means[2:5] if link == "log" else means[1:4]
            grid = itertools.product((0.0, 0.02, 1.3, 6.0), few, (-1.5, 0.2, 2.5), (-3.0, -0.2, 2.5))
            yield from ((y, 1, [eta, s, t]) for y, eta, s, t in grid)
        case "ordinal":
            cuts = ((1.5, -0.4), (0.3, 0.29), (9.0, 7.0), (-7.5, -8.0))
            few = [eta for eta in means if abs(eta) < 13 and (link != "cloglog" or abs(eta) < 4)]
            grid = itertools.product((0, 1, 3), few[::2], cuts)
            yield from ((y, 1, [eta, a, b]) for y, eta, (a, b) in grid)


LINKS = {
    "gaussian": ("identity", "log", "inverse", "sqrt"),
    "binomial": ("logit", "probit", "cloglog", "cauchit", "log", "identity"),
    "poisson": ("log", "identity", "sqrt"),
    "nbinom2": ("log", "identity"),
    "nbinom1": ("log", "sqrt"),
    "gamma": ("inverse", "log", "identity"),
    "inverse_gaussian": ("1/mu^2", "inverse", "log"),
    "beta": ("logit", "probit", "cloglog", "cauchit"),
    "beta_binomial": ("logit", "probit", "cloglog"),
    "tweedie": ("log",),
    "student": ("identity", "log"),
    "ordinal": ("logit", "probit", "cloglog", "cauchit"),
    "truncated_poisson": ("log", "sqrt"),
    "truncated_nbinom2": ("log",),
    "truncated_nbinom1": ("log",),
}
WITH_ZEROS = (
    "binomial",
    "poisson",
    "nbinom2",
    "nbinom1",
    "gamma",
    "truncated_poisson",
    "truncated_nbinom2",
    "beta_binomial",
)


def table(family: str, link: str, zeros: bool) -> dict:
    out = {"family": family, "link": link, "extra_zeros": zeros, "categories": 4, "rows": []}
    chosen = list(rows(family, link))
    if zeros:
        few = [row for row in chosen[:: max(1, len(chosen) // 12)] if abs(row[2][0]) < 50]
        chosen = [(y, n, [*x, z]) for y, n, x in few for z in (-30.0, -1.0, 2.0, 40.0)]
        chosen += [(0.0, n, x) for _, n, x in chosen]
    mp.mp.dps = 150 if family == "tweedie" else DIGITS
    for y, n, x in chosen:
        f = with_zeros if zeros else log_density
        values = derivatives(lambda at, y=y, n=n, f=f: f(family, link, y, n, 4, at), x)
        if all(mp.isfinite(value) for value in values):
            out["rows"].append([y, n, x, values])
    return out


def main(folder: Path) -> None:
    tables = []
    for family, links in LINKS.items():
        for link in links:
            for zeros in (False, True):
                if zeros and (family not in WITH_ZEROS or link != links[0]):
                    continue
                tables.append(table(family, link, zeros))
                print(family, link, zeros, len(tables[-1]["rows"]), flush=True)
    text = json.dumps(tables).encode()
    (folder / "densities.json.xz").write_bytes(lzma.compress(text, preset=9))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
