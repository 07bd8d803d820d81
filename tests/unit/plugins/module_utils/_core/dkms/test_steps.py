# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each call of `dkms_package` in a run does, and what it returns."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import SourceFile, digest, pack
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.steps import run
from ansible_collections.vfio.variants.plugins.modules import dkms_package
from ansible_collections.vfio.variants.tests.unit.module_calls import options_of
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.model_dkms import ModelDkms, two_kernels
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, V100_VARIANT

CONF = 'PACKAGE_NAME="gpu"\nPACKAGE_VERSION="1.0"\nBUILT_MODULE_NAME[0]="gpu_vfio_pci"\nDEST_MODULE_LOCATION[0]="/updates"\n'
FILES = (SourceFile("dkms.conf", False, CONF.encode()), SourceFile("gpu_vfio_pci.c", False, V100_VARIANT.encode()))
KNOWN = {"digest": digest(FILES), "conf": CONF}
ARCHIVE = "/tmp/source.tar"
MODULES = [{"name": "gpu_vfio_pci", "aliases": [V100_VARIANT]}]


@pytest.fixture(name="dkms")
def host_with_dkms(tmp_path: Path) -> ModelDkms:
    dkms = two_kernels(tmp_path / "root")
    dkms.tree.file(ARCHIVE, pack(FILES))
    return dkms


def call(dkms: ModelDkms, check_mode: bool = False, **said: t.Any) -> dict[str, t.Any]:
    """One call as the action plugin makes it."""
    options = options_of(dkms_package.ARGUMENTS, source="gpu", modules=MODULES, _run={**KNOWN, **said})
    return run(dkms.host, dkms_package.request(options), check_mode).result()


def test_a_run_looks_then_builds_for_each_kernel_and_then_puts_all_in_place(dkms: ModelDkms) -> None:
    assert call(dkms, step="look")["_todo"] == {"sources": True, "builds": [DEBIAN_12, DEBIAN_13]}
    for release in (DEBIAN_12, DEBIAN_13):
        assert call(dkms, step="build", build=release, archive=ARCHIVE) == {"changed": False}
        assert dkms.calls[-1] == "dkms build"
        assert not dkms.tree.place("/var/lib/dkms/gpu").exists()
    built = dkms.calls.count("dkms build")
    done = call(dkms, step="finish", archive=ARCHIVE)
    assert (done["changed"], sorted(done["kernels"]), done["modules"]) == (True, [DEBIAN_12, DEBIAN_13], MODULES)
    assert dkms.calls.count("dkms build") == built == 2


def test_a_run_that_finds_nothing_to_do_is_one_call(dkms: ModelDkms) -> None:
    done = call(dkms, archive=ARCHIVE)
    looked = call(dkms, step="look")
    assert "_todo" not in looked
    assert (looked["changed"], looked["kernels"]) == (False, done["kernels"])


def test_a_build_for_another_kernel_builds_nothing(dkms: ModelDkms) -> None:
    call(dkms, step="build", build="6.9", archive=ARCHIVE)
    assert "dkms build" not in dkms.calls


def test_check_mode_predicts_the_whole_run_whatever_the_step(dkms: ModelDkms) -> None:
    predicted = call(dkms, check_mode=True)
    assert call(dkms, check_mode=True, step="look") == predicted
    assert dkms.calls == []
    assert predicted["kernels"][DEBIAN_12] == {"state": "installed", "modules": {"gpu_vfio_pci": {"aliases": [V100_VARIANT]}}}
    done = call(dkms, archive=ARCHIVE)
    assert {key: predicted[key] for key in ("changed", "diff", "modules", "replaced")} == {
        key: done[key] for key in ("changed", "diff", "modules", "replaced")
    }


def test_check_mode_warns_of_what_the_host_lacks_and_names_the_package(dkms: ModelDkms) -> None:
    dkms.tree.file("/etc/os-release", "ID=debian\n")
    dkms.host.remove_tree(f"/usr/src/linux-headers-{DEBIAN_13}")
    predicted = call(dkms, check_mode=True)
    assert predicted["missing_packages"] == [f"linux-headers-{DEBIAN_13}"]
    (warning,) = predicted["warnings"]
    assert warning == (
        f"This host lacks the headers of kernel {DEBIAN_13}; "
        f"outside of check mode this would fail unless an earlier task installs linux-headers-{DEBIAN_13}."
    )
