# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where kmod reads modprobe.d, which commands it knows and what it takes from the command line, compared with its sources."""

from __future__ import annotations

import re

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import install_command, modprobe
from ansible_collections.vfio.variants.tests.unit.sources import PROGRAMS

OLD, NEW = "kmod-30", "kmod-34"


def library(version: str) -> int:
    """The second number of libkmod.so.2.x.y."""
    made = PROGRAMS.text(f"{version}/Makefile.am")
    current, age = (int(re.findall(rf"^LIBKMOD_{name}=(\d+)$", made, re.MULTILINE)[0]) for name in ("CURRENT", "AGE"))
    assert current - age == 2
    return age


def commands(version: str) -> set[str]:
    part = PROGRAMS.text(f"{version}/libkmod/libkmod-config.c", 'streq(cmd, "alias")', "syntax_error:")
    return {"alias", *re.findall(r'streq\(cmd, "(\w+)"\)', part)} - {"include", "config"}


def test_files_are_read_from_the_folders_of_kmod_in_its_order() -> None:
    """SYSCONFDIR is /etc, and DISTCONFDIR, which only the newer one has, /usr/lib."""
    lists = [PROGRAMS.text(f"{version}/libkmod/libkmod.c", "default_config_paths[] = {", "};") for version in (OLD, NEW)]
    place = re.compile(r'(SYSCONFDIR|DISTCONFDIR)? ?"(/\S*modprobe\.d)"')
    found = [
        tuple({"SYSCONFDIR": "/etc", "DISTCONFDIR": "/usr/lib"}.get(macro, "") + path for macro, path in place.findall(one))
        for one in lists
    ]
    assert found[1] == modprobe.DIRECTORIES
    assert found[0] == tuple(one for one in modprobe.DIRECTORIES if one != "/usr/lib/modprobe.d")


def test_the_commands_are_those_that_kmod_parses() -> None:
    assert commands(NEW) == modprobe.WORDS.keys()
    assert commands(OLD) == modprobe.WORDS.keys() - {"weakdep"}


@pytest.mark.parametrize(("version", "suffixes"), [(OLD, {modprobe.SUFFIX, modprobe.OLD_SUFFIX}), (NEW, {modprobe.SUFFIX})])
def test_files_have_the_suffixes_of_each_kmod(version: str, suffixes: set[str]) -> None:
    part = PROGRAMS.text(f"{version}/libkmod/libkmod-config.c", "conf_files_filter_out(", "\n}\n")
    assert set(re.findall(r'streq\(&fn\[len - \d\], "(\.\w+)"\)', part)) == suffixes
    assert (library(version) < modprobe.WITHOUT_OLD_SUFFIX) is (modprobe.OLD_SUFFIX in suffixes)


def test_kmod_s_news_names_the_version_that_reads_no_old_files() -> None:
    news = PROGRAMS.text(f"{NEW}/NEWS")
    before = news[: news.index("Stop parsing .alias files")]
    assert re.findall(r"^kmod (\d+)$", before, re.MULTILINE)[-1] == "33"


@pytest.mark.parametrize("version", [OLD, NEW])
def test_the_command_line_has_a_list_of_names_for_kmod(version: str) -> None:
    source = PROGRAMS.text(f"{version}/libkmod/libkmod-config.c")
    assert re.search(r'streq\(modname, "modprobe"\) && !strncmp\(param, "blacklist=", 10\)', source)


def test_an_install_line_is_given_the_options_by_kmod_s_word() -> None:
    assert f'strstr(cmd, "{install_command.OPTIONS}")' in PROGRAMS.text(f"{NEW}/libkmod/libkmod-module.c")
    assert install_command.OPTIONS in PROGRAMS.text(f"{NEW}/man/modprobe.d.5.scd")


def test_the_command_finds_the_module_in_its_environment() -> None:
    assert 'setenv("MODPROBE_MODULE", modname, 1)' in PROGRAMS.text(f"{NEW}/libkmod/libkmod-module.c")
    (step,) = install_command.parse("modprobe -i $MODPROBE_MODULE", "nouveau") or ()
    assert step.names == ("nouveau",)
