# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which aliases match a device, and that asking does not take longer the more of them there are."""

from __future__ import annotations

import timeit

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import AliasIndex
from ansible_collections.vfio.variants.tests.unit.trees import modalias

V100 = modalias("10de:1db1", "10de:1212")


def index(*aliases: str) -> AliasIndex:
    """Each alias belongs to a module of its own: m0, m1, …"""
    return AliasIndex.parse("".join(f"alias {alias} m{number}\n" for number, alias in enumerate(aliases)))


def found(aliases: AliasIndex, wanted: str = V100) -> list[tuple[str, int]]:
    return [(match.module, match.wildcards) for match in aliases.matches("pci", wanted)]


def test_each_field_must_agree_or_be_open() -> None:
    aliases = index(
        "pci:v000010DEd00001DB1sv000010DEsd00001212bc03sc02i00*",
        "pci:v000010DEd00001DB1sv000010DEsd*bc*sc*i*",
        "pci:v000010DEd*sv*sd*bc03sc*i*",
        "pci:v*d*sv*sd*bc03sc02i00*",
        "pci:v000010DEd00001DB1sv00001043sd*bc*sc*i*",
        "pci:v000010DEd00001DB5sv*sd*bc*sc*i*",
        "pci:v*d*sv*sd*bc03sc00i*",
    )
    assert found(aliases) == [("m0", 0), ("m1", 4), ("m2", 5), ("m3", 4)]


def test_depmods_order_holds_between_groups_and_shapes() -> None:
    aliases = index("pci:v*d*sv*sd*bc03sc*i*", "pci:v000010DE*", "pci:v000010DEd00001DB1sv*sd*bc*sc*i*", "pci:v*d*sv*sd*bc*sc*i*")
    assert [module for module, _wildcards in found(aliases)] == ["m0", "m1", "m2", "m3"]


def test_a_pattern_within_a_devices_own_group_is_compared_as_a_pattern() -> None:
    assert found(index("pci:v000010DEd00001DB1sv000010DEsd0000121[24]*", "pci:v000010DEd00001DB1sv*sd0000121[35]*")) == [("m0", 1)]


def test_lines_that_are_no_pci_alias_are_passed_over() -> None:
    aliases = AliasIndex.parse(
        "alias pci:v000010DEd00001DB1sv*sd*bc*sc*i*\nalias usb:v10DEp* usb\n# pci:v*\nalias pci:v*d*sv*sd*bc*sc*i* all\n"
    )
    assert found(aliases) == [("all", 7)]
    assert aliases.modules("pci") == {"all"}


def test_an_index_of_some_modules_keeps_the_order_and_all_that_is_built_in() -> None:
    text = "alias pci:v*d*sv*sd*bc03sc*i* first\nalias pci:v000010DEd*sv*sd*bc*sc*i* second\nalias pci:v*d*sv*sd*bc*sc*i* third-one\n"
    whole = AliasIndex.parse(text, "linked.alias=pci:v*d*sv*sd*bc*sc02i*\0")
    part = whole.only({"third_one", "first"})
    assert [module for module, _wildcards in found(part)] == ["linked", "first", "third_one"]
    assert part.modules("pci") == {"linked", "first", "third_one"}
    assert part.buses["pci"].built_ins == 1


def test_a_device_without_a_modalias_has_no_module() -> None:
    assert found(index("pci:v*d*sv*sd*bc*sc*i*"), "") == []


def test_asking_takes_no_longer_with_thousands_of_aliases_for_one_device() -> None:
    def lookup(count: int) -> float:
        aliases = index(*(f"pci:v000010DEd00001DB1sv000010DEsd{number:08X}bc*sc*i*" for number in range(0x1212, 0x1212 + count)))
        assert found(aliases) == [("m0", 3)]
        return min(timeit.repeat(lambda: aliases.matches("pci", V100), number=100, repeat=5))

    assert lookup(5000) < 5 * lookup(5)


def test_other_names_are_kept_of_modules_that_drive_pci_functions() -> None:
    """As `modprobe -R` finds them; a module that is not in an image, or that is installed again, takes its names along."""
    index = AliasIndex.parse(
        "alias mpt2sas mpt3sas\nalias char-major-195-* nvidia\nalias net-pf-10 ipv6\n"
        "alias pci:v00001000d00000097sv*sd*bc*sc*i* mpt3sas\nalias pci:v000010DEd*sv*sd*bc03sc*i* nvidia\n"
    )
    assert index.named("mpt2sas") == (("mpt2sas", "mpt3sas"),)
    assert index.named("char_major_195_0") == (("char-major-195-*", "nvidia"),)
    assert index.named("net_pf_10") == ()
    image = index.only({"nvidia"})
    assert (image.named("mpt2sas"), image.named("char_major_195_255")) == ((), (("char-major-195-*", "nvidia"),))
    assert index.replaced({"mpt3sas": ["pci:v00001000d00000097sv*sd*bc*sc*i*"]}).named("mpt2sas") == ()
