# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest that the drivers are put to work in: the fast guest's machine, with an emulated GPU and an emulated NPU."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import machine
from archive import Archive, padded
from guest_pool import GuestPool
from kernel import Kernel

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PROFILES
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local import python_path

_HERE = Path(__file__).resolve().parent
TIMEOUT = 240.0
#: Emulated functions by the profile of each, in root ports of their own.
_EMULATED = {"gpu": ("v100-sxm2-16gb", "12.0"), "npu": ("npu2", "13.0")}
#: What stands for the GPU's memory: kept from the kernel, a half of it described.
_MEMORY, _MEMORY_MEBIBYTES = 0x1000_0000, 32
#: So that objects can be counted exactly, each cache by itself (leak_series.py); up to Linux 6.7 by its older name alone.
_EXACT_CACHES = ("slab_debug=F", "slub_debug=F", "slab_nomerge")
_CMDLINE = (*machine.CMDLINE, f"memmap={_MEMORY_MEBIBYTES}M${_MEMORY:#x}", *_EXACT_CACHES)
#: Without this a root port shows no active link, and no reset through the slot succeeds.
_NATIVE_HOTPLUG = ("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")
_CONSOLE, _REPORT, _INITRD = "console", "report", "initrd"
_SOCKET_PATIENCE = 60.0
_END_PATIENCE = 10.0


@dataclass(frozen=True)
class Outcome:
    """``problem``: why the guest did not come to its end, or nothing. ``console``: what the kernel held urgent."""

    report: str
    console: str
    problem: str
    seconds: float


class DriverGuest(GuestPool):
    """``prepare`` comes first."""

    def work(self, series: str, files: t.Mapping[str, bytes], chosen: t.Mapping[str, Path], timeout: float = TIMEOUT) -> Outcome:
        """Boot the kernel of a series with `files` and run the cases, by the names that they are to have."""
        kernel = self.kernel(series)
        with tempfile.TemporaryDirectory(prefix="drivers-") as place:
            folder = Path(place)
            (folder / _INITRD).write_bytes(padded(kernel.base.read_bytes()) + _archive(kernel, files, chosen))
            start = time.monotonic()
            with _emulated(folder):
                problem = self._emulate(self._command(kernel, folder), timeout)
            seconds = time.monotonic() - start
            texts = [(folder / name).read_text(encoding="utf-8", errors="replace") for name in (_REPORT, _CONSOLE)]
        return Outcome(texts[0], texts[1], problem, seconds)

    def _command(self, kernel: Kernel, folder: Path) -> list[str]:
        if self._qemu is None:
            raise HostError("The guests are not prepared.")
        return [
            *self._qemu.emulator,
            *machine.arguments(),
            *_NATIVE_HOTPLUG,
            *(word for name in _EMULATED for word in _plugged_in(name, folder)),
            *("-kernel", str(kernel.started), "-initrd", str(folder / _INITRD), "-append", " ".join(_CMDLINE)),
            *("-serial", f"file:{folder / _CONSOLE}", "-serial", f"file:{folder / _REPORT}"),
        ]


def _archive(kernel: Kernel, files: t.Mapping[str, bytes], chosen: t.Mapping[str, Path]) -> bytes:
    """Comes after the fast guest's own, and replaces its init."""
    made = Archive()
    made.file("/init", (_HERE / "guest/init").read_bytes(), 0o755)
    made.file("/drivers/words", (_HERE / "guest/words").read_bytes())
    made.file("/drivers/settings", f"memory={_MEMORY:#x}\nmemory_size={_MEMORY_MEBIBYTES // 2 << 20:#x}\n")
    for name, case in chosen.items():
        made.file(f"/drivers/cases/{name}", case.read_bytes())
    for name, content in files.items():
        made.file(f"/drivers/{name}", content, 0o755)
    made.link("/usr/sbin/depmod", "/usr/bin/kmod")
    # The fast guest keeps the kernel's modules for its root.
    made.link(f"/usr/lib/modules/{kernel.release}", f"/root/usr/lib/modules/{kernel.release}")
    return made.content()


def cases() -> dict[str, Path]:
    """All there are, in the order in which they are run."""
    return {path.name: path for path in sorted((_HERE / "cases").iterdir())}


def repeated(case: str, times: int) -> dict[str, Path]:
    """One case, to be run so many times."""
    return {f"{case}.{number:03}": cases()[case] for number in range(1, times + 1)}


def _plugged_in(name: str, folder: Path) -> tuple[str, ...]:
    port = _EMULATED[name][1]
    return (
        *("-device", f"pcie-root-port,id={name}-port,bus=pcie.0,chassis={port.partition('.')[0]},addr={port}"),
        *("-device", f'{{"driver":"vfio-user-pci","bus":"{name}-port","socket":{{"type":"unix","path":"{folder / name}.sock"}}}}'),
    )


@contextlib.contextmanager
def _emulated(folder: Path) -> t.Iterator[None]:
    """The servers of the emulated functions, which end with the block, or with this program."""
    environment = {**os.environ, "PYTHONPATH": str(python_path.link(folder / "python"))}
    servers: list[subprocess.Popen[bytes]] = []
    try:
        for name, (profile, _port) in _EMULATED.items():
            (folder / f"{name}.json").write_text(PROFILES[profile].to_json(), encoding="utf-8")
            files = ("--socket", f"{folder / name}.sock", "--log", f"{folder / name}.log", "--function", f"{folder / name}.json")
            words = (*python_path.command("vfio_user"), *files, "--exit-with", str(os.getpid()))
            servers.append(subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, start_new_session=True))
        _await([folder / f"{name}.sock" for name in _EMULATED], servers)
        yield
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait(_END_PATIENCE)


def _await(sockets: t.Iterable[Path], servers: t.Iterable[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + _SOCKET_PATIENCE
    while missing := [path.stem for path in sockets if not path.exists()]:
        if time.monotonic() > deadline or any(server.poll() is not None for server in servers):
            raise HostError(f"The emulated {missing[0]} did not start.")
        time.sleep(0.05)
