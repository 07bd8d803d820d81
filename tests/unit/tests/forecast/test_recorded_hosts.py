# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import command
import pytest
import recorded_hosts
from configuration import Configuration
from host_trees import HostTrees
from kernel import Kernel, read_dependencies
from module_outline import outline

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf import EXECUTABLE, Elf
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import ModuleContent
from ansible_collections.vfio.variants.tests.unit.driver_files import Driver, Entry, driver_file

HOSTS = recorded_hosts.beside(command.OBSERVED)
IDS = (Entry(0x10DE, 0x1DB1), Entry(0x1014, 0x04EA, override=1))


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kernel]:
    return recorded_hosts.read(HOSTS, tmp_path_factory.mktemp("recorded") / "hosts")


def test_a_modules_outline_says_of_its_drivers_what_the_module_says() -> None:
    module = driver_file("6.12.1", [Driver(b"some-driver", IDS)], aliases=[entry.alias for entry in IDS], parmtype="ids:string")
    (driver,) = ModuleContent.parse(outline(module), "outline").tables.drivers
    assert (driver.name, len(driver.ids)) == ("some-driver", 2)
    assert ModuleContent.parse(outline(module), "outline") == ModuleContent.parse(module, "module")


def test_no_recorded_module_has_code(kernels: dict[str, Kernel]) -> None:
    for kernel in kernels.values():
        for name in read_dependencies(kernel.modules):
            elf = Elf.parse((kernel.modules / name).read_bytes())
            code = [section for section in elf.sections if section.flags & EXECUTABLE and section.size]
            assert code, name
            assert not any(elf.data[section.start : section.start + section.size].strip(b"\0") for section in code), name


@pytest.mark.sampled(3)
def test_hosts_that_are_written_and_read_again_are_the_same(kernels: dict[str, Kernel], tmp_path) -> None:
    kernel = kernels["6.1"]
    recorded_hosts.write(tmp_path / "hosts.tar.xz", [kernel])
    (copy,) = recorded_hosts.read(tmp_path / "hosts.tar.xz", tmp_path / "hosts").values()
    assert (copy.release, copy.suite) == (kernel.release, kernel.suite)

    def files(one: Kernel) -> dict[str, bytes]:
        found = (path for path in one.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(one.folder)): path.read_bytes() for path in found}

    assert files(copy) == files(kernel) != {}


def test_a_record_from_which_something_is_read_otherwise_is_not_written(
    kernels: dict[str, Kernel], tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_name(module: bytes) -> bytes:
        return outline(module).replace(b"alias=pci:", b"alias=pcx:")

    monkeypatch.setattr(recorded_hosts, "outline", without_name)
    with pytest.raises(HostError, match=r"Without .* code .*6\.1"):
        recorded_hosts.write(tmp_path / "hosts.tar.xz", [kernels["6.1"]])
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_a_record_is_named(tmp_path) -> None:
    (tmp_path / "hosts.tar.xz").write_bytes(b"nothing of the kind")
    with pytest.raises(HostError, match=r"hosts\.tar\.xz is not a record of hosts"):
        recorded_hosts.read(tmp_path / "hosts.tar.xz", tmp_path / "hosts")


def test_what_one_host_has_of_its_own_the_next_has_not(kernels: dict[str, Kernel], tmp_path) -> None:
    trees = HostTrees(kernels.__getitem__, tmp_path)
    aliases = "/usr/lib/modprobe.d/aliases.conf"
    other = Configuration("other", "6.1", root_files={aliases: "alias a b\n", "/etc/modprobe.d/own.conf": "blacklist igb\n"})
    plain = Configuration("plain", "6.1")
    before, changed, after = (tmp_path / name for name in ("before", "changed", "after"))
    trees.lay_out(plain, before)
    trees.lay_out(other, changed)
    trees.lay_out(plain, after)
    assert (changed / aliases.lstrip("/")).read_text() == "alias a b\n"
    assert (after / aliases.lstrip("/")).read_bytes() == (before / aliases.lstrip("/")).read_bytes() != b"alias a b\n"
    assert [(tree / "etc/modprobe.d/own.conf").exists() for tree in (before, changed, after)] == [False, True, False]


def test_a_module_that_one_host_lacks_the_next_has(kernels: dict[str, Kernel], tmp_path) -> None:
    trees = HostTrees(kernels.__getitem__, tmp_path)
    lacking = trees.lay_out(Configuration("lacking", "6.1", missing_modules=("igb",)), tmp_path / "lacking")
    having = trees.lay_out(Configuration("having", "6.1"), tmp_path / "having")
    assert [bool(list(tree.rglob("igb.ko"))) for tree in (lacking, having)] == [False, True]
    indices = [(tree / "usr/lib/modules" / kernels["6.1"].release / "modules.dep").read_text() for tree in (lacking, having)]
    assert ["igb.ko" in index for index in indices] == [False, True]
