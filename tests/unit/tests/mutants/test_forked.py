# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mutants in forks of a process that has collected the tests, in real processes."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.mutants.reach import ROOT
from ansible_collections.vfio.variants.tests.mutants.sample import texts
from ansible_collections.vfio.variants.tests.mutants.source import mutants_of

FILE = "kernel/cmdline.py"
TESTS = "tests/unit/plugins/module_utils/_core/kernel/test_cmdline.py"
RUN = """
import json, sys
from pathlib import Path
from ansible_collections.vfio.variants.tests.mutants.campaign import Campaign, Store
from ansible_collections.vfio.variants.tests.mutants.sample import texts
from ansible_collections.vfio.variants.tests.mutants.source import mutants_of
from ansible_collections.vfio.variants.tests.mutants.state import state_of_the_tree
tests, folder, names = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
known = texts()
mutants = [one for file in sorted({name.split()[0] for name in names}) for one in mutants_of(file, known[file]) if one.name in names]
state = lambda: state_of_the_tree([tests])
campaign = Campaign(Store(folder / "cache", state()), known, 2, lambda line: None, state)
found = campaign.run(mutants)
(folder / "found").write_text(json.dumps({one.name: [outcome.kind, outcome.by] for one, outcome in found.items()}))
"""


def run(folder: Path, names: t.Sequence[str]) -> dict[str, list[str]]:
    arguments = [sys.executable, "-c", RUN, TESTS, str(folder), json.dumps(names)]
    done = subprocess.run(arguments, cwd=ROOT, check=False, timeout=600, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, list[str]] = json.loads((folder / "found").read_text())
    return found


def named(file: str, scope: str, after: str) -> str:
    return next(one.name for one in mutants_of(file, texts()[file]) if (one.scope, one.after) == (scope, after))


@pytest.mark.sampled(4)
def test_a_mistake_in_a_function_or_a_constant_is_noticed_and_another_files_is_not_reached(tmp_path: Path) -> None:
    function, other = named(FILE, "Cmdline.refused", "return ()"), named("kernel/elf.py", "Elf.string", "return None")
    constant = next(one.name for one in mutants_of(FILE, texts()[FILE]) if not one.in_function and one.mistake == "text")
    found = run(tmp_path, [function, constant, other])
    assert found[function][0] == found[constant][0] == "noticed"
    assert found[function][1].startswith(TESTS)
    assert found[other] == ["unreached", ""]
