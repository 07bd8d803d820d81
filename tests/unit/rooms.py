# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rooms of the core: which there are, in which order, and what a file in each may do.

A room is a package of ``plugins/module_utils/_core``.  Imports run one way: a file imports from its own room and from rooms
before it in `ROOMS`.  Run as a program this writes the picture that ARCHITECTURE.md shows.
"""

from __future__ import annotations

import ast
import functools
import graphlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "plugins/module_utils/_core"
PACKAGE = "ansible_collections.vfio.variants.plugins.module_utils._core"
PICTURE = ROOT / "docs/images/rooms.svg"

DOOR, READS, DECIDES, DOES, ANSWERS = "is the door", "reads", "decides", "does", "answers"


@dataclass(frozen=True)
class Room:
    """``kind`` says what its files may do: those of a room that decides know neither the host nor the clock."""

    name: str
    kind: str
    holds: str


ROOMS = (
    Room("host", DOOR, "files, commands, errors, cache"),
    Room("distribution", READS, "what a distribution calls things, and how it does them"),
    Room("pci", READS, "PCI functions, selectors, users"),
    Room("kernel", READS, "kernels, modules, aliases, modprobe.d"),
    Room("udev", READS, "udev rules"),
    Room("startup", READS, "what starts by itself, and what it may do to drivers"),
    Room("boot_loader", READS, "which kernel boots, and its command line"),
    Room("initramfs", READS, "what an initramfs holds"),
    Room("dkms", DOES, "driver packages"),
    Room("claim", DECIDES, "claims, guards, who must be rebound"),
    Room("boot", READS, "all that decides one kernel's boot"),
    Room("forecast", DECIDES, "who wins that boot"),
    Room("lint", DECIDES, "contradictory or dead policy"),
    Room("policy", DECIDES, "the files of a boot policy"),
    Room("apply", DOES, "binding, writing the policy, rebuilding the initramfs"),
    Room("report", ANSWERS, "what modules return"),
)
KINDS = {room.name: room.kind for room in ROOMS}
ORDER = tuple(room.name for room in ROOMS)

# What of Python's own library knows nothing of the operating system, the clock or chance. It is a list of what is allowed: whatever else
# there is, under whatever name, only the door imports.
PURE = frozenset(
    "__future__ abc base64 binascii bisect collections contextlib copy dataclasses difflib enum errno fnmatch functools hashlib heapq "
    "ipaddress itertools json math operator posixpath re shlex stat string struct textwrap types typing unicodedata xml zlib".split()
)
# What more may be imported by code that does not only decide.
STREAMS = frozenset("gc io marshal sys tarfile uuid".split())
REACHING = frozenset("__import__ breakpoint eval exec input open print".split())
OPENING = frozenset(("io.FileIO", "io.open", "io.open_code", "tarfile.open"))
ASKING = frozenset(
    f"posixpath.{name}"
    for name in "abspath exists expanduser expandvars getatime getctime getmtime getsize isdir isfile islink ismount lexists realpath "
    "relpath samefile".split()
)
"""Of the functions about paths those that look at files, folders or the environment."""
CHANGES = frozenset("make_directory remove remove_tree rename sweep write_atomic write_attribute write_attributes".split())
LIKE_A_LISTS = frozenset(("remove", "rename", "sweep"))
"""Of these a list, a path or another value may have its own."""

Modules = Mapping[str, ast.Module]


def read_core(folder: Path = CORE) -> dict[str, ast.Module]:
    """The core's modules by their names below it, such as ``policy.rules``; what the package itself does is about none of them."""
    paths = sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts and path != folder / "__init__.py")
    return {".".join(path.relative_to(folder).with_suffix("").parts): _parsed(path.read_text(encoding="utf-8")) for path in paths}


@functools.cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


@functools.cache
def imported(tree: ast.AST) -> frozenset[str]:
    """Full names of what a module imports, at run time or for types only; relative ones begin with a dot."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            inner = f"{module}." if node.module else module
            found.update((module, *(f"{inner}{name.name}" for name in node.names)))
    return frozenset(found)


def libraries(tree: ast.AST) -> set[str]:
    """Which packages a module imports from, such as ``os`` for ``os.path``."""
    return {name.partition(".")[0] for name in imported(tree)}


def strays(tree: ast.AST, package: str, modules: Modules) -> set[str]:
    """Imports of this collection, or relative ones, that are not full names of the package's own modules or of what these hold."""
    own = {f"{package}.{module}" for module in modules}
    ways = {".".join(name.split(".")[:depth]) for name in imported(tree) & own for depth in range(1, name.count(".") + 1)}
    named = {name for name in imported(tree) if name.startswith((".", "ansible_collections"))}
    return {name for name in named - own - ways if name.rpartition(".")[0] not in own}


def own_imports(tree: ast.AST, modules: Modules) -> set[str]:
    """The core's own modules that a module imports."""
    return {name.removeprefix(f"{PACKAGE}.") for name in imported(tree)} & modules.keys()


def room_of(module: str) -> str:
    return module.rpartition(".")[0].partition(".")[0]


def arrows(modules: Modules) -> set[tuple[str, str]]:
    """Which room imports from which."""
    return {
        (room_of(module), room_of(other))
        for module, tree in modules.items()
        for other in own_imports(tree, modules)
        if room_of(module) != room_of(other)
    }


def faults(modules: Modules) -> list[str]:
    """What contradicts the order of the rooms or what their files may do, one sentence each."""
    return [
        *_unknown(modules),
        *_strays(modules),
        *_against_the_order(modules),
        *_circles(modules),
        *_system(modules),
        *_changing(modules),
        *_impure(modules),
    ]


def _unknown(modules: Modules) -> Iterator[str]:
    for module in modules:
        if room_of(module) not in KINDS:
            yield f"{module} lies in no room that is known: {', '.join(ORDER)}."


def _against_the_order(modules: Modules) -> Iterator[str]:
    for module, tree in modules.items():
        for other in sorted(own_imports(tree, modules)):
            here, there = room_of(module), room_of(other)
            if here in KINDS and there in KINDS and ORDER.index(there) > ORDER.index(here):
                yield f"{module} imports {other}, but {there} comes after {here}."


def _circles(modules: Modules) -> Iterator[str]:
    try:
        list(graphlib.TopologicalSorter({name: own_imports(tree, modules) for name, tree in modules.items()}).static_order())
    except graphlib.CycleError as cycle:
        yield f"a circle: {' <- '.join(cycle.args[1])}"


def _strays(modules: Modules) -> Iterator[str]:
    for module, tree in modules.items():
        for name in sorted(strays(tree, PACKAGE, modules)):
            yield f"{module} imports {name}, which is not the full name of a file of the core."


def _system(modules: Modules) -> Iterator[str]:
    for module, tree in modules.items():
        kind = KINDS.get(room_of(module))
        if kind == DOOR:
            continue
        outside = libraries(tree) - PURE - (frozenset() if kind == DECIDES else STREAMS) - {"", "ansible_collections"}
        yield from (f"{module} imports {name}; only the door does." for name in sorted(outside))
        yield from (f"{module} uses {name}; only the door does." for name in sorted(_reaching(tree)))


@functools.cache
def _reaching(tree: ast.Module) -> frozenset[str]:
    """Functions that open files or ask the operating system, as far as a module names them; streams are neither."""
    nodes = list(ast.walk(tree))
    streams = {node.func for node in nodes if isinstance(node, ast.Call) and any(key.arg == "fileobj" for key in node.keywords)}
    names = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    attributes = [node for node in nodes if isinstance(node, ast.Attribute) and node not in streams]
    dotted = {f"{node.value.id}.{node.attr}" for node in attributes if isinstance(node.value, ast.Name)}
    return frozenset((names & REACHING) | ((dotted | imported(tree)) & (OPENING | ASKING)))


def _changing(modules: Modules) -> Iterator[str]:
    for module, tree in modules.items():
        room = room_of(module)
        if KINDS.get(room) not in (DOOR, DOES):
            yield from (
                f"{module} changes the host by {name}(); {room} {KINDS.get(room)}." for name in sorted(CHANGES & _methods_of_host(tree))
            )


def _impure(modules: Modules) -> Iterator[str]:
    door = _door(modules)
    changing = {module for module, tree in modules.items() if room_of(module) != "host" and CHANGES & _methods_of_host(tree)}
    for module, tree in modules.items():
        if KINDS.get(room_of(module)) != DECIDES:
            continue
        for other in sorted(own_imports(tree, modules)):
            if other in door:
                yield f"{module} imports {other}, a part of the door; {room_of(module)} only decides."
            elif other in changing:
                yield f"{module} imports {other}, which changes the host; {room_of(module)} only decides."


def _door(modules: Modules) -> set[str]:
    """The files of the door that reach the system, by themselves or through others that they import at run time."""
    own = {module for module in modules if KINDS.get(room_of(module)) == DOOR}
    found = {module for module in own if libraries(_at_run_time(modules[module])) - PURE - STREAMS - {"ansible_collections"}}
    while True:
        more = {module for module in own - found if own_imports(_at_run_time(modules[module]), modules) & found}
        if not more:
            return found
        found |= more


@functools.cache
def _at_run_time(tree: ast.Module) -> ast.Module:
    kept = [node for node in tree.body if not (isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"))]
    return ast.Module(kept, [])


@functools.cache
def _methods_of_host(tree: ast.Module) -> set[str]:
    """What is called on something that is named like a host, and what nothing else has, on anything."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    names = [(call.attr, call.value.id if isinstance(call.value, ast.Name) else getattr(call.value, "attr", "")) for call in calls]
    return {what for what, whose in names if whose.strip("_") == "host" or what in CHANGES - LIKE_A_LISTS}


# -- the picture

WIDTH, HEIGHT, STEP, TOP, CELL = 590, 30, 38, 110, 26
COLOURS = {DOOR: "#d9d2e9", READS: "#d0e3f7", DECIDES: "#d9ead3", DOES: "#fce5cd", ANSWERS: "#f4cccc"}


def picture(modules: Modules) -> str:
    """The rooms from the door at the bottom to what modules return at the top, and a dot where the row imports from the column."""
    width, height = WIDTH + len(ROOMS) * CELL + 50, TOP + len(ROOMS) * STEP + 10
    rows = {name: TOP + (len(ROOMS) - 1 - index) * STEP for index, name in enumerate(ORDER)}
    columns = {name: WIDTH + 40 + index * CELL for index, name in enumerate(ORDER)}
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="14" role="img">',
        "<title>The rooms of the core; a dot where the room of the row imports from the room of the column</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="20" y="{TOP - 16}" fill="#555">a room may import from the rooms below it</text>',
    ]
    for room in ROOMS:
        lines += _row(room, rows[room.name], columns[room.name], width)
    for source, target in sorted(arrows(modules), key=lambda arrow: (ORDER.index(arrow[0]), ORDER.index(arrow[1]))):
        dot = f'<circle cx="{columns[target]}" cy="{rows[source] + HEIGHT // 2}" r="6" fill="#3c6e9f">'
        lines.append(f"{dot}<title>{source} imports from {target}</title></circle>")
    return "\n".join([*lines, "</svg>", ""])


def _row(room: Room, y: int, x: int, width: int) -> Iterator[str]:
    middle = y + HEIGHT // 2
    yield f'<rect x="12" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="{COLOURS[room.kind]}" stroke="#777"/>'
    yield f'<text x="24" y="{middle + 5}" font-weight="bold">{room.name}</text>'
    yield f'<text x="124" y="{middle + 5}">{room.holds}</text>'
    yield f'<text x="{WIDTH}" y="{middle + 5}" text-anchor="end" fill="#555" font-size="12">{room.kind}</text>'
    yield f'<path d="M{WIDTH + 16} {middle}H{width - 12}M{x} {TOP}V{TOP + len(ROOMS) * STEP}" stroke="#ddd" fill="none"/>'
    yield f'<text transform="translate({x + 4} {TOP - 8}) rotate(-60)" font-size="13">{room.name}</text>'


if __name__ == "__main__":
    PICTURE.write_text(picture(read_core()), encoding="utf-8")
