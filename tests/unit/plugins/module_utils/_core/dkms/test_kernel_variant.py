# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A driver of the kernel's own source as a DKMS package: for which kernels it is built, from what, and why not for others."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import steps
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.module_check import _not_exported
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import KernelVariant, PackageRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.kernel_sources import (
    ACME,
    CONFIG,
    KCONFIG,
    archive,
    driver,
    generated,
    linux,
)
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.model_dkms import ModelDkms
from ansible_collections.vfio.variants.tests.unit.trees import Tree

OLD, NEW = "6.12.107+deb13-amd64", "6.12.117+deb13-amd64"
ARCHIVE = "/usr/src/linux-source-6.12.tar.xz"
PACKAGE = "/usr/src/linux-vfio-acme-1"


def kernel(dkms: ModelDkms, release: str, config: str = CONFIG, **modules: t.Sequence[str]) -> None:
    """An installed kernel of Debian's with its headers."""
    version = release.partition("+")[0]
    dkms.tree.kernel(release, {name.replace("_", "-"): aliases for name, aliases in modules.items()}, headers=True)
    here = f"/usr/src/linux-headers-{release}/include"
    dkms.tree.file(f"{here}/config/auto.conf", config)
    for name, text in generated(version, f"{version}-1").items():
        dkms.tree.file(f"{here}/generated/{name}", text)


def source(dkms: ModelDkms, version: str, text: str | None = None, **more: str) -> None:
    """Debian's package with a kernel's source."""
    dkms.tree.file(ARCHIVE, archive(linux(version, text, **more)))
    dkms.tree.file("/var/lib/dpkg/status", f"Package: linux-source-6.12\nStatus: install ok installed\nVersion: {version}-1\n\n")


@pytest.fixture(name="dkms")
def debian(tmp_path: Path) -> ModelDkms:
    dkms = ModelDkms(Tree(tmp_path / "root"))
    dkms.tree.file("/etc/os-release", "ID=debian\n")
    kernel(dkms, OLD)
    source(dkms, "6.12.107")
    return dkms


def files(dkms: ModelDkms) -> set[str]:
    """Each file, except the lock that every run takes."""
    found = (str(path.relative_to(dkms.tree.root)) for path in dkms.tree.root.rglob("*") if path.is_file())
    return {path for path in found if not path.startswith("run/")}


def run(dkms: ModelDkms, *, check_mode: bool = False, variant: str = "acme", places: tuple[str, ...] = (), **fields: t.Any) -> t.Any:
    wanted = PackageRequest(source=KernelVariant(variant), kernel_sources=places, **fields)
    return steps.run(dkms.host, wanted, check_mode).result()


def test_the_driver_is_built_from_the_source_of_the_kernel_with_its_files_as_they_are(dkms: ModelDkms) -> None:
    result = run(dkms)
    assert result["changed"]
    assert result["kernels"][OLD]["modules"]["acme-vfio-pci"]["aliases"] == [ACME]
    assert result["modules"] == [{"name": "acme-vfio-pci", "aliases": [ACME], "kernels": list(result["kernels"])}]
    for name, text in linux("6.12.107").items():
        place = dkms.tree.place(f"{PACKAGE}/{OLD}/{name}")
        assert place.exists() == (name == "COPYING" or name.startswith("drivers/vfio/pci/acme/"))
        assert not place.exists() or place.read_text() == text


def test_its_origin_and_licence_are_recorded_and_returned(dkms: ModelDkms) -> None:
    result = run(dkms)["sources"][OLD]
    assert result == {
        "from": ARCHIVE,
        "version": "6.12.107",
        "package": "6.12.107-1",
        "licences": ["GPL-2.0-only"],
        "without": ["CONFIG_IOMMUFD_DRIVER"],
        "only_compiles": False,
    }
    origin = json.loads(dkms.tree.place(f"{PACKAGE}/{OLD}/origin.json").read_text())
    assert {key: origin[key] for key in result} == result


def test_a_second_run_does_nothing_even_without_the_source(dkms: ModelDkms) -> None:
    first = run(dkms)
    dkms.tree.place(ARCHIVE).unlink()
    calls = len(dkms.calls)
    second = run(dkms)
    assert (second["changed"], len(dkms.calls)) == (False, calls)
    assert second["kernels"] == first["kernels"]


def test_the_prediction_is_what_comes(dkms: ModelDkms) -> None:
    before = files(dkms)
    predicted = run(dkms, check_mode=True)
    assert files(dkms) == before
    result = run(dkms)
    assert predicted["modules"][0].pop("new_for") == [OLD]
    assert {key: predicted[key] for key in ("changed", "modules", "sources", "diff")} == {
        key: result[key] for key in ("changed", "modules", "sources", "diff")
    }


def test_a_newer_kernel_gets_its_own_source_and_the_older_one_keeps_its(dkms: ModelDkms) -> None:
    run(dkms)
    more = ACME.replace("0010", "0011")
    ids = "{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(0x1e3d, 0x10) },\n{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(0x1e3d, 0x11) },"
    kernel(dkms, NEW)
    source(dkms, "6.12.117", driver(ACME, more, ids=ids))
    result = run(dkms)
    assert result["sources"][OLD]["version"] == "6.12.107"
    assert [result["kernels"][release]["modules"]["acme-vfio-pci"]["aliases"] for release in (OLD, NEW)] == [[ACME], [ACME, more]]
    assert not run(dkms)["changed"]


def test_absence_takes_everything_back(dkms: ModelDkms) -> None:
    before = files(dkms)
    run(dkms)
    assert run(dkms, state="absent")["removed"] == ["1"]
    assert files(dkms) == before
    assert not run(dkms, state="absent")["changed"]


def test_nothing_is_built_for_a_kernel_that_has_the_driver_itself(dkms: ModelDkms) -> None:
    kernel(dkms, NEW, acme_vfio_pci=[ACME])
    result = run(dkms)
    assert list(result["kernels"]) == [OLD]
    assert result["skipped_kernels"] == {NEW: f"kernel {NEW} has acme_vfio_pci itself"}
    only = run(dkms, kernels=(NEW,))
    assert only["skipped_kernels"] == {NEW: f"kernel {NEW} has acme_vfio_pci itself"}


def test_where_every_kernel_has_it_nothing_is_done_and_what_was_built_goes(dkms: ModelDkms) -> None:
    run(dkms)
    kernel(dkms, OLD, acme_vfio_pci=[ACME])
    assert run(dkms)["removed"] == ["1"]
    result = run(dkms)
    assert (result["changed"], result["kernels"], result["version"]) == (False, {}, None)
    assert not dkms.tree.place(PACKAGE).exists()


def named(place: str, content: t.Mapping[str, str] | bytes) -> t.Callable[[ModelDkms], tuple[str, ...]]:
    """The place with the source that a user names, a folder or an archive."""

    def make(dkms: ModelDkms) -> tuple[str, ...]:
        if isinstance(content, bytes):
            dkms.tree.file(place, content)
        else:
            for name, text in content.items():
                dkms.tree.file(f"{place}/{name}", text)
        return (place,)

    return make


LINUX = linux("6.12.107")
CANDIDATE = {**LINUX, "Makefile": LINUX["Makefile"].replace("EXTRAVERSION =", "EXTRAVERSION = -rc3")}
NO_SOURCE: dict[str, tuple[t.Callable[[ModelDkms], tuple[str, ...]], str, str | None]] = {
    "a folder that has the tree in it": (
        named("/srv/x", {f"linux-6.12.107/{name}": text for name, text in LINUX.items()}),
        "/srv/x is not the source of a kernel: it has no Makefile with a VERSION.",
        "Give /srv/x/linux-6.12.107, if it is that.",
    ),
    "a folder that has the archive in it": (
        named("/srv/x", {"linux-6.12.107.tar.xz": ""}),
        "/srv/x is not the source of a kernel: it has no Makefile with a VERSION.",
        "Give /srv/x/linux-6.12.107.tar.xz, if it is that.",
    ),
    "an archive without a folder": (
        named("/srv/x.tar.xz", archive(LINUX, ".")),
        "/srv/x.tar.xz is not the source of a kernel: it has no Makefile with a VERSION.",
        "Give an archive whose one folder is a kernel's source tree, or unpack it and give that folder.",
    ),
    "an archive with a folder in a folder": (
        named("/srv/x.tar.xz", archive(LINUX, "a/b")),
        "/srv/x.tar.xz is not the source of a kernel: it has no Makefile with a VERSION.",
        "Give an archive whose one folder is a kernel's source tree, or unpack it and give that folder.",
    ),
    "a package of Debian's": (
        named("/srv/x.deb", b"!<arch>\ndebian-binary   "),
        "/srv/x.deb is not a tar archive (truncated header).",
        "Give a folder, a tar archive or a package of sources.",
    ),
    "a zip archive": (
        named("/srv/x.zip", b"PK\3\4".ljust(1024, b"x")),
        "/srv/x.zip is not a tar archive (invalid header).",
        "Give a folder, a tar archive or a package of sources.",
    ),
    "an archive that ends in a file": (
        named("/srv/x.tar", archive(LINUX, kind="w")[:3000]),
        "/srv/x.tar cannot be unpacked: unexpected end of data.",
        "Install or download it again.",
    ),
    "an archive that ends before the code": (
        named("/srv/x.tar", archive(LINUX, kind="w").partition(b"linux-source-6.12/drivers/vfio/pci/acme/main.c")[0]),
        "/srv/x.tar has the headers of the source alone: set kernel_sources.",
        None,
    ),
    "another version": (
        named("/srv/x.tar.xz", archive(linux("6.12.106"))),
        "was built from Linux 6.12.107 (6.12.107-1), and /srv/x.tar.xz is of Linux 6.12.106: set kernel_sources.",
        None,
    ),
    "a candidate of the version": (
        named("/srv/x.tar.xz", archive(CANDIDATE)),
        "was built from Linux 6.12.107 (6.12.107-1), and /srv/x.tar.xz is of Linux 6.12.107-rc3: set kernel_sources.",
        None,
    ),
    "a name with a line break": (
        lambda _dkms: ("/srv/a\nb",),
        "There is no '/srv/a\\nb' on this host.",
        "Give a folder or an archive with the source of a kernel.",
    ),
}


@pytest.mark.parametrize("case", NO_SOURCE)
def test_what_is_named_and_is_not_the_kernels_source_is_one_sentence_and_what_to_give_another(dkms: ModelDkms, case: str) -> None:
    make, sentence, hint = NO_SOURCE[case]
    places = make(dkms)
    before = files(dkms)
    with pytest.raises(HostError) as caught:
        run(dkms, places=places)
    assert caught.value.msg.endswith(sentence)
    assert caught.value.hint == hint
    assert files(dkms) == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("linux-firmware-2026.tar.xz", archive({"README": "blobs"})),
        ("linux-a.tar.xz", b"\xfd7zXZ\0\0\0damaged"),
        ("kernel-6.12.107-1.src.rpm", b"\xed\xab\xee\xdbdamaged"),
        ("linux-a/drivers/vfio/pci/Makefile", b""),
    ],
)
def test_what_else_lies_in_usr_src_keeps_no_source_from_being_found(dkms: ModelDkms, name: str, content: bytes) -> None:
    dkms.tree.file(f"/usr/src/{name}", content)
    assert run(dkms)["sources"][OLD]["from"] == ARCHIVE


def test_a_damaged_archive_is_named_where_no_other_is_the_source(dkms: ModelDkms) -> None:
    dkms.tree.place(ARCHIVE).unlink()
    dkms.tree.file("/usr/src/linux-a.tar.xz", b"\xfd7zXZ\0\0\0damaged")
    dkms.tree.file("/usr/src/linux-firmware.tar.xz", archive({"README": "blobs"}))
    with pytest.raises(HostError) as caught:
        run(dkms)
    assert "and /usr/src/linux-a.tar.xz cannot be unpacked: its compressed stream is corrupt" in caught.value.msg
    assert "firmware" not in caught.value.msg


@pytest.mark.parametrize("candidate", ["3", "4"])
def test_a_candidate_of_a_release_is_built_from_that_candidate_alone(dkms: ModelDkms, candidate: str) -> None:
    release = "7.3-rc4-amd64"
    kernel(dkms, OLD, acme_vfio_pci=[ACME])
    dkms.tree.kernel(release, {}, headers=True)
    here = f"/usr/src/linux-headers-{release}/include"
    dkms.tree.file(f"{here}/config/auto.conf", CONFIG)
    for name, text in generated("7.3.0").items():
        dkms.tree.file(f"{here}/generated/{name}", text)
    tree = linux("7.3.0")
    tree["Makefile"] = tree["Makefile"].replace("EXTRAVERSION =", f"EXTRAVERSION = -rc{candidate}")
    places = named("/srv/linux", tree)(dkms)
    if candidate == "4":
        assert run(dkms, places=places)["sources"][release]["version"] == "7.3.0-rc4"
    else:
        with pytest.raises(HostError, match=r"was built from Linux 7\.3\.0-rc4, and /srv/linux is of Linux 7\.3\.0-rc3"):
            run(dkms, places=places, kernels=(release,))


@pytest.mark.parametrize("name", ["acmee", "mlx5", "acme_vfio"])
def test_a_variant_that_the_kernel_does_not_have_is_not_answered_with_another_kernel(dkms: ModelDkms, name: str) -> None:
    with pytest.raises(HostError, match=rf"Linux 6\.12\.107 has no variant {name}; it has acme\.$") as caught:
        run(dkms, variant=name)
    assert caught.value.hint is None


MISSING: dict[str, tuple[t.Callable[[ModelDkms], object], str]] = {
    "the source is missing": (
        lambda dkms: dkms.tree.place(ARCHIVE).unlink(),
        r"built from Linux 6\.12\.107 \(6\.12\.107-1\), and its source is not on this host: install linux-source-6\.12 \(= 6\.12\.107-1\),",
    ),
    "the package is another version": (
        lambda dkms: source(dkms, "6.12.117"),
        rf"built from Linux 6\.12\.107 \(6\.12\.107-1\), and {ARCHIVE} is of 6\.12\.117-1: install linux-source-6\.12 \(= 6\.12\.107-1\)",
    ),
    "the source lacks the driver": (
        lambda dkms: dkms.tree.file(ARCHIVE, archive({k: v for k, v in linux("6.12.107").items() if "acme/" not in k})),
        r"Linux 6\.12\.107 has no variant acme; it has none",
    ),
    "the kernel lacks an option": (
        lambda dkms: kernel(dkms, OLD, CONFIG.replace("CONFIG_ACME_CORE=m\n", "# CONFIG_ACME_CORE is not set\n")),
        r"acme-vfio-pci depends on ACME_CORE && PCI_IOV, and the kernel is built without CONFIG_ACME_CORE",
    ),
    "the kernel has an option that it must not have": (
        lambda dkms: source(dkms, "6.12.107", kconfig=KCONFIG.replace("ACME_CORE && PCI_IOV", "!PCI_IOV")),
        r"acme-vfio-pci depends on !PCI_IOV, and the kernel is built with CONFIG_PCI_IOV",
    ),
    "the kernel lacks an option of a block": (
        lambda dkms: source(dkms, "6.12.107", kconfig=f"if ACME_BUS\n{KCONFIG}\nendif\n"),
        r"acme-vfio-pci depends on ACME_BUS, and the kernel is built without CONFIG_ACME_BUS",
    ),
    "the kernel lacks vfio-pci-core": (
        lambda dkms: kernel(dkms, OLD, "CONFIG_ACME_CORE=m\nCONFIG_PCI_IOV=y\n"),
        r"built without CONFIG_VFIO_PCI_CORE",
    ),
}


@pytest.mark.parametrize(("version", "is_of_kernel"), [("6.8.0-45.45", True), ("6.8.0-47.47", False), ("6.8.0-45.46", False)])
def test_of_ubuntus_kernels_the_source_is_that_of_the_same_update(dkms: ModelDkms, version: str, is_of_kernel: bool) -> None:
    """Linux' own version is 6.8.12 in many of them."""
    release, name = "6.8.0-45-generic", "linux-source-6.8.0"
    dkms.tree.file("/etc/os-release", "ID=ubuntu\nID_LIKE=debian\n").kernel(release, {}, headers=True)
    here = f"/usr/src/linux-headers-{release}/include"
    dkms.tree.file(f"{here}/config/auto.conf", CONFIG)
    for path, text in generated("6.8.12").items():
        dkms.tree.file(f"{here}/generated/{path}", text)
    dkms.tree.file(f"/usr/src/{name}/{name}.tar.bz2", archive(linux("6.8.12"), name, "w:bz2"))
    dkms.tree.link(f"/usr/src/{name}.tar.bz2", f"{name}/{name}.tar.bz2")
    known = ((f"linux-headers-{release}", "Source: linux\nVersion: 6.8.0-45.45"), (name, f"Source: linux\nVersion: {version}"))
    dkms.tree.file("/var/lib/dpkg/status", "".join(f"Package: {package}\n{fields}\n\n" for package, fields in known))
    if is_of_kernel:
        assert run(dkms, kernels=(release,))["sources"][release]["package"] == version
    else:
        with pytest.raises(
            HostError, match=rf"6\.8\.12 \(6\.8\.0-45\.45\), and /usr/src/{name}.* is of {version}.*: install {name} \(= 6\.8\.0-45\.45\)"
        ):
            run(dkms, kernels=(release,))


NO_BETA = "Linux 6.12.107 has no variant beta; it has acme"
UNREAD: dict[str, tuple[t.Callable[[ModelDkms], object], str]] = {
    "the driver's folder is elsewhere": (
        lambda dkms: dkms.tree.link("/srv/linux/drivers/vfio/pci/beta", "/srv/beta"),
        f"{NO_BETA}; in /srv/linux, drivers/vfio/pci/beta is a link to /srv/beta, which is not in that folder",
    ),
    "its Makefile is elsewhere": (
        lambda dkms: dkms.tree.link("/srv/linux/drivers/vfio/pci/beta/Makefile", "/srv/beta/Makefile"),
        f"{NO_BETA}; in /srv/linux, drivers/vfio/pci/beta/Makefile is a link to /srv/beta/Makefile, which is not in that folder",
    ),
    "its only code is elsewhere": (
        lambda dkms: [
            beta(dkms, "/srv/linux/drivers/vfio/pci/beta", "Makefile", "Kconfig"),
            dkms.tree.link("/srv/linux/drivers/vfio/pci/beta/main.c", "/srv/beta/main.c"),
        ],
        "in /srv/linux, drivers/vfio/pci/beta/main.c is a link to /srv/beta/main.c, which is not in that folder",
    ),
    "its code is larger than any": (
        lambda dkms: [
            beta(dkms, "/srv/linux/drivers/vfio/pci/beta", "Makefile", "Kconfig"),
            dkms.tree.file("/srv/linux/drivers/vfio/pci/beta/main.c", "x" * (5 << 20)),
        ],
        "in /srv/linux, drivers/vfio/pci/beta/main.c has more than 4 MiB",
    ),
    "a header that it shares is elsewhere": (
        lambda dkms: [
            beta(dkms, "/srv/linux/drivers/vfio/pci/beta", "Makefile", "Kconfig"),
            dkms.tree.file("/srv/linux/drivers/vfio/pci/beta/main.c", f'#include "../common.h"\n{driver(ACME)}'),
            dkms.tree.link("/srv/linux/drivers/vfio/pci/common.h", "/srv/beta/main.c"),
        ],
        "in /srv/linux, drivers/vfio/pci/common.h is a link to /srv/beta/main.c, which is not in that folder",
    ),
}


def beta(dkms: ModelDkms, folder: str, *names: str) -> tuple[str, ...]:
    """Files of a second variant, which is another by name alone."""
    for name in names:
        text = linux("6.12.107")[f"drivers/vfio/pci/acme/{name}"]
        dkms.tree.file(f"{folder}/{name}", text.replace("ACME_VFIO", "BETA_VFIO").replace("acme", "beta"))
    return names


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("case", UNREAD)
def test_what_was_not_read_of_a_driver_is_named_and_nothing_else_is_blamed(dkms: ModelDkms, case: str, check_mode: bool) -> None:
    places = named("/srv/linux", LINUX)(dkms)
    beta(dkms, "/srv/beta", "Makefile", "Kconfig", "main.c")
    UNREAD[case][0](dkms)
    before = files(dkms)
    with pytest.raises(HostError) as caught:
        run(dkms, variant="beta", places=places, check_mode=check_mode)
    assert caught.value.msg.endswith(f": {UNREAD[case][1]}: put what belongs there in its place.")
    assert (caught.value.hint, files(dkms)) == (None, before)
    assert run(dkms, places=places, check_mode=check_mode)["changed"], "the driver beside it is whole"


@pytest.mark.parametrize("case", MISSING)
def test_why_it_cannot_be_built_is_one_sentence_and_nothing_is_changed(dkms: ModelDkms, case: str) -> None:
    change, sentence = MISSING[case]
    change(dkms)
    before = files(dkms)
    with pytest.raises(HostError, match=sentence):
        run(dkms)
    assert files(dkms) == before


def test_a_folder_and_an_archive_anywhere_can_be_named(dkms: ModelDkms) -> None:
    dkms.tree.place(ARCHIVE).unlink()
    for name, text in linux("6.12.107").items():
        dkms.tree.file(f"/srv/linux/{name}", text)
    assert run(dkms, places=("/srv/linux",))["sources"][OLD]["from"] == "/srv/linux"
    dkms.tree.file("/srv/linux/drivers/vfio/pci/acme/main.c", driver(ACME) + "/* changed */\n")
    assert run(dkms, places=("/srv/linux",))["changed"], "what was named is looked at again"
    dkms.tree.file("/srv/linux.tar.gz", archive(linux("6.12.107"), kind="w:gz"))
    assert run(dkms, places=("/srv/linux.tar.gz",))["sources"][OLD]["from"] == "/srv/linux.tar.gz"


def test_a_named_place_that_is_not_there_or_no_kernel_is_an_error(dkms: ModelDkms) -> None:
    with pytest.raises(HostError, match="There is no '/srv/none' on this host"):
        run(dkms, places=("/srv/none",))
    dkms.tree.file("/srv/tree/README", "nothing")
    with pytest.raises(HostError, match="/srv/tree is not the source of a kernel"):
        run(dkms, places=("/srv/tree",))
    with pytest.raises(HostError, match="not an absolute path"):
        run(dkms, places=("linux",))


@pytest.mark.parametrize("name", ["../mlx5", "", "ml x5", "-x", "MLX5"])
def test_a_name_that_no_variant_has_is_refused(dkms: ModelDkms, name: str) -> None:
    with pytest.raises(HostError, match="cannot be a variant's name"):
        run(dkms, variant=name)


def test_files_that_somebody_changed_are_taken_from_the_source_again(dkms: ModelDkms) -> None:
    run(dkms)
    dkms.tree.file(f"{PACKAGE}/{OLD}/drivers/vfio/pci/acme/main.c", "changed")
    assert run(dkms)["changed"]
    assert dkms.tree.place(f"{PACKAGE}/{OLD}/drivers/vfio/pci/acme/main.c").read_text() == linux("6.12.107")["drivers/vfio/pci/acme/main.c"]


def test_options_of_the_driver_that_the_kernel_would_have_are_on(dkms: ModelDkms) -> None:
    kernel(dkms, OLD, CONFIG + "CONFIG_ACME_LEGACY=y\n")
    run(dkms)
    assert dkms.tree.place(f"{PACKAGE}/{OLD}/options.mk").read_text() == (
        "VARIANT_OPTIONS := CONFIG_ACME_VFIO_PCI=m CONFIG_ACME_VFIO_PCI_LEGACY=y\n"
        "VARIANT_FLAGS := -DCONFIG_ACME_VFIO_PCI_MODULE=1 -DCONFIG_ACME_VFIO_PCI_LEGACY=1\n"
    )


def test_a_driver_that_is_made_for_other_machines_is_built_and_that_is_said(dkms: ModelDkms) -> None:
    kernel(dkms, OLD, CONFIG + "CONFIG_64BIT=y\n")
    other = linux("6.12.107")["drivers/vfio/pci/acme/Kconfig"].replace("ACME_CORE && PCI_IOV", "ARM64 || (COMPILE_TEST && 64BIT)")
    source(dkms, "6.12.107", kconfig=other)
    assert run(dkms)["sources"][OLD]["only_compiles"]


@pytest.mark.parametrize(
    "line",
    [
        'ERROR: modpost: "acme_register" [/var/lib/dkms/x/acme-vfio-pci.ko] undefined!',
        'ERROR: modpost: GPL-only symbol "acme_register" [drivers/acme-vfio-pci.ko] undefined!',
        "ERROR: modpost: 'acme_register' undefined!",
    ],
)
def test_a_symbol_that_the_kernel_does_not_export_is_named(line: str) -> None:
    said = _not_exported(f"MODPOST Module.symvers\n{line}\nmake: *** [Makefile] Error 1\n")
    assert said == "the kernel does not export acme_register, which the driver uses."


def test_of_many_symbols_a_few_are_named() -> None:
    lines = "".join(f'ERROR: modpost: "acme_{number}" [x.ko] undefined!\n' for number in range(9))
    assert _not_exported(lines) == "the kernel does not export acme_0, acme_1, acme_2, acme_3, acme_4 and 4 more, which the driver uses."
    assert _not_exported("main.c:1: error: x\n") is None


def test_places_of_sources_without_a_variant_are_an_error(dkms: ModelDkms) -> None:
    with pytest.raises(HostError, match="kernel_sources: there is no variant to build"):
        steps.run(dkms.host, PackageRequest(name="gpu", version="1", kernel_sources=("/srv/linux",)), check_mode=True)
    with pytest.raises(HostError, match="ignore_kconfig: there is no variant to build"):
        steps.run(dkms.host, PackageRequest(name="gpu", version="1", ignore_kconfig=True), check_mode=True)


def test_a_kernel_without_an_option_can_be_built_for_all_the_same_and_the_option_is_named(dkms: ModelDkms) -> None:
    kernel(dkms, OLD, CONFIG.replace("CONFIG_ACME_CORE=m\n", ""))
    assert run(dkms, ignore_kconfig=True)["sources"][OLD]["without"] == ["CONFIG_ACME_CORE", "CONFIG_IOMMUFD_DRIVER"]
    kernel(dkms, OLD, "CONFIG_ACME_CORE=m\n")
    run(dkms, state="absent")
    with pytest.raises(HostError, match="without CONFIG_VFIO_PCI_CORE"):
        run(dkms, ignore_kconfig=True)
