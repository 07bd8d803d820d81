# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All pages of the documentation: what tests of pages go through, so that a new page cannot be left out."""

from __future__ import annotations

import re
import subprocess
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Within a list as well, where a block is indented.
FENCED = re.compile(r"^ *```(?P<language>[^\n`]*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
YAML = ("yaml", "yml")


def pages() -> list[Path]:
    """Every page in Markdown that git knows, tracked or new."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    listing = subprocess.run(argv, cwd=ROOT, capture_output=True, check=True, timeout=60, text=True).stdout
    return [ROOT / name for name in sorted(set(listing.split("\0"))) if name and (ROOT / name).is_file()]


def blocks(text: str) -> list[tuple[str, str]]:
    """The language and the content of each block of code."""
    return [(found["language"].strip(), textwrap.dedent(found["text"])) for found in FENCED.finditer(text)]


def in_yaml(text: str) -> list[str]:
    return [content for language, content in blocks(text) if language in YAML]
