# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.initcalls import (
    OF_NO_DRIVER,
    functions_of,
    of_built_in,
    unexplained,
)

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


@pytest.mark.parametrize("end", ["0", "1", "2", "3", "4", "5", "6", "7", "0s", "7s", "early", "rootfs", "con"])
def test_what_follows_a_functions_name_is_the_level_at_which_it_is_called(end: str) -> None:
    """__define_initcall() in include/linux/init.h."""
    symbol = f"ffffffff835cd15c d __initcall__kmod_pcie_x__547_359_some_init{end}"
    assert functions_of(f"{symbol}\n") == functions_of(symbol) == {"pcie_x": {"some_init"}}


def test_other_symbols_are_no_functions_that_start_anything() -> None:
    assert functions_of("ffffffff81000000 d __initcall__kmod_a__5_f_x_init6\n") == {}
    assert functions_of("ffffffff81000000 d __initcall__kmod_a__5_3_x_init\n") == {}
    assert functions_of("ffffffff81000000 d __initcall__kmod_a__5_3_x_init6 [a]\n") == {}
    assert functions_of("") == {}


@pytest.mark.parametrize(
    "function", ["sysfb_init", "intel_pstate_init", "algif_aead_init", "io_uring_init", "acpi_cpufreq_init", "tegra234_cbb_init"]
)
def test_some_functions_start_no_driver(function: str) -> None:
    assert function in OF_NO_DRIVER
    assert unexplained((function, "x")) == ("x",)
