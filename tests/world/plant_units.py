# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd starts: units of each kind, enabled or not, masked, extended or made by a generator."""

from __future__ import annotations

import acts
from cards import Card
from host_builder import UNITS, HostBuilder
from world_configuration import Entry

_TARGETS = ("multi-user.target", "multi-user.target", "sysinit.target", "basic.target", "graphical.target", "default.target")
#: Units of the packages that run once in a boot.
_EXTENDED = ("systemd-udev-trigger.service", "systemd-modules-load.service", "systemd-sysctl.service", "systemd-tmpfiles-setup.service")


def _command(b: HostBuilder, card: Card) -> str:
    """An ExecStart= line's value: a program, or a shell with its command."""
    if b.maybe(0.45):
        return f"/bin/sh -c '{acts.draw_simple(b, card).inline()}'"
    return b.program(acts.draw(b, card).script())


def _service(b: HostBuilder, card: Card, more: str = "", command: str = "") -> str:
    kind = b.one("oneshot", "oneshot", "simple", "exec")
    after = b.one("", "After=systemd-udev-settle.service\n", "After=systemd-modules-load.service\n", "Before=libvirtd.service\n")
    remain = "RemainAfterExit=yes\n" if kind == "oneshot" and b.maybe(0.5) else ""
    return (
        f"[Unit]\nDescription=Prepare a device\n{after}\n[Service]\nType={kind}\n{remain}ExecStart={command or _command(b, card)}\n{more}"
    )


def _keep_active(b: HostBuilder, name: str) -> None:
    """So that what wants the unit again and again starts it once."""
    text = b.root[f"{UNITS}/{name}"].text.replace("RemainAfterExit=yes\n", "")
    b.file(f"{UNITS}/{name}", text.replace("ExecStart=", "RemainAfterExit=yes\nExecStart=", 1))


def _install(target: str) -> str:
    return f"\n[Install]\nWantedBy={target}\n"


def service(b: HostBuilder, card: Card) -> None:
    target = b.one(*_TARGETS)
    early = target in ("sysinit.target", "basic.target")
    name = f"{b.one('gpu', 'vfio-bind', 'nic-setup', 'zz-late', 'a-first')}{b.number()}.service"
    text = _service(b, card, _install(target))
    if early:
        text = text.replace("[Unit]\n", "[Unit]\nDefaultDependencies=no\n")
    folder = b.one(UNITS, UNITS, "/usr/lib/systemd/system", "/usr/local/lib/systemd/system")
    b.unit(name, text, target, folder)
    if b.maybe(0.15):
        b.root[f"{UNITS}/{target}.requires/{name}"] = b.root.pop(f"{UNITS}/{target}.wants/{name}")
        b.note("service required by a target", card)
    b.note("service", card)


def not_enabled(b: HostBuilder, card: Card) -> None:
    b.unit(f"idle{b.number()}.service", _service(b, card, _install("multi-user.target")))
    b.note("service that is not enabled", card)


def masked(b: HostBuilder, card: Card) -> None:
    name = f"masked{b.number()}.service"
    b.unit(name, _service(b, card, _install("multi-user.target")), "multi-user.target", "/usr/lib/systemd/system")
    if b.maybe(0.3):
        b.file(f"{UNITS}/{name}", "")
    else:
        b.link(f"{UNITS}/{name}", "/dev/null")
    b.note("masked service", card)


def condition(b: HostBuilder, card: Card) -> None:
    condition = b.one(
        "ConditionPathExists=/nonexistent",
        "ConditionPathExists=!/etc/passwd",
        "ConditionKernelCommandLine=nosuchword",
        "ConditionVirtualization=container",
        "ConditionPathExists=/etc/passwd",
        f"ConditionPathExists=/sys/bus/pci/devices/{card.address}",
        "ConditionArchitecture=x86-64",
        "AssertPathExists=/nonexistent",
        "ConditionPathExists=|/nonexistent\nConditionPathExists=|/etc/passwd",
        "ConditionPathIsDirectory=/etc/passwd",
        "ConditionFileNotEmpty=/etc/machine-id",
        "ConditionKernelCommandLine=quiet",
    )
    text = _service(b, card, _install("multi-user.target")).replace("[Unit]\n", f"[Unit]\n{condition}\n")
    b.unit(f"conditional{b.number()}.service", text, "multi-user.target")
    b.note("service with a condition", card)


def template(b: HostBuilder, card: Card) -> None:
    name = f"bind{b.number()}"
    if b.maybe(0.5):
        driver = b.one("vfio-pci", "pci-stub")
        program = b.program(
            "#!/bin/sh\n"
            f"modprobe {driver}\n"
            f'echo {driver} >"/sys/bus/pci/devices/$1/driver_override"\n'
            '[ -e "/sys/bus/pci/devices/$1/driver" ] && echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"\n'
            'echo "$1" >/sys/bus/pci/drivers_probe\n'
        )
        command = f"{program} %i"
    else:
        command = "/bin/sh -c 'echo %i >/sys/bus/pci/devices/%i/driver/unbind'"
    b.unit(f"{name}@.service", _service(b, card, _install("multi-user.target"), command))
    b.enable(f"{name}@{card.address}.service", "multi-user.target", f"{UNITS}/{name}@.service")
    b.note("template", card)


def drop_in(b: HostBuilder, card: Card) -> None:
    unit = b.one(*_EXTENDED, "systemd-udevd.service")
    key = b.one("ExecStartPre", "ExecStartPost")
    folder = b.one(UNITS, "/run/systemd/system", "/usr/lib/systemd/system")
    script = b.program(acts.draw(b, card).script())
    b.file(f"{folder}/{unit}.d/{b.number()}-more.conf", f"[Service]\n{key}=-{script}\n")
    b.note("drop-in", card)


def drop_in_that_replaces(b: HostBuilder, card: Card) -> None:
    name = f"replaced{b.number()}.service"
    b.unit(name, _service(b, card, _install("multi-user.target")), "multi-user.target")
    text = b.one("[Service]\nExecStart=\nExecStart=/bin/true\n", "[Unit]\nConditionPathExists=/nonexistent\n")
    b.file(f"{UNITS}/{name}.d/override.conf", text)
    b.note("drop-in that replaces", card)


def timer(b: HostBuilder, card: Card) -> None:
    name = f"later{b.number()}"
    b.unit(f"{name}.service", _service(b, card))
    when = b.one("OnBootSec=5s", "OnBootSec=20s", "OnActiveSec=1s", "OnStartupSec=10", "OnBootSec=2h", "OnCalendar=2001-01-01")
    persistent = "Persistent=no\n" if "Calendar" in when else ""
    text = f"[Timer]\n{when}\n{persistent}AccuracySec=1s\n\n[Install]\nWantedBy=timers.target\n"
    b.unit(f"{name}.timer", text, "timers.target" if b.maybe(0.85) else "")
    b.note("timer", card)


def path(b: HostBuilder, card: Card) -> None:
    name = f"watch{b.number()}"
    b.unit(f"{name}.service", _service(b, card).replace("Type=simple", "Type=oneshot").replace("Type=exec", "Type=oneshot"))
    # Only once: a service that ends is started again as long as the path is there.
    _keep_active(b, f"{name}.service")
    what = b.one(
        "PathExists=/etc/passwd", "PathExists=/nonexistent", f"PathExists=/sys/bus/pci/devices/{card.address}", "PathExistsGlob=/etc/pass*"
    )
    b.unit(f"{name}.path", f"[Path]\n{what}\n\n[Install]\nWantedBy=paths.target\n", "paths.target" if b.maybe(0.5) else "multi-user.target")
    b.note("path unit", card)


def socket(b: HostBuilder, card: Card) -> None:
    name = f"ask{b.number()}"
    b.unit(f"{name}.service", _service(b, card))
    b.unit(f"{name}.socket", f"[Socket]\nListenStream=/run/{name}\n\n[Install]\nWantedBy=sockets.target\n", "sockets.target")
    if b.maybe(0.3):
        b.enable(f"{name}.service", "multi-user.target", f"{UNITS}/{name}.service")
    b.note("socket unit", card)


def alias(b: HostBuilder, card: Card) -> None:
    """A link with another name, which a target wants."""
    name = f"real{b.number()}.service"
    b.unit(name, _service(b, card, f"\n[Install]\nAlias=alias-{name}\n"))
    b.link(f"{UNITS}/alias-{name}", f"{UNITS}/{name}")
    b.link(f"{UNITS}/multi-user.target.wants/alias-{name}", f"{UNITS}/alias-{name}")
    b.note("alias", card)


def linked(b: HostBuilder, card: Card) -> None:
    """As systemctl link makes it."""
    name = f"linked{b.number()}.service"
    b.file(f"/opt/units/{name}", _service(b, card, _install("multi-user.target")))
    b.link(f"{UNITS}/{name}", f"/opt/units/{name}")
    if b.maybe(0.8):
        b.link(f"{UNITS}/multi-user.target.wants/{name}", f"/opt/units/{name}")
    b.note("linked unit", card)


def by_another_unit(b: HostBuilder, card: Card) -> None:
    """Nothing wants the unit but another unit, in one of many ways."""
    key = b.one("Wants", "Requires", "BindsTo", "Upholds", "OnSuccess", "OnFailure", "Before", "After")
    inner, outer = f"inner{b.number()}.service", f"outer{b.number()}.service"
    b.unit(inner, _service(b, card))
    command = "/bin/false" if key == "OnFailure" else "/bin/true"
    text = f"[Unit]\n{key}={inner}\n\n[Service]\nType=oneshot\nExecStart={command}\n" + _install("multi-user.target")
    if key in ("BindsTo", "Upholds"):
        text = text.replace("Type=oneshot\n", "Type=oneshot\nRemainAfterExit=yes\n")
    b.unit(outer, text, "multi-user.target")
    if key == "Upholds":
        _keep_active(b, inner)
    b.note(f"unit of a unit: {key}", card)


def generator(b: HostBuilder, card: Card) -> None:
    folder = b.one("/etc/systemd/system-generators", "/usr/local/lib/systemd/system-generators", "/usr/lib/systemd/system-generators")
    name = f"made{b.number()}"
    if b.maybe(0.35):
        b.file(f"{folder}/{name}", acts.draw(b, card).script())
        b.note("generator that acts", card)
        return
    inline = acts.draw_simple(b, card).inline()
    text = (
        f"#!/bin/sh\ncat >$1/{name}.service <<END\n[Service]\nType=oneshot\nExecStart=/bin/sh -c '{inline}'\nEND\n"
        f"mkdir -p $1/multi-user.target.wants\nln -s ../{name}.service $1/multi-user.target.wants/{name}.service\n"
    )
    b.file(f"{folder}/{name}", text)
    if folder.startswith("/usr/lib") and b.maybe(0.4):
        b.link(f"/etc/systemd/system-generators/{name}", "/dev/null")
        b.note("masked generator", card)
    b.note("generator that makes a unit", card)


def not_executable(b: HostBuilder, card: Card) -> None:
    """A program that is there and cannot be run."""
    program = b.program(acts.draw(b, card).script())
    b.root[program] = Entry(b.root[program].text, mode=0o644)
    command = program if b.maybe(0.6) else f"/bin/sh {program}"
    b.unit(f"blunt{b.number()}.service", _service(b, card, _install("multi-user.target"), command), "multi-user.target")
    b.note("program without its permission", card)


def interpreter(b: HostBuilder, card: Card) -> None:
    """Commands told with prefixes, several ones, variables and an environment's file."""
    act = acts.draw_simple(b, card)
    style = b.choice.randrange(4)
    if style == 0:
        lines = "".join(f"ExecStart=-/bin/sh -c '{line}'\n" for line in act.lines)
        text = f"[Service]\nType=oneshot\n{lines}"
    elif style == 1:
        path = b.file(f"/etc/default/dev{b.number()}", f'DEVICE="{card.address}"\nDRIVER=pci-stub\n')
        text = (
            f"[Service]\nType=oneshot\nEnvironmentFile={path}\n"
            "ExecStart=/bin/sh -c 'modprobe pci-stub; echo ${DRIVER} >/sys/bus/pci/devices/${DEVICE}/driver_override; "
            "echo ${DEVICE} >/sys/bus/pci/devices/${DEVICE}/driver/unbind; echo ${DEVICE} >/sys/bus/pci/drivers_probe'\n"
        )
    elif style == 2:
        text = f"[Service]\nType=oneshot\nExecStart=@/bin/sh sh -c \\\n '{act.inline()}'\n"
    else:
        text = f'[Service]\nType=oneshot\nEnvironment="WHAT={act.inline()}"\nExecStart=/bin/sh -c "eval \\"$$WHAT\\""\n'
    b.unit(f"words{b.number()}.service", text + _install("multi-user.target"), "multi-user.target")
    b.note("command line of a unit", card)


def default_target(b: HostBuilder, card: Card) -> None:
    """Another target than the usual one, or the same by another link; what the usual one wants may never start."""
    target = b.one("multi-user.target", "rescue-like.target", "graphical.target")
    if target == "rescue-like.target":
        b.unit(target, "[Unit]\nDescription=Few things\nRequires=basic.target\nAfter=basic.target\n")
    b.link(f"{UNITS}/default.target", b.one(f"/usr/lib/systemd/system/{target}", target) if target != "rescue-like.target" else target)
    b.unit(f"wanted{b.number()}.service", _service(b, card, _install("multi-user.target")), b.one(target, "multi-user.target"))
    b.note("default target", card)
