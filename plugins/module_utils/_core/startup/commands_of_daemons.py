# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that daemons run as root because their configuration says so, and what a login does that nobody makes."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import head_text
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.actors import UNBOUNDED
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.other_users import ROOT, logged_in
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.ownership import Ownership

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.programs import ProgramAnalysis
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import Unit

LARGEST = 256 << 10
MOST_CONTAINERS = 256
# The daemons' units, the files of their configuration, and the keys whose values are commands.
_CONFIGURED: t.Final[tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...]] = (
    (("wg-quick@*.service",), ("/etc/wireguard/*.conf",), r"(?:Pre|Post)Up\s*="),
    (("supervisor.service", "supervisord.service"), ("/etc/supervisor/conf.d/*.conf", "/etc/supervisor/supervisord.conf"), r"command\s*="),
    (("supervisor.service", "supervisord.service"), ("/etc/supervisord.conf", "/etc/supervisord.d/*.ini"), r"command\s*="),
    (
        ("monit.service",),
        ("/etc/monit/monitrc", "/etc/monit/conf.d/*", "/etc/monit/conf-enabled/*", "/etc/monitrc", "/etc/monit.d/*"),
        r"(?:.*\bexec\b|check\s+program\s+\S+\s+(?:with\s+)?path|(?:re)?start(?:\s+program)?\s*=)",
    ),
    (
        ("lightdm.service", "display-manager.service"),
        ("/etc/lightdm/lightdm.conf", "/etc/lightdm/lightdm.conf.d/*.conf", "/usr/share/lightdm/lightdm.conf.d/*.conf"),
        r"(?:display-setup|greeter-setup|session-setup)-script\s*=",
    ),
    (("greetd.service", "display-manager.service"), ("/etc/greetd/config.toml",), r"command\s*="),
    (
        ("openvpn.service", "openvpn@*.service", "openvpn-client@*.service", "openvpn-server@*.service"),
        ("/etc/openvpn/*.conf", "/etc/openvpn/client/*.conf", "/etc/openvpn/server/*.conf"),
        r"(?:route-)?up\s",
    ),
    (("keepalived.service",), ("/etc/keepalived/keepalived.conf", "/etc/keepalived/conf.d/*.conf"), r"(?:notify(?:_\w+)?|script)\s"),
    (
        ("rsyslog.service", "syslog.service"),
        ("/etc/rsyslog.conf", "/etc/rsyslog.d/*.conf"),
        r"[^#]*(?:\bomprog\b.*\bbinary\s*=|\bmmexternal\b.*\bbinary\s*=|\s\^)",
    ),
    (("smartmontools.service", "smartd.service"), ("/etc/smartd.conf", "/etc/smartmontools/smartd.conf"), r"[^#]*\s-M\s+exec\s"),
    (("mdmonitor.service",), ("/etc/mdadm/mdadm.conf", "/etc/mdadm.conf"), r"PROGRAM\s"),
    (("sddm.service", "display-manager.service"), ("/etc/sddm.conf", "/etc/sddm.conf.d/*.conf"), r"DisplayCommand\s*="),
)
# What monit has behind a quoted command.
_AFTER_COMMAND = re.compile(r"(?<=[\"'])\s+(?:with|and|as|for|every|timeout|if|using)\b.*")
# Scripts that daemons run where they are.
_SCRIPTS: t.Final[tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = (
    (("zfs-zed.service", "zed.service"), ("/etc/zfs/zed.d/*.sh",)),
    (("dhcpcd.service", "dhcpcd@*.service", "networking.service"), ("/etc/dhcpcd.enter-hook", "/etc/dhcpcd.exit-hook")),
    (("dhcpcd.service", "dhcpcd@*.service", "networking.service"), ("/usr/lib/dhcpcd/dhcpcd-hooks/*", "/lib/dhcpcd/dhcpcd-hooks/*")),
    (("sddm.service", "display-manager.service"), ("/usr/share/sddm/scripts/Xsetup",)),
    (("gdm.service", "gdm3.service", "display-manager.service"), ("/etc/gdm3/Init/*", "/etc/gdm/Init/*", "/etc/X11/gdm/Init/*")),
    (("acpid.service",), ("/etc/acpi/*.sh",)),
    (("autofs.service",), ("/etc/auto.*",)),
)
PROFILES = (
    *("/etc/profile", "/etc/profile.d/*.sh", "/etc/bash.bashrc", "/etc/zsh/zprofile", "/etc/zprofile", "/etc/zsh/zshrc"),
    *(
        f"/root/.{name}"
        for name in ("profile", "bash_profile", "bash_login", "bashrc", "zprofile", "zlogin", "zshrc", "config/fish/config.fish")
    ),
)
PRELOADED = "/etc/ld.so.preload"
"""Libraries that the linker loads into every program (ld.so(8))."""
CONTAINERS = "/var/lib/docker/containers"
_PRIVILEGED = re.compile(r'"Privileged"\s*:\s*true|"CapAdd"\s*:\s*\[[^\]]*(?:ALL|SYS_ADMIN|SYS_MODULE|SYS_RAWIO)|"/sys(?:/[^":]*)?:')
_RESTARTS = re.compile(r'"RestartPolicy"\s*:\s*\{[^}]*"Name"\s*:\s*"(?:always|unless-stopped|on-failure)"')


def read(host: Host, judge: ProgramAnalysis, started: t.Collection[Unit]) -> t.Iterator[Influence]:
    """What these commands may do where their units are started."""
    names = {name for unit in started for name in unit.names}

    def runs(units: t.Sequence[str]) -> bool:
        return any(matches(name, pattern) for name in names for pattern in units)

    configurations = ((path, key) for units, places, key in _CONFIGURED if runs(units) for path in _files(host, places))
    scripts = (path for units, places in _SCRIPTS if runs(units) for path in _files(host, places))
    for path, key in configurations:
        yield from _of_configuration(host, judge, path, re.compile(rf"^\s*{key}\s*(.+)$"))
    for path in (*scripts, *(_files(host, PROFILES) if ROOT in logged_in(started) else ())):
        yield from judge.of_file(path, path)
    yield from _preloaded(host)
    if runs(("docker.service", "dockerd.service", "docker.socket")):
        yield from _containers(host)


def _of_configuration(host: Host, judge: ProgramAnalysis, path: str, wanted: re.Pattern[str]) -> t.Iterator[Influence]:
    text = head_text(host, path, LARGEST)
    for number, line in enumerate(text.split("\n"), 1):
        match = wanted.match(line)
        if match is not None:
            yield from judge.of(_AFTER_COMMAND.sub("", match[1].strip()).strip("\"'"), f"{path}:{number}", None)


def _preloaded(host: Host) -> t.Iterator[Influence]:
    ownership = Ownership.of(host)
    text = head_text(host, PRELOADED, LARGEST)
    for path in re.split(r"[\s:]+", re.sub(r"#[^\n]*", "", text)):
        real = ownership.resolved(path) if path.startswith("/") and host.is_file(path) else ""
        if real and not ownership.is_trusted(real):
            yield Influence(PRELOADED, f"has every program load {path}, which is not as a package brought it", UNBOUNDED)


def _containers(host: Host) -> t.Iterator[Influence]:
    """Docker's containers that start with it and get at sysfs or the kernel's modules."""
    for name in host.names(CONTAINERS)[:MOST_CONTAINERS] if host.is_dir(CONTAINERS) else ():
        path = f"{CONTAINERS}/{name}/hostconfig.json"
        text = head_text(host, path, LARGEST)
        if _RESTARTS.search(text) and _PRIVILEGED.search(text):
            yield Influence(path, "has docker start a container that can bind devices", UNBOUNDED)


def _files(host: Host, places: t.Sequence[str]) -> t.Iterator[str]:
    for place in places:
        folder, _slash, name = place.rpartition("/")
        if "*" not in name:
            if host.is_file(place):
                yield place
            continue
        for one in host.names(folder) if host.is_dir(folder) else ():
            if matches(one, name) and host.is_file(f"{folder}/{one}"):
                yield f"{folder}/{one}"
