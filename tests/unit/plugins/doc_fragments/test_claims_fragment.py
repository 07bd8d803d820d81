# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that hold claims are documented as they are taken."""

from __future__ import annotations

import typing as t

import yaml

from ansible_collections.vfio.variants.plugins.doc_fragments._claims import ModuleDocFragment
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import CLAIM_ARGUMENTS


def test_every_option_is_documented_as_it_is_taken() -> None:
    documented = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert_agree(CLAIM_ARGUMENTS, documented)


def assert_agree(arguments: dict[str, t.Any], documented: dict[str, t.Any]) -> None:
    assert set(arguments) == set(documented)
    for name, argument in arguments.items():
        for key in ("type", "elements", "default", "choices", "required"):
            assert argument.get(key) == documented[name].get(key), (name, key)
        assert_agree(argument.get("options", {}), documented[name].get("suboptions", {}))
