# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The substitutions of rules' values: what systemd's own udev takes for one, and which letters its manual gives them.

tests/forecast/udev_formats.py MANUAL FOLDER …    MANUAL is udev.7.gz of Debian's package udev; a FOLDER as for udev_answers.py
"""

from __future__ import annotations

import gzip
import json
import re
import string
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from udev_answers import Udev

RECORDED = Path(__file__).resolve().parent / "observed" / "udev_formats.json"
#: Words of udev's manual that could be names of substitutions, those that are among them.
CANDIDATES = (
    "action attr const ctrl dev device devlink devname devnode devpath driver env event file group id import kernel label link links major"
    " minor modalias mode name node number option owner parent path program result root rule run seqnum string subsystem symlink sysctl sys"
    " sysfs system tag temp tempnode test type uevent value"
).split()


def taken(udev: Udev) -> tuple[list[str], list[str]]:
    """The names after `$` and the letters after `%` that this udev takes for substitutions, with an attribute or without one."""
    signs = [*(f"${name}" for name in CANDIDATES), *(f"%{letter}" for letter in string.ascii_letters)]
    texts = [f'ENV{{A}}="x{sign}{attribute}."\n' for sign in signs for attribute in ("", "{x}")]
    answers = udev.answers(texts)
    found = [sign for place, sign in enumerate(signs) if "taken" in answers[2 * place : 2 * place + 2]]
    # Of two names that begin alike udev takes the first in its table: `$sysname` is `$sys`.
    return [sign[1:] for sign in found if sign[0] == "$"], [sign[1:] for sign in found if sign[0] == "%"]


def documented(manual: bytes) -> dict[str, str]:
    """The names with their letters, as in `$kernel, %k`."""
    text = re.sub(r"\\f[A-Z]|\\&", "", gzip.decompress(manual).decode())
    return dict(_pairs(text))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for match in re.finditer(r"^\$(\w+)(?:\{\w+\})?, %(\w)", text, re.MULTILINE):
        yield match[1], match[2]


def main() -> None:
    recorded: dict[str, object] = {"documented": documented(Path(sys.argv[1]).read_bytes())}
    for place in sys.argv[2:]:
        with tempfile.TemporaryDirectory(prefix="udev-") as scratch:
            udev = Udev.of(Path(place), Path(scratch))
            recorded[str(udev.version)] = taken(udev)
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
