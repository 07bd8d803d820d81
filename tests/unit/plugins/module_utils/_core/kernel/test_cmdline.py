# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel command line, as the kernel and kmod read it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import LINE_SIZES, Cmdline, cut_off
from ansible_collections.vfio.variants.tests.unit.trees import Tree


def test_the_running_kernels_arguments_are_read_and_an_image_has_none(tmp_path: Path) -> None:
    assert Cmdline.read(Tree(tmp_path).host()).arguments == ()
    assert Cmdline.read(Tree(tmp_path).cmdline("ro quiet").host()).arguments == ("ro", "quiet")


def test_a_name_has_all_its_values_whatever_its_dashes() -> None:
    line = Cmdline.parse("rd.driver.pre=a console=ttyS0 rd.driver.pre=b intel_iommu=on intel-iommu=off ro")
    assert line.values("rd.driver.pre") == ("a", "b")
    assert line.values("intel_iommu") == ("on", "off")
    assert line.values("ro") == ()


def test_quotes_keep_blanks_together() -> None:
    line = Cmdline.parse('dyndbg="file a.c +p; file b.c" "x.y=p q" z')
    assert line.values("dyndbg") == ("file a.c +p; file b.c",)
    assert line.module_options == (("x", 'y="p q"'),)
    assert line.arguments[-1] == "z"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=b", "b"),
        ("'a=b c'", "b c"),
        ('"a=b c"', "b c"),
        ("a='b c'", "b c"),
        ("a=x'y z'\"w\"", "xy zw"),
        ("""a='"b" c'""", '"b" c'),
        ("a=\\x41", "\\x41"),
        ("a='b", "b"),
        ("'a'=b", "b"),
    ],
)
def test_systemd_takes_quotes_of_both_kinds_away(text: str, value: str) -> None:
    """extract_first_word() with EXTRACT_UNQUOTE, EXTRACT_RELAX and EXTRACT_RETAIN_ESCAPE."""
    assert Cmdline.parse(f"quiet {text}").values_for_systemd("a") == (value,)


def test_a_modules_options_go_by_its_normalized_name() -> None:
    line = Cmdline.parse("vfio-pci.ids=10de:1db1,10de:1db5 v.flag a.b.c=1 foo=bar.baz")
    assert line.module_options == (("vfio_pci", "ids=10de:1db1,10de:1db5"), ("v", "flag"))


def test_kmod_moves_the_quote_that_grub_puts_before_an_option_and_drops_one_that_does_not_end() -> None:
    line = Cmdline.parse('"a.b=p q" "c.d" "e".f=1 g.h="x y" "i j.k=1" .l=1 m.=1 n.o="p q')
    assert line.module_options == (("a", 'b="p q"'), ("g", 'h="x y"'))


def test_quotes_within_a_value_belong_to_it() -> None:
    line = Cmdline.parse('a="x" "b=y" c=p"q"r d="')
    assert [line.values(name) for name in "abcd"] == [("x",), ("y",), ('p"q"r',), ("",)]


def test_blacklists_add_up_and_refusals_do_not() -> None:
    line = Cmdline.parse("modprobe.blacklist=a,b modprobe.blacklist=c module_blacklist=x,y module_blacklist=z")
    assert line.blacklisted == ("a", "b", "c")
    assert line.refused == ("z",)
    assert Cmdline.parse("").refused == ()


def test_empty_names_in_a_list_are_no_modules() -> None:
    line = Cmdline.parse("modprobe.blacklist=a,,b, module_blacklist=,x,,y,")
    assert line.blacklisted == ("a", "b")
    assert line.refused == ("x", "y")
    assert Cmdline.parse("module_blacklist=x module_blacklist=").refused == ()


def test_a_word_with_nothing_before_or_behind_its_dot_is_not_a_module_s_option() -> None:
    assert Cmdline.parse("a. .b x.=1 .=1 plain a=b.c").module_options == ()


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ("m.o=1", (("m", "o=1"),)),
        ("m-n.o-p", (("m_n", "o-p"),)),
        ('m.o="two words"', (("m", 'o="two words"'),)),
        ('"m.o=two words"', (("m", 'o="two words"'),)),
        ("m.o=a=b.c", (("m", "o=a=b.c"),)),
        ("m.o=", (("m", "o="),)),
    ],
)
def test_an_option_is_passed_on_as_kmod_does(written: str, options: tuple[tuple[str, str], ...]) -> None:
    assert Cmdline.parse(f"quiet {written} ro").module_options == options


def test_a_quote_that_is_not_closed_reaches_to_the_end() -> None:
    assert Cmdline.parse('a="b c d').arguments == ('a="b c d',)
    assert Cmdline.parse('a="" b""c').arguments == ('a=""', 'b""c')


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("nomodule", True),
        ("nomodule=1", True),
        ("nomodule=0", False),
        ("nomodule nomodule=n", False),
        ("nomodule nomodule=maybe", True),
        ("quiet -- nomodule", False),
        ("nomodules", False),
    ],
)
def test_nomodule_forbids_all_modules(text: str, refuses: bool) -> None:
    assert (Cmdline.parse(text).refuses_all is not None) == refuses


def test_words_behind_the_end_are_not_the_kernel_s() -> None:
    cmdline = Cmdline.parse("quiet -- module_blacklist=e1000e nomodeset initcall_blacklist=x vfio-pci.ids=1:2")
    assert (cmdline.refused, cmdline.has_nomodeset, cmdline.refused_functions) == ((), False, ())
    assert cmdline.module_options == (("vfio_pci", "ids=1:2"),)


def test_every_initcall_blacklist_counts() -> None:
    assert Cmdline.parse("initcall_blacklist=a,b quiet initcall-blacklist=c").refused_functions == ("a", "b", "c")


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("sysctl.kernel.modules_disabled=1", True),
        ("sysctl/kernel/modules_disabled=1", True),
        ("sysctl.kernel.modules_disabled=0", False),
        ("x.sysctl.kernel.modules_disabled=1", False),
        ("sysctl.kernel.modules_disabled=1x", False),
        ("sysctl.kernel.modules_disabled=2", False),
        ("-- sysctl.kernel.modules_disabled=1", False),
        ("kernel.modules_disabled=1", False),
    ],
)
def test_a_kernel_setting_among_the_words_forbids_modules(text: str, refuses: bool) -> None:
    assert Cmdline.parse(text).refuses_all == (text if refuses else None)


def test_a_word_of_megabytes_is_read_in_little_memory() -> None:
    code = f"import resource; from {Cmdline.__module__} import Cmdline; before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
    code += " Cmdline.parse('\\0' * 4_000_000); print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, timeout=60, check=True
    )
    assert int(done.stdout) < 64


@pytest.mark.parametrize("machine", LINE_SIZES)
def test_a_line_is_cut_where_the_byte_that_ends_it_has_no_room(machine: str) -> None:
    longest = LINE_SIZES[machine] - 1
    assert cut_off(machine, ["x" * longest]) is None
    assert cut_off(machine, ["x" * (longest - 1), "y"]) == (longest + 1, longest)
    # Bytes count, not characters.
    assert cut_off(machine, ["é" * (longest // 2 + 1)]) == (longest + 1, longest)


def test_how_long_a_line_an_unknown_machine_reads_is_not_guessed() -> None:
    assert cut_off("sparc64", ["x" * 100_000]) is None
