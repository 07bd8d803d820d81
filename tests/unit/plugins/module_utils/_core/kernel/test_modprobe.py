# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""modprobe.d as kmod reads it; where kmod surprises, the test says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import (
    Directive,
    ModprobeConfig,
    SourceLine,
    blacklisting,
    ignored_lines,
    reads_old_suffix,
)
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree


def parsed(text: str) -> ModprobeConfig:
    return ModprobeConfig.parse(text, "/etc/modprobe.d/x.conf")


def directives(text: str) -> list[tuple[str, ...]]:
    return [(entry.command, *entry.arguments) for entry in parsed(text).directives]


def sources(text: str) -> list[str]:
    return [str(entry.source) for entry in parsed(text).directives]


def test_each_directive_is_read_with_its_file_and_line() -> None:
    text = "# comment\n\nblacklist nouveau\noptions vfio-pci ids=10de:1db1 disable_vga=1\nsoftdep nouveau pre: vfio-pci\n"
    assert directives(text) == [
        ("blacklist", "nouveau"),
        ("options", "vfio_pci", "ids=10de:1db1", "disable_vga=1"),
        ("softdep", "nouveau", "pre:", "vfio-pci"),
    ]
    assert sources(text) == ["/etc/modprobe.d/x.conf:3", "/etc/modprobe.d/x.conf:4", "/etc/modprobe.d/x.conf:5"]


def test_a_continued_line_begins_where_it_began() -> None:
    assert directives("options vfio-pci \\\n  ids=10de:1db1,\\\n10de:1db5\nblacklist x\n") == [
        ("options", "vfio_pci", "ids=10de:1db1,10de:1db5"),
        ("blacklist", "x"),
    ]
    assert sources("\noptions vfio-pci \\\n  ids=10de:1db1\nblacklist x") == ["/etc/modprobe.d/x.conf:2", "/etc/modprobe.d/x.conf:4"]


def test_a_comment_goes_on_where_its_line_does() -> None:
    assert directives("# off: \\\nblacklist nouveau\nblacklist x") == [("blacklist", "x")]


def test_a_line_ends_at_a_byte_of_zero() -> None:
    assert directives("blacklist nouveau\0x\nblacklist x\0\n") == [("blacklist", "nouveau"), ("blacklist", "x")]
    assert directives("\0blacklist nouveau\noptions\0 x a=1") == []


def test_a_comment_after_a_directive_is_not_a_comment_to_kmod() -> None:
    assert directives("blacklist nouveau # why") == [("blacklist", "nouveau")]
    assert directives("options x a=1 # why") == [("options", "x", "a=1", "#", "why")]


def test_names_are_kept_with_underscores_but_for_what_stands_in_brackets() -> None:
    assert directives("blacklist nvidia-drm\nalias a-[0-9]-b c-d") == [("blacklist", "nvidia_drm"), ("alias", "a_[0-9]_b", "c_d")]
    assert directives("blacklist a[b\nblacklist a]b") == []


def test_brackets_matter_in_the_words_that_a_command_takes_as_names() -> None:
    """kmod_config_parse() asks underscores() for both of alias, for the only one of blacklist, and for the first of the others."""
    assert directives("alias a b[") == []
    assert directives("options a[ x=1\ninstall a[ true\nsoftdep a[ pre: b") == []
    assert directives("alias a b c[") == [("alias", "a", "b")]
    assert directives("blacklist a b[") == [("blacklist", "a")]
    assert directives("options a x=[1 y=-") == [("options", "a", "x=[1", "y=-")]
    assert directives("install a test [ -e /x ] && b") == [("install", "a", "test [ -e /x ] && b")]


def test_a_name_in_brackets_is_asked_for_as_it_is_kept() -> None:
    config = ModprobeConfig.parse("options a-[x-z]-b x=1\n", "a.conf")
    assert [line.arguments for line in config.options("a_[x-z]_b")] == [("a_[x-z]_b", "x=1")]


def test_a_directive_is_shown_as_it_was_written_or_by_its_words() -> None:
    (line,) = ModprobeConfig.parse("softdep   vfio-pci  pre:   nouveau \n", "a.conf").directives
    assert str(line) == "softdep   vfio-pci  pre:   nouveau"
    assert str(Directive(SourceLine("/proc/cmdline", 0), "softdep", ("vfio_pci", "pre:", " nouveau"))) == "softdep vfio_pci pre: nouveau"


def test_lines_that_kmod_ignores_are_left_out() -> None:
    assert directives("blacklist\nalias x\noptions vfio-pci\ninclude /etc/more\nnonsense y z\nsoftdep nouveau\n  blacklist x\n") == [
        ("blacklist", "x")
    ]


def test_quoted_options_stay_together() -> None:
    assert directives('options x name="two words" y=1') == [("options", "x", 'name="two words"', "y=1")]


def test_a_command_is_kept_as_it_is() -> None:
    assert directives("install nouveau /bin/false && echo  x\n") == [("install", "nouveau", "/bin/false && echo  x")]


def test_two_blanks_before_pre_make_kmod_ignore_the_softdep() -> None:
    assert directives("softdep nouveau pre: x\nsoftdep nouveau  pre: x\nsoftdep nouveau   pre: x") == [
        ("softdep", "nouveau", "pre:", "x"),
        ("softdep", "nouveau", " pre:", "x"),
        ("softdep", "nouveau", "pre:", "x"),
    ]


def test_of_two_files_with_one_name_that_in_the_earlier_directory_counts(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/modprobe.d/gpu.conf", "blacklist etc").file("/run/modprobe.d/gpu.conf", "blacklist run")
    tree.file("/usr/lib/modprobe.d/gpu.conf", "blacklist usr").file("/lib/modprobe.d/other.conf", "blacklist other")
    assert [entry.arguments for entry in ModprobeConfig.read(tree.host()).directives] == [("etc",), ("other",)]


def test_files_are_read_in_the_order_of_their_names_whatever_their_directory(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/modprobe.d/b.conf", "blacklist b").file("/lib/modprobe.d/a.conf", "blacklist a")
    tree.file("/run/modprobe.d/Z.conf", "blacklist z")
    assert [entry.arguments for entry in ModprobeConfig.read(tree.host()).directives] == [("z",), ("a",), ("b",)]


def test_a_link_to_nowhere_switches_a_file_off(tmp_path: Path) -> None:
    tree = Tree(tmp_path).link("/etc/modprobe.d/gpu.conf", "/dev/null").file("/usr/lib/modprobe.d/gpu.conf", "blacklist usr")
    assert ModprobeConfig.read(tree.host()).directives == ()


def test_files_of_other_names_are_not_read(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for name in ("x.conf.dpkg-old", "x.conf~", ".x.conf", "README"):
        tree.file(f"/etc/modprobe.d/{name}", "blacklist no")
    tree.directory("/etc/modprobe.d/d.conf")
    assert ModprobeConfig.read(tree.host()).directives == ()


def test_a_modules_own_softdeps_take_their_place_in_the_order_of_names(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(f"/lib/modules/{DEBIAN_13}/modules.softdep", "# depmod\nsoftdep r8169 pre: realtek\n")
    tree.file("/etc/modprobe.d/00-x.conf", "softdep r8169 pre: first\n").file("/etc/modprobe.d/vfio.conf", "softdep r8169 pre: last\n")
    config = ModprobeConfig.read(tree.host(), release=DEBIAN_13)
    assert [entry.arguments[-1] for entry in config.softdeps("r8169")] == ["first", "realtek", "last"]


def test_a_module_is_blacklisted_by_each_file_that_names_it_in_whatever_spelling() -> None:
    config = parsed("blacklist nvidia-drm\nblacklist nvidia\nblacklist nvidia_drm\n")
    assert [str(source) for source in config.blacklisted("nvidia-drm")] == ["/etc/modprobe.d/x.conf:1", "/etc/modprobe.d/x.conf:3"]
    assert config.blacklisted("nouveau") == ()


def test_softdeps_and_installs_go_by_pattern_options_do_not() -> None:
    config = parsed("softdep snd* pre: x\ninstall snd* /bin/true\noptions snd* a=1\n")
    assert len(config.softdeps("snd-hda-intel")) == 1
    assert len(config.installs("snd_hda_intel")) == 1
    assert config.options("snd_hda_intel") == ()


def test_a_name_has_all_aliases_whose_pattern_matches_it_as_fnmatch_reads_patterns() -> None:
    """What `modprobe -R` of kmod 30 answers to these lines."""
    patterns = ("pci:v0000[^8]*d*", "pci:v0000[!8]*d*", "pci:v00001?De*", "pci:v0000[[:digit:]]*", "pci:v00001[0-]*", "pci:v0000[!1]*")
    config = parsed("".join(f"alias {pattern} mod-{number}\n" for number, pattern in enumerate(patterns)))
    assert [line.arguments[1] for line in config.aliases("pci:v000010DEd00001DB1")] == ["mod_0", "mod_1", "mod_4"]
    assert config.aliases("pci:v000010DEd00001DB1") is config.aliases("pci:v000010DEd00001DB1")
    assert config.aliases("nouveau") == ()


def test_the_command_line_comes_after_the_files(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/modprobe.d/x.conf", "options vfio-pci ids=10de:1db1\n")
    tree.cmdline("quiet vfio-pci.ids=8086:10d3 modprobe.blacklist=nouveau,snd ro")
    config = ModprobeConfig.read(tree.host())
    assert [entry.arguments[1] for entry in config.options("vfio-pci")] == ["ids=10de:1db1", "ids=8086:10d3"]
    assert config.blacklisted("nouveau") == (SourceLine("/proc/cmdline", 0),)
    assert str(config.blacklisted("snd")[0]) == "/proc/cmdline"


def test_a_dash_on_the_command_line_blacklists_nothing() -> None:
    # kmod folds names in files, but not those of modprobe.blacklist= (kcmdline_parse_result()).
    config = ModprobeConfig(()).with_cmdline(Cmdline.parse("modprobe.blacklist=nvidia-drm,nvidia_uvm"))
    assert config.blacklisted("nvidia_drm") == ()
    assert len(config.blacklisted("nvidia_uvm")) == 1


def test_files_ending_in_alias_are_read_by_kmod_32_and_older_only(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/modprobe.d/x.alias", "blacklist nouveau\n")
    assert not ModprobeConfig.read(tree.host()).blacklisted("nouveau")
    tree.file("/usr/lib/x86_64-linux-gnu/libkmod.so.2.4.2")
    assert ModprobeConfig.read(tree.host()).blacklisted("nouveau")
    tree.file("/usr/lib/x86_64-linux-gnu/libkmod.so.2.5.0")
    assert not ModprobeConfig.read(tree.host()).blacklisted("nouveau")


@pytest.mark.parametrize(
    ("files", "reads"),
    [
        ((), None),
        (("/usr/lib/libkmod.so.2.4.2",), True),
        (("/usr/lib64/libkmod.so.2.3.7",), True),
        (("/lib/libkmod.so.2.4.0",), True),
        (("/lib64/libkmod.so.2.4.0",), True),
        (("/lib/aarch64-linux-gnu/libkmod.so.2.4.2",), True),
        (("/usr/lib/aarch64-linux-gnu/libkmod.so.2.5.0",), False),
        # Of several the newest is the one in use.
        (("/usr/lib/libkmod.so.2.4.2", "/usr/lib64/libkmod.so.2.5.1"), False),
        (("/usr/lib/libkmod.so.2.10.0",), False),
        # Links and copies of it name no version.
        (("/usr/lib/libkmod.so.2", "/usr/lib/libkmod.so.2.4.2.old", "/usr/lib/xlibkmod.so.2.4.2", "/usr/lib/libkmod.so.2..1"), None),
        (("/opt/lib/libkmod.so.2.4.2",), None),
    ],
)
def test_the_library_s_name_tells_whether_kmod_reads_files_ending_in_alias(
    tmp_path: Path, files: tuple[str, ...], reads: bool | None
) -> None:
    tree = Tree(tmp_path)
    for path in files:
        tree.file(path)
    assert reads_old_suffix(tree.host()) is reads


def test_a_file_ending_in_alias_is_left_out_beside_others_that_are_read(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/etc/modprobe.d/a.alias", "blacklist old\n").file("/etc/modprobe.d/b.conf", "blacklist new\n")
    tree.file("/usr/lib/libkmod.so.2.5.0")
    assert [entry.arguments for entry in ModprobeConfig.read(tree.host()).directives] == [("new",)]


def test_each_directory_of_kmod_is_read(tmp_path: Path) -> None:
    """kmod_new(3) and configure's --with-distconfdir."""
    tree = Tree(tmp_path)
    for folder in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib"):
        tree.file(f"{folder}/modprobe.d/{folder.strip('/').replace('/', '-')}.conf", f"blacklist m{folder.replace('/', '_')}\n")
    names = {entry.arguments[0] for entry in ModprobeConfig.read(tree.host()).directives}
    assert names == {"m_etc", "m_run", "m_usr_local_lib", "m_usr_lib", "m_lib"}


def test_what_the_command_line_tells_modprobe_itself_is_not_a_module_s_option() -> None:
    config = ModprobeConfig(()).with_cmdline(Cmdline.parse("modprobe.blacklist=a modprobe.other=1 x.blacklist=b"), "/boot/entry.conf")
    assert [(entry.command, *entry.arguments) for entry in config.directives] == [
        ("blacklist", "a"),
        ("options", "modprobe", "other=1"),
        ("options", "x", "blacklist=b"),
    ]
    assert {str(entry.source) for entry in config.directives} == {"/boot/entry.conf"}


def test_what_a_program_of_the_boot_blacklists_comes_last_and_is_named_after_it() -> None:
    config = parsed("blacklist first").with_more([blacklisting("a-b", SourceLine("dracut's command line", 0), "rd.driver.blacklist=a-b")])
    assert [(str(entry.source), *entry.arguments) for entry in config.directives] == [
        ("/etc/modprobe.d/x.conf:1", "first"),
        ("dracut's command line", "a_b"),
    ]
    assert list(map(str, config.directives)) == ["blacklist first", "rd.driver.blacklist=a-b"]
    assert len(config.blacklisted("a-b")) == 1


def test_each_ignored_line_is_told_with_the_line_it_begins_on() -> None:
    text = "blacklist a\n\n# comment\n  # indented\nblacklits b \\\n c\n \nalias x\n"
    assert [(str(source), line) for source, line in ignored_lines(text, "x.conf")] == [
        ("x.conf:5", "blacklits b  c"),
        ("x.conf:8", "alias x"),
    ]


def test_only_blanks_and_tabs_make_a_line_empty_or_indent_a_comment() -> None:
    """kmod parts words at these two alone (libkmod/libkmod-config.c), so a line that ends as on DOS has a word."""
    assert [str(source) for source, _line in ignored_lines("\t \n\r\n \t# a\n\f# b\n", "x.conf")] == ["x.conf:2", "x.conf:4"]


def test_aliases_and_options_are_told_in_the_order_of_the_files() -> None:
    config = parsed("alias b* m\noptions x a=1\nalias b? n\noptions x b=2\nweakdep x y\n")
    assert [entry.arguments for entry in config.aliases("bc")] == [("b*", "m"), ("b?", "n")]
    assert [entry.arguments[1] for entry in config.options("x")] == ["a=1", "b=2"]
    assert parsed("").aliases("b") == ()
    assert directives("weakdep a-b c-d\n") == [("weakdep", "a_b", "c-d")]


def test_a_last_line_that_goes_on_nowhere_counts() -> None:
    assert directives("blacklist a\\") == [("blacklist", "a")]
    assert sources("\nblacklist a\\") == ["/etc/modprobe.d/x.conf:2"]
    assert directives("\\\n\\\n") == []


def test_a_softdep_whose_only_word_is_a_form_feed_says_nothing() -> None:
    """For kmod it is a word; it names no module."""
    assert directives("softdep nouveau \f\nblacklist nouveau\n")[-1] == ("blacklist", "nouveau")


def test_a_module_is_named_as_its_line_spells_it() -> None:
    softdep, only = parsed("softdep nvidia-drm pre: vfio-pci\nblacklist snd_hda_intel\n").directives
    assert [softdep.spelt(name) for name in ("nvidia_drm", "vfio_pci", "vfio-pci")] == ["nvidia-drm", "vfio-pci", "vfio-pci"]
    assert [only.spelt(name) for name in ("snd-hda-intel", "other-one")] == ["snd_hda_intel", "other-one"]
