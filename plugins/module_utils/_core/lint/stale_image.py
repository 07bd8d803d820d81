# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""initramfs images with another policy than the host, because its files have changed since the image was built.

The contents of the files are compared; times count only if an image cannot be read.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import LoadList
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import DRACUT, INITRAMFS_MODULES, named_modules
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding, listed

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

MODPROBE = "/etc/modprobe.d/"
OF_PACKAGES = "/usr/lib/modprobe.d/"
RULES = "/etc/udev/rules.d/"
LOADER = "systemd-modules-load"
LACKS, ANOTHER, STILL, MASKED = "lacks", "another", "still", "masked"
"""What an image has in the place of a file of the host's."""
Content = tuple[t.Any, ...]
"""The lines of a file about modules and devices that matter, in order, parsed."""


def images_without_the_policy(host: HostPolicy) -> t.Iterator[Finding]:
    """Files of /etc/modprobe.d, and rules that set driver_override, that are missing or different in an image."""
    for boot, image, root in host.images:
        paths: dict[str, list[str]] = {}
        for path, state in _differences(image, root, host):
            paths.setdefault(state, []).append(path)
        yield from (_stale(found, state, boot.release, image, host) for state, found in paths.items())


def _differences(image: Stage, root: Stage, host: HostPolicy) -> t.Iterator[tuple[str, str]]:
    """Each file that is another one in the image, with what the image has."""
    wanted = {**_modprobe(root, host), **_rules(root, host)}
    held = {**_modprobe(image, host), **_rules(image, host)}
    for path, content in wanted.items():
        if held.get(path, content) != content:
            yield path, ANOTHER
        # A package's file below /usr/lib need not be in an image.
        elif path not in held and (path.startswith(MODPROBE) or any(rule.path == path for rule in root.rules.rules)):
            yield path, LACKS
    theirs, ours = _modprobe(image, host, OF_PACKAGES), _modprobe(root, host, OF_PACKAGES)
    yield from ((path, ANOTHER) for path, content in theirs.items() if ours.get(path, content) != content)
    there = {file.path for file in host.files.modprobe} | {rule.path for rule in root.rules.rules}
    names = {path.rpartition("/")[2] for path in there}
    masked = {path.rpartition("/")[2] for path in root.rules.masked}
    for path in sorted(held.keys() - wanted.keys()):
        name = path.rpartition("/")[2]
        # A file that masks another one, or is empty, is the host's own; what is missing in the image is that.
        yield path, ANOTHER if name in names else MASKED if name in masked else STILL


def image_lists_without_the_policy(host: HostPolicy) -> t.Iterator[Finding]:
    """Modules in /etc/initramfs-tools/modules that matter here and that are not in an image's list."""
    for boot, image, _root in host.images if host.files.initramfs_tools else ():
        told = {
            normalize_module_name(one.name) for step in image.steps for work in step if isinstance(work, LoadList) for one in work.modules
        }
        missing = [
            one
            for one in host.files.for_image
            if one.source.startswith(f"{INITRAMFS_MODULES}:") and normalize_module_name(one.name) in host.contenders - told
            # A module that the kernel does not have is another finding.
            if any(kernel.has(one.name) for kernel in host.kernels if kernel.release == boot.release)
        ]
        for one in missing:
            said = f"{image.place} is older than {one.source}: it does not load {one.name}."
            yield Finding("stale-image", one.source, f"{said} {_rebuild(boot.release, image.place, host)}")


def images_without_what_dracut_shall_take_in(host: HostPolicy) -> t.Iterator[Finding]:
    """Modules of add_drivers and force_drivers that matter here and are not in an image, although the kernel has them."""
    for boot, image, root in host.images if host.files.dracut else ():
        for one in host.files.for_image:
            name = normalize_module_name(one.name)
            is_wanted = name in host.contenders and name in root.kernel.modules and not one.source.startswith(f"{INITRAMFS_MODULES}:")
            if is_wanted and not image.kernel.has(name):
                said = f"{image.place} is older than {one.source}: it does not contain {one.name}."
                yield Finding("stale-image", one.source, f"{said} {_rebuild(boot.release, image.place, host)}")


def images_without_what_the_command_line_loads(host: HostPolicy) -> t.Iterator[Finding]:
    """`rd.driver.pre=` for a module of VFIO that the image does not have: dracut's modprobe finds nothing."""
    for boot, image, root in host.images if host.files.dracut else ():
        is_asked_for = {normalize_module_name(one.name) for one in host.files.for_image}
        names = [name for value in boot.cmdline.values("rd.driver.pre") for name in value.split(",")]
        for name in dict.fromkeys(names):
            module = normalize_module_name(name)
            is_there = image.kernel.has(module) or module in is_asked_for
            if module in host.vfio_modules and root.kernel.has(module) and not is_there:
                said = f"{boot.cmdline_source}: `rd.driver.pre={name}` has no effect, because {image.place} does not contain {name}."
                advice = f'Add `add_drivers+=" {name} "` to a file in {DRACUT[1]}. {_rebuild(boot.release, image.place, host)}'
                yield Finding("stale-image", boot.cmdline_source, f"{said} {advice}")


def images_without_the_modules_to_load(host: HostPolicy) -> t.Iterator[Finding]:
    """Modules in /etc/modules-load.d, which dracut copies, that matter here and that an image with such a list does not load."""
    for boot, image, root in host.images if host.files.dracut else ():
        lists = [work for step in image.steps for work in step if isinstance(work, LoadList) and work.program == LOADER]
        told = {normalize_module_name(one.name) for work in lists for one in work.modules}
        wanted = [one for step in root.steps for work in step if isinstance(work, LoadList) for one in work.modules]
        for one in wanted if lists else ():
            name = normalize_module_name(one.name)
            if one.source.startswith("/etc/modules-load.d/") and name in host.contenders - told and root.kernel.has(name):
                said = f"{image.place} is older than {one.source}: it does not load {one.name}."
                yield Finding("stale-image", one.source, f"{said} {_rebuild(boot.release, image.place, host)}")


def images_with_other_modules(host: HostPolicy) -> t.Iterator[Finding]:
    """Modules that were built again, or removed, after an image was made, which loads those that it has."""
    for boot, image, root in host.images:
        here = f"{MODULES}/{boot.release}"
        names = [name for name in image.other_builds if name in host.contenders]
        gone = [name for name in names if not root.kernel.has(name)]
        for found, said in (
            ([name for name in names if name not in gone], f"has another version of {{}} than {here}, and loads that one"),
            (gone, f"still has {{}}, which {here} does not have"),
        ):
            if found:
                sentence = f"{image.place} {said.format(listed(found))}. {_rebuild(boot.release, image.place, host)}"
                yield Finding("stale-image", image.place, sentence)


def unreadable_images_older_than_the_policy(host: HostPolicy) -> t.Iterator[Finding]:
    """For an image that cannot be read: policy files that were changed after it was built."""
    read = {boot.release for boot, _image, _root in host.images}
    for boot, root in host.roots:
        image = host.files.images.get(boot.release)
        if image is None or boot.release in read:
            continue
        paths = [*_modprobe(root, host), *_rules(root, host)]
        paths += [INITRAMFS_MODULES] if any(normalize_module_name(one.name) in host.contenders for one in host.files.for_image) else []
        newer = [path for path in paths if host.files.mtimes.get(path, 0.0) > image.mtime]
        if newer:
            said = f"{image.path} is older than {listed(newer)}, and cannot be read: it may contain an older policy."
            yield Finding("stale-image", newer[0], f"{said} {_rebuild(boot.release, image.path, host)}")


def _modprobe(stage: Stage, host: HostPolicy, folder: str = MODPROBE) -> dict[str, Content]:
    found: dict[str, list[t.Any]] = {}
    for entry in stage.config.directives:
        path = re.sub(r"^/lib/", "/usr/lib/", _inside(entry.source.path, stage))
        if path.startswith(folder) and any(
            normalize_module_name(name) in host.contenders for name in named_modules(entry.command, entry.arguments)
        ):
            found.setdefault(path, []).append((entry.command, entry.arguments))
    return {path: tuple(entries) for path, entries in found.items()}


def _rules(stage: Stage, host: HostPolicy) -> dict[str, Content]:
    """Rules by the path that they have or would have below /etc: an image has those of /etc below /usr/lib."""
    found: dict[str, list[t.Any]] = {}
    for rule, _driver in host.setting_overrides(stage):
        found.setdefault(RULES + rule.path.rpartition("/")[2], []).append(rule.keys)
    return {path: tuple(entries) for path, entries in found.items()}


def _inside(path: str, stage: Stage) -> str:
    """A path in the stage's own tree: without the image's path before it."""
    return path[len(stage.place) + 1 :] if path.startswith(f"{stage.place}:") else path


def _stale(paths: t.Sequence[str], state: str, release: str, image: Stage, host: HostPolicy) -> Finding:
    files = listed(list(paths))
    said = {
        LACKS: f"{image.place} does not have the host's {files}.",
        ANOTHER: f"{image.place} has another version of {files} than the host.",
        STILL: f"{image.place} still has {files}, which the host does not have.",
        MASKED: f"{image.place} has the rules that {files} {'masks' if len(paths) == 1 else 'mask'} on the host.",
    }[state]
    return Finding("stale-image", paths[0], f"{said} {_rebuild(release, image.place, host)}")


def _rebuild(release: str, image: str, host: HostPolicy) -> str:
    return host.files.rebuilding.format(release=release, image=image)
