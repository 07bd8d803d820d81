# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import importlib

import pytest
from mutation import _CORE, Mutation
from mutations import MUTATIONS


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.breaks)
def test_a_mutation_breaks_something_that_exists_and_mends_it_again(mutation: Mutation) -> None:
    module, _colon, path = mutation.place.partition(":")
    owner = importlib.import_module(f"{_CORE}.{module}")
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    right = vars(owner)[name]
    with mutation.applied():
        assert vars(owner)[name] is not right
    assert vars(owner)[name] is right


def test_each_mutation_has_a_name_of_its_own() -> None:
    assert len({mutation.breaks for mutation in MUTATIONS}) == len(MUTATIONS)
