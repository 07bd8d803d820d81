# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names are put in order as sort does it."""

from __future__ import annotations

import functools
import random
import subprocess

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.sort_order import sort_compare


def test_the_order_of_sort_is_that_of_the_program() -> None:
    alphabet, draw = "ab~-.19_/0", random.Random(9)  # noqa: S311 - the same names each time
    for _round in range(40):
        drawn = ("".join(draw.choices(alphabet, k=draw.randint(1, 6))) + draw.choice(["", ".conf"]) for _name in range(8))
        names = sorted({f"/etc/{name}" for name in drawn})
        ordered = subprocess.run(["sort", "-V"], input="\n".join(names), env={"LC_ALL": "C"}, capture_output=True, text=True, check=True)
        assert sorted(names, key=functools.cmp_to_key(sort_compare)) == ordered.stdout.split()
