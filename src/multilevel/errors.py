"""The errors of the package: each names the cause and the next step.

Every class derives from `MultilevelError` and from the built-in error a Python
programmer would expect, so `except ValueError` keeps working.
"""

from __future__ import annotations


class MultilevelError(Exception):
    """Anything this package refuses to do."""


class FormulaError(MultilevelError, ValueError):
    """A formula that cannot be read; the message shows where."""


class DataError(MultilevelError, ValueError):
    """Data that cannot be used as they are."""


class DataTypeError(MultilevelError, TypeError):
    """A column or argument of the wrong kind."""


class ColumnNotFoundError(DataError):
    """A formula or argument names a column that the data do not have."""


class ModelError(MultilevelError, ValueError):
    """A model that these data cannot identify, or a request that it cannot answer."""


class SeparationError(ModelError):
    """Predictors that tell responses apart perfectly, so that coefficients would be infinite."""


class NewLevelsError(DataError):
    """Prediction met a group that the fit has not seen."""


class MemoryNeedError(MultilevelError, MemoryError, ValueError):
    """A computation that would not fit in memory, refused before it starts."""


class MultilevelWarning(UserWarning):
    """What a user should know although an answer could be given."""
