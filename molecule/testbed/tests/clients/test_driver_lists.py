# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""driverctl and DPDK list devices and their drivers: what they show is what device_info shows.

DPDK lists the kinds of devices that it has drivers for.  A display controller is none of them.
"""

from __future__ import annotations

import re
import typing as t

import pytest

DPDK = "Network devices using DPDK-compatible driver"
KERNEL = "Network devices using kernel driver"


def driverctl(host: t.Any, command: str) -> dict[str, str]:
    """Drivers by address, as driverctl lists them."""
    lines = (line.split() for line in host.check_output("timeout 120 driverctl %s", command).splitlines())
    return {words[0]: words[1] for words in lines}


def devbind(host: t.Any) -> dict[str, dict[str, str]]:
    """Drivers by address, below the headings of dpdk-devbind.py."""
    found: dict[str, dict[str, str]] = {}
    heading, before = "", ""
    for line in host.check_output("timeout 120 dpdk-devbind.py --status").splitlines():
        if line and set(line) == {"="}:
            heading = before
        elif match := re.match(r"([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) .* drv=(\S+)", line):
            found.setdefault(heading, {})[match[1]] = match[2]
        before = line
    return found


@pytest.fixture(scope="module")
def devices(device_info: t.Callable[[], dict[str, t.Any]]) -> dict[str, t.Any]:
    """The functions before a test here changes anything."""
    return device_info()


def test_driverctl_shows_the_same_owners(host: t.Any, devices: dict[str, t.Any]) -> None:
    assert driverctl(host, "list-devices") == {address: device["driver"] or "(none)" for address, device in devices.items()}


def test_driverctl_shows_the_same_overrides(host: t.Any, at: dict[str, str], devices: dict[str, t.Any]) -> None:
    shown = driverctl(host, "list-overrides")
    assert shown == {address: device["driver_override"] for address, device in devices.items() if device["driver_override"]}
    assert shown == {at["gpu"]: "nvlink2gpu_vfio_pci", at["nic"]: "vfio-pci"}


def test_dpdk_shows_the_same_owners(host: t.Any, at: dict[str, str], devices: dict[str, t.Any]) -> None:
    shown = {address: driver for drivers in devbind(host).values() for address, driver in drivers.items()}
    assert shown == {address: devices[address]["driver"] for address in shown}
    assert (at["nic"] in shown, at["gpu"] in shown) == (True, False)


def test_dpdk_may_use_the_claimed_network_card_only(host: t.Any, at: dict[str, str]) -> None:
    assert devbind(host)[DPDK] == {at["nic"]: "vfio-pci"}


@pytest.fixture
def nic_at_the_variant(host: t.Any, at: dict[str, str], claim: t.Callable[..., t.Any], owner: t.Callable[[str], str]) -> t.Iterator[None]:
    host.check_output("timeout 120 driverctl --nosave set-override %s nvlink2gpu_vfio_pci", at["nic"])
    yield
    claim("8086:10d3", "vfio-pci")
    assert owner("nic") == "vfio-pci"


@pytest.mark.usefixtures("nic_at_the_variant")
def test_dpdk_takes_a_variant_for_a_driver_of_the_host(
    host: t.Any, at: dict[str, str], device_info: t.Callable[[], dict[str, t.Any]]
) -> None:
    owner = device_info()[at["nic"]]["driver"]
    assert owner == driverctl(host, "list-overrides")[at["nic"]] == devbind(host)[KERNEL][at["nic"]] == "nvlink2gpu_vfio_pci"
