# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's own driver packages by their names, and what is said of a name that none has."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils.own_package import OWN_PACKAGES, no_package, own_package


def test_a_package_of_the_collection_is_found_by_its_name_alone() -> None:
    assert own_package("vfio-variants") == OWN_PACKAGES / "vfio-variants"
    assert own_package("../kernel/vfio-variants") is None
    assert own_package("vfio-variant") is None
    assert own_package("") is None
    assert no_package("source", "").msg == "source: there is no directory '' on the controller."


@pytest.mark.parametrize(
    ("source", "meant"),
    [("vfio-variant", "vfio-variants"), ("vfio_variants", "vfio-variants"), ("tmplate", "template"), ("/srv/gpu", None)],
)
def test_a_name_that_is_near_to_one_of_them_is_told(source: str, meant: str | None) -> None:
    error = no_package("source", source)
    assert error.msg == f"source: there is no directory {source} on the controller."
    assert str(error.hint).startswith(f"Did you mean {meant}? Give one of" if meant else "Give one of the collection's packages")
