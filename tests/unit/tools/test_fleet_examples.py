# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples that are run are those of the guide, each of them once."""

from __future__ import annotations

import pytest
import yaml

from devtool.checkout import Checkout
from devtool.fleet_examples import BASE, GUIDE, PULLED, example

TEXT = "```yaml\none: 1\n```\n\nand\n\n```yaml\ntwo: 2\n```\n```ini\none\n```\n"


def test_an_example_is_the_block_that_has_the_words() -> None:
    assert example(TEXT, "two:") == "two: 2\n"


@pytest.mark.parametrize("words", ["three", ":"])
def test_words_that_no_block_has_or_two_have_name_none(words: str) -> None:
    with pytest.raises(ValueError, match="to unpack"):
        example(TEXT, words)


def test_the_guide_has_both_examples() -> None:
    guide = (Checkout.here().root / GUIDE).read_text(encoding="utf-8")
    assert yaml.safe_load(example(guide, PULLED))[0]["roles"][0]["role"] == "vfio.variants.vfio_host"
    assert yaml.safe_load(example(guide, BASE))["version"] == 3
