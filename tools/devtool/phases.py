# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The phases of a test run, and the checks each consists of."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from devtool import interpreters
from devtool.ansible_test import ansible_test_variables
from devtool.check import Check
from devtool.checkout import COLLECTION, Checkout
from devtool.console import say
from devtool.environment import provide
from devtool.errors import DevtoolError
from devtool.interpreters import Interpreter
from devtool.process import capture
from devtool.variables import variables
from devtool.workspace import Workspace, chosen

MAIN_SCENARIO = "default"
UNIT = "unit tests"
# The Python that controller code is written for; the settings name the oldest one of managed hosts that mypy knows.
CONTROLLER = ("--python-version", "3.11")
QUIET = ("-q", "-p", "no:cacheprovider")
# In the order of tests/unit/conftest.py, not by the number of tests in a file.
BOTH_CORES = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
# Of so many files pylint reads one.
LINTED = 20
# Of so many policies and broken forecasts one is judged; of the recorded policies every fourth is one that is switched off.
JUDGED = 5
# Every part that a test is divided into divides it (tests/unit/sampling.py).
TURNS = 720720
TARGET_TESTS = ("tests/unit/plugins/module_utils", "tests/unit/plugins/modules")
# Boots QEMU, which the kernels' phase unpacks on a machine where nothing is yet.
OF_MACHINES = "tests/unit/plugins/plugin_utils/_testbed/rehearsal/test_machine_buses.py"


@dataclass(frozen=True)
class Phase:
    """A named part of the run.

    `costly` phases run only if all before them were green, and each by itself. The others run in two lanes, because each leaves a
    processor idle for part of its time: those that are `beside` at the same time as the rest. `lanes`: that of its own checks.
    """

    name: str
    does: str
    checks: Callable[[Workspace], Iterator[Check]]
    costly: bool = False
    lanes: bool = False
    beside: bool = False


def lint(workspace: Workspace) -> Iterator[Check]:
    yield workspace.check("ruff check", "ruff", "check", "--no-cache", ".")
    yield workspace.check("ruff format", "ruff", "format", "--no-cache", "--check", ".")
    # One lane, since they share a cache; most of the rest is ansible-lint, which uses one processor too.
    yield from (replace(check, lane="types") for check in _types(workspace))
    yield workspace.check("yamllint", "yamllint", "--strict", ".")
    yield workspace.check("ansible-lint", "ansible-lint", "--offline", "--profile", "production", "--strict", "-q")
    yield workspace.check("shellcheck", "shellcheck", "--external-sources", *sorted(workspace.shell_scripts()))
    yield workspace.check("reuse", "reuse", "lint", "--lines")
    yield workspace.check("changelog", "antsibull-changelog", "lint")
    yield workspace.check("words", "python", "-m", "devtool.words", cwd=workspace.checkout.root / "tools")


def _types(workspace: Workspace) -> Iterator[Check]:
    # Found below the tree, never as an installed library: those are not checked.
    tree = workspace.checkout.tree
    settings = ("--config-file", str(workspace.checkout.root / "pyproject.toml"), "--cache-dir", str(workspace.checkout.place / "mypy"))
    yield workspace.check("mypy plugins", "mypy", *settings, str(COLLECTION / "plugins"), cwd=tree)
    folders = [
        folder
        for folder in ("tests/unit", "molecule", "playbooks")
        if any(name.startswith(f"{folder}/") for name in workspace.known(".py"))
    ]
    if folders:
        yield workspace.check("mypy tests", "mypy", *settings, *CONTROLLER, *(str(COLLECTION / folder) for folder in folders), cwd=tree)
    # Each program is a module of the same name, __main__; what it imports is checked only where it is named.
    for program in sorted(workspace.python_programs()):
        beside = workspace.python_folder(program)
        paths = [str(COLLECTION / name) for name in (program, *beside)]
        yield workspace.check(f"mypy {program}", "mypy", *settings, *(CONTROLLER if beside else ()), *paths, cwd=tree)
    yield workspace.check("mypy tools", "mypy", *settings, *CONTROLLER, "--package", "devtool", cwd=tree)


def unit(workspace: Workspace) -> Iterator[Check]:
    asked = chosen("TESTS")
    python = workspace.main.program("python")
    name = f"unit tests, Python {interpreters.controller().name}"
    if asked:
        # One test file alone is quicker in one process.
        yield workspace.check(name, python, "-m", "pytest", *QUIET, *asked, counts=True)
        return
    # What runs on a managed host is tested once, on the Python that has least of what it may not use.
    oldest = interpreters.targets()[0]
    apart = oldest.minor < interpreters.controller().minor
    ignored = [f"--ignore={path}" for path in (OF_MACHINES, *(TARGET_TESTS if apart else ()))]
    sample = (f"--drawn-by={_number_of_commit(workspace.checkout) % TURNS}",)
    say(f'of tests that take long a sample, chosen by the commit ({sample[0]}); all of them: make test-all CAMPAIGN="{UNIT}"')
    yield workspace.check(name, python, "-m", "pytest", *QUIET, *BOTH_CORES, *sample, *ignored, "tests/unit", counts=True)
    if apart:
        # Beside the others, which leave processors idle while they wait, and at their end.
        yield replace(managed_host(workspace, oldest, (*BOTH_CORES, *sample)), lane="managed host")


def all_units(workspace: Workspace) -> Check:
    """All unit tests with every case, on the controller's Python."""
    argv = ("-m", "pytest", *QUIET, *BOTH_CORES, "tests/unit")
    return workspace.check("every unit test with all its cases", workspace.main.program("python"), *argv, seconds=7200, counts=True)


def managed_host(workspace: Workspace, interpreter: Interpreter, options: tuple[str, ...] = BOTH_CORES) -> Check:
    """The unit tests of what runs on a managed host, on a Python that it may have."""
    environment = provide(workspace.checkout, "target", interpreter)
    inherited = variables(workspace.checkout, environment)
    env = inherited | {"PYTHONPATH": f"{workspace.checkout.tree}:{_target_library(workspace)}"}
    argv = (environment.program("python"), "-m", "pytest", *QUIET, *options, *TARGET_TESTS)
    return Check(managed_host_name(interpreter), argv, workspace.checkout.root, env, counts=True)


def managed_host_name(interpreter: Interpreter) -> str:
    return f"managed host's unit tests on Python {interpreter.name}"


def _target_library(workspace: Workspace) -> str:
    """A folder with ansible.module_utils and nothing else of Ansible: what a module finds on a managed host."""
    package = workspace.checkout.place / "target" / workspace.main.path.name / "ansible"
    if not package.is_dir():
        new = package.with_name("ansible.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        (new / "__init__.py").touch()
        (new / "module_utils").symlink_to(workspace.main.packages / "ansible" / "module_utils")
        new.rename(package)
    return str(package.parent)


def sanity(workspace: Workspace) -> Iterator[Check]:
    """What of ansible-test no other check of a run proves; all of it for files that are asked for, and in a campaign of its own.

    Pylint looks up types and names once more, which mypy in strict mode and ruff do for all files, and takes longer than all other
    tests together: a part of the files. `import` loads each file of the core with all that it needs: that of the modules loads
    every one that a module loads at first, and on the same Python the unit tests load all of them where nothing else of Ansible is.
    `pep8` takes half of what the others take together, for what ruff has formatted and checked by the same rules.
    """
    copy = workspace.copied("sanity")
    python = ("--python", interpreters.controller().name)
    if chosen("TESTS"):
        yield sanity_check(workspace, copy, *python, *chosen("TESTS"))
        return
    skipped = (word for test in ("pylint", "import", "pep8") for word in ("--skip-test", test))
    yield sanity_check(workspace, copy, *python, *skipped)
    part = linted(workspace)
    yield replace(
        sanity_check(workspace, copy, *python, "--test", "pylint", *part),
        name=f"ansible-test's pylint, {len(part)} files chosen by the commit",
    )
    oldest = ("--python", interpreters.targets()[0].name)
    if oldest != python:
        yield sanity_check(workspace, copy, *oldest, "--test", "compile")
    modules = [name for name in workspace.known(".py") if name.startswith("plugins/modules/")]
    imported = sanity_check(workspace, copy, *oldest, "--test", "import", *modules)
    yield replace(imported, name=f"ansible-test's import of the modules, Python {oldest[1]}")


def linted(workspace: Workspace) -> list[str]:
    """One Python file in so many, by the commit each in turn."""
    first = _number_of_commit(workspace.checkout) % LINTED
    return [name for name in workspace.known(".py") if (workspace.checkout.root / name).is_file()][first::LINTED]


def sanity_check(workspace: Workspace, copy: Path, *words: str) -> Check:
    env = ansible_test_variables(workspace.checkout, workspace.main)
    argv = (workspace.main.program("ansible-test"), "sanity", "--local", "--color", "no", *words)
    return Check(" ".join(("ansible-test sanity", *words)), argv, copy, env, seconds=3600, downloads=True)


def documentation(workspace: Workspace) -> Iterator[Check]:
    docs = provide(workspace.checkout, "docs", interpreters.controller())
    env = workspace.variables | {"PATH": f"{docs.bin}:{workspace.variables['PATH']}", "VIRTUAL_ENV": str(docs.path)}
    flags = ("--plugin-docs", "--validate-collection-refs", "self", "--check-extra-docs-refs")
    argv = (docs.program("antsibull-docs"), "lint-collection-docs", *flags, ".")
    yield Check("antsibull-docs", argv, workspace.copied("docs"), env)


def build(workspace: Workspace) -> Iterator[Check]:
    dist = workspace.checkout.root / "dist"
    installed = workspace.checkout.place / "installed"
    shutil.rmtree(installed, ignore_errors=True)
    yield workspace.check("collection archive", "tools/release", "archive")
    for archive in sorted(dist.glob("vfio-variants-*.tar.gz")):
        argv = ("collection", "install", "--offline", "--force", "--collections-path", str(installed), str(archive))
        yield workspace.check(f"{archive.name} installs", "ansible-galaxy", *argv)


def integration(workspace: Workspace) -> Iterator[Check]:
    copy = workspace.copied("integration")
    env = ansible_test_variables(workspace.checkout, workspace.main)
    argv = (workspace.main.program("ansible-test"), "integration", "--local", "--color", "no", "--allow-root", *chosen("TARGET"))
    yield Check("ansible-test integration", argv, copy, env, seconds=1800, downloads=True)


def kernels(workspace: Workspace) -> Iterator[Check]:
    yield workspace.check("kernel drivers built, a sample of the kernels", "tests/kernels/run", "--sample", seconds=3600, counts=True)
    drivers = "kernel drivers at work on the oldest and the newest kernel"
    yield workspace.check(drivers, "tests/drivers/run", "--sample", seconds=3600, counts=True)
    python = workspace.main.program("python")
    addresses = "addresses of an emulated host's devices, asked of its firmware"
    yield workspace.check(addresses, python, "-m", "pytest", *QUIET, OF_MACHINES, counts=True)


def forecast(workspace: Workspace) -> Iterator[Check]:
    count, seed = (" ".join(chosen(name)) or usual for name, usual in (("COUNT", ""), ("SEED", "1000")))
    drawn = f"{count or 'a sample of'} boots against their forecasts, seed {seed}"
    amount = ("--count", count) if count else ("--sample",)
    yield workspace.check(drawn, "tests/forecast/run", *amount, "--seed", seed, seconds=7200, counts=True)
    part = ("--every", str(JUDGED), "--first", str(_number_of_commit(workspace.checkout) % JUDGED))
    say(f"of policies and broken forecasts a part, chosen by the commit ({' '.join(part)}); all of them are campaigns of make test-all")
    judged = "what boot_policy accepts against known boots, a part"
    yield workspace.check(judged, "tests/forecast/run", "--policies", *part, seconds=1800, counts=True)
    broken = "broken forecasts against known boots, a part"
    yield workspace.check(broken, "tests/forecast/run", "--mutations", *part, seconds=1800, counts=True)
    hosts = ("tests/world/run", "--replay", "--sample", "40")
    yield workspace.check("a sample of the recorded whole hosts against their predictions", *hosts, seconds=900, counts=True)
    for page in chosen("TABLE"):
        argv = ("tests/world/run", "--replay", "--table", page)
        yield workspace.check(f"all recorded whole hosts against their predictions, counted in {page}", *argv, seconds=3600, counts=True)
        argv = ("tests/forecast/run", "--replay", "--table", page)
        yield workspace.check(f"all known boots against their forecasts, counted in {page}", *argv, seconds=3600, counts=True)


def scenarios(checkout: Checkout) -> list[str]:
    """Molecule's scenarios, the main one first."""
    folders = sorted(path.parent.name for path in (checkout.root / "molecule").glob("*/molecule.yml"))
    return sorted(folders, key=lambda name: (name != MAIN_SCENARIO, name))


def has_first_state(checkout: Checkout, scenario: str) -> bool:
    """Whether a part of the scenario passes by itself; else only `make test-all` runs it."""
    text = (checkout.root / "molecule" / scenario / "molecule.yml").read_text(encoding="utf-8")
    return re.search(r"^  check_sequence:$", text, re.MULTILINE) is not None


def molecule_check(workspace: Workspace, scenario: str, sequence: str = "test") -> Check:
    """A scenario from its machines' creation to their end; the sequence "check" is its first state alone."""
    whole = "whole" if sequence == "test" else "first state"
    check = workspace.check(f"scenario {scenario}, {whole}", "molecule", sequence, "--scenario-name", scenario, seconds=5400)
    return replace(check, cleanup=(check.argv[0], "destroy", "--scenario-name", scenario))


def rotated(checkout: Checkout, asked: str) -> str:
    """The scenario whose first state rides along: the one asked for, or by the commit each of the others in turn."""
    others = [name for name in scenarios(checkout) if name != MAIN_SCENARIO and has_first_state(checkout, name)]
    if asked and asked not in others:
        raise DevtoolError(
            f"ROTATE: there is no scenario {asked} with a check_sequence besides {MAIN_SCENARIO}; there are {', '.join(others)}."
        )
    return asked or others[_number_of_commit(checkout) % len(others)]


def _number_of_commit(checkout: Checkout) -> int:
    return int(capture(["git", "rev-parse", "HEAD"], cwd=checkout.root), 16)


def molecule(workspace: Workspace) -> Iterator[Check]:
    known, asked = scenarios(workspace.checkout), chosen("SCENARIO")
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise DevtoolError(f"SCENARIO: there is no scenario {unknown[0]} in molecule/; there are {', '.join(known)}.")
    if asked:
        yield from (molecule_check(workspace, name) for name in asked)
        return
    yield molecule_check(workspace, MAIN_SCENARIO)
    also = rotated(workspace.checkout, " ".join(chosen("ROTATE")))
    say(f"the first state of scenario {also} rides along, chosen by the commit; to repeat it: make molecule ROTATE={also}")
    # Beside the main one: an emulated machine keeps one processor busy, and a playbook waits for it.
    yield replace(molecule_check(workspace, also, "check"), lane="rotation")


PHASES = (
    Phase("lint", "style, types, licences, changelog", lint, lanes=True),
    Phase("unit", "unit tests, and those of the managed host's code on the oldest Python here (TESTS=path)", unit, lanes=True, beside=True),
    Phase("sanity", "ansible-test sanity (TESTS=path)", sanity),
    Phase("docs-check", "the documentation of modules, plugins and roles", documentation),
    Phase("build", "the collection's archive, built and installed", build),
    Phase("integration", "ansible-test integration on this machine (TARGET=name)", integration),
    Phase("kernels", "the kernel drivers built, and at work; a sample of what `make test-all` does", kernels, costly=True),
    Phase("forecast", "forecasts of the boot against real boots (COUNT=number, SEED=number, TABLE=page)", forecast, costly=True),
    Phase(
        "molecule",
        "the main scenario on virtual machines and the first state of another (SCENARIO=name, ROTATE=name)",
        molecule,
        costly=True,
        lanes=True,
    ),
)
