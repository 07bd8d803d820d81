# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worked examples of docs/worked-examples.md: the host that each shows, as a root tree, and the place of the module's answer.

The page itself holds the files, so what a reader sees is what is built here; it says which host they lie on.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.tests.unit import images, initramfs_files
from ansible_collections.vfio.variants.tests.unit.driver_files import ANY, Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, E1000E, NVIDIA_DISPLAY, V100_VARIANT, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

VARIANT = "nvlink2gpu_vfio_pci"
EXAMPLE = re.compile(
    r"^## (?P<title>\d+\. .+)\n"
    r"```text\n(?P<files>(?:.*\n)+?)```\n"
    r"<!-- output: (?P<addresses>.+) -->\n"
    r"(?P<answer>```yaml\n(?:.*\n)*?```\n)?",
    re.MULTILINE,
)
# What a line `==>` says in words; all others name a file of the host.
IN_IMAGE, NOT_IN_IMAGE = "in the initrd", "not in the initrd"
BUILT_IN, CMDLINE, DEVICES, MODINFO = "built into the kernel", "kernel command line", "lspci -Dn", f"modinfo {VARIANT}"
FOR_IMAGE = "/etc/initramfs-tools/modules"
TWO_CARDS = "0000:3b:00.0 0302: 10de:1db1\n0000:5e:00.0 0302: 10de:1db1\n"


@dataclasses.dataclass(frozen=True)
class Module:
    """A module of the host: the folder of its file, and the driver that it registers, with its table and its aliases."""

    folder: str
    driver: str
    entry: Entry
    alias: str
    takes_ids: bool = False

    def file(self, release: str = DEBIAN_13) -> bytes:
        fields: dict[str, t.Any] = {"parmtype": "ids:string"} if self.takes_ids else {}
        return driver_file(release, [Driver(self.driver.encode(), (self.entry,))], aliases=[self.alias], **fields)


MODULES: t.Mapping[str, Module] = {
    "nouveau": Module("kernel/drivers/gpu/drm/nouveau", "nouveau", Entry(0x10DE, ANY, 0x030000, 0xFF0000), NVIDIA_DISPLAY),
    "e1000e": Module("kernel/drivers/net/ethernet/intel/e1000e", "e1000e", Entry(0x8086, 0x10D3), E1000E),
    "vfio-pci": Module("kernel/drivers/vfio/pci", "vfio-pci", Entry(override=1), ANY_VFIO, takes_ids=True),
    VARIANT: Module("updates/dkms", VARIANT, Entry(0x10DE, 0x1DB1, override=1), V100_VARIANT, takes_ids=True),
}


@dataclasses.dataclass(frozen=True)
class Example:
    """One complaint.  ``files`` are what stands below each `==>` line, ``addresses`` the devices that are asked about."""

    title: str
    files: t.Mapping[str, str]
    addresses: tuple[str, ...]
    answer: str | None
    place: tuple[int, int]
    """Where the answer stands in the page, or would stand."""

    def host(self, root: Path) -> Tree:
        """A Debian 13 with initramfs-tools, whose image was made of the same files, as far as the page does not say otherwise."""
        tree = Tree(root).systemd()
        built_in = self._lines(BUILT_IN)
        loadable = {f"{module.folder}/{name}": [module.alias] for name, module in MODULES.items() if name not in built_in}
        linked = [f"{MODULES[name].folder.removeprefix('kernel/drivers/')}/{name}" for name in built_in]
        tree.kernel(DEBIAN_13, loadable, linked, running=True)
        # Before Linux 6.18 it holds no aliases of PCI drivers.
        parameters = "".join(f"{name.replace('-', '_')}.parmtype=ids:string\0" for name in built_in)
        tree.file(f"/lib/modules/{DEBIAN_13}/modules.builtin.modinfo", parameters)
        for path in loadable:
            name = path.rpartition("/")[2]
            release = self.files[MODINFO].split()[1] if name == VARIANT and MODINFO in self.files else DEBIAN_13
            tree.file(f"/lib/modules/{DEBIAN_13}/{path}.ko", MODULES[name].file(release))
        _install_programs(tree)
        for path, text in self.files.items():
            if path.startswith("/"):
                tree.file(path, text)
        for number, line in enumerate(self.files.get(DEVICES, TWO_CARDS).splitlines()):
            address, code, pci_id = line.split()
            tree.pci(address, pci_id, class_code=int(code.strip(":"), 16) << 8, group=20 + number)
        tree.cmdline(" ".join(["root=/dev/sda1 ro", *self._lines(CMDLINE)]))
        return tree.file(initramfs_files.IMAGE, images.packed(self._image(), "zstd"))

    def but(self, **files: str | None) -> Example:
        """The example with other files; None takes one away."""
        changed = {**self.files, **files}
        return dataclasses.replace(self, files={path: text for path, text in changed.items() if text is not None})

    def _lines(self, header: str) -> list[str]:
        return self.files.get(header, "").splitlines()

    def _image(self) -> bytes:
        """What mkinitramfs makes of the files: udev's rules move to /usr/lib, and a hook brings the modules that they load."""
        held = {path: text for path, text in self.files.items() if path.startswith("/etc/") and path not in self._lines(NOT_IN_IMAGE)}
        rules = {path: text for path, text in held.items() if path.startswith("/etc/udev/rules.d/")}
        listed = [line.partition(".ko")[0] for line in self._lines(IN_IMAGE)]
        loaded = [name for name in MODULES if any(f"kmod load {name}" in text for text in rules.values())]
        names = [name for name in MODULES if name in ("e1000e", *listed, *loaded) and name not in self._lines(BUILT_IN)]
        return images.archive(
            {
                **initramfs_files.initramfs_tools({name: [MODULES[name].alias] for name in names}),
                **{path.lstrip("/"): text for path, text in held.items() if path.startswith("/etc/modprobe.d/")},
                **{path.replace("/etc/", "usr/lib/"): text for path, text in rules.items()},
                "conf/modules": held.get(FOR_IMAGE, ""),
            }
        )


def _install_programs(tree: Tree) -> None:
    tree.file("/usr/sbin/mkinitramfs", "#!/bin/sh\n", mode=0o755).file("/usr/sbin/update-initramfs", "#!/bin/sh\n", mode=0o755)
    tree.directory("/etc/initramfs-tools")
    tree.driverctl()


def examples(page: str) -> list[Example]:
    """The examples of the page, in order."""
    return [_example(found) for found in EXAMPLE.finditer(page)]


def _example(found: re.Match[str]) -> Example:
    parts = re.split(r"^==> (.+)\n", found["files"], flags=re.MULTILINE)
    files = dict(zip(parts[1::2], parts[2::2], strict=True))
    answer = found["answer"]
    place = (found.end(), found.end()) if answer is None else found.span("answer")
    return Example(found["title"], files, tuple(found["addresses"].split()), answer, place)


def with_answer(page: str, title: str, answer: str) -> str:
    """The page with this answer in place of the one that the example has, if any."""
    (example,) = [one for one in examples(page) if one.title == title]
    start, end = example.place
    return page[:start] + answer + page[end:]


def block_after(page: str, mark: str) -> tuple[int, int]:
    """Where the fenced text stands that follows a mark, or would stand."""
    found = re.compile(r"(?:```text\n(?:.*\n)*?```\n)?").match(page, page.index(mark) + len(mark))
    assert found is not None
    return found.span()
