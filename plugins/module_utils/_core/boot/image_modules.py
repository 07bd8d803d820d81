# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of an initramfs that are other files than the root's, as after a driver was rebuilt and the image was not."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ModuleFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.module_drivers import facts_of_aliases, facts_of_content
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import module_contents
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import ModuleContent, NoModuleError, module_path

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.module_drivers import Registered
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel

OWN_FOLDER = "kernel/"
"""Below /lib/modules/<release>; what others build lies elsewhere."""


@dataclasses.dataclass(frozen=True)
class ImageModules:
    """``facts`` are those of an image's own files, where these are not the root's, by normalized name.

    ``seen`` are all modules whose content the archive has: the copy of an image for a report does without it where it is the root's.
    """

    facts: t.Mapping[str, ModuleFacts] = dataclasses.field(default_factory=dict)
    inits: t.Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    """The functions that start them."""
    other_builds: tuple[str, ...] = ()
    """The modules that the root has as they were built another time, or that it no longer has."""
    seen: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class ImageFiles:
    """An initramfs that was read, and the files that it consists of.  ``kernel`` has its modules."""

    host: Host
    image: Image
    paths: tuple[str, ...]
    kernel: Kernel
    cache: Cache | None = None

    def compared(self, names: t.Iterable[str], root: Kernel, cmdline: Cmdline, registered: Registered | None = None) -> ImageModules:
        """These modules, as far as the image has them, beside those of the root."""
        seen = [name for name in names if self._has_content(name)]
        roots = {name: self._of_root(root, name) for name in seen}
        differing = [name for name in seen if not self._is_same_file(name, root, roots[name])]
        found, why = self._contents(differing)
        facts: dict[str, ModuleFacts] = {}
        for name in differing:
            known, content = tuple((registered or {}).get(name, ())), found.get(name)
            if why:
                doubt = f"{self._place(name)} is not the file of {name} in {MODULES}/{root.release}, and cannot be read: {why}"
                takes_ids = (one := roots[name]) is None or "ids" in one.info.types
                facts[name] = dataclasses.replace(facts_of_aliases(self.kernel, name, known), takes_ids=takes_ids, doubt=doubt)
            elif content is None:
                facts[name] = ModuleFacts((), refused=f"{self._place(name)} is not a kernel module")
            else:
                facts[name] = self._facts(name, content, roots[name], cmdline, known)
        others = tuple(name for name in differing if not _is_same_build(found.get(name), roots[name]))
        return ImageModules(facts, {name: one.info.init for name, one in found.items()}, others, frozenset(seen))

    def _place(self, name: str) -> str:
        return f"{self.image.path}:/{self.image.modules[name]}"

    def _has_content(self, name: str) -> bool:
        """Whether the archive has the file that the image's modules.dep names."""
        path = self.kernel.modules.get(name)
        return path is not None and name in self.image.digests and self.image.modules[name].endswith(path.lstrip("/"))

    def _of_root(self, root: Kernel, name: str) -> ModuleContent | None:
        path = module_path(root, name)
        try:
            return None if path is None else ModuleContent.read(self.host, path, self.cache)
        except HostError:
            return None

    def _is_same_file(self, name: str, root: Kernel, content: ModuleContent | None) -> bool:
        """An image may have files without the compression that they have in the root, and the other way round."""
        is_same_place = uncompressed(self.kernel.modules[name]) == uncompressed(root.modules.get(name, ""))
        return content is not None and is_same_place and self.image.digests[name] in content.digests

    def _contents(self, names: t.Sequence[str]) -> tuple[dict[str, ModuleContent], str]:
        """What is in the image's own files, of those that are modules; and why they cannot be read, if so."""
        if not names:
            return {}, ""
        try:
            return self._read(names) if self.cache is None else self._remembered(self.cache, names), ""
        except HostError as error:
            return {}, error.msg.rstrip(".")

    def _remembered(self, cache: Cache, names: t.Sequence[str]) -> dict[str, ModuleContent]:
        about = hashlib.sha256(repr((self.paths, self.kernel.release, names)).encode()).hexdigest()[:16]
        kind, others = f"image-modules-{about}", self.paths[1:]
        return cache.remembered(kind, self.paths[0], lambda: self._read(names), _to_cache, _from_cache, others)

    def _read(self, names: t.Sequence[str]) -> dict[str, ModuleContent]:
        found: dict[str, ModuleContent] = {}
        for name, content in module_contents(self.host, self.paths, self.image.release, names).items():
            with contextlib.suppress(NoModuleError):
                found[name] = ModuleContent.of_file(self.host, content, self._place(name))
        return found

    def _facts(
        self, name: str, content: ModuleContent, root: ModuleContent | None, cmdline: Cmdline, known: tuple[str, ...]
    ) -> ModuleFacts:
        path = posixpath.join(MODULES, self.kernel.release, self.kernel.modules[name])
        facts = facts_of_content(self.host, self.kernel, name, path, content, cmdline, known)
        is_own = self.kernel.modules[name].startswith(OWN_FOLDER)
        if facts.doubt is not None or facts.refused is not None or not is_own or root is None or content.is_same_build(root):
            return facts
        # The kernel's own modules come with it: those of another build may need symbols, or a key, that it does not have.
        doubt = f"{self._place(name)} is another build of {name} than {MODULES}/{self.kernel.release} has, and may not fit the kernel"
        return dataclasses.replace(facts, doubt=doubt)


def _is_same_build(one: ModuleContent | None, other: ModuleContent | None) -> bool:
    return one is not None and other is not None and one.is_same_build(other)


def uncompressed(path: str) -> str:
    """An image may have files without the compression that they have in the root, and the other way round."""
    return path.rsplit(".ko", 1)[0]


def _to_cache(found: t.Mapping[str, ModuleContent]) -> dict[str, t.Any]:
    return {name: content.to_cache() for name, content in found.items()}


def _from_cache(kept: t.Any) -> dict[str, ModuleContent]:
    return {name: ModuleContent.from_cache(value) for name, value in kept.items()}
