# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a whole run of the role vfio_host would do, predicted in one process: nothing, or the first thing that it would change.

A run that would do nothing leaves a record of all that this rested on, so that the next run need only ask whether it still holds.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply import bind, boot_policy, image_sync, iommu
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.unfinished import unfinished_work
from ansible_collections.vfio.variants.plugins.module_utils._core.host import unchanged
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.keep_facts import SETTLED, UnfitError, UnsettledError, keep
from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_once import nothing_changes
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.report import driver_packages
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_check import compare
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_status import old_of_claims

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.kept_facts import KeptFacts
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_request import WholeRequest


@dataclasses.dataclass(frozen=True)
class RunPrediction:
    """That the next boots are as claimed is found out by ``check``, within the record; ``warnings`` are those of the run before."""

    check: t.Callable[[], None]
    """Raises WouldChangeError if they are not."""
    warnings: tuple[str, ...]


class WouldChangeError(Exception):
    """The run would change something; says what."""


def record(
    host: Host, request: WholeRequest, key: str, check_mode: bool, settled: float = SETTLED, prediction: RunPrediction | None = None
) -> Result:
    """Leave a record if the run would do nothing; ``key`` stands for the request, the drivers' sources and the code.

    ``prediction`` comes first, so that it is made whatever else is found, and takes the place of every other forecast.
    """
    try:
        try:
            facts, outcome = _read(host, request, check_mode, settled, prediction)
        except UnsettledError as error:
            host.wait_until(lambda: False, error.seconds)
            facts, outcome = _read(host, request, check_mode, settled, prediction)
        if not check_mode:
            unchanged.record(host, key, facts, outcome)
    except (HostError, UnfitError, UnsettledError, WouldChangeError) as error:
        return {"changed": False, "recorded": False, "because": str(error), "facts": 0}
    return {"changed": False, "recorded": not check_mode, "because": "", "facts": facts.count}


def _read(
    host: Host, request: WholeRequest, check_mode: bool, settled: float, prediction: RunPrediction | None
) -> tuple[KeptFacts, unchanged.RunOutcome]:
    with host.recorded() as log, nothing_changes():
        if prediction is not None:
            prediction.check()
        outcome = predict(host, request, check_mode, prediction)
    return keep(host, log, settled), outcome


def predict(host: Host, request: WholeRequest, check_mode: bool = True, prediction: RunPrediction | None = None) -> unchanged.RunOutcome:
    """What the role returns if it has nothing to do.  Raises WouldChangeError or HostError; changes nothing but caches."""
    _refuse_unfinished(host)
    run = _UnchangedRun(host, request, check_mode, prediction)
    outcome = run.present() if request.is_wanted else run.absent()
    return {**outcome, "warnings": list(dict.fromkeys(run.warnings))}


def _refuse_unfinished(host: Host) -> None:
    left = unfinished_work(host, Inventory.read(host))
    if left:
        raise WouldChangeError(" ".join(left[0].what))


def _refuse_old(modules: t.Sequence[str]) -> None:
    """Raises WouldChangeError where a reboot is required: what is said of that has to be said by each run until then."""
    if modules:
        raise WouldChangeError(f"Another version of {modules[0]} is loaded than is installed.")


class _UnchangedRun:
    def __init__(self, host: Host, request: WholeRequest, check_mode: bool, prediction: RunPrediction | None) -> None:
        self._host = host
        self._request = request
        self._check_mode = check_mode
        self._is_predicted = prediction is not None
        self.warnings: list[str] = [] if prediction is None else [*prediction.warnings]

    def present(self) -> unchanged.RunOutcome:
        request = self._request
        modules = self._packages()
        if driver_packages.lacks_dependencies(self._host, request):
            raise WouldChangeError("DKMS or the headers of a kernel are missing.")
        self._iommu()
        policy = self._policy()
        images = self._images(policy)
        devices = self._bound(request.of_binding()) if request.live else self._waiting()
        if request.check_winner and not self._is_predicted:
            self._winners()
        return _outcome(policy, images, devices, modules)

    def absent(self) -> unchanged.RunOutcome:
        request = self._request
        policy = self._policy()
        images = self._images(policy)
        self._iommu()
        devices = self._bound(request.of_binding() if request.live else request.of_waiting())
        self._packages()
        return _outcome(policy, images, devices, [])

    def _unchanged(self, what: str, result: Result) -> Result:
        self.warnings += result.get("warnings", ())
        if result["changed"] or result.get("recovered"):
            raise WouldChangeError(f"{what} has something to do.")
        return result

    def _packages(self) -> list[t.Any]:
        modules: list[t.Any] = self._unchanged("dkms_package", driver_packages.predicted(self._host, self._request))["modules"]
        return modules

    def _iommu(self) -> None:
        if not self._request.iommu:
            return
        if self._unchanged("iommu", iommu.apply(self._host, self._request.of_iommu(), check_mode=True))["reboot_required"]:
            raise WouldChangeError("The next boot will have an IOMMU.")

    def _policy(self) -> Result:
        if not (self._is_predicted and self._request.is_wanted):
            return self._unchanged("boot_policy", boot_policy.apply(self._host, self._request.of_policy(), check_mode=True))
        # Nothing is unfinished, so that there is nothing to be recovered first.
        return self._unchanged("boot_policy", boot_policy.judge(self._host, self._request.of_policy(), True, predicts=False).result())

    def _images(self, policy: Result) -> Result:
        wanted = self._request.of_images(policy["policy"])
        return self._unchanged("initramfs", image_sync.sync_images(self._host, wanted, check_mode=True).result())

    def _bound(self, wanted: bind.BindRequest) -> list[t.Any]:
        found = self._unchanged("device_claim", bind.ensure(self._host, wanted, check_mode=True).result())
        _refuse_old(found.get("old_in_use", ()))
        devices: list[t.Any] = found["devices"]
        return devices

    def _waiting(self) -> list[t.Any]:
        result = self._compared("none")
        if not all(device["satisfied"] for device in result["devices"]):
            raise WouldChangeError("A device is not bound as claimed before the next boot.")
        _refuse_old(old_of_claims(result))
        devices: list[t.Any] = result["devices"]
        return devices

    def _winners(self) -> None:
        """Raises HostError if a device is not certain to be bound as claimed at boot."""
        self._compared("winner")

    def _compared(self, require: t.Literal["none", "winner"]) -> Result:
        result = compare(self._host, self._request.of_check(require), self._check_mode).result()
        self.warnings += result.get("warnings", ())
        return result


def _outcome(policy: Result, images: Result, devices: list[t.Any], modules: list[t.Any]) -> unchanged.RunOutcome:
    report = {"policy": policy["policy"], "kernels": images["kernels"], "devices": devices}
    return {"reboot_required": False, "report": report, "modules": modules}
