# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Corner cases that somebody once got wrong, each by its name."""

from __future__ import annotations

from collections.abc import Sequence

import named_modules
import named_switched_off
from config_builder import Case
from configuration import DRACUT, NO_COLDPLUG, SERIES
from corner import BOTH, E1000E, IDS, IGB, LISTS, LOADS, MODPROBE, RULES, SECOND, SERIAL, SOFTDEP, Corner, rule

VARIANT = "forecast_vfio_pci"
CORNERS = (
    Corner("nothing configured", "nothing", modules=()),
    Corner("nothing configured, a second native", "two natives", missing=()),
    Corner("nothing configured, natives in the image", "nothing", modules=("e1000e", "nvme", "igb")),
    Corner("both loadable, variant loaded first", "softdep pre", {MODPROBE: SOFTDEP}, modules=BOTH),
    Corner("dynamic ID without softdep", "options ids=", {MODPROBE: IDS}, modules=BOTH),
    Corner("dynamic ID, native in the image only", "options ids=", {MODPROBE: IDS, LISTS: "vfio-pci\n"}, modules=("e1000e",)),
    Corner(
        "dynamic ID, vfio-pci in conf/modules",
        "options ids=, conf/modules",
        {MODPROBE: IDS},
        image={"/conf/modules": "vfio-pci\n"},
        modules=BOTH,
    ),
    Corner(
        "dynamic ID, modules-load against coldplug", "options ids=, modules-load.d", {MODPROBE: IDS, LISTS: "vfio-pci\n"}, flow=NO_COLDPLUG
    ),
    Corner("dynamic ID and softdep", "options ids=, softdep pre", {MODPROBE: IDS + SOFTDEP}, modules=BOTH),
    Corner(
        "dynamic ID and softdep, stale image", "options ids=, softdep pre, stale image", root={MODPROBE: IDS + SOFTDEP}, modules=("e1000e",)
    ),
    Corner("softdep in an image without vfio-pci", "options ids=, softdep pre", {MODPROBE: IDS + SOFTDEP}, modules=("e1000e",)),
    Corner("two blanks before pre:", "options ids=, softdep pre", {MODPROBE: IDS + "softdep e1000e  pre: vfio-pci\n"}, modules=BOTH),
    Corner(
        "blacklisted vfio-pci through softdep",
        "options ids=, softdep pre, blacklist",
        {MODPROBE: IDS + SOFTDEP + "blacklist vfio_pci\n"},
        modules=BOTH,
    ),
    Corner(
        "blacklisted vfio-pci in a list",
        "options ids=, blacklist, modules-load.d",
        {MODPROBE: IDS + "blacklist vfio_pci\n", LISTS: "vfio-pci\n"},
        flow=NO_COLDPLUG,
    ),
    Corner("native blacklisted", "blacklist", {MODPROBE: "blacklist e1000e\n"}, modules=BOTH),
    Corner(
        "native blacklisted in the root, not in the image",
        "blacklist, stale image",
        root={MODPROBE: "blacklist e1000e\n"},
        modules=("e1000e",),
    ),
    Corner(
        "native blacklisted, dynamic ID",
        "blacklist, options ids=, modules-load.d",
        {MODPROBE: IDS + "blacklist e1000e\n", LISTS: "vfio-pci\n"},
        modules=BOTH,
    ),
    Corner(
        "native blacklisted with a dash on the command line",
        "modprobe.blacklist=",
        cmdline="modprobe.blacklist=snd-hda-intel",
        modules=("snd_hda_intel",),
    ),
    Corner("module_blacklist of the native", "module_blacklist=", cmdline="module_blacklist=e1000e", modules=BOTH),
    Corner(
        "module_blacklist of vfio-pci",
        "module_blacklist=, rule: driver_override",
        {RULES: rule(E1000E, "vfio-pci", LOADS)},
        cmdline="module_blacklist=vfio_pci",
        modules=BOTH,
    ),
    Corner(
        "install ignored beside softdep",
        "install, softdep pre, options ids=",
        {MODPROBE: IDS + SOFTDEP + "install e1000e /bin/false\n"},
        modules=BOTH,
    ),
    Corner(
        "the first of two softdeps",
        "softdep twice, options ids=",
        {MODPROBE: IDS + "softdep e1000e pre: pci-stub\n" + SOFTDEP},
        modules=(*BOTH, "pci_stub"),
    ),
    Corner(
        "install beside a softdep that gives nobody the card",
        "install beside softdep",
        {MODPROBE: "softdep e1000e pre: pci-stub\ninstall e1000e /bin/false\n"},
        modules=("e1000e", "pci_stub"),
    ),
    Corner(
        "native blacklisted on the command line", "modprobe.blacklist=", cmdline="modprobe.blacklist=e1000e,no_such_module", modules=BOTH
    ),
    Corner(
        "a virtual function with an override and without autoprobe",
        "sriov_drivers_autoprobe, rule: driver_override",
        {
            RULES: f'KERNEL=="{IGB}", ATTR{{sriov_drivers_autoprobe}}="0"\n'
            f'ACTION=="add", ATTR{{device}}=="0x10ca", ATTR{{driver_override}}="vfio-pci", {LOADS}\n'
        },
        modules=("igb",),
        virtual=1,
    ),
    Corner("install alone", "install", {MODPROBE: "install e1000e /bin/false\n"}, modules=BOTH),
    Corner(
        "install of a dependency",
        "install, rule: driver_override",
        {MODPROBE: "install vfio_pci_core /bin/false\n", RULES: rule(E1000E, "vfio-pci", LOADS)},
        modules=BOTH,
    ),
    Corner(
        "alias to vfio-pci", "alias, options ids=", {MODPROBE: IDS + "alias pci:v00008086d000010D3sv*sd*bc*sc*i* vfio_pci\n"}, modules=BOTH
    ),
    Corner("alias to nothing", "alias", {MODPROBE: "alias pci:v00008086d000010D3sv*sd*bc*sc*i* off\n"}, modules=BOTH),
    Corner(
        "ids= given twice",
        "ids= twice, options ids=, softdep pre",
        {MODPROBE: IDS + "options vfio_pci ids=1b36:0010\n" + SOFTDEP},
        modules=BOTH,
    ),
    Corner(
        "ids= of the command line replaces modprobe.d's",
        "vfio-pci.ids=, options ids=, softdep pre",
        {MODPROBE: IDS + SOFTDEP},
        cmdline="vfio-pci.ids=1b36:0010",
        modules=BOTH,
    ),
    Corner("override before probe", "rule: driver_override", {RULES: rule(E1000E, "vfio-pci", LOADS)}, modules=BOTH),
    Corner(
        "override for one of two twins",
        "rule: driver_override",
        {RULES: rule(SECOND, VARIANT, f'RUN{{builtin}}+="kmod load {VARIANT}"')},
        modules=("e1000e", VARIANT),
    ),
    Corner("ids= takes both twins", "options ids=, softdep pre", {MODPROBE: IDS + SOFTDEP, RULES: rule(SECOND, "e1000e")}, modules=BOTH),
    Corner("override, module never loaded", "rule: driver_override", {RULES: rule(E1000E, "vfio-pci")}, modules=BOTH),
    Corner(
        "override, module loaded later",
        "rule: driver_override, modules-load.d",
        {RULES: rule(E1000E, "vfio-pci"), LISTS: "vfio-pci\n"},
        modules=BOTH,
    ),
    Corner(
        "override after probe", "rule: driver_override, stale image", root={RULES: rule(E1000E, "vfio-pci", LOADS)}, modules=("e1000e",)
    ),
    Corner("override spelled with an underscore", "rule: driver_override", {RULES: rule(E1000E, "vfio_pci", LOADS)}, modules=BOTH),
    Corner(
        "override with a rule that sorts after 80",
        "rule: driver_override",
        {"/etc/udev/rules.d/90-vfio.rules": rule(E1000E, "vfio-pci", LOADS)},
        modules=BOTH,
    ),
    Corner(
        "override against dynamic ID",
        "rule: driver_override, options ids=, softdep pre",
        {MODPROBE: IDS + SOFTDEP, RULES: rule(E1000E, "e1000e")},
        modules=BOTH,
    ),
    Corner(
        "override of a module that is missing",
        "rule: driver_override, module missing",
        {RULES: rule(E1000E, VARIANT, f'RUN{{builtin}}+="kmod load {VARIANT}"')},
        modules=("e1000e",),
        missing=(VARIANT,),
    ),
    Corner("variant without override", "modules-load.d", {LISTS: f"{VARIANT}\n"}, modules=(VARIANT,)),
    Corner(
        "variant with ids=",
        "variant ids=",
        {MODPROBE: f"options {VARIANT} ids=8086:10d3\nsoftdep e1000e pre: {VARIANT}\n"},
        modules=("e1000e", VARIANT),
    ),
    Corner(
        "async native against a dynamic ID",
        "options ids=, modules-load.d",
        {MODPROBE: "options vfio-pci ids=1b36:0010\n", LISTS: "nvme\nvfio-pci\n"},
        flow=NO_COLDPLUG,
    ),
    Corner(
        "a native that probes asynchronously",
        "driver_async_probe=, options ids=, softdep post",
        {MODPROBE: IDS + "softdep e1000e post: vfio-pci\n"},
        cmdline="driver_async_probe=e1000e",
        modules=BOTH,
    ),
    Corner(
        "a device without native driver",
        "options ids=, modules-load.d",
        {MODPROBE: "options vfio-pci ids=1234:11e8\n", LISTS: "vfio-pci\n"},
        modules=(),
    ),
    Corner("a device with a built-in native", "rule: driver_override", {RULES: rule(SERIAL, "vfio-pci", LOADS)}, modules=("vfio_pci",)),
    Corner(
        "virtual functions without autoprobe",
        "sriov_drivers_autoprobe",
        {RULES: f'ACTION=="add", KERNEL=="{IGB}", ATTR{{sriov_drivers_autoprobe}}="0"\n'},
        modules=("igb",),
        virtual=2,
    ),
    Corner("virtual functions with autoprobe", "sriov_drivers_autoprobe", modules=("igb",), virtual=1),
    Corner("two natives for one modalias", "nothing", modules=("e1000e", "rival_pci"), missing=()),
    Corner(
        "two natives, the first blacklisted", "blacklist", {MODPROBE: "blacklist e1000e\n"}, modules=("e1000e", "rival_pci"), missing=()
    ),
    Corner(
        "two natives, the first blacklisted, and no other card that asks for the second",
        "blacklist, alias",
        {MODPROBE: "blacklist e1000e\nalias pci:v00001234d000011E8sv*sd*bc*sc*i* off\n"},
        missing=(),
    ),
    Corner(
        "an ID with another subsystem",
        "options ids=, softdep pre",
        {MODPROBE: "options vfio-pci ids=8086:10d3:8086:0001\n" + SOFTDEP},
        modules=BOTH,
    ),
    Corner("two natives, the first not in the image", "stale image", modules=("rival_pci",), missing=()),
    Corner("a vfio_pci: alias loads nothing", "nothing", modules=("forecast_vfio_pci",), missing=("rival_pci", "e1000e")),
    Corner(
        "no IOMMU",
        "intel_iommu=off, rule: driver_override",
        {RULES: rule(E1000E, "vfio-pci", LOADS)},
        cmdline="intel_iommu=off",
        modules=BOTH,
    ),
    Corner("blacklist= of initramfs-tools", "blacklist=", cmdline="blacklist=e1000e", modules=("e1000e",)),
    Corner("rd.driver.pre=", "rd.driver.pre=, options ids=", {MODPROBE: IDS}, flow=DRACUT, cmdline="rd.driver.pre=vfio-pci", modules=BOTH),
    Corner("rd.driver.blacklist=", "rd.driver.blacklist=", flow=DRACUT, cmdline="rd.driver.blacklist=e1000e", modules=("e1000e",)),
    Corner(
        "rd.driver.post=", "rd.driver.post=, options ids=", {MODPROBE: IDS}, flow=DRACUT, cmdline="rd.driver.post=vfio-pci", modules=BOTH
    ),
    Corner("driverctl comes last", "driverctl", {f"/etc/driverctl.d/pci-{E1000E}": "vfio-pci\n"}, modules=("e1000e",)),
    Corner(
        "IDs in capital letters",
        "options ids=, softdep pre",
        {MODPROBE: IDS.upper().replace("OPTIONS VFIO-PCI IDS", "options vfio-pci ids") + SOFTDEP},
        modules=BOTH,
    ),
    Corner("a comment that goes on", "blacklist", {MODPROBE: "# nothing \\\nblacklist e1000e\n"}, modules=BOTH),
    Corner("a directive that goes on", "blacklist", {MODPROBE: "blacklist \\\ne1000e\n"}, modules=BOTH),
    Corner(
        "a file that hides its namesake",
        "masked file, blacklist",
        {MODPROBE: "", "/usr/lib/modprobe.d/vfio.conf": "blacklist e1000e\n"},
        modules=BOTH,
    ),
    Corner("a file without .conf", "file without .conf, blacklist", {"/etc/modprobe.d/vfio": "blacklist e1000e\n"}, modules=BOTH),
    Corner(
        "a name that only an install line knows",
        "install runs a command, install, options ids=, modules-load.d",
        {MODPROBE: IDS + "blacklist e1000e\nblacklist rival_pci\ninstall gpu_setup /sbin/modprobe vfio-pci\n", LISTS: "gpu_setup\n"},
        flow=NO_COLDPLUG,
    ),
    Corner(
        "rd.driver.pre= of a blacklisted module",
        "rd.driver.pre=, options ids=, blacklist",
        {MODPROBE: IDS + "blacklist vfio_pci\n"},
        flow=DRACUT,
        cmdline="rd.driver.pre=vfio-pci",
        modules=BOTH,
    ),
    Corner(
        "a virtual function between an asynchronous native and a dynamic ID",
        "driver_async_probe=, vfio-pci.ids=, modules-load.d",
        {LISTS: "igbvf\nvfio-pci\n"},
        cmdline="driver_async_probe=igbvf vfio-pci.ids=8086:10ca",
        virtual=1,
    ),
    Corner(
        "a virtual function between a native and a dynamic ID",
        "vfio-pci.ids=, modules-load.d",
        {LISTS: "igbvf\nvfio-pci\n"},
        cmdline="vfio-pci.ids=8086:10ca",
        virtual=1,
    ),
    Corner("virtual functions of a card that nobody has", "blacklist", {MODPROBE: "blacklist igb\n"}, modules=("igb",), virtual=1),
    Corner(
        "driverctl takes unbound twins, too",
        "driverctl, blacklist",
        {f"/etc/driverctl.d/pci-{E1000E}": "vfio-pci\n", MODPROBE: "blacklist e1000e\n"},
    ),
    Corner(
        "virtual functions of vfio-pci without enable_sriov", "sriov_drivers_autoprobe", {RULES: rule(IGB, "vfio-pci", LOADS)}, virtual=1
    ),
    Corner(
        "virtual functions of vfio-pci with enable_sriov",
        "sriov_drivers_autoprobe",
        {RULES: rule(IGB, "vfio-pci", LOADS), MODPROBE: "options vfio-pci enable_sriov=1\n"},
        virtual=1,
    ),
    Corner("driverctl and none", "driverctl", {f"/etc/driverctl.d/pci-{E1000E}": "none\n"}, modules=BOTH),
    Corner("module.option= of a native on the command line", "module.option=", cmdline="e1000e.no_such_option=1", modules=BOTH),
    Corner(
        "an override for every card but one",
        "rule: driver_override",
        {RULES: f'ACTION=="add", KERNEL!="{SECOND}", ATTR{{device}}=="0x10d3", ATTR{{driver_override}}="vfio-pci", {LOADS}\n'},
        modules=BOTH,
    ),
    Corner(
        "a rule for all cards of an ID",
        "rule: driver_override",
        {RULES: f'ACTION=="add", ATTR{{device}}=="0x10d3", ATTR{{driver_override}}="vfio-pci", {LOADS}\n'},
        modules=BOTH,
    ),
    Corner("a rule behind GOTO", "rule: GOTO", {RULES: 'GOTO="end"\n' + rule(E1000E, "vfio-pci", LOADS) + 'LABEL="end"\n'}, modules=BOTH),
    Corner("the last of two rules", "rules that disagree", {RULES: rule(E1000E, "vfio-pci", LOADS) + rule(E1000E, "e1000e")}, modules=BOTH),
    Corner(
        "pci-stub with ids=",
        "options ids=, softdep pre",
        {MODPROBE: "options pci_stub ids=8086:10d3\nsoftdep e1000e pre: pci-stub\n"},
        modules=("e1000e", "pci_stub"),
    ),
    Corner(
        "driverctl against a rule",
        "driverctl, rule: driver_override",
        {f"/etc/driverctl.d/pci-{E1000E}": "e1000e\n", RULES: rule(E1000E, "vfio-pci", LOADS)},
        modules=BOTH,
    ),
    Corner(
        "a native whose probe nobody waits for, in a list",
        "options ids=, modules-load.d",
        {MODPROBE: "options vfio-pci ids=1b36:0010\noptions nvme async_probe\n", LISTS: "nvme\nvfio-pci\n"},
        flow=NO_COLDPLUG,
    ),
    Corner(
        "a native whose probe nobody waits for, and what is loaded after it",
        "options ids=, softdep post, module.option=",
        {MODPROBE: IDS + "softdep e1000e post: vfio-pci\n"},
        cmdline="e1000e.async_probe",
        modules=BOTH,
    ),
    Corner(
        "natives whose probes nobody waits for against others of the kind",
        "options ids=, softdep post, module.option=",
        {MODPROBE: IDS + "softdep e1000e post: vfio-pci\n"},
        cmdline="module.async_probe",
        modules=BOTH,
    ),
    *named_modules.CORNERS,
    *named_switched_off.CORNERS,
)


def named(series: Sequence[str] = SERIES) -> list[Case]:
    """Every corner case on one of these kernels, the kernels taking turns; then every one on the next, and so on."""
    turns = range(len(series))
    return [corner.on(series[(number + turn) % len(series)]) for turn in turns for number, corner in enumerate(CORNERS)]
