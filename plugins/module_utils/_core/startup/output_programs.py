# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that do nothing but write to their own output, as systemd and udev run them: without a shell."""

from __future__ import annotations

import posixpath

NAMES = frozenset(("echo", "printf", "true", "false", "logger", "sleep"))
FOLDERS = ("", "/bin", "/usr/bin")


def only_writes_out(command: str) -> bool:
    """Whether a command that no shell reads does nothing else: a redirection is one more argument to it."""
    folder, name = posixpath.split(command.split(maxsplit=1)[0].strip("\"'"))
    return name in NAMES and folder in FOLDERS
