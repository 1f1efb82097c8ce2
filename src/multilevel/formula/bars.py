"""Which random effects does a term such as `(1 + x | a/b)` ask for?"""

from __future__ import annotations

from typing import get_args

from multilevel.formula.caret import formula_error
from multilevel.formula.functions import unknown_function
from multilevel.formula.signed_terms import explicit_sum, signed_terms
from multilevel.formula.syntax import Binary, Call, Group, Name, Node, descend, is_bar, is_condition, ungroup
from multilevel.formula.terms import Bar, StructureName
from multilevel.formula.translate import python_text

STRUCTURES: tuple[StructureName, ...] = get_args(StructureName)
HOMOGENEOUS_BY_DEFAULT: dict[StructureName, bool] = {"us": False, "diag": False, "cs": False, "ar1": True}
_TRUTH = {"TRUE": True, "True": True, "FALSE": False, "False": False}
Factor = tuple[str, ...]  # expressions whose interaction groups the rows


def holds_bar(node: Node) -> bool:
    """Whether a bar stands somewhere below this node."""
    return any(is_bar(part) for part in descend(node))


def is_random_term(node: Node) -> bool:
    """Whether a term of the formula is a random-effects term: `(... | g)` or `cs(... | g)`."""
    if isinstance(node, Call):
        return bool(node.arguments) and _as_bar(node.arguments[0][1]) is not None
    return isinstance(node, Group) and _as_bar(node) is not None


def read_random_term(node: Node, source: str) -> tuple[Bar, ...]:
    """The bars of one random-effects term, nesting and double bar expanded."""
    if isinstance(node, Call):
        structure, hom = _read_structure(node, source)
        bar = _as_bar(node.arguments[0][1])
    else:
        structure, hom, bar = "us", False, _as_bar(node)
    assert bar is not None  # the caller asked is_random_term
    if bar.sign == "||":
        structure = _uncorrelated(bar, structure, isinstance(node, Call), source)
    effects = _read_effects(bar, source)
    text = source[node.start : node.end]
    factors = _read_factors(bar.right, source)
    return tuple(Bar(effects, factor, structure, hom, text) for factor in factors)


def misplaced_bar(node: Node, source: str) -> Exception:
    """The error for a bar that is neither in parentheses of its own nor in a structure."""
    bar = next(part for part in descend(node) if isinstance(part, Binary) and is_bar(part))
    if is_condition(node):  # in R's precedence it takes in all that follows, the bar too
        problem = "A comparison is computed: put it inside I(...), as in 'I(x < 2) + (1 | group)'."
        return formula_error(source, node.start, problem)
    if node is bar:
        problem = "Put the random-effects term in parentheses, as in '(1 + x | group)'."
    elif isinstance(ungroup(node), Call):
        problem = "A random-effects term cannot stand inside a function."
    else:
        problem = "Random-effects terms can only be added: '... + (1 | group)'."
    return formula_error(source, bar.at, problem)


def _as_bar(node: Node) -> Binary | None:
    inner = ungroup(node)
    return inner if isinstance(inner, Binary) and is_bar(inner) else None


def _uncorrelated(bar: Binary, structure: StructureName, wrapped: bool, source: str) -> StructureName:
    if wrapped and structure != "diag":
        problem = (
            f"'||' means uncorrelated, {structure}(...) does not; write one bar inside {structure}(...)."
        )
        raise formula_error(source, bar.at, problem)
    return "diag"


def _read_structure(node: Call, source: str) -> tuple[StructureName, bool]:
    """Name of the structure and whether its columns share one variance."""
    named = [name for name in STRUCTURES if name == node.function]
    if not named:
        problem = f"A random-effects term cannot stand inside {node.function}(...)."
        if node.function == "c":
            problem = "A random-effects term stands in round parentheses: '(1 | group)'."
        elif unknown_function(node.function):
            known = ", ".join(STRUCTURES)
            problem = f"{node.function!r} is no covariance structure of random effects; there are {known}."
        raise formula_error(source, node.start, problem)
    hom = HOMOGENEOUS_BY_DEFAULT[named[0]]
    for key, value in node.arguments[1:]:
        hom = _read_hom(key, value, node.function, source)
    return named[0], hom


def _read_hom(key: str | None, value: Node, structure: str, source: str) -> bool:
    if key != "hom" or structure == "us":
        problem = "us(...) takes no options." if structure == "us" else "The only option is 'hom = TRUE'."
        raise formula_error(source, value.start, problem)
    if not isinstance(value, Name) or value.name not in _TRUTH:
        raise formula_error(source, value.start, "'hom' is TRUE or FALSE.")
    return _TRUTH[value.name]


def _read_effects(bar: Binary, source: str) -> str:
    """Left of the bar, with its intercept made explicit: `x` becomes `1 + x`."""
    if holds_bar(bar.left):
        raise formula_error(source, bar.at, "A random-effects term has one bar only.")
    terms = list(signed_terms(bar.left))
    for term in terms:
        if isinstance(term.node, Call) and term.node.function == "offset":
            problem = "An offset belongs to the fixed part: '... + offset(x)'."
            raise formula_error(source, term.node.start, problem)
    effects = explicit_sum(terms, source)
    if effects == "0":
        problem = "Nothing varies by group here; write '(1 | group)' or '(0 + x | group)'."
        raise formula_error(source, bar.left.start, problem)
    return effects


def _read_factors(node: Node, source: str) -> list[Factor]:
    """The grouping factors right of the bar; `a/b` is `a` and `a:b`."""
    match node:
        case Group():
            return _read_factors(node.inner, source)
        case Name() | Call():
            return [(node.name if isinstance(node, Name) else python_text(node, source),)]
        case Binary(sign="/"):
            outer = _read_factors(node.left, source)
            return [*outer, *(_interaction(outer[-1], inner) for inner in _read_factors(node.right, source))]
        case Binary(sign=":"):
            left, right = _read_factors(node.left, source), _read_factors(node.right, source)
            if len(left) == len(right) == 1:
                return [_interaction(left[0], right[0])]
    raise formula_error(source, node.start, _no_factor(node))


def _interaction(left: Factor, right: Factor) -> Factor:
    return (*left, *(part for part in right if part not in left))


def _no_factor(node: Node) -> str:
    problem = "This is no grouping factor."
    if isinstance(node, Binary) and node.sign in "+*":
        together = " + (1 | a:b)" if node.sign == "*" else ""
        return f"{problem} For 'a {node.sign} b' write one term each: '(1 | a) + (1 | b){together}'."
    if isinstance(node, Binary) and node.sign == "%in%":
        return f"{problem} For a within b write '(1 | b:a)', or '(1 | b/a)' for both."
    return f"{problem} Group by a column, by 'a:b', by 'a/b', or by a function such as 'factor(a)'."
