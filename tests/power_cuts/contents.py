# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine holds: every file that the collection, DKMS, depmod or update-initramfs writes, and what is wrong with it after a cut."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.connection import Connection

LISTING = Path(__file__).with_name("listing.py")
JOURNAL = "/var/lib/vfio-variants"
#: What is written by one step of the playbook, and is old or new as a whole unless something is unfinished.
STEPS = {"policy": ("/etc/",), "driver package": ("/usr/lib/modules/", "/usr/src/", "/var/lib/dkms/"), "image": ("/boot/",)}
_OWNERS = 'cd /sys/bus/pci/devices && for f in *; do echo $f $(basename "$(readlink $f/driver)"); done'
_TIMEOUT = 600
_MOST_NAMES = 3
Files = Mapping[str, str]


def read(connection: Connection, *, images: bool) -> dict[str, str]:
    """Permissions and a digest by path; ``images``: of the files in initramfs images too."""
    words = ["python3", "-c", LISTING.read_text(encoding="utf-8"), *(["images"] if images else [])]
    text = connection.ask(shlex.join(words), _TIMEOUT)
    if text is None:
        raise HostError("The machine does not list its files.")
    found: dict[str, str] = json.loads(text)
    return found


def owners(connection: Connection) -> dict[str, str | None]:
    """Each PCI function's driver."""
    text = connection.ask(_OWNERS, _TIMEOUT)
    if not text:
        raise HostError("The machine does not name its drivers.")
    words = [line.split() for line in text.splitlines()]
    return {address: driver[0] if driver else None for address, *driver in words}


def differences(wanted: Files, found: Files) -> list[str]:
    """The names that are missing, that are too many, or that have other content."""
    return sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))


def wrong_after_cut(before: Files, after: Files, now: Files, *, reported: bool) -> Iterator[str]:
    """A sentence for each step whose files are torn, or half written without a report of that."""
    for step, places in STEPS.items():
        names = {name for files in (before, after, now) for name in files if name.startswith(places) and ":" not in name}
        known = before.keys() | after.keys()
        torn = [name for name in names & known if now.get(name) not in (before.get(name), after.get(name))]
        new = [name for name in names if before.get(name) != after.get(name)]
        done = [name for name in new if now.get(name) == after.get(name)]
        if torn and (step == "policy" or not reported):
            yield f"{step}: neither as before nor as after: {_some(torn)}"
        if names - known and not reported:
            yield f"{step}: left over, and nothing is reported: {_some(names - known)}"
        if 0 < len(done) < len(new) and not reported:
            yield f"{step}: only {len(done)} of {len(new)} files are new, and nothing is reported: {_some(done)}"


def _some(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:_MOST_NAMES])
