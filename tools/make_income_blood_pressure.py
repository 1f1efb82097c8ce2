"""Make the simulated data set `income_blood_pressure`, from a seed, to the last digit.

Neighbourhoods differ in mean income, and those of higher mean income have higher mean blood pressure (say,
because they lie in cities); within each neighbourhood people with more income have lower blood pressure.
Pooled over neighbourhoods, people with more income have the higher blood pressure.

    python tools/make_income_blood_pressure.py    # rewrites the packaged table
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from scipy.special import ndtri

SEED = 1950  # the year of Robinson's paper on ecological correlations
NEIGHBOURHOODS = 40
SMALLEST, LARGEST = 15, 40  # people asked in a neighbourhood

MEAN_INCOME = 55.0  # thousand dollars a year
SD_BETWEEN, SD_WITHIN = 15.0, 10.0  # of income
MEAN_PRESSURE = 128.0  # systolic, mmHg
SLOPE_BETWEEN = 0.45  # mmHg a thousand dollars of a neighbourhood's mean income
SLOPE_WITHIN = -0.30  # mmHg a thousand dollars of a person's own, beside the neighbours
SD_NEIGHBOURHOOD, SD_PERSON = 3.0, 8.0  # of blood pressure, beside what income goes with

TARGET = Path(__file__).parents[1] / "src/multilevel/datasets/data/income_blood_pressure.csv.gz"


def normal(random: np.random.Generator, n: int) -> np.ndarray:
    """Standard normal numbers by inversion, so that they are the same in every version of NumPy."""
    return ndtri(random.random(n))


def people() -> dict[str, np.ndarray]:
    """The table, column by column."""
    random = np.random.Generator(np.random.PCG64(SEED))
    sizes = SMALLEST + (random.random(NEIGHBOURHOODS) * (LARGEST - SMALLEST + 1)).astype(int)
    mean_income = SD_BETWEEN * normal(random, NEIGHBOURHOODS)
    level = MEAN_PRESSURE + SLOPE_BETWEEN * mean_income + SD_NEIGHBOURHOOD * normal(random, NEIGHBOURHOODS)
    where = np.repeat(np.arange(NEIGHBOURHOODS), sizes)
    own = SD_WITHIN * normal(random, len(where))
    pressure = level[where] + SLOPE_WITHIN * own + SD_PERSON * normal(random, len(where))
    return {
        "neighbourhood": where + 1,
        "income": np.round(MEAN_INCOME + mean_income[where] + own, 1),
        "blood_pressure": np.round(pressure).astype(int),
    }


def table() -> str:
    """The table as CSV, neighbourhoods as N01 to N40."""
    columns = people()
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    lines = [f"N{where:02d},{income:g},{pressure}" for where, income, pressure in rows]
    return "\n".join([",".join(columns), *lines]) + "\n"


if __name__ == "__main__":
    TARGET.write_bytes(gzip.compress(table().encode("utf-8"), mtime=0))
    print(f"wrote {TARGET}")
