# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies as `boot_policy` writes them: the texts come from its own functions."""

from __future__ import annotations

from config_builder import BOTH, IMAGE_ONLY, ROOT_ONLY, ConfigBuilder
from rule_generator import choose_driver, pack_for
from targets import Target

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import STRATEGIES, Claim
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import Selector
from ansible_collections.vfio.variants.plugins.module_utils._core.policy import texts
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import Decision, DriverChoice
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.ids import Softdep, ids_by_module
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import PolicyPaths
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.rules import native_lines, rule_lines

NAME = "vfio-variants"


def own_policy(builder: ConfigBuilder, target: Target) -> None:
    """The collection's own files: in an image that holds them, that does not yet, or that still does."""
    strategy = builder.choice.choice(STRATEGIES)
    builder.note(f"policy: {strategy}")
    decision = _decision(builder, target, strategy)
    module = decision.default.module
    where = builder.choice.choices((BOTH, ROOT_ONLY, IMAGE_ONLY), (75, 18, 7))[0]
    for path, text in files_of(decision, target).items():
        # Lists of modules to load are not packed by initramfs-tools.
        places = ROOT_ONLY if path == PolicyPaths(NAME).early and builder.flow == "initramfs-tools" else where
        for line in text.splitlines():
            builder.line(path, line, places)
    if where == BOTH:
        builder.pack(module)
        if builder.maybe(0.6):
            builder.pack(*target.natives)
    else:
        builder.note("stale image")
        pack_for(builder, target, module)


def _decision(builder: ConfigBuilder, target: Target, strategy: str) -> Decision:
    module, driver = choose_driver(builder, target)
    by_address = Selector(target.address, address=target.address)
    by_id = Selector(target.id, vendor=target.vendor, device=target.device)
    by_class = Selector("class", vendor=target.vendor, class_prefix=f"{target.class_code:06x}"[: builder.choice.choice((2, 4, 6))])
    selector = by_id if strategy == "ids" else builder.choice.choice((by_address, by_id, by_class))
    return decision_of(target, strategy, selector, module, driver)


def decision_of(target: Target, strategy: str, selector: Selector, module: str, driver: str) -> Decision:
    device = Device(
        target.address,
        target.vendor,
        target.device,
        target.subsystem_vendor,
        target.subsystem_device,
        target.class_code,
        0,
        target.modalias,
    )
    return Decision(device, Claim((selector,), driver), (selector,), strategy, (DriverChoice("any", module, driver),))


def files_of(decision: Decision, target: Target) -> dict[str, str]:
    paths, module = PolicyPaths(NAME), decision.default.module
    ids = ids_by_module([decision])
    before = [Softdep(native, (module,), ()) for native in target.natives] if decision.strategy == "ids" else []
    blacklisted = target.natives if decision.strategy == "blacklist" else ()
    files = {
        paths.softdeps: texts.softdeps(NAME, before),
        paths.modprobe: texts.modprobe(NAME, ids, blacklisted, ids.keys()),
        paths.rules: texts.rules(NAME, rule_lines([decision]), native_lines([decision], {target.address: blacklisted})),
        paths.early: texts.early(NAME, ids),
    }
    return {path: text for path, text in files.items() if text is not None}
