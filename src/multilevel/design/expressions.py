"""What is the value of an expression such as `log(x)` or `scale(Days)` in each row?

An expression is compiled once. Calls that learn from the data (`scale`, `poly`, `within`, ...) get a
`_state` dictionary of their own, kept in a `Memory`: filled when a model is fitted, read when new data
are coded.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any, TypeAlias

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.design.factor import Factor
from multilevel.design.functions import CONSTANTS, FUNCTIONS
from multilevel.errors import DataError, MultilevelError
from multilevel.formula.functions import CODING, STATEFUL

Value: TypeAlias = Array | Mask | Factor  # (n,) or, for a basis such as poly(x, 2), (n, k)
Columns: TypeAlias = Mapping[str, Value]
Memory: TypeAlias = dict[str, dict[str, Any]]  # stateful call -> what it learned

COUNTS = "counts()"  # frequency weights of the rows, as a column that no formula can name
_LEARNING = STATEFUL | (CODING - {"I", "Q", "interaction"})
_COUNTING = {  # learning calls in which rows count as their frequency weights say
    *("within", "between", "scale", "center", "poly", "mean", "median", "sd", "var", "min", "max")
}
_LEARNT = {"_state", "_counts"}  # what no user gives
_FUNCTION = "{}()"  # what functions are called inside compiled code, so that no column hides them


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression."""

    text: str
    code: CodeType
    names: tuple[str, ...]  # columns and constants it reads


@lru_cache(maxsize=1024)
def compile_expression(text: str) -> Expression:
    """Make an expression ready to be evaluated."""
    tree = _Rewriting().visit(_parse(text))
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    columns = [name for name in dict.fromkeys(names) if not name.endswith("()")]
    code = compile(ast.fix_missing_locations(tree), f"<{text}>", "eval")
    return Expression(text, code, tuple(columns))


def columns_of(text: str, available: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that an expression needs; a column may hide a constant such as `pi`."""
    names = compile_expression(text).names
    return tuple(name for name in names if name in available or name not in CONSTANTS)


def evaluate(text: str, columns: Columns, memory: Memory) -> Value:
    """Value of an expression in each row."""
    if text in columns:
        return columns[text]
    environment = {**_ENVIRONMENT, **columns, "memory()": memory}
    try:
        with np.errstate(all="ignore"):  # what is not finite is refused by name afterwards
            value = eval(compile_expression(text).code, environment)
    except MultilevelError:
        raise
    except Exception as error:
        raise DataError(f"{plain_name(text)} cannot be computed: {_reason(text, columns, error)}") from error
    return value  # type: ignore[no-any-return]


def plain_name(text: str) -> str:
    """An expression as the user reads it: `log(Q('x.y'))` is log(`x.y`)."""
    head, *rest = text.split("Q('")
    return head + "".join("`" + "`".join(part.split("')", 1)) for part in rest)


def _reason(text: str, columns: Columns, error: Exception) -> str:
    misused = _misused_call(text)
    if misused is not None:
        return misused
    labelled = [name for name in compile_expression(text).names if isinstance(columns.get(name), Factor)]
    if labelled and not isinstance(error, ArithmeticError):
        return f"{labelled[0]!r} holds labels, not numbers."
    return f"{error}."


def _misused_call(text: str) -> str | None:
    """What is wrong with the arguments of the first call that does not fit its function."""
    calls = (node for node in ast.walk(_parse(text)) if isinstance(node, ast.Call))
    for call in calls:
        function = FUNCTIONS.get(call.func.id) if isinstance(call.func, ast.Name) else None
        if function is None or isinstance(function, np.ufunc):
            continue
        signature = inspect.signature(function)
        named = [keyword.arg for keyword in call.keywords if keyword.arg is not None]
        try:
            signature.bind(*call.args, **dict.fromkeys([*named, *_LEARNT & set(signature.parameters)]))
        except TypeError as problem:
            return _usage(ast.unparse(call.func), signature, str(problem))
    return None


def _usage(name: str, signature: inspect.Signature, problem: str) -> str:
    takes = ", ".join(parameter for parameter in signature.parameters if parameter not in _LEARNT)
    hint = "; for a reference level write relevel(g, ref='a')" if name in ("C", "factor") else ""
    return f"{problem}; it takes {name}({takes}){hint}."


def _parse(text: str) -> ast.Expression:
    try:
        return ast.parse(text, mode="eval")
    except SyntaxError:  # a column whose name is no Python name
        return ast.Expression(_name(text))


class _Rewriting(ast.NodeTransformer):
    """Function names apart from column names, quoted columns as columns, state handed to learning calls."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        text = ast.unparse(node)
        if isinstance(node.func, ast.Name) and node.func.id == "Q":
            return _name(ast.literal_eval(node.args[0]))
        node.args = [self.visit(argument) for argument in node.args]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        if isinstance(node.func, ast.Name):
            if node.func.id in _LEARNING:
                node.keywords.append(ast.keyword("_state", _state_of(text)))
            if node.func.id in _COUNTING:
                node.keywords.append(ast.keyword("_counts", _name(COUNTS)))
            node.func = _name(_FUNCTION.format(node.func.id))
        else:
            node.func = self.visit(node.func)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name):  # np.log, contr.sum
            node.value = _name(_FUNCTION.format(node.value.id))
        return node


def _name(name: str) -> ast.Name:
    return ast.Name(id=name, ctx=ast.Load())


def _state_of(text: str) -> ast.expr:
    """`memory().setdefault(text, {})`."""
    method = ast.Attribute(value=_name("memory()"), attr="setdefault", ctx=ast.Load())
    return ast.Call(func=method, args=[ast.Constant(text), ast.Dict(keys=[], values=[])], keywords=[])


_ENVIRONMENT: dict[str, Any] = {
    "__builtins__": {},
    COUNTS: None,
    **CONSTANTS,
    **{_FUNCTION.format(name): function for name, function in FUNCTIONS.items()},
}
