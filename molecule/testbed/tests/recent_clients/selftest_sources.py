# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's own VFIO tests, taken from the kernel's source as Debian packages it."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed import apt_sources, root_tree
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.program import run
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.progress import Progress
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.suite import Suite

FOLDER = "tools/testing/selftests/vfio"
# The tests' library has user-space drivers of some devices, which link to headers of their kernel drivers.
PARTS = (
    *(FOLDER, "tools/testing/selftests/kselftest*.h", "tools/testing/selftests/lib.mk", "scripts/subarch.include"),
    *("tools/include", "tools/arch/x86/include", "include/linux/pci_ids.h", "drivers/dma/*.h", "drivers/net/ethernet/intel/*.h"),
)
#: What the tests are linked with besides, at the archive's top.
OWN_PART = Path(__file__).with_name("iommu_mode.c")
SECONDS = 900


def archive(series: str, suite: str) -> Path:
    """What building the tests of this series (such as 7.3) takes, as a compressed tar; from the cache, else from the suite's package."""
    cache = Cache.at(None)
    digest = hashlib.sha256(Path(__file__).read_bytes() + OWN_PART.read_bytes()).hexdigest()
    target = cache.root / "selftests" / f"{series}-{digest[:16]}"
    with cache.lock(target.name):
        if not target.is_dir():
            with cache.building(target) as folder:
                _pack(f"linux-source-{series}", Suite.named(suite), folder / "selftests.tar.gz")
    return target / "selftests.tar.gz"


def _pack(package: str, suite: Suite, packed: Path) -> None:
    with tempfile.TemporaryDirectory(dir=packed.parent) as place:
        tree, source = Path(place, "tree"), Path(place, "source")
        root_tree.extract(suite, apt_sources.of_this_machine(), (package,), tree, Progress(package, print), SECONDS)
        source.mkdir()
        unpack = ("tar", "--extract", "--file", tree / f"usr/src/{package}.tar.xz", "--directory", source, "--strip-components=1")
        run((*unpack, "--wildcards", *(f"{package}/{part}" for part in PARTS)), timeout=SECONDS)
        contents = ("--directory", source, ".", "--directory", OWN_PART.parent, OWN_PART.name)
        run(("tar", "--create", "--gzip", "--file", packed, *contents), timeout=SECONDS)
