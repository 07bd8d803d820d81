# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python environments from an index that lacks something."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import unavailable
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import (
    ArchiveUnavailableError,
    MissingPackage,
    named_in,
)
from ansible_collections.vfio.variants.tests.unit.archives import PythonIndex, served
from devtool import interpreters
from devtool.checkout import Checkout
from devtool.environment import Environment, fill, provide, without
from devtool.errors import DevtoolError


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[PythonIndex]:
    """The only index that pip knows."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(unavailable, "PAUSES", ())
    made = PythonIndex(tmp_path / "index")
    for number in ("2.1.0", "2.1.1", "3.0.0"):
        made.add("tool", number)
    with served(made.folder) as address:
        for name, value in {"CONFIG_FILE": os.devnull, "NO_CACHE_DIR": "1", "INDEX_URL": f"{address}/simple"}.items():
            monkeypatch.setenv(f"PIP_{name}", value)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield made


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    place = tmp_path_factory.mktemp("environment")
    subprocess.run((sys.executable, "-m", "venv", place), check=True, timeout=120)
    return Environment(place)


def version(environment: Environment) -> str:
    # Without regard to PYTHONPYCACHEPREFIX: pip does not remove from there the code of a file that it replaces within a second.
    argv = (environment.program("python"), "-I", "-c", "import tool; print(tool.VERSION)")
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def filled(environment: Environment, place: Path, requirements: str, *avoided: MissingPackage) -> Environment:
    (place / "main.txt").write_text(requirements, encoding="utf-8")
    fill(environment, place / "main.txt", avoided)
    return environment


@pytest.mark.sampled(4)
def test_the_version_that_is_asked_for_is_installed(tmp_path: Path, index: PythonIndex, environment: Environment) -> None:
    assert version(filled(environment, tmp_path, "tool==2.1.1\n")) == "2.1.1"


def test_what_the_index_does_not_have_is_its_fault(tmp_path: Path, index: PythonIndex, environment: Environment) -> None:
    with pytest.raises(ArchiveUnavailableError, match=r"^archive unavailable: tool 4\.0\.0 \(the index does not have it\)$"):
        filled(environment, tmp_path, "tool==4.0.0\n")


def test_a_compatible_version_stands_in_for_a_pinned_one(tmp_path: Path, index: PythonIndex, environment: Environment) -> None:
    assert version(filled(environment, tmp_path, "tool==2.1.1\n", MissingPackage("tool", "404", "2.1.1"))) == "2.1.0"


def test_what_does_not_build_is_not_the_indexs_fault(tmp_path: Path, index: PythonIndex, environment: Environment) -> None:
    index.add_source("broken", "1.0", backend="raise SystemExit('no such thing as luck')")
    with pytest.raises(DevtoolError, match="no such thing as luck"):
        filled(environment, tmp_path, "tool==2.1.1\nbroken\n")


@pytest.mark.sampled(4)
def test_an_environment_of_another_version_serves_for_a_day_and_says_so(
    tmp_path: Path, index: PythonIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/main.txt").write_text("tool==2.1.1\n", encoding="utf-8")
    wheel = index.folder / "simple/tool/tool-2.1.1-py3-none-any.whl"
    content = wheel.read_bytes()
    wheel.unlink()

    def provided() -> tuple[Environment, list[str]]:
        made = provide(Checkout(tmp_path, tmp_path / "cache"), "main", interpreters.controller())
        return made, [name.partition(" (")[0] for name in named_in(capsys.readouterr().out.splitlines())]

    other, named = provided()
    assert (version(other), named) == ("2.1.0", ["tool 2.1.1"])
    assert provided() == (other, ["tool 2.1.1"])

    wheel.write_bytes(content)
    os.utime(other.marker, (0, 0))
    usual, named = provided()
    assert (version(usual), named) == ("2.1.1", [])


def test_only_the_requirement_that_cannot_be_had_gives_way() -> None:
    requirements = "# why\nRuff==0.17.6  # pinned\nruff-lsp==0.17.6\nmypy==2.4.1\nPyYAML>=6.0\n"
    assert without(requirements, (MissingPackage("ruff", "404", "0.17.6"),)).splitlines() == [
        "# why",
        "Ruff~=0.17  # pinned",
        "ruff-lsp==0.17.6",
        "mypy==2.4.1",
        "PyYAML>=6.0",
    ]
