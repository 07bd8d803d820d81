# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot under the policy: who the kernel offers each card is who was predicted, with certainty."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.access_log import AccessLog

FUNCTIONS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "functions.json"
CLAIMED = ("gpu-claimed", "gpu-other")


@pytest.mark.parametrize("card", ["gpu-host", *CLAIMED])
def test_the_kernel_offers_it_to_the_driver_that_was_predicted(
    offered: dict[str, list[str]], predicted: dict[str, t.Any], at: dict[str, str], card: str
) -> None:
    boot = predicted[at[card]]
    first = offered[card][0] if offered[card] else None
    assert (boot["certainty"], boot["winner"], boot["outcomes"]) == ("certain", first, [first])


@pytest.mark.parametrize("card", CLAIMED)
def test_a_claimed_card_was_offered_to_nobody_else(offered: dict[str, list[str]], owner: t.Callable[[str], str], card: str) -> None:
    assert offered[card] == ["vfio-pci"]
    assert owner(card) == "vfio-pci"


@pytest.mark.parametrize("card", CLAIMED)
def test_no_other_driver_has_touched_it(host: t.Any, card: str) -> None:
    (log,) = [function["log"] for function in json.loads(FUNCTIONS.read_text())[host.backend.host] if function["id"] == card]
    assert not AccessLog.read(log).since_boot().touched_by_driver
