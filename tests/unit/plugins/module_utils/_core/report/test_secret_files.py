# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a host stay where they are when its boot is rehearsed elsewhere."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.report.secret_files import (
    SECRETS,
    choice,
    is_secret,
    key_files,
    without_secrets,
)
from ansible_collections.vfio.variants.tests.unit.rooms import ROOT


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/passwd-", "/etc/security/opasswd", "/etc/ssh/ssh_host_rsa_key"),
        *("/etc/ssl/private", "/etc/ssl/private/site.txt", "/opt/app/tls/server.pem", "/usr/local/etc/app/tls.key", "/root/.ssh/id_rsa"),
        *("/etc/krb5.keytab", "/etc/cryptsetup-keys.d/data.key", "/etc/luks/data", "/etc/credstore/x", "/usr/lib/credstore/x"),
        *("/etc/NetworkManager/system-connections/wifi.nmconnection", "/etc/wireguard/wg0.conf", "/etc/netplan/50.yaml"),
        *("/etc/kubernetes/admin.conf", "/etc/rancher/k3s/k3s.yaml", "/etc/salt/pki/minion/minion.pem", "/etc/cloud/cloud.cfg"),
        *("/etc/apt/auth.conf", "/etc/apt/auth.conf.d/site.conf", "/etc/wpa_supplicant.conf", "/etc/hostapd/hostapd.wpa_psk"),
        *(
            "/usr/lib/NetworkManager/system-connections/a.nmconnection",
            "/usr/local/etc/office.ovpn",
            "/opt/deploy/.vault_pass",
            "/opt/wg/privatekey",
        ),
        *("/opt/deploy/id_ed25519", "/opt/x/kubeconfig.yaml", "/etc/ipa/nssdb/key4.db", "/etc/pki/nssdb/key4.db", "/opt/x/.bash_history"),
        *("/usr/share/secureboot/keys/db/db.key", "/usr/share/secureboot/keys/KEK/KEK.der", "/etc/efi-keys/DB.bin", "/etc/sbctl/keys/db"),
        *(
            "/etc/systemd/network/wg0.key",
            "/etc/udev/card.psk",
            "/etc/credstore/passwd.hashed-password.root",
            "/etc/credstore/x.udev.rules.y",
        ),
        *("/etc/systemd/network/WG1.KEY", "/etc/udev/store.jceks", "/etc/systemd/network/wg2-private-key", "/etc/cron.d/private"),
        *("/etc/systemd/vpn.nmconnection", "/etc/systemd/network/preshared1", "/opt/wg/privatekey2"),
        *("/etc/credstore.encrypted/udev.rules.own.cred", "/usr/lib/credstore/sshd.key", "/etc/systemd/network/tls.pem"),
        *("/etc/chrony/chrony.keys", "/etc/ntp.keys", "/etc/snmp/snmpd.conf", "/etc/apcupsd/apcupsd.conf"),
        *("/opt/agent/token", "/etc/app/Password.txt", "/srv/.netrc", "/srv/me/.aws/config", "/etc/ceph/ceph.client.admin.keyring"),
    ],
)
def test_what_may_hold_secrets_stays(path: str) -> None:
    assert is_secret(path)


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/passwd", "/etc/pam.d/passwd", "/usr/bin/passwd", "/usr/lib/x86_64-linux-gnu/libsecret-1.so.0", "/etc/modprobe.d/gpu.conf"),
        *("/etc/ssl/certs/ca-certificates.crt", "/usr/lib/python3/dist-packages/token.py", "/etc/udev/rules.d/70-gpu.rules"),
        *("/etc/apt/sources.list", "/etc/apt/apt.conf.d/50hooks", "/usr/share/keyrings/debian.gpg", "/etc/keepalived/keepalived.conf"),
        *("/etc/credstore/udev.rules.own", "/usr/lib/credstore/tmpfiles.extra", "/usr/local/lib/credstore/systemd.extra-unit.bind.service"),
        *("/etc/udev/rules.d/60-token.rules", "/etc/modprobe.d/credential-cards.conf", "/etc/cron.d/token", "/etc/init.d/secret-agent"),
        *("/usr/local/sbin/token-bind", "/etc/ssh/sshd_config", "/etc/systemd/system/secret-agent.service", "/root/bind.sh"),
    ],
)
def test_what_decides_a_boot_is_collected(path: str) -> None:
    assert not is_secret(path)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/etc/rabbitmq/.erlang.cookie",
            "/opt/db/.mylogin.cnf",
            "/etc/redis/users.acl",
            "/etc/pgbouncer/userlist.txt",
            "/etc/mongo/keyfile",
        ),
        *(
            "/etc/borg/passphrase",
            "/etc/samba/passdb.tdb",
            "/opt/krb/service.kt",
            "/etc/initramfs-tools/etc/dropbear/dropbear_rsa_host_key",
        ),
        *("/etc/luks.bin", "/etc/cryptkey", "/etc/crypto_keyfile.bin", "/crypto_keyfile.bin", "/etc/lukskey", "/etc/mongod.key-file"),
        *(
            "/etc/tpm2-tss/system/keystore/x.json",
            "/etc/acme/account.conf",
            "/etc/traefik/acme.json",
            "/etc/dma/auth.conf",
            "/etc/mail/authinfo",
        ),
        *("/opt/x/.mozilla/firefox/a/logins.json", "/opt/x/.electrum/wallets/w", "/opt/rke/cluster.rkestate", "/opt/tf/terraform.tfstate"),
        *(
            "/etc/tailscale/authkey",
            "/etc/n2n/edge.conf",
            "/etc/softether/vpn_server.config",
            "/etc/xl2tpd/l2tp-secrets",
            "/etc/ModemManager/pin",
        ),
        *(
            "/etc/ntp.keys",
            "/etc/ntp/keys",
            "/etc/chrony/chrony.keys",
            "/etc/nvme/hostkey",
            "/etc/heartbeat/authkeys",
            "/etc/ha.d/authkeys",
        ),
        *(
            "/etc/x11vnc.pass",
            "/opt/x/.google_authenticator",
            "/etc/users.oath",
            "/etc/yubico/x",
            "/etc/u2f_mappings",
            "/etc/xrdp/rsakeys.ini",
        ),
        *("/opt/x/.m2/settings.xml", "/opt/x/.terraform.d/credentials.tfrc.json", "/opt/x/.vnc/passwd", "/opt/x/.password-store/a"),
    ],
)
def test_what_has_keys_in_odd_places_stays(path: str) -> None:
    assert is_secret(path)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/usr/local/lib/systemd/system/token-bind.service",
            "/etc/default/secret-agent",
            "/etc/initramfs-tools/scripts/init-top/cryptkey-bind",
        ),
        *("/etc/initramfs-tools/hooks/keyfile", "/etc/kernel/postinst.d/zz-token", "/usr/local/lib/udev/rules.d/60-token.rules"),
        *("/etc/dracut/modules.d/90cryptkey/module-setup.sh", "/etc/mkinitcpio.d/linux-luks-key.preset", "/etc/profile.d/tokens.sh"),
        *(
            "/etc/modprobe.d/keyboard.conf",
            "/opt/site/bin/monkeys",
            "/etc/keyboard",
            "/etc/cryptsetup-initramfs/conf-hook",
            "/opt/acme/bind.sh",
        ),
    ],
)
def test_a_word_in_a_name_keeps_nothing_that_decides_a_boot(path: str) -> None:
    assert not is_secret(path)


LIBRARIES = (
    *(
        "/opt/conda/lib/python3.11/tokenize.py",
        "/usr/local/lib/python3.13/secrets.py",
        "/opt/venv/lib/python3.11/site-packages/certifi/cacert.pem",
    ),
    *("/opt/agent/node_modules/jsonwebtoken/index.js", "/usr/local/lib/perl5/Token.pm", "/opt/ruby/lib/ruby/3.1.0/securerandom/token.rb"),
)


@pytest.mark.parametrize("path", LIBRARIES)
def test_what_a_program_is_written_in_is_collected_as_it_is(path: str) -> None:
    assert not is_secret(path)
    code = b"token = next(tokens)\npassword = prompt()\n"
    assert without_secrets(path, code) == code
    key = b"-----BEGIN PRIVATE KEY-----\n" + b"MIIEvQIBADANBg/+kqhkiG9w0BAQ==\n" * 20 + b"-----END PRIVATE KEY-----\n"
    assert b"MIIE" not in without_secrets(path, key)


@pytest.mark.parametrize(
    "path", ["/opt/conda/etc/token", "/usr/local/lib/site/token", "/opt/lib/python/token", "/opt/private/lib/python3.11/x.py"]
)
def test_beside_them_names_count(path: str) -> None:
    assert is_secret(path)


@pytest.mark.parametrize("path", ["/opt/site/token-bind", "/etc/network/if-up.d/credential", "/etc/NetworkManager/dispatcher.d/90-secret"])
def test_a_script_is_collected_whatever_its_name_speaks_of(path: str) -> None:
    assert is_secret(path)
    assert not is_secret(path, is_script=True)


@pytest.mark.parametrize("path", ["/root/.ssh/bind", "/etc/ssl/private/bind.sh", "/etc/wireguard/up.sh", "/opt/bind.key"])
def test_a_script_stays_where_keys_are(path: str) -> None:
    assert is_secret(path, is_script=True)


def test_files_that_unlock_disks_and_shares_are_known_by_the_tables_that_name_them() -> None:
    crypttab = ("data UUID=1 /etc/data\\040x.bin luks", "swap /dev/sda2 /dev/urandom swap", "root UUID=2 none luks", "short UUID=3")
    fstab = ("//nas/x /x cifs credentials=/srv/nas,ro 0 0", "mon:/ /y ceph name=a,secretfile=/etc/y 0 0", "/dev/sda1 / ext4 rw 0 0", "a b")
    keys = key_files(map(str.split, crypttab), map(str.split, fstab))
    assert keys == {"/etc/data x.bin", "/srv/nas", "/etc/y"}
    chosen = choice(["6.12.1"], [], keys)
    assert [chosen(path, False) for path in ("/etc/data x.bin", "/etc/y", "/etc/crypttab")] == [False, False, True]


def test_modules_of_other_kernels_and_what_no_boot_reads_are_left_out_silently() -> None:
    chosen = choice(["6.12.1"], ["/opt/large"])
    assert chosen("/usr/lib/modules/6.12.1", True)
    for path in ("/usr/lib/modules/6.1.0", "/usr/share/doc", "/usr/lib/firmware", "/usr/src", "/opt/large"):
        assert chosen(path, True) is None
    assert chosen("/etc/kubernetes", True) is False


def test_who_knows_users_is_kept_without_whom_no_service_of_a_user_starts() -> None:
    text = b"# Name Service Switch\npasswd:         files systemd\ngroup:          files systemd\nshadow:         files\n"
    assert without_secrets("/etc/nsswitch.conf", text) == text


def test_texts_lose_passwords_and_keep_what_decides() -> None:
    text = b'password=planted\nATTR{serial}=="abc"\nblacklist nouveau\naddress 10.1.2.3\n'
    assert without_secrets("/etc/x.conf", text) == b'password=REDACTED\nATTR{serial}=="abc"\nblacklist nouveau\naddress 10.1.2.3\n'


@pytest.mark.parametrize("path", ["/usr/bin/x", "/lib/systemd/y", "/usr/share/z"])
def test_what_packages_bring_stays_as_it_is(path: str) -> None:
    assert without_secrets(path, b"password=example\n") == b"password=example\n"


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "ENCRYPTED ", "OPENSSH "])
@pytest.mark.parametrize("end_of_line", ["\n", "\r\n", "\\n"])
def test_private_keys_are_taken_out_of_the_files_of_packages_too(kind: str, end_of_line: str) -> None:
    lines = ["key: |", f"-----BEGIN {kind}PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED", *["MIIEvQIBADANBg/+kqhkiG9w0BAQ==" * 2] * 9]
    text = end_of_line.join([*lines, f"-----END {kind}PRIVATE KEY-----", "exit 0"])
    kept = without_secrets("/usr/lib/site/bind.sh", text.encode())
    assert b"MIIE" not in kept
    assert kept.startswith(b"key: |")
    assert kept.endswith(b"exit 0")


@pytest.mark.parametrize(
    "text",
    [
        "if /-----BEGIN PRIVATE KEY-----/ { print }\nmodprobe vfio-pci\n",
        "-----BEGIN PRIVATE KEY-----\n" + "Ab: " * 20_000,
        "a = '-----BEGIN PRIVATE KEY-----'\nb = '-----END PRIVATE KEY-----'\nmodprobe vfio-pci\n",
    ],
)
def test_a_program_that_looks_for_private_keys_stays_as_it_is(text: str) -> None:
    assert without_secrets("/usr/sbin/tool", text.encode()) == text.encode()


@pytest.mark.parametrize("kind", SECRETS)
def test_the_guide_lists_each_kind(kind: str) -> None:
    assert f"| {kind} |" in (ROOT / "docs/rehearsal.md").read_text(encoding="utf-8")
