"""Whole numbers that name groups are told from those that count, measure, or date."""

from __future__ import annotations

import numpy as np
import pytest

from multilevel.clusters.guessed_groups import Values, guess_groups

LIKERT, SCORE, AGE, CHILDREN, DOSE, YEAR = "likert", "score", "age", "children", "dose", "year"


def answers(rng: np.random.Generator, n: int) -> dict[str, Values]:
    """Whole numbers that count or measure: as a survey has them."""
    return {
        LIKERT: rng.choice([1, 2, 3, 4, 5, 6, 7], n, p=[0.05, 0.1, 0.2, 0.3, 0.2, 0.1, 0.05]),
        SCORE: rng.binomial(60, 0.55, n),
        AGE: rng.integers(18, 90, n),
        CHILDREN: rng.poisson(1.5, n),
        DOSE: rng.choice([0, 1, 2, 5, 10, 20, 50, 100], n),
        YEAR: rng.integers(1995, 2025, n),
    }


def names(values: dict[str, Values], labels: tuple[str, ...] = ()) -> list[str]:
    return [guess.name for guess in guess_groups(labels, values)]


@pytest.mark.parametrize("n", [60, 300, 2000])
@pytest.mark.parametrize("seed", range(20))
def test_no_survey_has_groups(seed: int, n: int) -> None:
    values = answers(np.random.default_rng(seed), n)
    values["age group"] = values[AGE] // 10  # type: ignore[operator]
    values["agreed"] = values[LIKERT] >= 5  # type: ignore[operator]
    values["log of dose"] = np.log1p(values[DOSE].astype(float))
    assert names(values) == []


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_scattered_ids_are_guessed(seed: int, shuffled: bool) -> None:
    rng = np.random.default_rng(seed)
    id_, visits = np.sort(rng.choice(np.arange(101, 900), 30, replace=False)), rng.integers(2, 7, 30)
    values = {"id": np.repeat(id_, visits)} | answers(rng, int(visits.sum()))
    if shuffled:
        order = rng.permutation(len(values["id"]))
        values = {name: each[order] for name, each in values.items()}
    assert names(values) == ["id"]
    (guess,) = guess_groups([], values)
    assert guess.why == f"its numbers come back and lie scattered between {id_[0]} and {id_[-1]}"


@pytest.mark.parametrize("seed", range(10))
def test_few_scattered_ids_need_something_of_their_own(seed: int) -> None:
    rng = np.random.default_rng(seed)
    id_ = np.repeat([101, 105, 230, 231, 440, 512], [4, 3, 5, 2, 4, 4])
    values = answers(rng, len(id_))
    assert names({"id": id_} | values) == []
    sex = np.array([0, 1, 1, 0, 1, 0])[np.unique(id_, return_inverse=True)[1]]
    assert names({"id": id_, "sex": sex} | values) == ["id"]
    # what only falls into two classes of the numbers may be made of them
    high = (id_ > 230).astype(int)
    assert names({"id": id_, "high": high} | values) == []


def test_an_age_of_each_patient_is_no_group_beside_the_patient() -> None:
    patient = np.repeat(np.arange(1, 21), 6)
    age = np.random.default_rng(5).permutation(np.arange(30, 50))[patient - 1]
    treated = (patient % 2).astype(int)
    assert names({"patient": patient, "age": age, "treated": treated}) == ["patient"]


def test_times_are_no_groups() -> None:
    patient, month = np.repeat(np.arange(201, 260, 3), 8), np.tile([1, 2, 3, 4, 5, 6, 7, 8], 20)
    sex = np.array([0, 1, 1, 0, 1])[patient % 5]
    assert names({"patient": patient, "month": month, "sex": sex}) == ["patient"]


def test_labels_and_numbers_are_guessed_side_by_side() -> None:
    pupil = np.repeat(np.arange(1000, 1400, 7), 4)
    school = pupil // 60
    values = {"school": school.astype(np.int32), "pupil": pupil, "sex": np.array([1, 0, 0])[pupil % 3]}
    assert names(values, ("school",)) == ["school", "pupil"]


def test_missing_numbers_do_not_count() -> None:
    id_ = np.repeat([3.0, 11.0, 12.0, 30.0, 45.0, 80.0], 5)
    sex = np.array([0, 1, 1, 0, 1, 0])[np.repeat(np.arange(6), 5)]
    id_[[0, 7, 21]] = np.inf  # as missing numbers are handed over
    assert names({"id": id_, "sex": sex}) == []  # rows without an id have several
    sex[[0, 7, 21]] = 0
    assert names({"id": id_, "sex": sex}) == ["id"]
