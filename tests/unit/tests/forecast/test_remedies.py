# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that are suggested on recorded hosts help and harm no device, and one that does not is noticed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import command
import pytest
import recorded_hosts
from records import Corpus

from ansible_collections.vfio.variants.plugins.module_utils._core.policy import suggested_change

EVERY = 350


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a campaign has found is neither used nor forgotten."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def processor_seconds() -> float:
    """Of this process and those that it has waited for: what else the machine does is not counted."""
    return sum(os.times()[:4])


def run(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, list[str]]:
    """What is said about a sample of the hosts."""
    corpus = Corpus.known(command.OBSERVED)
    boots = folder / "boots.jsonl"
    records = [corpus.find(case) for case in corpus.cases()[::EVERY]]
    boots.write_text("".join(f"{record.text()}\n" for record in records if record is not None), encoding="utf-8")
    shutil.copy(recorded_hosts.beside(command.OBSERVED), recorded_hosts.beside(boots))
    return command.main(["--remedies", str(boots), "--jobs", "1", *more]), capsys.readouterr().out.splitlines()


@pytest.mark.sampled(6)
def test_every_change_that_is_suggested_helps_and_harms_no_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = run(tmp_path, capsys)
    assert status == 0
    assert said[-1].endswith(" passed, 0 failed")
    assert int(said[-1].split()[0]) > 5
    begun = processor_seconds()
    assert run(tmp_path, capsys) == (status, said)
    assert processor_seconds() - begun < 5


def test_hosts_that_are_left_are_counted_and_judged_by_the_next_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = run(tmp_path, capsys, "--minutes", "0")
    assert status == 1
    assert said == [
        "4 hosts are left for the next run, which goes on where this one ended",
        "FAILED: no change was suggested at all",
        "0 passed, 1 failed",
    ]


@pytest.mark.sampled(4)
def test_a_change_that_does_not_help_fails_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suggested_change.Search, "_moved", lambda _self, _change, device, _driver: (device.address,))
    status, said = run(tmp_path, capsys)
    assert status == 1
    assert any(line.startswith("FAILED: ") for line in said)
