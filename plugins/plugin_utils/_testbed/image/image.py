# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test images in the cache: found by their recipe's key, built when missing, removed on request."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import typing as t
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, shown
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import root_tree
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.guest_file import GuestFile
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.recipe import Recipe
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image import disk, esp, gpt, grub, system
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.options import ImageOptions
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.ssh_key import KeyPair
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress, Say

_DESCRIPTION = "image.json"


@dataclass(frozen=True)
class TestImage:
    """A complete image. `kernels`: the releases it boots, the first by default."""

    path: Path
    key: str
    suite: str
    kernels: tuple[str, ...]
    host_key: str
    seconds: float

    @property
    def disk(self) -> Path:
        return self.path / "disk.raw"

    @property
    def system_partition(self) -> Path | None:
        """The folder with the files of the EFI system partition; None if the image boots by BIOS alone."""
        folder = self.path / esp.FOLDER
        return folder if folder.is_dir() else None

    @property
    def kernel(self) -> Path:
        """A copy of the kernel that boots by default."""
        return self.path / "vmlinuz"

    @classmethod
    def read(cls, path: Path) -> TestImage:
        try:
            facts = json.loads((path / _DESCRIPTION).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise HostError(f"image: {path} holds no test image.", "Build one with vfio.variants.test_image and pass its path.") from None
        return cls(path, facts["key"], facts["suite"], tuple(facts["kernels"]), facts["host_key"], facts["seconds"])

    @classmethod
    def find(cls, cache: Cache, reference: str) -> TestImage:
        """By path, by key, or by the name of its folder in the cache."""
        if "/" in reference:
            return cls.read(Path(reference).expanduser().absolute())
        matches = [path for path in sorted(cache.images.glob("[!.]*")) if path.name == reference or path.name.endswith(f"-{reference}")]
        if len(matches) == 1:
            return cls.read(matches[0])
        present = ", ".join(path.name for path in sorted(cache.images.glob("[!.]*"))) or "none"
        found = f"image: {shown(reference)} fits {len(matches)} images; the cache holds: {present}."
        raise HostError(found, "Pass the path that test_image returned.")


@dataclass(frozen=True)
class ImageBuilder:
    cache: Cache
    options: ImageOptions
    name: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,60}", self.name):
            raise HostError(f"name: {shown(self.name)} is not usable.", "Use lower-case letters, digits, dots, - and _.")

    def target(self) -> Path | None:
        """Where the image is or will be; None while the cache has no key pair, which is part of every image."""
        pair = KeyPair.present(self.cache)
        return self._target(pair) if pair else None

    def is_built(self) -> bool:
        target = self.target()
        return target is not None and (target / _DESCRIPTION).is_file()

    def build(self, say: Say, timeout: float) -> tuple[TestImage, bool]:
        """The image, and whether it had to be built. Of several builders of one image, one builds and the others wait."""
        target = self._target(KeyPair.of_cache(self.cache))
        with self.cache.lock(target.name):
            if (target / _DESCRIPTION).is_file():
                return TestImage.read(target), False
            with self.cache.building(target) as folder:
                self._build_in(folder, Progress(f"{self.name} image", say), timeout)
        return TestImage.read(target), True

    def remove(self) -> bool:
        target = self.target()
        if target is None or not target.exists():
            return False
        with self.cache.lock(target.name):
            users = machines_using(self.cache, target)
            if users:
                hint = f"Remove it first: test_vm name={users[0]} state=absent."
                raise HostError(f"The disk of the test machine {users[0]} stands on the image {target.name}.", hint)
            shutil.rmtree(target)
        return True

    def _build_in(self, folder: Path, progress: Progress, timeout: float) -> None:
        recipe = self._recipe(KeyPair.of_cache(self.cache))
        key = self._key(recipe)
        host_key = KeyPair.generate(folder / "host_key")
        tree = folder / "root"
        secret = GuestFile(system.HOST_KEY, host_key.private.read_text(encoding="utf-8"), mode=0o600)
        machine_id = GuestFile("/etc/machine-id", disk.seed(key).hex + "\n", mode=0o444)
        options = self.options
        root_tree.install(recipe, (secret, machine_id), options.suite, options.mirror, tree, progress, timeout)
        releases = grub.newest_first(path.name.removeprefix("vmlinuz-") for path in (tree / "boot").glob("vmlinuz-*"))
        for release in releases:
            if not (tree / f"boot/initrd.img-{release}").is_file():
                raise HostError(f"The packages built no initramfs for the kernel {release}.", "Check initramfs and kernels.")
        configuration = grub.first_configuration(releases, disk.file_system_uuid(disk.seed(key)), recipe.kernel_arguments)
        (tree / "boot/grub/grub.cfg").write_text(configuration, encoding="utf-8")
        shutil.copy(tree / f"boot/vmlinuz-{releases[0]}", folder / "vmlinuz")
        if options.firmware == "uefi":
            esp.lay_out(folder / esp.FOLDER, tree, disk.file_system_uuid(disk.seed(key)))
        progress("writing the disk")
        disk.write_disk(folder / "disk.raw", tree, options.size, disk.seed(key), timeout)
        (folder / "disk.raw").chmod(0o444)
        shutil.rmtree(tree)
        host_key.private.unlink()
        image = {"key": key, "suite": options.suite.name, "kernels": releases, "host_key": host_key.public}
        facts = {**image, "seconds": progress.seconds, "recipe": asdict(recipe)}
        (folder / _DESCRIPTION).write_text(json.dumps(facts, indent=1), encoding="utf-8")
        progress("built")

    def _target(self, pair: KeyPair) -> Path:
        return self.cache.images / f"{self.name}-{self._key(self._recipe(pair))}"

    def _recipe(self, pair: KeyPair) -> Recipe:
        return system.recipe_of(self.options, pair.public)

    @staticmethod
    def _key(recipe: Recipe) -> str:
        modules = (disk, gpt, grub, *((esp,) if set(esp.PACKAGES) <= set(recipe.packages) else ()))
        return recipe.key(inspect.getsource(module).encode() for module in modules)


def machines_using(cache: Cache, image: Path) -> list[str]:
    """Names of the machines whose disk is an overlay of this image."""
    users: list[str] = []
    for description in sorted(cache.machines.glob("*/machine.json")):
        facts: dict[str, t.Any] = json.loads(description.read_text(encoding="utf-8"))
        if facts.get("image") == str(image):
            users.append(description.parent.name)
    return users
