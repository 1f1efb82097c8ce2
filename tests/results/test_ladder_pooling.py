"""Lines of groups without, with partial and with complete pooling."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.errors import DataError

mpl.use("Agg")

SLEEP = ml.datasets.sleepstudy()
HSB = ml.datasets.hsb82()


def wide(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    return frame.pivot(index="level", columns="term", values=column)


def own_fits(data: pd.DataFrame, y: str, x: list[str], groups: str) -> pd.DataFrame:
    """Least squares in each group, as R's lmList has it."""
    found = {}
    for level, rows in data.groupby(groups, observed=True):
        X = np.column_stack([np.ones(len(rows)), rows[x]])
        found[level] = np.linalg.lstsq(X, rows[y].to_numpy(float), rcond=None)[0]
    return pd.DataFrame.from_dict(found, orient="index", columns=["Intercept", *x])


def test_sleepstudy_is_lmlist_coef_and_lm() -> None:
    steps = ml.ladder("Reaction ~ Days", SLEEP, groups="Subject")
    frame = steps.pooling().frame
    # R: lmList(Reaction ~ Days | Subject), coefficients and pooled standard errors
    assert frame["no_pooling"][:2].tolist() == pytest.approx([244.192669090909, 21.76470242424241], rel=1e-11)
    assert frame["std_error"][:2].tolist() == pytest.approx([15.0416872327141, 2.81756616888191], rel=1e-11)
    own = own_fits(SLEEP, "Reaction", ["Days"], "Subject")
    np.testing.assert_allclose(
        wide(frame, "no_pooling").sort_index()[own.columns], own.sort_index(), rtol=1e-10
    )
    coef = steps.fits["slope Days"].coef().set_index("level")[["Intercept", "Days"]]
    np.testing.assert_allclose(wide(frame, "partial").loc[coef.index, coef.columns], coef, rtol=1e-12)
    common = ml.ols("Reaction ~ Days", SLEEP).fixef
    np.testing.assert_allclose(
        wide(frame, "complete")[["Intercept", "Days"]], np.tile(common, (18, 1)), rtol=1e-12
    )
    ranef = steps.fits["slope Days"].ranef()
    np.testing.assert_allclose(frame["reliability"], ranef["reliability"], rtol=1e-12)
    np.testing.assert_allclose(frame["pull"], frame["partial"] - frame["no_pooling"], rtol=1e-12)


def test_predictors_of_groups_move_the_lines_of_partial_and_complete_pooling() -> None:
    formula = "mAch ~ cses * sector + meanses"
    lines = ml.ladder(formula, HSB, groups="school").pooling()
    assert lines.lines.names == ("Intercept", "cses")
    own = own_fits(HSB, "mAch", ["cses"], "school")
    np.testing.assert_allclose(wide(lines.frame, "no_pooling").loc[own.index], own, rtol=1e-8)
    at = HSB.groupby("school", observed=True)[["meanses", "sector"]].first().reset_index()
    for fit, column in ((lines.fit, "partial"), (lines.common, "complete")):
        zero, one = (fit.predict(at.assign(cses=value)) for value in (0.0, 1.0))
        found = wide(lines.frame, column).loc[at["school"]]
        np.testing.assert_allclose(found["Intercept"], zero, rtol=1e-10)
        np.testing.assert_allclose(found["cses"], one - zero, rtol=1e-9)


def test_combinations_are_coefficients_of_the_factor() -> None:
    machines = ml.datasets.machines()
    lines = ml.ladder("score ~ Machine", machines, groups="Worker").pooling()
    assert lines.step == "effects Machine"
    cells = machines[["Worker", "Machine"]].drop_duplicates().reset_index(drop=True)
    fitted = cells.assign(y=lines.fit.predict(cells)).pivot(index="Worker", columns="Machine", values="y")
    found = wide(lines.frame, "partial").loc[fitted.index]
    np.testing.assert_allclose(found["Intercept"], fitted["A"], rtol=1e-10)
    np.testing.assert_allclose(found["Machine[T.C]"], fitted["C"] - fitted["A"], rtol=1e-8)
    assert np.isnan(lines.frame["reliability"]).all()
    variance = lines.fit.varcorr()["variance"]
    np.testing.assert_allclose(
        lines.lines.sd**2, [variance[0] + variance[1], 2 * variance[1], 2 * variance[1]]
    )


def test_a_combination_that_is_not_there_is_predicted_without_its_effect() -> None:
    machines = ml.datasets.machines().query("not (Worker == '6' and Machine == 'B')")
    lines = ml.ladder("score ~ Machine", machines, groups="Worker").pooling()
    cell = pd.DataFrame({"Worker": ["6", "6"], "Machine": ["A", "B"]})
    low, high = lines.fit.predict(cell, new_levels="population")
    partial = lines.frame.query("level == '6'").set_index("term")
    assert partial.loc["Machine[T.B]", "partial"] == pytest.approx(high - low, rel=1e-9)
    assert np.isnan(partial.loc["Machine[T.B]", "no_pooling"])
    assert np.isfinite(partial.loc["Machine[T.C]", "no_pooling"])


def test_what_a_groups_rows_do_not_tell_is_missing_and_said() -> None:
    few = pd.concat([SLEEP[SLEEP["Subject"] != "308"], SLEEP[SLEEP["Subject"] == "308"].head(1)])
    constant = few.assign(Days=few["Days"].where(few["Subject"] != "309", 3))
    lines = ml.ladder("Reaction ~ Days", constant, groups="Subject").pooling()
    frame = lines.frame.set_index(["level", "term"])
    one = SLEEP[(SLEEP["Subject"] == "308") & (SLEEP["Days"] == 0)]["Reaction"].iloc[0]
    assert frame.loc[("308", "Intercept"), "no_pooling"] == pytest.approx(one)  # its row is at zero
    assert np.isnan(frame.loc[("308", "Days"), "no_pooling"])
    assert frame.loc["309", "no_pooling"].isna().all()
    assert frame["partial"].notna().all()
    text = " ".join(str(lines).split())
    assert (
        "2 of 18 levels of Subject lack coefficients of their own (1 with fewer than 2 observations, 1 in"
        in text
    )


def test_far_from_zero() -> None:
    far = SLEEP.assign(Days=SLEEP["Days"] + 1e6)
    near, other = (ml.ladder("Reaction ~ Days", data, groups="Subject").pooling() for data in (SLEEP, far))
    for column in ("no_pooling", "std_error"):
        np.testing.assert_allclose(
            wide(other.frame, column)["Days"], wide(near.frame, column)["Days"], rtol=1e-8
        )
    intercept = wide(other.frame, "no_pooling")
    np.testing.assert_allclose(
        intercept["Intercept"] + 1e6 * intercept["Days"],
        wide(near.frame, "no_pooling")["Intercept"],
        rtol=1e-6,
    )


def test_weights_and_an_offset() -> None:
    rng = np.random.default_rng(1)
    data = SLEEP.assign(w=rng.uniform(0.5, 2.0, 180), o=rng.normal(size=180) * 10)
    lines = ml.ladder("Reaction ~ Days", data, groups="Subject", weights="w", offset="o").pooling()
    rows = data[data["Subject"] == "309"]
    root = np.sqrt(rows["w"].to_numpy())
    X = np.column_stack([np.ones(10), rows["Days"]])
    own = np.linalg.lstsq(root[:, None] * X, root * (rows["Reaction"] - rows["o"]).to_numpy(), rcond=None)[0]
    np.testing.assert_allclose(lines.frame.query("level == '309'")["no_pooling"], own, rtol=1e-10)


def test_a_formula_without_intercept() -> None:
    machines = ml.datasets.machines()
    with_, without = (
        ml.ladder(f"score ~ {fixed}", machines, groups="Worker").pooling("intercept")
        for fixed in ("Machine", "0 + Machine")
    )
    a = wide(with_.frame, "partial")
    b = wide(without.frame, "partial")  # lines: level C where all indicators are zero
    np.testing.assert_allclose(b["Intercept"], a["Intercept"] + a["Machine[T.C]"], rtol=1e-6)
    np.testing.assert_allclose(b["Machine[A]"], -a["Machine[T.C]"], rtol=1e-6)
    own = wide(without.frame, "no_pooling")
    means = machines.groupby(["Worker", "Machine"], observed=True)["score"].mean().unstack()
    np.testing.assert_allclose(own["Intercept"], means.loc[own.index, "C"], rtol=1e-10)


def test_lines_of_the_empty_model_are_means() -> None:
    lines = ml.ladder("mAch ~ meanses", HSB, groups="school").pooling("empty")
    means = HSB.groupby("school", observed=True)["mAch"].mean()
    found = lines.frame.set_index("level")
    np.testing.assert_allclose(found["no_pooling"], means.loc[found.index], rtol=1e-10)
    assert found["complete"].to_numpy() == pytest.approx(HSB["mAch"].mean())


def test_it_reads() -> None:
    text = " ".join(str(ml.ladder("Reaction ~ Days", SLEEP, groups="Subject").pooling()).split())
    assert "Days: the model puts the standard deviation over levels of Subject at 5.922." in text
    assert "Estimates without pooling vary about the average line by 6.558" in text
    assert "370 is moved most, from 18.06 to 15.29 (reliability 0.85)." in text
    common = ml.ladder("score ~ Machine", ml.datasets.machines(), groups="Worker").pooling("intercept")
    text = " ".join(str(common).split())
    assert "since each is drawn in" not in text  # partial intercepts stand beside common slopes
    assert "partial pooling is complete here" in text


def test_plots() -> None:
    lines = ml.ladder("mAch ~ cses + minrty", HSB, groups="school").pooling("slope cses")
    grid = lines.plot(n=5)
    assert grid.shape == (5,)
    assert [len(axes.lines) for axes in grid] == [4] * 5  # the rows and three lines
    levels = list(lines.levels[:2])
    chosen = lines.plot("cses", levels=levels)
    assert [axes.get_title() for axes in chosen] == [str(level) for level in levels]
    means = ml.ladder("Yield ~ 1", ml.datasets.dyestuff(), groups="Batch").pooling().plot()
    assert [text.get_text() for text in means.get_xticklabels()] == list("FDABCE")
    plt.close("all")
    with pytest.raises(
        DataError, match="plot\\(x='ses'\\): the predictors that vary within groups are 'cses'"
    ):
        lines.plot("ses")
    with pytest.raises(DataError, match="'nowhere' is no group"):
        lines.plot(levels=["nowhere"])
