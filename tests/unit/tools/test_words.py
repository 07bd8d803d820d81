# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The word check finds words in every kind of text, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devtool.errors import DevtoolError
from devtool.words import LIST, Allowance, Word, WordList, texts

TOOLS = LIST.parents[1]
LISTED = WordList.read()


def checker(*words: str, allowed: tuple[Allowance, ...] = ()) -> WordList:
    return WordList(tuple(Word(word, "something else") for word in words), allowed)


@pytest.mark.parametrize(
    "text",
    [
        "a grue came",
        "Grue",
        "# of the grue.",
        "read_grue = 1",
        "class ReadGrue:",
        "grue_of(x)",
        "`grue`",
        "GRUE",
    ],
)
def test_a_word_is_found_in_sentences_and_identifiers(text: str) -> None:
    (found,) = checker("grue").findings("a.py", text)
    assert found.lower() == "a.py:1: 'grue': write something else"


@pytest.mark.parametrize("text", ["gruesome", "congrue", "grues", "ingrue_x"])
def test_a_part_of_another_word_is_not_found(text: str) -> None:
    assert list(checker("grue").findings("a.py", text)) == []


@pytest.mark.parametrize(
    "text", ["is a grue", "is\n  a grue", "# it is\n# a grue", "// is\n// a grue", " * is\n * a grue", "test_is_a_grue_here"]
)
def test_a_phrase_is_found_across_lines_of_a_comment_and_in_names(text: str) -> None:
    assert len(list(checker("is a grue").findings("a.c", text))) == 1


def test_a_finding_names_file_line_and_replacement() -> None:
    assert list(checker("grue").findings("docs/a.md", "one\ntwo grue\n")) == ["docs/a.md:2: 'grue': write something else"]


def test_a_path_is_checked_too() -> None:
    assert list(checker("grue").findings("tests/grue.py", "")) == ["tests/grue.py: 'grue' in the path: write something else"]


def test_an_allowance_is_for_one_word_in_its_files_only() -> None:
    words = checker("grue", "bleen", allowed=(Allowance("COPYING", "grue", "a quoted text"),))
    assert len(list(words.findings("COPYING", "grue bleen"))) == 1
    assert len(list(words.findings("COPYING.md", "grue bleen"))) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("build the image anew", 1),
        ("who will own it is foretold; what it foretells", 2),
        ("heeds_blacklist: bool = True", 1),
        ("names that are nobody's", 1),
        ("two twins", 1),
        ("which, cannot be told", 1),
        ("the verdict of a witness", 2),
        ("world_judgement", 1),
        ("class Workbench: of a workshop", 2),
        ("the machine of above", 1),
        ("facts that are dear to read", 1),
        ("a boot image, boot_images", 2),
        ("/tmp/x is no directory", 1),
        ("def test_what_is_no_selector_is_refused", 1),
        ("there is no directory; it is no longer there; There is\nno driver; this is not a directory", 0),
        ("deary, another, nobody, witnessing, rewritten, a new one", 0),
        ("he said that it cannot be said", 0),
    ],
)
def test_the_list_knows_the_words_to_avoid(text: str, words: int) -> None:
    everywhere = WordList(LISTED.words, ())
    assert len(list(everywhere.findings("a.py", text))) == words


def test_every_allowance_is_narrow_and_has_a_reason() -> None:
    assert [entry for entry in LISTED.allowed if not entry.reason or entry.files.startswith("*")] == []


def test_a_list_that_allows_an_unlisted_word_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "words.toml"
    file.write_text('[[words]]\ntext = "grue"\ninstead = "x"\n[[allowed]]\nfiles = "a"\nword = "bleen"\nreason = "y"\n')
    with pytest.raises(DevtoolError, match="'bleen'"):
        WordList.read(file)


@pytest.mark.parametrize("content", ["words = 1\n", "[[words]]\ntext = 'a'\n", "[[words]]\ntext = '('\ninstead = 'b'\n", "x"])
def test_a_malformed_list_is_one_sentence(content: str, tmp_path: Path) -> None:
    file = tmp_path / "words.toml"
    file.write_text(content)
    with pytest.raises(DevtoolError, match="word list"):
        WordList.read(file)


def test_a_binary_file_and_a_link_are_not_texts(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"grue\0")
    (tmp_path / "text").write_text("grue")
    (tmp_path / "link").symlink_to("text")
    assert list(texts(tmp_path, ["binary", "link", "text", "missing"])) == [("text", "grue")]


def run(*names: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(TOOLS)}
    argv = [sys.executable, "-m", "devtool.words", *names]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_program_fails_on_a_broken_example(tmp_path: Path) -> None:
    broken = tmp_path / "broken.md"
    broken.write_text("Build the image anew.\n")
    ran = run(str(broken))
    assert (ran.returncode, ran.stdout.splitlines()[0]) == (1, f"{broken}:1: 'anew': write again; for an initramfs: rebuild")
    broken.write_text("Rebuild the initramfs.\n")
    assert run(str(broken)).returncode == 0
