# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words QEMU is started with."""

from __future__ import annotations

import itertools
import json
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.command_line import (
    COUNTED,
    COUNTED_ALONE,
    accelerator_words,
    arguments,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.options import MachineOptions
from ansible_collections.vfio.variants.tests.unit.machine_defaults import DEFAULTS
from ansible_collections.vfio.variants.tests.unit.rooms import ROOT

GPU = {"profile": "v100-sxm2-16gb"}


def options(**changes: t.Any) -> MachineOptions:
    return MachineOptions.from_mapping({**DEFAULTS, **changes}, "/cache/images/trixie-0")


def words(**changes: t.Any) -> tuple[str, ...]:
    return arguments(options(**changes), "tcg", 40000)


def devices(*functions: dict[str, t.Any]) -> list[str]:
    line = words(functions=list(functions))
    return [word for option, word in itertools.pairwise(line) if option == "-device"]


def test_the_guest_is_reached_through_the_loopback_device_and_has_no_outbound_network() -> None:
    assert "user,id=testbed-net,restrict=on,hostfwd=tcp:127.0.0.1:40000-:22" in words()


@pytest.mark.parametrize(
    ("iommu", "device"), [("intel", "intel-iommu,intremap=on,caching-mode=on"), ("amd", "amd-iommu,intremap=on,dma-remap=on")]
)
def test_the_iommu_is_the_one_asked_for(iommu: str, device: str) -> None:
    assert device in words(iommu=iommu)


def test_without_an_iommu_there_is_none() -> None:
    assert not [word for word in words(iommu="none") if "iommu" in word]


def test_an_emulated_function_sits_behind_a_root_port_of_its_own() -> None:
    port, gpu = devices({"id": "gpu0", "emulate": GPU})[-2:]
    assert port == "pcie-root-port,id=port-gpu0,bus=pcie.0,chassis=1,addr=10.0,multifunction=on"
    socket = {"type": "unix", "path": "gpu0.sock"}
    assert json.loads(gpu) == {"driver": "vfio-user-pci", "id": "gpu0", "bus": "port-gpu0", "addr": "0.0", "socket": socket}


def test_a_device_of_qemus_own_keeps_its_options_as_qemu_writes_them() -> None:
    nic = devices({"id": "nic1", "qemu": "e1000e", "options": {"subsys_ven": 32902, "disable_vnet_hdr": True, "mac": "a,b"}})[-1]
    assert nic == "e1000e,romfile=,disable_vnet_hdr=on,mac=a,,b,subsys_ven=32902,id=nic1,bus=port-nic1,addr=0.0"


def test_a_device_may_bring_its_option_rom() -> None:
    assert ",romfile=vgabios.bin," in devices({"id": "vga", "qemu": "VGA", "options": {"romfile": "vgabios.bin"}})[-1]


def test_an_nvme_gets_the_serial_number_it_cannot_do_without() -> None:
    assert ",serial=ssd0," in devices({"id": "ssd0", "qemu": "nvme"})[-1]
    assert ",serial=mine," in devices({"id": "ssd0", "qemu": "nvme", "options": {"serial": "mine"}})[-1]


def test_an_nvme_with_virtual_functions_gets_a_subsystem_and_what_each_of_them_needs() -> None:
    _port, subsystem, disk = devices({"id": "ssd0", "qemu": "nvme", "options": {"sriov_max_vfs": 64, "msix_qsize": 200}})[-3:]
    assert subsystem == "nvme-subsys,id=ssd0_subsystem"
    assert dict(word.split("=") for word in disk.split(",")[1:]) == {
        "romfile": "",
        "serial": "ssd0",
        "subsys": "ssd0_subsystem",
        "sriov_max_vfs": "64",
        "id": "ssd0",
        "bus": "port-ssd0",
        "addr": "0.0",
        "sriov_vq_flexible": "128",
        "sriov_vi_flexible": "64",
        "max_ioqpairs": "130",
        "msix_qsize": "200",
    }


def test_an_nvme_may_be_of_another_subsystem_and_one_without_virtual_functions_is_of_none() -> None:
    own = devices({"id": "ssd0", "qemu": "nvme", "options": {"sriov_max_vfs": 1, "subsys": "mine"}})
    assert own[-1].count("subsys=mine") == 1
    assert not [word for word in (*own, *devices({"id": "ssd0", "qemu": "nvme"})) if word.startswith("nvme-subsys")]


@pytest.mark.parametrize("model", ["virtio-blk-pci", "nvme"])
def test_a_function_for_a_disk_can_have_one_of_its_own(model: str) -> None:
    line = words(functions=[{"id": "esp", "qemu": model, "size": "300M", "options": {"bootindex": 1}}])
    drive, device = line[-3], line[-1]
    assert drive == "file=esp.raw,if=none,id=esp_disk,format=raw,cache=unsafe,discard=unmap"
    assert device.startswith(f"{model},romfile=,")
    assert {"drive=esp_disk", "bootindex=1"} <= set(device.split(","))


def test_a_function_can_sit_on_the_root_bus() -> None:
    vga = devices({"id": "vga", "qemu": "secondary-vga", "behind_root_port": False})[-1]
    assert vga.endswith("bus=pcie.0,addr=5.0")


def test_functions_of_one_slot_are_one_device() -> None:
    ports_and_functions = devices({"id": "a", "qemu": "edu", "slot": "x"}, {"id": "b", "qemu": "edu", "slot": "x"})[-3:]
    assert [word.split(",")[0] for word in ports_and_functions] == ["pcie-root-port", "edu", "edu"]
    assert ports_and_functions[1].endswith("id=a,bus=port-x,addr=0.0,multifunction=on")
    assert ports_and_functions[2].endswith("id=b,bus=port-x,addr=0.1,multifunction=on")


def test_nine_root_ports_take_a_second_slot() -> None:
    ports = [word for word in devices(*({"id": f"f{n}", "qemu": "edu"} for n in range(9))) if word.startswith("pcie-root-port")]
    assert "chassis=9,addr=11.0" in ports[8]


def test_no_two_devices_share_an_address() -> None:
    many = [{"id": f"d{n}", "qemu": "edu", "behind_root_port": False} for n in range(11)]
    many += [{"id": f"p{n}", "qemu": "edu"} for n in range(112)]
    places = [
        tuple(part for part in device.split(",") if part.startswith(("bus=", "addr="))) for device in devices(*many) if "bus=" in device
    ]
    assert len(set(places)) == len(places)


def test_arguments_of_the_user_come_last() -> None:
    assert words(arguments=["-device", "pci-testdev"])[-2:] == ("-device", "pci-testdev")


def test_kvm_can_remap_interrupts() -> None:
    assert "q35,kernel-irqchip=split" in accelerator_words("kvm")


@pytest.mark.parametrize(("accelerator", "waiting"), [(COUNTED, "on"), (COUNTED_ALONE, "off")])
def test_a_clock_that_counts_instructions_differs_in_nothing_else(accelerator: str, waiting: str) -> None:
    """QEMU counts for one thread alone.  Who talks to a machine needs it to wait as long as everybody else does."""
    usual, counted = accelerator_words("tcg"), accelerator_words(accelerator)
    assert [word for word in counted if word not in usual] == ["tcg,thread=single,tb-size=1024", "-icount", f"shift=0,sleep={waiting}"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "../up"}, "name: '../up'"),
        ({"memory": "64M"}, "memory: '64M'"),
        ({"cpus": 0}, "cpus: 0"),
        ({"functions": [{"id": "GPU 0", "qemu": "edu"}]}, "'GPU 0'"),
        ({"functions": [{"id": "esp", "qemu": "nvme", "size": "much"}]}, "functions: size: 'much' is not a size"),
        ({"functions": [{"id": "gpu", "emulate": GPU, "size": "1G"}]}, "gpu has options or a size, which belong to qemu"),
        ({"functions": [{"id": "gpu", "preset": "v100", "size": "1G"}]}, "gpu has a preset and emulate, qemu, options or size"),
        ({"functions": [{"id": "a", "qemu": "edu"}, {"id": "a", "qemu": "edu"}]}, "a occurs twice"),
        ({"functions": [{"id": "a"}]}, "a needs either emulate or qemu"),
        ({"functions": [{"id": "a", "qemu": "edu", "emulate": GPU}]}, "a needs either emulate or qemu"),
        ({"functions": [{"id": "a", "emulate": GPU, "options": {"x": 1}}]}, "a has options"),
        ({"functions": [{"id": "a", "emulate": {"profile": "voodoo"}}]}, "functions: a: "),
        ({"functions": [{"id": "a", "qemu": "edu", "options": {"x": [1]}}]}, "option x"),
        ({"functions": [{"id": f"d{n}", "qemu": "edu", "behind_root_port": False} for n in range(12)]}, "no free place for slot d11"),
        ({"functions": [{"id": f"p{n}", "qemu": "edu"} for n in range(113)]}, "no free place for slot p112"),
        ({"functions": [{"id": f"p{n}", "qemu": "edu", "slot": "s"} for n in range(9)]}, "slot s has 9"),
        (
            {"functions": [{"id": "a", "qemu": "edu", "slot": "s"}, {"id": "b", "qemu": "edu", "slot": "s", "behind_root_port": False}]},
            "slot s disagree",
        ),
    ],
)
def test_a_wrong_option_is_named(changes: dict[str, t.Any], message: str) -> None:
    with pytest.raises(HostError) as caught:
        options(**changes)
    assert message in str(caught.value)


def test_the_same_machine_has_no_differences() -> None:
    same = {"functions": [{"id": "gpu0", "emulate": GPU}, {"id": "nic1", "qemu": "e1000e", "options": {"mac": "x"}}]}
    assert options(**same).differences(options(memory="2048M", **{k: v for k, v in same.items() if k != "memory"}).to_json()) == []


def test_another_machine_differs_by_name_of_the_option() -> None:
    other = options(memory="3G", functions=[{"id": "gpu0", "emulate": {**GPU, "device": "0x1db5"}}])
    assert other.differences(options(functions=[{"id": "gpu0", "emulate": GPU}]).to_json()) == ["memory", "functions"]


@pytest.mark.parametrize("part", ['"q35', '"pcie-root-port,id=', '"-no-user-config"', "bridge-support=off", "caching-mode"])
def test_the_words_of_a_machine_are_written_once(part: str) -> None:
    """The testbed, the guests of the tests and rehearsals are described by the same words."""
    files = (path for folder in ("plugins", "tests", "tools") for path in (ROOT / folder).rglob("*.py") if "unit" not in path.parts)
    found = [str(path.relative_to(ROOT)) for path in files if part in path.read_text(encoding="utf-8")]
    assert found == ["plugins/plugin_utils/_testbed/machine/command_line.py"]
