# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every parser of the collection, each with the way in which a file's or an option's content reaches it."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.vfio.variants.plugins.filter.select_devices import select_devices
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_runtime import LaterFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import bls, firmware, grub_environment, next_boot, refind
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import kernel_image as kernel_images
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.claim import claims
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.next_route import NamesOfDevice, is_left, named_by
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import extended_regex
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.conf import DkmsConf
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.kernel_identity import SourcePlace
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.linux_tree import read_tree
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.module_check import parse_manifest
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.source_tree import unpack
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.variant_source import variants_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.planned_host import PlannedHost
from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments
from ansible_collections.vfio.variants.plugins.module_utils._core.host.time_limit import checked_timeout
from ansible_collections.vfio.variants.plugins.module_utils._core.host.usable_options import refuse_unusable
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image_file import is_microcode
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import (
    aliases,
    disk_words,
    initcalls,
    install_command,
    modprobe,
    network_words,
    parameters,
    pattern,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import signer
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import ModuleContent
from ansible_collections.vfio.variants.plugins.module_utils._core.pci import hardware, selector
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciId
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses import HostUses
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_dumps import KDUMP, KDUMP_VARIABLES, RESUME_FILE
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import check_name, modules_in, owner_of
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import (
    agents,
    guests,
    network_profiles,
    networkd_files,
    next_networks,
    package_databases,
    programs,
    schedules,
    site_hooks,
    sysctl,
    tmpfiles,
    unit_files,
    unread_networks,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import read as startup
from ansible_collections.vfio.variants.plugins.module_utils._core.udev import rules as udev_rules
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.suite import Suite
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.options import ImageOptions
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.quantity import parse_size
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.options import machine_name
from ansible_collections.vfio.variants.tests.fuzz import base_host
from ansible_collections.vfio.variants.tests.fuzz.target import Target, halves, text
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, modalias

MODULES = f"/lib/modules/{DEBIAN_13}"
REFIND_FOLDER = "/boot/EFI/refind"
EFIVARS = "/sys/firmware/efi/efivars"
FIRMWARE = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
GUESTS = ("/etc/pve/qemu-server/100.conf", "/etc/pve/mapping/pci.cfg", "/etc/libvirt/qemu/autostart/x.xml", "/etc/xen/auto/x.cfg")
AGENTS = (
    "/etc/vpp/startup.conf",
    "/etc/tuned/active_profile",
    "/etc/tuned/x/tuned.conf",
    "/etc/netplan/x.yaml",
    "/etc/systemd/network/x.link",
    "/etc/driverctl.d/pci-0000:3b:00.0",
    "/etc/dpdk/interfaces",
    "/etc/libvirt/qemu/autostart/x.xml",
)
V100 = modalias("10de:1db1")


def option(data: bytes) -> t.Any:
    """An option's value, as JSON brings it to a module."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = text(data)
    refuse_unusable({"devices": value})
    return value


def _cmdline(data: bytes) -> None:
    found = Cmdline.parse(text(data))
    _known = found.blacklisted, found.module_options, found.values("root")
    modprobe.ModprobeConfig(()).with_cmdline(found)
    _named = [*disk_words.named_disks(found)], [*network_words.named_interfaces(found)], [*network_words.named_servers(found)]
    for module in ("vfio_pci", "nouveau"):
        parameters.given_to_built_in(found, "/proc/cmdline", module)


def _modprobe(data: bytes) -> None:
    config = modprobe.ModprobeConfig.parse(text(data), "/etc/modprobe.d/x.conf")
    list(modprobe.ignored_lines(text(data), "/etc/modprobe.d/x.conf"))
    for module in {"nouveau", *config.modules_with_options}:
        parameters.given_to(config, module, V100)
        _found = config.softdeps(module), config.installs(module), config.aliases(module)


def _ids(data: bytes) -> None:
    parameters.parse_ids(text(data))
    PciId.from_alias(text(data))


def _aliases(data: bytes) -> None:
    first, second = halves(data)
    index = aliases.AliasIndex.parse(f"alias {first} nouveau\n{second}", second.replace("\n", "\0"))
    for bus in aliases.BUSES:
        index.matches(bus, V100)


def _pattern(data: bytes) -> None:
    pattern.matches(*halves(data))


def _regex(data: bytes) -> None:
    extended_regex.found(*halves(data))


def _module(data: bytes) -> None:
    ModuleContent.parse(data, "x.ko")


def _rules(data: bytes) -> None:
    path = "/etc/udev/rules.d/10-x.rules"
    udev_rules.parse_file(text(data), path)
    found = udev_rules.Rules.read(base_host.with_files({path: data}))
    for device in base_host.inventory().devices:
        list(found.matching(device, DEBIAN_13))


def _dkms(data: bytes) -> None:
    conf = DkmsConf(text(data), "dkms.conf")
    _modules = conf.modules, conf.exclusion(DEBIAN_13, "x86_64", "CONFIG_VFIO=m\n")
    _name = conf.name, conf.version


def _script(data: bytes) -> None:
    host = base_host.with_files({"/etc/rc.local": data})
    programs.judge_file(host, "/etc/rc.local", "/etc/rc.local", base_host.kernel(), base_host.inventory())


def _command(data: bytes) -> None:
    programs.judge(base_host.tree().host(), text(data), "x", base_host.kernel(), base_host.inventory())


def _timeout(data: bytes) -> None:
    checked_timeout(option(data))


def _function(data: bytes) -> None:
    value = option(data)
    if isinstance(value, dict):
        PciFunction.from_options(value)


def _test_image(data: bytes) -> None:
    first, second = halves(data)
    given: dict[str, t.Any] = {"size": first, "suite": "trixie", "kernels": [second], "packages": [second], "kernel_arguments": [second]}
    more = {"initramfs": "dracut", "initramfs_modules": "dep", "nouveau_fixtures": False, "firmware": "bios", "components": ["main"]}
    given |= more
    refuse_unusable(given)
    ImageOptions.from_mapping(given, first)


def _filter(data: bytes) -> None:
    devices = [{"address": "0000:01:00.0", "driver": "nouveau", "iommu_group": 15}]
    select_devices(devices, text(data))


def _names(data: bytes) -> None:
    for check in (check_name, machine_name, Suite.named, lambda name: parse_size("size", name)):
        check(text(data))


def _policy(data: bytes) -> None:
    owner_of(data)
    modules_in(text(data))


def _index(name: str) -> t.Callable[[bytes], object]:
    return lambda data: Kernel.read(base_host.with_files({f"{MODULES}/{name}": data}), DEBIAN_13).natives(V100)


def _boots(*paths: str) -> t.Callable[[bytes], object]:
    """Which kernel boots next, where these files have the content and GRUB is not there unless it is one of them."""
    return lambda data: next_boot.read(base_host.with_files({base_host.GRUB: None, **dict.fromkeys(paths, data)}))


def _refind(data: bytes) -> object:
    places = (f"{REFIND_FOLDER}/refind.conf", f"{REFIND_FOLDER}/vars/PreviousBoot", "/boot/refind_linux.conf")
    host = base_host.with_files({"/boot/vmlinuz-6.1": b"MZ", "/boot/initrd.img-6.1": b"x", **dict.fromkeys(places, data)})
    return refind.menu(BootFiles(host), f"{REFIND_FOLDER}/refind_x64.efi")


Starting = t.Callable[[PlannedHost, programs.ProgramAnalysis], t.Iterable[object]]


def _starts(read: Starting, *paths: str) -> t.Callable[[bytes], object]:
    """What a reader of things that start by themselves finds, where these files have the content and every service is started."""

    def parse(data: bytes) -> object:
        host = base_host.with_files(dict.fromkeys(paths, data))
        return list(read(host, programs.ProgramAnalysis(host, base_host.kernel(), base_host.inventory())))

    return parse


def _always(_unit: str) -> bool:
    return True


def _jobs(host: PlannedHost, judge: programs.ProgramAnalysis) -> t.Iterator[object]:
    for job in (*schedules.at_reboot(host), *schedules.of_anacron(host), *schedules.of_at(host)):
        yield judge.of(job.command, job.source)


def _agents(host: PlannedHost, judge: programs.ProgramAnalysis) -> t.Iterator[object]:
    yield from agents.read(host, base_host.inventory(), judge, _always)
    yield LaterFacts.read(host)


def _whole(data: bytes) -> object:
    """A unit with all that it starts, by both ways of starting a host."""
    host = base_host.with_files({base_host.UNIT: data})
    cmdline = Cmdline.parse("root=/dev/sda1")
    return [startup.read(host, base_host.kernel(), base_host.inventory(), cmdline, "x", with_systemd) for with_systemd in (True, False)]


def _uses(*paths: str) -> t.Callable[[bytes], object]:
    """What the host uses its devices for, where these files have the content."""

    def read(data: bytes) -> object:
        host = base_host.with_files(dict.fromkeys(paths, data))
        uses = HostUses(host, base_host.inventory())
        return [uses.of(device) for device in base_host.inventory().devices]

    return read


def _networks(data: bytes) -> None:
    """What is to come up at the next boot, where each program starts and has files with the content."""
    started = (
        "networking.service",
        "systemd-networkd.service",
        "NetworkManager.service",
        "wicked.service",
        "dhcpcd.service",
        "iwd.service",
    )
    place: dict[str, bytes] = dict.fromkeys((f"{folder}/ifcfg-x" for folder in next_networks.IFCFG), data)
    files = dict.fromkeys((next_networks.INTERFACES, f"{next_networks.NETPLAN[0]}/x.yaml", f"{next_networks.IFCFG[1]}/routes"), data)
    files |= dict.fromkeys((f"{networkd_files.FOLDERS[0]}/x.network", f"{network_profiles.FOLDERS[0]}/x.nmconnection"), data)
    files |= dict.fromkeys((agents.CONF, unread_networks.IWD_CONF), data)
    settings = next_networks.read(base_host.with_files({**place, **files}), started)
    known = NamesOfDevice(frozenset(("eth0",)), frozenset(("52:54:00:aa:bb:cc",)), "pci-0000:3b:00.0", re.compile("enp59s0"))
    named_by(settings, known, is_left(settings, (known,), (NamesOfDevice(frozenset(("eth1",))),)))


def _image(data: bytes) -> None:
    host = base_host.with_files({base_host.IMAGE: data})
    is_microcode(host, base_host.IMAGE)
    Image.read(host, base_host.IMAGE, DEBIAN_13, ("vfio_pci",))


def _program(data: bytes) -> None:
    host = base_host.with_files({"/boot/efi/EFI/Linux/x.efi": data})
    kernel_images.read(host, "/boot/efi/EFI/Linux/x.efi")
    kernel_images.addon(host, "/boot/efi/EFI/Linux/x.efi")
    kernel_images.release(host, "/boot/efi/EFI/Linux/x.efi")


def _packages(data: bytes) -> None:
    names = ("/var/lib/dpkg/info/x.md5sums", "/var/lib/dpkg/status", "/var/lib/pacman/local/x/mtree", package_databases.RPM[0])
    package_databases.read(base_host.with_files(dict.fromkeys(names, data)))
    list(package_databases._header(data))


def _kernel_source(data: bytes) -> None:
    path = "/usr/src/kernel.src.rpm"
    host = base_host.with_files({path: data})
    SourcePlace.read(host, path)
    variants_of(read_tree(host, path))


TARGETS = (
    Target("cmdline", _cmdline),
    Target("modprobe.d", _modprobe),
    Target("install command", lambda data: install_command.parse(text(data), "x")),
    Target("ids", _ids, 512),
    Target("aliases", _aliases),
    Target("pattern", _pattern, 512),
    Target("modules.alias", _index("modules.alias")),
    Target("modules.dep", _index("modules.dep")),
    Target("modules.builtin.modinfo", _index("modules.builtin.modinfo")),
    Target("kallsyms", lambda data: initcalls.functions_of(text(data))),
    Target("module file", _module, 16384),
    Target("signature", signer),
    Target("udev rules", _rules),
    Target("initramfs", _image, 16384),
    Target("unified image", _program, 16384),
    Target("grub.cfg", _boots(base_host.GRUB)),
    Target("grubenv", lambda data: grub_environment.parse(text(data))),
    Target("boot entry", lambda data: bls.parse(text(data), "/boot/loader/entries/x.conf")),
    Target("systemd-boot", _boots("/boot/efi/loader/loader.conf", "/boot/efi/loader/entries/x.conf")),
    Target("extlinux", _boots("/boot/extlinux/extlinux.conf")),
    Target("limine", _boots("/boot/limine.conf", "/boot/limine.cfg")),
    Target("refind", _refind),
    Target("default/grub", lambda data: Assignments.parse(text(data))),
    Target("boot option", lambda data: firmware.parse("Boot0001", data), 1024),
    Target(
        "EFI variables",
        _boots(
            *(f"{EFIVARS}/{name}-{FIRMWARE}" for name in ("BootOrder", "BootNext", "BootCurrent", "Boot0001")),
            *(f"{EFIVARS}/{name}-{LOADER}" for name in ("LoaderEntryDefault", "LoaderEntries", "LoaderInfo", "StubInfo")),
        ),
        1024,
    ),
    Target("unit file", lambda data: list(unit_files.parsed(text(data), "x.service", "x@y.service"))),
    Target("units", _whole, 1024),
    Target("script", _script),
    Target("command", _command, 1024),
    Target(
        "crontab",
        _starts(_jobs, "/etc/crontab", "/etc/cron.d/x", "/etc/anacrontab", "/var/spool/cron/crontabs/root", "/var/spool/cron/atjobs/x"),
    ),
    Target("tmpfiles", _starts(lambda host, _judge: tmpfiles.read(host, base_host.inventory()), "/etc/tmpfiles.d/x.conf")),
    Target("sysctl", _starts(lambda host, judge: sysctl.read(host, True, judge.of), "/etc/sysctl.d/x.conf")),
    Target("interfaces", _starts(lambda host, judge: site_hooks.read(host, judge, _always), "/etc/network/interfaces")),
    Target(
        "cloud-init",
        _starts(lambda host, judge: site_hooks.read(host, judge, _always), "/etc/cloud/cloud.cfg", "/etc/cloud/cloud.cfg.d/x.cfg"),
    ),
    Target("guests", _starts(lambda host, judge: guests.read(host, base_host.inventory(), judge, _always), *GUESTS)),
    Target("agents", _starts(_agents, *AGENTS)),
    Target("package databases", _packages),
    Target(
        "fstab",
        _uses("/etc/fstab", "/etc/crypttab", "/etc/veritytab", "/etc/kernel/proxmox-boot-uuids", KDUMP, *KDUMP_VARIABLES, RESUME_FILE),
    ),
    Target("networks", _networks),
    Target("mounts", _uses("/proc/self/mountinfo", "/proc/swaps")),
    Target("routes", _uses("/proc/net/route", "/proc/net/ipv6_route", "/proc/net/if_inet6", "/proc/net/fib_trie")),
    Target("dkms.conf", _dkms),
    Target("manifest", lambda data: parse_manifest(text(data), "modules.json")),
    Target("source archive", unpack, 16384),
    Target("kernel source", _kernel_source, 16384),
    Target("expression", _regex, 512),
    Target("shell", lambda data: Assignments.parse(text(data))),
    Target("policy file", _policy),
    Target("selector", lambda data: selector.parse(option(data)), 1024),
    Target("hardware", lambda data: hardware.parse(option(data) if data[:1] == b"[" else [option(data)]), 1024),
    Target("claims", lambda data: claims.parse([value if isinstance(value := option(data), dict) else {"devices": value}]), 1024),
    Target("timeout", _timeout, 512),
    Target("filter", _filter, 1024),
    Target("test function", _function, 1024),
    Target("test image", _test_image, 512),
    Target("names", _names, 512),
)
BY_NAME = {target.name: target for target in TARGETS}
