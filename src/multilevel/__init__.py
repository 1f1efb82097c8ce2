"""Mixed models, and everything around them, for data that come in groups.

Names are loaded when they are first used, so that importing the package costs next to nothing.

>>> import multilevel as ml
>>> sleep = ml.datasets.sleepstudy()
>>> fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleep)
>>> round(fit.criterion, 1)
1743.6
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multilevel import datasets, errors, families
    from multilevel.covariance.residual.specification import Residual
    from multilevel.covariance.residual.variance_functions import (
        VarConstPower,
        VarExp,
        VarFixed,
        VarIdent,
        VarPower,
    )
    from multilevel.covariance.working.arma import ARMA
    from multilevel.covariance.working.autoregressive import AR1
    from multilevel.covariance.working.exchangeable import Exchangeable
    from multilevel.covariance.working.fixed import FixedCorrelation
    from multilevel.covariance.working.independence import Independence
    from multilevel.covariance.working.m_dependent import MDependent
    from multilevel.covariance.working.nested import NestedExchangeable
    from multilevel.covariance.working.toeplitz import Toeplitz
    from multilevel.covariance.working.unstructured import Unstructured
    from multilevel.covariance.working.user_defined import UserCorrelation
    from multilevel.results.centring import center
    from multilevel.results.cluster_summary import cluster_summary
    from multilevel.results.compare import compare
    from multilevel.results.decompose import decompose_effect
    from multilevel.results.delta_sensitivity import delta_sensitivity
    from multilevel.results.dropout_weights import dropout_weights
    from multilevel.results.effect_of_design import design_effect
    from multilevel.results.gee import gee
    from multilevel.results.glm import glm
    from multilevel.results.glmm import glmm
    from multilevel.results.gls import gls
    from multilevel.results.icc_of_data import icc
    from multilevel.results.ladder import ladder
    from multilevel.results.little import little_test
    from multilevel.results.lmm import lmm
    from multilevel.results.missing_patterns import missing_patterns
    from multilevel.results.mmrm import mmrm
    from multilevel.results.ols import ols
    from multilevel.results.pool import pool
    from multilevel.results.power import power
    from multilevel.results.side_by_side import sidebyside
    from multilevel.results.simulated_data import simulate
    from multilevel.results.structure import structure
    from multilevel.results.type1 import type1
    from multilevel.simulation.plan import Plan

__version__ = "0.1.0"

_HOMES = {  # public name -> module that defines it
    "AR1": "multilevel.covariance.working.autoregressive",
    "ARMA": "multilevel.covariance.working.arma",
    "Exchangeable": "multilevel.covariance.working.exchangeable",
    "FixedCorrelation": "multilevel.covariance.working.fixed",
    "Independence": "multilevel.covariance.working.independence",
    "MDependent": "multilevel.covariance.working.m_dependent",
    "NestedExchangeable": "multilevel.covariance.working.nested",
    "Plan": "multilevel.simulation.plan",
    "Residual": "multilevel.covariance.residual.specification",
    "Toeplitz": "multilevel.covariance.working.toeplitz",
    "Unstructured": "multilevel.covariance.working.unstructured",
    "UserCorrelation": "multilevel.covariance.working.user_defined",
    "VarConstPower": "multilevel.covariance.residual.variance_functions",
    "VarExp": "multilevel.covariance.residual.variance_functions",
    "VarFixed": "multilevel.covariance.residual.variance_functions",
    "VarIdent": "multilevel.covariance.residual.variance_functions",
    "VarPower": "multilevel.covariance.residual.variance_functions",
    "center": "multilevel.results.centring",
    "cluster_summary": "multilevel.results.cluster_summary",
    "compare": "multilevel.results.compare",
    "decompose_effect": "multilevel.results.decompose",
    "delta_sensitivity": "multilevel.results.delta_sensitivity",
    "design_effect": "multilevel.results.effect_of_design",
    "dropout_weights": "multilevel.results.dropout_weights",
    "gee": "multilevel.results.gee",
    "glm": "multilevel.results.glm",
    "glmm": "multilevel.results.glmm",
    "gls": "multilevel.results.gls",
    "icc": "multilevel.results.icc_of_data",
    "ladder": "multilevel.results.ladder",
    "little_test": "multilevel.results.little",
    "lmm": "multilevel.results.lmm",
    "missing_patterns": "multilevel.results.missing_patterns",
    "mmrm": "multilevel.results.mmrm",
    "ols": "multilevel.results.ols",
    "pool": "multilevel.results.pool",
    "power": "multilevel.results.power",
    "sidebyside": "multilevel.results.side_by_side",
    "simulate": "multilevel.results.simulated_data",
    "structure": "multilevel.results.structure",
    "type1": "multilevel.results.type1",
}
_MODULES = ("datasets", "errors", "families")

__all__ = [
    "AR1",
    "ARMA",
    "Exchangeable",
    "FixedCorrelation",
    "Independence",
    "MDependent",
    "NestedExchangeable",
    "Plan",
    "Residual",
    "Toeplitz",
    "Unstructured",
    "UserCorrelation",
    "VarConstPower",
    "VarExp",
    "VarFixed",
    "VarIdent",
    "VarPower",
    "__version__",
    "center",
    "cluster_summary",
    "compare",
    "datasets",
    "decompose_effect",
    "delta_sensitivity",
    "design_effect",
    "dropout_weights",
    "errors",
    "families",
    "gee",
    "glm",
    "glmm",
    "gls",
    "icc",
    "ladder",
    "little_test",
    "lmm",
    "missing_patterns",
    "mmrm",
    "ols",
    "pool",
    "power",
    "sidebyside",
    "simulate",
    "structure",
    "type1",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"multilevel.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'multilevel' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
