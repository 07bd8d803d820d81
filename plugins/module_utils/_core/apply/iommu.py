# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sees to it that there is an IOMMU after the next boot, and takes back what was added for it."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.boot_arguments import boot_arguments
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.cmdline_record import CmdlineRecord
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.iommu import after, needed_arguments
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import DIRECTORY
from ansible_collections.vfio.variants.plugins.module_utils._core.host.time_limit import checked_timeout
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.iommu import Iommu

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.iommu import BootArguments
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result

NO_BOOT = "which kernel boots next cannot be determined"


@dataclasses.dataclass(frozen=True)
class IommuRequest:
    """Without ``wanted`` what was added is taken back; with ``passthrough`` the host's own devices are not translated."""

    wanted: bool = True
    passthrough: bool = False
    timeout: int = 600
    allow_unsupported: bool = False


def apply(host: Host, request: IommuRequest, check_mode: bool) -> Result:
    """Make it hold and return the module's result; with ``check_mode`` only predict it.

    Nothing is changed where no argument helps; ``because`` says why there will be none then.  Raises HostError as `kernel_cmdline` does.
    """
    checked_timeout(request.timeout)
    iommu = Iommu.read(host, Inventory.read(host))
    ours = CmdlineRecord.read(host).iommu
    boots = boot_arguments(host, next_boot.read(host), every=True)
    wanted: tuple[str, ...] = ()
    if request.wanted:
        wanted = needed_arguments(iommu, tuple(_changed(boot, ours, False) for boot in boots), request.passthrough)
    surplus = tuple(word for word in ours if word not in wanted)
    results = [_change(host, request, words, words is wanted, check_mode) for words in (surplus, wanted) if words]
    if not results:
        results = _recovered(host, check_mode)
    results = [result for result in results if result["changed"] or result["reboot_required"] or result.get("recovered")]
    later = tuple(_changed(_changed(boot, surplus, False), wanted, True) for boot in boots)
    return _result(iommu, later, wanted, results)


def _recovered(host: Host, check_mode: bool) -> list[Result]:
    """As a run with arguments to change begins: what a killed run has left, if only the empty folder of its records."""
    if not host.is_root or not host.is_dir(DIRECTORY):
        return []
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply.recovery import recover

    with contextlib.nullcontext() if check_mode else host.lock():
        found = recover(host, check_mode)
    return [found.added_to({"changed": False, "reboot_required": False, "diff": [], "files": [], "commands": []})]


def _change(host: Host, request: IommuRequest, words: tuple[str, ...], wanted: bool, check_mode: bool) -> Result:
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply import kernel_cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.argument_change import ArgumentChange

    change = ArgumentChange.parse(words, wanted)
    asked = kernel_cmdline.CmdlineRequest(change, request.timeout, request.allow_unsupported, for_iommu=True)
    return kernel_cmdline.apply(host, asked, check_mode)


def _changed(boot: BootArguments, words: t.Sequence[str], wanted: bool) -> BootArguments:
    if not words:
        return boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.argument_change import ArgumentChange

    text = ArgumentChange(tuple(words), wanted).edited(" ".join(boot.cmdline.arguments))
    return boot._replace(cmdline=Cmdline.parse(text), is_running=False)


def _result(iommu: Iommu, boots: t.Sequence[BootArguments], wanted: t.Sequence[str], results: t.Sequence[Result]) -> Result:
    found = [after(iommu, boot) for boot in boots] or [(iommu.now, NO_BOOT)]
    because = next((why for will, why in found if not will), "")
    changing = [result for result in results if result["changed"]]
    last: Result = changing[-1] if changing else {}
    result = {
        "changed": bool(changing),
        "diff": [part for one in changing for part in one["diff"]],
        "enabled": iommu.now,
        "will_be_enabled": not because,
        "because": because,
        "arguments": list(wanted),
        "files": sorted({path for one in changing for path in one["files"]}),
        "commands": [command for one in changing for command in one["commands"]],
        "entries": last.get("entries", {}),
        "reboot_required": (not because and not iommu.now) or any(one["reboot_required"] for one in results),
        "warnings": list(dict.fromkeys(warning for one in results for warning in one["warnings"])),
    }
    recovered = [item for one in results for item in one.get("recovered", ())]
    return {**result, "recovered": recovered}
