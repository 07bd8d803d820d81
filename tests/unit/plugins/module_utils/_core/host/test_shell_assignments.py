# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a shell file sets, known without running it; bash itself has the last word on each plain case."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments

PLAIN = [
    "X=one",
    'X="one two"',
    "X='one $two'",
    "X=a\\ b",
    'X="a\\"b\\\\c\\$d\\e"',
    "X=one # a comment",
    "X=one\nunset X\nY=two",
    "X=one; Y=two; unset -v X Y; Y=three",
    "X=(a b)\nunset X\nX+=(c)",
    "X=one#two",
    "# X=no\nX=yes",
    "X=one; Y=two",
    "X=a'b'\"c\"d",
    "X=",
    "X=one\nX=two",
    "X=one\nX+=two",
    "X=one; Y=${X}-$X",
    'X=one; Y="${X}/$X"',
    "X[0]=a\nX[1]=b",
    "X=(a 'b c' \"d\")",
    "X=(a\n  b # first\n  c)",
    "X=([2]=c [0]=a b)",
    "X=(a); X+=(b)",
    "X[3]=d; Y=${X[3]}",
    "export X=one",
    "X=a\\\nb",
    'X="a\\\nb"',
    "X=(a b)\nX=c",
    "if true; then :; fi\nX=one",
    "f() { :; }\nX=one",
    "[[ a =~ (a|b) && -n c ]]\nX=one",
]


@pytest.mark.parametrize("text", PLAIN)
def test_plain_assignments_are_read_as_bash_reads_them(text: str) -> None:
    read = Assignments.parse(text)
    for name in ("X", "Y"):
        script = f'{text}\nfor i in "${{!{name}[@]}}"; do printf "%s=%s\\0" "$i" "${{{name}[$i]}}"; done'
        bash = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True, env={}).stdout
        values = {int(index): value for index, _equals, value in (entry.partition("=") for entry in bash.split("\0") if entry)}
        assert dict(read.values.get(name, {})) == values
    assert not read.unknown


@pytest.mark.parametrize(
    "text",
    [
        'X="$(uname -r)"',
        "X=`uname -r`",
        "X=$UNSET",
        "X=${Y:-default}",
        'X="${kernelver%%-*}"',
        "if true; then X=one; fi",
        "if [[ $kernelver =~ ^6 ]]\nthen\n  X=one\nelse\n  X=two\nfi",
        "case $kernelver in 5*) X=one ;; *) X=two ;; esac",
        "true && X=one",
        "[ -e /file ] || X=one",
        "for i in 1 2; do X=$i; done",
        "set_x() { X=one; }",
        "X=(a $(ls))",
        "(X=one)",
        "{ X=one; }",
    ],
)
def test_what_only_running_would_tell_is_unknown(text: str) -> None:
    assert "X" in Assignments.parse(text).unknown


def test_what_follows_something_unknown_is_known() -> None:
    read = Assignments.parse('A=$(date)\nif [ "$A" ]; then B=1; fi\nX=one\n')
    assert (read.get("X"), sorted(read.unknown)) == ("one", ["A", "B"])


def test_variables_that_the_reader_has_set_are_known_and_not_listed() -> None:
    read = Assignments.parse('X="/lib/modules/$kernelver/${arch}"', {"kernelver": "6.1", "arch": "x86_64"})
    assert dict(read.values) == {"X": {0: "/lib/modules/6.1/x86_64"}}


def test_a_file_that_is_cut_off_is_read_to_its_end() -> None:
    for text in ('X="one', "X='one", "X=(one", "X=$(", "X=${", "[[ a", "X=\\"):
        Assignments.parse(text)


def test_windows_line_ends_do_not_become_part_of_a_value() -> None:
    assert Assignments.parse("X=one\r\nY=two\r\n").get("X") == "one"


@pytest.mark.parametrize(
    "text",
    [
        "X=aaaaaaaa\n" + "X=$X$X\n" * 60,
        "X=aaaaaaaa\n" + 'X="$X$X$X"\n' * 60,
        f"A={'a' * 100_000}\nX={'$A' * 100_000}\n",
        "X=aaaaaaaa\n" + "X+=$X\n" * 60,
        "X=(aaaaaaaa)\n" + "X=($X$X $X$X)\n" * 60,
        "X=(a)\n" + "X+=(a)\n" * 20_000,
        "X=a\n" + f"X+={'a' * 1000}\n" * 20_000,
    ],
)
def test_a_file_that_multiplies_itself_is_bounded(text: str) -> None:
    read = Assignments.parse(f"{text}Y=one\n")
    assert ("X" in read.unknown, read.get("Y")) == (True, "one")


def test_what_grows_as_files_do_is_known() -> None:
    read = Assignments.parse("X=a\nY=()\n" + "X+=' b'\nY+=(b)\n" * 1000)
    assert (len(read.get("X") or ""), len(read.indices("Y")), read.unknown) == (2001, 1000, frozenset())


def test_a_file_is_taken_apart_once_and_again_with_variables_of_its_own() -> None:
    text = "Y=$X-" + "a" * 9
    first = Assignments.parse(text)
    assert Assignments.parse(text) is first
    assert (first.get("Y"), Assignments.parse(text, {"X": "1"}).get("Y")) == (None, "1-" + "a" * 9)
