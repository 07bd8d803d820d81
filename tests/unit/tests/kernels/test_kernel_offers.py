# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from kernel_offers import FLAVOURS, Archive, Deb, flavour_of, order, parse, series_of


def deb(package: str, version: str = "1", suite: str = "trixie", architecture: str = "amd64", depends: str = "") -> Deb:
    return Deb(package, version, suite, architecture, depends, f"http://archive.example/{package}.deb", "0" * 64)


def kernel(release: str, flavour: str = "amd64", suite: str = "trixie", compiler: str = "gcc-14", common: str = "common") -> list[Deb]:
    depends = f"linux-headers-{release}-{common} (= 1), linux-kbuild-{release}, {compiler}-for-host"
    architecture = next(name for name, flavours in FLAVOURS.items() if flavour in flavours)
    return [
        deb(f"linux-headers-{release}-{flavour}", "1", suite, architecture, depends),
        deb(f"linux-headers-{release}-{common}", "1", suite),
        deb(f"linux-kbuild-{release}", "1", suite),
    ]


def releases(*debs: list[Deb]) -> list[str]:
    """The newest kernels."""
    return [choice[0].release for choice in Archive(tuple(each for some in debs for each in some), ()).choices()]


def test_a_suite_offers_the_newest_kernel_of_each_series() -> None:
    found = releases(kernel("7.2.9+deb13"), kernel("7.2.12+deb13"), kernel("7.2.6+deb13"), kernel("7.3.4+deb13"))
    assert found == ["7.2.12+deb13-amd64", "7.3.4+deb13-amd64"]


def test_the_others_that_the_suite_still_names_stand_in_for_it_the_newest_first() -> None:
    (choice,) = Archive((*kernel("6.12.95+deb13"), *kernel("6.12.117+deb13"), *kernel("6.12.107+deb13")), ()).choices()
    assert [offer.release for offer in choice] == [f"6.12.{patch}+deb13-amd64" for patch in (117, 107, 95)]


def test_a_package_is_taken_from_the_suite_that_is_asked_for_if_it_has_it() -> None:
    debs = (deb("sparse", "0.6.5", "forky"), deb("sparse", "0.6.4", "bookworm"), deb("sparse", "0.6.4", "trixie"))
    assert [one.suite for one in Archive(debs, ()).debs_named("sparse", "trixie")] == ["trixie", "forky", "bookworm"]


def test_each_suite_offers_its_own() -> None:
    assert releases(kernel("7.2.12+deb14", suite="forky"), kernel("7.2.13+deb14", suite="sid")) == [
        "7.2.12+deb14-amd64",
        "7.2.13+deb14-amd64",
    ]


def test_kernels_with_different_page_sizes_are_different_kernels() -> None:
    found = releases(kernel("6.12.107+deb13", "powerpc64le"), kernel("6.12.107+deb13", "powerpc64le-64k"))
    assert found == ["6.12.107+deb13-powerpc64le", "6.12.107+deb13-powerpc64le-64k"]


@pytest.mark.parametrize("flavours", FLAVOURS.values())
def test_each_flavour_is_a_kernel_of_its_own(flavours: tuple[str, ...]) -> None:
    assert releases(*(kernel("7.3.4+deb13", flavour) for flavour in flavours)) == [f"7.3.4+deb13-{flavour}" for flavour in flavours]
    (architecture,) = (name for name, known in FLAVOURS.items() if known == flavours)
    assert tuple(flavour_of(f"7.3.4+deb13-{flavour}", architecture) for flavour in flavours) == flavours


def test_a_realtime_kernel_may_have_shared_headers_of_its_own() -> None:
    ((offer,),) = Archive(tuple(kernel("6.12.107+deb13", "rt-amd64", common="common-rt")), ()).choices()
    assert (offer.flavour, offer.debs[1].package) == ("rt-amd64", "linux-headers-6.12.107+deb13-common-rt")


def test_a_root_is_made_with_usual_kernels() -> None:
    archive = Archive((*kernel("6.12.117+deb13", "cloud-amd64"), *kernel("6.12.107+deb13"), *kernel("6.12.118+deb13", "rt-amd64")), ())
    assert [offer.release for offer in archive.of_series("6.12", ("trixie",), "gcc-14")] == ["6.12.107+deb13-amd64"]


def test_an_index_has_the_headers_of_all_flavours() -> None:
    names = ("6.12.107+deb13-rt-arm64", "6.12.107+deb13-common-rt", "6.12.107+deb13-arm64-16k", "6.12.107+deb13-powerpc64le-64k")
    others = ("linux-headers-6.12.107+deb13-armmp", "gcc-14-riscv64-linux-gnu", "bash")
    packages = (*(f"linux-headers-{name}" for name in names), "gcc-14-aarch64-linux-gnu", *others)
    index = "".join(f"Package: {name}\nVersion: 1\nFilename: pool/{name}.deb\nSHA256: {'0' * 64}\n\n" for name in packages)
    assert [found.package for found in parse(index, "trixie", "arm64", "http://archive.example")] == [*packages[:5]]


def test_a_package_that_only_names_another_is_not_a_kernel() -> None:
    assert releases([deb("linux-headers-6.12-amd64", depends="linux-headers-6.12.117+deb12-amd64 (= 6.12.117-1)")]) == []


def test_a_kernel_from_before_vfio_pci_core_is_left_out() -> None:
    assert releases(kernel("5.10.0-32"), kernel("6.1.0-50")) == ["6.1.0-50-amd64"]


def test_a_kernel_is_built_by_the_compiler_that_its_headers_depend_on() -> None:
    choices = Archive(tuple(kernel("7.3", compiler="gcc-16")), ()).choices()
    assert [(offer.compiler, [found.package for found in offer.debs]) for (offer,) in choices] == [
        ("gcc-16", ["linux-headers-7.3-amd64", "linux-headers-7.3-common", "linux-kbuild-7.3"])
    ]


def test_headers_without_what_they_need_are_no_offer() -> None:
    headers, common, _kbuild = kernel("6.12.107+deb13")
    assert releases([headers, common]) == []


@pytest.mark.parametrize(("architecture", "triplet"), [("ppc64el", "powerpc64le-linux-gnu"), ("arm64", "aarch64-linux-gnu")])
def test_a_cross_compiler_comes_with_its_preprocessor_and_its_assembler_or_not_at_all(architecture: str, triplet: str) -> None:
    debs = tuple(deb(f"{name}-{triplet}") for name in ("gcc-14", "cpp-14", "binutils"))
    assert Archive(debs, ()).cross_compiler("trixie", "gcc-14", architecture) == debs
    assert Archive(debs[:2], ()).cross_compiler("trixie", "gcc-14", architecture) == ()
    assert Archive(debs, ()).cross_compiler("trixie", "gcc-16", architecture) == ()


def test_versions_are_in_dpkgs_order() -> None:
    versions = ["7.3-1", "7.3~rc7-1", "6.12.107-1+b1", "6.12.107-1", "6.12.95-1", "6.12.95-1~bpo12+1"]
    assert sorted(versions, key=order) == versions[::-1]


def test_a_release_names_its_series() -> None:
    assert [series_of(release) for release in ("6.12.107+deb13-amd64", "7.3-powerpc64le-64k")] == [(6, 12), (7, 3)]
    with pytest.raises(ValueError, match="not a kernel's release"):
        series_of("amd64")
