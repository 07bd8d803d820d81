# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A digest of the code that a cached result was made by: code that was mended in place reaches other results from the same files."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import typing as t

PACKAGE = "ansible_collections.vfio.variants.plugins.module_utils._core."
FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_IMPORT = re.compile(rf"^[ \t]*from {re.escape(PACKAGE)}([\w.]+) import (\([^)]*\)|[^\n]*)", re.MULTILINE)
_NAME = re.compile(r"([A-Za-z_]\w*)(?: as \w+)?\s*(?:[,)]|$)")


class NoSourceError(Exception):
    """The source of the core's own code cannot be read, as where only its bytecode was brought."""


def code_digest(function: t.Callable[..., t.Any]) -> str:
    """Of the file that ``function`` is written in and of all that it imports, directly or not; empty outside of the core.

    It is the same in each module's payload: whatever an import names comes along.  Raises NoSourceError.
    """
    while isinstance(function, functools.partial):
        function = function.func
    name: str = function.__module__
    return _digest(name[len(PACKAGE) :].replace(".", "/")) if name.startswith(PACKAGE) else ""


@functools.cache
def _digest(first: str) -> str:
    pending, found = [first], {}
    while pending:
        name = pending.pop()
        if name not in found:
            source = _source(name)
            if source is None:
                raise NoSourceError(name)
            found[name], imported = source
            pending += imported
    return hashlib.sha256("\n".join(f"{name} {found[name]}" for name in sorted(found)).encode()).hexdigest()


@functools.cache
def _source(name: str) -> tuple[str, tuple[str, ...]] | None:
    """The digest of a file of the core, and the files that it imports; None if there is none of that name."""
    try:
        # From the archive that Ansible sends, or from a directory.
        content: bytes = __loader__.get_data(os.path.join(FOLDER, f"{name}.py"))  # type: ignore[name-defined]
    except (AttributeError, OSError):
        return None
    imported = (one for match in _IMPORT.finditer(content.decode()) for one in _files(match[1].replace(".", "/"), match[2]))
    return hashlib.sha256(content).hexdigest(), tuple(imported)


def _files(path: str, names: str) -> t.Iterator[str]:
    """What `from path import names` names: one file, or files of a directory."""
    if "/" in path:
        yield path
    else:
        yield from (f"{path}/{name}" for name in _NAME.findall(names.partition("#")[0]))
