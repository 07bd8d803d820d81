# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a state of the repository a release: a clean tree, release notes, an archive, and a way from the release before it."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devtool import archive
from devtool.checkout import COLLECTION
from devtool.console import say
from devtool.errors import DevtoolError
from devtool.interface import installed, losses
from devtool.process import attempt, capture

TAG = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
SECONDS = 600


@dataclass(frozen=True)
class Programs:
    """Ansible's programs, and the variables that they run with."""

    galaxy: str
    doc: str
    env: Mapping[str, str]


def numbers(version: str) -> tuple[int, ...]:
    """The three numbers of a released version; a DevtoolError for anything else."""
    found = TAG.fullmatch(f"v{version}")
    if not found:
        raise DevtoolError(f"galaxy.yml: version is {version}; allowed are three numbers, such as 1.2.0.")
    return tuple(int(number) for number in found.groups())


def previous(root: Path) -> str | None:
    """The tag of the newest release before this version; None where there is none."""
    version = numbers(archive.galaxy(root)["version"])
    tags = [tag for tag in capture(["git", "tag", "--list", "v*"], cwd=root).split() if TAG.fullmatch(tag)]
    return max((tag for tag in tags if numbers(tag[1:]) < version), key=lambda tag: numbers(tag[1:]), default=None)


def obstacles(root: Path) -> list[str]:
    """Why this state cannot be released, a sentence each."""
    version = archive.galaxy(root)["version"]
    numbers(version)
    found = []
    if capture(["git", "status", "--porcelain"], cwd=root).strip():
        found.append("The tree has changes that are not committed.")
    waiting = sorted(path.name for path in (root / "changelogs/fragments").glob("*.y*ml"))
    if waiting:
        found.append(f"Changelog fragments are not in the release notes yet: {', '.join(waiting)}. `make changelog` puts them there.")
    if version not in archive.released(root):
        found.append(f"changelogs/changelog.yaml has no release {version}, which is the version in galaxy.yml.")
    elif not archive.released(root)[version].get("changes", {}).get("release_summary"):
        found.append(f"The release notes of {version} have no release_summary.")
    return found


def install(built: Path, folder: Path, programs: Programs) -> None:
    """Install an archive below a folder, over an earlier version if there is one."""
    argv = [programs.galaxy, "collection", "install", "--offline", "--force", "--collections-path", str(folder), str(built)]
    attempt(argv, cwd=folder, env=programs.env, seconds=SECONDS, tries=1)


def check_upgrade(root: Path, tag: str, built: Path, programs: Programs) -> None:
    """Install the release with this tag, then the new archive over it; what a play could name before must be there or announced."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, library = folder / "source" / COLLECTION, folder / "library"
        source.mkdir(parents=True)
        library.mkdir()
        files = folder / "files.tar"
        capture(["git", "archive", "--format=tar", f"--output={files}", tag], cwd=root)
        capture(["tar", "-xf", str(files), "-C", str(source)], cwd=root)
        install(archive.build(source, folder / "before", programs.galaxy, programs.env), library, programs)
        before = installed(library, programs.doc, programs.env)
        install(built, library, programs)
        lost = losses(before, installed(library, programs.doc, programs.env))
    for loss in lost:
        say(f"  since {tag}: {loss}")
    if lost and not may_lose(archive.galaxy(root)["version"], tag):
        raise DevtoolError(f"Plays for {tag} would fail: {len(lost)} things are gone, and the first number of the version is the same.")


def may_lose(version: str, tag: str) -> bool:
    """Whether this version may lack what the release with the tag has: only where the first number has grown."""
    return numbers(version)[0] > numbers(tag[1:])[0]


def checksum(built: Path) -> Path:
    """Write the archive's SHA-256 beside it, as sha256sum checks it."""
    path = built.with_name(f"{built.name}.sha256")
    path.write_text(f"{hashlib.sha256(built.read_bytes()).hexdigest()}  {built.name}\n", encoding="utf-8")
    return path


def release(root: Path, tree: Path, target: Path, programs: Programs) -> Path:
    """The archive of a state that can be released, from two builds with the same bytes; `tree` is a copy of `root`."""
    found = obstacles(root)
    if found:
        raise DevtoolError(" ".join(found))
    built = archive.build(tree, target, programs.galaxy, programs.env)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / COLLECTION
        shutil.copytree(tree, copy, symlinks=True, copy_function=shutil.copy)
        again = archive.build(copy, Path(folder) / "again", programs.galaxy, programs.env)
        if again.read_bytes() != built.read_bytes():
            raise DevtoolError(f"{built.name}: two builds of the same files differ.")
    tag = previous(root)
    if tag is None:
        say("There is no release before this one: no way from it to test.")
    else:
        check_upgrade(root, tag, built, programs)
    checksum(built)
    return built
