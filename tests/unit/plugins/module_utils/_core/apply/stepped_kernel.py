# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that runs device_claim step by step, so that a signal reaches it at a step that is known."""

from __future__ import annotations

import json
import os
import signal
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module
from ansible_collections.vfio.variants.tests.unit.module_calls import device_claim
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.model_kernel import ModelKernel

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.tests.unit.trees import Tree

Result = dict[str, t.Any]
LOST = 9999


class SteppedKernel(ModelKernel):
    """Before and after each write it tells its parent, and waits for an answer."""

    tell: int
    answer: int

    def write_attribute(self, path: str, value: str, timeout: float) -> None:
        self._pause()
        super().write_attribute(path, value, timeout)
        self._pause()

    def _pause(self) -> None:
        os.write(self.tell, b".")
        os.read(self.answer, 1)


class _Module:
    """As much of an AnsibleModule as run_module() needs; its result goes through a pipe."""

    params: t.ClassVar[dict[str, object]] = {}

    def __init__(self, results: int) -> None:
        self._results = results

    def run_command(self, *_arguments: t.Any, **_options: t.Any) -> tuple[int, str, str]:
        return 127, "", "no command"

    def set_default_selinux_context(self, _path: str, _changed: bool) -> bool:
        return False

    def warn(self, _text: str) -> None:
        return

    def exit_json(self, **result: t.Any) -> None:
        os.write(self._results, json.dumps(result).encode())
        os._exit(0)

    def fail_json(self, **result: t.Any) -> None:
        os.write(self._results, json.dumps({"failed": True, **result}).encode())
        os._exit(1)


def claim_in_steps(
    tree: Tree, natives: t.Mapping[str, str], loadable: t.Mapping[str, t.Sequence[str]], stop: int, number: int, **options: t.Any
) -> tuple[int, Result]:
    """Run device_claim in a process of its own, which gets the signal at step ``stop``; returns its number of steps, and what it returns.

    A process that ends without a result, as after SIGKILL, returns nothing.
    """
    tell, answer, results = os.pipe(), os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            kernel = SteppedKernel(tree, natives, loadable)
            kernel.tell, kernel.answer = tell[1], answer[0]
            for handle in (tell[0], answer[1], results[0]):
                os.close(handle)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            run_module(t.cast("t.Any", _Module(results[1])), lambda _host: device_claim(kernel, **options))
        finally:
            os._exit(70)
    for handle in (tell[1], answer[0], results[1]):
        os.close(handle)
    steps = 0
    while os.read(tell[0], 1):
        steps += 1
        if steps == stop:
            os.kill(child, number)
            if number == signal.SIGKILL:
                break
        # The process may have ended, by the signal.
        try:
            os.write(answer[1], b".")
        except BrokenPipeError:
            break
    os.waitpid(child, 0)
    with os.fdopen(results[0], "rb") as file:
        text = file.read()
    os.close(tell[0])
    os.close(answer[1])
    return steps, json.loads(text) if text else {}
