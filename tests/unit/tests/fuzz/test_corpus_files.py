# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every input that the fuzzer keeps is answered by a result or by one sentence, soon."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.tests.fuzz import corpus_files as corpus
from ansible_collections.vfio.variants.tests.fuzz.corpus_files import Input
from ansible_collections.vfio.variants.tests.fuzz.option_sets import limited
from ansible_collections.vfio.variants.tests.fuzz.target import SECONDS, Target, TooLongMessageError
from ansible_collections.vfio.variants.tests.fuzz.targets import BY_NAME, TARGETS

LARGEST = 400_000
"""Bytes of the whole corpus."""


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_is_kept_is_answered(target: Target) -> None:
    inputs = corpus.read(target.name)
    assert inputs, "the fuzzer begins with at least one input"
    for one in (*inputs, Input("nothing", b"")):
        with limited(SECONDS):
            target(one.data)


def test_every_file_of_the_corpus_is_that_of_a_target() -> None:
    assert set(corpus.FOLDER.iterdir()) == {corpus.path_of(name) for name in BY_NAME}


def test_the_corpus_stays_small_and_says_why_each_input_is_there() -> None:
    assert sum(path.stat().st_size for path in corpus.FOLDER.iterdir()) < LARGEST
    assert all(one.why for name in BY_NAME for one in corpus.read(name))


def test_what_is_neither_an_answer_nor_a_sentence_is_noticed() -> None:
    def raising(data: bytes) -> None:
        raise ValueError(data.decode())

    with pytest.raises(ValueError, match="x"):
        Target("a parser", raising)(b"x")


def test_a_message_that_shows_all_of_a_large_value_is_noticed() -> None:
    def echoing(data: bytes) -> None:
        from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

        raise HostError(data.decode())

    Target("a parser", echoing)(b"x")
    with pytest.raises(TooLongMessageError):
        Target("a parser", echoing)(b"x" * 10_000)


def test_what_takes_too_long_is_noticed() -> None:
    with pytest.raises(TimeoutError), limited(0.2):
        sum(iter(lambda: 1, 0))


def test_an_input_is_kept_as_it_is_and_once(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "FOLDER", tmp_path)
    for data in (b"text\n", b"\xff\0", b"text\n"):
        corpus.keep("a parser", "found", data)
    assert corpus.read("a parser") == (Input("found", b"text\n"), Input("found", b"\xff\0"))
