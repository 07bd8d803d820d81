# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the boots with UEFI firmware."""

from __future__ import annotations

import argparse
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import efi_variables, elf_module, trusted_keys
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import AliasIndex
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import qemu_program
from ansible_collections.vfio.variants.tests.exit_codes import exit_code
from ansible_collections.vfio.variants.tests.uefi import disk, guest_run, materials, observed_boots, observed_signed, scenario, signed_boot

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.tests.uefi.materials import Materials
    from ansible_collections.vfio.variants.tests.uefi.observed_boots import SeenBoot
    from ansible_collections.vfio.variants.tests.uefi.observed_signed import Signed

MARK = "loaded-"


def main(arguments: list[str]) -> int:
    known = argparse.ArgumentParser(prog="tests/uefi/run", description=__doc__)
    known.add_argument("--record", action="store_true", help=f"write {observed_boots.PLACE.name} for the unit tests")
    options = known.parse_args(arguments)
    return exit_code(lambda: _recorded(options.record))


def _recorded(record: bool) -> int:
    with tempfile.TemporaryDirectory(prefix="uefi-") as folder:
        return _run(Path(folder), record)


def _run(folder: Path, record: bool) -> int:
    cache = Cache.at(None)
    parts = materials.provide(cache, print)
    qemu = qemu_program.provide(cache, apt_sources.of_this_machine, print)
    esp = folder / "esp"
    esp.mkdir()
    scenario.lay_out(parts, esp, disk.layout().root)
    disk.make(parts, esp, folder / "disk.img")
    boots = guest_run.boot(qemu, parts, folder / "disk.img", folder)
    if record:
        found = (path for path in sorted(esp.rglob("*")) if path.suffix.lower() == ".efi" and path.is_file())
        programs = {str(path.relative_to(esp)): observed_boots.sections_of(path) for path in found}
        observed_boots.write(observed_boots.Observed(parts.release, scenario.TEXTS, programs, boots))
    signed = signed_boot.boot(qemu, parts, folder)
    if record:
        observed_signed.write(signed)
    root = Path(tempfile.mkdtemp(dir=folder))
    signed.lay_out(root)
    host = Host(str(root))
    faults = [*_vendors(parts), *_wrong_trust(host, signed)]
    for by_shim in (False, True):
        faults += _other_trust(signed.taken, signed_boot.rehearsed(qemu, parts, folder, host, by_shim=by_shim))
    if not signed_boot.is_refused(qemu, parts, folder, host):
        faults.append("A kernel with another content than was signed is not refused in a rehearsal by shim and GRUB")
    faults += [fault for number in range(1, len(boots)) for fault in _faults(folder, esp, boots[number - 1], boots[number])]
    print("\n".join(faults))
    print(f"{len(boots) + 2 + 3 * len(signed.taken) - len(faults)} passed, {len(faults)} failed")
    return 1 if faults else 0


def _vendors(parts: Materials) -> t.Iterator[str]:
    """systemd's own library has the names of the variables' files in it."""
    library = parts.path("usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-*.so").read_bytes()
    for vendor in (efi_variables.LOADER, efi_variables.GLOBAL):
        if vendor.encode() not in library:
            yield f"systemd does not know the vendor {vendor}"


def _other_trust(taken: t.Mapping[str, bool], rehearsed: t.Mapping[str, bool]) -> t.Iterator[str]:
    """Modules that the kernel takes or refuses in a rehearsal, and not on the host."""
    for name in sorted(taken.keys() | rehearsed.keys()):
        if taken.get(name) != rehearsed.get(name):
            yield f"A module signed by {name}: taken {taken.get(name)}, in a rehearsal {rehearsed.get(name)}"


def _wrong_trust(host: Host, signed: Signed) -> t.Iterator[str]:
    """Modules that the kernel has taken although their key was not said to be trusted, or the other way round."""
    kernel = Kernel(signed.release, {}, frozenset(), has_headers=False, index=AliasIndex.parse("", ""))
    for name, taken in signed.taken.items():
        who = elf_module.signer(signed.signatures[name])
        # What the kernel brings is signed by a key within it, which no file tells of.
        doubt = None if who is None or name == observed_signed.VENDOR else trusted_keys.doubt(host, kernel, who)
        if taken != (who is not None and doubt is None):
            yield f"A module signed by {name} was {'taken' if taken else 'refused'}: {doubt}"


def _faults(folder: Path, esp: Path, before: SeenBoot, after: SeenBoot) -> t.Iterator[str]:
    """What the prediction from one boot's variables got wrong about the next boot."""
    root = Path(tempfile.mkdtemp(dir=folder))
    variables = root / "sys/firmware/efi/efivars"
    variables.mkdir(parents=True)
    for name, content in before.variables.items():
        (variables / name).write_bytes(content)
    (root / "boot").mkdir()
    esp_here = root / "boot/efi"
    esp.rename(esp_here)
    try:
        host = Host(str(root))
        predicted = next_boot.read(host)
        entry = None if predicted.release is None else predicted.entries[predicted.release]
        if entry is None or predicted.doubts:
            yield f"{after.entry}: nothing was predicted: {' '.join(predicted.doubts)}"
            return
        missing = [word for word in entry.cmdline.arguments if word not in after.cmdline.split()]
        image = Image.read(host, entry.initrds[0], entry.release, (), entry.initrds[1:])
        loaded = tuple(sorted(name.removeprefix(MARK) for name in image.names if name.startswith(MARK)))
        if missing or loaded != after.loaded:
            yield f"{after.entry}: predicted {' '.join(entry.cmdline.arguments)} with {loaded}; it had {after.cmdline} with {after.loaded}"
    finally:
        esp_here.rename(esp)
