# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chips, tokens and cards that unlock a disk at boot, as crypttab(5) and rd.luks.options= name them, and whether a device has one."""

from __future__ import annotations

import posixpath
import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_tree import Below, TreeNode

KEY = re.compile(r"(?P<kind>tpm2-device|fido2-device|pkcs11-uri)=(?P<value>.+)")
TPM = re.compile(r"/dev/tpm(?:rm)?\d+")
FIDO_USAGE = b"\x06\xd0\xf1"
"""The usage page 0xf1d0 in a report descriptor (CTAP 2.1, 11.2)."""
LARGEST_DESCRIPTOR = 4096
SMART_CARD = "0b"
"""The USB class of readers (CCID)."""
NODES = re.compile(r"/dev/(?:tpm|hidraw|bus/usb/)")
"""Those of chips, of tokens, which talk through HID alone (fido_id of systemd's udev), and of what readers are connected to."""


def may_have_key(below: Below) -> bool:
    """Whether something below a device could be a key, whatever is named."""
    return any(map(NODES.match, below.nodes))


def key_of(host: Host, source: str, below: Below) -> str | None:
    """The node of what ``source``, such as `tpm2-device=auto`, may mean below a device; None if nothing there is one."""
    found = KEY.fullmatch(source)
    if found is None:
        return None
    return next((node.name for node in below.nodes.values() if _is_key(host, found["kind"], found["value"], node)), None)


def _is_key(host: Host, kind: str, value: str, node: TreeNode) -> bool:
    if kind == "tpm2-device":
        return TPM.fullmatch(node.name) is not None
    if kind == "fido2-device":
        return value == node.name or (value == "auto" and _is_fido_token(host, node))
    interfaces = host.names(node.folder) if node.name.startswith("/dev/bus/usb/") else ()
    return any(host.text_or_none(f"{node.folder}/{name}/bInterfaceClass") == SMART_CARD for name in interfaces)


def _is_fido_token(host: Host, node: TreeNode) -> bool:
    if not node.name.startswith("/dev/hidraw"):
        return False
    device = posixpath.dirname(posixpath.dirname(node.folder))
    return FIDO_USAGE in (host.head(f"{device}/report_descriptor", LARGEST_DESCRIPTOR) or b"")
