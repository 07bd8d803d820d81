# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What starts by itself without being a unit's own program: commands in configuration, timetables, the kernel's programs, logins."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import read as startup
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, NVIDIA_DISPLAY, Tree

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence

CARD, SAME = "0000:3b:00.0", "0000:5e:00.0"
ETC, LIB = "/etc/systemd/system", "/usr/lib/systemd/system"
PROGRAM = "/usr/local/sbin/free-card"
FREES = f"#!/bin/sh\necho {CARD} > /sys/bus/pci/drivers/nouveau/unbind\n"
DAEMON = "[Service]\nExecStart=/usr/bin/true\n"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    found = Tree(tmp_path).kernel(DEBIAN_13, {"nouveau": [NVIDIA_DISPLAY]}, running=True).systemd().pci(CARD).pci(SAME)
    return found.file(PROGRAM, FREES, 0o755)


def found_on(tree: Tree) -> tuple[Influence, ...]:
    host = tree.host()
    return startup.read(host, Kernel.read(host, DEBIAN_13), Inventory.read(host), Cmdline.parse(""), "/boot/grub/grub.cfg:12").early


def with_unit(tree: Tree, name: str, text: str = DAEMON) -> Tree:
    file = name if "@" not in name else f"{name.partition('@')[0]}@.service"
    return tree.file(f"{LIB}/{file}", text).link(f"{ETC}/multi-user.target.wants/{name}", f"{LIB}/{file}")


@pytest.mark.parametrize(
    ("unit", "path", "text", "line"),
    [
        ("wg-quick@wg0.service", "/etc/wireguard/wg0.conf", f"[Interface]\nPostUp = {PROGRAM} %i\n", 2),
        ("supervisor.service", "/etc/supervisor/conf.d/card.conf", f"[program:card]\ncommand={PROGRAM}\n", 2),
        ("lightdm.service", "/etc/lightdm/lightdm.conf.d/50.conf", f"[Seat:*]\ndisplay-setup-script={PROGRAM}\n", 2),
        ("sddm.service", "/etc/sddm.conf", f"[X11]\nDisplayCommand={PROGRAM}\n", 2),
        ("monit.service", "/etc/monit/conf.d/card", f'check system host\n  if loadavg (1min) > 0 then exec "{PROGRAM}"\n', 2),
        ("cron.service", "/etc/cron.d/card", f"MAILTO=root\n*/5 * * * * root {PROGRAM}\n", 2),
        ("cron.service", "/etc/crontab", f"17 *\t* * *\troot\tcd / && run-parts --report {Path(PROGRAM).parent}\n", 1),
    ],
)
def test_a_command_that_a_daemon_s_configuration_has_counts_where_the_daemon_starts(
    tree: Tree, unit: str, path: str, text: str, line: int
) -> None:
    tree.file(path, text)
    assert found_on(tree) == ()
    (influence,) = found_on(with_unit(tree, unit))
    assert (influence.source, influence.addresses) == (f"{path}:{line}", frozenset({CARD}))


@pytest.mark.parametrize(
    ("unit", "path"),
    [
        ("zfs-zed.service", "/etc/zfs/zed.d/all-card.sh"),
        ("dhcpcd.service", "/etc/dhcpcd.exit-hook"),
        ("gdm3.service", "/etc/gdm3/Init/Default"),
    ],
)
def test_a_script_that_a_daemon_runs_counts_where_the_daemon_starts(tree: Tree, unit: str, path: str) -> None:
    tree.file(path, FREES, 0o755)
    assert found_on(tree) == ()
    (influence,) = found_on(with_unit(tree, unit))
    assert (influence.addresses, path in str(influence)) == (frozenset({CARD}), True)


def test_a_line_of_a_crontab_that_runs_once_a_day_does_not_count(tree: Tree) -> None:
    with_unit(tree, "cron.service").file(
        "/etc/crontab", f"3 4 * * * root {PROGRAM}\n# * * * * * root {PROGRAM}\n0 12 * * 1 root {PROGRAM}\n"
    )
    assert found_on(tree) == ()


@pytest.mark.parametrize("option", ["--autologin root", "-a root", "--noclear --autologin=root"])
def test_what_root_s_shell_does_counts_where_a_terminal_logs_it_in(tree: Tree, option: str) -> None:
    tree.file("/root/.bash_profile", f"{PROGRAM}\n")
    with_unit(tree, "getty@tty1.service", "[Service]\nExecStart=-/sbin/agetty %I $TERM\n")
    assert found_on(tree) == ()
    tree.file(f"{ETC}/getty@tty1.service.d/login.conf", f"[Service]\nExecStart=\nExecStart=-/sbin/agetty {option} %I\n")
    (influence,) = found_on(tree)
    assert str(influence).startswith("/root/.bash_profile runs /usr/local/sbin/free-card:2, which writes to unbind")


@pytest.mark.parametrize("folder", ["/etc", "/usr/local/lib", "/usr/lib"])
def test_a_generator_of_the_environment_runs_at_every_boot(tree: Tree, folder: str) -> None:
    path = f"{folder}/systemd/system-environment-generators/10-card"
    (influence,) = found_on(tree.file(path, FREES, 0o755))
    assert (influence.source, influence.addresses) == (f"{path}:2", frozenset({CARD}))


@pytest.mark.parametrize(
    ("setting", "may_bind"),
    [
        ({"Privileged": True}, True),
        ({"Binds": ["/sys:/sys"]}, True),
        ({"CapAdd": ["SYS_MODULE"]}, True),
        ({"Binds": ["/srv:/srv"], "CapAdd": ["NET_ADMIN"], "Privileged": False}, False),
        ({"Privileged": True, "RestartPolicy": {"Name": "no"}}, False),
    ],
)
def test_a_container_that_starts_with_docker_and_gets_at_sysfs_may_do_anything(
    tree: Tree, setting: dict[str, t.Any], may_bind: bool
) -> None:
    path = "/var/lib/docker/containers/4f5/hostconfig.json"
    with_unit(tree, "docker.service").file(path, json.dumps({"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}, **setting}))
    assert [one.source for one in found_on(tree)] == ([path] if may_bind else [])


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/etc/sysctl.d/card.conf", f"kernel.modprobe = {PROGRAM}"),
        ("/etc/sysctl.d/card.conf", f"kernel/hotplug={PROGRAM}"),
        ("/etc/tmpfiles.d/card.conf", f"w /proc/sys/kernel/modprobe - - - - {PROGRAM}"),
        ("/etc/tmpfiles.d/card.conf", f"w /sys/kernel/uevent_helper - - - - {PROGRAM}"),
    ],
)
def test_a_program_that_the_kernel_runs_by_itself_counts(tree: Tree, path: str, line: str) -> None:
    (influence,) = found_on(tree.file(path, f"{line}\n"))
    assert (influence.source, influence.addresses) == (f"{path}:1", frozenset({CARD}))
    assert found_on(tree.file(path, line.replace(PROGRAM, "/sbin/modprobe") + "\n")) == ()


@pytest.mark.parametrize(
    "line",
    [
        "f /run/modprobe.d/card.conf 0644 root root - blacklist nouveau",
        "C /etc/udev/rules.d/50-card.rules - - - - /usr/share/site/card.rules",
        "L+ /run/udev/rules.d/80-drivers.rules - - - - /dev/null",
    ],
)
def test_a_file_that_is_made_for_udev_or_kmod_while_the_host_starts_may_say_anything(tree: Tree, line: str) -> None:
    (influence,) = found_on(tree.file("/etc/tmpfiles.d/card.conf", f"d /run/modprobe.d\n{line}\n"))
    assert (influence.source, influence.addresses) == ("/etc/tmpfiles.d/card.conf:2", None)


@pytest.mark.parametrize(
    ("lines", "counts"),
    [
        (f"User=gpu\nExecStart=/usr/bin/sudo {PROGRAM}", True),
        ("User=gpu\nExecStart=/opt/asks", True),
        ("User=gpu\nNoNewPrivileges=yes\nExecStart=/opt/asks", False),
        (f"User=gpu\nExecStart={PROGRAM}", False),
        (f"User=%i\nExecStart={PROGRAM}", True),
        (f"User=gpu\nExecStartPre=+{PROGRAM}\nExecStart=/usr/bin/true", True),
        ("RootDirectory=/srv/inside\nExecStart=/bin/go", True),
        ("WorkingDirectory=/srv/inside/bin\nExecStart=/bin/sh ./go", True),
    ],
)
def test_whose_rights_and_place_a_unit_s_program_has_decides(tree: Tree, lines: str, counts: bool) -> None:
    tree.file("/opt/asks", f"#!/bin/sh\nsudo {PROGRAM}\n", 0o755).file("/srv/inside/bin/go", FREES, 0o755)
    assert bool(found_on(with_unit(tree, "card.service", f"[Service]\n{lines}\n"))) == counts
