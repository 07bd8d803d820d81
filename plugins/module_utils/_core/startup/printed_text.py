# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a script of the shell only prints, searches for, or logs: no command, whatever words are in it.

Only where nothing reads it again: a script that makes another one of what it prints is left as it is.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup import here_documents
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.printing_commands import TO, is_read_again, without_text

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import Line

# Where a text is shown and nothing runs it.
_SHOWN = rf"(?:>>?\s*(?:{TO}|/etc/(?:motd|issue)[\w./-]*|/var/www/[\w./-]+)\s*)?"
_HERE = re.compile(
    rf"(.*[;{{&|)]\s*)?\s*(?:cat(?:\s+-)?|:|true|wall|(?:logger|mailx?|sendmail|systemd-cat)\b[^<>|;&`$()]*)\s*{_SHOWN}<<-?\s*([\"']?)\w+\2\s*{_SHOWN};?\s*"
)


def without(lines: t.Sequence[Line]) -> tuple[Line, ...]:
    """The lines without such text; those of other languages as they are."""
    whole = "\n".join(line.text for line in lines if line.in_shell)
    if is_read_again(whole):
        return tuple(lines)
    found: list[Line] = []
    until: here_documents.HereDocument | None = None
    of_file = ""

    @functools.cache
    def ends(shown: str) -> here_documents.TextEnds:
        return here_documents.TextEnds((place, one.text) for place, one in enumerate(lines) if one.shown == shown)

    for place, line in enumerate(lines):
        if until is not None and line.shown == of_file:
            if not until.is_quoted and re.search(r"\$\(|`", line.text):
                found.append(line)
            until = None if until.ends(line.text) else until
            continue
        here = _HERE.fullmatch(line.text) if line.in_shell else None
        documents = () if here is None else here_documents.of(line.text)
        if here is not None and len(documents) == 1 and ends(line.shown).has(documents[0], place):
            until, of_file = documents[0], line.shown
            if here[1]:
                found.append(dataclasses.replace(line, text=without_text(here[1])))
            continue
        text = without_text(line.text) if line.in_shell else line.text
        found.append(line if text == line.text else dataclasses.replace(line, text=text))
    return tuple(found)
