# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose unit, table of cron or settings write to attributes that stand nowhere in one piece, or run what is not there yet.

Their truth comes from sh(1), cp(1), sed(1), crontab(5), tmpfiles.d(5), systemd.exec(5), sysfs.conf(5), podman-systemd.unit(5), and from
how Python, Perl and awk open files.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    CARD,
    CARD_LINK,
    CRON,
    CRON_LINK,
    GUEST,
    HERE,
    LIB,
    MOVER,
    MOVES,
    MULTI_USER,
    NATIVE,
    NEITHER,
    NIC,
    ONE_LOST,
    OWN,
    SAME,
    Drawn,
    Truth,
    compare,
    daemon,
)

if t.TYPE_CHECKING:
    from pathlib import Path


UNBIND = "/sys/bus/pci/drivers/nouveau/unbind"
ANY = (CARD, SAME, NIC)
PYTHON, PERL, BASH = "#!/usr/bin/python3", "#!/usr/bin/perl", "#!/bin/bash"
SOURCE = {"/etc/site/remove": "1\n"}
PRIVILEGED = "services:\n  gpu:\n    image: site\n    privileged: true\n"
SYSFSUTILS = {
    f"{LIB}/sysfsutils.service": "[Service]\nType=oneshot\nExecStart=/etc/init.d/sysfsutils start\n",
    "/etc/init.d/sysfsutils": "#!/bin/sh\n",
}
SYSFSUTILS_LINK = {f"{MULTI_USER}/sysfsutils.service": f"{LIB}/sysfsutils.service"}


def script(truth: Truth, text: str, first: str = "#!/bin/sh", **files: str) -> Drawn:
    own = {f"{OWN}/card.service": f"[Service]\nType=oneshot\nExecStart={MOVER}\n", MOVER: f"{first}\n{text}\n", **files}
    return Drawn(truth, own, CARD_LINK, open=() if truth is NATIVE else ANY)


def unit(truth: Truth, body: str, **files: str) -> Drawn:
    own = {f"{OWN}/card.service": f"[Service]\nType=oneshot\n{body}\n", MOVER: MOVES, **files}
    return Drawn(truth, own, CARD_LINK, open=() if truth is NATIVE else ANY)


def cron(truth: Truth, text: str, path: str = "/etc/crontab", **files: str) -> Drawn:
    return Drawn(truth, {**CRON, MOVER: MOVES, path: f"{text}\n", **files}, CRON_LINK, open=() if truth is NATIVE else (CARD,))


def tmpfile(truth: Truth, line: str) -> Drawn:
    return Drawn(truth, {"/etc/tmpfiles.d/card.conf": f"{line}\n"}, open=() if truth is NATIVE else (CARD,))


def settings(truth: Truth, path: str, line: str) -> Drawn:
    return Drawn(truth, {**SYSFSUTILS, path: f"{line}\n"}, SYSFSUTILS_LINK, open=() if truth is NATIVE else (CARD,))


NOUVEAU, INNER, LINES = "/sys/bus/pci/drivers/nouveau", "/usr/local/sbin/inner", "/etc/site/lines"
ECHO = f"echo {CARD} >"
WORK = {INNER: f"#!/bin/sh\necho $1 > {NOUVEAU}/$2\n"}
PART = {"/usr/local/sbin/part": f"{ECHO} {UNBIND}\n"}
MANAGER = {"/etc/systemd/system.conf": "[Manager]\nDefaultEnvironment=OP=unbind\n"}
TOLD = {LINES: f"{ECHO} {UNBIND}\n"}
HOSTS: dict[str, Drawn] = {
    "quotes within a name": script(ONE_LOST, f"{ECHO} {NOUVEAU}/un''bind"),
    "quotes around a part of a name": script(ONE_LOST, f'{ECHO} {NOUVEAU}/"un"bind'),
    "a stroke within a name": script(ONE_LOST, f"{ECHO} {NOUVEAU}/un\\bind"),
    "a sign by its number": script(ONE_LOST, f"{ECHO} $'{NOUVEAU}/\\x75nbind'", BASH),
    "two names in braces": script(ONE_LOST, f"echo {CARD} | tee {NOUVEAU}/{{un,}}bind", BASH),
    "a name of which a part is replaced": script(ONE_LOST, f"f={NOUVEAU}/XXbind\n{ECHO} ${{f/XX/un}}", BASH),
    "a name whose start is cut off": script(ONE_LOST, f"f=xxunbind\n{ECHO} {NOUVEAU}/${{f:2}}", BASH),
    "a name in small letters": script(ONE_LOST, f"f=UNBIND\n{ECHO} {NOUVEAU}/${{f,,}}", BASH),
    "a name of a list with keys": script(ONE_LOST, f"declare -A f=([x]=unbind)\n{ECHO} {NOUVEAU}/${{f[x]}}", BASH),
    "a name that printf sets": script(ONE_LOST, f"printf -v f %s unbind\n{ECHO} {NOUVEAU}/$f", BASH),
    "a path by dirname": script(ONE_LOST, f"x={NOUVEAU}/new_id\n{ECHO} $(dirname $x)/unbind"),
    "a path by dirname in find": script(
        ONE_LOST, f"find {NOUVEAU}/ -name '0000:3b*' -exec sh -c 'basename $1 > $(dirname $1)/unbind' _ {{}} \\;"
    ),
    "a folder that cd looks for elsewhere": script(ONE_LOST, f"CDPATH=/sys/bus/pci/drivers\ncd nouveau\n{ECHO} unbind"),
    "a path in capitals": script(ONE_LOST, f"p=$(echo /SYS/BUS/PCI/DRIVERS/NOUVEAU/UNBIND | tr A-Z a-z)\n{ECHO} $p"),
    "arguments of another script": script(ONE_LOST, f"{INNER} {CARD} unbind", **WORK),
    "arguments of a script that a shell reads": script(ONE_LOST, f"sh {INNER} {CARD} unbind", **WORK),
    "arguments of a script that bash sources": script(ONE_LOST, f"source {INNER} {CARD} unbind", BASH, **WORK),
    "arguments of a loop": script(ONE_LOST, f"for x in unbind; do {INNER} {CARD} $x; done", **WORK),
    "arguments that xargs reads": script(ONE_LOST, f"xargs -n2 {INNER} < {LINES}", **{**WORK, LINES: f"{CARD} unbind\n"}),
    "arguments behind those of sh -c": script(ONE_LOST, f"sh -c 'echo $1 > {NOUVEAU}/$2' x {CARD} unbind"),
    "a file that bash -c sources": script(ONE_LOST, "bash -c '. /usr/local/sbin/part'", **PART),
    "a library beside its own file": script(ONE_LOST, 'S=$(readlink -f "$0")\nH=$(dirname "$S")\n. $H/part', **PART),
    "lines that a loop evaluates": script(ONE_LOST, f'while read l; do\n  eval "$l"\ndone < {LINES}', **TOLD),
    "lines that a loop gives to a shell": script(ONE_LOST, f'cat {LINES} | while read -r l; do\n  sh -c "$l"\ndone', **TOLD),
    "lines of a list": script(ONE_LOST, f'mapfile -t x < {LINES}\nfor l in "${{x[@]}}"; do eval "$l"; done', BASH, **TOLD),
    # paths whose folders are words of their own
    "a list that is joined": script(ONE_LOST, f'IFS=/; a=(sys bus pci drivers nouveau unbind)\n{ECHO} "/${{a[*]}}"', BASH),
    "a list of folders that is joined": script(
        ONE_LOST, f'IFS=/; a=(sys bus pci drivers nouveau); f=un; {ECHO} "/${{a[*]}}/${{f}}bind"', BASH
    ),
    "a list that is joined by a letter": script(ONE_LOST, f'cd {NOUVEAU}; IFS=n; a=(u bi d)\n{ECHO} "${{a[*]}}"', BASH),
    "a list that is joined in a command": script(
        ONE_LOST, f'a=(sys bus pci drivers nouveau unbind)\np=$(IFS=/; echo "/${{a[*]}}")\n{ECHO} $p', BASH
    ),
    "arguments that are joined": script(ONE_LOST, f'set -- sys bus pci drivers nouveau unbind\nIFS=/\n{ECHO} "/$*"'),
    "arguments of a function that are joined": script(
        ONE_LOST, f'join() {{ local IFS=/; p="/$*"; }}\njoin sys bus pci drivers nouveau unbind\n{ECHO} $p', BASH
    ),
    "arguments of a function that prints them joined": script(
        ONE_LOST, f'join() {{ IFS=/; echo "/$*"; }}\n{ECHO} $(join sys bus pci drivers nouveau unbind)'
    ),
    "words that printf joins": script(ONE_LOST, f"p=$(printf '/%s' sys bus pci drivers nouveau unbind)\n{ECHO} $p"),
    "words that tr joins": script(ONE_LOST, f"p=/$(echo sys bus pci drivers nouveau unbind | tr ' ' /)\n{ECHO} $p"),
    "words that a loop joins": script(ONE_LOST, f"for d in sys bus pci drivers nouveau unbind; do p=$p/$d; done\n{ECHO} $p"),
    "words that a loop adds": script(ONE_LOST, f"for d in sys bus pci drivers nouveau unbind; do p+=/$d; done\n{ECHO} $p", BASH),
    "folders that are entered one by one": script(ONE_LOST, f"cd /sys; cd bus; cd pci; cd drivers; cd nouveau; {ECHO} unbind"),
    "a path in a variable after another folder": script(ONE_LOST, f"cd /sys/class/graphics\nF={UNBIND}\n{ECHO} $F"),
    "a log in a variable after a folder of sysfs": script(NATIVE, f"cd {NOUVEAU}\nF=/var/log/site\nls > $F"),
    "folders that a loop enters": script(ONE_LOST, f"cd /; for d in sys bus pci drivers nouveau; do cd $d; done; n=unbind; {ECHO} $n"),
    "a list that is joined for a log": script(NATIVE, 'IFS=/; a=(var log site)\necho x > "/${a[*]}/log"', BASH),
    "arguments that are joined for a log": script(NATIVE, 'set -- var log site\nIFS=-\ndate > "/var/log/$*"'),
    "words that a loop joins for a log": script(NATIVE, "for d in var log site; do p=$p/$d; done\ndate > $p"),
    "a command behind a stroke": script(NEITHER, "\\rmmod nouveau"),
    "quotes within a command": script(NEITHER, "rm''mod nouveau"),
    "quotes around a part of a command": script(NEITHER, 'mod"prob"e -r nouveau'),
    "a name of another driver's folder that is known": script(NATIVE, f"f=module\nls {NOUVEAU}/$f"),
    "a variable of a shell that a unit runs": unit(ONE_LOST, f"ExecStart=/bin/sh -c 'D=unbind; {ECHO} {NOUVEAU}/$D'"),
    "a variable that systemd leaves to the shell": unit(ONE_LOST, f"ExecStart=:/bin/sh -c 'D=unbind; {ECHO} {NOUVEAU}/$D'"),
    "a variable that is a word": unit(ONE_LOST, f"Environment=CMD={INNER}\nExecStart=/usr/bin/env $CMD {CARD} unbind", **WORK),
    "a variable of the manager": unit(ONE_LOST, f"ExecStart=/bin/sh -c '{ECHO} {NOUVEAU}/$OP'", **MANAGER),
    "a script in a unit": unit(ONE_LOST, f"StandardInputText={ECHO} {UNBIND}\nExecStart=/bin/sh"),
    "a script in a unit, written otherwise": unit(NEITHER, "StandardInputData=cm1tb2Qgbm91dmVhdQo=\nExecStart=/bin/sh"),
    "a script that a unit opens": unit(ONE_LOST, f"StandardInput=file:{LINES}\nExecStart=/bin/sh", **TOLD),
    "text for another program": unit(NATIVE, "StandardInputText=rmmod nouveau\nExecStart=/bin/sleep 1"),
    "an attribute that a unit opens": unit(ONE_LOST, f"OpenFile={UNBIND}:u\nExecStart=/bin/sh -c 'echo {CARD} >&3'"),
    "an attribute that a unit opens to read": unit(NATIVE, f"OpenFile={UNBIND}:u:read-only\nExecStart=/bin/true"),
    "a program in another one's place": unit(GUEST, f"BindPaths={MOVER}:/usr/bin/x\nExecStart=/usr/bin/x"),
    # files that are copied into a folder of sysfs
    "all files of a folder": script(ONE_LOST, f"cp /etc/site/* {HERE}/", **SOURCE),
    "a file, the folder first": script(ONE_LOST, f"cp -t {HERE} /etc/site/remove", **SOURCE),
    "a file by another program": script(ONE_LOST, f"rsync --inplace /etc/site/remove {HERE}/", **SOURCE),
    "a file into a driver's folder": script(ONE_LOST, f"echo {CARD} > /tmp/unbind; cp /tmp/unbind /sys/bus/pci/drivers/nouveau"),
    "a file out of a device's folder": script(NATIVE, f"cp {HERE}/vendor /run/site/vendor"),
    "a link to an attribute": script(ONE_LOST, f"ln -s {HERE}/driver/unbind /tmp/u\necho {CARD} > /tmp/u"),
    "a name in quotes": script(ONE_LOST, f'D={HERE}\necho 1 > "$D"/"remove"'),
    "an attribute that is read": script(NATIVE, f'if read -r o < {HERE}/driver_override; then echo "$o"; fi'),
    "a path that a command prints": script(ONE_LOST, f"echo 1 > $(printf '%s/%s' {HERE} remove)"),
    "a log whose path a command prints": script(NATIVE, "echo 1 > $(printf '/var/log/%s.log' \"$(date +%F)\")"),
    "arguments that are set again": script(ONE_LOST, f"set -- {HERE} remove\necho 1 > $1/$2"),
    # what udev and kmod read again
    "a copy into the rules": script(ONE_LOST, "cp /opt/x.rules /etc/udev/rules.d && udevadm control --reload"),
    "a copy in quotes": script(ONE_LOST, 'cp "/opt/x.rules" "/etc/udev/rules.d/x.rules"; true'),
    "a copy without its errors": script(ONE_LOST, "cp /opt/x /run/modprobe.d/x.conf 2>/dev/null || true"),
    "lines that are moved away": script(ONE_LOST, "mv /etc/modprobe.d/vfio.conf /root/"),
    "a copy of the rules": script(NATIVE, "cp -a /etc/udev/rules.d/ /var/backups/"),
    "copies of lines": script(NATIVE, "cp /etc/modprobe.d/*.conf /var/backups/ && echo saved"),
    # other languages
    "the kernel's own call": script(NEITHER, "import ctypes\nctypes.CDLL(None).delete_module(b'nouveau', 0)", PYTHON),
    "a path of PHP's": script(ONE_LOST, f"<?php file_put_contents('{HERE}/remove', '1');", "#!/usr/bin/php"),
    "power of all functions": script(
        NATIVE, "import glob\nfor p in glob.glob('/sys/bus/pci/devices/*/power/control'):\n    open(p, 'w').write('auto')", PYTHON
    ),
    "files that a pattern finds": script(ONE_LOST, f"import glob\nfor p in glob.glob('{HERE}/re*e'):\n    open(p, 'w').write('1')", PYTHON),
    "a path that awk puts together": script(
        ONE_LOST, f'awk \'BEGIN {{ f = "/sys/bus/pci/drivers/nouveau/" "unbind"; print "{CARD}" > f }}\''
    ),
    "a path of Python's parts": script(
        ONE_LOST, f"import os\nopen(os.path.join('/sys/bus/pci/drivers', 'nouveau', 'unbind'), 'w').write('{CARD}')", PYTHON
    ),
    "a path of Python's objects": script(
        ONE_LOST, f"from pathlib import Path\n(Path('/sys/bus/pci/drivers') / 'nouveau' / 'unbind').write_text('{CARD}')", PYTHON
    ),
    "a name that a function gets": script(
        ONE_LOST,
        f"d = '{HERE}'\ndef put(name, v):\n    with open(d + '/' + name, 'w') as f:\n        f.write(v)\nput('remove', '1')",
        PYTHON,
    ),
    "a path that is kept first": script(ONE_LOST, f"p = '{HERE}' + '/remove'\nwith open(p, 'w') as f:\n    f.write('1')", PYTHON),
    "a name of Perl's": script(ONE_LOST, f"my $n='unbind';\nopen(my $f,'>',\"/sys/bus/pci/drivers/nouveau/$n\"); print $f '{CARD}';", PERL),
    "Python's objects in a shell": script(
        ONE_LOST,
        f"python3 - <<EOF\nfrom pathlib import Path\nPath('/sys/bus/pci/drivers/nouveau').joinpath('unbind').write_text('{CARD}')\nEOF",
    ),
    "a report of Python's": script(
        NATIVE, "import os\nids = os.listdir('/sys/bus/pci/devices')\nopen('/var/lib/site/cards.txt', 'w').write(str(ids))", PYTHON
    ),
    "a look at attributes": script(
        NATIVE, "import glob\nfor p in glob.glob('/sys/bus/pci/devices/*/driver_override'):\n    print(open(p).read())", PYTHON
    ),
    # paths that stand in files
    "paths of a table": script(
        ONE_LOST, "while read p v; do echo $v > $p; done < /etc/site/table", **{"/etc/site/table": f"{UNBIND} {CARD}\n"}
    ),
    "a path of settings": script(
        ONE_LOST, f"P=$(grep ^path /etc/site.conf | cut -d= -f2)\necho {CARD} > $P", **{"/etc/site.conf": f"path={UNBIND}\n"}
    ),
    "paths of Python's file": script(
        ONE_LOST,
        "import json\nfor p, v in json.load(open('/etc/site.json')).items():\n    open(p, 'w').write(v)",
        PYTHON,
        **{"/etc/site.json": f'{{"{UNBIND}": "{CARD}"}}\n'},
    ),
    "paths that are only shown": script(NATIVE, "cat /etc/site/table", **{"/etc/site/table": f"{UNBIND} {CARD}\n"}),
    # what is not there yet
    "a program of another run": unit(GUEST, "ExecStart=/run/site/start"),
    "a script that was fetched": script(GUEST, "curl -so /tmp/y http://site/y\nsh /tmp/y"),
    "a script that was fetched to any place": script(GUEST, "f=$(mktemp)\ncurl -so $f http://site/y\nsh $f"),
    "a script of a shared file system": unit(
        GUEST, "ExecStart=/srv/site/start", **{"/etc/fstab": "nfs:/site /srv/site nfs defaults 0 0\n"}
    ),
    "a script of a repository": script(GUEST, "cd /opt/site && git pull -q && ./start"),
    "a command that is read": script(GUEST, "while read command; do $command; done < /run/site/commands"),
    "a script of its own text": script(ONE_LOST, f"cat > /tmp/x <<'EOF'\necho {CARD} > {UNBIND}\nEOF\nsh /tmp/x"),
    # containers
    "containers of a file": unit(
        GUEST, "WorkingDirectory=/opt/site\nExecStart=/usr/bin/docker compose up", **{"/opt/site/compose.yaml": PRIVILEGED}
    ),
    "containers of a named file": unit(GUEST, "ExecStart=/usr/bin/docker-compose -f /opt/site/a.yml up", **{"/opt/site/a.yml": PRIVILEGED}),
    "containers without rights": unit(
        NATIVE, "ExecStart=/usr/bin/docker-compose -f /opt/site/a.yml up", **{"/opt/site/a.yml": "services:\n  web:\n    image: site\n"}
    ),
    "a container of systemd's": unit(GUEST, "ExecStart=/usr/bin/systemd-nspawn --bind=/sys --capability=all -D /srv/root /start"),
    "a container of Podman's": Drawn(
        GUEST, {"/etc/containers/systemd/gpu.container": "[Container]\nImage=site\nPodmanArgs=--privileged\n"}, open=ANY
    ),
    "a container of Podman's without rights": Drawn(NATIVE, {"/etc/containers/systemd/web.container": "[Container]\nImage=site\n"}),
    # units
    "files of variables by a pattern": unit(
        GUEST, "EnvironmentFile=/etc/default/x*\nExecStart=/bin/sh -c $CMD", **{"/etc/default/xy": f'CMD="{MOVER}"\n'}
    ),
    "a path of programs": unit(GUEST, "ExecSearchPath=/opt/site\nExecStart=start", **{"/opt/site/start": MOVES}),
    "attributes that cannot be written": unit(NATIVE, f"ReadOnlyPaths=/sys\nProtectKernelModules=yes\nExecStart={MOVER}"),
    "attributes and modules that are out of reach": unit(
        NATIVE, f"InaccessiblePaths=/sys\nCapabilityBoundingSet=~CAP_SYS_MODULE\nExecStart={MOVER}"
    ),
    "attributes that cannot be written, but modules": unit(GUEST, f"ReadOnlyPaths=/sys\nExecStart={MOVER}"),
    "a command of a mount": Drawn(
        NATIVE,
        {f"{OWN}/data.mount": f"[Mount]\nWhat=/dev/sdb1\nWhere=/data\nExecStartPre={MOVER}\n", MOVER: MOVES},
        {f"{MULTI_USER}/data.mount": "../data.mount"},
    ),
    # cron
    "a table's own path": cron(GUEST, "PATH=/opt/site:/bin\n@reboot root start", **{"/opt/site/start": MOVES}),
    "a table's own variable": cron(GUEST, "D=/opt/site\n@reboot root $D/start", **{"/opt/site/start": MOVES}),
    "a variable that the command sets": cron(
        ONE_LOST, f"@reboot root . /etc/site.conf; echo {CARD} > $WHERE", **{"/etc/site.conf": f"WHERE={UNBIND}\n"}
    ),
    "the home": cron(GUEST, "@reboot root ~/start", **{"/root/start": MOVES}),
    "the home as a folder": cron(GUEST, "@reboot ./start", "/var/spool/cron/crontabs/root", **{"/root/start": MOVES}),
    "every hour": cron(GUEST, f"@hourly root {MOVER}"),
    "input of a command": cron(GUEST, f"@reboot root /bin/sh%{MOVER}"),
    "a sign of the date": cron(NATIVE, "@reboot root date +\\%F > /var/log/boot"),
    # tmpfiles.d and sysfsutils
    "a line without a value": tmpfile(NATIVE, f"w {HERE}/remove 1"),
    "a line with a value in another column": tmpfile(NATIVE, f"w {HERE}/remove - - - 1"),
    "a list of modules that is made": Drawn(
        {CARD: "vfio-pci", SAME: "vfio-pci"},
        {
            "/etc/tmpfiles.d/a.conf": "f /run/modules-load.d/a.conf - - - - vfio-pci\n",
            "/etc/modprobe.d/a.conf": "blacklist nouveau\noptions vfio-pci ids=10de:1db1\n",
        },
        open=ANY,
    ),
    "settings of sysfsutils": settings(ONE_LOST, "/etc/sysfs.conf", f"bus/pci/devices/{CARD}/remove = 1"),
    "settings of sysfsutils in a folder": settings(ONE_LOST, "/etc/sysfs.d/a.conf", f"bus/pci/devices/{CARD}/driver/unbind = {CARD}"),
    "settings of sysfsutils about power": settings(NATIVE, "/etc/sysfs.conf", f"bus/pci/devices/{CARD}/power/control = auto"),
    "settings of sysfsutils that are put aside": settings(NATIVE, "/etc/sysfs.conf", f"#bus/pci/devices/{CARD}/remove = 1"),
    # daemons and libraries
    "a program of the log": daemon("rsyslog", **{"/etc/rsyslog.d/a.conf": f'action(type="omprog" binary="{MOVER}")\n'}),
    "a map that is a program": daemon("autofs", **{"/etc/auto.master": "/x /etc/auto.x\n", "/etc/auto.x": f"#!/bin/sh\n{MOVER}\n"}),
    "a program for disks": daemon("smartmontools", **{"/etc/smartd.conf": f"DEVICESCAN -m root -M exec {MOVER}\n"}),
    "a library of every program": Drawn(NATIVE, {"/etc/ld.so.preload": "/opt/site.so\n", "/opt/site.so": "\x7fELF"}, open=ANY),
    "a library of every program that is not there": Drawn(NATIVE, {"/etc/ld.so.preload": "/opt/site.so\n"}),
    # links that pull in
    "a link of a package that is masked": Drawn(
        NATIVE,
        {f"{LIB}/card.service": f"[Service]\nType=oneshot\nExecStart={MOVER}\n", MOVER: MOVES},
        {f"{LIB}/multi-user.target.wants/card.service": "../card.service", f"{MULTI_USER}/card.service": "/dev/null"},
    ),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", HOSTS)
def test_the_answers_are_true_or_open_where_they_may_be(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)
