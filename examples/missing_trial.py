"""A simulated trial that people leave, more so the worse they feel: for the pages on missing data."""

import numpy as np
import pandas as pd


def trial(people: int = 200, visits: int = 5) -> pd.DataFrame:
    """Pain falls by 0.4 a visit, and by 0.3 more with the drug; a visit missed has a row without pain."""
    rng = np.random.default_rng(7)
    person, visit = np.repeat(np.arange(people), visits), np.tile(np.arange(visits), people)
    drug = person % 2
    pain = 6.0 - (0.4 + 0.3 * drug) * visit + rng.normal(size=people)[person] + rng.normal(size=len(person))
    leaves = rng.random(len(person)) > 1.0 / (1.0 + np.exp(-1.8 + 0.7 * (pain - 5.0)))
    left = np.maximum.accumulate(leaves.reshape(people, visits), axis=1)
    gone = np.column_stack([np.zeros(people, dtype=bool), left[:, :-1]]).ravel()
    arm = np.where(drug == 1, "drug", "control")
    return pd.DataFrame({"person": person, "visit": visit, "arm": arm, "pain": np.where(gone, np.nan, pain)})
