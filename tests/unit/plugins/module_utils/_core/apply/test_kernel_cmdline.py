# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel arguments come and go by the way of the loader in charge, and nothing else changes."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.unfinished import unfinished_work
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.root_path import Root
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.tests.unit import cmdline_hosts as hosts
from ansible_collections.vfio.variants.tests.unit.boot_menus import NEW, efi_variable
from ansible_collections.vfio.variants.tests.unit.cmdline_hosts import ROOT, SETTINGS, CmdlineHost

WORDS = ("intel_iommu=on", "iommu=pt")
DROP_IN = "/etc/default/grub.d/zz-vfio-variants.cfg"
RECORD = "/var/lib/vfio-variants/kernel_cmdline.json"
Make = t.Callable[[Path], CmdlineHost]


class Kind(t.NamedTuple):
    """A host, and what the module says of it."""

    make: Make
    loader: str
    method: str
    setting: str
    command: list[str] | None


KINDS = {
    "Debian, GRUB": Kind(hosts.debian, "GRUB", "grub-mkconfig", DROP_IN, ["update-grub"]),
    "openSUSE, GRUB": Kind(hosts.opensuse, "GRUB", "grub-mkconfig", "/etc/default/grub", ["grub2-mkconfig", "-o", "/boot/grub2/grub.cfg"]),
    "Fedora, GRUB and entries": Kind(
        hosts.fedora, "GRUB", "grubby", "/etc/kernel/cmdline", ["grubby", "--update-kernel=ALL", "--args=intel_iommu=on iommu=pt"]
    ),
    "Rocky, as installed": Kind(
        hosts.rocky, "GRUB", "grubby", "/etc/default/grub", ["grubby", "--update-kernel=ALL", "--args=intel_iommu=on iommu=pt"]
    ),
    "Arch, hand-written entries": Kind(hosts.arch_entries, "systemd-boot", "entries", "/boot/loader/entries/arch.conf", None),
    "Arch, unified image": Kind(hosts.arch_unified, "systemd-boot", "mkinitcpio", "/etc/kernel/cmdline", ["mkinitcpio", "-P"]),
    "Debian, kernel-install": Kind(
        hosts.kernel_install,
        "systemd-boot",
        "kernel-install",
        "/etc/kernel/cmdline",
        ["kernel-install", "add", NEW, f"/boot/vmlinuz-{NEW}"],
    ),
    "openSUSE, sdbootutil": Kind(
        hosts.opensuse_sdbootutil, "systemd-boot", "sdbootutil", "/etc/kernel/cmdline", ["sdbootutil", "update-all-entries"]
    ),
    "openSUSE, GRUB without grub.cfg": Kind(
        hosts.opensuse_grub_entries, "GRUB", "sdbootutil", "/etc/kernel/cmdline", ["sdbootutil", "update-all-entries"]
    ),
    "Debian, u-boot-menu": Kind(hosts.u_boot, "extlinux", "u-boot-update", "/etc/default/u-boot", ["u-boot-update"]),
    "a board, extlinux.conf": Kind(hosts.extlinux, "extlinux", "entries", "/boot/extlinux/extlinux.conf", None),
}


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


def test_arguments_reach_the_entry_of_each_kernel_by_the_ways_own_program(tmp_path: Path, kind: Kind) -> None:
    host = kind.make(tmp_path)

    result = host.call(*WORDS)

    assert (result["changed"], result["loader"], result["method"]) == (True, kind.loader, kind.method)
    assert result["entries"]
    for entry in result["entries"].values():
        assert entry["after"] == [*entry["before"], *WORDS]
    assert kind.setting in result["files"]
    assert result["reboot_required"]
    assert [kind.command] == host.commands.calls[:1] if kind.command else host.commands.calls == []
    assert result["warnings"] == []


def test_check_mode_predicts_the_same_and_writes_nothing(tmp_path: Path, kind: Kind) -> None:
    host = kind.make(tmp_path)
    before = host.files()

    predicted = host.call(*WORDS, check_mode=True)

    assert host.files() == before
    done = host.call(*WORDS)
    for name in ("changed", "entries", "commands", "diff", "files", "reboot_required", "running"):
        assert predicted[name] == done[name], name
    assert predicted["diff"]


def test_a_second_run_changes_nothing_and_runs_nothing(tmp_path: Path, kind: Kind) -> None:
    host = kind.make(tmp_path)
    host.call(*WORDS)
    host.commands.calls.clear()
    before = host.files()

    result = host.call(*WORDS)

    assert not result["changed"]
    assert result["diff"] == []
    assert host.commands.calls == []
    assert host.files() == before


def test_what_was_added_is_taken_back_without_trace(tmp_path: Path, kind: Kind) -> None:
    host = kind.make(tmp_path)
    before = host.files()
    host.call(*WORDS)

    result = host.call(*WORDS, state="absent")

    assert result["changed"]
    assert host.files() == before
    assert not host.call(*WORDS, state="absent")["changed"]


def test_arguments_that_came_one_by_one_go_one_by_one(tmp_path: Path, kind: Kind) -> None:
    host = kind.make(tmp_path)
    before = host.files()
    host.call(WORDS[0])
    host.call(WORDS[1])

    between = host.call(WORDS[0], state="absent")
    for entry in between["entries"].values():
        assert WORDS[1] in entry["after"]
        assert WORDS[0] not in entry["after"]

    host.call(WORDS[1], state="absent")
    assert host.files() == before


def test_without_a_record_the_arguments_are_taken_out_word_by_word(tmp_path: Path, kind: Kind) -> None:
    host = kind.make(tmp_path)
    host.call(*WORDS)
    host.tree.place(RECORD).unlink()

    result = host.call(*WORDS, state="absent")

    for entry in result["entries"].values():
        assert entry["after"] == [word for word in entry["before"] if word not in WORDS]
    assert not any(word in text.decode("utf-8", "replace") for word in WORDS for text in host.files().values())


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS.values() if kind.command], ids=[name for name, kind in KINDS.items() if kind.command]
)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_everything_is_put_back_if_the_program_fails(tmp_path: Path, kind: Kind, state: str) -> None:
    host = kind.make(tmp_path)
    if state == "absent":
        host.call(*WORDS)
        # Something is left for grubby to do.
        host.tree.place(RECORD).unlink()
    host.tree.file("/refuse")
    before = host.files()

    with pytest.raises(HostError, match="failed with exit code 1") as raised:
        host.call(*WORDS, state=state)

    assert raised.value.hint == "Everything was put back."
    assert host.files() == before


def test_a_program_that_leaves_an_entry_as_it_was_is_noticed(tmp_path: Path) -> None:
    host = hosts.debian(tmp_path)
    hosts.program(host, "update-grub", "exit 0\n", folder="/usr/sbin")
    before = host.files()

    with pytest.raises(HostError, match=r"After `update-grub`, /boot/grub/grub.cfg:\d+ lacks intel_iommu=on iommu=pt"):
        host.call(*WORDS)

    assert host.files() == before


def test_a_program_that_loses_a_foreign_argument_is_noticed(tmp_path: Path) -> None:
    host = hosts.fedora(tmp_path, f"{ROOT} console=tty0")
    grubby = host.tree.place("/usr/sbin/grubby")
    grubby.write_text(grubby.read_text().replace('f"options {last}"', 'f"options {last}".replace(" console=tty0", "")'))
    before = host.files()

    with pytest.raises(HostError, match="has lost console=tty0"):
        host.call("iommu=pt")

    assert host.files() == before


@pytest.mark.parametrize("is_image", [True, False])
def test_in_an_image_the_root_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_image: bool) -> None:
    host = hosts.debian(tmp_path)
    # As 10_linux does where /dev/disk/by-uuid has no link.
    there = hosts.UPDATE_GRUB.replace("root=UUID=0f22fa61", "root=/dev/loop1p2")
    hosts.program(host, "update-grub", there.format(folder=hosts.READS_FOLDER, config="/boot/grub/grub.cfg"), folder="/usr/sbin")
    monkeypatch.setattr(Root, "is_image", is_image)
    if not is_image:
        assert "root=/dev/loop1p2" in host.call(*WORDS)["warnings"][0]
        return
    with pytest.raises(
        HostError, match=r"After `update-grub`, /boot/grub/grub.cfg:\d+ has root=/dev/loop1p2 in place of root=UUID=0f22fa61"
    ) as told:
        host.call(*WORDS)
    assert "/dev/disk/by-uuid" in str(told.value.hint)
    assert "root=UUID=0f22fa61" in host.text("/boot/grub/grub.cfg")
    assert WORDS[0] not in host.text("/boot/grub/grub.cfg")


def test_a_program_that_does_not_end_is_stopped_and_everything_put_back(tmp_path: Path) -> None:
    host = hosts.debian(tmp_path)
    hosts.program(host, "update-grub", "sleep 60\n", folder="/usr/sbin")
    before = host.files()

    with pytest.raises(HostError, match="did not end within 1 s"):
        host.call(*WORDS, timeout=1)

    assert host.files() == before


# -- GRUB's settings


def test_arguments_win_against_a_file_that_sets_the_variable_without_regard(tmp_path: Path) -> None:
    host = hosts.debian(tmp_path)
    host.tree.file("/etc/default/grub.d/50-cloudimg-settings.cfg", 'GRUB_CMDLINE_LINUX_DEFAULT="console=tty1 intel_iommu=off"\n')

    result = host.call("intel_iommu=on")

    assert result["entries"][NEW]["after"] == ["root=UUID=0f22fa61", "ro", "console=tty1", "intel_iommu=off", "intel_iommu=on"]
    assert result["warnings"]  # the cloud's file had not come into effect before


@pytest.mark.parametrize("name", ["GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"])
def test_arguments_come_before_words_that_are_not_the_kernels(tmp_path: Path, name: str) -> None:
    host = hosts.debian(tmp_path, SETTINGS.replace(f'{name}="', f'{name}="a -- b '))
    before = host.files()

    result = host.call(*WORDS)

    after = result["entries"][NEW]["after"]
    assert after.index("iommu=pt") < after.index("--")
    host.call(*WORDS, state="absent")
    assert host.files() == before


def test_a_foreign_argument_is_taken_out_of_the_hosts_own_settings(tmp_path: Path) -> None:
    host = hosts.debian(tmp_path)

    host.call("quiet", state="absent")

    assert host.text("/etc/default/grub") == SETTINGS.replace('"quiet"', '""')


def test_quotes_in_an_argument_reach_the_kernel(tmp_path: Path) -> None:
    host = hosts.debian(tmp_path)

    result = host.call('dyndbg="file x +p"')

    assert result["entries"][NEW]["after"][-1] == '"dyndbg=file x +p"'
    assert not host.call('dyndbg="file x +p"')["changed"]


def test_settings_that_only_a_shell_understands_are_an_error_where_they_have_the_argument(tmp_path: Path) -> None:
    text = 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nif true; then GRUB_CMDLINE_LINUX="iommu=pt"; fi\n'
    host = hosts.debian(tmp_path, text)

    with pytest.raises(HostError, match="/etc/default/grub sets iommu=pt in a way that cannot be changed safely"):
        host.call("iommu=pt", state="absent")

    assert host.text("/etc/default/grub") == text


def test_our_own_file_is_not_replaced_if_somebody_has_edited_it(tmp_path: Path) -> None:
    host = hosts.debian(tmp_path)
    host.call(*WORDS)
    host.tree.file(DROP_IN, host.text(DROP_IN) + "GRUB_TIMEOUT=1\n")

    with pytest.raises(HostError, match="is not as this collection has written it"):
        host.call("pcie_aspm=off")


def test_settings_with_the_argument_that_no_entry_has_yet_are_brought_into_effect(tmp_path: Path) -> None:
    host = hosts.debian(tmp_path)
    host.tree.file("/etc/default/grub", SETTINGS.replace('LINUX=""', 'LINUX="iommu=pt"'))

    result = host.call("iommu=pt")

    assert result["changed"]
    assert host.commands.calls == [["update-grub"]]
    assert not host.tree.place(DROP_IN).exists()


# -- /etc/kernel/cmdline


def test_without_settings_kernel_install_gets_the_entrys_arguments_until_they_are_taken_back(tmp_path: Path) -> None:
    host = hosts.kernel_install(tmp_path, None)
    before = host.files()
    host.call(*WORDS)
    assert host.text("/etc/kernel/cmdline") == f"{ROOT} quiet intel_iommu=on iommu=pt\n"
    # The host has been rebooted meanwhile.
    host.tree.cmdline(f"initrd=\\{hosts.MACHINE}\\{NEW}\\initrd {ROOT} quiet intel_iommu=on iommu=pt")

    result = host.call(*WORDS, state="absent")

    assert result["reboot_required"]
    host.tree.cmdline(f"initrd=\\{hosts.MACHINE}\\{NEW}\\initrd {ROOT} quiet")
    assert host.files() == before


def test_comments_and_line_breaks_of_the_settings_stay(tmp_path: Path) -> None:
    text = f"# mine\n{ROOT}\nquiet\n# end\n"
    host = hosts.arch_unified(tmp_path)
    host.tree.file("/etc/kernel/cmdline", text)

    host.call(*WORDS)

    assert host.text("/etc/kernel/cmdline") == f"# mine\n{ROOT}\nquiet intel_iommu=on iommu=pt\n# end\n"
    host.call(*WORDS, state="absent")
    assert host.text("/etc/kernel/cmdline") == text


def test_u_boot_update_takes_the_line_where_it_has_no_parameters_of_its_own(tmp_path: Path) -> None:
    host = hosts.u_boot(tmp_path)
    host.tree.file("/etc/kernel/cmdline", f"{ROOT} quiet\n")

    result = host.call(*WORDS)

    assert "/etc/kernel/cmdline" in result["files"]
    assert not host.tree.place("/etc/default/u-boot").exists()
    assert "root=UUID=0f22fa61" in result["entries"][NEW]["after"]


# -- Proxmox VE


@pytest.mark.parametrize(("grub", "loader", "setting"), [(False, "systemd-boot", "/etc/kernel/cmdline"), (True, "GRUB", DROP_IN)])
def test_proxmoxs_tool_copies_to_partitions_that_cannot_be_looked_at(tmp_path: Path, grub: bool, loader: str, setting: str) -> None:
    host = hosts.proxmox(tmp_path, grub=grub)
    former = host.text("/etc/default/grub" if grub else "/etc/kernel/cmdline")

    result = host.call(*WORDS)

    assert (result["loader"], result["method"], result["files"]) == (loader, "proxmox-boot-tool", [setting])
    assert result["entries"] == {}
    assert "not mounted" in result["warnings"][0]
    assert host.commands.calls == [["proxmox-boot-tool", "refresh"]]
    assert not host.call(*WORDS)["changed"]
    host.call(*WORDS, state="absent")
    assert host.text("/etc/default/grub" if grub else "/etc/kernel/cmdline") == former
    assert not host.tree.place(DROP_IN).exists()


@pytest.mark.parametrize("rest", ["\nboot=zfs\n", "\n\n# iommu=pt\n", "\niommu=pt\n", ""])
def test_of_proxmoxs_line_only_the_first_of_the_file_is_one(tmp_path: Path, rest: str) -> None:
    """proxmox-kernel-helper: `CMDLINE=$(get_first_line /etc/kernel/cmdline)`, whatever is behind."""
    host = hosts.proxmox(tmp_path)
    host.tree.file("/etc/kernel/cmdline", f"{hosts.ROOT}{rest}")

    host.call("iommu=pt")
    assert host.text("/etc/kernel/cmdline") == f"{hosts.ROOT} iommu=pt{rest}"
    assert not host.call("iommu=pt")["changed"]
    host.call("iommu=pt", state="absent")
    assert host.text("/etc/kernel/cmdline") == f"{hosts.ROOT}{rest}"


def test_proxmox_is_refused_where_nothing_says_which_loader_reads_the_copies(tmp_path: Path) -> None:
    host = hosts.proxmox(tmp_path)
    efi_variable(host.tree, "LoaderInfo", "")
    host.tree.cmdline("ro")

    with pytest.raises(HostError, match="say whether GRUB or systemd-boot reads them"):
        host.call(*WORDS)


# -- not certain


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (hosts.two_loaders, r"there is GRUB \(/boot/grub/grub.cfg\) and extlinux \(/boot/extlinux/extlinux.conf\)"),
        (hosts.started_by_firmware, "by no program that is known and installed"),
    ],
)
def test_several_loaders_or_none_that_is_known_are_refused_and_named(tmp_path: Path, make: Make, sentence: str) -> None:
    host = make(tmp_path)
    before = host.files()

    with pytest.raises(HostError, match=sentence):
        host.call(*WORDS)

    assert host.files() == before
    assert host.commands.calls == []


def test_a_grub_cfg_that_no_program_wrote_is_refused(tmp_path: Path) -> None:
    host = hosts.debian(tmp_path)
    text = host.text("/boot/grub/grub.cfg").replace("### BEGIN /etc/grub.d/10_linux ###", "")
    host.tree.file("/boot/grub/grub.cfg", text)

    with pytest.raises(HostError, match="by no program that is known"):
        host.call(*WORDS)


def test_a_kernel_that_grub_did_not_start_shows_that_another_loader_is_in_charge(tmp_path: Path) -> None:
    host = hosts.debian(tmp_path, running=f"initrd=\\initrd.img {ROOT}")

    with pytest.raises(HostError, match="has no BOOT_IMAGE="):
        host.call(*WORDS)


def test_a_host_that_is_an_image_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    host = hosts.fedora(tmp_path)
    host.tree.file("/run/ostree-booted")
    before = host.files()

    with pytest.raises(HostError, match="rpm-ostree kargs"):
        host.call(*WORDS)

    assert host.files() == before


# -- interrupted


def test_a_run_that_was_killed_before_the_program_ran_is_finished_by_the_next(tmp_path: Path) -> None:
    host = hosts.debian(tmp_path)
    before = host.files()
    host.call(*WORDS)
    # As it is between the two steps.
    record = host.text(RECORD).replace('"pending": false', '"pending": true')
    host.tree.file(RECORD, record).file("/boot/grub/grub.cfg", before["boot/grub/grub.cfg"])
    left = unfinished_work(host.tree.host(), Inventory.read(host.tree.host()))
    assert [work.operation for work in left] == ["kernel_cmdline"]

    result = host.call(*WORDS)

    assert result["changed"]
    assert "iommu=pt" in result["entries"][NEW]["after"]
    host.call(*WORDS, state="absent")
    assert host.files() == before


LATER = "/etc/default/grub.d/zzz-site.cfg"


def test_a_setting_that_a_later_file_replaces_is_not_chosen(tmp_path: Path) -> None:
    host = hosts.debian(tmp_path)
    host.tree.file(LATER, 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n')
    assert host.call(*WORDS)["entries"][NEW]["after"] == [*ROOT.split(), *WORDS, "quiet"]
    assert host.text(DROP_IN).endswith('GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX intel_iommu=on iommu=pt"\n')
    assert not host.call(*WORDS)["changed"]


@pytest.mark.parametrize("common", ["a=b", "$GRUB_CMDLINE_LINUX iommu=off"])
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_later_file_that_takes_the_argument_back_is_named_before_anything_is_written(
    tmp_path: Path, common: str, check_mode: bool
) -> None:
    host = hosts.debian(tmp_path)
    host.tree.file(LATER, f'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="{common}"\n')
    before = host.files()
    with pytest.raises(HostError, match=rf"{DROP_IN} cannot add iommu=pt: {LATER} sets "):
        host.call("iommu=pt", check_mode=check_mode)
    assert (host.files(), host.commands.calls) == (before, [])


@pytest.mark.parametrize(("machine", "length", "is_read"), [("x86_64", 1950, True), ("x86_64", 1990, False), ("sparc64", 1990, True)])
def test_a_line_that_no_kernel_reads_to_its_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, length: int, is_read: bool
) -> None:
    host = hosts.debian(tmp_path, SETTINGS.replace('"quiet"', f'"{"a.b=" + "x" * length}"'))
    before = host.files()
    monkeypatch.setattr(Host, "machine", machine)

    for check_mode in (True, False):
        if is_read:
            assert host.call("iommu=pt", check_mode=check_mode)["changed"]
            continue
        with pytest.raises(HostError, match=r"would have 20\d\d bytes, of which a kernel of x86_64 reads 2047"):
            host.call("iommu=pt", check_mode=check_mode)
        assert host.files() == before
