# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sentence about a claim that is not certain to be met."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, RACE, ROOT, UNKNOWN, Certainty, Reason, Winner
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_status import AfterBoot, ClaimStatus
from ansible_collections.vfio.variants.tests.unit.boots import device

OLD, NEW = "6.1", "6.12"
GPU = device("0000:01:00.0")
RULE = Reason("/etc/udev/rules.d/90.rules:1", "driver_override=nouveau")

UNDETERMINED = "Whether 0000:01:00.0 (10de:1db1) will be bound to vfio-pci on kernel 6.12 cannot be determined"


def boot(release: str, *outcomes: str | None, certainty: Certainty = CERTAIN, because: tuple[Reason, ...] = (RULE,)) -> AfterBoot:
    return AfterBoot(release, "vfio-pci", Winner(outcomes[0], certainty, ROOT, because, outcomes))


def sentence(*boots: AfterBoot) -> str | None:
    return ClaimStatus(GPU, None, boots).winner_failure()


def test_a_claim_that_will_certainly_be_met_has_none() -> None:
    assert sentence(boot(OLD, "vfio-pci"), boot(NEW, "vfio-pci")) is None


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (boot(NEW, "nouveau"), f"0000:01:00.0 (10de:1db1) will be bound to nouveau, not vfio-pci, on kernel 6.12 ({RULE})."),
        (boot(NEW, None, because=()), "0000:01:00.0 (10de:1db1) will have no driver, not vfio-pci, on kernel 6.12."),
        (
            boot(NEW, "vfio-pci", "nouveau", certainty=RACE),
            f"0000:01:00.0 (10de:1db1) may, in a race, be bound to nouveau, not vfio-pci, on kernel 6.12 ({RULE}).",
        ),
        (
            boot(NEW, "e1000e", None, certainty=RACE, because=()),
            "0000:01:00.0 (10de:1db1) will, in a race, be bound to e1000e or have no driver, not vfio-pci, on kernel 6.12.",
        ),
        (
            boot(NEW, "vfio-pci", None, "another driver", certainty=UNKNOWN, because=(RULE, Reason("not known", "Nothing is installed."))),
            f"{UNDETERMINED} (possible: vfio-pci or no driver or another driver): Nothing is installed.",
        ),
    ],
)
def test_it_says_what_happens_in_place_of_the_claim(found: AfterBoot, text: str) -> None:
    assert sentence(found) == text


def test_kernels_with_the_same_outcome_share_a_clause_and_others_have_their_own() -> None:
    held = [boot(release, "nouveau", because=(Reason(f"/boot/initrd.img-{release}", "holds nouveau"),)) for release in (OLD, NEW)]
    found = sentence(*held, boot("7.2", "vfio-pci"), boot("7.3", None, because=()))
    assert found == (
        "0000:01:00.0 (10de:1db1) will be bound to nouveau, not vfio-pci, on kernel 6.1 and 6.12 (/boot/initrd.img-6.1: holds nouveau); "
        "it will have no driver, not vfio-pci, on kernel 7.3."
    )


def test_no_more_than_three_reasons_are_named() -> None:
    reasons = tuple(Reason(f"/etc/{number}", "fact") for number in range(4))
    assert sentence(boot(NEW, "nouveau", because=reasons)) == (
        "0000:01:00.0 (10de:1db1) will be bound to nouveau, not vfio-pci, on kernel 6.12 (/etc/0: fact; /etc/1: fact; /etc/2: fact)."
    )


@pytest.mark.parametrize("driver", ["nouveau", None])
def test_a_kernel_that_lacks_the_claimed_module_is_all_there_is_to_say(driver: str | None) -> None:
    because = (RULE, Reason("kernel 6.12", "has no module with a driver vfio-pci"))
    remedy = "Kernel 6.12 has no module with a driver vfio-pci: install or build it for that kernel first."
    found = AfterBoot(NEW, "vfio-pci", Winner(driver, CERTAIN, ROOT, because, (driver,)), remedy)
    instead = "have no driver" if driver is None else f"be bound to {driver}"
    assert sentence(found) == f"0000:01:00.0 (10de:1db1) will {instead}, not vfio-pci, on kernel 6.12. {remedy}"
