# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Corner cases of modules that refuse and drivers that decline, each by its name."""

from __future__ import annotations

from corner import BOTH, IDS, LISTS, MODPROBE, SOFTDEP, Corner

_MANY = ",".join(["1"] * 40)
# 1023 characters behind the `=`, and one more.
_FITS = "ids=8086:10d3" + ",10de:1b80" * 101 + ":0:0"
_TOO_LONG = f"{_FITS}0"


def _options(name: str, *lines: str, cmdline: str = "", missing: tuple[str, ...] = ("rival_pci",)) -> Corner:
    text = "".join(f"options {line}\n" for line in lines)
    return Corner(name, "options of any module", root={MODPROBE: text}, cmdline=cmdline, missing=missing)


CORNERS = (
    # Values
    Corner(
        "a refused value beside ids=",
        "options of any module",
        {MODPROBE: IDS + "options vfio-pci disable-idle-d3=maybe\n" + SOFTDEP},
        modules=BOTH,
    ),
    _options(
        "numbers that are none",
        "nvme use_threaded_interrupts=maybe",
        "e1000e copybreak=-1",
        "igb max_vfs=08",
        "snd_hda_intel index=1,,2",
        "bochs defx=0x",
    ),
    _options("numbers of other bases", "nvme use_threaded_interrupts=0x1", "e1000e copybreak=0777", "igb max_vfs=+0", "bochs defx=-0"),
    _options("parameters without a value", "nvme use_threaded_interrupts", "snd_hda_intel enable_msi", "e1000e debug", "bochs defx="),
    _options("more elements than there is room for", f"e1000e IntMode={_MANY}", f"snd_hda_intel index={_MANY}"),
    _options(
        "parameters that do not exist", "e1000e no_such=1", "vmxnet3 enable=0", "nvme dyndbg=+p", "bochs async_probe=maybe", "igb disable"
    ),
    _options("a reader of the module's own", "nvme io_queue_depth=1", "snd_hda_intel power_save=banana"),
    _options("a reader of the module's own is content", "nvme io_queue_depth=0x10", "nvme poll_queues=1", "snd_hda_intel power_save=1"),
    _options("more than the largest queue", "nvme io_queue_depth=4096"),
    _options("no decimal number of queues", "nvme write_queues=0x1"),
    Corner("ids= of all characters that fit", "options ids=", {MODPROBE: f"options vfio-pci {_FITS}\n{SOFTDEP}"}, modules=BOTH),
    Corner("ids= one character too long", "options ids=", {MODPROBE: f"options vfio-pci {_TOO_LONG}\n{SOFTDEP}"}, modules=BOTH),
    Corner("a long ids= before a short one", "options ids=", {MODPROBE: f"options vfio-pci {_TOO_LONG}\n{IDS}{SOFTDEP}"}, modules=BOTH),
    Corner("quotes around ids=", "options ids=", {MODPROBE: f'options vfio-pci "ids=8086:10d3"\n{SOFTDEP}'}, modules=BOTH),
    # Options given to an alias
    Corner(
        "ids= given to the alias that a softdep names",
        "options ids=, alias",
        {MODPROBE: "alias mycard vfio-pci\noptions mycard ids=8086:10d3\nsoftdep e1000e pre: mycard\n"},
        modules=BOTH,
    ),
    Corner(
        "ids= given to an alias, loaded by the module's name",
        "options ids=, alias",
        {MODPROBE: "alias mycard vfio-pci\noptions mycard ids=8086:10d3\nsoftdep e1000e pre: vfio-pci\n"},
        modules=BOTH,
    ),
    Corner(
        "ids= given to the alias that a list names",
        "options ids=, alias, modules-load.d",
        root={MODPROBE: "alias my-card vfio-pci\noptions my_card ids=8086:10d3\nblacklist e1000e\n", LISTS: "my-card\n"},
    ),
    # Display adapters, sound, USB
    Corner("nomodeset", "kernel words", cmdline="nomodeset"),
    Corner("nomodeset, and one that is told otherwise", "kernel words", cmdline="nomodeset bochs.modeset=1"),
    Corner("modeset=0 on the command line", "module.option=", cmdline="bochs.modeset=0"),
    _options("the card of a sound driver off", "snd-hda-intel enable=0"),
    _options("the second card of a sound driver off", "snd-hda-intel enable=1,0"),
    _options("the first card of a sound driver off, the second on", "snd-hda-intel enable=n,y"),
    _options("USB off", "usbcore nousb"),
    Corner("USB off on the command line", "module.option=", cmdline="usbcore.nousb=1"),
    Corner("USB off for a kernel that has it built in", "kernel words", cmdline="nousb"),
    # Words of the kernel
    Corner("nomodule", "kernel words", cmdline="nomodule"),
    Corner("nomodule=0", "kernel words", cmdline="nomodule=0"),
    Corner(
        "words behind the end", "kernel words", cmdline="-- nomodule module_blacklist=e1000e initcall_blacklist=nvme_init bochs.modeset=0"
    ),
    Corner(
        "ids= behind the end",
        "vfio-pci.ids=",
        {MODPROBE: SOFTDEP},
        cmdline="-- vfio-pci.ids=8086:10d3 snd_hda_intel.enable=0",
        modules=BOTH,
    ),
    Corner(
        "built-in natives left out",
        "kernel words, modules-load.d",
        root={LISTS: "vfio-pci\n"},
        cmdline="initcall_blacklist=serial_pci_driver_init,virtio_pci_driver_init vfio-pci.ids=1b36:0002",
    ),
    Corner(
        "a module's function left out",
        "kernel words",
        {MODPROBE: IDS + "softdep e1000e post: vfio-pci\n"},
        cmdline="initcall_blacklist=e1000_init_module initcall_blacklist=azx_driver_init",
        modules=BOTH,
    ),
    Corner(
        "vfio-pci's function left out", "kernel words", {MODPROBE: IDS + SOFTDEP}, cmdline="initcall_blacklist=vfio_pci_init", modules=BOTH
    ),
    Corner(
        "functions of no driver left out", "kernel words", cmdline="initcall_blacklist=sysfb_init,init_module,e1000e_init,acpi_cpufreq_init"
    ),
    # Commands of install lines
    Corner(
        "install lines as packages write them",
        "install",
        {MODPROBE: "install e1000e /sbin/modprobe --ignore-install e1000e $CMDLINE_OPTS\ninstall vmxnet3 sh -c 'exit 0'\n"},
        modules=BOTH,
    ),
    Corner(
        "install of one module for another",
        "install, options ids=",
        {MODPROBE: IDS + "install e1000e modprobe -i vfio-pci $CMDLINE_OPTS\ninstall nvme modprobe no_such && modprobe -i nvme\n"},
        modules=BOTH,
    ),
    Corner(
        "install lines with alternatives",
        "install",
        {MODPROBE: "install e1000e /bin/false || modprobe -i e1000e\ninstall nvme modprobe no_such || modprobe -i nvme; exit 1\n"},
        modules=BOTH,
    ),
    Corner(
        "install lines that ignore each other",
        "install",
        {MODPROBE: "install e1000e modprobe -i vfio-pci; modprobe -i e1000e # both\ninstall vfio-pci /bin/false\n" + IDS},
        modules=BOTH,
    ),
)
