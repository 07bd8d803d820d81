# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a whole run of the role vfio_host would do, predicted in one process: nothing, or the first thing that it would change.

A run that would do nothing leaves a record of all that this rested on, so that the next run need only ask whether it still holds.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply import bind, boot_policy, image_sync, iommu
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_check import GivenPolicy
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.unfinished import unfinished_work
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import claims_of
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import steps
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import KernelVariant, PackageRequest, SentSources
from ansible_collections.vfio.variants.plugins.module_utils._core.host import unchanged
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.keep_facts import SETTLED, UnfitError, UnsettledError, keep
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import chosen_releases, read_all
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import DEFAULT_STRATEGY
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.request import PolicyRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_check import ClaimCheckRequest, compare

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Strategy
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.kept_facts import KeptFacts
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result

DKMS = "/usr/sbin/dkms"
IGNORED_IF_WAITING = {"in_use": "ignore", "data_mounts": "ignore", "companions": "ignore"}


class WouldChangeError(Exception):
    """The run would change something; says what."""


@dataclasses.dataclass(frozen=True)
class WholeRequest:
    """The options of the role.  ``packages`` are the driver packages, none if the role is not to install any."""

    claims: tuple[t.Mapping[str, t.Any], ...]
    state: str = "present"
    strategy: Strategy = DEFAULT_STRATEGY
    kernels: tuple[str, ...] = ("all",)
    group: t.Literal["claim", "ignore"] = "claim"
    live: bool = True
    check_winner: bool = True
    timeout: int = 60
    iommu: bool = False
    iommu_passthrough: bool = False
    packages: tuple[SentSources | KernelVariant, ...] = ()
    packages_kernels: tuple[str, ...] = ("all",)
    packages_sources: tuple[str, ...] = ()
    """Where the sources of kernels are, () for /usr/src."""
    packages_timeout: int = 900
    needs_dependencies: bool = False
    """Whether DKMS and the kernels' headers have to be installed."""


def record(host: Host, request: WholeRequest, key: str, check_mode: bool, settled: float = SETTLED) -> Result:
    """Leave a record if the run would do nothing; ``key`` stands for the request, the drivers' sources and the code."""
    try:
        try:
            facts, outcome = _read(host, request, check_mode, settled)
        except UnsettledError as error:
            host.wait_until(lambda: False, error.seconds)
            facts, outcome = _read(host, request, check_mode, settled)
        if not check_mode:
            unchanged.record(host, key, facts, outcome)
    except (HostError, UnfitError, UnsettledError, WouldChangeError) as error:
        return {"changed": False, "recorded": False, "because": str(error), "facts": 0}
    return {"changed": False, "recorded": not check_mode, "because": "", "facts": facts.count}


def _read(host: Host, request: WholeRequest, check_mode: bool, settled: float) -> tuple[KeptFacts, unchanged.Outcome]:
    with host.recorded() as log:
        outcome = predict(host, request, check_mode)
    return keep(host, log, settled), outcome


def predict(host: Host, request: WholeRequest, check_mode: bool = True) -> unchanged.Outcome:
    """What the role returns if it has nothing to do.  Raises WouldChangeError or HostError; changes nothing but caches."""
    _refuse_unfinished(host)
    run = _Run(host, request, check_mode)
    outcome = run.present() if request.state == "present" else run.absent()
    return {**outcome, "warnings": list(dict.fromkeys(run.warnings))}


def _refuse_unfinished(host: Host) -> None:
    left = unfinished_work(host, Inventory.read(host))
    if left:
        raise WouldChangeError(" ".join(left[0].what))


class _Run:
    def __init__(self, host: Host, request: WholeRequest, check_mode: bool) -> None:
        self._host = host
        self._request = request
        self._check_mode = check_mode
        self._claims = claims_of({"claims": [dict(claim) for claim in request.claims]})
        self.warnings: list[str] = []

    def present(self) -> unchanged.Outcome:
        request = self._request
        modules = [module for package in request.packages for module in self._package(package)]
        if request.needs_dependencies and request.packages:
            self._dependencies()
        self._iommu()
        policy = self._unchanged("boot_policy", boot_policy.apply(self._host, self._policy_request(), check_mode=True))
        images = self._images(policy)
        devices = self._bound() if request.live else self._waiting()
        if request.check_winner:
            self._winners()
        return _outcome(policy, images, devices, modules)

    def absent(self) -> unchanged.Outcome:
        request = self._request
        gone = PolicyRequest(wanted=False)
        policy = self._unchanged("boot_policy", boot_policy.apply(self._host, gone, check_mode=True))
        images = self._images(policy)
        self._iommu()
        devices = self._bound() if request.live else self._bound(IGNORED_IF_WAITING)
        for package in request.packages:
            self._package(package)
        return _outcome(policy, images, devices, [])

    def _unchanged(self, what: str, result: Result) -> Result:
        self.warnings += result.get("warnings", ())
        if result["changed"] or result.get("recovered"):
            raise WouldChangeError(f"{what} has something to do.")
        return result

    def _package(self, sources: SentSources | KernelVariant) -> list[t.Any]:
        request = self._request
        state: t.Literal["present", "absent"] = "present" if request.state == "present" else "absent"
        kernels = request.packages_kernels if request.state == "present" else ("all",)
        places = request.packages_sources if isinstance(sources, KernelVariant) else ()
        wanted = PackageRequest(state=state, kernels=kernels, source=sources, timeout=request.packages_timeout, kernel_sources=places)
        modules: list[t.Any] = self._unchanged("dkms_package", steps.run(self._host, wanted, check_mode=True).result()).get("modules", [])
        return modules

    def _iommu(self) -> None:
        request = self._request
        if not request.iommu:
            return
        wanted = iommu.IommuRequest(request.state == "present", request.iommu_passthrough)
        if self._unchanged("iommu", iommu.apply(self._host, wanted, check_mode=True))["reboot_required"]:
            raise WouldChangeError("The next boot will have an IOMMU.")

    def _dependencies(self) -> None:
        chosen = chosen_releases(self._host, self._request.packages_kernels)
        missing = [kernel.release for kernel in read_all(self._host, chosen) if not kernel.has_headers]
        if missing or not self._host.is_file(DKMS):
            raise WouldChangeError("DKMS or the headers of a kernel are missing.")

    def _policy_request(self) -> PolicyRequest:
        request = self._request
        return PolicyRequest(
            claims=self._claims,
            strategy=request.strategy,
            kernels=request.kernels,
            whole_groups=request.group == "claim",
        )

    def _images(self, policy: Result) -> Result:
        given = GivenPolicy.parse(policy["policy"]["files"], policy["policy"]["modules"])
        wanted = image_sync.SyncRequest(kernels=self._request.kernels, policy=given)
        return self._unchanged("initramfs", image_sync.sync_images(self._host, wanted, check_mode=True).result())

    def _bound(self, guards: t.Mapping[str, str] | None = None) -> list[t.Any]:
        request = self._request
        claims = self._claims if guards is None else claims_of({"claims": [{**claim, "guards": guards} for claim in request.claims]})
        state: t.Literal["present", "absent"] = "present" if request.state == "present" else "absent"
        wanted = bind.BindRequest(claims=claims, state=state, group=request.group, timeout=request.timeout)
        devices: list[t.Any] = self._unchanged("device_claim", bind.ensure(self._host, wanted, check_mode=True).result())["devices"]
        return devices

    def _waiting(self) -> list[t.Any]:
        result = self._compared("none")
        if not all(device["satisfied"] for device in result["devices"]):
            raise WouldChangeError("A device is not bound as claimed before the next boot.")
        devices: list[t.Any] = result["devices"]
        return devices

    def _winners(self) -> None:
        """Raises HostError if a device is not certain to be bound as claimed at boot."""
        self._compared("winner")

    def _compared(self, require: t.Literal["none", "winner"]) -> Result:
        request = self._request
        wanted = ClaimCheckRequest(claims=self._claims, require=require, kernels=request.kernels, group=request.group)
        result = compare(self._host, wanted, self._check_mode).result()
        self.warnings += result.get("warnings", ())
        return result


def _outcome(policy: Result, images: Result, devices: list[t.Any], modules: list[t.Any]) -> unchanged.Outcome:
    report = {"policy": policy["policy"], "kernels": images["kernels"], "devices": devices}
    return {"reboot_required": False, "report": report, "modules": modules}
