# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which modules contend for a device, and what makes each one."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.contenders import (
    GENERIC,
    NATIVE,
    STUB,
    VARIANT,
    Contender,
    contenders,
    kind_of,
)
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, kernel, modprobe_config
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, NVIDIA_DISPLAY, V100_VARIANT, modalias

CARD = modalias("10de:1db1")
FILES = f"/lib/modules/{DEBIAN_13}"
SITE = "/etc/modprobe.d/site.conf"


def found(modprobe: str = "", **given: object) -> list[tuple[str, str, str]]:
    return [(one.module, one.kind, one.source) for one in contenders(CARD, kernel(**given), modprobe_config(modprobe))]  # type: ignore[arg-type]


def test_natives_come_first_and_the_best_variant_before_the_catch_all() -> None:
    assert found(modules={**STOCK, "variant": [V100_VARIANT]}) == [
        ("nouveau", NATIVE, f"{FILES}/modules.alias"),
        ("variant", VARIANT, f"{FILES}/modules.alias"),
        ("vfio_pci", GENERIC, f"{FILES}/modules.alias"),
    ]


def test_an_alias_line_that_matches_the_device_takes_the_place_of_all_natives() -> None:
    assert found(f"alias {CARD} e1000e\nalias pci:v000010DE* other\nalias pci:v0000* e1000e\n")[:3] == [
        ("e1000e", NATIVE, f"{SITE}:1"),
        ("other", NATIVE, f"{SITE}:2"),
        ("vfio_pci", GENERIC, f"{FILES}/modules.alias"),
    ]


def test_an_alias_line_for_other_devices_changes_nothing() -> None:
    assert found("alias pci:v00008086* e1000e\nalias nouveau other\n") == found()


def test_what_is_built_in_or_blacklisted_is_told_to_be_so() -> None:
    known = kernel({"vfio_pci": STOCK["vfio_pci"]}, {"nouveau": [NVIDIA_DISPLAY]})
    config = modprobe_config("blacklist nouveau\nblacklist other\nblacklist nouveau\n")
    native, variant = contenders(CARD, known, config)
    assert native == Contender("nouveau", NATIVE, NVIDIA_DISPLAY, f"{FILES}/modules.builtin.modinfo", True, (f"{SITE}:1", f"{SITE}:3"))
    assert (variant.module, variant.built_in, variant.blacklisted_by) == ("vfio_pci", False, ())


@pytest.mark.parametrize(
    ("module", "kind"), [("vfio_pci", GENERIC), ("mine", VARIANT), ("nouveau", NATIVE), ("pci_stub", STUB), ("not_installed", NATIVE)]
)
def test_vfio_pci_is_not_a_variant(module: str, kind: str) -> None:
    assert kind_of(module, kernel({**STOCK, "mine": [V100_VARIANT]})) == kind
