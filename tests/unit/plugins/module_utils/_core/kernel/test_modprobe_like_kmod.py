# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""modprobe.d as `modprobe --showconfig` of the kmod that is installed here reads it, line by line."""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig, ignored_lines

LINES = [
    "blacklist nvidia-drm",
    "blacklist nouveau # why",
    "  blacklist indented",
    "\tblacklist\ttabbed",
    "blacklist",
    "blacklist two words",
    "Blacklist capital",
    "#blacklist comment",
    " # indented comment",
    "blacklist [a-b]c-d",
    "blacklist a[b",
    "blacklist a]b",
    "blacklist a[]b",
    "blacklist x-[a-]-[b-]-y",
    "alias pci:v000010DEd00001DB1sv*sd*bc*sc*i* vfio-pci",
    "alias a-[0-9]-b c-d extra-word",
    "alias x",
    "alias x a[b",
    "alias x  two-blanks",
    "options vfio-pci ids=10de:1db1 disable_vga=1",
    'options x name="two words" y=1',
    "options x  two-blanks=1",
    "options x\ttab=1\tother=2",
    "options x",
    "options a-b c-d=e-f",
    "install snd-x /bin/false && echo  x",
    "install  x   /bin/true  ",
    "install x",
    "install x ",
    "install x  ",
    "install x\t ",
    "remove x  ",
    "softdep x ",
    "softdep x  ",
    "options x  ",
    "remove b-c rmmod b-c",
    "remove  b-c   rmmod  b-c",
    "softdep nouveau pre: vfio-pci",
    "softdep nouveau pre: a-b c post: d",
    "softdep nouveau post: d pre: a-b",
    "softdep a-b pre: x",
    "softdep x",
    "include /etc/more",
    "nonsense y z",
    "",
    "   ",
]
CONTINUED = [
    "blacklist a\\\nb",
    "blacklist \\\nnext",
    "options x \\\n  a=1 \\\n  b=2",
    "# off: \\\nblacklist hidden",
    "blacklist a\\b",
    "blacklist a\\\\\nblacklist c",
    "blacklist last\\",
]


def shown_by_kmod(folder: Path) -> Counter[tuple[str, ...]]:
    """The directives that kmod takes from a folder, without those of this machine's kernel command line."""
    modprobe = shutil.which("modprobe", path="/usr/sbin:/sbin:/usr/bin:/bin")
    assert modprobe is not None
    argv = [modprobe, "--showconfig", "--config", str(folder), "--set-version", "none", "--dirname", str(folder)]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout
    lines = shown.partition("# End of configuration files")[0].splitlines()
    return Counter(_comparable(*line.split(" ", 2)) for line in lines if line and not line.startswith("#"))


def _comparable(command: str, name: str, rest: str = "") -> tuple[str, ...]:
    """kmod shows what it keeps: of a softdep what comes before and after, in one order; of others the text behind the module's name.

    Blanks between that and the name mean nothing to the kernel, which gets the options, nor to the shell that gets a command.
    """
    if command == "options":
        return command, name, " ".join(rest.split())
    if command != "softdep":
        return command, name, rest.lstrip()
    before, _post, after = rest.partition("post: ")
    return command, name, " ".join(before.replace("pre: ", "").split()), " ".join(after.split())


def read_here(text: str) -> Counter[tuple[str, ...]]:
    found: Counter[tuple[str, ...]] = Counter()
    for entry in ModprobeConfig.parse(text, "x.conf").directives:
        name, *words = entry.arguments
        if entry.command == "softdep":
            sides: dict[str, list[str]] = {"pre:": [], "post:": []}
            side: list[str] = []
            for word in words:
                side = sides.get(word, side)
                if word not in sides:
                    side.append(word)
            found["softdep", name, " ".join(sides["pre:"]), " ".join(sides["post:"])] += 1
        else:
            found[entry.command, name, " ".join(words)] += 1
    return found


def both(folder: Path, text: str) -> tuple[Counter[tuple[str, ...]], Counter[tuple[str, ...]]]:
    empty = folder / "empty"
    empty.mkdir()
    (folder / "conf").mkdir()
    (folder / "conf/x.conf").write_text(text)
    return read_here(text), shown_by_kmod(folder / "conf") - shown_by_kmod(empty)


@pytest.mark.parametrize("line", [*LINES, *CONTINUED])
def test_a_line_means_what_kmod_takes_it_for(tmp_path: Path, line: str) -> None:
    here, there = both(tmp_path, line + "\n")
    assert here == there


def test_a_whole_file_means_what_kmod_takes_it_for(tmp_path: Path) -> None:
    lines = [*LINES, *CONTINUED]
    random.Random(5).shuffle(lines)  # noqa: S311 - an order that can be repeated
    here, there = both(tmp_path, "\n".join(lines))
    assert here == there


def test_every_line_that_kmod_drops_is_told_unless_it_is_empty_or_a_comment(tmp_path: Path) -> None:
    for number, line in enumerate(LINES):
        folder = tmp_path / str(number)
        folder.mkdir()
        here, _there = both(folder, line)
        told = [text for _source, text in ignored_lines(line, "x.conf")]
        assert told == ([line] if not here and line.strip() and not line.strip().startswith("#") else [])


def test_words_in_any_order_and_number_mean_what_kmod_takes_them_for(tmp_path: Path) -> None:
    words = ["a-b", "[c-d]", '"e f"', "pre:", "g=1", "*"]
    commands = ("blacklist", "alias", "options", "install", "remove")
    lines = [" ".join((command, *chosen)) for command in commands for chosen in itertools.permutations(words, 3)]
    here, there = both(tmp_path, "\n".join(lines))
    assert here == there
