# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time limits that are refused, and the sentence that says why; the same for each module with such an option."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, shown
from ansible_collections.vfio.variants.plugins.module_utils._core.host.time_limit import LONGEST_LIMIT, checked_timeout
from ansible_collections.vfio.variants.plugins.modules import device_claim, dkms_package, initramfs
from ansible_collections.vfio.variants.tests.unit.module_calls import options_of

ALLOWED = f"Allowed are whole seconds, 1 to {LONGEST_LIMIT} (a day)."
MODULES = [(device_claim, {"devices": "10de:1db1"}), (initramfs, {}), (dkms_package, {"source": "gpu"})]
REFUSED: list[tuple[t.Any, str]] = [
    (0, "timeout: 0 is too short."),
    (-1, "timeout: -1 is too short."),
    (-(10**400), "timeout: a negative number is too short."),
    (LONGEST_LIMIT + 1, f"timeout: {LONGEST_LIMIT + 1} is too long."),
    (10**400, "timeout: the number is too long."),
]


@pytest.mark.parametrize("seconds", [1, 60, LONGEST_LIMIT])
def test_a_limit_of_up_to_a_day_is_taken(seconds: int) -> None:
    assert checked_timeout(seconds) == seconds


@pytest.mark.parametrize(("seconds", "sentence"), REFUSED)
@pytest.mark.parametrize(("module", "least"), MODULES)
def test_every_module_refuses_other_limits(module: t.Any, least: dict[str, t.Any], seconds: int, sentence: str) -> None:
    with pytest.raises(HostError) as caught:
        module.request(options_of(module.ARGUMENTS, **least, timeout=seconds))
    assert str(caught.value) == f"{sentence} {ALLOWED}"


@pytest.mark.parametrize("value", ["soon", 1.5, float("inf"), float("nan"), True, None, [60]])
def test_what_is_not_a_whole_number_is_refused(value: object) -> None:
    with pytest.raises(HostError) as caught:
        checked_timeout(value, "vfio_host_timeout")
    assert str(caught.value) == f"vfio_host_timeout: {shown(value)} is not a number of seconds. {ALLOWED}"
