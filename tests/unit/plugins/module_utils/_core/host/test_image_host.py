# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image that is being baked: its programs run in it, with what they need mounted meanwhile and taken away on every way out.

The kernel's calls are recorded here; the real ones are made where an image is baked and booted.
"""

from __future__ import annotations

import ctypes
import errno
import os
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import image_mounts
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.image_host import ImageHost, host_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.planned_host import PlannedHost
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

FOLDERS = ("/etc", "/usr", "/proc", "/sys", "/dev", "/var/tmp")


class Kernel:
    """Records mount(2), umount2(2) and unshare(2); ``refused`` fails."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.mounts: list[str] = []
        self.refused = ""

    def __call__(self, name: str, *arguments: t.Any) -> int:
        place = os.fsdecode(arguments[1] if name == "mount" else arguments[0]) if name != "unshare" else ""
        self.calls.append(f"{name} {place}".strip())
        if self.refused and self.refused in self.calls[-1]:
            ctypes.set_errno(errno.EPERM)
            return -1
        if name == "mount" and place != "/" and arguments[0]:
            self.mounts.append(place)
        if name == "umount2":
            self.mounts.remove(place)
        return 0


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(image_mounts, "_call", made)
    monkeypatch.setattr(image_mounts, "_ALONE", [])
    return made


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path)
    for folder in FOLDERS:
        made.directory(folder)
    return made


class Runner:
    def __init__(self, kernel: Kernel, answer: tuple[int, str, str] = (0, "", "")) -> None:
        self.kernel = kernel
        self.answer = answer
        self.seen: list[tuple[list[str], int, dict[str, str]]] = []

    def __call__(
        self,
        args: list[str],
        *,
        data: bytes | None,  # noqa: ARG002 - part of a runner's signature
        binary_data: bool,  # noqa: ARG002
        environ_update: dict[str, str] | None,
    ) -> tuple[int, str, str]:
        self.seen.append((args, len(self.kernel.mounts), environ_update or {}))
        if self.answer[0] < 0:
            raise KeyboardInterrupt
        return self.answer


def test_a_program_runs_in_the_image_within_its_time_and_with_the_kernels_file_systems(tree: Tree, kernel: Kernel) -> None:
    runner = Runner(kernel)
    ImageHost(str(tree.root), runner).run(["update-initramfs", "-u"], 60)
    ((args, mounts, environment),) = runner.seen
    assert args == ["timeout", "--kill-after=5", "60", "chroot", str(tree.root), "update-initramfs", "-u"]
    assert environment["PATH"].startswith("/usr/local/sbin:")
    assert mounts == 3
    assert kernel.calls[:2] == ["unshare", "mount /"]
    assert kernel.calls[2:6] == [f"mount {tree.root}{place}" for place in ("/proc", "/sys", "/sys", "/dev")]
    assert kernel.mounts == []


@pytest.mark.parametrize("answer", [(1, "", "no space left"), (-1, "", ""), (124, "", "")])
def test_nothing_stays_mounted_after_a_failure_an_interruption_or_the_time_limit(
    tree: Tree, kernel: Kernel, answer: tuple[int, str, str]
) -> None:
    with pytest.raises((HostError, KeyboardInterrupt)):
        ImageHost(str(tree.root), Runner(kernel, answer)).run(["depmod"], 60)
    assert kernel.mounts == []


def test_a_mount_that_is_refused_takes_the_others_away_and_says_where_to_run_it(tree: Tree, kernel: Kernel) -> None:
    kernel.refused = "/dev"
    runner = Runner(kernel)
    with pytest.raises(HostError, match="`depmod -a` in the image's own system"):
        ImageHost(str(tree.root), runner).run(["depmod", "-a"], 60)
    assert (kernel.mounts, runner.seen) == ([], [])


def test_a_process_that_may_not_mount_says_so(tree: Tree, kernel: Kernel) -> None:
    kernel.refused = "unshare"
    with pytest.raises(HostError, match="may not mount anything"):
        ImageHost(str(tree.root), Runner(kernel)).run(["depmod"], 60)


def test_a_link_in_the_image_leads_no_mount_elsewhere(tree: Tree, kernel: Kernel) -> None:
    tree.place("/dev").rmdir()
    tree.link("/dev", "/etc")
    with pytest.raises(HostError, match="/dev is not a directory"):
        ImageHost(str(tree.root), Runner(kernel)).run(["depmod"], 60)
    assert kernel.mounts == []


def test_a_program_of_another_architecture_is_named_with_what_to_run_there(tree: Tree, kernel: Kernel) -> None:
    answer = (126, "", "chroot: failed to run command 'dkms': Exec format error\n")
    host = ImageHost(str(tree.root), Runner(kernel, answer))
    for ok in ((0,), range(256)):
        with pytest.raises(HostError, match=r"Exec format error.*`dkms status` in the image's own system"):
            host.run(["dkms", "status"], 60, ok)


def test_what_unpacks_for_this_process_runs_here(tree: Tree, kernel: Kernel) -> None:
    runner = Runner(kernel)
    host = ImageHost(str(tree.root), runner)
    host.run(["zstd", "-d"], 60, here=True)
    PlannedHost(host, {}).run(["zstd", "-d"], 60, here=True)
    assert [args[3] for args, _mounts, _environment in runner.seen] == ["zstd", "zstd"]
    assert kernel.calls == []


def test_files_are_named_as_the_images_programs_know_them(tree: Tree, kernel: Kernel) -> None:
    host = ImageHost(str(tree.root), Runner(kernel))
    assert host.argument("/boot/initrd.img") == "/boot/initrd.img"
    with host.directory_for_commands() as directory:
        assert directory.startswith("/var/tmp/")
        assert tree.place(directory).is_dir()
    assert list(tree.place("/var/tmp").iterdir()) == []


@pytest.mark.parametrize("there", [("/tmp",), ()])
def test_files_for_an_images_programs_lie_where_it_has_a_folder(tree: Tree, kernel: Kernel, there: tuple[str, ...]) -> None:
    tree.place("/var/tmp").rmdir()
    for folder in there:
        tree.directory(folder)
    with ImageHost(str(tree.root), Runner(kernel)).directory_for_commands() as directory:
        assert os.path.dirname(directory) == (there or ("/",))[0]
        assert tree.place(directory).is_dir()
    assert not tree.place(directory).exists()


def test_a_host_as_it_is_planned_is_an_image_too(tree: Tree, kernel: Kernel) -> None:
    assert PlannedHost(ImageHost(str(tree.root), Runner(kernel)), {}).is_image
    assert not PlannedHost(tree.host(), {}).is_image


def test_the_running_kernels_files_are_not_taken_for_the_images(tree: Tree, kernel: Kernel) -> None:
    tree.directory("/sys/bus")
    with pytest.raises(HostError, match="/sys/bus is this machine's"):
        ImageHost(str(tree.root), Runner(kernel))


def test_a_folder_without_a_system_is_refused(tmp_path: Path, kernel: Kernel) -> None:
    with pytest.raises(HostError, match="is not the root of a system"):
        ImageHost(str(tmp_path), Runner(kernel))


class Module:
    """What a host needs of `AnsibleModule`."""

    def run_command(self, *_arguments: t.Any, **_more: t.Any) -> tuple[int, str, str]:
        return 0, "", ""

    def set_default_selinux_context(self, path: str, changed: bool) -> bool:  # noqa: ARG002
        return changed


def test_a_module_gets_the_running_host_or_the_image(tree: Tree) -> None:
    assert host_of(Module(), "/").root == "/"
    assert isinstance(host_of(Module(), str(tree.root)), ImageHost)
