# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the table of the kernel's own variants says is what their builds gave."""

from __future__ import annotations

from pathlib import Path

import own_variants
import pytest
from own_variants import Outcome, Results, expected_aliases

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache

KERNEL = "7.3.4+deb13-amd64"


def test_the_aliases_that_a_build_must_have_are_those_of_its_series() -> None:
    assert {len(expected_aliases("nvgrace_gpu", series)) for series in ("6.12", "7.3")} == {2, 5}
    assert expected_aliases("mlx5", "6.12") == {"vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i*"}
    assert expected_aliases("xe", "6.12") == set()


def test_what_has_to_build_depends_on_the_architecture_and_the_series() -> None:
    kinds = [(architecture, series) for architecture in ("amd64", "arm64") for series in ("6.1", "6.12", "7.2", "7.3")]
    assert [own_variants.has_to_build("virtio", *kind) for kind in kinds] == [False, True, True, True, False, False, True, True]
    assert [own_variants.has_to_build("nvgrace_gpu", *kind) for kind in kinds] == [False, True, True, True] * 2
    assert not any(own_variants.has_to_build("xe", *kind) for kind in kinds)


def test_outcomes_of_several_runs_add_up_and_the_last_one_counts(tmp_path: Path) -> None:
    results = Results(Cache(tmp_path))
    (tmp_path / "kernels").mkdir()
    results.add(Outcome(KERNEL, "qat", why="no"))
    results.add(Outcome(KERNEL, "mlx5", 1))
    results.add(Outcome(KERNEL, "qat", 5))
    assert results.all() == [Outcome(KERNEL, "mlx5", 1), Outcome(KERNEL, "qat", 5)]


@pytest.mark.parametrize(
    ("outcome", "cell"),
    [
        (Outcome(KERNEL, "mlx5", 1), "yes"),
        (Outcome(KERNEL, "qat", 5, refusal="…"), "with `ignore_kconfig`"),
        (Outcome(KERNEL, "pds", why="… and the kernel is built without CONFIG_PDS_CORE."), "no: the kernel lacks CONFIG_PDS_CORE"),
        (
            Outcome(KERNEL, "xe", why="the kernel does not export xe_a, xe_b, which the driver uses."),
            "no: the kernel does not export `xe_a`",
        ),
        (Outcome(KERNEL, "ism", why="Linux 6.12.117 has no variant ism; it has mlx5"), "not in this Linux"),
    ],
)
def test_a_cell_says_why_in_a_few_words(outcome: Outcome, cell: str) -> None:
    assert own_variants.buildable(outcome) == cell


def test_a_row_has_what_the_kernel_has_what_was_built_and_what_was_run() -> None:
    mlx5 = Outcome(KERNEL, "mlx5", 1, suite="trixie-backports")
    pds = Outcome("6.12.117+deb13-amd64", "pds", why="… is built without CONFIG_PDS_CORE.", suite="trixie", in_kernel=True)
    assert own_variants.rows([pds, mlx5], {(KERNEL, "mlx5")}) == [
        f"| `mlx5` | {KERNEL} | Debian trixie-backports | no | yes | 1 device | yes |",
        "| `pds` | 6.12.117+deb13-amd64 | Debian trixie | yes | no: the kernel lacks CONFIG_PDS_CORE | no | no |",
    ]


def test_a_variant_has_run_on_a_kernel_until_it_fails_there(tmp_path: Path) -> None:
    results = Results(Cache(tmp_path))
    (tmp_path / "kernels").mkdir()
    results.note_run(KERNEL, ("mlx5", "virtio"), well=True)
    results.note_run("6.12.117+deb13-amd64", ("mlx5",), well=True)
    results.note_run(KERNEL, ("mlx5",), well=False)
    assert results.ran() == {(KERNEL, "virtio"), ("6.12.117+deb13-amd64", "mlx5")}
