# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy in a boot that has the word which switches it off: as if it were not there."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.off_word import ARGUMENT
from ansible_collections.vfio.variants.plugins.module_utils._core.policy import texts
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import header
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import parse_file
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_info
from ansible_collections.vfio.variants.tests.unit.policy_hosts import (
    MODPROBE,
    NIC,
    RULES,
    STOCK,
    V100,
    VARIANT,
    contents,
    gpu_host,
    kernel,
    lines,
    refused,
    run,
)
from ansible_collections.vfio.variants.tests.unit.trees import NVIDIA_DISPLAY, Tree

CARDS = ("0000:02:00.0", "0000:3b:00.0", "0000:5e:00.0")
BY_IDS = {"devices": "10de:1db1", "driver": "vfio-pci"}
EACH = pytest.mark.parametrize(
    ("claim", "strategy"),
    [(V100, "override"), ({"devices": CARDS[1]}, "override"), (BY_IDS, "ids"), (V100, "blacklist"), (NIC, "blacklist")],
)
UNDOING = 'ENV{vfio_variants}=="off", ACTION=="add", SUBSYSTEM=="pci", ATTR{vendor}=="0x10de", ATTR{device}=="0x1db1"'


def owners(tree: Tree) -> dict[str, tuple[str | None, str]]:
    """Who will have each card, and how sure that is."""
    told = device_info(tree.host(Commands(tree.root)))
    (release,) = told["devices"][0]["kernels"]
    found = ((device["address"], device["kernels"][release]) for device in told["devices"])
    return {address: (of["winner"], of["certainty"]) for address, of in found if address in CARDS}


@pytest.mark.sampled(2)
@EACH
def test_each_card_has_the_driver_that_it_would_have_without_the_policy(tmp_path: Path, claim: dict[str, t.Any], strategy: str) -> None:
    without, tree = gpu_host(tmp_path / "a"), gpu_host(tmp_path / "b")
    run(tree, claim, strategy=strategy)
    claimed = {address for address, (driver, _sure) in owners(tree).items() if driver in (VARIANT, "vfio-pci")}
    assert claimed
    tree.cmdline(f"root=/dev/sda1 ro {ARGUMENT}")
    assert owners(tree) == owners(without)
    assert {certainty for _driver, certainty in owners(tree).values()} == {"certain"}


@EACH
def test_a_policy_of_before_is_written_again(tmp_path: Path, claim: dict[str, t.Any], strategy: str) -> None:
    tree = gpu_host(tmp_path)
    run(tree, claim, strategy=strategy)
    new = contents(tree)
    for path in (RULES, MODPROBE):
        # As they were before there was the word.
        kept = [line for line in lines(tree, path) if "vfio_variants" not in line]
        if kept:
            tree.file(path, header("vfio-variants") + "".join(f"{line}\n" for line in kept))
    assert contents(tree) != new
    assert run(tree, claim, strategy=strategy)["changed"]
    assert contents(tree) == new
    assert not run(tree, claim, strategy=strategy)["changed"]


@EACH
def test_the_next_boot_and_the_running_one_are_named_and_the_claims_are_still_judged(
    tmp_path: Path, claim: dict[str, t.Any], strategy: str
) -> None:
    tree = gpu_host(tmp_path).cmdline(f"root=/dev/sda1 ro {ARGUMENT}")
    result = run(tree, claim, strategy=strategy)
    said = "\n".join(result["warnings"])
    assert f"/proc/cmdline: `{ARGUMENT}` switches off " in said
    assert "The running kernel was booted with" in said
    asked = claim_info(tree.host(Commands(tree.root)), claims=[claim])
    assert f"/proc/cmdline: `{ARGUMENT}` switches off " in "\n".join(asked["policy_warnings"])
    assert "The running kernel was booted with" in "\n".join(asked["policy_warnings"])
    (release,) = asked["devices"][0]["kernels"]
    assert asked["devices"][0]["kernels"][release]["would_change"] == f"Remove {ARGUMENT} from the command line (/proc/cmdline)."
    tree.cmdline("root=/dev/sda1 ro")
    assert ARGUMENT not in "\n".join(
        (*run(tree, claim, strategy=strategy)["warnings"], *claim_info(tree.host(Commands(tree.root)), claims=[claim])["policy_warnings"])
    )


def test_a_claim_that_loses_is_refused_although_the_word_switches_it_off(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path).cmdline(f"root=/dev/sda1 ro module_blacklist={VARIANT} {ARGUMENT}")
    assert "module_blacklist" in refused(tree, V100)


def test_a_blacklisted_native_is_loaded_by_its_name(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path)
    run(tree, V100, strategy="blacklist")
    assert f'{UNDOING}, RUN{{program}}+="/sbin/modprobe -q nouveau"' in lines(tree, RULES)


def test_a_native_that_the_site_blacklists_too_is_not(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path).file("/etc/modprobe.d/site.conf", "blacklist nouveau\n")
    run(tree, V100, strategy="blacklist")
    assert not any(line.startswith(UNDOING) for line in lines(tree, RULES))
    tree.cmdline(f"root=/dev/sda1 ro {ARGUMENT}")
    assert owners(tree)[CARDS[1]] == (None, "certain")


def test_several_natives_are_loaded_in_the_order_of_their_aliases(tmp_path: Path) -> None:
    modules = {"zz-first": [NVIDIA_DISPLAY], "aa-second": [NVIDIA_DISPLAY], **{name: STOCK[name] for name in ("e1000e", "vfio-pci")}}
    tree = kernel(Tree(tmp_path), modules=modules).pci("0000:3b:00.0")
    run(tree, {"devices": "10de:1db1", "driver": "vfio-pci"}, strategy="blacklist")
    loads = [line.rpartition(" ")[2].rstrip('"') for line in lines(tree, RULES) if line.startswith(UNDOING)]
    assert loads == ["zz_first", "aa_second"]


@pytest.mark.parametrize("other", ["softdep vfio-pci pre: e1000e\n", "install vfio-pci modprobe -i vfio-pci\n"])
def test_what_keeps_kmod_from_our_line_is_named_and_no_line_is_written(tmp_path: Path, other: str) -> None:
    tree = gpu_host(tmp_path).file("/etc/modprobe.d/site.conf", other)
    warnings = "\n".join(run(tree, BY_IDS, strategy="ids")["warnings"])
    assert f"{ARGUMENT} on the kernel's command line will not switch off the ids of vfio_pci: /etc/modprobe.d/site.conf:1" in warnings
    assert not any(line.startswith("install") for line in lines(tree, MODPROBE))


@pytest.mark.parametrize("version", [252, 257, 262])
def test_udev_has_no_objection_to_the_rules(version: int) -> None:
    text = texts.rules("gpus", ['ACTION=="add", ATTR{driver_override}="vfio-pci"'], ['RUN{program}+="/sbin/modprobe -q nouveau"'])
    assert text is not None
    assert parse_file(text, RULES, version).problems == ()
