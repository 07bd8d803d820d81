# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everyday mistakes in rules, scripts and words of a whole host: each is told once, and what looks like one and is none is not."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit import initramfs_files
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    ADDED,
    BOUND,
    CARD,
    CARD_LINK,
    CONF,
    LOAD,
    MOVER,
    MOVES,
    OVERRIDE,
    OWN,
    RULE,
    THIS,
    TO_GUEST,
    UNBIND,
    UNIT,
    Drawn,
)
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.test_hosts_of_testers import image

if t.TYPE_CHECKING:
    from pathlib import Path

ACTS, MINE = f"{OVERRIDE}, {LOAD}", f'{ADDED}, KERNEL=="{CARD}"'
SCRIPT = "/usr/local/sbin/to-vm"
LOADS = "#!/bin/sh\nmodprobe vfio-pci\n"
ALL = "for every PCI device, the host's own disks and network adapters among them."
AS_LINE = "is written as in modprobe.d, and nothing reads that on the command line, so it has no effect"
Files = dict[str, str]


def rule(text: str, **more: str) -> Files:
    return {RULE: f"{text}\n", **more}


def unit(program: str, **more: str) -> Files:
    return {f"{OWN}/card.service": UNIT.replace(MOVER, program), **more}


WARNED: dict[str, tuple[Files, str]] = {
    "a rule for all": (rule(f"{ADDED}, {ACTS}"), f"{RULE}:1 sets driver_override=vfio-pci {ALL}"),
    "a rule for all that a blank makes of one": (rule(f"{MINE}, \\ \n  {ACTS}"), f"{RULE}:2 sets driver_override=vfio-pci {ALL}"),
    "a blank behind a backslash": (rule(f"{MINE}, \\\t\n  {ACTS}"), f"{RULE}:1: a blank stands behind the backslash"),
    "a rule that goes on beyond its file": (rule(f"{MINE}, {ACTS}\\"), f"{RULE}:1: the last line ends in a backslash"),
    "an override when the driver has come": (
        rule(f"{BOUND}, {OVERRIDE}"),
        '`ACTION=="bind"`: the device has its driver by then, and an override changes nothing until it is unbound.',
    ),
    "vendor and device in one": (rule(f'{ADDED}, ATTR{{device}}=="10de:1db1", {ACTS}'), 'Write `ATTR{device}=="0x1db1"`.'),
    "vendor and device without a colon": (rule(f'{ADDED}, ATTR{{vendor}}=="0x10de1db1", {ACTS}'), 'Write `ATTR{vendor}=="0x10de"`.'),
    "a class without its last digits": (
        rule(f'{THIS}, ATTR{{class}}=="0x0302", {ACTS}'),
        'matches no device: in sysfs a class has six digits. Write `ATTR{class}=="0x0302*"`.',
    ),
    "an attribute that lspci has": (rule(f'{THIS}, ATTR{{vendor_id}}=="0x10de", {ACTS}'), "Did you mean ATTR{vendor}?"),
    "an alias in small letters": (
        {CONF: "alias pci:v000010ded00001db1sv*sd*bc*sc*i* vfio-pci\n"},
        "Write `alias pci:v000010DEd00001DB1sv*sd*bc*sc*i* vfio-pci`.",
    ),
    "a colon behind a module": ({CONF: "options vfio-pci: ids=10de:1db1\n"}, "Write `options vfio-pci ids=10de:1db1`."),
    "a colon in place of the equals sign": ({CONF: "options vfio-pci ids:10de:1db1\n"}, "Write `ids=10de:1db1`."),
    "a program of another folder": (
        rule(f'{THIS}, RUN+="sudo modprobe vfio-pci"'),
        "udev looks for sudo in /usr/lib/udev only, and so does not run it.",
    ),
    "a file in place of a module": (
        rule(f'{THIS}, {OVERRIDE}, RUN{{builtin}}+="kmod load vfio-pci.ko"'),
        'Write `RUN{builtin}+="kmod load vfio-pci"`.',
    ),
    "a driver's file at a device": (
        rule(f'{THIS}, ATTR{{new_id}}="10de 1db1"'),
        'a PCI device has no file new_id, a driver has, so it has no effect. Write `ATTR{[drivers/pci:DRIVER]new_id}="10de 1db1"`.',
    ),
    "the bus's file at a device": (
        rule(f'{THIS}, ATTR{{drivers_autoprobe}}="0"'),
        'a PCI device has no file drivers_autoprobe, its bus has, so it has no effect. Write `ATTR{[subsystem/pci]drivers_autoprobe}="0"`.',
    ),
    "a rule beside the folder": ({"/etc/udev/50-card.rules": TO_GUEST}, "/etc/udev/50-card.rules: nothing reads it"),
    "a rule below the folder": ({"/etc/udev/rules.d/vm/50.rules": TO_GUEST}, "because it is not in /etc/udev/rules.d itself."),
    "lines of kmod below the folder": ({"/etc/modprobe.d/vm/a.conf": "blacklist nouveau\n"}, "it is not in /etc/modprobe.d itself."),
    "a list below the folder": ({"/etc/modules-load.d/vm/a.conf": "vfio-pci\n"}, "it is not in /etc/modules-load.d itself."),
    "a rule's program that may not be run": (
        rule(f'{THIS}, RUN+="{SCRIPT} %k"', **{SCRIPT: "modprobe vfio-pci\n"}),
        f"{RULE}:1 runs {SCRIPT}, which is not executable, so that nothing of it is done. Run `chmod +x {SCRIPT}`.",
    ),
    "a rule's program that is not there": (
        rule(f'{THIS}, RUN+="/usr/local/bin/vfio-bind %k"'),
        f"{RULE}:1 runs /usr/local/bin/vfio-bind, which is not there. Correct the path, or remove the line.",
    ),
    "a unit's program that may not be run": (
        unit(SCRIPT, **{SCRIPT: "modprobe vfio-pci\n"}),
        f"/card.service:3 runs {SCRIPT}, which is not",
    ),
    "a unit's program that is not there": (unit("-/opt/gpu/bind --all"), "/card.service:3 runs /opt/gpu/bind, which is not there."),
    "two names of a blacklist in one word": (
        {CONF: "blacklist nouveau,nvidia\n"},
        f"{CONF}:1: kmod takes all of `blacklist nouveau,nvidia` for one name. Write `blacklist nouveau` and `blacklist nvidia` in",
    ),
    "an override by a key for comparing": (
        rule(f'{THIS}, ATTRS{{driver_override}}="vfio-pci", {LOAD}'),
        'ATTRS can only be compared, so udev ignores the whole line. Write `ATTR{driver_override}="vfio-pci"`.',
    ),
    "a driver by a key for comparing": (
        rule(f'{THIS}, DRIVER="vfio-pci"'),
        'DRIVER can only be compared, so udev ignores the whole line. Write `ATTR{driver_override}="vfio-pci"`.',
    ),
    "a native driver by a key for comparing": (
        rule(f'{THIS}, DRIVER="nouveau", {ACTS}'),
        'so udev ignores the whole line. Write `DRIVER=="nouveau"`.',
    ),
    "a semicolon in a softdep": (
        {CONF: "softdep nouveau pre; vfio-pci\n"},
        "Write `softdep nouveau pre: vfio-pci`.",
    ),
    "names with a comma between them": (
        rule(f'{THIS}, {OVERRIDE}, RUN{{builtin}}+="kmod load vfio-pci,loop"'),
        'Write `RUN{builtin}+="kmod load vfio-pci loop"`.',
    ),
    "a program at home": (rule(f'{THIS}, RUN+="~/bin/vfio.sh"'), f'{RULE}:1: `RUN+="~/bin/vfio.sh"`: udev does not know `~`'),
    "a jump to a label that is spelt otherwise": (
        rule(f'SUBSYSTEM!="pci", GOTO="vfio_end"\n{MINE}, {ACTS}\nLABEL="vfio-end"'),
        f'{RULE}:1: `GOTO="vfio_end"` has no `LABEL="vfio_end"` behind it, so udev goes on with the next line. Write GOTO="vfio-end".',
    ),
    "a jump to a label before it": (
        rule(f'LABEL="x"\nSUBSYSTEM!="pci", GOTO="x"\n{MINE}, {ACTS}'),
        f'{RULE}:2: `GOTO="x"` has no `LABEL="x"` behind it, so udev goes on with the next line. Add the label.',
    ),
    "an address of another bus": (
        rule(f'ACTION=="add", SUBSYSTEM=="usb", KERNEL=="{CARD}", {ACTS}'),
        f'`KERNEL=="{CARD}"` is for these, so the line has no effect. Write `SUBSYSTEM=="pci"`.',
    ),
    "an identity of another bus": (
        rule(f'ACTION=="add", SUBSYSTEM=="drm", ATTR{{vendor}}=="0x10de", {ACTS}'),
        '`SUBSYSTEM=="drm"` asks for devices that are no PCI functions, and `ATTR{vendor}=="0x10de"` is for these',
    ),
    "an override of another bus": (rule(f'ACTION=="add", SUBSYSTEM=="net", {OVERRIDE}'), 'Write `SUBSYSTEM=="pci"`.'),
    "a rule that only compares": (
        rule(f'{THIS}, DRIVER=="vfio-pci"'),
        'DRIVER=="vfio-pci"` only compares, and assigns nothing, so the line has no effect.',
    ),
    "a rule of functions that only compares": (rule(THIS), f"`{THIS}` only compares, and assigns nothing"),
    "several addresses in one key": (rule(f'{ADDED}, KERNEL=="{CARD}","0000:5e:00.0", {ACTS}'), "udev does not understand this line"),
    "a list beside that of initramfs-tools": (
        {"/etc/initramfs-tools/modules.d/vfio": "vfio-pci\n"},
        "because it reads /etc/initramfs-tools/modules alone. Put its lines there.",
    ),
    "modules in place of what is to be guessed": (
        {"/etc/initramfs-tools/initramfs.conf": "MODULES=vfio-pci\n"},
        "takes it for `MODULES=most`. Write that, and the modules into /etc/initramfs-tools/modules, one a line.",
    ),
    "what is to be guessed in another spelling": (
        {"/etc/initramfs-tools/conf.d/site": "MODULES=Most # all\n"},
        "site:1: mkinitramfs does not know the value in `MODULES=Most # all`, and takes it for `MODULES=most`. Write that.",
    ),
    "a softdep the other way round": (
        {CONF: "softdep vfio-pci pre: nouveau\n"},
        "loads nouveau before vfio-pci, so that nouveau takes 0000:3b:00.0 and 0000:5e:00.0. Write `softdep nouveau pre: vfio-pci`.",
    ),
    "a comment behind options": (
        {CONF: "options vfio-pci ids=10de:1db1 # the card\nsoftdep nouveau pre: vfio-pci\n"},
        "kmod knows no comment behind `options`, and gives its words to vfio_pci, which ignores them.",
    ),
    "an ID without ids=": ({CONF: "options vfio-pci 10de:1db1\n"}, "Write `options vfio-pci ids=10de:1db1`"),
    "blanks around an equals sign": ({CONF: "options vfio-pci ids = 10de:1db1\n"}, "Write `options vfio-pci ids=10de:1db1`"),
    "a script with an ID as lspci shows it": (
        unit(SCRIPT, **{SCRIPT: "#!/bin/sh\nmodprobe vfio-pci\necho 10de:1db1 > /sys/bus/pci/drivers/vfio-pci/new_id\n"}),
        f"{SCRIPT}:3: the kernel refuses `10de:1db1` for new_id, which takes numbers with a blank between them. Write `10de 1db1`.",
    ),
    "an ID as lspci shows it by tee": (
        {"/etc/rc.local": '#!/bin/sh\necho "8086:10d3" | tee /sys/bus/pci/drivers/pci-stub/remove_id\n'},
        "/etc/rc.local:2: the kernel refuses `8086:10d3` for remove_id",
    ),
    "a rule with an ID as lspci shows it": (
        rule('SUBSYSTEM=="drivers", KERNEL=="vfio-pci", ATTR{new_id}="10de:1db1"'),
        "the kernel refuses `10de:1db1` for new_id",
    ),
    "a unit beside the folder of units": (
        {"/etc/systemd/card.service": "[Service]\nExecStart=/sbin/modprobe vfio-pci\n"},
        "/etc/systemd/card.service: systemd does not read it, because it is not in /etc/systemd/system. Move it there.",
    ),
    "a script for Red Hat's initscripts": (
        {"/etc/sysconfig/modules/vfio.modules": "#!/bin/sh\nmodprobe vfio-pci\n"},
        "/etc/sysconfig/modules/vfio.modules: nothing of this host runs it.",
    ),
    "a parameter that vfio-pci does not have": (
        {CONF: f"options vfio-pci driver_override={CARD}\n"},
        f"vfio_pci has no parameter driver_override, so `options vfio-pci driver_override={CARD}` has no effect.",
    ),
}
WORDS: dict[str, str] = {
    "video=efifb=off": "`video=efifb=off` does not switch efifb off. Write `video=efifb:off`.",
    "quiet video=vesafb:off,efifb:off": "does not switch efifb off. Write `video=vesafb:off video=efifb:off`.",
    "intel_iommu iommu=pt": "the kernel reads no value in `intel_iommu`, so it has no effect. Write `intel_iommu=on`.",
    "iommu=on": "the kernel does not know the value on in `iommu=on`, so it has no effect. Write `intel_iommu=on`.",
    "intel_iommu=on iommu=1": "the kernel does not know the value 1 in `iommu=1`, so it has no effect. Remove it.",
    "initcall_blacklist=nouveau": "names functions, and nouveau is a module: it has no effect. Write `modprobe.blacklist=nouveau`.",
    "modprobe.blacklist = nouveau": "nothing stands behind `modprobe.blacklist`, so it has no effect.",
    "pci-stub.ids=10de:1db1": "names the module pci-stub, which no installed kernel has",
    "rd.drivers.pre=vfio-pci": "Write `rd.driver.pre=vfio-pci`.",
    "intel_iommu = on": "blanks stand around the sign behind `intel_iommu`, so that it has no value, and no effect.",
    "intel_iommu=On": "the kernel does not know the value in `intel_iommu=On`, so it has no effect. Write `intel_iommu=on`.",
    "modprobe.blacklist=nouveau nvidia": "Write `modprobe.blacklist=nouveau,nvidia`, without a blank.",
    "rd.driver=vfio-pci": "nothing reads `rd.driver=vfio-pci`, so it has no effect. Write `rd.driver.pre=vfio-pci`.",
    "options vfio-pci ids=10de:1db1 quiet": f"`options vfio-pci ids=10de:1db1` {AS_LINE}. Write `vfio-pci.ids=10de:1db1`.",
    "options vfio_pci ids=10de:1db1,10de:10f0 disable_vga=1 panic=9": "Write `vfio_pci.ids=10de:1db1,10de:10f0 vfio_pci.disable_vga=1`.",
    "vfio-pci ids=10de:1db1": f"`vfio-pci ids=10de:1db1` {AS_LINE}. Write `vfio-pci.ids=10de:1db1`.",
    "quiet ids=10de:1db1,10de:10f0": f"`ids=10de:1db1,10de:10f0` {AS_LINE}. Write `vfio-pci.ids=10de:1db1,10de:10f0`.",
    "blacklist nouveau quiet": f"`blacklist nouveau` {AS_LINE}. Write `modprobe.blacklist=nouveau`.",
    "install nouveau /bin/false quiet": f"`install nouveau /bin/false` {AS_LINE}. Write `module_blacklist=nouveau`.",
    "softdep nouveau pre: vfio-pci quiet": "Write `softdep nouveau pre: vfio-pci` into /etc/modprobe.d/local.conf.",
    "alias pci:v000010DEd*sv*sd*bc03sc*i* off": "Write `alias pci:v000010DEd*sv*sd*bc03sc*i* off` into /etc/modprobe.d/local.conf.",
    "vfio-pci.ids= 10de:1db1": "Write `vfio-pci.ids=10de:1db1`, without a blank.",
    "nouveau=off": "nothing reads `nouveau=off`, so it has no effect. Write `modprobe.blacklist=nouveau`.",
    "nouveau.off": "Write `modprobe.blacklist=nouveau`.",
    "amdgpu=0": "Write `modprobe.blacklist=amdgpu`.",
    "i915.disable=1": "Write `modprobe.blacklist=i915`.",
    "xe.enable=no": "Write `modprobe.blacklist=xe`.",
    "nvidia-drm=disabled": "Write `modprobe.blacklist=nvidia_drm`.",
    "nouveau.blacklist": "Write `modprobe.blacklist=nouveau`.",
    "blacklist.nouveau": "Write `modprobe.blacklist=nouveau`.",
    "vfio-pci=10de:1db1": "Write `vfio-pci.ids=10de:1db1`.",
    "nvidia.modeset=1": "Write `nvidia-drm.modeset=1`.",
    "nvidia-drm-modeset=1": "Write `nvidia-drm.modeset=1`.",
    "vfio-pci.id=10de:1db1": "Write `vfio-pci.ids=10de:1db1`.",
    "iommu=intel": "the kernel does not know the value in `iommu=intel`, so it has no effect. Write `intel_iommu=on`.",
    "vfio-pci.ids=10de:1db1 10de:10f0": "Write `vfio-pci.ids=10de:1db1,10de:10f0`, without a blank.",
}
FINE_WORDS = (
    "install quiet",
    "options quiet",
    "vfio-pci.ids=10de:1db1 rd.driver.pre=vfio-pci root=UUID=1 ids=two",
    "blacklist=nouveau alias=eth0",
)
FINE_DRIVERS = (
    *("nouveau.modeset=0", "nouveau.config=NvGspRm=1", "nouveau.runpm=0", "amdgpu.modeset=0", "amdgpu.si_support=0", "i915.enable_guc=3"),
    *("i915.modeset=0", "i915.force_probe=!56a0", "xe.force_probe=56a0", "nvidia-drm.modeset=1", "nvidia_drm.fbdev=1"),
    *("nvidia.NVreg_EnableGpuFirmware=0", "snd_hda_intel.enable=0,1", "snd_hda_intel.power_save=0", "radeon.modeset=0"),
    *(
        "nomodeset",
        "amd_iommu=on iommu=pt",
        "intel_iommu=on iommu=pt",
        "iommu=soft",
        "video=efifb:off",
        "video=efifb:off,efifb:off",
        "kvm.ignore_msrs=1",
    ),
    *("modprobe.blacklist=nouveau,nvidia", "module_blacklist=nouveau", "vfio-pci.ids=10DE:1DB1", "pci=realloc", "nouveau_site=off"),
)
FINE: dict[str, Files] = {
    "stock lines without a package": {
        "/usr/lib/modprobe.d/blacklist.conf": "blacklist there_is_none\nblacklist evbug\n",
        "/lib/modprobe.d/blacklist-more.conf": "blacklist there_is_none_either\noptions there_is_none x=1\n",
    },
    "a softdep, options and a list": {
        CONF: "options vfio-pci ids=10de:1db1\nsoftdep nouveau pre: vfio-pci\n",
        "/etc/initramfs-tools/initramfs.conf": "# MODULES: [ most | netboot | dep | list ]\nMODULES=most\nBUSYBOX=auto\n",
    },
    "what is to be guessed": {"/etc/initramfs-tools/conf.d/driver-policy": "# set by the installer\nMODULES=dep\n"},
    "what is to be guessed, in quotes": {"/etc/initramfs-tools/initramfs.conf": 'MODULES="list"\n'},
    "what another variable says": {"/etc/initramfs-tools/initramfs.conf": "MODULES=${SITE_MODULES}\n"},
    "settings that are put aside": {"/etc/initramfs-tools/conf.d/site.dpkg-old": "MODULES=vfio-pci\n"},
    "a list of nothing": {"/etc/initramfs-tools/modules.d/README": "Put lists of modules here.\n"},
    "a rule of interfaces": rule('SUBSYSTEM=="net", ACTION=="add", KERNELS=="0000:02:00.0", NAME="lan0"'),
    "a rule of interfaces by their device": rule('SUBSYSTEM=="net", ACTION=="add", ATTRS{vendor}=="0x8086", NAME="lan0"'),
    "a rule of cards by their device": rule('SUBSYSTEM=="drm", KERNEL=="card*", KERNELS=="0000:3b:00.0", SYMLINK+="dri/guest"'),
    "a rule of USB": rule('SUBSYSTEM=="usb", ATTR{idVendor}=="046d", ATTR{power/control}="on"'),
    "a rule of the nodes": rule('SUBSYSTEM=="vfio", OWNER="root", GROUP="kvm", MODE="0660"'),
    "a rule that reads properties": rule(f'SUBSYSTEM=="pci", KERNEL=="{CARD}", IMPORT{{program}}=="/bin/true"'),
    "a rule that skips others": rule(f'SUBSYSTEM!="pci", GOTO="end"\nKERNEL=="{CARD}", {ACTS}\nLABEL="end"'),
    "a rule that tags": rule(f'{THIS}, TAG="vfio-pci-bind"'),
    "a rule about power": rule('ACTION=="add", SUBSYSTEM=="pci", ATTR{power/control}="auto"'),
    "a softdep that loads afterwards": {CONF: "softdep vfio-pci post: nouveau\n"},
    "a comment line": {CONF: "# options vfio-pci ids=10de:1db1 # the card\n"},
    "an ID as the kernel reads it": unit(
        SCRIPT,
        **{
            SCRIPT: "#!/bin/sh\n# echo 10de:1db1 > /sys/bus/pci/drivers/vfio-pci/new_id\n"
            "echo 10de 1db1 > /sys/bus/pci/drivers/vfio-pci/new_id\n"
        },
    ),
    "settings beside the folder of units": {"/etc/systemd/modprobe.conf": "# modprobe vfio-pci\n"},
    "a script that Red Hat's initscripts run": {
        "/etc/rc.modules": "#!/bin/sh\nmodprobe e1000e\n",
        "/usr/lib/systemd/system/loadmodules.service": "[Service]\nExecStart=/usr/lib/systemd/rhel-loadmodules\n",
    },
    "a saved override": {f"/etc/driverctl.d/pci-{CARD}": "vfio-pci\n"},
    "an install line": {CONF: "install nouveau /bin/false\nblacklist nouveau\n"},
    "a rule for all behind a jump": rule(f'SUBSYSTEM!="pci", GOTO="end"\nKERNEL!="{CARD}", GOTO="end"\n{ADDED}, {ACTS}\nLABEL="end"'),
    "a driver's file by its driver": rule(f'{THIS}, ATTR{{[drivers/pci:vfio-pci]new_id}}="10de 1db1"'),
    "an alias for a device": {CONF: "alias pci:v000010DEd00001DB1sv*sd*bc*sc*i* nouveau\n"},
    "a rule by a tag": rule(f'{THIS}, TAG+="vm"\n{ADDED}, TAG=="vm", {ACTS}'),
    "a resource of the card": rule(f'{THIS}, ATTR{{resource0_wc}}=="?*", ENV{{X}}="1"'),
    "a rule that goes on": rule(f"{MINE}, \\\n  {ACTS}"),
    "a comment with a backslash": rule(f"# the card \\ \n{MINE}, {ACTS}"),
    "an override that is bound again": rule(f'{BOUND}, DRIVER=="nouveau", {OVERRIDE}, {UNBIND}, {LOAD}'),
    "rules that are put aside": {"/etc/udev/rules.d/disabled/50.rules": TO_GUEST, "/etc/modprobe.d/old/a.conf": "blacklist nouveau\n"},
    "a program of another kind": rule('SUBSYSTEM=="net", ACTION=="add", RUN+="/usr/local/bin/leds %k"'),
    "a text of no driver": unit(SCRIPT, **{SCRIPT: "a list\n"}),
    "a program that does its work": unit(MOVER, **{MOVER: MOVES}),
}


def told(drawn: Drawn, root: Path) -> list[str]:
    tree = drawn.tree(root)
    found = device_info(tree.host(Commands(tree.root)))
    return [one for one in found["policy_warnings"] if initramfs_files.IMAGE not in one]


def drawn_of(files: Files, cmdline: str = "") -> Drawn:
    lines = {f"etc/modprobe.d/{path.rpartition('/')[2]}": text for path, text in files.items() if path == CONF}
    return Drawn({}, files, CARD_LINK if any(path.endswith("/card.service") for path in files) else {}, cmdline, then=image(**lines))


@pytest.mark.parametrize("name", WARNED)
def test_a_mistake_is_told(tmp_path: Path, name: str) -> None:
    files, said = WARNED[name]
    assert [said in one for one in told(drawn_of(files), tmp_path)].count(True) == 1


@pytest.mark.parametrize("cmdline", WORDS)
def test_a_word_without_effect_is_told_once(tmp_path: Path, cmdline: str) -> None:
    found = told(drawn_of({}, cmdline), tmp_path)
    assert [WORDS[cmdline] in one for one in found].count(True) == 1


@pytest.mark.parametrize("cmdline", FINE_WORDS)
def test_words_that_only_look_like_a_line_are_not_told(tmp_path: Path, cmdline: str) -> None:
    assert not any("as in modprobe.d" in one for one in told(drawn_of({}, cmdline), tmp_path))


@pytest.mark.parametrize("cmdline", FINE_DRIVERS)
def test_right_words_are_not_told(tmp_path: Path, cmdline: str) -> None:
    assert told(drawn_of({}, f"root=/dev/sda2 {cmdline}"), tmp_path) == []


def test_of_a_value_that_nothing_has_it_is_not_said_that_the_device_has_changed(tmp_path: Path) -> None:
    tree = drawn_of(rule(f'{THIS}, ATTR{{class}}=="0x0302", {ACTS}')).tree(tmp_path)
    found = device_info(tree.host(Commands(tree.root)))
    assert not any("has changed" in one for device in found["devices"] for one in device["warnings"])


def test_a_script_without_an_interpreter_is_told(tmp_path: Path) -> None:
    files = unit(SCRIPT)
    drawn = Drawn({}, files, CARD_LINK, then=lambda tree: tree.file(SCRIPT, "modprobe vfio-pci\n", 0o755))
    (said,) = told(drawn, tmp_path / "without")
    assert said.endswith(
        f"runs {SCRIPT}, whose first line names no interpreter, so that the kernel does not run it. Write `#!/bin/sh` into its first line."
    )
    assert told(Drawn({}, files, CARD_LINK, then=lambda tree: tree.file(SCRIPT, LOADS, 0o755)), tmp_path / "with") == []


@pytest.mark.parametrize("name", FINE)
def test_what_is_right_is_not_told(tmp_path: Path, name: str) -> None:
    assert told(drawn_of(FINE[name]), tmp_path) == []
