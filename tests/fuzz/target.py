# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a target is: a parser, and what it may answer to any bytes."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible.errors import AnsibleFilterError

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.extended_regex import UnknownExpressionError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf import NotElfError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.values import FunctionError

SENTENCES = (HostError, NotElfError, FunctionError, UnknownExpressionError, AnsibleFilterError)
"""What a parser may raise: the callers make a sentence of each."""
LONGEST_MESSAGE = 4000
SECONDS = 10
"""Of processor time, for one input."""
MEBIBYTES = 700


class TooLongMessageError(Exception):
    """An error that shows all of a large value."""


@dataclass(frozen=True)
class Target:
    """``parse`` gets what stands in a file or an option; ``longest`` is the size of the inputs that the fuzzer makes."""

    name: str
    parse: t.Callable[[bytes], object]
    longest: int = 4096

    def __call__(self, data: bytes) -> None:
        """Raises whatever is neither an answer nor a sentence."""
        try:
            self.parse(data)
        except SENTENCES as error:
            if len(str(error)) > LONGEST_MESSAGE:
                raise TooLongMessageError(f"{len(str(error))} characters: {str(error)[:200]}") from error


def text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def halves(data: bytes) -> tuple[str, str]:
    """Two texts from one input, around its first line break."""
    first, _break, second = text(data).partition("\n")
    return first, second
