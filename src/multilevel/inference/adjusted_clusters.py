"""What does each cluster contribute to the coefficients, and how do contributions depend on each other?"""

from __future__ import annotations

from dataclasses import dataclass

from multilevel._typing import Array


@dataclass(frozen=True, slots=True)
class AdjustedClusters:
    """J clusters after their adjustment, and how the contributions of two of them depend on each other.

    With g_j'errors what cluster j contributes to c'beta-hat, under the working model

        g_j'Phi g_k = [j = k] c' own_j c - (c' through_j) link (c' through_k)'.
    """

    scores: Array  # (J, p) s_j
    own: Array  # (J, p, p)
    through: Array  # (J, p, r) by way of the coefficients, which all clusters share
    link: Array  # (r, r)
    lone: Array  # (k, p) unit directions of the coefficients that one cluster determines alone
