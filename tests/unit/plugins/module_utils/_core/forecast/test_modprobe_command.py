# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a modprobe does that a rule runs, by its options (modprobe(8))."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.modprobe_command import ModprobeCommand


def parsed(text: str) -> ModprobeCommand:
    found = ModprobeCommand.parse(text)
    assert found is not None
    return found


@pytest.mark.parametrize("path", ["/sbin/modprobe", "/bin/modprobe", "/usr/sbin/modprobe", "/usr/bin/modprobe"])
def test_modprobe_is_known_by_its_path(path: str) -> None:
    assert parsed(f"{path} vfio-pci") == ModprobeCommand(("vfio-pci",))
    assert parsed(f"\"{path}\" 'vfio-pci'").names == ("vfio-pci",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "modprobe x",
        "/usr/local/sbin/modprobe x",
        "/sbin/modprobe.real x",
        "/sbin/insmod x",
        "/bin/sh -c /sbin/modprobe",
        "/x/sbin/modprobe x",
    ],
)
def test_another_program_is_none(text: str) -> None:
    assert ModprobeCommand.parse(text) is None


@pytest.mark.parametrize("sign", list(";&|<>`*?()$"))
def test_what_looks_like_a_shells_line_is_none(sign: str) -> None:
    assert ModprobeCommand.parse(f"/sbin/modprobe vfio-pci {sign} x") is None
    assert ModprobeCommand.parse(f"/sbin/modprobe vfio{sign}pci") is None


@pytest.mark.parametrize("option", ["-q", "-v", "-s", "-qvs", "--quiet", "--verbose", "--syslog", "--first-time", "--"])
def test_some_options_change_only_what_is_said(option: str) -> None:
    assert parsed(f"/sbin/modprobe {option} a") == ModprobeCommand(("a",))


@pytest.mark.parametrize("option", ["-b", "-qb", "--use-blacklist"])
def test_the_blacklist_counts_on_request(option: str) -> None:
    assert parsed(f"/sbin/modprobe {option} a") == ModprobeCommand(("a",), honours_blacklist=True)
    assert not parsed("/sbin/modprobe a").honours_blacklist


def test_without_a_the_words_after_the_name_are_its_parameters() -> None:
    assert parsed("/sbin/modprobe a b=1") == ModprobeCommand(("a",), parameters=True, is_plain=False)
    for all_ in ("-a", "-qa", "--all"):
        assert parsed(f"/sbin/modprobe {all_} a b") == ModprobeCommand(("a", "b"))
    assert parsed("/sbin/modprobe") == ModprobeCommand(())
    assert parsed("/sbin/modprobe -- a -b") == ModprobeCommand(("a",), parameters=True, is_plain=False)
    assert parsed("/sbin/modprobe -a -- a -b") == ModprobeCommand(("a", "-b"))


@pytest.mark.parametrize("option", ["-r", "--remove", "-qr"])
def test_modules_can_be_removed_instead(option: str) -> None:
    found = parsed(f"/sbin/modprobe {option} a b")
    assert (found.names, found.removes, found.is_plain, found.parameters) == (("a", "b"), True, False, False)
    assert not parsed("/sbin/modprobe a").removes


@pytest.mark.parametrize(
    "option",
    [
        *("-n", "-D", "-c", "-R", "-V", "-h", "-qn", "--dry-run", "--show", "--show-depends", "--show-config", "--showconfig"),
        *("--resolve-alias", "--help", "--version", "--show-exports"),
    ],
)
def test_some_options_load_nothing(option: str) -> None:
    found = parsed(f"/sbin/modprobe {option} a")
    assert (found.loads, found.is_plain, found.removes) == (False, False, False)


@pytest.mark.parametrize("option", ["-f", "-i", "--force", "--ignore-install", "--force-vermagic", "-w"])
def test_with_another_option_it_loads_and_not_plainly(option: str) -> None:
    found = parsed(f"/sbin/modprobe {option} a")
    assert (found.names, found.loads, found.is_plain) == (("a",), True, False)


@pytest.mark.parametrize("option", ["-C", "-d", "-S", "--config", "--dirname", "--set-version"])
def test_an_options_value_is_not_a_module(option: str) -> None:
    found = parsed(f"/sbin/modprobe {option} /x a")
    assert (found.names, found.parameters, found.loads, found.is_plain) == (("a",), False, True, False)


@pytest.mark.parametrize("option", ["--config=/x", "--dirname=/x", "--set-version=6.1"])
def test_a_value_after_an_equals_sign_takes_no_word(option: str) -> None:
    found = parsed(f"/sbin/modprobe {option} a")
    assert (found.names, found.is_plain) == (("a",), False)
