# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds contradictions and lines without effect in a host's policy, including those that this collection did not write."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import NOTHING_READ
from ansible_collections.vfio.variants.plugins.module_utils._core.lint import (
    dead_ids,
    dead_names,
    dead_rules,
    ignored_lines,
    stale_image,
    unloadable,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.lint import dead_names as dead_lists
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFiles
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory

Check = t.Callable[[HostPolicy], t.Iterator["Finding"]]
CHECKS: tuple[Check, ...] = (
    dead_names.unknown_modules,
    dead_names.dashes_on_the_command_line,
    dead_names.refused_by_the_kernel_but_unknown,
    dead_names.blacklisted_built_ins,
    dead_names.options_of_built_ins,
    ignored_lines.installs_beside_softdeps,
    ignored_lines.second_softdeps,
    ignored_lines.softdeps_without_effect,
    ignored_lines.files_that_kmod_does_not_read,
    ignored_lines.files_that_hide_others,
    ignored_lines.lines_that_kmod_ignores,
    dead_ids.ids_given_twice,
    dead_ids.malformed_ids,
    dead_ids.ids_without_device,
    dead_ids.ids_of_two_modules,
    dead_ids.softdeps_on_a_module_without_ids,
    dead_lists.modules_that_are_gone,
    dead_lists.unknown_modules_in_lists,
    dead_lists.modules_listed_too_late,
    dead_rules.rules_for_absent_devices,
    dead_rules.rules_for_changed_devices,
    dead_rules.overrides_to_unknown_drivers,
    dead_rules.overrides_that_disagree,
    dead_rules.rules_that_no_image_gets,
    stale_image.images_without_the_policy,
    stale_image.image_lists_without_the_policy,
    stale_image.images_without_what_dracut_shall_take_in,
    stale_image.images_without_the_modules_to_load,
    stale_image.unreadable_images_older_than_the_policy,
    unloadable.variants_that_cannot_load,
    unloadable.variants_without_a_module,
    unloadable.claimed_modules_that_nobody_may_load,
    unloadable.iommu_switched_off,
    unloadable.denied_devices,
)


def find(
    boots: t.Sequence[Boot], inventory: Inventory, kernels: t.Sequence[Kernel], files: PolicyFiles = NOTHING_READ
) -> tuple[Finding, ...]:
    """All findings, each once, even if it applies to several kernels."""
    host = HostPolicy(tuple(boots), inventory, tuple(kernels), files)
    return tuple(dict.fromkeys(finding for check in CHECKS for finding in check(host)))
