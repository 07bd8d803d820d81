# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as the same answer under another strategy."""

from __future__ import annotations

import pytest

from devtool.mitogen_runs import DRIFTED, found_everything_done, noticed

# As ansible-playbook 2.21 prints it.
DONE = "host                       : ok=3    changed=0    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0\n"
DRIFT = f"""fatal: [host]: FAILED! => {{"msg": "vfio_host_root: /r is not as the last run left it, and nothing can be changed there.
 {DRIFTED}
 is not as it was."}}
host                       : ok=2    changed=0    unreachable=0    failed=1    skipped=1    rescued=0    ignored=0
"""


def test_a_run_of_three_tasks_without_a_change_has_found_everything_done() -> None:
    assert found_everything_done(f"PLAY RECAP ***\n{DONE}")


@pytest.mark.parametrize(
    "output",
    ["", DONE.replace("ok=3", "ok=9"), DONE.replace("changed=0", "changed=1"), DONE.replace("failed=0", "failed=1"), DRIFT],
)
def test_anything_else_has_not(output: str) -> None:
    assert not found_everything_done(output)


def test_drift_is_noticed_only_if_the_file_is_named_and_the_run_fails() -> None:
    assert noticed(DRIFT, DRIFTED)
    assert not noticed(DRIFT, "/etc/other")
    assert not noticed(DRIFT.replace("failed=1", "failed=0"), DRIFTED)
