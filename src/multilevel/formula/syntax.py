"""How do the signs of a formula bind? A small tree, by R's precedence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from multilevel.formula.caret import formula_error
from multilevel.formula.lexer import Token, tokenize


@dataclass(frozen=True, slots=True)
class Name:
    """A column, or a constant such as `pi`."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written."""

    digits: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class String:
    """A quoted text."""

    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Call:
    """`function(argument, keyword=argument)`."""

    function: str
    arguments: tuple[tuple[str | None, Node], ...]  # (keyword or None, value)
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Group:
    """Something in parentheses."""

    inner: Node
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Unary:
    """A sign before its operand."""

    sign: str
    operand: Node
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Binary:
    """A sign between two operands."""

    sign: str
    left: Node
    right: Node
    at: int  # position of the sign

    @property
    def start(self) -> int:
        """Where the left operand begins."""
        return self.left.start

    @property
    def end(self) -> int:
        """Where the right operand ends."""
        return self.right.end


Node = Name | Number | String | Call | Group | Unary | Binary

BARS = ("|", "||")
COMPARISONS = ("==", "!=", "<", ">", "<=", ">=")
_BINDING = {  # R's precedence, tightest last
    **dict.fromkeys(["~"], 1),
    **dict.fromkeys(BARS, 2),
    **dict.fromkeys(["&", "&&"], 3),
    **dict.fromkeys(COMPARISONS, 5),
    **dict.fromkeys(["+", "-"], 6),
    **dict.fromkeys(["*", "/"], 7),
    ":": 9,
    **dict.fromkeys(["^", "**"], 11),
}
_PERCENT, _NOT, _SIGN = 8, 4, 10  # %in% and its like; logical not; unary plus and minus
_REFUSED = {
    "$": "'$' picks a column in R; here columns are named directly, 'y' rather than 'data$y'.",
    "@": "'@' has no meaning in a formula; name columns directly.",
    "[": "Formulas do not index columns; compute the column in the data first.",
    "::": "Write the function without its package: 'ns(x, 3)' rather than 'splines::ns(x, 3)'.",
    "=": "'=' only names arguments inside a call; to compare, write '=='.",
}


def parse_tree(text: str) -> Node:
    """The tree of a whole formula."""
    return _Parser(text, tokenize(text)).whole()


def children(node: Node) -> tuple[Node, ...]:
    """What a node is made of."""
    match node:
        case Call():
            return tuple(value for _, value in node.arguments)
        case Group():
            return (node.inner,)
        case Unary():
            return (node.operand,)
        case Binary():
            return (node.left, node.right)
    return ()


def descend(node: Node) -> Iterator[Node]:
    """A node and everything below it."""
    yield node
    for child in children(node):
        yield from descend(child)


def is_bar(node: Node) -> bool:
    """Whether a node is a random-effects bar; beside a condition `|` means "or"."""
    if not (isinstance(node, Binary) and node.sign in BARS):
        return False
    return not (is_condition(node.left) or is_condition(node.right))


def is_condition(node: Node) -> bool:
    """Whether a node says true or false for each row."""
    node = ungroup(node)
    if isinstance(node, Unary):
        return node.sign == "!"
    if isinstance(node, Binary) and node.sign in BARS:
        return not is_bar(node)
    return isinstance(node, Binary) and (node.sign in (*COMPARISONS, "&", "&&") or _is_membership(node))


def _is_membership(node: Binary) -> bool:
    """Whether `%in%` compares with labels, `g %in% c("a", "b")`; between factors it nests."""
    labels = ungroup(node.right)
    is_vector = isinstance(labels, Call) and labels.function == "c"
    return node.sign == "%in%" and (is_vector or isinstance(labels, Number | String))


def ungroup(node: Node) -> Node:
    """A node without the parentheses around it."""
    while isinstance(node, Group):
        node = node.inner
    return node


class _Parser:
    """Precedence climbing over the tokens of one formula."""

    def __init__(self, text: str, tokens: tuple[Token, ...]) -> None:
        self._text = text
        self._tokens = tokens
        self._next = 0

    def whole(self) -> Node:
        tree = self._expression(0)
        if self._peek().kind != "end":
            raise self._unexpected(self._peek())
        return tree

    def _expression(self, floor: int) -> Node:
        """Everything that binds more tightly than `floor`."""
        left = self._operand()
        while (binding := self._binding(self._peek())) > floor:
            sign = self._take()
            is_power = sign.value in ("^", "**")  # binds from the right, and before a sign: a^-1
            right = self._expression(_SIGN if is_power else binding)
            left = Binary("^" if is_power else sign.value, left, right, sign.start)
        return left

    def _operand(self) -> Node:
        token = self._take()
        match token.kind, token.value:
            case "name", _:
                return self._call(token) if self._peek().value == "(" else self._plain(token)
            case "number", _:
                return Number(token.value.rstrip("L"), token.start, token.end)
            case "string", _:
                return String(token.value[1:-1], token.start, token.end)
            case "sign", "(":
                inner = self._expression(0)
                return Group(inner, token.start, self._close().end)
            case "sign", "[":  # Python's list, R's c(...)
                return self._arguments("c", "]", token.start)
            case "sign", "+" | "-" | "!":
                operand = self._expression(_NOT if token.value == "!" else _SIGN)
                return Unary(token.value, operand, token.start, operand.end)
        raise self._missing_operand(token)

    def _plain(self, token: Token) -> Name:
        return Name(token.value, token.start, token.end)

    def _call(self, function: Token) -> Call:
        self._take()  # the opening parenthesis
        return self._arguments(function.value, ")", function.start)

    def _arguments(self, function: str, closing: str, start: int) -> Call:
        """Arguments up to the closing bracket."""
        arguments: list[tuple[str | None, Node]] = []
        while self._peek().value != closing:
            arguments.append(self._argument())
            if self._peek().value == ",":
                self._take()
            elif self._peek().value != closing:
                raise self._unexpected(self._peek())
        return Call(function, tuple(arguments), start, self._take().end)

    def _argument(self) -> tuple[str | None, Node]:
        name, equals = self._tokens[self._next : self._next + 2]
        if name.kind == "name" and equals.value == "=":
            self._next += 2
            return name.value, self._expression(0)
        return None, self._expression(0)

    def _close(self) -> Token:
        token = self._take()
        if token.value != ")":
            raise self._unexpected(token)
        return token

    def _binding(self, token: Token) -> int:
        if token.kind != "sign":
            return 0
        if token.value in _REFUSED:
            raise formula_error(self._text, token.start, _REFUSED[token.value])
        return _PERCENT if token.value.startswith("%") else _BINDING.get(token.value, 0)

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._peek()
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _unexpected(self, token: Token) -> Exception:
        problem = f"A sign such as '+' or '*' is missing before {token.value!r}."
        if token.value in (",", "]", "="):
            problem = f"{token.value!r} does not belong here."
        return formula_error(self._text, token.start, problem)

    def _missing_operand(self, token: Token) -> Exception:
        place = self._tokens.index(token)
        before = self._tokens[place - 1].value if place else ""
        if token.kind == "end":
            return formula_error(self._text, token.start, _what_follows(before))
        return formula_error(self._text, token.start, _what_is_missing(before, token.value))


def _what_is_missing(before: str, sign: str) -> str:
    """The problem when `sign` stands where an operand should."""
    if sign in BARS:
        return f"Nothing stands left of the bar; for an intercept by group write '(1 {sign} group)'."
    if before in BARS:
        return f"The bar has no grouping factor; write '(1 {before} group)'."
    if sign == "~":
        return "The formula has nothing left of '~'; write 'response ~ predictors'."
    if before == "(" and sign == ")":
        return "These parentheses are empty."
    return _REFUSED.get(sign, f"Something is missing between {before!r} and {sign!r}.")


def _what_follows(before: str) -> str:
    """The problem when the formula ends where an operand should stand."""
    if before == "~":
        return "The formula has nothing right of '~'; write 'response ~ 1' for an intercept only."
    if before in BARS:
        return f"The bar has no grouping factor; write '(1 {before} group)'."
    if before:
        return f"The formula ends after {before!r}; add what should follow, or remove it."
    return "The formula is empty; write 'response ~ predictors + (1 | group)'."
