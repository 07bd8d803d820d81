# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of which a program writes a part: what stands between two marks."""

from __future__ import annotations

from pathlib import Path


def parted(text: str, begin: str, end: str) -> tuple[str, str, str]:
    """What stands before, between and after two marks.  Raises ValueError, naming the marks, without them."""
    before, found_begin, rest = text.partition(begin)
    between, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"There is no place between {begin} and {end}.")
    return before, between, after


def replaced(text: str, begin: str, end: str, new: str) -> str:
    """The text with ``new`` between its marks, in lines of its own."""
    before, _old, after = parted(text, begin, end)
    return f"{before}{begin}\n{new}\n{end}{after}"


def rewrite(page: Path, begin: str, end: str, new: str) -> None:
    """Replace what stands between the marks of a page, whole or not at all.  Raises ValueError, naming the page, without them."""
    try:
        text = replaced(page.read_text(encoding="utf-8"), begin, end, new)
    except ValueError as error:
        raise ValueError(f"{page}: {error}") from error
    draft = page.with_name(f"{page.name}.new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(page)
