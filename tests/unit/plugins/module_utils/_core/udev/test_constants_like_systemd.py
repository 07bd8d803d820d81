# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What udev's rules are made of, compared with udev's own sources and manual."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read_systemd
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import architecture
from ansible_collections.vfio.variants.plugins.module_utils._core.udev import (
    answers,
    evaluation,
    event_context,
    hwdb,
    key,
    rules,
    syntax,
    values,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
from ansible_collections.vfio.variants.tests.unit.sources import PROGRAMS
from ansible_collections.vfio.variants.tests.unit.trees import Tree

RULES = "systemd-257/src/udev/udev-rules.c"
OLD_RULES = "systemd-252/src/udev/udev-rules.c"
MANUAL = "udev-262/usr/share/man/man7/udev.7"
ELF_MACHINES = "linux-libc-dev-6.1/usr/include/linux/elf-em.h"
ARCHITECTURES = "systemd-257/src/basic/architecture"
# The names of udev's own enumeration for what rules call otherwise.
TOKENS = {"DEVLINK": "SYMLINK", **{f"PARENTS_{one}": f"{one}S" for one in ("KERNEL", "SUBSYSTEM", "DRIVER", "ATTR", "TAG")}}


def asked(words: str) -> tuple[str, ...]:
    """Strings in a list of systemd's, by what stands around them."""
    return tuple(re.findall(r'"([^"]+)"', words))


def since(what: str) -> int:
    """The systemd of whose NEWS a paragraph has these words."""
    before = PROGRAMS.text("excerpts/systemd-262/usr/share/doc/systemd/NEWS").partition(what)
    assert before[1], what
    return int(re.findall(r"^CHANGES WITH (\d+)", before[0], re.MULTILINE)[-1])


def test_every_architecture_has_the_name_that_systemd_gives_to_the_machine(tmp_path: Path) -> None:
    machines = re.findall(r'\{ "(\w+)",\s*(ARCHITECTURE_\w+)', PROGRAMS.text(f"{ARCHITECTURES}.c"))
    names = dict(re.findall(r'\[(ARCHITECTURE_\w+)\]\s*= "([^"]+)"', PROGRAMS.text(f"{ARCHITECTURES}.c")))
    said = {(machine, names[constant]) for machine, constant in machines}
    assert ("riscv64", "riscv64") in said
    known = {"x86_64", "i686", "aarch64", "ppc64le", "s390x", "loongarch64", "armv7l"}
    found = {}
    for machine, _name in said:
        files = event_context.Files.read(
            Tree(tmp_path).file("/proc/sys/kernel/arch", f"{machine}\n").host(), (Key("CONST", "arch", "==", "x"),)
        )
        if files.architecture is not None:
            found[machine] = files.architecture
    assert known <= found.keys()
    assert set(found.items()) <= said


def test_a_parent_without_the_property_is_enough_for_an_import_up_to_the_last_systemd_of_which_it_is_known() -> None:
    for version in (252, evaluation.LAST_WITH_ANY_PARENT):
        imports = PROGRAMS.text(f"systemd-{version}/src/udev/udev-rules.c", "static int import_parent_into_properties(", "\n}\n")
        assert re.findall(r"return (\w+);", imports) == ["0", "r", "r", "1"]


def test_machines_of_elf_files_have_their_numbers_from_linux_and_their_names_from_systemd() -> None:
    numbers = {name: int(one) for name, one in re.findall(r"^#define (EM_\w+)\s+(\d+)", PROGRAMS.text(ELF_MACHINES), re.MULTILINE)}
    named = {
        "x86-64": "EM_X86_64",
        "arm64": "EM_AARCH64",
        "ppc64-le": "EM_PPC64",
        "ppc64": "EM_PPC64",
        "s390x": "EM_S390",
        "riscv64": "EM_RISCV",
        "loongarch64": "EM_LOONGARCH",
    }
    assert {name: machine for (_bits, _order, machine), name in architecture._MACHINES.items()} == {
        name: numbers[constant] for name, constant in named.items()
    }
    assert set(named) <= architecture.NAMES


def test_the_architectures_are_those_of_systemd() -> None:
    assert set(re.findall(r'\[ARCHITECTURE_\w+\]\s*= "([^"]+)"', PROGRAMS.text(f"{ARCHITECTURES}.c"))) == architecture.NAMES
    assert {*architecture._RELEASES.values()} <= architecture.NAMES


@pytest.mark.parametrize("path", [RULES, OLD_RULES])
def test_keys_are_those_that_udev_parses(path: str) -> None:
    parsed = set(re.findall(r'streq\(key, "([A-Z]+)"\)', PROGRAMS.text(path, "static int parse_token(", "\n}\n")))
    assert parsed == set(syntax._GRAMMAR)


@pytest.mark.parametrize("path", [RULES, OLD_RULES])
def test_constants_and_imports_are_those_that_udev_parses(path: str) -> None:
    constants = re.findall(r'streq\(key, "CONST"\)[\s\S]*?STR_IN_SET\(attr, ([^)]*)\)', PROGRAMS.text(path))
    assert [asked(one) for one in constants] == [syntax._CONSTANTS]
    imports = PROGRAMS.text(path, 'streq(key, "IMPORT")', 'streq(key, "RESULT")')
    assert tuple(re.findall(r'streq\(attr, "(\w+)"\)', imports)) == syntax._IMPORTS == key._IMPORTED


def test_later_constants_and_options_are_those_of_udev_s_manual() -> None:
    manual = PROGRAMS.text(MANUAL).replace("\\", "")
    constants = re.findall(r'^"(\w+)"$', manual[manual.index("fICONST{") : manual.index("fITAGfR")], re.MULTILINE)
    assert constants == [*syntax._CONSTANTS, "cvm"]
    assert not any(rules.parse_file(f'CONST{{{one}}}=="x", NAME="y"\n', "/a.rules", 262).problems for one in constants)
    options = re.findall(r"^fB([a-z_-]+)(?:=fR.*|fR)$", manual[manual.index("fIOPTIONSfR") : manual.index("fB%%fR")], re.MULTILINE)
    names = (
        "link_priority=0",
        "string_escape=none",
        "static_node=x",
        "watch",
        "nowatch",
        "db_persist",
        "log_level=info",
        "dump",
        "dump-json",
    )
    assert {name.partition("=")[0] for name in names} == set(options)
    problems = [rules.parse_file(f'KERNEL=="x", OPTIONS="{name}"\n', "/a.rules", 262).problems for name in names]
    assert problems == [()] * len(names)
    described = {name: manual[re.search(rf"^fB{name}(?:=fR|fR$)", manual, re.MULTILINE).start() :] for name in options}  # type: ignore[union-attr]
    added = {name: int(re.findall(r"Added in version (\d+)", text)[0]) for name, text in described.items()}
    assert {name: version for name, version in added.items() if version > syntax.VERSIONS[0]} == syntax._OPTIONS_SINCE
    for name, version in syntax._OPTIONS_SINCE.items():
        for release in (version - 1, version):
            found = rules.parse_file(f'KERNEL=="x", OPTIONS="{name}"\n', "/a.rules", release).problems
            assert bool(found) is (release < version)


@pytest.mark.parametrize("path", [RULES, OLD_RULES])
def test_options_are_those_that_udev_parses(path: str) -> None:
    part = PROGRAMS.text(path, 'streq(key, "OPTIONS")', 'streq(key, "OWNER")')
    found = set(re.findall(r'(?:streq|startswith)\(value, "([^"]+)"\)', part))
    later = set(syntax._OPTIONS_SINCE)
    given = [f"{one}1" if one.endswith("=") else one for one in found - {"static_node=", "log_level="}]
    assert len(given) == 6
    assert all(syntax._OPTION.fullmatch(one) for one in (*given, *later))


@pytest.mark.parametrize("version", [252, 257])
def test_builtins_are_those_of_each_udev(version: int) -> None:
    names = re.findall(r"^\s+UDEV_BUILTIN_(\w+),", PROGRAMS.text(f"systemd-{version}/src/udev/udev-builtin.h"), re.MULTILINE)
    # In the sources the command net_setup_link is called so.
    known = {"net_setup_link" if name == "NET_LINK" else name.lower() for name in names}
    assert known == {name for name in syntax.BUILTINS if syntax._BUILTINS_SINCE.get(name, 0) <= version}


@pytest.mark.parametrize("name", ["factory_reset", "dissect_image", "tpm2_id"])
def test_later_builtins_are_those_of_which_systemd_s_news_tells(name: str) -> None:
    assert syntax._BUILTINS_SINCE[name] == since(f'udev builtin "{name}"')


def test_modules_are_loaded_several_at_a_time_since_the_systemd_whose_news_tells_so() -> None:
    assert since("systemd-modules-load will now load configured kernel modules in\n          parallel") == read_systemd.SEVERAL_AT_A_TIME


def test_properties_that_no_rule_sets_are_those_that_udev_refuses() -> None:
    refused = asked(PROGRAMS.text("systemd-257/src/libsystemd/sd-device/device-util.h", "device_property_can_set", "\n}\n"))
    assert {name for name in (*refused, "MODALIAS", "ID_X") if not syntax.may_be_set(name, 257)} == set(refused)


def test_lengths_are_those_of_udev_s_buffers() -> None:
    header = "systemd-257/src/udev/udev-rules.h"
    assert PROGRAMS.macro(header, "UDEV_LINE_SIZE") == syntax.LONGEST
    assert PROGRAMS.macro(header, "UDEV_NAME_SIZE") == answers._LONGEST_VALUE


@pytest.mark.parametrize("path", ["systemd-257/src/udev/udev-format.c", "systemd-252/src/udev/udev-event.c"])
def test_substitutions_are_those_of_udev(path: str) -> None:
    assert dict(re.findall(r"\.name = \"(\w+)\",\s*\.fmt = '(\w)'", PROGRAMS.text(path))) == values.FORMATS


@pytest.mark.parametrize("path", [RULES, OLD_RULES])
def test_a_rule_s_keys_are_sorted_as_udev_sorts_its_tokens(path: str) -> None:
    tokens = re.findall(r"^\s+TK_([MA])_(\w+),", PROGRAMS.text(path, "TK_M_ACTION,", "UdevRuleTokenType;"), re.MULTILINE)
    keys: list[Key] = []
    for kind, token in tokens:
        if token.startswith("OPTIONS_") or token.endswith("_ID"):
            continue
        name, _mark, attribute = token.partition("_") if token.startswith(("IMPORT_", "RUN_")) else (TOKENS.get(token, token), "", "")
        keys.append(Key(name, attribute.lower() or None, "==" if kind == "M" and name not in ("PROGRAM", "IMPORT") else "=", "x"))
    assert len(keys) > 35
    assert [one.written for one in sorted(keys, key=lambda one: one.order)] == [one.written for one in keys]


def test_rules_are_read_from_the_folders_of_udev() -> None:
    assert 'CONF_PATHS_STRV("udev/rules.d")' in PROGRAMS.text(RULES, "#define RULES_DIRS", "\n")
    paths = asked(PROGRAMS.text("systemd-257/src/basic/constants.h", "#define CONF_PATHS(n)", "\n\n"))
    split = asked(PROGRAMS.text("systemd-252/src/basic/def.h", "define _CONF_PATHS_SPLIT_USR(n)", "\n"))
    assert tuple(f"{path}udev/rules.d" for path in (*paths, *split)) == rules.DIRECTORIES


def test_the_hardware_database_is_read_from_the_folders_of_udev_and_perhaps_from_another() -> None:
    folders = asked(PROGRAMS.text("systemd-257/src/shared/hwdb-util.c", "conf_file_dirs[] = {", "};"))
    assert folders == ("/etc/udev/hwdb.d", "/hwdb.d")
    assert {folders[0], "/usr/lib/udev/hwdb.d"} < set(hwdb.FOLDERS)
