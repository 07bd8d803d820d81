# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine's display, how it is claimed, and what the kernel has reserved in its memory."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

PROBE = Path(__file__).parents[3] / "playbooks" / "files" / "vfio_probe.py"


@pytest.fixture
def display(at: dict[str, str]) -> str:
    """Its address."""
    (address,) = at.values()
    return address


@pytest.fixture
def owner(driver_of: t.Callable[[str], str], display: str) -> t.Callable[[], str]:
    """Who has it now; empty where nobody has it."""
    return lambda: driver_of(display)


@pytest.fixture
def reserved(host: t.Any, display: str) -> t.Callable[[], list[str]]:
    """The names under which parts of its memory are reserved, from the outside in."""

    def ask() -> list[str]:
        lines = [line.partition(" : ") for line in host.file("/proc/iomem").content_string.splitlines()]
        (start,) = (number for number, (_range, _colon, name) in enumerate(lines) if name == display and _is_large(_range))
        depth = _depth(lines[start][0])
        names: list[str] = []
        for text, _colon, name in lines[start + 1 :]:
            if _depth(text) <= depth:
                break
            names.append(name)
        return names

    return ask


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_large(line: str) -> bool:
    """Whether this is the BAR of the picture, which has 16 MiB; the registers' has one page."""
    first, last = (int(number, 16) for number in line.strip().split("-"))
    return last - first >= 1 << 20


@pytest.fixture
def claim(host: t.Any, display: str) -> t.Callable[..., dict[str, t.Any]]:
    """What device_claim answers, also if it fails."""

    def ask(state: str = "present", check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        options = {"claims": [{"devices": display, "driver": "vfio-pci", **more}], "state": state}
        try:
            return t.cast("dict[str, t.Any]", host.ansible("vfio.variants.device_claim", json.dumps(options), check=check))
        except host.ansible.AnsibleException as error:
            return t.cast("dict[str, t.Any]", error.result)

    return ask


@pytest.fixture
def opened(host: t.Any, display: str) -> t.Callable[[], t.Any]:
    """What a program sees that uses it through VFIO."""
    return lambda: host.run("python3 -c %s %s", PROBE.read_text(), display)
