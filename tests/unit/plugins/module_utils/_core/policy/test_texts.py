# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy's files, read and run by those who will read and run them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig, ignored_lines
from ansible_collections.vfio.variants.plugins.module_utils._core.policy import texts
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.ids import Softdep
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import owner_of

MODULES = ("vfio_pci", "nvlink2gpu_vfio_pci")


def directives(text: str | None) -> list[tuple[str, ...]]:
    assert text is not None
    assert list(ignored_lines(text, "x")) == []
    assert owner_of(text.encode()) == "gpus"
    return [(line.command, *line.arguments) for line in ModprobeConfig.parse(text, "x").directives]


def test_kmod_reads_what_is_meant() -> None:
    lines = [Softdep("nouveau", ("vfio_pci", "drm"), ("snd", "usb")), Softdep("e1000e", ("vfio_pci",), ())]
    assert directives(texts.softdeps("gpus", lines)) == [
        ("softdep", "nouveau", "pre:", "vfio_pci", "drm", "post:", "snd", "usb"),
        ("softdep", "e1000e", "pre:", "vfio_pci"),
    ]
    ids = {"vfio_pci": ("10de:1db1", "8086:10d3"), "other": ("1:2",)}
    assert directives(texts.modprobe("gpus", ids, ("nouveau", "nvidia"))) == [
        ("options", "vfio_pci", "ids=10de:1db1,8086:10d3"),
        ("options", "other", "ids=1:2"),
        ("blacklist", "nouveau"),
        ("blacklist", "nvidia"),
    ]
    assert directives(texts.modprobe("gpus", {}, ("nouveau",))) == [("blacklist", "nouveau")]
    assert directives(texts.modprobe("gpus", {"vfio_pci": ("1:2",)}, ())) == [("options", "vfio_pci", "ids=1:2")]


def test_what_would_say_nothing_is_not_written() -> None:
    found = (
        texts.softdeps("gpus", []),
        texts.modprobe("gpus", {}, ()),
        texts.rules("gpus", ()),
        texts.early("gpus", {}),
        texts.hook("gpus", ()),
        texts.dracut("gpus", (), ()),
    )
    assert found == (None,) * 6


def test_lists_and_rules_have_one_entry_a_line_below_the_header() -> None:
    guard = ['SUBSYSTEM!="pci", GOTO="vfio_variants_end"', 'ENV{vfio_variants}=""', 'IMPORT{cmdline}="vfio_variants"']
    is_off = 'ENV{vfio_variants}=="off"'
    jump, end = f'{is_off}, GOTO="vfio_variants_end"', 'LABEL="vfio_variants_end"'
    for text, wanted in (
        (texts.early("gpus", {"a": (), "b": ()}), ["a", "b"]),
        (texts.rules("gpus", ["one", "two"]), [*guard, jump, "one", "two", end]),
        (texts.rules("gpus", ["one"], ["undo"]), [*guard, f"{is_off}, undo", jump, "one", end]),
    ):
        assert text is not None
        assert owner_of(text.encode()) == "gpus"
        assert [line for line in text.splitlines() if not line.startswith("#")] == wanted
        assert text.endswith("\n")


def run(program: str, text: str, *arguments: str, path: str = "/usr/bin:/bin") -> str:
    done = subprocess.run(
        [program, "-eu", "-c", text, "hook", *arguments], capture_output=True, text=True, timeout=60, check=True, env={"PATH": path}
    )
    return done.stdout


def test_the_hook_asks_for_nothing_first_and_then_adds_the_modules(tmp_path: Path) -> None:
    """initramfs-tools(7): called with `prereqs` a hook prints what has to run before it."""
    text = texts.hook("gpus", MODULES)
    assert text is not None
    assert text.startswith("#!/bin/sh\n")
    functions = tmp_path / "hook-functions"
    functions.write_text('manual_add_modules() { printf "%s\\n" "$@"; }\n')
    here = text.replace("/usr/share/initramfs-tools/hook-functions", str(functions))
    assert here != text
    assert run("sh", here, "prereqs") == ""
    assert run("sh", here).split() == ["nvlink2gpu_vfio_pci", "vfio_pci"]


@pytest.mark.parametrize(("kernel", "asked"), [("", "6.12-running"), ("6.1-other", "6.1-other")])
def test_dracut_adds_the_modules_that_the_image_s_kernel_has(tmp_path: Path, kernel: str, asked: str) -> None:
    """dracut.conf(5) is read by bash: drivers and files are added with a blank around each."""
    text = texts.dracut("gpus", MODULES, ("/etc/modprobe.d/x.conf", "/etc/udev/rules.d/y.rules"))
    assert text is not None
    for name, content in (("uname", "echo 6.12-running"), ("modinfo", f'echo "$*" >> {tmp_path}/asked; test "$3" = vfio_pci')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{content}\n")
        (tmp_path / name).chmod(0o755)
    shown = run(
        "bash",
        f'kernel={kernel}; add_drivers= install_items=\n{text}\necho "[$add_drivers][$install_items]"',
        path=f"{tmp_path}:/usr/bin:/bin",
    )
    assert shown == "[ vfio_pci ][ /etc/modprobe.d/x.conf /etc/udev/rules.d/y.rules ]\n"
    assert (tmp_path / "asked").read_text().splitlines() == [f"-k {asked} nvlink2gpu_vfio_pci", f"-k {asked} vfio_pci"]


def test_dracut_copies_no_file_where_there_is_none() -> None:
    text = texts.dracut("gpus", MODULES, ())
    assert text is not None
    assert "install_items" not in text
