# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is loaded for a name or an alias, and in which order: compared with `modprobe --dry-run` on the modules of real kernels."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import command
import pytest
import recorded_hosts
from kernel import Kernel as Recorded

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ROOT, Boot, Stage
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import Modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules
from ansible_collections.vfio.variants.tests.unit.trees import modalias

SERIES = "6.12"
MODULES = (
    "vfio-pci",
    "vfio",
    "vfio_iommu_type1",
    "igb",
    "igbvf",
    "i2c-algo-bit",
    "dca",
    "snd_hda_intel",
    "snd",
    "snd-pcm",
    "dummy",
    "e1000e",
)
NIC = modalias("8086:10d3", "1af4:1100", 0x020000)
ASKED = (*MODULES, "foo", "no-such", NIC)
# The kernel's own modules that this machine has are loaded for modprobe, whatever root it looks at.
LOADED = frozenset(os.listdir("/sys/module"))

LINES = [
    "softdep igb pre: vfio-pci post: dummy",
    "softdep i[g-h]b pre: dummy",
    "softdep igb post: foo",
    "softdep igb pre: no-such",
    "softdep igb pre:",
    "softdep igb pre: igb dummy",
    "softdep igb other: dummy pre: snd post: foo e1000e",
    "softdep dca pre: e1000e",
    "softdep dummy pre: igb",
    "softdep vfio pre: snd",
    "softdep snd-pcm post: vfio_pci",
    "softdep igb  pre: dummy",
    # Not of what others depend on: a dry run inserts these all the same, a kernel finds their symbols missing.
    "install d[a-u]mmy /bin/true",
    "install igb /bin/true",
    "install e1000e /bin/true",
    "install foo /bin/true",
    "install no_such /bin/true",
    "alias foo igb",
    "alias foo e1000e",
    "alias f*o dummy",
    "alias foo no-such",
    "alias igb dummy",
    "alias pci:v00008086d000010D3* vfio-pci",
    "alias no-such snd",
    "blacklist igb",
    "blacklist e1000e",
    "blacklist dca",
    "blacklist foo",
    "blacklist vfio-pci",
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return recorded_hosts.read(recorded_hosts.beside(command.OBSERVED), tmp_path_factory.mktemp("recorded") / "hosts")[SERIES]


def inserted_by_kmod(recorded: Recorded, folder: Path, asked: str, honours_blacklist: bool) -> list[str]:
    modprobe = shutil.which("modprobe", path="/usr/sbin:/sbin:/usr/bin:/bin")
    assert modprobe is not None
    argv = [modprobe, "--dirname", str(recorded.folder / "root"), "--set-version", recorded.release, "--config", str(folder)]
    flags = ["--use-blacklist", "--all"] if honours_blacklist else []
    done = subprocess.run([*argv, "--dry-run", "--verbose", *flags, asked], capture_output=True, text=True, check=False, timeout=60)
    paths = re.findall(r"^insmod \S*/([^/]+)\.ko", done.stdout, re.MULTILINE)
    # Of a module that comes again only the first time inserts it; a dry run does not know that.
    return list(dict.fromkeys(path.replace("-", "_") for path in paths))


def inserted_here(recorded: Recorded, text: str, asked: str, honours_blacklist: bool) -> list[str]:
    kernel = Kernel.read(Host(str(recorded.folder / "root")), recorded.release)
    softdeps = ModprobeConfig.parse((recorded.modules / "modules.softdep").read_text(), "modules.softdep").directives
    config = ModprobeConfig((*ModprobeConfig.parse(text, "a.conf").directives, *softdeps))
    stage = Stage(ROOT, "/", (), kernel, config, Rules(()))
    boot = Boot(recorded.release, Cmdline(()), "/proc/cmdline", (stage,), {})
    requests = Modprobe(boot, stage, LOADED).ask(asked, honours_blacklist)
    return list(dict.fromkeys(module for request in requests for module in request.insertions))


def compare(recorded: Recorded, folder: Path, lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    (folder / "a.conf").write_text(text)
    for asked in ASKED:
        assert (asked, inserted_here(recorded, text, asked, True)) == (asked, inserted_by_kmod(recorded, folder, asked, True)), text


def test_without_any_line_dependencies_come_first(recorded: Recorded, tmp_path: Path) -> None:
    compare(recorded, tmp_path, [])
    assert inserted_here(recorded, "", "vfio-pci", False)[-1] == "vfio_pci"


@pytest.mark.sampled(4)
@pytest.mark.parametrize("line", LINES)
def test_each_line_changes_what_is_loaded_as_it_does_for_kmod(recorded: Recorded, tmp_path: Path, line: str) -> None:
    compare(recorded, tmp_path, [line])


@pytest.mark.sampled(4)
@pytest.mark.parametrize("seed", range(24))
def test_lines_together_change_what_is_loaded_as_they_do_for_kmod(recorded: Recorded, tmp_path: Path, seed: int) -> None:
    compare(recorded, tmp_path, random.Random(seed).sample(LINES, 6))  # noqa: S311 - a draw that can be repeated


@pytest.mark.parametrize("module", MODULES)
def test_a_name_is_loaded_though_it_is_blacklisted_where_nobody_asks_for_that(recorded: Recorded, tmp_path: Path, module: str) -> None:
    text = f"blacklist {module}\n"
    (tmp_path / "a.conf").write_text(text)
    here = inserted_here(recorded, text, module, False)
    assert here == inserted_by_kmod(recorded, tmp_path, module, False) != []
