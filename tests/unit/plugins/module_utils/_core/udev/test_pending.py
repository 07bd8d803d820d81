# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.pending import MOST_JUMPS, Jumps, RunList
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rule import AppliedKey, Rule

RULE = Rule("/etc/udev/rules.d/x.rules", 1, ())
DRIVER = Key("DRIVER", None, "!=", "nouveau")


def done(command: str, certain: bool = True, value: str | None = "") -> AppliedKey:
    return AppliedKey(RULE, Key("RUN", None, "+=", command), command if value == "" else value, certain)


def test_a_jump_is_open_until_its_label() -> None:
    jumps = Jumps()
    jumps.add("a", "end", DRIVER)
    jumps.add("a", "other", None)
    assert jumps
    assert jumps.within("a") == (DRIVER, None)
    assert jumps.within("b") == ()
    jumps.end("a", "end")
    assert jumps.within("a") == (None,)
    jumps.end("a", "other")
    assert not jumps


def test_the_same_jump_is_open_once() -> None:
    jumps = Jumps()
    jumps.add("a", "end", None)
    jumps.add("a", "end", None)
    assert jumps.within("a") == (None,)


def test_with_too_many_jumps_no_rule_of_the_file_is_reached_for_certain_any_more() -> None:
    jumps = Jumps()
    for number in range(MOST_JUMPS + 1):
        jumps.add("a", str(number), DRIVER)
    for number in range(MOST_JUMPS + 1):
        jumps.end("a", str(number))
    assert jumps
    assert jumps.within("a") == (None,)


def test_a_command_is_run_once() -> None:
    commands = RunList()
    for one in (done("a"), done("b"), done("a")):
        commands.add(one)
    assert [one.value for one in commands.all()] == ["a", "b"]


def test_commands_that_cannot_be_determined_may_differ() -> None:
    commands = RunList()
    commands.add(done("$x", value=None))
    commands.add(done("$x", value=None))
    assert len(commands.all()) == 2


def test_a_cleared_list_is_empty() -> None:
    commands = RunList()
    commands.add(done("a"))
    commands.clear()
    assert commands.all() == ()
    commands.add(done("a"))
    assert commands.all() == (done("a"),)


def test_what_may_be_cleared_is_no_longer_certain_and_may_be_added_for_certain() -> None:
    commands = RunList()
    commands.add(done("a"))
    commands.may_be_cleared()
    commands.add(done("a", certain=False))
    commands.add(done("a"))
    assert commands.all() == (done("a", certain=False), done("a"))
