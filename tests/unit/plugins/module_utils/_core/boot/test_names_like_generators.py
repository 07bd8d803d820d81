# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words and paths of dracut, initramfs-tools and driverctl, compared with the scripts of their packages."""

from __future__ import annotations

import re

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import driverctl, read_dracut, read_initramfs_tools
from ansible_collections.vfio.variants.plugins.module_utils._core.lint import misspelt_words
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import image_scripts
from ansible_collections.vfio.variants.tests.unit import ordinary_packages
from ansible_collections.vfio.variants.tests.unit.sources import PROGRAMS

OLD, NEW = "dracut-core-106/usr/lib/dracut/modules.d", "dracut-core-112/usr/lib/dracut/modules.d"
TOOLS = "initramfs-tools-core-0.148/usr/share/initramfs-tools"
LIBRARY = f"{NEW}/80base/dracut-lib.sh"
PRE_UDEV = (f"{OLD}/98dracut-systemd/dracut-pre-udev", f"{NEW}/77dracut-systemd/dracut-pre-udev")


def packaged(release: str, package: str, ending: str) -> str:
    """The text of the only file of a package whose path ends so."""
    (found,) = (text for path, text in ordinary_packages.texts(release, package) if path.endswith(ending))
    return found


@pytest.mark.parametrize("script", PRE_UDEV)
def test_dracut_asks_for_its_words_in_the_order_of_ours(script: str) -> None:
    asked = tuple(re.findall(r"getargs (rd\.driver\.\w+)", PROGRAMS.text(f"{script}.sh")))
    assert asked == (read_dracut.PRE, read_dracut.BLACKLIST, read_dracut.POST)
    assert set(asked) == set(misspelt_words.OF_DRACUT)
    assert f"_modprobe_d={read_dracut.RUN_BLACKLIST}" in PROGRAMS.text(f"{script}.sh")


@pytest.mark.parametrize("unit", PRE_UDEV)
def test_dracut_s_unit_starts_on_the_conditions_of_ours(unit: str) -> None:
    conditions = re.findall(r"^Condition\w+=\|(\S+)", PROGRAMS.text(f"{unit}.service"), re.MULTILINE)
    assert {read_dracut.PRE, read_dracut.BLACKLIST, read_dracut.POST, f"{read_dracut.CMDLINE_FOLDER}/*.conf"} <= set(conditions)
    folders = {
        one.removesuffix("/pre-udev").removeprefix("/usr") for one in conditions if one.endswith("/pre-udev") and one.startswith("/")
    }
    assert folders
    assert folders <= set(read_dracut.HOOKS)
    assert f"ExecStart=-{read_dracut.PRE_UDEV}\n" in PROGRAMS.text(f"{unit}.service")


def test_hooks_are_in_the_folders_of_dracut() -> None:
    part = PROGRAMS.text(LIBRARY, "list_hooks() {", "\n}\n")
    listed = re.findall(r'for hook in "(/\S+/hooks)/', part)
    assert tuple(one.removeprefix("/usr") for one in listed) == read_dracut.HOOKS
    assert "ln_r /var/lib/dracut/hooks /lib/dracut/hooks" in PROGRAMS.text(f"{OLD}/99base/module-setup.sh")
    assert "ln_r" not in PROGRAMS.text(f"{NEW}/80base/module-setup.sh")


@pytest.mark.parametrize("library", [LIBRARY, f"{OLD}/99base/dracut-lib.sh"])
def test_dracut_reads_its_own_arguments_from_the_places_of_ours(library: str) -> None:
    part = PROGRAMS.text(library, "getcmdline() {", "\n}\n")
    assert f"{read_dracut.CMDLINE_FOLDER}/*.conf" in part
    assert f"done < {read_dracut.CMDLINE_FILE}\n" in part
    assert 'CMDLINE="$CMDLINE_ETC_D $CMDLINE_ETC $CMDLINE_PROC' in part


def test_initramfs_tools_has_the_files_words_and_stops_of_ours() -> None:
    init, functions = (PROGRAMS.text(f"{TOOLS}/{name}") for name in ("init", "scripts/functions"))
    assert f"\t{misspelt_words.OF_INITRAMFS_TOOLS}=*)\n" in init
    assert f"for conf in {read_initramfs_tools.CONFIGURATIONS[1:]}/*; do" in init
    assert set(re.findall(r"maybe_break (\w+)", init)) == read_initramfs_tools.BREAKS
    assert f"run_scripts {read_initramfs_tools.INIT_TOP}\n" in init
    assert read_initramfs_tools.MODULES in functions
    assert "${initdir}/ORDER" in functions
    assert "for b in ${blacklist}; do" in PROGRAMS.text(f"{TOOLS}{image_scripts._BLACKLISTS}")


@pytest.mark.parametrize("release", ordinary_packages.RELEASES)
def test_driverctl_keeps_its_overrides_where_ours_are_read(release: str) -> None:
    program = packaged(release, "driverctl", "/sbin/driverctl")
    assert f"confdir={driverctl.FOLDER}\n" in program
    rule = packaged(release, "driverctl", "/05-driverctl.rules")
    assert f'TEST=="{driverctl.FOLDER}/$env{{SUBSYSTEM}}-$kernel"' in rule
    assert f'ENV{{SYSTEMD_WANTS}}="{driverctl.ASKED}$env{{SUBSYSTEM}}-$kernel.service"' in rule
    unit = packaged(release, "driverctl", f"/{driverctl.UNIT}")
    found = driverctl._START.search(unit)
    assert found is not None
    assert found[1].endswith("/driverctl")
    # driverctl of Debian 13 is 0.115, that of Debian 12 0.111.
    assert ("new_id" in program) is (release == "trixie")
