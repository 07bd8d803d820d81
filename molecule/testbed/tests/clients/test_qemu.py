# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU inside the machine uses a card that the variant has."""

from __future__ import annotations

import json
import typing as t

QMP = tuple(json.dumps({"execute": command}) for command in ("qmp_capabilities", "query-pci", "quit"))
QEMU = "qemu-system-x86_64 -nodefaults -no-user-config -display none -machine q35 -accel tcg -m 64M -S -qmp stdio -device vfio-pci,host=%s"


def test_it_realises_the_card_through_the_variant(host: t.Any, at: dict[str, str], owner: t.Callable[[str], str]) -> None:
    done = host.run(f"printf '%%s\\n' %s %s %s | timeout 240 {QEMU}", *QMP, at["gpu"])
    assert (done.rc, [line for line in done.stderr.splitlines() if "vfio" in line or at["gpu"] in line]) == (0, [])
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["error"] for answer in answers if "error" in answer] == []
    (buses,) = [answer["return"] for answer in answers if isinstance(answer.get("return"), list)]
    identities = [(function["id"]["vendor"], function["id"]["device"]) for bus in buses for function in bus["devices"]]
    assert identities.count((0x10DE, 0x1DB1)) == 1
    assert owner("gpu") == "nvlink2gpu_vfio_pci"
