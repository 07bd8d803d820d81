# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages about security promise is what the code does, and what somebody can keep."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.rule_effects import MOST_EFFECTS
from ansible_collections.vfio.variants.plugins.module_utils._core.host import regular_file, together
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache_dir import CACHE_DIRECTORY
from ansible_collections.vfio.variants.plugins.module_utils._core.host.lock import LOCK_DIRECTORY
from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import SWEPT
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs import image
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.findings import MOST
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import DEFAULT_NAME, PolicyPaths
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.tokens import LONGEST_LINE
from ansible_collections.vfio.variants.plugins.module_utils._core.udev import rules
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.pending import MOST_JUMPS
from ansible_collections.vfio.variants.tests.fuzz.asked_host import Limits
from ansible_collections.vfio.variants.tests.fuzz.targets import TARGETS
from ansible_collections.vfio.variants.tests.unit.rooms import CORE

ROOT = Path(__file__).resolve().parents[2]
PROMISES = " ".join((ROOT / "docs/security.md").read_text(encoding="utf-8").split())
COMMAND = re.compile(r"\.run\(\s*\[\"([^\"]+)\"")
COREUTILS = frozenset(("cp", "ln", "stat", "sync"))
NUMBERS = {6: "six", 7: "seven", 8: "eight", 9: "nine"}
REPORTING = " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    "said",
    [
        f"A file is read up to {regular_file.LARGEST_TEXT >> 20} MiB",
        f"the files of modprobe.d up to {modprobe.LARGEST >> 20} MiB",
        f"rules of udev up to {rules.LARGEST >> 20} MiB together ({rules.LARGEST_PARSED >> 20} MiB of those that can matter",
        f"a file of a package's sources up to {regular_file.LARGEST_FILE >> 20} MiB",
        f"at most {image.LARGEST_NAMES >> 20} MiB of names, {image.LARGEST_TEXTS >> 20} MiB of configuration and scripts",
        f"and {image.LARGEST_MODULES >> 20} MiB of modules are kept",
        f"less than {Limits().mebibytes} MiB of memory",
        f"inputs of {len(TARGETS)} parsers",
        f"of one event of udev {MOST_EFFECTS} effects on a device are simulated, {MOST_JUMPS} jumps of a file of rules can be open",
        f"a line of a script with more than {LONGEST_LINE} characters is judged by its words alone. Of one kind of warning, {MOST} are",
    ],
)
def test_the_page_states_the_limits_that_the_code_has(said: str) -> None:
    assert said in PROMISES


def test_of_all_kernels_together_a_quarter_more_is_read() -> None:
    assert together.FOR_ALL == (5, 4)
    assert "of all kernels and their images together a quarter more than of one" in PROMISES


def test_the_folders_that_are_written_to_are_named() -> None:
    """All in which temporary files can be left, and those of a policy."""
    table = (ROOT / "docs/security.md").read_text(encoding="utf-8").partition("## What root writes")[2].partition("\n## ")[0]
    folders = {*SWEPT, *(posixpath.dirname(path) for path in PolicyPaths(DEFAULT_NAME).all), LOCK_DIRECTORY, CACHE_DIRECTORY}
    assert sorted(folder for folder in folders if f"`{folder}`" not in table) == []
    assert f"up to {NUMBERS[len(PolicyPaths(DEFAULT_NAME).all)]} files" in table
    assert f"at most {NUMBERS[len(PolicyPaths(DEFAULT_NAME).all)]} files" in (ROOT / "docs/recovery.md").read_text(encoding="utf-8")


def test_the_commands_that_are_run_are_named() -> None:
    run = {word for path in CORE.rglob("*.py") for word in COMMAND.findall(path.read_text(encoding="utf-8"))}
    assert {"ip", "modprobe", "depmod", "udevadm"} <= run
    assert sorted(word for word in run - COREUTILS if f"`{word}`" not in PROMISES) == []


def test_a_vulnerability_is_reported_where_the_repository_is_and_to_no_address_that_may_not_exist() -> None:
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    assert re.search(r"\S+@\S+\.\S+", REPORTING) is None
    assert "the repository that `galaxy.yml` names" in REPORTING
    assert galaxy["repository"] == galaxy["issues"].rpartition("/")[0]
