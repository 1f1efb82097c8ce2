"""R's nlme calls as ours: formulas of correlation and variance functions, read from the reference cases."""

from __future__ import annotations

import re
from typing import Any

import multilevel as ml
from multilevel.covariance.residual.variance_functions import VarianceFunction
from multilevel.covariance.working.specification import Correlation
from reference_cases import Case

VARIANCES: dict[str, Any] = {
    "varIdent": ml.VarIdent,
    "varPower": ml.VarPower,
    "varExp": ml.VarExp,
    "varConstPower": ml.VarConstPower,
    "varFixed": ml.VarFixed,
}
CORRELATIONS: dict[str, Correlation] = {
    "corAR1": ml.AR1(),
    "corCAR1": ml.AR1(),
    "corExp": ml.AR1(),  # exp(-d / range) is alpha^d
    "corARMA": ml.ARMA(1, 1),
    "corCompSymm": ml.Exchangeable(),
    "corSymm": ml.Unstructured(),
}


def residual_of(case: Case) -> dict[str, Any]:
    """The arguments residual=, groups= and time= of a case."""
    corr, groups, time = correlation_of(case["spec"]["correlation"])
    return {
        "residual": ml.Residual(corr, variance_of(case["spec"]["weights"])),
        "groups": groups,
        "time": time,
    }


def correlation_of(text: str | None) -> tuple[Correlation, str | None, str | None]:
    """Structure, groups (None where R takes those of the random effects) and time."""
    if text is None:
        return ml.Independence(), None, None
    found = re.match(r"(\w+)\(form = ~ ?(\w+)(?: \| (\w+))?", text)
    assert found is not None
    time = None if found[2] == "1" else found[2]
    return CORRELATIONS[found[1]], found[3], time


def variance_of(text: str | None) -> VarianceFunction | None:
    """A variance function; R's default covariate is the fitted values."""
    if text is None:
        return None
    product = re.fullmatch(r"varComb\((.*\)), (var.*)\)", text)
    if product:
        first, second = variance_of(product[1]), variance_of(product[2])
        assert first is not None
        assert second is not None
        return first * second
    found = re.match(r"(\w+)\((?:form = )?(?:~ ?(?:1 \| )?(\w+))?", text)
    assert found is not None
    name = None if found[2] in (None, "fitted") else found[2]
    function: VarianceFunction = VARIANCES[found[1]](*([] if name is None else [name]))
    return function
