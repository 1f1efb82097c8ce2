import numpy as np
import pytest
from scipy import stats

from multilevel.errors import DataError
from multilevel.inference.wald import critical_value, wald_limits, wald_table

ESTIMATE, SE = np.array([251.405, -10.467]), np.array([6.825, 1.546])


def test_the_normal_is_used_without_degrees_of_freedom():
    table = wald_table(("a", "b"), ESTIMATE, SE)
    np.testing.assert_allclose(table.p_value, 2 * stats.norm.sf(np.abs(ESTIMATE / SE)), rtol=1e-12)


def test_t_is_used_with_degrees_of_freedom():
    df = np.array([17.0, 16.9])
    table = wald_table(("a", "b"), ESTIMATE, SE, df)
    np.testing.assert_allclose(table.p_value, 2 * stats.t.sf(np.abs(ESTIMATE / SE), df), rtol=1e-9)
    low, high = wald_limits(table, 0.9)
    np.testing.assert_allclose(high - low, 2 * stats.t.ppf(0.95, df) * SE, rtol=1e-12)
    np.testing.assert_allclose((low + high) / 2, ESTIMATE, rtol=1e-12)


@pytest.mark.parametrize("level", [0.0, 1.0, 95, -1, float("nan")])
def test_a_level_is_a_share(level):
    with pytest.raises(DataError, match=r"0\.95"):
        critical_value(level, None)
