# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mistake put into a module that has been imported: a function's code is exchanged, or a constant wherever it has been imported."""

from __future__ import annotations

import sys
import typing as t
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType

from ansible_collections.vfio.variants.tests.mutants.reach import COLLECTION, PACKAGE
from ansible_collections.vfio.variants.tests.mutants.source import Mutant, mutated


def make_mistake(mutant: Mutant, text: str) -> bool:
    """Make it in this process.  False where that takes a process that has not imported the module."""
    module = sys.modules.get(f"{PACKAGE}.{mutant.file.removesuffix('.py').replace('/', '.')}")
    if module is None or module.__file__ is None:
        return False
    code = compile(mutated(mutant, text), module.__file__, "exec", dont_inherit=True)
    return _exchange_function(mutant, module, code) if mutant.in_function else _exchange_constants(module, code)


def _exchange_function(mutant: Mutant, module: ModuleType, whole: CodeType) -> bool:
    owner: t.Any = module
    parts = mutant.scope.split(".")
    for number, name in enumerate(parts, 1):
        found = vars(owner).get(name)
        function = _function_of(found)
        if function is not None:
            code = next((one for one in _codes(whole) if one.co_qualname == ".".join(parts[:number])), None)
            if code is None or code.co_freevars != function.__code__.co_freevars:
                return False
            function.__code__ = code
            return True
        if not isinstance(found, type):
            return False
        owner = found
    return False


def _function_of(found: object) -> FunctionType | None:
    """The function itself, without what a decorator has made of it."""
    for _level in range(4):
        if isinstance(found, FunctionType):
            inner = getattr(found, "__wrapped__", None)
            if inner is None:
                return found
            found = inner
        else:
            found = next((getattr(found, name) for name in ("__func__", "fget", "func", "__wrapped__") if hasattr(found, name)), None)
    return None


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _exchange_constants(module: ModuleType, code: CodeType) -> bool:
    """What is neither a class nor a function, under its own name in every module that has imported it."""
    changed = ModuleType(module.__name__)
    changed.__file__ = module.__file__
    changed.__package__ = module.__package__
    exec(code, vars(changed))  # noqa: S102 - the core's own text, with one mistake
    known = dict(vars(module))
    for name, value in vars(changed).items():
        before = known.get(name)
        if name.startswith("__") or isinstance(value, (type, FunctionType, ModuleType)) or name not in known:
            continue
        for other in _modules():
            if vars(other).get(name) is before:
                setattr(other, name, value)
    return True


def _modules() -> Iterator[ModuleType]:
    return (module for name, module in list(sys.modules.items()) if name.startswith(COLLECTION) or "test_" in name)
