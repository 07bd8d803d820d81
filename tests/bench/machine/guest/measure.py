# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bind all virtual functions of the disk to vfio-pci in one way, and print how long that took: a line of JSON.

Processor time is that of the whole machine, since some ways let a daemon do the work.  What binding makes udev do is in all of them, to
its end: udev goes on for seconds after the last write, so that a slower way would have more of it, and the fastest one nearly none.
"""

from __future__ import annotations

import glob
import json
import os
import subprocess
import sys
import syslog
import time
import typing as t
from pathlib import Path

HERE = Path(__file__).parent
DEVICES, DRIVERS = "/sys/bus/pci/devices", "/sys/bus/pci/drivers"
NATIVE, WANTED = "nvme", "vfio-pci"
SETTLED = 120.0
LOOP = """for function in "$@"; do
    echo vfio-pci > /sys/bus/pci/devices/$function/driver_override
    echo $function > /sys/bus/pci/drivers/nvme/unbind
    echo $function > /sys/bus/pci/drivers_probe
done"""
CARD = "0x10d3"
BY_HAND = f"""set -e
udevadm control --reload
modprobe {WANTED}
echo {WANTED} > {DEVICES}/$1/driver_override
echo $1 > {DEVICES}/$1/driver/unbind
echo $1 > /sys/bus/pci/drivers_probe
update-initramfs -u -k all"""
DPDK = """import runpy, sys
sys.argv = ["dpdk-devbind.py", *sys.argv[1:]]
program = open("/usr/bin/dpdk-devbind.py").read().replace("network_devices = [", "network_devices = [{'Class': '01', 'Vendor': None, "
    "'Device': None, 'SVendor': None, 'SDevice': None}, ", 1)
exec(compile(program, "dpdk-devbind.py", "exec"), {"__name__": "__main__"})
"""
"""It knows no disks: a class more is all that is changed."""

Moment = tuple[float, float]


def now() -> Moment:
    """By the clock, and of all processors."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    busy = sum(fields) - fields[3] - fields[4]
    return time.monotonic(), busy / os.sysconf("SC_CLK_TCK")


def functions() -> list[str]:
    return [os.path.basename(os.path.realpath(link)) for link in sorted(glob.glob(f"{DEVICES}/*/virtfn*"))]


def owners() -> set[str]:
    return {os.path.basename(os.path.realpath(f"{DEVICES}/{function}/driver")) for function in functions()}


def give_back() -> None:
    for function in functions():
        if os.path.exists(f"{DRIVERS}/{WANTED}/{function}"):
            Path(f"{DEVICES}/{function}/driver_override").write_text("\n")
            Path(f"{DRIVERS}/{WANTED}/unbind").write_text(function)
            Path("/sys/bus/pci/drivers_probe").write_text(function)
    deadline = time.monotonic() + SETTLED
    while owners() != {NATIVE}:
        if time.monotonic() > deadline:
            sys.exit(f"the functions have {owners()}, not {NATIVE}")
        time.sleep(0.2)
    # The native driver goes on after its probe.
    time.sleep(2)
    settle()


def settle() -> None:
    subprocess.run(["udevadm", "settle"], check=True)


def run(*argv: str) -> None:
    done = subprocess.run(argv, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(argv)[:200]} failed ({done.returncode}): {done.stdout[-1500:]}")


def module() -> None:
    (program,) = glob.glob("/root/bench/tmp/*/AnsiballZ_device_claim.py")
    run(sys.executable, program)


def nothing() -> None:
    """A module that asks about one file: what Ansible takes for each module, whatever it starts."""
    run(sys.executable, min(glob.glob("/root/bench/tmp/*/AnsiballZ_stat.py")))


def driverctl() -> None:
    for function in functions():
        run("driverctl", "--nosave", "set-override", function, WANTED)


def virsh() -> None:
    for function in functions():
        run("virsh", "--quiet", "nodedev-detach", "pci_" + function.replace(":", "_").replace(".", "_"), "--driver", "vfio")


def dpdk() -> None:
    run(sys.executable, "-c", DPDK, "--bind", WANTED, *functions())


def writes() -> dict[str, Moment]:
    """When the module itself, in this process, begins, writes for the first time, has written for the last time, and ends."""
    expected = len(functions())
    begun = now()
    sys.path.insert(0, str(HERE))
    from ansible_collections.vfio.variants.plugins.module_utils._core.apply.bind import BindRequest, ensure
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import claims_of
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

    class Timed(Host):
        first: Moment | None = None
        last: Moment = (0.0, 0.0)
        bound = 0

        def write_attributes(self, writes: t.Sequence[tuple[str, str]], timeout: float) -> None:
            self.first = self.first or now()
            super().write_attributes(writes, timeout)
            self.bound += 1
            if self.bound == expected:
                settle()
                self.last = now()

    def command(args: list[str], **_options: object) -> tuple[int, str, str]:
        done = subprocess.run(args, check=False, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    imported = now()
    host = Timed("/", command)
    options = json.loads((HERE / "options.json").read_text())
    # As Ansible does it for the module.
    syslog.openlog("ansible-device_claim")
    ensure(host, BindRequest(claims=claims_of(options)), False, syslog.syslog)
    if host.bound != expected:
        sys.exit(f"{host.bound} functions were written to, not {expected}")
    return {"begun": begun, "imported": imported, "first": host.first or begun, "last": host.last, "ended": now()}


def loop() -> None:
    run("sh", "-c", LOOP, "sh", *functions())


def spent(work: t.Callable[[], None]) -> dict[str, Moment]:
    begun = now()
    work()
    settle()
    return {"begun": begun, "ended": now()}


def commands() -> None:
    """What a first run of the role has to do for a card, as somebody does it who knows what to do."""
    run("sh", "-c", BY_HAND, "sh", card())


def card() -> str:
    (found,) = (os.path.dirname(path) for path in glob.glob(f"{DEVICES}/*/device") if Path(path).read_text().strip() == CARD)
    return os.path.basename(found)


def return_card() -> None:
    """As it was before anything was done: with its native driver, and no other loaded."""
    address = card()
    Path(f"{DEVICES}/{address}/driver_override").write_text("\n")
    Path(f"{DRIVERS}/{WANTED}/unbind").write_text(address)
    run("rmmod", "vfio_pci", "vfio_pci_core")
    Path("/sys/bus/pci/drivers_probe").write_text(address)
    # As above.
    time.sleep(2)
    settle()


WAYS: dict[str, t.Callable[[], None]] = {"loop": loop, "device_claim": module, "driverctl": driverctl, "virsh": virsh, "dpdk-devbind": dpdk}
NO_BINDING: dict[str, t.Callable[[], None]] = {"commands": commands, "nothing": nothing}


def main(way: str) -> None:
    if way == "now":
        settle()
        moments: dict[str, Moment] = {"now": now()}
    elif way in NO_BINDING:
        if way == "commands":
            return_card()
        moments = spent(NO_BINDING[way])
    else:
        give_back()
        moments = writes() if way == "writes" else spent(WAYS[way])
        if owners() != {WANTED}:
            sys.exit(f"after {way} the functions have {owners()}, not {WANTED}")
    print(json.dumps({"functions": len(functions()), **moments}))


if __name__ == "__main__":
    main(sys.argv[1])
