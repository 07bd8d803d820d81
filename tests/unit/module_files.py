# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel module files of a few hundred bytes: an ELF file with a section .modinfo, signed or not."""

from __future__ import annotations

import struct
import typing as t

COMMON_NAME = bytes((0x06, 0x03, 0x55, 0x04, 0x03))
SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")


def module_file(release: str, aliases: t.Sequence[str] = (), *, wide: bool = True, big_endian: bool = False, **fields: str) -> bytes:
    """A module for the kernel of that release, as modpost writes it."""
    entries = [f"vermagic={release} SMP preempt mod_unload modversions ", *(f"alias={alias}" for alias in aliases)]
    entries += [f"{key}={value}" for key, value in fields.items()]
    return elf({".modinfo": "\0".join(entries).encode() + b"\0", ".text": b"\x90"}, wide=wide, big_endian=big_endian)


def elf(sections: t.Mapping[str, bytes], *, wide: bool = True, big_endian: bool = False) -> bytes:
    """A relocatable ELF file with these sections: header, contents, table."""
    order = ">" if big_endian else "<"
    header_size, entry_size = (64, 64) if wide else (52, 40)
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*sections, ".shstrtab"))
    body, table = b"", [(0, 0, 0)]
    for name, content in (*sections.items(), (".shstrtab", names)):
        table.append((names.index(name.encode() + b"\0"), header_size + len(body), len(content)))
        body += content
    word = "Q" if wide else "I"
    identity = b"\x7fELF" + bytes((2 if wide else 1, 2 if big_endian else 1, 1)) + bytes(9)
    header = identity + struct.pack(f"{order}HHI{word}{word}{word}I", 1, 62, 1, 0, 0, header_size + len(body), 0)
    header += struct.pack(f"{order}HHHHHH", header_size, 0, 0, entry_size, len(table), len(table) - 1)
    rows = b"".join(struct.pack(f"{order}II{word}{word}{word}{word}", name, 1, 0, 0, start, size) for name, start, size in table)
    rows = b"".join(
        row.ljust(entry_size, b"\0")
        for row in (rows[i : i + len(rows) // len(table)] for i in range(0, len(rows), len(rows) // len(table)))
    )
    return header + body + rows


def signed(module: bytes, signer: str) -> bytes:
    """The module as scripts/sign-file leaves it: with a PKCS#7 message that names the signer behind it."""
    name = _der(0x30, _der(0x31, _der(0x30, COMMON_NAME + _der(0x0C, signer.encode()))))
    signer_info = _der(0x30, _der(0x02, b"\1") + _der(0x30, name + _der(0x02, b"\x2a")) + _der(0x04, bytes(256)))
    content = _der(0x02, b"\1") + _der(0x31, b"") + _der(0x30, b"") + _der(0x31, signer_info)
    message = _der(0x30, SIGNED_DATA + _der(0xA0, _der(0x30, content)))
    return module + message + struct.pack(">BBBBB3xI", 0, 0, 2, 0, 0, len(message)) + b"~Module signature appended~\n"


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    size = bytes((length,)) if length < 0x80 else bytes((0x82,)) + length.to_bytes(2, "big")
    return bytes((tag,)) + size + content
