"""The structure that a formula names."""

from __future__ import annotations

from multilevel.covariance.autoregressive import Autoregressive
from multilevel.covariance.compound_symmetry import CompoundSymmetry
from multilevel.covariance.diagonal import Diagonal
from multilevel.covariance.structure import Structure
from multilevel.covariance.unstructured import Unstructured
from multilevel.formula.terms import StructureName


def structure_by_name(name: StructureName, size: int, hom: bool) -> Structure:
    """The covariance structure of `size` columns that `us`, `diag`, `cs` or `ar1` stands for.

    One column has no correlation, so every structure of size one is the diagonal one.

    >>> structure_by_name("cs", 4, hom=False)
    CompoundSymmetry(size=4, hom=False)
    """
    if size == 1:
        return Diagonal(1)
    match name:
        case "us":
            return Unstructured(size)
        case "diag":
            return Diagonal(size, hom)
        case "cs":
            return CompoundSymmetry(size, hom)
        case "ar1":
            return Autoregressive(size, hom)
