# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What depmod writes into its binary indexes is read as it writes it into its texts."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import index_file
from ansible_collections.vfio.variants.tests.unit.driver_files import ANY, Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, E1000E, NVIDIA_DISPLAY, V100_VARIANT

MODULES = {
    "nouveau": ["pci:v000012D2d*sv*sd*bc03sc*i*", NVIDIA_DISPLAY],
    "e1000e": [E1000E, "pci:v00008086d000010D4sv*sd*bc*sc*i*"],
    "nvlink2gpu-vfio-pci": [V100_VARIANT],
    "vfio-pci": [ANY_VFIO],
}
# One name is the beginning of another, so that a node of the index has both a value and children.
BUILT_IN = ("pci/pcieport", "ata/libata", "usb/host/xhci-pci", "usb/host/xhci-pci-renesas")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The module tree of a kernel, with what the machine's depmod has made of it."""
    place = tmp_path / "lib/modules" / DEBIAN_13
    for name, aliases in MODULES.items():
        path = place / "kernel" / f"{name}.ko"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(driver_file(DEBIAN_13, [Driver(name.encode(), (Entry(0x10DE, ANY),))], aliases=aliases))
    (place / "modules.builtin").write_text("".join(f"kernel/drivers/{name}.ko\n" for name in BUILT_IN), encoding="utf-8")
    (place / "modules.order").write_text("".join(f"kernel/{name}.ko\n" for name in MODULES), encoding="utf-8")
    subprocess.run(["depmod", "-b", str(tmp_path), DEBIAN_13], check=True, timeout=60, capture_output=True)
    return place


def lines(text: str | None) -> list[str]:
    return [line for line in (text or "").splitlines() if not line.startswith("#")]


def test_the_aliases_are_those_of_the_text_in_its_order(home: Path) -> None:
    written = lines((home / "modules.alias").read_text(encoding="utf-8"))
    read = lines(index_file.text_of("modules.alias.bin", (home / "modules.alias.bin").read_bytes()))
    assert sorted(read) == sorted(written)
    assert len(read) == sum(map(len, MODULES.values()))
    modules = [line.rpartition(" ")[2] for line in read]
    assert list(dict.fromkeys(modules)) == [name.replace("-", "_") for name in MODULES]


def test_the_dependencies_and_the_built_in_modules_are_those_of_the_texts(home: Path) -> None:
    assert lines(index_file.text_of("modules.dep.bin", (home / "modules.dep.bin").read_bytes())) == [
        f"kernel/{name}.ko:" for name in MODULES
    ]
    read = lines(index_file.text_of("modules.builtin.bin", (home / "modules.builtin.bin").read_bytes()))
    assert sorted(line.rpartition("/")[2] for line in read) == [
        "libata.ko",
        "pcieport.ko",
        "xhci_pci.ko",
        "xhci_pci_renesas.ko",
    ]


def test_the_machine_s_own_index_begins_with_the_mark_that_is_looked_for(home: Path) -> None:
    content = (home / "modules.alias.bin").read_bytes()
    assert content.startswith(index_file.MAGIC)
    assert index_file.entries(b"\0" + content[1:]) is None
    assert index_file.entries(content[:5] + b"\x07" + content[6:]) is None


def test_a_damaged_index_is_read_to_nothing_and_in_bounded_time(home: Path) -> None:
    content = (home / "modules.alias.bin").read_bytes()
    for length in (0, 4, 11, 12, len(content) // 2, len(content) - 1):
        assert index_file.entries(content[:length]) is None or length == len(content) - 1
    # A node that is its own child.
    circle = index_file.MAGIC + b"\0\2\0\1" + (0x20000000 | 12).to_bytes(4, "big") + b"aa" + (0x20000000 | 12).to_bytes(4, "big")
    assert index_file.entries(circle) is None


def test_a_child_of_many_parents_has_no_more_keys_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty nodes in a row, each with one child under two characters: a million keys in a few hundred bytes."""
    content = bytearray(struct.pack(">IIIII", 0xB007F457, 0x00020001, 0, 1, 7) + b"vfio\0")
    child = 12 | 0x40000000
    for _level in range(20):
        at = len(content)
        content += struct.pack(">BBII", ord("a"), ord("b"), child, child)
        child = at | 0x20000000
    for root, count in ((12 | 0x40000000, 1), (len(content) - 10 | 0x20000000, None)):
        content[8:12] = struct.pack(">I", root)
        monkeypatch.setattr(index_file, "LARGEST", 1 << 20)
        found = index_file.entries(bytes(content))
        assert (None if found is None else len(found)) == count
