# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that hold claims, and the one place where an error becomes sentences."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import CLAIM_EXCLUSIVE, claims_of, pending_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import PendingModule


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


def test_an_error_is_told_with_its_hint_and_facts() -> None:
    result = ended(raising(HostError("It is so.", "Do this.", {"log": ["last line"]})))
    assert result == {"failed": True, "msg": "It is so. Do this.", "hint": "Do this.", "log": ["last line"]}


def test_an_error_of_the_system_is_one_sentence_that_names_the_file() -> None:
    assert ended(raising(PermissionError(13, "Permission denied", "/etc/x"))) == {"failed": True, "msg": "/etc/x: Permission denied."}


def test_a_list_of_claims_is_read_in_order() -> None:
    found = claims_of({"claims": [{"devices": "10de:1db1"}, {"devices": "class:02", "driver": "vfio-pci", "allow_missing": True}]})
    assert [(claim.driver, claim.allow_missing, claim.option("devices")) for claim in found] == [
        ("auto", False, "claims[0].devices"),
        ("vfio-pci", True, "claims[1].devices"),
    ]


def test_the_shorthand_is_one_claim_whose_options_stand_alone() -> None:
    (claim,) = claims_of({"devices": "10de:1db1", "driver": None, "expect": "10de:1db1", "allow_missing": None, "claims": None})
    assert (claim.driver, claim.expect, claim.option("driver")) == ("auto", (0x10DE, 0x1DB1), "driver")
    with pytest.raises(HostError, match=r"^devices: 'x'"):
        claims_of({"devices": "x"})


def test_no_claim_is_none_and_a_driver_without_devices_is_refused() -> None:
    assert claims_of({"claims": None, "devices": None, "driver": None}) == ()
    assert claims_of({"claims": []}) == ()
    with pytest.raises(HostError, match="driver: this needs devices"):
        claims_of({"driver": "vfio-pci"})


def test_pending_modules_are_read() -> None:
    assert pending_of({"pending_modules": [{"name": "a", "aliases": ["vfio_pci:v*"]}, {"name": "b", "aliases": None}]}) == (
        PendingModule("a", ("vfio_pci:v*",)),
        PendingModule("b"),
    )
    assert pending_of({}) == ()


def test_each_option_of_the_shorthand_is_taken_and_stands_beside_no_list() -> None:
    (claim,) = claims_of({"devices": "10de:1db1", "driver": "vfio-pci", "expect": "10de:1db1", "allow_missing": True})
    assert (claim.driver, claim.expect, claim.allow_missing) == ("vfio-pci", (0x10DE, 0x1DB1), True)
    assert set(CLAIM_EXCLUSIVE) == {("claims", "devices"), ("claims", "driver"), ("claims", "expect"), ("claims", "allow_missing")}
    for option, value in (("driver", "vfio-pci"), ("expect", "10de:1db1"), ("allow_missing", False)):
        with pytest.raises(HostError, match=f"^{option}: "):
            claims_of({option: value})
