# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was kept of the boots of whole hosts, and what the documentation says of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import world_command
import world_hosts
import world_replay
import world_table
from configuration import SERIES
from world_comparison import Judged, JudgedHost, Result
from world_configuration import Planted, World
from world_records import Record, Records
from world_tree import WorldTrees

PAGE = Path(__file__).resolve().parents[4] / "docs/who-wins.md"
RECORDS = Records(world_command.BOOTS).all()
SAMPLE = 4


def table() -> dict[str, list[str]]:
    """The cells of each row of the page's table, by its first."""
    part = PAGE.read_text(encoding="utf-8").partition(world_table.BEGIN)[2].partition(world_table.END)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.split("\n") if line.startswith("| ")]
    return {row[0]: row[1:] for row in rows[1:]}


def test_every_kernel_was_booted() -> None:
    assert {record.world.series for record in RECORDS} == set(SERIES)


def test_the_page_counts_the_recorded_hosts_and_says_of_each_mechanism_how_it_is_followed() -> None:
    rows = table()
    assert rows["all"][0] == str(len(RECORDS))
    planted = {one.mechanism for record in RECORDS for one in record.world.planted}
    assert [name for name in sorted(planted) if world_table.group_of(name) is None] == []
    assert all(row[-1] for title, row in rows.items() if title not in ("all", world_table.NOTHING))
    assert {group.title for group in world_table.GROUPS} <= {*rows, "a configuration of the other generator"}


def test_the_page_says_that_no_answer_was_wrong_and_its_rows_add_up() -> None:
    for row in table().values():
        functions, certain, race = (int(cell) for cell in row[1:4])
        unknown = re.match(r"(\d+) \((\d+)%\)", row[4])
        assert unknown is not None
        assert functions == certain + race + int(unknown[1])
        assert int(unknown[2]) == round(100 * int(unknown[1]) / functions)
        assert row[5] == "0"


def test_a_table_counts_functions_by_what_is_planted_on_them(tmp_path: Path) -> None:
    functions = tuple(
        Judged(f"0000:00:0{number}.0", result, certainty, (None,), None)
        for number, (result, certainty) in enumerate(((Result.OPEN, "unknown"), (Result.RIGHT, "certain"), (Result.POSSIBLE, "race")))
    )
    world = World("world-1", "7.3", planted=(Planted("timer", "0000:00:00.0"), Planted("cron", "0000:00:01.0"), Planted("alias")))
    page = tmp_path / "page.md"
    page.write_text(f"before\n{world_table.BEGIN}\nold\n{world_table.END}\nafter\n", encoding="utf-8")
    world_table.write(page, [JudgedHost(world, functions)])
    lines = page.read_text(encoding="utf-8").split("\n")
    assert "| timers, sockets and paths | 1 | 1 | 0 | 0 | 1 (100%) | 0 |" in " ".join(line.partition(" noticed")[0] for line in lines)
    assert any(line.startswith(f"| {world_table.NOTHING} | 1 | 1 | 0 | 1 | 0 (0%) | 0 |") for line in lines)
    assert any(line.startswith("| all | 1 | 3 | 1 | 1 | 1 (33%) | 0 |") for line in lines)
    assert (lines[0], "old" in lines, "after" in lines) == ("before", False, True)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = RECORDS[0]
    place = Records(tmp_path / "boots.jsonl")
    place.add(record)
    assert Records(tmp_path / "boots.jsonl").find(record.world) == Record.parse(record.text())
    assert place.write(tmp_path / "boots.jsonl.xz") == 1
    assert Records(tmp_path / "boots.jsonl.xz").all()[0].seen.owners == record.seen.owners


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> WorldTrees:
    place = tmp_path_factory.mktemp("worlds")
    return WorldTrees(world_hosts.read(world_command.HOSTS, place / "hosts"), place)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("number", range(SAMPLE))
def test_a_recorded_host_ended_as_predicted(trees: WorldTrees, number: int) -> None:
    host = world_replay.Replay(trees).one(RECORDS[number * len(RECORDS) // SAMPLE])
    assert host.error == ""
    assert not host.is_bad


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("name", "address"),
    [
        # A unit may load a module in whose place an install command takes another device.
        ("world-180", "0000:00:07.0"),
        # A rule that asks for a driver that never comes loads nothing, so that ids= counts later.
        ("world-400", "0000:01:00.0"),
        # Nothing in the initramfs tells udev's version, and this one lets a rule set MODALIAS.
        ("world-401", "0000:02:00.0"),
        # What driverctl has to load is refused where a sysctl came first that forbids modules.
        ("world-499", "0000:00:08.0"),
    ],
)
def test_a_boot_that_contradicted_a_prediction_is_predicted(trees: WorldTrees, name: str, address: str) -> None:
    host = world_replay.Replay(trees).one(next(record for record in RECORDS if record.world.name == name))
    assert next(function.result for function in host.functions if function.address == address) in (Result.RIGHT, Result.OPEN)
    assert not host.is_bad


def test_words_with_quotes_reach_the_kernel_as_they_are(trees: WorldTrees, tmp_path: Path) -> None:
    plain, quoted = (World("world-1", "7.3", cmdline=(f"vfio-pci.ids={value}",)) for value in ("1:2", '"1:2"'))
    assert "ids=1:2" in (trees.lay_out(plain, tmp_path / "plain") / "boot/grub/grub.cfg").read_text()
    root = trees.lay_out(quoted, tmp_path / "quoted")
    assert 'vfio-pci.ids="1:2"' in (root / "boot/extlinux/extlinux.conf").read_text()
    assert not (root / "boot/grub/grub.cfg").exists()
