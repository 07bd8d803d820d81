# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs that are kept: where the fuzzer begins, and what it has found, each with the reason why it is there."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("corpus")


@dataclass(frozen=True)
class Input:
    """``why`` is what it is, or what went wrong before it was mended."""

    why: str
    data: bytes


def path_of(target: str) -> Path:
    return FOLDER / f"{target.replace('/', '-').replace(' ', '-')}.json"


def read(target: str) -> tuple[Input, ...]:
    """The inputs of a target; none if it has no file."""
    path = path_of(target)
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return tuple(Input(row["why"], base64.b64decode(row["base64"]) if "base64" in row else row["text"].encode()) for row in rows)


def keep(target: str, why: str, data: bytes) -> None:
    """Add an input, unless it is there."""
    known = read(target)
    if any(one.data == data for one in known):
        return
    rows = ",\n".join(json.dumps(_row(one), ensure_ascii=True) for one in (*known, Input(why, data)))
    path_of(target).write_text(f"[\n{rows}\n]\n", encoding="utf-8")


def _row(one: Input) -> dict[str, str]:
    try:
        return {"why": one.why, "text": one.data.decode()}
    except UnicodeDecodeError:
        return {"why": one.why, "base64": base64.b64encode(one.data).decode()}
