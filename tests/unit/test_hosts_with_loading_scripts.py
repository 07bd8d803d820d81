# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose unit has kmod load or remove a module, however it is written, and those whose unit only speaks of it.

Their truth comes from sh(1), bash(1), modprobe(8), insmod(8), systemctl(1), and Python's, Perl's and awk's own manuals.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    ADDED,
    CARD,
    CARD_LINK,
    CONF,
    IDS,
    MOVER,
    NATIVE,
    NEITHER,
    NIC,
    OWN,
    RULE,
    SAME,
    Drawn,
    Truth,
    compare,
)

if t.TYPE_CHECKING:
    from pathlib import Path


OFF = {CONF: "blacklist nouveau\n"}
"""Nobody loads nouveau, so that both cards go to whom the script loads."""
GUESTS: Truth = {CARD: "vfio-pci", SAME: "vfio-pci"}
PYTHON, PERL, BASH = "#!/usr/bin/python3", "#!/usr/bin/perl", "#!/bin/bash"
LOADS = "modprobe vfio-pci\n"
MODULES = {"/etc/site/modules": "vfio-pci\n"}
SCRIPT = {"/opt/site/load": LOADS}
PROGRAM = {"/opt/site/load": f"#!/bin/sh\n{LOADS}"}
MANAGER = "org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager"
UNIT = {f"{OWN}/loader.service": "[Service]\nExecStart=/sbin/modprobe vfio-pci\n[Install]\nWantedBy=multi-user.target\n"}


def script(truth: Truth, text: str, first: str = "#!/bin/sh", files: t.Mapping[str, str] | None = None) -> Drawn:
    own = {f"{OWN}/card.service": f"[Service]\nType=oneshot\nExecStart={MOVER}\n", MOVER: f"{first}\n{text}\n"}
    # Where it is not written which modules these are, any device's may be among them.
    return Drawn(truth, {**own, **(files or {})}, CARD_LINK, open=(CARD, SAME, NIC))


LOADING: dict[str, tuple[str, str, t.Mapping[str, str]]] = {
    # options
    "quietly": ("modprobe -q vfio-pci", "", {}),
    "after the options": ("modprobe -- vfio-pci", "", {}),
    "with another configuration": ("modprobe -C /etc/other.d vfio-pci", "", {"/etc/other.d/a.conf": "options vfio-pci ids=10de:1db1\n"}),
    "several": ("modprobe -a loop vfio-pci", "", {}),
    "several in braces": ("modprobe -a {loop,vfio-pci}", BASH, {}),
    "for a kernel by name": ("modprobe -S $(uname -r) vfio-pci", "", {}),
    "past its install line": ("modprobe -i vfio-pci", "", {}),
    # the program, the module or both come from elsewhere
    "a program of a variable": ("M=/sbin/modprobe\n$M vfio-pci", "", {}),
    "a program with options of a variable": ('M="modprobe -q"\n$M vfio-pci', "", {}),
    "a program that is found": ('"$(which modprobe)" vfio-pci', "", {}),
    "a program that is found and kept": ('m=$(command -v modprobe)\n"$m" vfio-pci', "", {}),
    "a program by default": ("${MODPROBE:-modprobe} vfio-pci", "", {}),
    "modules of a variable": ('MODS="loop vfio-pci"\nfor m in $MODS; do modprobe $m; done', "", {}),
    "modules of an array": ('mods=(loop vfio-pci)\nmodprobe -a "${mods[@]}"', BASH, {}),
    "modules of a file": ("modprobe -a $(cat /etc/site/modules)", "", MODULES),
    "modules of a file, in older words": ("modprobe -a `cat /etc/site/modules`", "", MODULES),
    "modules that are given": ("xargs -n1 modprobe < /etc/site/modules", "", MODULES),
    "modules that are given with an end of options": ("grep -v '#' /etc/site/modules | xargs -r -- modprobe", "", MODULES),
    "modules that are read": ("while read m args; do modprobe $m $args; done < /etc/site/modules", "", MODULES),
    "modules of settings": (". /etc/default/site\nfor m in $MODS; do modprobe $m; done", "", {"/etc/default/site": "MODS='vfio-pci'\n"}),
    "files that are found": ("find /lib/modules/$(uname -r) -name 'vfio-pci.ko*' | xargs insmod", "", {}),
    "files that are found, one by one": ("find /lib/modules -name 'vfio-pci.ko*' -exec insmod {} ids=10de:1db1 \\;", "", {}),
    "a file": ("K=/lib/modules/`uname -r`/kernel\ninsmod $K/drivers/vfio/pci/vfio-pci.ko ids=10de:1db1", "", {}),
    # other languages
    "a list of Python's": ("import subprocess\nsubprocess.run(['modprobe', 'vfio-pci'])", PYTHON, {}),
    "a list over lines": ("import subprocess\nsubprocess.run([\n  'modprobe',\n  'vfio-pci',\n])", PYTHON, {}),
    "a list with a variable": ("import subprocess\nfor m in ['vfio-pci']:\n    subprocess.run(['modprobe', m])", PYTHON, {}),
    "a list in a list": ("import subprocess\nmods = ['vfio-pci']\nsubprocess.run(['/sbin/modprobe', '-a', *mods])", PYTHON, {}),
    "a text with a variable": ("import os\nfor m in ('loop', 'vfio-pci'):\n    os.system(f'modprobe {m}')", PYTHON, {}),
    "a text that is put together": ("import os\nos.system('modprobe ' + 'vfio-pci')", PYTHON, {}),
    "a text that is filled in": ("import os\nm = 'vfio-pci'\nos.system('modprobe %s' % m)", PYTHON, {}),
    "a text that is split": ("import subprocess\nsubprocess.run('modprobe vfio-pci'.split())", PYTHON, {}),
    "a program of a variable of Python's": ("import subprocess\nC = '/sbin/modprobe'\nsubprocess.call([C, 'vfio-pci'])", PYTHON, {}),
    "a library of kmod's": ("import kmod\nkmod.Kmod().modprobe('vfio-pci')", PYTHON, {}),
    "a list of Perl's": ("system('modprobe', 'vfio-pci');", PERL, {}),
    "words of Perl's": ("system(qw(modprobe vfio-pci));", PERL, {}),
    "a command of Perl's": ("`modprobe vfio-pci`;", PERL, {}),
    "a command of awk's": ("awk 'BEGIN { system(\"modprobe vfio-pci\") }'", "", {}),
    "commands that awk writes": ("awk '{ print \"modprobe \" $1 }' /etc/site/modules | sh", "", MODULES),
    "a text of Python's in a shell": ("python3 - <<EOF\nimport os\nos.system('modprobe ' + 'vfio-pci')\nEOF", "", {}),
    # scripts that others read
    "a script of a variable": ("S=/opt/site/load\nsh $S", "", SCRIPT),
    "a script from its input": ("sh < /opt/site/load", "", SCRIPT),
    "a script from its input, with words": ("bash -s -- a < /opt/site/load", "", SCRIPT),
    "a script that is written out": ("cat /opt/site/load | bash -s", "", SCRIPT),
    "a script of a command": ("bash <(cat /opt/site/load)", BASH, SCRIPT),
    "a script of a command that is sourced": ("source <(sed s/a/a/ /opt/site/load)", BASH, SCRIPT),
    "a script as a word": ('sh -c "$(cat /opt/site/load)"', "", SCRIPT),
    "a script that is evaluated": ('eval "$(cat /opt/site/load)"', "", SCRIPT),
    "a script of a list": ("import subprocess\nsubprocess.run(['/bin/sh', '/opt/site/load'])", PYTHON, SCRIPT),
    "a program that Python reads": (
        "exec(open('/opt/site/x').read())",
        PYTHON,
        {"/opt/site/x": "import os\nos.system('modprobe vfio-pci')\n"},
    ),
    "a program that Perl reads": ("do '/opt/site/x.pl';", PERL, {"/opt/site/x.pl": "system('modprobe vfio-pci');\n"}),
    "a program in another root": ("chroot /srv/root /bin/load", "", {"/srv/root/bin/load": f"#!/bin/sh\n{LOADS}"}),
    "all programs of a folder": ('for f in /opt/site/*; do "$f" start; done', "", PROGRAM),
    # units
    "a unit": ("systemctl start loader.service", "", UNIT),
    "a unit of a variable": ("S=loader\nsystemctl start $S", "", UNIT),
    "a unit of a list": ("for s in loader; do systemctl restart $s.service; done", "", UNIT),
    "a unit that is not known": ("systemctl start $(cat /etc/site/units)", "", UNIT),
    "a unit of Python's list": ("import subprocess\nsubprocess.run(['systemctl', 'start', 'loader.service'])", PYTHON, UNIT),
    "a unit over the bus": (f"busctl call {MANAGER} StartUnit ss loader.service replace", "", UNIT),
    "a unit over the bus, by another program": (
        f"dbus-send --system --dest={MANAGER}.StartUnit string:loader.service string:replace",
        "",
        UNIT,
    ),
}
REMOVING = {
    "by name": ("rmmod nouveau", ""),
    "by an option": ("modprobe -qr nouveau", ""),
    "by a variable": ("D=nouveau\nrmmod $D", ""),
    "by what is loaded": ("rmmod $(lsmod | awk '/^nouv/ { print $1 }')", ""),
    "by what is given": ("echo nouveau | xargs rmmod", ""),
    "by a library": ("import kmod\nkmod.Kmod().rmmod('nouveau')", PYTHON),
}
# None of these loads anything.
SPEAKING = {
    "a question": "modprobe -n vfio-pci",
    "another question": "modprobe --show-depends vfio-pci",
    "what is blacklisted": "modprobe -b nouveau",
    "what is blacklisted, in long": "modprobe -q --use-blacklist nouveau",
    "what is printed": "echo modprobe vfio-pci",
    "what is printed in quotes": "echo 'please run: modprobe vfio-pci' >&2",
    "what is printed by printf": "printf 'modprobe vfio-pci\\n'",
    "what is logged": "logger -t site 'modprobe vfio-pci'",
    "what is kept in a log": "echo 'modprobe vfio-pci' >> /var/log/site.log",
    "what is told to the journal": "echo 'modprobe vfio-pci' | systemd-cat",
    "what is sent": "echo 'it was done by modprobe vfio-pci' | mail -s card root",
    "what is searched for": "grep -q 'modprobe vfio-pci' /etc/site",
    "how it is used": "usage() {\ncat <<EOF\nusage: modprobe vfio-pci\nEOF\n}\ntrue",
    "how it is used, in a branch": "case \"$1\" in\n-h) echo 'usage: modprobe vfio-pci'; exit 0;;\nesac\ntrue",
    "a message of the day": "cat <<EOF > /etc/motd\nAfter a failure: modprobe vfio-pci\nEOF",
    "whether it is there": "command -v modprobe >/dev/null || exit 1",
    "whether it can be run": "[ -x /sbin/modprobe ] || exit 1",
}
# What is printed is read again.
READ_AGAIN = {
    "by a shell": "echo modprobe vfio-pci | sh",
    "by eval": "say() { echo modprobe vfio-pci; }\neval $(say)",
    "from a file": "{\n  echo modprobe vfio-pci\n} > /tmp/x\nsh /tmp/x",
    "from a file of a function": "say() {\n  echo modprobe vfio-pci\n}\nsay > /opt/y\nsh /opt/y",
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", LOADING)
def test_a_module_is_loaded_however_that_is_written(tmp_path: Path, name: str) -> None:
    text, first, files = LOADING[name]
    drawn = script(GUESTS, text, first or "#!/bin/sh", {**OFF, **IDS, **files})
    compare(drawn.tree(tmp_path), drawn.truth, drawn.open)


@pytest.mark.parametrize("name", REMOVING)
def test_a_module_is_removed_however_that_is_written(tmp_path: Path, name: str) -> None:
    text, first = REMOVING[name]
    drawn = script(NEITHER, text, first or "#!/bin/sh")
    compare(drawn.tree(tmp_path), {CARD: None, SAME: None}, drawn.open)


@pytest.mark.parametrize("name", SPEAKING)
def test_what_is_only_spoken_of_leaves_the_answer_certain(tmp_path: Path, name: str) -> None:
    drawn = script(NEITHER, SPEAKING[name], files={**OFF, **IDS})
    compare(drawn.tree(tmp_path), NEITHER, ())


@pytest.mark.parametrize("name", READ_AGAIN)
def test_what_is_printed_and_read_again_counts(tmp_path: Path, name: str) -> None:
    drawn = script(GUESTS, READ_AGAIN[name], files={**OFF, **IDS})
    compare(drawn.tree(tmp_path), drawn.truth, drawn.open)


@pytest.mark.parametrize(
    "rest",
    ['ATTR{[drivers/pci:vfio-pci]new_id}="10de 1db1"', 'ATTR{[drivers/pci:vfio-pci]new_id}+="10de 1db1", GOTO="end"'],
)
def test_an_id_that_a_rule_adds_to_a_driver_whose_install_line_runs_a_script(tmp_path: Path, rest: str) -> None:
    files = {
        RULE: f'{ADDED}, KERNEL=="{CARD}", IMPORT{{builtin}}="kmod load vfio_pci", {rest}\nLABEL="end"\n',
        CONF: "install vfio_pci /opt/site/load\n",
        "/opt/site/load": "#!/bin/sh\nmodprobe -i vfio_pci $CMDLINE_OPTS\n",
    }
    drawn = Drawn({CARD: "vfio-pci"}, files, {}, open=(CARD, SAME, NIC))
    compare(drawn.tree(tmp_path), drawn.truth, drawn.open)


def test_the_host_is_as_it_is_without_the_script(tmp_path: Path) -> None:
    compare(script(NATIVE, "true").tree(tmp_path), NATIVE, ())
