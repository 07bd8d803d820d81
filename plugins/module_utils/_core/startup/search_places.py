# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the files are that a program runs or reads as a part of itself: its working directories, its PATH, its modules, its folders."""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import Line, Variables

PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
MOST_OF_FOLDER = 64
_WORD = r"(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s;&|()<>`\"']+)"
_GOES = re.compile(rf"(?:^|[;&|({{\s])(?:cd|pushd)\s+(?:--\s+)?({_WORD})|os\.chdir\(\s*({_WORD})")
_MODULES_IN = re.compile(r"sys\.path\.(?:insert\(\s*\d+\s*,|append\()\s*[\"']([^\"']+)")
_IMPORTS = re.compile(
    r"(?:^|;)\s*(?:from\s+(\.*[\w.]*)\s+import\s+([\w, ]*)|import\s+([\w.]+(?:\s+as\s+\w+)?(?:\s*,\s*[\w.]+(?:\s+as\s+\w+)?)*))"
)
_RUNS_MODULE = re.compile(r"python[0-9.]*\s+(?:-[A-Za-z]+\s+)*?-m\s+([\w.]+)")
_MAKES = re.compile(r"\bmake\b([^\n;|&]*)")
_FOLDER = re.compile(r"(?<![\w.*?])((?:\"?\$\{?\w+\}?\"?)?(?:/[\w.+:@%-]+)*)/\*(?:\.\w+)?(?![\w/*])")
_PARTS = re.compile(r"\brun-parts\b([^\n;|&]*)")
_FOUND = re.compile(rf"\bfind\s+({_WORD})[^\n;|&]*-exec(?:dir)?\b")


@dataclasses.dataclass(frozen=True)
class SearchPaths:
    """``folders`` are those that relative paths may start from, ``path`` those of commands, ``modules`` those of Python's modules."""

    folders: tuple[str, ...]
    path: tuple[str, ...] = PATH
    modules: tuple[str, ...] = ()

    @classmethod
    def of(cls, tree: FileTree, lines: t.Sequence[Line], variables: Variables, folder: str) -> SearchPaths:
        """``folder`` is the script's own."""
        went: dict[str, None] = {folder: None}
        more: dict[str, None] = {}
        for line in lines:
            for match in _GOES.finditer(line.text):
                for value in sorted(variables.values((match[1] or match[2]).strip("\"'")) or ()):
                    went[posixpath.normpath(posixpath.join(folder, value))] = None
            for match in _MODULES_IN.finditer(line.text):
                more[posixpath.normpath(posixpath.join(folder, match[1]))] = None
        own = (piece for value in variables.written("PATH") for piece in value.strip("\"'").split(":"))
        extra = [
            one
            for piece in own
            for one in sorted(variables.values(piece) or ())
            if one.startswith("/") and piece not in ("$PATH", "${PATH}")
        ]
        given = (piece for value in variables.written("PYTHONPATH") for piece in value.strip("\"'").split(":") if piece.startswith("/"))
        return cls(tuple(went), tuple(dict.fromkeys((*PATH, *extra))), tuple(dict.fromkeys((*went, *more, *given, *_site_packages(tree)))))


def _site_packages(tree: FileTree) -> t.Iterator[str]:
    for home in ("/usr/local/lib", "/usr/lib"):
        for name in tree.names(home) if tree.is_dir(home) else ():
            if name.startswith("python3"):
                yield from (f"{home}/{name}/dist-packages", f"{home}/{name}/site-packages")


def files_of_python(tree: FileTree, line: Line, places: SearchPaths) -> t.Iterator[str]:
    """The files of the modules that a line imports, or has Python run."""
    names = [match[1] for match in _RUNS_MODULE.finditer(line.text)]
    if not line.in_shell:
        for match in _IMPORTS.finditer(line.text):
            if match[3]:
                names += [word.split()[0] for word in match[3].split(",") if word.split()]
            else:
                base = match[1].strip(".")
                names += [base] if base else []
                names += [f"{base}.{word.strip()}".strip(".") for word in match[2].split(",") if word.strip()]
    for name in dict.fromkeys(names):
        place = name.replace(".", "/")
        candidates = (f"{folder}/{place}{end}" for folder in places.modules for end in (".py", "/__main__.py", "/__init__.py"))
        yield from (path for path in candidates if tree.is_file(path))


def makefiles(tree: FileTree, line: Line, places: SearchPaths) -> t.Iterator[str]:
    """The files that `make` reads, and Ansible's playbooks."""
    for match in _MAKES.finditer(line.text):
        named = re.search(r"(?:-f|--file[=\s]|--makefile[=\s])\s*(\S+)", match[1])
        where = re.search(r"(?:-C|--directory[=\s])\s*(\S+)", match[1])
        folders = (where[1].strip("\"'"),) if where is not None else places.folders
        for folder in folders:
            wanted = (named[1].strip("\"'"),) if named is not None else ("GNUmakefile", "makefile", "Makefile")
            yield from (path for path in (posixpath.normpath(posixpath.join(folder, one)) for one in wanted) if tree.is_file(path))


def files_of_folders(tree: FileTree, line: Line, variables: Variables, places: SearchPaths) -> t.Iterator[str]:
    """The files in the folders of which a line runs, or goes through, all: `run-parts /x`, `/x/*`, `find /x -exec`."""
    words = [match[1] or "/" for match in _FOLDER.finditer(line.text)]
    words += [word for match in _PARTS.finditer(line.text) for word in match[1].split() if word.strip("\"'").startswith(("/", "$"))]
    words += [match[1] for match in _FOUND.finditer(line.text)]
    for word in words:
        for value in sorted(variables.values(word.replace('"', "").replace("'", "")) or ()):
            for start in places.folders if not value.startswith("/") else ("/",):
                folder = posixpath.normpath(posixpath.join(start, value))
                if folder.count("/") < 2 or folder.startswith(("/sys", "/proc", "/dev", "/run", "/tmp")) or not tree.is_dir(folder):  # noqa: S108
                    continue
                names = tree.names(folder)
                yield from (f"{folder}/{name}" for name in names[:MOST_OF_FOLDER] if tree.is_file(f"{folder}/{name}"))
