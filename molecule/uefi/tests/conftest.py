# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What both kinds of boots are asked for."""

from __future__ import annotations

import typing as t

import pytest

READ = "import pathlib; print(pathlib.Path('{}').read_bytes()[4:].decode('utf-16-le').rstrip(chr(0)))"


@pytest.fixture
def variable(host: t.Any) -> t.Callable[[str], str]:
    """The text in one of the variables that systemd's boot loader and stub set; empty if it is not set."""

    def read(name: str) -> str:
        path = f"/sys/firmware/efi/efivars/{name}-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
        return host.check_output("python3 -c %s", READ.format(path)).strip() if host.file(path).exists else ""

    return read
