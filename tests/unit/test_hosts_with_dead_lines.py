# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose unit runs a script with lines that are never run, and scripts that only look so; scripts without a `#!`.

Their truth comes from sh(1) and bash(1), and from execve(2), execvp(3) and systemd.service(5) for what has no `#!`.
"""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.drawn_hosts import (
    CARD,
    CARD_LINK,
    CONF,
    CRON,
    CRON_LINK,
    MOVER,
    NATIVE,
    NIC,
    ONE_LOST,
    OWN,
    RULE,
    SAME,
    THIS,
    UNIT,
    Drawn,
    compare,
)

if t.TYPE_CHECKING:
    from pathlib import Path

ACT = f"echo {CARD} > /sys/bus/pci/drivers/nouveau/unbind"
BASH = "#!/bin/bash\n"
NEVER: dict[str, str] = {
    "a condition that is false": f"if false; then\n  {ACT}\nfi\n",
    "then in a line of its own": f"if /bin/false\nthen\n  {ACT}\nfi\n",
    "in one line": f"if false; then {ACT}; fi\n",
    "the other branch": f"if true; then\n  :\nelse\n  {ACT}\nfi\n",
    "all other branches": f"if true; then\n  :\nelif [ -e /x ]; then\n  {ACT}\nelse\n  {ACT}\nfi\n",
    "words that differ": f"if [ 0 = 1 ]; then\n  {ACT}\nfi\n",
    "numbers that differ": f"if [ 0 -eq 1 ]; then\n  {ACT}\nfi\n",
    "words that differ in bash": f"{BASH}if [[ 0 == 1 ]]; then\n  {ACT}\nfi\n",
    "a zero": f"{BASH}if ((0)); then\n  {ACT}\nfi\n",
    "no word": f'if [ "" ]; then\n  {ACT}\nfi\n',
    "turned round": f"if ! true; then\n  {ACT}\nfi\n",
    "blocks in it": f"if false; then\n  if [ -e /etc/fstab ]; then\n    {ACT}\n  fi\n  for i in a b; do\n{ACT}\n done\nfi\n",
    "a word in quotes that ends nothing": f"if false; then\n  echo 'fi'\n  {ACT}\nfi\n",
    "a loop": f"while false; do\n  {ACT}\ndone\n",
    "a loop until": f"until true; do\n  {ACT}\ndone\n",
    "behind false": f"false && {ACT}\n",
    "behind true": f"true || {ACT}\n",
    "a block behind false": f"false && {{\n  {ACT}\n}}\n",
    "a switch": f"DEBUG=0\nif [ $DEBUG = 1 ]; then\n  {ACT}\nfi\n",
    "a switch in quotes": f'DEBUG=0\nif [ "$DEBUG" -eq 1 ]; then\n  {ACT}\nfi\n',
    "behind exec": f"exec /usr/bin/sleep 1\n{ACT}\n",
    "behind exec under another name": f"{BASH}exec -a name /usr/bin/sleep 1\n{ACT}\n",
    "behind exit with a status": f"echo x\nexit $?\n{ACT}\n",
    "behind exit after a choice": f'case "$1" in\n  start) echo a ;;\n  *) echo b ;;\nesac\nexit 0\n{ACT}\n',
    "behind exit after a choice in parentheses": f'case "$1" in\n  (a|b) echo ;;\n  (*) echo x ;;\nesac\nexit 0\n{ACT}\n',
    "a function that nothing calls": f"unbind() {{\n  {ACT}\n}}\necho done\n",
    "a function by its word": f"{BASH}function unbind {{\n  {ACT}\n}}\necho done\n",
    "a brace in a line of its own": f"unbind()\n{{\n  {ACT}\n}}\necho done\n",
    "a function in one line": f"unbind() {{ {ACT}; }}\necho done\n",
    "a function that such a one calls": f"a() {{\n  {ACT}\n}}\nb() {{\n  a\n}}\necho\n",
    "a function that only calls itself": f"go() {{\n  {ACT}\n  go\n}}\necho\n",
    "a text for nobody": f": <<'END'\n{ACT}\nEND\necho\n",
    "a text for the log": f"logger <<END\n{ACT}\nEND\necho\n",
    "a mail": f"mail -s x root <<END\n{ACT}\nEND\n",
    "both branches in one line": f"if true; then :; else {ACT}; fi\n",
    "the branch before else in one line": f"if false; then {ACT}; else :; fi\n",
    "one line in another": f"if true; then if false; then {ACT}; fi; fi\n",
    "behind exit in a branch in one line": f"if true; then exit 0; fi\n{ACT}\n",
    "behind exit in a branch": f"if true\nthen\n  echo off\n  exit 0\nfi\n{ACT}\n",
    "behind exit after else": f"if false; then\n  :\nelse\n  exit 0\nfi\n{ACT}\n",
    "behind exit after true": f"true && exit 0\n{ACT}\n",
    "behind exit after a switch": f'ENABLED=no\n[ "$ENABLED" = yes ] || exit 0\n{ACT}\n',
    "behind exit by a switch": f'ENABLED=0\nif [ "$ENABLED" != 1 ]; then exit 0; fi\n{ACT}\n',
    "behind exit in every case": f'case "$1" in *) exit 0;; esac\n{ACT}\n',
    "behind exit in braces": f"{{ exit 0; }}\n{ACT}\n",
    "behind exit in a loop": f"while true; do exit 0; done\n{ACT}\n",
    "behind exit for each": f"for i in a b; do exit 0; done\n{ACT}\n",
    "behind exit in a line": f"echo a; exit 0; {ACT}\n",
    "another case": f"case start in\n  stop)\n    {ACT}\n    ;;\nesac\n",
    "another case in one line": f"case start in stop) {ACT};; start) :;; esac\n",
    "a case after that which is taken": f"case start in start) :;; *) {ACT};; esac\n",
    "another case of a switch": f"MODE=off\ncase $MODE in\n  on|yes)\n    {ACT}\n    ;;\nesac\n",
    "a function that is only spoken of": f'unbind() {{\n  {ACT}\n}}\necho "unbind is not done"\n',
    "a function that is only logged": f'unbind() {{\n  {ACT}\n}}\nlogger -t x "no unbind"\n',
    "how it is used": f"usage() {{\n  cat <<END\nusage: {ACT}\nEND\n  exit 1\n}}\n[ $# -eq 0 ] || usage\n",
}
CHANGES = (
    *(
        "((D=1))",
        "((D++))",
        "let D=1",
        ": ${D:=1}",
        "export A=1 D=1",
        "printf -v D 1",
        "printf -vD 1",
        "read -r x D </etc/x",
        "unset D; D=1",
    ),
    *(
        "for D in 1 2; do :; done",
        "mapfile -t D </etc/x",
        "declare D=1",
        "typeset -i D=1",
        "D+=1",
        "D[0]=1",
        "eval D=1",
        ". /etc/default/x",
    ),
    *("while getopts a:b D; do :; done", "f() { D=1; }\nf", "declare -n R=D\nR=1", ": $((D=1))", "trap 'D=1' DEBUG", "sleep 1 & wait -p D"),
    *("[ -e /etc/x ] && D=1", 'declare "D=1"', "{ D=1; }", "if x; then D=1; fi"),
)
"""What may change a variable that was set to 0 (bash(1))."""
ACTS: dict[str, str] = {
    "behind a text of two commands": f"cat <<A - <<B >/dev/null\nx\nA\nexit\nB\n{ACT}\n",
    "a text whose end is in quotes": f"cat <<\\E >/dev/null\nexit 0\nE\n{ACT}\n",
    "a text with a line that only looks like its end": f"cat <<E >/dev/null\n  E\nexit\nE\n{ACT}\n",
    "a text with a comment behind what looks like its end": f"cat <<E >/dev/null\nE # x\nexit\nE\n{ACT}\n",
    "a command in what looks like a comment of a text": f"cat <<E >/dev/null\n# $({ACT})\nE\n",
    "behind a text with a stroke at its end": f"cat <<'E' >/dev/null\na \\\nE\n{ACT}\ncat <<'E' >/dev/null\nE\n",
    "before a text in the same line": f"{ACT}; cat <<E\nx\nE\n",
    "exec of arguments that nobody gives": f'exec "$@"\n{ACT}\n',
    "exec of a variable that is empty": f"exec $NICE\n{ACT}\n",
    "exec of what a command finds": f"exec $(which nothing)\n{ACT}\n",
    "a sign that dash does not have": f"A=yes\n[ $A == yes ] || {ACT}\n",
    "two blocks whose ends are in one line": (f"( :\n)\nif false; then\n:\nfi; {ACT}; if [ -e /x ]; then\n:\nelif true; then\n:\nfi\n"),
    "a clause that ends in the line of a command": (
        f"A=yes\nf() (\n:\n)\ncase $A in\n  start)\n    return ;;\n  (yes)\n    {ACT} ;;\nesac\n"
    ),
    "the other branch is taken": f"if false; then\n  :\nelse\n  {ACT}\nfi\n",
    "another condition": f"if false; then\n  :\nelif [ -e /etc/fstab ]; then\n  {ACT}\nfi\n",
    "a condition that is true": f"if true; then\n  {ACT}\nfi\n",
    "a word that is one": f"if [ false ]; then\n  {ACT}\nfi\n",
    "one of two conditions": f"if false || true; then\n  {ACT}\nfi\n",
    "the next line": f"if false; then\n  if [ -e /etc/fstab ]; then\n    :\n  fi\nfi\n{ACT}\n",
    "the same line": f"if false; then\n  :\nfi; {ACT}\n",
    "a comment that ends nothing": f"if false; then # fi\n:\nfi # x\n{ACT}\n",
    "behind false, or": f"false || {ACT}\n",
    "a list that goes on": f"true ||\nfalse && {{\n  {ACT}\n}}\n",
    "a list of three": f"false && true || {ACT}\n",
    "a list that ends before": f"false && true; {ACT}\n",
    "a switch that is set later": f"DEBUG=0\nDEBUG=1\nif [ $DEBUG = 1 ]; then\n  {ACT}\nfi\n",
    "a switch of the environment": f'if [ "$DEBUG" = 1 ]; then\n  {ACT}\nfi\nDEBUG=0\n',
    "a switch that is read": f"DEBUG=0\nread DEBUG < /etc/x\nif [ $DEBUG = 1 ]; then\n  {ACT}\nfi\n",
    "a switch with another value where it has none": f"DEBUG=\n: ${{DEBUG:=1}}\nif [ $DEBUG = 1 ]; then\n  {ACT}\nfi\n",
    "a switch that is counted": f"{BASH}DEBUG=0\n((DEBUG++))\nif [ $DEBUG = 1 ]; then\n  {ACT}\nfi\n",
    "exec for the output": f"exec >/var/log/x 2>&1\n{ACT}\n",
    "exec for another output": f"{BASH}exec > >(logger -t x) 2>&1\n{ACT}\n",
    "exec for a file": f"{BASH}exec {{fd}}>/run/lock/x\n{ACT}\n",
    "exec under a condition": f"[ -x /usr/bin/nope ] && exec /usr/bin/nope\n{ACT}\n",
    "exec in a branch": f"if [ -e /etc/never ]; then\n  exec /usr/bin/true\nfi\n{ACT}\n",
    "bash goes on after exec": f"{BASH}shopt -s execfail\nexec /usr/bin/nope\n{ACT}\n",
    "exit in a choice": f'case "$1" in\n  start) ;;\n  *) exit 0 ;;\nesac\n{ACT}\n',
    "exit in a text": f"cat <<END\nexit 0\nEND\n{ACT}\n",
    "a function that is called": f"unbind() {{\n  {ACT}\n}}\nunbind\n",
    "a function at the end": f"unbind() {{\n  {ACT}\n}}\ntrap unbind EXIT\n",
    "a function by the argument": f'unbind() {{\n  {ACT}\n}}\n"$1"\n',
    "a function by a choice": f'start() {{\n  {ACT}\n}}\ncase "$1" in\n  start|stop) $1 ;;\n  *) start ;;\nesac\n',
    "a function by a part of its name": f'do_start() {{\n  {ACT}\n}}\nx=start\n"do_$x"\n',
    "a function in its own line": f"go() {{ {ACT}; }}; go\n",
    "a function whose output is taken": f"go() {{\n  {ACT}\n}}\nx=$(go)\n",
    "exit in some cases": f'case "$1" in stop) exit 0;; esac\n{ACT}\n',
    "exit in a case of a pattern": f'case "$1" in [a-z]*) exit 0;; esac\n{ACT}\n',
    "exit in the other case": f'case "$1" in "") ;; *) exit 0;; esac\n{ACT}\n',
    "exit in a case of a star in quotes": f'case "$1" in "*") exit 0;; esac\n{ACT}\n',
    "a case behind that of a star in quotes": f"case start in '*') :;; start) {ACT};; esac\n",
    "a case in other letters": f"{BASH}shopt -s nocasematch\ncase START in start) {ACT};; esac\n",
    "exit in a subshell": f"( exit 0 )\n{ACT}\n",
    "exit in a block of a pipe": f"{{ exit 0; }} | cat\n{ACT}\n",
    "exit in a branch of a pipe": f"if true; then exit 0; fi | cat\n{ACT}\n",
    "exit in a loop beside the rest": f"for x in a; do exit 0; done &\n{ACT}\n",
    "the next case, too": f"{BASH}case a in a) :;& b) {ACT};; esac\n",
    "exit in a branch in one line": f"if [ -e /never ]; then exit 0; fi\n{ACT}\n",
    "exit in a shell of its own": f"(exit 0)\n{ACT}\n",
    "exit beside it": f"{{ exit 0; }} &\n{ACT}\n",
    "exit behind a pipe": f"{{ exit 0; }} | cat\n{ACT}\n",
    "exit in a function": f"stop()\n{{\n  exit 0\n}}\n{ACT}\nstop\n",
    "exit after a loop is left": f"while true; do break; exit 0; done\n{ACT}\n",
    "exit for each of none": f"for i in $NONE; do exit 0; done\n{ACT}\n",
    "exit after a switch": f'ENABLED=yes\n[ "$ENABLED" = yes ] || exit 0\n{ACT}\n',
    "the branch behind else in one line": f"if false; then :; else {ACT}; fi\n",
    "a function that is called and spoken of": f'unbind() {{\n  {ACT}\n}}\nunbind && echo "unbind is done"\n',
    "a function in what is said": f'unbind() {{\n  {ACT}\n}}\necho "done: $(unbind)"\n',
    "a text for a shell": f"sh <<END\n{ACT}\nEND\n",
    "a command in a text": f": <<END\n$({ACT})\nEND\n",
    "a function in the place of false": f"false() {{ :; }}\nif false; then\n  {ACT}\nfi\n",
    "a function in the place of true": f"true() {{ return 1; }}\ntrue || {ACT}\n",
    "an alias in the place of false": f"{BASH}shopt -s expand_aliases\nalias false=true\nif false; then\n  {ACT}\nfi\n",
    "a function in the place of exit": f"{BASH}exit() {{ :; }}\nexit 0\n{ACT}\n",
    "a function in the place of exec": f"{BASH}exec() {{ :; }}\nexec sleep 1\n{ACT}\n",
    "a function that bash calls": f"{BASH}command_not_found_handle() {{\n {ACT}\n}}\nxyzzy\n",
    "a function in what is printed": f'f() {{\n {ACT}\n}}\nlogger -t a "$(f)"\n',
    **{f"a switch by {change}": f'{BASH}D=0\n{change}\nif [ "$D" = 1 ]; then\n  {ACT}\nfi\n' for change in CHANGES},
}
LIBRARY = "/usr/local/lib/gpu.sh"
PLAIN = "/usr/local/sbin/plain"


def script(truth: t.Mapping[str, str | None], text: str, **files: str) -> Drawn:
    whole = text if text.startswith("#!") else f"#!/bin/sh\n{text}"
    return Drawn(truth, {f"{OWN}/card.service": UNIT, MOVER: whole, **files}, CARD_LINK, open=(CARD,) if truth is ONE_LOST else ())


def plain(truth: t.Mapping[str, str | None], files: dict[str, str], links: dict[str, str] | None = None, mode: int = 0o755) -> Drawn:
    """With a program that has no `#!`."""
    return Drawn(truth, files, links or {}, then=lambda tree: tree.file(PLAIN, f"{ACT}\n", mode), open=(CARD,) if truth is ONE_LOST else ())


def unit(command: str) -> dict[str, str]:
    return {f"{OWN}/card.service": f"[Service]\nType=oneshot\nExecStart={command}\n"}


OTHERS: dict[str, Drawn] = {
    "a library whose function is called": script(ONE_LOST, f". {LIBRARY}\ngo\n", **{LIBRARY: f"#!/bin/sh\ngo() {{\n  {ACT}\n}}\n"}),
    "a library that calls back": script(ONE_LOST, f"go() {{\n  {ACT}\n}}\n. {LIBRARY}\n", **{LIBRARY: "#!/bin/sh\ngo\n"}),
    "a switch in a file": script(ONE_LOST, f"ON=0\n. {LIBRARY}\nif [ $ON = 1 ]; then\n  {ACT}\nfi\n", **{LIBRARY: "ON=1\n"}),
    "the program that a script becomes": script(ONE_LOST, "exec /usr/local/sbin/next\n", **{"/usr/local/sbin/next": f"#!/bin/sh\n{ACT}\n"}),
    # The kernel refuses it (ENOEXEC): a shell and execvp(3) read it themselves, systemd and udev do not.
    "no interpreter, by systemd": plain(NATIVE, unit(PLAIN), CARD_LINK),
    "no interpreter, by a shell of systemd's": plain(ONE_LOST, unit(f"/bin/sh -c '{PLAIN} now'"), CARD_LINK),
    "no interpreter, as a shell's script": plain(ONE_LOST, unit(f"/bin/sh {PLAIN}"), CARD_LINK),
    "no interpreter, by udev": plain(NATIVE, {RULE: f'{THIS}, RUN+="{PLAIN}"\n'}),
    "no interpreter, by a shell of udev's": plain(ONE_LOST, {RULE: f'{THIS}, RUN+="/bin/sh -c {PLAIN}"\n'}),
    "no interpreter, by a script": plain(ONE_LOST, {**unit(MOVER), MOVER: f"#!/bin/sh\n{PLAIN}\n"}, CARD_LINK),
    "no interpreter, by a script of bash": plain(ONE_LOST, {**unit(MOVER), MOVER: f"{BASH}{PLAIN} && echo ok\n"}, CARD_LINK),
    "no interpreter, what a script becomes": plain(ONE_LOST, {**unit(MOVER), MOVER: f"#!/bin/sh\nexec {PLAIN}\n"}, CARD_LINK),
    "no interpreter, by a program that seeks it": plain(ONE_LOST, {**unit(MOVER), MOVER: f"#!/bin/sh\nexec env {PLAIN}\n"}, CARD_LINK),
    "no interpreter, by a script that may not run it": plain(NATIVE, {**unit(MOVER), MOVER: f"#!/bin/sh\n{PLAIN}\n"}, CARD_LINK, 0o644),
    "no interpreter, by Python": plain(
        NATIVE, {**unit(MOVER), MOVER: f"#!/usr/bin/python3\nimport subprocess\nsubprocess.run(['{PLAIN}'])\n"}, CARD_LINK
    ),
    "no interpreter, by a shell of Python's": plain(
        ONE_LOST, {**unit(MOVER), MOVER: f"#!/usr/bin/python3\nimport os\nos.system('{PLAIN}')\n"}, CARD_LINK
    ),
    "no interpreter, by cron": plain(ONE_LOST, {**CRON, "/etc/cron.d/x": f"@reboot root {PLAIN}\n"}, CRON_LINK),
    "no interpreter, in rc.local": plain(NATIVE, {}, None),
    "no interpreter, in an install line": dataclasses.replace(
        plain(ONE_LOST, {CONF: f"install nouveau {PLAIN}; /sbin/modprobe -i nouveau\n"}), open=(CARD, SAME)
    ),
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", NEVER)
def test_what_is_never_run_does_nothing(tmp_path: Path, name: str) -> None:
    drawn = script(NATIVE, NEVER[name])
    compare(drawn.tree(tmp_path), drawn.truth, drawn.open)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", ACTS)
def test_what_may_be_run_counts(tmp_path: Path, name: str) -> None:
    drawn = script(ONE_LOST, ACTS[name])
    compare(drawn.tree(tmp_path), drawn.truth, drawn.open, ":")


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", OTHERS)
def test_the_answers_are_true_or_open_where_they_may_be(tmp_path: Path, name: str) -> None:
    tree = OTHERS[name].tree(tmp_path)
    if name.endswith("rc.local"):
        tree.file("/etc/rc.local", f"{ACT}\n", 0o755)
    compare(tree, OTHERS[name].truth, OTHERS[name].open)


def test_what_a_script_of_an_install_line_does_leaves_other_devices_alone(tmp_path: Path) -> None:
    """In an initramfs that does not have the program the line does nothing."""
    drawn = plain(NATIVE, {CONF: f"install e1000e {PLAIN}; /sbin/modprobe -i e1000e\n"})
    compare(drawn.tree(tmp_path), drawn.truth, (CARD, NIC))
