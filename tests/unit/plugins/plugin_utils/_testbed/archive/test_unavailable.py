# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt and pip really say of an archive that lacks something, and what they say when something else is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import unavailable
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import (
    MARK,
    ArchiveUnavailableError,
    MissingPackage,
    in_apt_output,
    in_pip_output,
    is_replaced,
    named_in,
    obtain,
    preferences,
)
from ansible_collections.vfio.variants.tests.unit.archives import DebianArchive, PythonIndex, served

DIRECT = {"no_proxy": "127.0.0.1", "LC_ALL": "C.UTF-8"}


class Apt:
    """apt-get with a system of its own, which has no package installed and asks one archive."""

    def __init__(self, folder: Path, archive: DebianArchive) -> None:
        self.archive = archive
        self.folder = folder
        for part in ("lists/partial", "cache/archives/partial", "admin"):
            (folder / part).mkdir(parents=True)
        (folder / "admin/status").touch()
        (folder / "preferences").touch()

    def __call__(self, address: str, *arguments: str, suite: str = "trixie") -> tuple[int, str]:
        sources = self.folder / "sources.list"
        sources.write_text(f"deb [trusted=yes arch=amd64] {address} {suite} main\n", encoding="utf-8")
        settings = {
            "Dir::State": self.folder,
            "Dir::State::lists": self.folder / "lists",
            "Dir::State::status": self.folder / "admin/status",
            "Dir::Cache": self.folder / "cache",
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": self.folder / "preferences",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Architecture": "amd64",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "0",
        }
        words = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        return program("apt-get", *words, *arguments)

    def get(self, address: str, *packages: str) -> tuple[int, str]:
        return self(address, "install", "--yes", "--download-only", *packages)


def program(*argv: str, **environment: str) -> tuple[int, str]:
    """Status and output of a program; pip's settings of this machine do not count."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    env = {**inherited, **DIRECT, "PIP_CONFIG_FILE": os.devnull, **environment}
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, check=False, timeout=120)
    return done.returncode, done.stdout


@pytest.fixture
def archive(tmp_path: Path) -> DebianArchive:
    """`beta` 2.0 is named and not there; `wrong` is not what the index says; `late` needs what nobody has."""
    made = DebianArchive(tmp_path / "archive")
    made.add("alpha")
    made.add("beta", "1.0")
    gone = made.add("beta", "2.0")
    wrong = made.add("wrong")
    made.add("late", depends="nothing (>= 3)")
    made.publish()
    gone.unlink()
    wrong.write_bytes(wrong.read_bytes().replace(b"1.0", b"9.9"))
    return made


@pytest.fixture
def apt(tmp_path: Path, archive: DebianArchive) -> t.Iterator[t.Callable[..., str]]:
    """What apt-get says when it is to get packages and fails."""
    command = Apt(tmp_path / "apt", archive)
    with served(archive.folder) as address:
        assert command(address, "update", "--error-on=any")[0] == 0

        def output(*packages: str) -> str:
            status, said = command.get(address, *packages)
            assert status != 0
            return said

        yield output


def names(missing: t.Iterable[MissingPackage]) -> list[str]:
    return [str(one) for one in missing]


def test_a_package_that_an_index_names_and_the_pool_lacks(apt: t.Callable[..., str]) -> None:
    (one,) = in_apt_output(apt("alpha", "beta"))
    assert (one.name, one.version, one.source) == ("beta", "2.0", "beta")
    assert one.reason.startswith("404")
    assert "127.0.0.1" not in str(one)


def test_a_package_that_is_not_what_the_index_says(apt: t.Callable[..., str]) -> None:
    assert names(in_apt_output(apt("wrong"))) == ["wrong 1.0 (Hash Sum mismatch)"]


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        ("nosuch", "nosuch (no index names it)"),
        ("alpha=7", "alpha 7 (no index names this version)"),
        ("late", "late (it depends on nothing (>= 3) but it is not installable)"),
    ],
)
def test_a_package_that_no_index_has(apt: t.Callable[..., str], package: str, expected: str) -> None:
    assert names(in_apt_output(apt(package))) == [expected]


def test_an_index_that_is_older_than_its_release_file(tmp_path: Path, archive: DebianArchive) -> None:
    index = archive.folder / "dists/trixie/main/binary-amd64/Packages"
    index.write_text(index.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with served(archive.folder) as address:
        status, output = Apt(tmp_path / "apt", archive)(address, "update", "--error-on=any")
    assert status != 0
    (one,) = in_apt_output(output)
    assert one.name == "the index of trixie for amd64"
    assert "Mirror sync in progress?" in one.reason


def test_a_suite_that_vanished(tmp_path: Path, archive: DebianArchive) -> None:
    with served(archive.folder) as address:
        status, output = Apt(tmp_path / "apt", archive)(address, "update", "--error-on=any", suite="bullseye")
    assert status != 0
    assert [one.name for one in in_apt_output(output)] == ["the index of bullseye for amd64"]


def test_an_archive_that_does_not_answer(tmp_path: Path, archive: DebianArchive) -> None:
    with served(archive.folder) as address:
        pass
    status, output = Apt(tmp_path / "apt", archive)(address, "update", "--error-on=any")
    assert status != 0
    (one,) = in_apt_output(output)
    assert one.name == "the index of trixie"
    assert "Connection refused" in one.reason


def test_a_package_whose_script_fails_was_delivered(tmp_path: Path) -> None:
    archive = DebianArchive(tmp_path / "archive")
    archive.add("alpha")
    broken = archive.add("broken", postinst="#!/bin/sh\necho no such thing as luck\nexit 7\n")
    tree = tmp_path / "tree"
    (tree / "var/lib/dpkg").mkdir(parents=True)
    (tree / "var/lib/dpkg/status").touch()
    status, output = program("dpkg", f"--root={tree}", "--force-not-root", "--force-script-chrootless", "--install", str(broken))
    assert status != 0
    assert "broken" in output
    assert in_apt_output(output) == ()


def test_a_full_disk_is_not_the_archives_fault(tmp_path: Path, archive: DebianArchive) -> None:
    small = tmp_path / "small"
    small.mkdir()
    with served(archive.folder) as address:
        fetch = "/usr/lib/apt/apt-helper -o APT::Sandbox::User=root -o Acquire::Retries=0 download-file"
        script = f"mount -t tmpfs -o size=4k tmpfs {small} && {fetch} {address}/pool/main/a/alpha/alpha_1.0_amd64.deb {small}/deb"
        status, output = program("unshare", "--map-root-user", "--mount", "sh", "-c", script)
    assert status != 0
    assert "No space left on device" in output
    assert in_apt_output(output) == ()


def test_another_version_is_taken_of_what_was_built_together(tmp_path: Path, archive: DebianArchive) -> None:
    """As a metapackage, which depends on a kernel of its own version."""
    archive.add("meta", "1.0", depends="beta (= 1.0)", source="beta")
    archive.add("meta", "2.0", depends="beta (= 2.0)", source="beta")
    archive.publish()
    command = Apt(tmp_path / "apt", archive)
    with served(archive.folder) as address:
        command(address, "update")
        missing = in_apt_output(command.get(address, "meta")[1])
        (command.folder / "preferences").write_text(preferences(missing), encoding="utf-8")
        status, output = command.get(address, "meta")
    assert status == 0
    assert sorted(re.findall(r"^Get:\d+ \S+ \S+ amd64 (\S+) amd64 (\S+)", output, re.MULTILINE)) == [("beta", "1.0"), ("meta", "1.0")]


def test_a_kernel_and_its_headers_change_together() -> None:
    pins = preferences([MissingPackage("linux-image-6.12.117+deb13-amd64", "404", "6.12.117-1", "linux-signed-amd64")])
    assert pins == "Package: src:linux src:linux-signed-*\nPin: version 6.12.117-1\nPin-Priority: -1\n\n"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment of its own."""
    place = tmp_path_factory.mktemp("environment")
    subprocess.run((sys.executable, "-m", "venv", place), check=True, timeout=120)
    return str(place / "bin/python")


@pytest.fixture
def index(tmp_path: Path) -> PythonIndex:
    """`beta` 2.0 is named and not there; `wrong` is not what the index says; `broken` does not build."""
    made = PythonIndex(tmp_path / "index")
    made.add("alpha", "1.0")
    made.add("beta", "1.0")
    gone = made.add("beta", "2.0")
    made.add("needs", "1.0", requires=["beta>=2"])
    wrong = made.add("wrong", "1.0")
    made.add_source("broken", "1.0", backend="raise SystemExit('no such thing as luck')")
    made.add_source("unbuilt", "1.0", requires=["nosuch"])
    gone.unlink()
    wrong.write_bytes(wrong.read_bytes() + b"more")
    return made


@pytest.fixture
def pip(python: str, index: PythonIndex) -> t.Iterator[t.Callable[..., str]]:
    with served(index.folder) as address:

        def output(*requirements: str) -> str:
            status, said = install(python, address, *requirements)
            assert status != 0
            return said

        yield output


def install(python: str, address: str, *requirements: str) -> tuple[int, str]:
    options = ("--disable-pip-version-check", "--no-cache-dir", "--retries", "1", "--index-url", f"{address}/simple")
    return program(python, "-m", "pip", "install", "--quiet", *options, *requirements)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("requirement", ["beta", "beta==2.0", "needs"])
def test_a_python_package_that_the_index_names_and_lacks(pip: t.Callable[..., str], requirement: str) -> None:
    (one,) = in_pip_output(pip(requirement))
    assert (one.name, one.version) == ("beta", "2.0")
    assert "404" in one.reason


def test_a_python_package_that_is_not_what_the_index_says(pip: t.Callable[..., str]) -> None:
    assert names(in_pip_output(pip("wrong"))) == ["wrong 1.0 (its content is not what the index says)"]


@pytest.mark.parametrize(
    ("requirement", "expected"), [("nosuch", "nosuch (the index does not have it)"), ("alpha==3", "alpha 3 (the index does not have it)")]
)
def test_a_python_package_that_the_index_does_not_have(pip: t.Callable[..., str], requirement: str, expected: str) -> None:
    assert names(in_pip_output(pip(requirement))) == [expected]


def test_an_index_that_does_not_answer(python: str, index: PythonIndex) -> None:
    with served(index.folder) as address:
        pass
    status, output = install(python, address, "alpha")
    assert status != 0
    assert names(in_pip_output(output)) == ["alpha (the index cannot be reached)"]


def test_a_python_package_whose_server_does_not_answer(python: str, index: PythonIndex) -> None:
    with served(index.folder) as closed:
        pass
    page = index.folder / "simple/alpha/index.html"
    page.write_text(page.read_text(encoding="utf-8").replace('href="', f'href="{closed}/'), encoding="utf-8")
    with served(index.folder) as address:
        status, output = install(python, address, "alpha")
    assert status != 0
    (one,) = in_pip_output(output)
    assert (one.name, one.version) == ("alpha", "1.0")


def test_a_python_package_whose_download_breaks_off(python: str, index: PythonIndex) -> None:
    with served(index.folder, breaks_off=".whl") as address:
        status, output = install(python, address, "alpha")
    assert status != 0
    (one,) = in_pip_output(output)
    assert (one.name, one.version) == ("alpha", "1.0")


def test_a_python_package_that_does_not_build_was_delivered(pip: t.Callable[..., str]) -> None:
    output = pip("broken")
    assert "no such thing as luck" in output
    assert in_pip_output(output) == ()


@pytest.mark.sampled(2)
def test_a_python_package_whose_build_needs_what_the_index_lacks(pip: t.Callable[..., str]) -> None:
    assert names(in_pip_output(pip("unbuilt"))) == ["nosuch (the index does not have it)"]


def test_requirements_that_contradict_each_other_are_ours(pip: t.Callable[..., str]) -> None:
    output = pip("needs", "beta<2")
    assert "conflict" in output
    assert in_pip_output(output) == ()


GONE = MissingPackage("beta", "404", "2.0", "beta")


class Attempts:
    """An attempt that fails in these ways, one after the other, and then succeeds."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.avoided: list[tuple[MissingPackage, ...]] = []
        self.said: list[str] = []

    def __call__(self, avoided: tuple[MissingPackage, ...]) -> str:
        self.avoided.append(avoided)
        if self.failures:
            raise self.failures.pop(0)
        return "made"

    def obtain(self) -> str:
        return obtain(self, self.said.append)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unavailable, "PAUSES", (0.0,))


def test_what_is_there_the_second_time_was_never_missing() -> None:
    attempts = Attempts(ArchiveUnavailableError([GONE]))
    assert attempts.obtain() == "made"
    assert attempts.avoided == [(), ()]
    assert named_in(attempts.said) == ()


def test_another_version_comes_after_asking_again_and_is_named() -> None:
    attempts = Attempts(*(ArchiveUnavailableError([GONE]) for _time in range(2)))
    assert attempts.obtain() == "made"
    assert attempts.avoided == [(), (), (GONE,)]
    (name,) = named_in(attempts.said)
    assert name.startswith("beta 2.0 (404)")
    assert is_replaced(name)


def test_what_no_version_can_replace_is_named_as_it_was_wanted() -> None:
    consequence = MissingPackage("meta", "it depends on beta (= 2.0)")
    attempts = Attempts(*(ArchiveUnavailableError([GONE]) for _time in range(2)), ArchiveUnavailableError([consequence]))
    with pytest.raises(ArchiveUnavailableError) as caught:
        attempts.obtain()
    assert str(caught.value) == f"{MARK}beta 2.0 (404)"
    assert not is_replaced(named_in(caught.value.lines())[0])


def test_a_fault_of_ours_is_not_tried_again() -> None:
    attempts = Attempts(HostError("it does not build"))
    with pytest.raises(HostError, match=r"^it does not build$"):
        attempts.obtain()
    assert attempts.avoided == [()]
