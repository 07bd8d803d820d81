# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings by which other programs write to sysfs or start containers at boot: sysfsutils, Podman's unit files, Compose's files.

And programs on file systems that are not mounted now.
"""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import head_text
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import tmpfiles
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.actors import UNBOUNDED
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.called_files import MADE_AT_RUN_TIME

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory

SYSFS_SETTINGS = ("/etc/sysfs.conf", "/etc/sysfs.d")
"""What sysfsutils writes at boot, one `path below /sys = value` a line (its sysfs.conf(5))."""
SYSFS_UNITS = ("sysfsutils.service", "sysfsutils")
QUADLETS = ("/etc/containers/systemd", "/usr/share/containers/systemd")
"""Where Podman's generator makes units of containers that systemd starts (podman-systemd.unit(5))."""
_QUADLET_KINDS = (".container", ".kube", ".pod")
LARGEST = 256 << 10
MOST_FILES = 256
FSTAB = "/etc/fstab"
_SETTING = re.compile(r"\s*([\w:./*?\[\]-]+)\s*=\s*(.*?)\s*")
_CAPABILITY = r"(?:CAP_)?SYS_(?:ADMIN|MODULE|RAWIO)\b"
GETS_AT_SYSFS = re.compile(
    r"--privileged\b|\bprivileged:\s*[\"']?(?:true|yes)\b"
    rf"|(?:AddCapability\s*=|--cap-add[=\s]|cap_add:|capabilities:).*\b(?:all\b|ALL\b|{_CAPABILITY})"
    r"|(?:Volume\s*=|-v[=\s]|--volume[=\s]|^[ \t]*-[ \t]*[\"']?|source:\s*|path:\s*)/sys(?:[/:\"'\s]|$)"
    rf"|^[ \t]*-[ \t]*[\"']?{_CAPABILITY}",
    re.MULTILINE,
)
"""Settings of containers that get at sysfs or at the kernel's modules."""
_COMPOSE = re.compile(r"\b(?:docker|podman)[ -]compose\b([^\n;|&]*)|\bpodman\s+(?:kube\s+)?play\b([^\n;|&]*)")
_COMPOSE_FILE = re.compile(r"(?:-f|--file)[=\s]\s*[\"']?([^\s\"']+)|(?<=\s)([\w./-]+\.ya?ml)\b")
_COMPOSE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")


def of_sysfsutils(tree: FileTree, inventory: Inventory | None) -> t.Iterator[Influence]:
    """What its settings write to; each line counts like one of tmpfiles.d."""
    folder = SYSFS_SETTINGS[1]
    paths = [
        SYSFS_SETTINGS[0],
        *(f"{folder}/{name}" for name in (tree.names(folder) if tree.is_dir(folder) else ()) if name.endswith(".conf")),
    ]
    for path in paths:
        for number, line in enumerate(head_text(tree, path, LARGEST).split("\n"), 1):
            found = None if line.lstrip().startswith("#") else _SETTING.fullmatch(line)
            if found is not None and found[2]:
                written = f'w "/sys/{found[1].removeprefix("/sys/").lstrip("/")}" - - - - {found[2]}'
                for one in tmpfiles.of_text(written, path, inventory):
                    yield Influence(f"{path}:{number}", one.fact, one.acts, one.addresses, one.modules, one.drivers)


def of_quadlets(tree: FileTree) -> t.Iterator[Influence]:
    """Containers of Podman that get at sysfs or at modules."""
    for folder in QUADLETS:
        for name in (tree.names(folder) if tree.is_dir(folder) else ())[:MOST_FILES]:
            path = f"{folder}/{name}"
            text = head_text(tree, path, LARGEST) if name.endswith(_QUADLET_KINDS) else ""
            named = re.findall(r"(?m)^[ \t]*Yaml[ \t]*=[ \t]*(\S+)", text)
            texts = [text, *(head_text(tree, posixpath.join(folder, other), LARGEST) for other in named)]
            if any(map(GETS_AT_SYSFS.search, texts)):
                yield Influence(path, "has systemd start a container that can bind devices", UNBOUNDED)


def of_compose(tree: FileTree, command: str, folders: t.Sequence[str]) -> str | None:
    """The file of containers that a command starts, if one of them gets at sysfs or at modules."""
    for match in _COMPOSE.finditer(command):
        named = [one or other for one, other in _COMPOSE_FILE.findall(match[1] or match[2] or "")]
        for folder in folders:
            for path in (posixpath.normpath(posixpath.join(folder, name)) for name in (named or _COMPOSE_NAMES)):
                if tree.is_file(path) and GETS_AT_SYSFS.search(head_text(tree, path, LARGEST)):
                    return path
    return None


def not_mounted(tree: FileTree, path: str) -> str | None:
    """The line of fstab that mounts a file system, of which nothing is there now, where a program lies."""
    for number, line in enumerate(head_text(tree, FSTAB, LARGEST).split("\n"), 1):
        fields = line.split()
        if len(fields) > 2 and not line.lstrip().startswith("#") and len(fields[1]) > 1:
            place = posixpath.normpath(fields[1])
            if path.startswith(f"{place}/") and not (tree.is_dir(place) and tree.names(place)):
                return f"{FSTAB}:{number}"
    return None


def may_be_made(tree: FileTree, path: str) -> bool:
    """Whether what is not there now may be when the host boots: in a folder that is filled then, or that is not there either."""
    folder = posixpath.dirname(path)
    if path.startswith(MADE_AT_RUN_TIME) or not tree.is_dir(folder) or not tree.names(folder):
        return True
    return not_mounted(tree, path) is not None
