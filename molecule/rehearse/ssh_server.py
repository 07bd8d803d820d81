# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""This machine as another one, which is reached by ssh: OpenSSH's server on the loopback device, by keys of its own.

ssh_server.py start FOLDER    prints what Ansible has to know of it, as JSON
ssh_server.py stop FOLDER
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources, root_tree
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.suite import Suite
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.program import require, run
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress

SUITE, PACKAGES = Suite("trixie"), ("openssh-server",)
PATIENCE = 60.0
#: Which it starts, and where the package has them.
PROGRAMS = {name: f"usr/lib/openssh/{name}" for name in ("sshd-session", "sshd-auth", "sftp-server")} | {"sshd": "usr/sbin/sshd"}
#: It wants a user and a folder, which this machine need not have.
PREPARED = """
mkdir -p /run/sshd && mount -t tmpfs -o mode=0755 tmpfs /run/sshd
mount --bind "$1" /etc/passwd
exec "$2" -D -e -f "$3"
"""
USER = "sshd:x:4242:65534::/run/sshd:/usr/sbin/nologin\n"


def tree(cache: Cache) -> Path:
    """The package's files, unpacked into the cache."""
    place = cache.root / "ssh-server" / hashlib.sha256(json.dumps((SUITE.name, PACKAGES)).encode()).hexdigest()[:16]
    with cache.lock(f"ssh-server-{place.name}"):
        if not place.is_dir():
            progress = Progress("ssh server", lambda line: print(line, file=sys.stderr))
            with cache.building(place) as folder:
                root_tree.extract(SUITE, apt_sources.of_this_machine(), PACKAGES, folder / "root", progress, timeout=1800)
    return place / "root"


def start(folder: Path) -> dict[str, object]:
    """Ansible's variables of a host that it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    packages = tree(Cache.at(None))
    for name, path in PROGRAMS.items():
        # By the loader and the libraries that it was built with: those of this machine may be older.
        loader, libraries = packages / "usr/lib64/ld-linux-x86-64.so.2", packages / "usr/lib/x86_64-linux-gnu"
        words = (str(loader), "--library-path", str(libraries), str(packages / path))
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
        (folder / name).chmod(0o700)
    for name in ("host_key", "user_key"):
        (folder / name).unlink(missing_ok=True)
        run((require("ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", "", "-f", folder / name), timeout=60)
    passwd = "".join(line for line in Path("/etc/passwd").read_text(encoding="utf-8").splitlines(keepends=True) if line[:5] != "sshd:")
    (folder / "passwd").write_text(passwd + USER, encoding="utf-8")
    port = free_port()
    (folder / "sshd_config").write_text(configuration(folder, port), encoding="utf-8")
    apart = ("unshare", "--mount", "--propagation", "private", "sh", "-euc", PREPARED, "sh")
    with (folder / "log").open("w", encoding="utf-8") as log:
        given = (str(folder / name) for name in ("passwd", "sshd", "sshd_config"))
        process = subprocess.Popen((*apart, *given), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    (folder / "pid").write_text(str(process.pid), encoding="utf-8")
    wait_for(port, process, folder / "log")
    known = f"-o UserKnownHostsFile={folder}/known_hosts -o StrictHostKeyChecking=yes"
    host_key = (folder / "host_key.pub").read_text(encoding="utf-8")
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}", encoding="utf-8")
    return {
        "ansible_connection": "ssh",
        "ansible_host": "127.0.0.1",
        "ansible_port": port,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(folder / "user_key"),
        "ansible_ssh_common_args": known,
        "ansible_python_interpreter": sys.executable,
    }


def configuration(folder: Path, port: int) -> str:
    lines = {
        "ListenAddress": "127.0.0.1",
        "Port": port,
        "HostKey": folder / "host_key",
        "AuthorizedKeysFile": folder / "user_key.pub",
        "PermitRootLogin": "prohibit-password",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "StrictModes": "no",
        "UsePAM": "no",
        "PidFile": "none",
        "SshdSessionPath": folder / "sshd-session",
        "SshdAuthPath": folder / "sshd-auth",
        "Subsystem": f"sftp {folder / 'sftp-server'}",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as one:
                if one.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"The ssh server does not answer: {log.read_text(encoding='utf-8')}")


def stop(folder: Path) -> None:
    """It takes no more connections; those that are open end by themselves."""
    os.killpg(int((folder / "pid").read_text(encoding="utf-8")), signal.SIGTERM)
    with contextlib.suppress(OSError):
        # Empty, unless this machine has a server of its own.
        Path("/run/sshd").rmdir()


def main(step: str, folder: str) -> None:
    if step == "start":
        print(json.dumps(start(Path(folder))))
    else:
        stop(Path(folder))


main(*sys.argv[1:])
