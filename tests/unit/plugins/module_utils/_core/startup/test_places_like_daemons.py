# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where cron, at, anacron, cloud-init and libvirt have what they run at boot, and how their units are called, by their own files."""

from __future__ import annotations

import re

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read_runtime
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import guests, schedules, site_hooks
from ansible_collections.vfio.variants.tests.unit.sources import PROGRAMS

CLOUD = "cloud-init-25.1/usr/lib/python3/dist-packages/cloudinit"
UNITS = "lib/systemd/system/"


def text(path: str) -> str:
    """A manual page without its marks."""
    return re.sub(r"\\f[A-Z]|\\&|\\", "", PROGRAMS.text(path))


def units(*packages: str) -> set[str]:
    """The units that the packages have, by their files' names."""
    return {name.rpartition("/")[2] for name in PROGRAMS.texts if UNITS in name and name.startswith(packages)}


def lookups() -> dict[str, str]:
    """What cloud-init calls the files and folders of an instance."""
    found = re.findall(r'"(\w+)": "([^"]+)",', PROGRAMS.text(f"{CLOUD}/helpers.py", "self.lookups = {", "}"))
    return dict(found)


def test_cron_reads_these_tables_and_is_started_by_these_units() -> None:
    manual = text("cron-3.0/usr/share/man/man8/cron.8")
    assert all(place in manual for place in (schedules.TABLES[0], *schedules.SYSTEM_TABLES))
    assert units("cron-", "systemd-cron-") == {"cron.service", "cron.target"} <= set(schedules.CRON_UNITS)


def test_at_and_anacron_have_their_jobs_here() -> None:
    places = re.findall(r"/var/spool/cron/\w+", text("at-3.2/usr/share/man/man1/at.1"))
    assert set(places) == {schedules.JOBS[0], "/var/spool/cron/atspool"}
    assert schedules.ANACRON in re.findall(r"/etc/\w+", text("anacron-2.3/usr/share/man/man8/anacron.8"))


def test_cloud_init_s_units_are_known_by_name() -> None:
    assert units("cloud-init-") == set(site_hooks._CLOUD_UNITS)
    for path in (name for name in PROGRAMS.texts if name.endswith(("cloud-init-main.service", "cloud-init-network.service"))):
        (off,) = re.findall(r"^ConditionPathExists=!(\S+)$", PROGRAMS.text(path), re.MULTILINE)
        assert off == "/etc/cloud/cloud-init.disabled"


def test_the_files_of_a_cloud_instance_have_the_names_that_cloud_init_gives_them() -> None:
    (cloud,) = re.findall(r'"cloud_dir", "([^"]+)"', PROGRAMS.text(f"{CLOUD}/helpers.py"))
    (link,) = re.findall(r'self\.instance_link.*?"(\w+)"', PROGRAMS.text(f"{CLOUD}/helpers.py"))
    names = lookups()
    kept = [names[key] for key in ("cloud_config", "userdata_raw", "vendor_cloud_config", "vendor2_cloud_config")]
    assert [one for one in site_hooks.CLOUD if one.startswith("/var")] == [f"{cloud}/{link}/{name}" for name in kept]
    folders = [folder for folder, _units in site_hooks._FOLDERS if folder.startswith(cloud)]
    assert folders == [f"{cloud}/{names['scripts']}/per-boot", f"{cloud}/{link}/{names['boothooks']}"]
    assert site_hooks._ONCE_SCRIPTS[:2] == (f"{cloud}/{link}/{names['scripts']}", f"{cloud}/{link}/{names['vendor_scripts']}")
    assert f"{cloud}/{link}/{names['sem']}/config_{{0}}" == site_hooks._ONCE


@pytest.mark.parametrize(("module", "folder"), [("boot", "per-boot"), ("instance", "per-instance"), ("once", "per-once")])
def test_cloud_init_has_a_folder_of_scripts_for_each_frequency(module: str, folder: str) -> None:
    assert re.findall(r'^SCRIPT_SUBDIR = "([^"]+)"$', PROGRAMS.text(f"{CLOUD}/config/cc_scripts_per_{module}.py"), re.MULTILINE) == [folder]
    known = (*(one for one, _units in site_hooks._FOLDERS), *site_hooks._ONCE_SCRIPTS)
    assert f"/var/lib/cloud/scripts/{folder}" in known


def test_what_cloud_init_has_done_is_marked_by_the_name_of_its_module() -> None:
    (name,) = re.findall(r'run_name = f"([^"]+)"', PROGRAMS.text(f"{CLOUD}/config/modules.py"))
    assert 'return name.replace("-", "_")' in PROGRAMS.text(f"{CLOUD}/helpers.py", "def canon_sem_name", "\n\n\n")
    assert site_hooks._ONCE.rpartition("/")[2] == name.replace("{name}", "{0}").replace("-", "_")
    for module in ("runcmd", "scripts_user"):
        assert re.search(r'"frequency": PER_INSTANCE', PROGRAMS.text(f"{CLOUD}/config/cc_{module}.py"))


def test_hooks_of_the_boot_are_run_at_every_boot() -> None:
    hook = PROGRAMS.text(f"{CLOUD}/handlers/boot_hook.py")
    assert 'paths.get_ipath("boothooks")' in hook
    assert "PER_ALWAYS" in hook


def test_libvirt_has_its_hooks_and_what_it_starts_here() -> None:
    hook = "libvirt-9.0/src/util/virhook.c"
    (folder,) = re.findall(r'#define LIBVIRT_HOOK_DIR SYSCONFDIR "([^"]+)"', PROGRAMS.text(hook))
    drivers = PROGRAMS.quoted(hook, "VIR_ENUM_IMPL(virHookDriver,", ");")
    assert {"daemon", "qemu", "network"} <= set(drivers)
    known = {*guests.HOOKS, *(path for path, _units in (*site_hooks._FILES, *site_hooks._FOLDERS) if "libvirt" in path)}
    assert known == {f"/etc{folder}/{driver}{end}" for driver in ("daemon", "qemu", "network") for end in ("", ".d")}
    (autostart,) = re.findall(r'autostartDir = g_strdup_printf\("%s(/qemu/[^"]+)"', PROGRAMS.text("libvirt-9.0/src/qemu/qemu_conf.c"))
    assert guests.AUTOSTART == read_runtime.AUTOSTART == f"/etc/libvirt{autostart}"


def test_libvirt_s_daemons_have_these_units() -> None:
    made = {name.rpartition("/")[2][: -len(".in")] for name in PROGRAMS.texts if name.startswith("libvirt-") and name.endswith(".in")}
    assert made == {"libvirtd.service", "virtqemud.service", "virtnetworkd.service"}
    assert {f"{name}.service" for name in read_runtime.LIBVIRT_DAEMONS} < made
    named = {unit for path, found in (*site_hooks._FILES, *site_hooks._FOLDERS) if "libvirt" in path for unit in found}
    assert named == made
    assert {unit for unit in guests._LIBVIRT if unit.endswith(".service")} < made
