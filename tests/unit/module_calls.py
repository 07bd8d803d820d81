# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules called as Ansible calls them, from options as a task gives them to what is returned, on a host of the test's own.

The options go through Ansible's own validation, which fills in defaults, and through the module's `request()`.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_check import compare
from ansible_collections.vfio.variants.plugins.module_utils._core.report.device_facts import gather
from ansible_collections.vfio.variants.plugins.modules import claim_info as claim_info_module
from ansible_collections.vfio.variants.plugins.modules import device_claim as device_claim_module
from ansible_collections.vfio.variants.plugins.modules import device_info as device_info_module

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

Arguments = t.Mapping[str, t.Mapping[str, t.Any]]


def options_of(spec: Arguments, /, **given: t.Any) -> dict[str, t.Any]:
    """A task's options as a module gets them."""
    validated = ArgumentSpecValidator(spec).validate(given)
    assert validated.error_messages == []
    options: dict[str, t.Any] = validated.validated_parameters
    return options


def device_claim(host: Host, check_mode: bool = False, **given: t.Any) -> dict[str, t.Any]:
    request = device_claim_module.request(options_of(device_claim_module.ARGUMENTS, **given))
    return device_claim_module.bound(host, request, check_mode)


def claim_info(host: Host, check_mode: bool = False, **given: t.Any) -> dict[str, t.Any]:
    request = claim_info_module.request(options_of(claim_info_module.ARGUMENTS, **given))
    return compare(host, request, check_mode).result()


def device_info(host: Host, check_mode: bool = False, **given: t.Any) -> dict[str, t.Any]:
    """With all fields, unless a test asks for less."""
    request = device_info_module.request(options_of(device_info_module.ARGUMENTS, **{"detail": "full", **given}))
    return gather(host, request, check_mode)
