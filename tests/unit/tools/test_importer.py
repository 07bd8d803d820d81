# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A warning of Galaxy's importer is a failure, and so is an import that does not come to its end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devtool.environment import Environment
from devtool.importer import DONE, complaints, imported

# What galaxy-importer 0.4.44 prints.
QUIET = f"Importing with galaxy-importer 0.4.44\nLoading module boot_policy\n...ansible-lint run complete\n{DONE}\n"


def test_an_import_without_a_warning_is_none_to_complain_about() -> None:
    assert complaints(QUIET) == []


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: ERROR    Failed to find vfio.variants.testbed.create playbook.",
        "ERROR: Timeout on call to ansible-lint",
        "WARNING: 'meta/runtime.yml' with top-level 'requires_ansible' key is not present in the collection",
    ],
)
def test_a_warning_is_a_complaint(line: str) -> None:
    assert complaints(f"{line}\n{QUIET}") == [line]


def test_an_import_that_ends_early_is_a_complaint(tmp_path: Path) -> None:
    fake = tmp_path / "bin/python"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho Importing; echo $HOME $GALAXY_IMPORTER_RUN_ANSIBLE_TEST $PYTHONPATH\nexit 1\n")
    fake.chmod(0o755)
    said = imported(tmp_path / "a.tar.gz", tmp_path, Environment(tmp_path), {**os.environ, "PYTHONPATH": "/srv"})
    assert said.splitlines() == ["Importing", f"{tmp_path} false"]
    assert complaints(said) == ["the import did not come to its end"]
