"""What does a model formula say? Text in, terms out; no data are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain

from multilevel.errors import DataTypeError
from multilevel.formula.bars import holds_bar, is_random_term, misplaced_bar, read_random_term
from multilevel.formula.caret import formula_error
from multilevel.formula.signed_terms import SignedTerm, explicit_sum, signed_terms
from multilevel.formula.syntax import Binary, Call, Name, Node, children, descend, parse_tree, ungroup
from multilevel.formula.terms import Bar, Formula, Response
from multilevel.formula.translate import python_text


def parse_formula(text: str) -> Formula:
    """Read a mixed-model formula in lme4's dialect.

    Random-effects terms are `(effects | group)`; `||` asks for uncorrelated effects, `a/b` for `a` and
    `a:b`, and `us(...)`, `diag(...)`, `cs(...)`, `ar1(...)` around a bar for other covariance structures.

    >>> formula = parse_formula("Reaction ~ Days + (Days | Subject)")
    >>> formula.fixed, formula.bars[0].effects, formula.bars[0].factor
    ('1 + Days', '1 + Days', ('Subject',))

    References
    ----------
    Bates, Mächler, Bolker and Walker (2015). Fitting linear mixed-effects models using lme4.
    Journal of Statistical Software 67(1), section 2.
    """
    if not isinstance(text, str):
        raise DataTypeError(
            f"The formula is of type {type(text).__name__}; write it as text, 'y ~ x + (1 | g)'."
        )
    return _parse(text)


@lru_cache(maxsize=512)
def _parse(text: str) -> Formula:
    left, right = _sides(text)
    terms = list(signed_terms(right))
    random = [term for term in terms if is_random_term(term.node)]
    offsets = [term for term in terms if _is_offset(term.node)]
    fixed = [term for term in terms if term not in random and term not in offsets]
    for term in fixed:
        _check_fixed(term.node, text)
    _refuse_subtraction([*random, *offsets], text)
    response = _read_response(left, text)
    _refuse_response(response, [term.node for term in terms if term.sign == "+"], text)
    return Formula(
        text=text.strip(),
        response=response,
        fixed=explicit_sum(fixed, text),
        offsets=tuple(_read_offset(term.node, text) for term in offsets),
        bars=_read_bars(random, text),
    )


def _sides(text: str) -> tuple[Node, Node]:
    tree = parse_tree(text)
    tildes = [part for part in descend(tree) if isinstance(part, Binary) and part.sign == "~"]
    if not tildes:
        problem = "The formula has no '~'; write 'response ~ predictors + (1 | group)'."
        raise formula_error(text, tree.start, problem)
    if len(tildes) > 1 or tildes[0] is not tree:
        problem = "A formula has one '~', outside all parentheses; remove this one."
        raise formula_error(text, max(tilde.at for tilde in tildes), problem)
    return tildes[0].left, tildes[0].right


def _read_response(node: Node, text: str) -> Response:
    node = ungroup(node)
    written = text[node.start : node.end]
    if holds_bar(node):
        raise formula_error(text, node.start, "Random-effects terms belong right of '~'.")
    if isinstance(node, Binary) and node.sign == "/":
        return Response("ratio", (python_text(node.left, text), python_text(node.right, text)), written)
    if isinstance(node, Call) and node.function == "cbind":
        return Response("cbind", _read_cbind(node, text), written)
    return Response("single", (python_text(node, text),), written)


def _read_cbind(node: Call, text: str) -> tuple[str, ...]:
    if len(node.arguments) != 2:
        problem = "cbind(...) takes the successes and the failures: cbind(successes, failures)."
        raise formula_error(text, node.start, problem)
    return tuple(python_text(value, text) for _, value in node.arguments)


def _check_fixed(node: Node, text: str) -> None:
    """Refuse what formulaic would misread: bars and structures out of place, buried offsets."""
    for part in descend(node):
        if _is_offset(part):
            raise formula_error(text, part.start, "offset(...) must be a term of its own: '... + offset(x)'.")
        if isinstance(part, Call) and part.function in ("us", "diag", "ar1"):
            problem = f"{part.function}(...) needs a bar: '{part.function}(1 + x | group)'."
            raise formula_error(text, part.start, problem)
    if holds_bar(node) and not isinstance(node, Call):
        raise misplaced_bar(node, text)


def _refuse_subtraction(terms: list[SignedTerm], text: str) -> None:
    for term in terms:
        if term.sign == "-":
            raise formula_error(text, term.node.start, "This term cannot be taken away; leave it out.")


def _refuse_response(response: Response, terms: list[Node], text: str) -> None:
    """What is to be explained explains itself perfectly; R's `lm` drops such a term, we ask."""
    observed = response.expressions[: 1 if response.kind == "ratio" else 2]
    for factor in chain.from_iterable(map(_factors, terms)):
        if python_text(factor, text) in observed:
            written = text[factor.start : factor.end]
            problem = (
                f"The response {written!r} stands on the right too, where it explains itself; remove it."
            )
            raise formula_error(text, factor.start, problem)


def _factors(term: Node) -> Iterator[Name | Call]:
    """What a term multiplies, nests or groups by; a computation is one factor."""
    if isinstance(term, Name) or (isinstance(term, Call) and not is_random_term(term)):
        if not _is_offset(term):
            yield term
        return
    for part in children(term):
        yield from _factors(part)


def _is_offset(node: Node) -> bool:
    return isinstance(node, Call) and node.function == "offset"


def _read_offset(node: Node, text: str) -> str:
    assert isinstance(node, Call)
    if len(node.arguments) != 1:
        raise formula_error(text, node.start, "offset(...) takes one expression.")
    return python_text(node.arguments[0][1], text)


def _read_bars(terms: list[SignedTerm], text: str) -> tuple[Bar, ...]:
    bars: list[Bar] = []
    for term in terms:
        for bar in read_random_term(term.node, text):
            if any(_same(bar, other) for other in bars):
                problem = f"({bar.effects} | {':'.join(bar.factor)}) appears twice; keep one."
                raise formula_error(text, term.node.start, problem)
            bars.append(bar)
    return tuple(bars)


def _same(bar: Bar, other: Bar) -> bool:
    """Whether two bars ask for the same random effects; `a:b` and `b:a` are one factor."""
    ours, theirs = (set(bar.factor), bar.effects), (set(other.factor), other.effects)
    return ours == theirs and bar.structure == other.structure
