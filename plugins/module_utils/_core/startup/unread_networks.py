# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs for networks that start with a host and whose configuration is not read, or only in what asks for them."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import names_if_any
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.network_setting import ANY, NetworkSetting, text_of
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import instance_of, parsed, truth, unescaped

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

PROGRAMS = ("connman", "connmand", "dhcpcd", "dhclient", "netctl")
INSTANCES = ("dhcpcd", "dhclient", "udhcpc", "netctl-auto", "netctl-ifplugd")
CLIENTS = INSTANCES[:3]
IWD, IWD_CONF = "iwd", "/etc/iwd/main.conf"
CLOUD, CLOUD_STATE, CLOUD_FOLDER = "cloud-init-local", "/var/lib/cloud/instance", "/etc/cloud/cloud.cfg.d"
CLOUD_CONF = "/etc/cloud/cloud.cfg"
_GENTOO = re.compile(r"net\.(.+)")
# As block and as flow of YAML.
_NOTHING = re.compile(r"^network:[ \t]*(?:\{|\n[ \t]+)[ \t]*[\"']?config[\"']?:[ \t]*[\"']?disabled\b", re.MULTILINE)


def read(host: Host, started: t.Iterable[str]) -> t.Iterator[NetworkSetting]:
    for name in sorted(started):
        stem = name.removesuffix(".service")
        template, _at, instance = stem.partition("@")
        netifrc = _GENTOO.fullmatch(stem)
        if stem in PROGRAMS or (stem == IWD and _iwd_asks(host)) or (stem == CLOUD and _cloud_writes(host)):
            yield _unread(name, ("wl*",) if stem == IWD else ANY)
        elif template == "netctl" and instance:
            yield _unread(name, ANY)
        elif template in CLIENTS and instance:
            yield NetworkSetting(name, (unescaped(instance_of(name)),), has_route=True, has_address=True)
        elif template in INSTANCES and instance:
            yield _unread(name, (unescaped(instance_of(name)),))
        elif netifrc is not None and netifrc[1] != "lo":
            yield _unread(name, (netifrc[1],))


def _unread(name: str, names: tuple[str, ...]) -> NetworkSetting:
    return NetworkSetting(name, names, is_vague=True, has_route=True, has_address=True, is_read=False)


def _iwd_asks(host: Host) -> bool:
    """Whether it asks for addresses itself, and does not only join a radio network (iwd.config(5))."""
    found = [one for one in parsed(text_of(host, IWD_CONF), IWD_CONF, "") if one.key.lower() == "enablenetworkconfiguration"]
    return bool(found) and truth(found[-1].value) is True


def _cloud_writes(host: Host) -> bool:
    """Whether the next boot is the first of an instance, in which cloud-init writes the configuration of networks."""
    paths = (CLOUD_CONF, *(f"{CLOUD_FOLDER}/{name}" for name in names_if_any(host, CLOUD_FOLDER) if name.endswith(".cfg")))
    is_known = host.link(CLOUD_STATE) is not None or host.exists(CLOUD_STATE)
    return not is_known and not any(_NOTHING.search(text_of(host, path)) for path in paths)
