# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a host everything, in a process whose processor time and memory are measured.

That process begins with the memory of the one that it was forked from, and what the kernel tells of a process that was started afresh
includes the memory of the one that started it. So one that is small from its beginning forks for each host.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host import cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.fuzz import base_host
from ansible_collections.vfio.variants.tests.fuzz.option_sets import MODULES, Called, limited
from ansible_collections.vfio.variants.tests.unit.module_calls import options_of
from ansible_collections.vfio.variants.tests.unit.trees import Tree

SECONDS = 10
"""Of processor time for each question."""


class Question(t.NamedTuple):
    """To a module, with these of its options."""

    called: Called
    options: t.Mapping[str, t.Any]


QUESTIONS: t.Mapping[str, Question] = {
    "device_info": Question(MODULES["device_info"], {}),
    "claim_info": Question(MODULES["claim_info"], {"devices": "10de:1db1"}),
    "boot_policy": Question(MODULES["boot_policy"], {"devices": "10de:1db1"}),
    "device_claim": Question(MODULES["device_claim"], {"devices": "10de:1db1"}),
    "initramfs": Question(MODULES["initramfs"], {"policy": {"modules": ["vfio_pci"]}}),
    "iommu": Question(MODULES["iommu"], {"passthrough": True}),
    "kernel_cmdline": Question(MODULES["kernel_cmdline"], {"arguments": ["intel_iommu=on"]}),
}


@dataclass(frozen=True)
class Limits:
    """Seconds until a process that waits for something counts as hanging, and how much memory it may take."""

    wall: int = 600
    mebibytes: int = 500


USUAL = Limits()


class Asking:
    """The process that asks; `questions` names a module and, in it, what to ask."""

    def __init__(self, limits: Limits = USUAL, questions: str = f"{__name__}:QUESTIONS") -> None:
        argv = (sys.executable, "-m", __name__, questions, str(limits.wall), str(limits.mebibytes))
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_error: object) -> None:
        # It ends where its input does.
        self._process.communicate()

    def about(self, root: Path) -> str | None:
        """What is wrong with the answers of a host; None if each is a result or one sentence, soon and in bounded memory."""
        questions, answers = self._process.stdin, self._process.stdout
        assert questions is not None
        assert answers is not None
        questions.write(f"{json.dumps(str(root))}\n")
        questions.flush()
        said: str | None = json.loads(answers.readline())
        return said


def _asked(tree: Tree, limits: Limits, questions: t.Mapping[str, Question]) -> str | None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _ask_all(tree, writer, questions)
    os.close(writer)
    deadline, ended = time.monotonic() + limits.wall, False
    while not ended and time.monotonic() < deadline:
        process, _status, used = os.wait4(child, os.WNOHANG)
        ended = process == child
        time.sleep(0 if ended else 0.02)
    if not ended:
        os.kill(child, 9)
        _process, _status, used = os.wait4(child, 0)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    seconds, mebibytes = used.ru_utime + used.ru_stime, used.ru_maxrss >> 10
    if not said.endswith("\n"):
        return f"no answer within {limits.wall} s, after {seconds:.0f} s of processor time; {said}"
    if mebibytes > limits.mebibytes:
        return f"{seconds:.0f} s of processor time, {mebibytes} MiB"
    return said.strip() or None


def _ask_all(tree: Tree, writer: int, questions: t.Mapping[str, Question]) -> t.NoReturn:
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    said = ""
    try:
        base_host.tree = lambda: tree  # type: ignore[assignment]
        said = "; ".join(one for module in questions for one in (_asked_one(module, questions[module]),) if one)
    finally:
        os.write(writer, f"{said[:3000]}\n".encode(errors="replace"))
        os._exit(0)


def _asked_one(module: str, question: Question) -> str:
    try:
        with limited(SECONDS):
            question.called.work(options_of(question.called.spec, **question.options))
    except HostError:
        # Its length is bounded where the module ends: it can show what a file says.
        return ""
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        places = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
        return f"{module}: {type(error).__name__}: {str(error)[:200]} ({places})"
    return ""


def main(of: str, wall: str, mebibytes: str) -> None:
    """Answer each line of the input, a host's root, by a line."""
    module, _colon, name = of.partition(":")
    questions: t.Mapping[str, Question] = getattr(importlib.import_module(module), name)
    limits = Limits(int(wall), int(mebibytes))
    with tempfile.TemporaryDirectory(prefix="vfio-variants-cache-") as folder:
        vars(cache)["CACHE_DIRECTORY"] = folder
        for line in sys.stdin:
            print(json.dumps(_asked(Tree(Path(json.loads(line))), limits, questions)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
