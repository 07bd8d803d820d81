# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a package that is installed rests on can be asked again: no program was run, and nothing that drifts goes unnoticed."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import steps
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import PackageRequest, SentSources
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import SourceFile, digest, pack
from ansible_collections.vfio.variants.plugins.module_utils._core.host.keep_facts import keep
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.model_dkms import ARCH, ModelDkms, two_kernels
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, V100_VARIANT

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.kept_facts import KeptFacts

CONF = 'PACKAGE_NAME="gpu"\nPACKAGE_VERSION="1.0"\nBUILT_MODULE_NAME[0]="gpu_vfio_pci"\nDEST_MODULE_LOCATION[0]="/updates"\n'
FILES = (SourceFile("dkms.conf", False, CONF.encode()), SourceFile("gpu_vfio_pci.c", False, V100_VARIANT.encode()))
HERE = "/var/lib/dkms/gpu"
MODULE = f"/lib/modules/{DEBIAN_13}/updates/dkms/gpu_vfio_pci.ko"


def request(archive: str | None = None) -> PackageRequest:
    return PackageRequest(source=SentSources("gpu", digest(FILES), CONF, None, archive))


@pytest.fixture
def installed(tmp_path: Path) -> ModelDkms:
    dkms = two_kernels(tmp_path / "root")
    dkms.tree.file("/tmp/source.tar", pack(FILES))
    assert steps.run(dkms.host, request("/tmp/source.tar"), check_mode=False).result()["changed"]
    dkms.calls.clear()
    return dkms


def facts_of(dkms: ModelDkms) -> KeptFacts:
    host = dkms.host
    with host.recorded() as log:
        assert not steps.run(host, request(), check_mode=True).result()["changed"]
    return keep(host, log, settled=0)


def test_no_program_is_run_to_see_that_nothing_is_to_be_done(installed: ModelDkms) -> None:
    assert facts_of(installed).first_difference(installed.host) is None
    assert installed.calls == []


DRIFTS: dict[str, t.Callable[[ModelDkms], object]] = {
    "a source file is edited": lambda dkms: dkms.tree.file("/usr/src/gpu-1.0/gpu_vfio_pci.c", "other"),
    "a source file is added": lambda dkms: dkms.tree.file("/usr/src/gpu-1.0/other.c", ""),
    "a built module is another one": lambda dkms: dkms.tree.file(f"{HERE}/1.0/{DEBIAN_13}/{ARCH}/module/gpu_vfio_pci.ko", "other"),
    "an installed module is another one": lambda dkms: dkms.tree.file(MODULE, b"\x7fELF other"),
    "an installed module is gone": lambda dkms: dkms.tree.place(MODULE).unlink(),
    "another version is added": lambda dkms: dkms.tree.link(f"{HERE}/2.0/source", "/usr/src/gpu-2.0"),
    "it is no longer installed for a kernel": lambda dkms: dkms.tree.place(f"{HERE}/kernel-{DEBIAN_12}-{ARCH}").unlink(),
    "DKMS has other folders": lambda dkms: dkms.tree.file("/etc/dkms/framework.conf", 'dkms_tree="/srv/dkms"\n'),
    "a kernel is added": lambda dkms: dkms.tree.kernel("6.12.200+deb13-amd64"),
    "a build was cut off": lambda dkms: dkms.tree.file("/var/lib/vfio-variants/dkms_package.json", "{}"),
}


@pytest.mark.parametrize("drift", DRIFTS.values(), ids=DRIFTS)
def test_what_drifts_is_noticed(installed: ModelDkms, drift: t.Callable[[ModelDkms], object]) -> None:
    facts = facts_of(installed)
    drift(installed)
    assert facts.first_difference(installed.host) is not None


def test_a_run_says_which_kernel_it_builds_for_and_says_nothing_of_what_is_there(tmp_path: Path) -> None:
    dkms = two_kernels(tmp_path / "root")
    dkms.tree.file("/tmp/source.tar", pack(FILES))
    said: list[str] = []
    one, other = DEBIAN_12, DEBIAN_13
    steps.run(dkms.host, dataclasses.replace(request("/tmp/source.tar"), step="build", build=(one,)), False, said.append)
    assert said == [f"builds gpu 1.0 for kernel {one}", f"has built gpu 1.0 for kernel {one}"]
    said.clear()
    steps.run(dkms.host, request("/tmp/source.tar"), False, said.append)
    assert said == [f"builds gpu 1.0 for kernel {other}", f"has built gpu 1.0 for kernel {other}"]
    said.clear()
    steps.run(dkms.host, request("/tmp/source.tar"), False, said.append)
    assert said == []
