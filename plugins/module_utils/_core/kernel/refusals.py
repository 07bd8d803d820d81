# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that load and register no driver, or do not load, because of what their parameters or the kernel's words say.

Each fact is from the driver's source, which is named: Linux 6.1, 6.12 and 7.2.  Which values a parameter's type refuses is in
parameter_types.py, what a driver's probe makes of a single device in declines.py.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import version_key
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import (
    Objection,
    ParameterType,
    objection,
    parse_boolean,
    parse_number,
)

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import Types
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import Parameter

NO_DRIVER = "it registers no driver"
NOT_LOADED = "the module does not load"


@dataclasses.dataclass(frozen=True)
class Refusal:
    """What keeps a driver off, and the file and line of it; if not ``certain``, what may."""

    source: str
    fact: str
    certain: bool = True
    loads: bool = False
    """Whether the module loads all the same."""

    def __str__(self) -> str:
        return f"{self.source}: {self.fact}"


@dataclasses.dataclass(frozen=True)
class ModuleSettings:
    """What a module's driver goes by.  ``values`` are its parameters as it has them, by normalized name, the last of each."""

    module: str
    release: str
    values: t.Mapping[str, Parameter]
    nomodeset: str | None = None
    """The source of the word `nomodeset`, after which drivers of display adapters leave these to the firmware's."""
    of: t.Callable[[str], t.Mapping[str, Parameter]] = lambda _module: {}
    """The parameters of another module."""
    types: Types = dataclasses.field(default_factory=dict)
    license: str | None = None
    version: str | None = None
    present: t.Callable[[str], bool] = lambda _module: False
    """Whether the kernel has a module, loadable or built in."""

    def since(self, release: str) -> bool:
        return version_key(self.release) >= version_key(release)

    def number(self, name: str, default: int) -> int:
        """A whole number, or a boolean as one."""
        given = self.values.get(name)
        if given is None:
            return default
        if given.value is None:
            return 1
        number = parse_number(given.value)
        if number is not None:
            return number
        return default if parse_boolean(given.value) is None else int(bool(parse_boolean(given.value)))

    def because(self, name: str, effect: str, certain: bool = True) -> Refusal:
        given = self.values[name]
        return Refusal(str(given.source), f"{given}: {effect}", certain, loads=effect == NO_DRIVER)


RefusalRule = t.Callable[[ModuleSettings], t.Optional[Refusal]]


def _with_modeset(effect: str) -> RefusalRule:
    """Off with `modeset=0`, and with `nomodeset` unless `modeset` is given."""

    def rule(setting: ModuleSettings) -> Refusal | None:
        if setting.number("modeset", -1) == 0:
            return setting.because("modeset", effect)
        if setting.nomodeset is not None and setting.number("modeset", -1) == -1:
            return Refusal(setting.nomodeset, f"nomodeset: {effect} ({setting.module})", loads=effect == NO_DRIVER)
        return None

    return rule


def _loongson(setting: ModuleSettings) -> Refusal | None:
    """`modeset` does not help against `nomodeset` (drivers/gpu/drm/loongson/loongson_module.c)."""
    if setting.nomodeset is not None:
        return Refusal(setting.nomodeset, f"nomodeset: {NOT_LOADED} ({setting.module})")
    return _with_modeset(NOT_LOADED)(setting)


def _amdgpu(setting: ModuleSettings) -> Refusal | None:
    """amdgpu_init() gives up with `nomodeset` up to 6.12; in 7.2 amdgpu_pci_probe() alone does (amdgpu_drv.c)."""
    if setting.nomodeset is None or setting.since("7.2"):
        return None
    return Refusal(setting.nomodeset, f"nomodeset: {NOT_LOADED} (amdgpu)", certain=not setting.since("6.13"))


def _without_usb(setting: ModuleSettings) -> Refusal | None:
    """usb_disabled() in the module's own init (ehci-pci.c, ohci-pci.c, uhci-hcd.c) or in usb_hcd_pci_probe() (hcd-pci.c)."""
    given = setting.of("usbcore").get("nousb")
    if given is None or not (given.value is None or parse_boolean(given.value)):
        return None
    return Refusal(
        str(given.source), f"{given.written} turns USB off: {setting.module} takes no device", loads=setting.module.startswith("xhci")
    )


def _nvidia(setting: ModuleSettings) -> Refusal | None:
    """NVreg_RegisterPCIDriver in NVIDIA's nv-reg.h and nv.c."""
    name = "NVreg_RegisterPCIDriver"
    return setting.because(name, NO_DRIVER) if name in setting.values and setting.number(name, 1) == 0 else None


# By module: rules that hold for all of its devices.
RULES: t.Mapping[str, RefusalRule] = {
    "nouveau": _with_modeset(NO_DRIVER),  # drivers/gpu/drm/nouveau/nouveau_drm.c: nouveau_drm_init() returns 0
    "radeon": _with_modeset(NOT_LOADED),  # drivers/gpu/drm/radeon/radeon_drv.c
    "i915": _with_modeset(NO_DRIVER),  # drivers/gpu/drm/i915/i915_module.c
    "xe": _with_modeset(NOT_LOADED),  # drivers/gpu/drm/xe/xe_module.c
    "amdgpu": _amdgpu,
    "loongson": _loongson,
    "nvidia": _nvidia,
    # include/drm/drm_module.h: drm_module_pci_driver(), drm_module_pci_driver_if_modeset(); gma500 and hyperv ask themselves.
    **dict.fromkeys(
        ("ast", "bochs", "cirrus", "cirrus_qemu", "gma500_gfx", "hibmc_drm", "hyperv_drm", "mgag200", "qxl", "vboxvideo", "vmwgfx"),
        _with_modeset(NOT_LOADED),
    ),
    **dict.fromkeys(("ehci_pci", "ohci_pci", "uhci_hcd", "xhci_pci", "xhci_pci_renesas"), _without_usb),
}


def refusal(setting: ModuleSettings) -> Refusal | None:
    """Why a module registers no driver for any device, or may not; None if it does."""
    rule = RULES.get(setting.module)
    return None if rule is None else rule(setting)


# -- values that a reader of its own refuses

_DECIMAL = re.compile(r"\+?[0-9]{1,4000}\n?")
_POLICIES = ("numa", "round-robin")
_NEW_POLICY = "queue-depth"
_LIKE: t.Mapping[tuple[str, str], ParameterType] = {
    # Their readers begin with that of the type, and refuse nothing more.
    ("snd_hda_intel", "power_save"): ParameterType("int"),  # sound/pci/hda/hda_intel.c: param_set_xint()
    ("mpt3sas", "mpt3sas_fwfault_debug"): ParameterType("int"),  # drivers/scsi/mpt3sas/mpt3sas_base.c
    ("mpt3sas", "logging_level"): ParameterType("int"),  # drivers/scsi/mpt3sas/mpt3sas_scsih.c
    ("usbcore", "quirks"): ParameterType("string", 128),  # drivers/usb/core/quirks.c
    # drivers/nvme/host/multipath.c: multipath_param_set(), multipath_always_on_set()
    ("nvme_core", "multipath"): ParameterType("bool"),
    ("nvme_core", "multipath_always_on"): ParameterType("bool"),
}
SMALLEST_QUEUE, LARGEST_QUEUE = 2, 4095
"""NVME_PCI_MIN_QUEUE_SIZE and NVME_PCI_MAX_QUEUE_SIZE in drivers/nvme/host/pci.c."""
# usbcore's and others' readers of that kind are asked again when a value is complete; what is not listed here cannot be decided.
IGNORED = ("async_probe", "dyndbg")
"""Parameters of every module, whose values cannot keep it from loading (unknown_module_param_cb() in kernel/module/main.c)."""


def objection_of(module: str, kind: ParameterType, given: Parameter, cpus: int | None = None) -> Objection | None:
    """What the kernel, or the module's own reader, objects to in a parameter's value; None if it is taken.

    ``cpus`` is the number of possible processors, if it is known.
    """
    name = given.name.replace("-", "_")
    if module == "nvme" and name in ("io_queue_depth", "write_queues", "poll_queues"):
        return _of_queues(name, given.value, cpus)
    if (module, name) == ("nvme_core", "iopolicy"):
        return _of_iopolicy(given.value)
    like = _LIKE.get((module, name))
    if like is not None and kind.kind not in ("", "xint"):
        like = None
    return objection(like or kind, given.value)


def _of_queues(name: str, value: str | None, cpus: int | None) -> Objection | None:
    """io_queue_depth_set() and io_queue_count_set() in drivers/nvme/host/pci.c.

    The first is param_set_uint_minmax(), any base; the second kstrtouint() with base 10, then param_set_uint().
    """
    if name == "io_queue_depth":
        refused = objection(ParameterType("uint"), value)
        if refused is not None or SMALLEST_QUEUE <= (parse_number(value or "") or 0) <= LARGEST_QUEUE:
            return refused
        return Objection(f"is not from {SMALLEST_QUEUE} to {LARGEST_QUEUE}")
    if value is None or not _DECIMAL.fullmatch(value):
        return Objection("is not a decimal number")
    number = int(value)
    if number > 1 and (cpus is None or number > cpus):
        # num_possible_cpus(); blk_mq_num_possible_queues() since 6.17 is the same.
        known = f"is more than the {cpus} processors that are possible" if cpus else "may be more than the machine has processors"
        return Objection(known, certain=cpus is not None)
    # What begins with a nought is octal to the second reader.
    return objection(ParameterType("uint"), value)


def _of_iopolicy(value: str | None) -> Objection | None:
    """nvme_set_iopolicy() in drivers/nvme/host/multipath.c compares the beginning."""
    if value is None:
        return Objection("has no value")
    if value.startswith(_POLICIES):
        return None
    is_new = value.startswith(_NEW_POLICY)
    return Objection("is a policy of newer kernels alone" if is_new else f"is none of {', '.join(_POLICIES)}", certain=not is_new)


# -- other modules' parameters whose names say that they turn something off

_OFF_WHEN_FALSE = re.compile(r"enabled?|modeset|probe|on|load|register|bind|\w+_support", re.IGNORECASE)
_OFF_WHEN_TRUE = re.compile(r"disabled?|no_?probe|skip(?:_probe)?|off|no_?load|no_?bind|ignore", re.IGNORECASE)
_LISTS = re.compile(r"force_probe|(?:black|deny|white|allow)_?list|exclude\w*|ignore_(?:ids|devices)", re.IGNORECASE)


def may_turn_off(setting: ModuleSettings) -> Refusal | None:
    """A parameter of a driver that no rule is known for, where its name and value suggest that it turns the driver off."""
    for name, given in setting.values.items():
        kind = setting.types.get(name)
        if kind is not None and _suggests(name, given.value, kind.kind):
            return setting.because(name, f"what that does to the devices of {setting.module} is not known", certain=False)
    return None


def _suggests(name: str, value: str | None, kind: str) -> bool:
    if _LISTS.fullmatch(name):
        return bool(value)
    elements = ["1"] if value is None else value.split(",") if kind.startswith("array of ") else [value]
    on = [number != 0 if number is not None else parse_boolean(one) for one in elements for number in (parse_number(one),)]
    if _OFF_WHEN_FALSE.fullmatch(name):
        return not all(on)
    return _OFF_WHEN_TRUE.fullmatch(name) is not None and any(one is not False for one in on)
