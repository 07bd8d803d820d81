# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mistakes that can be made in one expression or statement: each operator yields what could stand in a node's place.

They are mistakes that a type checker lets pass, as far as a node tells: a function that returns a list then returns an empty
one and not None.  What no user can see is left alone: annotations, docstrings, caches, and the wording of errors.
"""

from __future__ import annotations

import ast
import copy
import re
import typing as t
from collections.abc import Callable, Iterator

Replacements = Iterator[ast.AST]
Operator = Callable[[ast.AST], Replacements]

_NEIGHBOURS: t.Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_ARITHMETIC: t.Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_EITHER_SIDE = (ast.Add, ast.BitAnd, ast.BitOr, ast.Sub)
_SWAPPED: t.Final = {
    "all": ("any",),
    "any": ("all",),
    "endswith": ("startswith",),
    "find": ("rfind",),
    "fullmatch": ("match", "search"),
    "lstrip": ("rstrip",),
    "match": ("fullmatch", "search"),
    "max": ("min",),
    "min": ("max",),
    "partition": ("rpartition",),
    "rfind": ("find",),
    "rpartition": ("partition",),
    "rstrip": ("lstrip",),
    "search": ("match",),
    "startswith": ("endswith",),
}
_ORDERING = ("reversed", "sorted", "fromkeys")
"""What only orders or sifts its argument: the list of that may stand in its place."""
_TEXT_METHODS = ("casefold", "lower", "lstrip", "removeprefix", "removesuffix", "replace", "rstrip", "strip", "upper")
_OF_TEXT = ("normalize_module_name", "normpath", "basename")
_LAST_ARGUMENT = ("get", "split", "rsplit", "int", "enumerate", "fromkeys", "strip", "lstrip", "rstrip")
_PATTERN_FUNCTIONS = ("compile", "findall", "finditer", "fullmatch", "match", "search", "split", "sub")
_PATTERN_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?(?:[:!=]|<[!=]|P<\w+>)|.", re.DOTALL)
_PATTERN_MISTAKES: t.Final = {"*": ("+",), "+": ("*",), "?": ("",), "^": ("",), "$": ("",), r"\b": ("",), r"\A": ("",), r"\Z": ("",)}
_UNSEEN_KEYWORDS = ("frozen", "maxsize", "eq", "slots")
_EMPTY: t.Final = (
    ("tuple[", "()"),
    ("list[", "[]"),
    ("dict[", "{}"),
    ("t.Mapping[", "{}"),
    ("frozenset[", "frozenset()"),
    ("set[", "set()"),
)


def name_of(call: ast.AST) -> str:
    """The last part of the name of what is called."""
    function = call.func if isinstance(call, ast.Call) else call
    return function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""


def comparison(node: ast.AST) -> Replacements:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in _NEIGHBOURS[type(operator)]:
                yield _changed(node, ops=[*node.ops[:place], other(), *node.ops[place + 1 :]])


def boolean_operator(node: ast.AST) -> Replacements:
    if isinstance(node, ast.BoolOp):
        yield _changed(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())


def operand_dropped(node: ast.AST) -> Replacements:
    if isinstance(node, ast.BoolOp):
        for rest in _each_dropped(node.values):
            yield rest[0] if len(rest) == 1 else _changed(node, values=rest)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, _EITHER_SIDE):
        yield node.left
        if not isinstance(node.op, ast.Sub):
            yield node.right


def negation(node: ast.AST) -> Replacements:
    if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
        yield node.operand


def condition(node: ast.AST) -> Replacements:
    """A condition that always holds, or never."""
    if isinstance(node, ast.If) and not isinstance(node.test, ast.Constant):
        yield from (_changed(node, test=ast.Constant(value)) for value in (True, False))
    elif isinstance(node, ast.While) and not isinstance(node.test, ast.Constant):
        yield _changed(node, test=ast.Constant(False))
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield from (_changed(node, ifs=rest) for rest in _each_dropped(node.ifs))


def number(node: ast.AST) -> Replacements:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        yield from (ast.Constant(value) for value in dict.fromkeys((node.value + 1, 0)) if value != node.value)


def truth_value(node: ast.AST) -> Replacements:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)


def text(node: ast.AST) -> Replacements:
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
        filler = "~" if isinstance(node.value, str) else b"~"
        yield ast.Constant(type(node.value)() if node.value else filler)


def pattern(node: ast.AST) -> Replacements:
    """A regular expression with one part more or less: a repetition, an anchor, an alternative."""
    if not (isinstance(node, ast.Call) and name_of(node) in _PATTERN_FUNCTIONS and node.args):
        return
    first = node.args[0]
    if not (ast.unparse(node.func).startswith("re.") and isinstance(first, ast.Constant) and isinstance(first.value, str)):
        return
    tokens = _PATTERN_TOKEN.findall(first.value)
    for place, token in enumerate(tokens):
        for other in _PATTERN_MISTAKES.get(token, ()):
            mistaken = "".join([*tokens[:place], other, *tokens[place + 1 :]])
            if _compiles(mistaken):
                yield _changed(node, args=[ast.Constant(mistaken), *node.args[1:]])


def returned(node: ast.AST, annotation: str) -> Replacements:
    """A function that always answers the same: what its return type allows."""
    if not isinstance(node, ast.Return) or node.value is None or isinstance(node.value, ast.Constant):
        return
    answers = ["True", "False"] if annotation == "bool" else [empty for kind, empty in _EMPTY if annotation.startswith(kind)]
    answers += ["None"] if annotation.endswith("| None") else ["''"] if annotation == "str" else ["0"] if annotation == "int" else []
    for answer in answers:
        if ast.unparse(node.value) != answer:
            yield ast.Return(ast.parse(answer, mode="eval").body)


def statement_dropped(node: ast.AST) -> Replacements:
    calls = isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.Yield, ast.YieldFrom))
    writes = isinstance(node, ast.Assign) and all(isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets)
    leaves = isinstance(node, ast.Return) and node.value is None
    if calls or writes or leaves or isinstance(node, (ast.AugAssign, ast.Delete, ast.Raise)):
        yield ast.Pass()
    elif isinstance(node, ast.Continue):
        yield ast.Break()
    elif isinstance(node, ast.Break):
        yield ast.Continue()


def handler(node: ast.AST) -> Replacements:
    """An error that is expected, and not caught."""
    if isinstance(node, ast.ExceptHandler) and not isinstance(node.body[-1], ast.Raise):
        yield _changed(node, body=[ast.Raise()])


def call_dropped(node: ast.AST) -> Replacements:
    if not isinstance(node, ast.Call):
        return
    if name_of(node) in _ORDERING and node.args:
        yield ast.Call(ast.Name("list", ast.Load()), [node.args[0]], [])
    elif isinstance(node.func, ast.Attribute) and name_of(node) in _TEXT_METHODS:
        yield node.func.value
    elif name_of(node) in _OF_TEXT and len(node.args) == 1:
        yield node.args[0]


def call_swapped(node: ast.AST) -> Replacements:
    if isinstance(node, ast.Call):
        for other in _SWAPPED.get(name_of(node), ()):
            changed = {"attr": other} if isinstance(node.func, ast.Attribute) else {"id": other}
            yield _changed(node, func=_changed(node.func, **changed))


def argument_dropped(node: ast.AST) -> Replacements:
    if isinstance(node, ast.Call):
        for place, keyword in enumerate(node.keywords):
            if keyword.arg is not None and keyword.arg not in _UNSEEN_KEYWORDS:
                yield _changed(node, keywords=[*node.keywords[:place], *node.keywords[place + 1 :]])
        least = 1 if isinstance(node.func, ast.Attribute) and name_of(node) in ("strip", "lstrip", "rstrip") else 2
        if name_of(node) in _LAST_ARGUMENT and len(node.args) >= least and not ast.unparse(node.func).startswith("re."):
            yield _changed(node, args=node.args[:-1])


def element_dropped(node: ast.AST, listed: bool) -> Replacements:
    """``listed`` says that a tuple here may be of any length."""
    if isinstance(node, (ast.List, ast.Set)) or (isinstance(node, ast.Tuple) and (listed or _is_spread(node))):
        if isinstance(getattr(node, "ctx", ast.Load()), ast.Load) and not (isinstance(node, ast.Set) and len(node.elts) == 1):
            yield from (_changed(node, elts=rest) for rest in _each_dropped(node.elts))
    elif isinstance(node, ast.Dict):
        for keys, values in zip(_each_dropped(node.keys), _each_dropped(node.values), strict=True):
            yield _changed(node, keys=keys, values=values)


def slice_widened(node: ast.AST) -> Replacements:
    if isinstance(node, ast.Slice):
        yield from (_changed(node, **{bound: None}) for bound in ("lower", "upper", "step") if getattr(node, bound) is not None)


def arithmetic(node: ast.AST) -> Replacements:
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        yield _changed(node, op=_ARITHMETIC[type(node.op)]())


OPERATORS: t.Final[tuple[Operator, ...]] = (
    comparison,
    boolean_operator,
    operand_dropped,
    negation,
    condition,
    number,
    truth_value,
    text,
    pattern,
    statement_dropped,
    handler,
    call_dropped,
    call_swapped,
    argument_dropped,
    slice_widened,
    arithmetic,
)
"""Those that a node alone decides; `returned` and `element_dropped` need to know where it stands."""


def _changed(node: t.Any, **fields: t.Any) -> t.Any:
    """The node with other fields.  All else is shared with it, so one replacement is made in a tree at a time."""
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def _each_dropped(items: t.Sequence[t.Any]) -> Iterator[list[t.Any]]:
    return ([*items[:place], *items[place + 1 :]] for place in range(len(items)))


def _is_spread(node: ast.Tuple) -> bool:
    return any(isinstance(element, ast.Starred) for element in node.elts)


def _compiles(expression: str) -> bool:
    try:
        re.compile(expression)
    except re.error:
        return False
    return True
