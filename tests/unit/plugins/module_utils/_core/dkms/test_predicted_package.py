# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What check mode says of modules that are still to be built while an older version of them is loaded."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.package import DkmsPackage
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import PackageSource
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.model_dkms import ARCH, ModelDkms, two_kernels
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.test_package import KO, installed, make, sources, wanted
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, V100_VARIANT


@pytest.fixture(name="dkms")
def host_with_dkms(tmp_path: Path) -> ModelDkms:
    return two_kernels(tmp_path / "root")


def predict(dkms: ModelDkms, source: PackageSource) -> dict[str, t.Any]:
    package = DkmsPackage(dkms.host, wanted(source))
    return (package.prediction() if package.plan.changed else package.report()).result()


@pytest.mark.parametrize("loaded", ["its sources", "others", "none that is known"])
@pytest.mark.parametrize("step", ["nothing", "a new version", "other sources", "it is built and not installed", "it is not built any more"])
def test_check_mode_knows_of_which_modules_another_version_will_be_loaded_than_is_installed(
    dkms: ModelDkms, step: str, loaded: str
) -> None:
    make(dkms, sources())
    folder, active = f"/var/lib/dkms/gpu/1.0/{DEBIAN_12}", f"/var/lib/dkms/gpu/kernel-{DEBIAN_12}-{ARCH}"
    source = ModuleInfo.parse(installed(dkms, DEBIAN_12), KO).srcversion
    if loaded != "none that is known":
        dkms.tree.file("/sys/module/gpu_vfio_pci/srcversion", f"{source if loaded == 'its sources' else 'other'}\n")
    if "built" in step:
        dkms.tree.place(active).unlink()
        dkms.tree.place(f"/lib/modules/{DEBIAN_12}/{KO}").unlink()
    if step == "it is not built any more":
        shutil.rmtree(dkms.tree.place(folder))
    more = {"a new version": ("2.0", f"{V100_VARIANT}\nmore"), "other sources": ("1.0", f"{V100_VARIANT}\nmore")}
    wanted_sources = sources(*more.get(step, ()))
    predicted = predict(dkms, wanted_sources)
    done = make(dkms, wanted_sources)
    assert predicted["old_in_use"] == done["old_in_use"]
    assert predicted.get("warnings") == done.get("warnings")
    is_other = loaded == "others" or (loaded == "its sources" and step in ("a new version", "other sources"))
    assert done["old_in_use"] == (["gpu_vfio_pci"] if is_other else [])
    (module,) = predicted["modules"]
    assert module.get("replaces_loaded", False) is (is_other and step != "nothing")
    assert module.get("new_for", []) == ([DEBIAN_12, DEBIAN_13] if step in more else [] if step == "nothing" else [DEBIAN_12])
    assert module["kernels"] == [DEBIAN_12, DEBIAN_13]
    assert done["modules"] == [{"name": "gpu_vfio_pci", "aliases": [V100_VARIANT], "kernels": [DEBIAN_12, DEBIAN_13]}]


def test_what_is_built_for_another_kernel_only_replaces_nothing_on_the_running_one(dkms: ModelDkms) -> None:
    make(dkms, sources())
    dkms.tree.file("/sys/module/gpu_vfio_pci/srcversion", "other\n")
    shutil.rmtree(dkms.tree.place(f"/var/lib/dkms/gpu/1.0/{DEBIAN_13}"))
    predicted = predict(dkms, sources())
    assert (predicted["changed"], predicted["old_in_use"]) == (True, ["gpu_vfio_pci"])
    # It is there already, and needs no prediction.
    assert "replaces_loaded" not in predicted["modules"][0]
