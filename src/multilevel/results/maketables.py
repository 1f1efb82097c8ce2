"""How a fit appears in tables made by the package maketables: its plug-in protocol, in functions.

The protocol is duck typed: maketables looks for dunder attributes on a fit (they are on `Fit`), and nothing
of it is imported here. https://github.com/py-econometrics/maketables
"""

from __future__ import annotations

import numpy.typing as npt

from multilevel._typing import Frame
from multilevel.frames.output import to_frame
from multilevel.inference.wald import CoefficientTable, two_sided_p, wald_limits

STATISTIC_KEYS = {  # maketables' key -> property of a fit
    "N": "nobs",
    "aic": "aic",
    "bic": "bic",
    "ll": "loglik",
    "df_model": "df_model",
    "df_resid": "df_residual",
    "r2": "r_squared",
    "adj_r2": "adj_r_squared",
    "sigma": "sigma",
    "n_clusters": "n_clusters",
}


def coefficient_frame(table: CoefficientTable) -> Frame:
    """Coefficients as maketables wants them: a pandas frame by name, with b, se, t, p and 95% limits.

    maketables cannot do without p-values; a table that makes no test gives those of the normal.
    """
    low, high = wald_limits(table, 0.95)
    columns: dict[str, npt.ArrayLike] = {
        "Coefficient": list(table.term),
        "b": table.estimate,
        "se": table.std_error,
        "t": table.statistic,
        "p": two_sided_p(table.statistic, table.df) if table.p_value is None else table.p_value,
        "ci95l": low,
        "ci95u": high,
    }
    return to_frame(columns, "pandas").set_index("Coefficient")


def statistic(fit: object, key: str) -> object:
    """A figure of the whole model under maketables' key, or None where this kind of fit has none."""
    return getattr(fit, STATISTIC_KEYS.get(key, ""), None) if key in STATISTIC_KEYS else None
