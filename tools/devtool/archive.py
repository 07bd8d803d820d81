# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's archive, with the same bytes whenever and wherever the same files are packed."""

from __future__ import annotations

import calendar
import gzip
import hashlib
import io
import json
import tarfile
import tempfile
import time
import typing as t
from collections.abc import Mapping
from pathlib import Path

import yaml

from devtool.process import attempt

BUILD_SECONDS = 600
MANIFEST, FILES = "MANIFEST.json", "FILES.json"
# Before the first release there is no day that all builds of it share.
NO_RELEASE = "1980-01-01"


def galaxy(tree: Path) -> dict[str, t.Any]:
    """What galaxy.yml says; it alone states the collection's version."""
    return dict(yaml.safe_load((tree / "galaxy.yml").read_text(encoding="utf-8")))


def released(tree: Path) -> dict[str, t.Any]:
    """The releases of the changelog, by version."""
    return dict(yaml.safe_load((tree / "changelogs/changelog.yaml").read_text(encoding="utf-8"))["releases"] or {})


def day_of(tree: Path) -> str:
    """The day of this version's release, which becomes the time of each file."""
    return str(released(tree).get(galaxy(tree)["version"], {}).get("release_date", NO_RELEASE))


def build(tree: Path, target: Path, ansible_galaxy: str, env: Mapping[str, str]) -> Path:
    """The archive of the collection in a real folder, built by ansible-galaxy and then packed in one order, with one time."""
    moment = calendar.timegm(time.strptime(day_of(tree), "%Y-%m-%d"))
    with tempfile.TemporaryDirectory() as folder:
        argv = [ansible_galaxy, "collection", "build", "--output-path", folder]
        attempt(argv, cwd=tree, env=env, seconds=BUILD_SECONDS, tries=1)
        (built,) = Path(folder).glob("*.tar.gz")
        packed = repacked(built, moment)
        target.mkdir(parents=True, exist_ok=True)
        archive = target / built.name
    new = archive.with_name(f".{archive.name}.new")
    new.write_bytes(packed)
    new.replace(archive)
    return archive


def repacked(archive: Path, moment: int) -> bytes:
    """The same archive in the order of its files' names, each of them last changed at that second of Unix time."""
    with tarfile.open(archive) as packed:
        members = {member.name: member for member in packed.getmembers()}
        contents = {name: (packed.extractfile(member) or io.BytesIO()).read() for name, member in members.items() if member.isreg()}
    listing = json.loads(contents[FILES])
    listing["files"].sort(key=lambda entry: entry["name"])
    contents[FILES] = _json(listing)
    manifest = json.loads(contents[MANIFEST])
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(contents[FILES]).hexdigest()
    contents[MANIFEST] = _json(manifest)
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as packed:
        for name in (MANIFEST, FILES, *sorted(members.keys() - {MANIFEST, FILES})):
            member = members[name]
            member.mtime, member.size = moment, len(contents.get(name, b""))
            packed.addfile(member, io.BytesIO(contents[name]) if name in contents else None)
    return gzip.compress(plain.getvalue(), mtime=moment)


def _json(value: object) -> bytes:
    # As ansible-galaxy writes it.
    return json.dumps(value, indent=True).encode()
