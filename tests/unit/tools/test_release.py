# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release is the same bytes each time, states its version once, and takes nothing away from the plays of the release before."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from devtool import archive
from devtool.checkout import COLLECTION, Checkout
from devtool.errors import DevtoolError
from devtool.interface import Interface, losses
from devtool.release import Programs, check_upgrade, may_lose, obstacles, previous

ROOT = Path(__file__).resolve().parents[3]
VERSION = archive.galaxy(ROOT)["version"]
# What a text says of the collection's own version; DKMS packages and programs have their own.
STATED = re.compile(
    r"vfio[.-]variants[-:= ]+v?(\d+\.\d+\.\d+)|(?:since|of|in) vfio\.variants v?(\d+\.\d+\.\d+)|version_added: \"?(\d+\.\d+\.\d+)"
)
# The DKMS package of this name has its own version.
DKMS = ("files/kernel/", "changelogs/")
MODULE = '''
DOCUMENTATION = """
module: look
short_description: Look
description: [Looks.]
author: "Someone (@someone)"
options:
{options}
"""
'''


def programs() -> Programs:
    folder = Path(sys.executable).parent
    return Programs(str(folder / "ansible-galaxy"), str(folder / "ansible-doc"), dict(os.environ))


def git(root: Path, *words: str) -> None:
    argv = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", *words]
    subprocess.run(argv, cwd=root, check=True, capture_output=True, timeout=60)


def put(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


def state(root: Path, version: str, *options: str, notes: bool = True) -> None:
    """A collection of one module with these options, committed."""
    galaxy = {"namespace": "vfio", "name": "variants", "version": version, "readme": "README.md", "authors": ["Someone"]}
    put(root, "galaxy.yml", yaml.safe_dump(galaxy))
    put(root, "README.md", "A collection.\n")
    put(root, "meta/runtime.yml", "requires_ansible: '>=2.19.0'\n")
    put(root, "plugins/modules/look.py", MODULE.format(options="\n".join(f"  {name}: {{description: It., type: str}}" for name in options)))
    releases = {version: {"release_date": "2026-01-02", "changes": {"release_summary": "It is out."}}} if notes else {}
    put(root, "changelogs/changelog.yaml", yaml.safe_dump({"ancestor": None, "releases": releases}))
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", version)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the release 1.1.0 of a module that has two options."""
    root = tmp_path / COLLECTION
    root.mkdir(parents=True)
    git(root, "init", "--quiet")
    state(root, "1.1.0", "device", "place")
    git(root, "tag", "v1.1.0")
    git(root, "tag", "v0.9.0")
    git(root, "tag", "vfio")
    return root


def built(root: Path, target: Path) -> Path:
    return archive.build(root, target, programs().galaxy, dict(os.environ))


@pytest.mark.sampled(6)
def test_two_builds_of_this_collection_have_the_same_bytes(tmp_path: Path) -> None:
    found = []
    names = Checkout.here().files()
    for turn, order in enumerate((names, names[::-1])):
        tree = tmp_path / str(turn) / COLLECTION
        for name in order:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name, follow_symlinks=False)
            if not (tree / name).is_symlink():
                os.utime(tree / name, (turn, turn))
        found.append(built(tree, tmp_path / f"dist-{turn}"))
    assert found[0].name == f"vfio-variants-{VERSION}.tar.gz"
    assert found[0].read_bytes() == found[1].read_bytes()
    with tarfile.open(found[0]) as packed:
        members = packed.getmembers()
    assert len({member.mtime for member in members}) == 1
    assert {name for name in names if name.startswith("plugins/")} <= {member.name for member in members}


def test_no_text_states_another_version_than_the_settings() -> None:
    wrong = []
    for name in Checkout.here().files():
        path = ROOT / name
        if name.startswith(DKMS) or path.is_symlink() or path.suffix not in (".md", ".py", ".yml", ".rst", ".toml", ".txt", ".cfg", ""):
            continue
        for found in STATED.finditer(path.read_text(encoding="utf-8", errors="replace")):
            stated = next(filter(None, found.groups()))
            newer = [int(number) for number in stated.split(".")] > [int(number) for number in VERSION.split(".")]
            if newer or (stated != VERSION and "version_added" not in found.group()):
                wrong.append(f"{name}: {found.group()}")
    assert wrong == []


def test_the_newest_release_before_this_version_is_the_one_to_come_from(repository: Path) -> None:
    assert previous(repository) == "v0.9.0"
    state(repository, "1.10.0", "device")
    git(repository, "tag", "v1.9.0")
    git(repository, "tag", "v2.0.0")
    assert previous(repository) == "v1.9.0"


def test_a_state_is_released_only_with_its_notes_and_without_changes(repository: Path) -> None:
    assert obstacles(repository) == []
    state(repository, "1.2.0", "device", notes=False)
    assert obstacles(repository) == ["changelogs/changelog.yaml has no release 1.2.0, which is the version in galaxy.yml."]
    put(repository, "changelogs/fragments/more.yml", "bugfixes: [one.]\n")
    assert [sentence.partition(":")[0] for sentence in obstacles(repository)[:2]] == [
        "The tree has changes that are not committed.",
        "Changelog fragments are not in the release notes yet",
    ]


def test_a_version_of_other_than_three_numbers_is_refused(repository: Path) -> None:
    state(repository, "1.2.0-dev", "device")
    with pytest.raises(DevtoolError, match=r"^galaxy\.yml: version is 1\.2\.0-dev; allowed are three numbers"):
        previous(repository)


@pytest.mark.sampled(4)
def test_the_way_from_the_release_before_is_closed_by_an_option_that_is_gone(
    repository: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    state(repository, "1.2.0", "device", "more")
    new = built(repository, tmp_path / "dist")
    with pytest.raises(DevtoolError, match="1 things are gone"):
        check_upgrade(repository, "v1.1.0", new, programs())
    said = capfd.readouterr().out
    assert "module vfio.variants.look has no option place any more" in said
    assert "device" not in said


@pytest.mark.parametrize(("version", "may"), [("1.2.0", False), ("1.1.1", False), ("2.0.0", True), ("10.0.0", True)])
def test_something_may_go_where_the_first_number_grows(version: str, may: bool) -> None:
    assert may_lose(version, "v1.1.0") is may


def test_what_the_settings_announce_may_go() -> None:
    before = Interface({"module a": frozenset({"x"}), "module b": frozenset()}, frozenset({"show"}))
    after = Interface({}, frozenset(), announced=frozenset({"module b"}))
    assert losses(before, after) == ["module a is gone, and meta/runtime.yml does not say so", "playbook vfio.variants.show is gone"]
