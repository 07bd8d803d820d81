# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a run that was killed at any of its steps the next one has the same outcome: virtual functions of a policy, and the IOMMU."""

from __future__ import annotations

import json
import os
import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.kill_points import killed
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply import test_iommu as machines
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply import test_virtual_functions as functions
from ansible_collections.vfio.variants.tests.unit.policy_hosts import run

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CACHE = "var/cache"
RECORD = "var/lib/vfio-variants/kernel_cmdline.json"
MOST_STEPS = 120


class Subject(t.NamedTuple):
    """Makes a host, and makes what is asked for be there or not."""

    host: Callable[[Path], t.Any]
    present: Callable[[t.Any], dict[str, t.Any]]
    absent: Callable[[t.Any], dict[str, t.Any]]


def numbered(host: t.Any) -> dict[str, t.Any]:
    return run(host, functions.claim(3))


def gone(host: t.Any) -> dict[str, t.Any]:
    return run(host, state="absent")


SUBJECTS = {
    "virtual functions": Subject(functions.host, numbered, gone),
    "the IOMMU": Subject(machines.machine, machines.call, lambda host: machines.call(host, state="absent")),
}


def files(root: Path) -> dict[str, bytes]:
    """Of the whole host but its cache, without the place of the host itself; left-over files too."""
    found = {}
    for folder, _names, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, root)
            if not relative.startswith(CACHE) and relative != RECORD and os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    found[relative] = file.read().replace(str(root).encode(), b"")
    return found


def words(root: Path) -> tuple[list[str], ...]:
    """What is recorded as added, and what of it for the IOMMU."""
    record = json.loads((root / RECORD).read_text()) if (root / RECORD).exists() else {}
    return record.get("words", []), record.get("iommu", [])


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
    for at in range(1, MOST_STEPS):
        root = tmp_path / str(at)
        host = subject.host(root)
        if first == "absent":
            subject.present(host)
        with killed(monkeypatch, at) as hit:
            getattr(subject, first)(host)
        if not hit:
            break
        getattr(subject, then)(host)
        assert files(root) == wanted, at
        assert words(root) == added, at
        again = getattr(subject, then)(host)
        assert (again["changed"], again.get("recovered") or []) == (False, []), at
    else:
        raise AssertionError("The run does not come to its end.")
    assert at > 2
