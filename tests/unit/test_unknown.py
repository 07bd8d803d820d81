# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/tasks/unknown.md shows what claim_info says of hosts of which something is not known, and its advice helps.

After a change of its words: UPDATE_DOCS=1 tools/run python -m pytest tests/unit/test_unknown.py, then read the difference.
"""

from __future__ import annotations

import os
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.converged_hosts import CARD, DRIVER, converged
from ansible_collections.vfio.variants.tests.unit.documented_pages import ROOT
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, Tree

PAGE = ROOT / "docs/tasks/unknown.md"
SHOWN = re.compile(r"^<!-- claim_info: ([\w ]+) -->\n```text\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
PROGRAM, UNIT = "/opt/vendor/setup-gpu", "/etc/systemd/system/gpu-setup.service"
STARTED = "/etc/systemd/system/multi-user.target.wants/gpu-setup.service"
STARTS = f"[Service]\nExecStart={PROGRAM} --all\n\n[Install]\nWantedBy=multi-user.target\n"
COMPILED = b"\x7fELF\x02\x01\x01" + bytes(200)
SCRIPT = "#!/bin/sh\necho performance > /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor\n"
IMAGE, MENU = f"/boot/initrd.img-{DEBIAN_13}", "/boot/grub/grub.cfg"

Files = dict[str, str | bytes | None]
HOSTS: dict[str, tuple[Files, Files]] = {
    "a program": ({UNIT: STARTS, PROGRAM: COMPILED}, {PROGRAM: SCRIPT}),
    "no initramfs": ({IMAGE: None}, {}),
    "a damaged initramfs": ({IMAGE: b"no image\n"}, {}),
    "no entry": ({MENU: None}, {}),
}
"""What is not known of a host on which everything is done, and the page's advice where that is not to undo it."""


def with_files(tree: Tree, files: Files) -> Tree:
    for path, content in files.items():
        place = tree.place(path)
        if content is None:
            place.unlink()
        else:
            tree.file(path, content, mode=0o755 if path == PROGRAM else 0o644)
    return tree.link(STARTED, UNIT) if UNIT in files else tree


def asked(tree: Tree, *kernels: str) -> dict[str, t.Any]:
    return claim_info(tree.host(Commands(tree.root)), devices=CARD, kernels=list(kernels) or ["next"], require="winner")


def said(tree: Tree) -> str:
    with pytest.raises(HostError) as failure:
        asked(tree)
    return f"{failure.value.msg}\n"


def test_the_page_shows_each_host() -> None:
    assert [name for name, _text in SHOWN.findall(PAGE.read_text(encoding="utf-8"))] == list(HOSTS)


@pytest.mark.parametrize("name", HOSTS)
def test_claim_info_says_what_the_page_shows(name: str, tmp_path: Path) -> None:
    missing, _advice = HOSTS[name]
    answer = said(with_files(converged(tmp_path), missing))
    page = PAGE.read_text(encoding="utf-8")
    if os.environ.get("UPDATE_DOCS"):
        block = f"<!-- claim_info: {name} -->\n```text\n"
        PAGE.write_text(re.sub(rf"{re.escape(block)}.*?(?=```\n)", lambda _found: block + answer, page, flags=re.DOTALL), encoding="utf-8")
    else:
        assert dict(SHOWN.findall(page))[name] == answer
        assert "cannot be determined" in answer


def test_what_a_script_does_is_known(tmp_path: Path) -> None:
    missing, advice = HOSTS["a program"]
    (device, *_others) = asked(with_files(converged(tmp_path), {**missing, **advice}))["devices"]
    assert (device["kernels"][DEBIAN_13]["winner"], device["will_be_satisfied"]) == (DRIVER, True)


def test_without_what_was_missing_everything_is_known(tmp_path: Path) -> None:
    (device, *_others) = asked(converged(tmp_path))["devices"]
    assert device["will_be_satisfied"] is True


def test_a_kernel_without_an_entry_can_be_left_out(tmp_path: Path) -> None:
    tree = with_files(converged(tmp_path), {f"/boot/initrd.img-{DEBIAN_12}": None})
    with pytest.raises(HostError, match=DEBIAN_12):
        asked(tree, "all")
    assert list(asked(tree, "running")["devices"][0]["kernels"]) == [DEBIAN_13]
