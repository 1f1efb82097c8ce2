"""How the standard deviation of a residual depends on strata and covariates: what a user writes.

Each says by which factor g the standard deviation is larger than sigma. Factors of several functions
multiply, `VarIdent("sex") * VarPower("dose")`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from multilevel.errors import DataTypeError


@dataclass(frozen=True, slots=True)
class VarianceFunction:
    """A family of factors of the residual standard deviation."""

    name: ClassVar[str]

    @property
    def labels(self) -> tuple[str, ...]:
        """Columns that only say which stratum a row belongs to."""
        return ()

    @property
    def covariates(self) -> tuple[str, ...]:
        """Columns of numbers."""
        return ()

    def __mul__(self, other: VarianceFunction) -> VarProduct:
        return VarProduct((*factors_of(self), *factors_of(other)))


@dataclass(frozen=True, slots=True)
class VarIdent(VarianceFunction):
    """A standard deviation of its own for each stratum: a ratio to that of the first.

    Args:
        by: the column of strata.

    >>> VarIdent("sex")
    VarIdent(by='sex')
    """

    by: str
    name: ClassVar[str] = "ident"

    def __post_init__(self) -> None:
        checked_column("by", self.by)

    @property
    def labels(self) -> tuple[str, ...]:
        """The strata."""
        return (self.by,)


@dataclass(frozen=True, slots=True)
class OfCovariate(VarianceFunction):
    """A function of a covariate, or of the fitted values where none is named."""

    x: str | None = None
    by: str | None = None

    def __post_init__(self) -> None:
        if self.x is not None:
            checked_column("x", self.x)
        if self.by is not None:
            checked_column("by", self.by)

    @property
    def labels(self) -> tuple[str, ...]:
        """The strata, if there are any."""
        return () if self.by is None else (self.by,)

    @property
    def covariates(self) -> tuple[str, ...]:
        """The covariate, unless it is the fitted values."""
        return () if self.x is None else (self.x,)


@dataclass(frozen=True, slots=True)
class VarPower(OfCovariate):
    """g = |x|^power.

    Args:
        x: the column of the covariate; the fitted values if not given.
        by: strata with a power each.

    >>> VarPower("dose")
    VarPower(x='dose', by=None)
    """

    name: ClassVar[str] = "power"


@dataclass(frozen=True, slots=True)
class VarExp(OfCovariate):
    """g = exp(rate x).

    Args:
        x: the column of the covariate; the fitted values if not given.
        by: strata with a rate each.

    >>> VarExp("age") * VarIdent("sex")
    VarProduct(factors=(VarExp(x='age', by=None), VarIdent(by='sex')))
    """

    name: ClassVar[str] = "exp"


@dataclass(frozen=True, slots=True)
class VarConstPower(OfCovariate):
    """g = const + |x|^power, const not negative: for covariates that may be zero.

    Args:
        x: the column of the covariate; the fitted values if not given.
        by: strata with a constant and a power each.

    >>> VarConstPower("dose", by="sex")
    VarConstPower(x='dose', by='sex')
    """

    name: ClassVar[str] = "const-power"


@dataclass(frozen=True, slots=True)
class VarFixed(VarianceFunction):
    """The variance is proportional to a covariate, g = sqrt(x): nothing is estimated.

    Args:
        x: the column of the covariate, positive.

    >>> VarFixed("size").covariates
    ('size',)
    """

    x: str
    name: ClassVar[str] = "fixed"

    def __post_init__(self) -> None:
        checked_column("x", self.x)

    @property
    def covariates(self) -> tuple[str, ...]:
        """The covariate."""
        return (self.x,)


@dataclass(frozen=True, slots=True)
class VarProduct(VarianceFunction):
    """Several functions at once: the product of their factors.

    >>> VarIdent("sex") * VarExp("age")
    VarProduct(factors=(VarIdent(by='sex'), VarExp(x='age', by=None)))
    """

    factors: tuple[VarianceFunction, ...]
    name: ClassVar[str] = "product"

    @property
    def labels(self) -> tuple[str, ...]:
        """The strata of all."""
        return tuple(label for each in self.factors for label in each.labels)

    @property
    def covariates(self) -> tuple[str, ...]:
        """The covariates of all."""
        return tuple(name for each in self.factors for name in each.covariates)


def factors_of(var: VarianceFunction | None) -> tuple[VarianceFunction, ...]:
    """The functions that are multiplied, none for equal variances.

    >>> factors_of(VarIdent("sex")), factors_of(None)
    ((VarIdent(by='sex'),), ())
    """
    if var is None:
        return ()
    return var.factors if isinstance(var, VarProduct) else (var,)


def as_variance(var: object) -> VarianceFunction | None:
    """A variance function; the name of a column stands for a variance in each of its levels.

    >>> as_variance("sex")
    VarIdent(by='sex')
    """
    if var is None or isinstance(var, VarianceFunction):
        return var
    if isinstance(var, str):
        return VarIdent(var)
    raise DataTypeError(
        f"var={var!r} is no variance function; write the name of a column of strata, or ml.VarIdent(...), "
        "ml.VarPower(...), ml.VarExp(...), ml.VarConstPower(...), ml.VarFixed(...), or a product of these."
    )


def checked_column(argument: str, name: object) -> None:
    """The name of a column."""
    if not isinstance(name, str):
        raise DataTypeError(
            f'{argument}= takes the name of a column, as in {argument}="age"; got {name!r:.60}.'
        )
