# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Without the packages' lines depmod's aliases decide: the kernel's own driver comes before that of DKMS."""

from __future__ import annotations

import typing as t


def test_the_packages_lines_are_gone(host: t.Any) -> None:
    for path in ("/etc/modprobe.d/nvidia.conf", "/etc/modprobe.d/nvidia-blacklists-nouveau.conf", "/etc/modules-load.d/nvidia.conf"):
        assert not host.file(path).exists
    assert host.check_output("modinfo -F name nvidia-current") == "nvidia"


def test_nouveau_has_the_hosts_card(owner: t.Callable[[str], str], offered: dict[str, list[str]], loaded: list[str]) -> None:
    assert owner("gpu-host") == offered["gpu-host"][0] == "nouveau"
    assert loaded.index("nouveau") < loaded.index("nvidia")
