# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers that match a device and do not take it: their probe fails, and the device is left to the next driver that matches.

Each fact is from the driver's source, which is named: Linux 6.1, 6.12 and 7.2, and NVIDIA's open modules.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import version_key
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import ARRAY, parse_boolean, parse_number
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.refusals import RULES, Refusal, may_turn_off
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import ANY

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.refusals import ModuleSettings
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver, PciId

NVIDIA, AMD, INTEL, MARVELL, LSI, RENESAS, REALTEK = 0x10DE, 0x1002, 0x8086, 0x11AB, 0x1000, 0x1912, 0x10EC
RTL8139, FIRST_PLUS = 0x8139, 0x20
"""The network chip, and the revision from which on it is a C+ one."""
VIRTIO, VIRTIO_NUMBERS = 0x1AF4, range(0x1000, 0x1080)
VGA, OTHER_DISPLAY, IDE = 0x0300, 0x0380, 0x0101
FIRST_TURING, FIRST_BLACKWELL = 0x1E00, 0x2900
GA100, HOPPER, ADA = range(0x2080, 0x2100), range(0x2300, 0x2400), range(0x2600, 0x2900)
"""NVIDIA's device numbers rise with the generation: TU102 is 0x1e02, GB100 0x2901 (open modules' README: supported GPUs)."""
# include/drm/drm_pciids.h and amdgpu_drv.c: Southern Islands; Sea Islands.
SI = frozenset((*range(0x6600, 0x6640), *range(0x6660, 0x6680), *range(0x6780, 0x67A0), *range(0x6800, 0x6840), 0x684C))
CIK = frozenset((*range(0x1304, 0x131E), *range(0x6640, 0x6660), *range(0x67A0, 0x67C0), *range(0x9830, 0x9840), *range(0x9850, 0x9860)))
# amdgpu_unsupported_pciidlist in amdgpu_drv.c: older GPUs, which it matches by their class alone. No number between is one of its own.
_OLD_RADEONS = (
    "3150-3155 3171 3e50-3e54 3e70 4136-4173 4237-4242 4336-4337 4354-4358 4437 4554 4742-475a 4966-496e 4a48-4a54 4a69-4a74 "
    "4b48-4b4c 4b69-4b6c 4c42-4c6e 4d46-4d4c 4e44-4e71 4f73 5041-5058 5144-515e 5245-524c 534d 5446-5464 5548-5554 5569-5571 "
    "564a-5657 5834-5835 5854 5874 5940-5941 5954-5975 5a41-5a42 5a61-5a62 5b60-5b75 5c61-5c63 5d44-5d57 5d6d-5d77 5e48-5e4f "
    "5e6b-5e6d 6700-677b 6840-6859 6880-68fe 7100-710f 7120-712f 7140-71a7 71bb-7211 7240-724f 7269-726e 7280-72b3 7834-7835 "
    "791e-791f 793f-7942 796c-796f 9400-940f 9440-94cd 9500-9519 9540-955f 9580-959b 95c0-95cf 9610-9616 9640-964f 9710-9715 "
    "9802-980a 9900-9919 9990-99a4"
)
OLD_RADEONS = tuple((int(first, 16), int(last or first, 16)) for first, _dash, last in (one.partition("-") for one in _OLD_RADEONS.split()))
# include/drm/intel/i915_pciids.h: DG1 and ATS-M have require_force_probe in i915_pci.c.
I915_ON_REQUEST = frozenset((0x4905, 0x4906, 0x4907, 0x4908, 0x4909, 0x56C0, 0x56C1, 0x56C2))
# drivers/scsi/mpt3sas/mpi/mpi2_cnfg.h: what _scsih_determine_hba_mpi_version() takes for SAS 2.
SAS2 = frozenset((0x0064, 0x0065, 0x006E, 0x0070, 0x0072, 0x0074, 0x0076, 0x0077, 0x007E, *range(0x0080, 0x0088), 0x02B0, 0x02B1))
_HEXADECIMAL = re.compile(r"\+?(?:0[xX])?([0-9a-fA-F]+)")


@dataclasses.dataclass(frozen=True)
class Match:
    """A driver that matches a device, ``natives`` the modules that do.  ``alike`` is the number of devices that the driver matches."""

    device: Device
    driver: PciDriver
    natives: frozenset[str]
    alike: int = 1


DeclineRule = t.Callable[["ModuleSettings", Match], t.Optional[Refusal]]


def _of(module: str, fact: str, certain: bool = True) -> Refusal:
    return Refusal(module, fact, certain)


def _matching(match: Match) -> PciId | None:
    """The entry of the driver's table that the device is found by."""
    return next((entry for entry in match.driver.ids if entry.matches(match.device)), None)


def _amdgpu(setting: ModuleSettings, match: Match) -> Refusal | None:
    """amdgpu_pci_probe() in drivers/gpu/drm/amd/amdgpu/amdgpu_drv.c."""
    display = match.device.class_code >> 8 in (VGA, OTHER_DISPLAY)
    if setting.nomodeset is not None and display and setting.number("modeset", -1) == -1:
        return Refusal(setting.nomodeset, "nomodeset: amdgpu does not take display adapters")
    entry = _matching(match)
    by_class = match.device.vendor == AMD and entry is not None and entry.device == ANY
    if by_class and any(first <= match.device.device <= last for first, last in OLD_RADEONS):
        return _of("amdgpu", "it drives no GPU of radeon's, though it matches AMD's display adapters by their class")
    return _islands(setting, match, newer=True)


def _radeon(setting: ModuleSettings, match: Match) -> Refusal | None:
    """radeon_pci_probe() in drivers/gpu/drm/radeon/radeon_drv.c."""
    return _islands(setting, match, newer=False)


def _islands(setting: ModuleSettings, match: Match, newer: bool) -> Refusal | None:
    """Southern and Sea Islands belong to radeon up to 6.12, unless told otherwise, and to amdgpu in 7.2 (`si_support`, `cik_support`)."""
    number = match.device.device
    name = "si_support" if number in SI else "cik_support" if number in CIK else None
    if match.device.vendor != AMD or name is None:
        return None
    given = setting.number(name, -1)
    if given != -1 and (name in setting.values):
        return setting.because(name, f"{setting.module} does not take the device") if given == 0 else None
    if not setting.present("radeon" if newer else "amdgpu"):
        return None
    if setting.since("7.2"):
        return None if newer else _of("radeon", f"it leaves the device to amdgpu, unless {name}=1")
    if setting.since("6.13"):
        return _of(setting.module, f"whether it or the other driver takes the device depends on the kernel and {name}", certain=False)
    return _of("amdgpu", f"it leaves the device to radeon, unless {name}=1") if newer else None


def _forced(setting: ModuleSettings, number: int) -> bool | None:
    """Whether `force_probe=` asks for a device, or (False) blocks it: id_forced() and id_blocked() in i915_pci.c and xe_pci.c."""
    given = setting.values.get("force_probe")
    words = [] if given is None or not given.value else given.value.split(",")
    if words == ["!*"] or any(word.startswith("!") and _is_number(word[1:], number) for word in words):
        return False
    return True if words == ["*"] or any(not word.startswith("!") and _is_number(word, number) for word in words) else None


def _is_number(text: str, number: int) -> bool:
    """As kstrtou16() with base 16."""
    match = _HEXADECIMAL.fullmatch(text)
    return match is not None and int(match[1], 16) == number


def _i915(setting: ModuleSettings, match: Match) -> Refusal | None:
    forced = _forced(setting, match.device.device)
    if forced is False:
        return setting.because("force_probe", "i915 does not take the device")
    if match.device.device in I915_ON_REQUEST and not forced:
        return _of("i915", "it takes this device only with force_probe=")
    return None


def _xe(setting: ModuleSettings, match: Match) -> Refusal | None:
    forced = _forced(setting, match.device.device)
    if forced is False:
        return setting.because("force_probe", "xe does not take the device")
    # What i915 drives has require_force_probe in xe_pci.c.
    return _of("xe", "it leaves the device to i915, unless force_probe= names it") if "i915" in match.natives and not forced else None


def _nvidia(setting: ModuleSettings, match: Match) -> Refusal | None:
    """The open modules need a GPU with a system processor (Turing); the closed ones know no Blackwell, and from 590 on no older one."""
    number = match.device.device
    if match.device.vendor != NVIDIA or setting.license is None:
        return None
    is_open = "GPL" in setting.license
    if number < FIRST_TURING and (is_open or (setting.version is not None and version_key(setting.version) >= version_key("590"))):
        flavour = "the open modules drive" if is_open else f"version {setting.version} drives"
        return _of("nvidia", f"{flavour} no GPU older than Turing")
    return _of("nvidia", "this GPU needs the open modules") if number >= FIRST_BLACKWELL and not is_open else None


def _nova_core(_setting: ModuleSettings, match: Match) -> Refusal | None:
    """It matches every NVIDIA display function by its class (drivers/gpu/nova-core/driver.rs), and knows GPUs from Turing on (gpu.rs)."""
    if match.device.device < FIRST_TURING:
        return _of("nova_core", "it drives no GPU older than Turing")
    return _of("nova_core", "whether it takes the GPU depends on the firmware that is installed", certain=False)


def _nouveau(setting: ModuleSettings, match: Match) -> Refusal | None:
    """It matches every NVIDIA display function by its class; Blackwell's chips are known since 6.18 (nvkm/engine/device/base.c)."""
    number = match.device.device
    if match.device.vendor != NVIDIA:
        return None
    if number in GA100 or number in HOPPER:
        # GA100 with the option NvEnableUnsupportedChipsets alone, Hopper not at all (6.12).
        certain = not setting.since("6.13") and "config" not in setting.values
        return _of("nouveau", f"{'it does not know' if certain else f'Linux {setting.release} may not know'} this GPU", certain)
    if (number in ADA and not setting.since("6.7")) or (number >= FIRST_BLACKWELL and not setting.since("6.18")):
        return _of("nouveau", f"Linux {setting.release} may not know this GPU", certain=False)
    return None


def _xhci(_setting: ModuleSettings, match: Match) -> Refusal | None:
    """xhci_pci_probe() leaves Renesas' controllers that need firmware to xhci-pci-renesas, since that has a driver of its own."""
    left = match.device.vendor == RENESAS and "xhci_pci_renesas" in match.natives
    return _of("xhci_pci", "it leaves the device to xhci_pci_renesas") if left else None


def _ahci(setting: ModuleSettings, match: Match) -> Refusal | None:
    """ahci_init_one() in drivers/ata/ahci.c: the default of marvell_enable depends on CONFIG_PATA_MARVELL."""
    if match.device.vendor != MARVELL or setting.number("marvell_enable", 0 if setting.present("pata_marvell") else 1):
        return None
    if "marvell_enable" in setting.values:
        return setting.because("marvell_enable", "ahci does not take Marvell's controllers")
    return _of("ahci", "it leaves Marvell's controllers to pata_marvell, unless marvell_enable=1")


def _ata_generic(setting: ModuleSettings, match: Match) -> Refusal | None:
    """ata_generic_init_one(): what matches by its class alone is taken on request only (drivers/ata/ata_generic.c)."""
    entry = _matching(match)
    if entry is None or setting.number("all_generic_ide", 0):
        return None
    if (entry.vendor, entry.device) == (INTEL, ANY):
        # is_intel_ider() asks the device for its registers; what another driver knows by its number does not redirect IDE.
        known = bool(match.natives - {"ata_generic"})
        return _of("ata_generic", "it takes no controller of Intel's but IDE redirection, unless all_generic_ide=1", certain=known)
    if entry.vendor != ANY:
        return None
    return _of("ata_generic", "it takes a device of this class only with all_generic_ide=1")


def _mpt3sas(setting: ModuleSettings, match: Match) -> Refusal | None:
    """_scsih_probe() in drivers/scsi/mpt3sas/mpt3sas_scsih.c."""
    wanted = setting.number("hbas_to_enumerate", 0)
    if (wanted == 1 and match.device.device not in SAS2) or (wanted == 2 and match.device.device in SAS2):
        return setting.because("hbas_to_enumerate", "mpt3sas does not take this generation")
    return None


def _8139(setting: ModuleSettings, match: Match) -> Refusal | None:
    """rtl8139_init_one() in drivers/net/ethernet/realtek/8139too.c leaves the C+ chips to 8139cp, whose cp_init_one() takes no other."""
    device = match.device
    is_plus = device.revision >= FIRST_PLUS
    if (device.vendor, device.device) != (REALTEK, RTL8139) or is_plus == (setting.module == "8139cp"):
        return None
    chip, other = ("a C+ chip", "8139cp") if is_plus else ("no C+ chip", "8139too")
    return _of(setting.module, f"revision {device.revision:02x} is {chip}, which it leaves to {other}")


def _virtio(_setting: ModuleSettings, match: Match) -> Refusal | None:
    """It matches every device of the vendor; vp_modern_probe() and vp_legacy_probe() leave other numbers (drivers/virtio)."""
    other = match.device.vendor == VIRTIO and match.device.device not in VIRTIO_NUMBERS
    return _of("virtio_pci", "it matches every device of this vendor, and takes those of virtio") if other else None


# -- sound

DSP_DRIVERS = {"snd_hda_intel": 1, "snd_soc_avs": 4}
SOF = "snd_sof_pci_intel_"
# What snd_intel_dsp_driver_probe() in sound/hda/intel-dsp-config.c goes by: no DSP; Broadwell's, Haswell's and Bay Trail's HDMI audio.
WITHOUT_DSP = 0x040300
HDMI_ONLY = frozenset((0x160C, 0x0A0C, 0x0C0C, 0x0D0C, 0x0F04, 0x2284))


def _dsp(setting: ModuleSettings, match: Match) -> Refusal | None:
    """Intel's audio controllers with a DSP have several drivers, of which one is chosen: by `dsp_driver=`, or by the firmware's tables."""
    device = match.device
    mine = DSP_DRIVERS.get(setting.module, 3)
    if device.vendor != INTEL or device.device in HDMI_ONLY or (mine == 1 and setting.number("dmic_detect", 1) == 0):
        return None
    given = setting.of("snd_intel_dspcfg").get("dsp_driver")
    chosen = None if given is None or given.value is None else parse_number(given.value)
    if given is not None and chosen in (1, 2, 3, 4):
        return None if chosen == mine else Refusal(str(given.source), f"snd_intel_dspcfg {given.written}: not {setting.module}")
    if device.class_code == WITHOUT_DSP:
        return None if mine == 1 else _of(setting.module, "it leaves a controller without a DSP to snd_hda_intel")
    rivals = [name for name in match.natives if name in DSP_DRIVERS or name.startswith(SOF)]
    return (
        _of(setting.module, "which driver of the audio DSP is chosen depends on the firmware", certain=False) if len(rivals) > 1 else None
    )


def _alsa(setting: ModuleSettings, match: Match) -> Refusal | None:
    """Every driver of a sound card has `enable=`, by the order in which the cards are probed (sound/pci)."""
    given, kind = setting.values.get("enable"), setting.types.get("enable")
    if given is None or given.value is None or kind is None or not kind.kind.startswith(ARRAY):
        return None
    flags = [parse_boolean(one) is not False for one in given.value.split(",")]
    if all(flags):
        return None
    # Cards behind the last element are on.
    cards = [*flags, *([True] * max(0, match.alike - len(flags)))][: max(1, match.alike)]
    if not any(cards):
        return setting.because("enable", f"{setting.module} does not take the card")
    return None if all(cards) else setting.because("enable", "which of the cards that is depends on their order", certain=False)


PROBES: t.Mapping[str, DeclineRule] = {
    "8139cp": _8139,
    "8139too": _8139,
    "ahci": _ahci,
    "amdgpu": _amdgpu,
    "ata_generic": _ata_generic,
    "i915": _i915,
    "mpt3sas": _mpt3sas,
    "nouveau": _nouveau,
    "nova_core": _nova_core,
    "nvidia": _nvidia,
    "radeon": _radeon,
    "virtio_pci": _virtio,
    "xe": _xe,
    "xhci_pci": _xhci,
}


def refusal(setting: ModuleSettings, match: Match) -> Refusal | None:
    """Why a driver does not take a device that it matches, or may not; None if it does."""
    module = setting.module
    rule = PROBES.get(module)
    found = None if rule is None else rule(setting, match)
    if found is None and _is_sound(setting):
        found = _alsa(setting, match)
    if found is None and is_dsp(module):
        found = _dsp(setting, match)
    known = rule is not None or module in RULES or _is_sound(setting)
    return found if found is not None or known else may_turn_off(setting)


def rivalry(module: str, driver: PciDriver, device: Device, rivals: t.Collection[str]) -> Refusal | None:
    """What a driver makes of a device to which another one of the kernel's own is bound now: ``rivals`` are modules that match it, too.

    Two drivers of one kernel that have the same ID tell the devices apart in their probes.
    """
    if not rivals or module in PROBES or module in RULES or is_dsp(module):
        return None
    return _of(
        module, f"{device.driver} is bound to the device now; whether {driver.name} would take it depends on its probe", certain=False
    )


def is_dsp(module: str) -> bool:
    """Whether a module is one of the drivers of Intel's audio controllers."""
    return module in DSP_DRIVERS or module.startswith(SOF)


def _is_sound(setting: ModuleSettings) -> bool:
    """Whether `enable=` is that of every sound card; where it is not an array it is there for old configurations alone, and ignored."""
    return setting.module.startswith("snd_") and {"index", "id"} <= setting.types.keys()
