# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings and entries in the forms in which people and distributions write them: each is changed as its readers read it, or refused."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit import cmdline_hosts as hosts
from ansible_collections.vfio.variants.tests.unit.boot_menus import NEW
from ansible_collections.vfio.variants.tests.unit.cmdline_hosts import ROOT, CmdlineHost

if t.TYPE_CHECKING:
    from pathlib import Path

GRUB, CLOUD = "/etc/default/grub", "/etc/default/grub.d/50-cloudimg-settings.cfg"


def words(host: CmdlineHost) -> list[str]:
    """What the first kernel of GRUB's menu is given behind its root."""
    line = next(line for line in host.text("/boot/grub/grub.cfg").splitlines() if line.startswith("\tlinux"))
    return line.partition(f"{ROOT} ")[2].split()


def goes_and_comes(host: CmdlineHost, *arguments: str, state: str) -> dict[str, t.Any]:
    """The answer of a run that check mode has predicted, and after which there is nothing to do."""
    before = host.files()
    predicted = host.call(*arguments, state=state, check_mode=True)
    assert host.files() == before
    done = host.call(*arguments, state=state)
    assert (predicted["files"], predicted["changed"]) == (done["files"], done["changed"]) == (predicted["files"], True)
    after = host.files()
    assert not host.call(*arguments, state=state)["changed"]
    assert host.files() == after
    return done


@pytest.mark.parametrize(
    ("settings", "argument", "after"),
    [
        ("GRUB_CMDLINE_LINUX_DEFAULT='quiet iommu=pt'\n", "iommu=pt", "GRUB_CMDLINE_LINUX_DEFAULT='quiet'\n"),
        ('GRUB_CMDLINE_LINUX_DEFAULT="quiet x=\\"a +p\\" b"\n', 'x="a +p"', 'GRUB_CMDLINE_LINUX_DEFAULT="quiet b"\n'),
        ('export GRUB_CMDLINE_LINUX_DEFAULT="quiet iommu=pt"\n', "iommu=pt", 'export GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n'),
        ('GRUB_CMDLINE_LINUX="iommu=pt"\n', "iommu=pt", 'GRUB_CMDLINE_LINUX=""\n'),
        ('GRUB_CMDLINE_LINUX="iommu=pt"\nGRUB_CMDLINE_LINUX="a iommu=pt"\n', "iommu", 'GRUB_CMDLINE_LINUX=""\nGRUB_CMDLINE_LINUX="a"\n'),
        ('GRUB_CMDLINE_LINUX="foo= foo"\n', "foo=", 'GRUB_CMDLINE_LINUX="foo"\n'),
        ('GRUB_CMDLINE_LINUX="intel-iommu=on"\n', "intel_iommu=on", 'GRUB_CMDLINE_LINUX=""\n'),
        ('# it has iommu=pt\nGRUB_CMDLINE_LINUX="iommu=pt"\n', "iommu=pt", '# it has iommu=pt\nGRUB_CMDLINE_LINUX=""\n'),
    ],
)
def test_grubs_settings_lose_an_argument_and_nothing_else(tmp_path: Path, settings: str, argument: str, after: str) -> None:
    host = hosts.debian(tmp_path, settings)

    goes_and_comes(host, argument, state="absent")

    assert host.text(GRUB) == after


def test_what_a_shell_works_out_stays_in_the_settings_and_in_the_entries(tmp_path: Path) -> None:
    settings = 'GRUB_CMDLINE_LINUX_DEFAULT="quiet $(echo splash)"\n'
    host = hosts.debian(tmp_path, settings)
    before = host.files()
    goes_and_comes(host, "iommu=pt", state="present")
    assert words(host) == ["quiet", "splash", "iommu=pt"]

    goes_and_comes(host, "iommu=pt", state="absent")

    assert host.files() == before


def test_a_clouds_own_file_counts_more_than_the_hosts(tmp_path: Path) -> None:
    host = hosts.debian(tmp_path)
    host.tree.file(CLOUD, '# Cloud\nGRUB_CMDLINE_LINUX_DEFAULT="console=tty1 console=ttyS0"\n')
    host.tree.host(host.commands).run(["update-grub"], 60)
    goes_and_comes(host, "iommu=pt", state="present")
    assert words(host) == ["console=tty1", "console=ttyS0", "iommu=pt"]

    goes_and_comes(host, "console=ttyS0", state="absent")

    assert host.text(CLOUD) == '# Cloud\nGRUB_CMDLINE_LINUX_DEFAULT="console=tty1"\n'
    assert words(host) == ["console=tty1", "iommu=pt"]


def test_bytes_that_are_no_text_and_the_mode_of_a_file_stay(tmp_path: Path) -> None:
    host = hosts.debian(tmp_path)
    place = host.tree.place(GRUB)
    place.write_bytes(b"# caf\xe9\n" + place.read_bytes())
    place.chmod(0o600)

    goes_and_comes(host, "quiet", state="absent")

    assert place.read_bytes().startswith(b"# caf\xe9\n# If you")
    assert place.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "settings",
    [
        'GRUB_CMDLINE_LINUX="a"; GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX iommu=pt"\n',
        'GRUB_CMDLINE_LINUX="a iom\\\nmu=pt"\n',
        'PT=iommu=pt\nGRUB_CMDLINE_LINUX="a $PT"\n',
    ],
)
def test_forms_that_cannot_be_changed_safely_are_named_and_left(tmp_path: Path, settings: str) -> None:
    host = hosts.debian(tmp_path, settings)
    before = host.files()

    with pytest.raises(HostError, match="/etc/default/grub sets iommu=pt in a way that cannot be changed safely"):
        host.call("iommu=pt", state="absent")

    assert host.files() == before


@pytest.mark.parametrize(
    ("settings", "without"),
    [
        ('GRUB_CMDLINE_LINUX="a"\nGRUB_CMDLINE_LINUX+=" iommu=pt"\n', 'GRUB_CMDLINE_LINUX="a"\nGRUB_CMDLINE_LINUX+=""\n'),
        ('GRUB_CMDLINE_LINUX="a \\\niommu=pt"\n', 'GRUB_CMDLINE_LINUX="a \\\n"\n'),
        ('GRUB_CMDLINE_LINUX="iommu=pt \\\n  b"  # ours\n', 'GRUB_CMDLINE_LINUX="\\\n  b"  # ours\n'),
    ],
)
def test_added_and_continued_values_lose_the_argument(tmp_path: Path, settings: str, without: str) -> None:
    host = hosts.debian(tmp_path, settings)

    goes_and_comes(host, "iommu=pt", state="absent")

    assert host.text(GRUB) == without


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ('GRUB_CMDLINE_LINUX_DEFAULT="a"\nGRUB_CMDLINE_LINUX_DEFAULT+=" b"\n', 'GRUB_CMDLINE_LINUX_DEFAULT+=" b iommu=pt"\n'),
        ('GRUB_CMDLINE_LINUX_DEFAULT="a \\\n  b"\nX=1\n', 'GRUB_CMDLINE_LINUX_DEFAULT="a \\\n  b iommu=pt"\nX=1\n'),
    ],
)
def test_added_and_continued_values_get_the_argument(tmp_path: Path, settings: str, expected: str) -> None:
    host = hosts.opensuse(tmp_path, settings)

    goes_and_comes(host, "iommu=pt", state="present")

    assert host.text(GRUB).endswith(expected)


@pytest.mark.parametrize(("make", "path"), [(hosts.debian, GRUB), (hosts.kernel_install, "/etc/kernel/cmdline")])
def test_a_link_is_not_replaced_by_a_file(tmp_path: Path, make: t.Callable[[Path], CmdlineHost], path: str) -> None:
    host = make(tmp_path)
    host.tree.place(path).rename(host.tree.place("/etc/elsewhere"))
    host.tree.link(path, "/etc/elsewhere")
    before = host.files()

    with pytest.raises(HostError, match=f"{path} is a symbolic link") as caught:
        host.call("quiet", state="absent")

    assert caught.value.hint == "Have a regular file in its place."
    assert host.files() == before


@pytest.mark.parametrize(
    ("settings", "after"),
    [
        (f"{ROOT}\tquiet", f"{ROOT}\tquiet iommu=pt"),
        (f"{ROOT}\n\nquiet\n", f"{ROOT}\n\nquiet iommu=pt\n"),
        (f"{ROOT} quiet -- --log-level=debug\n", f"{ROOT} quiet iommu=pt -- --log-level=debug\n"),
    ],
)
def test_the_line_of_kernel_install_keeps_its_form(tmp_path: Path, settings: str, after: str) -> None:
    host = hosts.kernel_install(tmp_path, settings)
    before = host.files()
    goes_and_comes(host, "iommu=pt", state="present")
    assert host.text("/etc/kernel/cmdline") == after

    goes_and_comes(host, "iommu=pt", state="absent")

    assert host.files() == before


def test_each_label_of_extlinux_is_changed_in_its_own_form(tmp_path: Path) -> None:
    host = hosts.extlinux(tmp_path)
    place = host.tree.place("/boot/extlinux/extlinux.conf")
    place.write_text(f"{place.read_text()}label rescue\n\tlinux /boot/vmlinuz-{NEW}\n\tappend {ROOT}  single")
    before = host.files()
    goes_and_comes(host, "iommu=pt", state="present")
    lines = host.text("/boot/extlinux/extlinux.conf").splitlines()
    assert [line for line in lines if "iommu" in line] == [f"      APPEND {ROOT} quiet iommu=pt", f"\tappend {ROOT}  single iommu=pt"]

    goes_and_comes(host, "iommu=pt", state="absent")

    assert host.files() == before


@pytest.mark.parametrize(
    ("has", "asked"),
    [
        ("foo.bar=baz", 'foo.bar="baz"'),
        ('\\"foo.bar=b z\\"', 'foo.bar="b z"'),
        ("vfio-pci.disable-vga=1", "vfio_pci.disable_vga=1"),
        ("console=ttyS0 console=tty0", "console=ttyS0"),
        ("intel_iommu=off intel_iommu=on", "intel_iommu=on"),
    ],
)
def test_what_the_kernel_reads_alike_is_there_already(tmp_path: Path, has: str, asked: str) -> None:
    host = hosts.debian(tmp_path, f'GRUB_CMDLINE_LINUX="{has}"\n')

    assert not host.call(asked)["changed"]


@pytest.mark.parametrize(
    ("place", "way"),
    [
        ("/boot/firmware/cmdline.txt", "add them to the line of /boot/firmware/cmdline.txt"),
        ("/boot/firmware/current/cmdline.txt", "add them to the line of /boot/firmware/current/cmdline.txt"),
        ("/etc/default/raspi-firmware", "to /etc/default/raspi-extra-cmdline"),
        ("/etc/default/flash-kernel", "add them to LINUX_KERNEL_CMDLINE in /etc/default/flash-kernel and run `flash-kernel`"),
        ("/boot/armbianEnv.txt", "add them to `extraargs` in /boot/armbianEnv.txt"),
        ("/etc/zipl.conf", "add them to `parameters` in /etc/zipl.conf and run `zipl`"),
        ("/etc/zfsbootmenu/config.yaml", "the property org.zfsbootmenu:commandline"),
        ("/boot/refind_linux.conf", "add them to each line of /boot/refind_linux.conf"),
        ("/etc/hostname", "add them to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub and run `update-grub`"),
    ],
)
def test_what_a_person_does_is_told_by_the_loader_that_left_its_file(tmp_path: Path, place: str, way: str) -> None:
    host = hosts.extlinux(tmp_path)
    host.tree.place("/boot/extlinux/extlinux.conf").unlink()
    host.tree.file(place, "")

    with pytest.raises(HostError, match="Which boot loader is in charge cannot be determined") as caught:
        host.call("iommu=pt")

    assert way in str(caught.value.hint)


MAKERS = (
    *(hosts.debian, hosts.opensuse, hosts.fedora, hosts.rocky, hosts.arch_entries, hosts.arch_unified, hosts.kernel_install),
    *(hosts.opensuse_sdbootutil, hosts.opensuse_grub_entries, hosts.proxmox, hosts.u_boot, hosts.extlinux),
)
GIVEN = (("iommu=pt", "b=2"), ("rhgb", "a=2"), ('dyndbg="file x +p"',))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("words", GIVEN, ids=lambda words: words[0])
@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_check_mode_predicts_the_exact_text(tmp_path: Path, make: t.Callable[[Path], hosts.CmdlineHost], words: tuple[str, ...]) -> None:
    host = make(tmp_path)
    for state in ("present", "absent", "absent"):
        predicted = host.call(*words, state=state, check_mode=True)
        assert predicted == host.call(*words, state=state), state


@pytest.mark.parametrize(
    ("common", "default", "after"),
    [
        ("a=1 -- x", "quiet", "b=2 a=1 -- x quiet"),
        ("a=1", "quiet -- x", "a=1 b=2 quiet -- x"),
        ("a=1", "quiet", "a=1 quiet b=2"),
        ("", "quiet", "quiet b=2"),
        ("-- x", "", "b=2 -- x"),
    ],
)
def test_arguments_that_go_in_front_are_predicted_there(tmp_path: Path, common: str, default: str, after: str) -> None:
    host = hosts.debian(tmp_path, settings=f'GRUB_CMDLINE_LINUX="{common}"\nGRUB_CMDLINE_LINUX_DEFAULT="{default}"\n')
    before = host.files()
    predicted = host.call("b=2", check_mode=True)

    assert predicted == host.call("b=2")
    assert {" ".join(entry["after"][2:]) for entry in predicted["entries"].values()} == {after}
    assert host.call("b=2", state="absent", check_mode=True) == host.call("b=2", state="absent")
    assert host.files() == before


def test_settings_of_others_stay_where_grubby_would_make_its_own_line_of_each(tmp_path: Path) -> None:
    host = hosts.rocky(tmp_path)
    before = host.text("/etc/default/grub")
    host.call("quiet", state="absent")
    assert host.text("/etc/default/grub") == before


BY_A_COMMAND = 'GRUB_CMDLINE_LINUX="iommu=pt"\nGRUB_CMDLINE_LINUX=`echo "$GRUB_CMDLINE_LINUX"`\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n'


@pytest.mark.parametrize(
    "settings",
    [
        BY_A_COMMAND,
        'GRUB_CMDLINE_LINUX=a=1" iommu=pt"\nGRUB_CMDLINE_LINUX_DEFAULT="x=\'q\' quiet"\n',
        "GRUB_CMDLINE_LINUX='iommu=pt'\nGRUB_CMDLINE_LINUX_DEFAULT=quiet\n",
    ],
)
@pytest.mark.parametrize("make", [hosts.debian, hosts.opensuse], ids=lambda make: make.__name__)
def test_what_grubs_settings_give_already_is_not_written_again(tmp_path: Path, make: t.Any, settings: str) -> None:
    host = make(tmp_path, settings)
    predicted = host.call("b=2", "iommu=pt", "quiet", check_mode=True)

    assert predicted == host.call("b=2", "iommu=pt", "quiet")
    assert {entry["after"].count("iommu=pt") for entry in predicted["entries"].values()} == {1}
    assert not host.call("b=2", "iommu=pt", "quiet")["changed"]


@pytest.mark.parametrize("settings", ['U_BOOT_PARAMETERS=""\n', "U_BOOT_PARAMETERS=\n", "# nothing\n", ""])
def test_what_u_boot_update_gives_without_a_setting_stays(tmp_path: Path, settings: str) -> None:
    """u-boot-update: `U_BOOT_PARAMETERS="${U_BOOT_PARAMETERS:-ro quiet}"`."""
    host = hosts.u_boot(tmp_path)
    host.tree.file("/etc/default/u-boot", settings)
    before = host.files()
    host.call("b=2")
    host.call("b=2", state="absent")
    assert host.files() == before

    predicted = host.call("b=2", "quiet", check_mode=True)
    assert predicted == host.call("b=2", "quiet")
    assert {tuple(entry["after"]) for entry in predicted["entries"].values()} == {("root=UUID=0f22fa61", "ro", "quiet", "b=2")}
    host.call("b=2", "quiet", state="absent")
    assert "append root=UUID=0f22fa61 ro\n" in host.text("/boot/extlinux/extlinux.conf")


DROP_INS = {
    "what was set before": 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX iommu=pt"\n',
    "what a command says": 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX $(echo a=1) iommu=pt"\n',
    "in front": 'export GRUB_CMDLINE_LINUX_DEFAULT="iommu=pt ${GRUB_CMDLINE_LINUX_DEFAULT}"\n',
}


@pytest.mark.parametrize("text", DROP_INS.values(), ids=DROP_INS)
def test_an_argument_goes_from_a_file_that_adds_it_to_something_else(tmp_path: Path, text: str) -> None:
    host = hosts.debian(tmp_path)
    host.tree.file("/etc/default/grub.d/60-others.cfg", text)
    host.tree.host(host.commands).run(("update-grub",), 60)

    predicted = host.call("iommu", state="absent", check_mode=True)
    result = goes_and_comes(host, "iommu", state="absent")

    assert "iommu=pt" not in host.text("/etc/default/grub.d/60-others.cfg")
    assert "iommu=pt" not in host.text("/boot/grub/grub.cfg")
    assert predicted["diff"] == result["diff"]


WITHOUT_SETTINGS: dict[str, tuple[t.Callable[[Path], CmdlineHost], str, str]] = {
    "kernel-install": (lambda root: hosts.kernel_install(root, None), "/etc/kernel/cmdline", f"{ROOT}\n"),
    "mkinitcpio": (lambda root: hosts.arch_unified(root, line={}), "/etc/kernel/cmdline", f"{ROOT}\n"),
    "u-boot-update": (hosts.u_boot, "/etc/default/u-boot", 'U_BOOT_PARAMETERS="ro"\n'),
}


@pytest.mark.parametrize("case", WITHOUT_SETTINGS)
def test_an_argument_that_comes_from_no_settings_goes_by_new_ones(tmp_path: Path, case: str) -> None:
    """Without them the program takes the running kernel's arguments, or its own, which have it."""
    make, place, text = WITHOUT_SETTINGS[case]
    host = make(tmp_path)

    predicted = host.call("quiet", state="absent", check_mode=True)
    result = goes_and_comes(host, "quiet", state="absent")

    assert host.text(place) == text
    assert predicted["diff"] == result["diff"]


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("there", "wanted", "lost"),
    [
        ("iommu=off", "iommu=pt", "iommu=off"),
        ('dyndbg="file a.c +p"', 'dyndbg="file b.c +p"', "dyndbg=file a.c +p"),
        ("console=tty1", "console=ttyS0", "console=tty1"),
    ],
)
def test_what_grubby_would_replace_is_named_before_it_runs(tmp_path: Path, there: str, wanted: str, lost: str, check_mode: bool) -> None:
    host = hosts.fedora(tmp_path, f"{ROOT} {there} quiet")
    before = host.files()

    with pytest.raises(HostError, match="which grubby would replace by") as raised:
        host.call(wanted, check_mode=check_mode)

    assert lost in raised.value.msg
    assert raised.value.hint == "Take that out first, with state=absent."
    assert (host.files(), host.commands.calls) == (before, [])
