# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does what a suggested change says, from its words alone, as a reader would: the files that it leads to, and what else is to be done."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

NEXT = ", then "
COMMAND = re.compile(r" Run `[^`]+`(?:;[^.]*hostonly[^`]*)?\.?$")
"""By which what the last step says is done; what it makes is in the image then."""
REMOVE_LINE = re.compile(r"remove (/\S+?):(\d+) \(.+\)", re.DOTALL)
REMOVE_FILE = re.compile(r"remove (/\S+)")
REMOVE_ARGUMENT = re.compile(r"remove (\S+) from the command line \(.+\)")
REPLACE_ARGUMENT = re.compile(r"replace (\S+) by (\S+) on the command line \(.+\)")
REPLACE_LINE = re.compile(r"replace (/\S+?):(\d+) by `(.+)`")
ADD_LINE = re.compile(r"add `(.+)` to (/\S+)")
REBUILD = re.compile(r"rebuild (/\S+?)(?:: it does not have what the root's files say)?")
CLAIM = re.compile(r"claim (.+) for (\S+) with boot_policy( \(group: ignore\))?")


@dataclass(frozen=True)
class Followed:
    """The files' texts and the command line after the change; ``claims`` are selectors and drivers for boot_policy."""

    files: Mapping[str, str]
    cmdline: tuple[str, ...]
    claims: tuple[tuple[str, str], ...] = ()
    whole_groups: bool = True
    rebuilds: bool = False


def follow(sentence: str, files: Mapping[str, str], cmdline: tuple[str, ...]) -> Followed:
    """Raises ValueError where the words do not say what is to be done, or to what."""
    done = Followed(dict(files), cmdline)
    for step in COMMAND.sub("", sentence).rstrip(".").split(NEXT):
        done = _followed(step[:1].lower() + step[1:], done)
    return done


def _followed(step: str, done: Followed) -> Followed:
    for pattern, act in ACTS.items():
        match = pattern.fullmatch(step)
        if match is not None:
            return act(done, match)
    raise ValueError(f"{step!r} is not understood.")


def _remove_line(done: Followed, match: re.Match[str]) -> Followed:
    return _with_line(done, match[1], int(match[2]), None)


def _replace_line(done: Followed, match: re.Match[str]) -> Followed:
    return _with_line(done, match[1], int(match[2]), match[3])


def _with_line(done: Followed, path: str, number: int, text: str | None) -> Followed:
    """A line goes with its continuations."""
    if path not in done.files:
        raise ValueError(f"There is no {path}.")
    lines = done.files[path].split("\n")
    last = number
    while lines[last - 1].endswith("\\"):
        last += 1
    lines[number - 1 : last] = [] if text is None else [text]
    return replace(done, files={**done.files, path: "\n".join(lines)})


def _remove_file(done: Followed, match: re.Match[str]) -> Followed:
    if match[1] not in done.files:
        raise ValueError(f"There is no {match[1]}.")
    return replace(done, files={path: text for path, text in done.files.items() if path != match[1]})


def _remove_argument(done: Followed, match: re.Match[str]) -> Followed:
    return _with_argument(done, match[1], ())


def _replace_argument(done: Followed, match: re.Match[str]) -> Followed:
    return _with_argument(done, match[1], (match[2],))


def _with_argument(done: Followed, argument: str, written: tuple[str, ...]) -> Followed:
    if argument not in done.cmdline:
        raise ValueError(f"{argument} is not on the command line.")
    changed = tuple(word for one in done.cmdline for word in (written if one == argument else (one,)))
    return replace(done, cmdline=changed)


def _add_line(done: Followed, match: re.Match[str]) -> Followed:
    text = done.files.get(match[2], "")
    before = text if not text or text.endswith("\n") else f"{text}\n"
    return replace(done, files={**done.files, match[2]: f"{before}{match[1]}\n"})


def _rebuild(done: Followed, _match: re.Match[str]) -> Followed:
    return replace(done, rebuilds=True)


def _claim(done: Followed, match: re.Match[str]) -> Followed:
    claims = tuple((selector, match[2]) for selector in match[1].split(", "))
    return replace(done, claims=(*done.claims, *claims), whole_groups=match[3] is None)


ACTS = {
    REMOVE_LINE: _remove_line,
    REMOVE_ARGUMENT: _remove_argument,
    REMOVE_FILE: _remove_file,
    REPLACE_ARGUMENT: _replace_argument,
    REPLACE_LINE: _replace_line,
    ADD_LINE: _add_line,
    REBUILD: _rebuild,
    CLAIM: _claim,
}
