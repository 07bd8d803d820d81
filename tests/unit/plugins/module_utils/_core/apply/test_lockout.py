# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that would lose their disk, network or console with a device: each is refused live and for the next boot, with a sentence."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guard_table import IGNORE, OPTIONAL
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses import UseGuard
from ansible_collections.vfio.variants.tests.unit.lockout_by_names import BY_NAMES
from ansible_collections.vfio.variants.tests.unit.lockout_devices import DEVICES
from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, OTHER, Case, Host
from ansible_collections.vfio.variants.tests.unit.lockout_indirect import INDIRECT
from ansible_collections.vfio.variants.tests.unit.lockout_layers import LAYERS
from ansible_collections.vfio.variants.tests.unit.lockout_machines import MACHINES
from ansible_collections.vfio.variants.tests.unit.lockout_members import MEMBERS
from ansible_collections.vfio.variants.tests.unit.lockout_others import OTHERS
from ansible_collections.vfio.variants.tests.unit.lockout_rare import RARE, from_here, listened, of_can
from ansible_collections.vfio.variants.tests.unit.lockout_stacks import STACKS
from ansible_collections.vfio.variants.tests.unit.lockout_storage import STORAGE
from ansible_collections.vfio.variants.tests.unit.lockout_targets import TARGETS_AND_FLASH
from ansible_collections.vfio.variants.tests.unit.lockout_words import WORDS
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_claim
from ansible_collections.vfio.variants.tests.unit.policy_hosts import contents, run

if t.TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = dict.fromkeys(OPTIONAL, IGNORE)
PARTS = (STORAGE, OTHERS, MACHINES, LAYERS, DEVICES, WORDS, TARGETS_AND_FLASH, RARE, BY_NAMES, INDIRECT, MEMBERS, STACKS)
REFUSED = {name: case for part in PARTS for name, case in part.items()}


@pytest.fixture(params=REFUSED)
def case(request: pytest.FixtureRequest) -> Case:
    return REFUSED[request.param]


@pytest.fixture
def host(case: Case, tmp_path: Path) -> Host:
    built = Host(tmp_path)
    case.build(built)
    return built


def live(host: Host, guards: dict[str, str] | None = None, check_mode: bool = False, **more: t.Any) -> dict[str, t.Any]:
    given = {"devices": CARD, "driver": "vfio-pci", "guards": guards or {}, **more}
    return device_claim(host.tree.host(host.commands()), check_mode, **given)


def next_boot(host: Host, guards: dict[str, str] | None = None, **more: t.Any) -> dict[str, t.Any]:
    return run(host.tree, {"devices": CARD, "driver": "vfio-pci", "guards": guards or {}}, **more)


@pytest.mark.sampled(3)
def test_it_is_refused_live(case: Case, host: Host) -> None:
    for check_mode in (True, False):
        with pytest.raises(HostError) as caught:
            live(host, check_mode=check_mode)
        assert case.says in caught.value.msg
    assert host.tree.place(f"{host.card}/driver_override").read_text() == "(null)\n"


@pytest.mark.sampled(6)
def test_it_is_refused_for_the_next_boot(case: Case, host: Host) -> None:
    before = contents(host.tree)
    for check in (True, False):
        with pytest.raises(HostError) as caught:
            next_boot(host, check=check)
        assert case.says in caught.value.msg
    assert contents(host.tree) == before


@pytest.mark.sampled(6)
def test_only_what_the_host_can_do_without_is_overridden(case: Case, host: Host) -> None:
    if case.guard in OPTIONAL:
        assert live(host, {**EVERYTHING}, check_mode=True)["changed"]
        assert next_boot(host, EVERYTHING, check=True)["changed"]
        return
    for take in (live, next_boot):
        with pytest.raises(HostError, match="Nothing overrides this"):
            take(host, EVERYTHING)


@pytest.mark.sampled(6)
def test_claim_info_says_which_guard_it_is(case: Case, host: Host) -> None:
    (device,) = claim_info(host.tree.host(host.commands()), devices=CARD, driver="vfio-pci", kernels=["all"])["devices"]
    assert (case.guard, True) in [(found["guard"], case.says in found["what"]) for found in device["guards"]]


@pytest.mark.sampled(6)
def test_a_card_beside_it_may_go(case: Case, host: Host) -> None:
    """Whatever the host depends on, it does not depend on a second GPU without a disk, an interface or a screen."""
    assert case.build is not None
    host.function("gpu", OTHER, id="10de:1db4")
    assert live(host, devices=OTHER, check_mode=True)["changed"]
    assert run(host.tree, {"devices": OTHER, "driver": "vfio-pci"}, check=True)["changed"]


def test_each_guard_of_a_use_has_hosts() -> None:
    assert {case.guard for case in REFUSED.values()} == set(t.get_args(UseGuard))
    assert len(REFUSED) == sum(map(len, PARTS))


@pytest.mark.parametrize("command", ["lldpd", "systemd-network", "dhclient"])
def test_a_program_that_listens_on_each_link_uses_none(tmp_path: Path, command: str) -> None:
    assert live(listened(Host(tmp_path), command), check_mode=True)["changed"]


def test_a_controller_of_a_bus_that_is_down_is_not_used(tmp_path: Path) -> None:
    assert live(of_can(Host(tmp_path), "0x40080"), check_mode=True)["changed"]


def test_a_socket_on_another_interface_is_none_on_this(tmp_path: Path) -> None:
    host = listened(Host(tmp_path))
    host.file(f"{host.card}/net/enp3s0/ifindex", "4\n")
    assert live(host, check_mode=True)["changed"]


def test_who_has_logged_in_at_the_machine_itself_needs_no_interface(tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        live(from_here(Host(tmp_path)), check_mode=True)
    assert "has the address" in caught.value.msg
    assert "SSH connection" not in caught.value.msg


@pytest.mark.parametrize("earlier", ["UNKNOWN 65535 UNKNOWN 65535", "a b", "127.0.0.1 " + "9" * 5000 + " 127.0.0.1 22"])
def test_a_connection_that_says_nonsense_is_none(tmp_path: Path, earlier: str) -> None:
    host = from_here(Host(tmp_path)).file("/proc/600/stat", "600 (ssh) S 599 600 600 0\n")
    host.file("/proc/599/environ", f"SSH_CONNECTION={earlier}\0").file("/proc/599/stat", "599 (sh) S 1 599 599 0\n")
    with pytest.raises(HostError):
        live(host, check_mode=True)
