# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many findings that are nearly equal are one sentence, and what only follows from another one is none."""

from __future__ import annotations

from ansible_collections.vfio.variants.plugins.module_utils._core.lint.grouping import sentences, without_consequences
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding


def absent(number: int) -> Finding:
    address = f"0000:{number:02x}:00.0"
    source = f"/etc/udev/rules.d/90-gpu.rules:{number}"
    return Finding("override-for-absent-device", source, f"{source} is for {address}, and this host has no device there.", (address,))


def unknown(number: int) -> Finding:
    source = f"/etc/modprobe.d/a.conf:{number}"
    return Finding("unknown-module", source, f"{source}: `blacklist gone{chr(97 + number)}` names the module gone{chr(97 + number)}.")


def test_a_hundred_and_ten_devices_share_one_sentence() -> None:
    (said,) = sentences(absent(number) for number in range(1, 111))
    assert said.startswith(absent(1).sentence)
    assert said.endswith("The same applies to 110 devices: 0000:01:00.0, 0000:02:00.0 and 108 more.")


def test_two_are_two_and_findings_of_different_kinds_are_apart() -> None:
    assert sentences([absent(1), absent(2), unknown(1)]) == [one.sentence for one in (absent(1), absent(2), unknown(1))]


def test_many_of_one_kind_with_different_names_are_counted() -> None:
    (said,) = sentences(unknown(number) for number in range(1, 21))
    assert said.endswith("There are 20 findings of this kind, at /etc/modprobe.d/a.conf:1, /etc/modprobe.d/a.conf:2 and 18 more.")
    assert len(sentences(unknown(number) for number in range(1, 6))) == 5


def test_three_lines_about_one_name_that_nothing_has_are_one_sentence() -> None:
    lines = ("blacklist gone", "options gone a=1", "softdep gone pre: vfio-pci")
    source = "/etc/modprobe.d/a.conf"
    found = [
        Finding("unknown-module", f"{source}:{n}", f"{source}:{n}: `{line}` names the module gone.") for n, line in enumerate(lines, 1)
    ]
    assert sentences(found) == [f"{found[0].sentence} There are 3 findings of this kind, at {source}:1, {source}:2 and 1 more."]
    assert len(sentences(found[:2])) == 2


def test_what_follows_from_a_plainer_mistake_is_not_said() -> None:
    plain = Finding("words-too-many", unknown(3).source, "plain")
    ends = Finding("line-ends", "/etc/modprobe.d/a.conf:1", "ends")
    assert without_consequences([unknown(3), unknown(4), plain]) == (unknown(4), plain)
    assert without_consequences([unknown(3), unknown(4), ends]) == (ends,)
    word = Finding("misspelt-word", "/proc/cmdline", "word")
    other = Finding("unknown-module", "/proc/cmdline", "other")
    assert without_consequences([word, other]) == (word, other)
