# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts on which virtual functions exist now: a boot begins without any, so what is certain of them is what is sure to create them.

Their truth is in Linux's drivers/pci/iov.c: sriov_init() clears VF Enable, and sriov_numvfs_store() wants a bound driver, no number
that is too large, and none beside another; and in what udev does at which event.
"""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit import worked_examples
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.driver_files import Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_info
from ansible_collections.vfio.variants.tests.unit.policy_hosts import run
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

PF, FIRST, SECOND = "0000:5e:00.0", "0000:5e:00.2", "0000:5e:00.3"
MELLANOX = "kernel/drivers/net/ethernet/mellanox/mlx5/core/mlx5_core"
IDS = (Entry(0x15B3, 0x101D), Entry(0x15B3, 0x101E))
ALIASES = [f"pci:v000015B3d0000{entry.device:04X}sv*sd*bc*sc*i*" for entry in IDS]
RULE, OPTIONS = "/etc/udev/rules.d/70-vf.rules", "/etc/modprobe.d/vf.conf"
WRITES = 'ATTR{sriov_numvfs}="2"'
ITS = f'SUBSYSTEM=="pci", KERNEL=="{PF}"'
TO_VFIO = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{FIRST}", ATTR{{driver_override}}="vfio-pci", RUN{{builtin}}+="kmod load vfio-pci"\n'
PF_TO_VFIO = TO_VFIO.replace(FIRST, PF)
UNIT, WANTED = "/etc/systemd/system/vf.service", "/etc/systemd/system/multi-user.target.wants/vf.service"
NOT_SEEN = f"Nothing that was seen creates virtual functions of {PF}"


def host(root: Path, files: t.Mapping[str, str], most: int = 8, made: int = 2) -> Tree:
    """A Debian 13 with a ConnectX-6, whose driver is its functions' as well, and some functions."""
    example = worked_examples.Example("functions", {worked_examples.DEVICES: "0000:00:01.0 0604: 8086:1901\n", **files}, (), None, (0, 0))
    tree = example.host(root)
    known = {f"{one.folder}/{name}": ([one.alias], one.file()) for name, one in worked_examples.MODULES.items() if name != "e1000e"}
    module = worked_examples.MODULES["vfio-pci"]
    taken = driver_file(
        DEBIAN_13, [Driver(b"vfio-pci", (module.entry,))], aliases=[module.alias], parmtype="ids:string\0parmtype=enable_sriov:bool"
    )
    known[f"{module.folder}/vfio-pci"] = [module.alias], taken
    known[MELLANOX] = ALIASES, driver_file(DEBIAN_13, [Driver(b"mlx5_core", IDS)], aliases=ALIASES)
    tree.kernel(DEBIAN_13, {path: aliases for path, (aliases, _file) in known.items()}, running=True)
    for path, (_aliases, content) in known.items():
        tree.file(f"/lib/modules/{DEBIAN_13}/{path}.ko", content)
    tree.pci(PF, "15b3:101d", class_code=0x020000, driver="mlx5_core", group=30, max_virtual_functions=most, nodes=["net/ens1f0"])
    for number in range(made):
        address = f"0000:5e:00.{number + 2}"
        tree.pci(address, "15b3:101e", class_code=0x020000, driver="mlx5_core", group=31 + number, physical_function=PF)
    return tree.link(WANTED, UNIT) if UNIT in files else tree


def answers(tree: Tree) -> dict[str, dict[str, t.Any]]:
    return {device["address"]: device["kernels"][DEBIAN_13] for device in device_info(tree.host(Commands(tree.root)))["devices"]}


@dataclasses.dataclass(frozen=True)
class Open:
    """A host about whose functions nothing is certain, and what its reason names."""

    files: t.Mapping[str, str]
    named: str


SERVICE = "[Unit]\nDescription=x\n[Service]\nType=oneshot\nExecStart={}\n"
OPEN: dict[str, Open] = {
    "nothing creates them": Open({}, NOT_SEEN),
    "nothing creates them, and a rule is for one": Open({RULE: TO_VFIO}, NOT_SEEN),
    "nothing creates them, and driverctl has saved one": Open({f"/etc/driverctl.d/pci-{FIRST}": "vfio-pci\n"}, NOT_SEEN),
    "a rule for the card's interface": Open(
        {RULE: f'ACTION=="add", SUBSYSTEM=="net", KERNELS=="{PF}", ATTR{{device/sriov_numvfs}}="2"\n'}, f"{RULE}:1 may create"
    ),
    "a rule for every interface of a driver": Open(
        {RULE: 'ACTION=="add", SUBSYSTEM=="net", ENV{ID_NET_DRIVER}=="mlx5_core", ATTR{device/sriov_numvfs}="2"\n'}, f"{RULE}:1 may create"
    ),
    "a rule for the interface of another card": Open(
        {RULE: 'ACTION=="add", SUBSYSTEM=="net", KERNELS=="0000:af:00.0", ATTR{device/sriov_numvfs}="2"\n'}, NOT_SEEN
    ),
    "a rule that comes before the driver": Open({RULE: f'ACTION=="add", {ITS}, {WRITES}\n'}, "at an event at which mlx5_core may not be"),
    "a rule that asks a program": Open({RULE: f'{ITS}, PROGRAM=="/usr/local/bin/site", {WRITES}\n'}, f"{RULE}:1 may create"),
    "a rule without a number": Open({RULE: f'{ITS}, ATTR{{sriov_numvfs}}="$env{{COUNT}}"\n'}, f"{RULE}:1 may create"),
    "a rule that goes by the driver": Open(
        {RULE: f'ACTION=="bind", SUBSYSTEM=="pci", DRIVER=="mlx5_core", ATTR{{sriov_totalvfs}}=="?*", {WRITES}\n'}, f"{RULE}:1 may create"
    ),
    "a rule for the card by its name": Open({RULE: f'SUBSYSTEM=="net", ATTR{{[pci/{PF}]sriov_numvfs}}="2"\n'}, f"{RULE}:1 may create"),
    "a rule for another card by its name": Open({RULE: 'SUBSYSTEM=="net", ATTR{[pci/0000:af:00.0]sriov_numvfs}="2"\n'}, NOT_SEEN),
    "more than there can be": Open({RULE: f'{ITS}, ATTR{{sriov_numvfs}}="9"\n'}, NOT_SEEN),
    "a rule that is masked with its file": Open(
        {"/usr/lib/udev/rules.d/70-vf.rules": f'ACTION=="add|bind", {ITS}, {WRITES}\n', RULE: ""}, NOT_SEEN
    ),
    "an option of the driver": Open({OPTIONS: "options mlx5_core max_vfs=2\n"}, "options mlx5_core max_vfs=2 may create"),
    "an option of another driver": Open({OPTIONS: "options igb max_vfs=2\n"}, NOT_SEEN),
    "a unit": Open({UNIT: SERVICE.format(f"/bin/sh -c 'echo 2 > /sys/bus/pci/devices/{PF}/sriov_numvfs'")}, "vf.service"),
    "tmpfiles.d": Open({"/etc/tmpfiles.d/vf.conf": f"w /sys/bus/pci/devices/{PF}/sriov_numvfs - - - - 2\n"}, "/etc/tmpfiles.d/vf.conf"),
    "a .link file that describes one": Open(
        {"/etc/systemd/network/10-a.link": "[Match]\nDriver=mlx5_core\n[SR-IOV]\nVirtualFunction=1\n"}, "10-a.link"
    ),
    "a function in a file of netplan": Open(
        {"/etc/netplan/1.yaml": "network:\n  ethernets:\n    ens1f0: {}\n    ens1f0v0: {link: ens1f0}\n"}, "/etc/netplan/1.yaml:4"
    ),
    "a .link file": Open({"/etc/systemd/network/10-a.link": "[Match]\nDriver=mlx5_core\n[Link]\nSR-IOVVirtualFunctions=2\n"}, "10-a.link"),
}


@pytest.mark.parametrize("name", OPEN)
def test_nothing_is_certain_of_functions_that_nothing_is_sure_to_create(tmp_path: Path, name: str) -> None:
    tree = host(tmp_path, OPEN[name].files)
    found = answers(tree)
    assert found[PF]["winner"] == "mlx5_core"
    assert {found[address]["certainty"] for address in (FIRST, SECOND)} == {"unknown"}
    assert {None, "mlx5_core"} <= {*found[SECOND]["outcomes"]}
    assert any(OPEN[name].named in reason for reason in found[SECOND]["because"]), found[SECOND]["because"]
    assert not any(NOT_SEEN in reason for reason in found[SECOND]["because"]) or OPEN[name].named == NOT_SEEN


BOUND = f'ACTION=="bind", {ITS}'
MADE: dict[str, str] = {
    "when its driver has come": f"{BOUND}, {WRITES}\n",
    "at both events, as this collection does": f'ACTION=="add|bind", {ITS}, {WRITES}\n',
    "at every event": f"{ITS}, {WRITES}\n",
    "a hexadecimal number": f'{BOUND}, ATTR{{sriov_numvfs}}="0x2"\n',
    "the first of two numbers": f'{BOUND}, {WRITES}\n{BOUND}, ATTR{{sriov_numvfs}}="1"\n',
    "the first that can be": f'{BOUND}, ATTR{{sriov_numvfs}}="64"\n{BOUND}, {WRITES}\n',
    "the second, after none": f'{BOUND}, ATTR{{sriov_numvfs}}="1"\n{BOUND}, ATTR{{sriov_numvfs}}="0"\n{BOUND}, {WRITES}\n',
}


MANAGER = "/usr/lib/systemd/system/NetworkManager.service"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/NetworkManager/system-connections/a.nmconnection", "[connection]\ninterface-name=ens1f0\n[sriov]\ntotal-vfs=2\n"),
        ("/etc/NetworkManager/conf.d/vf.conf", "[device-a]\nmatch-device=interface-name:ens1f0\nsriov-num-vfs=2\n"),
        ("/etc/NetworkManager/NetworkManager.conf", "[main]\nplugins=keyfile\n[device]\nsriov-num-vfs=2\n"),
        ("/etc/sysconfig/network-scripts/ifcfg-ens1f0", 'DEVICE=ens1f0\nSRIOV_TOTAL_VFS="2"\n'),
    ],
)
def test_networkmanager_may_create_them_where_it_is_started(tmp_path: Path, path: str, text: str) -> None:
    files = {path: text, MANAGER: SERVICE.format("/usr/sbin/NetworkManager --no-daemon")}
    assert NOT_SEEN in str(answers(host(tmp_path / "not", files))[FIRST]["because"])
    tree = host(tmp_path / "started", files).link("/etc/systemd/system/multi-user.target.wants/NetworkManager.service", MANAGER)
    because = str(answers(tree)[FIRST]["because"])
    assert f"{path} makes NetworkManager create virtual functions" in because


@pytest.mark.parametrize("name", MADE)
def test_functions_that_a_rule_creates_are_certain_and_its_line_is_named(tmp_path: Path, name: str) -> None:
    found = answers(host(tmp_path, {RULE: MADE[name]}))
    for address in (FIRST, SECOND):
        assert (found[address]["winner"], found[address]["certainty"]) == ("mlx5_core", "certain")
        assert any(f"{RULE}:" in reason for reason in found[address]["because"])


def test_of_three_functions_the_third_is_gone_where_a_rule_creates_two(tmp_path: Path) -> None:
    found = answers(host(tmp_path, {RULE: MADE["when its driver has come"]}, made=3))
    assert [found[f"0000:5e:00.{number}"]["winner"] for number in (2, 3, 4)] == ["mlx5_core", "mlx5_core", None]
    assert found["0000:5e:00.4"]["because"] == [f"{RULE}:1: creates 2 virtual functions, and this is number 3"]
    assert found["0000:5e:00.4"]["certainty"] == "certain"


def test_a_rule_that_takes_the_functions_away_leaves_none(tmp_path: Path) -> None:
    found = answers(host(tmp_path, {RULE: f'{ITS}, {WRITES}\n{ITS}, ATTR{{sriov_numvfs}}="0"\n'}))
    assert (found[FIRST]["winner"], found[FIRST]["certainty"]) == (None, "certain")
    assert f"{RULE}:2" in found[FIRST]["because"][0]


@pytest.mark.parametrize("made_by", ["", MADE["when its driver has come"]])
def test_a_card_that_goes_to_vfio_pci_has_none(tmp_path: Path, made_by: str) -> None:
    found = answers(host(tmp_path, {RULE: PF_TO_VFIO + made_by}))
    assert (found[PF]["winner"], found[FIRST]["winner"], found[FIRST]["certainty"]) == ("vfio-pci", None, "certain")
    assert "creates virtual functions only with enable_sriov=1" in found[FIRST]["because"][0]


def test_a_card_that_vfio_pci_has_may_be_told_to_create_them_but_somebody_has_to(tmp_path: Path) -> None:
    found = answers(host(tmp_path, {RULE: PF_TO_VFIO, OPTIONS: "options vfio-pci enable_sriov=1\n"}))
    assert (found[FIRST]["certainty"], {*found[FIRST]["outcomes"]}) == ("unknown", {None, "vfio-pci"})


def test_a_card_without_its_driver_has_none(tmp_path: Path) -> None:
    found = answers(host(tmp_path, {OPTIONS: "blacklist mlx5_core\n"}))
    assert (found[FIRST]["winner"], found[FIRST]["certainty"]) == (None, "certain")
    assert "is not bound to a driver" in found[FIRST]["because"][0]


def test_the_check_of_a_claim_says_that_the_function_may_not_be_there(tmp_path: Path) -> None:
    tree = host(tmp_path, {RULE: TO_VFIO})
    result = claim_info(tree.host(Commands(tree.root)), devices=FIRST, driver="vfio-pci")
    assert NOT_SEEN in str(result)


def test_a_claim_for_functions_that_their_driver_is_offered_first_says_how_to_avoid_that(tmp_path: Path) -> None:
    tree = host(tmp_path, {RULE: MADE["when its driver has come"]})
    with pytest.raises(HostError) as raised:
        run(tree, {"devices": "15b3:101e"})
    assert f"they may be bound to mlx5_core: {RULE}:1: creates 2 virtual functions" in str(raised.value)
    assert raised.value.hint == f"Claim {PF} with `vfs`, or let what creates them write 0 to its sriov_drivers_autoprobe before."


def test_a_claim_for_a_function_that_may_not_be_there_is_accepted_with_a_warning(tmp_path: Path) -> None:
    """The rule also holds for one that is created later by hand; and its driver, which is not loaded before, loses."""
    tree = host(tmp_path, {})
    tree.pci("0000:5e:00.4", "15b3:1018", class_code=0x020000, group=40, physical_function=PF)
    result = run(tree, {"devices": "0000:5e:00.4"})
    assert any(NOT_SEEN in warning for warning in result["warnings"])
