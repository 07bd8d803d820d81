# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import generator
import named
import pytest
from configuration import FLOWS, SERIES

HERE = Path(generator.__file__).parent


@pytest.mark.sampled(3)
def test_a_seed_stands_for_one_configuration_in_every_process() -> None:
    def drawn(hash_seed: str) -> str:
        program = "import generator; print([generator.draw(seed) for seed in range(60)])"
        env = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": hash_seed}
        return subprocess.run(
            [sys.executable, "-c", program], cwd=HERE, env=env, capture_output=True, check=True, text=True, timeout=60
        ).stdout

    assert drawn("1") == drawn("2") != ""


def test_two_seeds_stand_for_two_configurations() -> None:
    drawn = [case.configuration for case in generator.draw_many(0, 200)]
    assert len({repr(configuration) for configuration in drawn}) == 200


def test_every_kernel_and_every_flow_has_its_turn_in_fifty() -> None:
    drawn = [case.configuration for case in generator.draw_many(1, 50)]
    assert {configuration.series for configuration in drawn} == set(SERIES)
    assert {configuration.flow for configuration in drawn} == set(FLOWS)


def test_only_asked_for_kernels_are_drawn() -> None:
    assert {case.configuration.series for case in generator.draw_many(1, 20, ("6.12",))} == {"6.12"}


def test_what_lies_below_run_is_in_no_image() -> None:
    drawn = [case.configuration for case in generator.draw_many(0, 300)]
    assert any(path.startswith("/run/") for configuration in drawn for path in configuration.root_files)
    assert not any(path.startswith("/run/") for configuration in drawn for path in configuration.image_files)


def test_every_directive_is_drawn() -> None:
    drawn = {directive for case in generator.draw_many(0, 2000) for directive in case.directives}
    # Only named cases say nothing at all, are about modules that refuse, or switch policies off; drawn policies do that, too.
    of_named = {directive for case in named.named() for directive in case.directives}
    assert of_named - drawn == {"nothing", "options of any module", "kernel words", "vfio_variants=off"}


def test_corner_cases_have_names_of_their_own() -> None:
    cases = named.named()
    assert len({case.configuration.name for case in cases}) == len(cases)
