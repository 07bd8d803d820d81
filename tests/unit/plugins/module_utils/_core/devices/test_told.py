# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A forecast that is remembered is the one that would be made now."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.vfio.variants.plugins.module_utils._core import cache as cache_module
from ansible_collections.vfio.variants.plugins.module_utils._core.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.devices import facts
from ansible_collections.vfio.variants.plugins.module_utils._core.devices.told import Told
from ansible_collections.vfio.variants.plugins.module_utils._core.witness import Witness
from ansible_collections.vfio.variants.tests.unit import boot_images
from ansible_collections.vfio.variants.tests.unit.driver_files import Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.images import archive, packed
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, NVIDIA_DISPLAY, Tree, stock_debian

GPU = "0000:3b:00.0"
NOUVEAU = f"/lib/modules/{DEBIAN_13}/kernel/drivers/gpu/drm/nouveau/nouveau.ko"
OVERRIDE = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{GPU}", ATTR{{driver_override}}="vfio-pci", RUN{{builtin}}+="kmod load vfio-pci"\n'


class Machine:
    """A host that is looked at again and again; ``made`` counts how often its forecasts were made."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.made = 0

    def look(self, **options: t.Any) -> dict[str, t.Any]:
        return facts.gather(self.tree.host(), **options)

    def claimed(self) -> str | None:
        return t.cast("str | None", self.look()["devices"][0]["kernels"][DEBIAN_13]["claimed"])


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    tree = stock_debian(tmp_path / "root").systemd().pci(GPU, driver="nouveau").file("/etc/modprobe.d/site.conf", "# nothing\n")
    tree.file(NOUVEAU, driver_file(DEBIAN_13, [Driver(b"nouveau", (Entry(0x10DE, 0x1DB1),))], aliases=[NVIDIA_DISPLAY]))
    found = Machine(tree)
    right = Told.of.__func__  # type: ignore[attr-defined]

    def counted(cls: type[Told], *arguments: t.Any) -> Told:
        found.made += 1
        return t.cast("Told", right(cls, *arguments))

    monkeypatch.setattr(Told, "of", classmethod(counted))
    monkeypatch.setattr(cache_module, "DIRECTORY", str(tmp_path / "kept"))
    monkeypatch.setattr(facts, "Cache", lambda host, writable: Cache(host, writable, settled=0.0))
    return found


def test_it_is_made_once_and_told_alike_ever_after(machine: Machine) -> None:
    first = machine.look()
    assert [machine.look(), machine.look()] == [first, first]
    assert machine.made == 1


def _assign(tree: Tree) -> None:
    tree.file("/usr/sbin/driverctl", "#!/bin/bash\n", mode=0o755).file("/usr/lib/udev/rules.d/05-driverctl.rules", "")
    tree.file(f"/etc/driverctl.d/pci-{GPU}", "vfio-pci\n")


def _rebuild(tree: Tree) -> None:
    image = boot_images.initramfs_tools({"nouveau": [NVIDIA_DISPLAY]})
    tree.file(f"/boot/initrd.img-{DEBIAN_13}", packed(archive(image), "gzip"))


CHANGES: dict[str, t.Callable[[Tree], object]] = {
    "a line of modprobe.d": lambda tree: tree.file("/etc/modprobe.d/site.conf", "blacklist nouveau\n"),
    "a new file of modprobe.d": lambda tree: tree.file("/etc/modprobe.d/other.conf", "blacklist nouveau\n"),
    "a rule": lambda tree: tree.file("/etc/udev/rules.d/70-vfio.rules", OVERRIDE),
    "a list of modules": lambda tree: tree.file("/etc/modules-load.d/vfio.conf", "vfio-pci\n"),
    "driverctl": _assign,
    "the command line": lambda tree: tree.cmdline("module_blacklist=nouveau"),
    "the image": _rebuild,
    "a list of depmod": lambda tree: tree.file(f"/lib/modules/{DEBIAN_13}/modules.alias", ""),
    "a module's file": lambda tree: tree.file(NOUVEAU, "no module"),
    "a kernel's configuration": lambda tree: tree.file(f"/boot/config-{DEBIAN_13}", "CONFIG_MODULE_SIG_FORCE=y\n"),
    "a further kernel": lambda tree: tree.kernel(DEBIAN_12),
    "a further device": lambda tree: tree.pci("0000:3c:00.0"),
    "the device's driver": lambda tree: tree.pci(GPU, driver="vfio-pci"),
    "the device's override": lambda tree: tree.file(f"/sys/bus/pci/devices/{GPU}/driver_override", "vfio-pci\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_made_again_after_a_change(machine: Machine, change: str) -> None:
    machine.look()
    CHANGES[change](machine.tree)
    machine.look()
    assert machine.made == 2


def test_what_is_remembered_is_not_what_was(machine: Machine) -> None:
    assert (machine.claimed(), machine.claimed()) == (None, None)
    machine.tree.file("/etc/udev/rules.d/70-vfio.rules", OVERRIDE)
    assert (machine.claimed(), machine.claimed()) == ("vfio-pci", "vfio-pci")
    assert machine.made == 2


def test_some_devices_are_told_apart_from_all(machine: Machine) -> None:
    machine.tree.pci("0000:3c:00.0")
    for _round in range(2):
        assert len(machine.look()["devices"]) == 2
        assert [device["address"] for device in machine.look(devices="0000:3c:00.0")["devices"]] == ["0000:3c:00.0"]
    assert machine.made == 2


def test_check_mode_remembers_nothing(machine: Machine) -> None:
    machine.look(check_mode=True)
    machine.look(check_mode=True)
    assert machine.made == 2


def test_the_version_of_what_is_remembered_is_the_collection_s() -> None:
    galaxy = next(folder / "galaxy.yml" for folder in Path(__file__).resolve().parents if (folder / "galaxy.yml").is_file())
    assert yaml.safe_load(galaxy.read_text())["version"] == cache_module.VERSION


class TestWitness:
    def test_two_that_saw_the_same_agree_whatever_the_order(self) -> None:
        first, second = Witness(), Witness()
        first.saw_content("/a", b"1")
        first.saw("type", "/b", (0,))
        second.saw("type", "/b", (0,))
        second.saw_content("/a", b"1")
        second.saw_content("/a", b"1")
        assert first.fingerprint() == second.fingerprint()

    @pytest.mark.parametrize(("path", "content"), [("/a", b"2"), ("/b", b"1"), ("/a", None)])
    def test_two_that_did_not_differ(self, path: str, content: bytes | None) -> None:
        first, second = Witness(), Witness()
        first.saw_content("/a", b"1")
        second.saw_content(path, content)
        assert first.fingerprint() != second.fingerprint()

    def test_one_who_saw_a_change_is_not_relied_upon(self, machine: Machine) -> None:
        host = machine.tree.host()
        with host.watched() as witness:
            host.read_text("/etc/modprobe.d/site.conf")
            machine.tree.file("/etc/modprobe.d/site.conf", "blacklist nouveau\n")
            host.read_text("/etc/modprobe.d/site.conf")
        cache = Cache(host, True, settled=0.0)
        said = [
            cache.concluded("test", "", witness, lambda: machine.tree, lambda _tree: 1, lambda _kept: machine.tree) for _round in range(2)
        ]
        assert (witness.is_reliable, said) == (False, [machine.tree, machine.tree])
        assert not list(Path(cache_module.DIRECTORY).glob("test-*"))

    def test_a_file_that_may_still_be_changing_makes_nothing_to_remember(self, machine: Machine) -> None:
        host = machine.tree.host()
        with host.watched() as witness:
            host.stat("/etc/modprobe.d/site.conf")
        Cache(host, True, settled=60.0).concluded("test", "", witness, lambda: 1, lambda said: said, lambda kept: kept)
        assert not list(Path(cache_module.DIRECTORY).glob("test-*"))
        then = os.stat(machine.tree.place("/etc/modprobe.d/site.conf")).st_ctime_ns
        assert witness.newest == then
