"""Which small faults can be put into a module: each one a span of its source and what stands there instead.

Owns the operators and what they leave alone (annotations, docstrings, `__repr__`, texts for people, decorators, what
only type checkers run). Does not own: choosing among them, and running tests (`run`).
"""

from __future__ import annotations

import ast
import difflib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
_TEXT = (ast.JoinedStr, ast.Constant)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: the bytes from `start` to `end` of the module's source become `text`. `line`, `last_line`: from 1."""

    module: str
    function: str
    operator: str
    line: int
    last_line: int
    start: int
    end: int
    text: str

    def applied(self, source: bytes) -> bytes:
        """The module with the fault."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def diff(self, source: bytes) -> list[str]:
        """The changed lines, with - and + before them."""
        before, after = source.decode().splitlines(), self.applied(source).decode().splitlines()
        lines = difflib.unified_diff(before, after, n=0, lineterm="")
        return [line for line in lines if not line.startswith(("---", "+++", "@@"))]

    @property
    def id(self) -> str:
        """A short name that stays while the module does."""
        named = f"{self.module}:{self.start}:{self.end}:{self.text}"
        return hashlib.sha256(named.encode()).hexdigest()[:8]


def mutants_of(module: str, path: Path) -> list[Mutant]:
    """All mutants of a module, in the order of its lines; those that would not change the code are left out."""
    source = path.read_bytes()
    tree = ast.parse(source)
    unchanged = ast.dump(tree)
    starts = [0]
    for line in source.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    found: dict[tuple[int, int, str], Mutant] = {}
    for node, operator, text, function in _faults(tree, ""):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        mutant = Mutant(module, function, operator, node.lineno, node.end_lineno or node.lineno, start, end, text)
        if ast.dump(ast.parse(mutant.applied(source))) != unchanged:
            found.setdefault((start, end, text), mutant)
    return sorted(found.values(), key=lambda mutant: (mutant.start, mutant.end, mutant.text))


Fault = tuple[ast.expr | ast.stmt, str, str, str]
"""The node to replace, the operator's name, the new text, and the function around it."""


def _faults(node: ast.AST, function: str) -> Iterator[Fault]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params", "bases"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _of_child(node, child, function)


def _of_child(parent: ast.AST, node: ast.AST, function: str) -> Iterator[Fault]:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Assert():
            return
        case ast.JoinedStr():  # a text for people; and before Python 3.12 its parts have no places in the source
            return
        case ast.Expr(value=ast.Constant()) | ast.Assign(targets=[ast.Name(id="__all__")]):
            return
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return
        case ast.FunctionDef(name="__repr__") | ast.Call(func=ast.Name(id="TypeVar" | "ParamSpec")):
            return
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield from _faults(node, f"{function}.{node.name}".lstrip("."))
            return
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="logger")))):
            return
        case ast.Raise(exc=ast.Call(func=ast.Name(id="AssertionError"))):
            return
        case ast.Return(value=None | ast.Constant(value=None)) if node in getattr(parent, "body", [])[-1:]:
            if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef):  # the same without it
                return
        case ast.Raise(exc=ast.Call() as call):
            yield node, "statement dropped", "pass", function
            yield from _call(call, function)
            for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
                if not isinstance(argument, _TEXT) and not _is_text(argument):
                    yield from _of_child(call, argument, function)
            return
    yield from ((target, operator, text, function) for target, operator, text in _here(parent, node))
    if isinstance(node, ast.Call):
        yield from _call(node, function)
    yield from _faults(node, function)


def _is_text(node: ast.expr) -> bool:
    """Texts put together: `"a" "b"`, `"a" + b`, `"a %s" % b`."""
    return isinstance(node, ast.BinOp) and any(isinstance(part, _TEXT) for part in (node.left, node.right))


def _here(parent: ast.AST, node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str, str]]:
    match node:
        case ast.Compare():
            for index, operator in enumerate(node.ops):
                for other in _COMPARISONS[type(operator)]:
                    ops = [*node.ops[:index], other(), *node.ops[index + 1 :]]
                    changed = ast.Compare(node.left, ops, node.comparators)
                    yield node, "comparison", f"({ast.unparse(changed)})"
        case ast.BoolOp():
            other_op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield node, "and/or", f"({ast.unparse(ast.BoolOp(other_op, node.values))})"
            for index in range(len(node.values)):
                rest = [*node.values[:index], *node.values[index + 1 :]]
                yield node, "condition dropped", f"({ast.unparse(ast.BoolOp(node.op, rest))})"
        case ast.UnaryOp(op=ast.Not()):
            yield node, "not dropped", f"({ast.unparse(node.operand)})"
        case ast.UnaryOp(op=ast.USub()):
            yield node, "sign dropped", f"({ast.unparse(node.operand)})"
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            changed_op = ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
            yield node, "arithmetic", f"({ast.unparse(changed_op)})"
        case ast.If() | ast.While() | ast.IfExp() if not isinstance(node.test, ast.Compare | ast.Constant):
            yield node.test, "condition turned", f"(not {ast.unparse(node.test)})"
        case ast.comprehension():
            for condition in node.ifs:
                yield condition, "filter dropped", "True"
        case ast.Constant():
            yield from ((node, "constant", text) for text in _other_constants(node.value))
        case ast.Slice():
            for bound in (node.lower, node.upper):
                if bound is not None:
                    yield bound, "slice bound dropped", "None"
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield value, "returns None", "None"
        case ast.ExceptHandler():
            first, last = node.body[0], node.body[-1]
            if not isinstance(first, ast.Raise):
                span = ast.Pass(
                    lineno=first.lineno,
                    col_offset=first.col_offset,
                    end_lineno=last.end_lineno,
                    end_col_offset=last.end_col_offset,
                )
                yield span, "handler dropped", "raise"
        case ast.Raise() | ast.Continue() | ast.Break() | ast.AugAssign() | ast.Return() | ast.Delete():
            yield node, "statement dropped", "pass"
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield node, "statement dropped", "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield node, "statement dropped", "pass"


def _call(node: ast.Call, function: str) -> Iterator[Fault]:
    """Each keyword argument left out. The whole call is written anew: its commas are nobody's."""
    for index, keyword in enumerate(node.keywords):
        if keyword.arg is not None:
            rest = [*node.keywords[:index], *node.keywords[index + 1 :]]
            yield node, "argument dropped", ast.unparse(ast.Call(node.func, node.args, rest)), function


def _other_constants(value: object) -> list[str]:
    match value:
        case bool():
            return [str(not value)]
        case int():
            return [str(value + 1), f"({value - 1})"]
        case float():
            return [repr(value + 1)]
        case str():
            return ['""'] if value else ['"mutant"']
        case bytes():
            return ['b""'] if value else ['b"mutant"']
    return []
