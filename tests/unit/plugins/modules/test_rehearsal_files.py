# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host's side of a rehearsal refuses before it reads or writes anything."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.modules.rehearsal_files import ARGUMENTS, request

DEFAULTS = {**{name: spec.get("default") for name, spec in ARGUMENTS.items()}, "folder": "/tmp/x"}


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        *(("size_limit", "4", "'4'"), ("size_limit", "0G", "'0G'"), ("size_limit", "1025G", "'1025G'"), ("size_limit", "-1G", "'-1G'")),
        *(("first", -1, "-1"), ("kernels", [], "empty"), ("exclude", ["/opt", "srv/x"], "'srv/x'"), ("exclude", [""], "''")),
    ],
)
def test_a_value_that_cannot_be_used_is_named(option: str, value: object, named: str) -> None:
    with pytest.raises(HostError, match=rf"^{option}: ") as refused:
        request({**DEFAULTS, option: value})
    assert named in str(refused.value)
    assert "Allowed are" in str(refused.value)


def test_the_defaults_can_be_used() -> None:
    assert request({**DEFAULTS, "exclude": ["/srv"]}).exclude == ("/srv",)
    assert request(DEFAULTS).size_limit == 4 << 30
