"""Which labels do the numbers of a response stand for?"""

from __future__ import annotations

from multilevel.design.design import Design
from multilevel.frames.labels import label_text


def response_labels(design: Design) -> tuple[str, ...]:
    """Labels of a response that was a column of labels, in the order of its numbers 0, 1, ...; else none."""
    if design.categories:
        return design.categories
    response, encoder = design.formula.response, design.encoder
    if encoder.response != "trials" or response.kind != "single":
        return ()
    return tuple(label_text(level) for level in encoder.levels.get(response.expressions[0]) or ())
