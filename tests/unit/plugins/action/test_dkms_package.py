# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often dkms_package calls its module on the host, and what is shown meanwhile."""

from __future__ import annotations

import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.vfio.variants.plugins.action.dkms_package import ActionModule
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils.source_archive import SourceArchive

DONE = {"changed": True, "kernels": {}}
Answer = dict[str, t.Any]


class Host(ActionModule):
    """The plugin with a host that has these kernels to build for, or nothing to do."""

    def __init__(self, builds: list[str] | None, fails: str = "", at_once: int = 1) -> None:
        self.calls: list[tuple[str, str | None]] = []
        self._builds = builds
        self._fails = fails
        self._at_once = at_once

    def _call(self, arguments: Answer, run: Answer, facts: Answer) -> Answer:  # noqa: ARG002 - as the plugin calls it
        self.calls.append((run["step"], " ".join(run["build"]) if "build" in run else None))
        if run["step"] == "look":
            todo = {"sources": False, "builds": self._builds, "at_once": self._at_once}
            return {"changed": False} if self._builds is None else {"changed": False, "_todo": todo}
        if self._fails and self._fails in run.get("build", (self._builds or [""])[-1:]):
            return {"failed": True, "msg": f"cannot be built for {self._fails}"}
        return dict(DONE)

    def outcome(self) -> Answer:
        return self._work({"name": "x", "_run": {}}, None, {"inventory_hostname": "gpu"})


@pytest.mark.parametrize(
    ("builds", "calls"),
    [
        (None, [("look", None)]),
        ([], [("look", None), ("finish", None)]),
        (["6.1"], [("look", None), ("finish", None)]),
        (["6.1", "6.12"], [("look", None), ("build", "6.1"), ("finish", None)]),
        (["6.1", "6.12", "7.3"], [("look", None), ("build", "6.1"), ("build", "6.12"), ("finish", None)]),
    ],
)
def test_nothing_to_do_is_one_call_and_the_last_call_builds_for_the_last_kernel(
    builds: list[str] | None, calls: list[tuple[str, str | None]]
) -> None:
    host = Host(builds)
    assert host.outcome()["changed"] is (builds is not None)
    assert host.calls == calls


@pytest.mark.parametrize(
    ("at_once", "calls", "shown"),
    [
        (2, [("build", "6.1 6.12"), ("finish", None)], ["kernels 6.1, 6.12 (1-2/3)", "kernel 7.3 (3/3)"]),
        (3, [("finish", None)], ["kernels 6.1, 6.12, 7.3 (1-3/3)"]),
    ],
)
def test_a_call_builds_for_as_many_kernels_as_the_host_does_at_once(
    at_once: int, calls: list[tuple[str, str | None]], shown: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    host = Host(["6.1", "6.12", "7.3"], at_once=at_once)
    assert host.outcome()["changed"]
    assert host.calls == [("look", None), *calls]
    said = capsys.readouterr().out
    places = [said.index(f"[gpu] {what}: {when}") for what in shown for when in ("building …", "built after")]
    assert places == sorted(places)


def test_each_kernel_is_shown_when_its_build_begins_and_when_it_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    Host(["6.1", "6.12"]).outcome()
    said = capsys.readouterr().out
    places = [
        said.index(f"[gpu] kernel {kernel} ({number}/2): {what}")
        for number, kernel in ((1, "6.1"), (2, "6.12"))
        for what in ("building …", "built after")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("fails", ["6.1", "6.12"])
def test_a_build_that_fails_ends_the_task(fails: str, capsys: pytest.CaptureFixture[str]) -> None:
    host = Host(["6.1", "6.12"], fails)
    assert host.outcome() == {"failed": True, "msg": f"cannot be built for {fails}"}
    assert len(host.calls) == (2 if fails == "6.1" else 3)
    assert f"kernel {fails} " in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("source", ["/usr/src/linux-source-6.12", "vfio-variants", "nothing"])
def test_a_source_beside_a_variant_is_refused_whether_it_is_there_or_not(source: str) -> None:
    host = Host(None)
    host._task = t.cast("t.Any", SimpleNamespace(args={"variant": "mlx5", "source": source}))
    with pytest.raises(
        HostError, match=r"^source: variant is built from a kernel's own source.*kernel_sources names the source of a kernel"
    ):
        host._arguments()
    assert not host.calls


def test_an_empty_source_is_refused_on_the_controller() -> None:
    host = Host(None)
    host._task = t.cast("t.Any", SimpleNamespace(args={"source": ""}))
    with pytest.raises(HostError, match=r"^source: there is no directory '' on the controller\. Give one of the collection's packages"):
        host._arguments()


def test_a_file_on_the_controller_is_not_taken_for_a_package(tmp_path: Path) -> None:
    package = tmp_path / "kernel.src.rpm"
    package.write_bytes(b"\xed\xab\xee\xdb")
    with pytest.raises(HostError, match=rf"^source: {package} is a file\. Give the folder with the package's dkms\.conf"):
        SourceArchive.read(package)
