# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration of gcc's as clang's, in both forms that headers have it in."""

from __future__ import annotations

import clang_headers
import pytest
from imitation import ImitationError

VALUES = {"CC_VERSION_TEXT": "Debian clang version 19.1.7", "GCC_VERSION": "0", "CLANG_VERSION": "190107", "CC_OPT_INLINE_MEMSET": ""}
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
    assert clang_headers.changed(MAKE, VALUES).splitlines() == [
        "CONFIG_CC_IS_CLANG=y",
        "CONFIG_CC_VERSION_TEXT=Debian clang version 19.1.7",
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
    assert clang_headers.changed(C, VALUES).splitlines() == [
        "#define CONFIG_CC_IS_CLANG 1",
        '#define CONFIG_CC_VERSION_TEXT "Debian clang version 19.1.7"',
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
        clang_headers.changed(MAKE.replace(lacking, ""), VALUES)
