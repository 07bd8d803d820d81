# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules can ask of the command line and of the machine."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import MOST_FOLDERS, EventContext, Files, lasts
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import parse
from ansible_collections.vfio.variants.tests.unit.trees import Tree


@pytest.mark.parametrize(
    ("line", "wanted", "found"),
    [
        ("quiet gpu=vfio", "gpu", "vfio"),
        ("quiet gpu", "gpu", "1"),
        ("quiet gpu=", "gpu", ""),
        ("gpu=a gpu=b", "gpu", "b"),
        ("gpu=a gpu", "gpu", "a"),
        ("gpu-driver=a", "gpu_driver", "a"),
        ("gpux=a", "gpu", None),
        ("rd.gpu=a", "rd.gpu", None),
    ],
)
def test_a_word_of_the_command_line_is_taken_as_import_cmdline_takes_it(line: str, wanted: str, found: str | None) -> None:
    """proc_cmdline_get_key() in src/basic/proc-cmdline.c."""
    assert EventContext(cmdline=Cmdline.parse(line)).word(wanted) == found


def test_words_for_the_initramfs_count_there() -> None:
    assert EventContext(cmdline=Cmdline.parse("rd.gpu=a"), in_initrd=True).word("rd.gpu") == "a"
    assert EventContext().word("gpu") is None


@pytest.mark.parametrize("path", ["/dev", "/proc/x", "/run/x", "/sys/x", "/tmp/x", "/var/run/x", "x"])
def test_what_is_another_after_a_boot_is_not_looked_at(path: str) -> None:
    assert not lasts(path)
    assert lasts("/etc/x")


def asked(tree: Tree, *rules: str) -> Files:
    keys = [key for text in rules for rule in parse(f'{text}, OPTIONS+="watch"\n', "/etc/udev/rules.d/a.rules") for key in rule.keys]
    return Files.read(tree.host(), keys)


def test_so_many_folders_are_read_and_no_more(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for number in range(MOST_FOLDERS + 1):
        tree.file(f"/etc/{number}/on")
    found = asked(tree, *(f'TEST=="/etc/{number}/on"' for number in range(MOST_FOLDERS + 1)))
    assert [found.has(f"/etc/{number}/on") for number in (0, MOST_FOLDERS - 1, MOST_FOLDERS)] == [True, True, None]


def test_so_many_files_are_imported_and_no_more(tmp_path: Path) -> None:
    found = asked(Tree(tmp_path), *(f'IMPORT{{file}}="/etc/{number}"' for number in range(MOST_FOLDERS + 1)))
    assert sorted(found.imported) == sorted(f"/etc/{number}" for number in range(MOST_FOLDERS))


def test_the_folders_and_files_that_rules_ask_for_are_read(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/vfio/on").file("/etc/gpu", "A=1\nB='2 3'\n# C=4\nD=\n")
    found = asked(
        tree, 'TEST=="/etc/vfio/on"', 'TEST=="/etc/vfio/$env{X}"', 'TEST=="/gone/x"', 'IMPORT{file}="/etc/gpu"', 'IMPORT{file}="/etc/no"'
    )
    assert found.folders == {"/etc/vfio": {"on"}, "/gone": frozenset()}
    assert found.imported == {"/etc/gpu": (("A", "1"), ("B", "2 3")), "/etc/no": None}
    assert [found.has(path) for path in ("/etc/vfio/on", "/etc/vfio/off", "/gone/x", "/etc/gpu", "/run/x")] == [
        True,
        False,
        False,
        None,
        None,
    ]


@pytest.mark.parametrize(
    "rule",
    [
        'TEST=="/run/x"',
        'TEST=="x"',
        'TEST=="/etc/*/x"',
        'TEST=="/etc/v*"',
        'TEST=="/etc/$env{X}/x"',
        'IMPORT{file}="/run/x"',
        'IMPORT{file}="/etc/$env{X}"',
        'IMPORT{program}="/etc/x"',
        'KERNEL=="/etc/x"',
    ],
)
def test_nothing_else_is_read(tmp_path: Path, rule: str) -> None:
    found = asked(Tree(tmp_path).file("/etc/x"), rule)
    assert (found.folders, found.imported) == ({}, {})


def test_files_by_the_device_s_name_are_read_and_no_others(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/site/0000:3b:00.0", "A=1\n").file("/etc/site/shadow", "B=1\n").file("/etc/site/0x10de-0x1db1", "C=1\n")
    by_name, by_id = asked(tree, 'IMPORT{file}="/etc/site/%k"'), asked(tree, 'IMPORT{file}="/etc/site/$attr{vendor}-%s{device}"')
    assert by_name.imported == {"/etc/site/0000:3b:00.0": (("A", "1"),)}
    assert by_id.imported == {"/etc/site/0x10de-0x1db1": (("C", "1"),)}
    written = "/etc/site/%k"
    assert [by_name.imports(path, written) for path in ("/etc/site/0000:5e:00.0", "/etc/site/a/b", "/run/x")] == [True, False, False]
    assert not asked(tree, 'IMPORT{file}="/etc/site/$env{X}"').imports("/etc/site/a", "/etc/site/$env{X}")


def test_the_permissions_of_a_file_whose_name_a_device_completes_are_not_read(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/site/on", mode=0o755).file("/etc/site/of-$kernel", mode=0o755)
    found = asked(tree, 'TEST{0100}=="/etc/site/on"', 'TEST{0100}=="/etc/site/of-$kernel"')
    assert found.modes == {"/etc/site/on": 0o755}
    assert [found.allows(path, 0o100) for path in ("/etc/site/on", "/etc/site/of-$kernel")] == [True, None]


def test_whether_the_machine_is_virtual_is_asked_of_the_root_that_shows_it(tmp_path: Path) -> None:
    """An initramfs has neither /proc nor /sys: the root that it was made on does."""
    (rule,) = parse('CONST{virt}=="kvm", OPTIONS+="watch"\n', "/etc/udev/rules.d/a.rules")
    root = Tree(tmp_path / "root").file("/proc/cpuinfo", "flags : hypervisor\n").file("/sys/class/dmi/id/sys_vendor", "QEMU\n").host()
    initramfs = Tree(tmp_path / "initramfs").file("/init").host()
    assert Files.read(root, rule.keys).virtual is True
    assert Files.read(initramfs, rule.keys, made_on=root).virtual is True
    assert Files.read(initramfs, rule.keys).virtual is None
    assert asked(Tree(tmp_path / "root"), 'CONST{arch}=="x86-64"').virtual is None


# architecture_to_string() in systemd's architecture.c, for what `uname -m` says.
@pytest.mark.parametrize(
    ("machine", "name"),
    [
        *(("x86_64", "x86-64"), ("i686", "x86"), ("i386", "x86"), ("aarch64", "arm64"), ("ppc64le", "ppc64-le"), ("ppc64", "ppc64")),
        *(("s390x", "s390x"), ("riscv64", "riscv64"), ("loongarch64", "loongarch64"), ("armv7l", "arm"), ("other", None)),
    ],
)
def test_the_architecture_has_systemds_name(tmp_path: Path, machine: str, name: str | None) -> None:
    tree = Tree(tmp_path).file("/proc/sys/kernel/arch", f"{machine}\n")
    assert asked(tree, 'CONST{arch}=="x"').architecture == name
    assert asked(tree, 'KERNEL=="x"').architecture is None


def elf(bits: int, order: int, machine: int) -> bytes:
    return b"\x7fELF" + bytes((bits, order, 1)) + bytes(11) + machine.to_bytes(2, "little" if order == 1 else "big") + bytes(44)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (elf(2, 1, 62), "x86-64"),
        (elf(2, 1, 183), "arm64"),
        (elf(2, 2, 22), "s390x"),
        (elf(2, 1, 21), "ppc64-le"),
        (elf(2, 2, 21), "ppc64"),
        # A program of 32 bits runs under kernels of either kind.
        (elf(1, 1, 3), None),
        (elf(1, 1, 40), None),
        (b"\x7fELF", None),
        (b"#!/bin/sh\nexec /usr/libexec/udevadm\n", None),
    ],
)
def test_where_the_kernel_does_not_say_it_udev_s_own_file_tells_the_architecture(tmp_path: Path, head: bytes, name: str | None) -> None:
    assert asked(Tree(tmp_path).file("/usr/bin/udevadm", head), 'CONST{arch}=="x"').architecture == name


def test_what_the_kernel_says_comes_first(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/usr/bin/udevadm", elf(2, 1, 62)).file("/proc/sys/kernel/arch", "aarch64\n")
    assert asked(tree, 'CONST{arch}=="x"').architecture == "arm64"


def test_a_program_of_this_machine_is_of_this_machine_s_architecture(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/usr/bin/udevadm", Path("/bin/sh").resolve().read_bytes())
    said = Tree(tmp_path / "said").file("/proc/sys/kernel/arch", f"{platform.machine()}\n")
    read, known = (asked(one, 'CONST{arch}=="x"').architecture for one in (tree, said))
    assert read is not None
    assert read == known


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("A=1", ("A", "1")),
        (" A = 1 ", ("A", "1")),
        ('A="1 2"', ("A", "1 2")),
        ("A='1'", ("A", "1")),
        ("A=''", ("A", "")),
        ("A=b=c", ("A", "b=c")),
        ("A='1", None),
        ("A='", None),
        ("A=\"1'", None),
        ("A=", None),
        ("=1", None),
        ("A", None),
        ("#A=1", None),
        ("", None),
    ],
)
def test_a_line_of_an_imported_file_is_a_property(tmp_path: Path, line: str, found: tuple[str, str] | None) -> None:
    """get_property_from_string() in udev-rules.c."""
    imported = asked(Tree(tmp_path).file("/etc/x", f"{line}\n"), 'IMPORT{file}="/etc/x"').imported
    assert imported == {"/etc/x": () if found is None else (found,)}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel/osrelease", "6.1"),
        ("kernel.osrelease", "6.1"),
        ("kernel/ostype", "Linux"),
        ("kernel.ostype", "Linux"),
        ("kernel/hostname", None),
        ("net/kernel.ostype", None),
        ("kernel.ostype.x", None),
    ],
)
def test_a_kernel_parameter_that_stays_the_same_is_known(name: str, value: str | None) -> None:
    assert EventContext(release="6.1").sysctl(name) == value


@pytest.mark.parametrize(("virtual", "may_be_none"), [(True, False), (False, True), (None, True)])
def test_a_machine_known_to_be_virtual_is_of_some_kind_but_need_not_be_confidential(virtual: bool | None, may_be_none: bool) -> None:
    context = EventContext(files=Files(virtual=virtual))
    assert ("none" in context.constant("virt")) is may_be_none
    assert ("kvm" in context.constant("virt")) is (virtual is not False)
    assert "none" in context.constant("cvm")


def test_an_unknown_release_leaves_each_architecture() -> None:
    assert {"x86-64", "arm64"} <= set(EventContext(release=None).constant("arch"))
