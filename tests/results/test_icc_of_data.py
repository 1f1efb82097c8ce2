"""`ml.icc` against R's answers, the algebra it must obey, the words it says, and misuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import multilevel as ml
from multilevel.errors import ColumnNotFoundError, DataError, DataTypeError, ModelError
from multilevel.results.icc_of_data import Likeness
from reference_cases import case_data, case_names, load_case

ROUNDING = 1e-9  # relative: sums of squares in double precision
CASES = case_names("icc_")


def icc_of_case(name: str, **options: Any) -> Likeness:
    case = load_case(name)
    return ml.icc(case_data(case), case["spec"]["response"], groups=case["spec"]["group"], **options)


# ---- R ----


@pytest.mark.parametrize("name", CASES)
def test_the_analysis_of_variance_is_rs(name: str) -> None:
    case, found = load_case(name), icc_of_case(name)
    table, theirs = found.anova.frame, case["anova"]
    ours = {
        "df_between": table["df"][0],
        "df_within": table["df"][1],
        "ss_between": table["sumsq"][0],
        "ss_within": table["sumsq"][1],
        "ms_between": table["meansq"][0],
        "ms_within": table["meansq"][1],
        "F": table["statistic"][0],
    }
    assert ours == pytest.approx({key: theirs[key] for key in ours}, rel=ROUNDING)
    # p = 1e-112 magnifies the rounding of F by half the degrees of freedom
    assert table["p_value"][0] == pytest.approx(theirs["p"], rel=1e-8)
    assert found.sample.anova.n0 == pytest.approx(case["dims"]["n0"], rel=ROUNDING)
    assert found.sample.anova.n_groups == case["dims"]["n_groups"]


@pytest.mark.parametrize("name", CASES)
def test_estimates_and_limits_are_rs(name: str) -> None:
    case, found = load_case(name), icc_of_case(name)
    theirs, table = case["icc"], found.frame
    ours = {
        "ICC1": table["icc"][0],
        "ICC2": table["icc_k"][0],
        "var_between": table["var_between"][0],
        "var_within": table["var_within"][0],
        "eta_squared": found.anova["r_squared"][0],
        "omega_squared": found.anova["omega_squared"][0],
    }
    assert ours == pytest.approx({key: theirs[key] for key in ours}, rel=ROUNDING)
    assert [table["conf_low"][0], table["conf_high"][0]] == pytest.approx(theirs["ICC1_ci95"], rel=ROUNDING)
    assert found.anova["icc_from_f"][0] == pytest.approx(theirs["ICC1"], rel=ROUNDING)


@pytest.mark.parametrize("name", CASES)
def test_group_means_are_rs(name: str) -> None:
    theirs, table = load_case(name)["group_means"], icc_of_case(name).group_means
    assert [str(level) for level in table["level"]] == theirs["levels"]
    assert list(table["n"]) == theirs["n"]
    assert list(table["mean"]) == pytest.approx(theirs["means"], rel=ROUNDING)
    sd = np.array([np.nan if value is None else value for value in theirs["sd"]], dtype=float)
    np.testing.assert_allclose(table["sd"], sd, rtol=ROUNDING)


# ---- REML ----


@pytest.mark.parametrize("name", CASES)
def test_the_reml_row_is_the_empty_mixed_model(name: str) -> None:
    case, table = load_case(name), icc_of_case(name).frame
    y, g = case["spec"]["response"], case["spec"]["group"]
    fit = ml.lmm(f"{y} ~ 1 + (1 | {g})", case_data(case))
    theirs = fit.icc(conf_int="exact")
    for ours in ("icc", "conf_low", "conf_high"):  # both searches stop within 1e-6 of the optimum
        assert table[ours][1] == pytest.approx(theirs[ours][0], rel=1e-6, abs=1e-9)
    assert table["var_within"][1] == pytest.approx(fit.sigma**2, rel=1e-6)
    assert table["var_between"][1] == pytest.approx(theirs["variance"][0], rel=1e-6, abs=1e-9)


def test_delta_limits_of_reml_are_those_of_the_fit(dyestuff: pd.DataFrame) -> None:
    found = ml.icc(dyestuff, "Yield", groups="Batch", conf_int="delta", level=0.9)
    theirs = ml.lmm("Yield ~ 1 + (1 | Batch)", dyestuff).icc(conf_int="delta", level=0.9)
    assert np.isnan(found["conf_low"][0])
    assert found["conf_low"][1] == pytest.approx(theirs["conf_low"][0], rel=1e-5)
    assert found["conf_high"][1] == pytest.approx(theirs["conf_high"][0], rel=1e-5)
    assert "No such limits here for anova" in str(found)


def test_balanced_exact_limits_agree_but_for_zero(dyestuff: pd.DataFrame) -> None:
    table = ml.icc(dyestuff, "Yield", groups="Batch")
    assert table["conf_low"][0] == pytest.approx(table["conf_low"][1], rel=1e-6)
    assert table["conf_high"][0] == pytest.approx(table["conf_high"][1], rel=1e-6)


# ---- the course ----


def test_the_communities_by_hand(school_prevention: pd.DataFrame) -> None:
    found = ml.icc(school_prevention, "score", groups="community")
    assert list(found.group_means["mean"]) == pytest.approx([43, 31, 56, 37, 49], rel=ROUNDING)
    hand = found.by_hand()
    assert hand.frame["variance"].tolist() == pytest.approx([96.20, 8.95, 93.37, 11.33], abs=5e-3)
    assert hand.frame["share"].tolist() == pytest.approx([0.915, 0.085, 0.892, 0.108], abs=5e-4)
    assert hand.frame["estimate"].tolist() == ["naive", "naive", "corrected", "corrected"]
    assert "Grand mean: 43.2" in str(hand)


def test_every_value_is_the_sum_of_its_parts(sleepstudy: pd.DataFrame) -> None:
    data = sleepstudy.assign(Reaction=sleepstudy["Reaction"].where(sleepstudy.index != 5))
    rows = ml.icc(data, "Reaction", groups="Subject").by_hand().rows
    whole = rows["grand_mean"] + rows["group_deviation"] + rows["residual"]
    np.testing.assert_allclose(whole, data["Reaction"], rtol=1e-14)
    assert rows["residual"].isna().sum() == 1
    means = data.groupby("Subject", observed=True)["Reaction"].transform("mean")
    np.testing.assert_allclose(rows["group_deviation"] + rows["grand_mean"], means.where(rows.index != 5))


# ---- algebra ----


def numbers(found: Likeness) -> np.ndarray:
    """What does not depend on units."""
    shares = found.frame[["icc", "conf_low", "conf_high", "icc_k"]].to_numpy()
    return np.concatenate([shares.ravel(), [found.sample.anova.f, found.sample.anova.r_squared]])


STAR = case_data(load_case("icc_anova_star_subset"))
SPEC = load_case("icc_anova_star_subset")["spec"]


def star(data: pd.DataFrame = STAR, **options: Any) -> Likeness:
    return ml.icc(data, SPEC["response"], groups=SPEC["group"], **options)


@pytest.mark.parametrize(("scale", "shift"), [(1e-3, 5.0), (7.0, 1e7), (-2.0, 0.0)])
def test_units_do_not_matter(scale: float, shift: float) -> None:
    changed = STAR.assign(**{SPEC["response"]: scale * STAR[SPEC["response"]] + shift})
    np.testing.assert_allclose(numbers(star(changed)), numbers(star()), rtol=1e-6)


def test_neither_names_nor_the_order_of_rows_matter() -> None:
    renamed = STAR.assign(**{SPEC["group"]: "g" + STAR[SPEC["group"]].astype(str)}).sample(
        frac=1.0, random_state=1
    )
    np.testing.assert_allclose(numbers(star(renamed)), numbers(star()), rtol=1e-9)


def test_counted_rows_are_repeated_rows(sleepstudy: pd.DataFrame) -> None:
    counts = np.tile([1, 2, 0], 60)
    repeated = sleepstudy.loc[sleepstudy.index.repeat(counts)]
    for options in ({}, {"conf_int": "jackknife"}, {"conf_int": "bootstrap", "seed": 1, "n": 20}):
        counted = ml.icc(sleepstudy, "Reaction", groups="Subject", freq_weights=counts, **options)
        by_rows = ml.icc(repeated, "Reaction", groups="Subject", **options)
        np.testing.assert_allclose(numbers(counted), numbers(by_rows), rtol=1e-8)
        np.testing.assert_allclose(counted.group_means["sd"], by_rows.group_means["sd"])


def test_the_icc_of_one_level_down_is_that_of_crossed_labels() -> None:
    pastes = ml.datasets.pastes()
    crossed = pastes.assign(where=pastes["batch"].astype(str) + ":" + pastes["cask"].astype(str))
    np.testing.assert_allclose(
        numbers(ml.icc(pastes, "strength", groups="batch:cask")),
        numbers(ml.icc(crossed, "strength", groups="where")),
    )


# ---- kinds of variable ----

CHILD = ml.datasets.contraception()


def test_two_labels_and_truth_values_are_binary() -> None:
    by_label = ml.icc(CHILD, "use", groups="district")
    by_truth = ml.icc(CHILD.assign(use=CHILD["use"] == "Y"), "use", groups="district")
    by_number = ml.icc(CHILD.assign(use=(CHILD["use"] == "Y") * 1), "use", groups="district")
    assert by_label.kind == by_truth.kind == by_number.kind == "binary"
    assert list(by_label["method"]) == ["anova", "fleiss_cuzick", "latent"]
    for other in (by_truth, by_number):
        pd.testing.assert_frame_equal(by_label.frame, other.frame)
    assert "binary, 1 for Y in 39.2% of observations" in str(by_label)


def test_latent_limits_are_converted_and_means_are_not_taken() -> None:
    table = ml.icc(CHILD, "use", groups="district").frame
    anova, latent = table.iloc[0], table.iloc[2]
    assert latent["conf_low"] < latent["icc"] < latent["conf_high"]
    assert latent["icc"] > anova["icc"]
    assert np.isnan(latent["icc_k"])


def test_counts_are_named_by_the_user() -> None:
    ticks = ml.datasets.grouseticks()
    assert ml.icc(ticks, "TICKS", groups="BROOD").kind == "continuous"
    found = ml.icc(ticks, "TICKS", groups="BROOD", kind="count")
    assert list(found["method"]) == ["anova", "latent"]
    assert found.limits == "jackknife"
    assert "counts, mean 6.37" in str(found)


def test_binary_values_may_be_taken_as_continuous() -> None:
    data = CHILD.assign(use=CHILD["use"] == "Y")
    found = ml.icc(data, "use", groups="district", kind="continuous")
    assert list(found["method"]) == ["anova", "reml"]
    assert "code them as 0 and 1" in str(found)


def test_a_seed_fixes_the_bootstrap() -> None:
    options: dict[str, Any] = {"conf_int": "bootstrap", "n": 50, "method": ["anova", "pairwise"]}
    first, second = (ml.icc(CHILD, "use", groups="district", seed=3, **options).frame for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    other = ml.icc(CHILD, "use", groups="district", seed=4, **options).frame
    assert (first["conf_low"] != other["conf_low"]).all()


# ---- words ----


def test_a_negative_estimate_is_shown_and_explained(dyestuff2: pd.DataFrame) -> None:
    found = ml.icc(dyestuff2, "Yield", groups="Batch")
    assert found["icc"][0] < 0.0 == found["icc"][1]
    text = str(found)
    assert "The estimate (anova) is negative, -0.0970" in text
    assert "REML keeps variances from being negative" in text


def test_limits_that_reach_zero_are_said() -> None:
    assert "The limits reach 0" in str(icc_of_case("icc_anova_ergostool"))
    assert "The limits reach 0" not in str(icc_of_case("icc_anova_exam"))


def test_numbers_in_sentences_are_those_of_the_table() -> None:
    found = icc_of_case("icc_anova_exam")
    row = found.frame.iloc[0]
    text = " ".join(str(found).split())
    assert f"{100 * row['icc']:.1f}% of the variance of normexam lies between groups of school" in text
    assert f"correlate {row['icc']:.3f} (95% limits {row['conf_low']:.3f} to {row['conf_high']:.3f})" in text
    assert f"has reliability {row['icc_k']:.3f}" in text


def test_estimates_that_disagree_are_pointed_out() -> None:
    assert "anova (0.078) and reml (0.171) disagree" in str(star())
    assert "disagree" not in str(icc_of_case("icc_anova_exam"))


def test_r_squared_is_put_beside_what_chance_gives(school_prevention: pd.DataFrame) -> None:
    anova = ml.icc(school_prevention, "score", groups="community").anova
    assert anova["r_squared_by_chance"][0] == pytest.approx(4 / 19)
    assert "take up 0.211 of the sum of squares on average" in " ".join(str(anova).split())
    assert anova._repr_html_().startswith("<div")


def test_r_squared_by_chance_is_its_mean_without_groups() -> None:
    rng, g = np.random.default_rng(1), np.repeat(np.arange(10), 3)
    found = [
        ml.icc({"y": rng.standard_normal(30), "g": g}, "y", groups="g", method="anova").anova
        for _ in range(300)
    ]
    r_squared = np.array([each["r_squared"][0] for each in found])
    assert r_squared.mean() == pytest.approx(9 / 29, abs=3 * r_squared.std() / np.sqrt(300))
    assert abs(np.mean([each["epsilon_squared"][0] for each in found])) < 0.03


def test_dropped_rows_are_counted_and_said() -> None:
    data = {"y": [1.0, np.nan, 2.0, 4.0, 5.0, 3.0], "g": ["a", "a", None, "b", "b", "a"]}
    assert "2 of 6 rows were dropped for missing values (y 1, g 1)" in str(ml.icc(data, "y", groups="g"))
    with pytest.raises(DataError, match="missing='raise'"):
        ml.icc(data, "y", groups="g", missing="raise")


def test_a_variable_of_groups_has_an_icc_of_one() -> None:
    found = ml.icc({"y": [1, 1, 2, 2, 5, 5], "g": [1, 1, 2, 2, 3, 3]}, "y", groups="g")
    assert found["icc"].tolist() == [1.0, 1.0]
    assert np.isnan(found["conf_low"]).all()
    assert "does not vary within groups" in str(found)


def test_tables_come_back_in_the_users_kind_of_frame(dyestuff: pd.DataFrame) -> None:
    found = ml.icc(pl.from_pandas(dyestuff), "Yield", groups="Batch")
    tables = (found.frame, found.anova.frame, found.group_means, found.by_hand().frame, found.by_hand().rows)
    assert all(isinstance(table, pl.DataFrame) for table in tables)


def test_levels_keep_their_type() -> None:
    assert ml.icc(ml.datasets.course_demo_10x30(), "y", groups="school").group_means["level"].dtype == int


def test_values_far_from_zero_keep_their_digits(dyestuff: pd.DataFrame) -> None:
    far = ml.icc(dyestuff.assign(Yield=dyestuff["Yield"] + 1e9), "Yield", groups="Batch")
    assert far["icc"][0] == pytest.approx(ml.icc(dyestuff, "Yield", groups="Batch")["icc"][0], rel=1e-12)


# ---- misuse ----

SMALL = pd.DataFrame(
    {
        "y": [1.0, 2, 3, 4, 5, 7],
        "g": list("aabbcc"),
        "id": range(6),
        "one": "x",
        "same": 3.0,
        "three": list("abcabc"),
        "text": list("123456"),
        "residual": 0.0,
    }
)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"groups": "id"}, ModelError, "each of the 6 groups of 'id' has one row"),
        ({"groups": "one"}, ModelError, "'one' has one group"),
        ({"y": "same"}, DataError, "'same' is 3 in every row used"),
        ({"y": "yy"}, ColumnNotFoundError, "Did you mean 'y'"),
        ({"groups": "gg"}, ColumnNotFoundError, "Did you mean 'g'"),
        ({"y": "three"}, DataTypeError, "'three' holds 3 labels"),
        ({"y": "text"}, DataTypeError, "convert it to numbers"),
        ({"y": ["y"]}, DataTypeError, "takes the name of a column"),
        ({"groups": SMALL["g"]}, DataTypeError, "takes the name of a column"),
        ({"kind": "binary"}, DataError, "needs 'y' to be 0 or 1, and it is 2"),
        ({"kind": "counts"}, DataError, "'count'"),
        ({"method": "latent"}, DataError, "does not exist for a continuous variable"),
        ({"method": []}, DataError, "empty"),
        ({"method": "pairwise", "conf_int": "exact"}, ModelError, "choose 'jackknife' or 'bootstrap'"),
        ({"conf_int": "profile"}, DataError, "conf_int='profile' does not exist"),
        ({"level": 95}, DataError, "level=0.95"),
    ],
)
def test_errors_say_what_is_wrong(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ml.icc(SMALL, **{"y": "y", "groups": "g", **arguments})


def test_exact_limits_are_refused_for_binary_values() -> None:
    with pytest.raises(ModelError, match="of a binary variable; choose 'jackknife' or 'bootstrap'"):
        ml.icc(CHILD, "use", groups="district", conf_int="exact")


def test_counts_are_whole_and_not_negative() -> None:
    with pytest.raises(DataError, match="needs 'y' to be 0, 1, 2"):
        ml.icc(SMALL.assign(y=SMALL["y"] + 0.5), "y", groups="g", kind="count")


def test_columns_of_the_data_are_not_overwritten() -> None:
    with pytest.raises(DataError, match="would overwrite the column 'residual'"):
        _ = ml.icc(SMALL, "y", groups="g").by_hand().rows


def test_delta_needs_a_variance(dyestuff2: pd.DataFrame) -> None:
    with pytest.raises(ModelError, match='use "exact"'):
        ml.icc(dyestuff2, "Yield", groups="Batch", conf_int="delta")
