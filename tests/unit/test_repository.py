# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import collections
import functools
import re
import subprocess
import sys
import typing as t
from pathlib import Path, PurePosixPath

import pytest
import yaml

from ansible_collections.vfio.variants.tests.unit.rooms import imported, libraries
from devtool.phases import TARGET_TESTS

ROOT = Path(__file__).resolve().parents[2]
CORE = "plugins/module_utils/_core"

COLLECTION = "ansible_collections.vfio.variants"
HOSTS_OWN = ("ansible.module_utils", *(f"{COLLECTION}.{folder}" for folder in ("plugins.modules", "plugins.module_utils", "tests")))
"""Beginnings of what can be imported where a managed host's code runs, besides Python's own library."""

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
KNOWN = {str(path): path for path in PYTHON}
TEXTS = [path for path in FILES if path.suffix not in (".bin", ".png", ".rpm", ".svg", ".xz", ".zst")]


def text(path: PurePosixPath) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@functools.cache
def parsed(path: PurePosixPath) -> ast.Module:
    return ast.parse(text(path))


@functools.cache
def walked(path: PurePosixPath) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(parsed(path)))


def below(*folders: str) -> list[PurePosixPath]:
    return [path for path in PYTHON if str(path).startswith(folders)]


def test_no_managed_host_code_starts_programs_by_itself() -> None:
    sides = below("plugins/modules/", "plugins/module_utils/")
    found = [str(path) for path in sides if {"subprocess", "pty", "multiprocessing"} & libraries(parsed(path))]
    assert not found, "\n".join(found)


def reads_of_options(tree: ast.AST) -> list[int]:
    """Lines that take a module's option by its name from something called params or options."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            whose, key = node.value, node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop") and node.args:
            whose, key = node.func.value, node.args[0]
        else:
            continue
        name = whose.attr if isinstance(whose, ast.Attribute) else whose.id if isinstance(whose, ast.Name) else ""
        if name.strip("_") == "params" or (name.strip("_") == "options" and isinstance(key, ast.Constant) and isinstance(key.value, str)):
            found.append(node.lineno)
    return found


EDGES = (f"{CORE}/claim/arguments.py", f"{CORE}/report/role_options.py")
"""They make what the requests of several modules have in common."""


def test_the_core_takes_requests_and_never_a_modules_options() -> None:
    found = [f"{path}:{line}" for path in below(f"{CORE}/") if str(path) not in EDGES for line in reads_of_options(parsed(path))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "timeout = params['timeout']",
        "timeout = module.params['timeout']",
        "timeout = self._params.get('timeout')",
        "timeout = params[name]",
        "timeout = options['timeout']",
        "timeout = options.get('timeout', 60)",
    ],
)
def test_an_option_that_is_read_in_the_core_is_noticed(line: str) -> None:
    assert reads_of_options(ast.parse(f"def apply(host):\n    {line}\n")) == [2]


def test_each_module_reads_its_options_in_one_function() -> None:
    for path in below("plugins/modules/"):
        tree = parsed(path)
        request = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "request"]
        inside = {line for node in request for line in reads_of_options(node)}
        # The host's root is not part of the request.
        roots = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.Subscript) and ast.unparse(node) == "module.params['root']"}
        assert set(reads_of_options(tree)) - inside == roots, path


def test_nothing_goes_through_a_shell() -> None:
    found = [
        f"{path}:{node.lineno}"
        for path in PYTHON
        for node in walked(path)
        if isinstance(node, ast.keyword)
        and node.arg in ("shell", "use_unsafe_shell")
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    ]
    assert not found, "\n".join(found)


def test_managed_host_code_is_grammar_of_python_3_9() -> None:
    for path in below("plugins/modules/", "plugins/module_utils/", "tests/unit/plugins/modules/", "tests/unit/plugins/module_utils/"):
        ast.parse(text(path), filename=str(path), feature_version=(3, 9))


def needed(names: t.Iterable[str], seen: set[PurePosixPath]) -> t.Iterator[tuple[PurePosixPath, str]]:
    """What files with these names below the root import, and what the tests' own files that they import do, by file."""
    for path in (KNOWN.get(name) for name in names):
        if path is None or path in seen:
            continue
        seen.add(path)
        for name in imported(parsed(path)):
            yield path, name
            inner = name.removeprefix(f"{COLLECTION}.").replace(".", "/")
            yield from needed((f"{inner}.py", f"{inner}/__init__.py"), seen)


def changing_parameters(content: str) -> list[str]:
    """Calls in decorators that give something else from second to second, by which two workers do not collect the same tests."""
    functions = (node for node in ast.walk(ast.parse(content)) if isinstance(node, ast.FunctionDef))
    calls = (node for one in functions for decorator in one.decorator_list for node in ast.walk(decorator) if isinstance(node, ast.Call))
    packing = (call for call in calls if ast.unparse(call.func) == "gzip.compress")
    return [ast.unparse(call) for call in packing if "mtime" not in {word.arg for word in call.keywords}]


def test_what_a_test_is_given_is_the_same_at_any_time() -> None:
    found = {str(path): calls for path in PYTHON if path.name.startswith("test_") and (calls := changing_parameters(text(path)))}
    assert not found


@pytest.mark.parametrize(("call", "changes"), [("gzip.compress(b'')", True), ("gzip.compress(b'', mtime=0)", False), ("bytes(2)", False)])
def test_what_is_packed_with_the_time_of_day_is_noticed(call: str, changes: bool) -> None:
    assert bool(changing_parameters(f"@parametrize('a', [{call}[:-6]])\ndef test(a): ...\n")) is changes


def test_what_tests_the_managed_hosts_code_needs_nothing_that_a_managed_host_lacks() -> None:
    allowed = {*sys.stdlib_module_names, "pytest", "_pytest"}
    found = [
        f"{path} imports {name}"
        for path, name in needed(map(str, below(*TARGET_TESTS)), set())
        if name.partition(".")[0] not in allowed and not name.startswith(HOSTS_OWN)
    ]
    assert not found, "\n".join(found)


def test_every_file_of_the_core_is_needed_by_a_module() -> None:
    """Importing the modules, as ansible-test does it, says something of the whole core."""
    reached: set[PurePosixPath] = set()
    for _each in needed(map(str, below("plugins/modules/")), reached):
        pass
    files = {path for path in below(f"{CORE}/") if path.name != "__init__.py"}
    assert len(files) > 300
    assert files - reached == set()


NAMED_TWICE = {
    "ActionModule": "Ansible loads an action plugin by this name",
    "ModuleDocFragment": "Ansible loads a documentation fragment by this name",
    "Cache": "the host's and the controller's: each is where what is expensive is kept, and no code knows both",
    "Result": "what a module returns, wherever it is handed on",
}
"""The only names of classes and types in the plugins that are not one thing's, each with the reason."""


def types_of(module: ast.Module) -> set[str]:
    """The classes and the names of types that a module defines and others may import."""
    blocks = [module.body, *(node.body for node in module.body if isinstance(node, ast.If))]
    found = {node.name for block in blocks for node in block if isinstance(node, ast.ClassDef)}
    targets = [target for block in blocks for node in block if isinstance(node, ast.Assign) for target in node.targets]
    found |= {target.id for target in targets if isinstance(target, ast.Name) and re.search("[a-z]", target.id)}
    return {name for name in found if re.match("[A-Z]", name)}


def defined_twice(modules: t.Mapping[str, ast.Module]) -> dict[str, list[str]]:
    """The modules by each name of a class or type that several of them define."""
    places: dict[str, list[str]] = {}
    for path, module in modules.items():
        for name in types_of(module):
            places.setdefault(name, []).append(path)
    return {name: sorted(paths) for name, paths in sorted(places.items()) if len(paths) > 1}


def test_the_name_of_a_class_or_type_means_one_thing_in_the_plugins() -> None:
    found = defined_twice({str(path): parsed(path) for path in below("plugins/")})
    assert {name: paths for name, paths in found.items() if name not in NAMED_TWICE} == {}
    assert sorted(found) == sorted(NAMED_TWICE), "what is not defined twice needs no reason"


@pytest.mark.parametrize("second", ["class Judge:\n    pass", "Judge = t.Callable[[str], bool]", "if t.TYPE_CHECKING:\n    Judge = str"])
def test_a_name_that_means_two_things_is_noticed(second: str) -> None:
    first = "@dataclasses.dataclass\nclass Judge:\n    name: str\n\nclass _Reader:\n    pass\n\nLIMIT = 3"
    modules = {"guards.py": ast.parse(first), "programs.py": ast.parse(f"{second}\n\nclass _Reader:\n    pass\n\nLIMIT = 4")}
    assert defined_twice(modules) == {"Judge": ["guards.py", "programs.py"]}


USED_BY_OTHERS = re.compile(
    r"__\w+__|Test\w+|test_\w+|pytest_\w+|pytestmark|visit_\w+|DOCUMENTATION|EXAMPLES|RETURN|ActionModule|FilterModule|ModuleDocFragment"
    r"|(?:create|exec)_module|get_source|get_code|find_spec|seekable|log_message|do_[A-Z]+"
)
"""Names that pytest, Ansible and Python's own library look for."""


def defined(module: ast.Module) -> t.Iterator[str]:
    """The functions, methods, classes and constants of a file, but for fixtures, which are used by being there."""
    for node in ast.walk(module):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not any("fixture" in ast.unparse(one) for one in node.decorator_list):
            yield node.name
    for node in module.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def unused(modules: t.Mapping[str, ast.Module], texts: t.Iterable[str]) -> dict[str, str]:
    """The names that no text has a second time, with the file that defines each."""
    words = collections.Counter(word for one in texts for word in re.findall(r"\w+", one))
    found = ((name, path) for path, module in modules.items() for name in defined(module))
    return {name: path for name, path in found if words[name] < 2 and not USED_BY_OTHERS.fullmatch(name)}


def test_nothing_is_defined_that_nobody_uses() -> None:
    code = [path for path in TEXTS if path.suffix not in (".md", ".rst", ".json", ".jsonl")]
    assert unused({str(path): parsed(path) for path in below("plugins/", "tests/", "tools/")}, map(text, code)) == {}


def test_what_nobody_uses_is_noticed() -> None:
    source = "A = 1\nB = A\n\n@pytest.fixture\ndef c():\n    pass\n\nclass D:\n    def e(self):\n        pass\n\ndef f():\n    D()\n"
    assert unused({"x.py": ast.parse(source)}, [source]) == {"B": "x.py", "e": "x.py", "f": "x.py"}


def test_every_python_file_defers_its_annotations() -> None:
    found = [str(path) for path in PYTHON if text(path).strip() and "__future__.annotations" not in set(imported(parsed(path)))]
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
        for node in walked(path)
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


def test_the_action_group_has_every_module() -> None:
    groups = yaml.safe_load(text(PurePosixPath("meta/runtime.yml")))["action_groups"]
    modules = sorted(path.stem for path in FILES if path.parent == PurePosixPath("plugins/modules"))
    assert groups == {"vfio": modules}


def test_the_ci_of_a_fork_runs_what_ci_runs() -> None:
    workflow = yaml.safe_load(text(PurePosixPath(".github/workflows/test.yml")))
    runs = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    assert runs[-1] == "bash .ci/run"
    assert workflow["jobs"]["test"]["timeout-minutes"] == 90
