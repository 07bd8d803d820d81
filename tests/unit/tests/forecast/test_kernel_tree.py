# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import struct

import machine
from configuration import Configuration
from kernel import module_name, unsigned
from root_files import grub_menu

MARK = b"~Module signature appended~\n"


def test_a_module_loses_its_signature_and_nothing_else() -> None:
    signature = b"s" * 40
    signed = b"module" + signature + struct.pack(">8xI", len(signature)) + MARK
    assert unsigned(signed) == b"module"
    assert unsigned(b"module") == b"module"


def test_a_modules_name_has_underscores() -> None:
    assert module_name("kernel/drivers/vfio/pci/vfio-pci.ko.xz") == "vfio_pci"


def test_every_function_has_its_own_address_and_an_identity() -> None:
    addresses = [function.address for function in machine.FUNCTIONS]
    assert len(set(addresses)) == len(addresses)
    assert [function.id for function in machine.FUNCTIONS if function.address == machine.PHYSICAL_FUNCTION] == ["8086:10c9"]


def test_the_menu_quotes_what_grub_would_take_apart() -> None:
    configuration = Configuration("quoted", "6.12", cmdline=('module.option="a b;c"',))
    assert "'b;c\"'" in grub_menu(configuration, "6.12.1-amd64")
