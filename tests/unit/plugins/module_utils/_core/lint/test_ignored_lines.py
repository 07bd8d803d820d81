# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, lines and words of modprobe.d that kmod passes over."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFile, PolicyFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.findings import MOST
from ansible_collections.vfio.variants.tests.unit.boots import boot
from ansible_collections.vfio.variants.tests.unit.judged import judged, kinds, sentence


def files(**texts: str) -> PolicyFiles:
    return PolicyFiles(modprobe=tuple(PolicyFile(path, text) for path, text in texts.items()))


def test_install_is_ignored_beside_a_softdep() -> None:
    text = "install nouveau /bin/false\nsoftdep nouveau pre: e1000e\n"
    said = sentence("install-beside-softdep", boot(modprobe=text))
    assert "/etc/modprobe.d/site.conf:1" in said
    assert "/etc/modprobe.d/site.conf:2" in said
    assert kinds(boot(modprobe="install nouveau /bin/false\nsoftdep e1000e pre: vfio-pci\n", cmdline="vfio-pci.ids=10de:1db1")) == []


def test_an_install_line_keeps_its_effect_beside_a_softdep_that_names_no_module() -> None:
    """kmod_module_get_softdeps() finds modules: without one there is no softdep, and the command runs."""
    text = "install nouveau /bin/false\nsoftdep nouveau pre: no_such_module\n"
    assert "install-beside-softdep" not in kinds(boot(modprobe=text))


def test_of_two_softdep_lines_the_first_by_file_name_counts() -> None:
    both = {
        "/etc/modprobe.d/10-vfio.conf": "softdep nouveau pre: vfio-pci\n",
        "/etc/modprobe.d/90-other.conf": "softdep nouveau pre: e1000e\n",
    }
    said = sentence("second-softdep", boot(modprobe=both, cmdline="vfio-pci.ids=10de:1db1"))
    assert said.startswith("/etc/modprobe.d/90-other.conf:1")
    assert "/etc/modprobe.d/10-vfio.conf:1" in said


def test_depmods_own_softdeps_come_by_name_as_well() -> None:
    own = "/lib/modules/6.12.107+deb13-amd64/modules.softdep"
    lost = {own: "softdep nouveau pre: e1000e\n", "/etc/modprobe.d/vfio.conf": "softdep nouveau pre: vfio-pci\n"}
    assert own in sentence("second-softdep", boot(modprobe=lost, cmdline="vfio-pci.ids=10de:1db1"))
    assert kinds(boot(modprobe={own: "softdep ext4 pre: crc32c\nsoftdep ext4 pre: crc16\n"})) == []


def test_a_second_softdep_that_adds_nothing_is_fine() -> None:
    text = "softdep nouveau pre: vfio-pci e1000e\nsoftdep nouveau pre: vfio_pci\n"
    assert kinds(boot(modprobe=text, cmdline="vfio-pci.ids=10de:1db1")) == []


def test_two_blanks_before_pre_make_kmod_ignore_a_softdep() -> None:
    assert "Use one blank" in sentence("softdep-two-blanks", boot(modprobe="softdep nouveau  pre: e1000e\n"))
    assert kinds(boot(modprobe="softdep nouveau pre: e1000e\n")) == []


def test_a_softdep_needs_pre_or_post() -> None:
    assert "softdep nouveau pre: e1000e" in sentence("softdep-without-place", boot(modprobe="softdep nouveau e1000e\n"))


def test_a_file_without_conf_at_its_end_is_not_read() -> None:
    assert "/etc/modprobe.d/vfio.conf" in sentence("no-conf-suffix", boot(), files=files(**{"/etc/modprobe.d/vfio": "blacklist nouveau\n"}))


@pytest.mark.parametrize("name", ["vfio.conf.bak", "vfio.conf~", "vfio.disabled", "README", ".hidden", "x.conf.dpkg-old", "vfio.conf"])
def test_a_file_that_is_put_aside_or_read_is_fine(name: str) -> None:
    assert kinds(boot(), files=files(**{f"/etc/modprobe.d/{name}": "blacklist nouveau\n"})) == []


def test_a_file_without_directives_is_not_reported() -> None:
    assert kinds(boot(), files=files(**{"/etc/modprobe.d/notes": "Ask Ann before you touch these.\n"})) == []


def test_a_hidden_namesake_that_is_about_a_contender_is_told() -> None:
    hidden = files(**{"/etc/modprobe.d/gpu.conf": "options e1000e x=1\n", "/usr/lib/modprobe.d/gpu.conf": "blacklist nouveau\n"})
    said = sentence("hidden-file", boot(), files=hidden)
    assert said.startswith("/usr/lib/modprobe.d/gpu.conf is hidden by /etc/modprobe.d/gpu.conf")


@pytest.mark.parametrize("hider", ["", "# nothing any more\nblacklist nouveau\n", None])
def test_a_namesake_that_hides_on_purpose_or_says_the_same_is_fine(hider: str | None) -> None:
    pair = (PolicyFile("/etc/modprobe.d/gpu.conf", hider), PolicyFile("/usr/lib/modprobe.d/gpu.conf", "blacklist nouveau\n"))
    assert kinds(boot(), files=PolicyFiles(modprobe=pair)) == []


def test_a_hidden_namesake_about_other_modules_is_fine() -> None:
    assert (
        kinds(boot(), files=files(**{"/etc/modprobe.d/a.conf": "options loop x=1\n", "/usr/lib/modprobe.d/a.conf": "options pcspkr y=1\n"}))
        == []
    )


def test_lines_that_kmod_drops_are_named() -> None:
    text = "# fine\n  # fine, too\n\nblacklist nouveau\nBlacklist nouveau\nblacklist\noptions vfio-pci\nblacklst nouveau\n"
    found = judged(boot(modprobe="blacklist nouveau"), files=files(**{"/etc/modprobe.d/gpu.conf": text}))
    assert [finding.source for finding in found] == [f"/etc/modprobe.d/gpu.conf:{line}" for line in (5, 6, 7, 8)]
    assert "Write blacklist." in found[0].sentence
    assert "incomplete" in found[1].sentence


@pytest.mark.parametrize(
    ("command", "advice"),
    [("/bin/false", "; `blacklist nouveau` keeps devices from loading it."), ("/sbin/modprobe -i nouveau", "."), ("/opt/x", ".")],
)
def test_a_blacklist_is_advised_only_in_place_of_a_line_that_keeps_out(command: str, advice: str) -> None:
    text = f"install nouveau {command}\nsoftdep nouveau pre: e1000e\n"
    assert sentence("install-beside-softdep", boot(modprobe=text)).endswith(f"Remove one of the two{advice}")


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("blacklist=nouveau", "`blacklist nouveau`"),
        ("options=vfio-pci ids=10de:1db1", "`options vfio-pci ids=10de:1db1`"),
        ("option vfio-pci ids=10de:1db1", "options"),
        ("blaclist nouveau", "blacklist"),
        ("soft-dep nouveau pre: vfio-pci", "softdep"),
    ],
)
def test_a_command_that_is_misspelt_is_named_with_the_one_that_is_meant(line: str, meant: str) -> None:
    assert sentence("ignored-line", boot(), files=files(**{"/etc/modprobe.d/a.conf": f"{line}\n"})).endswith(f" Write {meant}.")


def test_of_very_many_mistakes_of_a_kind_the_first_are_reported_and_that_there_are_more() -> None:
    found = judged(boot(), files=files(**{"/etc/modprobe.d/x.conf": "oops\n" * (MOST + 5)}))
    ignored = [one for one in found if one.kind == "ignored-line"]
    assert len(ignored) == MOST + 1
    assert (
        ignored[-1].sentence == f"/etc/modprobe.d/x.conf:{MOST + 1}: there are more findings of this kind; the first {MOST} are reported."
    )
