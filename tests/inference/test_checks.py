"""check(): quiet on clean data, loud on planted defects, and words that fit."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.errors import ColumnNotFoundError, DataError, ModelError
from multilevel.inference.residual_checks import lag_one, outlier_p, spread_between, spread_over

FORMULA = "y ~ x + w + t + (1 | g)"


def simulated(seed, *, J=45, m=8, add=None):
    """Groups with a covariate of both kinds (x), one of the group (w), and a time; `add` plants a defect."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(J), m)
    parts = {
        "g": g,
        "t": np.tile(np.arange(m), J) / m,
        "xb": rng.normal(size=J)[g],
        "xw": rng.normal(size=J * m),
        "w": rng.normal(size=J)[g],
        "b": rng.normal(size=J)[g],
        "u": rng.normal(size=J)[g],
        "e": rng.normal(size=J * m),
    }
    parts |= {} if add is None else add(parts, rng)
    mean = 1.0 + 0.5 * (parts["xb"] + parts["xw"]) + 0.3 * parts["w"] + parts["t"]
    y = mean + parts["b"] + parts.get("more", 0.0) + parts["e"] * parts.get("spread", lambda _: 1.0)(mean)
    return pd.DataFrame(
        {
            "y": y,
            "x": parts["xb"] + parts["xw"],
            "w": parts["w"],
            "t": parts["t"],
            "g": [f"g{k:02d}" for k in g],
            "order": rng.permutation(J * m),
        }
    )


def told(fit, **options):
    """Looks that were not in order."""
    checks = fit.check(**options)
    return {c for c, status in zip(checks["check"], checks["status"], strict=True) if status != "ok"}


def test_clean_data_are_left_in_peace():
    alarms = Counter(name for seed in range(50) for name in told(ml.lmm(FORMULA, simulated(seed))))
    # each look has a level of 1%: more than 3 alarms in 50 have a chance of 1 in 500
    assert all(count <= 3 for count in alarms.values()), alarms
    assert sum(alarms.values()) <= 15  # a dozen tests of 1% in 50 data sets: 6 expected


def test_few_clean_groups_are_left_in_peace_too():
    quiet = [told(ml.lmm(FORMULA, simulated(seed, J=15, m=5))) - {"few groups"} for seed in range(50)]
    alarms = Counter(name for names in quiet for name in names)
    assert all(count <= 4 for count in alarms.values()), alarms


def autocorrelated(parts, _):
    e = parts["e"].copy()
    for i in range(1, len(e)):
        if parts["g"][i] == parts["g"][i - 1]:
            e[i] = 0.6 * e[i - 1] + 0.8 * e[i]
    return {"e": e}


DEFECTS = {
    "omitted random slopes": lambda parts, _: {"more": 0.6 * parts["u"] * parts["xw"]},
    "even spread": lambda *_: {"spread": lambda mean: np.exp(0.4 * (mean - mean.mean()) / mean.std())},
    "even spread between groups": lambda parts, _: {"spread": lambda _: np.exp(0.5 * parts["u"])},
    "order within groups": autocorrelated,
    "normal residuals": lambda parts, rng: {"e": rng.exponential(size=len(parts["e"])) - 1.0},
    "unusual rows": lambda parts, _: {"e": parts["e"] + 7.0 * (np.arange(len(parts["e"])) == 40)},
    "unusual groups": lambda parts, _: {"b": parts["b"] + 8.0 * (parts["g"] == 3)},
    "normal random effects": lambda parts, _: {"b": np.exp(1.2 * parts["b"])},
    "within and between": lambda parts, _: {"more": parts["xb"]},
    "influential groups": lambda parts, _: {
        "w": np.where(parts["g"] == 3, 8.0, parts["w"]),
        "b": np.where(parts["g"] == 3, 4.0, parts["b"]),
    },
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found(name):
    found = [name in told(ml.lmm(FORMULA, simulated(seed, add=DEFECTS[name]))) for seed in range(8)]
    assert sum(found) >= 7


def test_an_omitted_interaction_with_the_groups_is_found():
    machines = ml.datasets.machines()
    checks = ml.lmm("score ~ Machine + (1 | Worker)", machines).check()
    message = dict(zip(checks["check"], checks["message"], strict=True))["omitted random slopes"]
    assert "(1 | Worker:Machine)" in message
    assert "as it stands it is too small" in message
    nested = ml.lmm("score ~ Machine + (1 | Worker / Machine)", machines)
    assert "omitted random slopes" not in told(nested)


def test_slopes_that_are_there_are_not_asked_for():
    sleep = ml.datasets.sleepstudy()
    assert "omitted random slopes" in told(ml.lmm("Reaction ~ Days + (1 | Subject)", sleep))
    for bar in ("(1 + Days | Subject)", "(Days || Subject)"):
        assert "omitted random slopes" not in told(ml.lmm(f"Reaction ~ Days + {bar}", sleep))
    curves = ml.lmm("Reaction ~ poly(Days, 2) + (1 + Days + I(Days ** 2) | Subject)", sleep)
    assert "omitted random slopes" not in told(curves)  # the same curves, written otherwise
    boys = ml.lmm("height ~ age + I(age ** 2) + (age | Subject)", ml.datasets.oxboys())
    assert "omitted random slopes" in told(boys)  # the square, now that the slope is there


def test_time_orders_the_rows():
    data = simulated(1, add=autocorrelated)
    data["time"] = np.arange(len(data))
    shuffled = data.sort_values("order")
    fit = ml.lmm(FORMULA, shuffled)
    assert "order within groups" not in told(fit)
    assert "order within groups" in told(fit, time="time")
    assert "order within groups" in told(fit, time=shuffled["time"].to_numpy())


def messages(fit, **options):
    checks = fit.check(**options)
    return [
        message for message, status in zip(checks["message"], checks["status"], strict=True) if status != "ok"
    ]


@pytest.mark.parametrize(
    ("formula", "data", "words"),
    [
        (
            "Yield ~ 1 + (1 | Batch)",
            "dyestuff2",
            ["estimated as zero", "6 levels, so its variance is known poorly"],
        ),
        (
            "rate ~ pressure + QB + (pressure | Subject)",
            "dialyzer",
            ["determine each other: the data support"],
        ),
        (
            "Reaction ~ Days + (1 | Subject)",
            "sleepstudy",
            ["18 levels", "(Days | Subject)", "times as large"],
        ),
        ("mAch ~ ses + (1 | school)", "hsb82", ["Use within(ses, school) + between(ses, school)"]),
    ],
)
def test_classic_data_say_what_they_are_known_for(formula, data, words):
    said = " ".join(messages(ml.lmm(formula, getattr(ml.datasets, data)())))
    assert all(word in said for word in words), said


def test_the_data_themselves():
    rng = np.random.default_rng(1)
    data = simulated(2)
    data["year"] = 2000.0 + 5.0 * data["t"]
    data["income"] = 1e6 * rng.normal(size=len(data))
    data["copy"] = data["x"] + 0.01 * rng.normal(size=len(data))
    data["twice"] = 2.0 * data["w"]
    data.loc[data.index[:50], "y"] = np.nan
    fit = ml.lmm("y ~ x + w + twice + copy + income + year + (year | g)", data)
    said = " ".join(messages(fit))
    assert "50 of 360 rows (14%) were dropped" in said
    assert "twice: a linear combination" in said
    assert "variance inflation" in said
    assert "income" in said
    assert "year lies far from zero (mean 2" in said


def test_squares_and_products_are_no_collinearity():
    data = simulated(3)
    data["x"] = data["x"] + 10.0
    checks = ml.lmm("y ~ x + I(x ** 2) + w + x:w + (1 | g)", data).check()
    assert dict(zip(checks["check"], checks["status"], strict=True))["collinearity"] == "ok"


def test_groups_of_one():
    data = simulated(4)
    fit = ml.lmm("y ~ x + (1 | g)", data.groupby("g").head(8).iloc[: 8 * 30 + 0].pipe(cut_to_singles))
    assert "20 of the 30 levels of g have one observation" in " ".join(messages(fit))


def cut_to_singles(data):
    """All rows of ten groups, one row of each other group."""
    place = data.groupby("g").cumcount()
    return data[(place == 0) | (data["g"] < "g10")]


def test_a_correlation_near_one():
    rng = np.random.default_rng(5)
    data = simulated(5)
    b = rng.normal(size=45)
    code = data["g"].str[1:].astype(int).to_numpy()
    data["y"] = data["y"] + b[code] * (1.0 + data["x"]) + 0.2 * rng.normal(size=45)[code] * data["x"]
    fit = ml.lmm("y ~ x + (x | g)", data)
    status = dict(zip(fit.check()["check"], fit.check()["status"], strict=True))
    assert (status["correlation near one"] == "note") == (
        0.95 < abs(fit.record.terms[0].correlation[1, 0]) < 1.0
    )


def test_counts_are_repeated_rows():
    data = simulated(6)
    data["n"] = 1 + np.arange(len(data)) % 2
    counted = ml.lmm("y ~ x + (1 | g)", data, freq_weights="n").check()
    repeated = ml.lmm("y ~ x + (1 | g)", data.loc[data.index.repeat(data["n"])].reset_index()).check()
    theirs = dict(zip(repeated["check"], repeated["statistic"], strict=True))
    for name, statistic in zip(counted["check"], counted["statistic"], strict=True):
        if name not in {"convergence", "groups of one"}:
            np.testing.assert_allclose(statistic, theirs[name], rtol=1e-4, atol=1e-6)
    left_out = str(ml.lmm("y ~ x + (1 | g)", data, freq_weights="n").check())
    assert "Not looked at: spread and order of the residuals within groups" in left_out


def test_the_order_of_rows_matters_to_the_order_only():
    data = simulated(7)
    one = ml.lmm(FORMULA, data).check()
    two = ml.lmm(FORMULA, data.sort_values(["order"])).check()
    for name, a, b in zip(one["check"], one["statistic"], two["statistic"], strict=True):
        if name not in {"order within groups", "even spread between groups", "convergence"}:
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6, err_msg=name)


def test_crossed_factors_and_structures_are_read_too():
    for formula, data in [
        ("diameter ~ 1 + (1 | plate) + (1 | sample)", ml.datasets.penicillin()),
        ("y ~ x + cs(0 + w + t | g) + (1 | g)", simulated(8)),
        ("y ~ 0 + x + (0 + x | g)", simulated(8)),
        ("y ~ x + ar1(0 + factor(t) | g)", simulated(8, m=4)),
    ]:
        frame = ml.lmm(formula, data).check().frame
        assert list(frame.columns) == ["check", "status", "statistic", "p_value", "message"]
        assert set(frame["status"]) <= {"ok", "note", "warn"}
        assert frame["message"].str.endswith(".").all() or frame["message"].str.endswith("?").any()


def test_tables_are_of_the_users_kind_and_the_page_tells_the_notable_first():
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", ml.datasets.sleepstudy("polars"))
    checks = fit.check()
    assert type(checks.frame).__module__.startswith("polars")
    lines = str(checks).splitlines()
    assert lines[0] == "19 looks at the fit: 3 warnings, 3 notes"
    order = [line.split()[0] for line in lines if line.split() and line.split()[0] in {"WARN", "NOTE", "ok"}]
    assert order == ["WARN"] * 3 + ["NOTE"] * 3 + ["ok"]
    assert "looks, not tests" in str(checks)
    assert "omitted random slopes" in checks._repr_html_()


def test_misuse():
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", ml.datasets.sleepstudy())
    with pytest.raises(ColumnNotFoundError, match="day"):
        fit.check(time="day")
    with pytest.raises(DataError, match="time= needs"):
        fit.check(time=np.arange(3))
    bare = ml.lmm("distance ~ age + us(0 + factor(age) | Subject)", ml.datasets.orthodont(), residual="none")
    with pytest.raises(ModelError, match="needs a residual"):
        bare.check()


# ---- least squares ----


def test_clustering_that_is_ignored():
    data = ml.datasets.hsb82()
    naive = ml.ols("mAch ~ ses", data)
    assert "Not looked at: clustering" in str(naive.check())
    assert "alike within clusters" in told_by(naive.check("school"))
    clustered = ml.ols("mAch ~ ses", data, cluster="school")
    assert "alike within clusters" not in told_by(clustered.check())
    assert "cluster-robust standard errors in use" in " ".join(clustered.check()["message"])


def told_by(checks):
    return {c for c, status in zip(checks["check"], checks["status"], strict=True) if status != "ok"}


def test_a_clean_regression_is_left_in_peace():
    alarms = Counter()
    for seed in range(50):
        rng = np.random.default_rng(seed)
        data = pd.DataFrame({"x": rng.normal(size=120), "z": rng.normal(size=120), "g": np.arange(120) % 20})
        data["y"] = data["x"] + rng.normal(size=120)
        alarms.update(told_by(ml.ols("y ~ x + z", data).check("g")))
    assert all(count <= 3 for count in alarms.values()), alarms


def test_defects_of_a_regression():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"x": rng.normal(size=200)})
    data["y"] = data["x"] + rng.normal(size=200) * np.exp(0.6 * data["x"])
    data.loc[7, ["x", "y"]] = [6.0, -20.0]
    assert {"even spread", "unusual rows", "influential rows"} <= told_by(ml.ols("y ~ x", data).check())
    robust = ml.ols("y ~ x", data, vcov="HC3").check()
    assert "HC3 standard errors in use allow for this" in " ".join(robust["message"])


# ---- the statistics ----


def test_statistics_have_their_null_distributions():
    rng = np.random.default_rng(1)
    p = {"over": [], "between": [], "lag": [], "outlier": []}
    codes = np.repeat(np.arange(20), 10).astype(np.int32)
    first = np.flatnonzero(codes[:-1] == codes[1:])
    for _ in range(400):
        z = rng.normal(size=200)
        p["over"].append(spread_over(z, rng.normal(size=200)).p_value)
        p["between"].append(spread_between(z, codes, np.ones(200, bool))[0].p_value)
        p["lag"].append(lag_one(z, first, first + 1).p_value)
        x = rng.normal(size=200)
        p["outlier"].append(
            outlier_p((x - x.mean()) / x.std(ddof=1) / np.sqrt(1 - 1 / 200), 199.0, 200.0).min()
        )
    for name, values in p.items():
        share = np.mean(np.array(values) < 0.05)
        assert 0.02 < share < 0.085, (name, share)  # 5%, +-3 standard errors of 400 draws


def test_too_little_to_say():
    fit = ml.lmm("travel ~ 1 + (1 | Rail)", ml.datasets.rail())
    said = fit.check()["message"]
    assert "Too few observations to say." in said
    assert "Too few levels of Rail to say." in said


# ---- against explicit fits ----


def finding(fit, name):
    return next(found for found in fit.check().findings if found.check == name)


def test_the_omitted_slope_is_the_likelihood_ratio_of_the_larger_fit():
    sleep = ml.datasets.sleepstudy()
    small, large = (ml.lmm(f"Reaction ~ Days + ({bar} | Subject)", sleep) for bar in ("1", "1 + Days"))
    found = finding(small, "omitted random slopes")
    assert found.statistic == pytest.approx(small.criterion - large.criterion, abs=1e-6)
    assert found.facts["sd"] == pytest.approx(large.record.terms[0].sd[1], rel=1e-5)
    assert found.facts["se_ratio"] == pytest.approx(large.se[1] / small.se[1], rel=1e-5)


def test_within_and_between_is_mundlaks_regression_with_theta_held():
    data = simulated(9, add=DEFECTS["within and between"])
    fit = ml.lmm("y ~ x + w + (1 | g)", data)
    found = finding(fit, "within and between")
    m = data.groupby("g")["x"].transform("mean").to_numpy()
    matrices = fit.matrices()
    V = (matrices.Z @ matrices.Sigma @ matrices.Z.T).toarray() + np.diag(matrices.residual_variance)
    X = np.column_stack([matrices.X, m])
    W = np.linalg.inv(V)
    vcov = np.linalg.inv(X.T @ W @ X)
    beta = vcov @ X.T @ W @ fit.design.y
    assert found.statistic == pytest.approx(beta[-1] / np.sqrt(vcov[-1, -1]), rel=1e-8)
    assert found.facts["within"] == pytest.approx(beta[1], rel=1e-8)
    assert found.facts["between"] == pytest.approx(beta[1] + beta[-1], rel=1e-8)
    far = finding(ml.lmm("y ~ x + w + (1 | g)", data.assign(x=data["x"] + 1e7)), "within and between")
    assert far.statistic == pytest.approx(found.statistic, rel=1e-6)
