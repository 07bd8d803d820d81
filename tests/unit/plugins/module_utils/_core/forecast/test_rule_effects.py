# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each thing that a rule can write or run does to devices and drivers."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.compared_rules import ComparedRules
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import (
    OWN,
    Bind,
    IfDriver,
    NewId,
    Noticed,
    ProbeNow,
    Remove,
    RemoveId,
    SetAutoprobe,
    SetBusAutoprobe,
    SetOverride,
    Unbind,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.events import Events
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest, Modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.rule_effects import MOST_EFFECTS, RuleEffects, new_id_of
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import ANY, PciId
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import ACTS, Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules, parse
from ansible_collections.vfio.variants.tests.unit.boots import boot, device

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import Effect

ROOT = "/devices/pci0000:00"
PORT = device("0000:00:01.0", "8086:1901", class_code=0x060400, driver="pcieport", path=f"{ROOT}/0000:00:01.0")
CARD = device("0000:01:00.0", path=f"{ROOT}/0000:00:01.0/0000:01:00.0", numa_node=0)
OTHER = device("0000:02:00.0", "8086:10d3", class_code=0x020000, path=f"{ROOT}/0000:02:00.0", numa_node=1)
OTHERS = {one.address: one for one in (PORT, CARD, OTHER)}
RULE = "/etc/udev/rules.d/90-site.rules:1"
DOUBT = 'ENV{SEQNUM}=="7"'


def effects(rules: str, programs: t.Mapping[str, tuple[Influence, ...]] | None = None, **given: t.Any) -> list[Effect]:
    """What udev does at the card's "add" event."""
    whole = boot(rules=f"{rules}\n", programs=programs, **given)
    (stage,) = whole.stages
    return list(Events(ComparedRules(whole, stage, OTHERS), Modprobe(whole, stage, frozenset())).of(CARD))


def bare(effect: Effect) -> tuple[t.Any, ...]:
    """Without the reason."""
    fields = {name: value for name, value in vars(effect).items() if name != "because"}
    return (type(effect), *fields.values())


def done(rules: str, **given: t.Any) -> list[tuple[t.Any, ...]]:
    return [bare(effect) for effect in effects(rules, **given)]


def noticed(rules: str, **given: t.Any) -> Influence:
    (effect,) = effects(rules, **given)
    assert isinstance(effect, Noticed)
    return effect.influence


@pytest.mark.parametrize(
    ("assignment", "effect"),
    [
        ('ATTR{driver_override}="vfio-pci"', (SetOverride, OWN, "vfio-pci")),
        ('ATTR{driver_override}="vfio-pci\\nx"', (SetOverride, OWN, "vfio-pci\\nx")),
        ('ATTR{driver_override}=e"vfio-pci\\nx"', (SetOverride, OWN, "vfio-pci")),
        ('ATTR{driver_override}=e"\\n"', (SetOverride, OWN, None)),
        ('ATTR{[pci/0000:02:00.0]driver_override}="vfio-pci"', (SetOverride, OTHER.address, "vfio-pci")),
        ('ATTR{driver/unbind}="$kernel"', (Unbind, OWN, None)),
        ('ATTR{[pci/0000:02:00.0]driver/unbind}="0000:02:00.0"', (Unbind, OTHER.address, None)),
        ('ATTR{[drivers/pci:nouveau]unbind}="%k"', (Unbind, OWN, "nouveau")),
        ('ATTR{[drivers/pci:nouveau]unbind}="0000:02:00.0"', (Unbind, OTHER.address, "nouveau")),
        ('ATTR{[drivers/pci:vfio-pci]bind}="%k"', (Bind, OWN, "vfio-pci")),
        ('ATTR{[drivers/pci:vfio-pci]new_id}="10de 1db1"', (NewId, "vfio-pci", PciId(0x10DE, 0x1DB1))),
        ('ATTR{[drivers/pci:vfio-pci]remove_id}="10de 1db1"', (RemoveId, "vfio-pci", PciId(0x10DE, 0x1DB1))),
        ('ATTR{subsystem/drivers_probe}=e"%k\\n"', (ProbeNow, OWN)),
        ('ATTR{[subsystem/pci]drivers_probe}="0000:02:00.0"', (ProbeNow, OTHER.address)),
        ('ATTR{subsystem/drivers_autoprobe}="0"', (SetBusAutoprobe, False)),
        ('ATTR{subsystem/drivers_autoprobe}="1"', (SetBusAutoprobe, True)),
        ('ATTR{subsystem/drivers_autoprobe}="n"', (SetBusAutoprobe, True)),
        ('ATTR{sriov_drivers_autoprobe}="1"', (SetAutoprobe, OWN, True)),
        ('ATTR{remove}="1"', (Remove, OWN)),
    ],
)
def test_an_attribute_does_what_the_kernel_makes_of_it(assignment: str, effect: tuple[t.Any, ...]) -> None:
    assert done(assignment) == [effect]


@pytest.mark.parametrize(
    "assignment",
    [
        'ATTR{driver_override}=""',
        'ATTR{power/control}="on"',
        'ATTR{[pci/0000:09:00.0]driver_override}="vfio-pci"',
        # There is nothing to write to, whatever would be written.
        'ATTR{[pci/0000:09:00.0]driver_override}="$env{SEQNUM}"',
        'ATTR{drivers_probe}="$kernel"',
        'ATTR{[drivers/pci:vfio-pci]new_id}="10de"',
        'ATTR{[drivers/pci:vfio-pci]remove_id}="x y"',
        'SYSCTL{kernel/modules_disabled}="0"',
        'SYSCTL{kernel/panic}="1"',
        'RUN{builtin}+="hwdb"',
        'RUN{builtin}+="kmod unload vfio-pci"',
        'IMPORT{file}="/etc/x"',
        'IMPORT{builtin}="path_id"',
        'RUN+="/sbin/modprobe -n vfio-pci"',
    ],
)
def test_what_does_nothing_to_drivers_has_no_effect(assignment: str) -> None:
    assert effects(assignment) == []


@pytest.mark.parametrize("value", ["0", "00", "0x0", "x", "", "1x", "08", "-1", "0x"])
def test_nothing_is_removed_for_what_is_not_a_number_or_nought(value: str) -> None:
    """kstrtoul() with base 0 in remove_store()."""
    assert effects(f'ATTR{{remove}}="{value}"') == []


@pytest.mark.parametrize("value", ["1", "2", "01", "010", "0x1", "0XA", " 1 ", "19"])
def test_any_other_number_removes(value: str) -> None:
    assert done(f'ATTR{{remove}}="{value}"') == [(Remove, OWN)]


def test_with_a_bridge_what_is_below_it_is_removed() -> None:
    assert done('ATTR{[pci/0000:00:01.0]remove}="1"') == [(Remove, PORT.address), (Remove, CARD.address)]
    assert done('ATTR{[pci/0000:02:00.0]remove}="1"') == [(Remove, OTHER.address)]


@pytest.mark.parametrize("value", ["0", "n", "N", "f", "F", "of", "oF", "Of", "OF"])
def test_functions_are_not_offered_to_drivers_after_what_means_no(value: str) -> None:
    assert done(f'ATTR{{sriov_drivers_autoprobe}}="{value}"') == [(SetAutoprobe, OWN, False)]


@pytest.mark.parametrize("place", ['ATTR{rescan}="1"', 'ATTR{subsystem/rescan}="1"', 'ATTR{[pci/0000:00:01.0]rescan}="1"'])
def test_a_rescan_may_bring_back_what_is_gone(place: str) -> None:
    one = noticed(place)
    assert (one.acts, one.addresses) == (frozenset(("rescan",)), None)
    assert "may bring back what was removed" in one.fact


@pytest.mark.parametrize("attribute", ["kernel/modules_disabled", "kernel.modules_disabled"])
@pytest.mark.parametrize("value", ["1", "$env{SEQNUM}"])
def test_after_modules_disabled_no_module_is_loaded(attribute: str, value: str) -> None:
    one = noticed(f'SYSCTL{{{attribute}}}="{value}"')
    assert (one.acts, one.addresses, one.drivers) == (frozenset(("lock",)), None, None)


# -- what cannot be determined of an attribute


@pytest.mark.parametrize(
    ("assignment", "acts", "addresses", "drivers"),
    [
        ('ATTR{driver_override}="$env{SEQNUM}"', "override", OWN, None),
        ('ATTR{[pci/0000:02:00.0]driver_override}="$env{SEQNUM}"', "override", OTHER.address, None),
        ('ATTR{[drivers/pci:nouveau]bind}="$env{SEQNUM}"', "bind", None, "nouveau"),
        ('ATTR{[drivers/pci:nouveau]unbind}="$env{SEQNUM}"', "unbind", None, "nouveau"),
        ('ATTR{[drivers/pci:nouveau]new_id}="$env{SEQNUM}"', "new_id", None, "nouveau"),
        ('ATTR{[drivers/pci:nouveau]remove_id}="$env{SEQNUM}"', "new_id", None, "nouveau"),
        ('ATTR{subsystem/drivers_probe}="$env{SEQNUM}"', "bind", None, None),
        ('ATTR{subsystem/drivers_autoprobe}="$env{SEQNUM}"', "lock", None, None),
        ('ATTR{sriov_drivers_autoprobe}="$env{SEQNUM}"', "create", OWN, None),
        ('ATTR{remove}="$env{SEQNUM}"', "remove", OWN, None),
        ('ATTR{rescan}="$env{SEQNUM}"', "rescan", None, None),
        ('ATTR{driver/unbind}="0000:02:00.0"', "unbind", OTHER.address, None),
        ('ATTR{driver/new_id}="8086 10d3"', "new_id", OTHER.address, None),
        ('ATTR{driver/bind}=e"0000:02:00.0\\n"', "bind", OTHER.address, None),
        ('ATTR{a/b/driver_override}="vfio-pci "', "override", None, "vfio-pci"),
        ('ATTR{a/b/new_id}="1 2"', "new_id", "", None),
        ('ATTR{a/b/new_id}="x"', "new_id", "", None),
    ],
)
def test_of_an_unclear_attribute_as_much_is_known_as_it_says(
    assignment: str, acts: str, addresses: str | None, drivers: str | None
) -> None:
    one = noticed(assignment)
    assert one.acts == frozenset((acts,))
    none_at_all = addresses == "" and "new_id" in assignment
    assert one.addresses == (None if addresses is None else frozenset() if none_at_all else frozenset((addresses,)))
    assert one.drivers == (None if drivers is None else frozenset((drivers,)) if drivers else frozenset())
    assert (one.source, one.modules) == (RULE, None)
    assert one.fact.startswith("may write to ")


# -- commands


def loads(rules: str, **given: t.Any) -> list[tuple[str, tuple[str, ...]]]:
    found = effects(rules, **given)
    assert all(isinstance(one, LoadRequest) for one in found)
    return [(one.module, tuple(map(str, one.because))) for one in found if isinstance(one, LoadRequest)]


def test_kmod_load_without_a_name_loads_by_the_modalias_and_needs_no_reason_of_its_own() -> None:
    (first, second) = loads('RUN{builtin}+="kmod load"\nRUN{builtin}+="kmod load vfio-pci"')
    assert first[0] == "nouveau"
    assert not any(RULE.rpartition(":")[0] in reason for reason in first[1])
    assert second[0] == "vfio_pci"
    assert second[1][0] == "/etc/udev/rules.d/90-site.rules:2: RUN kmod load vfio-pci"


def test_kmod_load_loads_each_name_and_a_name_that_is_filled_in() -> None:
    assert [module for module, _why in loads('RUN{builtin}+="kmod load vfio-pci e1000e"')] == ["vfio_pci", "e1000e"]
    assert [module for module, _why in loads("RUN{builtin}+=\"kmod load 'vfio-pci'\"")] == ["vfio_pci"]
    assert [module for module, _why in loads('ENV{X}="e1000e"\nRUN{builtin}+="kmod load \'$env{X}\'"')] == ["e1000e"]
    assert [module for module, _why in loads('IMPORT{builtin}="kmod load e1000e"')] == ["e1000e"]
    assert [module for module, _why in loads('RUN{builtin}+="kmod load $env{MODALIAS}"')] == ["nouveau"]


def test_a_modalias_that_a_rule_sets_is_the_one_that_is_loaded_by() -> None:
    """Up to systemd 257 a rule can do so."""
    nic = "pci:v00008086d000010D3sv00000000sd00000000bc02sc00i00"

    def loaded(value: str) -> list[str]:
        rules = parse(f'ENV{{MODALIAS}}="{value}", RUN{{builtin}}+="kmod load"\n', "/etc/udev/rules.d/90-site.rules", 257)
        whole = boot()
        stage = dataclasses.replace(whole.stages[0], rules=Rules(tuple(rules), complete=True))
        found = Events(ComparedRules(whole, stage, OTHERS), Modprobe(whole, stage, frozenset())).of(CARD)
        return [one.module if isinstance(one, LoadRequest) else "any" for one in found]

    assert (loaded(nic), loaded(""), loaded("$env{SEQNUM}")) == (["e1000e"], [], ["any"])


@pytest.mark.parametrize("command", ["kmod load $env{SEQNUM}", "kmod load x $env{SEQNUM}"])
def test_a_name_that_cannot_be_determined_may_be_any_module(command: str) -> None:
    one = noticed(f'RUN{{builtin}}+="{command}"')
    assert (one.acts, one.addresses, one.modules) == (frozenset(("load",)), None, None)


def test_modprobe_loads_each_module_and_minds_the_blacklist_on_request() -> None:
    blacklist = "blacklist nouveau\n"
    plain = effects('RUN+="/sbin/modprobe nouveau"', modprobe=blacklist)
    careful = effects('RUN+="/sbin/modprobe -b nouveau"', modprobe=blacklist)
    assert [one.insertions for one in (*plain, *careful) if isinstance(one, LoadRequest)] == [("nouveau",), ()]
    assert loads('RUN+="/sbin/modprobe -a e1000e nouveau"') == [
        ("e1000e", (f"{RULE}: RUN /sbin/modprobe -a e1000e nouveau",)),
        ("nouveau", (f"{RULE}: RUN /sbin/modprobe -a e1000e nouveau",)),
    ]
    assert [module for module, _why in loads('PROGRAM="/sbin/modprobe e1000e"')] == ["e1000e"]
    assert [module for module, _why in loads('IMPORT{program}="/sbin/modprobe e1000e"')] == ["e1000e"]
    assert [module for module, _why in loads('ENV{X}="e1000e"\nRUN+="/sbin/modprobe $env{X}"')] == ["e1000e"]


@pytest.mark.parametrize(
    ("options", "acts", "modules", "drivers"),
    [
        ("-r nouveau vfio-pci", {"refuse"}, {"nouveau", "vfio_pci"}, None),
        ("vfio-pci ids=10de:1db1", {"load", "new_id"}, {"vfio_pci"}, {"vfio-pci"}),
        ("-i nouveau", {"load"}, {"nouveau"}, {"nouveau"}),
        ("-C /x -a nouveau vfio-pci", {"load"}, {"nouveau", "vfio_pci"}, {"nouveau", "vfio-pci"}),
    ],
)
def test_another_modprobe_is_noticed_with_its_modules(options: str, acts: set[str], modules: set[str], drivers: set[str] | None) -> None:
    one = noticed(f'RUN+="/sbin/modprobe {options}"')
    found = (set(one.acts), set(one.modules or ()), None if one.drivers is None else set(one.drivers), one.addresses)
    assert found == (acts, modules, drivers, None)


def test_a_program_that_was_not_read_may_do_anything() -> None:
    one = noticed('RUN+="/usr/local/sbin/x"')
    assert (one.acts, one.addresses, one.source) == (ACTS, None, RULE)
    assert one.fact == 'runs /usr/local/sbin/x (RUN="/usr/local/sbin/x")'
    assert noticed('RUN{program}+="/usr/local/sbin/x"').fact == 'runs /usr/local/sbin/x (RUN{program}="/usr/local/sbin/x")'
    assert noticed('RUN+="/sbin/modprobe $env{SEQNUM}"').acts == ACTS


def test_a_program_that_was_read_does_what_was_found() -> None:
    here = Influence("/x", "unbinds it", frozenset(("unbind",)), frozenset(("%k", OTHER.address)))
    all_ = Influence("/x", "loads", frozenset(("load",)))
    found = effects('RUN+="/usr/local/sbin/x"', programs={"/usr/local/sbin/x": (here, all_)})
    assert [one.influence.addresses for one in found if isinstance(one, Noticed)] == [frozenset((OWN, OTHER.address)), None]
    assert effects('RUN+="/usr/local/sbin/x"', programs={"/usr/local/sbin/x": ()}) == []


# -- rules that may match or not


@pytest.mark.parametrize(
    ("assignment", "acts", "addresses", "drivers"),
    [
        ('ATTR{driver_override}="vfio-pci"', "override", {OWN}, {"vfio-pci"}),
        ('ATTR{driver_override}=e"\\n"', "override", {OWN}, set()),
        ('ATTR{subsystem/drivers_probe}="%k"', "bind", {OWN}, None),
        ('ATTR{[drivers/pci:nouveau]bind}="0000:02:00.0"', "bind", {OTHER.address}, {"nouveau"}),
        ('ATTR{[drivers/pci:nouveau]unbind}="%k"', "unbind", {OWN}, None),
        ('ATTR{remove}="1"', "remove", {OWN}, None),
        ('ATTR{[drivers/pci:vfio-pci]new_id}="8086 10d3"', "new_id", {OTHER.address}, {"vfio-pci"}),
        ('ATTR{[drivers/pci:vfio-pci]remove_id}="8086 10d3"', "new_id", {OTHER.address}, {"vfio-pci"}),
        ('ATTR{sriov_drivers_autoprobe}="0"', "create", None, None),
        ('ATTR{subsystem/drivers_autoprobe}="0"', "lock", None, None),
    ],
)
def test_a_rule_that_may_match_or_not_is_noticed_with_what_it_would_do(
    assignment: str, acts: str, addresses: set[str] | None, drivers: set[str] | None
) -> None:
    one = noticed(f"{DOUBT}, {assignment}")
    expected = [None if names is None else frozenset(names) for names in (addresses, drivers)]
    assert (one.acts, [one.addresses, one.drivers], one.modules) == (frozenset((acts,)), expected, None)
    assert one.fact.startswith('may match or not, as `ENV{SEQNUM}=="7"` cannot be decided (')


def test_a_module_that_may_be_loaded_is_noticed_with_what_is_inserted_for_it() -> None:
    one = noticed(f'{DOUBT}, RUN{{builtin}}+="kmod load vfio-pci"', modprobe="softdep vfio-pci pre: e1000e\n")
    assert (one.acts, one.addresses, one.modules, one.drivers) == (frozenset(("load",)), None, frozenset(("vfio_pci", "e1000e")), None)


def test_what_depends_on_the_driver_is_done_under_that_condition() -> None:
    (own,) = effects('DRIVER=="nouveau", ATTR{driver_override}="vfio-pci"')
    assert isinstance(own, IfDriver)
    assert (bare(own.effect), [own.holds(driver, None) for driver in ("nouveau", "vfio-pci", None)]) == (
        (SetOverride, OWN, "vfio-pci"),
        [True, False, False],
    )
    (first, second) = effects('DRIVER=="", ATTR{[pci/0000:02:00.0]driver_override}="vfio-pci"')
    assert isinstance(first, IfDriver)
    assert isinstance(second, IfDriver)
    assert first.holds(None, None)
    assert bare(first.effect) == (SetOverride, OTHER.address, "vfio-pci")
    assert isinstance(second.effect, Noticed)
    assert second.effect.influence.addresses == frozenset((OTHER.address,))
    (program,) = effects('DRIVER=="nouveau", RUN+="/usr/local/sbin/x"')
    assert isinstance(program, IfDriver)
    assert isinstance(program.effect, Noticed)


# -- new_id


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10de 1db1", PciId(0x10DE, 0x1DB1)),
        (" 0x10de\t0X1DB1\n", PciId(0x10DE, 0x1DB1)),
        ("10de 1db1 x", PciId(0x10DE, 0x1DB1)),
        ("10de 1db1 10de", PciId(0x10DE, 0x1DB1, 0x10DE)),
        ("10de 1db1 10de 1", PciId(0x10DE, 0x1DB1, 0x10DE, 1)),
        ("10de 1db1 ffffffff ffffffff 030000 ff0000", PciId(0x10DE, 0x1DB1, ANY, ANY, 0x030000, 0xFF0000)),
        ("10de 1db1 1 2 3 4 5", PciId(0x10DE, 0x1DB1, 1, 2, 3, 4)),
        ("10de", None),
        ("10de x 1db1", None),
        ("", None),
    ],
)
def test_an_id_is_read_as_new_id_store_reads_it(text: str, found: PciId | None) -> None:
    """sscanf("%x %x %x %x %x %x %lx") in drivers/pci/pci-driver.c."""
    assert new_id_of(text) == found


def test_a_program_that_is_known_to_do_nothing_is_inert_unless_it_is_modprobe() -> None:
    known: dict[str, tuple[Influence, ...]] = {"/bin/true": (), "/sbin/modprobe nouveau": ()}
    whole = boot(programs=known)
    (stage,) = whole.stages
    found = RuleEffects(stage, Modprobe(whole, stage, frozenset()), OTHERS)
    rules = parse('RUN+="/bin/true"\nRUN+="/sbin/modprobe nouveau"\nRUN+="/bin/other"\n', "/x.rules")
    assert [found.is_inert(key) for rule in rules for key in rule.keys] == [True, False, False]


def test_very_many_effects_of_one_event_are_not_simulated() -> None:
    lines = "".join(f'ATTR{{driver_override}}="v{number}"\n' for number in range(MOST_EFFECTS + 50))
    found = effects(lines)
    assert len(found) == MOST_EFFECTS + 1
    assert isinstance(found[-1], Noticed)
    assert found[-1].influence.acts == ACTS
    assert "more than 256 other effects" in found[-1].influence.fact


def test_effects_on_many_devices_are_counted_for_each() -> None:
    lines = "".join(f'ATTR{{[pci/0000:{bus:02x}:00.0]driver_override}}="a"\n' for bus in range(1, 255) for _twice in range(2))
    assert not any(isinstance(effect, Noticed) and "other effects" in effect.influence.fact for effect in effects(lines))
