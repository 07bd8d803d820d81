# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door to the host: links stay below its root, writes are whole, commands and attributes are bounded in time."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import signal
import stat
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.host import processes
from ansible_collections.vfio.variants.plugins.module_utils._core.host.command import ANY_CODE, TIMED_OUT
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import Interrupted, interruptible, uninterrupted
from ansible_collections.vfio.variants.tests.unit.module_commands import MODULE
from ansible_collections.vfio.variants.tests.unit.trees import Tree


def really_run(args: list[str], **options: t.Any) -> tuple[int, str, str]:
    """What `AnsibleModule.run_command` does, as far as a host needs it."""
    environment = {**os.environ, **(options["environ_update"] or {})}
    done = subprocess.run(args, input=options["data"], env=environment, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_an_absolute_link_is_followed_below_the_root(tmp_path: Path) -> None:
    host = Tree(tmp_path).file("/usr/lib/os-release", "ID=tree").link("/etc/os-release", "/usr/lib/os-release").host()
    assert host.read_text("/etc/os-release") == "ID=tree"


def test_a_link_in_the_middle_of_a_path_and_parent_directories_stay_below_the_root(tmp_path: Path) -> None:
    host = Tree(tmp_path).file("/usr/lib/modules/6.1/x", "here").link("/lib", "../../../usr/lib").host()
    assert host.read_text("/lib/modules/6.1/x") == "here"
    assert host.text_or_none("/../../../../../etc/hostname") is None


def test_a_loop_of_links_is_told_and_not_followed_for_ever(tmp_path: Path) -> None:
    host = Tree(tmp_path).link("/a", "/b").link("/b", "/a").host()
    with pytest.raises(HostError, match="loop of symbolic links"):
        host.read_text("/a")


def test_the_names_in_a_directory_are_sorted_and_none_where_it_is_missing(tmp_path: Path) -> None:
    host = Tree(tmp_path).file("/d/b").file("/d/a").host()
    assert host.names("/d") == ("a", "b")
    assert host.names("/missing") == ()
    assert host.names("/d/a/below-a-file") == ()


def test_files_below_a_directory_leave_out_what_links_lead_to(tmp_path: Path) -> None:
    host = Tree(tmp_path).file("/d/x/1").file("/d/2").file("/other/3").link("/d/link", "/other").host()
    assert list(host.files_below("/d")) == ["/d/2", "/d/link", "/d/x/1"]


def test_a_command_is_found_where_it_is_executable(tmp_path: Path) -> None:
    host = Tree(tmp_path).file("/usr/bin/dkms", mode=0o644).file("/sbin/dkms", mode=0o755).host()
    assert host.which("dkms") == "/sbin/dkms"
    assert host.which("dracut") is None


def test_a_command_that_does_not_end_is_ended(tmp_path: Path) -> None:
    host = Host(str(tmp_path), really_run)
    begun = time.monotonic()
    with pytest.raises(HostError, match=r"`sleep 60` did not end within 0.2 s"):
        host.run(["sleep", "60"], timeout=0.2)
    assert time.monotonic() - begun < 10


def impatient(args: list[str], **options: t.Any) -> tuple[int, str, str]:
    """As `really_run`, but soon after a command was asked to end it is killed."""
    assert args[:2] == ["timeout", "--kill-after=5"]
    return really_run(["timeout", "--kill-after=0.1", *args[2:]], **options)


DEAF = ["sh", "-c", "trap '' TERM; sleep 60; sleep 60"]


def test_a_command_that_ignores_being_asked_to_end_has_not_ended_in_time(tmp_path: Path) -> None:
    host = Host(str(tmp_path), impatient)
    with pytest.raises(HostError, match=r"did not end within 0\.2 s"):
        host.run(DEAF, timeout=0.2)
    assert host.run(DEAF, timeout=0.2, ok=ANY_CODE).rc in TIMED_OUT


def test_a_command_that_somebody_kills_has_failed(tmp_path: Path) -> None:
    host = Host(str(tmp_path), really_run)
    with pytest.raises(HostError, match="failed with exit code -9"):
        host.run(["sh", "-c", "kill -KILL $$"], timeout=60)
    assert host.run(["sh", "-c", "kill -KILL $$"], timeout=60, ok=ANY_CODE).rc not in TIMED_OUT


def test_a_command_that_runs_when_a_signal_comes_is_ended_with_all_that_it_has_started(tmp_path: Path) -> None:
    """`AnsibleModule.run_command` leaves it behind."""
    begun: list[subprocess.Popen[bytes]] = []

    def runs(args: list[str], **_options: t.Any) -> tuple[int, str, str]:
        begun.append(subprocess.Popen(args, stdout=subprocess.DEVNULL))
        return begun[0].wait(), "", ""

    pid, late = tmp_path / "pid", tmp_path / "late"
    script = f"(trap '' TERM; sleep 1; touch {late}) & echo $! > {pid}.new; mv {pid}.new {pid}; kill -TERM {os.getpid()}; wait"
    with pytest.raises(Interrupted), interruptible():
        Host(str(tmp_path), runs).run(["sh", "-c", script], timeout=60)
    left = processes.stat_of(pid.read_text(encoding="ascii").strip())
    begun[0].wait()
    # There was time for it to end by itself.
    assert (left, late.exists()) == ((), True)


def test_a_signal_that_comes_while_python_starts_a_process_ends_the_run_all_the_same(tmp_path: Path) -> None:
    """What a function that runs at a fork raises is dropped, and told on standard error."""

    def runs(args: list[str], **_options: t.Any) -> tuple[int, str, str]:
        with contextlib.suppress(Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)
        return 0, "", ""

    host = Host(str(tmp_path), runs)
    with pytest.raises(Interrupted), interruptible():
        host.run(["true"], timeout=60)
    with interruptible(), uninterrupted():
        # What undoes the run can still run programs.
        assert Host(str(tmp_path), really_run).run(["true"], timeout=60).rc == 0


def test_a_module_gives_its_words_to_a_program_as_they_are(tmp_path: Path) -> None:
    class Module:
        run_command = staticmethod(functools.partial(AnsibleModule.run_command, t.cast("t.Any", MODULE)))
        set_default_selinux_context = staticmethod(lambda _path, changed: changed)

    host = Host.from_module(t.cast("t.Any", Module), str(tmp_path))
    assert host.run(["echo", "$HOME", "~", "rd.x=${PATH}"], timeout=60).stdout == "$HOME ~ rd.x=${PATH}\n"


def test_a_command_that_fails_is_told_with_its_last_line(tmp_path: Path) -> None:
    host = Host(str(tmp_path), really_run)
    with pytest.raises(HostError, match="exit code 3: the reason") as caught:
        host.run(["sh", "-c", "echo first >&2; echo the reason >&2; exit 3"], timeout=10)
    assert "first" in caught.value.facts["stderr"]


def test_a_command_speaks_english_and_gets_its_input_as_it_is(tmp_path: Path) -> None:
    host = Host(str(tmp_path), really_run)
    assert host.run(["sh", "-c", "echo $LC_ALL; cat"], timeout=10, stdin=b"text").stdout == "C\ntext"


def test_a_host_without_a_runner_can_only_be_read(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="is read-only"):
        Host(str(tmp_path)).run(["true"], timeout=1)


def test_a_written_file_has_its_mode_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/x.conf", "old", mode=0o600)
    tree.host().write_atomic("/etc/x.conf", b"new", mode=0o644)
    assert tree.place("/etc/x.conf").read_text() == "new"
    assert stat.S_IMODE(tree.place("/etc/x.conf").stat().st_mode) == 0o644
    assert os.listdir(tree.place("/etc")) == ["x.conf"]


def test_writing_through_a_link_changes_what_it_leads_to(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/data/x.conf", "old").link("/etc/x.conf", "/data/x.conf")
    tree.host().write_atomic("/etc/x.conf", b"new")
    assert tree.place("/etc/x.conf").is_symlink()
    assert tree.place("/data/x.conf").read_text() == "new"


def test_a_file_that_cannot_be_written_is_told_and_stays(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"^/missing/x.conf cannot be written: No such file or directory\.$"):
        Host(str(tmp_path)).write_atomic("/missing/x.conf", b"new")


def test_removing_a_link_keeps_what_it_leads_to_and_removing_nothing_is_not_an_error(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/data/x", "kept").link("/etc/x", "/data/x")
    tree.host().remove("/etc/x")
    tree.host().remove("/etc/x")
    assert not tree.place("/etc/x").is_symlink()
    assert tree.place("/data/x").read_text() == "kept"


def test_an_attribute_takes_its_value(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/sys/x", "")
    tree.host().write_attribute("/sys/x", "vfio-pci", timeout=10)
    assert tree.place("/sys/x").read_text() == "vfio-pci"


def test_a_refused_attribute_is_told_with_the_kernels_reason(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="refused 'x' for /sys/missing: No such file") as caught:
        Tree(tmp_path).host().write_attribute("/sys/missing", "x", timeout=10)
    assert caught.value.facts["errno"] == errno.ENOENT


def test_an_attribute_whose_write_hangs_is_left_behind(tmp_path: Path) -> None:
    # Opening a pipe that nobody reads waits, as a driver's remove() waits for a user of the device.
    tree = Tree(tmp_path)
    os.mkfifo(tree.place("/unbind"))
    begun = time.monotonic()
    with pytest.raises(HostError, match=r"did not finish writing 'x' to /unbind within 0.2 s") as caught:
        tree.host().write_attribute("/unbind", "x", timeout=0.2)
    assert time.monotonic() - begun < 10
    assert caught.value.facts["errno"] == errno.ETIMEDOUT
    # The reader lets the child go.
    assert tree.place("/unbind").read_text() == "x"


def test_two_runs_do_not_change_a_host_at_once(tmp_path: Path) -> None:
    host, other = Tree(tmp_path).host(), Tree(tmp_path).host()
    with host.lock(), pytest.raises(HostError, match="Another run"), other.lock(timeout=0.2):
        pass
    with other.lock(timeout=0.2):
        assert host.exists("/run/vfio-variants/lock")


def test_a_step_within_a_run_that_has_the_lock_does_not_wait_for_it_nor_let_it_go(tmp_path: Path) -> None:
    host, other = Tree(tmp_path).host(), Tree(tmp_path).host()
    with host.lock():
        with host.lock(timeout=0.2):
            pass
        with pytest.raises(HostError, match="Another run"), other.lock(timeout=0.2):
            pass


def test_a_folder_tells_its_attributes_links_and_names(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/sys/dev/vendor", "0x10de\n").link("/sys/dev/driver", "../bus/nouveau").directory("/sys/dev/net/eth0")
    with tree.host().open_directory("/sys/dev") as folder:
        assert sorted(folder.entries()) == ["driver", "net", "vendor"]
        assert (folder.names("net"), folder.names("block")) == (["eth0"], [])
        assert (folder.attribute("vendor"), folder.attribute("device"), folder.attribute("net")) == ("0x10de", None, None)
        assert (folder.link_name("driver"), folder.link_name("vendor")) == ("nouveau", None)


def test_a_folder_below_another_root_is_never_this_machines(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", Tree(tmp_path / "root")
    outside.mkdir()
    (outside / "name").write_text("this machine")
    root.file(f"{outside}/name", "that machine").link("/sys/dev", str(outside))
    with root.host().open_directory("/sys/dev") as folder:
        assert folder.attribute("name") == "that machine"
    with pytest.raises(HostError, match="/sys/none cannot be listed"), root.host().open_directory("/sys/none"):
        pass
