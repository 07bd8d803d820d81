# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to a root is what is mounted there, whatever numbers its devices have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

#: An overlay of two file systems with another one in it: files of its layers have the numbers of these, folders the overlay's own.
LAYERS = """
set -e
mkdir "$1/lower" "$1/upper" "$1/root"
mount -t tmpfs tmpfs "$1/lower"
mount -t tmpfs tmpfs "$1/upper"
mkdir -p "$1/lower/etc/inner" "$1/upper/files" "$1/upper/work"
echo lower >"$1/lower/etc/below"
mount -t overlay overlay -o "userxattr,lowerdir=$1/lower,upperdir=$1/upper/files,workdir=$1/upper/work" "$1/root"
echo upper >"$1/root/etc/above"
mount -t tmpfs tmpfs "$1/root/etc/inner"
echo other >"$1/root/etc/inner/other"
exec "$2" -c "$3" "$1/root"
"""
LIST = """
import json, os, sys
from ansible_collections.vfio.variants.plugins.module_utils._core.host.tree_archive import TreeList
listed = TreeList(sys.argv[1], lambda path, is_folder: True, lambda path, content: content, 1 << 30)
listed.add_tree("/etc")
devices = {os.lstat(sys.argv[1] + path).st_dev for path in listed.entries}
print(json.dumps([sorted(listed.entries), [[one.path, one.why] for one in listed.left_out], len(devices)]))
"""


def test_an_overlay_is_one_file_system_and_what_is_mounted_in_it_another_one(tmp_path: Path) -> None:
    words = ("unshare", "--map-root-user", "--mount", "sh", "-c", LAYERS, "layers", str(tmp_path), sys.executable, LIST)
    found = subprocess.run(words, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, stdout=subprocess.PIPE, check=True)
    entries, left_out, devices = json.loads(found.stdout)
    assert devices > 1
    assert entries == ["/etc", "/etc/above", "/etc/below"]
    assert left_out == [["/etc/inner", "another file system is mounted there"]]
