# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of a package that is killed at whatever step: what the next run of any module makes of it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.package import DkmsPackage
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.recovery import recover, unfinished
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import DIRECTORY
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.model_dkms import ModelDkms, two_kernels
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.test_package import (
    everything,
    make,
    remove,
    sources,
    wanted,
)
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, V100_VARIANT, Tree

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import WantedPackage

CHANGES: dict[str, t.Callable[[], WantedPackage]] = {
    "the first version": lambda: wanted(sources()),
    "other sources of the same version": lambda: wanted(sources(code=f"{V100_VARIANT}\nmore")),
    "a new version": lambda: wanted(sources("2.0")),
    "absent": lambda: wanted(None, level="absent"),
}


class ForgetfulDkms(ModelDkms):
    """What commands have written is in memory only until `sync` has run."""

    def __init__(self, tree: Tree) -> None:
        super().__init__(tree)
        self.in_memory: set[int] = set()

    def __call__(self, args: list[str], **options: t.Any) -> tuple[int, str, str]:
        before = self._files()
        found = super().__call__(args, **options)
        self.in_memory |= {status.st_ino for status in self._files().values() if status not in before.values()}
        if "sync" in args:
            assert {"--file-system", *map(str, self._places())} <= {*args}
            self.in_memory.clear()
        return found

    def lose_power(self) -> None:
        for path, status in self._files().items():
            if status.st_ino in self.in_memory:
                os.truncate(path, 0)

    def _places(self) -> list[Path]:
        places = (self.tree.place(path) for path in ("/var/lib/dkms", "/usr/src", "/lib/modules"))
        return [place for place in places if place.is_dir()]

    def _files(self) -> dict[Path, os.stat_result]:
        paths = (path for place in self._places() for path in place.rglob("*") if path.is_file() and not path.is_symlink())
        return {path: path.stat() for path in paths}


class KilledHost(Host):
    """A host whose process is killed before its change number ``at``, by a power cut if ``dkms`` is forgetful."""

    at = 0
    dkms: ModelDkms
    _count = 0

    def _change(self) -> None:
        self._count += 1
        if self._count == self.at:
            if isinstance(self.dkms, ForgetfulDkms):
                self.dkms.lose_power()
            os.kill(os.getpid(), signal.SIGKILL)

    def run(self, argv: t.Sequence[str], *args: t.Any, **options: t.Any) -> t.Any:
        self._change()
        return super().run(argv, *args, **options)

    def write_atomic(self, path: str, data: bytes, mode: int = 0o644) -> None:
        self._change()
        super().write_atomic(path, data, mode)

    def remove(self, path: str) -> None:
        self._change()
        super().remove(path)

    def remove_tree(self, path: str) -> None:
        self._change()
        super().remove_tree(path)

    def rename(self, source: str, target: str) -> None:
        self._change()
        super().rename(source, target)


class InterruptedDkms(ModelDkms):
    """DKMS and depmod, killed with the run before their own change number ``at``; a file that is being written then is half there."""

    at = 0
    _count = 0
    _runs = False

    def __call__(self, args: list[str], **options: t.Any) -> tuple[int, str, str]:
        self._runs = True
        try:
            return super().__call__(args, **options)
        finally:
            self._runs = False

    def see(self, event: str, arguments: tuple[t.Any, ...]) -> None:
        """For sys.addaudithook()."""
        writes = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if not self._runs or not (writes or event in ("os.mkdir", "os.remove", "os.rmdir", "os.symlink", "os.rename")):
            return
        self._count += 1
        if self._count == self.at:
            self._runs = False
            if writes:
                Path(os.fspath(arguments[0])).write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)


def applied(host: Host, package: WantedPackage) -> None:
    made = DkmsPackage(host, package)
    if made.plan.changed:
        made.check()
        made.apply()


def laid_out(root: Path, installed: bool = True) -> ModelDkms:
    """Two kernels whose files of depmod are depmod's own, with or without the package."""
    dkms = two_kernels(root)
    for release in (DEBIAN_12, DEBIAN_13):
        dkms.host.run(["depmod", "-a", release], 1)
    if installed:
        make(dkms, sources())
    return dkms


def with_folders(dkms: ModelDkms) -> dict[str, bytes | str]:
    """Each file and link, and each folder in which a change of a package can leave one."""
    places = (dkms.tree.place(path) for path in ("/lib/modules", "/usr/src", "/var/lib/dkms"))
    folders = (path for place in places for path in place.rglob("*") if path.is_dir() and not path.is_symlink())
    return {**everything(dkms), **{str(path.relative_to(dkms.tree.root)): "a folder" for path in folders}}


def copied(dkms: ModelDkms, root: Path) -> ModelDkms:
    shutil.copytree(dkms.tree.root, root, symlinks=True)
    return ModelDkms(Tree(root))


def killed_at(dkms: ModelDkms, package: WantedPackage, at: int) -> bool:
    """Make the change in a process of its own; returns whether it was killed before it was complete."""
    child = os.fork()
    if child == 0:
        try:
            if isinstance(dkms, InterruptedDkms):
                dkms.at = at
                sys.addaudithook(dkms.see)
                applied(dkms.host, package)
            else:
                host = KilledHost(str(dkms.tree.root), dkms)
                host.at, host.dkms = at, dkms
                applied(host, package)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.sampled(4)
@pytest.mark.parametrize("model", [ModelDkms, ForgetfulDkms, InterruptedDkms])
@pytest.mark.parametrize("change", CHANGES)
def test_after_a_kill_or_power_cut_at_any_step_the_next_run_undoes_or_finishes_and_the_same_run_converges(
    tmp_path: Path, change: str, model: type[ModelDkms]
) -> None:
    installed = change != "the first version"
    whole = laid_out(tmp_path / "whole", installed)
    start = copied(whole, tmp_path / "start")
    before = with_folders(start)
    applied(whole.host, CHANGES[change]())
    afterwards = with_folders(whole)
    at = 0
    while True:
        at += 1
        dkms = copied(start, tmp_path / f"{at}")
        if not killed_at(model(dkms.tree), CHANGES[change](), at):
            break
        outcomes = {item.operation: item.outcome for item in recover(dkms.host, check_mode=True).done}
        reported = bool(unfinished(dkms.host))
        assert {item.operation: item.outcome for item in recover(dkms.host, check_mode=False).done} == outcomes
        assert reported is any(operation != "temporary files" for operation in outcomes)
        undone = outcomes.get("dkms_package") == "undone"
        now = with_folders(dkms)
        assert now == before or (now == afterwards and not undone), f"killed before change {at}"
        assert unfinished(dkms.host) == ()
        applied(dkms.host, CHANGES[change]())
        assert with_folders(dkms) == afterwards, f"killed before change {at}"
        assert not dkms.tree.place(DIRECTORY).exists()
    assert at > 10


def test_a_removal_that_was_killed_leaves_no_alias_of_a_module_that_is_gone(tmp_path: Path) -> None:
    for at in range(1, 40):
        dkms = two_kernels(tmp_path / f"{at}")
        make(dkms, sources())
        killed_at(dkms, CHANGES["absent"](), at)
        recover(dkms.host, check_mode=False)
        for release in os.listdir(dkms.tree.place("/lib/modules")):
            here = dkms.tree.place(f"/lib/modules/{release}")
            there = any("gpu_vfio_pci" in path.name for path in here.rglob("*.ko"))
            assert ("gpu_vfio_pci" in (here / "modules.alias").read_text()) is there


def test_an_undo_that_fails_keeps_the_journal_and_is_tried_again(tmp_path: Path) -> None:
    dkms = two_kernels(tmp_path)
    make(dkms, sources())
    before = everything(dkms)
    # Far enough for something to be undone by DKMS itself.
    at = next(at for at in range(1, 60) if _is_uninstalled(dkms, at))
    assert at
    dkms.failing.append("dkms install")
    with pytest.raises(HostError, match=r"What an earlier run of dkms_package has begun with gpu cannot be undone: .*meant to fail"):
        recover(dkms.host, check_mode=False)
    recover(dkms.host, check_mode=False)
    assert everything(dkms) == before


def _is_uninstalled(dkms: ModelDkms, at: int) -> bool:
    """Whether a removal that is killed there has taken the package from a kernel; if not, it is undone."""
    killed_at(dkms, CHANGES["absent"](), at)
    links = [path for path in everything(dkms) if "/kernel-" in path]
    if len(links) == 1:
        return True
    recover(dkms.host, check_mode=False)
    return False


def test_a_journal_that_is_not_as_written_is_one_sentence(tmp_path: Path) -> None:
    dkms = two_kernels(tmp_path)
    dkms.tree.file(f"{DIRECTORY}/dkms_package.json", '{"version": 1, "steps": [{"kind": "none"}]}')
    with pytest.raises(HostError, match=r"dkms_package\.json is not as this collection has written it"):
        recover(dkms.host, check_mode=False)


def test_staged_builds_of_a_killed_run_are_swept_by_a_run_that_changes_nothing(tmp_path: Path) -> None:
    dkms = two_kernels(tmp_path)
    make(dkms, sources())
    before = everything(dkms)
    package = DkmsPackage(dkms.host, wanted(sources("2.0")))
    package.build(package.plan.builds)
    assert everything(dkms) != before
    assert len(unfinished(dkms.host)) >= 2
    recover(dkms.host, check_mode=False)
    assert everything(dkms) == before
    remove(dkms)
