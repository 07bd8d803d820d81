# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rooms of the core: which there are, in which order, and what a file in each may do.

A room is a package of ``plugins/module_utils/_core``.  Imports run one way: a file imports from its own room and from rooms
before it in `ROOMS`.  Run as a program this writes the picture that ARCHITECTURE.md shows.
"""

from __future__ import annotations

import ast
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
    Room("pci", READS, "PCI functions, selectors, users"),
    Room("kernel", READS, "kernels, modules, aliases, modprobe.d"),
    Room("udev", READS, "udev rules"),
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

# Outside of the door nobody asks the operating system, the clock or chance.
SYSTEM = frozenset(
    "datetime fcntl glob multiprocessing os pathlib pty random secrets shutil signal socket subprocess tempfile time".split()
)
CHANGES = frozenset(("copy_tree", "make_directory", "remove", "remove_tree", "rename", "write_atomic", "write_attribute"))

Modules = Mapping[str, ast.Module]


def read_core() -> dict[str, ast.Module]:
    """The core's modules by their names below it, such as ``policy.rules``."""
    paths = sorted(path for path in CORE.rglob("*.py") if "__pycache__" not in path.parts)
    return {".".join(path.relative_to(CORE).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of what a module imports, at run time or for types only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


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
    return [*_unknown(modules), *_against_the_order(modules), *_circles(modules), *_system(modules), *_impure(modules)]


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


def _system(modules: Modules) -> Iterator[str]:
    for module, tree in modules.items():
        if KINDS.get(room_of(module)) == DOOR:
            continue
        yield from (f"{module} imports {name}; only the door does." for name in sorted(set(imported(tree)) & SYSTEM))
        if any(isinstance(node, ast.Call) and ast.unparse(node.func) in ("open", "io.open") for node in ast.walk(tree)):
            yield f"{module} opens a file; only the door does."


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
    found = {module for module in own if set(imported(_at_run_time(modules[module]))) & SYSTEM}
    while True:
        more = {module for module in own - found if own_imports(_at_run_time(modules[module]), modules) & found}
        if not more:
            return found
        found |= more


def _at_run_time(tree: ast.Module) -> ast.Module:
    kept = [node for node in tree.body if not (isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"))]
    return ast.Module(kept, [])


def _methods_of_host(tree: ast.Module) -> set[str]:
    """What is called on something that is named like a host."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    names = [(call.attr, call.value.id if isinstance(call.value, ast.Name) else getattr(call.value, "attr", "")) for call in calls]
    return {what for what, whose in names if whose.strip("_") == "host"}


# -- the picture

TIP = (
    '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 8 4 0 8z" fill="#555"/></marker>'
)
LEFT, WIDTH, HEIGHT, STEP = 20, 560, 34, 48
COLOURS = {DOOR: "#d9d2e9", READS: "#d0e3f7", DECIDES: "#d9ead3", DOES: "#fce5cd", ANSWERS: "#f4cccc"}


def picture(modules: Modules) -> str:
    """The rooms from the door at the bottom to what modules return at the top, and which imports from which."""
    places = {name: (len(ROOMS) - 1 - index) * STEP + 20 for index, name in enumerate(ORDER)}
    found = sorted(arrows(modules), key=lambda arrow: (ORDER.index(arrow[0]), ORDER.index(arrow[1])))
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 720" font-family="sans-serif" font-size="14" role="img">',
        "<title>The rooms of the core and which imports from which</title>",
        f"<defs>{TIP}</defs>",
        '<rect width="900" height="720" fill="#fff"/>',
    ]
    for room in ROOMS:
        y = places[room.name]
        lines.append(f'<rect x="{LEFT}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="{COLOURS[room.kind]}" stroke="#666"/>')
        lines.append(f'<text x="{LEFT + 12}" y="{y + 22}" font-weight="bold">{room.name}</text>')
        lines.append(f'<text x="{LEFT + 120}" y="{y + 22}">{room.holds}</text>')
        lines.append(f'<text x="{LEFT + WIDTH - 12}" y="{y + 22}" text-anchor="end" fill="#555" font-size="12">{room.kind}</text>')
    for source, target in found:
        lines.append(_arrow(source, target, places, found))
    return "\n".join([*lines, "</svg>", ""])


def _arrow(source: str, target: str, places: Mapping[str, int], found: list[tuple[str, str]]) -> str:
    """A curve at the right side; the longer the way, the wider."""
    right = LEFT + WIDTH
    leaving = [arrow for arrow in found if arrow[0] == source].index((source, target))
    arriving = [arrow for arrow in found if arrow[1] == target].index((source, target))
    start, end = places[source] + 6 + leaving * 2.2, places[target] + HEIGHT - 4 - arriving * 2.2
    reach = right + 24 + (ORDER.index(source) - ORDER.index(target)) * 21
    path = f"M{right} {start:.1f} C{reach} {start:.1f} {reach} {end:.1f} {right} {end:.1f}"
    drawn = f'<path d="{path}" fill="none" stroke="#555" stroke-width="0.8" marker-end="url(#tip)">'
    return f"{drawn}<title>{source} imports from {target}</title></path>"


if __name__ == "__main__":
    PICTURE.write_text(picture(read_core()), encoding="utf-8")
