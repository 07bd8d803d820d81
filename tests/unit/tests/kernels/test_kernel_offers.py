# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from kernel_offers import Archive, Deb, order, series_of


def deb(package: str, version: str = "1", suite: str = "trixie", architecture: str = "amd64", depends: str = "") -> Deb:
    return Deb(package, version, suite, architecture, depends, f"http://archive.example/{package}.deb", "0" * 64)


def kernel(release: str, flavour: str = "amd64", suite: str = "trixie", compiler: str = "gcc-14") -> list[Deb]:
    depends = f"linux-headers-{release}-common (= 1), linux-kbuild-{release}, {compiler}-for-host"
    return [
        deb(f"linux-headers-{release}-{flavour}", "1", suite, "amd64" if flavour == "amd64" else "ppc64el", depends),
        deb(f"linux-headers-{release}-common", "1", suite),
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


@pytest.mark.parametrize("flavour", ["rt-amd64", "cloud-amd64"])
def test_special_flavours_are_left_out(flavour: str) -> None:
    assert releases(kernel("6.12.107+deb13", flavour)) == []


def test_a_package_that_only_names_another_is_no_kernel() -> None:
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


def test_a_cross_compiler_comes_with_its_preprocessor_and_its_assembler_or_not_at_all() -> None:
    names = ("gcc-14-powerpc64le-linux-gnu", "cpp-14-powerpc64le-linux-gnu", "binutils-powerpc64le-linux-gnu")
    debs = tuple(deb(name) for name in names)
    assert Archive(debs, ()).cross_compiler("trixie", "gcc-14") == debs
    assert Archive(debs[:2], ()).cross_compiler("trixie", "gcc-14") == ()
    assert Archive(debs, ()).cross_compiler("trixie", "gcc-16") == ()


def test_versions_are_in_dpkgs_order() -> None:
    versions = ["7.3-1", "7.3~rc7-1", "6.12.107-1+b1", "6.12.107-1", "6.12.95-1", "6.12.95-1~bpo12+1"]
    assert sorted(versions, key=order) == versions[::-1]


def test_a_release_names_its_series() -> None:
    assert [series_of(release) for release in ("6.12.107+deb13-amd64", "7.3-powerpc64le-64k")] == [(6, 12), (7, 3)]
    with pytest.raises(ValueError, match="no kernel's release"):
        series_of("amd64")
