# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations made into others, in both forms that headers have them in."""

from __future__ import annotations

import pytest
from configurations import WITH_64K, by_clang
from imitation import ImitationError

SAID = "Debian clang version 19.1.7 (3)"
MAKE = """\
CONFIG_CC_IS_GCC=y
CONFIG_CC_VERSION_TEXT=x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0
CONFIG_GCC_VERSION=140200
CONFIG_CLANG_VERSION=0
CONFIG_LD_IS_BFD=y
CONFIG_AS_IS_GNU=y
CONFIG_FTRACE_MCOUNT_USE_CC=y
CONFIG_CC_HAS_NAMED_AS=y
CONFIG_CC_HAS_NAMED_AS_LATER=y
CONFIG_CC_OPT_INLINE_MEMSET=-finline-stringops=memset
CONFIG_VFIO=m
"""
C = """\
#define CONFIG_CC_IS_GCC 1
#define CONFIG_CC_VERSION_TEXT "x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0"
#define CONFIG_GCC_VERSION 140200
#define CONFIG_CLANG_VERSION 0
#define CONFIG_LD_IS_BFD 1
#define CONFIG_AS_IS_GNU 1
#define CONFIG_FTRACE_MCOUNT_USE_CC 1
#define CONFIG_CC_HAS_NAMED_AS 1
#define CONFIG_VFIO_MODULE 1
"""


def test_the_configuration_that_make_reads() -> None:
    assert by_clang(SAID).made(MAKE).splitlines() == [
        "CONFIG_CC_IS_CLANG=y",
        "CONFIG_CC_VERSION_TEXT=Debian clang version 19.1.7 (3)",
        "CONFIG_GCC_VERSION=0",
        "CONFIG_CLANG_VERSION=190107",
        "CONFIG_LD_IS_LLD=y",
        "CONFIG_AS_IS_LLVM=y",
        "CONFIG_FTRACE_MCOUNT_USE_OBJTOOL=y",
        "CONFIG_CC_HAS_NAMED_AS_LATER=y",
        "CONFIG_CC_OPT_INLINE_MEMSET=",
        "CONFIG_VFIO=m",
    ]


def test_the_configuration_that_the_compiler_reads() -> None:
    assert by_clang(SAID).made(C).splitlines() == [
        "#define CONFIG_CC_IS_CLANG 1",
        '#define CONFIG_CC_VERSION_TEXT "Debian clang version 19.1.7 (3)"',
        "#define CONFIG_GCC_VERSION 0",
        "#define CONFIG_CLANG_VERSION 190107",
        "#define CONFIG_LD_IS_LLD 1",
        "#define CONFIG_AS_IS_LLVM 1",
        "#define CONFIG_FTRACE_MCOUNT_USE_OBJTOOL 1",
        "#define CONFIG_VFIO_MODULE 1",
    ]


@pytest.mark.parametrize("lacking", ["CONFIG_CC_IS_GCC=y\n", "CONFIG_LD_IS_BFD=y\n", "CONFIG_AS_IS_GNU=y\n"])
def test_headers_that_are_not_gccs_are_not_made_clangs(lacking: str) -> None:
    with pytest.raises(ImitationError, match=lacking[:12]):
        by_clang(SAID).made(MAKE.replace(lacking, ""))


def test_a_compiler_that_does_not_say_that_it_is_clang_is_none() -> None:
    with pytest.raises(ImitationError, match=r"clang --version says 'gcc \(Debian\) 14'"):
        by_clang("gcc (Debian) 14")


def test_a_kernel_with_larger_pages_has_fewer_levels_of_tables() -> None:
    text = (
        "CONFIG_ARM64_16K_PAGES=y\nCONFIG_PAGE_SHIFT=14\nCONFIG_PGTABLE_LEVELS=4\nCONFIG_PAGE_SIZE_16KB=y\nCONFIG_HAVE_PAGE_SIZE_16KB=y\n"
    )
    assert WITH_64K.made(text).splitlines() == [
        "CONFIG_ARM64_64K_PAGES=y",
        "CONFIG_PAGE_SHIFT=16",
        "CONFIG_PGTABLE_LEVELS=3",
        "CONFIG_PAGE_SIZE_64KB=y",
        "CONFIG_HAVE_PAGE_SIZE_64KB=y",
    ]
    with pytest.raises(ImitationError, match="CONFIG_ARM64_16K_PAGES 0 times"):
        WITH_64K.made(text.replace("16K", "4K"))
