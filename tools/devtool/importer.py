# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Galaxy says when the collection's archive is imported there, by the program that it runs for it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from devtool.console import stay_silent
from devtool.environment import Environment
from devtool.process import stream

SECONDS = 900
COMPLAINT = re.compile(r"^(?:WARNING|ERROR|CRITICAL): .+|^Traceback .+", re.MULTILINE)
DONE = "Importer processing completed successfully"
#: As Galaxy sets them; ansible-test, which it starts in a container, is a phase of its own here.
SETTINGS = {
    "GALAXY_IMPORTER_CHECK_REQUIRED_TAGS": "true",
    "GALAXY_IMPORTER_RUN_ANSIBLE_LINT": "true",
    "GALAXY_IMPORTER_RUN_ANSIBLE_DOC": "true",
    "GALAXY_IMPORTER_RUN_ANSIBLE_TEST": "false",
}
# What leads to this tree, or to settings of whoever runs this.
OURS = ("PYTHONPATH", "ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_CONFIG", "ANSIBLE_HOME")


def complaints(output: str) -> list[str]:
    """The lines that warn or tell of an error; one more if the import did not come to its end."""
    found = COMPLAINT.findall(output)
    return found if DONE in output else [*found, "the import did not come to its end"]


def imported(archive: Path, folder: Path, environment: Environment, variables: Mapping[str, str]) -> str:
    """All that the importer prints about the archive; `folder` is for what it writes."""
    inherited = {name: value for name, value in variables.items() if name not in OURS}
    path = f"{environment.bin}{os.pathsep}{inherited.get('PATH', os.defpath)}"
    env = {**inherited, **SETTINGS, "PATH": path, "HOME": str(folder), "GALAXY_IMPORTER_ANSIBLE_LOCAL_TMP": str(folder / "tmp")}
    argv = [environment.program("python"), "-m", "galaxy_importer.main", str(archive)]
    return "\n".join(stream(argv, cwd=folder, env=env, seconds=SECONDS, show=stay_silent).output)
