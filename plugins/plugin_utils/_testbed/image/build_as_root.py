# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Building an image as root from a process that is not: by sudo, in a process that dies with the one that asked for it.

An action runs as whoever runs Ansible; `become` concerns modules only.  The order comes as one line of JSON through
standard input.  When that pipe ends, the process that asked is gone, and so is this one; mmdebstrap in turn ends with it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import typing as t
from dataclasses import asdict
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import ArchiveUnavailableError, MissingPackage
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.image import ImageBuilder
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.options import ImageOptions
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.ssh_key import KeyPair
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local import python_path
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.program import require
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Say

_FAILED = "failed: "
_NEEDS_ROOT = "Building a test image needs root: its files belong to several users, and its packages configure themselves in a chroot."


def build(builder: ImageBuilder, options: t.Mapping[str, t.Any], say: Say, timeout: float) -> None:
    """Have the builder's image built by root. `options`: those the builder was made of."""
    sudo = (require("sudo", "sudo"), "-n", "--")
    if subprocess.run((*sudo, "true"), stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60).returncode != 0:
        raise HostError(_NEEDS_ROOT, "Run Ansible as root, or let sudo work without asking (sudo -v).")
    # Made here, so that the key and the cache belong to whoever logs in with it.
    KeyPair.of_cache(builder.cache)
    job = {"options": dict(options), "mirror": builder.options.mirror, "cache": str(builder.cache.root), "name": builder.name}
    with tempfile.TemporaryDirectory() as folder:
        environment = ("env", f"PYTHONPATH={python_path.link(Path(folder))}", "PYTHONDONTWRITEBYTECODE=1")
        argv = (*sudo, *environment, *python_path.command("image.build_as_root"))
        failure = _run(argv, json.dumps({**job, "timeout": timeout}), say)
    if failure is not None:
        raise failure


def _run(argv: t.Sequence[str], job: str, say: Say) -> HostError | None:
    """Run it with the job and pass on what it says; what it failed with, or None."""
    last = ""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise HostError("sudo was started without its pipes.")
        process.stdin.write(job + "\n")
        process.stdin.flush()
        for line in process.stdout:
            last = line.strip()
            if not last.startswith(_FAILED):
                say(last)
        status = process.wait()
    if status == 0:
        return None
    return _deserialized(last)


def _deserialized(line: str) -> HostError:
    """From the last line that the builder wrote."""
    if not line.startswith(_FAILED):
        return HostError(f"The image's builder ended: {line}")
    facts = json.loads(line.removeprefix(_FAILED))
    if facts["missing"]:
        return ArchiveUnavailableError([MissingPackage(**one) for one in facts["missing"]])
    return HostError(facts["sentence"])


def _serialized(error: HostError) -> str:
    missing = error.missing if isinstance(error, ArchiveUnavailableError) else ()
    return _FAILED + json.dumps({"sentence": str(error), "missing": [asdict(one) for one in missing]})


def main() -> int:
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_client, daemon=True).start()
    builder = ImageBuilder(Cache(Path(job["cache"])), ImageOptions.from_mapping(job["options"], job["mirror"]), job["name"])
    try:
        image = builder.build(_say, job["timeout"])[0]
    except HostError as error:
        _say(_serialized(error))
        return 1
    finally:
        _give_back(builder.cache)
    _give(image.path)
    return 0


def _end_with_client() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)


def _give_back(cache: Cache) -> None:
    for folder in (cache.images, cache.root / "locks"):
        if folder.is_dir():
            _chown(folder)
    for lock in (cache.root / "locks").glob("*"):
        _chown(lock)


def _give(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        _chown(path)


def _chown(path: Path) -> None:
    """To whoever called sudo."""
    os.chown(path, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]), follow_symlinks=False)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
