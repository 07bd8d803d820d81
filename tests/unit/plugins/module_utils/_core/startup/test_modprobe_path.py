# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that a tree has not is missing on the host only where the tree has the host's programs."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.modprobe_path import is_missing
from ansible_collections.vfio.variants.tests.unit.trees import Tree

COREUTILS = "sh ls cat mkdir rm cp mv ln sleep true false"
USR, SPLIT = [f"/usr/bin/{name}" for name in COREUTILS.split()], [f"/bin/{name}" for name in COREUTILS.split()]
MERGED = {"/bin": "usr/bin", "/sbin": "usr/sbin"}
APPLETS = {f"/bin/{name}": "busybox" for name in COREUTILS.split()}
Files = t.Sequence[str]
Links = t.Mapping[str, str]

# By what a tree is: its files, its links, what a line runs, and whether the shell or udev finds nothing there at boot.
WHOLE: dict[str, tuple[Files, Links]] = {
    "Debian 13": ([*USR, "/usr/sbin/modprobe", "/usr/sbin/init"], MERGED),
    "Fedora 41": ([*USR, "/usr/sbin/modprobe"], MERGED),
    "of which links were not copied": ([*USR, "/usr/sbin/modprobe"], {}),
    "Slackware": ([*SPLIT, "/sbin/modprobe", "/usr/bin/awk", "/usr/sbin/ntpd"], {}),
    "Alpine": (["/bin/busybox", "/sbin/modprobe", "/usr/bin/awk", "/usr/sbin/ntpd"], APPLETS),
    "an initramfs with links of a busybox": (
        ["/usr/bin/busybox", "/usr/sbin/modprobe"],
        {**MERGED, **{f"/usr{k}": v for k, v in APPLETS.items()}},
    ),
}
PARTS: dict[str, tuple[Files, Links]] = {
    "nothing": ([], {}),
    "settings alone": (["/etc/modprobe.d/x.conf", "/usr/lib/udev/rules.d/60-x.rules"], {}),
    "modprobe alone": (["/usr/sbin/modprobe"], MERGED),
    "one program that a guide names": (["/usr/bin/other", "/usr/sbin/modprobe"], MERGED),
    "a script of its own": (["/usr/local/bin/own", "/usr/bin/other", "/usr/sbin/other", "/usr/sbin/modprobe"], MERGED),
    "a shell alone": (["/bin/sh", "/bin/other", "/sbin/modprobe", "/usr/bin/other", "/usr/sbin/other"], {}),
    "a busybox whose links are made at boot": (["/bin/busybox", "/sbin/modprobe", "/usr/bin/x", "/usr/sbin/x"], {"/bin/sh": "busybox"}),
    "a toybox whose links are made at boot": (["/usr/bin/toybox", "/usr/sbin/modprobe"], {**MERGED, "/usr/bin/sh": "toybox"}),
    "links to programs that were not copied": (["/usr/bin/other", "/usr/sbin/modprobe"], {**MERGED, "/usr/bin/sh": "dash"}),
    "NixOS": (["/usr/bin/env", "/bin/sh", "/usr/sbin/x"], {}),
}
GONE = ("/usr/bin/ask", "/bin/ask", "/usr/sbin/nvidia-modprobe", "/sbin/ask")


def tree_of(root: Path, files: Files, links: Links) -> Tree:
    tree = Tree(root)
    for path in files:
        tree.file(path, b"\x7fELF", 0o755)
    for path, target in links.items():
        tree.link(path, target)
    return tree


@pytest.mark.parametrize("program", GONE)
@pytest.mark.parametrize("kind", WHOLE)
def test_of_a_whole_tree_a_program_is_missing(tmp_path: Path, kind: str, program: str) -> None:
    assert is_missing(tree_of(tmp_path, *WHOLE[kind]).host(), program)


@pytest.mark.parametrize("program", [*GONE, "/usr/bin/ls"])
@pytest.mark.parametrize("kind", PARTS)
def test_of_a_part_of_a_tree_none_is(tmp_path: Path, kind: str, program: str) -> None:
    assert not is_missing(tree_of(tmp_path, *PARTS[kind]).host(), program)


@pytest.mark.parametrize("kind", WHOLE)
def test_of_a_whole_tree_what_is_there_is_not_missing(tmp_path: Path, kind: str) -> None:
    host = tree_of(tmp_path, *WHOLE[kind]).host()
    assert not any(is_missing(host, program) for program in ("/bin/ls", "/sbin/modprobe", "/usr/sbin/modprobe"))


@pytest.mark.parametrize(
    ("files", "links", "program", "missing"),
    [
        ([], {}, "/usr/bin/modprobe", True),
        ([], {}, "/bin/modprobe", True),
        (["/usr/local/sbin/other"], {}, "/usr/local/sbin/ask", True),
        (["/opt/card/other"], {}, "/opt/card/ask", True),
        ([], {}, "/opt/card/ask", False),
        ([], {}, "/usr/local/sbin/modprobe", False),
        ([], {}, "/run/card/ask", False),
        ([], {}, "/tmp/ask", False),
        # NVIDIA's operator for Kubernetes mounts its programs there; alternatives lead to packages.
        ([], {"/usr/bin/ask": "/run/nvidia/driver/usr/bin/ask"}, "/usr/bin/ask", False),
        ([], {"/usr/bin/ask": "/nix/store/abc/bin/ask"}, "/usr/bin/ask", False),
        ([], {"/usr/bin/ask": "/etc/alternatives/ask", "/etc/alternatives/ask": "/opt/card/ask"}, "/usr/bin/ask", False),
        (["/opt/card/other"], {"/usr/bin/ask": "/opt/card/ask"}, "/usr/bin/ask", True),
        (["/usr/lib/card/ask"], {"/usr/bin/ask": "../lib/card/ask"}, "/bin/ask", False),
    ],
)
def test_where_links_lead_and_what_boot_makes_decides(tmp_path: Path, files: Files, links: Links, program: str, missing: bool) -> None:
    whole, merged = WHOLE["Debian 13"]
    assert is_missing(tree_of(tmp_path, [*whole, *files], {**merged, **links}).host(), program) is missing


def test_where_sbin_is_a_link_to_bin_every_path_leads_to_modprobe(tmp_path: Path) -> None:
    links = {"/bin": "usr/bin", "/sbin": "usr/bin", "/usr/sbin": "bin"}
    host = tree_of(tmp_path, [*USR, "/usr/bin/modprobe"], links).host()
    places = ("/bin", "/sbin", "/usr/bin", "/usr/sbin")
    assert [is_missing(host, f"{place}/modprobe") for place in places] == [False] * 4
    assert [is_missing(host, f"{place}/ask") for place in places] == [True] * 4


def test_where_that_link_was_not_copied_sbin_is_not_known(tmp_path: Path) -> None:
    host = tree_of(tmp_path, [*USR, "/usr/bin/modprobe"], {}).host()
    assert not any(is_missing(host, f"{place}/ask") for place in ("/sbin", "/usr/sbin"))
