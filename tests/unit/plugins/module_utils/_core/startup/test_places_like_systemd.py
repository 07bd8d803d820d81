# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where systemd and its programs read what starts at boot, and by which words, compared with their sources and manuals."""

from __future__ import annotations

import re

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read_systemd
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import (
    command_line,
    credentials,
    extensions,
    generators,
    masked_units,
    read,
    systemd_variables,
    tmpfiles,
    unit_files,
    units,
)
from ansible_collections.vfio.variants.tests.unit.sources import PROGRAMS

SOURCES = "systemd-257/src"
MANUALS = "systemd-262/usr/share/man"
RUN = "/run/"
CREDENTIALS = f"{MANUALS}/man7/systemd.system-credentials.7"
# Credentials that give passwords, names, keys, addresses and the like: none of them acts on drivers.
OTHER_CREDENTIALS = re.compile(
    r"(?:firstboot|passwd|ssh|home|cryptsetup|vconsole|getty|journal|shell|login|vmm|userdb|fsck|quotacheck)\..*|system\.(?:hostname|machine_id)"
    r"|sysusers\.extra"
)


def text(path: str) -> str:
    """A manual page without its marks."""
    return re.sub(r"\\f[A-Z]|\\&|\\", "", PROGRAMS.text(path))


def quoted(path: str, begin: str, end: str) -> tuple[str, ...]:
    return tuple(one for one in PROGRAMS.quoted(f"{SOURCES}/{path}", begin, end) if one.startswith("/"))


def lasting(places: tuple[str, ...]) -> tuple[str, ...]:
    """Without those that are empty at the next boot."""
    return tuple(one for one in places if not one.startswith(RUN))


def cascade(name: str) -> tuple[str, ...]:
    """The folders of CONF_PATHS(), with that of systems whose /lib is a folder of its own."""
    macro = PROGRAMS.quoted(f"{SOURCES}/basic/constants.h", "#define CONF_PATHS(n)", "\n\n")
    return lasting(tuple(f"{one}{name}" for one in (*macro, "/lib/")))


def test_units_are_read_from_the_folders_of_systemd() -> None:
    listed = quoted("libsystemd/sd-path/path-lookup.c", "case RUNTIME_SCOPE_SYSTEM:\n                        /* If you modify", "break;")
    assert lasting(listed) == tuple(one for one in unit_files.FOLDERS if not one.endswith((".control", ".attached")))
    assert lasting(listed) == read_systemd.UNITS
    assert set(masked_units.LOCAL) < set(listed)
    others = quoted("libsystemd/sd-path/path-lookup.c", '{ "/etc/systemd/system.control"', '"/run/systemd/system.attached"')
    assert set(others) >= set(unit_files.FOLDERS) - set(listed)
    # Their places in the list have names.
    part = PROGRAMS.text(f"{SOURCES}/libsystemd/sd-path/path-lookup.c", "/* If you modify this you also want", "break;")
    assert re.findall(r"persistent_(\w+)", part) == ["control", "config", "attached"]
    assert unit_files.FOLDERS[:3] == tuple(f"/etc/systemd/system{end}" for end in (".control", "", ".attached"))


def test_units_are_of_systemd_s_kinds() -> None:
    kinds = PROGRAMS.quoted(f"{SOURCES}/basic/unit-def.c", "unit_type_table[", "};")
    assert {f".{kind}" for kind in kinds} == set(unit_files.KINDS)
    assert [command_line.with_suffix(f"x.{kind}") for kind in kinds] == [f"x.{kind}" for kind in kinds]


def test_generators_are_run_from_the_folders_of_systemd() -> None:
    manual = re.findall(r"^(/\S+/system-generators)/\*$", text(f"{MANUALS}/man7/systemd.generator.7"), re.MULTILINE)
    assert lasting(tuple(manual)) == generators.FOLDERS
    listed = quoted("libsystemd/sd-path/path-lookup.c", "system_env_generator_paths[] = {", "};")
    assert lasting(listed) == systemd_variables.GENERATORS[:2]


def test_lists_of_modules_settings_and_files_are_read_from_the_folders_of_systemd() -> None:
    assert 'CONF_PATHS_NULSTR("modules-load.d")' in PROGRAMS.text(f"{SOURCES}/modules-load/modules-load.c")
    assert cascade("modules-load.d") == read_systemd.LISTS
    assert 'CONF_PATHS_STRV("sysctl.d")' in PROGRAMS.text(f"{SOURCES}/sysctl/sysctl.c")
    for name in ("sysctl.d", "tmpfiles.d"):
        assert cascade(name) == tuple(folder.format(name) for folder in tmpfiles.FOLDERS)
    manual = re.findall(r"^(/\S+/tmpfiles\.d)/\*\.conf$", text(f"{MANUALS}/man5/tmpfiles.d.5"), re.MULTILINE)
    assert set(lasting(tuple(manual))) == {folder.format("tmpfiles.d") for folder in tmpfiles.FOLDERS[:3]}


def test_modules_are_named_on_the_command_line_by_systemd_s_word() -> None:
    assert 'proc_cmdline_key_streq(key, "modules_load")' in PROGRAMS.text(f"{SOURCES}/modules-load/modules-load.c")
    words = re.findall(r"^(modules_load=, rd\.modules_load=)$", text(f"{MANUALS}/man7/kernel-command-line.7"), re.MULTILINE)
    assert words


def test_the_types_of_lines_that_write_are_types_of_tmpfiles() -> None:
    types = re.findall(r"^([a-zA-Z])(?:[+?], )?(?:, [a-zA-Z][+?])*$", text(f"{MANUALS}/man5/tmpfiles.d.5"), re.MULTILINE)
    # `F` is what `f+` was once.
    assert tmpfiles._WRITE_TYPES - {"F"} <= set(types)


def test_words_of_run_levels_are_systemd_s() -> None:
    targets = {f"SPECIAL_{name}_TARGET": name for name in ("EMERGENCY", "RESCUE", "MULTI_USER", "GRAPHICAL")}
    names = {constant: PROGRAMS.quoted(f"{SOURCES}/basic/special.h", f"#define {constant} ", "\n")[0] for constant in targets}
    rows = re.findall(r'"(\S+)",\s+(SPECIAL_\w+)', PROGRAMS.text(f"{SOURCES}/shared/unit-file.c", "rlmap[] = {", "};"))
    assert len(rows) == 12
    for word, constant in rows:
        assert command_line.SystemdWords.of(Cmdline.parse(word)).target == names[constant]


@pytest.mark.parametrize("word", ["systemd.unit", "systemd.wants", "systemd.mask", "systemd.run", "systemd.set_credential"])
def test_words_that_decide_what_starts_are_in_systemd_s_manual(word: str) -> None:
    manuals = text(f"{MANUALS}/man7/kernel-command-line.7") + text(f"{MANUALS}/man7/systemd.system-credentials.7")
    assert f"{word}=" in manuals


@pytest.mark.parametrize("target", ["basic", "graphical", "multi-user", "sysinit", "rescue"])
def test_targets_pull_in_at_least_what_their_own_units_do(target: str) -> None:
    unit = PROGRAMS.text(f"systemd-257/units/{target}.target")
    pulled = {name for line in re.findall(r"^(?:Wants|Requires)=(.*)$", unit, re.MULTILINE) for name in line.split()}
    assert {name for name in pulled if name.endswith(".target")} <= set(units._STANDARD[f"{target}.target"])


def test_the_units_that_load_modules_and_replay_events_are_systemd_s() -> None:
    there = {path.rpartition("/")[2].removesuffix(".in") for path in PROGRAMS.texts if path.startswith("systemd-257/units/")}
    assert {read_systemd.LIST_UNIT, *read_systemd.UDEV_UNITS} <= there


def test_credentials_are_read_from_the_stores_of_systemd() -> None:
    source = PROGRAMS.text(f"{SOURCES}/core/exec-credential.c")
    assert all(f'CONF_PATHS_STRV("{name}")' in source for name in ("credstore", "credstore.encrypted"))
    assert cascade("credstore")[:3] == credentials.STORES
    assert set(cascade("credstore.encrypted")[:3]) <= set(credentials.SEALED)


def test_each_credential_of_systemd_s_manual_is_noticed_or_has_nothing_to_do_with_drivers() -> None:
    manual = text(CREDENTIALS)
    names = [name for line in re.findall(r"^\.PP\n([a-z0-9_]+\.[\w.*, -]+)\n", manual, re.MULTILINE) for name in line.split(", ")]
    assert {"udev.rules.*", "systemd.extra-unit.*", "systemd.unit-dropin.*", "tmpfiles.extra", "network.conf.*"} <= set(names)

    def added(name: str) -> int:
        return int(re.findall(r"Added in version (\d+)", manual[manual.index(f"\n{name}\n") :])[0])

    assert [name for name in names if not credentials.ACTING.match(name) and not OTHER_CREDENTIALS.fullmatch(name)] == []
    for name in ("udev.conf.*, udev.rules.*", "systemd.extra-unit.*, systemd.unit-dropin.*"):
        assert added(name) == credentials.WITH_RULES
    assert {"fstab.extra": added("fstab.extra"), "import.pull": added("import.pull"), "imds.": added("imds.*")} == credentials.SINCE


def test_extensions_are_taken_from_the_folders_of_systemd() -> None:
    manual = text(f"{MANUALS}/man8/systemd-sysext.8")
    for kind, folder in zip(extensions.KINDS, ("extensions", "confexts")):
        listed = tuple(
            one.rstrip("/.,") for one in re.findall(rf"(?<![\w*])/(?:etc|run|var/lib|usr/lib|usr/local/lib)/{folder}/[,.]?\s", manual)
        )
        found = {one.strip().rstrip("/.,") for one in listed}
        assert len(found) > 2
        assert set(lasting(tuple(found))) <= set(kind.places)


def test_d_bus_has_services_in_the_folders_of_its_manual() -> None:
    manual = text("dbus-daemon-1.16/usr/share/man/man1/dbus-daemon.1")
    part = manual[manual.index("<standard_system_servicedirs/> specifies") :]
    assert lasting(tuple(re.findall(r"^(/\S+/system-services):", part, re.MULTILINE))) == read.BUS_SERVICES
