# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""initramfs images are read as the kernel unpacks them, whatever their layout."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError, HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.images import PACKERS, Link, SameFile, archive, module, packed
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.tests.unit.images import Entry

IMAGE = f"/boot/initrd.img-{DEBIAN_13}"
MODULES = f"usr/lib/modules/{DEBIAN_13}"
OPTIONS = "options vfio-pci ids=10de:1db1\n"
MERGED = {"bin": Link("usr/bin"), "lib": Link("usr/lib")}
TYPICAL: dict[str, Entry] = {
    **MERGED,
    "init": "#!/bin/sh\n",
    "etc/modprobe.d/gpu.conf": OPTIONS,
    "usr/lib/udev/rules.d/70-gpu.rules": "# a rule\n",
    "conf/modules": "vfio-pci\n",
    "scripts/init-top/ORDER": "/scripts/init-top/udev\n",
    f"{MODULES}/modules.softdep": "softdep nouveau pre: vfio-pci\n",
    f"{MODULES}/kernel/drivers/vfio/pci/vfio-pci.ko": module(),
}


def read(root: Path, content: bytes, *wanted: str) -> Image:
    host = Tree(root).file(IMAGE, content).host(Commands(root))
    return Image.read(host, IMAGE, DEBIAN_13, wanted)


@pytest.mark.parametrize("program", [None, *PACKERS])
def test_an_image_tells_its_files_however_it_is_packed(tmp_path: Path, program: str | None) -> None:
    content = archive(TYPICAL)
    image = read(tmp_path, content if program is None else packed(content, program), "vfio_pci")

    assert image.text("/etc/modprobe.d/gpu.conf") == OPTIONS.encode()
    assert image.text("/conf/modules") == b"vfio-pci\n"
    assert dict(image.files("/lib/udev/rules.d")) == {"70-gpu.rules": b"# a rule\n"}
    assert image.text(f"/lib/modules/{DEBIAN_13}/modules.softdep") == b"softdep nouveau pre: vfio-pci\n"
    assert image.modules == {"vfio_pci": f"{MODULES}/kernel/drivers/vfio/pci/vfio-pci.ko"}
    assert image.fingerprints["vfio_pci"].build_id is not None
    assert "init" in image.names


@pytest.mark.parametrize("program", ["gzip", "xz", "zstd", "lz4"])
@pytest.mark.parametrize("padding", [0, 4, 512, 8192])
def test_microcode_and_modules_may_come_first_and_plain(tmp_path: Path, program: str, padding: int) -> None:
    microcode = archive({"kernel/x86/microcode/GenuineIntel.bin": b"\1" * 2048})
    early = archive({"lib": Link("usr/lib"), f"{MODULES}/kernel/drivers/net/e1000e.ko.xz": packed(module(), "xz")})
    main = packed(archive({"etc/modprobe.d/gpu.conf": OPTIONS}), program)
    image = read(tmp_path, microcode + b"\0" * padding + early + b"\0" * padding + main, "e1000e")

    assert "kernel/x86/microcode/GenuineIntel.bin" in image.names
    assert image.text("/etc/modprobe.d/gpu.conf") == OPTIONS.encode()
    assert (
        image.fingerprints["e1000e"].digest
        == read(tmp_path, archive({f"{MODULES}/e1000e.ko": module()}), "e1000e").fingerprints["e1000e"].digest
    )


@pytest.mark.parametrize("program", ["gzip", "xz", "bzip2", "zstd"])
@pytest.mark.parametrize("behind", [None, "gzip", "zstd", "lz4"])
@pytest.mark.parametrize("padding", [0, 6])
def test_what_is_appended_to_a_compressed_image_counts(tmp_path: Path, program: str, behind: str | None, padding: int) -> None:
    first = packed(archive({"etc/modprobe.d/gpu.conf": "# old\n"}), program)
    content = archive({"etc/modprobe.d/gpu.conf": OPTIONS})
    image = read(tmp_path, first + b"\0" * padding + (content if behind is None else packed(content, behind)))

    assert image.text("/etc/modprobe.d/gpu.conf") == OPTIONS.encode()


def test_several_archives_may_share_a_compressed_stream(tmp_path: Path) -> None:
    both = archive({"etc/modprobe.d/a.conf": "# a\n"}) + b"\0" * 260 + archive({"etc/modprobe.d/b.conf": "# b\n"}) + b"\0" * 100
    image = read(tmp_path, packed(both, "xz"))

    assert dict(image.files("/etc/modprobe.d")) == {"a.conf": b"# a\n", "b.conf": b"# b\n"}


def test_names_may_begin_with_a_dot(tmp_path: Path) -> None:
    assert read(tmp_path, archive({".": b"", "./etc/modprobe.d/gpu.conf": OPTIONS})).text("/etc/modprobe.d/gpu.conf") == OPTIONS.encode()


def test_an_image_without_merged_usr_is_read_as_well(tmp_path: Path) -> None:
    image = read(
        tmp_path,
        archive({f"lib/modules/{DEBIAN_13}/updates/dkms/nvlink2gpu_vfio_pci.ko": module(), "lib/udev/rules.d/70-a.rules": "# a\n"}),
    )

    assert image.modules == {"nvlink2gpu_vfio_pci": f"lib/modules/{DEBIAN_13}/updates/dkms/nvlink2gpu_vfio_pci.ko"}
    assert dict(image.files("/lib/udev/rules.d")) == {"70-a.rules": b"# a\n"}


def test_a_hard_link_has_the_content_of_the_last_name(tmp_path: Path) -> None:
    image = read(tmp_path, archive({"etc/modprobe.d/gpu.conf": SameFile("usr/share/gpu"), "usr/share/gpu": OPTIONS}))

    assert image.text("/etc/modprobe.d/gpu.conf") == OPTIONS.encode()


def test_a_symbolic_link_has_the_content_of_what_it_names(tmp_path: Path) -> None:
    image = read(
        tmp_path, archive({"etc/modprobe.d/gpu.conf": Link("/usr/lib/modprobe.d/real.conf"), "usr/lib/modprobe.d/real.conf": OPTIONS})
    )

    assert image.text("/etc/modprobe.d/gpu.conf") == OPTIONS.encode()


@pytest.mark.parametrize("place", ["etc/alternatives", "etc/zz"])
def test_a_link_may_lead_to_a_file_whose_own_name_says_nothing(tmp_path: Path, place: str) -> None:
    """Debian's alternatives, of which initramfs-tools copies link and file; the one comes before the link, the other behind it."""
    files: dict[str, Entry] = {
        **MERGED,
        "etc/modprobe.d/gpu.conf": Link(f"../../{place}/gpu"),
        "etc/modprobe.d/gone.conf": Link("/etc/nowhere"),
        "usr/lib/udev/rules.d/70-gpu.rules": Link(f"/{place}/other"),
        f"{place}/gpu": OPTIONS,
        f"{place}/other": "# a rule\n",
        f"{place}/rest": "rest\n",
    }
    image = read(tmp_path, archive(dict(sorted(files.items()))))
    assert dict(image.files("/etc/modprobe.d")) == {"gpu.conf": OPTIONS.encode()}
    assert dict(image.files("/lib/udev/rules.d")) == {"70-gpu.rules": b"# a rule\n"}
    assert f"{place}/rest" in image.names
    assert f"{place}/rest" not in image.texts


def test_links_in_a_circle_lead_nowhere(tmp_path: Path) -> None:
    image = read(tmp_path, archive({"etc/modprobe.d/a.conf": Link("b.conf"), "etc/modprobe.d/b.conf": Link("a.conf")}))

    assert dict(image.files("/etc/modprobe.d")) == {}


def test_of_two_modules_of_a_name_the_one_in_updates_counts(tmp_path: Path) -> None:
    files = {f"{MODULES}/kernel/fs/x.ko": module("old"), f"{MODULES}/updates/dkms/x.ko": module("new")}

    assert read(tmp_path, archive(files)).modules == {"x": f"{MODULES}/updates/dkms/x.ko"}


def test_modules_of_another_kernel_do_not_count(tmp_path: Path) -> None:
    assert read(tmp_path, archive({"usr/lib/modules/6.1.0-9/kernel/x.ko": module()})).modules == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 4096,
        b"no image at all",
        archive(TYPICAL)[:-200],
        archive(TYPICAL)[:300],
        archive(TYPICAL).replace(b"070701", b"070799", 3),
        b"070701" + b"zzzzzzzz" * 13,
        packed(archive(TYPICAL), "gzip")[:-40],
        packed(archive(TYPICAL), "xz")[:-40],
        packed(archive(TYPICAL), "zstd")[:-40],
        packed(archive(TYPICAL), "lz4")[:-40],
        packed(b"no archive", "zstd"),
    ],
)
def test_a_damaged_image_is_called_so_by_its_name(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(CorruptFileError, match=f"^{re.escape(IMAGE)} cannot be read: .*[^.]\\.$"):
        read(tmp_path, content)


@pytest.mark.parametrize("nested", ["squash-root.img", "squashfs-root.img", "erofs-root.img"])
def test_an_image_that_hides_its_files_is_an_error_and_not_damage(tmp_path: Path, nested: str) -> None:
    with pytest.raises(HostError, match=f"keeps its files in {nested}") as error:
        read(tmp_path, archive({nested: b"hsqs"}))
    assert not isinstance(error.value, CorruptFileError)


def test_a_missing_command_is_an_error_and_not_damage(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(IMAGE, packed(archive(TYPICAL), "zstd"))

    def without_zstd(args: list[str], **_unused: object) -> tuple[int, str, str]:
        return 127, "", "timeout: failed to run command 'zstd': No such file or directory"

    with pytest.raises(HostError, match="command zstd is needed") as error:
        Image.read(tree.host(without_zstd), IMAGE, DEBIAN_13)
    assert error.value.hint == "Install the package zstd."
    assert not isinstance(error.value, CorruptFileError)
