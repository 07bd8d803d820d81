# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of the shell that only print, search for, or log what they are given, as far as nothing reads that again."""

from __future__ import annotations

import re
import typing as t

LONGEST_LINE = 2000
"""Characters of a line in which such text is looked for, which takes the square of its length."""
_READ_AGAIN = re.compile(
    r"\beval\b|<\(|-\w*c\s+[\"']?(?:\$\(|`)|\bexec\s+(?:\d|\{\w+\})?>|(?:^|[;\s])(?:\}|\)|done|fi|esac)\s*(?:\d?>|\|)|\bcoproc\b"
    r"|\|\s*(?:sudo\s+)?(?:/\S*/)?(?:\w*sh|at|batch|xargs|parallel|python[\d.]*|perl|ssh|tee|dd|nc|socat|while|sponge)\b|\bscript\s+-"
)
_NAMES = r"echo|printf(?!\s+-v)|logger|wall|grep|egrep|fgrep|pgrep|:"
_TEXT = r"(?:\"(?:[^\"\\$`]|\\.|\$(?!\())*\"|'[^']*'|[^;&|<>\"'`$(){}\\]|\\.|\$(?!\()|[{}](?=\S))*"
TO = r"&\d|[\"']?/dev/(?:null|kmsg|console|stderr|stdout|tty\d*)[\"']?|[\"']?/var/log/[\w./-]+[\"']?"
_SAFE = rf"(?:\s*\d?>>?\s*(?:{TO}))*\s*(?:\|\s*(?:logger|systemd-cat|mailx?|sendmail|msmtp|wall)\b[^;|&<>]*)?"
_PRINTS = re.compile(
    rf"((?:^|[;&|{{!)]|(?<!\$)\(|\b(?:then|do|else|if|elif|while|until)\s)\s*(?:sudo\s+)?(?:{_NAMES})(?=\s))({_TEXT})({_SAFE})(?=$|[;&)}}]|\|\|)"
)


def without_printing(texts: t.Sequence[str]) -> t.Sequence[str]:
    """Logical lines of the shell without what they print or log, as far as nothing reads it again."""
    if is_read_again("\n".join(texts)):
        return texts
    return [without_text(text) for text in texts]


def without_text(text: str) -> str:
    """A line without what its commands only print."""
    return _PRINTS.sub(r"\1 \3", text) if len(text) <= LONGEST_LINE else text


def is_read_again(whole: str) -> bool:
    """Whether what a script prints may be read by something that it runs."""
    return _READ_AGAIN.search(whole) is not None or _is_captured(whole)


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
