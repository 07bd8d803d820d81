# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What DKMS is told by its own configuration, which is shell code: its folders, and the key that it signs modules with."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

FILE = "/etc/dkms/framework.conf"
FOLDER = "/etc/dkms/framework.conf.d"
UBUNTU = "ubuntu"


class SigningKey(t.NamedTuple):
    """What DKMS signs modules with: the private key, which may be on a token (`pkcs11:`), and its certificate."""

    key: str
    certificate: str

    @property
    def is_token(self) -> bool:
        return self.key.startswith("pkcs11:")


OWN = SigningKey("/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub")
OF_SHIM = SigningKey("/var/lib/shim-signed/mok/MOK.priv", "/var/lib/shim-signed/mok/MOK.der")
"""Of Ubuntu and what is like it first of all."""


def read_dkms_settings(host: Host, *variables: str) -> dict[str, str]:
    """By variable its last value; without those that are not set, or to nothing (read_framework_conf() in /usr/sbin/dkms)."""
    more = (f"{FOLDER}/{name}" for name in host.names(FOLDER) if name.endswith(".conf") and not name.startswith("."))
    texts = [text for text in (host.text_or_none(path) or "" for path in (FILE, *more)) if _has_commands(text)]
    if not texts:
        return {}
    # Every run asks where DKMS has its files, and few hosts have anything but remarks there.
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments

    files = [Assignments.parse(text) for text in texts]
    found = {variable: file.get(variable) for file in files for variable in variables if file.indices(variable)}
    return {variable: value for variable, value in found.items() if value}


def _has_commands(text: str) -> bool:
    """Whether a shell file has more than blank lines and remarks."""
    lines = (line.strip() for line in text.splitlines())
    return any(line and not line.startswith("#") for line in lines)


def signing_key(host: Host) -> SigningKey:
    """Where they are, or will be when the first build has made them (prepare_signing() and distro_version() in /usr/sbin/dkms 3)."""
    from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.os_release import names

    given = read_dkms_settings(host, "mok_signing_key", "mok_certificate")
    known = names(host)
    if "mok_signing_key" not in given and UBUNTU in (known.id, *known.like[:1]):
        return OF_SHIM
    return SigningKey(given.get("mok_signing_key", OWN.key), given.get("mok_certificate", OWN.certificate))
