# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts besides the claimed device itself: its group, a blacklist, identical cards, the IOMMU, and whether the driver fits."""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, OTHER, Host
from ansible_collections.vfio.variants.tests.unit.lockout_members import behind_thunderbolt
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_claim
from ansible_collections.vfio.variants.tests.unit.policy_hosts import RULES, contents, lines, run
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13

if t.TYPE_CHECKING:
    from pathlib import Path

INTEL, AMD, ARM = "vendor_id\t: GenuineIntel\n", "vendor_id\t: AuthenticAMD\n", "CPU implementer\t: 0x41\n"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def live(host: Host, check_mode: bool = True, **given: t.Any) -> dict[str, t.Any]:
    return device_claim(host.tree.host(host.commands()), check_mode, **{"devices": CARD, "driver": "vfio-pci", **given})


def policy(host: Host, claim: dict[str, t.Any] | None = None, **options: t.Any) -> dict[str, t.Any]:
    return run(host.tree, {"devices": CARD, "driver": "vfio-pci", **(claim or {})}, **options)


def refused(host: Host, claim: dict[str, t.Any] | None = None, **options: t.Any) -> tuple[str, str]:
    """What is said live and for the next boot; nothing has changed."""
    before = contents(host.tree)
    with pytest.raises(HostError) as now:
        live(host, **(claim or {}))
    with pytest.raises(HostError) as later:
        policy(host, claim, **options)
    assert contents(host.tree) == before
    return str(now.value), str(later.value)


class TestCompanions:
    def test_a_disk_controller_of_the_group_does_not_come_along_silently(self, host: Host) -> None:
        host.function("gpu").function("ahci", OTHER, group=3)
        for said in refused(host):
            assert said.startswith("0000:04:00.0 (8086:a282), which shares IOMMU group 3 with 0000:03:00.0, is not claimed:")
            assert "guards: {companions: ignore}" in said

    def test_it_comes_along_if_the_claim_says_so(self, host: Host) -> None:
        host.function("gpu").function("ahci", OTHER, group=3)
        claim: dict[str, t.Any] = {"guards": {"companions": "ignore"}}
        assert {device["address"] for device in live(host, **claim)["devices"] if device["changed"]} == {CARD, OTHER}
        assert policy(host, claim)["changed"]

    def test_its_file_systems_are_guarded_all_the_same(self, host: Host) -> None:
        host.function("gpu").function("ahci", OTHER, group=3)
        host.disk(f"/sys/devices/pci0000:04/{OTHER}/ata1/host0/target0:0:0/0:0:0:0/block", "sda", "8:0", "1")
        host.mounted("/home", "ext4", "/dev/sda1", "8:1")
        for said in refused(host, {"guards": {"companions": "ignore"}}):
            assert "0000:04:00.0 (8086:a282), which shares IOMMU group 3 with 0000:03:00.0, has data of this host: /dev/sda1" in said
        host.mounted("/", "ext4", "/dev/sda1", "8:1")
        for said in refused(host, {"guards": {"companions": "ignore", "data_mounts": "ignore"}}):
            assert "keeps this host running: /dev/sda1 is mounted at /" in said

    def test_what_a_controller_of_thunderbolt_leads_to_counts(self, host: Host) -> None:
        behind_thunderbolt(host).mounted("/", "ext4", "/dev/nvme0n1p2", "259:2").function("gpu", OTHER, group=3)
        for said in refused(host, {"devices": OTHER, "guards": {"companions": "ignore"}}):
            assert "which shares IOMMU group 3 with 0000:04:00.0, keeps this host running: /dev/nvme0n1p2 is mounted at /" in said

    def test_an_idle_controller_of_thunderbolt_of_the_same_card_comes_along(self, host: Host) -> None:
        host.function("usb").tree.pci("0000:03:00.1", "8086:9a1b", class_code=0x0C0340, driver="thunderbolt", group=3)
        assert live(host)["changed"]

    def test_an_iommu_of_the_group_stays_as_it_is(self, host: Host) -> None:
        """It has no driver, and so does not keep user space from the group."""
        host.function("gpu").tree.pci("0000:04:00.2", "1022:1481", class_code=0x080600, group=3)
        assert [device["address"] for device in live(host)["devices"] if device["changed"]] == [CARD]
        assert policy(host)["changed"]

    def test_the_sound_function_of_a_card_comes_along(self, host: Host) -> None:
        host.function("gpu").tree.pci("0000:03:00.1", "10de:10f2", class_code=0x040300, driver="snd_hda_intel", group=3)
        assert live(host)["changed"]
        assert policy(host)["changed"]

    def test_an_idle_disk_controller_of_the_same_card_does_not(self, host: Host) -> None:
        host.function("gpu").function("ahci", "0000:03:00.1", group=3)
        for said in refused(host):
            assert said.startswith("0000:03:00.1 (8086:a282), which shares IOMMU group 3 with 0000:03:00.0, is not claimed:")

    def test_a_claim_of_its_own_is_enough(self, host: Host) -> None:
        host.function("gpu").function("ahci", OTHER, group=3)
        assert live(host, devices=[CARD, OTHER])["changed"]

    def test_with_group_ignore_nothing_comes_along(self, host: Host) -> None:
        host.function("gpu").function("ahci", OTHER, group=3)
        assert live(host, group="ignore")["changed"]
        assert policy(host, group="ignore")["changed"]


class TestDisks:
    def test_a_file_system_of_loop_devices_depends_on_the_disks_of_their_files_only(self, host: Host) -> None:
        """As seen on a running kernel: btrfs on two loop devices, whose files are on the root file system."""
        host.nvme_disk("p1").mounted("/", "ext4", "/dev/vda", "254:0").mounted("/m", "btrfs", "/dev/loop0", "0:39")
        for number in range(2):
            host.stacked(f"loop{number}", f"7:{number}").linked(f"/sys/fs/btrfs/5a1e/devices/loop{number}", "x")
            host.file(f"/sys/class/block/loop{number}/loop/backing_file", f"/srv/d{number}\n")
        assert live(host)["changed"]
        host.mounted("/srv", "ext4", "/dev/nvme0n1p1", "259:1")
        for said in refused(host):
            assert "/dev/loop0 is mounted at /m; " in said

    @pytest.mark.parametrize(
        "udev", ["E:ID_FS_TYPE=ext4\n", "E:ID_PART_ENTRY_NUMBER=1\n", "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=other\n"]
    )
    def test_a_disk_that_is_known_to_be_in_no_mounted_pool_may_go(self, host: Host, udev: str) -> None:
        host.nvme_disk("p1", udev=udev).mounted("/", "zfs", "rpool/ROOT/debian")
        assert live(host)["changed"]

    @pytest.mark.parametrize("options", ["nofail", "noauto", "defaults,nofail,x-systemd.device-timeout=5"])
    def test_a_disk_that_the_boot_can_do_without_may_go(self, host: Host, options: str) -> None:
        host.nvme_disk("p1").fstab(f"/dev/nvme0n1p1 /srv ext4 {options} 0 2")
        assert live(host)["changed"]
        assert policy(host)["changed"]

    @pytest.mark.parametrize("path", ["/etc/fstab", "/etc/crypttab", "/etc/systemd/system/x.mount"])
    def test_configuration_that_is_not_a_file_does_not_hang(self, host: Host, path: str) -> None:
        host.nvme_disk("p1").tree.directory(path.rpartition("/")[0])
        os.mkfifo(host.tree.place(path))
        assert live(host)["changed"]


class TestNetwork:
    def test_the_other_card_of_the_default_route_does_not_keep_this_one(self, host: Host) -> None:
        host.nic().function("nic", OTHER, id="8086:1592", driver="e1000e").interface("enp4s0", f"/sys/devices/pci0000:04/{OTHER}")
        host.route("enp4s0").ssh("10.0.0.9", "10.0.0.1")
        assert live(host)["changed"]

    def test_a_tunnel_goes_over_the_card_with_the_gateway(self, host: Host) -> None:
        host.nic().interface("wg0").file("/sys/devices/virtual/net/wg0/uevent", "DEVTYPE=wireguard\n")
        host.function("nic", OTHER, id="8086:1592", driver="e1000e").interface("enp4s0", f"/sys/devices/pci0000:04/{OTHER}")
        host.route("wg0", gateway="00000000").route("enp4s0", "0500000A", "0100000A", "FFFFFFFF")
        assert live(host)["changed"]

    def test_a_card_beside_open_vswitch_may_go(self, host: Host) -> None:
        host.nic().interface("br-ex").interface("ovs-system").route("br-ex")
        host.function("nic", OTHER, id="8086:1592", driver="e1000e").interface("enp4s0", f"/sys/devices/pci0000:04/{OTHER}")
        host.over("enp4s0", "ovs-system")
        assert live(host)["changed"]

    def test_an_interface_without_an_address_does_not_lead_to_a_server(self, host: Host) -> None:
        host.nic().file("/proc/net/if_inet6", f"fd{'0' * 29}1 02 40 00 80 eth9\n")
        host.fstab("files.example:/home /home nfs defaults 0 0").ssh("10.0.0.9", "10.0.0.1")
        assert live(host)["changed"]
        host.file("/proc/net/if_inet6", f"fd{'0' * 29}1 02 40 00 80 enp3s0\n")
        for said in refused(host, {"guards": {"in_use": "ignore", "data_mounts": "ignore"}}):
            assert "over which interface this SSH connection runs cannot be determined" in said

    def test_a_network_card_has_no_part_in_a_connection_without_addresses(self, host: Host) -> None:
        host.nic().ssh("UNKNOWN", "UNKNOWN")
        assert live(host)["changed"]


class TestBlacklist:
    def blacklisting(self, host: Host) -> dict[str, t.Any]:
        host.nic().function("nic", OTHER).interface("enp4s0", f"/sys/devices/pci0000:04/{OTHER}")
        return {"strategy": "blacklist", "allow_shared_native": True}

    def test_a_card_of_the_same_native_driver_is_guarded(self, host: Host) -> None:
        options = self.blacklisting(host)
        host.route("enp4s0")
        with pytest.raises(HostError) as caught:
            policy(host, {"guards": {"in_use": "ignore"}}, **options)
        said = "0000:04:00.0 (8086:10d3), whose driver e1000e is blacklisted, keeps this host running: enp4s0 carries the default route."
        assert caught.value.msg.startswith(said)

    def test_an_idle_card_of_the_same_native_driver_may_go(self, host: Host) -> None:
        options = self.blacklisting(host)
        assert policy(host, **options)["changed"]

    def test_natives_that_are_named_are_guarded_too(self, host: Host) -> None:
        host.function("gpu").function("usb", OTHER)
        below = f"/sys/devices/pci0000:04/{OTHER}/usb1/1-3/1-3:1.0/host6/target6:0:0/6:0:0:0/block"
        host.disk(below, "sdd", "8:48", "1").mounted("/", "ext4", "/dev/sdd1", "8:49")
        with pytest.raises(HostError, match=r"0000:04:00.0 \(8086:a36d\), whose driver xhci_pci is blacklisted, keeps this host running"):
            policy(host, strategy="blacklist", natives=["xhci_pci"], allow_shared_native=True)

    def test_a_driver_of_another_bus_is_guarded_too(self, host: Host) -> None:
        modules = ("virtio_net", "nouveau")
        host.function("gpu").function("virtio", OTHER)
        here = f"/sys/devices/pci0000:04/{OTHER}/virtio0"
        host.interface("eth0", here).route("eth0")
        host.linked("/sys/module/virtio_net/drivers/virtio:virtio_net", "../../../bus/virtio/drivers/virtio_net")
        host.linked("/sys/bus/virtio/drivers/virtio_net/virtio0", here)
        dependencies = host.tree.place(f"/lib/modules/{DEBIAN_13}/modules.dep")
        dependencies.write_text(dependencies.read_text() + "".join(f"kernel/drivers/{name}.ko:\n" for name in modules))
        with pytest.raises(HostError, match="virtio device virtio0, whose driver virtio_net is blacklisted, keeps this host running"):
            policy(host, strategy="blacklist", natives=["virtio_net"], allow_shared_native=True)


class TestIdenticalCards:
    def test_an_identical_card_is_a_warning(self, host: Host) -> None:
        host.function("gpu").function("gpu", OTHER)
        (warning,) = [text for text in policy(host)["warnings"] if "mistaken" in text]
        assert "0000:04:00.0 has the same IDs" in warning

    def test_an_identical_card_that_the_host_needs_is_refused(self, host: Host) -> None:
        host.function("nic").function("nic", OTHER).interface("enp4s0", f"/sys/devices/pci0000:04/{OTHER}").route("enp4s0")
        with pytest.raises(HostError, match=r"0000:04:00.0 has the same IDs, which keeps this host running \(enp4s0 carries the default"):
            policy(host)
        assert policy(host, {"guards": {"identical": "ignore"}})["changed"]
        assert live(host)["changed"]

    def test_another_port_of_the_card_never_has_its_address(self, host: Host) -> None:
        host.function("nic").function("nic", "0000:03:00.1", group=77).interface("enp3s0f1", "/sys/devices/pci0000:03/0000:03:00.1")
        host.route("enp3s0f1")
        assert not [text for text in policy(host)["warnings"] if "mistaken" in text]

    def test_a_claim_by_id_of_both_names_them(self, host: Host) -> None:
        host.function("gpu").function("gpu", OTHER)
        assert not [text for text in policy(host, {"devices": "10de:1db1"})["warnings"] if "mistaken" in text]

    def test_a_card_of_another_subsystem_is_excluded_by_the_rule(self, host: Host) -> None:
        host.function("nic", subsystem="8086:0001").function("nic", OTHER, subsystem="8086:0002")
        assert not [text for text in policy(host)["warnings"] if "mistaken" in text]
        binding = [line for line in lines(host.tree, RULES) if "driver_override" in line]
        assert binding
        for line in binding:
            assert 'subsystem_device}=="0x0001"' in line


class TestDriver:
    @pytest.mark.parametrize("driver", ["e1000e", "ahci", "xhci_pci"])
    def test_a_driver_that_does_not_know_the_device_is_refused(self, host: Host, driver: str) -> None:
        host.function("gpu")
        for said in refused(host, {"driver": driver}):
            assert f"driver: {driver} is not a VFIO driver, and none of its aliases" in said

    def test_a_native_driver_of_the_device_is_taken(self, host: Host) -> None:
        host.function("gpu")
        assert not live(host, driver="nouveau")["changed"]

    def test_a_driver_that_drives_any_device_is_taken(self, host: Host) -> None:
        dependencies = host.tree.place(f"/lib/modules/{DEBIAN_13}/modules.dep")
        dependencies.write_text(dependencies.read_text() + "kernel/drivers/pci/pci-stub.ko:\n")
        host.function("gpu")
        assert live(host, driver="pci-stub")["changed"]


class TestIommu:
    def without(self, host: Host, cpu: str, *tables: str) -> Host:
        """A host whose kernel has no IOMMU; its firmware has these tables."""
        host.function("gpu", group=None)
        for group in host.tree.place("/sys/kernel/iommu_groups").iterdir():
            for link in group.glob("devices/*"):
                link.unlink()
            (group / "devices").rmdir()
            group.rmdir()
        host.tree.place("/sys/devices/pci0000:00/0000:00:00.0/iommu_group").unlink()
        host.file("/proc/cpuinfo", cpu).tree.directory("/sys/firmware/acpi/tables")
        for table in tables:
            host.file(f"/sys/firmware/acpi/tables/{table}", "")
        return host

    @pytest.mark.parametrize(
        ("cpu", "tables", "arguments", "why", "advice"),
        [
            (INTEL, ["DMAR"], "ro", "does not give it intel_iommu=on", "Add intel_iommu=on to the kernel's command line"),
            (INTEL, ["DMAR"], "intel_iommu=off", "gives the kernel intel_iommu=off", "Add intel_iommu=on"),
            (INTEL, ["DMAR"], "intel_iommu=on iommu=off", "gives the kernel iommu=off", "remove any iommu=off"),
            (INTEL, [], "intel_iommu=on", "the firmware describes none", "Switch on VT-d in the firmware's setup, and add intel_iommu=on"),
            (INTEL, ["DMAR"], "intel_iommu=on", "the running kernel has the same arguments, and none", "VT-d|intel_iommu=on"),
            (AMD, [], "ro", "the firmware describes none", "switch on IOMMU \\(AMD-Vi\\) in the firmware's setup"),
            (AMD, ["IVRS"], "amd_iommu=off", "gives the kernel amd_iommu=off", "remove amd_iommu=off"),
            (ARM, [], "ro", "the firmware describes none", "an SMMU"),
        ],
    )
    def test_without_one_now_and_later_everything_is_refused(
        self, host: Host, cpu: str, tables: list[str], arguments: str, why: str, advice: str
    ) -> None:
        self.without(host, cpu, *tables).file("/proc/cmdline", f"{arguments}\n")
        for said in refused(host):
            assert said.startswith("This host has no IOMMU, and none after the next boot: ")
            assert why in said
        for check in (True, False):
            with pytest.raises(HostError, match=advice):
                policy(host, check=check)

    def grub(self, host: Host, arguments: str) -> Host:
        """The boot loader gives the kernel these arguments."""
        host.tree.directory("/boot/grub")
        entry = f"menuentry 'Linux' {{\n linux /boot/vmlinuz-{DEBIAN_13} root=/dev/mapper/root {arguments}\n}}\n"
        return host.file("/boot/grub/grub.cfg", f'set default="0"\n{entry}').file("/etc/default/grub", "GRUB_DEFAULT=0\n")

    def test_one_after_the_next_boot_is_enough_for_the_policy(self, host: Host) -> None:
        self.grub(self.without(host, INTEL, "DMAR"), "intel_iommu=on")
        assert policy(host, check=True)["changed"]
        with pytest.raises(HostError, match=r"no IOMMU yet, .* it will have one after the next boot. Reboot first"):
            live(host)

    def test_one_now_and_none_after_the_next_boot_is_refused_for_the_policy(self, host: Host) -> None:
        self.grub(host.function("gpu"), "intel_iommu=off").file("/proc/cpuinfo", INTEL)
        assert live(host)["changed"]
        with pytest.raises(HostError, match=r"This host has no IOMMU after the next boot: .* gives the kernel intel_iommu=off"):
            policy(host)

    def test_a_kernel_that_switches_it_on_by_itself_needs_no_argument(self, host: Host) -> None:
        self.grub(self.without(host, INTEL, "DMAR"), "quiet").file(
            f"/boot/config-{DEBIAN_13}", "# CONFIG_INTEL_IOMMU_DEFAULT_ON is not set\nCONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF=y\n"
        )
        host.file("/proc/cmdline", "intel_iommu=off\n")
        assert policy(host, check=True)["changed"]

    def test_vfio_without_an_iommu_is_possible_on_request(self, host: Host) -> None:
        self.without(host, INTEL).file("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n")
        assert live(host)["changed"]

    @pytest.mark.parametrize(("value", "allowed"), [("1", True), ("Y", True), ("0", False)])
    def test_vfio_will_work_without_an_iommu_where_its_options_say_so(self, host: Host, value: str, allowed: bool) -> None:
        self.without(host, INTEL).file("/etc/modprobe.d/vfio.conf", f"options vfio enable_unsafe_noiommu_mode={value}\n")
        if not allowed:
            refused(host)
            return
        assert live(host)["changed"]
        host.file("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n")
        with pytest.raises(HostError, match="This host has no IOMMU"):
            live(host)

    def test_a_driver_that_is_not_vfio_needs_none(self, host: Host) -> None:
        assert not live(self.without(host, INTEL), driver="nouveau")["changed"]

    def test_claim_info_answers_all_the_same(self, host: Host) -> None:
        self.without(host, INTEL)
        assert claim_info(host.tree.host(), devices=CARD, driver="vfio-pci", kernels=["all"])["devices"][0]["guards"] == []


class TestVariantsForOtherDevices:
    def test_one_that_is_named_is_warned_of(self, host: Host) -> None:
        host.function("gpu")
        for result in (live(host, driver="mlx5_vfio_pci"), policy(host, {"driver": "mlx5_vfio_pci"})):
            assert (
                f"mlx5_vfio_pci is a variant driver for other devices: none of its aliases on kernel {DEBIAN_13} matches {CARD} "
                "(10de:1db1). "
                "`driver: auto` takes the best one that does."
            ) in result["warnings"]

    @pytest.mark.parametrize(("device", "driver"), [("10de:1db1", "vfio-pci"), ("15b3:101e", "mlx5_vfio_pci")])
    def test_one_that_fits_is_not(self, host: Host, device: str, driver: str) -> None:
        host.function("gpu", id=device)
        for result in (live(host, driver=driver), policy(host, {"driver": driver})):
            assert not [one for one in result.get("warnings", []) if "for other devices" in one]


class TestRelease:
    def test_a_device_that_a_guest_has_is_not_returned(self, host: Host) -> None:
        host.function("gpu", driver="vfio-pci", override="vfio-pci").opened("/dev/vfio/3")
        with pytest.raises(HostError, match="is in use: process 4711"):
            live(host, state="absent")
        assert live(host, state="absent", guards={"in_use": "ignore"})["changed"]

    def test_a_display_that_vfio_has_is_returned_and_given_another_vfio_driver(self, host: Host) -> None:
        host.function("gpu", driver="vfio-pci", override="vfio-pci", boot_vga=True)
        assert live(host, state="absent")["changed"]


class TestBehindPrograms:
    """Interfaces that a process makes, and processes that have lost the login that started them."""

    def router(self, host: Host, tap: str) -> Host:
        """A guest that has the card, and a tap of the host."""
        host.nic().opened("/dev/vfio/3").linked("/proc/4711/fd/8", "/dev/net/tun").file("/proc/4711/fdinfo/8", f"pos:\t0\niff:\t{tap}\n")
        host.interface("tap0").file("/sys/devices/virtual/net/tap0/tun_flags", "0x1002\n").interface("vmbr0").over("tap0", "vmbr0")
        return host.route("vmbr0")

    def test_a_guest_that_routes_for_its_host_keeps_its_card(self, host: Host) -> None:
        self.router(host, "tap0")
        for said in refused(host, {"guards": {"in_use": "ignore"}}):
            assert "vmbr0 carries the default route, through process 4711 (a guest, qemu-system-x86), which has /dev/vfio/3 open" in said

    def test_a_guest_with_another_tap_does_not(self, host: Host) -> None:
        self.router(host, "tap7")
        assert live(host, guards={"in_use": "ignore"})["changed"]

    def test_a_guest_beside_a_card_in_the_bridge_does_not(self, host: Host) -> None:
        self.router(host, "tap0").function("nic", OTHER, id="8086:1592", driver="e1000e")
        host.interface("enp4s0", f"/sys/devices/pci0000:04/{OTHER}").over("enp4s0", "vmbr0")
        assert live(host, guards={"in_use": "ignore"})["changed"]

    def in_background(self, host: Host, session: str) -> Host:
        """A task that the first process has adopted, and sshd, which has the connection of the login session 31 as a socket."""
        host.nic().file("/proc/self/environ", "PATH=/bin\0").file("/proc/self/stat", "77 (python3) S 1 77 77 0\n")
        host.file("/proc/self/sessionid", session).file("/proc/500/sessionid", "31").file("/proc/500/comm", "sshd-session\n")
        host.linked("/proc/500/fd/3", "socket:[9]").linked("/proc/500/fd/4", "socket:[8]")
        host.file("/proc/net/if_inet6", f"fd{'0' * 29}1 02 40 00 80 enp3s0\n")
        own, far, anybody = "000000FD000000000000000001000000", "000000FD000000000000000009000000", "0" * 32
        row = "{}: {}:0016 {}:{} {} 00000000:00000000 00:00000000 00000000 0 0 {} 1\n"
        rows = row.format(0, anybody, anybody, "0000", "0A", 8) + row.format(1, own, far, "9C40", "01", 9)
        return host.file("/proc/net/tcp6", f"sl local_address remote_address st ...\n{rows}")

    def test_a_task_in_the_background_keeps_the_card_of_its_login(self, host: Host) -> None:
        self.in_background(host, "31")
        for said in refused(host, {"guards": {"in_use": "ignore"}}):
            assert "enp3s0 carries this SSH connection (fd00::1)" in said

    @pytest.mark.parametrize("session", ["32", "4294967295", ""])
    def test_a_login_of_somebody_else_does_not_keep_it(self, host: Host, session: str) -> None:
        assert live(self.in_background(host, session), guards={"in_use": "ignore"})["changed"]


class TestTargets:
    @pytest.mark.parametrize("enabled", ["0", None])
    def test_what_is_switched_off_is_not_served(self, host: Host, enabled: str | None) -> None:
        host.nvme_disk().file(f"{host.card}/nvme/nvme0/uevent", "DEVNAME=nvme0\nMAJOR=240\nMINOR=0\n")
        host.file("/sys/kernel/config/nvmet/subsystems/fast/passthru/device_path", "/dev/nvme0\n")
        if enabled is not None:
            host.file("/sys/kernel/config/nvmet/subsystems/fast/passthru/enable", enabled)
        assert live(host)["changed"]

    def test_another_controller_is_not(self, host: Host) -> None:
        host.nvme_disk().file(f"{host.card}/nvme/nvme0/uevent", "DEVNAME=nvme0\nMAJOR=240\nMINOR=0\n")
        host.file("/sys/kernel/config/nvmet/subsystems/fast/passthru/device_path", "/dev/nvme1\n")
        host.file("/sys/kernel/config/nvmet/subsystems/fast/passthru/enable", "1\n")
        assert live(host)["changed"]


class TestLayersThatAreNotThere:
    @pytest.mark.parametrize("udev", ["E:ID_FS_TYPE=xfs\n", ""])
    def test_a_disk_that_no_layer_is_made_of_may_go(self, host: Host, udev: str) -> None:
        host.nvme_disk("p1", udev=udev).fstab("/dev/mapper/vg-home /home ext4 defaults 0 2")
        assert live(host)["changed"]

    def test_a_journal_of_another_file_system_is_not_the_roots(self, host: Host) -> None:
        host.nvme_disk("p1").mounted("/", "ext4", "/dev/sda1", "8:1").mounted("/srv", "ext4", "/dev/dm-0", "253:0")
        host.stacked("dm-0", "253:0").file("/proc/fs/jbd2/sda1-8/info", "").file("/proc/fs/jbd2/nvme0n1p1/info", "")
        for said in refused(host):
            assert "has data of this host: /dev/dm-0 is mounted at /srv" in said
            assert "mounted at /." not in said

    def test_a_label_names_only_the_disk_that_has_it(self, host: Host) -> None:
        host.nvme_disk("p1", udev="E:ID_FS_LABEL_ENC=other\\x20disk\n").linked("/dev/disk/by-label/other\\x20disk", "../../nvme0n1p1")
        host.fstab("LABEL=my\\040disk /home ext4 defaults 0 2")
        assert live(host)["changed"]
