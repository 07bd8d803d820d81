# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that change no device: those that the kernel runs by itself, and those that only write to their own output.

systemd and udev run the latter without a shell.
"""

from __future__ import annotations

import posixpath

PROGRAMS = ("kernel.modprobe", "kernel.hotplug")
"""Settings: to load a module that a driver asks for; and for each event, if the kernel has CONFIG_UEVENT_HELPER."""
HARMLESS = ("", "/sbin/modprobe", "/usr/sbin/modprobe", "/bin/true", "/usr/bin/true", "/bin/false", "/usr/bin/false")
NAMES = frozenset(("echo", "printf", "true", "false", "logger", "sleep"))
FOLDERS = ("", "/bin", "/usr/bin")


def only_writes_out(command: str) -> bool:
    """Whether a command that no shell reads does nothing else: a redirection is one more argument to it."""
    folder, name = posixpath.split(command.split(maxsplit=1)[0].strip("\"'"))
    return name in NAMES and folder in FOLDERS
