# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rooms of the testbed: which there are, and that imports between them run one way."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.unit.rooms import imported, strays

TESTBED = Path(__file__).resolve().parents[5] / "plugins/plugin_utils/_testbed"
PACKAGE = "ansible_collections.vfio.variants.plugins.plugin_utils._testbed"
#: Lowest first: a file imports from its own room and from rooms before it.
ROOMS = {
    "local": "programs, processes, the cache and progress on the machine that all of this runs on",
    "archive": "Debian's archive: where it is, what it cannot deliver, trees made of its packages",
    "image": "the system in a test image, its disk and its boot loader, and who builds it",
    "emulated": "the description of an emulated function, and the log of accesses to it",
    "vfio_user": "the server of an emulated function",
    "machine": "QEMU, the machine that it runs, and the way into it",
    "rehearsal": "a host's own boot in a machine with the host's functions, and what was seen of it",
    "action": "what Ansible's action plugins share",
}
ORDER = tuple(ROOMS)

Modules = Mapping[str, ast.Module]


def read_testbed() -> dict[str, ast.Module]:
    """The testbed's modules by their names below it, such as ``image.disk``."""
    paths = sorted(path for path in TESTBED.rglob("*.py") if "__pycache__" not in path.parts)
    return {".".join(path.relative_to(TESTBED).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def room_of(module: str) -> str:
    return module.partition(".")[0] if "." in module else ""


def own_imports(module: str, modules: Modules) -> set[str]:
    """The testbed's modules that one of them imports, at run time or for types only."""
    return {name.removeprefix(f"{PACKAGE}.") for name in imported(modules[module])} & modules.keys()


def faults(modules: Modules) -> Iterator[str]:
    """What contradicts the order of the rooms, one sentence each."""
    for module, tree in modules.items():
        for name in sorted(strays(tree, PACKAGE, modules)):
            if name.startswith((".", PACKAGE)):
                yield f"{module} imports {name}, which is not the full name of a file of the testbed."
        if room_of(module) not in ROOMS:
            yield f"{module} lies in no room that is known: {', '.join(ORDER)}."
            continue
        for other in sorted(own_imports(module, modules)):
            if room_of(other) in ROOMS and ORDER.index(room_of(other)) > ORDER.index(room_of(module)):
                yield f"{module} imports {other}, but {room_of(other)} comes after {room_of(module)}."
    try:
        list(graphlib.TopologicalSorter({module: own_imports(module, modules) for module in modules}).static_order())
    except graphlib.CycleError as cycle:
        yield f"a circle: {' <- '.join(cycle.args[1])}"


def test_the_testbed_keeps_to_its_rooms() -> None:
    assert list(faults(read_testbed())) == []


def test_every_room_exists_and_no_other_folder_does() -> None:
    assert sorted(ROOMS) == sorted(path.name for path in TESTBED.iterdir() if path.name != "__pycache__")


def test_the_rooms_do_import_from_each_other() -> None:
    """Else the check above would say nothing."""
    modules = read_testbed()
    arrows = {(room_of(module), room_of(other)) for module in modules for other in own_imports(module, modules)}
    assert {("image", "archive"), ("machine", "image"), ("machine", "emulated"), ("vfio_user", "emulated")} <= arrows


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("module", "line", "fault"),
    [
        (
            "archive.suite",
            f"from {PACKAGE}.image.system import HOST_KEY",
            "archive.suite imports image.system, but image comes after archive.",
        ),
        ("local.cache", f"from {PACKAGE}.machine import machine", "local.cache imports machine.machine, but machine comes after local."),
        ("image.options", f"if t.TYPE_CHECKING:\n    from {PACKAGE}.image.system import recipe_of", "a circle: "),
        (
            "image.options",
            f"def late():\n    import {PACKAGE}.machine.machine",
            "image.options imports machine.machine, but machine comes after",
        ),
        ("image.options", "from . import system", "image.options imports ., which is not the full name"),
        ("local.cache", f"from {PACKAGE} import machine", f"local.cache imports {PACKAGE}.machine, which is not the full name"),
        ("attic.disk", "import re", "attic.disk lies in no room that is known"),
        ("disk", "import re", "disk lies in no room that is known"),
    ],
)
def test_a_testbed_that_breaks_the_order_is_noticed(module: str, line: str, fault: str) -> None:
    modules = read_testbed()
    before = ast.unparse(modules[module]) if module in modules else ""
    assert any(found.startswith(fault) for found in faults({**modules, module: ast.parse(f"{before}\n{line}")}))
