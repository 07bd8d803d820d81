# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The next boot has an IOMMU where an argument gives it one, and what was added goes again without a trace."""

from __future__ import annotations

import gzip
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.iommu import apply
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.modules import iommu
from ansible_collections.vfio.variants.tests.unit import cmdline_hosts
from ansible_collections.vfio.variants.tests.unit.boot_menus import NEW, OLD
from ansible_collections.vfio.variants.tests.unit.cmdline_hosts import SETTINGS, CmdlineHost
from ansible_collections.vfio.variants.tests.unit.module_calls import options_of
from ansible_collections.vfio.variants.tests.unit.policy_hosts import V100 as CLAIM
from ansible_collections.vfio.variants.tests.unit.policy_hosts import gpu_host, refused, run

if t.TYPE_CHECKING:
    from pathlib import Path

TABLES = "/sys/firmware/acpi/tables"
OFF_BY_DEFAULT = "# CONFIG_INTEL_IOMMU_DEFAULT_ON is not set\n"
GIVEN = f"{cmdline_hosts.ROOT} quiet"


def machine(
    root: Path, vendor: str = "GenuineIntel", table: str | None = "DMAR", config: str = OFF_BY_DEFAULT, settings: str = SETTINGS
) -> CmdlineHost:
    """A Debian host with GRUB and two kernels, without an IOMMU now; ``table`` is that of the firmware which describes one."""
    host = cmdline_hosts.debian(root, settings)
    host.tree.file("/proc/cpuinfo", f"processor\t: 0\nvendor_id\t: {vendor}\n").directory(TABLES)
    host.tree.pci("0000:00:00.0", "8086:1237", class_code=0x060000)
    if table is not None:
        host.tree.file(f"{TABLES}/{table}", b"table")
    for release in (NEW, OLD):
        host.tree.file(f"/boot/config-{release}", config)
    return host


def has_it(host: CmdlineHost, running: str = GIVEN) -> CmdlineHost:
    """It is on in the running kernel."""
    host.tree.directory("/sys/class/iommu/dmar0").directory("/sys/kernel/iommu_groups/0").cmdline(running)
    return host


def call(host: CmdlineHost, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    return apply(host.tree.host(host.commands), iommu.request(options_of(iommu.ARGUMENTS, **options)), check_mode)


def words(host: CmdlineHost) -> set[bool]:
    """Whether each entry has the argument."""
    lines = [line for line in host.text("/boot/grub/grub.cfg").splitlines() if line.startswith("\tlinux") and "single" not in line]
    assert len(lines) == 2
    return {"intel_iommu=on" in line for line in lines}


def test_an_intel_host_whose_kernels_have_it_off_gets_the_argument(tmp_path: Path) -> None:
    host = machine(tmp_path)
    predicted = call(host, check_mode=True)
    assert words(host) == {False}
    done = call(host)

    assert done == predicted
    assert (done["changed"], done["arguments"], done["will_be_enabled"]) == (True, ["intel_iommu=on"], True)
    assert (done["enabled"], done["reboot_required"], done["because"]) == (False, True, "")
    assert words(host) == {True}


@pytest.mark.parametrize(("config", "arguments"), [("", ["iommu=pt"]), ("CONFIG_IOMMU_DEFAULT_PASSTHROUGH=y\n", [])])
def test_a_kernel_that_passes_through_by_itself_needs_no_word_for_it(tmp_path: Path, config: str, arguments: list[str]) -> None:
    host = machine(tmp_path, "AuthenticAMD", "IVRS", f"CONFIG_IOMMU_API=y\n{config}CONFIG_VFIO=m\n")
    done = call(host, passthrough=True)
    assert (done["arguments"], done["changed"]) == (arguments, bool(arguments))


def test_a_second_run_changes_nothing_and_still_asks_for_the_reboot(tmp_path: Path) -> None:
    host = machine(tmp_path)
    call(host)
    again = call(host)
    assert (again["changed"], again["reboot_required"], again["arguments"]) == (False, True, ["intel_iommu=on"])

    has_it(host, f"{GIVEN} intel_iommu=on")
    booted = call(host)
    assert (booted["changed"], booted["reboot_required"], booted["enabled"]) == (False, False, True)


def test_absence_takes_back_what_was_added_byte_for_byte(tmp_path: Path) -> None:
    host = machine(tmp_path)
    before = host.files()
    call(host, passthrough=True)
    has = {path: content for path, content in host.files().items() if before.get(path) != content}
    assert has
    done = call(host, state="absent")

    assert done["changed"]
    assert {path: content for path, content in host.files().items() if before.get(path) != content} == {}
    assert not call(host, state="absent")["changed"]


def test_what_somebody_else_has_set_is_neither_added_nor_taken_away(tmp_path: Path) -> None:
    host = machine(tmp_path, settings=SETTINGS.replace('DEFAULT="quiet"', 'DEFAULT="quiet intel_iommu=on"'))
    before = host.files()
    found = call(host)

    assert (found["changed"], found["arguments"], found["will_be_enabled"]) == (False, [], True)
    assert not call(host, state="absent")["changed"]
    assert host.files() == before


def test_kernel_cmdlines_own_arguments_stay_when_the_iommus_go(tmp_path: Path) -> None:
    host = machine(tmp_path)
    host.call("hugepages=4")
    call(host)
    call(host, state="absent")

    assert words(host) == {False}
    assert "hugepages=4" in host.text("/boot/grub/grub.cfg")


@pytest.mark.parametrize("option", ["CONFIG_INTEL_IOMMU_DEFAULT_ON=y\n", "CONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF=y\n"])
def test_a_kernel_that_has_it_on_by_default_needs_no_argument(tmp_path: Path, option: str) -> None:
    host = has_it(machine(tmp_path, config=option))
    found = call(host)
    assert (found["changed"], found["arguments"], found["will_be_enabled"], found["reboot_required"]) == (False, [], True, False)


def test_one_kernel_of_several_that_has_it_off_is_enough(tmp_path: Path) -> None:
    host = has_it(machine(tmp_path, config="CONFIG_INTEL_IOMMU_DEFAULT_ON=y\n"))
    host.tree.file(f"/boot/config-{OLD}", OFF_BY_DEFAULT)
    assert call(host)["arguments"] == ["intel_iommu=on"]


def test_an_argument_that_was_typed_for_one_boot_does_not_count_for_the_next(tmp_path: Path) -> None:
    host = has_it(machine(tmp_path), f"{GIVEN} intel_iommu=on")
    done = call(host)
    assert (done["changed"], done["enabled"], done["reboot_required"]) == (True, True, False)
    assert words(host) == {True}


@pytest.mark.parametrize(("vendor", "table"), [("AuthenticAMD", "IVRS"), ("HygonGenuine", "IVRS")])
def test_linux_switches_others_on_by_itself(tmp_path: Path, vendor: str, table: str) -> None:
    found = call(has_it(machine(tmp_path, vendor, table)))
    assert (found["changed"], found["arguments"], found["will_be_enabled"]) == (False, [], True)


@pytest.mark.parametrize(
    ("vendor", "table", "word", "because"),
    [
        ("GenuineIntel", None, "", "the firmware describes none"),
        ("AuthenticAMD", None, "", "the firmware describes none"),
        ("GenuineIntel", "DMAR", "intel_iommu=off", "gives the kernel intel_iommu=off"),
        ("GenuineIntel", "DMAR", "iommu=off", "gives the kernel iommu=off"),
        ("AuthenticAMD", "IVRS", "amd_iommu=off", "gives the kernel amd_iommu=off"),
    ],
)
def test_where_no_argument_helps_nothing_is_added_and_why_is_said(
    tmp_path: Path, vendor: str, table: str | None, word: str, because: str
) -> None:
    host = machine(tmp_path, vendor, table, settings=SETTINGS.replace('DEFAULT="quiet"', f'DEFAULT="quiet {word}"'))
    before = host.files()
    found = call(host)

    assert (found["changed"], found["arguments"], found["will_be_enabled"], found["reboot_required"]) == (False, [], False, False)
    assert because in found["because"]
    assert host.files() == before


@pytest.mark.parametrize(("vendor", "table"), [("GenuineIntel", "DMAR"), ("AuthenticAMD", "IVRS")])
def test_passthrough_is_only_set_when_it_is_asked_for_and_goes_when_it_is_not(tmp_path: Path, vendor: str, table: str) -> None:
    host = machine(tmp_path, vendor, table)
    assert "iommu=pt" not in call(host)["arguments"]
    assert "iommu=pt" in call(host, passthrough=True)["arguments"]
    assert "iommu=pt" in host.text("/boot/grub/grub.cfg")
    assert call(host)["changed"]
    assert "iommu=pt" not in host.text("/boot/grub/grub.cfg")


@pytest.mark.parametrize("word", ["iommu=pt", "iommu.passthrough=1", "iommu=nopt,pt"])
def test_passthrough_that_is_there_already_is_left_alone(tmp_path: Path, word: str) -> None:
    settings = SETTINGS.replace('DEFAULT="quiet"', f'DEFAULT="quiet intel_iommu=on {word}"')
    assert not call(machine(tmp_path, settings=settings), passthrough=True)["changed"]


def test_on_arm_passthrough_has_another_name(tmp_path: Path) -> None:
    host = machine(tmp_path, table="IORT")
    host.tree.file("/proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\n")
    assert call(host)["arguments"] == []
    assert call(host, passthrough=True)["arguments"] == ["iommu.passthrough=1"]


def test_a_loader_that_is_not_clear_is_an_error_only_where_something_is_to_be_changed(tmp_path: Path) -> None:
    host = machine(tmp_path, "AuthenticAMD", "IVRS")
    host.tree.place("/boot/grub/grub.cfg").unlink()
    assert not call(host)["changed"]
    with pytest.raises(HostError, match="Which boot loader is in charge cannot be determined"):
        call(host, passthrough=True)


def test_check_mode_of_the_policy_counts_with_arguments_that_are_still_to_be_added(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path)
    for path in tree.place("/sys/bus/pci/devices").iterdir():
        (path / "iommu_group").unlink(missing_ok=True)
    tree.place("/sys/kernel/iommu_groups").rename(tree.place("/sys/kernel/gone"))
    tree.file("/proc/cpuinfo", "vendor_id\t: GenuineIntel\n").file(f"{TABLES}/DMAR", b"table")
    release = tree.place("/proc/sys/kernel/osrelease").read_text().strip()
    tree.file("/boot/grub/grub.cfg", f"menuentry 'x' {{\n linux /boot/vmlinuz-{release} root=/dev/sda1 ro\n}}\n")

    assert "no IOMMU" in refused(tree, CLAIM)
    assert run(tree, CLAIM, check=True, pending_arguments=["intel_iommu=on"])["changed"]
    with pytest.raises(HostError, match="no IOMMU"):
        run(tree, CLAIM, pending_arguments=["intel_iommu=on"])


@pytest.mark.parametrize(("vendor", "table"), [("CentaurHauls", "DMAR"), ("  Shanghai  ", "DMAR"), ("SomeNewMaker", "DMAR")])
def test_other_makers_have_one_like_intels(tmp_path: Path, vendor: str, table: str) -> None:
    done = call(machine(tmp_path, vendor, table))

    assert (done["arguments"], done["will_be_enabled"]) == (["intel_iommu=on"], True)


def test_a_virtual_machine_with_intels_iommu_on_another_processor_gets_its_word(tmp_path: Path) -> None:
    assert call(machine(tmp_path, "AuthenticAMD", "DMAR"))["arguments"] == ["intel_iommu=on"]


def test_a_virtual_machine_with_virtio_iommu_needs_no_word_of_its_processor(tmp_path: Path) -> None:
    done = call(machine(tmp_path, table="VIOT"))

    assert (done["arguments"], done["changed"], done["will_be_enabled"]) == ([], False, True)


@pytest.mark.parametrize(
    ("vendor", "table", "option"),
    [
        ("GenuineIntel", "DMAR", "CONFIG_INTEL_IOMMU"),
        ("AuthenticAMD", "IVRS", "CONFIG_AMD_IOMMU"),
        ("GenuineIntel", "VIOT", "CONFIG_VIRTIO_IOMMU"),
        ("AuthenticAMD", "IVRS", "CONFIG_IOMMU_SUPPORT"),
    ],
)
def test_no_argument_helps_a_kernel_that_is_built_without_its_driver(tmp_path: Path, vendor: str, table: str, option: str) -> None:
    host = machine(tmp_path, vendor, table, f"# {option} is not set\n", f'{SETTINGS}GRUB_CMDLINE_LINUX="intel_iommu=on"\n')
    done = call(host)

    assert (done["changed"], done["will_be_enabled"], done["because"]) == (False, False, f"the kernel is built without {option}")
    policy = gpu_host(tmp_path / "policy")
    policy.file("/proc/cpuinfo", f"vendor_id\t: {vendor}\n").file(f"{TABLES}/{table}", b"table")
    for group in policy.place("/sys/kernel/iommu_groups").iterdir():
        (group / "name").write_text("vfio-noiommu\n")
    release = policy.place("/proc/sys/kernel/osrelease").read_text().strip()
    policy.file(f"/boot/config-{release}", f"# {option} is not set\n")
    assert refused(policy, CLAIM) == (
        f"This host has no IOMMU, and none after the next boot: the kernel is built without {option}. No VFIO driver can take a device. "
        f"Boot a kernel with {option}."
    )


def test_an_entry_that_starts_xen_needs_no_argument(tmp_path: Path) -> None:
    host = machine(tmp_path, table=None)
    host.tree.file("/proc/xen/capabilities", "control_d\n")
    menu = host.text("/boot/grub/grub.cfg").replace("\tlinux\t/boot/", "\tmultiboot2\t/boot/xen-4.20-amd64.gz\n\tmodule2\t/boot/")
    host.tree.file("/boot/grub/grub.cfg", menu.replace("\tinitrd\t", "\tmodule2\t"))
    done = call(host)

    assert (done["arguments"], done["will_be_enabled"]) == ([], False)
    assert "under /boot/xen-4.20-amd64.gz, which keeps the IOMMU to itself" in done["because"]


def test_under_xen_its_own_way_is_named(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path / "policy").file("/proc/xen/capabilities", "control_d\n")
    for group in tree.place("/sys/kernel/iommu_groups").iterdir():
        (group / "name").write_text("vfio-noiommu\n")

    with pytest.raises(HostError, match="under Xen, which keeps the IOMMU to itself") as caught:
        run(tree, CLAIM)

    assert "xl pci-assignable-add" in str(caught.value.hint)


@pytest.mark.parametrize("has_headers", [False, True])
def test_what_a_kernel_does_by_itself_is_read_from_the_running_one_and_from_its_headers(tmp_path: Path, has_headers: bool) -> None:
    """Arch has no file with its kernels' configuration but these."""
    host, config = machine(tmp_path), b"CONFIG_INTEL_IOMMU=y\nCONFIG_INTEL_IOMMU_DEFAULT_ON=y\n"
    host.tree.place(f"/boot/config-{NEW}").unlink()
    host.tree.file(f"/boot/config-{OLD}", config)
    assert call(host, check_mode=True)["arguments"] == ["intel_iommu=on"]
    if has_headers:
        host.tree.file(f"/lib/modules/{NEW}/build/.config", config)
    else:
        host.tree.file("/proc/config.gz", gzip.compress(config))
    assert call(host, check_mode=True)["arguments"] == []
