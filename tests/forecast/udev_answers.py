# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd's own udev says of lines of rules: which it takes, which it drops, and to which it objects.

The answers of several versions are in observed/udev_lines.json.  To ask again, or about lines that were added there:

tests/forecast/udev_answers.py FOLDER …    each with the contents of the packages udev and libsystemd-shared (dpkg-deb -x), or a base.cpio
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
RECORDED = HERE / "observed" / "udev_lines.json"
Answer = t.Literal["taken", "objected to", "dropped"]
VERIFIES = 254
"""The first systemd whose udevadm has `verify`; an older one reads the rules for `test`, and says the same."""
_LOADER = "ld-linux-x86-64.so.2"
_MESSAGE = re.compile(r"(?:\.rules:\d+:? |(?=Failed to (?:read|parse) rules file))(.*)")
_DROPPED = re.compile(
    r"Invalid (?:key|attribute for|operator|prefix|ENV)|Unknown builtin|Failed to parse|Ignoring NAME|The line (?:has|takes) no effect"
    r"|Invalid key/value|Line is too long|Unexpected EOF|Failed to read"
)
# What only `verify` looks at.
_STYLE = re.compile(r"style: |duplicate expressions|conflicting match|Reordering RESULT|Found builtin")
_HEADER, _FIELD = 110, 8


def recorded() -> list[dict[str, str]]:
    """Each text with its answers, by version."""
    found: list[dict[str, str]] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True)
class Udev:
    """A udevadm with its libraries in a folder, run by the loader beside them: nothing of it is installed."""

    folder: Path

    @classmethod
    def of(cls, place: Path, scratch: Path) -> Udev:
        if place.is_dir():
            return cls(place)
        for name, content in _files(place.read_bytes()):
            if name.endswith("udevadm") or "/lib" in name:
                (scratch / name).parent.mkdir(parents=True, exist_ok=True)
                (scratch / name).write_bytes(content)
                (scratch / name).chmod(0o755)
        return cls(scratch)

    @property
    def version(self) -> int:
        return int(self._run("--version").stdout.split()[0])

    def answers(self, texts: Sequence[str]) -> list[Answer]:
        with tempfile.TemporaryDirectory(prefix="udev-") as name:
            folder = Path(name)
            for number, text in enumerate(texts):
                (folder / f"{number:05}.rules").write_bytes(text.encode("utf-8", "surrogateescape"))
            said = self._said(folder)
        return [_answer(said, f"{number:05}.rules") for number in range(len(texts))]

    def _said(self, folder: Path) -> list[str]:
        if self.version >= VERIFIES:
            return self._run("verify", "--no-style", "--resolve-names=never", str(folder)).stderr.split("\n")
        inside = f'mount -t tmpfs none /etc/udev && mkdir /etc/udev/rules.d && cp {folder}/* /etc/udev/rules.d && exec "$@"'
        around = ("unshare", "--mount", "sh", "-c", inside, "sh")
        done = self._run("test", "--resolve-names=never", "/sys/devices/system/cpu/cpu0", around=around)
        return [line for line in (done.stdout + done.stderr).split("\n") if line.startswith(("/etc/udev/rules.d/", "Failed to read"))]

    def _run(self, *words: str, around: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        program = next(path for path in sorted(self.folder.rglob("udevadm")) if path.is_file() and path.stat().st_size > 1 << 16)
        loader = next(iter(sorted(self.folder.rglob(_LOADER))))
        libraries = ":".join(sorted({str(path.parent) for path in self.folder.rglob("*.so*")}))
        command = [*around, str(loader), "--library-path", libraries, str(program), *words]
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, check=False)


def _answer(said: Sequence[str], start: str) -> Answer:
    found = [match[1] for line in said if start in line for match in [_MESSAGE.search(line)] if match and not _STYLE.match(match[1])]
    if any(_DROPPED.match(message) for message in found):
        return "dropped"
    return "objected to" if found else "taken"


def _files(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """The files of a cpio archive in the kernel's format."""
    position = 0
    while True:
        size, length = (int(archive[position + start : position + start + _FIELD], 16) for start in (54, 94))
        name = archive[position + _HEADER : position + _HEADER + length - 1].decode()
        begin = position + (_HEADER + length + 3 & ~3)
        if name == "TRAILER!!!":
            return
        if size and int(archive[position + 14 : position + 22], 16) & 0o170000 == 0o100000:
            yield name, archive[begin : begin + size]
        position = begin + (size + 3 & ~3)


def differences(udev: Udev) -> list[str]:
    """Where this udev answers otherwise than what is recorded for its version; a sentence each."""
    known = recorded()
    version = str(udev.version)
    found = udev.answers([one["text"] for one in known])
    return [
        f"udev {version} says {answer} of {one['text']!r}, and {one.get(version)} is recorded"
        for one, answer in zip(known, found, strict=True)
        if one.get(version) != answer
    ]


def record(udev: Udev) -> None:
    known = recorded()
    version = str(udev.version)
    for one, answer in zip(known, udev.answers([one["text"] for one in known]), strict=True):
        one[version] = answer
    write(known)


def write(known: Sequence[Mapping[str, str]]) -> None:
    lines = ",\n".join(json.dumps(one) for one in known)
    RECORDED.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    for place in sys.argv[1:]:
        with tempfile.TemporaryDirectory(prefix="udev-") as scratch:
            record(Udev.of(Path(place), Path(scratch)))
