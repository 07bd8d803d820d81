# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package that is built for several kernels at a time ends as one that is built for one after the other."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import several_kernels
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.package import DkmsPackage
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.several_kernels import at_once
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.model_dkms import ModelDkms, two_kernels
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.test_package import everything, make, sources, wanted
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, Tree

THIRD = "6.12.200+deb13-amd64"
KEY = ("/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub")


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several_kernels, "processors", lambda: 2)


def with_memory(tree: Tree, megabytes: int) -> None:
    tree.file("/proc/meminfo", f"MemTotal:       99999999 kB\nMemAvailable:   {megabytes << 10} kB\n")


def host(place: Path, megabytes: int = 4096, key: t.Sequence[str] = KEY) -> ModelDkms:
    dkms = two_kernels(place)
    with_memory(dkms.tree, megabytes)
    for path in key:
        dkms.tree.file(path, "key")
    return dkms


def said_by(dkms: ModelDkms, **fields: t.Any) -> list[str]:
    said: list[str] = []
    package = DkmsPackage(dkms.host, wanted(sources(), **fields), said.append)
    package.check()
    package.apply()
    return [" ".join((sentence.split()[0], sentence.split()[-1])) for sentence in said]


def test_the_host_is_the_same_as_after_one_build_after_the_other(tmp_path: Path) -> None:
    together, alone = host(tmp_path / "together"), host(tmp_path / "alone", megabytes=0)
    assert make(together, sources()) == make(alone, sources())
    # That the other one built alone shows in what it was seen to call.
    assert (together.calls.count("dkms build"), alone.calls.count("dkms build")) == (0, 2)
    left = (everything(dkms) for dkms in (together, alone))
    first, second = ({path: content for path, content in one.items() if path != "proc/meminfo"} for one in left)
    assert first == second


@pytest.mark.parametrize(
    ("megabytes", "key", "second"),
    [
        (4096, KEY, "builds"),
        # Too little memory for two.
        (1535, KEY, "has"),
        # The first one has to make what DKMS signs with.
        (4096, (), "has"),
        (4096, KEY[:1], "has"),
        (4096, KEY[1:], "has"),
    ],
)
def test_the_second_build_waits_for_the_first_where_it_has_to(tmp_path: Path, megabytes: int, key: t.Sequence[str], second: str) -> None:
    said = said_by(host(tmp_path / "root", megabytes, key))
    assert said[0] == f"builds {DEBIAN_12}"
    assert said[1].split()[0] == second
    assert sorted(said) == sorted(f"{what} {release}" for what in ("builds", "has") for release in (DEBIAN_12, DEBIAN_13))


@pytest.mark.parametrize("setting", ["mok_signing_key", "mok_certificate"])
@pytest.mark.parametrize("path", ["/etc/dkms/framework.conf", "/etc/dkms/framework.conf.d/own.conf"])
def test_a_key_in_another_place_may_have_to_be_made(tmp_path: Path, setting: str, path: str) -> None:
    dkms = host(tmp_path / "root")
    dkms.tree.file(path, f"{setting}=/root/key\n")
    assert said_by(dkms)[1].split()[0] == "has"


def test_a_file_that_dkms_does_not_read_says_nothing_about_the_key(tmp_path: Path) -> None:
    dkms = host(tmp_path / "root", 4096, KEY)
    for name in ("own.conf.dpkg-old", ".own.conf", "README"):
        dkms.tree.file(f"/etc/dkms/framework.conf.d/{name}", "mok_signing_key=/root/key\n")
    assert said_by(dkms)[1].split()[0] == "builds"


SHIM = ("/var/lib/shim-signed/mok/MOK.priv", "/var/lib/shim-signed/mok/MOK.der")


@pytest.mark.parametrize(
    ("distribution", "key", "second"),
    [
        ("ID=ubuntu\nID_LIKE=debian\n", SHIM, "builds"),
        ("ID=ubuntu\nID_LIKE=debian\n", SHIM[:1], "has"),
        ("ID=ubuntu\nID_LIKE=debian\n", KEY, "has"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', SHIM, "builds"),
        ("ID=debian\n", SHIM, "has"),
        ("ID=fedora\n", KEY, "builds"),
    ],
)
def test_the_key_is_that_of_the_distribution(tmp_path: Path, distribution: str, key: t.Sequence[str], second: str) -> None:
    dkms = host(tmp_path / "root", 4096, key)
    dkms.tree.file("/etc/os-release", distribution)
    assert said_by(dkms)[1].split()[0] == second


def test_what_comes_third_begins_once_another_has_ended(tmp_path: Path) -> None:
    dkms = host(tmp_path / "root")
    dkms.tree.kernel(THIRD, {"nouveau": []}, headers=True)
    dkms.tree.file(f"/lib/modules/{THIRD}/kernel/drivers/nouveau.ko", b"")
    dkms.tree.file(f"/usr/src/linux-headers-{THIRD}/include/config/auto.conf", "CONFIG_VFIO_PCI_CORE=m\nCONFIG_CC_VERSION_TEXT=gcc 12\n")
    said = said_by(dkms, kernels=(DEBIAN_12, DEBIAN_13, THIRD))
    assert [one.split()[0] for one in said] == ["builds", "builds", "has", "builds", "has", "has"]


def test_a_failure_is_the_same_and_leaves_the_host_as_it_was(tmp_path: Path) -> None:
    messages = []
    for name, megabytes in (("together", 4096), ("alone", 0)):
        dkms = host(tmp_path / name, megabytes)
        before = everything(dkms)
        with pytest.raises(HostError) as error:
            make(dkms, sources(code="#error"))
        messages.append((error.value.msg, error.value.hint, error.value.facts))
        assert everything(dkms) == before
    assert messages[0] == messages[1]
    assert f"cannot be built for kernel {DEBIAN_12}" in messages[0][0]


def test_a_kernel_that_dkms_refuses_is_the_same(tmp_path: Path) -> None:
    for name, megabytes in (("together", 4096), ("alone", 0)):
        dkms = host(tmp_path / name, megabytes)
        with pytest.raises(HostError, match=f"not for kernel {DEBIAN_12}: its dkms.conf says"):
            make(dkms, sources(conf="# DKMS_SAYS_NO\n"))


@pytest.mark.parametrize(("kernels", "megabytes", "number"), [(1, 4096, 1), (5, 4096, 2), (5, 1536, 2), (5, 1535, 1), (5, 0, 1)])
def test_there_are_no_more_builds_than_processors_and_memory_for_them(tmp_path: Path, kernels: int, megabytes: int, number: int) -> None:
    tree = Tree(tmp_path)
    with_memory(tree, megabytes)
    assert at_once(tree.host(), kernels) == number


def test_where_the_memory_is_not_known_one_is_built_after_the_other(tmp_path: Path) -> None:
    assert at_once(Tree(tmp_path).host(), 5) == 1
