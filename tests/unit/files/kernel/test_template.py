# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The template of a variant driver is a package like vfio-variants, and new-variant makes packages of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.known_variants import DEVICES
from ansible_collections.vfio.variants.plugins.plugin_utils.own_package import own_package
from ansible_collections.vfio.variants.plugins.plugin_utils.source_archive import SourceArchive
from ansible_collections.vfio.variants.tests.unit.driver_package import PACKAGES, TEMPLATE, DriverPackage

SHARED = {"COPYING", "Kbuild", "Makefile", "probe-kernel.sh", "variant_compat.h", "variant_ids.h"}
TEST_ID = (0x1234, 0x11E8)
LONGEST_NAME = "a123456789012345678901_vfio_pci"


@pytest.fixture(name="headers")
def fixture_headers(tmp_path: Path) -> Path:
    """The include folder of a kernel of which nothing is known but that its headers are there."""
    include = tmp_path / "kernel/include"
    (include / "linux").mkdir(parents=True)
    for name in ("vfio.h", "vfio_pci_core.h", "pci.h", "mm.h"):
        (include / "linux" / name).touch()
    return include


def new_variant(*arguments: str, cwd: Path, path: Path = TEMPLATE) -> subprocess.CompletedProcess[str]:
    argv = [str(path / "new-variant"), *arguments]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def made(tmp_path: Path, name: str = "my_vfio_pci", ids: tuple[str, ...] = ("10ee:9048",)) -> DriverPackage:
    done = new_variant(name, *ids, "package", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    return DriverPackage(tmp_path / "package")


def assert_one_name(package: DriverPackage, name: str, headers: Path) -> None:
    """The name of source, object, module of DKMS, and manifest; and the table is what the manifest says."""
    assert [path.name for path in package.folder.glob("*.c")] == [f"{name}.c"]
    assert package.objects(headers) == [f"{name}.o"]
    assert [value for key, value in package.dkms.items() if key.startswith("BUILT_MODULE_NAME")] == [name]
    assert package.dkms["PACKAGE_NAME"] == name.replace("_", "-")
    assert package.table
    assert package.manifest == {name: [f"vfio_pci:v{vendor:08X}d{device:08X}sv*sd*bc*sc*i*" for vendor, device in package.table]}


def test_source_build_files_and_manifest_of_the_template_agree(headers: Path) -> None:
    assert_one_name(DriverPackage(TEMPLATE), "example_vfio_pci", headers)
    assert DriverPackage(TEMPLATE).table == [TEST_ID]


def test_the_template_is_built_by_dkms_as_vfio_variants_is() -> None:
    ours, theirs = DriverPackage(TEMPLATE).dkms, DriverPackage(PACKAGES / "vfio-variants").dkms
    for setting in ("PACKAGE_VERSION", "DEST_MODULE_LOCATION[0]", "MAKE[0]", "AUTOINSTALL", "BUILD_EXCLUSIVE_CONFIG"):
        assert ours[setting] == theirs[setting]


def test_what_is_not_the_templates_own_is_a_link_that_moves_with_the_two_folders(tmp_path: Path) -> None:
    links = {path.name: os.readlink(path) for path in TEMPLATE.iterdir() if path.is_symlink()}
    assert links.keys() >= SHARED
    shutil.copytree(PACKAGES, tmp_path / "elsewhere", symlinks=True)
    for name, target in links.items():
        assert not target.startswith("/")
        there = tmp_path / "elsewhere/template" / name
        assert there.resolve() == (tmp_path / "elsewhere/vfio-variants" / Path(target).name).resolve()
        assert there.is_file()


def test_no_file_of_the_template_is_a_second_copy() -> None:
    theirs = {path.read_bytes() for path in (PACKAGES / "vfio-variants").iterdir()}
    assert [path.name for path in TEMPLATE.iterdir() if not path.is_symlink() and path.read_bytes() in theirs] == []


def test_the_template_holds_every_header_that_it_includes() -> None:
    assert DriverPackage(TEMPLATE).included() <= {path.name for path in TEMPLATE.iterdir()}


def test_the_package_that_is_sent_to_a_host_has_files_in_place_of_the_links(tmp_path: Path) -> None:
    shutil.copytree(TEMPLATE, tmp_path / "copy", symlinks=False)
    sent, copied = SourceArchive.read(TEMPLATE), SourceArchive.read(tmp_path / "copy")
    assert {file.name for file in sent.files} >= SHARED
    assert sent.digest == copied.digest


def test_the_template_can_be_named_as_one_of_the_collections_packages() -> None:
    place = own_package("template")
    assert place is not None
    assert place.samefile(TEMPLATE)


@pytest.mark.parametrize("name", ["my_vfio_pci", "x_vfio_pci", "a1__b_vfio_pci", LONGEST_NAME])
def test_a_new_variant_has_its_name_everywhere(tmp_path: Path, headers: Path, name: str) -> None:
    package = made(tmp_path, name)
    assert_one_name(package, name, headers)
    texts = [path.read_text("utf-8") for path in package.folder.iterdir()]
    assert not [text for text in texts if "example_vfio_pci" in text or "example-vfio-pci" in text or "1234, 0x11e8" in text]


def test_a_new_variant_has_the_ids_in_the_order_given_and_in_the_kernels_spelling(tmp_path: Path) -> None:
    package = made(tmp_path, ids=("10EE:914f", "10ee:9048", "1Af4:0001"))
    assert package.table == [(0x10EE, 0x914F), (0x10EE, 0x9048), (0x1AF4, 0x0001)]
    assert package.manifest["my_vfio_pci"][0] == "vfio_pci:v000010EEd0000914Fsv*sd*bc*sc*i*"


def test_an_id_can_have_a_subsystem_and_a_class_as_the_parameter_ids_has_them(tmp_path: Path) -> None:
    package = made(tmp_path, ids=("10ee:9048:10EE:0007", "10ee:914f:ffffffff:ffffffff:020000:ffff00", "10ee:0001:1af4:ffffffff:0c0330"))
    assert package.manifest["my_vfio_pci"] == [
        "vfio_pci:v000010EEd00009048sv000010EEsd00000007bc*sc*i*",
        "vfio_pci:v000010EEd0000914Fsv*sd*bc02sc00i*",
        "vfio_pci:v000010EEd00000001sv00001AF4sd*bc0Csc03i30*",
    ]
    text = (package.folder / "my_vfio_pci.c").read_text(encoding="utf-8")
    table = text[text.index("_table[] = {") :]
    assert table[: table.index("\t{}\n")].count(".override_only = PCI_ID_F_VFIO_DRIVER_OVERRIDE }") == 3
    assert "{ PCI_DEVICE_SUB(0x10ee, 0x914f, PCI_ANY_ID, PCI_ANY_ID),\n\t  .class = 0x020000, .class_mask = 0xffff00,\n" in table
    assert "{ PCI_DEVICE_SUB(0x10ee, 0x0001, 0x1af4, PCI_ANY_ID),\n\t  .class = 0x0c0330, .class_mask = 0xffffff,\n" in table


def test_the_templates_own_id_can_be_asked_for(tmp_path: Path) -> None:
    assert made(tmp_path, ids=("10ee:9048", "1234:11e8")).table == [(0x10EE, 0x9048), TEST_ID]


def test_a_new_variant_stands_by_itself(tmp_path: Path) -> None:
    package = made(tmp_path)
    names = {path.name for path in package.folder.iterdir()}
    assert names >= SHARED | package.included()
    assert not names & {"new-variant", "README.md"}
    assert not [path.name for path in package.folder.iterdir() if path.is_symlink()]
    assert os.access(package.folder / "probe-kernel.sh", os.X_OK)
    SourceArchive.read(package.folder)


def test_a_new_variant_is_told_by_its_folder_and_how_to_build_it(tmp_path: Path) -> None:
    done = new_variant("my_vfio_pci", "10ee:9048", "package", cwd=tmp_path)
    assert done.stdout == "package holds the DKMS package my-vfio-pci. Build it for this kernel: make -C package\n"


@pytest.mark.parametrize("folder", ["my package", "it's", "a\\n", "$(HOME)"])
def test_where_make_cannot_build_is_said(tmp_path: Path, folder: str) -> None:
    """kbuild refuses blanks and colons, and its rules hand the path to a shell."""
    done = new_variant("my_vfio_pci", "10ee:9048", folder, cwd=tmp_path)
    assert done.stdout.startswith(f"{folder} holds the DKMS package my-vfio-pci. make takes no blanks")
    assert "make -C" not in done.stdout


def test_bytes_of_a_class_that_do_not_count_are_left_out(tmp_path: Path) -> None:
    package = made(tmp_path, ids=("10ee:9048:ffffffff:ffffffff:03AB01:ff00ff",))
    assert package.manifest["my_vfio_pci"] == ["vfio_pci:v000010EEd00009048sv*sd*bc03sc*i01*"]
    assert ".class = 0x030001, .class_mask = 0xff00ff,\n" in (package.folder / "my_vfio_pci.c").read_text(encoding="utf-8")


@pytest.mark.parametrize("given", ["10ee:9048:10ee:0001:030000", "10ee:9048:10ee:0001:030000:ffffff"])
def test_an_alias_with_a_whole_class_ends_as_modpost_writes_it(tmp_path: Path, given: str) -> None:
    assert made(tmp_path, ids=(given,)).manifest["my_vfio_pci"] == ["vfio_pci:v000010EEd00009048sv000010EEsd00000001bc03sc00i00*"]


def test_a_folder_may_have_spaces_and_begin_with_a_dash(tmp_path: Path) -> None:
    assert new_variant("my_vfio_pci", "10ee:9048", "-my package", cwd=tmp_path).returncode == 0
    assert DriverPackage(tmp_path / "-my package").table == [(0x10EE, 0x9048)]


def test_new_variant_works_from_a_copy_of_the_template_without_links(tmp_path: Path) -> None:
    shutil.copytree(TEMPLATE, tmp_path / "copy", symlinks=False)
    assert new_variant("my_vfio_pci", "10ee:9048", "package", cwd=tmp_path, path=tmp_path / "copy").returncode == 0
    assert (tmp_path / "package/my_vfio_pci.c").is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param((), "wanted: new-variant NAME ID... FOLDER", id="nothing"),
        pytest.param(("my_vfio_pci", "package"), "wanted: new-variant NAME ID... FOLDER", id="no ID"),
        pytest.param(("my_vfio_pci", "10ee:9048", "10ee:9049"), "'10ee:9049' is where the folder belongs", id="no folder"),
        pytest.param(("my-vfio-pci", "10ee:9048", "package"), "'my-vfio-pci' is not made of small letters", id="dashes"),
        pytest.param(("My_vfio_pci", "10ee:9048", "package"), "'My_vfio_pci' is not made of small letters", id="capital"),
        pytest.param(("mYy_vfio_pci", "10ee:9048", "package"), "'mYy_vfio_pci' is not made of small letters", id="capital inside"),
        pytest.param(("1my_vfio_pci", "10ee:9048", "package"), "with a letter first", id="digit first"),
        pytest.param(("", "10ee:9048", "package"), "does not end in _vfio_pci", id="empty name"),
        pytest.param(("a/../b_vfio_pci", "10ee:9048", "package"), "is not made of small letters", id="path as a name"),
        pytest.param(("my_driver", "10ee:9048", "package"), "'my_driver' does not end in _vfio_pci", id="no VFIO driver's name"),
        pytest.param(("vfio_pci", "10ee:9048", "package"), "'vfio_pci' does not end in _vfio_pci", id="vfio-pci's own name"),
        pytest.param((f"b1{LONGEST_NAME}", "10ee:9048", "package"), "has 33 characters; 32 is the limit", id="long name"),
        pytest.param(("my_vfio_pci", "10ee", "package"), "'10ee' is not a VENDOR:DEVICE", id="no device"),
        pytest.param(("my_vfio_pci", "0x10ee:0x9048", "package"), "'0x10ee:0x9048' is not a VENDOR:DEVICE", id="0x"),
        pytest.param(("my_vfio_pci", "10ee:904g", "package"), "'10ee:904g' is not a VENDOR:DEVICE", id="no digit"),
        pytest.param(("my_vfio_pci", "10ee:*", "package"), "'10ee:*' is not a VENDOR:DEVICE", id="wildcard"),
        pytest.param(("my_vfio_pci", "10ee:9048:1:2", "package"), "'10ee:9048:1:2' is not a VENDOR:DEVICE", id="subsystem"),
        pytest.param(("my_vfio_pci", "FFFF:9048", "package"), "'FFFF:9048' is the ID of no device", id="any vendor"),
        pytest.param(("my_vfio_pci", "10ee:904f", "10EE:904F", "package"), "'10EE:904F' is named twice", id="twice"),
        pytest.param(("my_vfio_pci", "1:2:ffffffff:ffffffff", "p"), "'1:2:ffffffff:ffffffff' is not a VENDOR:DEVICE", id="short"),
        pytest.param(("my_vfio_pci", "10ee:1:10ee", "p"), "'10ee:1:10ee' is not a VENDOR:DEVICE", id="half a subsystem"),
        pytest.param(("my_vfio_pci", "10ee:0001:10ee:0001:02", "p"), "'10ee:0001:10ee:0001:02' is not a VENDOR:DEVICE", id="half a class"),
        pytest.param(("my_vfio_pci", "10ee:0001:10ee:0001:020000:0f0000", "p"), "whose bytes are not all ff or 00", id="half a byte"),
        pytest.param(("my_vfio_pci", "10ee:0001", "10ee:0001:ffffffff:ffffffff", "p"), "is named twice", id="twice in other words"),
        pytest.param(("my_vfio_pci", "10ee:9048", "10ee:9048:ffffffff:ffffffff:020000:000000", "p"), "is named twice", id="no byte counts"),
        pytest.param(
            ("my_vfio_pci", "10ee:9048:ffffffff:ffffffff:030000:ff0000", "10ee:9048:ffffffff:ffffffff:030100:ff0000", "p"),
            "'10ee:9048:ffffffff:ffffffff:030100:ff0000' is named twice",
            id="twice by the bytes that count",
        ),
        pytest.param(("my_vfio_pci", "10ee:9048:", "p"), "'10ee:9048:' is not a VENDOR:DEVICE", id="a colon at the end"),
        pytest.param(("my\\n_vfio_pci", "10ee:9048", "p"), "the name 'my\\n_vfio_pci' is not made of", id="a backslash"),
        pytest.param(("my_vfio_pci", "10ee:9048", "there"), "there is a 'there' already", id="a folder that exists"),
        pytest.param(("my_vfio_pci", "10ee:9048", "dangling"), "there is a 'dangling' already", id="a dangling link"),
        pytest.param(("my_vfio_pci", "10ee:9048", "no/where"), "the folder 'no/where' cannot be made", id="no parent folder"),
    ],
)
def test_new_variant_refuses(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    done = new_variant(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["dangling", "there"]


def test_new_variant_leaves_nothing_half_made(tmp_path: Path) -> None:
    shutil.copytree(TEMPLATE, tmp_path / "copy", symlinks=True)
    assert new_variant("my_vfio_pci", "10ee:9048", "package", cwd=tmp_path, path=tmp_path / "copy").returncode != 0
    assert not (tmp_path / "package").exists()


@pytest.mark.parametrize("path", [TEMPLATE, PACKAGES / "migration-template"])
def test_a_name_that_another_driver_has_is_refused(tmp_path: Path, path: Path) -> None:
    """Those of this collection, and those that the kernel has in any version that is known."""
    taken = set(DriverPackage(PACKAGES / "vfio-variants").manifest)
    for name in sorted({*taken, *(module for _vendor, _device, module, _since in DEVICES)}):
        done = new_variant(name, "10ee:9048", "package", cwd=tmp_path, path=path)
        whose = "a driver of this collection" if name in taken else "one of the kernel's own drivers"
        assert (done.returncode, done.stderr) == (2, f"new-variant: the name '{name}' is that of {whose}, which this one would replace.\n")
        assert not (tmp_path / "package").exists()
