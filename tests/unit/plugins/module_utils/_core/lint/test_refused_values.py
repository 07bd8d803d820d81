# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that a module's parameter does not take."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import ParameterType
from ansible_collections.vfio.variants.tests.unit.boots import boot, device
from ansible_collections.vfio.variants.tests.unit.judged import kinds, sentence

TYPES = {"modeset": ParameterType("int"), "atomic": ParameterType("bool"), "config": ParameterType("charp")}


def host(text: str, cmdline: str = "") -> Boot:
    plain = boot(modprobe=text, cmdline=cmdline)
    facts = dataclasses.replace(plain.modules["nouveau"], types=TYPES)
    return dataclasses.replace(plain, modules={**plain.modules, "nouveau": facts})


def test_a_value_that_the_type_refuses_is_named() -> None:
    said = sentence("refused-value", host("options nouveau modeset=off\n"), devices=[device()])
    assert said.startswith("/etc/modprobe.d/site.conf:1: `options nouveau modeset=off` is refused")
    assert "refused-value" in kinds(host("", "nouveau.atomic=maybe"), devices=[device()])


@pytest.mark.parametrize("options", ["modeset=0", "atomic", "atomic=Y", "config=anything", "unheard=of", "async_probe=maybe"])
def test_a_value_that_is_taken_or_that_nothing_is_known_about_is_fine(options: str) -> None:
    assert "refused-value" not in kinds(host(f"options nouveau {options}\n"), devices=[device()])
