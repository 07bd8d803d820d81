# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cards that a driver of the name nvidia has, and that somebody uses through its device nodes.

The driver is the scenario's own stand-in (see its source); nvidia-modprobe, which makes the nodes, is NVIDIA's.
"""

from __future__ import annotations

import contextlib
import json
import re
import typing as t
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "stand_in"
PLACE = "/root/stand_in"
CARDS = ("gpu-host", "gpu-claimed", "gpu-other")
#: As long as the card has its driver, and then for as long again as somebody takes to notice.
UNTIL_TAKEN = "exec 3</dev/nvidia{minor}; while [ -e /sys/bus/pci/devices/{address}/driver ]; do sleep 0.2; done; sleep 3"


@pytest.fixture(scope="module", autouse=True)
def minors(host: t.Any, at: dict[str, str]) -> t.Iterator[dict[str, str]]:
    """The stand-in, built and loaded, and the number of each card's device."""
    host.ansible("ansible.builtin.copy", f"src={SOURCE}/ dest={PLACE}/", check=False)
    host.check_output(f"make -s -C /lib/modules/$(uname -r)/build M={PLACE} W=1 KCFLAGS=-Werror modules")
    host.check_output(f"insmod {PLACE}/nvidia.ko")
    host.check_output("nvidia-modprobe -c 0 -c 1 -c 2")
    told = {name: host.file(f"/proc/driver/nvidia/gpus/{address}/information").content_string for name, address in at.items()}
    yield {name: re.findall(r"^Device Minor:\s*(\d+)$", text, re.MULTILINE)[0] for name, text in told.items()}
    host.check_output("rmmod nvidia && rm /dev/nvidia[0-9]*")


@pytest.fixture
def ask(host: t.Any, at: dict[str, str]) -> t.Callable[..., dict[str, t.Any]]:
    """What a module answers that claims a card; also if it fails."""

    def call(module: str, card: str, check: bool = False, state: str = "present", **claim: t.Any) -> dict[str, t.Any]:
        # Where the processor is emulated, modprobe unpacks the real driver's file for minutes before it sees that the name is taken.
        patience = {"timeout": 900} if module == "device_claim" else {}
        options = {"claims": [{"devices": at[card], "driver": "vfio-pci", **claim}], "state": state, **patience}
        try:
            return t.cast("dict[str, t.Any]", host.ansible(f"vfio.variants.{module}", json.dumps(options), check=check))
        except host.ansible.AnsibleException as error:
            return t.cast("dict[str, t.Any]", error.result)

    return call


@contextlib.contextmanager
def running(host: t.Any, command: str) -> t.Iterator[str]:
    """A process with this command of the shell; its number."""
    host.check_output("systemd-run --quiet --unit=holder sh -c %s", command)
    try:
        yield host.check_output("systemctl show --value --property=MainPID holder")
    finally:
        host.run("systemctl stop holder; systemctl reset-failed holder")


def test_each_card_has_the_driver_and_a_node(host: t.Any, owner: t.Callable[[str], str], minors: dict[str, str]) -> None:
    for card in CARDS:
        assert owner(card) == "nvidia"
        assert host.check_output("stat -c '%%F %%Hr:%%Lr' /dev/nvidia%s", minors[card]) == f"character special file 195:{minors[card]}"


def test_a_card_whose_node_is_open_is_refused_and_the_process_is_named(
    host: t.Any, minors: dict[str, str], ask: t.Callable[..., dict[str, t.Any]], owner: t.Callable[[str], str]
) -> None:
    node = f"/dev/nvidia{minors['gpu-claimed']}"
    with running(host, f"exec sleep 3600 <{node}") as process:
        for module, check in (("device_claim", False), ("boot_policy", True)):
            answer = ask(module, "gpu-claimed", check)
            assert f"process {process} (sleep) has {node} open" in answer["msg"]
            assert "guards: {in_use: ignore}" in answer["msg"].replace("`", "").replace("claims[0].", "")
        assert owner("gpu-claimed") == "nvidia"
        # Nobody uses the other card.
        assert ask("device_claim", "gpu-other")["changed"]
        assert owner("gpu-other") == "vfio-pci"
        assert ask("device_claim", "gpu-other", state="absent")["changed"]
        assert owner("gpu-other") == "nvidia"


def test_a_blacklist_would_take_the_driver_from_the_other_cards(ask: t.Callable[..., dict[str, t.Any]]) -> None:
    answer = ask("boot_policy", "gpu-other", check=True, strategy="blacklist")
    # The file's name, which the packages' lines lead to; the loaded module is nvidia.
    assert "Blacklisting nvidia_current would take the driver from 0000:01:00.0" in answer["msg"]


def test_persistence_mode_keeps_every_card(host: t.Any, ask: t.Callable[..., dict[str, t.Any]], owner: t.Callable[[str], str]) -> None:
    # NVIDIA's own daemon ends where no card answers; what it does to a card is the driver's affair, so its name is all there is to see.
    host.check_output("cp /usr/bin/sleep /root/nvidia-persistenced")
    with running(host, "exec /root/nvidia-persistenced 3600"):
        answer = ask("device_claim", "gpu-other")
    assert "nvidia-persistenced keeps it in use (persistence mode)" in answer["msg"]
    assert owner("gpu-other") == "nvidia"


def test_one_that_is_taken_all_the_same_is_waited_for(
    host: t.Any, at: dict[str, str], minors: dict[str, str], ask: t.Callable[..., dict[str, t.Any]], owner: t.Callable[[str], str]
) -> None:
    with running(host, UNTIL_TAKEN.format(minor=minors["gpu-claimed"], address=at["gpu-claimed"])):
        answer = ask("device_claim", "gpu-claimed", guards={"in_use": "ignore"})
    assert answer["changed"]
    assert owner("gpu-claimed") == "vfio-pci"
    assert "removed while it is in use" in host.check_output("dmesg")
    assert ask("device_claim", "gpu-claimed", state="absent")["changed"]
    assert owner("gpu-claimed") == "nvidia"
