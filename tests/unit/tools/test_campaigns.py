# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from devtool import campaigns
from devtool.campaigns import PAGE, Row, is_current, read, run_all, write
from devtool.check import Check
from devtool.checkout import Checkout
from devtool.errors import DevtoolError
from devtool.phases import MAIN_SCENARIO, rotated, scenarios
from devtool.workspace import Workspace

ROOT = Path(__file__).resolve().parents[3]
FIRST_STATE = "---\nscenario:\n  check_sequence:\n    - create\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A repository with two campaigns' worth of files and one commit."""
    root = tmp_path / "tree"
    for name, text in (
        (MAIN_SCENARIO, FIRST_STATE),
        ("one", FIRST_STATE),
        ("two", FIRST_STATE),
        ("whole", "---\nscenario:\n  check_sequence: []\n"),
    ):
        (root / "molecule" / name).mkdir(parents=True)
        (root / "molecule" / name / "molecule.yml").write_text(text, encoding="utf-8")
    (root / "docs").mkdir()
    git(root, "init", "-q")
    commit(root)
    return Checkout(root, tmp_path / "cache")


def git(root: Path, *words: str) -> str:
    argv = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", *words]
    return subprocess.run(argv, cwd=root, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", "a change")


def run_with(monkeypatch: pytest.MonkeyPatch, checkout: Checkout, *asked: str, **codes: int) -> tuple[int, list[str]]:
    """Run campaigns that end with these codes; the result, and those that really ran."""
    ran = checkout.root.parent / "ran"
    ran.write_text("", encoding="utf-8")

    def known(_workspace: Workspace) -> dict[str, Callable[[], Check]]:
        text = "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + '\\n'); sys.exit(int(sys.argv[3]))"
        return {
            name: partial(Check, name, (sys.executable, "-c", text, str(ran), name, str(code)), checkout.root, {})
            for name, code in codes.items()
        }

    monkeypatch.setattr(campaigns, "campaigns", known)
    status = run_all(Workspace(checkout), list(asked))
    return status, ran.read_text(encoding="utf-8").split()


def test_a_run_that_was_cut_off_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch, checkout: Checkout) -> None:
    assert run_with(monkeypatch, checkout, fast=0, slow=1) == (1, ["fast", "slow"])
    assert run_with(monkeypatch, checkout, fast=0, slow=0) == (0, ["slow"])
    assert run_with(monkeypatch, checkout, fast=0, slow=0) == (0, [])


def test_code_that_is_in_no_commit_is_marked_and_never_current(monkeypatch: pytest.MonkeyPatch, checkout: Checkout) -> None:
    (checkout.root / "molecule" / "one" / "molecule.yml").write_text("---\na: b\n", encoding="utf-8")
    run_with(monkeypatch, checkout, fast=0)
    head = git(checkout.root, "rev-parse", "--short=12", "HEAD")
    assert read(checkout.root / PAGE)["fast"].commit == f"{head}+"
    commit(checkout.root)
    assert run_with(monkeypatch, checkout, fast=0) == (0, ["fast"])
    assert not read(checkout.root / PAGE)["fast"].commit.endswith("+")


def test_the_page_itself_makes_no_result_old(monkeypatch: pytest.MonkeyPatch, checkout: Checkout) -> None:
    run_with(monkeypatch, checkout, fast=0)
    commit(checkout.root)
    assert run_with(monkeypatch, checkout, fast=0) == (0, [])


def test_any_other_change_makes_it_old(monkeypatch: pytest.MonkeyPatch, checkout: Checkout) -> None:
    run_with(monkeypatch, checkout, fast=0)
    (checkout.root / "molecule" / "one" / "molecule.yml").write_text("---\na: b\n", encoding="utf-8")
    assert run_with(monkeypatch, checkout, fast=0) == (0, ["fast"])


def test_what_is_asked_for_runs_again(monkeypatch: pytest.MonkeyPatch, checkout: Checkout) -> None:
    run_with(monkeypatch, checkout, fast=0, slow=0)
    assert run_with(monkeypatch, checkout, "slow", fast=0, slow=0) == (0, ["slow"])


def test_the_page_says_what_has_never_run_and_keeps_what_has(checkout: Checkout) -> None:
    page = checkout.root / PAGE
    row = Row("fast one", "ok", 12, 0, 3.5, git(checkout.root, "rev-parse", "HEAD"), "2026-01-02")
    write(page, {row.name: row}, ["fast one", "slow one"])
    assert read(page) == {row.name: row}
    assert "Not run yet: slow one." in page.read_text(encoding="utf-8")
    assert is_current(checkout, row)


def test_a_commit_that_is_not_known_here_is_another_one(checkout: Checkout) -> None:
    assert not is_current(checkout, Row("fast", "ok", 1, 0, 1.0, "0123456789ab", "2026-01-02"))


def test_the_commit_chooses_among_the_other_scenarios(checkout: Checkout) -> None:
    chosen = set()
    for _change in range(40):
        chosen.add(rotated(checkout, ""))
        assert rotated(checkout, "") == rotated(checkout, "")
        (checkout.root / "docs" / "note").write_text(str(len(chosen)) + str(_change), encoding="utf-8")
        commit(checkout.root)
    assert chosen == {"one", "two"}


def test_the_scenario_that_is_asked_for_rides_along(checkout: Checkout) -> None:
    assert rotated(checkout, "two") == "two"
    for name in ("three", "whole"):
        with pytest.raises(DevtoolError, match=f"there is no scenario {name} with a check_sequence besides default; there are one, two"):
            rotated(checkout, name)


def test_the_main_scenario_comes_first(checkout: Checkout) -> None:
    assert scenarios(checkout) == [MAIN_SCENARIO, "one", "two", "whole"]


def test_each_campaign_can_be_asked_for_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    workspace = Workspace(Checkout(ROOT, tmp_path))
    known = list(campaigns.campaigns(workspace))
    monkeypatch.setenv("CAMPAIGN", ", ".join(known))
    assert len(known) > 20
    assert campaigns.asked(workspace) == known


def test_a_campaign_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAMPAIGN", "sanity,no such")
    with pytest.raises(DevtoolError, match="no campaign no such; there are documentation site, "):
        campaigns.asked(Workspace(Checkout(ROOT, tmp_path)))
