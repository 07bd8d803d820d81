# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several rehearsals at a time stay within this machine's memory; the result names what a host's forecast has and a boot need not show."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal import rehearsal
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
    with pytest.raises(HostError, match=r"^forks: 4 machines of 2048 MiB do not fit: this machine has 8192 MiB.*Allowed are up to 3 "):
        rehearsal._check_total(2 * GIB, 4)


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
