# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds contradictions and lines without effect in a host's policy, including those that this collection did not write."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import NOTHING_READ
from ansible_collections.vfio.variants.plugins.module_utils._core.lint import (
    dead_ids,
    dead_names,
    dead_rules,
    disagreeing_claims,
    grub_settings,
    ignored_lines,
    iommu_words,
    joined_words,
    lines_as_words,
    masked,
    misplaced_files,
    misread_hooks,
    misread_lines,
    misread_lists,
    misread_settings,
    misspelt_parameters,
    misspelt_words,
    never_loaded,
    never_run,
    other_generators,
    put_aside,
    refused_values,
    stale_image,
    switched_off,
    udev_extent,
    udev_mistakes,
    unloadable,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.lint import dead_names as dead_lists
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.grouping import without_consequences
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
    dead_names.comments_behind_softdeps,
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
    dead_ids.softdeps_that_load_too_late,
    never_loaded.ids_that_nothing_loads,
    never_loaded.claimed_modules_that_nothing_loads,
    never_loaded.claimed_modules_that_an_install_line_keeps_out,
    never_loaded.aliases_to_nothing,
    never_loaded.aliases_in_small_letters,
    dead_lists.modules_that_are_gone,
    dead_lists.unknown_modules_in_lists,
    dead_lists.modules_listed_too_late,
    dead_rules.rules_for_absent_devices,
    dead_rules.rules_for_no_device,
    dead_rules.rules_for_changed_devices,
    dead_rules.overrides_to_unknown_drivers,
    disagreeing_claims.overrides_that_disagree,
    dead_rules.rules_that_no_image_gets,
    stale_image.images_without_the_policy,
    stale_image.image_lists_without_the_policy,
    stale_image.images_without_what_dracut_shall_take_in,
    stale_image.images_without_the_modules_to_load,
    stale_image.images_without_what_the_command_line_loads,
    stale_image.images_with_other_modules,
    stale_image.unreadable_images_older_than_the_policy,
    unloadable.variants_that_cannot_load,
    unloadable.variants_without_a_module,
    unloadable.claimed_modules_that_nobody_may_load,
    unloadable.iommu_switched_off,
    unloadable.denied_devices,
    udev_mistakes.mistakes_in_rules,
    udev_mistakes.marks_before_rules,
    udev_mistakes.jumps_without_labels,
    udev_mistakes.programs_that_replace_others,
    udev_extent.overrides_for_every_device,
    udev_extent.lines_that_do_not_go_on,
    misread_lines.line_ends,
    misread_lines.other_encodings,
    misread_lines.unseen_characters,
    misread_lines.words_too_many,
    misread_lines.quoted_names,
    misread_lines.stray_identifiers,
    misread_lines.options_of_another_module,
    misread_lines.words_behind_options,
    misread_lines.softdeps_in_other_words,
    misread_lines.lines_of_another_file,
    misread_lists.directives_in_lists,
    misread_lists.words_after_modules,
    misread_lists.lists_that_are_not_read,
    misread_lists.saved_overrides_that_are_not_read,
    misplaced_files.rules_that_udev_does_not_read,
    misplaced_files.files_in_misspelt_directories,
    misspelt_words.misspelt_words,
    misspelt_words.other_values_of_our_word,
    misspelt_words.modules_for_functions,
    switched_off.policies_that_are_switched_off,
    misread_settings.settings_that_are_not_read,
    misread_settings.mistakes_of_dracut,
    misread_settings.mistakes_of_mkinitcpio,
    misread_hooks.mistakes_in_hooks,
    other_generators.settings_of_other_generators,
    other_generators.lists_of_other_systems,
    misread_settings.mistakes_of_initramfs_tools,
    misread_settings.lines_of_tmpfiles_without_dashes,
    misspelt_words.words_of_another_initramfs,
    misspelt_words.stray_words,
    lines_as_words.lines_as_words,
    joined_words.joined_words,
    joined_words.values_of_other_words,
    joined_words.displays_that_stay_on,
    iommu_words.words_for_another_processor,
    iommu_words.acs_override,
    grub_settings.mistakes_in_settings,
    grub_settings.settings_that_are_replaced,
    grub_settings.settings_that_are_not_read,
    put_aside.files_that_are_put_aside,
    never_run.files_that_nothing_runs,
    never_run.redirections_without_a_shell,
    never_run.programs_that_cannot_run,
    never_run.settings_that_systemd_ignores,
    never_run.lines_after_the_end,
    never_run.ids_with_colons,
    refused_values.refused_values,
    misspelt_parameters.misspelt_parameters,
    masked.masked_units,
    masked.masked_rules,
    masked.masked_stock_rules,
    masked.masked_driverctl,
    masked.masked_lists,
)


MOST = 1000
"""Findings of one kind."""


def find(
    boots: t.Sequence[Boot], inventory: Inventory, kernels: t.Sequence[Kernel], files: PolicyFiles = NOTHING_READ
) -> tuple[Finding, ...]:
    """All findings, each once, even if it applies to several kernels."""
    host = HostPolicy(tuple(boots), inventory, tuple(kernels), files)
    return without_consequences(list(dict.fromkeys(finding for check in CHECKS for finding in _bounded(check(host)))))


def _bounded(findings: t.Iterable[Finding]) -> t.Iterator[Finding]:
    """A file of nothing but mistakes has hundreds of thousands."""
    for number, finding in enumerate(findings):
        if number == MOST:
            said = f"{finding.source}: there are more findings of this kind; the first {MOST} are reported."
            yield dataclasses.replace(finding, sentence=said)
            return
        yield finding
