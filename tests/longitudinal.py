"""Simulated trials with dropout, for several tests."""

import numpy as np
import pandas as pd


def trial(n_groups=200, n_times=4, seed=1, slope=1.0, effect=0.5):
    """Complete data: a random intercept, a slope in time, and an arm that changes the slope."""
    rng = np.random.default_rng(seed)
    ids, week = np.repeat(np.arange(n_groups), n_times), np.tile(np.arange(n_times), n_groups)
    arm = (ids % 2).astype(float)
    y = slope * week + effect * arm * week + rng.normal(size=n_groups)[ids] + rng.normal(size=len(ids))
    return pd.DataFrame({"id": ids, "week": week, "arm": arm, "y": y})


def drop_out(data, seed=2, intercept=1.5, on_y=-0.8, keep_rows=False):
    """Leave after a week with a probability that depends on its own response: missing at random."""
    rng = np.random.default_rng(seed)
    leaves = rng.random(len(data)) > 1.0 / (1.0 + np.exp(-intercept - on_y * (data["y"] - data["week"])))
    gone = leaves.groupby(data["id"]).cumsum().groupby(data["id"]).shift(fill_value=0) > 0
    return data.assign(y=data["y"].mask(gone)) if keep_rows else data[~gone].reset_index(drop=True)
