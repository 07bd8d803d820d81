# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings that name a program which the kernel runs by itself."""

from __future__ import annotations

PROGRAMS = ("kernel.modprobe", "kernel.hotplug")
"""To load a module that a driver asks for; and for each event, if the kernel has CONFIG_UEVENT_HELPER."""
HARMLESS = ("", "/sbin/modprobe", "/usr/sbin/modprobe", "/bin/true", "/usr/bin/true", "/bin/false", "/usr/bin/false")
