# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What boot_policy accepts is held against recorded boots, and a boot that says otherwise is noticed."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import command
import policies
import pytest
import recorded_hosts
from policies import Answer
from policy_generator import decision_of, files_of
from records import Corpus, Record
from targets import TARGETS

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import Selector
from ansible_collections.vfio.variants.plugins.module_utils._core.policy import outcome

KINDS = {(strategy, answer) for strategy in ("override", "ids", "blacklist") for answer in ("accepted", "refused")}


def some_policies() -> dict[tuple[str, str], Record]:
    """One boot of each strategy, accepted when it was booted or refused."""
    corpus = Corpus.known(command.POLICIES)
    as_they_are = [case for case in corpus.cases() if not policies.is_off(case.configuration)]
    chosen: dict[tuple[str, str], Record] = {}
    for case in as_they_are:
        *_of_the_host, strategy, answer = case.directives
        found = corpus.find(case)
        assert found is not None
        chosen.setdefault((strategy.removeprefix("policy: "), answer), found)
    return chosen


def judged(folder: Path, capsys: pytest.CaptureFixture[str], *records: Record) -> tuple[int, list[str]]:
    boots = folder / "policies.jsonl"
    boots.write_text("".join(f"{record.text()}\n" for record in records), encoding="utf-8")
    shutil.copy(recorded_hosts.beside(command.POLICIES), recorded_hosts.beside(boots))
    return command.main(["--policies", str(boots)]), capsys.readouterr().out.splitlines()


def owned_by(record: Record, driver: str | None) -> Record:
    return dataclasses.replace(record, owners=dict.fromkeys(record.owners, driver))


@pytest.mark.sampled(4)
def test_recorded_policies_of_each_strategy_agree_with_their_boots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = some_policies()
    assert chosen.keys() == KINDS
    status, said = judged(tmp_path, capsys, *chosen.values())
    assert status == 0
    assert f"0 {Answer.OTHER_FILES.value}" in said
    assert f"0 {Answer.WON.value}" not in said


def test_an_accepted_policy_that_lost_its_boot_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = some_policies()["override", "accepted"]
    status, said = judged(tmp_path, capsys, owned_by(record, "e1000e"))
    assert status == 1
    assert any(line.startswith(f"FAILED: {record.case.configuration.name}") and Answer.WRONG.value in line for line in said)


@pytest.mark.sampled(4)
def test_a_boot_policy_that_refuses_nothing_fails_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [record for (_strategy, answer), record in some_policies().items() if answer == "refused"]
    monkeypatch.setattr(outcome, "_is_lost", lambda *_given: False)
    status, said = judged(tmp_path, capsys, *records)
    assert status == 1
    assert any(line.startswith("FAILED: policy-") and Answer.WRONG.value in line for line in said)


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("by_hand", "counts"), [('ACTION=="add", SUBSYSTEM=="pci", ATTR{power/control}="on"', False), ("# a comment", True)]
)
def test_files_that_boot_policy_writes_otherwise_prove_nothing(
    by_hand: str, counts: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = some_policies()["override", "accepted"]
    configuration = record.case.configuration
    rules = {path: text + f"{by_hand}\n" for path, text in configuration.root_files.items() if path == policies.PATHS.rules}
    assert rules
    case = dataclasses.replace(
        record.case, configuration=dataclasses.replace(configuration, root_files={**configuration.root_files, **rules})
    )
    _status, said = judged(tmp_path, capsys, dataclasses.replace(record, case=case))
    assert (f"1 {Answer.OTHER_FILES.value}" in said) is not counts


@pytest.mark.sampled(6)
@pytest.mark.parametrize("strategy", ["override", "ids", "blacklist"])
def test_a_policy_that_is_switched_off_and_keeps_its_card_fails_the_run(
    strategy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = Corpus.known(command.POLICIES)
    off = [
        case
        for case in corpus.cases()
        if policies.is_off(case.configuration) and case.directives[-2:] == (f"policy: {strategy}", "accepted")
    ]
    found = corpus.find(off[0])
    assert found is not None
    status, said = judged(tmp_path, capsys, found)
    assert (status, f"0 {Answer.OFF.value}" in said) == (0, False)
    claimed = policies.claims_in(off[0].configuration.root_files)[0].driver
    status, said = judged(tmp_path, capsys, owned_by(found, claimed.replace("vfio_pci", "vfio-pci")))
    assert status == 1
    assert any(Answer.NOT_OFF.value in line and line.startswith("FAILED: policy-") for line in said)


@pytest.mark.parametrize("strategy", ["override", "ids", "blacklist"])
def test_what_asks_for_the_word_is_all_that_is_left_out(strategy: str) -> None:
    decision = decision_of(
        TARGETS[0], strategy, Selector(TARGETS[0].id, vendor=TARGETS[0].vendor, device=TARGETS[0].device), *policies.VFIO
    )
    lines = [line for text in files_of(decision, TARGETS[0]).values() for line in text.splitlines() if not line.startswith("#")]
    kept = [line for line in lines if not policies.asks_for_word(line)]
    assert kept
    assert not any("vfio_variants" in line for line in kept)
    assert all("vfio_variants" in line or line.startswith("install vfio_pci ") for line in lines if line not in kept)


def test_too_few_answers_fail_the_run() -> None:
    said: list[str] = []
    assert policies.end([], policies.LEAST, said.append) == 1
    assert len([line for line in said if line.startswith("FAILED: 0 ")]) == len(policies.LEAST)


def test_nothing_else_is_judged_beside_policies(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--policies", "--replay"])
    assert "goes with neither" in capsys.readouterr().err


@pytest.mark.sampled(6)
def test_parts_that_follow_one_another_are_all_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    boots = tmp_path / "policies.jsonl"
    records = list(some_policies().values())
    boots.write_text("".join(f"{record.text()}\n" for record in records), encoding="utf-8")
    shutil.copy(recorded_hosts.beside(command.POLICIES), recorded_hosts.beside(boots))

    def counted(*words: str) -> int:
        assert command.main(["--policies", str(boots), *words]) == 0
        return sum(int(line.split()[0]) for line in capsys.readouterr().out.splitlines() if line[:1].isdigit())

    whole = counted()
    parts = [counted("--every", "2", "--first", str(number)) for number in (0, 1)]
    assert sum(parts) == whole
    assert all(0 < part < whole for part in parts)
    # A commit's number goes beyond the parts.
    assert counted("--every", "2", "--first", "7") == parts[1]


@pytest.mark.parametrize("words", [("--every", "0"), ("--first", "-1"), ("--mutations", "--rewrite", "--every", "2")], ids=" ".join)
def test_parts_that_make_no_sense_are_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main([*words])
    assert "--every" in capsys.readouterr().err


def test_a_part_has_to_give_a_share_of_the_answers() -> None:
    assert policies.least(1) == policies.LEAST
    assert all(0 < number <= policies.LEAST[answer] // 4 for answer, number in policies.least(4).items())
