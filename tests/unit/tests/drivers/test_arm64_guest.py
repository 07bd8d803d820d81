# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine of the architecture that NVIDIA's Grace has: its memory, and the properties that the variant asks for."""

from __future__ import annotations

import re

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.values import GIB, MIB
from ansible_collections.vfio.variants.tests.drivers import arm64_guest
from ansible_collections.vfio.variants.tests.drivers.arm64_guest import BENCH


def test_the_memory_that_is_described_is_neither_the_kernels_nor_the_firmwares() -> None:
    assert BENCH.properties is not None
    _function, described = BENCH.properties
    base, size = described["nvidia,gpu-mem-base-pa"], described["nvidia,gpu-mem-size"]
    kept = int(re.fullmatch(r"mem=(\d+)M", BENCH.cmdline[-1])[1]) * MIB  # type: ignore[index]
    # Memory begins at 1 GiB on such a machine, and has 3; the firmware takes what it needs from the end.
    assert base >= GIB + kept
    assert base + size + 512 * MIB <= 4 * GIB


def test_the_case_is_told_both_parts_of_it_and_where_to_report() -> None:
    settings = dict(line.split("=") for line in BENCH.settings.splitlines())
    assert BENCH.properties is not None
    assert int(settings["usable"], 0) + int(settings["reserved"], 0) == BENCH.properties[1]["nvidia,gpu-mem-size"]
    assert settings["report"] == "/dev/ttyAMA1"


def test_the_cases_are_those_of_the_folder() -> None:
    assert list(BENCH.all_cases()) == ["10-nvgrace-gpu"]
    assert arm64_guest.BENCH.table()[:1] == b"\x10"
