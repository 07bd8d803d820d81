# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What guides get wrong around drivers, and what looks like it and is right: read from a tree, as the module does."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import Tree, stock_debian

CARD = "0000:01:00.0"
RULE = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{CARD}", ATTR{{driver_override}}="vfio-pci"\n'
DRIVER = f"echo vfio-pci > /sys/bus/pci/devices/{CARD}/driver_override\n"
SCRIPT = f"#!/bin/sh\n{DRIVER}"
CRON, CRON_LIST = f"@reboot root {DRIVER}", "/var/lib/dpkg/info/cron.list"
GRUB = "/etc/default/grub"
DEFAULT = "GRUB_CMDLINE_LINUX_DEFAULT"


def told(root: Path, cmdline: str = "root=/dev/sda1 ro quiet", **files: t.Any) -> list[str]:
    tree = stock_debian(root).systemd().pci(CARD, driver="nouveau", group=1).cmdline(cmdline)
    for path, given in files.items():
        text, mode = (given, 0o644) if isinstance(given, str) else given
        tree.file(path, text, mode)
    return said(tree)


def said(tree: Tree) -> list[str]:
    result = device_info(tree.host(Commands(tree.root)))
    return [*result["policy_warnings"], *(warning for one in result["devices"] for warning in one["warnings"])]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("intel_iommu=on,iommu=pt", "intel_iommu=on iommu=pt"),
        ("intel_iommu=on;iommu=pt", "intel_iommu=on iommu=pt"),
        ("quiet,intel_iommu=on", "quiet intel_iommu=on"),
        ("quiet;intel_iommu=on", "quiet intel_iommu=on"),
        ('"intel_iommu=on iommu=pt"', "intel_iommu=on iommu=pt"),
        ("amd_iommu=on,iommu=pt,vfio-pci.ids=10de:1db1,10de:10f0", "amd_iommu=on iommu=pt vfio-pci.ids=10de:1db1,10de:10f0"),
        ("iommu=pt,modprobe.blacklist=nouveau,nvidia", "iommu=pt modprobe.blacklist=nouveau,nvidia"),
        ("splash,nouveau.modeset=0", "splash nouveau.modeset=0"),
        ("console=ttyS0,115200,iommu=pt", "console=ttyS0,115200 iommu=pt"),
    ],
)
def test_words_that_are_joined_are_named(tmp_path: Path, word: str, meant: str) -> None:
    found = [line for line in told(tmp_path, f"root=/dev/sda1 ro {word}") if "is one word for the kernel" in line]
    assert len(found) == 1
    assert f"`{word}`" in found[0]
    assert found[0].endswith(f"Write `{meant}`, with blanks.")


@pytest.mark.parametrize(
    ("word", "meant"),
    [("intel_iommu=pt", "intel_iommu=on iommu=pt"), ("amd_iommu=pt", "iommu=pt"), ("iommu=passthrough", "iommu=pt")],
)
def test_a_value_of_another_word_is_named(tmp_path: Path, word: str, meant: str) -> None:
    (found,) = (line for line in told(tmp_path, f"ro {word}") if word in line)
    assert found.endswith(f"so it has no effect. Write `{meant}`.")


@pytest.mark.parametrize(
    "words",
    [
        "intel_iommu=on,sm_on iommu=pt console=ttyS0,115200n8 modprobe.blacklist=nouveau,nvidiafb isolcpus=domain,managed_irq,1-3",
        "video=efifb:off,vesafb:off pci=realloc,noaer initcall_blacklist=sysfb_init,simpledrm_platform_driver_init iommu=pt,merge",
        'systemd.setenv="WORDS=a intel_iommu=on" root=/dev/sda1',
        'dyndbg="file drivers/vfio/* +p; module vfio_pci +p" rd.luks.options=discard,tpm2-device=auto systemd.unit=multi-user.target',
        "zfs.zfs_arc_max=1 memmap=64K$0x18690000,nn ip=:::::eth0:dhcp,foo crashkernel=1G-4G:192M,4G-64G:256M",
    ],
)
def test_lists_that_the_kernel_knows_are_left_alone(tmp_path: Path, words: str) -> None:
    assert [line for line in told(tmp_path, words) if "one word" in line or "does not know the value" in line] == []


@pytest.mark.parametrize(
    ("path", "text", "meant"),
    [
        ("/etc/modprobe.d/blacklist.conf.txt", "blacklist nouveau\n", "/etc/modprobe.d/blacklist.conf"),
        ("/etc/modprobe.d/vfio.txt", "options vfio-pci ids=10de:1db1\n", "/etc/modprobe.d/vfio.conf"),
        ("/etc/modprobe.d/vfio.conf.bak", "options vfio-pci ids=10de:1db1\n", "/etc/modprobe.d/vfio.conf"),
        ("/etc/modprobe.d/vfio.conf~", "softdep nouveau pre: vfio-pci\n", "/etc/modprobe.d/vfio.conf"),
        ("/etc/modprobe.d/vfio.disabled", "options vfio-pci ids=10de:1db1\n", "/etc/modprobe.d/vfio.conf"),
        ("/etc/udev/rules.d/90-gpu.rules.disabled", RULE, "/etc/udev/rules.d/90-gpu.rules"),
        ("/etc/udev/rules.d/90-gpu.rules.txt", RULE, "/etc/udev/rules.d/90-gpu.rules"),
        ("/etc/modules-load.d/vfio.conf.old", "vfio-pci\n", "/etc/modules-load.d/vfio.conf"),
    ],
)
def test_a_file_with_an_ending_too_many_is_named_unless_another_has_its_place(tmp_path: Path, path: str, text: str, meant: str) -> None:
    (found,) = (line for line in told(tmp_path / "alone", **{path: text}) if path in line)
    assert f"`{text.strip()}` in it has no effect. Rename it to {meant}, or remove it." in found
    assert [line for line in told(tmp_path / "both", **{path: text, meant: text}) if path in line] == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/modprobe.d/blacklist.conf.bak", "blacklist nouveau\n"),
        ("/etc/modprobe.d/sound.conf.txt", "options snd_hda_intel power_save=1\n"),
        ("/etc/modprobe.d/README.txt", "Put files here.\n"),
        ("/etc/udev/rules.d/50-usb.rules.bak", 'SUBSYSTEM=="usb", MODE="0666"\n'),
        ("/etc/modules-load.d/loop.conf.bak", "loop\n"),
    ],
)
def test_what_was_put_aside_and_gives_nothing_to_guests_is_left_alone(tmp_path: Path, path: str, text: str) -> None:
    assert [line for line in told(tmp_path, **{path: text}) if path in line] == []


@pytest.mark.parametrize(
    ("line", "why", "meant"),
    [
        (
            f'{DEFAULT}="quiet; intel_iommu=on"',
            "has `;`, at which GRUB ends the kernel's command line",
            f'{DEFAULT}="quiet intel_iommu=on"',
        ),
        (f'{DEFAULT} = "intel_iommu=on"', "there is a blank beside `=`", f'{DEFAULT}="intel_iommu=on"'),
        (f"{DEFAULT}=quiet intel_iommu=on", "has no quotes, so that its first word alone counts", f'{DEFAULT}="quiet intel_iommu=on"'),
        (f"{DEFAULT}=\u201cintel_iommu=on\u201d", "has typographic quotes", f'{DEFAULT}="intel_iommu=on"'),
        ('GRUB_CMDLINE_LINUX_DEAFULT="iommu=pt"', "sets a variable that grub-mkconfig does not read", f'{DEFAULT}="iommu=pt"'),
        ('GRUB_CMD_LINE_LINUX="iommu=pt"', "sets a variable that grub-mkconfig does not read", 'GRUB_CMDLINE_LINUX="iommu=pt"'),
    ],
)
def test_a_line_of_the_settings_that_is_taken_otherwise_is_named(tmp_path: Path, line: str, why: str, meant: str) -> None:
    (found,) = (one for one in told(tmp_path, **{GRUB: f"GRUB_DEFAULT=0\n{line}\n"}) if one.startswith(f"{GRUB}:2: "))
    assert f"`{line}`" in found
    assert why in found
    assert found.endswith(f"Write `{meant}`.")


def test_words_that_a_later_file_replaces_are_named(tmp_path: Path) -> None:
    files = {GRUB: f'{DEFAULT}="quiet intel_iommu=on"\n', "/etc/default/grub.d/50-cloud.cfg": f'{DEFAULT}="console=ttyS0"\n'}
    (found,) = (one for one in told(tmp_path, **files) if one.startswith(f"{GRUB}:1: "))
    assert f"`intel_iommu=on` in {DEFAULT} has no effect, because /etc/default/grub.d/50-cloud.cfg:1 sets {DEFAULT} again" in found


@pytest.mark.parametrize(
    ("name", "meant"), [("vfio", "vfio.cfg"), ("vfio.conf", "vfio.cfg"), ("vfio.cfg.bak", "vfio.cfg"), ("vfio.cfg~", "vfio.cfg")]
)
def test_a_drop_in_that_is_not_read_is_named(tmp_path: Path, name: str, meant: str) -> None:
    folder = "/etc/default/grub.d"
    (found,) = (one for one in told(tmp_path, **{f"{folder}/{name}": f'{DEFAULT}="intel_iommu=on"\n'}) if f"{folder}/{name}" in one)
    assert found.endswith(f"Rename it to {folder}/{meant}, or remove it.")


def test_usual_settings_are_left_alone(tmp_path: Path) -> None:
    text = (
        "GRUB_DEFAULT=0\nGRUB_TIMEOUT=5\nGRUB_DISTRIBUTOR=`( . /etc/os-release; echo ${NAME:-Debian} ) 2>/dev/null || echo Debian`\n"
        f'{DEFAULT}="quiet intel_iommu=on iommu=pt vfio-pci.ids=10de:1db1,10de:10f0"  # for guests; see the wiki\n'
        'GRUB_CMDLINE_LINUX="console=tty0 modprobe.blacklist=nouveau"\n#GRUB_CMDLINE_LINUX_DEFAULT = "intel_iommu=on"\n'
    )
    more = f'{DEFAULT}="${DEFAULT} iommu=pt"\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX iommu=pt"\n'
    files = {GRUB: text, "/etc/default/grub.d/more.cfg": more, "/etc/default/grub.d/README": "See there.\n"}
    assert [one for one in told(tmp_path, **files) if "/etc/default/grub" in one] == []


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("/etc/cron.d/vfio.sh", CRON, "Rename it to /etc/cron.d/vfio."),
        ("/etc/cron.d/my.vfio", CRON, "Rename it to /etc/cron.d/my-vfio."),
        ("/etc/rc.local", SCRIPT, "it is not executable. Run `chmod +x /etc/rc.local`, or remove it."),
        ("/etc/rc.local", (f"#!/bin/sh -e\n\nexit 0\n{DRIVER}", 0o755), "the script ends at line 3 (`exit 0`). Move it before that line."),
        ("/etc/initramfs-tools/scripts/init-top/vfio.sh", SCRIPT, "mkinitramfs leaves it out, because it is not executable."),
        ("/etc/systemd/system/vfio-bind", f"[Service]\nExecStart=/bin/sh -c '{DRIVER[:-1]}'\n", "/etc/systemd/system/vfio-bind.service."),
        ("/etc/systemd/system/vfio.service.txt", f"[Service]\nExecStart=/bin/sh -c '{DRIVER[:-1]}'\n", "/etc/systemd/system/vfio.service."),
        ("/etc/systemd/system/vfio.conf", f"[Service]\nExecStart=/bin/sh -c '{DRIVER[:-1]}'\n", "/etc/systemd/system/vfio.service."),
        ("/etc/systemd/system/vfio.service", f"[Service]\nExecStart={DRIVER}", f"Write `ExecStart=/bin/sh -c '{DRIVER[:-1]}'`."),
    ],
)
def test_what_nothing_runs_is_named(tmp_path: Path, path: str, text: str | tuple[str, int], said: str) -> None:
    files: dict[str, t.Any] = {path: text, CRON_LIST: "/.\n"}
    (found,) = (one for one in told(tmp_path, **files) if path in one)
    assert found.endswith((said, said[:-1] + "`.")) or said in found


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("/etc/cron.d/vfio", CRON),
        ("/etc/cron.d/vfio.dpkg-old", CRON),
        ("/etc/default/grub.d/vfio.dpkg-dist", f'{DEFAULT}="intel_iommu=on"\n'),
        ("/etc/systemd/system/vfio.service.bak", f"[Service]\nExecStart=/bin/sh -c '{DRIVER[:-1]}'\n"),
        ("/etc/cron.d/.placeholder", "# DO NOT EDIT OR REMOVE\n"),
        ("/etc/cron.d/zfs.sh", "24 0 8-14 * * root zpool scrub rpool\n"),
        ("/etc/rc.local", (SCRIPT, 0o755)),
        ("/etc/rc.local", "#!/bin/sh\n# modprobe vfio-pci\nexit 0\n"),
        ("/etc/rc.local", (f"#!/bin/sh\nif [ -e /etc/no-guest ]; then\n  exit 0\nfi\n{DRIVER}exit 0\n", 0o755)),
        ("/etc/initramfs-tools/scripts/init-top/vfio", (SCRIPT, 0o755)),
        ("/etc/systemd/system/vfio.service", f"[Service]\nExecStart=/bin/sh -c '{DRIVER[:-1]}'\n"),
        ("/etc/systemd/system/vfio.service", "[Service]\nExecStart=/usr/sbin/modprobe vfio-pci\nExecStartPost=/usr/bin/logger a > b\n"),
        ("/etc/systemd/system/notes", "vfio-pci is for the guests\n"),
    ],
)
def test_what_runs_or_is_about_something_else_is_left_alone(tmp_path: Path, path: str, given: str | tuple[str, int]) -> None:
    files: dict[str, t.Any] = {path: given, CRON_LIST: "/.\n"}
    assert [one for one in told(tmp_path, **files) if path in one] == []


def test_a_table_of_another_cron_may_have_a_dot(tmp_path: Path) -> None:
    assert [one for one in told(tmp_path, **{"/etc/cron.d/vfio.sh": CRON}) if "vfio.sh" in one] == []
    options = {CRON_LIST: "/.\n", "/etc/default/cron": 'EXTRA_OPTS="-l"\n'}
    assert [one for one in told(tmp_path, **{"/etc/cron.d/vfio.sh": CRON, **options}) if "vfio.sh" in one] == []


@pytest.mark.parametrize("name", ["GRUB_CMDLINE", "grub_cmdline_linux", "GRUB_KERNEL_CMDLINE"])
def test_a_variable_of_another_name_is_told(tmp_path: Path, name: str) -> None:
    found = told(tmp_path, **{GRUB: f'{name}="vfio-pci.ids=10de:1db1"\n'})
    assert [one for one in found if one.endswith('does not read. Write `GRUB_CMDLINE_LINUX="vfio-pci.ids=10de:1db1"`.')]
