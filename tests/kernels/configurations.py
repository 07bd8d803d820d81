# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers of a kernel as they would be with another configuration, made from those of one that Debian builds.

What differs is what Kconfig derives from that choice. `clang`: the kernel is built by clang and LLVM's linker, which Kconfig asks what
they can do (scripts/Kconfig.include), and which the headers name. `64k`: an arm64 kernel has pages of 64 KiB (arch/arm64/Kconfig).
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from build_root import BuildRoot
from imitation import ImitationError

CLANG, PAGES_OF_64K = "clang", "64k"
_VERSION = re.compile(r"clang version (\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class Choice:
    """`replaced`: options that are there once, and those in their place. `gone`: others that are off. `values`: of those that have one."""

    replaced: t.Mapping[str, str]
    gone: tuple[str, ...] = ()
    values: t.Mapping[str, str] = field(default_factory=dict)

    def made(self, text: str) -> str:
        """A configuration, in make's form or in C's; ImitationError if it is not the one that this is made from."""
        for old, new in self.replaced.items():
            text, count = re.subn(rf"\bCONFIG_{old}\b", f"CONFIG_{new}", text)
            if count != 1:
                raise ImitationError(f"the configuration has CONFIG_{old} {count} times, not once")
        for name in self.gone:
            text = re.sub(rf"^(?:#define )?CONFIG_{name}[= ].*\n", "", text, flags=re.MULTILINE)
        for name, value in self.values.items():
            text = _with_value(text, name, value)
        return text


def by_clang(said: str) -> Choice:
    """`said`: the first line that the compiler says of itself."""
    found = _VERSION.search(said)
    if found is None:
        raise ImitationError(f"clang --version says {said!r}")
    number = str(int(found[1]) * 10000 + int(found[2]) * 100 + int(found[3]))
    return Choice(
        {
            "CC_IS_GCC": "CC_IS_CLANG",
            "LD_IS_BFD": "LD_IS_LLD",
            "AS_IS_GNU": "AS_IS_LLVM",
            # A program of the kernel's records the calls of ftrace, as clang does not.
            "FTRACE_MCOUNT_USE_CC": "FTRACE_MCOUNT_USE_OBJTOOL",
        },
        # What clang 19 does not have: options of gcc alone, named address spaces, and defects of gcc that are avoided.
        (
            "CC_HAS_MIN_FUNCTION_ALIGNMENT",
            "CC_HAS_NAMED_AS",
            "CC_HAS_NAMED_AS_FIXED_SANITIZERS",
            "CC_NO_ARRAY_BOUNDS",
            "CC_NO_STRINGOP_OVERFLOW",
            "GCC10_NO_ARRAY_BOUNDS",
            "GCC_NO_STRINGOP_OVERFLOW",
            "USE_X86_SEG_SUPPORT",
        ),
        {
            "CC_VERSION_TEXT": said,
            "GCC_VERSION": "0",
            "CLANG_VERSION": number,
            "AS_VERSION": number,
            "LD_VERSION": "0",
            "LLD_VERSION": number,
            "CC_IMPLICIT_FALLTHROUGH": "-Wimplicit-fallthrough",
            "CC_OPT_INLINE_MEMSET": "",
        },
    )


#: From pages of 16 KiB.
WITH_64K = Choice(
    {"ARM64_16K_PAGES": "ARM64_64K_PAGES", "PAGE_SIZE_16KB": "PAGE_SIZE_64KB", "HAVE_PAGE_SIZE_16KB": "HAVE_PAGE_SIZE_64KB"},
    # With such pages, addresses of 52 bits do not take this feature of the processor.
    ("ARM64_LPA2",),
    {
        "PAGE_SHIFT": "16",
        "PGTABLE_LEVELS": "3",
        "ARM64_CONT_PTE_SHIFT": "5",
        "ARM64_CONT_PMD_SHIFT": "5",
        "ARCH_FORCE_MAX_ORDER": "13",
    },
)


def imitate(root: BuildRoot, release: str, configuration: str) -> None:
    """Change the headers of this kernel in the root, whose own clang becomes the kernel's."""
    folder = root.tree / "usr/src" / f"linux-headers-{release}"
    if configuration == CLANG:
        choice = by_clang(root.run("clang", "--version").output.partition("\n")[0])
        # The kernel's own compiler, which a build would take, and the kernel, of which DKMS would ask who has compiled it.
        _remove_lines(folder / ".kernelvariables", r"(?:override )?(?:CC|CCACHE|CROSS_COMPILE)\b.*\n")
        (folder / "vmlinux").unlink(missing_ok=True)
    else:
        choice = WITH_64K
    for path in (folder / "include/config/auto.conf", folder / "include/generated/autoconf.h"):
        path.write_text(choice.made(path.read_text(encoding="utf-8")), encoding="utf-8")


def _with_value(text: str, name: str, value: str) -> str:
    """As values stand there: with quotes or without."""
    pattern = rf'^((?:#define )?CONFIG_{name}[= ])("?).*?"?$'
    return re.sub(pattern, lambda found: f"{found[1]}{found[2]}{value}{found[2]}", text, flags=re.MULTILINE)


def _remove_lines(path: Path, pattern: str) -> None:
    path.write_text(re.sub(rf"^{pattern}", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE), encoding="utf-8")
