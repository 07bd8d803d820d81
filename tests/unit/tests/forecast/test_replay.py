# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was booted before is judged again with nothing but the record."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import command
import pytest
import recorded_hosts
from configuration import COMPRESSIONS, FLOWS, SERIES
from records import AS_IT_IS, Corpus, Record

FORECAST = Path(command.__file__).parent
BOOTS = command.OBSERVED
# What lays hosts out and reads them.  There is no QEMU among it, no compiler, and nothing that fetches packages.
PROGRAMS = ("depmod", "zstd", "lz4", "timeout")
# Whether the modules that build and boot guests were loaded is the last that is said.
PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import command
status = command.main(sys.argv[1:])
print(sorted({"guest_pool", "guest_release", "build_root"} & sys.modules.keys()))
sys.exit(status)
"""


def judge(folder: Path, *arguments: str, programs: tuple[str, ...] = PROGRAMS) -> tuple[int, list[str]]:
    """The command with a path that holds nothing but these programs and a cache that holds nothing: its status, and what it said."""
    path, cache = folder / "bin", folder / "cache"
    path.mkdir()
    cache.mkdir()
    for name in programs:
        (path / name).symlink_to(shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or f"/nonexistent/{name}")
    env = {"PATH": str(path), "XDG_CACHE_HOME": str(cache), "HOME": str(cache), "PYTHONPATH": ":".join(sys.path)}
    argv = [sys.executable, "-c", PROGRAM, str(FORECAST), *arguments]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.stderr == ""
    assert list(cache.iterdir()) == []
    return done.returncode, done.stdout.splitlines()


@pytest.fixture(scope="module")
def chosen() -> list[Record]:
    """Of the record one boot of each flow on each kernel, and more until every compression is among them; all are `make test-all`'s."""
    found: list[Record] = []
    seen: set[object] = set()
    every = Corpus(BOOTS)
    for case in every.cases():
        configuration = case.configuration
        kinds = {(configuration.series, configuration.flow), configuration.compression}
        if not kinds <= seen:
            seen |= kinds
            found += [record for record in every.variations(case) if record.variation == AS_IT_IS]
    return found


@pytest.fixture
def boots(tmp_path: Path, chosen: list[Record]) -> Path:
    """Those in a file with the hosts beside it."""
    path = tmp_path / "boots.jsonl"
    path.write_text("".join(f"{record.text()}\n" for record in chosen), encoding="utf-8")
    shutil.copy(recorded_hosts.beside(BOOTS), recorded_hosts.beside(path))
    return path


@pytest.mark.sampled(4)
def test_recorded_boots_are_judged_where_nothing_can_be_built_fetched_or_booted(tmp_path: Path, boots: Path, chosen: list[Record]) -> None:
    kinds = {(one.case.configuration.series, one.case.configuration.flow) for one in chosen}
    assert kinds == {(series, flow) for series in SERIES for flow in FLOWS}
    assert {one.case.configuration.compression for one in chosen} == set(COMPRESSIONS)
    status, said = judge(tmp_path, "--replay", str(boots), "--answers", str(tmp_path / "answers"))
    assert said[-2:] == [f"{len(chosen)} passed, 0 failed", "[]"]
    assert status == 0
    answers = [line.split("\t") for line in (tmp_path / "answers").read_text().splitlines()]
    assert {tuple(answer[:2]) for answer in answers} >= {
        (record.case.configuration.name, address) for record in chosen for address in record.owners
    }
    assert {answer[3] for answer in answers} >= {"certain", "race"}


@pytest.mark.sampled(3)
def test_a_boot_that_ended_otherwise_than_predicted_fails_the_run(tmp_path: Path, boots: Path, chosen: list[Record]) -> None:
    first = chosen[0]
    address = next(address for address, owner in first.owners.items() if owner is None)
    other = dataclasses.replace(first, owners={**first.owners, address: "another"})
    boots.write_text(f"{other.text()}\n", encoding="utf-8")
    status, said = judge(tmp_path, "--replay", str(boots))
    assert status == 1
    assert "0 passed, 1 failed" in said


def test_a_file_of_boots_that_is_not_there_is_named(tmp_path: Path) -> None:
    status, said = judge(tmp_path, "--replay", str(tmp_path / "none.jsonl"))
    assert (status, said[0]) == (
        1,
        f"FAILED: There is no {tmp_path}/none.jsonl, whose boots are to be judged; --record writes such a file.",
    )


def test_a_file_that_holds_no_boots_is_named(tmp_path: Path) -> None:
    (tmp_path / "boots.jsonl").write_text('{"case": 1}\n')
    status, said = judge(tmp_path, "--replay", str(tmp_path / "boots.jsonl"))
    assert status == 1
    assert said[0].startswith(f"FAILED: {tmp_path}/boots.jsonl is not a record of boots: ")


def test_boots_without_their_hosts_are_not_judged_by_other_hosts(tmp_path: Path, boots: Path) -> None:
    recorded_hosts.beside(boots).unlink()
    why = "which says what the hosts of the boots beside it consist of; --record writes both."
    assert judge(tmp_path, "--replay", str(boots)) == (1, [f"FAILED: There is no {tmp_path}/hosts.tar.xz, {why}", "[]"])


def test_a_kernel_that_the_hosts_lack_is_named(tmp_path: Path, boots: Path, chosen: list[Record]) -> None:
    with tarfile.open(recorded_hosts.beside(BOOTS)) as whole, tarfile.open(recorded_hosts.beside(boots), "w") as part:
        for member in whole:
            if not member.name.startswith("6.12"):
                part.addfile(member, whole.extractfile(member) if member.isfile() else None)
    count = sum(one.case.configuration.series == "6.12" for one in chosen)
    status, said = judge(tmp_path, "--replay", str(boots))
    assert status == 1
    assert said[0] == f"FAILED: {tmp_path}/hosts.tar.xz has no host with kernel 6.12, for which {count} boots are recorded."


def test_a_program_that_unpacks_images_and_is_not_there_is_named(tmp_path: Path, boots: Path) -> None:
    status, said = judge(tmp_path, "--replay", str(boots), programs=("depmod", "zstd", "timeout"))
    assert status == 1
    assert said[0].startswith("FAILED: This machine has no program lz4")


@pytest.mark.parametrize("other", [("--record", "x"), ("--races", "1")])
def test_who_asks_for_boots_as_well_is_told_that_there_are_none(other: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--replay", *other])
    assert "boot nothing" in capsys.readouterr().err
