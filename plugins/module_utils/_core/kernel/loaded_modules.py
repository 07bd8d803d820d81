# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that the running kernel has loaded, and whether they are those that are installed."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

LOADED = "/sys/module"


def loaded_source(host: Host, name: str) -> str | None:
    """The checksum of the sources of a loaded module, which it has if the kernel was built so or if it states a version."""
    text = host.text_or_none(f"{LOADED}/{normalize_module_name(name)}/srcversion")
    return text.strip() if text else None


def is_other(host: Host, name: str, installed: str | None) -> bool:
    """Whether the loaded module of this name is made of other sources than the installed one."""
    loaded = loaded_source(host, name)
    return loaded is not None and installed is not None and loaded != installed


def warning_of(name: str) -> str:
    """What a person is told of a module of which another version is loaded than is installed."""
    return (
        f"The running kernel has loaded another version of {name} than is installed: the installed one is used once the module is "
        "loaded again, or after a reboot."
    )
