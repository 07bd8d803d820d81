# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a host decide its boot, and which of them may hold secrets and stay where they are."""

from __future__ import annotations

import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.mounts import unescaped
from ansible_collections.vfio.variants.plugins.module_utils._core.report.redaction import Redactor, without_private_keys
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.credentials import ACTING, STORES

#: What a boot is made of; folders that other file systems are mounted on are walked for themselves.
TOPS = (
    *("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/usr", "/usr/local", "/etc", "/opt"),
    *("/var/spool/cron", "/var/spool/anacron", "/var/lib/systemd", "/var/lib/dbus", "/var/lib/alternatives"),
)
#: Nothing that starts by itself needs them, and they are most of a host. Firmware is loaded by a driver after a device was offered to it.
_USELESS = re.compile(
    r"/usr/(?:local/)?(?:share/(?:doc|man|info|locale|icons|fonts|help|gtk-doc|javascript|themes|sounds|backgrounds|wallpapers)"
    r"|include|src|games|lib/(?:gcc|gcc-cross|debug|firmware|llvm-[^/]+|jvm|locale)|libexec/gcc)"
    r"|(?:/usr)?/lib/firmware|.*/__pycache__|.*\.(?:a|pyc)|/opt/.*/(?:doc|docs|include|samples)|/var/lib/systemd/(?:coredump|credential\.secret|random-seed)"
)
_MODULES = re.compile(r"(?:/usr)?/lib/modules/([^/]+)")
BY_NAME = "files of which the name says it"
#: `docs/rehearsal.md` has the same list.
SECRETS: dict[str, str] = {
    "passwords of users": r"/etc/(?:g?shadow.*|opasswd|security/opasswd|master\.passwd|samba/(?:smbpasswd|[^/]*\.tdb)|\.pwd\.lock)",
    "keys of ssh": (
        r"/etc/(?:ssh|dropbear|initramfs-tools/(?:root|etc)|dropbear-initramfs)/.*(?:_key|authorized_keys)|.*/id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?"
    ),
    "private keys and key stores": (
        r".*\.(?:key|pem|p8|p12|pfx|jks|jceks|keystore|keyring|kdbx?|gpg|asc|ppk|pvk|secret|(?:wpa_)?psk|priv|private|age"
        r"|keys|pass|oath|rkestate|tfstate)"
        r"|.*/(?:private|keystore|key[34]\.db|logins\.json|acme\.json|wallets?|wallet\.dat|authkeys?|hostkey|u2f_(?:keys|mappings)|rsakeys\.ini"
        r"|\.(?:ssh|gnupg|aws|azure|oci|kube|docker|config|local/share/keyrings|mozilla|thunderbird|password-store|vnc|m2|gradle|electrum"
        r"|terraform\.d|minikube|erlang\.cookie|mylogin\.cnf)|\.?google_authenticator)"
        r"|.*/[^/]*(?:kubeconfig|priv(?:ate)?[_-]?key|preshared)[^/]*"
    ),
    "Kerberos": r".*\.(?:keytab|kt)|/etc/(?:krb5kdc|ipa)",
    "keys of Secure Boot": r"(?:/etc|/usr/share|/var/lib)/(?:secureboot|sbctl|efi-?keys|efitools|shim-signed)",
    "keys of disks": r"/etc/(?:cryptsetup-keys\.d|keys|luks|luks-keys|clevis|zfs/keys|iscsi|dmcrypt)|.*\.(?:luks|keyfile)|.*/luks\.bin",
    "credentials of systemd": r"(?:/etc|/usr/lib)/credstore(?:\.encrypted)?",
    "networks": (
        r"(?:/etc|/usr/lib|/usr/local/lib)/NetworkManager/system-connections|.*\.(?:nmconnection|ovpn)|/etc/sysconfig/network-scripts/keys-.*"
        r"|/etc/(?:wpa_supplicant.*|hostapd.*|iwd|wireguard|openvpn|strongswan|swanctl|ipsec\..*|racoon|ppp|netplan|nebula|tinc|n2n|tailscale"
        r"|zerotier-one|vpnc|softether|amnezia|xl2tpd|ModemManager)"
    ),
    "agents of management and clusters": (
        r"/etc/(?:kubernetes|rancher|docker/key\.json|containers/auth\.json|salt|puppetlabs|puppet/ssl|chef|teleport.*|vault.*|consul.*"
        r"|nomad.*|zabbix|gitlab-runner|cloud|ceph|munge|slurm/jwt.*|corosync/authkey|pacemaker/authkey|pve/priv|datadog-agent|newrelic.*"
        r"|telegraf|filebeat|letsencrypt|ansible|bareos|bacula|restic|borgmatic|duply|smbcredentials.*|nut|msmtprc|postfix/sasl|exim4/passwd.*"
        r"|apt/auth\.conf.*|rndc\.conf|snmp|apcupsd|ntp/keys|redis/users\.acl|pgbouncer/userlist\.txt|dma/auth\.conf|mail/authinfo.*|acme|yubico"
        r"|heartbeat|ha\.d)"
    ),
    BY_NAME: (
        r".*/[^/]*(?:passw|passphrase|secret|credential|token|apikey|api_key|key-?_?file|crypt(?:o)?[_-]?key|luks[._-]?key|netrc|htpasswd"
        r"|pgpass|\.my\.cnf|vault[_-]?pass)[^/]*"
        r"|.*/(?:\.[a-z]+_history|\.s3cfg|\.boto|\.npmrc|\.pypirc|\.authinfo|rclone\.conf|pwdfile.*|pin\.txt)"
    ),
}


def _of_kinds(kinds: t.Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{SECRETS[kind]})" for kind in kinds), re.IGNORECASE)


_SECRET, _WITHOUT_NAMES = _of_kinds(SECRETS), _of_kinds(kind for kind in SECRETS if kind != BY_NAME)
#: What decides about drivers: only keys and the like stay, not what a name speaks of.
_SETTINGS = re.compile(
    r"/(?:etc|usr/local/lib)/(?:systemd|udev|modprobe\.d|modules-load\.d|tmpfiles\.d|sysctl\.d|dracut\.conf\.d|dracut/modules\.d|pam\.d"
    r"|cron\.[a-z]+|init\.d|rc.?\.d|default|initramfs-tools/(?:conf\.d|hooks|modules|scripts)|kernel|mkinitcpio\.(?:conf\.)?d|binfmt\.d|profile\.d)/.*"
)
#: Ordinary files of packages with such names, and those of languages elsewhere, without which programs do not run.
_OF_PACKAGES = re.compile(
    r"(?:/usr)?/(?:lib|lib32|lib64|libx32|bin|sbin)/.*|/usr/(?:share|libexec)/.*"
    r"|/(?:usr/local|opt)/(?:[^/]+/)*(?:lib(?:32|64)?/(?:python\d[\d.]*|perl5?|ruby)|site-packages|node_modules)/.*"
)
_PUBLIC = re.compile(r"/etc/(?:passwd|ssl/certs(?:/.*)?|(?:apt(?!/auth\.conf)|pki/rpm-gpg)/.*)|/usr/local/s?bin/.*")
_FILE_OF_SHARE = re.compile(r"\b(?:credentials|cred|secretfile|keyfile)=(/[^,]+)")
_NEVER_OF_PACKAGES = ("/private", "/credstore", "/credstore.encrypted", "/system-connections", "/secureboot", "/sbctl")
_REDACTOR = Redactor()
#: Places of which only what starts by itself is collected, as the forecast finds it.
MADE_BY_THE_KERNEL = re.compile(r"/(?:proc|sys|dev|run|tmp|boot)(?:/.*)?|/var/(?:run|lock|tmp|cache|lib/(?:dpkg|rpm|pacman|dkms))(?:/.*)?")


def without_secrets(path: str, content: bytes) -> bytes:
    """What a file is collected as: private keys are taken out of each text, passwords and tokens of those that no package brings."""
    if b"\0" in content[:8192]:
        return content
    if _OF_PACKAGES.fullmatch(path):
        return without_private_keys(content)
    return _REDACTOR.secrets(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def is_secret(path: str, is_script: bool = False) -> bool:
    """Whether a file or folder stays on the host, by its own name or that of a folder above it.

    A script is one of which only the words are wanted, whatever it is called, unless it is where keys are.
    """
    store, _slash, name = path.rpartition("/")
    if store in STORES and ACTING.match(name):
        # Rules, units and settings for programs of systemd.
        return False
    parts = path.split("/")
    return any(_is_secret_place("/".join(parts[:number]), is_script) for number in range(2, len(parts) + 1))


@functools.lru_cache(100_000)
def _is_secret_place(path: str, is_script: bool) -> bool:
    if (_WITHOUT_NAMES if is_script or _SETTINGS.fullmatch(path) else _SECRET).fullmatch(path) is None:
        return False
    is_public = _OF_PACKAGES.fullmatch(path) is not None or _PUBLIC.fullmatch(path) is not None
    return not is_public or path.endswith(_NEVER_OF_PACKAGES)


def key_files(crypttab: t.Iterable[t.Sequence[str]], fstab: t.Iterable[t.Sequence[str]]) -> frozenset[str]:
    """Files with keys of disks and with passwords of shares, whatever they are called, as the rows of both tables name them.

    (crypttab(5), mount.cifs(8), mount.ceph(8))
    """
    keys = (row[2] for row in crypttab if len(row) > 2 and row[2].startswith("/") and not row[2].startswith("/dev/"))
    of_shares = (path for row in fstab if len(row) > 3 for path in _FILE_OF_SHARE.findall(row[3]))
    return frozenset(map(unescaped, (*keys, *of_shares)))


def choice(releases: t.Collection[str], exclude: t.Collection[str], keys: t.Container[str] = ()) -> t.Callable[[str, bool], bool | None]:
    """What of the tops is collected; modules are those of the kernels ``releases``, and ``keys`` stay like what is secret by its name."""
    places = frozenset(path.rstrip("/") for path in exclude)

    def chosen(path: str, _is_folder: bool) -> bool | None:
        if path in places or _USELESS.fullmatch(path):
            return None
        modules = _MODULES.fullmatch(path)
        if modules is not None and modules[1] not in releases:
            return None
        return not is_secret(path) and path not in keys

    return chosen
