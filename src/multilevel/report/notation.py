"""Symbols, sums and equations, and how each is written as text and as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from multilevel._options import checked_choice
from multilevel.design.design import Design

GREEK = {
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "delta": "δ",
    "zeta": "ζ",
    "eta": "η",
    "xi": "ξ",
    "pi": "π",
    "phi": "φ",
    "mu": "μ",
}
_LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    **{character: "\\" + character for character in "&%$#_{}"},
}


@dataclass(frozen=True, slots=True)
class Symbol:
    """A letter with its number and its indices (beta 0 j), or a variable of the data."""

    name: str  # "beta", "u", "e", or the name of a variable
    number: str  # number of the coefficient; empty where there is none
    indices: str  # "ij"; empty for a constant
    variable: bool = False  # whether it is a variable of the data


@dataclass(frozen=True, slots=True)
class Product:
    """A coefficient times variables; either may be missing."""

    coefficient: Symbol | None
    variables: tuple[Symbol, ...] = ()


@dataclass(frozen=True, slots=True)
class Equation:
    """left = sum of the right."""

    left: Symbol
    right: tuple[Product, ...]


@dataclass(frozen=True, slots=True)
class Normal:
    """A vector of symbols with mean zero and a covariance: a matrix written out, or a structure in words."""

    symbols: tuple[Symbol, ...]
    covariance: tuple[tuple[str, ...], ...] | str
    divisor: Symbol | None = None  # what the variance is divided by: the weight of a row


@dataclass(frozen=True, slots=True)
class Value:
    """A symbol, its estimate, and the coefficient's name."""

    symbol: Symbol
    estimate: str
    name: str


@dataclass(frozen=True, slots=True)
class Words:
    """A line in words."""

    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its lines."""

    heading: str
    lines: tuple[Equation | Normal | Value | Words, ...]


class Text:
    """Plain text with Greek letters: β0_j."""

    def page(self, sections: Sequence[Section]) -> str:
        """All sections, one line an equation."""
        return "\n".join(
            line
            for part in sections
            for line in (part.heading, *(f"  {write(self, each)}" for each in part.lines))
        )

    def symbol(self, symbol: Symbol) -> str:
        """One symbol."""
        indices = f"_{symbol.indices}" if symbol.indices else ""
        name = symbol.name if symbol.variable else GREEK.get(symbol.name, symbol.name)
        return f"{name}{symbol.number}{indices}"

    def product(self, factors: Sequence[str]) -> str:
        """Factors side by side."""
        return " ".join(factors)

    def normal(self, vector: Sequence[str], covariance: Sequence[Sequence[str]] | str, divisor: str) -> str:
        """A normal distribution."""
        left = vector[0] if len(vector) == 1 else f"({', '.join(vector)})"
        return f"{left} ~ N(0, {self.covariance(covariance)}{f' / {divisor}' if divisor else ''})"

    def covariance(self, covariance: Sequence[Sequence[str]] | str) -> str:
        """A variance, a matrix row by row, or words."""
        if isinstance(covariance, str):
            return covariance
        body = "; ".join(" ".join(row) for row in covariance)
        return body if len(covariance) == 1 else f"[{body}]"

    def value(self, symbol: str, estimate: str, name: str) -> str:
        """An estimate and whose it is."""
        return f"{symbol} = {estimate}  ({name})"

    def words(self, text: str) -> str:
        """A line in words."""
        return text


class Latex:
    r"""LaTeX for one `aligned` environment, to stand between `\[` and `\]`."""

    def page(self, sections: Sequence[Section]) -> str:
        """All sections, one row an equation."""
        rows = [
            row
            for part in sections
            for row in (
                rf"&\text{{{escape_latex(part.heading)}}}",
                *(rf"&\quad {write(self, each)}" for each in part.lines),
            )
        ]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def symbol(self, symbol: Symbol) -> str:
        """One symbol: Greek letters by name, single letters as they are, variables upright."""
        if symbol.variable:
            base = rf"\text{{{escape_latex(symbol.name)}}}"
        else:
            base = f"\\{symbol.name}" if symbol.name in GREEK else symbol.name
        subscript = symbol.number + symbol.indices
        return f"{base}_{{{subscript}}}" if subscript else base

    def product(self, factors: Sequence[str]) -> str:
        """Factors with a thin space between."""
        return r" \, ".join(factors)

    def normal(self, vector: Sequence[str], covariance: Sequence[Sequence[str]] | str, divisor: str) -> str:
        """A normal distribution; vectors and covariances as matrices."""
        over = f" / {divisor}" if divisor else ""
        column = r" \\ ".join(vector)
        left = vector[0] if len(vector) == 1 else rf"\begin{{pmatrix}} {column} \end{{pmatrix}}"
        return rf"{left} \sim N\left(0, {self.covariance(covariance)}{over}\right)"

    def covariance(self, covariance: Sequence[Sequence[str]] | str) -> str:
        """A variance, a matrix, or words."""
        if isinstance(covariance, str):
            return rf"\text{{{escape_latex(covariance)}}}"
        body = r" \\ ".join(" & ".join(row) for row in covariance)
        return body if len(covariance) == 1 else rf"\begin{{pmatrix}} {body} \end{{pmatrix}}"

    def words(self, text: str) -> str:
        """A line in words."""
        written = escape_latex(text)
        for name, letter in GREEK.items():
            written = written.replace(letter, rf"$\{name}$")
        return rf"\text{{{written}}}"

    def value(self, symbol: str, estimate: str, name: str) -> str:
        """An estimate and whose it is."""
        return rf"{symbol} = {estimate} \quad \text{{({escape_latex(name)})}}"


def response_label(design: Design) -> str:
    """The left side as one reads it, without the backticks that formulas need around odd names."""
    return design.response_name.replace("`", "")


def write_page(sections: Sequence[Section], style: Literal["text", "latex"]) -> str:
    """Sections as plain text or as LaTeX."""
    checked_choice("style", style, ("text", "latex"))
    return (Text() if style == "text" else Latex()).page(sections)


def write(style: Text | Latex, line: Equation | Normal | Value | Words) -> str:
    """Write one line in a style."""
    if isinstance(line, Words):
        return style.words(line.text)
    if isinstance(line, Equation):
        return f"{style.symbol(line.left)} = {' + '.join(_product(style, each) for each in line.right)}"
    if isinstance(line, Value):
        return style.value(style.symbol(line.symbol), line.estimate, line.name)
    divisor = "" if line.divisor is None else style.symbol(line.divisor)
    return style.normal([style.symbol(each) for each in line.symbols], line.covariance, divisor)


def _product(style: Text | Latex, product: Product) -> str:
    factors = ([] if product.coefficient is None else [product.coefficient]) + list(product.variables)
    return style.product([style.symbol(factor) for factor in factors])


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it stands."""
    return "".join(_LATEX_ESCAPES.get(character, character) for character in text)
