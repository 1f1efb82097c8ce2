"""Where does the randomness of each simulated response come from?"""

from __future__ import annotations

import numpy as np

from multilevel._options import Seed, checked_count, checked_seed


def random_streams(n: int, seed: Seed) -> list[np.random.Generator]:
    """One stream a response, so that the first responses do not depend on how many follow.

    >>> first, _ = random_streams(2, seed=1)
    >>> first.standard_normal() == random_streams(1, seed=1)[0].standard_normal()
    True
    """
    children = checked_seed(seed).spawn(checked_count("n", n))
    return [np.random.default_rng(child) for child in children]
