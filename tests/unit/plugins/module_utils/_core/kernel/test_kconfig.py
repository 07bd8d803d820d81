# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a driver's Kconfig says it depends on."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import kconfig
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.kernel_sources import KCONFIG

ON = frozenset(("A", "B"))


def test_an_option_has_what_it_depends_on_selects_and_defaults_to_but_not_what_its_help_says() -> None:
    first, second = kconfig.parse(KCONFIG)
    assert first == kconfig.ConfigOption(
        "ACME_VFIO_PCI", ("ACME_CORE && PCI_IOV",), (("VFIO_PCI_CORE", "y"), ("IOMMUFD_DRIVER", "y")), (), is_tristate=True
    )
    assert second == kconfig.ConfigOption("ACME_VFIO_PCI_LEGACY", ("ACME_VFIO_PCI && ACME_LEGACY",), (), (("y", "y"),))


def test_an_option_depends_on_the_blocks_of_its_file_that_are_open_around_it() -> None:
    entry = "config {}\n\tdepends on D\n\thelp\n\t  if nothing else\n\n"
    text = f"if A\nif B && \\\n\tC # both\n{entry.format('X')}endif\n{entry.format('Y')}endif # A\nendif\n{entry.format('Z')}"
    assert [one.depends for one in kconfig.parse(text)] == [("A", "B &&  \tC", "D"), ("A", "D"), ("D",)]


def test_a_line_may_go_on_in_the_next_and_have_a_comment_or_a_condition() -> None:
    (entry,) = kconfig.parse("config X\n\ttristate\n\tdepends on A && \\\n\t\tB # why\n\tselect C if B\n\tdefault y if A\n")
    assert [kconfig.holds(one, ON) for one in entry.depends] == [True]
    assert (entry.selects, entry.is_on_by_default(ON), entry.is_on_by_default(frozenset("B"))) == ((("C", "B"),), True, False)


@pytest.mark.parametrize(
    ("lines", "is_on"),
    [
        ("default y", True),
        ("default m", True),
        ("default n", False),
        ("default A", True),
        ("default C", False),
        ("default A && C", False),
        ("default y if C", False),
        ("default n if A\n\tdefault y", False),
        ("default n if C\n\tdefault y", True),
        ("def_bool y", True),
        ("def_bool A && !C", True),
        ("def_bool C", False),
        ("def_tristate A", True),
        ("default y\n\tdepends on C", False),
        ("depends on A", False),
    ],
)
def test_an_option_is_on_by_the_first_default_whose_condition_holds(lines: str, is_on: bool) -> None:
    (entry,) = kconfig.parse(f"config X\n\tbool\n\t{lines}\n")
    assert entry.is_on_by_default(ON) == is_on


@pytest.mark.parametrize(
    ("expression", "met"),
    [
        ("M", True),
        ("M=y", False),
        ("M = m", True),
        ("M != m", False),
        ("M!=n", True),
        ("A=m", False),
        ("A=y && M=m", True),
        ("!M", True),
        ("!A", False),
        ("A = M", False),
        ("M=y || !M", True),
        ("C || C=n", True),
        ("C=y || C=m", False),
        ("C if A", False),
        ("C if M=y", True),
        ("A if C", True),
        ("m", True),
    ],
)
def test_an_option_that_is_a_module_is_another_thing_than_one_that_is_built_in(expression: str, met: bool) -> None:
    assert kconfig.holds(expression, kconfig.enabled("CONFIG_A=y\nCONFIG_M=m\n# CONFIG_C is not set\n")) == met


@pytest.mark.parametrize(
    ("expression", "met"),
    [
        ("A", True),
        ("C", False),
        ("!C", True),
        ("A && C", False),
        ("C || A", True),
        ("C || A && C", False),
        ("A || C && C", True),
        ("(C || A) && B", True),
        ("!(A && B) || C", False),
        ("C || (A && !C)", True),
        ("C = n", True),
        ("C != n", False),
        ("A = y || C", True),
        ("A!=n", True),
        ("m", True),
        ("n", False),
    ],
)
def test_an_expression_holds_as_kconfig_reads_it(expression: str, met: bool) -> None:
    assert kconfig.holds(expression, ON) == met


@pytest.mark.parametrize("expression", ["A &&", "(A", "A < 3", "A $(x)", "", "!" * 500 + "A", "(" * 500 + "A" + ")" * 500, "A B"])
def test_what_cannot_be_read_counts_as_met_so_that_the_build_decides(expression: str) -> None:
    assert kconfig.holds(expression, frozenset())


def test_the_options_of_an_expression_are_named_once_and_in_its_order() -> None:
    assert kconfig.named("A1 || (C_2 && A1) && B=y") == ("A1", "C_2", "B")


def test_options_that_are_built_in_or_modules_are_on() -> None:
    assert kconfig.enabled('CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D=n\nCONFIG_E="y"\nCONFIG_F=3\n') == {"A", "B", "B=m"}
