# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, lines and words of modprobe.d that kmod ignores, some of them because of others."""

from __future__ import annotations

import difflib
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import named_modules
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import install_command
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import (
    WORDS,
    ModprobeConfig,
    ignored_lines,
    is_configuration,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding, listed

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFile
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

# Names of files that are obviously not meant to be read.
PUT_ASIDE = re.compile(
    r"^\.|\.conf\.|~$|\.(?:alias|bak|backup|dis|disabled|dpkg-\w+|example|md|off|old|orig|rpm\w+|sample|save|swp|txt|ucf-\w+)$|^README"
)
LIKE_CONF = re.compile(r"\.(?:cfg|cnf|conf\w*|config|list)$", re.IGNORECASE)
# A line with one of kmod's commands.
DIRECTIVE = re.compile(r"^[ \t]*(?:alias|blacklist|install|options|softdep)[ \t]+\S", re.MULTILINE)


def is_modprobe_file(name: str) -> bool:
    """Whether kmod reads a file of that name (conf_files_filter_out() in libkmod-config.c)."""
    return is_configuration(name)


def installs_beside_softdeps(host: HostPolicy) -> t.Iterator[Finding]:
    """`install` for a module that also has a softdep: kmod ignores the command (kmod issue 446; kmod_module_probe_insert_module())."""
    for _boot, root in host.roots:
        for entry in root.config.directives:
            if entry.command != "install":
                continue
            module = entry.arguments[0]
            softdeps = root.config.softdeps(module)
            if not softdeps or not (host.is_site(entry.source.path) or host.is_site(softdeps[0].source.path) or module in host.contenders):
                continue
            named = [word for word in softdeps[0].arguments[1:] if not word.strip().endswith(":")]
            if not any(_is_found(word, root, host) for word in named):
                # kmod counts a softdep that names no module as none.
                continue
            said = f"{entry.source}: kmod ignores `{entry}` because of the softdep at {softdeps[0].source}."
            keeps_out = install_command.loads_nothing(entry, module)
            further = f"; `blacklist {entry.spelt(module)}` keeps devices from loading it" if keeps_out else ""
            advice = f"Remove one of the two{further}."
            yield Finding("install-beside-softdep", str(entry.source), f"{said} {advice}")


def second_softdeps(host: HostPolicy) -> t.Iterator[Finding]:
    """A second softdep line for the same module: kmod applies only the first (kmod_module_get_softdeps()).

    Files are sorted by name, with depmod's modules.softdep among them.  A later line that adds nothing is not reported.
    """
    for _boot, root in host.roots:
        names = dict.fromkeys(
            entry.arguments[0] for entry in root.config.directives if entry.command == "softdep" and host.is_site(entry.source.path)
        )
        for module in names:
            first, *others = root.config.softdeps(module) or (None,)
            for other in others:
                lost = tuple(word for word in _words(other) if first is None or word not in _words(first))
                if first is not None and lost and (host.is_site(first.source.path) or host.is_site(other.source.path)):
                    said = f"{other.source}: kmod ignores `{other}`: it applies only a module's first softdep line"
                    before = "" if first.source.path == other.source.path else " in the order of the files' names"
                    advice = f"and {first.source} comes first{before}. Write both lists into one line."
                    yield Finding("second-softdep", str(other.source), f"{said}, {advice}")


def _is_found(word: str, root: Stage, host: HostPolicy) -> bool:
    name = normalize_module_name(word.strip())
    return root.kernel.has(name) or name in host.files.synonyms or bool(root.config.aliases(name)) or bool(root.config.installs(name))


def _words(entry: Directive) -> tuple[str, ...]:
    """The modules of a softdep, each prefixed with `pre:` or `post:`."""
    found, place = [], ""
    for word in entry.arguments[1:]:
        if word.endswith(":"):
            place = word.strip()
        else:
            found.append(f"{place}{normalize_module_name(word)}")
    return tuple(found)


def softdeps_without_effect(host: HostPolicy) -> t.Iterator[Finding]:
    """A softdep without `pre:` or `post:` before its words: kmod ignores such words (softdep_from_str() in libkmod-config.c).

    Two blanks before `pre:` have the same effect in kmod 30: the second one is taken as part of the word.
    """
    for _boot, root in host.roots:
        for entry in root.config.directives:
            if entry.command != "softdep" or not host.is_site(entry.source.path):
                continue
            first = entry.arguments[1] if len(entry.arguments) > 1 else ""
            module = entry.spelt(entry.arguments[0])
            if first.startswith(" "):
                said = f"{entry.source}: there are two blanks before `{first.strip()}`, which makes kmod 30 ignore the softdep of {module}."
                yield Finding("softdep-two-blanks", str(entry.source), f"{said} Use one blank.")
            elif first not in ("pre:", "post:") and not re.fullmatch(r"(?:pre|post)[;.,=]\S*", first):
                placed = next((number for number, word in enumerate(entry.arguments) if word in ("pre:", "post:")), None)
                meant = f"pre: {first}" if placed is None else " ".join(entry.arguments[placed:])
                also = f", and a line of its own for {first}" if placed is not None and normalize_module_name(first) in host.modules else ""
                said = f"{entry.source}: `{entry}` has no `pre:` or `post:` before {first}, so kmod ignores that word."
                yield Finding("softdep-without-place", str(entry.source), f"{said} Write `softdep {module} {meant}`{also}.")


def files_that_kmod_does_not_read(host: HostPolicy) -> t.Iterator[Finding]:
    """A file in modprobe.d with directives in it, whose name does not end in `.conf` (conf_files_filter_out()).

    Names that show that the file is not meant to be read (`.bak`, `.disabled`, `.dpkg-old`, …) are not reported.
    """
    for file in host.files.modprobe:
        unread = not is_modprobe_file(file.name) and not PUT_ASIDE.search(file.name)
        if unread and host.is_site(file.path) and file.text is not None and DIRECTIVE.search(file.text):
            said = f"{file.path}: kmod does not read it, because its name does not end in .conf."
            yield Finding("no-conf-suffix", file.path, f"{said} Rename it to {LIKE_CONF.sub('', file.path)}.conf, or remove it.")


def files_that_hide_others(host: HostPolicy) -> t.Iterator[Finding]:
    """Two different files with the same name: kmod reads only the one in the first directory (conf_files_list()).

    Reported only if the hidden file is about a module that matters here.  An empty file or a link to /dev/null hides on purpose.
    """
    read: dict[str, PolicyFile] = {}
    for file in host.files.modprobe:
        if not is_modprobe_file(file.name):
            continue
        hider = read.setdefault(file.name, file)
        if hider is file or not (hider.text or "").strip() or file.text is None:
            continue
        kept, lost = (ModprobeConfig.parse(one.text or "", one.path).directives for one in (hider, file))
        said_by_hider = {(entry.command, entry.arguments) for entry in kept}
        about = dict.fromkeys(
            normalize_module_name(name)
            for entry in lost
            if (entry.command, entry.arguments) not in said_by_hider
            for name in named_modules(entry.command, entry.arguments)
            if normalize_module_name(name) in host.contenders
        )
        if about:
            said = f"{file.path} is hidden by {hider.path} with the same name: kmod does not read what it says about {listed(list(about))}."
            yield Finding("hidden-file", file.path, f"{said} Rename one of them.")


def lines_that_kmod_ignores(host: HostPolicy) -> t.Iterator[Finding]:
    """Lines in /etc/modprobe.d with an unknown command, or with too few words (kmod_config_parse())."""
    for file in host.files.modprobe:
        if file.directory != "/etc/modprobe.d" or not is_modprobe_file(file.name) or not host.is_site(file.path):
            continue
        for source, line in ignored_lines(file.text or "", file.path):
            words = line.split()
            if words[0] in WORDS:
                why = "a name has unmatched brackets" if len(words) > (1 if words[0] == "blacklist" else 2) else "it is incomplete"
                advice = "Complete it, or remove it."
            else:
                why = f"{words[0]} is not a command of modprobe.d"
                named, equals, name = words[0].partition("=")
                near = next(iter(difflib.get_close_matches(named.lower(), sorted(WORDS), 1, 0.85)), None)
                meant = f"`{' '.join((str(near), name, *words[1:]))}`" if equals and name else near
                advice = f"Write {meant}." if near else f"Commands are {', '.join(sorted(WORDS))}."
            yield Finding("ignored-line", str(source), f"{source}: kmod ignores `{line.strip()}`: {why}. {advice}")
