# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands as the reason of an answer: a line without which the answer is another one, in the words of its file; or a default."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, ROOT, Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver, PciId
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.boot_change import _lines, _without_line
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, boot, device, stage
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, NVIDIA_DISPLAY

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Winner

SITE = "/etc/modprobe.d/site.conf"
RULES = "/etc/udev/rules.d/90-site.rules"
DRIVERS_RULES = "/usr/lib/udev/rules.d/80-drivers.rules"
STOCK_RULES = {DRIVERS_RULES: 'ACTION=="add", ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\n'}
ALIAS = f"modules.alias of {DEBIAN_13}: {NVIDIA_DISPLAY} nouveau"
DEPMODS = {"/lib/modules/6.12/modules.softdep": "# Soft dependencies\nsoftdep vfio post: vfio_iommu_type1\n"}
WITH_TYPE1 = {**STOCK, "vfio": [], "vfio_iommu_type1": [], "other": []}
CARD = device()
MODALIAS = "pci:v000010DEd00001DB1*"


def made(
    modprobe: str = "", rules: str = "", cmdline: str = "", load: t.Sequence[str] = (), stock: str = STOCK_RULES[DRIVERS_RULES]
) -> Boot:
    found = boot(
        modprobe={SITE: modprobe, **DEPMODS},
        rules={DRIVERS_RULES: stock, RULES: rules},
        cmdline=cmdline,
        load=load,
        modules=WITH_TYPE1,
    )
    (root,) = found.stages
    kernel = dataclasses.replace(root.kernel, needed={"vfio_pci": "kernel/vfio_pci_core.ko kernel/vfio.ko"})
    return dataclasses.replace(found, stages=(dataclasses.replace(root, kernel=kernel),))


def of(found: Boot) -> Winner:
    return forecast([CARD], found)[CARD.address]


CONFIGURATIONS: dict[str, tuple[dict[str, t.Any], str | None, list[str]]] = {
    "the default": ({}, "nouveau", [ALIAS]),
    "ids= and a softdep": (
        {"modprobe": "options  vfio-pci\tids=10DE:1DB1 disable_idle_d3=1\nsoftdep nouveau pre:\tvfio-pci\n"},
        "vfio-pci",
        [f"{SITE}:1: options vfio-pci ids=10DE:1DB1", ALIAS, f"{SITE}:2: softdep nouveau pre:\tvfio-pci"],
    ),
    "a softdep that comes to nothing": ({"modprobe": "softdep nouveau pre: vfio-pci\n"}, "nouveau", [ALIAS]),
    "a softdep of what comes after": ({"modprobe": "softdep nouveau post: vfio-pci\n"}, "nouveau", [ALIAS]),
    "a softdep on the way to the driver": (
        {"modprobe": "options vfio-pci ids=10de:1db1\nsoftdep nouveau pre: other\nsoftdep other post: vfio_pci\n"},
        "vfio-pci",
        [
            f"{SITE}:1: options vfio-pci ids=10de:1db1",
            ALIAS,
            f"{SITE}:2: softdep nouveau pre: other",
            f"{SITE}:3: softdep other post: vfio_pci",
        ],
    ),
    "a softdep that displaces an install line": (
        {"modprobe": "install nouveau /bin/false\nsoftdep nouveau pre: other\n"},
        "nouveau",
        [ALIAS, f"{SITE}:2: softdep nouveau pre: other"],
    ),
    "a blacklist": ({"modprobe": "blacklist\tnouveau\n"}, None, [f"{SITE}:1: blacklist\tnouveau"]),
    "an install line": ({"modprobe": "install nouveau /bin/true # off\n"}, None, [f"{SITE}:1: install nouveau /bin/true # off"]),
    "an install line that loads another": (
        {"modprobe": "options vfio-pci ids=10de:1db1\ninstall nouveau modprobe vfio-pci\n"},
        "vfio-pci",
        [f"{SITE}:1: options vfio-pci ids=10de:1db1", ALIAS, f"{SITE}:2: install nouveau modprobe vfio-pci"],
    ),
    "an alias to off": (
        {"modprobe": f"alias {MODALIAS} off\n"},
        None,
        [f"{SITE}:1: alias {MODALIAS} off", f"modules.dep of {DEBIAN_13}: there is no module off"],
    ),
    "an alias to what does not match": ({"modprobe": f"alias {MODALIAS} vfio-pci\n"}, None, [f"{SITE}:1: alias {MODALIAS} vfio-pci"]),
    "a blacklist on the command line": (
        {"cmdline": "modprobe.blacklist=nouveau,nvidia"},
        None,
        ["/proc/cmdline: modprobe.blacklist=nouveau,nvidia"],
    ),
    "the kernel's own blacklist": ({"cmdline": "module_blacklist=nouveau"}, None, ["/proc/cmdline: module_blacklist=nouveau"]),
    "ids= on the command line": (
        {"modprobe": "blacklist nouveau\n", "cmdline": "vfio-pci.ids=10de:1db1", "load": ["vfio-pci"]},
        "vfio-pci",
        [
            "/proc/cmdline: vfio-pci.ids=10de:1db1",
            "/etc/modules:1: systemd-modules-load loads vfio-pci",
            f"{SITE}:1: blacklist nouveau",
        ],
    ),
    "a rule that gives the device to vfio-pci": (
        {"rules": 'SUBSYSTEM=="pci", ATTR{vendor}=="0x10de", ATTR{driver_override}="vfio-pci", RUN{builtin}+="kmod load vfio-pci"\n'},
        "vfio-pci",
        [f"{RULES}:1: driver_override=vfio-pci", f"{RULES}:1: RUN kmod load vfio-pci"],
    ),
    "a rule that passes the stock ones over": (
        {"rules": f'ATTR{{vendor}}=="0x10de", GOTO="end"\n{STOCK_RULES[DRIVERS_RULES]}LABEL="end"\n', "stock": ""},
        None,
        [f'{RULES}:1: GOTO="end": udev does not load nouveau by the device\'s alias'],
    ),
    "a rule without which udev does something else": (
        {
            "rules": 'ATTR{vendor}=="0x10de", GOTO="on"\nSUBSYSTEM=="pci", RUN+="/usr/local/bin/other"\nLABEL="on"\n'
            f'ATTR{{vendor}}=="0x10de", GOTO="end"\n{STOCK_RULES[DRIVERS_RULES]}LABEL="end"\n',
            "stock": "",
        },
        None,
        [f'{RULES}:4: GOTO="end": udev does not load nouveau by the device\'s alias'],
    ),
    "a rule that forgets what was to run": (
        {"rules": 'SUBSYSTEM=="pci", ATTR{vendor}=="0x10de", RUN{builtin}:="hwdb"\n'},
        None,
        [f'{RULES}:1: RUN{{builtin}}:="hwdb": udev does not load nouveau by the device\'s alias'],
    ),
    "an override without its driver": (
        {"rules": 'SUBSYSTEM=="pci", ATTR{driver_override}="nvlink2gpu_vfio_pci"\n'},
        None,
        [f"{RULES}:1: driver_override=nvlink2gpu_vfio_pci", f"kernel {DEBIAN_13}: has no module with a driver nvlink2gpu_vfio_pci"],
    ),
    "an override whose driver nothing loads": (
        {"rules": 'SUBSYSTEM=="pci", ATTR{driver_override}="vfio-pci"\n'},
        None,
        [f"{RULES}:1: driver_override=vfio-pci", f"kernel {DEBIAN_13}: nothing loads vfio_pci, which has the driver vfio-pci"],
    ),
    "an override whose driver a blacklist keeps out": (
        {
            "rules": 'SUBSYSTEM=="pci", ATTR{driver_override}="vfio-pci", RUN{builtin}+="kmod load vfio-pci"\n',
            "modprobe": "blacklist vfio-pci\n",
        },
        None,
        [f"{RULES}:1: driver_override=vfio-pci", f"{SITE}:1: blacklist vfio-pci"],
    ),
    "an override after its driver has registered": (
        {"rules": 'SUBSYSTEM=="pci", ATTR{driver_override}="vfio-pci", IMPORT{builtin}="kmod load vfio-pci"\n'},
        None,
        [f"{RULES}:1: driver_override=vfio-pci", f"{RULES}:1: vfio-pci registers before that, and nothing offers the device to it again"],
    ),
    "ids= that are refused": (
        {"modprobe": "options vfio-pci ids\nsoftdep nouveau pre: vfio-pci\n"},
        "nouveau",
        [ALIAS, f"{SITE}:1: ids= of vfio_pci has no value: the kernel does not load it with that"],
    ),
    "a softdep's module that is kept out": (
        {"modprobe": "options vfio-pci ids=10de:1db1\nsoftdep nouveau pre: vfio-pci other\n", "cmdline": "module_blacklist=vfio_pci,other"},
        "nouveau",
        [ALIAS, "/proc/cmdline: module_blacklist=vfio_pci,other"],
    ),
}
WITHOUT_THE_LINE = [name for name in CONFIGURATIONS if name not in ("ids= that are refused",)]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_lines_that_decide_are_quoted_as_they_are_written(name: str) -> None:
    given, driver, because = CONFIGURATIONS[name]
    won = of(made(**given))
    assert (won.driver, [str(reason) for reason in won.because]) == (driver, because)


@pytest.mark.parametrize("name", WITHOUT_THE_LINE)
def test_without_a_line_that_is_named_the_answer_is_another(name: str) -> None:
    found = made(**CONFIGURATIONS[name][0])
    won = of(found)
    for source in {reason.source for reason in won.because} & _lines(found):
        assert of(_without_line(found, source)) != won
        assert of(_without_line(found, source)).driver != won.driver or won.driver == "vfio-pci", source


def test_where_udev_replays_nothing_that_is_the_reason() -> None:
    masked = Reason("/etc/systemd/system/systemd-udevd.service", "masks systemd-udevd.service")
    found = boot(dataclasses.replace(stage(ROOT, rules=STOCK_RULES, steps=()), no_coldplug=masked))
    assert (of(found).driver, of(found).because) == (None, (masked,))


def test_a_module_that_only_an_image_keeps_out_is_named_with_the_image() -> None:
    found = boot(stage(INITRAMFS, rules=STOCK_RULES, modprobe="blacklist nouveau\n"), stage(ROOT, rules={}))
    assert [str(one) for one in of(found).because] == [f"/boot/initrd.img-{DEBIAN_13}:{SITE}:1: blacklist nouveau"]


@pytest.mark.parametrize("modprobe", ["blacklist nouveau\n", "install nouveau /bin/false\n", "alias pci:v000010DE* off\n"])
def test_an_image_s_copy_of_a_line_does_not_count_as_another_reason(modprobe: str) -> None:
    found = boot(stage(INITRAMFS, rules=STOCK_RULES, modprobe=modprobe), stage(ROOT, rules=STOCK_RULES, modprobe=modprobe))
    said = [str(one) for one in of(found).because]
    assert f"{SITE}:1: {modprobe.strip()}" in said
    assert not [one for one in said if one.startswith("/boot/") and SITE in one]


def test_what_an_image_alone_does_not_say_stays_a_reason() -> None:
    both = "blacklist nouveau\n"
    found = boot(stage(INITRAMFS, rules=STOCK_RULES, modprobe=both), stage(ROOT, rules=STOCK_RULES, modprobe=f"# changed\n{both}"))
    assert [str(one) for one in of(found).because] == [
        f"/boot/initrd.img-{DEBIAN_13}:{SITE}:1: blacklist nouveau",
        f"{SITE}:2: blacklist nouveau",
    ]


def test_a_bridge_that_its_driver_leaves_alone_now_is_left_alone_for_that_reason() -> None:
    bridge = device(class_code=0x060000)
    plain = made(modprobe="alias pci:v000010DE* nouveau\n")
    takes_all = PciDriver("nouveau", (PciId(0x10DE, 0x1DB1),))
    modules = {**plain.modules, "nouveau": dataclasses.replace(plain.modules["nouveau"], drivers=(takes_all,))}
    found = dataclasses.replace(plain, modules=modules, declined={bridge.address: frozenset(("nouveau",))})
    won = forecast([bridge], found)[bridge.address]
    assert (won.driver, won.certainty) == (None, "certain")
    assert [str(one) for one in won.because] == ["nouveau: it matches the device, and has not bound to it in the running kernel"]


def test_a_module_that_is_loaded_and_takes_nothing_is_named_and_no_rule_that_has_no_part_in_it() -> None:
    found = made(rules='SUBSYSTEM=="nothing", GOTO="end"\nLABEL="end"\n')
    (root,) = found.stages
    nothing = {**found.modules, "nouveau": dataclasses.replace(found.modules["nouveau"], drivers=())}
    won = of(dataclasses.replace(found, modules=nothing))
    assert (won.driver, [str(one) for one in won.because]) == (
        None,
        [f"modules.alias of {root.kernel.release}: nouveau matches the device, and registers no driver that takes it"],
    )


@pytest.mark.parametrize("keeps_out", ["blacklist nouveau\n", ""])
def test_a_rule_that_loads_again_what_is_there_or_kept_out_changes_nothing(keeps_out: str) -> None:
    modprobe = f"options vfio-pci ids=10de:1db1\nsoftdep nouveau pre: vfio-pci\n{keeps_out}"
    won = of(made(modprobe, rules='ACTION=="bind", ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\n', load=["vfio-pci"]))
    assert (won.driver, won.certainty) == ("vfio-pci", "certain")
