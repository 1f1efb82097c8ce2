"""How is a number written? Columns of numbers share one count of decimals, so that points align."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor, isfinite, isnan, log10

MISSING = "-"  # printed where there is no number; a note of the table says why
MOST_DIGITS = 7  # of the largest number of a column
LARGEST_FIXED = 1e7  # beyond this a column is written as mantissa and exponent
SMALLEST_FIXED = 1e-5  # a column whose largest number is below this, too
RUNS_OFF = 1e3  # and as many times the size of a typical number of its column: no number of that column
SMALLEST_P = 2.2e-16  # p-values below the rounding unit are not told apart


def format_column(values: Iterable[float], significant: int = 4) -> list[str]:
    """Write numbers with one count of decimals, enough for `significant` digits of the smallest if it can be.

    Numbers that would then show fewer than two digits are written with an exponent, in their own cells.
    """
    numbers = [float(value) for value in values]
    sizes = sorted(abs(value) for value in numbers if isfinite(value) and value != 0.0)
    if not sizes:
        return [format_number(value, "g") for value in numbers]
    if sizes[-1] >= LARGEST_FIXED or sizes[-1] < SMALLEST_FIXED:
        return [format_number(value, f".{significant - 1}e") for value in numbers]
    places = decimals(sizes, significant)
    return [format_number(value, spec_of(value, places)) for value in numbers]


def format_with_outliers(values: Iterable[float], significant: int = 4) -> list[str]:
    """A column in which single numbers that run off to infinity do not take the digits of the others.

    >>> format_with_outliers([0.45216, 45.2, 234051.0])
    ['0.4522', '45.2000', '2.3e+05']
    """
    numbers = [float(value) for value in values]
    sizes = sorted(abs(value) for value in numbers if isfinite(value) and value != 0.0)
    typical = sizes[(len(sizes) - 1) // 2] if sizes else 1.0
    far = [isfinite(value) and abs(value) >= max(RUNS_OFF, RUNS_OFF * typical) for value in numbers]
    rest = iter(format_column([v for v, is_far in zip(numbers, far, strict=True) if not is_far], significant))
    return [f"{v:.1e}" if is_far else next(rest) for v, is_far in zip(numbers, far, strict=True)]


def decimals(sizes: Sequence[float], significant: int) -> int:
    """Decimals that give the smallest of the sorted `sizes` its digits, the largest at most seven."""
    wanted = significant - 1 - floor(log10(sizes[0]))
    bearable = MOST_DIGITS - 1 - max(floor(log10(sizes[-1])), 0)
    return max(min(wanted, bearable), 0)


def spec_of(value: float, places: int) -> str:
    """Fixed notation, unless it would leave fewer than two digits of a fraction that is not zero."""
    tiny = value != 0.0 and abs(value) < min(10.0 ** (1 - places), 1.0)
    return ".1e" if tiny else f".{places}f"


def format_number(value: float, spec: str) -> str:
    """Write one number, or a dash when there is none."""
    if not isfinite(value):
        return MISSING if isnan(value) else ("Inf" if value > 0 else "-Inf")
    text = format(value, spec)
    return text.removeprefix("-") if float(text) == 0.0 else text


def format_fixed(values: Iterable[float], places: int) -> list[str]:
    """Write numbers with a given count of decimals."""
    return [format_number(float(value), f".{places}f") for value in values]


def format_p(values: Iterable[float]) -> list[str]:
    """Write p-values: four decimals, small ones by exponent, the smallest as a bound."""
    return [_format_one_p(float(value)) for value in values]


def _format_one_p(value: float) -> str:
    if isnan(value):
        return MISSING
    if value < SMALLEST_P:
        return "<2e-16"
    return f"{value:.4f}" if value >= 1e-4 else f"{value:.2e}"
