# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments are compared as the kernel reads them, and all others stay as they are written."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.argument_change import ArgumentChange
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline


def wanted(*words: str) -> ArgumentChange:
    return ArgumentChange.parse(words, True)


def unwanted(*words: str) -> ArgumentChange:
    return ArgumentChange.parse(words, False)


@pytest.mark.parametrize(
    ("text", "words", "outcome"),
    [
        ("ro quiet", ["iommu=pt"], "ro quiet iommu=pt"),
        ("", ["iommu=pt"], "iommu=pt"),
        ("ro\n", ["iommu=pt"], "ro iommu=pt\n"),
        ("ro  quiet ", ["iommu=pt"], "ro  quiet  iommu=pt"),
        ("ro -- single", ["iommu=pt"], "ro iommu=pt -- single"),
        ("ro -- iommu=pt", ["iommu=pt"], "ro iommu=pt -- iommu=pt"),
        ("iommu=pt ro", ["iommu=pt"], "iommu=pt ro"),
        ("vfio_pci.ids=10de:1db1", ["vfio-pci.ids=10de:1db1"], "vfio_pci.ids=10de:1db1"),
        ('"dyndbg=file x +p"', ['dyndbg="file x +p"'], '"dyndbg=file x +p"'),
        ('dyndbg="a iommu=pt"', ["iommu=pt"], 'dyndbg="a iommu=pt" iommu=pt'),
        # The last one counts, so a later value undoes an earlier one.
        ("iommu=pt iommu=off", ["iommu=pt"], "iommu=pt iommu=off iommu=pt"),
        ("console=ttyS0 console=tty0", ["console=ttyS0"], "console=ttyS0 console=tty0"),
        ("xiommu=pt", ["iommu=pt"], "xiommu=pt iommu=pt"),
    ],
)
def test_an_argument_is_added_where_the_kernel_does_not_have_it(text: str, words: list[str], outcome: str) -> None:
    change = wanted(*words)

    assert change.edited(text) == outcome
    assert change.holds(Cmdline.parse(outcome))
    assert change.edited(outcome) == outcome


@pytest.mark.parametrize(
    ("text", "words", "outcome"),
    [
        ("ro quiet iommu=pt", ["iommu=pt"], "ro quiet"),
        ("iommu=pt ro", ["iommu=pt"], "ro"),
        ("iommu=pt\n", ["iommu=pt"], "\n"),
        ("iommu=pt\tro", ["iommu=pt"], "ro"),
        (" iommu=pt", ["iommu=pt"], ""),
        ("iommu=pt ro ", ["iommu=pt"], "ro "),
        ("ro  quiet  iommu=pt", ["iommu=pt"], "ro  quiet "),
        ("ro iommu=pt -- iommu=pt", ["iommu=pt"], "ro -- iommu=pt"),
        ("ro iommu=off", ["iommu=pt"], "ro iommu=off"),
        ("ro iommu=off iommu=pt", ["iommu"], "ro"),
        ("vfio_pci.ids=1:2 ro", ["vfio-pci.ids"], "ro"),
        ('ro "dyndbg=file x +p" quiet', ['dyndbg="file x +p"'], "ro quiet"),
        ('dyndbg="a iommu=pt"', ["iommu=pt"], 'dyndbg="a iommu=pt"'),
    ],
)
def test_an_argument_is_taken_away_with_the_blank_before_it(text: str, words: list[str], outcome: str) -> None:
    change = unwanted(*words)

    assert change.edited(text) == outcome
    assert change.holds(Cmdline.parse(outcome))


@pytest.mark.parametrize("text", ["", "ro", "ro  quiet ", "\tro\tquiet", "ro -- single", 'a="b  c"   d', "ro\n", " ro \n"])
def test_what_was_added_can_be_taken_away_without_trace(text: str) -> None:
    words = ("intel_iommu=on", 'dyndbg="file x +p"', "iommu=pt")

    assert unwanted(*words).edited(wanted(*words).edited(text)) == text


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("ro \\\n", "ro  a=1\\\n"),
        ("ro\\\n\\\n", "ro a=1\\\n\\\n"),
        ("\\\n", "a=1\\\n"),
        ("ro \\\nquiet", "ro \\\nquiet a=1"),
        ("ro\n", "ro a=1\n"),
    ],
)
def test_in_a_shells_text_an_argument_stands_in_front_of_a_last_line_that_is_continued(text: str, outcome: str) -> None:
    assert wanted("a=1").edited(text, "\\") == outcome
    assert unwanted("a=1").edited(outcome, "\\") == text


def test_quotes_are_escaped_inside_a_quoted_text() -> None:
    assert wanted('dyndbg="file x +p"').edited("ro", "\\") == 'ro dyndbg=\\"file x +p\\"'
    assert unwanted('dyndbg="file x +p"').edited('ro dyndbg=\\"file x +p\\" quiet', "\\") == "ro quiet"


@pytest.mark.parametrize(
    "word",
    [
        "",
        "--",
        "a b",
        'a="b',
        "a;reboot",
        "a$(reboot)",
        "memmap=64K$0x1000",
        "a`b`",
        "a\\b",
        "a'b'",
        "a\nb",
        "ü=1",
        "=1",
        "#a",
        "a{b}",
        "root=/dev/sda",
        "initrd=x",
        "BOOT_IMAGE=x",
    ],
)
def test_what_is_not_one_argument_or_unsafe_is_refused(word: str) -> None:
    with pytest.raises(HostError, match=r"^arguments: "):
        wanted("iommu=pt", word)


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(HostError, match="the list is empty"):
        unwanted()


def test_foreign_arguments_are_the_others_in_their_order() -> None:
    cmdline = Cmdline.parse("b iommu=pt a -- iommu=pt")

    assert wanted("iommu=pt").foreign(cmdline) == ("b", "a", "--", "iommu=pt")


def test_a_name_alone_that_shall_be_there_is_no_other_value_of_it() -> None:
    cmdline = Cmdline.parse("iommu=off iommu")

    assert wanted("iommu").foreign(cmdline) == ("iommu=off",)
    assert unwanted("iommu").foreign(cmdline) == ()
