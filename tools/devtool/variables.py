# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment variables that programs of the project run with."""

from __future__ import annotations

import os
import sys

from devtool.checkout import Checkout
from devtool.environment import Environment
from devtool.interpreters import TARGET, find


def real_interpreters(checkout: Checkout) -> str:
    """A folder with one link for each Python that really runs.

    pyenv's shims answer to every version's name and then refuse; ansible-test gives up on the first one that does.
    """
    folder = checkout.cache / "pythons"
    folder.mkdir(parents=True, exist_ok=True)
    for minor in TARGET:
        interpreter = find(minor)
        link = folder / f"python{minor[0]}.{minor[1]}"
        if interpreter is None:
            link.unlink(missing_ok=True)
        elif not link.is_symlink() or link.readlink() != interpreter.path:
            new = link.with_name(f"{link.name}.{os.getpid()}")
            new.symlink_to(interpreter.path)
            new.replace(link)
    return str(folder)


def search_path(checkout: Checkout, environment: Environment) -> str:
    inherited = os.environ.get("PATH", os.defpath).split(os.pathsep)
    kept = [folder for folder in inherited if folder and not folder.rstrip("/").endswith("/shims")]
    return os.pathsep.join([str(environment.bin), real_interpreters(checkout), *kept])


def variables(checkout: Checkout, environment: Environment) -> dict[str, str]:
    """What is inherited, with the project's tools first and the checkout as a collection."""
    own = {
        "ANSIBLE_COLLECTIONS_PATH": str(checkout.tree),
        "PATH": search_path(checkout, environment),
        "PYTHONPATH": str(checkout.tree),
        # Whoever forbids bytecode wants a clean tree; without any, each process compiles all tests for several seconds.
        "PYTHONPYCACHEPREFIX": str(checkout.place / "bytecode"),
        "PYTHONUNBUFFERED": "1",
        "VIRTUAL_ENV": str(environment.path),
    }
    if not sys.stdout.isatty():
        own |= {"ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1", "PY_COLORS": "0"}
    # Ansible refuses to start under a locale that is not UTF-8; cron and some runners have none at all.
    if "UTF-8" not in (os.environ.get("LC_ALL") or os.environ.get("LANG") or "").upper().replace("UTF8", "UTF-8"):
        own["LC_ALL"] = "C.UTF-8"
    dropped = ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHON")
    return {key: value for key, value in os.environ.items() if key not in dropped} | own
