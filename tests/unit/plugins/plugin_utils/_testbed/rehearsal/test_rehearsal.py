# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several rehearsals at a time stay within this machine's memory; the result names what a host's forecast has and a boot need not show."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal import rehearsal
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.boot import unreported
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.file_store import Collected, FileStore
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.planned_policy import NO_POLICY, PlannedPolicy
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.trace import parse

GIB = 1 << 30


@pytest.fixture(autouse=True)
def eight_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "_memory", lambda name: 8 * GIB if name == "MemTotal" else None)


@pytest.mark.parametrize(("each", "machines"), [(2 * GIB, 3), (16 * GIB, 1)])
def test_what_fits_is_allowed(each: int, machines: int) -> None:
    """One alone is judged by what is free when it starts."""
    rehearsal._check_total(each, machines)


def test_more_than_there_is_names_how_many_fit() -> None:
    with pytest.raises(HostError, match=r"^forks: 4 machines of 2048 MiB, .* this machine has 8192 MiB.*Allowed are up to 3 "):
        rehearsal._check_total(2 * GIB, 4)


@pytest.mark.parametrize(("functions", "fits"), [(10, True), (60, False)])
def test_the_servers_of_the_functions_count(tmp_path: Path, functions: int, fits: bool) -> None:
    """Three machines of 2 GiB fit into 8 GiB alone, but not with 60 servers each."""
    places = [f"0000:00:{slot:02x}.{number}" for slot in range(2, 0x1C) for number in range(4)][:functions]
    ids = {"vendor": 0x8086, "device": 0x10D3, "subsystem_vendor": 0, "subsystem_device": 0, "class": 0x020000, "revision": 0}
    files = {"physical_function": None, "resource": "", "configuration": bytes(256).hex()}
    listed = [{**ids, **files, "address": address, "path": f"/devices/pci0000:00/{address}"} for address in places]
    facts = {"kernels": [], "functions": listed}
    settings = rehearsal.RehearsalSettings(2 * GIB, 1, 3, 1, 1, 1, "tcg", keep=False, mirror=None)
    cache = Cache.at(str(tmp_path))
    one = rehearsal.Rehearsal(cache, FileStore.of(cache, "host"), Collected((), facts), settings, Progress("host", print))
    if fits:
        assert one.run()["kernels"] == []
    else:
        with pytest.raises(HostError, match=r"^forks: 3 machines of \d{4} MiB, with the servers of their functions, do not fit: "):
            one.run()


CARD, RELEASE = "0000:3b:00.0", "6.12.1"
OFFERED = f'''@rehearsal trace (udev-worker)-7 [000] ..... 2.0: offered: (really_probe+0x0/0x10) dev="{CARD}" drv="nvme"'''


def rehearsed(folder: Path, policy: PlannedPolicy, *, is_bound: bool) -> tuple[dict[str, t.Any], list[str]]:
    """The card's row and what differs, after one boot of a host with a rule for the event that follows a driver."""
    rule: dict[str, t.Any] = {
        "source": "/etc/x.rules:1",
        "fact": "driver/unbind",
        "acts": [],
        "event": "bind",
        "device": CARD,
        "drivers": None,
        "modules": None,
    }
    forecast = {"winner": None, "certainty": "certain", "because": [], "claimed": None, "hidden": [rule]}
    devices = [{"address": CARD, "kernels": {RELEASE: forecast}}]
    facts = {"forecast": {"devices": devices}, "functions": [{"address": CARD}], "missing": [], "efi": False}
    settings = rehearsal.RehearsalSettings(GIB, 1, 1, 1, 1, 1, "tcg", keep=False, mirror=None)
    cache = Cache.at(str(folder))
    store = FileStore.of(cache, "host")
    one = rehearsal.Rehearsal(cache, store, Collected((), facts), settings, Progress("host", print), policy)
    report = parse("\n".join((OFFERED, f"@rehearsal owner {CARD} {'nvme' if is_bound else ''}", "@rehearsal end")))
    one._note(RELEASE, [report])
    (row,) = one._rows(RELEASE, [report], {}, {})
    return row, [line for line in one.different if line.startswith(CARD)]


@pytest.mark.parametrize("policy", [NO_POLICY, PlannedPolicy({"/etc/modprobe.d/x.conf": ("", 0o644)})])
def test_what_the_boot_need_not_show_is_named_with_or_without_a_planned_policy(tmp_path: Path, policy: PlannedPolicy) -> None:
    row, different = rehearsed(tmp_path, policy, is_bound=False)
    assert "/etc/x.rules:1" in row["why"]
    assert [("/etc/x.rules:1" in line) for line in different] == [True]
    row, different = rehearsed(tmp_path, policy, is_bound=True)
    assert "/etc/x.rules:1" not in row["why"]
    assert different == []


@pytest.mark.parametrize(
    ("file_system", "storage", "no_modules", "said"),
    [
        (False, ["ahci"], None, r"have no ext4, which the machine's root file system is\.$"),
        (True, [], None, r"drive none of the disks that the machine can have: virtio, AHCI, NVMe\.$"),
        (False, [], "nomodule", r"have no ext4, .* nomodule on the kernel's command line forbids to load any module\.$"),
    ],
)
def test_a_kernel_that_cannot_come_to_a_root_is_not_booted(
    tmp_path: Path, file_system: bool, storage: list[str], no_modules: str | None, said: str
) -> None:
    kernel = {"release": RELEASE, "file_system": file_system, "storage": storage, "no_modules": no_modules}
    devices = [{"address": CARD, "kernels": {}}]
    function = {"address": CARD, "path": None, "physical_function": None, "configuration": "", "class": 0x030200}
    facts = {"kernels": [kernel], "forecast": {"devices": devices}, "functions": [function], "missing": [], "left_out": []}
    settings = rehearsal.RehearsalSettings(GIB, 1, 1, 1, 1, 1, "tcg", keep=False, mirror=None)
    cache = Cache.at(str(tmp_path))
    one = rehearsal.Rehearsal(cache, FileStore.of(cache, "host"), Collected((), facts), settings, Progress("host", print))
    (found,) = one.run()["kernels"]
    assert found["boots"] == 0
    assert [row["result"] for row in found["devices"]] == ["not rehearsed"]
    assert re.search(said, found["devices"][0]["why"])


PANIC = """[   81.472491] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\r
[   81.476895] CPU: 0 UID: 0 PID: 1 Comm: init Not tainted 7.3.4+deb13-amd64\r
[   81.500597] Kernel Offset: disabled\r
"""


@pytest.mark.parametrize(
    ("console", "is_in_time", "said"),
    [
        (PANIC, True, "The kernel of the rehearsal panicked: Attempted to kill init! exitcode=0x00000100 Look at"),
        (PANIC, False, "The kernel of the rehearsal panicked: Attempted to kill init! exitcode=0x00000100 Look at"),
        (
            "[ 1.0] reboot: Power down\n",
            True,
            "The machine of the rehearsal ended before its report. Its console ends with: its end Look at",
        ),
        ("[ 1.0] e1000\n", False, "did not come to its report within 90 s. Its console ends with: its end Raise timeout, or look at"),
    ],
)
def test_a_boot_without_a_report_says_why_there_is_none(console: str, is_in_time: bool, said: str) -> None:
    assert said in str(unreported(console, "its end", 90, is_in_time))
