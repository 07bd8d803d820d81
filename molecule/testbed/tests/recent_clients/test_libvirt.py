# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt from 10.0 on finds a variant by its `vfio_pci:` alias: nobody tells it the driver's name."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

VARIANT = "nvlink2gpu_vfio_pci"
NODE = "pci_0000_01_00_0"
DOMAIN = """<domain type='qemu'>
  <name>client</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <hostdev mode='subsystem' type='pci' managed='yes'>
      {driver}
      <source><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source>
    </hostdev>
  </devices>
</domain>
"""


def virsh(host: t.Any, *arguments: str) -> str:
    return t.cast("str", host.check_output(f"timeout 300 virsh --connect qemu:///system{' %s' * len(arguments)}", *arguments))


@pytest.fixture
def at_nouveau(host: t.Any, at: dict[str, str], owner: t.Callable[[str], str]) -> None:
    """The card as a host has it whose administrator knows nothing of VFIO."""
    host.check_output("timeout 120 modprobe nouveau")
    host.check_output("timeout 120 driverctl --nosave unset-override %s", at["gpu"])
    assert owner("gpu") == "nouveau"


@contextlib.contextmanager
def paused_domain(host: t.Any, driver: str) -> t.Iterator[str]:
    """A domain that has the card, with this `<driver>`; what libvirt says of its state."""
    host.check_output("printf %%s %s > /run/client.xml", DOMAIN.format(driver=driver))
    virsh(host, "create", "--paused", "/run/client.xml")
    try:
        yield virsh(host, "domstate", "client")
    finally:
        virsh(host, "destroy", "client")


def test_this_is_a_libvirt_that_knows_variants(host: t.Any) -> None:
    assert int(host.check_output("virsh --version").split(".")[0]) >= 10


@pytest.mark.usefixtures("at_nouveau")
@pytest.mark.parametrize("bound", [True, False], ids=["from nouveau", "unbound"])
def test_detaching_picks_the_variant(host: t.Any, at: dict[str, str], owner: t.Callable[[str], str], bound: bool) -> None:
    if not bound:
        host.check_output("echo %s > /sys/bus/pci/drivers/nouveau/unbind", at["gpu"])
        assert owner("gpu") == ""
    virsh(host, "nodedev-detach", NODE)
    assert owner("gpu") == VARIANT
    virsh(host, "nodedev-reattach", NODE)
    assert owner("gpu") == "nouveau"


@pytest.mark.usefixtures("at_nouveau")
@pytest.mark.parametrize(
    ("driver", "taken"),
    [pytest.param("", VARIANT, id="chosen"), pytest.param("<driver name='vfio' model='vfio-pci'/>", "vfio-pci", id="told")],
)
def test_a_domain_has_the_card_while_it_lives(host: t.Any, owner: t.Callable[[str], str], driver: str, taken: str) -> None:
    with paused_domain(host, driver) as state:
        assert (state, owner("gpu")) == ("paused", taken)
    assert owner("gpu") == "nouveau"


@pytest.mark.usefixtures("at_nouveau")
def test_a_claim_takes_the_card_back(claim: t.Callable[..., t.Any], owner: t.Callable[[str], str]) -> None:
    assert claim("10de:1db1")["changed"]
    assert owner("gpu") == VARIANT
    assert not claim("10de:1db1")["changed"]
