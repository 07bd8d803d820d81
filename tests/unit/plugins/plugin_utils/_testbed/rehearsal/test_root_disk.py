# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree of a host becomes the root of a machine without the host's storage, and a disk that e2fsprogs can read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.program import require
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal import root_disk


@pytest.fixture(autouse=True)
def owners(monkeypatch: pytest.MonkeyPatch) -> None:
    """As who runs the tests: another user than root cannot give files away."""
    if os.geteuid() != 0:
        monkeypatch.setattr(os, "chown", lambda *_arguments, **_others: None)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for path, text in {
        "etc/fstab": "UUID=1 /data xfs defaults 0 2\n",
        "etc/crypttab": "data UUID=2 none luks\n",
        "etc/passwd": "root:x:0:0::/root:/bin/sh\ncron$:x:1:1::/:/bin/false\n",
        "etc/systemd/system/data.mount": "[Mount]\nWhat=/dev/sdb1\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "etc/systemd/system/masked.mount").symlink_to("/dev/null")
    return root


def test_the_hosts_storage_is_gone_and_said(tree: Path) -> None:
    said = " ".join(root_disk.adapt(tree, 20, 300).said)
    assert "UUID=1" not in (tree / "etc/fstab").read_text()
    assert (tree / "etc/crypttab").read_text() == ""
    assert (tree / "etc/systemd/system/data.mount").readlink() == Path("/dev/null")
    for what in ("/etc/fstab", "/etc/crypttab", "data.mount"):
        assert what in said
    assert "masked.mount" not in said


def test_what_waits_for_a_network_is_masked_and_said(tree: Path) -> None:
    units = tree / "usr/lib/systemd/system"
    own = tree / "etc/systemd/system"
    for place in (units / "systemd-networkd-wait-online@.service", units / "connman-wait-online.service", own / "site-wait-online.service"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("[Service]\nType=oneshot\nExecStart=/bin/sleep infinity\n")
    (own / "connman-wait-online.service").symlink_to("/dev/null")
    said = root_disk.adapt(tree, 20, 300).said
    masked = ("systemd-networkd-wait-online@.service", "site-wait-online.service", "connman-wait-online.service")
    assert {(own / name).readlink() for name in masked} == {Path("/dev/null")}
    assert [line.split()[0] for line in said if line.endswith("network is absent")] == [masked[1], masked[0]]


def test_the_limits_for_what_waits_are_said(tree: Path) -> None:
    said = " ".join(root_disk.adapt(tree, 20, 300).said)
    limits = (tree / "etc/systemd/system.conf.d/zz-vfio-variants-rehearsal.conf").read_text()
    assert "20 s for a device" in said
    assert "DefaultDeviceTimeoutSec=20s" in limits
    assert "60 s for the start" in said
    assert "DefaultTimeoutStartSec=60s" in limits


def test_every_user_has_a_line_without_a_password(tree: Path) -> None:
    root_disk.adapt(tree, 20, 300)
    assert (tree / "etc/shadow").read_text() == "root:*:19000:0:99999:7:::\ncron$:*:19000:0:99999:7:::\n"


def test_the_reporter_is_a_script_that_a_shell_reads_and_a_unit_starts(tree: Path) -> None:
    root_disk.adapt(tree, 20, 300)
    subprocess.run(["sh", "-n", tree / root_disk.REPORTER], check=True)
    assert "sleep 20\n" in (tree / root_disk.REPORTER).read_text()
    assert (tree / f"etc/systemd/system/sysinit.target.wants/{root_disk.UNIT}").resolve().is_file()


def test_a_planned_file_takes_the_place_of_a_present_one(tree: Path) -> None:
    root_disk.lay_over(tree, {"/etc/fstab": ("new\n", 0o600), "/etc/crypttab": (None, 0), "/etc/modprobe.d/x.conf": ("y\n", 0o644)})
    assert (tree / "etc/fstab").read_text() == "new\n"
    assert (tree / "etc/fstab").stat().st_mode & 0o777 == 0o600
    assert not (tree / "etc/crypttab").exists()
    assert (tree / "etc/modprobe.d/x.conf").read_text() == "y\n"


def test_the_disk_has_the_tree(tree: Path, tmp_path: Path) -> None:
    root_disk.write(tmp_path / "disk.img", tree, 60)
    shown = subprocess.run(
        [require("debugfs", "e2fsprogs"), "-R", "cat /etc/fstab", tmp_path / "disk.img"], capture_output=True, check=True
    )
    assert shown.stdout == (tree / "etc/fstab").read_bytes()
    assert (tmp_path / "disk.img").stat().st_mode & 0o077 == 0
