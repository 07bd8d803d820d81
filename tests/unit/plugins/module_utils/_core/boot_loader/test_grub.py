# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that boots by GRUB boots what its grub.cfg and environment block say."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import grub_environment, grub_shell, next_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.grub_loading import as_argument
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.grub_script import Script, parse
from ansible_collections.vfio.variants.tests.unit.boot_menus import FEDORA, NEW, OLD, ROOT, bls_entry, debian_grub, grubenv, kernels
from ansible_collections.vfio.variants.tests.unit.trees import Tree

GRUB_CFG = "/boot/grub/grub.cfg"


@pytest.fixture
def debian(tmp_path: Path) -> Tree:
    """A running host with a newer and an older kernel, booted by a BIOS."""
    return kernels(Tree(tmp_path), NEW, OLD).running(OLD).file("/boot/grub/i386-pc/normal.mod")


def read(tree: Tree) -> next_boot.NextBoot:
    return next_boot.read(tree.host())


def test_debians_first_entry_boots_and_every_kernel_has_its_own(debian: Tree) -> None:
    boot = read(debian.file(GRUB_CFG, debian_grub(arguments="quiet modprobe.blacklist=nouveau")))
    assert (boot.release, boot.doubts, boot.warnings) == (NEW, (), ())
    assert set(boot.entries) == {NEW, OLD}
    entry = boot.entries[OLD]
    assert " ".join(entry.cmdline.arguments) == f"{ROOT} quiet modprobe.blacklist=nouveau"
    assert entry.initrds == (f"/boot/initrd.img-{OLD}",)
    assert entry.doubts == ()


def test_an_entrys_source_is_the_line_that_names_its_kernel(debian: Tree) -> None:
    debian.file(GRUB_CFG, debian_grub())
    for entry in read(debian).entries.values():
        place, _colon, number = entry.source.rpartition(":")
        line = debian.place(place).read_text().splitlines()[int(number) - 1]
        assert line.startswith(f"\tlinux\t/boot/vmlinuz-{entry.release} ")


@pytest.mark.parametrize(
    ("default", "release"),
    [
        pytest.param("0", NEW, id="a number"),
        pytest.param("1", NEW, id="a submenu, of which the first boots"),
        pytest.param("1>2", OLD, id="a number in a submenu"),
        pytest.param("1>4", NEW, id="a number past the end is the first"),
        pytest.param("Debian GNU/Linux", NEW, id="a title"),
        pytest.param(f"Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux {OLD}", OLD, id="titles"),
        pytest.param(f"gnulinux-advanced-0f22fa61>gnulinux-{OLD}-advanced-0f22fa61", OLD, id="IDs"),
        pytest.param(f"1>gnulinux-{OLD}-advanced-0f22fa61", OLD, id="a number and an ID"),
        pytest.param("Windows", NEW, id="nothing that is there"),
        pytest.param(f"gnulinux-{OLD}-advanced-0f22fa61", NEW, id="an entry that is not in the main menu"),
        pytest.param("9" * 5000, NEW, id="a number without end"),
        pytest.param("1>2 ", OLD, id="a blank behind a number"),
        pytest.param("1>2.", OLD, id="more behind a number"),
        pytest.param("1>02", OLD, id="a number of base eight"),
        pytest.param("1>0x2", OLD, id="a number of base sixteen"),
        pytest.param(NEW, NEW, id="a release, which begins with a number past the end"),
    ],
)
def test_the_default_is_found_as_grub_finds_it(debian: Tree, default: str, release: str) -> None:
    boot = read(debian.file(GRUB_CFG, debian_grub(default=default)))
    assert boot.release == release
    assert boot.doubts == ()


def test_a_title_that_begins_with_a_number_is_taken_for_either(debian: Tree) -> None:
    entry = f"menuentry '2 old' {{\n\tlinux /boot/vmlinuz-{OLD} ro\n}}\n"
    boot = read(debian.file(GRUB_CFG, f"set default='2 old'\nmenuentry a {{\n\tlinux /boot/vmlinuz-{NEW} ro\n}}\n{entry}"))
    assert any("`2 old` begins with a number" in doubt for doubt in boot.doubts)


def test_a_default_for_recovery_is_what_boots_with_its_own_arguments(debian: Tree) -> None:
    boot = read(debian.file(GRUB_CFG, debian_grub(default="1>3")))
    assert boot.release == OLD
    assert "single" in boot.entries[OLD].cmdline.arguments
    assert "single" not in boot.entries[NEW].cmdline.arguments


def test_the_saved_entry_counts_where_the_default_is_saved(debian: Tree) -> None:
    debian.file(GRUB_CFG, debian_grub(default="${saved_entry}"))
    assert read(debian).release == NEW
    debian.file("/boot/grub/grubenv", grubenv(saved_entry="1>2"))
    assert read(debian).release == OLD


def test_an_entry_for_the_next_boot_alone_comes_before_the_saved_one(debian: Tree) -> None:
    debian.file(GRUB_CFG, debian_grub(default="${saved_entry}"))
    debian.file("/boot/grub/grubenv", grubenv(saved_entry="0", next_entry=f"gnulinux-advanced-0f22fa61>gnulinux-{OLD}-advanced-0f22fa61"))
    assert read(debian).release == OLD


def test_paths_are_relative_to_a_boot_partition(debian: Tree) -> None:
    boot = read(debian.file(GRUB_CFG, debian_grub(boot="")))
    assert boot.entries[NEW].initrds == (f"/boot/initrd.img-{NEW}",)
    assert boot.doubts == ()


@pytest.mark.parametrize("boot", ["/@/boot", "/@/.snapshots/1/snapshot/boot", "/ROOT/debian@/boot", "(hd0,gpt2)/boot"])
def test_paths_are_relative_to_a_subvolume(debian: Tree, boot: str) -> None:
    found = read(debian.file(GRUB_CFG, debian_grub(boot=boot)))
    assert found.entries[OLD].initrds == (f"/boot/initrd.img-{OLD}",)
    assert found.doubts == ()


def test_an_image_that_is_not_there_is_a_doubt(debian: Tree) -> None:
    debian.place(f"/boot/initrd.img-{NEW}").unlink()
    boot = read(debian.file(GRUB_CFG, debian_grub()))
    assert boot.doubts == (f"{boot.entries[NEW].source} names /boot/initrd.img-{NEW}, which does not exist.",)
    assert boot.entries[OLD].doubts == ()


def test_several_images_stand_in_the_order_in_which_they_are_unpacked(debian: Tree) -> None:
    debian.file("/boot/intel-ucode.img").file(
        GRUB_CFG, f"menuentry 'x' {{\nlinux /boot/vmlinuz-{NEW} ro\ninitrd /boot/intel-ucode.img \\\n  /boot/initrd.img-{NEW}\n}}\n"
    )
    assert read(debian).entries[NEW].initrds == ("/boot/intel-ucode.img", f"/boot/initrd.img-{NEW}")


def test_quotes_variables_and_escapes_reach_the_kernel_as_grub_writes_them(debian: Tree) -> None:
    arguments = """a='b c' "d e" f=\\$g "h=$extra" $extra dyndbg='"file x +p"' # no comment"""
    debian.file(GRUB_CFG, f"set extra='one two'\nmenuentry x {{\nlinux /boot/vmlinuz-{NEW} {arguments}\n}}\n")
    written = " ".join(read(debian).entries[NEW].cmdline.arguments)
    assert written == r'''"a=b c" "d e" f=$g "h=one two" one two "dyndbg=\"file x +p\""'''


def test_an_argument_keeps_the_escapes_that_grub_adds() -> None:
    assert as_argument("a b") == '"a b"'
    assert as_argument('a"b') == 'a\\"b'
    assert as_argument("a\\b") == "a\\\\b"
    assert as_argument("a\\x20b") == "a\\x20b"


def test_a_variable_that_only_grub_knows_is_a_doubt_where_it_stands_in_the_arguments(debian: Tree) -> None:
    debian.file(GRUB_CFG, f"menuentry x {{\nlinux /boot/vmlinuz-{NEW} ro boot=$cmdpath\n}}\n")
    boot = read(debian)
    assert boot.doubts == (f"{GRUB_CFG}:2: the value of $cmdpath is unknown.",)


def test_a_variable_that_is_set_under_a_condition_nobody_knows_is_not_known(debian: Tree) -> None:
    text = f"if keystatus --shift; then set extra=debug; fi\nmenuentry x {{\nlinux /boot/vmlinuz-{NEW} ro $extra\n}}\n"
    assert read(debian.file(GRUB_CFG, text)).doubts == (f"{GRUB_CFG}:3: the value of $extra is unknown.",)


def test_opensuses_entries_load_by_commands_that_depend_on_the_processor(debian: Tree) -> None:
    text = (
        'set linux=linux\nset initrd=initrd\nif [ "${grub_cpu}" = "x86_64" -o "${grub_cpu}" = "i386" ]; then\n'
        '  if [ "${grub_platform}" = "efi" ]; then set linux=linuxefi; set initrd=initrdefi; fi\nfi\nexport linux initrd\n'
        f"menuentry x {{\n$linux /boot/vmlinuz-{NEW} ${{extra_cmdline}} splash=silent\n$initrd /boot/initrd.img-{NEW}\n}}\n"
    )
    boot = read(debian.directory("/sys/firmware/efi").file(GRUB_CFG, text))
    assert (boot.release, boot.doubts) == (NEW, ())
    assert boot.entries[NEW].cmdline.arguments == ("splash=silent",)
    assert boot.entries[NEW].initrds == (f"/boot/initrd.img-{NEW}",)


def test_ubuntus_console_hand_over_is_of_no_concern(debian: Tree) -> None:
    text = f"if hwmatch x 3; then set vt_handoff=vt.handoff=7; fi\nmenuentry x {{\nlinux /boot/vmlinuz-{NEW} ro $vt_handoff\n}}\n"
    boot = read(debian.file(GRUB_CFG, text))
    assert (boot.release, boot.doubts, boot.entries[NEW].cmdline.arguments) == (NEW, (), ("ro",))


def test_a_default_that_depends_on_a_key_is_a_doubt(debian: Tree) -> None:
    boot = read(debian.file(GRUB_CFG, debian_grub() + "if keystatus --shift; then set default=1; fi\n"))
    assert boot.release is None
    assert boot.doubts == (f"{GRUB_CFG}: which entry is the default cannot be determined without running GRUB.",)
    assert set(boot.entries) == {NEW, OLD}


def test_an_entry_that_may_not_be_there_is_a_doubt_only_before_the_default(debian: Tree) -> None:
    maybe = "if fwsetup --is-supported; then\nmenuentry 'UEFI Firmware Settings' { fwsetup }\nfi\n"
    assert read(debian.file(GRUB_CFG, debian_grub() + maybe)).doubts == ()
    assert len(read(debian.file(GRUB_CFG, maybe + debian_grub(default="1"))).doubts) == 1


def test_functions_and_further_files_count(debian: Tree) -> None:
    debian.file("/boot/grub/custom.cfg", 'set default=1\nfunction arguments { set extra="$1"; }\narguments nouveau.modeset=0\n')
    older = f"menuentry older {{\n linux /boot/vmlinuz-{OLD} $extra\n}}\nsubmenu "
    text = debian_grub(arguments="$extra").replace("submenu ", older)
    text += "if [ -f  ${config_directory}/custom.cfg ]; then\n  source ${config_directory}/custom.cfg\nfi\n"
    boot = read(debian.file(GRUB_CFG, text))
    assert boot.release == OLD
    assert boot.entries[NEW].cmdline.arguments[-1] == "nouveau.modeset=0"


def test_xens_first_module_is_the_kernel(debian: Tree) -> None:
    debian.file(
        GRUB_CFG,
        "menuentry 'Debian GNU/Linux, with Xen hypervisor' --id xen-gnulinux-simple {\n"
        "\tmultiboot2\t/boot/xen-4.17-amd64.gz placeholder ${xen_rm_opts}\n"
        f"\tmodule2\t/boot/vmlinuz-{NEW} placeholder root=/dev/sda1 ro xen-pciback.hide=(01:00.0)\n"
        f"\tmodule2\t--nounzip   /boot/initrd.img-{NEW}\n}}\n",
    )
    boot = read(debian)
    assert boot.release == NEW
    assert boot.entries[NEW].cmdline.arguments == ("root=/dev/sda1", "ro", "xen-pciback.hide=(01:00.0)")
    assert boot.entries[NEW].initrds == (f"/boot/initrd.img-{NEW}",)


def test_a_default_that_boots_something_else_tells_no_kernel(debian: Tree) -> None:
    boot = read(debian.file(GRUB_CFG, "menuentry Windows { chainloader /EFI/Microsoft/Boot/bootmgfw.efi }\n" + debian_grub()))
    assert boot.release is None
    assert "Windows" in boot.doubts[0]
    assert set(boot.entries) == {NEW, OLD}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("menuentry 'x", id="a quote that does not end"),
        pytest.param("menuentry x {\n set y=1\n", id="a brace that does not end"),
        pytest.param("}}}} fi done then { {", id="ends without beginnings"),
        pytest.param("if " * 300, id="conditions without end"),
        pytest.param("submenu x { " * 300, id="menus in menus"),
        pytest.param("{" * 5000, id="braces"),
        pytest.param("function f { f }\nf\nmenuentry x { f }", id="a function that calls itself"),
        pytest.param("function f { f; f; f; f }\nf\n", id="a function that calls itself many times"),
        pytest.param("source /boot/grub/grub.cfg\nsource /boot/grub/grub.cfg\n", id="a file that includes itself"),
        pytest.param("configfile /boot/grub/grub.cfg", id="a file that is its own successor"),
        pytest.param("while true; do set x=$x$x; done", id="a loop without end"),
        pytest.param("set x=aaaaaaaaaaaaaaaa\n" + "set x=$x$x$x$x\n" * 40, id="a value that grows without end"),
        pytest.param("for a in 1 2 3 4 5 6 7 8; do " * 12 + "set x=1" + "; done" * 12, id="loops in loops"),
        pytest.param("[ " + "! " * 3000 + "]\n[ " + "( " * 3000, id="conditions in conditions"),
        pytest.param(
            "linux\ninitrd\nmodule2\nmultiboot2\nset\nset =\n=\n[\n!\nload_env -f\nsearch --set\nfor\nfunction\n",
            id="commands without words",
        ),
        pytest.param("menuentry x {\nlinux\ninitrd\n}\nmenuentry\nmenuentry {\n}\nsubmenu { }\n", id="entries without words"),
        pytest.param('\0\x01\udcff${ $ ${x "$', id="no text at all"),
    ],
)
def test_a_damaged_configuration_never_fails_and_never_hangs(debian: Tree, text: str) -> None:
    boot = read(debian.file(GRUB_CFG, text))
    assert boot.release is None
    assert boot.doubts


def test_a_file_that_is_run_often_is_parsed_once(debian: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []

    def noted(text: str) -> Script:
        texts.append(text)
        return parse(text)

    monkeypatch.setattr(grub_shell, "parse", noted)
    read(debian.file("/boot/grub/x.cfg", "set x=1\n").file(GRUB_CFG, "source /boot/grub/x.cfg\n" * 50))
    assert texts.count("set x=1\n") == 1


@pytest.mark.parametrize("counter", ["--5", "²", "9" * 5000, "x"])
def test_a_counter_that_is_not_a_number_is_not_known(debian: Tree, counter: str) -> None:
    text = f"set n={counter}\ndecrement n\nmenuentry x {{\nlinux /boot/vmlinuz-{NEW} n=$n ${'1' * 5000}\n}}\n"
    assert read(debian.file(GRUB_CFG, text)).doubts == (f"{GRUB_CFG}:4: the value of $n is unknown.",)


def test_an_automatic_return_to_the_other_entry_is_followed(debian: Tree) -> None:
    text = debian_grub() + (
        'if [ -n "${boot_counter}" -a "${boot_success}" = "0" ]; then\n'
        '  if [ "${boot_counter}" = "0" -o "${boot_counter}" = "-1" ]; then\n    set default="1>2"\n'
        "  else\n    decrement boot_counter\n  fi\n  save_env boot_counter\nfi\n"
    )
    debian.file(GRUB_CFG, text)
    assert read(debian.file("/boot/grub/grubenv", grubenv(boot_counter="1", boot_success="0"))).release == NEW
    assert read(debian.file("/boot/grub/grubenv", grubenv(boot_counter="0", boot_success="0"))).release == OLD


def test_a_syntax_error_is_reported_with_its_line(debian: Tree) -> None:
    boot = read(debian.file(GRUB_CFG, debian_grub() + "if true; then\n set default=0\n"))
    assert boot.release == NEW
    assert any("has no 'fi'" in doubt and doubt.startswith(GRUB_CFG) for doubt in boot.doubts)
    assert boot.entries[OLD].doubts == boot.doubts


def test_an_environment_block_has_escapes_and_fill() -> None:
    assert grub_environment.parse(grubenv(saved_entry="a=b", kernelopts=r"x=\\ y")) == {"saved_entry": "a=b", "kernelopts": "x=\\ y"}
    assert grub_environment.parse("saved_entry=1\n") == {}


@pytest.mark.parametrize(
    ("lines", "saved"),
    [
        ("saved_entry=1\nsaved_entry=2\n", "2"),
        ("junk\nsaved_entry=1\n", None),
        ("\nsaved_entry=1\n", None),
        ("saved_entry=1", None),
        ("#\\\nsaved_entry=1\nx=2\n", None),
        ("x=a\\\nsaved_entry=1\nsaved_entry=2\n", "2"),
        ("saved_entry = 1\n", None),
        ("#saved_entry=1\n####\nsaved_entry=2\n####", "2"),
    ],
)
def test_an_environment_block_is_read_as_grub_reads_it(lines: str, saved: str | None) -> None:
    # As grub-editenv 2.06 lists it.
    assert grub_environment.parse(f"{grub_environment.SIGNATURE}{lines}").get("saved_entry") == saved


# -- GRUB with an entry file for each kernel


@pytest.fixture
def fedora(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path).running("6.14.5-300.fc42.x86_64").file("/boot/grub2/grub.cfg", FEDORA)
    for name in ("0-rescue", "6.9.12-200.fc40.x86_64", "6.14.5-300.fc42.x86_64"):
        bls_entry(tree, f"8f3a-{name}", name)
    return tree.file(
        "/boot/grub2/grubenv", grubenv(kernelopts="root=/dev/mapper/root ro rd.driver.pre=vfio-pci", tuned_params="skew_tick=1")
    )


def test_the_newest_entry_file_boots(fedora: Tree) -> None:
    boot = read(fedora)
    assert (boot.release, boot.doubts) == ("6.14.5-300.fc42.x86_64", ())
    assert set(boot.entries) == {"6.14.5-300.fc42.x86_64", "6.9.12-200.fc40.x86_64"}
    entry = boot.entries["6.9.12-200.fc40.x86_64"]
    assert entry.source == "/boot/loader/entries/8f3a-6.9.12-200.fc40.x86_64.conf:3"
    assert entry.cmdline.arguments == ("root=/dev/mapper/root", "ro", "rd.driver.pre=vfio-pci", "skew_tick=1")
    assert entry.initrds == ("/boot/initramfs-6.9.12-200.fc40.x86_64.img",)


def test_the_saved_entry_is_the_name_of_an_entry_file(fedora: Tree) -> None:
    fedora.file("/boot/grub2/grubenv", grubenv(saved_entry="8f3a-6.9.12-200.fc40.x86_64"))
    boot = read(fedora)
    assert boot.release == "6.9.12-200.fc40.x86_64"
    assert boot.entries[boot.release].cmdline.arguments == ("root=/dev/fallback", "ro")


def test_trees_of_ostree_are_entry_files_too(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/boot/grub2/grub.cfg", FEDORA)
    for number, release in ((1, "6.13.1-1.fc41.x86_64"), (2, "6.14.5-1.fc42.x86_64")):
        folder = f"/boot/ostree/fedora-{number}"
        tree.file(f"{folder}/vmlinuz-{release}").file(f"{folder}/initramfs-{release}.img")
        text = f"title Fedora\nversion {number}\nlinux /boot/ostree/fedora-{number}/vmlinuz-{release}\n"
        text += f"initrd /boot/ostree/fedora-{number}/initramfs-{release}.img\noptions ro ostree=/ostree/boot.1/{number}\n"
        tree.file(f"/boot/loader/entries/ostree-{number}.conf", text)
    boot = read(tree)
    assert boot.release == "6.14.5-1.fc42.x86_64"
    assert boot.entries[boot.release].cmdline.values("ostree") == ("/ostree/boot.1/2",)
    assert boot.doubts == ()
