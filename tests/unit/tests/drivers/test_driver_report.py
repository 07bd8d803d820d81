# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.tests.drivers import driver_report

CASES = ["10-first", "20-second"]
WHOLE = """@case 10-first 3.14
1..2
ok - a device is bound
# a remark
ok - and works
@case 20-second 5.56
1..1
ok - it is unbound
@log
[    1.000000] example_vfio_pci 0000:01:00.0: probe with driver example_vfio_pci failed with error -12
@end
"""


def failures(text: str) -> list[str]:
    return driver_report.parse(text).failures(CASES)


def test_what_holds_is_counted() -> None:
    assert driver_report.parse(WHOLE).passed == 3
    assert failures(WHOLE) == []


def test_a_check_that_failed_is_named_with_its_case() -> None:
    assert failures(WHOLE.replace("ok - and works", "not ok - and works")) == ["10-first: and works"]


def test_a_check_that_was_left_out_is_missed() -> None:
    assert failures(WHOLE.replace("ok - and works\n", "")) == ["10-first: 1 checks were made, and 2 planned"]


def test_a_case_without_a_plan_does_not_count() -> None:
    assert failures(WHOLE.replace("1..1\n", "")) == ["20-second: it has no plan"]


def test_a_case_that_was_not_run_is_missed() -> None:
    text = WHOLE.replace("@case 20-second 5.56\n1..1\nok - it is unbound\n", "")
    assert failures(text) == ["the cases were ['10-first'], and not ['10-first', '20-second']"]


def test_a_guest_that_stopped_half_way_is_a_failure() -> None:
    assert failures(WHOLE.replace("@end\n", "")) == ["the guest did not come to its end"]
    assert "the guest did not come to its end" in failures("")


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: CPU: 0 PID: 1 at drivers/vfio/vfio_main.c:1 vfio_device_put+0x0/0x0",
        "BUG: unable to handle page fault for address: 0000000000001000",
        "BUG: sleeping function called from invalid context at mm/slab.h:1",
        "Oops: general protection fault, probably for non-canonical address",
        "refcount_t: underflow; use-after-free.",
        "WARNING: possible circular locking dependency detected",
        "INFO: task sh:99 blocked for more than 120 seconds.",
        "DMAR: [DMA Write NO_PASID] Request device [00:0b.0] fault addr 0x0",
        "x86/PAT: client:99 freeing invalid memtype [mem 0x10000000-0x10000fff]",
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
    ],
)
def test_a_kernel_that_complains_is_a_failure(line: str) -> None:
    assert failures(WHOLE.replace("@end", f"[    9.000000] {line}\n@end")) == [f"kernel log: [    9.000000] {line}"]
