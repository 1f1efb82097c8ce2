"""Write the data sets that the lines are fitted to, each once, the same for every engine.

Run by the environment of multilevel, whose classic data sets are taken:  python data.py FOLDER NAME...
A data set becomes NAME.parquet for Python, and for R NAME.csv with the classes of its columns beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import multilevel as ml

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
MILLION = 1_000_000


def correlated(rng: np.random.Generator, n: int, sd: list[float], correlation: float) -> Floats:
    """Draws (n, q) of normal vectors with these standard deviations and one correlation throughout."""
    q = len(sd)
    factor = np.linalg.cholesky(np.full((q, q), correlation) + (1 - correlation) * np.eye(q))
    return rng.normal(size=(n, q)) @ factor.T * sd


def warm_up() -> pd.DataFrame:
    """A small table: the first fit of a process also loads code, and its time counts nowhere."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(12), 10)
    x = rng.normal(size=120)
    y = x + rng.normal(size=12)[g] + rng.normal(size=120)
    return pd.DataFrame({"y": y, "z": (y > 0).astype(int), "x": x, "g": g})


def responses() -> pd.DataFrame:
    """1,000 responses (180, 1000) drawn from the model of the sleep study."""
    rng = np.random.default_rng(2)
    sleep = ml.datasets.sleepstudy()
    subject, days = sleep["Subject"].cat.codes.to_numpy(), sleep["Days"].to_numpy(dtype=float)
    drawn = [correlated(rng, 18, [24.7, 5.9], 0.07)[subject] for _ in range(1000)]
    errors = rng.normal(scale=25.6, size=(1000, 180))
    Y = [251.4 + 10.5 * days + b[:, 0] + b[:, 1] * days + e for b, e in zip(drawn, errors, strict=True)]
    return pd.DataFrame(np.column_stack(Y), columns=[f"y{k}" for k in range(1000)])


def random_slope() -> pd.DataFrame:
    """A million rows in no order, 10,000 groups with correlated intercepts and slopes."""
    rng = np.random.default_rng(3)
    g = rng.integers(10_000, size=MILLION)
    x1, x2 = rng.normal(size=(2, MILLION))
    b = correlated(rng, 10_000, [0.8, 0.4], 0.3)[g]
    y = 1 + 0.5 * x1 - 0.2 * x2 + b[:, 0] + b[:, 1] * x1 + rng.normal(size=MILLION)
    return pd.DataFrame({"y": y, "x1": x1, "x2": x2, "g": g})


def slope_categorical() -> pd.DataFrame:
    """The same with a categorical column of groups."""
    return random_slope().astype({"g": "category"})


def slope_string() -> pd.DataFrame:
    """The same with the names of the groups as text."""
    frame = random_slope()
    return frame.assign(g="g" + frame["g"].astype(str).str.zfill(5))


def nested_slopes() -> pd.DataFrame:
    """A million rows, 10 units b, numbered from 1, in each of 1,000 units a; slopes vary at both levels."""
    rng = np.random.default_rng(4)
    a, b = rng.integers(1000, size=MILLION), rng.integers(10, size=MILLION)
    x = rng.normal(size=MILLION)
    of_a = correlated(rng, 1000, [0.7, 0.3], -0.2)[a]
    of_b = correlated(rng, 10_000, [0.5, 0.2], 0.4)[10 * a + b]
    effects = of_a + of_b
    y = 2 + x + effects[:, 0] + effects[:, 1] * x + rng.normal(size=MILLION)
    return pd.DataFrame({"y": y, "x": x, "a": a + 1, "b": b + 1})


def three_level() -> pd.DataFrame:
    """A million rows in 50,000 units b of 1,000 units a; every b has a number of its own."""
    rng = np.random.default_rng(5)
    b = rng.integers(50_000, size=MILLION)
    a = rng.integers(1000, size=50_000)[b]
    x = rng.normal(size=MILLION)
    y = 1 + 0.3 * x + 0.5 * rng.normal(size=1000)[a] + 0.7 * rng.normal(size=50_000)[b]
    return pd.DataFrame({"y": y + rng.normal(size=MILLION), "x": x, "a": a, "b": b})


def maximal() -> pd.DataFrame:
    """56 subjects see 32 items once each, in 8 conditions of a Latin square; everything varies by both."""
    rng = np.random.default_rng(6)
    subject, item = np.repeat(np.arange(56), 32), np.tile(np.arange(32), 56)
    condition = (subject + item) % 8
    a, b, c = (2.0 * (condition >> bit & 1) - 1 for bit in range(3))
    X = np.column_stack([np.ones(1792), a, b, a * b, c, a * c, b * c, a * b * c])
    of_subject = correlated(rng, 56, [300, 60, 50, 30, 70, 30, 20, 20], 0.3)[subject]
    of_item = correlated(rng, 32, [350, 40, 90, 20, 60, 20, 20, 10], 0.2)[item]
    beta = np.array([2200, -70, 330, 20, 80, -20, 20, -20])
    y = np.sum(X * (beta + of_subject + of_item), axis=1) + rng.normal(scale=650, size=1792)
    names = {"subject": [f"S{k:02}" for k in subject], "item": [f"I{k:02}" for k in item]}
    effects = dict(zip(["a", "b", "ab", "c", "ac", "bc", "abc"], X.T[1:], strict=True))
    return pd.DataFrame({"y": y, **effects, **names}).astype(dict.fromkeys(names, "category"))


def ranked(rng: np.random.Generator, n: int, power: float) -> Floats:
    """Probabilities (n,) that fall with a power of the rank, in random order."""
    weight = rng.permutation((np.arange(n) + 10.0) ** -power)
    probability: Floats = weight / weight.sum()
    return probability


def ratings() -> pd.DataFrame:
    """A million distinct pairs of 6,040 users and 3,706 items, few of them active or popular."""
    rng = np.random.default_rng(7)
    n_users, n_items = 6040, 3706
    of_user, of_item = ranked(rng, n_users, 0.6), ranked(rng, n_items, 0.8)
    # One pair for every level, so that none is missing.
    pairs = np.unique(rng.permutation(n_users) * n_items + np.arange(n_users) % n_items)
    while len(pairs) < MILLION:
        users = rng.choice(n_users, MILLION // 2, p=of_user)
        items = rng.choice(n_items, MILLION // 2, p=of_item)
        drawn = np.setdiff1d(users * n_items + items, pairs)
        pairs = np.concatenate([pairs, rng.permutation(drawn)[: MILLION - len(pairs)]])
    user, item = np.divmod(rng.permutation(pairs), n_items)
    y = 3.5 + 0.4 * rng.normal(size=n_users)[user] + 0.6 * rng.normal(size=n_items)[item]
    return pd.DataFrame({"y": y + 0.9 * rng.normal(size=MILLION), "user": user, "item": item})


def logistic() -> pd.DataFrame:
    """100,000 zeros and ones of 2,000 groups, in no order."""
    rng = np.random.default_rng(8)
    g = rng.integers(2000, size=100_000)
    x1, x2 = rng.normal(size=(2, 100_000))
    eta = -0.5 + 0.6 * x1 - 0.3 * x2 + rng.normal(size=2000)[g]
    y = (rng.uniform(size=100_000) < 1 / (1 + np.exp(-eta))).astype(int)
    return pd.DataFrame({"y": y, "x1": x1, "x2": x2, "g": g})


def cbpp() -> pd.DataFrame:
    """Cases of bovine pleuropneumonia, with the number of those not ill."""
    frame = ml.datasets.cbpp()
    return frame.assign(healthy=frame["size"] - frame["incidence"])


def verbagg() -> pd.DataFrame:
    """Verbal aggression, with the answer as 0 and 1."""
    frame = ml.datasets.verbagg()
    return frame.assign(yes=(frame["r2"] == "Y").astype(int))


def poisson_crossed() -> pd.DataFrame:
    """100,000 counts of 1,000 units a, each seen under 100 of 200 conditions b."""
    rng = np.random.default_rng(9)
    a, b = rng.integers(1000, size=100_000), rng.integers(200, size=100_000)
    x = rng.normal(size=100_000)
    eta = 0.5 + 0.3 * x + 0.5 * rng.normal(size=1000)[a] + 0.3 * rng.normal(size=200)[b]
    return pd.DataFrame({"y": rng.poisson(np.exp(eta)), "x": x, "a": a, "b": b})


RECIPES: dict[str, Callable[[], pd.DataFrame]] = {
    "warm_up": warm_up,
    "sleepstudy": ml.datasets.sleepstudy,
    "responses": responses,
    "insteval": ml.datasets.insteval,
    "slope_int": random_slope,
    "slope_categorical": slope_categorical,
    "slope_string": slope_string,
    "nested_slopes": nested_slopes,
    "three_level": three_level,
    "chem97": ml.datasets.chem97,
    "maximal": maximal,
    "ratings": ratings,
    "logistic": logistic,
    "cbpp": cbpp,
    "verbagg": verbagg,
    "poisson_crossed": poisson_crossed,
}


def r_class(column: pd.Series) -> str:
    """The class that R gives such a column."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "factor"
    return {"i": "integer", "f": "numeric"}.get(column.dtype.kind, "character")


def write(frame: pd.DataFrame, folder: Path, name: str) -> None:
    """Write for R and for Python; the Parquet file last, as the sign that all is there."""
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / f"{name}.csv", index=False)
    (folder / f"{name}.classes").write_text("\n".join(r_class(frame[column]) for column in frame) + "\n")
    frame.to_parquet(folder / f"{name}.parquet", index=False)


if __name__ == "__main__":
    for wanted in sys.argv[2:]:
        write(RECIPES[wanted](), Path(sys.argv[1]), wanted)
