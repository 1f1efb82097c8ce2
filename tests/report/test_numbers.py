import numpy as np
import pytest

from multilevel.report.numbers import format_column, format_fixed, format_p, format_with_outliers


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([612.1, 35.07, 654.94], ["612.10", "35.07", "654.94"]),
        ([251.405, 10.467], ["251.41", "10.47"]),
        ([-3.9536, 0.0, 5.179], ["-3.954", "0.000", "5.179"]),
        ([1e12, 2.0], ["1.000e+12", "2.000e+00"]),
        ([3e-9, 1e-8], ["3.000e-09", "1.000e-08"]),
        ([0.0], ["0"]),
        ([], []),
    ],
)
def test_a_column_shares_its_decimals(values, texts):
    assert format_column(values) == texts


def test_a_small_number_beside_a_large_one_keeps_digits():
    assert format_column([251405.1, 0.000123]) == ["251405.1", "1.2e-04"]


def test_missing_is_a_dash_and_zero_has_no_sign():
    assert format_fixed([np.nan, -0.0001, np.inf, -np.inf], 2) == ["-", "0.00", "Inf", "-Inf"]


def test_p_values():
    assert format_p([0.5, 0.00012345, 7.07e-10, 0.0, np.nan]) == [
        "0.5000",
        "0.0001",
        "7.07e-10",
        "<2e-16",
        "-",
    ]


def test_decimal_points_align():
    texts = format_column([1234.5, 0.5, 33.25])
    assert len({len(text.partition(".")[2]) for text in texts}) == 1


def test_a_fraction_beside_millions_is_not_written_as_zero():
    assert format_column([4855299.0, 0.04855]) == ["4855299", "4.9e-02"]


def test_a_number_that_runs_off_leaves_the_others_their_digits():
    assert format_with_outliers([234051.0, 45.2, 0.97]) == ["2.3e+05", "45.2000", "0.9700"]
    assert format_with_outliers([0.31, 0.0123]) == format_column([0.31, 0.0123])
    assert format_with_outliers([1200.0, 900.0, 50.0]) == format_column([1200.0, 900.0, 50.0])
    assert format_with_outliers([float("nan"), 2.0]) == ["-", "2.000"]
