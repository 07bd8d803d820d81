# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose initramfs has units, generators, tmpfiles.d, sysctl.d or settings of its own, which no package has brought.

Their truth comes from bootup(7), systemd.generator(7), tmpfiles.d(5), dracut's modules of systemd, and init of initramfs-tools.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit import images
from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    CARD,
    GUEST,
    HERE,
    NATIVE,
    NIC,
    NO_NETWORK,
    ONE_LOST,
    SAME,
    Drawn,
    Truth,
    by_dracut,
    compare,
)
from ansible_collections.vfio.variants.tests.unit.test_hosts_of_testers import image

if t.TYPE_CHECKING:
    from pathlib import Path


ACTS = f"#!/bin/sh\necho vfio-pci > {HERE}/driver_override\nmodprobe vfio-pci\n"
EARLY = "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/bin/site\n"
SYSTEM, LIB = "etc/systemd/system", "usr/lib/systemd/system"
TMPFILES, SYSCTL = {"usr/bin/systemd-tmpfiles": b"\x7fELF"}, {"usr/lib/systemd/systemd-sysctl": b"\x7fELF"}


def dracut(truth: Truth, files: t.Mapping[str, t.Any], cmdline: str = "", open_: t.Sequence[str] = (CARD,)) -> Drawn:
    return Drawn(truth, then=by_dracut(**files), cmdline=cmdline, open=() if truth is NATIVE else open_)


def unit(
    truth: Truth, wanted: str, path: str = f"{SYSTEM}/site.service", text: str = EARLY, cmdline: str = "", script: str = ACTS
) -> Drawn:
    links = {f"{SYSTEM}/{wanted}.wants/site.service": images.Link("../site.service")} if wanted else {}
    return dracut(truth, {path: text, "bin/site": script, **links}, cmdline)


def tools(truth: Truth, **files: t.Any) -> Drawn:
    """By initramfs-tools, with nouveau in the image."""
    return Drawn(truth, then=image(["nouveau", "vfio-pci"], **files), open=() if truth is NATIVE else (CARD,))


HOSTS: dict[str, Drawn] = {
    "a unit": unit(GUEST, "sysinit.target"),
    "a unit of the image's target": unit(GUEST, "initrd.target"),
    "a unit at the end of the image": unit(GUEST, "initrd-switch-root.target"),
    "a unit below /usr": unit(GUEST, "initrd.target", f"{LIB}/site.service"),
    "a unit that nothing starts": unit(NATIVE, ""),
    "a unit that a word starts": unit(GUEST, "", cmdline="rd.systemd.wants=site.service"),
    "a unit that a word masks": unit(NATIVE, "sysinit.target", cmdline="rd.systemd.mask=site.service"),
    "a unit whose condition fails": unit(NATIVE, "sysinit.target", text=f"[Unit]\nConditionPathExists=/never\n{EARLY}"),
    "a unit that does something else": unit(NATIVE, "sysinit.target", script="#!/bin/sh\necho 0 > /sys/class/leds/x/brightness\n"),
    "a drop-in of a unit": dracut(
        GUEST,
        {
            f"{LIB}/initrd-cleanup.service": "[Service]\nType=oneshot\nExecStart=/usr/bin/systemctl isolate initrd-switch-root.target\n",
            f"{SYSTEM}/initrd-cleanup.service.d/site.conf": "[Service]\nExecStartPre=/bin/site\n",
            f"{LIB}/initrd.target.wants/initrd-cleanup.service": images.Link("../initrd-cleanup.service"),
            "bin/site": ACTS,
        },
    ),
    "a unit of the generator's": dracut(
        NATIVE,
        {
            f"{LIB}/dracut-pre-trigger.service": "[Service]\nType=oneshot\nExecStart=-/bin/dracut-pre-trigger\n",
            f"{LIB}/initrd.target.wants/dracut-pre-trigger.service": images.Link("../dracut-pre-trigger.service"),
            "bin/dracut-pre-trigger": "#!/bin/sh\nfor i in $(getargs rd.driver.x); do modprobe $i; done\n",
        },
    ),
    "a generator": dracut(GUEST, {"etc/systemd/system-generators/site": ACTS}),
    "a generator below /usr": dracut(GUEST, {"usr/lib/systemd/system-generators/site": ACTS}),
    "a line of tmpfiles.d": dracut(ONE_LOST, {**TMPFILES, "usr/lib/tmpfiles.d/site.conf": f"w {HERE}/remove - - - - 1\n"}),
    "a line of tmpfiles.d without its program": dracut(NATIVE, {"usr/lib/tmpfiles.d/site.conf": f"w {HERE}/remove - - - - 1\n"}),
    "a line of tmpfiles.d about power": dracut(
        NATIVE, {**TMPFILES, "usr/lib/tmpfiles.d/site.conf": f"w {HERE}/power/control - - - - auto\n"}
    ),
    "a line of sysctl.d": dracut(NO_NETWORK, {**SYSCTL, "etc/sysctl.d/site.conf": "kernel.modules_disabled=1\n"}, "", (CARD, SAME, NIC)),
    "a line of sysctl.d without its program": dracut(NATIVE, {"etc/sysctl.d/site.conf": "kernel.modules_disabled=1\n"}),
    "settings that act": tools(GUEST, **{"conf/conf.d/site": ACTS}),
    "the generator's settings that act": tools(GUEST, **{"conf/initramfs.conf": f"MODULES=most\n{ACTS}"}),
    "settings": tools(NATIVE, **{"conf/conf.d/site": "RESUME=none\n", "conf/arch.conf": "DPKG_ARCH=amd64\n"}),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", HOSTS)
def test_what_an_image_has_of_its_own_counts(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)
