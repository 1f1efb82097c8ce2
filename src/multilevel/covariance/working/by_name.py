"""From what a user writes, `corr="ar1"`, to a specification."""

from __future__ import annotations

import re

from multilevel.covariance.working.autoregressive import AR1
from multilevel.covariance.working.exchangeable import Exchangeable
from multilevel.covariance.working.independence import Independence
from multilevel.covariance.working.m_dependent import MDependent
from multilevel.covariance.working.specification import Correlation
from multilevel.covariance.working.toeplitz import Toeplitz
from multilevel.covariance.working.unstructured import Unstructured
from multilevel.errors import DataError, DataTypeError

NAMED: dict[str, Correlation] = {
    "independence": Independence(),
    "independent": Independence(),
    "exchangeable": Exchangeable(),
    "compoundsymmetry": Exchangeable(),
    "cs": Exchangeable(),
    "ar1": AR1(),
    "arm": AR1(),
    "autoregressive": AR1(),
    "toeplitz": Toeplitz(),
    "toep": Toeplitz(),
    "unstructured": Unstructured(),
    "un": Unstructured(),
}
LAGGED = re.compile(r"(mdependent|stationary|statmdep|nonstationary|nonstatmdep)(\d*)")
NAMES = "'independence', 'exchangeable', 'ar1', 'toeplitz', 'stationary2', 'nonstationary2' or 'unstructured'"
OBJECTS = "ml.NestedExchangeable(inner=...), ml.FixedCorrelation(...) and ml.UserCorrelation(...) are objects"


def as_correlation(corr: object, argument: str = "corr") -> Correlation:
    """The structure named; a specification passes through. `argument` is what the user wrote it for.

    >>> as_correlation("AR-1"), as_correlation("stationary2")
    (AR1(time=None), MDependent(m=2, stationary=True, time=None))
    """
    if isinstance(corr, Correlation):
        return corr
    if not isinstance(corr, str):
        raise DataTypeError(f"{argument}={corr!r} is no correlation structure; write {NAMES}; {OBJECTS}.")
    plain = re.sub(r"[\s_.()-]", "", corr.casefold())
    if plain in NAMED:
        return NAMED[plain]
    lagged = LAGGED.fullmatch(plain)
    if lagged is None or lagged[2] == "0":
        raise DataError(f"{argument}={corr!r} does not exist; choose {NAMES}; {OBJECTS}.")
    return MDependent(int(lagged[2] or 1), stationary=not lagged[1].startswith("non"))
