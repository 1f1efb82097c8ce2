"""The core's log-densities against 800 digits, and against what every density must obey."""

from __future__ import annotations

import itertools
import json
import lzma
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln, logsumexp

from multilevel.kernels.density import DENSITIES, LINKS, DensityCode, log_density
from reference_cases import REFERENCE

Table = dict[str, Any]
TABLES: list[Table] = json.loads(lzma.decompress((REFERENCE / "densities.json.xz").read_bytes()))
ROUNDING = 2e-12  # some thousand roundings of the largest part; series and products have as many


def code_of(table: Table) -> DensityCode:
    return DensityCode(table["family"], table["link"], table["extra_zeros"], table["categories"])


def name_of(table: Table) -> str:
    return f"{table['family']}-{table['link']}{'-zeros' if table['extra_zeros'] else ''}"


def arrays(table: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """y, trials, predictors (K, n), and values with derivatives."""
    rows = table["rows"]
    y, trials = (np.array([row[k] for row in rows], dtype=float) for k in (0, 1))
    return y, trials, np.array([row[2] for row in rows]).T, np.array([row[3] for row in rows]).T


def places(active: tuple[int, ...], order: int) -> list[tuple[int, ...]]:
    """The predictors that each row of the result is differentiated by."""
    m = range(len(active))
    every = [(), *((active[i],) for i in m)]
    every += [(active[i], active[j]) for j in m for i in range(j + 1)]
    every += [(active[i], active[j], active[k]) for k in m for j in range(k + 1) for i in range(j + 1)]
    return [place for place in every if len(place) <= order]


@pytest.mark.parametrize("table", TABLES, ids=name_of)
def test_values_and_derivatives_match_800_digits(table: Table) -> None:
    y, trials, predictors, wanted = arrays(table)
    density = code_of(table)
    got = log_density(density, y, trials, None, predictors, order=3)
    # The parts that a row is summed from: a count times a logarithm, its largest derivative
    size = 1.0 + np.abs(wanted).max(axis=0) + np.maximum(y, trials) * (1.0 + np.abs(predictors).max(axis=0))
    error = np.abs(got - wanted) / size
    if density.link not in ("logit", "probit", "cloglog", "cauchit", "log"):
        # log mu is log eta here: derivatives of order m are made of parts as large as eta^-m
        order = np.array([place.count(0) for place in places(tuple(range(len(predictors))), 3)])
        error *= np.minimum(1.0, np.abs(predictors[0])) ** order[:, None]
    worst = np.unravel_index(np.argmax(error), error.shape)
    assert error.max() < ROUNDING, (y[worst[1]], predictors[:, worst[1]], got[worst], wanted[worst])


@pytest.mark.parametrize("table", TABLES, ids=name_of)
def test_any_predictors_may_be_held_and_any_order_asked_for(table: Table) -> None:
    y, trials, predictors, _ = arrays(table)
    y, trials, predictors = y[::7], trials[::7], predictors[:, ::7]
    density, every = code_of(table), tuple(range(len(predictors)))
    full = log_density(density, y, trials, None, predictors, order=3)
    where = {place: row for row, place in enumerate(places(every, 3))}
    for size, order in itertools.product(range(len(every) + 1), range(4)):
        for active in itertools.combinations(every, size):
            got = log_density(density, y, trials, None, predictors, order, active)
            rows = [where[place] for place in places(active, order)]
            assert got == pytest.approx(full[rows], rel=1e-12, abs=1e-12 * np.abs(full).max())


def test_power_multiplies_and_trials_default_to_one() -> None:
    density, eta = DensityCode("binomial", "logit"), np.linspace(-3.0, 3.0, 13)[None]
    y, ones, power = np.tile([0.0, 1.0], 7)[:13], np.ones(13), np.linspace(0.0, 2.0, 13)
    plain = log_density(density, y, None, None, eta, order=3)
    assert np.array_equal(plain, log_density(density, y, ones, None, eta, order=3))
    assert np.array_equal(plain * power, log_density(density, y, None, power, eta, order=3))


@pytest.mark.parametrize("family", ["binomial", "poisson"])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 255, 256, 257, 1030])
def test_rows_in_blocks_are_the_rows_one_by_one(family: str, n: int) -> None:
    rng = np.random.default_rng(n)
    density = DensityCode(family, "logit" if family == "binomial" else "log")
    trials = rng.integers(1, 9, n).astype(float)
    y, eta = np.floor(rng.random(n) * (trials + 1.0)), rng.uniform(-6.0, 4.0, (1, n))
    got = log_density(density, y, trials, None, eta, order=3)
    with_zeros = DensityCode(
        density.family, density.link, extra_zeros=True
    )  # rows one by one, and next to none of these
    single = log_density(
        with_zeros, y, trials, None, np.vstack([eta, np.full(n, -700.0)]), order=3, active=(0,)
    )
    assert got == pytest.approx(single, rel=1e-14, abs=1e-14)


def test_the_exponential_of_many_numbers() -> None:
    eta = np.linspace(-707.0, 709.7, 100_003)[None]
    minus_mu = log_density(DensityCode("poisson", "log"), np.zeros(eta.shape[1]), None, None, eta, order=2)[2]
    # twice a unit in the last place: NumPy's own may be off by one
    assert -minus_mu == pytest.approx(np.exp(eta[0]), rel=4.5e-16)


def test_tweedie_against_its_series() -> None:
    """Each number of amounts has its probability, and its gamma density (Dunn and Smyth 2005)."""
    density = DensityCode("tweedie", "log")
    grid = itertools.product((0.05, 1.0, 80.0), (0.7, 30.0), (-7.0, -2.0, 3.0), (-3.0, 0.2, 4.0))
    for y, mu, log_phi, shape in grid:
        p, phi = 1.0 + 1.0 / (1.0 + np.exp(-shape)), np.exp(log_phi)
        rate, scale = mu ** (2.0 - p) / phi / (2.0 - p), phi * (p - 1.0) * mu ** (p - 1.0)
        top = y ** (2.0 - p) / phi / (2.0 - p)
        reach = 15.0 * np.sqrt(top) + 60.0
        j = np.arange(max(1.0, np.floor(top - reach)), top + reach)
        a = j * (2.0 - p) / (p - 1.0)
        logs = j * np.log(rate) - rate - gammaln(j + 1.0) + (a - 1.0) * np.log(y) - y / scale
        wanted = logsumexp(logs - gammaln(a) - a * np.log(scale))
        parts = np.abs(
            np.vstack([j * np.log(rate), gammaln(j), gammaln(a), a * np.log(y), a * np.log(scale)])
        )
        got = log_density(density, np.array([y]), None, None, np.array([[np.log(mu)], [log_phi], [shape]]))[
            0, 0
        ]
        # written out, the series loses digits of its largest part
        assert got == pytest.approx(wanted, abs=1e-14 * parts.max() + 1e-11)


def test_tweedie_of_many_amounts_is_normal() -> None:
    """With hardly any dispersion, where a series of 10^13 terms is summed in a hundred steps."""
    phi = np.exp(-30.0)
    y, point = np.array([1.0 + 2.0 * np.sqrt(phi)]), np.array([[0.0], [-30.0], [0.0]])
    got = log_density(DensityCode("tweedie", "log"), y, None, None, point, order=1)[:, 0]
    assert got[0] == pytest.approx(stats.norm.logpdf(y[0], 1.0, np.sqrt(phi)), abs=1e-6)
    assert got[2] == pytest.approx(1.5, abs=1e-3)  # (z^2 - 1) / 2


@pytest.mark.parametrize("zeros", [False, True])
def test_negative_binomial_without_dispersion_is_poisson(zeros: bool) -> None:
    y, eta = np.array([0.0, 3.0, 50.0, 1e6]), np.array([0.3, 2.0, 3.9, 13.8])
    more = np.full((int(zeros), 4), -0.5)
    poisson = log_density(DensityCode("poisson", "log", zeros), y, None, None, np.vstack([eta[None], more]))[
        0
    ]
    for family, log_phi in (("nbinom2", 80.0), ("nbinom1", -80.0), ("nbinom2", 400.0), ("nbinom1", -400.0)):
        predictors = np.vstack([eta[None], np.full((1, 4), log_phi), more])
        got = log_density(DensityCode(family, "log", zeros), y, None, None, predictors)[0]
        # counts times a log mean, in which log phi came and went
        assert np.all(np.abs(got - poisson) < 1e-15 * (1.0 + y) * abs(log_phi))


def test_student_of_many_degrees_is_normal() -> None:
    y, predictors = np.array([-2.0, 0.1, 9.0]), np.array([[0.5] * 3, [0.3] * 3])
    normal = log_density(DensityCode("gaussian", "identity"), y, None, None, predictors)
    many = np.vstack([predictors, np.full((1, 3), 60.0)])
    assert log_density(DensityCode("student", "identity"), y, None, None, many) == pytest.approx(
        normal, rel=1e-13
    )


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "cauchit"])
def test_ordered_categories_add_up_to_one(link: str) -> None:
    cuts = np.array([-np.inf, -1.5, 0.2, 0.3, 4.0, np.inf])
    for eta in (-9.0, -1.0, 0.0, 2.5, 6.0):
        y = np.arange(5.0)
        predictors = np.vstack([np.full(5, eta), np.clip(cuts[1:], -99, 99), np.clip(cuts[:-1], -99, 99)])
        logs = log_density(DensityCode("ordinal", link, categories=5), y, None, None, predictors, order=1)
        assert np.exp(logs[0]).sum() == pytest.approx(1.0, abs=1e-14)
        assert np.exp(logs[0]) @ logs[1] == pytest.approx(0.0, abs=1e-14)  # the score has mean zero


IMPOSSIBLE = {
    "binomial": (DensityCode("binomial", "logit"), 2.0, (0.0,)),
    "binomial mean": (DensityCode("binomial", "identity"), 1.0, (1.2,)),
    "binomial log mean": (DensityCode("binomial", "log"), 1.0, (0.1,)),
    "poisson": (DensityCode("poisson", "log"), 1.5, (0.0,)),
    "negative count": (DensityCode("nbinom2", "log"), -1.0, (0.0, 0.0)),
    "poisson mean": (DensityCode("poisson", "identity"), 0.0, (-0.5,)),
    "gamma": (DensityCode("gamma", "log"), 0.0, (0.0, 0.0)),
    "gamma mean": (DensityCode("gamma", "inverse"), 1.0, (-1.0, 0.0)),
    "inverse_gaussian": (DensityCode("inverse_gaussian", "log"), -1.0, (0.0, 0.0)),
    "beta": (DensityCode("beta", "logit"), 1.0, (0.0, 0.0)),
    "tweedie": (DensityCode("tweedie", "log"), -1.0, (0.0, 0.0, 0.0)),
    "truncated": (DensityCode("truncated_poisson", "log"), 0.0, (0.0,)),
    "truncated nbinom": (DensityCode("truncated_nbinom2", "log"), 0.0, (0.0, 0.0)),
    "category": (DensityCode("ordinal", "logit", categories=3), 3.0, (0.0, 1.0, 0.0)),
    "thresholds": (DensityCode("ordinal", "logit", categories=3), 1.0, (0.0, -1.0, 1.0)),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_the_impossible_has_no_finite_density(name: str) -> None:
    density, y, row = IMPOSSIBLE[name]
    got = log_density(density, np.array([y]), None, None, np.array(row)[:, None], order=3)
    assert not np.isfinite(got[0, 0])


def test_predictors_that_are_no_numbers_give_no_numbers() -> None:
    for family, link in (
        ("binomial", "logit"),
        ("poisson", "log"),
        ("binomial", "probit"),
        ("poisson", "sqrt"),
    ):
        got = log_density(DensityCode(family, link), np.ones(1), None, None, np.array([[np.nan]]), order=3)
        assert np.isnan(got[0, 0])


def test_sizes_are_checked() -> None:
    density, y = DensityCode("nbinom2", "log"), np.ones(3)
    with pytest.raises(ValueError, match="one row of predictors"):
        log_density(density, y, None, None, np.zeros((1, 3)), active=(0,))
    with pytest.raises(ValueError, match="have y's rows"):
        log_density(density, y, None, None, np.zeros((2, 4)))
    with pytest.raises(ValueError, match="have y's rows"):
        log_density(density, y, np.ones(4), None, np.zeros((2, 3)))
    with pytest.raises(ValueError, match="increasing"):
        log_density(density, y, None, None, np.zeros((2, 3)), 1, (1, 0))
    with pytest.raises(ValueError, match="orders 0 to 3"):
        log_density(density, y, None, None, np.zeros((2, 3)), 4)
    with pytest.raises(ValueError, match="at most three predictors"):
        log_density(DensityCode("tweedie", "log", extra_zeros=True), y, None, None, np.zeros((4, 3)))


def test_every_family_and_link_has_a_name() -> None:
    assert {table["family"] for table in TABLES} == set(DENSITIES)
    assert {table["link"] for table in TABLES} == set(LINKS)


def test_tweedie_ends_wherever_a_search_may_go() -> None:
    """Predictors too far out for the series give no number, and do not keep anybody waiting."""
    ends = (-700.0, -100.0, 0.0, 100.0, 700.0)
    predictors = np.array(list(itertools.product(ends, ends, ends))).T
    y = np.full(predictors.shape[1], 5.0)
    got = log_density(DensityCode("tweedie", "log"), y, None, None, predictors, order=3)
    assert np.isfinite(got[0]).mean() > 0.4
    assert not np.any(got[0] == np.inf)
