# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units that were drawn, and which of them `systemd --test` of systemd 262.1 would start, with which drop-ins and commands."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.asked_units import of_presets
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.boot_units import at_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.conditions import Conditions
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.generators import masked_by_word
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.machine_facts import is_first_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.services import commands
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import UnitFiles, parsed
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.units import StartedUnits
from ansible_collections.vfio.variants.tests.unit.trees import Tree

SITE, SHIPPED = "/etc/systemd/system", "/usr/lib/systemd/system"
SERVICE = "[Service]\nExecStart=/bin/it\n"


class Drawn:
    """Services a, b, x@ and y-z@, and a target that is started; names without a folder are below /etc/systemd/system."""

    def __init__(self, root: Path, **texts: str) -> None:
        self.tree = Tree(root).file(f"{SHIPPED}/site.target", "[Unit]\n").file(f"{SHIPPED}/a-b.target", "[Unit]\n")
        for name in ("a", "b", "x@", "y-z@"):
            self.tree.file(f"{SHIPPED}/{name}.service", texts.get(name, SERVICE))

    def link(self, path: str, target: str) -> Drawn:
        place = self.tree.place(path if path.startswith("/") else f"{SITE}/{path}")
        place.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(target, place)
        return self

    def file(self, path: str, text: str) -> Drawn:
        self.tree.file(path if path.startswith("/") else f"{SITE}/{path}", text)
        return self

    def started(self, *names: str) -> set[str]:
        files = UnitFiles(self.tree.host())
        found = StartedUnits(files, [(name, "a test") for name in names or ("site.target",)], lambda _unit: True).found
        return {name for name in found if name.endswith(".service")}

    def run(self, name: str) -> list[str]:
        unit = UnitFiles(self.tree.host()).load(name)
        return [] if unit is None else [command.text for command in commands(unit, self.tree.host())]


@pytest.mark.parametrize(
    ("link", "target", "started"),
    [
        ("site.target.wants/a.service", "../a.service", {"a.service"}),
        ("site.target.wants/a.service", "/nowhere", {"a.service"}),
        ("site.target.requires/a.service", "../b.service", {"a.service"}),
        ("site.target.wants/a.service", "/dev/null", set()),
        ("site.target.wants/x@.service", f"{SHIPPED}/x@.service", {"x@site.service"}),
        ("site.target.wants/x@one.service", f"{SHIPPED}/x@.service", {"x@one.service"}),
        ("target.wants/a.service", "../a.service", {"a.service"}),
        ("site.target.wants/.a.service", "../a.service", set()),
    ],
)
def test_links_start_units(tmp_path: Path, link: str, target: str, started: set[str]) -> None:
    assert Drawn(tmp_path).link(link, target).started() == started


def test_a_file_among_the_links_starts_nothing(tmp_path: Path) -> None:
    assert Drawn(tmp_path).file("site.target.wants/a.service", SERVICE).started() == set()


@pytest.mark.parametrize(
    ("file", "text", "started"),
    [
        ("a.service", "../a.service", {"a.service"}),
        ("a.service", f"{SHIPPED}/a.service", {"a.service"}),
        ("x@one.service", f"{SHIPPED}/x@.service", {"x@one.service"}),
        ("a.service", "../a.service\n", set()),
        ("a.service", "../x@.service", set()),
        ("a.service", "", set()),
    ],
)
def test_a_link_that_a_copy_of_the_tree_has_written_out_is_still_one(tmp_path: Path, file: str, text: str, started: set[str]) -> None:
    assert Drawn(tmp_path).file(f"site.target.wants/{file}", text).started() == started


RESCUE_WANTS = (f"{SITE}/rescue.target.wants/b.service", "../b.service")
MASKS_DEFAULT = (f"{SITE}/default.target", "/dev/null")
# `systemd --test` of 252, 257 and 262, and what their systemd-debug-generator makes; default.target is site.target, which wants a.
BY_WORDS: list[tuple[str, tuple[tuple[str, str], ...], set[str]]] = [
    ("", (), {"a.service"}),
    ("'systemd.wants=b.service'", (), {"a.service", "b.service"}),
    ('systemd.wants="b.service"', (), {"a.service", "b.service"}),
    ("systemd.wants=b.serv'ice'", (), {"a.service", "b.service"}),
    ("systemd.wants=b", (), {"a.service", "b.service"}),
    ("systemd.wants", (), {"a.service"}),
    ("rd.systemd.wants=b.service", (), {"a.service"}),
    ("systemd.Wants=b.service", (), {"a.service"}),
    ("-- systemd.wants=b.service", (), {"a.service", "b.service"}),
    ("systemd.wants=b.service systemd.mask=b.service", (), {"a.service"}),
    ("'systemd.mask=a.service'", (), set()),
    ("systemd.mask= systemd.mask=a.service", (), {"a.service"}),
    ("systemd.mask systemd.mask=a.service", (), set()),
    ("systemd.wants= systemd.wants=b.service", (), {"a.service"}),
    ("systemd.mask=site.target", (RESCUE_WANTS,), {"b.service"}),
    ("systemd.unit=nowhere.target", (RESCUE_WANTS,), {"b.service"}),
    ("", (RESCUE_WANTS, MASKS_DEFAULT), {"b.service"}),
    ("'1'", (RESCUE_WANTS,), {"b.service"}),
    ("rd.rescue rd.systemd.unit=rescue.target", (RESCUE_WANTS,), {"a.service"}),
    ("systemd.unit=rescue", (RESCUE_WANTS,), {"a.service"}),
    ("1 systemd.unit=rescue", (RESCUE_WANTS,), {"b.service"}),
    ("rescue=1 0 6 b", (RESCUE_WANTS,), {"a.service"}),
    ("systemd.unit=site.target single", (RESCUE_WANTS,), {"b.service"}),
]


@pytest.mark.parametrize(("cmdline", "links", "expected"), BY_WORDS)
def test_words_of_the_command_line_start_and_mask_units(
    tmp_path: Path, cmdline: str, links: tuple[tuple[str, str], ...], expected: set[str]
) -> None:
    tree = Drawn(tmp_path).link("site.target.wants/a.service", "../a.service").file("/etc/machine-id", f"{'0' * 32}\n").tree
    tree.link(f"{SHIPPED}/default.target", "site.target").file(f"{SHIPPED}/rescue.target", "[Unit]\n")
    for path, target in links:
        tree.link(path, target)
    host, words = tree.host(), Cmdline.parse(cmdline)
    files = UnitFiles(host, masked_by_word(host, words))
    found = at_boot(host, files, Conditions(host, words), words, "a test").found
    assert {name for name in found if name.endswith(".service") and name != "rescue.service"} == expected


INSTALLED = "[Install]\nWantedBy=multi-user.target\n"
BY_DEFAULT = f"{INSTALLED}DefaultInstance=usual\n"
# `systemctl --root --preset-mode=enable-only preset-all` of systemd 262.1.
PRESETS: list[tuple[str, str, dict[str, str], set[str]]] = [
    ("nothing is said", "", {}, {"a.service"}),
    ("a template without instances", "enable x@.service\ndisable *\n", {"x@": INSTALLED}, set()),
    ("instances of a template", "enable x@.service one two\ndisable *\n", {"x@": INSTALLED}, {"x@one.service", "x@two.service"}),
    ("instances where there is one by default", "enable x@.service one\ndisable *\n", {"x@": BY_DEFAULT}, {"x@one.service"}),
    ("the instance by default", "disable a.service\n", {"x@": BY_DEFAULT}, {"x@usual.service"}),
    ("a template that is disabled", "disable x@.service one\ndisable x@*\n", {"x@": BY_DEFAULT}, {"a.service"}),
    ("a unit of another", "enable b.service\ndisable *\n", {"b": "[Install]\nAlso=a.service\n"}, {"a.service"}),
    (
        "a template of another",
        "enable b.service\ndisable *\n",
        {"b": "[Install]\nAlso=x@.service\n", "x@": BY_DEFAULT},
        {"x@usual.service"},
    ),
    ("words behind a pattern that disables", "disable a.service # why\n", {}, {"a.service"}),
    ("words behind a pattern that enables", "enable a.service # why\ndisable *\n", {}, {"a.service"}),
    ("a verb with a capital", "Disable a.service\n", {}, {"a.service"}),
    ("a line that leaves it alone", "ignore a.service\n", {}, set()),
]


@pytest.mark.parametrize(("text", "units", "expected"), [case[1:] for case in PRESETS], ids=[case[0] for case in PRESETS])
@pytest.mark.parametrize("machine_id", [None, "uninitialized\n"])
def test_presets_enable_units_at_a_first_boot(
    tmp_path: Path, text: str, units: dict[str, str], expected: set[str], machine_id: str | None
) -> None:
    drawn = Drawn(tmp_path, **{"a": SERVICE + INSTALLED, **{name: SERVICE + more for name, more in units.items()}})
    tree = drawn.file("/etc/systemd/system-preset/10-site.preset", text).tree
    if machine_id is not None:
        tree.file("/etc/machine-id", machine_id)
    host = tree.host()
    assert {name for name, _place in of_presets(host, UnitFiles(host), Cmdline.parse(""))} == expected


@pytest.mark.parametrize(
    ("machine_id", "cmdline", "is_first"),
    [
        (None, "", True),
        ("uninitialized\n", "", True),
        ("", "", False),
        (f"{'0' * 32}\n", "", False),
        (f"{'0' * 32}\n", "systemd.condition_first_boot", True),
        (f"{'0' * 32}\n", "systemd.condition-first-boot=yes", True),
        ("uninitialized\n", "'systemd.condition_first_boot=no'", False),
        (None, "systemd.condition_first_boot=0", False),
    ],
)
def test_a_boot_is_the_first_as_systemd_says(tmp_path: Path, machine_id: str | None, cmdline: str, is_first: bool) -> None:
    """`systemd --test` of 252, 257 and 262, which tells a first boot."""
    tree = Tree(tmp_path) if machine_id is None else Tree(tmp_path).file("/etc/machine-id", machine_id)
    assert is_first_boot(tree.host(), Cmdline.parse(cmdline)) is is_first
    conditions = Conditions(tree.host(), Cmdline.parse(cmdline))
    assert conditions.hold(parsed("[Unit]\nConditionFirstBoot=yes\n", "a.service", "a.service")) is is_first


def test_a_template_is_an_instance_by_the_name_of_the_unit_s_own_file(tmp_path: Path) -> None:
    drawn = Drawn(tmp_path).link("also.target", f"{SHIPPED}/site.target").link("site.target.wants/x@.service", "../x@.service")
    assert drawn.started("also.target") == {"x@site.service"}


@pytest.mark.parametrize(
    ("link", "target", "run"),
    [
        ("also.service", "a.service", ["/bin/it"]),
        ("also.service", "/opt/other.service", ["/bin/other"]),
        ("also.service", "/opt/other.timer", ["/bin/other"]),
        ("also.service", "also.timer", []),
        ("also@i.service", f"{SHIPPED}/x@.service", ["/bin/it"]),
        ("also@i.service", f"{SHIPPED}/a.service", []),
    ],
)
def test_a_link_to_a_unit_is_another_name_and_one_to_elsewhere_its_file(tmp_path: Path, link: str, target: str, run: list[str]) -> None:
    other = "[Service]\nExecStart=/bin/other\n"
    drawn = Drawn(tmp_path).file("/opt/other.service", other).file("/opt/other.timer", other).file("also.timer", "[Timer]\nOnBootSec=1\n")
    assert drawn.link(link, target).run(link) == run


@pytest.mark.parametrize("target", ["nosuch.target", "a.service"])
def test_a_default_that_leads_to_no_target_is_graphical(tmp_path: Path, target: str) -> None:
    drawn = Drawn(tmp_path).link("default.target", target).link("graphical.target.wants/b.service", "../b.service")
    drawn.file(f"{SHIPPED}/graphical.target", "[Unit]\n")
    files = UnitFiles(drawn.tree.host())
    assert "b.service" in StartedUnits.at_boot(files, None, (), lambda _unit: True).found


def test_links_for_a_name_s_beginning_start_units(tmp_path: Path) -> None:
    assert Drawn(tmp_path).link("a-.target.wants/a.service", "../a.service").started("a-b.target") == {"a.service"}


@pytest.mark.parametrize(
    ("by", "text", "started"),
    [
        ("a.service", "[Unit]\nWants=x@.service\n", {"a.service", "x@a.service"}),
        ("x@i.service", "[Unit]\nWants=y-z@.service\n", {"x@i.service", "y-z@i.service"}),
        ("a.service", "[Unit]\nWants=b.service\nWants=\n", {"a.service", "b.service"}),
        ("a.service", '[Unit]\nRequires="b.service"\n', {"a.service", "b.service"}),
        ("a.service", "[Unit]\nWants=x@%p.service\n", {"a.service", "x@a.service"}),
    ],
)
def test_what_a_unit_asks_for_is_started(tmp_path: Path, by: str, text: str, started: set[str]) -> None:
    name = f"{by.partition('@')[0]}@" if "@" in by else by.partition(".")[0]
    texts: dict[str, t.Any] = {name: f"{text}{SERVICE}"}
    assert Drawn(tmp_path, **texts).started(by) == started


@pytest.mark.parametrize(
    ("unit", "folders", "run"),
    [
        ("a.service", ("a.service.d/x.conf",), ["/bin/0"]),
        ("a.service", ("a.service.d/.x.conf",), ["/bin/it"]),
        ("a.service", ("service.d/x.conf",), ["/bin/0"]),
        ("a.service", ("service.d/x.conf", f"{SHIPPED}/a.service.d/x.conf"), ["/bin/1"]),
        ("a.service", ("a.service.d/x.conf", f"{SHIPPED}/a.service.d/x.conf"), ["/bin/0"]),
        ("y-z@i.service", ("y-@.service.d/x.conf",), ["/bin/0"]),
        ("y-z@i.service", ("y-@i.service.d/x.conf", "y-.service.d/x.conf"), ["/bin/1"]),
        ("y-z@i.service", ("y-z@.service.d/x.conf", "y-z@i.service.d/x.conf"), ["/bin/1"]),
        ("x@i.service", ("x-.service.d/x.conf",), ["/bin/it"]),
    ],
)
def test_drop_ins_come_from_the_nearest_folder(tmp_path: Path, unit: str, folders: tuple[str, ...], run: list[str]) -> None:
    """unit_file_find_dirs() in dropin.c: a type's own folders come last, and an instance has those of its shorter names' instances."""
    drawn = Drawn(tmp_path)
    for number, place in enumerate(folders):
        drawn.file(place, f"[Service]\nExecStart=\nExecStart=/bin/{number}\n")
    assert drawn.run(unit) == run


@pytest.mark.parametrize(
    ("line", "run"),
    [
        ('"/bin/e" q', ["/bin/e q"]),
        ("'/bin/e'", ["/bin/e"]),
        ("-/bin/e", ["/bin/e"]),
        ("!!/bin/e", ["/bin/e"]),
        ("+-/bin/e", ["/bin/e"]),
        ("--/bin/e", []),
        ("- /bin/e", []),
        ("::/bin/e", []),
        ("/bin/e a ; /bin/f", ["/bin/e a", "/bin/f"]),
    ],
)
def test_a_command_is_taken_without_its_signs_and_quotes(tmp_path: Path, line: str, run: list[str]) -> None:
    assert Drawn(tmp_path, a=f"[Service]\nExecStart={line}\n").run("a.service") == run


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("PathExists=/etc/full", True),
        ("PathExists=! /etc/full", True),
        ("PathExists=| /etc/none", True),
        ("PathExists=etc/none", True),
        ("PathExists=/etc/../etc/none", True),
        ("PathExists=/etc/%H", None),
        ("DirectoryNotEmpty=/etc/full", True),
        ("DirectoryNotEmpty=/etc/empty", False),
        ("DirectoryNotEmpty=/etc/kept", False),
        ("DirectoryNotEmpty=|!/etc/kept", True),
        ("DirectoryNotEmpty=! /etc/full", True),
        ("KernelCommandLine=two words", True),
        ('KernelCommandLine="two words"', False),
        ("KernelCommandLine=! quiet", False),
        ("KernelCommandLine=|!nope", True),
    ],
)
def test_a_condition_holds_as_systemd_analyze_says(tmp_path: Path, line: str, holds: bool | None) -> None:
    """`systemd-analyze condition` of systemd 262.1; without a path from the root it passes over the condition."""
    tree = Tree(tmp_path).directory("/etc/empty").file("/etc/full/a").file("/etc/kept/.a").file("/etc/kept/a~").file("/etc/kept/a.dpkg-old")
    conditions = Conditions(tree.host(), Cmdline.parse('quiet "two words"'), "6.12")
    for kind in ("Condition", "Assert"):
        assert conditions.hold(parsed(f"[Unit]\n{kind}{line}\n", "a.service", "a.service")) is holds
