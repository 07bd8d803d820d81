# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible would convert or look into is checked first, for every option of every module."""

from __future__ import annotations

import importlib
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.usable_options import DICTIONARIES, WHOLE_NUMBERS, refuse_unusable

PLUGINS = "ansible_collections.vfio.variants.plugins.modules"
MODULES = sorted(path.stem for path in (Path(__file__).parents[2] / "plugins/modules").glob("[a-z]*.py"))


def spec_of(name: str) -> dict[str, t.Any]:
    module: t.Any = importlib.import_module(f"{PLUGINS}.{name}")
    return dict(module.ARGUMENTS if hasattr(module, "ARGUMENTS") else module.argument_spec())


def places(spec: dict[str, t.Any], before: str = "") -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    """Every option and option of an option by its place, as `functions[].emulate`."""
    for name, said in spec.items():
        place = f"{before}{name}{'[]' if said.get('type') == 'list' else ''}"
        yield place, said
        yield from places(said.get("options", {}), f"{place}.")


@pytest.mark.parametrize("module", MODULES)
def test_every_option_with_options_of_its_own_is_known(module: str) -> None:
    assert {place for place, said in places(spec_of(module)) if "options" in said} <= set(DICTIONARIES)


@pytest.mark.parametrize("module", MODULES)
def test_every_whole_number_is_known(module: str) -> None:
    assert {place for place, said in places(spec_of(module)) if "int" in (said.get("type"), said.get("elements"))} <= set(WHOLE_NUMBERS)


def test_the_modules_have_such_options() -> None:
    """The tests above would pass without a single one."""
    found = [(place, said) for name in MODULES for place, said in places(spec_of(name))]
    assert len({place for place, said in found if "options" in said}) > 8
    assert {place for place, said in found if said.get("type") == "int"} == {
        "timeout",
        "cpus",
        "request.timeout",
        "request.drivers_timeout",
        "claims[].vfs",
        "request.claims[].vfs",
        "repeat",
        "hold",
        "first",
        "forks",
    }


def test_a_function_is_emulated_as_a_dictionary_says() -> None:
    with pytest.raises(HostError, match=r"functions\[0\]\.emulate: -1 is not a dictionary"):
        refuse_unusable({"functions": [{"id": "a", "emulate": -1}]})
