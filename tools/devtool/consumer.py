# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository in tests/consumer as its owner would have it: by itself, with the collection from its archive and nothing of this tree."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from devtool import archive
from devtool.checkout import Checkout
from devtool.environment import Environment
from devtool.process import capture
from devtool.release import Programs, install

SOURCE = "tests/consumer"
SECONDS = 3600
# What leads to this tree, or to settings of whoever runs this.
OURS = ("PYTHONPATH", "ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_CONFIG")
QUICK = {
    "the playbook of the site": ("ansible-playbook", "--inventory", "inventory.yml", "--syntax-check", "site.yml"),
    "its documentation": ("ansible-doc", "vfio.variants.test_vm"),
    "the scenario is found": ("molecule", "list"),
    "the scenario's playbooks": ("molecule", "syntax"),
    "the end of machines that there are not": ("molecule", "destroy"),
}
SCENARIO = {"the scenario": ("molecule", "test", "--destroy", "always")}


@dataclass(frozen=True)
class Consumer:
    """The repository in a folder of its own, and the variables that its owner's programs run with."""

    folder: Path
    env: Mapping[str, str]
    bin: Path

    def run(self, argv: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        """One of its owner's commands, with all output in `stdout`."""
        return subprocess.run(
            (str(self.bin / argv[0]), *argv[1:]),
            cwd=self.folder,
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            text=True,
            errors="replace",
            timeout=SECONDS,
        )


def prepare(checkout: Checkout, tree: Path, place: Path, main: Environment, variables: Mapping[str, str]) -> Consumer:
    """Build the archive of `tree`, a copy of the collection, install it below `place`, and make the repository there."""
    env = {name: value for name, value in variables.items() if name not in OURS}
    built = archive.build(tree, place / "dist", main.program("ansible-galaxy"), env)
    library, folder = place / "library", place / "site"
    library.mkdir()
    install(built, library, Programs(main.program("ansible-galaxy"), main.program("ansible-doc"), env))
    for name in checkout.files():
        if name.startswith(f"{SOURCE}/"):
            target = folder / name.removeprefix(f"{SOURCE}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(checkout.root / name, target)
    capture(["git", "init", "--quiet", str(folder)])
    path = f"{main.bin}{os.pathsep}{env.get('PATH', os.defpath)}"
    return Consumer(folder, {**env, "PATH": path, "ANSIBLE_COLLECTIONS_PATH": str(library)}, main.bin)


def outcomes(consumer: Consumer, commands: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, bool, str]]:
    """What each command is about, whether it ended well, and what it said."""
    for about, argv in commands.items():
        ended = consumer.run(argv)
        yield about, ended.returncode == 0, ended.stdout
