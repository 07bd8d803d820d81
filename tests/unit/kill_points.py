# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills a run before or after each step that changes its host, or has that step fail."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

STEPS = ("write_atomic", "remove", "run", "make_directory")


class _KilledError(BaseException):
    """Not caught by what undoes a failure, as all steps of that fail, too."""


@contextlib.contextmanager
def killed(monkeypatch: pytest.MonkeyPatch, at: int) -> Iterator[list[int]]:
    """A kill before or after a step that changes the host; what is yielded has one element once it has come."""
    with _disturbed(monkeypatch, at, _KilledError(), lasting=True) as hit, contextlib.suppress(_KilledError):
        yield hit


@contextlib.contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException) -> Iterator[list[int]]:
    """One step fails, before or after it has changed the host, and what undoes it does not."""
    with _disturbed(monkeypatch, at, error, lasting=False) as hit, contextlib.suppress(type(error)):
        yield hit


@contextlib.contextmanager
def _disturbed(monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException, lasting: bool) -> Iterator[list[int]]:
    done: list[int] = [0]
    hit: list[int] = []

    def counted() -> None:
        done[0] += 1
        if (hit and lasting) or done[0] == at:
            hit[:] = [at]
            raise error

    def step(real: Callable[..., t.Any]) -> Callable[..., t.Any]:
        def run(*arguments: t.Any, **options: t.Any) -> t.Any:
            counted()
            result = real(*arguments, **options)
            counted()
            return result

        return run

    with monkeypatch.context() as patch:
        for name in STEPS:
            patch.setattr(Host, name, step(getattr(Host, name)))
        yield hit
