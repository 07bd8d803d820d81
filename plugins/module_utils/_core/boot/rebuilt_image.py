# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The initramfs's stage as it will be once the image is rebuilt from the root, by the generator that has made it."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import MODULES_SOFTDEP, ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rule

COPIED_RULES = "/etc/udev/rules.d/"


def rebuilt(image: Stage, root: Stage, modules: t.Iterable[str]) -> Stage:
    """``image`` with the modprobe.d, the rules and the modules that ``root`` has now, and with ``modules`` besides its own.

    Its programs, and what they load by name, stay as they are.
    """
    config = ModprobeConfig(
        (
            *(line for line in root.config.directives if _is_in_file(line)),
            # What the command line and the image's own scripts say.
            *(line for line in image.config.directives if not _is_in_file(line)),
        )
    )
    held = {posixpath.basename(rule.path) for rule in image.rules.rules}
    rules = Rules(tuple(rule for rule in root.rules.rules if _is_copied(rule, held)))
    return dataclasses.replace(image, kernel=_kernel(image.kernel, root.kernel, modules), config=config, rules=rules)


def _is_in_file(line: Directive) -> bool:
    """Whether a line stands in modprobe.d, or is depmod's."""
    folder, name = posixpath.split(line.source.path)
    return folder.endswith("/modprobe.d") or name == MODULES_SOFTDEP


def _is_copied(rule: Rule, held: t.Container[str]) -> bool:
    """Generators copy all of /etc/udev/rules.d (dracut for this host only), and of /usr/lib those files that they name."""
    return rule.path.startswith(COPIED_RULES) or posixpath.basename(rule.path) in held


def _kernel(image: Kernel, root: Kernel, modules: t.Iterable[str]) -> Kernel:
    """The part of the root's kernel that the image will hold: what a module needs comes along."""
    wanted = [name for name in (*image.modules, *modules) if name in root.modules]
    held = {*wanted, *(needed for name in wanted for needed in root.dependencies(name))}
    return dataclasses.replace(
        root,
        modules={name: path for name, path in root.modules.items() if name in held},
        needed={name: files for name, files in root.needed.items() if name in held},
        index=root.index.only(held),
    )
