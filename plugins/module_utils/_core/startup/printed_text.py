# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a script of the shell only prints, searches for, or logs: no command, whatever words are in it.

Only where nothing reads it again: a script that makes another one of what it prints is left as it is.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import Line

LONGEST_LINE = 2000
"""Characters of a line in which such text is looked for, which takes the square of its length."""
_READ_AGAIN = re.compile(
    r"\beval\b|<\(|-\w*c\s+[\"']?(?:\$\(|`)|\bexec\s+(?:\d|\{\w+\})?>|(?:^|[;\s])(?:\}|\)|done|fi|esac)\s*(?:\d?>|\|)|\bcoproc\b"
    r"|\|\s*(?:sudo\s+)?(?:/\S*/)?(?:\w*sh|at|batch|xargs|parallel|python[\d.]*|perl|ssh|tee|dd|nc|socat|while|sponge)\b|\bscript\s+-"
)
_NAMES = r"echo|printf(?!\s+-v)|logger|wall|grep|egrep|fgrep|pgrep|:"
_TEXT = r"(?:\"(?:[^\"\\$`]|\\.|\$(?!\())*\"|'[^']*'|[^;&|<>\"'`$(){}\\]|\\.|\$(?!\()|[{}](?=\S))*"
_TO = r"&\d|[\"']?/dev/(?:null|kmsg|console|stderr|stdout|tty\d*)[\"']?|[\"']?/var/log/[\w./-]+[\"']?"
_SAFE = rf"(?:\s*\d?>>?\s*(?:{_TO}))*\s*(?:\|\s*(?:logger|systemd-cat|mailx?|sendmail|msmtp|wall)\b[^;|&<>]*)?"
_PRINTS = re.compile(
    rf"((?:^|[;&|{{!)]|(?<!\$)\(|\b(?:then|do|else|if|elif|while|until)\s)\s*(?:sudo\s+)?(?:{_NAMES})(?=\s))({_TEXT})({_SAFE})(?=$|[;&)}}]|\|\|)"
)
# Where a text is shown and nothing runs it.
_SHOWN = rf"(?:>>?\s*(?:{_TO}|/etc/(?:motd|issue)[\w./-]*|/var/www/[\w./-]+)\s*)?"
_HERE = re.compile(
    rf"(?:.*[;{{&|)]\s*)?\s*(?:cat(?:\s+-)?|:|true|wall|(?:logger|mailx?|sendmail|systemd-cat)\b[^<>|;&`$()]*)\s*{_SHOWN}<<-?\s*([\"']?)(\w+)\1\s*{_SHOWN};?\s*"
)


def without(lines: t.Sequence[Line]) -> tuple[Line, ...]:
    """The lines without such text; those of other languages as they are."""
    whole = "\n".join(line.text for line in lines if line.in_shell)
    if _READ_AGAIN.search(whole) is not None or _is_captured(whole):
        return tuple(lines)
    found: list[Line] = []
    until, of_file, expands = "", "", False
    for line in lines:
        if until and line.shown == of_file:
            until = "" if line.text.strip() == until else until
            if expands and re.search(r"\$\(|`", line.text):
                found.append(line)
            continue
        here = _HERE.fullmatch(line.text) if line.in_shell else None
        if here is not None and any(one.shown == line.shown and one.text.strip() == here[2] for one in lines):
            until, of_file, expands = here[2], line.shown, not here[1]
            continue
        text = _PRINTS.sub(r"\1 \3", line.text) if line.in_shell and len(line.text) <= LONGEST_LINE else line.text
        found.append(line if text == line.text else dataclasses.replace(line, text=text))
    return tuple(found)


def without_printing(texts: t.Sequence[str]) -> t.Sequence[str]:
    """Logical lines of the shell without what they print or log, as far as nothing reads it again."""
    whole = "\n".join(texts)
    if _READ_AGAIN.search(whole) is not None or _is_captured(whole):
        return texts
    return [_PRINTS.sub(r"\1 \3", text) if len(text) <= LONGEST_LINE else text for text in texts]


_FUNCTION = re.compile(r"(?:^|[\n;])\s*(?:function\s+)?([\w.:-]+)\s*\(\s*\)|(?:^|[\n;])\s*function\s+([\w.:-]+)")


def _is_captured(whole: str) -> bool:
    """Whether what one of the script's functions prints is given to something else."""
    names = "|".join(re.escape(name) for name in {one or other for one, other in _FUNCTION.findall(whole)})
    if not names:
        return False
    return (
        re.search(rf"(?:\$\(|`)\s*(?:{names})\b|(?:^|[\n;&|({{])\s*(?:{names})\b(?!\s*[(:])[^\n;]*(?:\||>(?!&|\s*/dev/null))", whole)
        is not None
    )
