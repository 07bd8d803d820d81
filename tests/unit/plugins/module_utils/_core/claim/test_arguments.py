# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that hold claims."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import (
    CLAIM_ARGUMENTS,
    CLAIM_EXCLUSIVE,
    CLAIM_FIELDS,
    claims_of,
    pending_of,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import PendingModule


def test_a_list_of_claims_is_read_in_order() -> None:
    found = claims_of({"claims": [{"devices": "10de:1db1"}, {"devices": "class:02", "driver": "vfio-pci", "allow_missing": True}]})
    assert [(claim.driver, claim.allow_missing, claim.option("devices")) for claim in found] == [
        ("auto", False, "claims[0].devices"),
        ("vfio-pci", True, "claims[1].devices"),
    ]


def test_the_shorthand_is_one_claim_whose_options_stand_alone() -> None:
    (claim,) = claims_of({"devices": "10de:1db1", "driver": None, "expect": "10de:1db1", "allow_missing": None, "claims": None})
    assert (claim.driver, claim.expect, claim.option("driver")) == ("auto", (0x10DE, 0x1DB1), "driver")
    with pytest.raises(HostError, match=r"^devices: 'x'"):
        claims_of({"devices": "x"})


def test_no_claim_is_none_and_a_driver_without_devices_is_refused() -> None:
    assert claims_of({"claims": None, "devices": None, "driver": None}) == ()
    assert claims_of({"claims": []}) == ()
    with pytest.raises(HostError, match="driver: this needs devices"):
        claims_of({"driver": "vfio-pci"})


def test_pending_modules_are_read() -> None:
    more = {"kernels": ["6.1"], "new_for": ["6.1"], "replaces_loaded": True}
    assert pending_of({"pending_modules": [{"name": "a", "aliases": ["vfio_pci:v*"]}, {"name": "b", "aliases": None, **more}]}) == (
        PendingModule("a", ("vfio_pci:v*",)),
        PendingModule("b", kernels=("6.1",), new_for=("6.1",), replaces_loaded=True),
    )
    assert pending_of({}) == ()


def test_each_option_of_the_shorthand_is_taken_and_stands_beside_no_list() -> None:
    (claim,) = claims_of({"devices": "10de:1db1", "driver": "vfio-pci", "expect": "10de:1db1", "allow_missing": True})
    assert (claim.driver, claim.expect, claim.allow_missing) == ("vfio-pci", (0x10DE, 0x1DB1), True)
    assert set(CLAIM_EXCLUSIVE) == {("claims", option) for option in ("devices", "driver", "expect", "allow_missing", "guards", "node")}
    for option, value in (("driver", "vfio-pci"), ("expect", "10de:1db1"), ("allow_missing", False)):
        with pytest.raises(HostError, match=f"^{option}: "):
            claims_of({option: value})


def test_of_a_claim_in_a_list_the_devices_alone_are_needed() -> None:
    assert [name for name, field in CLAIM_FIELDS.items() if field.get("required")] == ["devices"]
    assert [name for name, field in CLAIM_ARGUMENTS.items() if field.get("required")] == []
