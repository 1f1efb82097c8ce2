import numpy as np
import pytest

import multilevel as ml
from multilevel.errors import DataError


def test_ranges_centre_on_the_fixed_effects(sleepstudy):
    table = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleepstudy).plausible_ranges(level=0.9)
    np.testing.assert_allclose(table["conf_low"], table["estimate"] - 1.6448536269514722 * table["sd"])
    # a new subject's slope: 10.47 -+ 1.645 * 5.92
    np.testing.assert_allclose(
        table.loc[1, ["conf_low", "conf_high"]].to_numpy(float), [0.7263, 20.2083], atol=1e-3
    )


def test_a_random_column_without_fixed_effect_centres_on_zero(machines):
    table = ml.lmm("score ~ 1 + (0 + Machine | Worker)", machines).plausible_ranges()
    np.testing.assert_array_equal(table["estimate"], 0.0)


def test_a_level_in_percent_is_refused(sleepstudy):
    with pytest.raises(DataError, match=r"0\.95"):
        ml.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy).plausible_ranges(level=95)
