# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.install_command import (
    SimpleCommand,
    UnreadError,
    carry_out,
    every,
    loads_nothing,
    parse,
    removed_by,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig


def loaded(command: str) -> list[tuple[str, tuple[str, ...], bool]] | None:
    """Each step's separator, names, and whether their install lines are ignored; None where anything cannot be read."""
    steps = parse(command, "nvidia")
    if steps is None or not all(step.is_known for step in every(steps)):
        return None
    return [(step.link, step.names, step.ignores_install) for step in every(steps)]


@pytest.mark.parametrize(
    ("command", "steps"),
    [
        ("modprobe -i nvidia-current $CMDLINE_OPTS", [("", ("nvidia_current",), True)]),
        ("/sbin/modprobe --ignore-install nvidia ${CMDLINE_OPTS}", [("", ("nvidia",), True)]),
        (
            "modprobe nvidia-modeset ; modprobe -i nvidia-current-drm $CMDLINE_OPTS",
            [("", ("nvidia_modeset",), False), (";", ("nvidia_current_drm",), True)],
        ),
        ("sh -c 'exit 0'", [("", (), False)]),
        ("sh -c 'modprobe -i other'", [("", ("other",), True)]),
        ("exec /sbin/modprobe -qi other", [("", ("other",), True)]),
        ("modprobe -i other >/dev/null 2>&1 || :", [("", ("other",), True), ("||", (), False)]),
        ("modprobe -a one two # both", [("", ("one", "two"), False)]),
        ("modprobe -i one 1>/dev/null && modprobe -i two", [("", ("one",), True), ("&&", ("two",), True)]),
        ("modprobe 2>/dev/null -a one two", [("", ("one", "two"), False)]),
        ("modprobe >/dev/null -a one two", [("", ("one", "two"), False)]),
        ("/bin/false &>/dev/null", [("", (), False)]),
        ("modprobe -i other >>/dev/null </dev/null", [("", ("other",), True)]),
        ("/sbin/modprobe --first-time -i nvidia", [("", ("nvidia",), True)]),
        ("/sbin/modprobe --first-time --ignore-install nvidia $CMDLINE_OPTS", [("", ("nvidia",), True)]),
        ("modprobe -qsi --syslog other", [("", ("other",), True)]),
        ("modprobe --ignore-remove other", [("", ("other",), True)]),
        ("modprobe -w 100 -i other", [("", ("other",), True)]),
        ("modprobe -qiw 100 other", [("", ("other",), True)]),
        ("modprobe --wait 100 other --ignore-i", [("", ("other",), True)]),
        ("modprobe -i -- other", [("", ("other",), True)]),
        ("modprobe -i $MODPROBE_MODULE ${CMDLINE_OPTS}", [("", ("nvidia",), True)]),
        ('sh -c "modprobe -i other $CMDLINE_OPTS"', [("", ("other",), True)]),
        ("modprobe -i one && { modprobe -q two ; : ; }", [("", ("one",), True), ("", ("two",), False), (";", (), False)]),
        ("{ modprobe one && ( modprobe two ) ; }", [("", ("one",), False), ("", ("two",), False)]),
        ("modprobe -n other; modprobe -D nvidia; modprobe --show-depends -q nvidia", [("", (), False), (";", (), False), (";", (), False)]),
    ],
)
def test_commands_that_load_by_name_are_read(command: str, steps: list[tuple[str, tuple[str, ...], bool]]) -> None:
    assert loaded(command) == steps


@pytest.mark.parametrize(
    "command",
    [
        "/usr/local/sbin/vfio-pci-override.sh",
        "modprobe nvidia",
        # It fails where that one is loaded already, and what comes after it is not run.
        "modprobe --first-time -i other && modprobe -i nvidia",
        "modprobe --force -i nvidia",
        "modprobe -C /etc/other.conf -i nvidia",
        "modprobe $OTHER",
        "modprobe -d /mnt -i nvidia",
        "modprobe --set-version=6.1.0 -i nvidia",
        "modprobe --remove-h other",
        "modprobe --unknown -i nvidia",
        "modprobe -X -i nvidia",
        "modprobe -1 -i nvidia",
        # Keywords and functions of the shell.
        "if true; then modprobe -i nvidia; fi",
        "case x in y) modprobe -i nvidia;; esac",
        "load() { modprobe -i nvidia; }",
        "! modprobe -i nvidia",
        "( modprobe -i nvidia ) > /run/log",
        "{ modprobe -i nvidia }",
        "{ { { { modprobe -i nvidia; }; }; }; }",
        # A pattern or a command's output anywhere in a word is the shell's to expand.
        "modprobe -i oth?r",
        "modprobe -i other*",
        "modprobe -i oth[e]r",
        "modprobe -i other{1,2}",
        "modprobe -i `cat /etc/other`",
        "modprobe -i a`cat /etc/other`",
        "modprobe 2>/dev/null -i other >/sys/a",
        "modprobe -i other & ",
        # To dash it runs beside what follows, and its end is not waited for.
        "modprobe -i other &>/dev/null",
        "/bin/false &>/dev/null || modprobe -i other",
        "modprobe -i other | cat",
        "modprobe -i other > /sys/bus/pci/drivers_probe",
        "echo 1 > /sys/bus/pci/rescan",
        'sh -c \'sh -c "sh -c \\"sh -c modprobe\\""\'',
        "modprobe 'unfinished",
        "for i in a; do modprobe $i; done",
    ],
)
def test_commands_that_may_do_more_are_not(command: str) -> None:
    assert loaded(command) is None


@pytest.mark.parametrize(
    ("command", "nothing"),
    [
        ("/bin/true", True),
        ("/bin/false", True),
        ("exit 1", True),
        (":", True),
        ("echo no", True),
        ("/bin/false && modprobe -i nvidia", True),
        ("/bin/false || modprobe -i nvidia", False),
        ("/usr/local/bin/x", False),
        ("true && exit 1 && modprobe -i nvidia", True),
        ("false && exit 1 ; modprobe -i nvidia", False),
        ("true && exit 1 ; modprobe -i nvidia", True),
        ("exit 0 ; modprobe -i nvidia", True),
        ("true || exit 0 ; modprobe -i nvidia", False),
        ("sh -c 'exit 0' ; modprobe -i nvidia", False),
        ("sh -c 'exit 1' && modprobe -i nvidia", True),
        ("sh -c 'exit 1 ; modprobe -i nvidia'", True),
        ("exec true ; modprobe -i nvidia", True),
        ("false && exec true ; modprobe -i nvidia", False),
        ("/bin/false && /usr/local/bin/x", True),
        # The shell carries out nothing of what it cannot read.
        ("; modprobe -i nvidia", True),
        ("&& modprobe -i nvidia", True),
        ("modprobe -i nvidia &&", True),
        ("# modprobe -i nvidia", True),
        ("{ exit 0; } ; modprobe -i nvidia", True),
        ("( exit 0 ) ; modprobe -i nvidia", False),
        ("exec sh -c true ; modprobe -i nvidia", True),
    ],
)
def test_a_command_that_keeps_the_module_out_loads_nothing(command: str, nothing: bool) -> None:
    (line,) = ModprobeConfig.parse(f"install nvidia {command}\n", "a.conf").directives
    assert loads_nothing(line, "nvidia") is nothing


@pytest.mark.parametrize(
    ("command", "honours"),
    [("modprobe -b other", True), ("modprobe --use-blacklist other", True), ("modprobe other", False), ("modprobe other-b", False)],
)
def test_a_blacklist_counts_only_where_it_is_asked_for(command: str, honours: bool) -> None:
    (step,) = parse(command, "nvidia") or ()
    assert step.honours_blacklist is honours


@pytest.mark.parametrize(
    ("command", "removed"),
    [
        ("modprobe -r nouveau", ("nouveau",)),
        ("modprobe -qr snd-hda-intel nouveau && modprobe -i nvidia", ("snd_hda_intel", "nouveau")),
        ("modprobe --remove nouveau", ("nouveau",)),
        ("modprobe nouveau", ()),
        # Nothing, the module itself, and options that are not known.
        ("modprobe -r", ()),
        ("modprobe -r nvidia", ()),
        ("modprobe -r --wait=100 nouveau", ("nouveau",)),
        ("modprobe -r -w 100 nouveau", ("nouveau",)),
        ("modprobe -rw100 nouveau", ("nouveau",)),
        ("true && { modprobe -r nouveau; modprobe -i nvidia; }", ("nouveau",)),
        ("modprobe -r --remove-holders nouveau", ()),
        ("modprobe -r nouveau ; /usr/local/bin/x", ()),
    ],
)
def test_modules_that_an_install_line_removes_are_read(command: str, removed: tuple[str, ...]) -> None:
    assert removed_by(parse(command, "nvidia")) == removed


STUB = '#!/bin/sh\necho "$@" >> "$LOG"\ncase "$*" in *bad*) exit 1 ;; esac\n'
"""A modprobe that writes down what it is asked for, and fails for some modules."""


def in_shell(command: str, folder: Path) -> tuple[list[str], bool]:
    """What the shell that is installed here asks modprobe for, and whether it ends well."""
    (folder / "modprobe").write_text(STUB)
    (folder / "modprobe").chmod(0o755)
    log = folder / "log"
    log.write_text("")
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "LOG": str(log), "MODPROBE_MODULE": "nvidia"}
    text = command.replace("$CMDLINE_OPTS", "x=1")
    done = subprocess.run(["/bin/sh", "-c", text], env=environment, check=False, stderr=subprocess.DEVNULL, timeout=20)
    return [line.split()[1] for line in log.read_text().splitlines()], done.returncode == 0


@pytest.mark.parametrize(
    "command",
    [
        "modprobe -i one",
        "modprobe -i one && modprobe -i two",
        "modprobe -i bad && modprobe -i two",
        "modprobe -i bad || modprobe -i two",
        "modprobe -i bad; modprobe -i two",
        "modprobe -i one && { modprobe -i bad ; modprobe -i two ; } && modprobe -i three",
        "modprobe -i one && { modprobe -i two ; modprobe -i bad ; } && modprobe -i three",
        "modprobe -i bad || { modprobe -i two && modprobe -i bad ; } || modprobe -i three",
        "( modprobe -i one; exit 1 ) || modprobe -i two",
        "{ modprobe -i one; exit 1; } || modprobe -i two",
        "( modprobe -i one && ( modprobe -i bad || exit 3 ) ); modprobe -i two",
        "sh -c 'modprobe -i one; exit 1' && modprobe -i two",
        "sh -c 'modprobe -i bad || modprobe -i one' && modprobe -i two",
        'sh -c "modprobe -i one $CMDLINE_OPTS" && { sh -c "exit 0"; modprobe -i two; }',
        "exec sh -c 'modprobe -i one' ; modprobe -i two",
        "exec modprobe -i bad || modprobe -i two",
        "command modprobe -i one; modprobe -i two",
        "true || exit 1 ; modprobe -i $MODPROBE_MODULE",
        "false && exit 1 || modprobe -i one && modprobe -i two",
        ": ; modprobe -i one # modprobe -i two",
        "; modprobe -i one",
        "modprobe -i one ; ",
        "modprobe -i one || ",
        "{ modprobe -i one; } 2>/dev/null",
        "(modprobe -i one;modprobe -i two)",
        "exit 0 && modprobe -i one",
        "exit; modprobe -i one",
        # A number touches the sign of its redirection, or is a word.
        "exit 1 >/dev/null",
        "exit 0 1>/dev/null; modprobe -i one",
        "false 1 >/dev/null 2>&1 || modprobe -i one",
        "modprobe -i one 2 >/dev/null",
        # Of what the shell does by itself there are no programs.
        "exec : && modprobe -i one",
        "(exec :) || modprobe -i one",
        "(exec exit 0) && modprobe -i one",
        "(command exit 0) && modprobe -i one",
        "sleep 0 && modprobe -i one",
        "modprobe -i one;# modprobe -i two",
    ],
)
def test_commands_are_carried_out_as_the_shell_does(tmp_path: Path, command: str) -> None:
    asked: list[str] = []

    def run(step: SimpleCommand) -> bool | None:
        assert step.is_known
        asked.extend(step.names)
        return step.succeeds if not step.names else "bad" not in step.names

    status, _ended = carry_out(t.cast("tuple[SimpleCommand, ...]", parse(command, "nvidia")), run)
    assert (asked, status) == in_shell(command, tmp_path)


def test_parameters_beside_the_module_are_kept() -> None:
    (step,) = parse("modprobe -i other x=1 'y=a b' $CMDLINE_OPTS", "nvidia") or ()
    assert (step.names, step.options, step.takes_given) == (("other",), ("x=1", "y=a b"), True)
    (step,) = parse("modprobe -a one two", "nvidia") or ()
    assert (step.options, step.takes_given) == ((), False)


@pytest.mark.parametrize("command", ["sleep", "sleep none", "logger card", "(false; exit)", "(exec logger card)"])
def test_whether_it_ends_well_is_not_always_known(command: str) -> None:
    with pytest.raises(UnreadError):
        carry_out(parse(f"{command} && modprobe -i nvidia", "nvidia") or (), lambda step: step.succeeds)


@pytest.mark.parametrize("command", ["modprobe -i nvidia# the card", "modprobe -i 'nvidia'#x && modprobe -i other"])
def test_a_sign_within_a_word_begins_no_comment(command: str) -> None:
    assert parse(command, "nvidia") is None
