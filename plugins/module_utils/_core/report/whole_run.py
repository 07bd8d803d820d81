# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out a whole request to the role vfio_host in one process: judges all of it, does it, checks the next boot, leaves the record.

The parts are what the modules of their names do.  One lock is held from the check to the last change, so that what was judged is
what is done, and a part whose prediction has nothing to do is done with.
"""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply import boot_policy
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import pending_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, of_system
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import Interrupted
from ansible_collections.vfio.variants.plugins.module_utils._core.host.keep_facts import SETTLED
from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import untold
from ansible_collections.vfio.variants.plugins.module_utils._core.host.read_once import nothing_changes, run_of_steps
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.loaded_modules import warning_of
from ansible_collections.vfio.variants.plugins.module_utils._core.report import whole_host, whole_parts
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_check import compare
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_status import old_of_claims
from ansible_collections.vfio.variants.plugins.module_utils._core.report.driver_packages import lacks_dependencies, predicted
from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_parts import (
    BINDING,
    CHECK,
    DRIVERS,
    IMAGES,
    IOMMU,
    POLICY,
    has_to_do,
)

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import Tell
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import PendingModule
    from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_request import WholeRequest

Part = t.Literal["drivers", "winner"]


@dataclasses.dataclass(frozen=True)
class Manner:
    """How a request is carried out: ``skip`` are parts of it that are left out; without a ``key`` no record is left.

    With ``waits_for_drivers`` everything is judged, and nothing done, as long as a driver package has to be built.
    ``tell`` is told of each part that begins, and of each device that is bound.
    """

    check_mode: bool
    key: str = ""
    skip: frozenset[Part] = frozenset()
    waits_for_drivers: bool = False
    settled: float = SETTLED
    tell: Tell = untold


def carry_out(host: Host, request: WholeRequest, manner: Manner) -> Result:
    """The module's result.  Raises HostError, which names the part in ``facts``, and what was done before it."""
    run = _Run(host, request, manner)
    with run_of_steps():
        with contextlib.nullcontext() if manner.check_mode else host.lock():
            with nothing_changes():
                run.judge()
            if run.waits:
                return run.judged_only()
            if not manner.check_mode:
                run.act()
        run.conclude()
    return run.result()


class _Run:
    def __init__(self, host: Host, request: WholeRequest, manner: Manner) -> None:
        self._host = host
        self._request = request
        self._manner = manner
        self._results: dict[str, Result] = {}
        self._done: list[str] = []
        self._judged: boot_policy.JudgedPolicy | None = None
        self._checked: Result | None = None
        self._failure: HostError | None = None
        in_vain = bool(manner.key) and manner.check_mode
        self._recorded: Result = {"recorded": False, "because": "In check mode no record is left." if in_vain else ""}
        self.builds = False

    # -- judging

    def judge(self) -> None:
        """Every part as it would be done.  Nothing is written."""
        with self._part(POLICY):
            # What the request itself has wrong comes before what the host lacks.
            self._request.parse()
        if self._request.is_wanted:
            self._judge_drivers()
        elif BINDING in self._parts:
            # Before anything else: a device that is in use cannot be returned.
            self._judge(BINDING)
        for part in whole_parts.asked_for(self._request):
            if part in self._parts and part not in self._results:
                self._judge(part)
        if not self._request.is_wanted:
            self._judge_drivers()

    @property
    def _parts(self) -> tuple[str, ...]:
        """Those that are to be done, as far as is known by now."""
        return tuple(part for part in whole_parts.asked_for(self._request) if self._binds or part != BINDING)

    @property
    def _binds(self) -> bool:
        """Where there is an IOMMU only after the next boot, no VFIO driver can take a device before it."""
        found = self._results.get(IOMMU, {})
        is_later = self._request.is_wanted and found.get("will_be_enabled", False) and not found.get("enabled", True)
        return self._request.live and not is_later

    def _judge_drivers(self) -> None:
        if "drivers" in self._manner.skip or not self._request.packages:
            return
        with self._part(DRIVERS):
            found = predicted(self._host, self._request)
            lacking = self._request.is_wanted and lacks_dependencies(self._host, self._request)
        self._results[DRIVERS] = found
        self.builds = bool(found["changed"] or found["recovered"] or lacking)

    def _judge(self, part: str) -> None:
        with self._part(part):
            self._results[part] = self._applied(part, check_mode=True)

    @property
    def _pending(self) -> tuple[PendingModule, ...]:
        """The modules of packages that are still to be built; what was built is there."""
        is_predicted = self._manner.check_mode or self.waits
        return pending_of({"pending_modules": self._results[DRIVERS]["modules"]}) if self.builds and is_predicted else ()

    @property
    def waits(self) -> bool:
        return self.builds and self._manner.waits_for_drivers and self._request.is_wanted

    def _applied(self, part: str, check_mode: bool) -> Result:
        if part == POLICY:
            return self._policy(check_mode)
        pending = self._pending if check_mode else ()
        return whole_parts.applied(self._host, self._request, part, self._results, check_mode, pending, self._manner.tell)

    def _policy(self, check_mode: bool) -> Result:
        if not check_mode:
            # What was judged, unless another kernel or other arguments boot since then.
            judged = None if IOMMU in self._done else self._judged
            return boot_policy.apply(self._host, self._request.of_policy(), False, judged)
        arguments = self._results.get(IOMMU, {}).get("arguments", ())
        result, self._judged = boot_policy.predicted(self._host, self._request.of_policy(self._pending, arguments))
        return result

    # -- doing

    def act(self) -> None:
        """Each part whose prediction has something to do."""
        judged = dict(self._results)
        for part in self._parts:
            is_other = part == IMAGES and self._results[POLICY]["policy"] != judged[POLICY]["policy"]
            if is_other or has_to_do(judged[part]):
                self._manner.tell(f"begins with {part}")
                with self._part(part):
                    self._results[part] = self._applied(part, check_mode=False)
                self._done.append(part)

    @contextlib.contextmanager
    def _part(self, part: str) -> t.Iterator[None]:
        """Around a part: what ends it says which part it was, and what was done before it."""
        try:
            yield
        except Interrupted as error:
            ended = f"The run was ended by {error.name}; what {part} had begun has been undone."
            raise self._failed(HostError(ended), part) from error
        except OSError as error:
            raise self._failed(HostError(of_system(error)), part) from error
        except HostError as error:
            raise self._failed(error, part) from error

    def _failed(self, error: HostError, part: str) -> HostError:
        before = f"Before {part}, {' and '.join(self._done)} had been done, which stays." if self._done else None
        hint = " ".join(one for one in (error.hint, before) if one)
        return HostError(error.msg, hint or None, {**error.facts, "step": part, "done": list(self._done)})

    # -- afterwards

    def conclude(self) -> None:
        """What there is to say once everything is done, and the record if a run would have nothing left to do."""
        if not self._request.is_wanted:
            self._conclude_absent()
        elif not self._binds:
            self._check()
        if self._leaves_record:
            if self._done:
                # What was written just now cannot be distinguished from what is written next, on a file system with coarse times.
                self._host.wait_until(lambda: False, self._manner.settled)
            self._record()
        if self._checked is None and self._wants_winner:
            self._check()
        if self._failure is not None:
            raise self._failed(self._failure, CHECK)

    def _conclude_absent(self) -> None:
        if self._binds:
            from ansible_collections.vfio.variants.plugins.module_utils._core.report.reclaimed import with_next_boot

            self._results[BINDING] = with_next_boot(self._host, self._results[BINDING], self._manner.check_mode)
            return
        with self._part(BINDING):
            self._results[BINDING] = whole_parts.returned_by_the_next_boot(self._host, self._request)

    @property
    def _wants_winner(self) -> bool:
        """A forecast cannot take files into account that check mode has not written."""
        is_there = not (self._manner.check_mode and any(map(has_to_do, (self._results[part] for part in self._parts))))
        return self._request.is_wanted and self._request.check_winner and "winner" not in self._manner.skip and is_there

    def _check(self) -> None:
        """The claimed devices now and after the next boots; what is wrong is `_failure`."""
        require: t.Literal["winner", "none"] = "winner" if self._wants_winner else "none"
        try:
            # Contradictions are reported of devices that wait for the boot.
            wanted = self._request.of_check(require, self._pending, lints=not self._binds)
            found = compare(self._host, wanted, self._manner.check_mode)
            self._checked = found.result()
        except HostError as error:
            self._failure, self._checked = error, error.facts

    @property
    def _leaves_record(self) -> bool:
        removes = not self._request.is_wanted and (self.builds or not self._binds)
        return bool(self._manner.key) and not self._manner.check_mode and not (removes or self.reboot_required or self._failure)

    def _record(self) -> None:
        predicts = self._checked is None and self._wants_winner
        prediction = whole_host.RunPrediction(self._check_in_record, self._warnings) if predicts else None
        self._recorded = whole_host.record(self._host, self._request, self._manner.key, False, self._manner.settled, prediction)

    def _check_in_record(self) -> None:
        self._check()
        if self._failure is not None:
            raise whole_host.WouldChangeError("The next boot is not certain.")

    # -- the answer

    @property
    def reboot_required(self) -> bool:
        if self._request.is_wanted:
            waiting = [] if self._binds or self._checked is None else self._checked.get("devices", [])
            late = any(not device["satisfied"] for device in waiting)
            old = not self._binds and bool(old_of_claims(self._checked or {}))
            return late or old or any(self._results.get(part, {}).get("reboot_required", False) for part in (IOMMU, BINDING))
        return not self._request.live and any(device["changed"] for device in self._results[BINDING]["devices"])

    @property
    def _warnings(self) -> tuple[str, ...]:
        parts = [self._results[part] for part in (DRIVERS, *self._parts) if part in self._results]
        bound = self._results.get(BINDING, {})
        # Binding says of each of them whether it is loaded again, and why not.
        known = {warning_of(name) for name in (*(one["module"] for one in bound.get("reloaded", ())), *bound.get("old_in_use", ()))}
        return tuple(dict.fromkeys(one for part in parts for one in part.get("warnings", ()) if one not in known))

    def judged_only(self) -> Result:
        """Nothing was done, and what was predicted is predicted again once the drivers are there."""
        return {**self.result(), "changed": False, "diff": [], "warnings": []}

    def result(self) -> Result:
        parts = [self._results[part] for part in self._parts]
        checked = [] if self._checked is None else self._checked.get("devices", [])
        drivers = self._results.get(DRIVERS, {})
        devices = (
            self._results[BINDING]["devices"] if BINDING in self._results and (self._binds or not self._request.is_wanted) else checked
        )
        return {
            "changed": any(part["changed"] for part in parts),
            "diff": [one for part in parts if part["changed"] for one in _listed(part["diff"])],
            "warnings": list(self._warnings),
            "recovered": _recovered(parts),
            "waits_for_drivers": self.waits,
            "drivers": {"changed": self.builds, "modules": drivers.get("modules", [])},
            "iommu": {name: self._results[IOMMU][name] for name in ("enabled", "will_be_enabled", "because", "arguments")}
            if IOMMU in self._results
            else None,
            "policy": self._results[POLICY]["policy"],
            "kernels": self._results[IMAGES]["kernels"],
            "devices": devices,
            "winners": [{name: device[name] for name in ("address", "claimed", "will_be_satisfied")} for device in checked],
            "reboot_required": self.reboot_required,
            "recorded": self._recorded["recorded"],
            "because": self._recorded["because"],
        }


def _recovered(results: t.Sequence[Result]) -> list[t.Any]:
    """Each once: in check mode every part predicts the same."""
    found: list[t.Any] = []
    for result in results:
        found += (one for one in result.get("recovered", ()) if one not in found)
    return found


def _listed(diff: t.Any) -> list[t.Any]:
    return list(diff) if isinstance(diff, (list, tuple)) else [diff]
