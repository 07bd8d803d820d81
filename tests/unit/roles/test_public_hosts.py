# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of public reports, of which `make test-all` tries all; claims are carried out, or refused and nothing is written."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.public_hosts import playing
from ansible_collections.vfio.variants.tests.public_hosts.hosts import HOSTS
from ansible_collections.vfio.variants.tests.unit.test_reported_hosts import GPU

if t.TYPE_CHECKING:
    from pathlib import Path
DONE, REFUSED = "dracut builds the images", "a unit that binds by new_id"


@pytest.mark.sampled(3)
def test_claims_are_carried_out_or_refused(tmp_path: Path) -> None:
    assert playing.played(tmp_path, [DONE, REFUSED]) == {DONE: [], REFUSED: []}


def test_there_are_twenty_hosts_of_both_kinds() -> None:
    refused = sum(host.refused is not None for host in HOSTS.values())
    assert len(HOSTS) >= 20
    assert 5 <= refused <= len(HOSTS) / 2


def test_what_comes_to_another_end_than_it_should_is_noticed(tmp_path: Path) -> None:
    done, refused = (playing.Laid.out(name, tmp_path / name) for name in (DONE, REFUSED))
    before = done.owners()
    claimed = {"devices": [{"address": GPU, "claimed": "vfio-pci"}]}
    # Nothing was written, so the card keeps its driver.
    assert playing.judged(done, before, {"report": claimed}) == [f"{GPU}: {before[GPU]}, not ('vfio-pci', 'certain')"]
    assert playing.judged(done, before, {"report": {"devices": []}}) == ["no device was claimed"]
    assert playing.judged(done, before, {"refused": "no"}) == ["refused: no"]
    (said,) = playing.judged(refused, refused.owners(), {"report": claimed})
    assert said.startswith("carried out, not refused with '/usr/local/bin/vfio-bind.sh")
    refused.tree.file("/etc/modprobe.d/new.conf", "")
    written = playing.judged(refused, refused.owners(), {"refused": "vfio-bind.service runs /usr/local/bin/vfio-bind.sh"})
    assert written == ["refused, and etc/modprobe.d/new.conf was written"]
