# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with what administrators, packages and guides have put there, right and nearly right, by kind of mechanism.

Their truth comes from the sources of Linux, kmod, udev and systemd, and their manual pages.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    ACTS,
    ADDED,
    BLACKLIST,
    BOTH,
    BOUND,
    CARD,
    CARD_LINK,
    CONF,
    GUEST,
    HERE,
    IDS,
    LIB,
    LIST,
    LOAD,
    MOVER,
    MOVES,
    MULTI_USER,
    NATIVE,
    NEITHER,
    NIC,
    ONE_LOST,
    OVERRIDE,
    OWN,
    RULE,
    SAME,
    SOFTDEP,
    SSH,
    SSH_LINK,
    THIS,
    TO_GUEST,
    UNBIND,
    UNIT,
    Drawn,
    behind_bridge,
    compare,
    daemon,
    installed,
    rule,
    said,
    saved,
    tmpfile,
)

if t.TYPE_CHECKING:
    from pathlib import Path

PATH = f'{ADDED}, IMPORT{{builtin}}="path_id"\n'
HOSTS: dict[str, Drawn] = {
    # udev: keys
    "the subsystem's link as an attribute": rule(GUEST, f'{THIS}, ATTR{{subsystem}}=="pci", {ACTS}'),
    "the driver's link as an attribute, before it is there": rule(NATIVE, f'{THIS}, ATTR{{driver}}=="nouveau", {ACTS}'),
    "the driver's link as an attribute, once it is there": rule(
        GUEST,
        f'{BOUND}, ATTR{{driver}}=="nouveau", {OVERRIDE}, {UNBIND}, {LOAD}',
    ),
    "a class of what is above": Drawn(GUEST, {RULE: f'{THIS}, ATTRS{{class}}=="0x060400", {ACTS}\n'}, then=behind_bridge),
    "a maker that nothing above has": Drawn(NATIVE, {RULE: f'{THIS}, ATTRS{{vendor}}=="0x1022", {ACTS}\n'}, then=behind_bridge),
    "the driver of the bridge": Drawn(GUEST, {RULE: f'{THIS}, DRIVERS=="pcieport", {ACTS}\n'}, then=behind_bridge),
    "an option of rules that is gone": rule(GUEST, f'{THIS}, OPTIONS+="last_rule"\n{THIS}, {ACTS}'),
    "a program with an option that is gone": rule(NATIVE, f'{THIS}, {OVERRIDE}, RUN{{ignore_error}}+="/sbin/modprobe vfio-pci"'),
    "a key that there is not": rule(NATIVE, f'{THIS}, DRIVER_OVERRIDE="vfio-pci", {ACTS}'),
    "the architecture": rule(GUEST, f'{THIS}, CONST{{arch}}=="x86-64", {ACTS}'),
    "another architecture": rule(NATIVE, f'{THIS}, CONST{{arch}}=="arm64", {ACTS}'),
    "no virtual machine": rule(GUEST, f'{THIS}, CONST{{virt}}=="none", {ACTS}', "", (CARD,)),
    "a key of older udev": rule(NATIVE, f'{THIS}, WAIT_FOR="driver", {ACTS}'),
    "attributes that keep the driver": rule(
        NATIVE, f'{THIS}, ATTR{{power/control}}="on", ATTR{{d3cold_allowed}}="0", ATTR{{rom}}="1", ATTR{{msi_bus}}="1"'
    ),
    "a device that is switched off": rule(NATIVE, f'{THIS}, ATTR{{enable}}="0"'),
    "another device's event": rule(GUEST, f'{ADDED}, KERNEL=="{NIC}", ATTR{{[pci/{CARD}]driver_override}}="vfio-pci", {LOAD}', "", (CARD,)),
    "a shell that is told the path": rule(
        GUEST, f"{THIS}, RUN+=\"/bin/sh -c 'echo vfio-pci > %S%p/driver_override; modprobe vfio-pci'\"", "", (CARD,)
    ),
    "a program that ends well": rule(GUEST, f'{THIS}, PROGRAM=="/bin/true", {ACTS}', "", (CARD,)),
    "a rule in a folder below": Drawn(NATIVE, {"/etc/udev/rules.d/site/50-site.rules": TO_GUEST}),
    "a rule that is put aside": Drawn(NATIVE, {"/etc/udev/rules.d/50-site.rules.disabled": TO_GUEST}),
    "a package's rule that is masked": Drawn(NATIVE, {"/usr/lib/udev/rules.d/50-site.rules": TO_GUEST}, {RULE: "/dev/null"}),
    "a module that is removed when it has come": rule(
        NEITHER, 'ACTION=="add", SUBSYSTEM=="module", KERNEL=="nouveau", RUN+="/sbin/modprobe -r nouveau"', "", (CARD, SAME)
    ),
    "a device that the driver's event unbinds": rule(
        ONE_LOST, f'ACTION=="add", SUBSYSTEM=="drivers", KERNEL=="nouveau", ATTR{{unbind}}="{CARD}"', "", (CARD,)
    ),
    "all properties as one attribute": rule(GUEST, f'{THIS}, ATTR{{uevent}}=="*PCI_SLOT_NAME={CARD}*", {ACTS}', "", (CARD,)),
    "an attribute that there is not, and which is not so": rule(NATIVE, f'{THIS}, ATTR{{boot_vga}}!="1", {ACTS}'),
    "the physical function of none": rule(NATIVE, f'{THIS}, ATTR{{physfn}}!="x", {ACTS}', "", (CARD,)),
    "another revision": rule(NATIVE, f'{THIS}, ATTR{{revision}}=="0xff", {ACTS}'),
    "a class with open digits": rule(GUEST, f'{ADDED}, ATTR{{class}}=="0x0302??", KERNEL=="0000:3b*", {ACTS}'),
    "a driver by a property": rule(GUEST, f'{THIS}, ENV{{GPU_DRV}}="vfio-pci"\n{THIS}, ATTR{{driver_override}}="$env{{GPU_DRV}}", {LOAD}'),
    "a device of the card unbinds it": rule(
        ONE_LOST, f'SUBSYSTEM=="drm", ACTION=="add", KERNELS=="{CARD}", ATTR{{device/driver/unbind}}="{CARD}"', "", (CARD,)
    ),
    "rules about mice": rule(
        NATIVE, 'SUBSYSTEM=="usb", ATTR{idVendor}=="046d", ATTR{authorized}="0"\nSUBSYSTEM=="usb", ATTR{idVendor}=="046d", ATTR{remove}="1"'
    ),
    "a rule that unbinds a device of USB": rule(
        NATIVE,
        'ACTION=="add", SUBSYSTEM=="usb", ATTR{idVendor}=="1b1c", RUN+="/bin/sh -c \'echo 1-4 > /sys/bus/usb/drivers/usb/unbind\'"',
        "",
        (),
    ),
    "a rule about disks": rule(
        NATIVE, 'ACTION=="add|change", KERNEL=="sd[a-z]", ATTR{queue/rotational}=="1", RUN+="/usr/bin/hdparm -B 254 -S 0 /dev/%k"', "", ()
    ),
    "a rule that tells the log": rule(NATIVE, f'{THIS}, RUN+="/usr/bin/logger card %k came"'),
    "a rule about the network": rule(NATIVE, 'ACTION=="add", SUBSYSTEM=="net", NAME=="en*", RUN+="/usr/sbin/ethtool -s $name wol g"'),
    "a rule has systemctl start a unit": rule(
        GUEST, f'{THIS}, RUN+="/bin/systemctl start --no-block card.service"', "", (CARD,), **{f"{OWN}/card.service": UNIT, MOVER: MOVES}
    ),
    "a rule wants an instance for the device": rule(
        GUEST,
        f'{THIS}, TAG+="systemd", ENV{{SYSTEMD_WANTS}}+="card@%k.service"',
        "",
        (CARD,),
        **{f"{OWN}/card@.service": UNIT, MOVER: MOVES},
    ),
    "a rule adds an ID to the driver": rule(
        BOTH,
        f'ACTION=="add", SUBSYSTEM=="pci", ATTR{{vendor}}=="0x10de", {LOAD}, ATTR{{[drivers/pci:vfio-pci]new_id}}="10de 1db1"',
        "",
        (CARD, SAME),
    ),
    # what one rule sets and another asks for
    "the device's name as a property": rule(GUEST, f'{ADDED}, ENV{{A}}="%k"\n{ADDED}, ENV{{A}}=="{CARD}", {ACTS}'),
    "the device's path as a property": rule(GUEST, f'{ADDED}, ENV{{A}}="$devpath"\n{ADDED}, ENV{{A}}=="*/{CARD}", {ACTS}'),
    "the device's name in a tag, whose colons udev refuses": rule(NATIVE, f'{ADDED}, TAG+="card-%k"\n{ADDED}, TAG=="card-{CARD}", {ACTS}'),
    "the device's number in a tag": rule(GUEST, f'{THIS}, TAG+="card-%n"\n{ADDED}, TAG=="card-0", {ACTS}'),
    "a property of a property": rule(
        GUEST, f'{ADDED}, ENV{{A}}="$kernel"\n{ADDED}, ENV{{B}}="is-$env{{A}}"\n{ADDED}, ENV{{B}}=="is-{CARD}", {ACTS}'
    ),
    "the name of a device that there is not": rule(NATIVE, f'{ADDED}, ENV{{A}}="%k"\n{ADDED}, ENV{{A}}=="0000:99:00.0", {ACTS}'),
    "the path by its builtin, as a pattern": rule(GUEST, f'{PATH}{ADDED}, ENV{{ID_PATH}}=="pci-0000:3b:*", {ACTS}'),
    "the path by its builtin, in other signs": rule(GUEST, f'{PATH}{ADDED}, ENV{{ID_PATH_TAG}}=="pci-0000_3b_00_0", {ACTS}'),
    "the path by its builtin, of another device": rule(NATIVE, f'{PATH}{ADDED}, ENV{{ID_PATH}}=="pci-0000:99:00.0", {ACTS}'),
    "the path by its builtin, behind a bridge": Drawn(
        GUEST, {RULE: f'{PATH}{ADDED}, ENV{{ID_PATH}}=="pci-{CARD}", {ACTS}\n'}, then=behind_bridge
    ),
    "another driver's link": rule(NATIVE, f'{BOUND}, ATTR{{driver}}=="nvidia", {OVERRIDE}, {UNBIND}, {LOAD}'),
    "not another driver's link": rule(GUEST, f'{BOUND}, ATTR{{driver}}!="vfio-pci", {OVERRIDE}, {UNBIND}, {LOAD}'),
    "not a driver's link, before it is there": rule(NATIVE, f'{THIS}, ATTR{{driver}}!="nouveau", {ACTS}'),
    "no group's link": rule(NATIVE, f'{THIS}, TEST!="iommu_group", {ACTS}'),
    # modprobe.d
    "an alias of the native to nothing": said("alias nouveau off\n", NATIVE),
    "a number in another base, which it is not": said("options nouveau modeset=08\n", NEITHER),
    "a number in another base": said("options nouveau modeset=01\n", NATIVE),
    "a number with its sign": said("options nouveau modeset=+1\n", NATIVE),
    "quotes around an option": said(f'{SOFTDEP}options vfio-pci "ids=10de:1db1"\n', BOTH),
    "options that this kernel has not": said(f"{SOFTDEP}options vfio-pci ids=10de:1db1 disable_vga=1 disable_idle_d3=1\n", BOTH),
    "a comment sign of another file": said(";blacklist nouveau\n", NATIVE),
    "a file that is taken in": said("include /etc/modprobe.d/more\n", NATIVE, **{"/etc/modprobe.d/more": "blacklist nouveau\n"}),
    "an install line with a colon": said("install nouveau :\n", NEITHER),
    "an install line that does nothing": said("install nouveau true\n", NEITHER),
    "an install line that tells something": said("install nouveau echo no nouveau here\n", NEITHER),
    "an install line beside a softdep of another": said("install nouveau /bin/false\nsoftdep vfio-pci pre: nouveau\n", NEITHER),
    "an install line that writes the override": Drawn(
        GUEST, {CONF: f"install vfio-pci echo vfio-pci > {HERE}/driver_override; modprobe -i vfio-pci\n", LIST: "vfio-pci\n"}, open=(CARD,)
    ),
    "a softdep without its colon": said("softdep nouveau pre vfio-pci\n", NATIVE, **IDS),
    "a softdep the other way round": said("softdep vfio-pci pre: nouveau\n", NATIVE, **IDS),
    "softdeps with the word twice": said("softdep nouveau pre: e1000e pre: vfio-pci\n", BOTH, **IDS),
    "IDs with semicolons": said(f"{SOFTDEP}options vfio-pci ids=10de:1db1;8086:10d3\n", BOTH),
    "IDs that are an address": said(f"{SOFTDEP}options vfio-pci ids={CARD}\n", NATIVE),
    "options of the module in other words": said(f"{SOFTDEP}options vfio_pci vfio ids=10de:1db1\n", BOTH),
    "IDs with blanks around the sign": said(f"{SOFTDEP}options vfio-pci ids = 10de:1db1\n", NATIVE),
    # words
    "IDs of another module": Drawn(NATIVE, cmdline="pci-stub.ids=10de:1db1"),
    "IDs, and nobody who loads the module": Drawn(NATIVE, cmdline="vfio-pci.ids=10de:1db1 iommu=pt intel_iommu=on"),
    "a list whose program is masked": Drawn(
        NEITHER, {**IDS, **BLACKLIST, LIST: "vfio-pci\n"}, cmdline="systemd.mask=systemd-modules-load.service"
    ),
    "words about the framebuffer": Drawn(NATIVE, cmdline="video=efifb:off,vesafb:off video=vesa:off initcall_blacklist=sysfb_init"),
    "words about groups and power": Drawn(NATIVE, cmdline="pcie_acs_override=downstream,multifunction pcie_aspm=off pci=noaer"),
    "IDs in quotes, for one boot": said(SOFTDEP, BOTH, 'vfio-pci.ids="10de:1db1"'),
    "a list of none, and a word": Drawn(NATIVE, cmdline="modprobe.blacklist= nouveau"),
    "words in capitals": Drawn(NATIVE, cmdline="NOUVEAU.MODESET=0 MODPROBE.BLACKLIST=nouveau"),
    "a shell of one user": Drawn(NATIVE, cmdline="single", open=(CARD, SAME, NIC)),
    "words of systemd that show something": Drawn(NATIVE, cmdline="systemd.debug_shell systemd.show_status=1 quiet splash"),
    "a shell in place of init": Drawn(NEITHER, cmdline="init=/bin/bash", open=(CARD, SAME)),
    # units
    "a drop-in wants a unit": Drawn(
        GUEST, {**SSH, f"{OWN}/card.service": UNIT, f"{OWN}/ssh.service.d/x.conf": "[Unit]\nWants=card.service\n"}, SSH_LINK, open=(CARD,)
    ),
    "a target's drop-in requires a unit": Drawn(
        GUEST,
        {
            f"{OWN}/card.service": UNIT,
            MOVER: MOVES,
            f"{OWN}/multi-user.target.d/x.conf": "[Unit]\nRequires=card.service\n",
            f"{LIB}/multi-user.target": "[Unit]\n",
        },
        open=(CARD,),
    ),
    "a unit that another upholds": Drawn(
        GUEST, {**SSH, f"{OWN}/card.service": UNIT, f"{OWN}/ssh.service.d/x.conf": "[Unit]\nUpholds=card.service\n"}, SSH_LINK, open=(CARD,)
    ),
    "a unit of root, who lingers": Drawn(
        GUEST,
        {
            "/root/.config/systemd/user/card.service": UNIT,
            MOVER: MOVES,
            "/var/lib/systemd/linger/root": "",
            f"{LIB}/user@.service": "[Service]\nUser=%i\nExecStart=/usr/lib/systemd/systemd --user\n",
            "/usr/lib/systemd/systemd": "\x7fELF",
            "/etc/passwd": "root:x:0:0::/root:/bin/sh\n",
        },
        {"/root/.config/systemd/user/default.target.wants/card.service": "../card.service"},
        open=(CARD,),
    ),
    "a terminal that logs root in": Drawn(
        GUEST,
        {
            "/root/.bash_profile": MOVES,
            "/etc/passwd": "root:x:0:0::/root:/bin/bash\n",
            f"{LIB}/getty@.service": "[Service]\nExecStart=-/sbin/agetty -o '-p -- \\\\u' --noclear - $TERM\n",
            "/usr/sbin/agetty": "\x7fELF",
            f"{OWN}/getty@tty1.service.d/a.conf": "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --noclear %I $TERM\n",
        },
        {f"{OWN}/getty.target.wants/getty@tty1.service": f"{LIB}/getty@.service"},
        open=(CARD,),
    ),
    "a unit for the sleep": Drawn(
        NATIVE, {f"{OWN}/card.service": UNIT, MOVER: MOVES}, {f"{OWN}/suspend.target.wants/card.service": "../card.service"}
    ),
    "a script of run levels": Drawn(
        GUEST,
        {
            "/etc/init.d/card": (
                "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: card\n# Default-Start: 2 3 4 5\n"
                f"### END INIT INFO\ncase $1 in start) {MOVER};; esac\n"
            ),
            MOVER: MOVES,
        },
        {"/etc/rc2.d/S01card": "../init.d/card", "/etc/rc5.d/S01card": "../init.d/card"},
        open=(CARD,),
    ),
    "rc.local": Drawn(GUEST, {"/etc/rc.local": f"#!/bin/sh -e\n{MOVER}\nexit 0\n", MOVER: MOVES}, open=(CARD,)),
    "a command of the network's file": Drawn(
        GUEST,
        {
            f"{LIB}/networking.service": "[Service]\nExecStart=/sbin/ifup -a\n",
            "/usr/sbin/ifup": "\x7fELF",
            "/etc/network/interfaces": f"auto lo\niface lo inet loopback\n  pre-up {MOVER}\n",
            MOVER: MOVES,
        },
        {f"{MULTI_USER}/networking.service": f"{LIB}/networking.service"},
        open=(CARD,),
    ),
    "a script of the network's daemon": daemon("NetworkManager", **{"/etc/NetworkManager/dispatcher.d/50-card": f"#!/bin/sh\n{MOVER}\n"}),
    "a program of a supervisor": daemon("supervisord", **{"/etc/supervisor/conf.d/card.conf": f"[program:card]\ncommand={MOVER}\n"}),
    "a unit detaches the card by virsh": Drawn(
        GUEST,
        {
            f"{OWN}/card.service": "[Service]\nType=oneshot\nExecStart=/usr/bin/virsh nodedev-detach pci_0000_3b_00_0\n",
            "/usr/bin/virsh": "\x7fELF",
        },
        CARD_LINK,
        open=(CARD, SAME, NIC),
    ),
    "a unit calls driverctl": Drawn(
        GUEST,
        {
            f"{OWN}/card.service": f"[Service]\nType=oneshot\nExecStart=/usr/sbin/driverctl --nosave set-override {CARD} vfio-pci\n",
            "/usr/sbin/driverctl": "#!/bin/bash\n",
        },
        CARD_LINK,
        open=(CARD, SAME, NIC),
    ),
    "a unit binds the network's card by dpdk": Drawn(
        {**NATIVE, NIC: "vfio-pci"},
        {
            f"{OWN}/card.service": f"[Service]\nType=oneshot\nExecStart=/usr/bin/dpdk-devbind.py --bind=vfio-pci {NIC}\n",
            "/usr/bin/dpdk-devbind.py": "#!/usr/bin/python3\n",
        },
        CARD_LINK,
        open=(CARD, SAME, NIC),
    ),
    "a unit with its address in a file": Drawn(
        GUEST,
        {
            f"{OWN}/card.service": "[Service]\nType=oneshot\nEnvironmentFile=/etc/default/card\nExecStart=/usr/local/sbin/bind $DEV\n",
            "/etc/default/card": f"DEV={CARD}\n",
            "/usr/local/sbin/bind": (
                "#!/bin/sh\necho vfio-pci > /sys/bus/pci/devices/$1/driver_override\n"
                "echo $1 > /sys/bus/pci/devices/$1/driver/unbind\nmodprobe vfio-pci\n"
            ),
        },
        CARD_LINK,
        open=(CARD, SAME, NIC),
    ),
    "a unit that lists devices": Drawn(
        NATIVE, {f"{OWN}/card.service": "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'lspci -nnk > /var/log/pci.txt'\n"}, CARD_LINK
    ),
    "a unit that writes to the card's registers": Drawn(
        NATIVE,
        {
            f"{OWN}/card.service": "[Service]\nType=oneshot\nExecStart=/usr/bin/setpci -v -s 3b:00.0 COMMAND=0x02\n",
            "/usr/bin/setpci": "\x7fELF",
        },
        CARD_LINK,
        open=(CARD,),
    ),
    "a unit removes the native": Drawn(
        NEITHER, {f"{OWN}/card.service": "[Service]\nType=oneshot\nExecStart=/sbin/modprobe -r nouveau\n"}, CARD_LINK, open=(CARD, SAME)
    ),
    "a unit removes the native and loads the other": Drawn(
        BOTH,
        {
            f"{OWN}/card.service": (
                "[Service]\nType=oneshot\nExecStart=/sbin/rmmod nouveau\nExecStart=/sbin/modprobe vfio-pci ids=10de:1db1\n"
            )
        },
        CARD_LINK,
        open=(CARD, SAME),
    ),
    "a unit unbinds consoles": Drawn(
        NATIVE,
        {f"{OWN}/card.service": "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo 0 > /sys/class/vtconsole/vtcon1/bind'\n"},
        CARD_LINK,
    ),
    "a unit sets the power of all": Drawn(
        NATIVE,
        {
            f"{OWN}/card.service": (
                "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'for d in /sys/bus/pci/devices/*/power/control; do echo auto > $d; done'\n"
            )
        },
        CARD_LINK,
        open=(CARD, SAME, NIC),
    ),
    "a unit reads attributes": Drawn(
        NATIVE,
        {f"{OWN}/card.service": f"[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo 1 > {HERE}/power/wakeup; cat {HERE}/numa_node'\n"},
        CARD_LINK,
    ),
    "a unit makes functions of a card that has none": Drawn(
        NATIVE,
        {f"{OWN}/card.service": "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo 4 > /sys/class/net/eth0/device/sriov_numvfs'\n"},
        CARD_LINK,
        open=(NIC,),
    ),
    # driverctl, tmpfiles
    "what is saved is the word for none": saved(ONE_LOST, files={f"/etc/driverctl.d/pci-{CARD}": "none\n"}),
    "a file that is written unbinds the card": tmpfile(ONE_LOST, f"w {HERE}/driver/unbind - - - - {CARD}"),
    "power of all cards": tmpfile(NATIVE, "w /sys/bus/pci/devices/*/power/control - - - - auto"),
    # programs and units
    "a script unbinds consoles and the framebuffer": Drawn(
        NATIVE,
        {
            f"{OWN}/card.service": "[Service]\nType=oneshot\nExecStart=/usr/local/sbin/vt\n",
            "/usr/local/sbin/vt": (
                '#!/bin/bash\nfor vt in /sys/class/vtconsole/vtcon*; do\n  echo 0 > "$vt/bind"\ndone\n'
                "echo efi-framebuffer.0 > /sys/bus/platform/drivers/efi-framebuffer/unbind\n"
            ),
        },
        CARD_LINK,
    ),
    "a rule about modems": rule(
        NATIVE,
        'ACTION=="add", SUBSYSTEM=="usb", ATTR{idVendor}=="1199",'
        " RUN+=\"/bin/sh -c 'echo 1199 9079 > /sys/bus/usb-serial/drivers/qcserial/new_id'\"",
    ),
    "a controller above a device of USB": Drawn(
        ONE_LOST,
        {
            f"{OWN}/card.service": (
                f"[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo {CARD} > /sys/bus/usb/devices/usb1/../driver/unbind'\n"
            )
        },
        CARD_LINK,
        open=(CARD,),
    ),
    "a script unbinds consoles by name": Drawn(
        NATIVE,
        {
            f"{OWN}/card.service": "[Service]\nType=oneshot\nExecStart=/usr/local/sbin/vt\n",
            "/usr/local/sbin/vt": "#!/bin/bash\nfor vt in vtcon0 vtcon1; do\n  echo 0 > /sys/class/vtconsole/$vt/bind\ndone\n",
        },
        CARD_LINK,
    ),
    "commands after the end of rc.local": Drawn(
        NATIVE,
        {
            "/etc/rc.local": (
                f"#!/bin/sh -e\n#\n# By default this script does nothing.\n\nexit 0\nmodprobe vfio-pci\necho 1 > {HERE}/remove\n"
            )
        },
    ),
    "an end under a condition": Drawn(
        GUEST, {"/etc/rc.local": f"#!/bin/sh -e\nif [ -e /etc/never ]; then\n  exit 0\nfi\n{MOVER}\n", MOVER: MOVES}, open=(CARD,)
    ),
    "an end after a condition on the line before": Drawn(
        GUEST, {"/etc/rc.local": f"#!/bin/sh\n[ -e /etc/never ] &&\nexit 0\n{MOVER}\n", MOVER: MOVES}, open=(CARD,)
    ),
    "an end of a function": Drawn(GUEST, {"/etc/rc.local": f"#!/bin/sh\nfail()\n{{\nexit 0\n}}\n{MOVER}\n", MOVER: MOVES}, open=(CARD,)),
    "an end in a text": Drawn(GUEST, {"/etc/rc.local": f"#!/bin/sh\ncat <<END\nexit 0\nEND\n{MOVER}\n", MOVER: MOVES}, open=(CARD,)),
    "a command for the end": Drawn(GUEST, {"/etc/rc.local": f"#!/bin/sh\ntrap {MOVER} EXIT\nexit 0\n", MOVER: MOVES}, open=(CARD,)),
    "a function before the end": Drawn(
        GUEST, {"/etc/rc.local": f"#!/bin/sh\ngo() {{ {MOVER}; }}\ngo\nexit 0\n", MOVER: MOVES}, open=(CARD,)
    ),
    "an end in one of several cases": Drawn(
        GUEST, {"/etc/rc.local": f"#!/bin/sh\ncase $x in\na)\nexit 0\n;;\nesac\n{MOVER}\n", MOVER: MOVES}, open=(CARD,)
    ),
    "an end in a loop": Drawn(GUEST, {"/etc/rc.local": f"#!/bin/sh\nfor x in; do\nexit 0\ndone\n{MOVER}\n", MOVER: MOVES}, open=(CARD,)),
    "an end in a text of several lines": Drawn(
        GUEST, {"/etc/rc.local": f"#!/bin/sh\necho '\nexit 0\n'\n{MOVER}\n", MOVER: MOVES}, open=(CARD,)
    ),
    "a rule has systemd run a script": rule(
        GUEST, f'{THIS}, RUN+="/usr/bin/systemd-run --no-block {MOVER}"', "", (CARD,), **{MOVER: MOVES}
    ),
    "a rule runs a script that starts a unit": rule(
        GUEST,
        f'{THIS}, RUN+="/usr/local/sbin/go"',
        "",
        (CARD,),
        **{"/usr/local/sbin/go": "#!/bin/sh\nsystemctl --no-block start card\n", f"{OWN}/card.service": UNIT, MOVER: MOVES},
    ),
    "an install line starts a unit": Drawn(
        GUEST,
        {CONF: "install nouveau /bin/systemctl start card; /sbin/modprobe -i nouveau\n", f"{OWN}/card.service": UNIT, MOVER: MOVES},
        then=installed("/usr/bin/systemctl", "/bin/systemctl"),
        open=(CARD, SAME),
    ),
    "root, who is logged in, has a unit": Drawn(
        GUEST,
        {
            "/etc/systemd/user/card.service": UNIT,
            MOVER: MOVES,
            f"{OWN}/console.service": "[Service]\nExecStart=/sbin/agetty --autologin root tty1\n",
        },
        {"/etc/systemd/user/default.target.wants/card.service": "../card.service", f"{MULTI_USER}/console.service": "../console.service"},
        open=(CARD,),
    ),
    "a rule starts a unit that is masked": Drawn(
        NATIVE,
        {RULE: f'{THIS}, RUN+="/bin/systemctl start card.service"\n', f"{LIB}/card.service": UNIT, MOVER: MOVES},
        {f"{OWN}/card.service": "/dev/null"},
    ),
    "a unit of another user, who lingers": Drawn(
        NATIVE,
        {
            "/home/kvm/.config/systemd/user/card.service": UNIT,
            MOVER: MOVES,
            "/var/lib/systemd/linger/kvm": "",
            "/etc/passwd": "root:x:0:0::/root:/bin/sh\nkvm:x:1000:1000::/home/kvm:/bin/sh\n",
        },
        {"/home/kvm/.config/systemd/user/default.target.wants/card.service": "../card.service"},
    ),
    "a timer of root, who lingers": Drawn(
        GUEST,
        {
            "/etc/systemd/user/card.service": UNIT,
            "/etc/systemd/user/card.timer": "[Timer]\nOnStartupSec=5\n",
            MOVER: MOVES,
            "/var/lib/systemd/linger/root": "",
        },
        {"/etc/systemd/user/timers.target.wants/card.timer": "../card.timer"},
        open=(CARD,),
    ),
    "a rule stops a unit": rule(NATIVE, f'{THIS}, RUN+="/bin/systemctl stop card.service"', **{f"{OWN}/card.service": UNIT, MOVER: MOVES}),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", HOSTS)
def test_the_answers_are_true_or_open_where_they_may_be(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)
