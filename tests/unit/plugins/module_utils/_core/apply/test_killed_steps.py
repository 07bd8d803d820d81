# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a run that was killed, or that failed, at any of its steps the next one has the same outcome: parts of a policy, and the IOMMU."""

from __future__ import annotations

import json
import os
import signal
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.unfinished import unfinished_work
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import Interrupted
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.tests.unit.kill_points import failing, killed
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply import test_iommu as machines
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply import test_nodes as nodes
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply import test_virtual_functions as functions
from ansible_collections.vfio.variants.tests.unit.policy_hosts import NIC, V100, gpu_host, run

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ansible_collections.vfio.variants.tests.unit.trees import Tree

CACHE = "var/cache"
RECORD = "var/lib/vfio-variants/kernel_cmdline.json"
FOLDERS = "var/lib/vfio-variants/folders"
MOST_STEPS = 120


class Subject(t.NamedTuple):
    """Makes a host, and makes what is asked for be there or not."""

    host: Callable[[Path], t.Any]
    present: Callable[..., dict[str, t.Any]]
    absent: Callable[..., dict[str, t.Any]]


def numbered(host: t.Any, check: bool = False) -> dict[str, t.Any]:
    return run(host, functions.claim(3), check=check)


def gone(host: t.Any, check: bool = False) -> dict[str, t.Any]:
    return run(host, check=check, state="absent")


def policy(*claims: dict[str, t.Any], **options: t.Any) -> Callable[..., dict[str, t.Any]]:
    return lambda host, check=False: run(host, *claims, check=check, **options)


def iommu(state: str) -> Callable[..., dict[str, t.Any]]:
    return lambda host, check=False: machines.call(host, check, state=state)


def with_accounts(root: Path) -> Tree:
    return nodes.accounts(gpu_host(root))


def functions_with_accounts(root: Path) -> Tree:
    return nodes.accounts(functions.host(root))


HANDED = {**V100, "node": {**nodes.NODE, "memlock": "64G"}}
OF_GROUP = {**V100, "node": {"group": "kvm", "memlock": "unlimited"}}
SUBJECTS = {
    "virtual functions": Subject(functions.host, numbered, gone),
    "device nodes and a limit": Subject(with_accounts, policy(HANDED), gone),
    "another owner and limit": Subject(with_accounts, policy(OF_GROUP, NIC), policy(HANDED)),
    "device nodes and a blacklist": Subject(
        with_accounts, policy(HANDED, NIC, strategy="blacklist"), policy({**V100, "driver": "vfio-pci"}, strategy="ids")
    ),
    "device nodes of virtual functions": Subject(
        functions_with_accounts, policy(functions.claim(3, node={**nodes.NODE, "memlock": "1G"})), policy(functions.claim(1))
    ),
    "the IOMMU": Subject(machines.machine, iommu("present"), iommu("absent")),
}


def files(root: Path) -> dict[str, bytes]:
    """Of the whole host but its cache and its records, without the place of the host itself; left-over files too."""
    found = {}
    for folder, _names, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, root)
            if not relative.startswith(CACHE) and relative not in (RECORD, FOLDERS) and os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    found[relative] = file.read().replace(str(root).encode(), b"")
    return found


def configuration(found: dict[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in found.items() if path.startswith("etc/")}


def folders(root: Path) -> set[str]:
    """Those of the host's configuration."""
    return {f"/{os.path.relpath(folder, root)}" for folder, _names, _files in os.walk(root / "etc")}


def recorded(root: Path) -> set[str]:
    """The folders that are recorded as made for files; those of a policy that is gone stay in the record while another one is there."""
    of_policies = json.loads((root / FOLDERS).read_text()) if (root / FOLDERS).exists() else []
    of_arguments = json.loads((root / RECORD).read_text())["folders"] if (root / RECORD).exists() else []
    return {*of_policies, *of_arguments}


def words(root: Path) -> tuple[list[str], ...]:
    """What is recorded as added, and what of it for the IOMMU."""
    record = json.loads((root / RECORD).read_text()) if (root / RECORD).exists() else {}
    return record.get("words", []), record.get("iommu", [])


@pytest.mark.sampled(8)
@pytest.mark.parametrize("then", ["present", "absent"])
@pytest.mark.parametrize("first", ["present", "absent"])
@pytest.mark.parametrize("name", SUBJECTS)
def test_the_next_run_has_the_same_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, first: str, then: str) -> None:
    subject = SUBJECTS[name]
    undisturbed = subject.host(tmp_path / "wanted")
    subject.present(undisturbed)
    if then == "absent":
        subject.absent(undisturbed)
    wanted = files(tmp_path / "wanted")
    added = words(tmp_path / "wanted")
    subject.host(tmp_path / "untouched")
    own = folders(tmp_path / "untouched")
    for at in range(1, MOST_STEPS):
        root = tmp_path / str(at)
        host = subject.host(root)
        if first == "absent":
            subject.present(host)
        with killed(monkeypatch, at) as hit:
            getattr(subject, first)(host)
        if not hit:
            break
        predicted = getattr(subject, then)(host, check=True)
        assert getattr(subject, then)(host) == predicted, at
        assert files(root) == wanted, at
        assert words(root) == added, at
        assert folders(root) - own <= recorded(root), at
        again = getattr(subject, then)(host)
        assert (again["changed"], again.get("recovered") or []) == (False, []), at
    else:
        raise AssertionError("The run does not come to its end.")
    assert at > 2


ERRORS: dict[str, Callable[[], BaseException]] = {
    "a full disk": lambda: HostError("/etc cannot be written: No space left on device."),
    "a key that interrupts": KeyboardInterrupt,
    "a signal": lambda: Interrupted(signal.SIGTERM),
}


@pytest.mark.sampled(8)
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("first", ["present", "absent"])
@pytest.mark.parametrize("name", SUBJECTS)
def test_a_step_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, first: str, error: str
) -> None:
    subject = SUBJECTS[name]
    undisturbed = subject.host(tmp_path / "wanted")
    (subject.absent if first == "present" else subject.present)(undisturbed)
    before = files(tmp_path / "wanted")
    getattr(subject, first)(undisturbed)
    after = files(tmp_path / "wanted")
    for at in range(1, MOST_STEPS):
        root = tmp_path / str(at)
        host = subject.host(root)
        (subject.absent if first == "present" else subject.present)(host)
        with failing(monkeypatch, at, ERRORS[error]()) as hit:
            getattr(subject, first)(host)
        if not hit:
            break
        found = configuration(files(root))
        assert found in map(configuration, (before, after)) or unfinished_work(host.host(), Inventory.read(host.host())), at
        predicted = getattr(subject, first)(host, check=True)
        assert getattr(subject, first)(host) == predicted, at
        assert files(root) == after, at
    else:
        raise AssertionError("The run does not come to its end.")
    assert at > 2
