# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the kernel's own variants a device could have that the host's kernels lack, and how to get it."""

from __future__ import annotations

import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import kconfig
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import variant_name, version_key
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.known_variants import DEVICES, NEEDS

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel

_ID = re.compile(r"^(?:vfio_)?pci:v([0-9A-F]{8})d([0-9A-F]{8})sv")
IN_OTHERS = {"xe_vfio_pci": "XE_VFIO_PCI"}
"""Variants whose own option puts what they call into another module (drivers/gpu/drm/xe/Makefile: xe-$(CONFIG_XE_VFIO_PCI))."""
Configuration = t.Callable[[str], t.Optional[str]]
"""What a kernel was built with, by its release; None if that is not known."""


@functools.cache
def _known() -> dict[tuple[int, int], tuple[tuple[str, str], ...]]:
    found: dict[tuple[int, int], tuple[tuple[str, str], ...]] = {}
    for vendor, device, module, since in DEVICES:
        found[vendor, device] = (*found.get((vendor, device), ()), (module, since))
    return found


def missing_variants(modalias: str, kernels: t.Sequence[Kernel], configuration: Configuration) -> tuple[str, ...]:
    """A sentence for each variant driver of the kernel's own that serves the device and that kernels here do not have."""
    match = _ID.match(modalias)
    key = (int(match[1], 16), int(match[2], 16)) if match else (-1, -1)
    sentences = (_sentence(key, module, since, kernels, configuration) for module, since in _known().get(key, ()))
    return tuple(sentence for sentence in sentences if sentence is not None)


def _sentence(key: tuple[int, int], module: str, since: str, kernels: t.Sequence[Kernel], configuration: Configuration) -> str | None:
    lacking = [kernel.release for kernel in kernels if not kernel.has(module)]
    if not lacking:
        return None
    served = f"{module} serves {key[0]:04x}:{key[1]:04x}; kernel {', '.join(lacking)} {'does' if len(lacking) == 1 else 'do'} not have it"
    new_enough = [release for release in lacking if _is_since(since, release)]
    if not new_enough:
        return f"{served}; Linux has that driver for the device since {since}"
    unmet = {release: _unmet(module, release, configuration) for release in new_enough}
    buildable = [release for release in new_enough if not unmet[release]]
    if not buildable:
        return f"{served}, and {_without(unmet)}, which it depends on"
    name = variant_name(module)
    where = "" if len(buildable) == len(lacking) else f" for {', '.join(buildable)}"
    return f"{served}; `vfio_drivers_variants: [{name}]` builds it{where} from the kernel's source"


def _version(release: str) -> str:
    """A release candidate has the drivers of its version."""
    return release.replace("~", "-").partition("-")[0]


def _is_since(series: str, release: str) -> bool:
    return version_key(series) <= version_key(_version(release))


def _unmet(module: str, release: str, configuration: Configuration) -> tuple[str, ...]:
    """The options that the driver's Kconfig asks for, as it was in the newest version read that is not newer, and that are off."""
    config = configuration(release)
    if config is None:
        return ()
    fitting = [(series, expression) for name, series, expression in NEEDS if name == module and _is_since(series, release)]
    options = kconfig.enabled(config) | {kconfig.COMPILE_TEST}
    wanted = (expression for series, expression in fitting if series == fitting[-1][0])
    unmet = (expression for expression in wanted if not kconfig.holds(expression, options))
    own = tuple(f"CONFIG_{name}" for name in (IN_OTHERS.get(module),) if name is not None and name not in options)
    return (*(f"CONFIG_{name}" for expression in unmet for name in kconfig.named(expression) if name not in options), *own)


def _without(unmet: t.Mapping[str, tuple[str, ...]]) -> str:
    """What each kernel is built without, those without the same together."""
    releases: dict[tuple[str, ...], list[str]] = {}
    for release, options in unmet.items():
        releases.setdefault(options, []).append(release)
    if len(releases) == 1:
        return f"{'is' if len(unmet) == 1 else 'are'} built without {', '.join(next(iter(releases)))}"
    return " and ".join(f"{', '.join(having)} without {', '.join(options)}" for options, having in releases.items())
