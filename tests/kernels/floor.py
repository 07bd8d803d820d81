# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test run has to have covered, whatever the archive lacks on the day; all beyond this may be missing, and is then named."""

from __future__ import annotations

import typing as t

#: Kernels that the drivers are built for, by Debian's architecture: a series, or all that begin so.
BUILDS = (("amd64", "6.1"), ("amd64", "6.12"), ("amd64", "7"), ("arm64", "6.12"), ("ppc64el", "6.12"))
#: Kernels that guests boot: of the drivers at work, and of the forecasts.
GUESTS = ("6.1", "6.12")


def is_of(architecture: str, series: str, wanted: tuple[str, str]) -> bool:
    """Whether a kernel is one of those that are wanted: 7.2 is when 7.2 is, or 7."""
    return architecture == wanted[0] and f"{series}.".startswith(f"{wanted[1]}.")


def missed_builds(covered: t.Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of the builds above those for which no kernel was covered; `covered`: architectures and series."""
    done = tuple(covered)
    return [wanted for wanted in BUILDS if not any(is_of(*kind, wanted) for kind in done)]


def missed_guests(covered: t.Container[str]) -> list[str]:
    return [series for series in GUESTS if series not in covered]
