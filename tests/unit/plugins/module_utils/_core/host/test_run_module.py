# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where a module ends, and where an error becomes sentences."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import NOT_FINITE, readable_options, run_module


class EndedError(Exception):
    """How the module ended: its result, with `failed` where it failed."""

    def __init__(self, **result: t.Any) -> None:
        super().__init__()
        self.result = result


class Module:
    """What `run_module` asks of an `AnsibleModule`."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def run_command(self, *_args: t.Any, **_options: t.Any) -> tuple[int, str, str]:
        return 0, "", ""

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def exit_json(self, **result: t.Any) -> None:
        raise EndedError(**result)

    def fail_json(self, **result: t.Any) -> None:
        raise EndedError(failed=True, **result)

    def set_default_selinux_context(self, _path: str, _changed: bool) -> bool:
        return False


def ended(work: t.Callable[[Host], dict[str, t.Any]], module: Module | None = None) -> dict[str, t.Any]:
    with pytest.raises(EndedError) as caught:
        run_module(t.cast("t.Any", module or Module()), work)
    return caught.value.result


def raising(error: Exception) -> t.Callable[[Host], dict[str, t.Any]]:
    def work(host: Host) -> dict[str, t.Any]:
        raise error

    return work


def test_what_the_work_returns_is_the_result() -> None:
    assert ended(lambda host: {"changed": host.root == "/"}) == {"changed": True}


def test_warnings_are_shown_and_are_no_part_of_the_result() -> None:
    module = Module()
    assert ended(lambda _host: {"changed": False, "warnings": ["mind this"]}, module) == {"changed": False}
    assert module.warnings == ["mind this"]


def test_an_error_comes_with_its_hint_and_facts() -> None:
    result = ended(raising(HostError("It is so.", "Do this.", {"log": ["last line"]})))
    assert result == {"failed": True, "msg": "It is so. Do this.", "hint": "Do this.", "log": ["last line"]}


def test_an_error_of_the_system_is_one_sentence_that_names_the_file() -> None:
    assert ended(raising(PermissionError(13, "Permission denied", "/etc/x"))) == {"failed": True, "msg": "/etc/x: Permission denied."}


def test_infinity_for_a_whole_number_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended_with, readable_options():
        # What ansible-core does with `timeout: .inf`.
        int(float("inf"))
    assert ended_with.value.code == 1
    assert json.loads(capsys.readouterr().out) == {"failed": True, "msg": NOT_FINITE}
