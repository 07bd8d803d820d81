# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a whole run of the role vfio_host would do, predicted in one process: nothing, or the first thing that it would change.

A run that would do nothing leaves a record of all that this rested on, so that the next run need only ask whether it still holds.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply import boot_policy
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.unfinished import unfinished_work
from ansible_collections.vfio.variants.plugins.module_utils._core.host import unchanged
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.keep_facts import SETTLED, UnfitError, UnsettledError, keep
from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_once import nothing_changes
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.report import driver_packages, whole_parts
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_check import compare
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_status import old_of_claims
from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_parts import BINDING, DRIVERS, IMAGES, IOMMU, POLICY

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
    return {**run.outcome(), "warnings": list(dict.fromkeys(run.warnings))}


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
        self._results: dict[str, Result] = {}
        self.warnings: list[str] = [] if prediction is None else [*prediction.warnings]

    def outcome(self) -> unchanged.RunOutcome:
        request, results = self._request, self._results
        if request.is_wanted:
            self._drivers()
        for part in whole_parts.asked_for(request):
            waits = part == BINDING and request.is_wanted and not request.live
            results[part] = self._waiting() if waits else self._unchanged(part, self._predicted(part))
        if not request.is_wanted:
            self._drivers()
        elif request.check_winner and not self._is_predicted:
            self._winners()
        report = {"policy": results[POLICY]["policy"], "kernels": results[IMAGES]["kernels"], "devices": results[BINDING]["devices"]}
        modules = results[DRIVERS]["modules"] if request.is_wanted else []
        return {"reboot_required": False, "report": report, "modules": modules}

    def _unchanged(self, part: str, result: Result) -> Result:
        self.warnings += result.get("warnings", ())
        if whole_parts.has_to_do(result):
            raise WouldChangeError(f"{part} has something to do.")
        if part == IOMMU and result["reboot_required"]:
            raise WouldChangeError("The next boot will have an IOMMU.")
        if part == BINDING:
            _refuse_old(result.get("old_in_use", ()))
        return result

    def _drivers(self) -> None:
        self._results[DRIVERS] = self._unchanged(DRIVERS, driver_packages.predicted(self._host, self._request))
        if self._request.is_wanted and driver_packages.lacks_dependencies(self._host, self._request):
            raise WouldChangeError("DKMS or the headers of a kernel are missing.")

    def _predicted(self, part: str) -> Result:
        host, request = self._host, self._request
        if part == POLICY and request.is_wanted and self._is_predicted:
            # Nothing is unfinished, so that there is nothing to be recovered first.
            return boot_policy.judge(host, request.of_policy(), True, predicts=False).result()
        if part == BINDING and not request.live:
            return whole_parts.returned_by_the_next_boot(host, request)
        return whole_parts.applied(host, request, part, self._results, check_mode=True)

    def _waiting(self) -> Result:
        result = compare(self._host, self._request.of_check("none"), self._check_mode).result()
        if not all(device["satisfied"] for device in result["devices"]):
            raise WouldChangeError("A device is not bound as claimed before the next boot.")
        _refuse_old(old_of_claims(result))
        return result

    def _winners(self) -> None:
        """Raises HostError if a device is not certain to be bound as claimed at boot."""
        compare(self._host, self._request.of_check("winner"), self._check_mode).result()
