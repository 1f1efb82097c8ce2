"""Which words and signs is a formula made of?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from multilevel.formula.caret import formula_error

TokenKind = Literal["name", "number", "string", "sign", "end"]

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?L?)
  | (?P<name>(?:[^\W\d]|\.(?!\d))[\w.]*)      # R allows dots in names
  | `(?P<quoted>[^`]+)`
  | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<sign>%[^%\s]*%|\*\*|\|\||&&|::|==|!=|<=|>=|[-+*/:^~|&!<>=(),$@\[\]])
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word or sign and where it stands."""

    kind: TokenKind
    value: str
    start: int
    end: int


def tokenize(text: str) -> tuple[Token, ...]:
    """The tokens of a formula, closed by an end mark; brackets are checked for balance."""
    tokens = _tokens(text)
    _check_balance(text, tokens)
    return (*tokens, Token("end", "", len(text.rstrip()), len(text)))


def _tokens(text: str) -> tuple[Token, ...]:
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise formula_error(text, position, _unreadable(text[position]))
        found.extend(_as_token(match))
        position = match.end()
    return tuple(found)


def _as_token(match: re.Match[str]) -> tuple[Token, ...]:
    kind, value = str(match.lastgroup), match[str(match.lastgroup)]
    if kind == "space":
        return ()
    if kind == "quoted":
        return (Token("name", value, *match.span()),)
    known: dict[str, TokenKind] = {"number": "number", "name": "name", "string": "string", "sign": "sign"}
    return (Token(known[kind], value, *match.span()),)


def _unreadable(character: str) -> str:
    if character in "\"'`":
        return f"The quote {character} is never closed."
    return f"{character!r} has no meaning in a formula; put unusual column names between backticks."


def _check_balance(text: str, tokens: tuple[Token, ...]) -> None:
    open_brackets: list[Token] = []
    for token in tokens:
        if token.kind != "sign":
            continue
        if token.value in "([":
            open_brackets.append(token)
        elif token.value in ")]" and not open_brackets:
            raise formula_error(text, token.start, f"This {token.value!r} closes nothing; remove it.")
        elif token.value in ")]":
            open_brackets.pop()
    if open_brackets:
        bracket = open_brackets[-1]
        raise formula_error(text, bracket.start, f"This {bracket.value!r} is never closed.")
