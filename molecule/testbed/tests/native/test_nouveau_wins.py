# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot that no policy touches."""

from __future__ import annotations

import typing as t

DRIVER = "/sys/bus/pci/devices/0000:01:00.0/driver"


def test_nouveau_owns_the_card(host: t.Any) -> None:
    host.check_output("udevadm settle --timeout=120")
    assert host.file(DRIVER).linked_to.endswith("/nouveau")
    assert host.file("/dev/dri/card0").exists
