# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The initramfs's stage as it will be once the image is rebuilt from the root, by the generator that has made it."""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Coldplug, LoadList
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_systemd import PROGRAM
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import MODULES_SOFTDEP, ModprobeConfig

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ListedModule, Stage, StageWork, Step
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rule

COPIED_RULES = "/etc/udev/rules.d/"
# Debian's modules.conf is a link to /etc/modules.
COPIED_LIST = re.compile(r"/modules-load\.d/|(?:^|:)/etc/modules:\d+$")


def rebuilt(image: Stage, root: Stage, modules: t.Iterable[str]) -> Stage:
    """``image`` with the modprobe.d, the rules and the modules that ``root`` has now, and with ``modules`` besides its own.

    Its programs, and what they load by name, stay as they are, but for lists of modules that are copied from the root.
    """
    config = ModprobeConfig(
        (
            *(line for line in root.config.directives if _is_in_file(line)),
            # What the command line and the image's own scripts say.
            *(line for line in image.config.directives if not _is_in_file(line)),
        )
    )
    held = {posixpath.basename(rule.path) for rule in image.rules.rules}
    rules = root.rules.only(lambda rule: _is_copied(rule, held))
    kernel = _kernel(image.kernel, root.kernel, modules)
    steps = _steps(image, root)
    programs = {**root.programs, **image.programs}
    doubts = (*image.doubts, *_unordered(image, steps), *_of_other_images(image, root))
    copied = dataclasses.replace(image, kernel=kernel, config=config, rules=rules, own_modules={}, other_builds=())
    return dataclasses.replace(copied, steps=steps, programs=programs, doubts=doubts)


def _unordered(image: Stage, steps: tuple[Step, ...]) -> t.Iterator[str]:
    """A doubt about a list that the image does not have now, beside what the image loads before udev's events."""
    preloads = any(isinstance(work, LoadList) and work.program != PROGRAM for work in (image.steps[0] if image.steps else ()))
    if preloads and any(True for _work in _lists(steps)) and not any(True for _work in _lists(image.steps)):
        yield f"{image.place} loads modules before udev's events and will have a list for {PROGRAM}, in no fixed order."


def _of_other_images(image: Stage, root: Stage) -> t.Iterator[str]:
    """A doubt about files that the root has not, where the boot loader names several images: no generator may have made theirs."""
    if not image.is_of_several:
        return
    known = {posixpath.basename(path) for path in (*_files(root), *root.rules.masked)}
    other = next((path for path in _files(image) if posixpath.basename(path) not in known), None)
    if other is not None:
        path = other.rpartition(":")[2]
        yield f"{image.place} is of several images: whether one that is made again leaves {path} out cannot be determined."


def _files(stage: Stage) -> t.Iterator[str]:
    yield from (rule.path for rule in stage.rules.rules)
    yield from (line.source.path for line in stage.config.directives if _is_in_file(line))


def _is_in_file(line: Directive) -> bool:
    """Whether a line stands in modprobe.d, or is depmod's."""
    folder, name = posixpath.split(line.source.path)
    return folder.endswith("/modprobe.d") or name == MODULES_SOFTDEP


def _is_copied(rule: Rule, held: t.Container[str]) -> bool:
    """Generators copy all of /etc/udev/rules.d (dracut for this host only), and of /usr/lib those files that they name."""
    return rule.path.startswith(COPIED_RULES) or posixpath.basename(rule.path) in held


def _steps(image: Stage, root: Stage) -> tuple[Step, ...]:
    """dracut copies modules-load.d for the image's own systemd-modules-load, which runs beside udev's coldplug."""
    if not image.loads_lists:
        return image.steps
    copied = tuple(listed for work in _lists(root.steps) for listed in work.modules if COPIED_LIST.search(listed.source))
    if not any(True for _work in _lists(image.steps)):
        added = tuple(dataclasses.replace(work, modules=copied) for work in _lists(root.steps) if copied)
        return tuple((*added, *step) if any(isinstance(work, Coldplug) for work in step) else step for step in image.steps)

    return tuple(tuple(_with_copied(work, copied) for work in step) for step in image.steps)


def _with_copied(work: StageWork, copied: tuple[ListedModule, ...]) -> StageWork:
    if not isinstance(work, LoadList) or work.program != PROGRAM:
        return work
    return dataclasses.replace(work, modules=(*(one for one in work.modules if not COPIED_LIST.search(one.source)), *copied))


def _lists(steps: tuple[Step, ...]) -> t.Iterator[LoadList]:
    return (work for step in steps for work in step if isinstance(work, LoadList) and work.program == PROGRAM)


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
