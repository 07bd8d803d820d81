# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kmod does with install lines, refusals and modules that are there already; all else is compared with kmod itself."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ModuleFacts, Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest, Modprobe, softdep_words
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, boot, image_path, stage
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, NVIDIA_DISPLAY, modalias

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot

# modules.dep names a module's dependencies; kmod inserts them from the line's end.
NEEDED = {"vfio_pci": "kernel/vfio-pci-core.ko", "top": "kernel/middle.ko kernel/bottom.ko"}
MODULES = {**STOCK, "top": [], "middle": [], "bottom": [], "other": []}
SITE = "/etc/modprobe.d/site.conf"


def kmod(modprobe: str = "", loaded: t.Iterable[str] = (), **given: t.Any) -> Modprobe:
    found = made(modprobe, **given)
    return Modprobe(found, found.stages[0], frozenset(loaded))


def made(modprobe: str = "", **given: t.Any) -> Boot:
    found = boot(**{"modules": MODULES, "modprobe": modprobe, **given})
    (root,) = found.stages
    return dataclasses.replace(found, stages=(dataclasses.replace(root, kernel=dataclasses.replace(root.kernel, needed=NEEDED)),))


def one(modprobe: Modprobe, asked: str, by_event: bool = True) -> LoadRequest:
    (request,) = modprobe.ask(asked, by_event)
    return request


def told(request: LoadRequest) -> list[str]:
    return [str(reason) for reason in request.refused]


def test_dependencies_are_inserted_before_the_module_and_not_twice() -> None:
    assert one(kmod(), "top").insertions == ("bottom", "middle", "top")
    assert one(kmod(loaded=["bottom"]), "top").insertions == ("middle", "top")
    assert one(kmod(loaded=["top"]), "top") == LoadRequest("top", (), ())
    assert one(kmod("softdep top pre: bottom other\n"), "top").insertions == ("bottom", "middle", "other", "top")


@pytest.mark.parametrize(
    ("command", "insertions", "failed", "doubts"),
    [
        # What only keeps the module out.
        ("/bin/true", (), False, 0),
        ("/bin/false", (), True, 0),
        ("/usr/bin/true", (), False, 0),
        ("/usr/bin/false", (), True, 0),
        ("true", (), False, 0),
        ("false", (), True, 0),
        (":", (), False, 0),
        ("/bin/true; /bin/false", (), True, 0),
        ("/bin/false; /bin/true", (), False, 0),
        ("/bin/false && /bin/true", (), True, 0),
        ("/bin/true && /bin/false", (), True, 0),
        ("/bin/false ;", (), True, 0),
        ("/bin/true;/bin/false", (), True, 0),
        ("/bin/true&&/bin/false", (), True, 0),
        # What loads something, the module itself or not.
        ("/sbin/modprobe --ignore-install other", ("other",), False, 0),
        ("/sbin/modprobe -i other", ("other",), False, 0),
        ("/usr/sbin/modprobe --ignore-install other", ("other",), False, 0),
        ("/usr/bin/modprobe -i other", ("other",), False, 0),
        ("/bin/modprobe -i other", ("other",), False, 0),
        ("modprobe -i other", ("other",), False, 0),
        ("modprobe -q -i -- other", ("other",), False, 0),
        ("modprobe --quiet --ignore-install other", ("other",), False, 0),
        ("modprobe -v -b -i other", ("other",), False, 0),
        ("modprobe top; modprobe -i other", ("bottom", "middle", "top", "other"), False, 0),
        ("modprobe top && modprobe -i other", ("bottom", "middle", "top", "other"), False, 0),
        ("modprobe -a top bottom; modprobe -i other", ("bottom", "middle", "top", "other"), False, 0),
        ("modprobe top", ("bottom", "middle", "top"), False, 0),
        ("/bin/false && modprobe -i other", (), True, 0),
        ("/bin/true && modprobe -i other", ("other",), False, 0),
        ("/bin/false ; modprobe -i other", ("other",), False, 0),
        # What nobody can know.
        ("/sbin/modprobe other", (), False, 1),
        ("/sbin/modprobe -i other x=1", ("other",), False, 0),
        ("/sbin/modprobe -C /etc/other.conf -i other", (), False, 1),
        ("# /sbin/modprobe -i other", (), False, 0),
        ("/sbin/modprobe -i $MODULE", (), False, 1),
        ("/usr/local/bin/load other", (), False, 1),
        ("/opt/modprobe -i other", (), False, 1),
        ("/bin/true && /usr/local/bin/load", (), False, 1),
        ("/bin/false && /usr/local/bin/load", (), True, 0),
        ("/bin/falsehood", (), False, 1),
        # Whether a removal ends well depends on what is loaded by then: both what it does and how the rest goes on.
        ("modprobe -r bottom ; modprobe -i other", ("other",), False, 1),
        ("modprobe -r bottom && modprobe -i other", (), False, 2),
        ("modprobe -r bottom || modprobe -i other", (), False, 2),
        ("/bin/false && modprobe -i other; modprobe top", ("bottom", "middle", "top"), False, 0),
    ],
)
def test_an_install_line_does_what_its_command_does(command: str, insertions: tuple[str, ...], failed: bool, doubts: int) -> None:
    request = one(kmod(f"install other {command}\n"), "other")
    assert (request.insertions, request.failed, len(request.influences)) == (insertions, failed, doubts)
    if not doubts and "other" not in insertions:
        assert told(request) == [f"{SITE}:1: install other {command.strip()}"]


def test_a_blacklist_does_not_keep_out_what_a_command_names() -> None:
    """`modprobe` honours it for names only with --use-blacklist, and for aliases (tools/modprobe.c)."""
    assert one(kmod("install other modprobe top\nblacklist top\n"), "other").insertions == ("bottom", "middle", "top")


def test_a_command_that_cannot_be_understood_is_quoted() -> None:
    (doubt,) = one(kmod("install other /usr/local/bin/load it\n"), "other").influences
    assert str(doubt).startswith(f"{SITE}:1 runs `/usr/local/bin/load it` in place of loading other")


def test_a_module_that_cannot_be_loaded_is_not_loaded_by_its_install_line_either() -> None:
    request = one(kmod("install other modprobe -i other\n", cmdline="module_blacklist=other"), "other")
    assert (request.insertions, told(request)) == ((), [f"{SITE}:1: install other modprobe -i other"])


def test_an_install_line_of_a_dependency_that_inserts_nothing_keeps_the_module_out() -> None:
    request = one(kmod("install bottom /bin/true\n"), "top")
    assert ("top" in request.insertions, request.failed) == (False, True)
    assert told(request)[0] == f"{SITE}:1: install bottom /bin/true"
    loading = one(kmod("install bottom modprobe -i bottom\n"), "top")
    assert (loading.insertions, loading.failed, loading.refused) == (("bottom", "middle", "top"), False, ())
    already = one(kmod("install bottom /bin/true\n", loaded=["bottom"]), "top")
    assert already.insertions == ("middle", "top")
    with_softdep = one(kmod("install bottom /bin/true\nsoftdep bottom pre: other\n"), "top")
    assert with_softdep.insertions == ("other", "bottom", "middle", "top")
    unknown = one(kmod("install bottom /bin/other\n"), "top")
    assert unknown.influences != ()


def test_the_first_line_that_matches_counts() -> None:
    both = "install oth* /bin/true\ninstall other /bin/false\n"
    assert told(one(kmod(both), "other")) == [f"{SITE}:1: install oth* /bin/true"]
    softdeps = "softdep top pre: other\nsoftdep top pre: nouveau\n"
    assert one(kmod(softdeps), "top").insertions == ("bottom", "middle", "other", "top")


def test_a_softdep_that_names_no_module_counts_as_none() -> None:
    """kmod_module_get_softdeps() finds modules, so a name that it does not find leaves the install line its effect."""
    nothing = one(kmod("softdep other pre: no-such\ninstall other /bin/false\n"), "other")
    assert (nothing.failed, told(nothing)) == (True, [f"{SITE}:2: install other /bin/false"])
    something = one(kmod("softdep other pre: no-such bottom\ninstall other /bin/false\n"), "other")
    assert (something.failed, something.insertions) == (False, ("bottom", "other"))
    softdep = f"{SITE}:1: softdep other pre: no-such bottom"
    assert {name: list(map(str, something.why(name))) for name in something.insertions} == {"bottom": [softdep], "other": [softdep]}


def test_a_softdep_is_a_reason_for_what_comes_by_it_alone() -> None:
    request = one(kmod("softdep other pre: top\nsoftdep middle post: nouveau\n"), "other")
    first, second = f"{SITE}:1: softdep other pre: top", f"{SITE}:2: softdep middle post: nouveau"
    assert {name: list(map(str, request.why(name))) for name in request.insertions} == {
        "bottom": [first],
        "middle": [first],
        "nouveau": [first, second],
        "top": [first],
        "other": [],
    }


def test_what_an_install_line_loads_in_a_module_s_place_comes_by_that_line() -> None:
    request = one(kmod("install other modprobe top && modprobe -i other\n"), "other")
    assert list(map(str, request.why("top"))) == [f"{SITE}:1: install other modprobe top && modprobe -i other"]
    assert list(request.why("other")) == []


def test_what_an_install_line_of_a_softdep_s_module_loads_comes_by_both() -> None:
    request = one(kmod("softdep e1000e pre: other\ninstall other modprobe top\n"), "e1000e")
    assert list(map(str, request.why("top"))) == [f"{SITE}:1: softdep e1000e pre: other", f"{SITE}:2: install other modprobe top"]


def test_what_a_softdep_names_is_tried_and_no_obstacle() -> None:
    request = one(kmod("softdep other pre: nouveau post: bottom\n", cmdline="module_blacklist=nouveau,bottom"), "other")
    assert (request.insertions, request.failed) == (("other",), False)
    assert told(request) == ["/proc/cmdline: module_blacklist=nouveau,bottom"] * 2
    assert [refused.module for refused in request.refused] == ["nouveau", "bottom"]


def test_softdeps_in_a_circle_end() -> None:
    request = one(kmod("softdep other pre: top\nsoftdep top pre: other\n"), "other")
    assert sorted(request.insertions) == ["bottom", "middle", "other", "top"]


def test_of_softdeps_in_a_circle_a_module_that_an_alias_finds_comes_before_those_before_it() -> None:
    # As `modprobe --show-depends` of kmod 30 prints them.
    request = one(kmod("softdep nouveau pre: other\nsoftdep other pre: nouveau\n"), CARD)
    assert request.insertions == ("nouveau", "other")


def test_a_blacklist_keeps_out_the_module_that_is_asked_for_and_no_other() -> None:
    assert told(one(kmod("blacklist top\n"), "top")) == [f"{SITE}:1: blacklist top"]
    assert one(kmod("blacklist top\n"), "top", by_event=False).insertions == ("bottom", "middle", "top")
    assert one(kmod("blacklist bottom\n"), "top").insertions == ("bottom", "middle", "top")
    assert one(kmod("blacklist top\nsoftdep other pre: top\n"), "other").insertions == ("bottom", "middle", "top", "other")
    assert one(kmod("blacklist top\n", loaded=["top"]), "top").refused == ()
    assert one(kmod("blacklist top\nblacklist top\n"), "top").failed is False


@pytest.mark.parametrize(
    ("given", "asked", "why"),
    [
        ({"cmdline": "module_blacklist=top"}, "top", "/proc/cmdline: module_blacklist=top"),
        ({"cmdline": "module_blacklist=bottom"}, "top", "/proc/cmdline: module_blacklist=bottom"),
        ({"facts": {"top": ModuleFacts((), refused="it is not signed")}}, "top", f"top of {DEBIAN_13}: it is not signed"),
        ({"facts": {"middle": ModuleFacts((), refused="it is not signed")}}, "top", f"middle of {DEBIAN_13}: it is not signed"),
        (
            {"modules": {name: found for name, found in MODULES.items() if name != "bottom"}},
            "top",
            f"modules.dep of {DEBIAN_13}: there is no module bottom",
        ),
    ],
)
def test_what_the_kernel_refuses_is_not_inserted_and_the_caller_is_told(given: dict[str, t.Any], asked: str, why: str) -> None:
    request = one(kmod(**given), asked)
    assert (request.failed, asked in request.insertions) == (True, False)
    assert told(request) == [why]
    assert str(kmod(**given).unloadable(asked)) == why


def test_what_can_be_loaded_has_no_reason_against_it() -> None:
    assert [kmod().unloadable(name) for name in ("top", "bottom", "vfio_pci")] == [None] * 3
    assert kmod(loaded=["gone"]).unloadable("gone") is None
    assert kmod("install bottom /bin/true\n").unloadable("top") == Reason(f"{SITE}:1", "install bottom /bin/true")
    assert kmod("install bottom /bin/true\n", loaded=["bottom"]).unloadable("top") is None
    assert kmod("install bottom modprobe -i bottom\n").unloadable("top") is None
    assert kmod("install bottom /bin/other\n").unloadable("top") is None
    assert kmod("install bottom /bin/true\nsoftdep bottom pre: other\n").unloadable("top") is None


def test_a_built_in_module_is_there_already() -> None:
    built_in: dict[str, t.Any] = {"modules": {"top": [], "middle": []}, "builtin": ["bottom"]}
    assert one(kmod(**built_in), "top").insertions == ("middle", "top")
    assert one(kmod(**built_in), "bottom").insertions == ()
    both: dict[str, t.Any] = {"modules": {"top": [], "middle": [], "bottom": []}, "builtin": ["bottom"]}
    assert one(kmod(**both), "top").insertions == ("bottom", "middle", "top")


CARD = modalias("10de:1db1")


@pytest.mark.parametrize(
    ("modprobe", "asked", "found"),
    [
        ("", "nouveau", ["nouveau"]),
        ("", "vfio-pci", ["vfio_pci"]),
        ("", "no-such", []),
        ("", CARD, ["nouveau"]),
        ("", CARD.replace("pci:", "vfio_pci:"), ["vfio_pci"]),
        ("blacklist vfio-pci\n", CARD.replace("pci:", "vfio_pci:"), ["vfio_pci"]),
        ("install no-such /bin/true\n", "no-such", ["no_such"]),
        ("install no-* /bin/true\n", "no-such", []),
        ("install no-such /bin/true\ninstall no-such /bin/false\n", "no-such", ["no_such"]),
        (f"alias {CARD} other\n", CARD, ["other"]),
        ("alias pci:v000010DE* other\nalias pci:v* bottom\n", CARD, ["other", "bottom"]),
        ("alias no-such other\n", "no-such", ["other"]),
        ("alias nouveau other\n", "nouveau", ["other"]),
        ("alias pci:v00008086* other\n", CARD, ["nouveau"]),
    ],
)
def test_a_name_or_an_alias_is_looked_up_in_kmod_s_order(modprobe: str, asked: str, found: list[str]) -> None:
    """kmod_module_new_from_lookup() in libkmod/libkmod-module.c: the first place that has it counts."""
    assert [one.module for one in kmod(modprobe).lookup(asked)] == found


def test_all_natives_are_loaded_in_depmod_s_order_and_none_that_is_built_in() -> None:
    several: dict[str, t.Any] = {
        "modules": {"first": [NVIDIA_DISPLAY], "second": [NVIDIA_DISPLAY]},
        "builtin": {"nvidiafb": [NVIDIA_DISPLAY]},
    }
    assert [request.module for request in kmod(**several).ask(CARD, True)] == ["first", "second"]


def test_each_is_told_where_it_was_found() -> None:
    def why(asked: str, modprobe: str = "") -> list[str]:
        return list(map(str, one(kmod(modprobe), asked).because))

    assert why("nouveau") == []
    assert why(CARD) == [f"modules.alias of {DEBIAN_13}: {NVIDIA_DISPLAY} nouveau"]
    assert why("x-y", "alias x-* other\n") == [f"{SITE}:1: alias x-* other"]
    found = boot(stage("initramfs"), stage())
    image, _root = found.stages
    (request,) = Modprobe(found, image, frozenset()).ask(CARD, True, Reason("a rule", "RUN"))
    assert [str(reason) for reason in request.because] == ["a rule: RUN", f"modules.alias in {image_path()}: {NVIDIA_DISPLAY} nouveau"]


@pytest.mark.parametrize(
    ("line", "before", "after"),
    [
        ("softdep x pre: a-b c", ("a-b", "c"), ()),
        ("softdep x post: a pre: b post: c", ("b",), ("a", "c")),
        ("softdep x a pre: b", ("b",), ()),
        ("softdep x pre: post: b", (), ("b",)),
        ("softdep x a b", (), ()),
    ],
)
def test_words_before_pre_and_post_are_ignored(line: str, before: tuple[str, ...], after: tuple[str, ...]) -> None:
    """kmod_config_add_softdep() in libkmod/libkmod-config.c."""
    (directive,) = ModprobeConfig.parse(line, "x").directives
    assert (softdep_words(directive, "pre:"), softdep_words(directive, "post:")) == (before, after)
    assert softdep_words(None, "pre:") == ()


def test_kmod_gives_up_at_the_first_module_that_it_needs_and_cannot_load() -> None:
    """kmod_module_probe_insert_module() ends its loop where the failed module is a required one."""
    request = one(kmod("softdep top post: other\n", cmdline="module_blacklist=top"), "top")
    assert (request.insertions, told(request)) == (("bottom", "middle"), ["/proc/cmdline: module_blacklist=top"])
    first = one(kmod("softdep top post: other\n", cmdline="module_blacklist=bottom"), "top")
    assert (first.insertions, told(first)) == ((), ["/proc/cmdline: module_blacklist=bottom"])


def test_what_keeps_a_dependency_out_keeps_out_the_module_that_was_asked_for() -> None:
    """A device's answer names what keeps out the modules that match it, and a dependency matches nothing."""
    request = one(kmod(cmdline="module_blacklist=bottom"), "top")
    assert [(refused.module, str(refused)) for refused in request.refused] == [("top", "/proc/cmdline: module_blacklist=bottom")]


def test_what_a_softdep_names_is_kept_out_under_its_own_name() -> None:
    request = one(kmod("softdep top pre: other\n", cmdline="module_blacklist=other"), "top")
    assert [refused.module for refused in request.refused] == ["other"]
    assert request.insertions == ("bottom", "middle", "top")


def test_a_command_is_quoted_without_the_blanks_around_it() -> None:
    (doubt,) = one(kmod("install other  /usr/local/bin/load it \n"), "other").influences
    assert "runs `/usr/local/bin/load it` in place" in str(doubt)


def test_a_module_that_refuses_to_load_with_its_settings_is_not_inserted() -> None:
    """radeon_module_init() gives up with `modeset=0`; amdgpu's at `nomodeset` up to 6.12 for certain, after that up to some version."""
    modules = {"radeon": ["pci:v00001002d*sv*sd*bc*sc*i*"], "amdgpu": ["pci:v00001002d*sv*sd*bc*sc*i*"]}
    off = one(kmod("options radeon modeset=0\n", modules=modules), "radeon")
    assert (off.insertions, off.failed) == ((), True)
    assert told(off) == [f"{SITE}:1: options radeon modeset=0: the module does not load"]
    assert one(kmod("options radeon modeset=1\n", modules=modules), "radeon").insertions == ("radeon",)
    old = one(kmod(modules=modules, cmdline="nomodeset", release="6.12.1"), "amdgpu")
    assert (old.insertions, told(old)) == ((), ["/proc/cmdline: nomodeset: the module does not load (amdgpu)"])
    assert one(kmod(modules=modules, cmdline="nomodeset", release="6.13.1"), "amdgpu").insertions == ("amdgpu",)


def test_one_failure_among_the_modules_of_an_alias_is_one_of_the_command() -> None:
    both = "alias both top\nalias both bottom\ninstall other modprobe both && modprobe -i other\n"
    assert "other" in one(kmod(both), "other").insertions
    assert "other" not in one(kmod(f"{both}install bottom /bin/false\n"), "other").insertions
