# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual functions that a claim asks for are created at boot and bound by their own driver, although they do not exist yet."""

from __future__ import annotations

import os
import shutil
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory, VirtualLayout
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_claim
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.model_kernel import ModelKernel
from ansible_collections.vfio.variants.tests.unit.policy_hosts import RULES, STOCK, kernel, lines, refused, run
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

PF, OTHER = "0000:5e:00.0", "0000:5e:00.1"
PF_ALIAS, VF_ALIAS = "pci:v000015B3d0000101Dsv*sd*bc*sc*i*", "pci:v000015B3d0000101Esv*sd*bc*sc*i*"
MODULES = {
    **STOCK,
    "mlx5_core": [PF_ALIAS, VF_ALIAS],
    "mlx5_vfio_pci": ["vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i*"],
}
CARDS = ("0000:1b:00.0", "0000:1c:00.0")
MADE = 'ATTR{sriov_drivers_autoprobe}="0", ATTR{sriov_numvfs}='


def host(root: Path, most: int = 8, offset: int = 2, stride: int = 1, made: int = 0) -> Tree:
    """A ConnectX with two ports, bound to its native driver; ``made`` virtual functions exist and have it as well."""
    tree = kernel(Tree(root), DEBIAN_13, MODULES)
    for address in (PF, OTHER):
        tree.pci(address, "15b3:101d", class_code=0x020000, driver="mlx5_core", group=int(address[-1]) + 7, max_virtual_functions=most)
        here = f"/sys/devices/pci0000:5e/{address}"
        for name, value in {"sriov_offset": offset, "sriov_stride": stride, "sriov_numvfs": 0}.items():
            tree.file(f"{here}/{name}", f"{value}\n")
        tree.file(f"{here}/sriov_vf_device", "101e\n")
    for number in range(made):
        address = f"0000:5e:00.{offset + stride * number:x}"
        tree.pci(address, "15b3:101e", class_code=0x020000, driver="mlx5_core", group=20 + number, physical_function=PF)
    return tree.directory("/etc/modprobe.d")


def claim(count: object, **more: t.Any) -> dict[str, t.Any]:
    return {"devices": PF, "vfs": count, **more}


def test_sysfs_says_what_they_will_be(tmp_path: Path) -> None:
    found = Inventory.read(host(tmp_path, offset=16, stride=2).host()).get(PF)
    assert found is not None
    assert found.virtual_layout == VirtualLayout(16, 2, 0x101E)


def test_the_bridge_before_it_says_on_which_bus_the_last_can_be(tmp_path: Path) -> None:
    tree = host(tmp_path, offset=16, stride=2).file("/sys/devices/pci0000:5e/subordinate_bus_number", "94\n")
    found = Inventory.read(tree.host()).get(PF)
    assert found is not None
    assert found.virtual_layout == VirtualLayout(16, 2, 0x101E, last_bus=0x5E)


def test_a_rule_creates_them_and_gives_each_its_own_best_variant(tmp_path: Path) -> None:
    tree = host(tmp_path)
    result = run(tree, claim(3))
    found = [line for line in lines(tree, RULES) if "ATTR{sriov_numvfs}=" in line]

    assert found == [f'ACTION=="add|bind", SUBSYSTEM=="pci", KERNEL=="{PF}", ATTR{{vendor}}=="0x15b3", ATTR{{device}}=="0x101d", {MADE}"3"']
    assert {row["device"]: row["driver"] for row in result["assignments"]} == {
        f"0000:5e:00.{number}": "mlx5_vfio_pci" for number in (2, 3, 4)
    }
    assert not any("drivers_probe" in line and f'KERNEL=="{PF}"' in line for line in lines(tree, RULES))
    assert result["warnings"] == []


def test_the_policy_is_certain_to_win_before_the_functions_exist(tmp_path: Path) -> None:
    tree = host(tmp_path)
    run(tree, claim(2), require_certain=True)
    found = claim_info(tree.host(), claims=[claim(2)], kernels=["all"], require="winner")

    assert {(device["address"], device["will_be_satisfied"]) for device in found["devices"]} == {
        ("0000:5e:00.2", True),
        ("0000:5e:00.3", True),
    }


def test_without_the_policy_they_would_not_be_bound_as_claimed(tmp_path: Path) -> None:
    found = claim_info(host(tmp_path).host(), claims=[claim(2)], kernels=["all"])
    assert {device["will_be_satisfied"] for device in found["devices"]} == {False}


def test_a_second_run_changes_nothing_once_they_exist(tmp_path: Path) -> None:
    tree = host(tmp_path)
    run(tree, claim(2))
    before = lines(tree, RULES)
    grown = host(tmp_path, made=2)
    assert not run(grown, claim(2))["changed"]
    assert lines(grown, RULES) == before


@pytest.mark.parametrize(("made", "count"), [(4, 2), (2, 4)])
def test_fewer_or_more_later_are_another_number_in_the_rule(tmp_path: Path, made: int, count: int) -> None:
    tree = host(tmp_path, made=made)
    result = run(tree, claim(count))
    assert len({row["device"] for row in result["assignments"]}) == count
    assert any(f'{MADE}"{count}"' in line for line in lines(tree, RULES))


def test_addresses_go_on_in_the_next_slot_and_bus(tmp_path: Path) -> None:
    tree = host(tmp_path, most=400, offset=250, stride=4)
    result = run(tree, claim(4))
    assert [row["device"] for row in result["assignments"]] == ["0000:5e:1f.2", "0000:5e:1f.6", "0000:5f:00.2", "0000:5f:00.6"]


def test_another_driver_can_be_named(tmp_path: Path) -> None:
    result = run(host(tmp_path), claim(1, driver="vfio-pci"))
    assert {row["driver"] for row in result["assignments"]} == {"vfio-pci"}


def test_the_physical_function_keeps_its_driver(tmp_path: Path) -> None:
    assert PF not in {row["device"] for row in run(host(tmp_path), claim(2))["assignments"]}


@pytest.mark.parametrize("count", [0, -1, 65536, True, "x"])
def test_what_cannot_be_a_number_of_functions_is_refused(tmp_path: Path, count: object) -> None:
    assert refused(host(tmp_path), claim(count)).startswith("claims[0].vfs: ")


def test_more_than_there_can_be_are_refused(tmp_path: Path) -> None:
    assert "9 is too many: 0000:5e:00.0 (15b3:101d) can have 8" in refused(host(tmp_path), claim(9))


def test_a_device_without_virtual_functions_is_refused(tmp_path: Path) -> None:
    tree = host(tmp_path).pci("0000:02:00.0", "8086:10d3", class_code=0x020000, driver="e1000e")
    assert "8086:10d3) cannot have virtual functions" in refused(tree, {"devices": "8086:10d3", "vfs": 1})


def test_a_strategy_that_cannot_bind_them_is_refused(tmp_path: Path) -> None:
    assert "claims[0].strategy: ids does not go with vfs" in refused(host(tmp_path), claim(1, strategy="ids"))


def test_two_numbers_for_one_function_are_refused(tmp_path: Path) -> None:
    assert "gets 3 virtual functions here and 2 by claims[0].vfs" in refused(host(tmp_path), claim(2), claim(3))


def disk_host(root: Path, made: int = 0) -> Tree:
    """A disk whose virtual functions have its own ID, as QEMU's and Samsung's have."""
    tree = kernel(Tree(root), DEBIAN_13, {**STOCK, "nvme": ["pci:v*d*sv*sd*bc01sc08i02*"]})
    tree.pci("0000:02:00.0", "1b36:0010", class_code=0x010802, driver="nvme", group=30, max_virtual_functions=4)
    for name, value in {"sriov_offset": "1", "sriov_stride": "1", "sriov_numvfs": "0", "sriov_vf_device": "10"}.items():
        tree.file(f"/sys/devices/pci0000:02/0000:02:00.0/{name}", f"{value}\n")
    for number in range(made):
        address = f"0000:02:00.{1 + number}"
        tree.pci(address, "1b36:0010", class_code=0x010802, group=40 + number, physical_function="0000:02:00.0")
    return tree.directory("/etc/modprobe.d")


@pytest.mark.parametrize("devices", ["1b36:0010", "1b36:*", "class:0108", "0000:02:00.*"])
@pytest.mark.parametrize("made", [0, 2, 4])
def test_what_matches_a_card_and_its_virtual_functions_is_for_the_card(tmp_path: Path, devices: str, made: int) -> None:
    result = run(disk_host(tmp_path, made), {"devices": devices, "vfs": 2})
    assert [row["device"] for row in result["assignments"]] == ["0000:02:00.1", "0000:02:00.2"]


def test_a_virtual_function_alone_cannot_have_any(tmp_path: Path) -> None:
    said = refused(disk_host(tmp_path, 2), {"devices": "0000:02:00.2", "vfs": 2})
    assert "0000:02:00.2 (1b36:0010) cannot have virtual functions" in said


def test_what_the_kernel_does_not_show_is_said(tmp_path: Path) -> None:
    tree = host(tmp_path)
    tree.place(f"/sys/devices/pci0000:5e/{PF}/sriov_vf_device").unlink()
    assert "sysfs has no sriov_vf_device" in refused(tree, claim(2))


def test_a_card_that_is_claimed_beside_its_virtual_functions_is_said(tmp_path: Path) -> None:
    tree = host(tmp_path)
    card = {"devices": PF, "driver": "vfio-pci"}
    said = refused(tree, card, claim(2))
    assert said.startswith(f"claims[0].driver takes {PF} from the driver that creates its virtual functions for claims[1].vfs. ")
    # Whoever insists is not told to claim it with `vfs` once more.
    said = refused(tree, {**card, "guards": {"in_use": "ignore"}}, claim(2))
    assert "vfio-pci: it is the physical function's driver, and creates virtual functions only with enable_sriov=1" in said
    assert said.endswith(f"Let {PF} match no claim but one with `vfs`: the driver that creates the virtual functions is its native one.")
    with pytest.raises(HostError, match=r"^claims\[0\]\.driver takes 0000:5e:00\.0 from the driver"):
        device_claim(running(tree), True, claims=[card, claim(2)], timeout=5)
    run(tree, {**card, "driver": "mlx5_core"}, claim(2))


# -- on the running kernel


class SriovKernel(ModelKernel):
    """Numbers of virtual functions change as sriov_numvfs_store() does it: none, then as many as are asked for."""

    def write_attribute(self, path: str, value: str, timeout: float) -> None:
        physical, attribute = path.split("/")[-2:]
        here = f"/sys/devices/pci0000:5e/{physical}"
        if attribute not in ("sriov_numvfs", "sriov_drivers_autoprobe"):
            super().write_attribute(path, value, timeout)
            return
        self.log.append(f"{physical}/{attribute} <- {value.strip()}")
        self.tree.file(f"{here}/{attribute}", value)
        if attribute == "sriov_drivers_autoprobe":
            return
        there = self._functions(here)
        if there and int(value):
            raise HostError(f"The kernel refused '{value.strip()}' for {path}: Device or resource busy.")
        for name, address in there.items():
            self.tree.place(f"{here}/{name}").unlink()
            self.tree.place(f"/sys/bus/pci/devices/{address}").unlink()
            shutil.rmtree(self.tree.place(f"/sys/devices/pci0000:5e/{address}"))
        offered = self.tree.place(f"{here}/sriov_drivers_autoprobe").read_text().strip() != "0"
        for number in range(int(value)):
            address = f"0000:5e:00.{2 + number}"
            native = "mlx5_core" if offered else None
            self.natives = {**self.natives, address: "mlx5_core"}
            self.tree.pci(address, "15b3:101e", class_code=0x020000, driver=native, group=20 + number, physical_function=physical)

    def _functions(self, here: str) -> dict[str, str]:
        found = sorted(self.tree.place(here).glob("virtfn*"))
        return {path.name: os.readlink(path).rpartition("/")[2] for path in found}

    @property
    def functions(self) -> list[str]:
        return list(self._functions(f"/sys/devices/pci0000:5e/{PF}").values())


def running(tree: Tree, kind: type[SriovKernel] = SriovKernel) -> t.Any:
    loadable = {"vfio_pci": ["vfio-pci"], "mlx5_vfio_pci": ["mlx5_vfio_pci"], "mlx5_core": ["mlx5_core"]}
    return kind(tree, {PF: "mlx5_core", OTHER: "mlx5_core"}, loadable)


def bind(kernel: SriovKernel, count: object, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    return device_claim(kernel, check_mode, claims=[claim(count)], timeout=5, **options)


def owners(kernel: SriovKernel) -> set[str | None]:
    return {kernel.owner(address) for address in kernel.functions}


def test_they_are_created_bound_and_counted(tmp_path: Path) -> None:
    kernel = running(host(tmp_path))
    predicted = bind(kernel, 3, check_mode=True)
    assert kernel.functions == []
    done = bind(kernel, 3)

    assert (len(kernel.functions), owners(kernel)) == (3, {"mlx5_vfio_pci"})
    assert kernel.owner(PF) == "mlx5_core"
    assert [(device["address"], device["driver"], device["changed"]) for device in predicted["devices"]] == [
        (device["address"], device["driver"], device["changed"]) for device in done["devices"]
    ]
    assert {device["vfio_node"] for device in predicted["devices"]} == {None}
    assert [device["vfio_node"] for device in done["devices"]] == ["/dev/vfio/20", "/dev/vfio/21", "/dev/vfio/22"]
    assert kernel.log.index(f"{PF}/sriov_drivers_autoprobe <- 0") < kernel.log.index(f"{PF}/sriov_numvfs <- 3")
    assert not bind(kernel, 3)["changed"]


@pytest.mark.parametrize(("first", "then"), [(4, 2), (2, 4)])
def test_fewer_or_more_are_made_later(tmp_path: Path, first: int, then: int) -> None:
    kernel = running(host(tmp_path))
    bind(kernel, first)
    assert bind(kernel, then)["changed"]
    assert (len(kernel.functions), owners(kernel)) == (then, {"mlx5_vfio_pci"})


def test_absence_removes_those_that_were_made_for_the_claim(tmp_path: Path) -> None:
    kernel = running(host(tmp_path))
    bind(kernel, 2)
    predicted = bind(kernel, 2, check_mode=True, state="absent")
    done = bind(kernel, 2, state="absent")

    assert predicted["changed"]
    assert [device["steps"] for device in done["devices"]] == [["remove the virtual function"]] * 2
    assert kernel.functions == []
    assert kernel.text_or_none(f"/sys/bus/pci/devices/{PF}/sriov_drivers_autoprobe") == "1"
    assert not bind(kernel, 2, state="absent")["changed"]


def test_absence_leaves_functions_of_others_and_returns_them(tmp_path: Path) -> None:
    kernel = running(host(tmp_path, made=2))
    device_claim(kernel, claims=[{"devices": "15b3:101e"}], timeout=5)
    assert owners(kernel) == {"mlx5_vfio_pci"}
    kernel.natives = {**kernel.natives, **dict.fromkeys(kernel.functions, "mlx5_core")}
    bind(kernel, 2, state="absent")

    assert len(kernel.functions) == 2
    assert owners(kernel) == {"mlx5_core"}


def test_functions_that_somebody_uses_are_not_removed(tmp_path: Path) -> None:
    tree = host(tmp_path)
    kernel = running(tree)
    bind(kernel, 2)
    tree.file("/proc/4242/comm", "qemu-system-x86\n").link("/proc/4242/fd/7", "/dev/vfio/20")
    for wanted in ({"count": 3}, {"count": 2, "state": "absent"}):
        with pytest.raises(HostError, match=r"0000:5e:00\.2, which a change .* would remove, is in use"):
            bind(kernel, wanted.pop("count"), **wanted)
    assert len(kernel.functions) == 2


def test_a_function_without_a_driver_cannot_have_any_yet(tmp_path: Path) -> None:
    tree = host(tmp_path)
    tree.place(f"/sys/devices/pci0000:5e/{PF}/driver").unlink()
    with pytest.raises(HostError, match=r"claims\[0\]\.vfs: 0000:5e:00\.0 \(15b3:101d\) has no driver"):
        bind(running(tree), 2, check_mode=True)


def test_a_binding_that_fails_puts_the_number_back(tmp_path: Path) -> None:
    kernel = running(host(tmp_path))
    kernel.refusing.add("mlx5_vfio_pci")
    with pytest.raises(HostError):
        bind(kernel, 2)
    assert kernel.functions == []
    assert kernel.text_or_none(f"/sys/bus/pci/devices/{PF}/sriov_drivers_autoprobe") == "1"


def test_what_other_cards_lose_is_said_beside_them_too(tmp_path: Path) -> None:
    tree = host(tmp_path).pci("0000:07:00.0", "10de:22a3", class_code=0x068000, driver=None, group=40)
    for group, card in enumerate(CARDS, 30):
        tree.pci(card, "10de:2330", driver="nouveau", group=group)
    kernel = running(tree)
    kernel.natives = {**kernel.natives, **dict.fromkeys(CARDS, "nouveau")}
    claims = [claim(2), {"devices": CARDS[0], "driver": "vfio-pci"}]
    predicted, done = (device_claim(kernel, check, claims=claims, timeout=5)["warnings"] for check in (True, False))
    assert [one for one in done if one.startswith(f"{CARDS[0]} is one of 2 cards behind the NVSwitch 0000:07:00.0")]
    assert predicted == done
    given_back = device_claim(kernel, False, claims=claims, timeout=5, state="absent")
    assert not any("NVSwitch" in one for one in given_back.get("warnings", []))


# -- runs that do not come to their end


class _KilledError(BaseException):
    """As SIGKILL: what would undo a failure fails as well."""


class StoppedKernel(SriovKernel):
    """Its run ends before or after write ``at``: for good, or by an error that the next write does not have."""

    at = 0
    error: type[BaseException] = _KilledError
    writes = 0

    def write_attribute(self, path: str, value: str, timeout: float) -> None:
        self._stop()
        super().write_attribute(path, value, timeout)
        self._stop()

    def _stop(self) -> None:
        self.writes += 1
        if self.writes == self.at or (self.writes > self.at > 0 and self.error is _KilledError):
            raise self.error(5, "Input/output error")


def number_state(kernel: SriovKernel) -> tuple[int, str | None]:
    return len(kernel.functions), kernel.text_or_none(f"/sys/bus/pci/devices/{PF}/sriov_drivers_autoprobe")


def stopped(tree: Tree, at: int, error: type[BaseException], count: int, **options: t.Any) -> tuple[SriovKernel, bool]:
    """The host after a run that has ended there, and whether it has."""
    kernel = running(tree, StoppedKernel)
    kernel.at, kernel.error = at, error
    try:
        bind(kernel, count, **options)
    except (HostError, error):
        return running(tree), True
    return running(tree), False


ENDS = ((0, 3, "present"), (4, 2, "present"), (2, 4, "present"), (3, 3, "absent"))


@pytest.mark.sampled(4)
@pytest.mark.parametrize("then", ["present", "absent", "another", "told"])
@pytest.mark.parametrize(("first", "count", "state"), ENDS)
def test_a_number_that_a_killed_run_has_left_in_between_is_finished_or_put_back(
    tmp_path: Path, first: int, count: int, state: str, then: str
) -> None:
    for at in range(1, 60):
        tree = host(tmp_path / str(at)).file("/proc/sys/kernel/random/boot_id", "this-boot\n")
        before = (0, "1")
        if first:
            bind(running(tree), first)
            before = (first, "0")
        kernel, hit = stopped(tree, at, _KilledError, count, state=state)
        if not hit:
            break
        half = number_state(kernel) not in (before, (count, "0"), (0, "1"))
        if then == "another":
            result = device_claim(kernel, devices=OTHER, driver="vfio-pci", timeout=5, guards={"in_use": "ignore"})
            assert not half or number_state(kernel) == before, at
            assert not half or any(item["outcome"] == "undone" for item in result["recovered"]), at
        elif then == "told":
            found = [what for item in claim_info(kernel, devices=PF)["unfinished"] for what in item["what"]]
            assert any("virtual functions, to which drivers are not offered" in what for what in found) is half, (at, found)
        else:
            bind(kernel, count, state=then)
            assert number_state(kernel) == ((count, "0") if then == "present" else (0, "1")), at
            assert then == "absent" or owners(kernel) == {"mlx5_vfio_pci"}, at
            assert not bind(kernel, count, state=then)["changed"], at
        if then != "told":
            assert not tree.place("/var/lib/vfio-variants").exists(), at
    assert at > 4


@pytest.mark.sampled(4)
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize(("first", "count", "state"), ENDS)
def test_a_number_is_put_back_by_a_run_that_fails(tmp_path: Path, first: int, count: int, state: str, error: type[BaseException]) -> None:
    for at in range(1, 60):
        tree = host(tmp_path / str(at))
        if first:
            bind(running(tree), first)
        before = number_state(running(tree))
        kernel, hit = stopped(tree, at, error, count, state=state)
        if not hit:
            break
        assert number_state(kernel) == before, at
        assert not tree.place("/var/lib/vfio-variants/virtual_functions.json").exists(), at
    assert at > 4


def test_functions_of_others_come_back_if_nothing_is_claimed_after_the_kill(tmp_path: Path) -> None:
    tree = host(tmp_path, made=2)
    kernel, _hit = stopped(tree, 3, _KilledError, 4)
    assert number_state(kernel) == (0, "1") or number_state(kernel)[1] == "0"
    bind(kernel, 4, state="absent")
    assert number_state(kernel) == (2, "1")


# -- other programs that create them


def test_another_program_that_creates_them_is_not_fought(tmp_path: Path) -> None:
    tree = host(tmp_path).file("/etc/systemd/network/10-x.link", "[Match]\nDriver=mlx5_core\n[Link]\nSR-IOVVirtualFunctions=4\n")
    said = refused(tree, claim(2))
    assert (
        "systemd-udevd creates virtual functions of 0000:5e:00.0 as well (SR-IOVVirtualFunctions=4 in /etc/systemd/network/10-x.link:4)"
        in said
    )


def test_another_program_that_may_create_them_is_a_warning(tmp_path: Path) -> None:
    tree = host(tmp_path).file("/etc/netplan/1.yaml", "network:\n  ethernets:\n    card:\n      virtual-function-count: 3\n")
    warnings = run(tree, claim(2))["warnings"]
    assert (
        "netplan may create virtual functions as well (virtual-function-count: 3 in /etc/netplan/1.yaml:4): let only one do so." in warnings
    )
    assert any("makes netplan create virtual functions" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/udev/rules.d/60-x.rules", 'ACTION=="add", SUBSYSTEM=="pci", ATTR{vendor}=="0x15b3", ATTR{sriov_numvfs}="4"\n'),
        (
            "/etc/udev/rules.d/80-x.rules",
            'ACTION=="add", SUBSYSTEM=="net", ENV{ID_NET_DRIVER}=="mlx5_core", ATTR{device/sriov_numvfs}="4"\n',
        ),
        ("/etc/modprobe.d/x.conf", "options mlx5_core num_vfs=4\n"),
        ("/etc/systemd/network/10-x.link", "[Match]\nOriginalName=eth*\n[SR-IOV]\nVirtualFunction=3\n"),
        # None at a later event of its interface.
        ("/etc/systemd/network/10-x.link", "[Match]\nOriginalName=eth*\n[Link]\nSR-IOVVirtualFunctions=0\n"),
        ("/etc/netplan/1.yaml", "network: {ethernets: {card: {virtual-function-count: 3}}}\n"),
    ],
)
def test_where_another_number_may_be_first_nothing_is_certain(tmp_path: Path, path: str, text: str) -> None:
    # The kernel changes a number from nought alone, so that the first one stays.
    tree = host(tmp_path).file(path, text)
    warnings = run(tree, claim(2))["warnings"]
    assert any("may create virtual functions as well" in one and path in one for one in warnings)

    found = claim_info(tree.host(), claims=[claim(2)], kernels=["all"])

    assert {device["will_be_satisfied"] for device in found["devices"]} == {False}


def test_our_own_rule_does_not_count_as_another_program(tmp_path: Path) -> None:
    tree = host(tmp_path)
    run(tree, claim(2))
    assert run(tree, claim(3))["warnings"] == []
