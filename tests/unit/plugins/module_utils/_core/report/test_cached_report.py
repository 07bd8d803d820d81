# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A forecast that is remembered is the one that would be made now."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import cache as cache_module
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_log import STATUS
from ansible_collections.vfio.variants.plugins.module_utils._core.report import device_facts as facts
from ansible_collections.vfio.variants.plugins.module_utils._core.report.cached_report import CachedReport
from ansible_collections.vfio.variants.tests.unit import initramfs_files
from ansible_collections.vfio.variants.tests.unit.driver_files import Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.images import archive, packed
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, NVIDIA_DISPLAY, Tree, stock_debian

GPU = "0000:3b:00.0"
FOLDER = "/etc/modprobe.d"
CONF = f"{FOLDER}/site.conf"
NOUVEAU = f"/lib/modules/{DEBIAN_13}/kernel/drivers/gpu/drm/nouveau/nouveau.ko"
OVERRIDE = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{GPU}", ATTR{{driver_override}}="vfio-pci", RUN{{builtin}}+="kmod load vfio-pci"\n'


class Machine:
    """A host that is looked at again and again; ``made`` counts how often its forecasts were made."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.made = 0

    def look(self, **options: t.Any) -> dict[str, t.Any]:
        return device_info(self.tree.host(), **options)

    def claimed(self) -> str | None:
        return t.cast("str | None", self.look()["devices"][0]["kernels"][DEBIAN_13]["claimed"])


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    tree = stock_debian(tmp_path / "root").systemd().pci(GPU, driver="nouveau").file("/etc/modprobe.d/site.conf", "# nothing\n")
    tree.file(NOUVEAU, driver_file(DEBIAN_13, [Driver(b"nouveau", (Entry(0x10DE, 0x1DB1),))], aliases=[NVIDIA_DISPLAY]))
    found = Machine(tree)
    right = CachedReport.read.__func__  # type: ignore[attr-defined]

    def counted(cls: type[CachedReport], *arguments: t.Any) -> CachedReport:
        found.made += 1
        return t.cast("CachedReport", right(cls, *arguments))

    monkeypatch.setattr(CachedReport, "read", classmethod(counted))
    monkeypatch.setattr(cache_module, "CACHE_DIRECTORY", str(tmp_path / "kept"))
    monkeypatch.setattr(facts, "Cache", lambda host, writable: Cache(host, writable, settled=0.0))
    return found


def test_it_is_made_once_and_told_alike_ever_after(machine: Machine) -> None:
    first = machine.look()
    assert [machine.look(), machine.look()] == [first, first]
    assert machine.made == 1


def test_a_card_with_virtual_functions_is_remembered_and_told_from_one_with_others(machine: Machine) -> None:
    card, here = "0000:5e:00.0", "/sys/devices/pci0000:5e/0000:5e:00.0"
    machine.tree.pci(card, "8086:1592", class_code=0x020000, max_virtual_functions=8)
    for name, value in (("sriov_offset", 8), ("sriov_stride", 1), ("sriov_numvfs", 0), ("sriov_vf_device", "1889")):
        machine.tree.file(f"{here}/{name}", f"{value}\n")
    assert machine.look() == machine.look()
    assert machine.made == 1
    machine.tree.file(f"{here}/sriov_offset", "16\n")
    machine.look()
    assert machine.made == 2


def _assign(tree: Tree) -> None:
    tree.driverctl().file(f"/etc/driverctl.d/pci-{GPU}", "vfio-pci\n")


def _rebuild(tree: Tree) -> None:
    image = initramfs_files.initramfs_tools({"nouveau": [NVIDIA_DISPLAY]})
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
    "a module that is loaded": lambda tree: tree.directory("/sys/module/vfio_pci"),
    "headers": lambda tree: tree.file(f"/lib/modules/{DEBIAN_13}/build/Makefile"),
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


def test_without_a_forecast_it_is_another_thing(machine: Machine) -> None:
    machine.look()
    assert "next_boot" not in machine.look(forecast=False)
    assert machine.made == 2


class TestProof:
    @pytest.mark.parametrize(
        "ask",
        [
            lambda host: host.text_or_none(CONF),
            lambda host: host.read_bytes(CONF),
            lambda host: host.stat(CONF),
            lambda host: host.exists(CONF),
            lambda host: host.is_dir(CONF),
            lambda host: host.names(FOLDER),
            lambda host: host.link(CONF),
        ],
    )
    def test_a_question_is_asked_again(self, machine: Machine, ask: t.Callable[[Host], object]) -> None:
        host = machine.tree.host()
        with host.recorded() as log:
            ask(host)
        assert host.still_answers(json.loads(json.dumps(log.seen)))
        machine.tree.place(CONF).unlink()
        machine.tree.link(CONF, "elsewhere").file(f"{FOLDER}/other.conf")
        assert not host.still_answers(log.seen)

    def test_what_could_not_be_read_may_be_there_later(self, machine: Machine) -> None:
        host = machine.tree.host()
        with host.recorded() as log:
            with pytest.raises(HostError):
                host.read_text("/etc/none")
            with pytest.raises(HostError):
                host.read_text("/etc")
        assert host.still_answers(log.seen)
        machine.tree.file("/etc/none")
        assert not host.still_answers(log.seen)

    def test_one_who_saw_a_change_is_not_relied_upon(self, machine: Machine) -> None:
        host = machine.tree.host()

        def read() -> int:
            host.read_text(CONF)
            machine.tree.file(CONF, "blacklist nouveau\n")
            host.read_text(CONF)
            return 1

        assert concluded(host, read, 0.0) == []

    def test_nor_is_one_who_saw_a_command(self, machine: Machine) -> None:
        host = Host(str(machine.tree.root), lambda *_arguments, **_options: (0, "", ""))
        assert concluded(host, lambda: len(host.run(["true"], 1)), 0.0) == []

    def test_what_the_status_of_a_file_stands_for_is_not_asked_again(self, machine: Machine) -> None:
        host = machine.tree.host()
        with host.recorded() as log:
            host.once("lines", [CONF], lambda: host.read_text(CONF))
        assert [question for question, _path, _answer in log.seen] == [STATUS]

    def test_a_file_that_may_still_be_changing_makes_nothing_to_remember(self, machine: Machine) -> None:
        host = machine.tree.host()
        assert len(concluded(host, lambda: int(host.stat(CONF) is None), 0.0)) == 1
        assert concluded(host, lambda: int(host.stat(CONF) is None), 60.0, "another") == []


def concluded(host: Host, make: t.Callable[[], int], settled: float, whose: str = "") -> list[Path]:
    """What is kept of a conclusion."""
    kept = set(Path(vars(cache_module)["CACHE_DIRECTORY"]).glob("test-*"))
    Cache(host, True, settled=settled).concluded("test", whose, "", make, lambda said: said, lambda known: known)
    return sorted(set(Path(vars(cache_module)["CACHE_DIRECTORY"]).glob("test-*")) - kept)
