# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the physical functions are, and what the kernel says of them and of their virtual ones."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest

SYSFS = "/sys/bus/pci/devices"
FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


@pytest.fixture(scope="session")
def physical() -> dict[str, str]:
    """The addresses of the physical functions by their names."""
    (machine,) = json.loads((FOLDER / "functions.json").read_text()).values()
    return {function["id"]: function["address"] for function in machine}


@pytest.fixture
def owners(host: t.Any) -> t.Callable[[str], dict[str, str]]:
    """The drivers of a physical function's virtual ones by address, empty where one has none; read in one go."""
    script = 'cd $0 || exit 1; for one in virtfn*; do [ -e "$one" ] || continue; echo "$(readlink "$one") $(readlink "$one/driver")"; done'

    def ask(address: str) -> dict[str, str]:
        lines = host.check_output("sh -c %s %s", script, f"{SYSFS}/{address}").splitlines()
        return {line.split(" ")[0].rpartition("/")[2]: line.split(" ")[1].rpartition("/")[2] for line in lines}

    return ask
