# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which state of the collection a cut was tried with."""

from __future__ import annotations

import hashlib
import subprocess
import time

from ansible_collections.vfio.variants.tests.power_cuts.playbooks import ROOT

_CODE = ("plugins", "roles", "files", "playbooks/demo")


def code() -> str:
    """A digest of what runs on the host, and of its playbook: what another one leaves need not be the same."""
    found = hashlib.sha256()
    for path in sorted(path for folder in _CODE for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"):
        found.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def of_run() -> dict[str, str]:
    """What a row has of the state beside the digest: the commit, marked where the code is not as in it, and the day."""
    commit, changed = _git("rev-parse", "--short=12", "HEAD"), _git("status", "--porcelain", "--", *_CODE)
    return {"commit": f"{commit}{'+' if changed else ''}", "day": time.strftime("%Y-%m-%d", time.gmtime())}


def _git(*words: str) -> str:
    return subprocess.run(("git", *words), cwd=ROOT, capture_output=True, check=True, text=True, timeout=60).stdout.strip()
