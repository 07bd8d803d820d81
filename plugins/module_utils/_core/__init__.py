# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The core.  Where it comes in the archive that Ansible sends, each of its files is compiled once.

Python's zipimport compiles a file to find its name, and once more to run it, which doubles what most modules cost the host.
Anywhere else, as on a disk, Python imports as ever.
"""

from __future__ import annotations

import gc
import importlib.machinery
import sys
import types
import typing as t
import zipimport


class Archive:
    """Finds and loads the files below this package in an archive; see "Finders and loaders" in Python's reference for importing."""

    def __init__(self, archive: zipimport.zipimporter, package: str, folder: str) -> None:
        self._archive = archive
        self._package = package
        self._folder = folder
        self._found: dict[str, bytes] = {}

    def find_spec(
        self, name: str, _path: t.Sequence[str] | None = None, _target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not name.startswith(f"{self._package}."):
            return None
        place = f"{self._folder}/{name[len(self._package) + 1 :].replace('.', '/')}"
        is_package = not self._has(f"{place}.py")
        file = f"{place}/__init__.py" if is_package else f"{place}.py"
        if is_package and not self._has(file):
            return None
        spec = importlib.machinery.ModuleSpec(name, t.cast("t.Any", self), origin=file, is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [place]
        return spec

    def _has(self, file: str) -> bool:
        try:
            self._found[file] = self.get_data(file)
        except OSError:
            return False
        return True

    def create_module(self, _spec: importlib.machinery.ModuleSpec) -> None:
        """As Python does it."""

    def exec_module(self, module: types.ModuleType) -> None:
        file = t.cast("str", module.__file__)
        source = self._found.pop(file, None) or self.get_data(file)
        exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - what importing is

    def get_data(self, file: str) -> bytes:
        return self._archive.get_data(file)

    def get_source(self, name: str) -> str:
        """For tracebacks."""
        return self.get_data(t.cast("str", sys.modules[name].__file__)).decode("utf-8")


_loader = globals().get("__loader__")
if isinstance(_loader, zipimport.zipimporter):
    # The process ends with the module, and nothing in it makes reference cycles that are worth looking for again and again.
    gc.disable()
    sys.meta_path.insert(0, t.cast("t.Any", Archive(_loader, __name__, __file__.rpartition("/")[0])))
