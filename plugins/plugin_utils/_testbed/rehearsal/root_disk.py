# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root disk of a rehearsal: the host's files, without its storage, with a unit that reports."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.program import require, run
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.boot_words import LABEL

_FOLDERS = (
    *("proc", "sys", "dev", "run", "root", "home", "srv", "mnt", "media", "boot", "etc"),
    *("var/log", "var/cache", "var/spool", "var/lib", "var/mail", "var/opt", "var/local"),
)
_OPEN_FOLDERS = ("tmp", "var/tmp")
UNIT, REPORTER = "vfio-variants-rehearsal.service", "usr/lib/vfio-variants-rehearsal"
_UNIT_TEXT = f"""[Unit]
Description=Report what was offered to which driver
DefaultDependencies=no
IgnoreOnIsolate=yes
After=systemd-udevd.service
[Service]
Type=simple
ExecStart=/bin/sh /{REPORTER}
"""
#: Seconds that systemd waits in the machine.
_FOR_DEVICE, _FOR_START = 20, 60
_PATIENCE = f"""[Manager]
DefaultDeviceTimeoutSec={_FOR_DEVICE}s
DefaultTimeoutStartSec={_FOR_START}s
"""
#: Units that wait for a network until a time limit of their own.
_WAITING_UNITS = "*-wait-online*.service"
_UNIT_FOLDERS = ("usr/lib/systemd/system", "usr/local/lib/systemd/system", "lib/systemd/system", "etc/systemd/system")
#: The second serial port is its own: a getty takes the first one away from whoever writes there.
_REPORTER_TEXT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
state=$(timeout {limit} systemctl is-system-running --wait 2>/dev/null)
sleep {hold}
udevadm settle -t 120
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
exec >/dev/ttyS1 2>&1
say() {{ sed "s/^/@rehearsal $1 /"; }}
cat /proc/uptime | say uptime
echo "@rehearsal state $state"
systemctl show -p UserspaceTimestampMonotonic --value | say root
for device in /sys/bus/pci/devices/*; do
  name=${{device##*/}}
  driver=$(readlink "$device/driver")
  echo "@rehearsal owner $name ${{driver##*/}}"
  echo "@rehearsal path $name $(readlink -f "$device")"
  echo "@rehearsal identity $name $(cat "$device/modalias")"
  echo "@rehearsal override $name $(cat "$device/driver_override")"
  number=0
  while read -r start end flags; do
    [ "$(($flags))" = 0 ] || echo "@rehearsal window $name $number $start $end"
    number=$((number + 1))
  done <"$device/resource"
done
grep -v '^#' /sys/kernel/tracing/trace | say trace
dmesg | grep -E "bus: 'pci': really_probe: probing driver|(rejects match|failed with error) -[0-9]" | say log
dmesg | grep -iE "loading of .*module|module verification failed|Unknown symbol|disagrees about version" | say refused
ls /sys/firmware | say firmware
systemctl --failed --no-legend --plain | say failed
echo "@rehearsal end"
sync
sleep 1
systemctl poweroff -ff
"""


@dataclass
class Changes:
    """What of the host's files is another one, for the result."""

    said: list[str] = field(default_factory=list)


def adapt(root: Path, hold: int, limit: int) -> Changes:
    """Take the host's storage out of the tree and put the report in."""
    changes = Changes()
    for name in _FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in _OPEN_FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name).chmod(0o1777)
    _replace(root / "etc/fstab", f"LABEL={LABEL} / ext4 defaults 0 1\n")
    changes.said.append("/etc/fstab has the root file system only: the host's other file systems are absent")
    if (root / "etc/crypttab").is_file():
        _replace(root / "etc/crypttab", "")
        changes.said.append("/etc/crypttab is empty: the host's encrypted disks are absent")
    for unit in sorted((root / "etc/systemd/system").glob("*.mount")):
        if unit.is_symlink():
            continue
        changes.said.append(_masked(unit, "the host's other file systems are absent"))
    changes.said += _without_waiting(root)
    _replace(root / "etc/shadow", _locked(root / "etc/passwd"), 0o600)
    if (root / "etc/selinux/config").is_file():
        _replace(root / "etc/selinux/config", "SELINUX=disabled\nSELINUXTYPE=targeted\n")
        changes.said.append("SELinux is off: files of the machine have no labels")
    _replace(root / "etc/systemd/system.conf.d/zz-vfio-variants-rehearsal.conf", _PATIENCE)
    changes.said.append(
        f"systemd waits {_FOR_DEVICE} s for a device and {_FOR_START} s for the start of a service that sets no limit: what waits for the"
        " host's disks or network fails then, or goes on"
    )
    _replace(root / f"etc/systemd/system/{UNIT}", _UNIT_TEXT)
    wants = root / "etc/systemd/system/sysinit.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / UNIT).symlink_to(f"../{UNIT}")
    _replace(root / REPORTER, _REPORTER_TEXT.format(hold=hold, limit=limit))
    return changes


def _without_waiting(root: Path) -> t.Iterator[str]:
    """Mask what waits for the host's network, and say so."""
    found = {unit.name for folder in _UNIT_FOLDERS for unit in (root / folder).glob(_WAITING_UNITS)}
    for name in sorted(found):
        mask = root / "etc/systemd/system" / name
        if not mask.is_symlink() or mask.readlink() != Path("/dev/null"):
            yield _masked(mask, "the host's network is absent")


def _masked(unit: Path, why: str) -> str:
    """Mask a unit in place of what is there, and return the sentence on that."""
    unit.unlink(missing_ok=True)
    unit.symlink_to("/dev/null")
    return f"{unit.name} is masked: {why}"


def lay_over(root: Path, files: t.Mapping[str, tuple[str | None, int]]) -> None:
    """Put a planned policy's files over the tree; None for a file that will be gone."""
    for path, (content, mode) in files.items():
        place = root / path.lstrip("/")
        if content is None:
            place.unlink(missing_ok=True)
        else:
            _replace(place, content, mode)


def write(disk: Path, root: Path, timeout: float) -> None:
    """A file system image of the tree, with room to write."""
    used = sum(path.lstat().st_blocks * 512 + 4096 for path in root.rglob("*"))
    size = used * 5 // 4 + (256 << 20)
    extended = "root_owner=0:0,lazy_itable_init=0,assume_storage_prezeroed=1"
    disk.touch(mode=0o600)
    words = (require("mke2fs", "e2fsprogs"), "-q", "-F", "-t", "ext4", "-L", LABEL, "-E", extended, "-d", root, disk, f"{size >> 10}k")
    run(words, timeout=timeout)


def _replace(place: Path, text: str, mode: int = 0o644) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.write_text(text, encoding="utf-8", errors="surrogateescape")
    place.chmod(mode)
    os.chown(place, 0, 0)


def _locked(passwd: Path) -> str:
    """A line without a password for each user: without any, cron and login refuse to start anything."""
    text = passwd.read_text(encoding="utf-8", errors="replace") if passwd.is_file() else "root:x:0:0::/root:/bin/sh\n"
    names = (line.partition(":")[0] for line in text.split("\n"))
    return "".join(f"{name}:*:19000:0:99999:7:::\n" for name in names if re.fullmatch(r"[\w.-]+\$?", name))
