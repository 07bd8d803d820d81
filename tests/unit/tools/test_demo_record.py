# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture that opens the README shows what the demo really printed, and so does the README."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from devtool import demo_record
from devtool.demo_record import PICTURE, README, RECORD, TITLE, in_readme, keep, pictured
from devtool.terminal_picture import COLUMNS, picture, rows_of

ROOT = Path(__file__).resolve().parents[3]
SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314 - drawn here


def test_the_picture_is_that_of_the_record() -> None:
    record = (ROOT / RECORD).read_text(encoding="utf-8")
    assert (ROOT / PICTURE).read_text(encoding="utf-8") == picture(TITLE, pictured(record))


def test_every_line_of_the_picture_stands_in_the_record() -> None:
    record = (ROOT / RECORD).read_text(encoding="utf-8").replace("\n", "")
    shown = "".join(texts((ROOT / PICTURE).read_text(encoding="utf-8")))
    assert shown
    assert record.startswith(shown)


def test_the_readme_opens_with_the_picture_and_has_the_record() -> None:
    text = (ROOT / README).read_text(encoding="utf-8")
    assert PICTURE in text.partition("# vfio.variants\n")[2][:300]
    assert in_readme(text)[1] == (ROOT / RECORD).read_text(encoding="utf-8")


def test_the_picture_shows_the_owner_before_and_after() -> None:
    shown = "\n".join(texts((ROOT / PICTURE).read_text(encoding="utf-8")))
    assert shown.index("owned by nouveau") < shown.index("owned by nvlink2gpu_vfio_pci") < shown.index("changed=0")


def test_a_line_that_is_too_long_goes_on_in_the_next_row() -> None:
    rows = rows_of([f"=== {'word ' * 40}", "", "<a> & b"])
    assert [kind for _text, kind in rows] == ["head", "more", "", ""]
    assert max(len(text) for text, _kind in rows) <= COLUMNS
    assert texts(picture("A & B", ["<a> & b", "  two  blanks"])) == ["<a> & b", "  two  blanks"]


def test_a_new_run_replaces_record_picture_and_block(tmp_path: Path) -> None:
    (tmp_path / "docs/images").mkdir(parents=True)
    (tmp_path / README).write_text("# It\n\n```\n=== old\n```\n\nMore.\n", encoding="utf-8")
    keep(tmp_path, ["", "=== before", "owned by x", "", "phase  time", "all  1 s"])
    assert (tmp_path / README).read_text(encoding="utf-8") == "# It\n\n```\n=== before\nowned by x\n\nphase  time\nall  1 s\n```\n\nMore.\n"
    assert texts((tmp_path / PICTURE).read_text(encoding="utf-8")) == ["=== before", "owned by x"]


def test_a_readme_without_a_block_is_named() -> None:
    with pytest.raises(ValueError, match=r"README\.md has no block"):
        demo_record.in_readme("# It\n")
