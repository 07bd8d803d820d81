# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index of aliases finds what comparing every pattern finds: kmod uses fnmatch(3) and depmod's order."""

from __future__ import annotations

import fnmatch
import random

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import AliasIndex
from ansible_collections.vfio.variants.tests.unit.trees import modalias

VENDORS, DEVICES, SUBSYSTEMS, CLASSES = (
    ("10de", "8086"),
    ("1db1", "10d3", "0001"),
    ("0000:0000", "10de:1212"),
    (0x030200, 0x020000, 0x010802),
)
# As modpost writes them but for their ends, which no modalias has.
TAILED = ("pci:v000010DEd00001DB1sv*sd*bc03sc02i00?", "pci:v000010DEd00001DB1sv*sd*bc*sc*i*x")
HAND_WRITTEN = ("pci:v000010DE*", "pci:v0000[!1]*", "pci:*", "pci:v000010DEd00001DB[14]sv*", "pci:v?????0DEd*", "vfio_pci:v0000*", *TAILED)


def drawn_alias(draw: random.Random) -> str:
    if draw.random() < 0.1:
        return draw.choice(HAND_WRITTEN)
    one = modalias(f"{draw.choice(VENDORS)}:{draw.choice(DEVICES)}", draw.choice(SUBSYSTEMS), draw.choice(CLASSES))
    fields = [one[5:13], one[14:22], one[24:32], one[34:42], one[44:46], one[48:50], one[51:53]]
    v, d, sv, sd, bc, sc, i = ("*" if draw.random() < 0.5 else field for field in fields)
    return f"{draw.choice(('pci', 'vfio_pci'))}:v{v}d{d}sv{sv}sd{sd}bc{bc}sc{sc}i{i if i == '*' else f'{i}*'}"


def drawn(seed: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Patterns and modules: built in, and loadable."""
    draw = random.Random(seed)  # noqa: S311 - a draw that can be repeated
    lines = [(drawn_alias(draw), f"m-{draw.randrange(12)}") for _number in range(60)]
    return lines[:10], lines[10:]


def index(built_in: list[tuple[str, str]], loadable: list[tuple[str, str]]) -> AliasIndex:
    modinfo = "".join(f"{module}.license=GPL\0{module}.alias={alias}\0" for alias, module in built_in)
    return AliasIndex.parse("".join(f"alias {alias} {module}\n" for alias, module in loadable), modinfo)


def compared(bus: str, wanted: str, lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    text = f"{bus}:{wanted.partition(':')[2]}"
    return [(alias, module.replace("-", "_")) for alias, module in lines if fnmatch.fnmatchcase(text, alias)]


MODALIASES = [
    modalias(f"{vendor}:{device}", subsystem, code)
    for vendor in VENDORS
    for device in DEVICES
    for subsystem in SUBSYSTEMS
    for code in CLASSES
]


@pytest.mark.parametrize("seed", range(8))
def test_every_device_finds_the_aliases_that_match_it_in_their_order(seed: int) -> None:
    built_in, loadable = drawn(seed)
    found = index(built_in, loadable)
    for bus in ("pci", "vfio_pci"):
        for wanted in MODALIASES:
            assert [(match.alias, match.module) for match in found.matches(bus, wanted)] == compared(bus, wanted, [*built_in, *loadable])


@pytest.mark.parametrize("seed", range(4))
def test_what_is_built_in_comes_first_and_is_known_by_its_order(seed: int) -> None:
    built_in, loadable = drawn(seed)
    found = index(built_in, loadable)
    for wanted in MODALIASES:
        first = [match.alias for match in found.matches("pci", wanted) if match.order < 0]
        assert first == [alias for alias, _module in compared("pci", wanted, built_in)]


@pytest.mark.parametrize("seed", range(4))
def test_the_lines_come_back_as_they_were_given(seed: int) -> None:
    built_in, loadable = drawn(seed)
    for bus, known in index(built_in, loadable).buses.items():
        given = [
            [f"{alias.partition(':')[2]} {module}" for alias, module in lines if alias.startswith(f"{bus}:")]
            for lines in (built_in, loadable)
        ]
        assert [list(known.built_in), list(known.loadable)] == given
        assert known.built_ins == len(given[0])
        assert known.modules == {line.split()[1].replace("-", "_") for lines in given for line in lines}


@pytest.mark.parametrize("seed", range(4))
def test_a_module_that_is_replaced_has_its_new_aliases_alone_and_comes_last(seed: int) -> None:
    built_in, loadable = drawn(seed)
    new = {"m_3": ["pci:v000010DEd*sv*sd*bc*sc*i*"], "m_4": []}
    found = index(built_in, loadable).replaced(new)
    kept = [(alias, module) for alias, module in (*built_in, *loadable) if module not in ("m-3", "m-4")]
    wanted = [*kept, ("pci:v000010DEd*sv*sd*bc*sc*i*", "m_3")]
    for one in MODALIASES:
        assert [(match.alias, match.module) for match in found.matches("pci", one)] == compared("pci", one, wanted)


@pytest.mark.parametrize(
    ("alias", "wildcards"),
    [
        ("pci:v000010DEd00001DB1sv000010DEsd00001212bc03sc02i00*", 0),
        ("pci:v000010DEd00001DB1sv000010DEsd00001212bc03sc02i*", 1),
        ("pci:v000010DEd00001DB1sv*sd*bc*sc*i*", 5),
        ("pci:v*d*sv*sd*bc*sc*i*", 7),
        ("pci:v000010DE*", 1),
        ("pci:v*d*", 2),
    ],
)
def test_open_fields_are_counted(alias: str, wildcards: int) -> None:
    (match,) = index([], [(alias, "m")]).matches("pci", modalias("10de:1db1", "10de:1212"))
    assert match.wildcards == wildcards


def test_the_buses_are_told_apart_and_a_module_of_vfio_s_bus_alone_is_a_variant() -> None:
    found = index([], [("pci:v*d*sv*sd*bc*sc*i*", "both"), ("vfio_pci:v*d*sv*sd*bc*sc*i*", "both"), ("vfio_pci:v000010DE*", "only-vfio")])
    assert (found.modules("pci"), found.modules("vfio_pci")) == (frozenset({"both"}), frozenset({"both", "only_vfio"}))
    assert [found.is_variant(module) for module in ("both", "only_vfio", "none")] == [False, True, False]


@pytest.mark.parametrize(
    ("modinfo", "modules"),
    [
        ("a.alias=pci:v*\0", {"a"}),
        ("x.y=1\0a-b.alias=pci:v*", {"a_b"}),
        ("a.alias=pci:v*\0b.alias=pci:v*\0", {"a", "b"}),
        ("a.alias=usb:v*\0a.author=pci:v*\0", set()),
        # A value that looks like an entry is none.
        ("a.description=b.alias=pci:v*\0", set()),
        ("a.alias=pci:v* d*\0", set()),
    ],
)
def test_aliases_of_what_is_built_in_are_whole_entries(modinfo: str, modules: set[str]) -> None:
    assert AliasIndex.parse("", modinfo).modules("pci") == modules
