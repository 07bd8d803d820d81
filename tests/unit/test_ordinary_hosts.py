# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts made of Debian's own packages, and what administrators commonly add: nothing on them acts on a driver unless it really may."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.report.device_facts import DeviceReportRequest, gather
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import read as startup
from ansible_collections.vfio.variants.tests.unit import ordinary_packages, worked_examples
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.ordinary_packages import GROUPS, RELEASES, install
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.read import Startup

CARD, NIC = "0000:3b:00.0", "0000:02:00.0"
WANTS = "/etc/systemd/system/multi-user.target.wants"
ELF = b"\x7fELF\x02\x01\x01\0"
# On a host with all groups, too.
STOCK = [(release, groups) for release in RELEASES for groups in (*((group,) for group in GROUPS), tuple(GROUPS))]


DEVICES = f"{NIC} 0200: 8086:10d3\n{CARD} 0302: 10de:1db1\n"


def host(root: Path) -> Tree:
    """A Debian 13 that has booted before, with nouveau, e1000e and vfio-pci, an initramfs, a card and a network controller."""
    return (
        worked_examples.Example("ordinary", {worked_examples.DEVICES: DEVICES}, (), None, (0, 0))
        .host(root)
        .file("/etc/machine-id", f"{'0' * 32}\n")
    )


def started(tree: Tree) -> Startup:
    found = tree.host()
    return startup.read(found, Kernel.read(found, DEBIAN_13), Inventory.read(found), Cmdline.parse(""), "/proc/cmdline")


def answers(tree: Tree) -> dict[str, tuple[str, str | None, list[str]]]:
    return answers_in(gather(tree.host(Commands(tree.root)), DeviceReportRequest(detail="full"), True))


def answers_in(told: t.Mapping[str, t.Any]) -> dict[str, tuple[str, str | None, list[str]]]:
    return {
        device["address"]: (boot["certainty"], boot["winner"], list(map(str, boot["because"])))
        for device in told["devices"]
        for boot in (device["kernels"][DEBIAN_13],)
    }


def unit(tree: Tree, name: str, text: str) -> Tree:
    return tree.file(f"/etc/systemd/system/{name}", text).link(f"{WANTS}/{name}", f"../{name}")


@pytest.mark.parametrize("release", RELEASES)
def test_the_archive_has_every_package_that_a_release_has(release: str) -> None:
    packages = {package for found, package in ordinary_packages._files() if found == release}
    listed = {package for group in GROUPS.values() for package in group.split()}
    # Those without a file that is read or run at boot, and two that Debian 12 does not have.
    assert len(packages) > 100
    assert packages <= listed


@pytest.fixture(scope="module", params=STOCK, ids=lambda stock: "+".join((stock[0], *stock[1])))
def stock(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A host with a release's packages of some groups and dpkg's database; for tests that only read it."""
    release, groups = request.param
    return install(host(tmp_path_factory.mktemp("stock")), release, groups)


def test_nothing_that_a_package_starts_acts_on_a_driver(stock: Tree) -> None:
    found = started(stock)
    assert (found.early, found.later) == ((), ())
    assert found.assumes


@pytest.mark.parametrize("release", RELEASES)
def test_nothing_that_a_lingering_user_s_manager_starts_does_either(tmp_path: Path, release: str) -> None:
    tree = install(host(tmp_path), release, GROUPS)
    tree.file("/etc/passwd", "root:x:0:0::/root:/bin/sh\nkvm:x:1000:1000::/home/kvm:/bin/sh\n").file("/var/lib/systemd/linger/kvm")
    own = "/home/kvm/.config/systemd/user"
    for name, command in (("syncthing", "serve --no-browser"), ("podman", "start --all"), ("pipewire", "")):
        tree.file(f"{own}/{name}.service", f"[Service]\nExecStart=/usr/bin/{name} {command}\n[Install]\nWantedBy=default.target\n")
        tree.link(f"{own}/default.target.wants/{name}.service", f"../{name}.service")
    found = started(tree)
    assert (found.early, found.later) == ((), ())


@pytest.mark.sampled(4)
@pytest.mark.parametrize("release", RELEASES)
def test_nothing_does_where_each_text_has_to_be_read(tmp_path: Path, release: str) -> None:
    """Without dpkg's database, on the host that has all packages."""
    found = started(install(host(tmp_path), release, GROUPS, known=False))
    assert (found.early, found.later) == ((), ())
    assert found.assumes


@pytest.mark.sampled(5)
def test_a_host_of_stock_packages_has_certain_answers_only_and_nothing_to_warn_of(stock: Tree) -> None:
    told = gather(stock.host(Commands(stock.root)), DeviceReportRequest(detail="full"), True)
    assert [*told["policy_warnings"], *(said for device in told["devices"] for said in device["warnings"])] == []
    found = answers_in(told)
    assert {address: (certainty, driver) for address, (certainty, driver, _why) in found.items()} == {
        CARD: ("certain", "nouveau"),
        NIC: ("certain", "e1000e"),
    }


CONTROLS: dict[str, t.Callable[[Tree], Tree]] = {
    "a script that backs up at night": lambda tree: tree.file("/etc/cron.d/backup", "0 3 * * * root /usr/local/sbin/backup\n").file(
        "/usr/local/sbin/backup",
        '#!/bin/bash\nset -e\nout="/srv/backup/$(date +%F)"\nmkdir -p "$out"\ntar czf "$out/etc.tgz" /etc\n',
        0o755,
    ),
    "rc.local that sets the firewall and the processor": lambda tree: tree.file(
        "/etc/rc.local",
        "#!/bin/sh -e\niptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE\necho 1 > /proc/sys/net/ipv4/ip_forward\n"
        'for g in /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor; do echo performance > "$g"; done\nexit 0\n',
        0o755,
    ),
    "an exporter of metrics that is not root": lambda tree: unit(
        tree.file("/usr/local/bin/node_exporter", ELF, 0o755),
        "node_exporter.service",
        "[Service]\nUser=prometheus\nExecStart=/usr/local/bin/node_exporter\n[Install]\nWantedBy=multi-user.target\n",
    ),
    "compose at boot": lambda tree: unit(
        tree,
        "stack.service",
        "[Unit]\nRequires=docker.service\n[Service]\nType=oneshot\nWorkingDirectory=/srv/stack\nExecStart=/usr/bin/docker compose up -d\n",
    ),
    "huge pages": lambda tree: unit(
        tree,
        "hugepages.service",
        "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo 16 > /sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages'\n",
    ),
    "wake on LAN": lambda tree: unit(tree, "wol@.service", "[Service]\nExecStart=/sbin/ethtool -s %i wol g\n").link(
        f"{WANTS}/wol@eth0.service", "../wol@.service"
    ),
    "runtime power by tmpfiles": lambda tree: tree.file(
        "/etc/tmpfiles.d/power.conf", f"w /sys/bus/pci/devices/{NIC}/power/control - - - - auto\n"
    ),
    "swappiness": lambda tree: tree.file("/etc/sysctl.d/99-site.conf", "vm.swappiness = 10\nkernel.panic=30\n"),
    "a scheduler for disks": lambda tree: unit(
        tree,
        "disks.service",
        "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'for q in /sys/block/sd*/queue/scheduler; do echo none > $$q; done'\n",
    ),
    "a module that drives no PCI device": lambda tree: unit(
        tree, "z.service", "[Service]\nExecStartPre=-/sbin/modprobe zram\nExecStart=/bin/true\n"
    ),
    "a unit for guests that is not enabled": lambda tree: tree.file(
        "/etc/systemd/system/vfio-bind.service", f"[Service]\nExecStart=/bin/sh -c 'echo {CARD} > /sys/bus/pci/drivers/nouveau/unbind'\n"
    ),
    "bonding by ifupdown": lambda tree: tree.file(
        "/etc/network/interfaces", "auto bond0\niface bond0 inet dhcp\n  up echo 1 > /run/bond\n"
    ),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("control", CONTROLS)
def test_what_administrators_commonly_add_changes_no_certain_answer(tmp_path: Path, control: str) -> None:
    found = answers(CONTROLS[control](install(host(tmp_path), "trixie", ("server", "network", "containers"))))
    assert {address: (certainty, driver) for address, (certainty, driver, _why) in found.items()} == {
        CARD: ("certain", "nouveau"),
        NIC: ("certain", "e1000e"),
    }


# As in public guides and reports: the addition, and the devices whose answer is open for a reason that is named.
REPORTED: dict[str, tuple[t.Callable[[Tree], Tree], dict[str, str]]] = {
    "softdep and ids": (
        lambda tree: tree.file("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=10de:1db1\nsoftdep nouveau pre: vfio-pci\n"),
        {},
    ),
    "a blacklist": (lambda tree: tree.file("/etc/modprobe.d/blacklist.conf", "blacklist nouveau\n"), {}),
    "driverctl": (lambda tree: tree.driverctl().file(f"/etc/driverctl.d/pci-{CARD}", "vfio-pci\n"), {}),
    "vfio-pci in modules-load.d": (lambda tree: tree.file("/etc/modules-load.d/vfio.conf", "vfio\nvfio_pci\nvfio_iommu_type1\n"), {}),
    "a rule that keeps the card awake": (
        lambda tree: tree.file(
            "/etc/udev/rules.d/80-nvidia-pm.rules", 'ACTION=="add", SUBSYSTEM=="pci", ATTR{vendor}=="0x10de", ATTR{power/control}="on"\n'
        ),
        {},
    ),
    "libvirt without guests": (lambda tree: install(tree, "trixie", ("virtualization",)), {}),
    "a unit that loads nouveau where nvidia has not come": (
        lambda tree: unit(tree, "nvidia-fallback.service", "[Service]\nType=oneshot\nExecStart=-/sbin/modprobe nouveau\n"),
        {},
    ),
    "lspci in a script of the message of the day": (
        lambda tree: unit(tree, "motd.service", "[Service]\nExecStart=/bin/sh -c 'lspci -nnk > /etc/motd.d/cards'\n"),
        {},
    ),
    "vfio-bind.service": (
        lambda tree: unit(
            tree.file(
                "/usr/local/bin/vfio-bind",
                '#!/bin/bash\nmodprobe vfio-pci\nfor dev in "$@"; do\n  vendor=$(cat /sys/bus/pci/devices/$dev/vendor)\n'
                "  device=$(cat /sys/bus/pci/devices/$dev/device)\n  if [ -e /sys/bus/pci/devices/$dev/driver ]; then\n"
                "    echo $dev > /sys/bus/pci/devices/$dev/driver/unbind\n  fi\n"
                "  echo $vendor $device > /sys/bus/pci/drivers/vfio-pci/new_id\ndone\n",
                0o755,
            ),
            "vfio-bind.service",
            f"[Service]\nType=oneshot\nExecStart=/usr/local/bin/vfio-bind {CARD}\n",
        ),
        {CARD: "vfio-bind"},
    ),
    "power of the network card": (
        lambda tree: unit(
            tree, "aspm.service", "[Service]\nExecStart=/bin/sh -c 'echo powersave > /sys/module/pcie_aspm/parameters/policy'\n"
        ),
        {},
    ),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("report", REPORTED)
def test_a_host_of_a_public_report_is_open_only_where_it_says_why(tmp_path: Path, report: str) -> None:
    add, opened = REPORTED[report]
    found = answers(add(install(host(tmp_path), "bookworm", ("server", "network"))))
    assert {address for address, (certainty, _driver, _why) in found.items() if certainty == "unknown"} == set(opened)
    for address, cause in opened.items():
        assert any(cause in line for line in found[address][2])


def test_at_most_a_twentieth_of_the_answers_for_public_reports_is_open() -> None:
    count = 2 * len(REPORTED)
    assert sum(len(opened) for _add, opened in REPORTED.values()) <= count / 20


@pytest.mark.parametrize(("name", "winner"), [("70-site", "vfio-pci"), ("05-site", "nouveau")])
@pytest.mark.parametrize("release", RELEASES)
def test_udev_s_own_rules_say_where_a_card_is_to_the_rules_after_them(tmp_path: Path, release: str, name: str, winner: str) -> None:
    tree = install(host(tmp_path), release, ("server",))
    text = f'SUBSYSTEM=="pci", ENV{{ID_PATH}}=="pci-{CARD}", ATTR{{driver_override}}="vfio-pci", RUN{{builtin}}+="kmod load vfio-pci"\n'
    tree.file(f"/etc/udev/rules.d/{name}.rules", text).file(f"/usr/lib/udev/rules.d/{name}.rules", text)
    assert answers(tree)[CARD][:2] == ("certain", winner)


@pytest.mark.parametrize("release", RELEASES)
def test_nothing_that_packages_bring_sends_other_events_to_a_card(tmp_path: Path, release: str) -> None:
    tree = install(host(tmp_path), release, ("server",))
    rule = f'ACTION=="change", SUBSYSTEM=="pci", KERNEL=="{CARD}", ATTR{{driver/unbind}}="{CARD}"\n'
    tree.file("/etc/udev/rules.d/70-site.rules", rule)
    assert answers(tree)[CARD][:2] == ("certain", "nouveau")
