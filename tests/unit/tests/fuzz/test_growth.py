# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.fuzz.growth import MOST, growth, instructions, repeated
from ansible_collections.vfio.variants.tests.fuzz.targets import BY_NAME

PAIR = "options m{n} a=b\nsoftdep m{n} pre: x\n"
REPEATED: t.Mapping[str, tuple[int, tuple[str, ...]]] = {
    "udev rules": (
        30,
        (
            'SUBSYSTEM=="pci", RUN+="/bin/a{n}"\n',
            'RUN{{builtin}}+="kmod load a{n}"\n',
            'PROGRAM=="x", RUN="t{n}"\n',
            'PROGRAM=="x", GOTO="l{n}"\n',
            'PROGRAM=="x", TAG="t{n}"\n',
            'ENV{{a{n}}}="b", IMPORT{{program}}="z"\n',
            'GOTO="a{n}"\nLABEL="a{n}"\n',
            'ATTR{{driver_override}}="v{n}"\n',
        ),
    ),
    "script": (40, ("a{n}=b\n", "f{n}() {{ a; }}\n", "modprobe a{n}\n", "echo a > /sys/bus/pci/drivers/a{n}/unbind\n")),
    "command": (40, ("modprobe a{n} ", "unbind ", "echo a > b; ")),
    "modprobe.d": (40, ("\udcff\n", "blacklist m{n}\n", "options nouveau a{n}=b\n", "install m{n} x\n", "alias m{n} n\n", "\\\n", PAIR)),
    "grub.cfg": (40, ("set a{n}=b\n", "menuentry 'a{n}' {{\n linux /a\n}}\n", "a{n}=$a{n}\n")),
    "unit file": (40, ("[s{n}]\nx=y\n", "ExecStart=/bin/a{n}\n", "a\\\n")),
    "crontab": (40, ("@reboot root modprobe a{n}\n", "* * * * * root a{n}\n", "a{n}=b\n")),
    "fstab": (
        40,
        (
            "/dev/sda{n} /m{n} ext4 defaults 0 0\n",
            "UUID=a{n} /m{n} ext4 defaults 0 0\n",
            "overlay /m{n} overlay lowerdir=/l{n},upperdir=/u{n} 0 0\n",
            "/a{n} /m{n} none bind 0 0\n",
            "a{n} /m{n} autofs x 0 0\n",
        ),
    ),
    "dkms.conf": (40, ("BUILT_MODULE_NAME[{n}]=a\n", "a{n}=$a{n}\n")),
    "modules.dep": (40, ("kernel/a{n}.ko: kernel/b{n}.ko\n",)),
    "cmdline": (40, ("a{n}.b=c ", "modprobe.blacklist=a{n} ", "initcall_blacklist=f{n} ")),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("target", "unit", "times"), [(target, unit, times) for target, (times, units) in REPEATED.items() for unit in units]
)
def test_four_times_as_much_takes_about_four_times_as_long(target: str, unit: str, times: int) -> None:
    assert growth(BY_NAME[target].parse, unit, times) < MOST


def test_work_with_the_square_of_the_input_is_noticed() -> None:
    def pairs(data: bytes) -> int:
        return sum(1 for _one in data for _other in data)

    assert growth(pairs, "a", 50) > 10
    assert growth(len, "a", 50) == 1


def test_the_same_work_is_counted_alike() -> None:
    assert instructions(lambda: sorted("cab")) == instructions(lambda: sorted("cab"))


def test_each_repetition_has_its_number() -> None:
    assert repeated("a{n}\n", 2) == b"a0\na1\n"
    assert repeated("${", 2) == b"${${"
