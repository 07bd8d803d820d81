# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is laid over the root, and which devices that can touch."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import read as startup
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, NVIDIA_DISPLAY, Tree

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence

CARD = "0000:3b:00.0"
LIB = "/usr/lib/systemd/system"
PLACE = "/var/lib/extensions/site"
RULE = f'ACTION=="add", KERNEL=="{CARD}", ATTR{{driver_override}}="pci-stub"\n'


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    modules = {"nouveau": [NVIDIA_DISPLAY], "vfio-pci": [ANY_VFIO]}
    found = Tree(tmp_path).kernel(DEBIAN_13, modules, running=True).systemd().pci(CARD)
    for name in ("systemd-sysext.service", "systemd-confext.service"):
        found.file(f"{LIB}/{name}", "[Service]\nExecStart=/usr/bin/true\n").link(f"{LIB}/sysinit.target.wants/{name}", f"../{name}")
    return found.file("/etc/os-release", "ID=debian\n")


def influences(tree: Tree) -> tuple[Influence, ...]:
    host = tree.host()
    return startup.read(host, Kernel.read(host, DEBIAN_13), Inventory.read(host), Cmdline.parse(""), "grub.cfg:3").early


def extended(tree: Tree, path: str, text: str, mode: int = 0o644, identity: str = "ID=_any\n") -> Tree:
    return tree.file(f"{PLACE}/usr/lib/extension-release.d/extension-release.site", identity).file(f"{PLACE}{path}", text, mode)


@pytest.mark.parametrize(
    ("path", "text", "act"),
    [
        ("/usr/lib/udev/rules.d/70-site.rules", RULE, "override"),
        ("/usr/lib/tmpfiles.d/site.conf", f"w /sys/bus/pci/devices/{CARD}/remove - - - - 1\n", "remove"),
        ("/usr/lib/systemd/system/site.service", f"[Service]\nExecStart=/bin/sh -c 'echo > /sys/bus/pci/devices/{CARD}/reset'\n", "remove"),
        ("/opt/site/bind", f"#!/bin/sh\necho {CARD} >/sys/bus/pci/devices/{CARD}/driver/unbind\n", "unbind"),
    ],
)
def test_an_extension_touches_what_its_files_name(tree: Tree, path: str, text: str, act: str) -> None:
    (found,) = influences(extended(tree, path, text))
    assert (found.acts, found.addresses) == (frozenset({act}), frozenset({CARD}))
    assert found.source.startswith(PLACE)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/usr/lib/modprobe.d/site.conf", "blacklist nouveau\n"),
        ("/usr/lib/systemd/system-generators/site", "#!/bin/sh\n"),
        ("/usr/lib/systemd/system/systemd-udevd.service", "[Service]\nExecStart=/bin/true\n"),
        ("/usr/lib/os-release", "ID=debian\n"),
        ("/usr/bin/tool", "\x7fELF"),
    ],
)
def test_what_is_not_read_may_do_anything(tree: Tree, path: str, text: str) -> None:
    (found,) = influences(extended(tree.file("/usr/lib/os-release", "ID=debian\n"), path, text, 0o755))
    assert found.addresses is None


@pytest.mark.parametrize("path", ["/usr/share/doc/site/bind.sh", "/usr/share/site/data", "/usr/lib/udev/rules.d/README"])
def test_a_file_that_nothing_reads_is_inert(tree: Tree, path: str) -> None:
    assert influences(extended(tree, path, "data\n")) == ()


@pytest.mark.parametrize(
    ("identity", "is_laid"), [("ID=_any\n", True), ("ID=debian\n", True), ("ID=other\n", False), ('ID="debian"\n', True)]
)
def test_an_extension_for_another_system_is_not_laid_over_it(tree: Tree, identity: str, is_laid: bool) -> None:
    assert bool(influences(extended(tree, "/usr/lib/udev/rules.d/70-site.rules", RULE, identity=identity))) == is_laid


def test_one_that_does_not_say_what_it_is_for_is_for_none(tree: Tree) -> None:
    assert influences(tree.file(f"{PLACE}/usr/lib/udev/rules.d/70-site.rules", RULE)) == ()


def test_an_image_is_not_read(tree: Tree) -> None:
    (found,) = influences(tree.file("/var/lib/extensions/site.raw", ""))
    assert (found.source, found.addresses) == ("/var/lib/extensions/site.raw", None)


def test_a_configuration_extension_lies_over_etc(tree: Tree) -> None:
    base = "/var/lib/confexts/site/etc"
    tree.file(f"{base}/extension-release.d/extension-release.site", "ID=_any\n").file(f"{base}/udev/rules.d/70-site.rules", RULE)
    assert [one.addresses for one in influences(tree)] == [frozenset({CARD})]


def test_without_the_service_nothing_is_laid_over_the_root(tree: Tree) -> None:
    extended(tree, "/usr/lib/udev/rules.d/70-site.rules", RULE)
    assert influences(tree.link("/etc/systemd/system/systemd-sysext.service", "/dev/null")) == ()
