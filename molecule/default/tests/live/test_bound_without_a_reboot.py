# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Right after converge: what was done is what check mode had said."""

from __future__ import annotations

import json
import os
from pathlib import Path

FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


def test_check_mode_had_predicted_exactly_this() -> None:
    assert json.loads((FOLDER / "predicted.json").read_text()) == json.loads((FOLDER / "done.json").read_text())
