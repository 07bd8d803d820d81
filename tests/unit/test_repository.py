# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CORE = "plugins/module_utils/_core"
CORE_PACKAGE = "ansible_collections.vfio.variants.plugins.module_utils._core"

# Deciding: facts in, a plan out.
DECIDING = {
    *("claim.bind_plan", "claim.claims", "claim.guards", "devices.group", "devices.selector", "devices.contenders", "devices.report"),
    *("findings.finding", "findings.findings", "findings.host_policy", "findings.dead_ids", "findings.dead_lists", "findings.dead_names"),
    *("findings.dead_rules", "findings.ignored_lines", "findings.stale_image", "findings.unloadable"),
    *("forecast.events", "forecast.facts", "forecast.forecast", "forecast.kinds", "forecast.iommu", "forecast.later", "forecast.matching"),
    *("forecast.play", "forecast.probing", "forecast.registration", "forecast.remedy", "forecast.scene"),
    *("dkms.plan", "initramfs.judgement", "policy.policy", "policy.rules", "policy.texts", "policy.plan", "policy.contradictions"),
}
# The door to the host, and what stands right behind it: a child that writes an attribute, and a folder of our own, where
# streams are unpacked by commands.
DOOR = {"attribute", "folder", "host", "initramfs.compression", "private_folder"}
CHANGES = {"copy_tree", "make_directory", "remove", "remove_tree", "rename", "write_atomic", "write_attribute"}
TOUCHES = {
    "os": set(
        "access chmod chown execv execve execvp fork kill link listdir lstat makedirs mkdir mkfifo mknod open popen readlink remove "
        "removedirs rename replace rmdir scandir spawnv stat statvfs symlink system truncate unlink utime walk write".split()
    ),
    "shutil": {"chown", "copy", "copy2", "copyfile", "copymode", "copystat", "copytree", "disk_usage", "move", "rmtree", "which"},
}

LONGEST_FILE = 500
LONGEST_FUNCTION = 70
WRITTEN_BY_TOOLS = ("LICENSES/", "CHANGELOG.rst", "changelogs/changelog.yaml", "files/kernel/vfio-variants/COPYING")


def known_to_git() -> list[PurePosixPath]:
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    listing = subprocess.run(argv, cwd=ROOT, capture_output=True, check=True, timeout=60).stdout.decode()
    paths = sorted(PurePosixPath(name) for name in listing.split("\0") if name)
    return [path for path in paths if (ROOT / path).is_file() and not (ROOT / path).is_symlink()]


FILES = known_to_git()
PYTHON = [path for path in FILES if path.suffix == ".py"]
TEXTS = [path for path in FILES if path.suffix not in (".bin", ".png", ".svg", ".xz", ".zst")]


def text(path: PurePosixPath) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def below(*folders: str) -> list[PurePosixPath]:
    return [path for path in PYTHON if str(path).startswith(folders)]


def core_modules() -> dict[str, ast.Module]:
    """The core's modules by their names below it, such as ``policy.rules``."""
    return {".".join(path.relative_to(CORE).with_suffix("").parts): ast.parse(text(path)) for path in below(f"{CORE}/")}


def imported(tree: ast.Module) -> Iterator[str]:
    """Full names of what a module imports, at run time or for types only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def siblings(tree: ast.Module, modules: dict[str, ast.Module]) -> set[str]:
    """The core's own modules that a module of it imports."""
    return {name.removeprefix(f"{CORE_PACKAGE}.") for name in imported(tree)} & modules.keys()


def calls(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    """Calls as (whose, what, line): os.listdir(…) is ("os", "listdir", 12), open(…) is ("", "open", 13)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield "", node.func.id, node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            whose = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            yield whose, node.func.attr, node.lineno


def test_imports_within_the_core_point_one_way() -> None:
    modules = core_modules()
    graph = {name: siblings(tree, modules) for name, tree in modules.items()}
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as cycle:
        pytest.fail(f"a circle: {' <- '.join(cycle.args[1])}")


def test_only_the_door_opens_files_and_runs_programs() -> None:
    found = [
        f"{CORE}/{name.replace('.', '/')}.py:{line}: {whose}{'.' if whose else ''}{what}"
        for name, tree in core_modules().items()
        if name not in DOOR
        for whose, what, line in calls(tree)
        if what in TOUCHES.get(whose, ()) or (whose == "" and what == "open")
    ]
    assert not found, "\n".join(found)


def test_no_managed_host_code_starts_programs_by_itself() -> None:
    sides = below("plugins/modules/", "plugins/module_utils/")
    found = [str(path) for path in sides if {"subprocess", "pty", "multiprocessing"} & set(imported(ast.parse(text(path))))]
    assert not found, "\n".join(found)


def test_what_decides_knows_neither_the_host_nor_the_clock() -> None:
    modules = core_modules()
    found = [
        f"{name} imports {what.removeprefix(CORE_PACKAGE + '.')}"
        for name in sorted(DECIDING & modules.keys())
        for what in imported(modules[name])
        if what in ("datetime", "os", "random", "time", f"{CORE_PACKAGE}.host")
    ]
    assert not found, "\n".join(found)


def test_what_decides_imports_nothing_that_changes_the_host() -> None:
    modules = core_modules()
    changing = {
        name for name, tree in modules.items() if any(whose.strip("_") == "host" and what in CHANGES for whose, what, _line in calls(tree))
    }
    found = [
        f"{name} imports {other}" for name in sorted(DECIDING & modules.keys()) for other in siblings(modules[name], modules) & changing
    ]
    assert not found, "\n".join(found)


def test_nothing_goes_through_a_shell() -> None:
    found = [
        f"{path}:{node.lineno}"
        for path in PYTHON
        for node in ast.walk(ast.parse(text(path)))
        if isinstance(node, ast.keyword)
        and node.arg in ("shell", "use_unsafe_shell")
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    ]
    assert not found, "\n".join(found)


def test_managed_host_code_is_grammar_of_python_3_9() -> None:
    for path in below("plugins/modules/", "plugins/module_utils/", "tests/unit/plugins/modules/", "tests/unit/plugins/module_utils/"):
        ast.parse(text(path), filename=str(path), feature_version=(3, 9))


def test_every_python_file_defers_its_annotations() -> None:
    found = [str(path) for path in PYTHON if text(path).strip() and "__future__.annotations" not in set(imported(ast.parse(text(path))))]
    assert not found, "\n".join(found)


def test_every_plugin_names_its_licence_as_ansible_wants_it() -> None:
    wanted = "GNU General Public License v3.0+"
    plugins = below("plugins/action/", "plugins/doc_fragments/", "plugins/filter/", "plugins/modules/")
    assert [str(path) for path in plugins if wanted not in "".join(text(path).splitlines(keepends=True)[:6])] == []


def test_no_file_is_too_long_to_understand() -> None:
    own = [path for path in TEXTS if not str(path).startswith(WRITTEN_BY_TOOLS)]
    assert [f"{path}: {lines} lines" for path in own if (lines := len(text(path).splitlines())) > LONGEST_FILE] == []


def test_no_function_needs_scrolling() -> None:
    found = [
        f"{path}:{node.lineno}: {node.name} has {length} lines"
        for path in PYTHON
        for node in ast.walk(ast.parse(text(path)))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert not found, "\n".join(found)


def test_every_file_is_named_after_what_it_holds() -> None:
    vague = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}
    assert [str(path) for path in FILES if vague & set(re.split(r"[_.]", path.name.lower()))] == []


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"\b(?:deb|ftp\d?|security)\.[\w.]*debian\.org\b", id="a mirror's host name"),
        pytest.param(r"\b(?:pypi\.org|pythonhosted\.org)\b", id="a package registry's host name"),
        pytest.param(r"(?<![\w.}])/(?:work|home/\w+)/\w", id="a path of one machine"),
        pytest.param(r"\b(?:TODO|FIXME|XXX)\b(?!\))", id="work left over"),
    ],
)
def test_nothing_names(pattern: str) -> None:
    expression = re.compile(pattern)
    own = [path for path in TEXTS if not str(path).startswith(WRITTEN_BY_TOOLS) and path != PurePosixPath("tests/unit/test_repository.py")]
    found = [
        f"{path}:{number}: {line.strip()}"
        for path in own
        for number, line in enumerate(text(path).splitlines(), 1)
        if expression.search(line)
    ]
    assert not found, "\n".join(found)


def test_the_kernel_packages_have_the_version_of_the_collection() -> None:
    version = yaml.safe_load(text(PurePosixPath("galaxy.yml")))["version"]
    stated = {
        str(path): re.findall(r'^PACKAGE_VERSION="?([^"\s]+)"?', text(path), re.MULTILINE) for path in FILES if path.name == "dkms.conf"
    }
    assert stated == {path: [version] for path in stated}
    assert stated


def test_what_is_remembered_counts_for_this_version_only() -> None:
    version = yaml.safe_load(text(PurePosixPath("galaxy.yml")))["version"]
    assert f'VERSION = "{version}"' in text(PurePosixPath(f"{CORE}/cache.py"))
