# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's policies require of its initramfs images: files with their exact content, and modules."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_contents import PLACES, ImageContents
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import InstalledModules
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import modules_in, owner_of

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


# kmod and udev use these inside the image.
REQUIRED = ("/etc/modprobe.d", "/etc/udev/rules.d")
# Only systemd reads this, and not every image has systemd.
OPTIONAL = ("/etc/modules-load.d",)
GENERATOR_HOOKS = ("/etc/initramfs-tools/hooks", "/etc/dracut.conf.d", "/etc/mkinitcpio.conf.d")
UNCHANGED = "Pass `policy` unchanged, as boot_policy returned it."
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class GivenPolicy:
    """A policy as the module boot_policy returned it: its files' desired content (SHA-256, None for absent), and its modules."""

    files: t.Mapping[str, str | None]
    modules: tuple[str, ...]

    @classmethod
    def parse(cls, files: t.Mapping[str, t.Any], modules: t.Iterable[str]) -> GivenPolicy:
        """Raises HostError if this is not a policy that boot_policy returned."""
        for path, digest in files.items():
            if not str(path).startswith("/"):
                raise HostError(f"policy.files: '{cut(str(path))}' is not an absolute path.", UNCHANGED)
            if digest is not None and not (isinstance(digest, str) and DIGEST.fullmatch(digest)):
                raise HostError(f"policy.files: '{cut(str(digest))}' for {path} is not a SHA-256 digest.", UNCHANGED)
        return cls(dict(files), tuple(modules))

    def check(self, host: Host) -> None:
        """Raises HostError if the host's files do not match the policy: an image that is built from them would not match, either."""
        for path, digest in sorted(self.files.items()):
            found = hashlib.sha256(host.read_bytes(path)).hexdigest() if host.is_file(path) else None
            if found != digest:
                state = "is still there" if digest is None else "is missing" if found is None else "has different content"
                raise HostError(f"{path} {state}, which does not match `policy`.", "Run boot_policy first, and pass what it returned.")


@dataclasses.dataclass(frozen=True)
class ImagePolicy:
    """``files`` are SHA-256 digests by path on the host; ``modules`` are normalized names."""

    files: t.Mapping[str, str]
    modules: frozenset[str]

    @classmethod
    def read(cls, host: Host, given: GivenPolicy | None = None) -> ImagePolicy:
        """What the host's own files require, with ``given`` in place of the files that it names."""
        given_files = {} if given is None else given.files
        ours = {path: content for path, content in _marked_files(host) if path not in given_files}
        files = {path: hashlib.sha256(content).hexdigest() for path, content in ours.items() if _folder(path) not in GENERATOR_HOOKS}
        files.update({path: digest for path, digest in given_files.items() if digest is not None and _folder(path) in REQUIRED + OPTIONAL})
        hooks = [content.decode("utf-8", "replace") for path, content in ours.items() if _folder(path) in GENERATOR_HOOKS]
        modules = [name for hook in hooks for name in modules_in(hook)]
        modules += () if given is None else given.modules
        return cls(files, frozenset(map(normalize_module_name, modules)))


def _marked_files(host: Host) -> t.Iterator[tuple[str, bytes]]:
    for folder in REQUIRED + OPTIONAL + GENERATOR_HOOKS:
        for name in host.names(folder):
            path = f"{folder}/{name}"
            if not name.startswith(".") and host.is_file(path):
                content = host.read_bytes(path)
                if owner_of(content) is not None:
                    yield path, content


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


LACKS = "Module {} is not in it."
OPTIONAL_IN_IMAGE = ("/etc/modules-load.d",)


@dataclasses.dataclass(frozen=True)
class ImageFacts:
    """A kernel's image as found: ``image`` is None if there is none, or if ``unreadable`` says why it cannot be read."""

    path: str
    image: ImageContents | None
    unreadable: str | None
    installed: InstalledModules
    pending: frozenset[str] = frozenset()
    """Modules of the policy that another task of the play installs for this kernel."""
    rebuilt: frozenset[str] = frozenset()
    """Modules of the policy of which that task installs another file than this kernel has."""
    interrupted: bool = False
    """Whether an earlier rebuild ended before the boot loader's hooks had run."""


def reasons(facts: ImageFacts, policy: ImagePolicy) -> tuple[str, ...]:
    """Why an image must be rebuilt, one sentence each; none if it matches the policy."""
    if facts.unreadable is not None:
        return (facts.unreadable,)
    found = ["An earlier rebuild was interrupted before the boot loader's hooks had run."] if facts.interrupted else []
    if facts.image is None:
        is_required = policy.files or policy.modules
        return (*found, f"There is no image {facts.path}.") if is_required else tuple(found)
    found += _file_reasons(facts.image, policy)
    # A module that will be installed is missing from the image now and then: check mode predicts what the run does.
    lacking = [LACKS.format(name) for name in facts.pending]
    return (*found, *sorted([*_module_reasons(facts.image, facts.installed, facts.rebuilt), *lacking]))


def _file_reasons(image: ImageContents, policy: ImagePolicy) -> t.Iterator[str]:
    expected = dict(policy.files)
    for folder in PLACES:
        held = image.held[folder]
        for path in sorted(path for path in expected if path.rpartition("/")[0] == folder):
            content = held.get(path.rpartition("/")[2])
            if content is None:
                if folder not in OPTIONAL_IN_IMAGE:
                    yield f"{path} is not in it."
            elif hashlib.sha256(content[1]).hexdigest() != expected[path]:
                yield f"It contains another version of {path}."
        for name, (place, content_) in sorted(held.items()):
            if owner_of(content_) is not None and f"{folder}/{name}" not in expected:
                yield f"It still contains {place}, which this host no longer has."


def _module_reasons(image: ImageContents, installed: InstalledModules, rebuilt: t.Container[str]) -> t.Iterator[str]:
    for name, path in sorted(installed.paths.items()):
        held = image.fingerprints.get(name)
        if held is None:
            yield LACKS.format(name)
        elif name in rebuilt or not held.is_same(installed.fingerprints[name]):
            yield f"It contains another build of module {name} than {path}."
