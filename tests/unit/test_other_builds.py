# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose initramfs has another file of a module than the root: the one in the image is what a boot's first stage loads."""

from __future__ import annotations

import subprocess
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import image_modules
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.image_modules import ImageFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs import image as image_module
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image_view import ImageView, read_image
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.report.collection import collect
from ansible_collections.vfio.variants.tests.unit import images, initramfs_files
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.drawn_hosts import CARD, Known
from ansible_collections.vfio.variants.tests.unit.driver_files import Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, E1000E, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

HERE = f"usr/lib/modules/{DEBIAN_13}"
OWN, BUILT_HERE = "kernel/drivers/gpu/drm/nouveau/nouveau.ko", "updates/dkms/nouveau.ko"
V100, OTHER = Entry(0x10DE, 0x1DB1), Entry(0x10DE, 0x1EB8)
UPDATE = f"Run `update-initramfs -u -k {DEBIAN_13}`"
NOTE = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0"


def nouveau(*ids: Entry, build: str = "", release: str = DEBIAN_13, **fields: t.Any) -> bytes:
    sections = {".note.gnu.build-id": NOTE + build.encode().ljust(20)} if build else {}
    return driver_file(release, [Driver(b"nouveau", ids)], sections=sections, **fields)


def packed(content: bytes, program: str) -> bytes:
    options = ["-c", "--check=crc32" if program == "xz" else "-q"]
    return subprocess.run([program, *options], input=content, stdout=subprocess.PIPE, check=True).stdout


def host(root: Path, path: str, in_root: bytes | None, ids: t.Sequence[Entry] = (V100,), **files: t.Any) -> Tree:
    """A Debian with nouveau at this path below its modules, or without it."""
    tree = Known({}, files).tree(root)
    here = f"/lib/modules/{DEBIAN_13}"
    tree.place(f"{here}/{OWN}").unlink()
    dep = tree.place(f"{here}/modules.dep").read_text().replace(f"{OWN}:\n", "" if in_root is None else f"{path}:\n")
    alias = [line for line in tree.place(f"{here}/modules.alias").read_text().split("\n") if not line.endswith(" nouveau")]
    alias += [] if in_root is None else [f"alias {entry.alias} nouveau\n" for entry in ids]
    tree.file(f"{here}/modules.dep", dep).file(f"{here}/modules.alias", "\n".join(alias))
    return tree if in_root is None else tree.file(f"{here}/{path}", in_root)


def with_image(tree: Tree, path: str, content: bytes | None, ids: t.Sequence[Entry] = (V100,), **more: t.Any) -> Tree:
    """An image of initramfs-tools with nouveau at this path; without a content its modules.dep alone has it."""
    entries = initramfs_files.initramfs_tools({"e1000e": [E1000E]})
    entries[f"{HERE}/modules.dep"] = "".join([str(entries[f"{HERE}/modules.dep"]), f"{path}:\n"])
    entries[f"{HERE}/modules.alias"] = "".join([str(entries[f"{HERE}/modules.alias"]), *(f"alias {one.alias} nouveau\n" for one in ids)])
    entries.update({} if content is None else {f"{HERE}/{path}": content})
    early = images.archive({"kernel": b"", "kernel/x86/microcode/GenuineIntel.bin": b"microcode"})
    return tree.file(initramfs_files.IMAGE, early + images.packed(images.archive({**entries, **more}), "zstd"))


def answer(tree: Tree) -> tuple[str, str | None, str | None, list[str]]:
    """How certain the card's driver is, which, from which stage, and what is said about the image."""
    result = device_info(tree.host(Commands(tree.root)))
    (found,) = [device["kernels"][DEBIAN_13] for device in result["devices"] if device["address"] == CARD]
    said = [line for line in result["policy_warnings"] if line.startswith(initramfs_files.IMAGE)]
    return found["certainty"], found["winner"], found["stage"], said


@pytest.mark.parametrize("in_root", [None, "xz", "zstd", "gzip"])
@pytest.mark.parametrize("in_image", [None, "xz", "zstd"])
def test_the_same_build_in_another_compression_does_not_count(tmp_path: Path, in_root: str | None, in_image: str | None) -> None:
    made, endings = nouveau(V100), {None: "", "xz": ".xz", "zstd": ".zst", "gzip": ".gz"}
    tree = host(tmp_path, OWN + endings[in_root], packed(made, in_root) if in_root else made)
    with_image(tree, OWN + endings[in_image], packed(made, in_image) if in_image else made)
    assert answer(tree) == ("certain", "nouveau", "initramfs", [])


def test_a_module_that_was_only_stripped_does_not_count(tmp_path: Path) -> None:
    tree = host(tmp_path, OWN, nouveau(V100, build="one", code=b"\x90" * 64))
    assert answer(with_image(tree, OWN, nouveau(V100, build="one"))) == ("certain", "nouveau", "initramfs", [])


def test_what_was_built_here_is_in_the_first_stage_as_the_image_has_it(tmp_path: Path) -> None:
    tree = host(tmp_path, BUILT_HERE, nouveau(OTHER), [OTHER])
    certainty, winner, stage, (said,) = answer(with_image(tree, BUILT_HERE, nouveau(V100)))
    assert (certainty, winner, stage) == ("certain", "nouveau", "initramfs")
    assert said.startswith(f"{initramfs_files.IMAGE} has another version of nouveau than /lib/modules/{DEBIAN_13}, and loads that one. ")
    assert said.endswith(f"{UPDATE}.")


def test_a_driver_that_the_image_loads_without_the_id_is_not_loaded_again(tmp_path: Path) -> None:
    tree = host(tmp_path, BUILT_HERE, nouveau(V100))
    certainty, winner, _stage, said = answer(with_image(tree, BUILT_HERE, nouveau(OTHER), [OTHER], **{"conf/modules": "nouveau\n"}))
    assert (certainty, winner, len(said)) == ("certain", None, 1)


def test_a_driver_that_the_image_has_without_the_id_and_does_not_load_is_loaded_from_the_root(tmp_path: Path) -> None:
    tree = host(tmp_path, BUILT_HERE, nouveau(V100))
    certainty, winner, stage, said = answer(with_image(tree, BUILT_HERE, nouveau(OTHER), [OTHER]))
    assert (certainty, winner, stage, len(said)) == ("certain", "nouveau", "root", 1)


@pytest.mark.parametrize(
    ("in_root", "in_image", "stage"), [("charp", "int", "root"), ("int", "charp", "initramfs"), ("charp", "charp", "initramfs")]
)
def test_a_value_counts_by_the_parameter_that_the_stages_own_file_has(tmp_path: Path, in_root: str, in_image: str, stage: str) -> None:
    conf: dict[str, t.Any] = {"/etc/modprobe.d/site.conf": "options nouveau runpm=off\n"}
    tree = host(tmp_path, BUILT_HERE, nouveau(V100, parmtype=f"runpm:{in_root}"), **conf)
    with_image(tree, BUILT_HERE, nouveau(V100, parmtype=f"runpm:{in_image}"), **{name[1:]: text for name, text in conf.items()})
    assert answer(tree)[:3] == ("certain", "nouveau", stage)


@pytest.mark.parametrize("broken", [nouveau(V100, release="6.1.0-50-amd64"), b"\x7fELF" + bytes(99), b"text" * 99])
def test_what_the_kernel_does_not_load_from_the_image_it_loads_from_the_root(tmp_path: Path, broken: bytes) -> None:
    tree = with_image(host(tmp_path, BUILT_HERE, nouveau(V100)), BUILT_HERE, broken)
    certainty, winner, stage, said = answer(tree)
    assert (certainty, winner, stage, len(said)) == ("certain", "nouveau", "root", 1)


def test_a_module_that_only_the_image_still_has_is_loaded(tmp_path: Path) -> None:
    tree = with_image(host(tmp_path, BUILT_HERE, None), BUILT_HERE, nouveau(V100))
    certainty, winner, stage, said = answer(tree)
    assert (certainty, winner, stage) == ("certain", "nouveau", "initramfs")
    assert said == [f"{initramfs_files.IMAGE} still has nouveau, which /lib/modules/{DEBIAN_13} does not have. {UPDATE}."]


def test_a_module_whose_file_the_image_lacks_is_not_loaded(tmp_path: Path) -> None:
    tree = host(tmp_path, OWN, nouveau(V100))
    assert answer(with_image(tree, OWN, None))[:3] == ("certain", "nouveau", "root")


def test_the_kernels_own_module_of_another_build_may_not_fit_the_kernel(tmp_path: Path) -> None:
    tree = host(tmp_path, OWN, nouveau(V100, build="two", version="2"))
    certainty, _winner, _stage, said = answer(with_image(tree, OWN, nouveau(V100, build="one")))
    assert (certainty, len(said)) == ("unknown", 1)
    result = device_info(tree.host(Commands(tmp_path)), devices=CARD)["devices"][0]["kernels"][DEBIAN_13]
    assert any("is another build of nouveau" in line for line in result["because"])
    assert {"nouveau", None} <= {*result["outcomes"]}


def test_what_is_in_an_images_own_files_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = with_image(host(tmp_path, BUILT_HERE, nouveau(OTHER), [OTHER]), BUILT_HERE, nouveau(V100))
    here = tree.host(Commands(tmp_path))
    cache = Cache(here, True, str(tmp_path / "kept"), 0.0)
    image = read_image(here, initramfs_files.IMAGE, DEBIAN_13, cache)
    root, words = Kernel.read(here, DEBIAN_13), Cmdline.parse("")
    of_image = Kernel.read(ImageView(image), DEBIAN_13)
    first = ImageFiles(here, image, (image.path,), of_image, cache).compared(["e1000e", "nouveau"], root, words)
    assert [entry.device for entry in first.facts["nouveau"].drivers[0].ids] == [0x1DB1]
    monkeypatch.setattr(image_modules, "module_contents", lambda *_given: pytest.fail("it was unpacked again"))
    kept = read_image(here, initramfs_files.IMAGE, DEBIAN_13, cache)
    assert ImageFiles(here, kept, (image.path,), of_image, cache).compared(["e1000e", "nouveau"], root, words) == first


def test_modules_that_need_too_much_memory_are_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = with_image(host(tmp_path, BUILT_HERE, nouveau(OTHER), [OTHER]), BUILT_HERE, nouveau(V100))
    monkeypatch.setattr(image_module, "LARGEST_MODULES", 64)
    certainty, _winner, _stage, said = answer(tree)
    assert (certainty, len(said)) == ("unknown", 1)


def test_a_packages_own_lines_that_the_image_has_in_an_older_version_are_named(tmp_path: Path) -> None:
    older: dict[str, t.Any] = {"usr/lib/modprobe.d/gpu.conf": "options nouveau modeset=1\n"}
    newer: dict[str, t.Any] = {"/usr/lib/modprobe.d/gpu.conf": "blacklist nouveau\n"}
    tree = with_image(host(tmp_path, OWN, nouveau(V100), **newer), OWN, nouveau(V100), **older)
    certainty, winner, stage, (said,) = answer(tree)
    assert (certainty, winner, stage) == ("certain", "nouveau", "initramfs")
    assert "has another version of /usr/lib/modprobe.d/gpu.conf than the host" in said


@pytest.mark.parametrize("in_image", [nouveau(V100), nouveau(OTHER)])
def test_what_is_collected_for_a_report_has_the_images_own_files(tmp_path: Path, in_image: bytes) -> None:
    tree = with_image(host(tmp_path, BUILT_HERE, nouveau(OTHER), [OTHER]), BUILT_HERE, in_image)
    assert collect(str(tmp_path), Commands(tree.root)).differences == ()


def test_a_softdep_that_only_the_images_build_has_counts_in_its_stage(tmp_path: Path) -> None:
    ids: dict[str, t.Any] = {"etc/modprobe.d/ids.conf": "options vfio-pci ids=10de:1db1\n"}
    of_images: dict[str, t.Any] = {f"{HERE}/modules.softdep": "softdep nouveau pre: vfio-pci\n", f"{HERE}/kernel/drivers/vfio-pci.ko": b""}
    tree = host(tmp_path, BUILT_HERE, nouveau(V100), **{f"/{path}": t.cast("t.Any", text) for path, text in ids.items()})
    with_image(tree, BUILT_HERE, nouveau(V100, softdep="pre: vfio-pci"), **ids, **of_images)
    image = initramfs_files.IMAGE
    assert answer(tree)[:3] == ("certain", "nouveau", "initramfs")
    entries = {**initramfs_files.initramfs_tools({"e1000e": [E1000E], "vfio-pci": [ANY_VFIO]}), **ids, **of_images}
    entries[f"{HERE}/modules.dep"] = "".join([str(entries[f"{HERE}/modules.dep"]), f"{BUILT_HERE}:\n"])
    entries[f"{HERE}/modules.alias"] = "".join([str(entries[f"{HERE}/modules.alias"]), f"alias {V100.alias} nouveau\n"])
    entries[f"{HERE}/{BUILT_HERE}"] = nouveau(V100, softdep="pre: vfio-pci")
    tree.file(image, images.packed(images.archive(entries), "zstd"))
    assert answer(tree)[:3] == ("certain", "vfio-pci", "initramfs")
