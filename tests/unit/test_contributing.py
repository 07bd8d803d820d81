# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""CONTRIBUTING.md names every package, and its sample commands refer to what exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")
CORE = "plugins/module_utils/_core"
# The map names these as a whole.
WHOLE = ("files/kernel", "molecule", "playbooks", "roles", "tests/integration", "tests/unit")


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(title: str) -> list[list[str]]:
    table = [line.strip("|").split(" | ") for line in section(title).splitlines() if line.startswith("| ")]
    return table[1:]


def mapped() -> set[str]:
    """The directories in the map; `…/_core/host`, `pci` stands for two rooms of the core."""
    found: set[str] = set()
    for cells in rows("Where a thing belongs"):
        parent = ""
        for name in CODE.findall(cells[0]):
            if name.startswith("…/_core/"):
                parent = CORE
            found.add(f"{parent}/{PurePosixPath(name).name}" if parent else name)
    return found


def packages() -> set[str]:
    """The directories with code, as git knows it; what the map names as a whole is not divided."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(argv, cwd=ROOT, capture_output=True, check=True, timeout=60).stdout.decode().split("\0")
    files = [
        PurePosixPath(name) for name in listing if name.endswith(".py") or name.startswith(("docs/", "changelogs/fragments/", "tools/"))
    ]
    files = [path for path in files if (ROOT / path).is_file() and path.suffix not in (".png", ".svg")]
    return {next((whole for whole in WHOLE if path.is_relative_to(whole)), str(path.parent)) for path in files}


def samples() -> list[str]:
    return [command for cells in rows("Running things") for command in CODE.findall(cells[1])]


def missing(names: set[str], exist: set[str]) -> set[str]:
    return exist - names


def test_the_map_names_every_package() -> None:
    assert missing(mapped(), packages()) == set()


def test_a_package_that_the_map_does_not_name_is_noticed() -> None:
    assert missing(mapped() - {f"{CORE}/udev", "tests/bench"}, packages()) == {f"{CORE}/udev", "tests/bench"}


@pytest.mark.parametrize("name", sorted(mapped() - {"changelogs/fragments"}))
def test_what_the_map_names_exists(name: str) -> None:
    assert (ROOT / name).is_dir()


def test_how_long_all_tests_take_is_what_the_readme_says() -> None:
    pages = (PAGE, (ROOT / "README.md").read_text(encoding="utf-8"))
    first, second = (re.findall(r"in\sone\spiece,\sit\stook\s(\d+\smin\s\d+\ss)", page) for page in pages)
    assert len(first) == 1
    assert first == second


def words_of_samples() -> list[tuple[str, str]]:
    return [(command, word) for command in samples() for word in re.split(r"[\s=]", command)]


@pytest.mark.parametrize("path", sorted({word for _command, word in words_of_samples() if re.match(r"(tests|plugins|docs|tools)/", word)}))
def test_a_path_in_a_sample_command_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("target", sorted({words[1] for words in map(str.split, samples()) if words[0] == "make"}))
def test_a_target_in_a_sample_command_is_in_the_makefile(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def selected(arguments: list[str]) -> int:
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only", *arguments]
    ran = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    return sum("::" in line for line in ran.stdout.splitlines())


PYTEST = [shlex.split(command)[2:] for command in samples() if command.startswith("tools/run pytest")]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("arguments", PYTEST, ids=" ".join)
def test_a_sample_of_pytest_selects_tests(arguments: list[str]) -> None:
    assert "-k" in arguments
    assert 0 < selected(arguments) < selected(arguments[: arguments.index("-k")])


def test_an_expression_that_selects_nothing_is_noticed() -> None:
    path = PYTEST[0][0]
    assert selected([path, "-k", "wildcard and device"]) == 0
