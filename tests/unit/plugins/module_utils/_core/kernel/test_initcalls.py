# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.initcalls import functions_of, of_built_in, unexplained

# From a booted Debian kernel 6.12.
SYMBOLS = """\
ffffffff835cd15c d __initcall__kmod_8250__547_359_serial8250_init6
ffffffff835cd17c d __initcall__kmod_8250_pci__583_6232_serial_pci_driver_init6
ffffffff835cd1ac d __initcall__kmod_quirks__649_290_pci_apply_final_quirks5s
ffffffff835cd474 d __initcall__kmod_8250__554_516_univ8250_console_initcon
ffffffff81000000 T _text
"""


def test_the_running_kernel_tells_its_functions_by_module() -> None:
    assert functions_of(SYMBOLS) == {
        "8250": {"serial8250_init", "univ8250_console_init"},
        "8250_pci": {"serial_pci_driver_init"},
        "quirks": {"pci_apply_final_quirks"},
    }


def test_a_function_is_unexplained_unless_it_is_a_known_one() -> None:
    assert of_built_in("virtio_pci") == frozenset({"virtio_pci_driver_init"})
    assert of_built_in("no_such") is None
    assert unexplained(("sysfb_init", "nvme_init", "mystery_init")) == ("mystery_init",)
