# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where a module ends, and where an error becomes sentences."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.module_call import readable_options
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module
from ansible_collections.vfio.variants.plugins.modules import boot_policy, claim_info, device_claim, device_info, dkms_package, initramfs


class EndedError(Exception):
    """How the module ended: its result, with `failed` where it failed."""

    def __init__(self, **result: t.Any) -> None:
        super().__init__()
        self.result = result


class Module:
    """What `run_module` asks of an `AnsibleModule`."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.params: dict[str, t.Any] = {}

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


def test_an_error_is_one_text_with_its_hint_which_is_not_returned_again() -> None:
    result = ended(raising(HostError("It is so.", "Do this.", {"log": ["last line"]})))
    assert result == {"failed": True, "msg": "It is so. Do this.", "log": ["last line"]}


def test_an_error_of_the_system_is_one_sentence_that_names_the_file() -> None:
    assert ended(raising(PermissionError(13, "Permission denied", "/etc/x"))) == {"failed": True, "msg": "/etc/x: Permission denied."}


def test_a_sentence_that_shows_a_whole_file_is_cut() -> None:
    assert len(ended(raising(HostError("x" * 1_000_000)))["msg"]) < 5000


def test_an_unexpected_error_is_one_sentence_that_says_where() -> None:
    result = ended(raising(RecursionError("maximum recursion depth exceeded")))
    assert result["failed"]
    assert re.fullmatch(
        r"This is a fault of the collection: RecursionError at \w+\.py:\d+: maximum recursion depth exceeded\. .+", result["msg"]
    )
    assert "SECURITY.md" in result["msg"]


MODULES = (boot_policy, claim_info, device_claim, device_info, dkms_package, initramfs)
DEEP = "[" * 50_000 + "]" * 50_000


def said_by(module: t.Any, options: str) -> str:
    """The one sentence of a module that really runs, in a process of its own, with these options as JSON."""
    command = f"import sys; from {module.__name__} import main; main()"
    given = f'{{"ANSIBLE_MODULE_ARGS": {options}}}'
    env = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    basic = "from ansible.module_utils import basic; basic._ANSIBLE_ARGS = sys.stdin.buffer.read(); basic._ANSIBLE_PROFILE = 'legacy'; "
    done = subprocess.run(
        [sys.executable, "-c", command.replace("import sys; ", f"import sys; {basic}")],
        input=given.encode(),
        capture_output=True,
        timeout=120,
        env=env,
        check=False,
    )
    assert b"Traceback" not in done.stdout + done.stderr, done.stderr.decode()
    result = json.loads(done.stdout)
    assert result["failed"]
    return str(result["msg"])


@pytest.mark.sampled(3)
@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_module_looks_at_its_options_before_ansible_does(module: t.Any) -> None:
    assert said_by(module, '{"timeout": Infinity, "devices": "10de:*"}').startswith("timeout: inf is not a finite number.")


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ('{"timeout": Infinity}', r"timeout: inf is not a finite number\."),
        ('{"timeout": NaN}', r"timeout: nan is not a finite number\."),
        (f'{{"timeout": 1{"0" * 400}}}', r"timeout: a number of \d+ bits is too large\."),
        (f'{{"timeout": 1{"0" * 5000}}}', r"The options cannot be read: "),
        ('{"name": "a\\u0000b"}', r"name: 'a\\x00b' has the control character '\\x00'\."),
        ('{"kernels": ["6.12\\n"]}', r"kernels\[0\]: '6\.12\\n' has the control character '\\n'\."),
        (f'{{"devices": {DEEP}}}', r"The options cannot be read: |devices\[0\]: it is nested too deeply\."),
        (f'{{"devices": {json.dumps(["10de:*"] * 10_000)}}}', r"devices: 10000 entries are too many\. Allowed are 8192\."),
        (f'{{"devices": "{"x" * 100_000}"}}', r"devices: 'x{150}… \(100000 characters\)' is too long\."),
        (r'{"devices": "\ud800"}', r"devices: '\\ud800' is not text\."),
        (r'{"a\u0000": 1}', r"."),
    ],
)
def test_what_no_option_can_mean_is_refused_in_one_sentence(options: str, sentence: str) -> None:
    said = said_by(device_claim, options)
    assert re.match(sentence, said)
    assert len(said) < 1000


def test_a_module_that_is_only_asked_for_its_arguments_is_not_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    # As ansible-test does it.
    monkeypatch.setattr("ansible.module_utils.basic._load_params", lambda: None)
    with readable_options(device_claim.ARGUMENTS):
        pass
