# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mutant put to real tests, in processes that have not imported the core."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.mutants.reach import ROOT, Reach
from ansible_collections.vfio.variants.tests.mutants.sample import texts
from ansible_collections.vfio.variants.tests.mutants.source import Mutant, mutants_of
from ansible_collections.vfio.variants.tests.mutants.trial import ENDLESS, NOTICED, SURVIVED, Outcome, Trial, TrialError, start

CMDLINE = "kernel/cmdline.py"
TESTS = "tests/unit/plugins/module_utils/_core/kernel/test_cmdline.py"
PUT = """
import json, sys
from pathlib import Path
from ansible_collections.vfio.variants.tests.mutants.sample import texts
from ansible_collections.vfio.variants.tests.mutants.source import mutants_of
from ansible_collections.vfio.variants.tests.mutants.trial import put_to_tests
file, name, tests, folder = sys.argv[1], sys.argv[2], sys.argv[3].split(), Path(sys.argv[4])
text = texts()[file]
mutant = next(mutant for mutant in mutants_of(file, text) if mutant.name == name)
outcome = put_to_tests(mutant, text, tests, folder)
(folder / "outcome").write_text(json.dumps([outcome.kind, outcome.by]))
"""
RECORD = """
import json, sys
from pathlib import Path
from ansible_collections.vfio.variants.tests.mutants.reach import Recorder
from ansible_collections.vfio.variants.tests.mutants.trial import run_pytest
recorder = Recorder()
recorder.measured.start()
assert run_pytest(recorder, [sys.argv[1]], Path(sys.argv[2])) == 0
recorder.measured.stop()
recorder.reach().write(Path(sys.argv[2]) / "reach.json")
"""


def python(program: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, check=True, timeout=600, stdout=subprocess.DEVNULL)


def outcome(mutant: Mutant, test: str, folder: Path) -> list[str]:
    folder.mkdir()
    python(PUT, mutant.file, mutant.name, f"{TESTS}::{test}", str(folder))
    found: list[str] = json.loads((folder / "outcome").read_text())
    return found


def ended(trial: Trial) -> Outcome:
    while (found := trial.ended()) is None:
        time.sleep(0.01)
    return found


@pytest.mark.sampled(4)
def test_a_mistake_is_noticed_by_a_test_of_what_it_spoils_and_by_no_other(tmp_path: Path) -> None:
    mutant = next(one for one in mutants_of(CMDLINE, texts()[CMDLINE]) if (one.scope, one.after) == ("Cmdline.refused", "return ()"))
    tests = [line.split("(")[0][len("def ") :] for line in (ROOT / TESTS).read_text().splitlines() if line.startswith("def test_")]
    found = {tuple(outcome(mutant, test, tmp_path / str(number))) for number, test in enumerate(tests)}
    assert {kind for kind, _by in found} == {NOTICED, SURVIVED}


@pytest.mark.sampled(4)
def test_the_lines_that_a_test_runs_are_recorded(tmp_path: Path) -> None:
    python(RECORD, TESTS, str(tmp_path))
    reach = json.loads((tmp_path / "reach.json").read_text())
    assert CMDLINE in reach["lines"]
    assert all(test.startswith(TESTS) for test, _seconds in reach["tests"])
    found = Reach.read(tmp_path / "reach.json")
    refused = next(one for one in mutants_of(CMDLINE, texts()[CMDLINE]) if one.scope == "Cmdline.refused")
    assert f"{TESTS}::test_blacklists_add_up_and_refusals_do_not" in found.tests(refused)
    assert f"{TESTS}::test_quotes_keep_blanks_together" not in found.tests(refused)


@pytest.mark.sampled(4)
def test_a_constant_concerns_every_test_that_imports_its_module() -> None:
    file, test = (
        "claim/arguments.py",
        "tests/unit/plugins/doc_fragments/test_claims_fragment.py::test_every_option_is_documented_as_it_is_taken",
    )
    constant = next(one for one in mutants_of(file, texts()[file]) if not one.in_function)
    assert Reach({test: 0.1, f"{TESTS}::other": 0.1}, {}).tests(constant) == {test}


def test_what_a_child_answers_is_its_outcome(tmp_path: Path) -> None:
    assert ended(start(tmp_path / "a", 5, lambda: Outcome(SURVIVED))) == Outcome(SURVIVED)


@pytest.mark.sampled(4)
def test_a_child_without_end_is_ended(tmp_path: Path) -> None:
    def spin() -> Outcome:
        while True:
            pass

    assert ended(start(tmp_path / "a", 0, spin)).kind == ENDLESS


def test_a_child_that_fails_says_nothing_about_the_tests(tmp_path: Path) -> None:
    def fail() -> Outcome:
        raise RuntimeError("the machinery is broken")

    with pytest.raises(TrialError, match="the machinery is broken"):
        ended(start(tmp_path / "a", 5, fail))


def test_the_clock_gives_a_child_more_than_its_processor_time_on_a_busy_machine(tmp_path: Path) -> None:
    trial = start(tmp_path / "a", 1000, lambda: Outcome(SURVIVED))
    assert trial.limit > time.monotonic() + 3900
    assert ended(trial) == Outcome(SURVIVED)
