# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings as sentences for an operator: many that are nearly equal become one, and one line is told once, by its plainest mistake."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.wording import listed

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding

SHOWN = 2
"""How many devices or places a grouped sentence names."""
ALIKE = 3
"""So many sentences that differ in devices, IDs and places only are one."""
OF_ONE_KIND = 10
"""Of more findings of one kind only the first is a sentence of its own."""
VARIABLE = re.compile(r"(?:[0-9a-f]{4,}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]|\b[0-9a-f]{4}:[0-9a-f]{4}\b|(?<=:)\d+\b", re.IGNORECASE)
QUOTED = re.compile(r"`[^`]*`")
ONE_NAME = "unknown-module"
"""A kind whose sentences about one name differ in the quoted lines."""
GENERAL = frozenset(
    (
        *("unknown-module", "unknown-listed-module", "ignored-line", "wildcard-name", "ids-malformed"),
        *("softdep-without-place", "softdep-two-blanks"),
        *("ids-without-value", "rule-without-device", "override-for-absent-device", "softdep-without-ids"),
        *("override-for-changed-device", "unknown-parameter"),
    )
)
"""Kinds that say that something is not understood; of the same line another kind says why."""
APART = frozenset(("ids-not-loaded", "unknown-parameter"))
"""Kinds about what a line leaves out or says besides: they explain nothing else."""
LONGEST = 1000
"""Characters of a sentence: it can show a word of the file, and a file can consist of one word."""
OF_WHOLE_FILE = frozenset(("line-ends", "encoding"))


def without_consequences(findings: t.Sequence[Finding]) -> tuple[Finding, ...]:
    """Without what only follows from a plainer mistake in the same line, or in the file's line ends."""
    explained = {finding.source for finding in findings if finding.kind not in GENERAL | APART}
    files = {_path(finding.source) for finding in findings if finding.kind in OF_WHOLE_FILE}
    return tuple(
        finding
        for finding in findings
        if finding.kind not in GENERAL or not (_is_explained(finding, explained) or _path(finding.source) in files)
    )


def _is_explained(finding: Finding, explained: t.Collection[str]) -> bool:
    # The command line is one place for many words.
    return ":" in finding.source and finding.source in explained


def _path(source: str) -> str:
    return source.rpartition(":")[0] or source


def sentences(findings: t.Iterable[Finding]) -> list[str]:
    """One sentence for each group of findings, in order."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in dict.fromkeys(findings):
        said = finding.sentence[:LONGEST]
        said = QUOTED.sub("`*`", said) if finding.kind == ONE_NAME else said
        groups.setdefault((finding.kind, VARIABLE.sub("*", said)), []).append(finding)
    by_kind: dict[str, list[list[Finding]]] = {}
    for (kind, _template), group in groups.items():
        by_kind.setdefault(kind, []).extend([group] if len(group) >= ALIKE else [[one] for one in group])
    found: list[str] = []
    for kind_groups in by_kind.values():
        merged = [[one for group in kind_groups for one in group]] if len(kind_groups) > OF_ONE_KIND else kind_groups
        found += [_said(group) for group in merged]
    return list(dict.fromkeys(found))


def _said(group: t.Sequence[Finding]) -> str:
    first = group[0].sentence
    first = first if len(first) <= LONGEST else f"{first[:LONGEST]}…"
    if len(group) < ALIKE:
        return first
    devices = list(dict.fromkeys(address for finding in group for address in finding.devices))
    if len(devices) >= len(group):
        return f"{first} The same applies to {len(devices)} devices: {listed(devices, SHOWN)}."
    places = list(dict.fromkeys(finding.source for finding in group))
    return f"{first} There are {len(group)} findings of this kind, at {listed(places, SHOWN)}."
