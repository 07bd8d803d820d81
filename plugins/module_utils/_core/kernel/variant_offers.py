# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the kernel's own variants a device could have that the host's kernels lack, and how to get it."""

from __future__ import annotations

import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import version_key
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.known_variants import DEVICES

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel

_ID = re.compile(r"^(?:vfio_)?pci:v([0-9A-F]{8})d([0-9A-F]{8})sv")
_SUFFIX = "_vfio_pci"


@functools.cache
def _known() -> dict[tuple[int, int], tuple[tuple[str, str], ...]]:
    found: dict[tuple[int, int], tuple[tuple[str, str], ...]] = {}
    for vendor, device, module, since in DEVICES:
        found[vendor, device] = (*found.get((vendor, device), ()), (module, since))
    return found


def missing_variants(modalias: str, kernels: t.Sequence[Kernel]) -> tuple[str, ...]:
    """A sentence for each variant driver of the kernel's own that serves the device and that kernels here do not have."""
    match = _ID.match(modalias)
    key = (int(match[1], 16), int(match[2], 16)) if match else (-1, -1)
    sentences = (_sentence(key, module, since, kernels) for module, since in _known().get(key, ()))
    return tuple(sentence for sentence in sentences if sentence is not None)


def _sentence(key: tuple[int, int], module: str, since: str, kernels: t.Sequence[Kernel]) -> str | None:
    lacking = [kernel.release for kernel in kernels if not kernel.has(module)]
    if not lacking:
        return None
    served = f"{module} serves {key[0]:04x}:{key[1]:04x}; kernel {', '.join(lacking)} {'does' if len(lacking) == 1 else 'do'} not have it"
    # A release candidate has the drivers of its version.
    buildable = [release for release in lacking if version_key(since) <= version_key(release.replace("~", "-").partition("-")[0])]
    if not buildable:
        return f"{served}; Linux has that driver for the device since {since}"
    name = module[: -len(_SUFFIX)] if module.endswith(_SUFFIX) else module
    where = "" if len(buildable) == len(lacking) else f" for {', '.join(buildable)}"
    return f"{served}; `vfio_drivers_variants: [{name}]` builds it{where} from the kernel's source"
