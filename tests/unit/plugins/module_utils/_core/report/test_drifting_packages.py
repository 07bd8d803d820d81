# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose driver DKMS has built: whatever of the package drifts is noticed although nothing was left to do."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.conf import DkmsConf
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.module_check import ExpectedModule
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.package import DkmsPackage
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import PackageSource, SentSources, WantedPackage
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import SourceFile, digest
from ansible_collections.vfio.variants.plugins.module_utils._core.host import unchanged
from ansible_collections.vfio.variants.plugins.module_utils._core.host.unchanged import recall
from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_host import record
from ansible_collections.vfio.variants.tests.unit.converged_hosts import KEY, converged, image, request
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.model_dkms import ARCH, ModelDkms
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.report.test_whole_host import linked, same_size, unlinked
from ansible_collections.vfio.variants.tests.unit.policy_hosts import VARIANT
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, V100_VARIANT, Tree

CONF = f'PACKAGE_NAME="gpu"\nPACKAGE_VERSION="1.0"\nBUILT_MODULE_NAME[0]="{VARIANT}"\nDEST_MODULE_LOCATION[0]="/updates"\n'
MANIFEST = json.dumps({"modules": [{"name": VARIANT, "aliases": [V100_VARIANT]}]})
TEXTS = {"dkms.conf": CONF, "modules.json": MANIFEST, f"{VARIANT}.c": V100_VARIANT}
FILES = tuple(SourceFile(name, False, text.encode()) for name, text in TEXTS.items())
SOURCES, DKMS = "/usr/src/gpu-1.0", "/var/lib/dkms/gpu"
INSTALLED, BUILT = f"/lib/modules/{DEBIAN_13}/updates/dkms/{VARIANT}.ko", f"{DKMS}/1.0/{DEBIAN_13}/{ARCH}/module/{VARIANT}.ko"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """DKMS has built the module that is there already."""
    monkeypatch.setattr(unchanged, "CACHE_DIRECTORY", str(tmp_path / "records"))
    tree = converged(tmp_path / "root")
    dkms = ModelDkms(tree)
    kept = {}
    for release in (DEBIAN_13, DEBIAN_12):
        headers = f"/usr/src/linux-headers-{release}"
        tree.file(f"{headers}/Makefile").file(f"{headers}/include/config/auto.conf", "CONFIG_VFIO_PCI_CORE=m\n")
        linked(tree, f"/lib/modules/{release}/build", headers)
        here = tree.place(f"/lib/modules/{release}")
        kept.update({path: path.read_bytes() for path in (here / "modules.dep", here / "modules.alias", *here.rglob(f"{VARIANT}.ko"))})
        tree.place(f"/lib/modules/{release}/updates/dkms/{VARIANT}.ko").unlink()
    source = PackageSource(DkmsConf(CONF, "dkms.conf"), digest(FILES), (ExpectedModule(VARIANT, (V100_VARIANT,)),), lambda: FILES)
    DkmsPackage(dkms.host, WantedPackage(name="gpu", version="1.0", source=source)).apply()
    for path, content in kept.items():
        path.write_bytes(content)
    for release in (DEBIAN_13, DEBIAN_12):
        tree.file(f"{DKMS}/1.0/{release}/{ARCH}/module/{VARIANT}.ko", tree.place(INSTALLED.replace(DEBIAN_13, release)).read_bytes())
        tree.file(f"/boot/initrd.img-{release}", image(tree, release))
    return tree


def recorded(tree: Tree) -> dict[str, t.Any]:
    wanted = dataclasses.replace(request(), packages=(SentSources("gpu", digest(FILES), CONF, MANIFEST),), needs_dependencies=True)
    return record(tree.host(), wanted, KEY, check_mode=False, settled=0)


DRIFTS: dict[str, t.Callable[[Tree], object]] = {
    "a source is edited to the same size": lambda tree: same_size(tree, f"{SOURCES}/{VARIANT}.c"),
    "a source is added": lambda tree: tree.file(f"{SOURCES}/more.c"),
    "a source is gone": lambda tree: unlinked(tree, f"{SOURCES}/modules.json"),
    "a source may be run": lambda tree: tree.place(f"{SOURCES}/dkms.conf").chmod(0o755),
    "the sources are gone": lambda tree: shutil.rmtree(tree.place(SOURCES)),
    "there is another version": lambda tree: tree.file("/usr/src/gpu-2.0/dkms.conf", CONF.replace("1.0", "2.0")),
    "the package is not registered": lambda tree: unlinked(tree, f"{DKMS}/1.0/source"),
    "it is registered with other sources": lambda tree: linked(tree, f"{DKMS}/1.0/source", "/usr/src/gpu-2.0"),
    "it is not installed by its link": lambda tree: unlinked(tree, f"{DKMS}/kernel-{DEBIAN_13}-{ARCH}"),
    "another version is installed by its link": lambda tree: linked(tree, f"{DKMS}/kernel-{DEBIAN_13}-{ARCH}", f"2.0/{DEBIAN_13}/{ARCH}"),
    "the built module is edited to the same size": lambda tree: same_size(tree, BUILT),
    "the installed module is edited to the same size": lambda tree: same_size(tree, INSTALLED),
    "the installed module is packed": lambda tree: os.rename(tree.place(INSTALLED), tree.place(f"{INSTALLED}.xz")),
    "another kernel's built module is gone": lambda tree: unlinked(tree, BUILT.replace(DEBIAN_13, DEBIAN_12)),
    "a kernel's headers are gone": lambda tree: unlinked(tree, f"/lib/modules/{DEBIAN_13}/build"),
    "DKMS is gone": lambda tree: unlinked(tree, "/usr/sbin/dkms"),
    "DKMS has its tree elsewhere": lambda tree: tree.file("/etc/dkms/framework.conf.d/x.conf", 'dkms_tree="/srv/dkms"\n'),
    "a kernel without VFIO has other headers": lambda tree: tree.file(f"/usr/src/linux-headers-{DEBIAN_13}/include/config/auto.conf"),
    "a build was cut off": lambda tree: tree.file("/var/lib/vfio-variants/dkms_package.json", "{}"),
    "modules have to be signed": lambda tree: tree.cmdline("module.sig_enforce=1"),
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("drift", DRIFTS.values(), ids=DRIFTS)
def test_the_short_way_is_not_taken_once(tree: Tree, drift: t.Callable[[Tree], object]) -> None:
    assert recorded(tree)["recorded"]
    assert recall(tree.host(), KEY).outcome is not None
    drift(tree)
    assert recall(tree.host(), KEY).because.endswith("is not as it was.")
