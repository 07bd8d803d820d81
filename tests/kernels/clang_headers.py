# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers of a kernel as they would be if clang and LLVM's linker had built it, made from those of one that gcc has built.

What differs is what Kconfig asks the compiler, the assembler and the linker for (scripts/Kconfig.include), and which compiler the
headers name. All else of a configuration is the same.
"""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from build_root import BuildRoot
from imitation import ImitationError

#: Without these the headers are not gcc's. The calls of ftrace are recorded by a program of the kernel's, as clang does not.
_REPLACED = {
    "CC_IS_GCC": "CC_IS_CLANG",
    "LD_IS_BFD": "LD_IS_LLD",
    "AS_IS_GNU": "AS_IS_LLVM",
    "FTRACE_MCOUNT_USE_CC": "FTRACE_MCOUNT_USE_OBJTOOL",
}
#: What clang 19 does not have: options of gcc alone, named address spaces, and defects of gcc that are avoided.
_GONE = (
    "CC_HAS_MIN_FUNCTION_ALIGNMENT",
    "CC_HAS_NAMED_AS",
    "CC_HAS_NAMED_AS_FIXED_SANITIZERS",
    "CC_NO_ARRAY_BOUNDS",
    "CC_NO_STRINGOP_OVERFLOW",
    "GCC10_NO_ARRAY_BOUNDS",
    "GCC_NO_STRINGOP_OVERFLOW",
    "USE_X86_SEG_SUPPORT",
)
_VERSION = re.compile(r"clang version (\d+)\.(\d+)\.(\d+)")


def imitate(root: BuildRoot, release: str) -> None:
    """Change the headers of this kernel in the root, whose clang becomes the kernel's."""
    values = _values(root.run("clang", "--version").output.partition("\n")[0])
    folder = root.tree / "usr/src" / f"linux-headers-{release}"
    for path in (folder / "include/config/auto.conf", folder / ".config", folder / "include/generated/autoconf.h"):
        path.write_text(changed(path.read_text(encoding="utf-8"), values), encoding="utf-8")
    # The kernel's own compiler, which a build would take, and the kernel, of which DKMS would ask who has compiled it.
    _remove_lines(folder / ".kernelvariables", r"(?:override )?(?:CC|CCACHE|CROSS_COMPILE)\b.*\n")
    (folder / "vmlinux").unlink(missing_ok=True)


def _values(said: str) -> dict[str, str]:
    """Options with values that are others, by the first line that the compiler says of itself."""
    found = _VERSION.search(said)
    if found is None:
        raise ImitationError(f"clang --version says {said!r}")
    number = str(int(found[1]) * 10000 + int(found[2]) * 100 + int(found[3]))
    return {
        "CC_VERSION_TEXT": said,
        "GCC_VERSION": "0",
        "CLANG_VERSION": number,
        "AS_VERSION": number,
        "LD_VERSION": "0",
        "LLD_VERSION": number,
        "CC_IMPLICIT_FALLTHROUGH": "-Wimplicit-fallthrough",
        "CC_OPT_INLINE_MEMSET": "",
    }


def changed(text: str, values: t.Mapping[str, str]) -> str:
    """A configuration, in make's form or in C's; ImitationError if it is not gcc's."""
    for old, new in _REPLACED.items():
        text, count = re.subn(rf"\bCONFIG_{old}\b", f"CONFIG_{new}", text)
        if count != 1:
            raise ImitationError(f"the configuration has CONFIG_{old} {count} times, not once")
    for name in _GONE:
        text = re.sub(rf"^(?:#define )?CONFIG_{name}[= ].*\n", "", text, flags=re.MULTILINE)
    for name, value in values.items():
        text = _with_value(text, name, value)
    return text


def _with_value(text: str, name: str, value: str) -> str:
    """As values stand there: with quotes or without."""
    pattern = rf'^((?:#define )?CONFIG_{name}[= ])("?).*?"?$'
    return re.sub(pattern, lambda found: f"{found[1]}{found[2]}{value}{found[2]}", text, flags=re.MULTILINE)


def _remove_lines(path: Path, pattern: str) -> None:
    path.write_text(re.sub(rf"^{pattern}", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE), encoding="utf-8")
