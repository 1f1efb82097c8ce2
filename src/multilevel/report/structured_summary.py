"""The summary of a linear mixed model whose residuals have a structure."""

from __future__ import annotations

import numpy as np

from multilevel.covariance.residual.specification import Residual
from multilevel.design.design import Design
from multilevel.estimation.gee.layout import ClusterLayout
from multilevel.fitted.structured import StructuredRecord
from multilevel.inference.coefficients import CoefficientInference
from multilevel.inference.wald import inferred_table
from multilevel.report.blocks import coefficient_block, correlation_blocks, dropped_notes, residual_block
from multilevel.report.gls_summary import boundary_notes, parameter_block, variance_in_words
from multilevel.report.lmm_summary import (
    DF_WORDS,
    convergence_notes,
    random_block,
    singular_notes,
    summary_facts,
)
from multilevel.report.summary import Block, Summary


def structured_summary(
    design: Design,
    residual: Residual,
    layout: ClusterLayout | None,
    record: StructuredRecord,
    inference: CoefficientInference,
    criteria: Block | None,
) -> Summary:
    """Put the summary together; `inference` is what one method says of the coefficients."""
    table = inferred_table(record.coef_names, inference)
    within = "" if layout is None or not residual.correlated else f", within {layout.name}"
    blocks = (
        criteria,
        residual_block("Normalized residuals", record.normalized, None),
        random_block(record.mixed),
        parameter_block(record),
        coefficient_block(table, f"Fixed effects{DF_WORDS.get(inference.method, '')}"),
        *correlation_blocks(record.coef_names, inference.covariance(np.eye(len(record.beta)))),
    )
    return Summary(
        title=f"Linear mixed model fit by {'REML' if record.reml else 'maximum likelihood'}",
        facts=(
            *summary_facts(design, record.mixed),
            ("Residual correlation", f"{residual.corr.name} ({residual.corr.words}){within}"),
            ("Residual variance", variance_in_words(residual)),
        ),
        blocks=tuple(block for block in blocks if block is not None),
        notes=(
            *dropped_notes(design.dropped),
            *singular_notes(record.mixed),
            *boundary_notes(record),
            *convergence_notes(record.optimum),
        ),
    )
