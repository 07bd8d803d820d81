# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import console
import pytest
from observation import STAGES, BootError

CARD, OTHER = "0000:00:02.0", "0000:00:03.0"
FOLDER = "/sys/bus/pci/devices"


def stage(name: str, driver: str | None) -> str:
    link = f"lrwxrwxrwx 1 0 0 0 Nov 22 21:46 {FOLDER}/{CARD}/driver -> ../../../bus/pci/drivers/{driver}\n" if driver else ""
    rest = f"{FOLDER}/{CARD}/modalias:pci:v1\n{FOLDER}/{OTHER}/modalias:pci:v2\n{FOLDER}/{CARD}/driver_override:(null)\n"
    return f"@stage {name} 1.25\n{link}{rest}{FOLDER}/{OTHER}/driver_override:vfio-pci\n"


def report(*missing: str) -> str:
    stages = "".join(stage(name, "igb" if name in ("root", "runtime") else None) for name in STAGES if name not in missing)
    return f"{stages}@modules\nigb 1 0 - Live 0x0\ndca 2 1 igb, Live 0x0\n@end\n"


def test_a_functions_owner_is_known_for_each_stage() -> None:
    seen = console.parse(report()).owners_by_stage
    assert [seen[name][CARD] for name in STAGES] == [None, None, "igb", "igb"]
    assert seen["runtime"][OTHER] is None


def test_an_override_that_is_not_set_is_none() -> None:
    assert console.parse(report()).overrides == {CARD: None, OTHER: "vfio-pci"}


def test_modules_come_in_the_order_of_their_loading() -> None:
    assert console.parse(report()).modules == ("dca", "igb")


@pytest.mark.parametrize("text", [report().replace("@end\n", ""), report("root"), "", f"@unsettled\n{report()}"])
def test_a_guest_that_did_not_report_everything_is_not_an_observation(text: str) -> None:
    with pytest.raises(BootError):
        console.parse(text)
