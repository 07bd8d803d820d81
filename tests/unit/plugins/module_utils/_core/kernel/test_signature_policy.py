# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a kernel refuse unsigned modules: only what will be so at the boot in question counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import efi_variables
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.signature_policy import (
    LOCKDOWN,
    enforced_by,
    is_debians,
    lockdown_of,
    secure_boot,
)
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13, Tree

CONFIG = f"/boot/config-{DEBIAN_13}"
SECURE = f"{efi_variables.VARIABLES}/SecureBoot-{efi_variables.GLOBAL}"
EFI_LOCKDOWN = "CONFIG_MODULE_SIG=y\nCONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y\n"


def machine(root: Path, config: str = "", secure: bool | None = None, running: str = "", lockdown: str = "", cmdline: str = "") -> Tree:
    tree = Tree(root).file(CONFIG, config)
    if secure is not None:
        tree.file(SECURE, b"\x06\0\0\0" + bytes((secure,)))
    if running:
        tree.running(running).cmdline(cmdline).file(LOCKDOWN, f"{lockdown}\n")
    return tree


def why(tree: Tree, cmdline: str = "") -> str | None:
    return enforced_by(tree.host(), DEBIAN_13, Cmdline.parse(cmdline))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("CONFIG_MODULE_SIG_FORCE=y\n", f"CONFIG_MODULE_SIG_FORCE=y in {CONFIG}"),
        ("CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY=y\n", f"CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY=y in {CONFIG}"),
        ("CONFIG_MODULE_SIG=y\n# CONFIG_MODULE_SIG_FORCE is not set\n", None),
        ("CONFIG_MODULE_SIG_FORCE=m\n", None),
        ("", None),
    ],
)
def test_a_kernel_may_be_built_so(tmp_path: Path, config: str, reason: str | None) -> None:
    assert why(machine(tmp_path, config)) == reason


@pytest.mark.parametrize(
    ("config", "option"),
    [
        (EFI_LOCKDOWN, "LOCK_DOWN_IN_EFI_SECURE_BOOT"),
        ("CONFIG_IMA_ARCH_POLICY=y\nCONFIG_MODULE_SIG=y\n", "IMA_ARCH_POLICY"),
        ("CONFIG_IMA_ARCH_POLICY=y\n", None),
    ],
)
def test_secure_boot_counts_for_kernels_that_ask_for_it(tmp_path: Path, config: str, option: str | None) -> None:
    said = None if option is None else f"Secure Boot, with CONFIG_{option}=y in {CONFIG}"
    assert why(machine(tmp_path / "on", config, secure=True)) == said
    assert why(machine(tmp_path / "off", config, secure=False)) is None
    assert why(machine(tmp_path / "none", config)) is None


@pytest.mark.parametrize(("attributes", "value", "is_refused"), [(6, 1, False), (7, 1, True), (6, 0, True)])
def test_a_shim_that_verifies_nothing_leaves_the_kernel_open(tmp_path: Path, attributes: int, value: int, is_refused: bool) -> None:
    tree = machine(tmp_path, EFI_LOCKDOWN, secure=True)
    tree.file(f"{efi_variables.VARIABLES}/MokSBStateRT-{efi_variables.SHIM}", bytes((attributes, 0, 0, 0, value)))
    assert (why(tree) is not None) is is_refused
    assert secure_boot(tree.host())


def test_the_level_of_lockdown_is_that_of_secure_boot_or_of_the_same_kernel_that_runs(tmp_path: Path) -> None:
    def level(tree: Tree) -> str | None:
        return lockdown_of(tree.host(), DEBIAN_13)

    assert level(machine(tmp_path / "a", EFI_LOCKDOWN, secure=True)) == "integrity"
    assert level(machine(tmp_path / "b", EFI_LOCKDOWN, secure=False)) is None
    assert level(machine(tmp_path / "c", "CONFIG_MODULE_SIG=y\n", secure=True)) is None
    state = "none integrity [confidentiality]"
    assert level(machine(tmp_path / "d", running=DEBIAN_13, lockdown=state)) == "confidentiality"
    assert level(machine(tmp_path / "e", running=DEBIAN_12, lockdown=state)) is None
    assert level(machine(tmp_path / "f", running=DEBIAN_13, lockdown="[none] integrity confidentiality")) is None
    # The next boot need not have that word.
    assert level(machine(tmp_path / "g", running=DEBIAN_13, lockdown=state, cmdline="lockdown=confidentiality")) is None


def test_debians_own_kernels_are_known_by_their_images(tmp_path: Path) -> None:
    def built(release: str, by: bytes, at: str = DEBIAN_13) -> bool:
        image = bytearray(0x1000)
        image[0x202:0x206], image[0x20E:0x210] = b"HdrS", b"\0\x04"
        text = release.encode() + b" (" + by + b") #1 SMP\0"
        image[0x600 : 0x600 + len(text)] = text
        return is_debians(Tree(tmp_path).file(f"/boot/vmlinuz-{at}", bytes(image)).host(), at)

    assert built(DEBIAN_13, b"debian-kernel@lists.debian.org")
    assert not built(DEBIAN_13, b"root@buildd")
    assert not built(DEBIAN_12, b"debian-kernel@lists.debian.org")
    assert not is_debians(Tree(tmp_path / "none").host(), DEBIAN_13)
