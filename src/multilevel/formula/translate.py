"""How is a piece of the formula written for formulaic? R's spelling in, formulaic's and Python's out."""

from __future__ import annotations

import keyword
from unicodedata import normalize

from multilevel.formula.caret import formula_error
from multilevel.formula.functions import CONTRASTS, RENAMED, unknown_function
from multilevel.formula.syntax import (
    COMPARISONS,
    Binary,
    Call,
    Group,
    Name,
    Node,
    Number,
    String,
    Unary,
    is_bar,
    ungroup,
)

_FORMULA_SIGNS = ("+", "-", "*", "/", ":", "^", "%in%")
_LITERALS = {
    "TRUE": "True",
    "FALSE": "False",
    "NULL": "None",
    "True": "True",
    "False": "False",
    "None": "None",
}
_PYTHON_SIGNS = {"^": "**", "%%": "%", "%/%": "//", "&": "&", "&&": "&", "|": "|", "||": "|"}
_PYTHON_BINDING = {
    **dict.fromkeys(COMPARISONS, 1),
    **dict.fromkeys(["|"], 2),
    **dict.fromkeys(["&"], 3),
    **dict.fromkeys(["+", "-"], 4),
    **dict.fromkeys(["*", "/", "//", "%"], 5),
    "**": 7,
}
_UNARY_BINDING, _ATOM = 6, 9


def formula_text(node: Node, source: str) -> str:
    """A term of the formula as formulaic writes it: `(a + b)^2` becomes `(a + b)**2`."""
    match node:
        case Name():
            return _formula_name(node, source)
        case Number() if node.digits in ("0", "1"):
            return node.digits
        case Number():
            problem = "A number is no term; to compute with it, put the computation inside I(...)."
            raise formula_error(source, node.start, problem)
        case Group():
            return f"({formula_text(node.inner, source)})"
        case Unary() if node.sign in "+-":
            return f"{node.sign}{formula_text(node.operand, source)}"
        case Binary() if node.sign in _FORMULA_SIGNS:
            return _formula_binary(node, source)
        case Call(function="c"):
            raise formula_error(source, node.start, "A list of values is no term; add columns: 'a + b'.")
        case Call():
            return python_text(node, source)
    raise formula_error(source, node.start, "This is a computation, not a term: put it inside I(...).")


def python_text(node: Node, source: str) -> str:
    """An expression to be computed, as Python writes it: `I(x^2)` becomes `I(x ** 2)`."""
    match node:
        case Name():
            return _python_name(node)
        case Number():
            return node.digits
        case String():
            return repr(node.value)
        case Group():
            return python_text(node.inner, source)
        case Call():
            return _python_call(node, source)
        case Unary():
            sign = "~" if node.sign == "!" else node.sign
            return sign + _operand(node.operand, source, _UNARY_BINDING)
        case Binary():
            return _python_binary(node, source)


def _formula_name(node: Name, source: str) -> str:
    if node.name == ".":
        problem = "'.' for all other columns is not understood; name the predictors."
        raise formula_error(source, node.start, problem)
    return node.name if node.name.isidentifier() else f"`{node.name}`"


def _formula_binary(node: Binary, source: str) -> str:
    if node.sign in "*:" and (_is_one(node.left) or _is_one(node.right)):  # a product with the intercept
        return formula_text(node.right if _is_one(node.left) else node.left, source)
    left = formula_text(node.left, source)
    if node.sign == "^":
        return f"{left}**{_power(node.right, source)}"
    if node.sign == "%in%":  # in formulaic it brings the main effects of the right side along
        nesting = dict.fromkeys(_nesting_factors(node.right, source))
        nested = left if isinstance(node.left, Name | Call) else f"({left})"
        return f"{nested}:{':'.join(nesting)}"
    return f"{left} {node.sign} {formula_text(node.right, source)}"


def _nesting_factors(node: Node, source: str) -> list[str]:
    """What `a %in% node` nests a in: as in R, all factors of the right side at once."""
    match node:
        case Group():
            return _nesting_factors(node.inner, source)
        case Name():
            return [_formula_name(node, source)]
        case Call() if node.function != "c":
            return [python_text(node, source)]
        case Binary(sign="+" | ":" | "*" | "/" | "%in%"):
            return _nesting_factors(node.left, source) + _nesting_factors(node.right, source)
    problem = "Right of %in% stands a factor, 'b %in% a' for b within a; a comparison goes inside I(...)."
    raise formula_error(source, node.start, problem)


def _is_one(node: Node) -> bool:
    return isinstance(node, Number) and node.digits == "1"


def _power(node: Node, source: str) -> str:
    if isinstance(node, Number) and node.digits.isdecimal() and int(node.digits) > 0:
        return node.digits
    problem = "As a term, '^' takes a whole number, (a + b)^2; to compute a power write I(x^k)."
    raise formula_error(source, node.start, problem)


def _python_name(node: Name) -> str:
    if node.name in _LITERALS:
        return _LITERALS[node.name]
    return node.name if _is_python_name(node.name) else f"Q({node.name!r})"


def _is_python_name(name: str) -> bool:
    """Whether Python reads the name as it stands; it reads a micro sign, for one, as another letter."""
    return name.isidentifier() and not keyword.iskeyword(name) and normalize("NFKC", name) == name


def _python_call(node: Call, source: str) -> str:
    name = RENAMED.get(node.function, node.function)
    if name == "c":
        return f"[{', '.join(python_text(value, source) for _, value in node.arguments)}]"
    problem = unknown_function(name)
    if problem is not None:
        raise formula_error(source, node.start, problem)
    arguments = [_argument(name, i, *pair, source) for i, pair in enumerate(node.arguments)]
    return f"{name}({', '.join(arguments)})"


def _argument(function: str, position: int, key: str | None, value: Node, source: str) -> str:
    text = python_text(value, source)
    if function in ("C", "factor") and isinstance(value, Name) and _names_contrasts(position, key, value):
        text = f"contr.{value.name.removeprefix('contr.')}"
    return text if key is None else f"{key.replace('.', '_')}={text}"


def _names_contrasts(position: int, key: str | None, value: Name) -> bool:
    """Whether the argument is a coding by name, as in `C(x, sum)` or `C(x, contr.sum)`."""
    is_slot = key in ("contr", "contrasts") or (key is None and position == 1)
    return is_slot and value.name.removeprefix("contr.") in CONTRASTS


def _python_binary(node: Binary, source: str) -> str:
    if node.sign == ":":
        return f"interaction({python_text(node.left, source)}, {python_text(node.right, source)})"
    if node.sign == "%in%":
        return f"np.isin({python_text(node.left, source)}, {python_text(node.right, source)})"
    if is_bar(node):
        raise formula_error(source, node.at, "A random-effects term cannot stand inside a computation.")
    sign = _PYTHON_SIGNS.get(node.sign, node.sign)
    if sign not in _PYTHON_BINDING:
        raise formula_error(source, node.at, f"{node.sign!r} cannot be computed here.")
    return _join(node, sign, source)


def _join(node: Binary, sign: str, source: str) -> str:
    """Both operands around the sign, with the parentheses that Python needs."""
    binding = _PYTHON_BINDING[sign]
    from_right = sign == "**"  # the only sign that binds from the right
    left = _operand(node.left, source, binding + from_right)
    right = _operand(node.right, source, binding + (not from_right))
    return f"{left} {sign} {right}"


def _operand(node: Node, source: str, least: int) -> str:
    text = python_text(node, source)
    return text if _binding(node) >= least else f"({text})"


def _binding(node: Node) -> int:
    """How tightly Python binds what this node becomes."""
    node = ungroup(node)
    if isinstance(node, Unary):
        return _UNARY_BINDING
    if isinstance(node, Binary):
        return _PYTHON_BINDING.get(_PYTHON_SIGNS.get(node.sign, node.sign), _ATOM)
    return _ATOM
