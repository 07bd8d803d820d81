# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the role's templates: everything that comes from a host is escaped, and a page may run its own script alone."""

from __future__ import annotations

import base64
import hashlib
import time
import typing as t
from pathlib import Path

import jinja2
from markupsafe import Markup

ROLE = Path(__file__).resolve().parents[3] / "roles" / "report"


def render(template: str, **values: t.Any) -> str:
    """The page; its policy allows no request, and no script or style but those of the role."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style, script = (_own(name) for name in ("report.css", "report.js"))
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    return environment.get_template(template).render(style=style, script=script, policy=policy, **values)


def _own(name: str) -> Markup:
    return Markup((ROLE / "files" / name).read_text(encoding="utf-8"))  # noqa: S704 - the role's own file


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def moment(seconds: int) -> str:
    """A time in UTC, as ISO 8601 has it but for the blank."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
