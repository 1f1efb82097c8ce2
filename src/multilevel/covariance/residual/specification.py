"""What a user says of residuals: how they correlate within groups, and how their variance differs."""

from __future__ import annotations

from dataclasses import dataclass, field

from multilevel.covariance.residual.variance_functions import (
    VarianceFunction,
    VarIdent,
    as_variance,
    checked_column,
)
from multilevel.covariance.working.by_name import NAMED, as_correlation
from multilevel.covariance.working.independence import Independence
from multilevel.covariance.working.nested import NestedExchangeable
from multilevel.covariance.working.specification import Correlation
from multilevel.errors import ModelError


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Residual:
    """Residuals that correlate within groups, whose variance may differ between rows.

    Args:
        corr: correlation of rows of one group: "independence", "exchangeable", "ar1", "toeplitz",
            "unstructured", "stationary2", or `ml.AR1(...)`, `ml.ARMA(p, q)` and their like.
        var: how the variance differs: the name of a column whose levels have a variance each,
            `ml.VarIdent(by)`, `ml.VarPower(x)`, `ml.VarExp(x)`, `ml.VarConstPower(x)`, `ml.VarFixed(x)`, or a
            product of these; None for equal variances.
        by: a column that is constant within groups: each of its levels has parameters of its own, of the
            correlation as of the variance, and a standard deviation of its own.
        groups: the column of groups within which rows correlate; `ml.gls` has an argument of its own for it,
            and in `ml.lmm` it is the innermost grouping factor if not given.
        time: the column of times; `ml.gls` has an argument of its own for it.

    Example:
        >>> import multilevel as ml
        >>> ml.Residual(corr="ar1", var="sex")
        Residual(corr='ar1', var='sex')

    References:
        Pinheiro, J. C. & Bates, D. M. (2000). Mixed-Effects Models in S and S-PLUS, chapter 5. Springer.
    """

    corr: Correlation
    var: VarianceFunction | None = field(default=None)
    by: str | None = field(default=None)
    groups: str | None = field(default=None)
    time: str | None = field(default=None)

    def __init__(
        self,
        corr: str | Correlation = "independence",
        var: str | VarianceFunction | None = None,
        by: str | None = None,
        *,
        groups: str | None = None,
        time: str | None = None,
    ) -> None:
        for argument, name in (("by", by), ("groups", groups), ("time", time)):
            if name is not None:
                checked_column(argument, name)
        structure = as_correlation(corr)
        if isinstance(structure, NestedExchangeable):
            raise ModelError(
                "residuals have one level of groups; for rows that are alike on two, use random effects, as "
                "in ml.lmm with (1 | clinic / physician)."
            )
        object.__setattr__(self, "corr", structure)
        object.__setattr__(self, "var", as_variance(var))
        object.__setattr__(self, "by", by)
        object.__setattr__(self, "groups", groups)
        object.__setattr__(self, "time", structure.time_column or time)

    def __repr__(self) -> str:
        """As short as it can be written."""
        named = NAMED.get(self.corr.name) == self.corr
        parts = {
            "corr": repr(self.corr.name if named else self.corr),
            "var": repr(self.var.by if isinstance(self.var, VarIdent) else self.var),
            **{name: repr(getattr(self, name)) for name in ("by", "groups", "time")},
        }
        if parts["time"] == repr(self.corr.time_column):
            parts["time"] = "None"
        return f"Residual({', '.join(f'{name}={text}' for name, text in parts.items() if text != 'None')})"

    @property
    def correlated(self) -> bool:
        """Whether rows of one group are correlated at all."""
        return not isinstance(self.corr, Independence)


def as_residual(residual: object) -> Residual:
    """From what a user writes as `residual=`: a correlation or variance function stands for itself.

    >>> as_residual("ar1")
    Residual(corr='ar1')
    """
    if residual is None:
        return Residual()
    if isinstance(residual, Residual):
        return residual
    if isinstance(residual, VarianceFunction):
        return Residual(var=residual)
    return Residual(corr=as_correlation(residual, "residual"))
