# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs that run at boot do to a function, in the ways in which people write it."""

from __future__ import annotations

from dataclasses import dataclass

from cards import TAKERS, Card
from host_builder import HostBuilder

DEVICES = "/sys/bus/pci/devices"


@dataclass(frozen=True)
class Act:
    """``lines`` are a shell's; ``name`` says what they do."""

    name: str
    lines: tuple[str, ...]

    def script(self) -> str:
        return "#!/bin/sh\n" + "".join(f"{line}\n" for line in self.lines)

    def inline(self) -> str:
        """For a shell's -c, without quotes of its own."""
        return "; ".join(self.lines)


def draw(b: HostBuilder, card: Card) -> Act:
    """One of the acts, those that give a function to a driver more often."""
    acts = (_take, _take, _take, _unbind, _override_only, _new_id, _remove, _remove_and_rescan, _bind, _load, _swap, _probe)
    return b.choice.choice(acts)(b, card)


def draw_simple(b: HostBuilder, card: Card) -> Act:
    """One whose lines hold neither quotes nor dollars."""
    acts = (_take_plainly, _take_plainly, _unbind_plainly, _override_plainly, _remove_plainly)
    return b.choice.choice(acts)(b, card)


def _taker(b: HostBuilder) -> tuple[str, str]:
    return b.choice.choice(TAKERS)


def _take_plainly(b: HostBuilder, card: Card) -> Act:
    module, driver = _taker(b)
    return Act(
        "take",
        (
            f"modprobe {module}",
            f"echo {driver} >{DEVICES}/{card.address}/driver_override",
            f"echo {card.address} >{DEVICES}/{card.address}/driver/unbind",
            f"echo {card.address} >/sys/bus/pci/drivers_probe",
        ),
    )


def _unbind_plainly(_b: HostBuilder, card: Card) -> Act:
    return Act("unbind", (f"echo {card.address} >{DEVICES}/{card.address}/driver/unbind",))


def _override_plainly(b: HostBuilder, card: Card) -> Act:
    return Act("override", (f"echo {_taker(b)[1]} >{DEVICES}/{card.address}/driver_override",))


def _remove_plainly(_b: HostBuilder, card: Card) -> Act:
    return Act("remove", (f"echo 1 >{DEVICES}/{card.address}/remove",))


def _take(b: HostBuilder, card: Card) -> Act:
    module, driver = _taker(b)
    style = b.choice.randrange(6)
    if style == 0:
        return _take_plainly(b, card)
    if style == 1:
        lines: tuple[str, ...] = (
            f'DEVS="{card.address}"',
            "for DEV in $DEVS; do",
            f'  echo "{driver}" > "/sys/bus/pci/devices/$DEV/driver_override"',
            '  [ -e "/sys/bus/pci/devices/$DEV/driver" ] && echo "$DEV" > "/sys/bus/pci/devices/$DEV/driver/unbind"',
            "done",
            f"modprobe -i {module}",
            f"echo {card.address} > /sys/bus/pci/drivers_probe",
        )
    elif style == 2:
        lines = (
            "take() {",
            '  echo "$2" >"/sys/bus/pci/devices/$1/driver_override"',
            '  if [ -L "/sys/bus/pci/devices/$1/driver" ]; then echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"; fi',
            '  echo "$1" | tee /sys/bus/pci/drivers_probe >/dev/null',
            "}",
            f"/sbin/modprobe {module}",
            f"take {card.address} {driver}",
        )
    elif style == 3:
        lines = (
            f"modprobe {module}",
            f"cd {DEVICES}/{card.address} || exit 1",
            f"printf %s {driver} > driver_override",
            f"test -d driver && printf %s {card.address} > driver/unbind",
            f"printf %s {card.address} > /sys/bus/pci/drivers/{driver}/bind",
        )
    elif style == 4:
        lines = (
            f"/sbin/modprobe {module}",
            f"for d in {DEVICES}/*; do",
            f'  [ "$(cat "$d/vendor")" = 0x{card.vendor} ] && [ "$(cat "$d/device")" = 0x{card.device} ] || continue',
            f'  echo {driver} > "$d/driver_override"',
            '  [ -e "$d/driver" ] && basename "$d" > "$d/driver/unbind"',
            '  basename "$d" > /sys/bus/pci/drivers_probe',
            "done",
        )
    else:
        lines = (f"driverctl --nosave set-override {card.address} {driver}",)
    return Act("take", lines)


def _unbind(b: HostBuilder, card: Card) -> Act:
    if card.drivers and b.maybe(0.4):
        return Act("unbind", (f"echo -n {card.address} > '/sys/bus/pci/drivers/{b.one(*card.drivers)}/unbind' || true",))
    return Act("unbind", (f"[ ! -e {DEVICES}/{card.address}/driver ] || echo {card.address} > {DEVICES}/{card.address}/driver/unbind",))


def _override_only(b: HostBuilder, card: Card) -> Act:
    return Act("override", (f'echo "{_taker(b)[1]}" > {DEVICES}/{card.address}/driver_override',))


def _new_id(b: HostBuilder, card: Card) -> Act:
    module, driver = _taker(b)
    lines = [f"modprobe {module}"]
    if b.maybe(0.6):
        lines.append(f"[ -e {DEVICES}/{card.address}/driver ] && echo {card.address} > {DEVICES}/{card.address}/driver/unbind")
    lines.append(f"echo {card.vendor} {card.device} > /sys/bus/pci/drivers/{driver}/new_id")
    if b.maybe(0.3):
        lines.append(f"echo {card.vendor} {card.device} > /sys/bus/pci/drivers/{driver}/remove_id")
    return Act("new_id", tuple(lines))


def _remove(_b: HostBuilder, card: Card) -> Act:
    return Act("remove", (f"echo 1 > {DEVICES}/{card.address}/remove",))


def _remove_and_rescan(b: HostBuilder, card: Card) -> Act:
    wait = ("sleep 1",) if b.maybe(0.5) else ()
    return Act("rescan", (f"echo 1 > {DEVICES}/{card.address}/remove", *wait, "echo 1 > /sys/bus/pci/rescan"))


def _bind(b: HostBuilder, card: Card) -> Act:
    driver = b.one(*card.drivers, "vfio-pci")
    return Act("bind", (f"echo {card.address} > '/sys/bus/pci/drivers/{driver}/bind'",))


def _load(b: HostBuilder, card: Card) -> Act:
    module = b.one(*card.natives, "vfio_pci")
    return Act("load", (b.one(f"modprobe {module}", f"/sbin/modprobe -b {module}", f"modprobe -q {module} || true"),))


def _swap(b: HostBuilder, card: Card) -> Act:
    """The module goes, and perhaps comes back when another driver has the function."""
    if not card.natives:
        return _unbind(b, card)
    module, driver = _taker(b)
    lines = [f"modprobe -r {b.one(*card.natives)}", f"modprobe {module}", f"echo {driver} > {DEVICES}/{card.address}/driver_override"]
    lines.append(f"echo {card.address} > /sys/bus/pci/drivers_probe")
    if b.maybe(0.5):
        lines.append(f"modprobe {b.one(*card.natives)}")
    return Act("swap", tuple(lines))


def _probe(_b: HostBuilder, card: Card) -> Act:
    return Act("probe", (f"echo {card.address} > /sys/bus/pci/drivers_probe",))
