# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that join a command line from several files, that change more than they are asked for, or that are not run at all."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit import cmdline_hosts as hosts
from ansible_collections.vfio.variants.tests.unit.boot_menus import NEW, boot_option, unified_image
from ansible_collections.vfio.variants.tests.unit.cmdline_hosts import ROOT, CmdlineHost

WORDS = ("intel_iommu=on", "iommu=pt")
Make = t.Callable[[Path], CmdlineHost]
LINE, PARTS = "/etc/kernel/cmdline", "/etc/cmdline.d"


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("preset", "line", "changed"),
    [
        ("", {f"{PARTS}/root.conf": ROOT}, [f"{PARTS}/root.conf"]),
        # Both are read, and the last one counts.
        ("", {LINE: ROOT, f"{PARTS}/a.conf": "iommu=soft"}, [f"{PARTS}/a.conf"]),
        ("", {f"{PARTS}/9.conf": ROOT, f"{PARTS}/10.conf": "iommu=soft"}, [f"{PARTS}/10.conf"]),
        ("", {f"{PARTS}/below/root.conf": ROOT}, [f"{PARTS}/below/root.conf"]),
        ("", {"/usr/lib/kernel/cmdline": ROOT}, [LINE]),
        ("", {"/usr/lib/kernel/cmdline": ROOT, f"{PARTS}/a.conf": "quiet"}, [f"{PARTS}/a.conf"]),
        ("default_cmdline=/etc/own\n", {"/etc/own": ROOT, LINE: "other"}, ["/etc/own"]),
        ("ALL_cmdline=/etc/own\n", {"/etc/own": ROOT, f"{PARTS}/a.conf": "other"}, ["/etc/own"]),
        ("default_cmdline=/etc/own.d\n", {"/etc/own.d/a.conf": ROOT, LINE: "other"}, ["/etc/own.d/a.conf"]),
        ("default_options='-S autodetect --cmdline /etc/own'\n", {"/etc/own": ROOT, LINE: "other"}, ["/etc/own"]),
        (
            "PRESETS+=('fallback')\nfallback_uki=/boot/EFI/Linux/second.efi\nfallback_cmdline=/etc/own\n",
            {"/etc/own": ROOT, LINE: ROOT},
            [LINE, "/etc/own"],
        ),
    ],
)
def test_mkinitcpio_s_line_is_changed_in_the_files_that_it_is_joined_from(
    tmp_path: Path, preset: str, line: t.Mapping[str, str], changed: list[str]
) -> None:
    host = hosts.arch_unified(tmp_path, preset, {place: f"{text}\n" for place, text in line.items()})
    before = host.files()
    predicted = host.call("iommu=pt", check_mode=True)

    result = host.call("iommu=pt")

    assert (result["files"], result["entries"]) == (sorted(changed), predicted["entries"])
    assert result["entries"][hosts.ARCH]["after"][-1] == "iommu=pt"
    assert not host.call("iommu=pt")["changed"]
    host.call("iommu=pt", state="absent")
    assert host.files() == before


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ({LINE: ROOT, f"{LINE}.d/50-x": "iommu=soft"}, f"{LINE}.d/50-x"),
        ({"/usr/lib/kernel/cmdline": ROOT, f"{LINE}.d/50-x.conf": "quiet"}, f"{LINE}.d/50-x.conf"),
        ({"/usr/lib/kernel/cmdline": ROOT}, LINE),
    ],
)
def test_sdbootutil_s_line_goes_on_in_its_folder(tmp_path: Path, line: t.Mapping[str, str], changed: str) -> None:
    host = hosts.opensuse_sdbootutil(tmp_path)
    host.tree.place(LINE).unlink()
    for place, text in line.items():
        host.tree.file(place, f"{text}\n")
    host.tree.host(host.commands).run(["sdbootutil", "update-all-entries"], 60)
    before = host.files()

    result = host.call("iommu=pt")

    assert changed in result["files"]
    assert all(entry["after"][-1] == "iommu=pt" for entry in result["entries"].values())
    host.call("iommu=pt", state="absent")
    assert host.files() == before


def test_an_argument_goes_from_sdbootutil_s_folder(tmp_path: Path) -> None:
    host = hosts.opensuse_sdbootutil(tmp_path)
    host.tree.file(f"{LINE}.d/50-x", "splash iommu=pt\n")
    host.tree.host(host.commands).run(["sdbootutil", "update-all-entries"], 60)

    host.call("iommu=pt", state="absent")

    assert host.text(f"{LINE}.d/50-x") == "splash\n"


# -- grubby


@pytest.mark.parametrize("make", [hosts.fedora, hosts.rocky])
def test_everything_is_put_back_if_grubby_fails_after_its_work(tmp_path: Path, make: Make) -> None:
    host = make(tmp_path)
    host.tree.file("/refuse-late")
    before = host.files()

    with pytest.raises(HostError, match="failed with exit code 1"):
        host.call(*WORDS)

    assert host.files() == before


def test_grubby_changes_the_rescue_entry_as_well_and_no_setting_of_another_name(tmp_path: Path) -> None:
    host = hosts.rocky(tmp_path)

    host.call(*WORDS)

    assert "rhgb quiet intel_iommu=on iommu=pt\n" in host.text(f"/boot/loader/entries/{hosts.MACHINE}-0-rescue.conf")
    settings = host.text("/etc/default/grub").splitlines()
    assert settings[1:] == ['GRUB_CMDLINE_LINUX_DEFAULT="quiet"', 'GRUB_CMDLINE_LINUX="rhgb intel_iommu=on iommu=pt"']


def test_an_argument_that_the_rescue_entry_alone_has_goes(tmp_path: Path) -> None:
    host = hosts.fedora(tmp_path)
    entry = f"/boot/loader/entries/{hosts.MACHINE}-0-rescue.conf"
    host.tree.file(entry, host.text(entry).replace("rhgb", "rhgb nomodeset"))

    assert host.call("nomodeset", state="absent")["changed"]

    assert "nomodeset" not in host.text(entry)
    assert not host.call("nomodeset", state="absent")["changed"]


def test_what_grub_quotes_is_predicted_as_it_will_be(tmp_path: Path) -> None:
    for make in (hosts.debian, hosts.rocky):
        host = make(tmp_path / make.__name__)
        predicted = host.call('dyndbg="file x +p"', check_mode=True)
        assert predicted["entries"] == host.call('dyndbg="file x +p"')["entries"]


# -- ways that are not gone


@pytest.mark.parametrize(
    ("settings", "way"),
    [(None, "add them to the line `cmdline` of its entries in /boot/limine.conf"), ("", "KERNEL_CMDLINE[default] in /etc/default/limine")],
)
def test_limine_s_own_way_is_named(tmp_path: Path, settings: str | None, way: str) -> None:
    host = hosts.limine(tmp_path)
    if settings is not None:
        host.tree.file("/etc/default/limine", settings)

    with pytest.raises(HostError, match="Limine boots from entries that are made by no program that is known") as told:
        host.call(*WORDS)

    assert way in str(told.value.hint)


@pytest.mark.parametrize(
    ("place", "way"),
    [
        ("/boot/refind_linux.conf", "add them to each line of /boot/refind_linux.conf."),
        (
            "/boot/EFI/limine/none",
            "add them to `options` of its entry in /boot/EFI/refind/refind.conf, or to a refind_linux.conf beside the",
        ),
    ],
)
def test_refind_s_own_way_is_named(tmp_path: Path, place: str, way: str) -> None:
    host = hosts.started_by_firmware(tmp_path)
    boot_option(host.tree, 1, "\\EFI\\refind\\refind_x64.efi", "rEFInd")
    host.tree.file("/boot/EFI/refind/refind_x64.efi", b"MZ rEFInd").file("/boot/EFI/refind/refind.conf", "timeout 1\n").file(place)

    with pytest.raises(HostError) as told:
        host.call(*WORDS)

    assert way in str(told.value.hint)


@pytest.mark.parametrize(("has_entries", "way"), [(True, "grubby --update-kernel=ALL"), (False, "`parameters` in /etc/zipl.conf")])
def test_zipl_s_way_is_that_of_its_entries_where_it_reads_such(tmp_path: Path, has_entries: bool, way: str) -> None:
    host = hosts.rocky(tmp_path)
    host.tree.file("/etc/zipl.conf", "[defaultboot]\ndefaultauto\n")
    if not has_entries:
        for entry in host.tree.place("/boot/loader/entries").iterdir():
            entry.unlink()

    with pytest.raises(HostError) as told:
        host.call(*WORDS)

    assert way in str(told.value.hint)


def test_what_the_firmware_gives_a_kernel_is_changed_by_efibootmgr(tmp_path: Path) -> None:
    with pytest.raises(HostError) as told:
        hosts.started_by_firmware(tmp_path).call(*WORDS)
    assert "efibootmgr --create" in str(told.value.hint)


def test_a_unified_image_out_of_a_package_gets_arguments_by_an_addon_alone(tmp_path: Path) -> None:
    host = hosts.kernel_install(tmp_path)
    image = f"/boot/EFI/Linux/{hosts.MACHINE}-{NEW}.efi"
    sections = [(".osrel", b"ID=rhel\n"), (".cmdline", b"console=ttyS0"), (".uname", NEW.encode()), (".linux", b"MZ"), (".initrd", b"x")]
    for entry in host.tree.place("/boot/loader/entries").iterdir():
        entry.unlink()
    host.tree.file(image, unified_image(sections)).file(f"/lib/modules/{NEW}/vmlinuz-virt.efi")

    with pytest.raises(HostError, match="by no program that is known and installed") as told:
        host.call(*WORDS)

    assert f"ukify build --cmdline=… --output=NAME.addon.efi`, into {image}.extra.d" in str(told.value.hint)


# -- several entries of a kernel


def test_check_mode_names_each_entry_of_a_kernel(tmp_path: Path) -> None:
    host = hosts.opensuse_sdbootutil(tmp_path)
    folder = "/boot/efi/loader/entries"
    (name,) = [path.name for path in host.tree.place(folder).iterdir()]
    # As a snapshot before has it.
    host.tree.file(f"{folder}/{name.replace('-1.conf', '-2.conf')}", host.text(f"{folder}/{name}"))
    predicted = host.call(*WORDS, check_mode=True)

    assert predicted["files"] == host.call(*WORDS)["files"]
    assert len([path for path in predicted["files"] if path.startswith(folder)]) == 2
