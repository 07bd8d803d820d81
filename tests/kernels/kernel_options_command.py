# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the kernels' options: of Debian's, asked now, and of other distributions' kernels, as they are known."""

from __future__ import annotations

import argparse
import typing as t

import kernel_offers
import kernel_options
import other_kernels
from kernel_options import Configured
from matrix import say
from own_variants import PAGE

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import ArchiveUnavailableError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.tests import marked_page

_HEAD = ("suite", "package", "architecture", "kernels", "nodes of devices", "variants in the kernel")
_MARKS = "<!-- options of kernels: written by tests/kernels/options --table -->", "<!-- end of options of kernels -->"
OTHERS = "<!-- options of other kernels: written by tests/kernels/options --table -->", "<!-- end of options of other kernels -->"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests/kernels/options", description="Print the options of kernels that matter to VFIO.")
    parser.add_argument("--table", action="store_true", help=f"write them into docs/{PAGE.name} too")
    words = ("DISTRIBUTION", "KERNEL", "ARCHITECTURE", "ADDRESS", "FILE")
    parser.add_argument("--add", nargs=5, metavar=words, help="a kernel of another distribution, by its configuration; writes no table")
    options = parser.parse_args(arguments)
    if options.add:
        other_kernels.add(options.add)
        return 0
    kernels = list(_of_debian())
    tables = [
        (_MARKS, table(_HEAD, kernel_options.rows(kernels))),
        (OTHERS, table(other_kernels.HEAD, other_kernels.rows(other_kernels.known()))),
    ]
    for marks, text in tables:
        say(text)
        if options.table and kernels:
            marked_page.rewrite(PAGE, *marks, text)
    return 0 if kernels else 1


def table(head: t.Sequence[str], rows: t.Iterable[str]) -> str:
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *rows])


def _of_debian() -> t.Iterator[Configured]:
    for deb in kernel_options.newest(kernel_offers.read(Cache.at(None), say)):
        try:
            yield from kernel_options.configured(deb)
        except ArchiveUnavailableError as error:
            say("\n".join(error.lines()))
