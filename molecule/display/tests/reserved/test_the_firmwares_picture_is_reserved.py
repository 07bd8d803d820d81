# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot without the native driver: the kernel has reserved the memory of the firmware's picture."""

from __future__ import annotations

import errno
import os
import typing as t


def test_its_reservation_is_named(
    claim: t.Callable[..., dict[str, t.Any]], owner: t.Callable[[], str], reserved: t.Callable[[], list[str]]
) -> None:
    holder = reserved()[0]
    answer = claim()
    assert f"reserved as {holder}" in answer["msg"]
    assert owner() == ""


def test_what_is_said_to_help_does(
    host: t.Any,
    claim: t.Callable[..., dict[str, t.Any]],
    reserved: t.Callable[[], list[str]],
    opened: t.Callable[[], t.Any],
) -> None:
    before, said = reserved(), claim()["msg"]
    assert claim(guards={"console": "ignore"})["changed"]
    seen = opened()
    if host.backend.host == "vga-display":
        assert "VFIO removes it when it gets the card" in said
        assert not set(reserved()) & set(before)
        assert seen.succeeded
    else:
        assert "`video=efifb:off` on the kernel's command line keeps it away" in said
        assert reserved() == before
        assert os.strerror(errno.EBUSY) in seen.stderr
    assert claim("absent")["changed"]
