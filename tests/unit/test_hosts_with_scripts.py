# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose unit writes to attributes in ways that are not a redirection into a whole path.

Their truth comes from sh(1), systemd.exec(5) and drivers/base/bus.c.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    CARD,
    CARD_LINK,
    HERE,
    MOVER,
    NATIVE,
    ONE_LOST,
    OWN,
    Drawn,
    Truth,
    compare,
)

if t.TYPE_CHECKING:
    from pathlib import Path


THE_CARD: Truth = {CARD: None}
"""What has the other card is open, too, as nothing says for which of them it is."""
DRIVER = "/sys/bus/pci/drivers/nouveau"


def unit(truth: Truth, body: str, **files: str) -> Drawn:
    own = {f"{OWN}/card.service": f"[Service]\nType=oneshot\n{body}\n", **files}
    return Drawn(truth, own, CARD_LINK, open=() if truth is NATIVE else (CARD,))


def script(truth: Truth, text: str) -> Drawn:
    return unit(truth, f"ExecStart={MOVER}", **{MOVER: f"#!/bin/sh\n{text}\n"})


HOSTS = {
    # names alone, in the folder to which the script has gone
    "in the driver's folder": script(ONE_LOST, f"cd {DRIVER}\necho {CARD} > unbind"),
    "in the driver's folder, in one line": script(ONE_LOST, f'cd "{DRIVER}" && echo {CARD} >unbind'),
    "in the driver's folder, by a stack": script(ONE_LOST, f"pushd {DRIVER} >/dev/null; echo {CARD} > ./unbind; popd"),
    "in a folder of a folder": script(ONE_LOST, f"cd {HERE}\ncd driver\necho {CARD} | tee unbind"),
    "in a folder of a variable": script(ONE_LOST, f"d={HERE}\ncd $d/driver || exit 1\necho {CARD} > unbind"),
    "in a shell of its own": script(ONE_LOST, f"(cd {DRIVER}; echo {CARD} > unbind)"),
    "in the device's folder": script(ONE_LOST, f"cd {HERE}; echo 1 > remove"),
    "in the folder before": script(THE_CARD, f"cd {DRIVER}; cd /; cd -; echo {CARD} > unbind"),
    "in the unit's folder": unit(ONE_LOST, f"WorkingDirectory={DRIVER}\nExecStart=/bin/sh -c 'echo {CARD} > unbind'"),
    "a file of that name elsewhere": script(NATIVE, "cd /var/lib/site\necho 1 > remove\ndate > reset"),
    "a file of that name where it was begun": script(NATIVE, "echo 1 > remove"),
    "a folder that is only looked at": script(NATIVE, f"cd {HERE}\ncat driver_override > /run/x; ls"),
    # what systemd writes
    "output into an attribute": unit(THE_CARD, f"StandardOutput=truncate:{DRIVER}/unbind\nExecStart=/bin/echo {CARD}"),
    "output of a text": unit(
        ONE_LOST, f"StandardInput=data\nStandardInputText={CARD}\nStandardOutput=file:{HERE}/driver/unbind\nExecStart=/bin/cat"
    ),
    "output of another user's": unit(ONE_LOST, f"User=nobody\nStandardOutput=append:{HERE}/driver/unbind\nExecStart=/bin/echo {CARD}"),
    "errors into an attribute": unit(ONE_LOST, f"StandardError=file:{HERE}/remove\nExecStart=/bin/sh -c 'echo 1 >&2'"),
    "output into a log": unit(NATIVE, "StandardOutput=append:/var/log/site.log\nStandardError=journal\nExecStart=/bin/echo 1"),
    "output that is taken back": unit(NATIVE, f"StandardOutput=file:{HERE}/remove\nStandardOutput=journal\nExecStart=/bin/echo 1"),
}


@pytest.mark.parametrize("name", HOSTS)
def test_what_is_written_otherwise_counts(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)
