# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sentences that the pages on troubleshooting are made of."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.module_calls import device_claim, device_info
from ansible_collections.vfio.variants.tests.unit.report_hosts import SECOND_GPU, gpu_host
from devtool.sentences import ERROR, REASON, WARNING, Sentence, in_source, in_tasks, is_sentence, sentences
from devtool.troubleshooting import SUBJECTS, pages, subject_of

ROOT = Path(__file__).resolve().parents[3]


@functools.cache
def found() -> list[Sentence]:
    return sentences(ROOT)


@functools.cache
def all_pages() -> dict[str, str]:
    return pages(found())


def read(source: str) -> list[tuple[str, str, str]]:
    return [(one.text, one.kind, one.advice) for one in in_source(source, "a.py")]


def test_an_errors_sentence_comes_with_its_advice_and_holes_for_what_differs() -> None:
    raised = 'raise HostError(f"{x}: the file {x.y} cannot be read.", "Give another file than that.")'
    source = f'def f(x):\n    """Says nothing to anybody at all."""\n    {raised}\n'
    assert read(source) == [("…: the file … cannot be read.", ERROR, "Give another file than that.")]


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ('x = Finding("k", place, f"{line} names the missing module {word}.")', [("… names the missing module ….", WARNING, "")]),
        ('x = f"{a} cannot " + "be read by " + name', [("… cannot be read by …", REASON, "")]),
        ('x = ("the first sentence of two" if a else "the second sentence of two")', None),
        ('import re\nx = re.compile("these are words in patterns")', []),
        ('x = "two words"', []),
        ('raise HostError(f"{path} is missing.")', [("… is missing.", ERROR, "")]),
        ('raise HostError(f"{path} {problem}")', []),
        ('x = Guard("in_use", "is in use", True)', [("is in use", WARNING, "")]),
        ('module.fail_json(msg=f"{name} is missing.")', [("… is missing.", ERROR, "")]),
    ],
)
def test_strings_are_read_whole_and_each_once(source: str, wanted: list[tuple[str, str, str]] | None) -> None:
    both = [("the first sentence of two", REASON, ""), ("the second sentence of two", REASON, "")]
    assert read(source) == (both if wanted is None else wanted)


def test_what_a_role_says_when_it_fails_is_a_sentence() -> None:
    task = """
- block:
    - ansible.builtin.assert:
        that: x
        fail_msg: "After the reboot {{ names | join(', ') }} are not {% if a %}bound{% endif %} as claimed."
        success_msg: All is as it should be.
    - ansible.builtin.debug:
        msg: This is not a failure of anything.
"""
    assert [(one.text, one.kind) for one in in_tasks(task, "a.yml")] == [("After the reboot … are not …bound… as claimed.", ERROR)]


@pytest.mark.sampled(3)
def test_roles_and_modules_are_read_as_well() -> None:
    texts = {one.file: one.text for one in found() if one.file.startswith(("roles/", "plugins/modules/"))}
    assert {"roles/vfio_host/tasks/reboot.yml", "plugins/modules/device_table.py"} <= texts.keys()


def said_by_a_host(tmp_path: Path) -> list[str]:
    """What the modules really say of a host with faults."""
    tree = gpu_host(tmp_path)
    found = device_info(tree.host())
    said = [*found["policy_warnings"], *(sentence for device in found["devices"] for sentence in device["warnings"])]
    for selector in ("no_such", "0000:99:00.0", "10de:9999", "class:zz"):
        with pytest.raises(HostError) as refused:
            device_info(tree.host(), devices=selector, allow_missing=False)
        said.append(refused.value.msg)
    with pytest.raises(HostError) as refused:
        device_claim(tree.host(), devices=SECOND_GPU, driver="no_such_driver")
    return [*said, refused.value.msg]


def test_every_sentence_that_a_host_with_faults_brings_about_is_among_them(tmp_path: Path) -> None:
    said = said_by_a_host(tmp_path)
    assert len(said) > 6
    patterns = [one.pattern for one in found() if len(one.text) > 15]
    assert [sentence for sentence in said if not any(pattern.search(sentence) for pattern in patterns)] == []


def test_every_sentence_is_on_a_page_and_can_be_found_by_its_words() -> None:
    shown = {name: re.sub(r"\\(.)", r"\1", text) for name, text in all_pages().items()}
    missing = [one.text for one in found() if re.sub(r"\s+", " ", one.text).strip() not in shown[subject_of(one).name]]
    assert missing == []
    assert {subject.name for subject in SUBJECTS} | {"index"} == set(all_pages())


def test_advice_is_shown_below_its_error() -> None:
    shown = re.sub(r"\\(.)", r"\1", all_pages()["devices"])
    assert "matches no PCI device of this host.\n\n…Set allow_missing if this is intentional.\n" in shown


def test_lines_of_files_and_patterns_are_no_sentences() -> None:
    assert not is_sentence("#!/bin/sh\nset -e\nthis is a script\n")
    assert not is_sentence('ACTION=="add", this is a rule')
    assert is_sentence("The file … cannot be read")
