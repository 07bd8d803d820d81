# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Corner cases that somebody once got wrong, each by its name."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from configuration import DRACUT, INITRAMFS_TOOLS, NO_COLDPLUG, SERIES, Configuration
from draft import Case

E1000E, TWIN = "0000:00:02.0", "0000:00:03.0"
NVME, IGB, SOUND, EDU = "0000:01:00.0", "0000:02:00.0", "0000:00:06.0", "0000:00:0b.0"
MODPROBE, RULES, LISTS = "/etc/modprobe.d/vfio.conf", "/etc/udev/rules.d/70-vfio.rules", "/etc/modules-load.d/vfio.conf"
IDS = "options vfio-pci ids=8086:10d3\n"
SOFTDEP = "softdep e1000e pre: vfio-pci\n"
LOADS = 'RUN{builtin}+="kmod load vfio-pci"'


def rule(address: str, driver: str, *more: str) -> str:
    return ", ".join(('ACTION=="add"', 'SUBSYSTEM=="pci"', f'KERNEL=="{address}"', f'ATTR{{driver_override}}="{driver}"', *more)) + "\n"


class _Fields(t.TypedDict, total=False):
    """What a case says beside its files, which the root and the image both have unless they are named apart."""

    root: Mapping[str, str]
    image: Mapping[str, str]
    modules: Sequence[str]
    cmdline: Sequence[str]
    flow: str
    virtual: int
    missing: Sequence[str]


def _case(name: str, series: str, directives: str, both: Mapping[str, str] | None = None, **fields: t.Unpack[_Fields]) -> Case:
    configuration = Configuration(
        name=name,
        series=series,
        cmdline=tuple(fields.get("cmdline", ())),
        root_files={**(both or {}), **fields.get("root", {})},
        image_files={**(both or {}), **fields.get("image", {})},
        image_modules=tuple(fields.get("modules", ())),
        flow=fields.get("flow", INITRAMFS_TOOLS),
        virtual_functions=fields.get("virtual", 0),
        missing_modules=tuple(fields.get("missing", ())),
    )
    return Case(configuration, tuple(directives.split(", ")))


def _of(series: str) -> tuple[Case, ...]:
    """Every corner case that the machine allows, on one kernel."""
    both = ("e1000e", "vfio_pci")
    variant = "nvlink2gpu_vfio_pci"
    return tuple(
        _case(f"{name} on {series}", series, directives, files, **fields)
        for name, directives, files, fields in (
            ("nothing configured", "nothing", {}, _Fields(modules=())),
            ("nothing configured, natives in the image", "nothing", {}, _Fields(modules=("e1000e", "nvme", "igb"))),
            ("both loadable, variant loaded first", "softdep pre", {MODPROBE: SOFTDEP}, _Fields(modules=both)),
            ("dynamic ID without softdep", "options ids=", {MODPROBE: IDS}, _Fields(modules=both)),
            ("dynamic ID, native in the image only", "options ids=", {MODPROBE: IDS, LISTS: "vfio-pci\n"}, _Fields(modules=("e1000e",))),
            ("dynamic ID, vfio-pci in conf/modules", "options ids=, conf/modules", {MODPROBE: IDS}, _Fields(image={"/conf/modules": "vfio-pci\n"}, modules=both)),
            ("dynamic ID, modules-load against coldplug", "options ids=, modules-load.d", {MODPROBE: IDS, LISTS: "vfio-pci\n"}, _Fields(flow=NO_COLDPLUG)),
            ("dynamic ID and softdep", "options ids=, softdep pre", {MODPROBE: IDS + SOFTDEP}, _Fields(modules=both)),
            ("dynamic ID and softdep, stale image", "options ids=, softdep pre, stale image", {}, _Fields(root={MODPROBE: IDS + SOFTDEP}, modules=("e1000e",))),
            ("softdep in an image without vfio-pci", "options ids=, softdep pre", {MODPROBE: IDS + SOFTDEP}, _Fields(modules=("e1000e",))),
            ("two blanks before pre:", "options ids=, softdep pre", {MODPROBE: IDS + "softdep e1000e  pre: vfio-pci\n"}, _Fields(modules=both)),
            ("blacklisted vfio-pci through softdep", "options ids=, softdep pre, blacklist", {MODPROBE: IDS + SOFTDEP + "blacklist vfio_pci\n"}, _Fields(modules=both)),
            ("blacklisted vfio-pci in a list", "options ids=, blacklist, modules-load.d", {MODPROBE: IDS + "blacklist vfio_pci\n", LISTS: "vfio-pci\n"}, _Fields(flow=NO_COLDPLUG)),
            ("native blacklisted", "blacklist", {MODPROBE: "blacklist e1000e\n"}, _Fields(modules=both)),
            ("native blacklisted in the root, not in the image", "blacklist, stale image", {}, _Fields(root={MODPROBE: "blacklist e1000e\n"}, modules=("e1000e",))),
            ("native blacklisted, dynamic ID", "blacklist, options ids=, modules-load.d", {MODPROBE: IDS + "blacklist e1000e\n", LISTS: "vfio-pci\n"}, _Fields(modules=both)),
            ("native blacklisted with a dash on the command line", "modprobe.blacklist=", {}, _Fields(cmdline=("modprobe.blacklist=snd-hda-intel",), modules=("snd_hda_intel",))),
            ("module_blacklist of the native", "module_blacklist=", {}, _Fields(cmdline=("module_blacklist=e1000e",), modules=both)),
            ("module_blacklist of vfio-pci", "module_blacklist=, rule: driver_override", {RULES: rule(E1000E, "vfio-pci", LOADS)}, _Fields(cmdline=("module_blacklist=vfio_pci",), modules=both)),
            ("install ignored beside softdep", "install, softdep pre, options ids=", {MODPROBE: IDS + SOFTDEP + "install e1000e /bin/false\n"}, _Fields(modules=both)),
            ("install alone", "install", {MODPROBE: "install e1000e /bin/false\n"}, _Fields(modules=both)),
            ("install of a dependency", "install, rule: driver_override", {MODPROBE: "install vfio_pci_core /bin/false\n", RULES: rule(E1000E, "vfio-pci", LOADS)}, _Fields(modules=both)),
            ("alias to vfio-pci", "alias, options ids=", {MODPROBE: IDS + "alias pci:v00008086d000010D3sv*sd*bc*sc*i* vfio_pci\n"}, _Fields(modules=both)),
            ("alias to nothing", "alias", {MODPROBE: "alias pci:v00008086d000010D3sv*sd*bc*sc*i* off\n"}, _Fields(modules=both)),
            ("ids= given twice", "ids= twice, options ids=, softdep pre", {MODPROBE: IDS + "options vfio_pci ids=1b36:0010\n" + SOFTDEP}, _Fields(modules=both)),
            ("ids= of the command line replaces modprobe.d's", "vfio-pci.ids=, options ids=, softdep pre", {MODPROBE: IDS + SOFTDEP}, _Fields(cmdline=("vfio-pci.ids=1b36:0010",), modules=both)),
            ("override before probe", "rule: driver_override", {RULES: rule(E1000E, "vfio-pci", LOADS)}, _Fields(modules=both)),
            ("override for one of two twins", "rule: driver_override", {RULES: rule(TWIN, variant, f'RUN{{builtin}}+="kmod load {variant}"')}, _Fields(modules=("e1000e", variant))),
            ("ids= takes both twins", "options ids=, softdep pre", {MODPROBE: IDS + SOFTDEP, RULES: rule(TWIN, "e1000e")}, _Fields(modules=both)),
            ("override, module never loaded", "rule: driver_override", {RULES: rule(E1000E, "vfio-pci")}, _Fields(modules=both)),
            ("override, module loaded later", "rule: driver_override, modules-load.d", {RULES: rule(E1000E, "vfio-pci"), LISTS: "vfio-pci\n"}, _Fields(modules=both)),
            ("override after probe", "rule: driver_override, stale image", {}, _Fields(root={RULES: rule(E1000E, "vfio-pci", LOADS)}, modules=("e1000e",))),
            ("override spelled with an underscore", "rule: driver_override", {RULES: rule(E1000E, "vfio_pci", LOADS)}, _Fields(modules=both)),
            ("override with a rule that sorts after 80", "rule: driver_override", {"/etc/udev/rules.d/90-vfio.rules": rule(E1000E, "vfio-pci", LOADS)}, _Fields(modules=both)),
            ("override against dynamic ID", "rule: driver_override, options ids=, softdep pre", {MODPROBE: IDS + SOFTDEP, RULES: rule(E1000E, "e1000e")}, _Fields(modules=both)),
            ("override of a module that is missing", "rule: driver_override, module missing", {RULES: rule(E1000E, variant, f'RUN{{builtin}}+="kmod load {variant}"')}, _Fields(modules=("e1000e",), missing=(variant,))),
            ("variant without override", "modules-load.d", {LISTS: f"{variant}\n"}, _Fields(modules=(variant,))),
            ("variant with ids=", "variant ids=", {MODPROBE: f"options {variant} ids=8086:10d3\nsoftdep e1000e pre: {variant}\n"}, _Fields(modules=("e1000e", variant))),
            ("async native against a dynamic ID", "options ids=, modules-load.d", {MODPROBE: "options vfio-pci ids=1b36:0010\n", LISTS: "nvme\nvfio-pci\n"}, _Fields(flow=NO_COLDPLUG)),
            ("a native that probes asynchronously", "driver_async_probe=, options ids=, softdep post", {MODPROBE: IDS + "softdep e1000e post: vfio-pci\n"}, _Fields(cmdline=("driver_async_probe=e1000e",), modules=both)),
            ("a device without native driver", "options ids=, modules-load.d", {MODPROBE: "options vfio-pci ids=1234:11e8\n", LISTS: "vfio-pci\n"}, _Fields(modules=())),
            ("a device with a built-in native", "rule: driver_override", {RULES: rule("0000:00:0a.0", "vfio-pci", LOADS)}, _Fields(modules=("vfio_pci",))),
            ("virtual functions without autoprobe", "sriov_drivers_autoprobe", {RULES: f'ACTION=="add", KERNEL=="{IGB}", ATTR{{sriov_drivers_autoprobe}}="0"\n'}, _Fields(modules=("igb",), virtual=2)),
            ("virtual functions with autoprobe", "sriov_drivers_autoprobe", {}, _Fields(modules=("igb",), virtual=1)),
            ("no IOMMU", "intel_iommu=off, rule: driver_override", {RULES: rule(E1000E, "vfio-pci", LOADS)}, _Fields(cmdline=("intel_iommu=off",), modules=both)),
            ("blacklist= of initramfs-tools", "blacklist=", {}, _Fields(cmdline=("blacklist=e1000e",), modules=("e1000e",))),
            ("rd.driver.pre=", "rd.driver.pre=, options ids=", {MODPROBE: IDS}, _Fields(flow=DRACUT, cmdline=("rd.driver.pre=vfio-pci",), modules=both)),
            ("rd.driver.blacklist=", "rd.driver.blacklist=", {}, _Fields(flow=DRACUT, cmdline=("rd.driver.blacklist=e1000e",), modules=("e1000e",))),
            ("rd.driver.post=", "rd.driver.post=, options ids=", {MODPROBE: IDS}, _Fields(flow=DRACUT, cmdline=("rd.driver.post=vfio-pci",), modules=both)),
            ("driverctl comes last", "driverctl", {"/etc/driverctl.d/pci-0000:00:02.0": "vfio-pci\n"}, _Fields(modules=("e1000e",))),
            ("driverctl against a rule", "driverctl, rule: driver_override", {"/etc/driverctl.d/pci-0000:00:02.0": "e1000e\n", RULES: rule(E1000E, "vfio-pci", LOADS)}, _Fields(modules=both)),
        )
    )  # fmt: skip


def named(series: Sequence[str] = SERIES) -> list[Case]:
    """The corner cases on each of these kernels, the kernels taking turns."""
    by_series = [_of(one) for one in series]
    return [case for turn in zip(*by_series, strict=True) for case in turn]
