# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot with Debian's packages of NVIDIA's driver and no policy."""

from __future__ import annotations

import typing as t

import pytest

CARDS = ("gpu-host", "gpu-claimed", "gpu-other")
LINKS = {
    "/etc/modprobe.d/nvidia.conf": "alias\tpci:v000010DEd*sv*sd*bc03sc02i00*\t\tnvidia",
    "/etc/modprobe.d/nvidia-blacklists-nouveau.conf": "blacklist nouveau",
    "/etc/modules-load.d/nvidia.conf": "nvidia-drm",
}


def test_dkms_has_built_it_for_this_kernel(host: t.Any) -> None:
    assert host.check_output("dkms status -m nvidia-current -k $(uname -r)").endswith(": installed")
    assert host.check_output("modinfo -F name nvidia-current") == "nvidia"


@pytest.mark.parametrize(("path", "line"), LINKS.items())
def test_the_alternatives_have_written_its_configuration(host: t.Any, path: str, line: str) -> None:
    assert host.file(path).is_symlink
    assert line in host.file(path).content_string.splitlines()


def test_its_daemon_starts_at_boot(host: t.Any) -> None:
    assert host.service("nvidia-persistenced").is_enabled
    assert host.exists("nvidia-modprobe")


@pytest.mark.parametrize("card", CARDS)
def test_it_is_offered_the_card_and_nobody_else_is(offered: dict[str, list[str]], loaded: list[str], card: str) -> None:
    assert set(offered[card]) == {"nvidia"}
    assert ("nvidia" in loaded, "nouveau" in loaded) == (True, False)


def test_it_has_found_no_card_that_answers_and_has_left(host: t.Any, owner: t.Callable[[str], str]) -> None:
    assert "NVRM: " in host.check_output("dmesg")
    assert not host.file("/sys/module/nvidia").exists
    assert [owner(card) for card in CARDS] == ["", "", ""]


def test_the_forecast_is_certain_of_it_by_the_packages_lines(host: t.Any, at: dict[str, str]) -> None:
    found = host.ansible("vfio.variants.device_info", "devices=10de:* detail=full")["devices"]
    assert {device["address"] for device in found} == set(at.values())
    for device in found:
        boot = device["next_boot"]
        assert (boot["winner"], boot["certainty"], boot["outcomes"]) == ("nvidia", "certain", ["nvidia"])
        assert any(reason.startswith("/etc/modprobe.d/nvidia.conf:") and "pci:v000010DE" in reason for reason in boot["because"])
