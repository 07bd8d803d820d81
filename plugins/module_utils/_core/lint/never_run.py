# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts, units and tables of cron about drivers that nothing runs, or that do nothing, because of their names, modes or redirections."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.start_files import (
    ASKED,
    BESIDE_UNITS,
    CRON,
    HOOKS,
    IMAGE_SCRIPTS,
    OF_RED_HAT,
    RC_LOCAL,
    RC_MODULES,
    UNITS,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.numbered_matches import numbered_matches
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.put_aside import is_put_aside
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.schedules import is_named_for_cron
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import never_reached

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.start_files import StartFile
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

NAMED_FOR_DRIVERS = re.compile(r"vfio|pass-?through|(?<![a-z])(?:pci|gpus?|drivers?|unbind|bind|override)(?![a-z])", re.IGNORECASE)
SUFFIX = ".rules"
ABOUT_DRIVERS = re.compile(r"/sys/bus/pci/|driver_override|\b(?:modprobe|insmod|rmmod|driverctl|vfio-pci)\b")
COMMENT = re.compile(r"^[ \t]*[#;].*$", re.MULTILINE)
UNIT = re.compile(r"\.(?:service|socket|timer|path|target|mount|automount|swap|slice|scope|device)$")
EXEC = re.compile(r"^[ \t]*(?P<key>Exec\w+)[ \t]*=[ \t]*(?P<command>.*)$", re.MULTILINE)
NOT_OF_SYSTEMD = re.compile(
    r"^[ \t]*(?P<word>\[(?i:unit|service|install)\](?=[ \t]*$)|(?:Exec|ExecStarts?|ExecRun)(?=[ \t]*=))", re.MULTILINE
)
SHELL = re.compile(r"(?:^|/)(?:ba|da|z|k)?sh\s+-\w*c\b|(?:^|/)(?:busybox|env)\s")
REDIRECTION = re.compile(r"\s(?:>>?|\||&&|\|\|)\s|>\s*/sys/")

_ID = r"(?P<id>[0-9a-fA-F]{4}:[0-9a-fA-F]{4})"
WRITES_ID = re.compile(
    rf"^[^#\n]*?\b(?:echo|printf)[ \t]+(?:-n[ \t]+)?[\"']?{_ID}(?:\\n)?[\"']?[ \t]*(?:>>?|\|[ \t]*(?:sudo[ \t]+)?tee(?:[ \t]+-a)?)[ \t]*"
    r"[\"']?/sys/bus/pci/drivers/[^\s\"'/]+/(?P<file>new_id|remove_id)\b",
    re.MULTILINE,
)
GIVES_ID = re.compile(rf"^[^#\n]*\bATTR\{{[^}}\n]*(?P<file>new_id|remove_id)\}}[ \t]*[+:]?=[ \t]*\"{_ID}\"", re.MULTILINE)


def files_that_nothing_runs(host: HostPolicy) -> t.Iterator[Finding]:
    """By their names or their modes."""
    for file in host.files.start.files:
        is_unit = file.folder == UNITS and NAMED_FOR_DRIVERS.search(file.name)
        if not is_unit and not ABOUT_DRIVERS.search(COMMENT.sub("", file.text)):
            continue
        found = _why_not(file, host)
        if found is not None:
            why, advice = found
            yield Finding("never-run", file.path, f"{file.path}: {why}. {advice}.")


def _why_not(file: StartFile, host: HostPolicy) -> tuple[str, str] | None:
    if file.folder == CRON and host.files.start.cron_skips_dots and not is_named_for_cron(file.path) and not is_put_aside(file.name):
        meant = re.sub(r"[^A-Za-z0-9_-]", "-", re.sub(r"\.(?:sh|cron|conf|txt)$", "", file.name))
        return "cron does not read it, because its name has other characters than letters, digits, _ and -", f"Rename it to {CRON}/{meant}"
    if file.path == RC_LOCAL and not file.is_executable:
        return "systemd does not run it, because it is not executable", f"Run `chmod +x {RC_LOCAL}`, or remove it"
    if file.folder == BESIDE_UNITS:
        return f"systemd does not read it, because it is not in {UNITS}", "Move it there"
    if file.folder == OF_RED_HAT or file.path == RC_MODULES:
        return "nothing of this host runs it", "Name its modules in a file of /etc/modules-load.d, or run it by a unit"
    if file.path.startswith((f"{IMAGE_SCRIPTS}/", f"{HOOKS}/")) and not file.is_executable and file.text.startswith("#!"):
        return "mkinitramfs leaves it out, because it is not executable", f"Run `chmod +x {file.path}` and `update-initramfs -u`"
    if (
        file.folder == UNITS
        and not UNIT.search(file.name)
        and not is_put_aside(file.name)
        and re.search(r"^\[Service\]", file.text, re.MULTILINE)
    ):
        stem = re.sub(r"\.(?:service\.)?(?:txt|conf|sh|unit|serv\w*)$", "", file.name)
        return "systemd does not read it, because its name does not end in .service", f"Rename it to {UNITS}/{stem}.service"
    return None


def lines_after_the_end(host: HostPolicy) -> t.Iterator[Finding]:
    """What stands below the `exit` of a script, as of the /etc/rc.local that distributions brought."""
    for file in host.files.start.files:
        lines = never_reached(file.text, file.path)
        lost = next((line for line in lines[1:] if ABOUT_DRIVERS.search(line.text)), None)
        if lost is not None:
            end = f"line {lines[0].number} (`{lines[0].text.strip()}`)"
            said = f"{lost}: `{lost.text.strip()}` is never run, because the script ends at {end}."
            yield Finding("after-the-end", str(lost), f"{said} Move it before that line.")


def ids_with_colons(host: HostPolicy) -> t.Iterator[Finding]:
    """new_id_store() in drivers/pci/pci-driver.c reads two numbers with a blank between them, and refuses anything else."""
    programs = (file for file in host.files.start.programs.values() if file is not None)
    scripts = [(file.path, file.text, WRITES_ID) for file in (*host.files.start.files, *programs)]
    rules = [(file.path, file.text or "", GIVES_ID) for file in host.files.rules if file.name.endswith(SUFFIX) and host.is_site(file.path)]
    for path, text, pattern in (*scripts, *rules):
        for line, match in numbered_matches(pattern, text, "id"):
            source, meant = f"{path}:{line}", match["id"].replace(":", " ")
            said = f"{source}: the kernel refuses `{match['id']}` for {match['file']}, which takes numbers with a blank between them."
            yield Finding("refused-id", source, f"{said} Write `{meant}`.")


def redirections_without_a_shell(host: HostPolicy) -> t.Iterator[Finding]:
    """systemd.service(5): the command is not given to a shell."""
    for file in host.files.start.files:
        if file.folder != UNITS or not UNIT.search(file.name):
            continue
        for line, match in numbered_matches(EXEC, file.text, "key"):
            command = match["command"].strip()
            if SHELL.search(command.lstrip("-@:+!|")) or not REDIRECTION.search(command) or not ABOUT_DRIVERS.search(command):
                continue
            source = f"{file.path}:{line}"
            said = f"{source}: systemd runs `{command}` without a shell, so `>`, `|` and `&&` in it are mere arguments."
            plain = command.lstrip("-@:+!|")
            yield Finding("without-shell", source, f"{said} Write `{match['key']}=/bin/sh -c '{plain}'`.")


def settings_that_systemd_ignores(host: HostPolicy) -> t.Iterator[Finding]:
    """`[service]` and `Exec=` in a unit about drivers: names of sections and settings are compared letter by letter."""
    for file in host.files.start.files:
        if file.folder != UNITS or not UNIT.search(file.name):
            continue
        for line, match in numbered_matches(NOT_OF_SYSTEMD, file.text, "word"):
            word = match["word"]
            meant = f"[{word[1:-1].capitalize()}]" if word.startswith("[") else "ExecStart"
            if word != meant and (ABOUT_DRIVERS.search(file.text) or NAMED_FOR_DRIVERS.search(file.text)):
                source = f"{file.path}:{line}"
                what = "section" if word.startswith("[") else "setting"
                yield Finding("unit-misread", source, f"{source}: systemd does not know the {what} {word}, and ignores it. Write {meant}.")


def programs_that_cannot_run(host: HostPolicy) -> t.Iterator[Finding]:
    """Scripts about drivers that a unit, or a rule of udev, has run, and which are not there or not executable."""
    units = [(file.path, file.text) for file in host.files.start.files if file.folder == UNITS and UNIT.search(file.name)]
    rules = [(file.path, file.text or "") for file in host.files.rules if file.name.endswith(SUFFIX) and host.is_site(file.path)]
    for path, text in (*units, *rules):
        for line, match in numbered_matches(ASKED, text, "path"):
            program, programs = match["path"], host.files.start.programs
            if program not in programs:
                continue
            file, source = programs[program], f"{path}:{line}"
            if file is None and NAMED_FOR_DRIVERS.search(program):
                yield Finding("never-run", source, f"{source} runs {program}, which is not there. Correct the path, or remove the line.")
            elif file is not None and not file.is_executable and ABOUT_DRIVERS.search(COMMENT.sub("", file.text)):
                said = f"{source} runs {program}, which is not executable, so that nothing of it is done."
                yield Finding("never-run", source, f"{said} Run `chmod +x {program}`.")
            elif file is not None and file.text.startswith("#!") and file.text.partition("\n")[0].endswith("\r"):
                said = f"{source} runs {program}, whose first line ends in CR LF, so that the kernel finds no interpreter of that name."
                yield Finding("never-run", source, f"{said} Write {program} with the line ends of Unix (LF).")
            elif file is not None and file.text[:2] != "#!" and "\0" not in file.text and ABOUT_DRIVERS.search(COMMENT.sub("", file.text)):
                said = f"{source} runs {program}, whose first line names no interpreter, so that the kernel does not run it."
                yield Finding("never-run", source, f"{said} Write `#!/bin/sh` into its first line.")
