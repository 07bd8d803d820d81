# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program EFI firmware starts at the next boot: BootNext, else the first boot option of BootOrder that can be started.

(UEFI specification, sections 3.1 and 10.3)
"""

from __future__ import annotations

import dataclasses
import struct
import typing as t
import uuid

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import efi_variables

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

ACTIVE = 1
# Type and subtype of a node: media; MAC, IPv4, IPv6, URI among the messaging ones.
HARD_DRIVE, FILE_PATH = (4, 1), (4, 4)
NETWORK = frozenset(((3, 11), (3, 12), (3, 13), (3, 24)))
END = 0x7F
GUID_TYPE = 2
MOST_NODES = 64
OF_FIRMWARE = uuid.UUID("8108ac4e-9f11-4d59-850e-e21a522c59b2").bytes_le
"""The data of options that EDK2 makes by itself, which it gives to no program (mBmAutoCreateBootOptionGuid)."""
FALLBACK = "/EFI/BOOT/BOOTX64.EFI"
"""What an option that names only a disk starts, on x86."""


@dataclasses.dataclass(frozen=True)
class BootOption:
    """A `Boot####` variable.  ``file`` is the program's path on its partition; empty if the option names none.

    ``arguments`` is the text that the program is given; empty if it is given none, or other data.
    """

    name: str
    is_active: bool
    title: str
    is_on_disk: bool
    is_network: bool
    file: str
    arguments: str
    partition: str = ""
    """The GUID of the GPT partition that the file is on; empty if the option names none."""
    has_other_data: bool = False
    """Whether the program is given data that is not text as a program reads it."""

    def __str__(self) -> str:
        return f"{self.name} ({self.title})" if self.title else self.name


@dataclasses.dataclass(frozen=True)
class ChosenOption:
    """The boot option that comes next, and the variable that says so.  ``is_current``: the running system was started by it."""

    option: BootOption
    source: str
    is_current: bool


def parse(name: str, content: bytes) -> BootOption | None:
    """An option from its variable's value (EFI_LOAD_OPTION); None if the value is none."""
    if len(content) < 6:
        return None
    attributes, length = struct.unpack_from("<IH", content)
    end = 6
    while content[end : end + 2] not in (b"\0\0", b"", b"\0"):
        end += 2
    title = content[6:end].decode("utf-16-le", "replace")
    nodes, data = content[end + 2 : end + 2 + length], content[end + 2 + length :]
    if len(nodes) < length:
        return None
    arguments = _text(data)
    path = list(_nodes(nodes))
    kinds = {kind for kind, _body in path}
    names = (body.decode("utf-16-le", "replace").partition("\0")[0] for kind, body in path if kind == FILE_PATH)
    return BootOption(
        name=name,
        is_active=bool(attributes & ACTIVE),
        title=title,
        is_on_disk=HARD_DRIVE in kinds,
        is_network=not NETWORK.isdisjoint(kinds),
        file="".join("/" + part.replace("\\", "/").strip("/") for part in names),
        arguments=arguments or "",
        has_other_data=arguments is None and data != OF_FIRMWARE,
        partition=next((found for kind, body in path if kind == HARD_DRIVE for found in (_guid(body),) if found), ""),
    )


def _guid(body: bytes) -> str:
    """Of a hard drive's node: number, start, size, signature, format and the signature's type, which is 2 for a GUID."""
    return str(uuid.UUID(bytes_le=body[20:36])) if len(body) >= 38 and body[37] == GUID_TYPE else ""


def _nodes(path: bytes) -> t.Iterator[tuple[tuple[int, int], bytes]]:
    """Type and content of each node of a device path."""
    at = 0
    for _node in range(MOST_NODES):
        if at + 4 > len(path):
            return
        kind, below, length = struct.unpack_from("<BBH", path, at)
        if kind == END or length < 4:
            return
        yield (kind, below), path[at + 4 : at + length]
        at += length


def _text(data: bytes) -> str | None:
    """The option's data as a kernel reads its arguments: UTF-16, one line; None if that is not text.  (efi_convert_cmdline())"""
    found = data[: len(data) // 2 * 2].decode("utf-16-le", "replace").partition("\0")[0].partition("\n")[0]
    # Text in UTF-8, which looks like words of East Asia then, is what efibootmgr writes without --unicode.
    is_text = found.replace("\t", " ").isprintable() and not (found and found[0] > "\xff")
    return found.strip() if is_text else None


def option(host: Host, number: int) -> BootOption | None:
    name = f"Boot{number:04X}"
    content = efi_variables.value(host, name, efi_variables.GLOBAL)
    return None if content is None else parse(name, content)


def current(host: Host) -> BootOption | None:
    """The option that the running system was started by."""
    numbers = efi_variables.numbers(host, "BootCurrent")
    return option(host, numbers[0]) if numbers else None


def next_choice(host: Host) -> ChosenOption | None:
    """None if the firmware's variables do not tell.

    Options before the current one that name no file on a disk (network, CD, shell) did not start now, and are passed over.
    """
    running = efi_variables.numbers(host, "BootCurrent")[:1]
    once = efi_variables.numbers(host, "BootNext")[:1]
    if once:
        found = option(host, once[0])
        if found is not None:
            return ChosenOption(found, "the EFI variable BootNext", once == running)
    order = efi_variables.numbers(host, "BootOrder")
    is_listed = bool(running) and running[0] in order
    for number in order:
        found = option(host, number)
        if found is None or not found.is_active:
            continue
        if (number,) == running or found.is_on_disk or not is_listed:
            return ChosenOption(found, "the EFI variable BootOrder", (number,) == running)
    return None
