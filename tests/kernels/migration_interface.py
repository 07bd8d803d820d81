# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of live migration a variant can be built with, by kernel: what the headers of each declare."""

from __future__ import annotations

import argparse
import re
import typing as t
from pathlib import Path

from build_root import become_root, build_root
from matrix import RELEASES, say
from target import Target

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.tests import marked_page

PAGE = Path(__file__).resolve().parents[2] / "docs/writing-a-variant.md"
_BEGIN, _END = "<!-- migration: written by tests/kernels/migration --table -->", "<!-- end of migration -->"
_STRUCTURE = re.compile(r"^struct (vfio_migration_ops|vfio_log_ops) \{(.*?)^\};", re.MULTILINE | re.DOTALL)
_MEMBER = re.compile(r"\(\*(\w+)\)")
_CONSTANT = re.compile(r"^#define (VFIO_MIGRATION_\w+|VFIO_DEVICE_FEATURE_(?:MIG|DMA_LOGGING)\w+)\s", re.MULTILINE)


def declared(internal: str, public: str) -> list[str]:
    """The operations of include/linux/vfio.h, and what include/uapi/linux/vfio.h calls modes and features, in their order there."""
    operations = [f"{structure}.{name}" for structure, body in _STRUCTURE.findall(internal) for name in _MEMBER.findall(body)]
    return [*operations, *_CONSTANT.findall(public)]


def rows(kernels: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    """Of the table; `kernels` has what each declares, the oldest first."""
    names = dict.fromkeys(name for found in reversed(list(kernels.values())) for name in found)
    head = [f"| | {' | '.join(kernels)} |", f"|---|{'---|' * len(kernels)}"]
    return head + [f"| `{name}` | {' | '.join('yes' if name in found else 'no' for found in kernels.values())} |" for name in names]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests/kernels/migration", description="Print what of live migration the kernels declare.")
    parser.add_argument("--table", action="store_true", help=f"write it into docs/{PAGE.name} too")
    options = parser.parse_args(arguments)
    become_root()
    cache = Cache.at(None)
    kernels: dict[str, list[str]] = {}
    for release in RELEASES:
        with cache.lock(f"kernels-{release.name}"):
            root = build_root(release, cache, say)
        for kernel in (name for series in release.series for name in root.kernels(series)[-1:]):
            include = Target(kernel).common(root) / "include"
            texts = [(include / place / "linux/vfio.h").read_text(encoding="utf-8") for place in ("", "uapi")]
            kernels[kernel] = declared(*texts)
    table = "\n".join(rows(kernels))
    say(table)
    if options.table and kernels:
        marked_page.rewrite(PAGE, _BEGIN, _END, table)
    return 0 if kernels else 1
