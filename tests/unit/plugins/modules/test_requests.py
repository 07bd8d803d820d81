# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a task's options to the request that the core gets: defaults are the same, and no option is lost."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.bind import BindRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_sync import SyncRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.iommu import IommuRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.kernel_cmdline import CmdlineRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import claims_of
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.module_check import ExpectedModule
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import FolderOnHost, PackageRequest, SentSources
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.argument_change import ArgumentChange
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_check import ClaimCheckRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.report.device_facts import DeviceReportRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_run import Manner
from ansible_collections.vfio.variants.plugins.modules import (
    boot_policy,
    claim_info,
    device_claim,
    device_info,
    dkms_package,
    host_claims,
    initramfs,
    iommu,
    kernel_cmdline,
)
from ansible_collections.vfio.variants.tests.unit.module_calls import options_of
from ansible_collections.vfio.variants.tests.unit.trees import modalias

V100 = {"devices": "10de:1db1"}
PENDING = [{"name": "gpu_vfio_pci"}]
CLAIM = {
    **V100,
    "driver": "vfio-pci",
    "expect": "10de:1db1",
    "allow_missing": True,
    "guards": {"in_use": "ignore"},
    "node": {"owner": "qemu"},
    "claims": [{"devices": "8086:10d3"}],
}
HARDWARE = [{"modalias": modalias("10de:1db1")}]


class Edge(t.NamedTuple):
    """A module, the least that a task must give it, the request that this makes, and for each option a value that is not its default."""

    module: t.Any
    least: dict[str, t.Any]
    request: object
    others: dict[str, t.Any]


EDGES = {
    "device_claim": Edge(
        device_claim,
        V100,
        BindRequest(claims_of(V100)),
        {**CLAIM, "devices": "8086:10d3", "pending_modules": PENDING, "state": "absent", "group": "check", "timeout": 61},
    ),
    "claim_info": Edge(
        claim_info,
        V100,
        ClaimCheckRequest(claims_of(V100, missing_by_default=True)),
        {
            **CLAIM,
            "devices": "8086:10d3",
            "allow_missing": False,
            "pending_modules": PENDING,
            "require": "winner",
            "kernels": ["all"],
            "group": "ignore",
            "hardware": HARDWARE,
            "assumes": True,
            "predicted": {"devices": [], "next_boot": {"release": None, "reason": "No kernel is known."}},
        },
    ),
    "device_info": Edge(
        device_info,
        {},
        DeviceReportRequest(),
        {**V100, "allow_missing": False, "hardware": HARDWARE, "forecast": False, "assumes": True, "detail": "full"},
    ),
    "initramfs": Edge(
        initramfs,
        {},
        SyncRequest(),
        {
            "kernels": ["running"],
            "policy": {"files": {}, "modules": ["vfio_pci"]},
            "pending_modules": PENDING,
            "generator": "dracut",
            "force": True,
            "timeout": 601,
            "allow_unsupported": True,
        },
    ),
    "kernel_cmdline": Edge(
        kernel_cmdline,
        {"arguments": ["iommu=pt"]},
        CmdlineRequest(ArgumentChange(("iommu=pt",)), 600),
        {"arguments": ["iommu=on"], "state": "absent", "timeout": 601, "allow_unsupported": True},
    ),
    "iommu": Edge(iommu, {}, IommuRequest(), {"state": "absent", "passthrough": True, "timeout": 601, "allow_unsupported": True}),
    "dkms_package": Edge(
        dkms_package,
        {"source": "gpu"},
        PackageRequest(source=SentSources("gpu")),
        {
            "source": "other",
            "remote_src": True,
            "variant": "mlx5",
            "kernel_sources": ["/srv/linux"],
            "ignore_kconfig": True,
            "name": "gpu",
            "version": "1.0",
            "state": "built",
            "kernels": ["running"],
            "modules": [{"name": "gpu_vfio_pci"}],
            "keep_versions": True,
            "timeout": 1801,
            "allow_unsupported": True,
            "_run": {"digest": "d1"},
        },
    ),
}
NOT_IN_THE_REQUEST = {"root"}
"""It is the host's."""
OF_THE_ANSWER = {"claim_info": {"detail"}}
"""How much of what was found is returned."""


def request_of(edge: Edge, **options: t.Any) -> object:
    return edge.module.request(options_of(edge.module.ARGUMENTS, **{**edge.least, **options}))


@pytest.mark.parametrize("name", EDGES)
def test_a_request_has_the_defaults_of_the_modules_options(name: str) -> None:
    assert request_of(EDGES[name]) == EDGES[name].request


@pytest.mark.parametrize(("name", "option"), [(name, option) for name, edge in EDGES.items() for option in edge.others])
def test_every_option_changes_the_request(name: str, option: str) -> None:
    edge = EDGES[name]
    assert request_of(edge, **{option: edge.others[option]}) != edge.request


@pytest.mark.parametrize("name", EDGES)
def test_no_option_is_forgotten_here(name: str) -> None:
    expected = EDGES[name].module.ARGUMENTS.keys() - NOT_IN_THE_REQUEST - OF_THE_ANSWER.get(name, set())
    assert expected == EDGES[name].others.keys() - NOT_IN_THE_REQUEST


@pytest.mark.parametrize("given", [{"devices": None}, {"claims": None}, {"claims": []}])
def test_a_policy_for_no_device_is_not_taken_for_its_removal(given: dict[str, t.Any]) -> None:
    """Ansible's own check takes null, as of a variable that is empty, as given."""
    with pytest.raises(HostError, match=r"^devices: no device is named\. Give devices, or a list of claims; state: absent removes"):
        boot_policy.request(options_of(boot_policy.ARGUMENTS, **given))
    assert boot_policy.request(options_of(boot_policy.ARGUMENTS, state="absent", **given)).claims == ()


def test_what_the_action_plugin_says_reaches_the_request() -> None:
    said = {"digest": "d1", "conf": "c", "manifest": "m", "archive": "/tmp/source.tar", "step": "build", "build": ["6.12"]}
    assert request_of(EDGES["dkms_package"], _run=said) == PackageRequest(
        source=SentSources("gpu", "d1", "c", "m", "/tmp/source.tar"), step="build", build=("6.12",)
    )
    assert said.keys() == dkms_package.ARGUMENTS["_run"]["options"].keys()


def test_how_a_whole_request_is_carried_out_is_as_given() -> None:
    def manner(**options: t.Any) -> Manner:
        given = options_of(host_claims.ARGUMENTS, request={"claims": [V100]}, _run={"key": "k"}, **options)
        return host_claims.request(given, check_mode=False)[1]

    assert manner() == Manner(False, "k")
    assert manner(waits_for_drivers=True, skip=["winner"]) == Manner(False, "k", frozenset({"winner"}), waits_for_drivers=True)
    assert manner(record=False) == Manner(False)


def test_sources_on_the_host_and_expected_modules_are_as_given() -> None:
    request = request_of(EDGES["dkms_package"], remote_src=True, modules=[{"name": "gpu", "aliases": ["pci:v1"]}])
    assert request == PackageRequest(source=FolderOnHost("gpu"), modules=(ExpectedModule("gpu", ("pci:v1",)),))
