# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time limits of the modules whose work is done on the controller."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.action import test_image, test_vm
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.time_limit import LONGEST_LIMIT

ACTIONS = [test_image.ActionModule, test_vm.ActionModule]


@pytest.mark.parametrize("seconds", [0, -1, LONGEST_LIMIT + 1, 10**400])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_limit_that_is_none_is_refused_before_anything_is_done(action: t.Any, seconds: int) -> None:
    with pytest.raises(HostError, match=r"^timeout: .* Allowed are whole seconds, 1 to 86400 \(a day\)\.$"):
        action.work(action.__new__(action), {"timeout": seconds}, False)
