# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a report on the controller."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._report.files import file_name, fleet_report, host_report
from ansible_collections.vfio.variants.plugins.plugin_utils._report.host_data import HostData
from ansible_collections.vfio.variants.plugins.plugin_utils._report.summary import summarise

HOST = HostData("gpu-1", 100, warnings=("A warning.",))


def test_a_later_examination_of_an_unchanged_host_changes_nothing_but_the_time(tmp_path: Path) -> None:
    assert host_report(HOST).write(tmp_path, check_mode=False) is True
    assert host_report(dataclasses.replace(HOST, examined_at=200)).write(tmp_path, check_mode=False) is False
    assert json.loads((tmp_path / "hosts/gpu-1.json").read_text())["examined_at"] == 200
    assert host_report(dataclasses.replace(HOST, warnings=())).write(tmp_path, check_mode=False) is True


def test_check_mode_says_what_would_change_and_writes_nothing(tmp_path: Path) -> None:
    assert host_report(HOST).write(tmp_path, check_mode=True) is True
    assert list(tmp_path.iterdir()) == []


def test_every_report_is_a_page_its_data_and_its_metrics(tmp_path: Path) -> None:
    for report in (host_report(HOST), fleet_report("Hosts", [summarise(HOST)])):
        report.write(tmp_path, check_mode=False)
        assert all(Path(path).stat().st_size for path in report.paths(tmp_path).values())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hosts", "index.html", "index.json", "index.prom"]


@pytest.mark.parametrize("name", ["../../etc/passwd", ".", "..", "", "a/b", "a\0b", ".bashrc", "-rf", "x" * 500, "é", "a b\n", "\udcff"])
def test_no_name_of_a_host_leaves_the_folder(tmp_path: Path, name: str) -> None:
    host_report(dataclasses.replace(HOST, name=name)).write(tmp_path, check_mode=False)
    assert {path.parent for path in tmp_path.rglob("*.html")} == {tmp_path / "hosts"}
    assert len(list(tmp_path.rglob("*"))) == 4


def test_names_that_differ_have_files_that_differ() -> None:
    names = ["a/b", "a_b", "a:b", "A_b", "gpu-1", "gpu-1.example.org"]
    assert len(set(map(file_name, names))) == len(names)
    assert file_name("gpu-1.example.org") == "gpu-1.example.org"


@pytest.mark.parametrize(("check_mode", "place"), [(False, r"taken/hosts/gpu-1\.html"), (True, "taken")])
def test_a_file_in_place_of_the_folder_is_one_sentence_in_check_mode_too(tmp_path: Path, check_mode: bool, place: str) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(HostError, match=rf"^folder: \S*/{place} cannot be written: .*\. Give a directory that you may write to\.$"):
        host_report(HOST).write(tmp_path / "taken", check_mode)
    assert host_report(HOST).write(tmp_path / "several/new", check_mode) is True
    assert (tmp_path / "several").exists() is not check_mode


def test_what_an_earlier_run_left_damaged_is_written_again(tmp_path: Path) -> None:
    host_report(HOST).write(tmp_path, check_mode=False)
    (tmp_path / "hosts/gpu-1.json").write_text("[" * 100_000)
    assert host_report(HOST).write(tmp_path, check_mode=False) is True
    assert json.loads((tmp_path / "hosts/gpu-1.json").read_text())["name"] == "gpu-1"


def test_a_pipe_in_place_of_a_file_is_replaced_and_never_read(tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    os.mkfifo(tmp_path / "hosts/gpu-1.json")
    assert host_report(HOST).write(tmp_path, check_mode=False) is True
    assert (tmp_path / "hosts/gpu-1.json").is_file()


def test_pages_can_be_read_by_a_web_server_where_the_umask_allows_it(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        host_report(HOST).write(tmp_path, check_mode=False)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "hosts").iterdir()} == {0o644}
