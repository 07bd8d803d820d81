# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether KVM really runs guests on this machine.

/dev/kvm proves nothing: on some nested machines a stock kernel hangs early with one core spinning.  So one is booted,
without a root file system: it ends in the panic that says so, by which time everything that hangs has been passed.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, write_atomic
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress, Say
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.command_line import (
    BARE,
    COUNTED,
    COUNTED_ALONE,
    IOMMUS,
    accelerator_words,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.ending_machine import run_to_end
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu

_DEVICE = Path("/dev/kvm")
_TIME_LIMIT = 30.0
_PASSED = "Kernel panic - not syncing: VFS"
_COMMAND_LINE = "console=ttyS0 panic=-1 mitigations=off"


class Bootable(t.Protocol):
    """What has a kernel to try: a test image, or a host's own."""

    @property
    def kernels(self) -> tuple[str, ...]: ...

    @property
    def kernel(self) -> Path: ...


def choose(wish: str, cache: Cache, qemu: Qemu, image: Bootable, say: Say) -> str:
    """`kvm` or `tcg`, or a clock that counts where that is wished.

    The result of a probe holds until this machine reboots or QEMU or the kernel changes.
    """
    if wish in (COUNTED, COUNTED_ALONE):
        return wish
    if wish == "tcg" or (wish == "auto" and not os.access(_DEVICE, os.R_OK | os.W_OK)):
        return "tcg"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    subject = "\n".join((boot, qemu.version, image.kernels[0]))
    known = cache.root / "accelerator" / hashlib.sha256(subject.encode()).hexdigest()[:16]
    with cache.lock("accelerator"):
        if not known.is_file():
            progress = Progress("KVM", say)
            progress("does a stock kernel boot in it?")
            result = "kvm" if _boots(qemu, image.kernel) else "tcg"
            known.parent.mkdir(exist_ok=True)
            for outdated in known.parent.iterdir():
                if boot not in outdated.read_text(encoding="ascii"):
                    outdated.unlink()
            write_atomic(known, f"{result}\n{boot}")
            progress("it does" if result == "kvm" else "it does not; emulating instead")
        found = known.read_text(encoding="ascii").split()[0]
    if wish == "kvm" and found != "kvm":
        raise HostError("accelerator: kvm was asked for, but a stock kernel does not boot in KVM on this machine.", "Use auto or tcg.")
    return found


def _boots(qemu: Qemu, kernel: Path) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        ended = run_to_end(Path(folder), qemu, probe_arguments(kernel), _TIME_LIMIT, lambda: False)
        return not ended.problem and _PASSED in ended.console


def probe_arguments(kernel: Path) -> tuple[str, ...]:
    plain = (*BARE, "-no-reboot", "-smp", "2", "-m", "512M")
    return (*accelerator_words("kvm"), *plain, *IOMMUS["intel"], "-kernel", str(kernel), "-append", _COMMAND_LINE)
