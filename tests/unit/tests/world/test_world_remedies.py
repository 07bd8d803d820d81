# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that are suggested on recorded whole hosts help and harm no device, and one that does not is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
import world_command
import world_remedies
from world_configuration import Entry, World

from ansible_collections.vfio.variants.plugins.module_utils._core.policy import suggested_change


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a campaign has found is neither used nor forgotten."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, list[str]]:
    return world_command.main(["--remedies", "--sample", "3", "--jobs", "1", *more]), capsys.readouterr().out.splitlines()


@pytest.mark.sampled(6)
def test_every_change_that_is_suggested_helps_and_harms_no_device(capsys: pytest.CaptureFixture[str]) -> None:
    status, said = run(capsys)
    assert status == 0
    assert said[-1].endswith(" passed, 0 failed")
    assert int(said[-1].split()[0]) > 1
    assert run(capsys, "--minutes", "0") == (status, said)


@pytest.mark.sampled(4)
def test_a_change_that_does_not_help_fails_the_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggested_change.Search, "_moved", lambda _self, _change, device, _driver: (device.address,))
    status, said = run(capsys)
    assert status == 1
    assert any(" leads to " in line or "harms" in line or "refuses" in line for line in said if line.startswith("FAILED: "))


def test_a_rebuilt_image_has_the_policy_of_the_root_and_no_other() -> None:
    root = {
        "/etc/modprobe.d/a.conf": Entry("blacklist nouveau\n"),
        "/etc/modprobe.d/link.conf": Entry(link="/usr/share/a"),
        "/etc/modprobe.d/mask.conf": Entry(link="/dev/null"),
        "/usr/share/a": Entry("options a b=1\n"),
        "/etc/motd": Entry("hello"),
    }
    image = {"/etc/modprobe.d/gone.conf": Entry("blacklist a\n"), "/scripts/init-top/x": Entry("#!/bin/sh\n")}
    made = world_remedies.rebuilt(World("w", "6.12", root=root, image=image, image_modules=("a", "b"), missing_modules=("b",)), ["c", "a"])
    assert made.image == {
        "/etc/modprobe.d/a.conf": Entry("blacklist nouveau\n"),
        "/etc/modprobe.d/link.conf": Entry("options a b=1\n"),
        "/etc/modprobe.d/mask.conf": Entry(link="/dev/null"),
        "/scripts/init-top/x": Entry("#!/bin/sh\n"),
    }
    assert made.image_modules == ("a", "c")
