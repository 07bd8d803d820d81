# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many files of one kind, each of a usual size, are as bounded as one of them."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import together
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.together import (
    Allowance,
    contents,
    fitting,
    lines_of_lists,
    of_one_run,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.tolerant_host import TolerantHost
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image_view import ImageView
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.udev import rules
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules
from ansible_collections.vfio.variants.tests.unit.images import archive
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

LIMIT = 1000
IMAGE = f"/boot/initrd.img-{DEBIAN_13}"


class Kind(t.NamedTuple):
    folder: str
    ending: str
    line: str
    read: t.Callable[[t.Any], object]


KINDS = {
    "modprobe.d": Kind("/etc/modprobe.d", "conf", "blacklist nouveau\n", ModprobeConfig.read),
    "udev rules": Kind("/etc/udev/rules.d", "rules", 'ATTR{driver_override}="a"\n', Rules.read),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kind:
    monkeypatch.setattr(modprobe, "LARGEST", LIMIT)
    monkeypatch.setattr(rules, "LARGEST", LIMIT)
    return KINDS[request.param]


def files(kind: Kind, *lines: int) -> dict[str, str]:
    return {f"{kind.folder}/{number}.{kind.ending}": kind.line * count for number, count in enumerate(lines)}


def laid_out(root: Path, found: t.Mapping[str, str]) -> Tree:
    tree = Tree(root)
    for path, text in found.items():
        tree.file(path, text)
    return tree


def test_files_that_have_just_the_limit_together_are_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/a", "x" * 600).file("/b", "x" * 424)
    assert [len(content) for _path, content in contents(tree.host(), ("/a", "/b"), 1024, "files")] == [600, 424]
    with pytest.raises(HostError, match=r"^/b cannot be read: the .* have more than 1 KiB with it\.$"):
        list(contents(tree.file("/b", "x" * 425).host(), ("/a", "/b"), 1024, "files"))


@pytest.mark.parametrize("lines", [(100,), (20, 20, 20, 20)], ids=["one", "many"])
def test_a_host_with_too_much_of_a_kind_is_refused_by_the_name_of_a_file(tmp_path: Path, kind: Kind, lines: tuple[int, ...]) -> None:
    tree = laid_out(tmp_path, files(kind, *lines))
    with pytest.raises(HostError, match=f"^{re.escape(kind.folder)}/[0-3]\\.{kind.ending} cannot be read: the .* have more "):
        kind.read(tree.host())
    kind.read(laid_out(tmp_path / "few", files(kind, 10, 10)).host())


def test_where_unread_files_are_noted_the_others_are_read(tmp_path: Path, kind: Kind) -> None:
    tolerant = TolerantHost(laid_out(tmp_path, files(kind, 100, 10)).host())
    kind.read(tolerant)
    assert list(tolerant.unread) == [f"{kind.folder}/0.{kind.ending}"]


def test_an_image_with_too_much_of_a_kind_is_refused_by_the_name_of_both(tmp_path: Path, kind: Kind) -> None:
    held = archive({path.lstrip("/"): text for path, text in files(kind, 20, 20, 20, 20).items()})
    view = ImageView(Image.read(Tree(tmp_path).file(IMAGE, held).host(), IMAGE, DEBIAN_13))
    with pytest.raises(HostError, match=f"^{re.escape(IMAGE)}:{re.escape(kind.folder)}/\\d\\.{kind.ending} cannot be read: "):
        kind.read(view)


def test_rules_that_can_matter_have_a_limit_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "LARGEST_PARSED", LIMIT)
    found = {"0": 'KERNEL=="x", NAME="y"\n' * 300, "1": 'RUN+="/a"\n' * 50, "2": 'RUN+="/b"\n' * 80}
    tree = laid_out(tmp_path, {f"/etc/udev/rules.d/{name}.rules": text for name, text in found.items()})
    with pytest.raises(HostError, match=r"^/etc/udev/rules\.d/2\.rules cannot be read: the rules that can matter have more than "):
        Rules.read(tree.host(), (b"RUN",))
    tolerant = TolerantHost(tree.host())
    assert {rule.path for rule in Rules.read(tolerant, (b"RUN",)).rules} == {"/etc/udev/rules.d/1.rules"}
    assert list(tolerant.unread) == ["/etc/udev/rules.d/2.rules"]


def test_lists_of_modules_have_one_limit_and_keep_their_lines_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "LARGEST_LISTS", LIMIT)
    tree = Tree(tmp_path).file("/a", "one\n\ntwo").file("/b", "x\n" * 500).directory("/c")
    assert list(lines_of_lists(tree.host(), ("/a", "/c", "/nothing"))) == [("/a", 1, "one"), ("/a", 2, ""), ("/a", 3, "two")]
    with pytest.raises(HostError, match=r"^/b cannot be read: the .* have more than "):
        list(lines_of_lists(tree.host(), ("/a", "/b")))


def test_what_several_kernels_read_of_a_kind_has_one_limit(tmp_path: Path) -> None:
    host = Tree(tmp_path).file("/a", "x" * 600).file("/b", "x" * 600).file("/c", "x" * 600).host()
    with of_one_run():
        assert [len(list(contents(host, (path,), 1024, "files"))) for path in ("/a", "/b", "/a")] == [1, 1, 1]
        with pytest.raises(HostError, match=r"^/c cannot be read: the files of all kernels have more than 1 KiB with it\.$"):
            list(contents(host, ("/c",), 1024, "files"))
        assert len(list(contents(host, ("/c",), 1024, "others"))) == 1
        assert len(list(contents(host, ("/c",), 1024, "files", is_kept=False))) == 1
    assert len(list(contents(host, ("/c",), 1024, "files"))) == 1


def test_a_file_that_every_kernel_reads_counts_once_and_is_parsed_once(tmp_path: Path) -> None:
    host = Tree(tmp_path).file("/etc/modprobe.d/a.conf", "blacklist nouveau\n" * 50_000).host()
    with of_one_run():
        first, second = (ModprobeConfig.read(host) for _kernel in range(2))
    assert first.directives[7] is second.directives[7]
    assert ModprobeConfig.read(host).directives[7] is not first.directives[7]


def test_files_that_are_only_compared_are_left_out_without_a_word(tmp_path: Path) -> None:
    host = Tree(tmp_path).file("/a", "x" * 60).file("/b", "x" * 50).file("/c", "x" * 40).directory("/d").host()
    assert [path for path, _text in fitting(host, ("/a", "/b", "/c", "/d", "/e"), 55, Allowance(100))] == ["/b", "/c"]
    assert [path for path, _text in fitting(host, ("/a", "/b", "/c"), 70, Allowance(100))] == ["/a", "/c"]
