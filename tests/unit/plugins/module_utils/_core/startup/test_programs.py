# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program may do to drivers, and to which devices that is limited."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import EVENT_DEVICE
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.actors import UNBOUNDED
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.programs import LARGEST, ProgramAnalysis, judge
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, E1000E, NVIDIA_DISPLAY, Tree

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence

CARD, SAME, NIC = "0000:3b:00.0", "0000:5e:00.0", "0000:02:00.0"
PROGRAM, SOURCE = "/usr/local/sbin/site", "/etc/rc.local:3"
ELF = b"\x7fELF\x02\x01\x01\0"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    modules = {"e1000e": [E1000E], "nouveau": [NVIDIA_DISPLAY], "vfio-pci": [ANY_VFIO], "dm-multipath": [], "pci-stub": []}
    return Tree(tmp_path).kernel(DEBIAN_13, modules, running=True).pci(CARD).pci(SAME).pci(NIC, "8086:10d3", class_code=0x020000)


def judged(tree: Tree, command: str = PROGRAM, environment: t.Mapping[str, str] | None = None) -> tuple[Influence, ...]:
    host = tree.host()
    return judge(host, command, SOURCE, Kernel.read(host, DEBIAN_13), Inventory.read(host), environment)


def of_script(tree: Tree, *lines: str, command: str = PROGRAM, first: str = "#!/bin/sh") -> tuple[Influence, ...]:
    return judged(tree.file(PROGRAM, "\n".join((first, *lines, "")), 0o755), command)


@pytest.mark.parametrize(
    "line",
    [
        "true",
        "# echo > /sys/bus/pci/drivers_probe",
        "cat /sys/bus/pci/devices/0000:3b:00.0/driver_override",
        "[ -e /sys/bus/pci/devices/0000:3b:00.0/driver/unbind ] && exit 0",
        "modprobe dm-multipath",
        "modprobe -n nouveau",
        "modprobe there-is-no-such-module",
        "echo mq-deadline > /sys/block/sda/queue/scheduler",
        'for f in /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor; do echo performance > "$f"; done',
        'LOG=/var/log/site; date >> "$LOG"',
        'TEMPORARY=$(mktemp); echo a > "$TEMPORARY"; ls /sys/class/net',
        "driverctl list-devices",
        "dpdk-devbind.py --status",
        "virsh list",
        "echo 1 > /sys/class/net/eth0/bonding/$1",
        "eval set -- $(getopt -o h -- a) # /sys/",
    ],
)
def test_a_script_that_does_nothing_to_drivers_is_inert(tree: Tree, line: str) -> None:
    assert of_script(tree, line) == ()


@pytest.mark.parametrize(
    ("line", "act"),
    [
        (f"echo vfio-pci > /sys/bus/pci/devices/{CARD}/driver_override", "override"),
        (f"echo {CARD} > /sys/bus/pci/drivers/nouveau/unbind", "unbind"),
        (f"echo {CARD} | tee /sys/bus/pci/drivers/vfio-pci/bind", "bind"),
        (f"printf '%s' {CARD} > /sys/bus/pci/drivers_probe", "bind"),
        (f"echo 1 > /sys/bus/pci/devices/{CARD}/remove", "remove"),
        (f"echo 1 >/sys/bus/pci/devices/{CARD}/reset", "remove"),
        (f"echo 1 >/sys/bus/pci/devices/{CARD}/reset_subordinate", "remove"),
        (f"echo 4 > /sys/bus/pci/devices/{CARD}/sriov_numvfs", "create"),
        (f"driverctl --nosave set-override {CARD} vfio-pci", "override"),
        (f"dpdk-devbind.py -b vfio-pci {CARD}", "bind"),
        ("virsh nodedev-detach pci_0000_3b_00_0", "unbind"),
        (f"setpci -s {CARD} COMMAND=0", "remove"),
        (f"C={CARD}; A=driver_override; echo vfio-pci > /sys/bus/pci/devices/$C/$A", "override"),
        (f"D=/sys/bus/pci/devices/{CARD}; F=$D/driver/unbind; echo {CARD} > $F", "unbind"),
    ],
)
def test_what_a_script_does_to_the_card_that_it_names_touches_no_other(tree: Tree, line: str, act: str) -> None:
    (influence,) = of_script(tree, line)
    assert act in influence.acts
    assert influence.addresses == frozenset({CARD}) or (influence.addresses == frozenset({CARD, SAME}) and "new_id" in influence.acts)
    assert str(influence).startswith(f"{SOURCE} runs {PROGRAM}:2, which ")


def test_a_rescan_is_of_whatever_was_removed(tree: Tree) -> None:
    (influence,) = of_script(tree, f"lspci -s {CARD}", "echo 1 > /sys/bus/pci/rescan")
    assert (influence.acts, influence.addresses) == (frozenset({"rescan"}), None)
    removed, found = of_script(tree, f"echo 1 > /sys/bus/pci/devices/{CARD}/remove", "echo 1 > /sys/bus/pci/rescan")[::-1]
    assert (removed.acts, removed.addresses, found.acts) == (frozenset({"remove"}), frozenset({CARD}), frozenset({"rescan"}))


@pytest.mark.parametrize(
    "lines",
    [
        ("for d in /sys/bus/pci/devices/*; do echo vfio-pci > $d/driver_override; done",),
        ("for d in $(lspci -Dn | cut -d' ' -f1); do echo $d > /sys/bus/pci/drivers/nouveau/unbind; done", f"# {CARD}"),
        ("while read d; do echo vfio-pci > /sys/bus/pci/devices/$d/driver_override; done < /etc/cards", f": {CARD}"),
        (f"g=$(readlink /sys/bus/pci/devices/{CARD}/iommu_group)", "for d in $g/devices/*; do echo $d > /sys/bus/pci/drivers_probe; done"),
        ("echo 0 > /sys/bus/pci/drivers_autoprobe",),
        ("echo 0 > /sys/bus/pci/slots/1-2/power",),
        (f"eval $(cat /etc/site) # {CARD}", "ls /sys/bus/pci"),
        ("curl https://example.org/setup | sh",),
        ("echo $1 > /sys/bus/pci/devices/$2/driver_override",),
    ],
)
def test_what_finds_its_devices_while_it_runs_is_not_bounded(tree: Tree, lines: tuple[str, ...]) -> None:
    found = of_script(tree, *lines)
    assert [influence.addresses for influence in found] == [None]


def test_an_id_that_is_added_concerns_every_card_that_has_it(tree: Tree) -> None:
    (influence,) = of_script(tree, "echo 10de 1db1 > /sys/bus/pci/drivers/vfio-pci/new_id")
    assert (influence.addresses, influence.drivers) == (frozenset({CARD, SAME}), frozenset({"vfio-pci"}))
    lines = (f"v=$(cat /sys/bus/pci/devices/{NIC}/vendor)", f"d=$(cat /sys/bus/pci/devices/{NIC}/device)")
    (influence,) = of_script(tree, *lines, "echo $v $d > /sys/bus/pci/drivers/vfio-pci/new_id")
    assert influence.addresses == frozenset({NIC})


def test_the_arguments_of_a_function_bound_what_it_does(tree: Tree) -> None:
    (influence,) = of_script(tree, "give() {", "  echo $2 > /sys/bus/pci/devices/$1/driver_override", "}", f"give {CARD} vfio-pci")
    assert (influence.addresses, influence.drivers) == (frozenset({CARD}), frozenset({"vfio-pci"}))


def test_the_arguments_of_a_command_bound_what_its_script_does(tree: Tree) -> None:
    (influence,) = of_script(tree, 'echo vfio-pci > "/sys/bus/pci/devices/$1/driver_override"', command=f"{PROGRAM} {CARD}")
    assert influence.addresses == frozenset({CARD})


def test_the_device_of_an_event_is_the_callers_to_name(tree: Tree) -> None:
    (influence,) = of_script(tree, "echo vfio-pci > /sys/bus/pci/devices/$1/driver_override", command=f"{PROGRAM} %k")
    assert influence.addresses == frozenset({EVENT_DEVICE})


def test_a_module_that_is_loaded_is_the_only_one(tree: Tree) -> None:
    (influence,) = of_script(tree, "modprobe -q vfio-pci || true")
    assert (influence.acts, influence.modules) == (frozenset({"load"}), frozenset({"vfio_pci"}))


def test_a_module_that_is_removed_is_the_only_one(tree: Tree) -> None:
    (influence,) = of_script(tree, "modprobe -r dm-multipath nouveau")
    assert (influence.acts, influence.modules) == (frozenset({"refuse"}), frozenset({"nouveau"}))


def test_the_name_of_a_module_can_be_an_alias_or_have_a_command(tree: Tree) -> None:
    tree.file("/etc/modprobe.d/site.conf", "alias card nouveau\ninstall other /bin/sh -c 'modprobe nouveau'\n")
    assert of_script(tree, "modprobe card")[0].modules == frozenset({"nouveau"})
    assert of_script(tree, "modprobe other")[0].modules == frozenset({"other"})


def test_a_module_that_only_running_shows_can_be_any(tree: Tree) -> None:
    (influence,) = of_script(tree, "modprobe $(cat /etc/site-module)")
    assert (influence.acts, influence.modules) == (frozenset({"load"}), None)


def test_ids_given_to_modprobe_are_as_good_as_new_id(tree: Tree) -> None:
    with_ids = of_script(tree, "modprobe vfio-pci ids=10de:1db1")[-1]
    assert (with_ids.acts, with_ids.addresses, with_ids.drivers) == (
        frozenset({"new_id"}),
        frozenset({CARD, SAME}),
        frozenset({"vfio-pci"}),
    )


def test_a_list_of_python_is_a_command(tree: Tree) -> None:
    found = of_script(tree, 'subprocess.run(["modprobe", "-q", "nouveau"])', first="#!/usr/bin/python3")
    assert found[0].modules == frozenset({"nouveau"})


def test_python_that_names_its_card_is_bounded_and_python_that_lists_them_is_not(tree: Tree) -> None:
    line = 'open("/sys/bus/pci/devices/0000:3b:00.0/driver_override", "w").write("vfio-pci")'
    assert of_script(tree, line, first="#!/usr/bin/env python3")[0].addresses == frozenset({CARD})
    assert of_script(tree, "import os; os.listdir('/sys/bus/pci/devices')", line, first="#!/usr/bin/env python3")[0].addresses is None


# -- what it runs in turn


@pytest.mark.parametrize(
    "line", ["/opt/site/second a", "exec /opt/site/second", ". /opt/site/second", "sh /opt/site/second", "$HERE/second"]
)
def test_a_script_that_a_script_runs_is_read_too(tree: Tree, line: str) -> None:
    tree.file("/opt/site/second", f"#!/bin/sh\necho {CARD} > /sys/bus/pci/drivers/nouveau/unbind\n", 0o755)
    (influence,) = of_script(tree, "HERE=/opt/site", line)
    assert "/opt/site/second:2" in influence.fact


def test_a_command_of_the_path_is_found(tree: Tree) -> None:
    tree.file("/usr/local/bin/give-card", f"#!/bin/sh\necho {CARD} > /sys/bus/pci/drivers/nouveau/unbind\n", 0o755)
    assert len(of_script(tree, "if true; then give-card; fi")) == 1


def test_a_program_beside_the_script_is_found(tree: Tree) -> None:
    tree.file("/usr/local/sbin/lib.sh", "free() { echo 1 > /sys/bus/pci/rescan; }\n")
    assert len(of_script(tree, '. "$(dirname "$0")/lib.sh"', "free")) == 1


def test_scripts_that_run_each_other_end(tree: Tree) -> None:
    tree.file("/opt/a", "#!/bin/sh\n/opt/b\n", 0o755).file("/opt/b", "#!/bin/sh\n/opt/a\n", 0o755)
    assert of_script(tree, "/opt/a") == ()


def test_a_program_that_is_not_there_does_nothing(tree: Tree) -> None:
    assert judged(tree, "/opt/gone --now") == ()


def test_a_script_that_is_too_large_may_do_anything(tree: Tree) -> None:
    tree.file(PROGRAM, "#!/bin/sh\n" + "#" * LARGEST, 0o755)
    assert judged(tree)[0].acts == UNBOUNDED


def test_a_directory_or_fifo_is_not_waited_for(tree: Tree) -> None:
    import os

    tree.directory("/opt/folder")
    os.mkfifo(tree.place("/opt/fifo"))
    assert of_script(tree, "/opt/folder", ". /opt/fifo") == ()


# -- compiled programs and packages


def owned(tree: Tree, path: str, content: bytes) -> Tree:
    import hashlib

    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return tree.file(path, content, 0o755).file("/var/lib/dpkg/info/site.md5sums", f"{digest}  {path[1:]}\n")


def test_a_compiled_program_of_no_package_may_do_anything(tree: Tree) -> None:
    owned(tree, "/usr/bin/true", ELF).file(PROGRAM, ELF, 0o755)
    (influence,) = judged(tree)
    assert (influence.acts, influence.addresses) == (UNBOUNDED, None)
    assert "belongs to no package" in influence.fact


def test_a_compiled_program_as_its_package_brought_it_does_nothing(tree: Tree) -> None:
    assert judged(owned(tree, "/usr/sbin/daemon", ELF), "/usr/sbin/daemon -D") == ()


def test_a_compiled_program_that_was_changed_may_do_anything(tree: Tree) -> None:
    owned(tree, "/usr/sbin/daemon", ELF).file("/usr/sbin/daemon", ELF + b"x", 0o755)
    assert "not as its package brought it" in judged(tree, "/usr/sbin/daemon")[0].fact


def test_a_packages_script_is_not_judged_by_its_text(tree: Tree) -> None:
    text = f"#!/bin/sh\necho {CARD} > /sys/bus/pci/drivers/nouveau/unbind\n".encode()
    assert judged(owned(tree, "/usr/libexec/tool", text), "/usr/libexec/tool") == ()
    assert len(judged(tree.file("/usr/libexec/tool", text + b"\n", 0o755), "/usr/libexec/tool")) == 1


def test_a_merged_and_a_split_usr_are_the_same(tree: Tree) -> None:
    tree.link("/sbin", "/usr/sbin")
    assert judged(owned(tree, "/usr/sbin/daemon", ELF), "/sbin/daemon") == ()


@pytest.mark.parametrize(("path", "count"), [("/usr/sbin/daemon", 0), ("/opt/daemon", 1), ("/usr/local/bin/daemon", 1)])
def test_without_a_database_the_place_decides_about_a_compiled_program(tree: Tree, path: str, count: int) -> None:
    assert len(judged(tree.file(path, ELF, 0o755), path)) == count


def test_without_a_database_a_compiled_program_that_names_attributes_may_do_anything(tree: Tree) -> None:
    assert len(judged(tree.file("/usr/sbin/daemon", ELF + b"\0driver_override\0", 0o755), "/usr/sbin/daemon")) == 1


# -- programs that are known


def test_kubelet_is_an_agent_that_is_not_bounded(tree: Tree) -> None:
    (influence,) = judged(owned(tree, "/usr/bin/kubelet", ELF), "/usr/bin/kubelet")
    assert influence.addresses is None


def test_spdk_takes_the_controllers_that_it_is_told_or_all(tree: Tree) -> None:
    tree.pci("0000:04:00.0", "144d:a80a", class_code=0x010802).pci("0000:05:00.0", "144d:a80a", class_code=0x010802)
    tree.file("/opt/spdk/scripts/setup.sh", "#!/bin/bash\n# PCI_ALLOWED\n", 0o755)
    assert judged(tree, "/opt/spdk/scripts/setup.sh")[0].addresses == frozenset({"0000:04:00.0", "0000:05:00.0"})
    (influence,) = judged(tree, "/usr/bin/env PCI_ALLOWED=0000:04:00.0 /opt/spdk/scripts/setup.sh")
    assert influence.addresses == frozenset({"0000:04:00.0"})


@pytest.mark.parametrize("module", ["nvidia", "nvidia-current"])
def test_nvidias_programs_load_nvidia_only(tmp_path: Path, module: str) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {module: [NVIDIA_DISPLAY]}, running=True).pci(CARD)
    (influence,) = judged(owned(tree, "/usr/bin/nvidia-persistenced", ELF), "/usr/bin/nvidia-persistenced --verbose")
    assert (influence.acts, influence.modules) == (
        frozenset({"load"}),
        frozenset({"nvidia", "nvidia_modeset", "nvidia_uvm"}),
    )
    assert influence.by_modprobe


# -- variables of a service


def test_a_variable_that_a_service_does_not_set_is_empty(tree: Tree) -> None:
    assert judged(tree, "/bin/sh -c '[ -z $module ] || modprobe $module'", {}) == ()
    assert judged(tree, "/bin/sh -c '[ -z $module ] || modprobe $module'", {"module": "nouveau"})[0].modules == frozenset({"nouveau"})
    assert judged(tree, "/bin/sh -c 'modprobe $module'")[0].modules is None


def test_a_doubled_dollar_is_the_shells(tree: Tree) -> None:
    command = f"/bin/sh -c 'for d in {CARD}; do echo $$d > /sys/bus/pci/drivers/nouveau/unbind; done'"
    assert judged(tree, command, {})[0].addresses == frozenset({CARD})


TAKES = f"modprobe vfio-pci; echo vfio-pci > /sys/bus/pci/devices/{CARD}/driver_override"


@pytest.mark.parametrize("reads", ['eval "$$WHAT"', 'eval \\"$$WHAT\\"', "eval $${WHAT}; true", "/bin/sh -c $$WHAT", 'bash -e -c "$$WHAT"'])
def test_a_script_in_a_units_variable_is_read_where_a_shell_evaluates_it(tree: Tree, reads: str) -> None:
    found = judged(tree, f'/bin/sh -c "{reads}"', {"WHAT": TAKES})
    assert {(act, one.addresses, one.drivers) for one in found for act in one.acts if act == "override"} == {
        ("override", frozenset({CARD}), frozenset({"vfio-pci"}))
    }
    assert any("load" in one.acts and one.modules == frozenset({"vfio_pci"}) for one in found)


def test_a_scripts_own_variable_is_read_where_it_is_evaluated(tree: Tree) -> None:
    (found,) = of_script(tree, f"WHAT='echo 1 > /sys/bus/pci/devices/{CARD}/remove'", 'eval "$WHAT"')
    assert (found.acts, found.addresses) == (frozenset({"remove"}), frozenset({CARD}))


@pytest.mark.parametrize("value", ["$(cat /etc/site.conf)", "$TOOL nouveau", "true; $TOOL nouveau # /sys/bus/pci"])
def test_what_is_evaluated_and_not_written_down_may_do_anything(tree: Tree, value: str) -> None:
    found = of_script(tree, "read TOOL < /etc/site", "# /sys/bus/pci", "ls /sys/bus/pci", f"WHAT='{value}'", 'eval "$WHAT"')
    assert [one.addresses for one in found] == [None]


def test_a_variable_of_a_unit_that_nothing_evaluates_is_inert(tree: Tree) -> None:
    assert judged(tree, '/bin/sh -c "echo $$WHAT"', {"WHAT": TAKES}) == ()


@pytest.mark.parametrize(
    "line",
    ["echo 1 >/proc/sys/kernel/modules_disabled", "sysctl -w kernel.modules_disabled=1", "/sbin/sysctl -q kernel/modules_disabled = 1"],
)
def test_a_script_that_forbids_to_load_modules_touches_every_device(tree: Tree, line: str) -> None:
    (found,) = of_script(tree, line)
    assert (found.acts, found.addresses) == (frozenset({"lock"}), None)


@pytest.mark.parametrize(
    "line", ["cat /proc/sys/kernel/modules_disabled", "sysctl kernel.modules_disabled", "sysctl -w kernel.modules_disabled=0"]
)
def test_a_script_that_asks_whether_modules_can_be_loaded_is_inert(tree: Tree, line: str) -> None:
    assert of_script(tree, line) == ()


OF_CARDS = '[ "$(cat "$d/vendor")" = 0x10de ] && [ "$(cat "$d/device")" = 0x1db1 ]'
TAKING = ('  echo vfio-pci > "$d/driver_override"', '  basename "$d" > /sys/bus/pci/drivers_probe')


@pytest.mark.parametrize(
    "lines",
    [
        (f"  {OF_CARDS} || continue", *TAKING),
        ('  [ $(cat ${d}/vendor) == "0x10de" ] || continue', "  [[ $(<$d/class) = 0x030200 ]] || continue", *TAKING),
        (f"  if {OF_CARDS}; then", *TAKING, "  fi"),
    ],
)
def test_a_loop_that_goes_on_for_some_ids_touches_the_devices_that_have_them(tree: Tree, lines: tuple[str, ...]) -> None:
    (found,) = of_script(tree, "for d in /sys/bus/pci/devices/*; do", *lines, "done")
    assert (found.addresses, found.drivers) == (frozenset({CARD, SAME}), frozenset({"vfio-pci"}))


def test_a_loop_for_ids_that_no_device_has_touches_none(tree: Tree) -> None:
    guard = '  [ "$(cat "$d/vendor")" = 0x1002 ] || continue'
    (found,) = of_script(tree, "for d in /sys/bus/pci/devices/*; do", guard, *TAKING, "done")
    assert found.addresses == frozenset()


@pytest.mark.parametrize(
    "lines",
    [
        (*TAKING, f"  {OF_CARDS} || continue"),
        ('  [ "$(cat "$e/vendor")" = 0x10de ] || continue', *TAKING),
        (f"  if {OF_CARDS}; then", "    true", "  else", *TAKING, "  fi"),
        (f"  {OF_CARDS} || continue", "  d=/sys/bus/pci/devices/$OTHER", *TAKING),
        ('  [ "$(cat "$d/vendor")" != 0x10de ] || continue', *TAKING),
    ],
)
def test_a_loop_with_another_condition_is_not_bounded(tree: Tree, lines: tuple[str, ...]) -> None:
    (found,) = of_script(tree, "for d in /sys/bus/pci/devices/*; do", *lines, "done")
    assert found.addresses is None


def of_rule(tree: Tree, *lines: str, command: str = PROGRAM) -> tuple[Influence, ...]:
    host = tree.file(PROGRAM, "\n".join(("#!/bin/sh", *lines, "")), 0o755).host()
    return ProgramAnalysis(host, Kernel.read(host, DEBIAN_13), Inventory.read(host)).of_event(command, SOURCE)


@pytest.mark.parametrize("name", ["%k", "$kernel", "$name"])
def test_a_script_that_ends_for_other_devices_of_events_touches_the_one_that_it_names(tree: Tree, name: str) -> None:
    lines = (f'[ "$1" = {CARD} ] || exit 1', "echo vfio-pci >/sys/bus/pci/devices/$1/driver_override")
    (found,) = of_rule(tree, *lines, command=f"{PROGRAM} {name}")
    assert found.addresses == frozenset({CARD})
    (found,) = of_rule(tree, lines[1], lines[0], command=f"{PROGRAM} {name}")
    assert found.addresses == frozenset({CARD, EVENT_DEVICE})


@pytest.mark.parametrize("path", ["$DEVPATH", "/bus/pci/devices/$PCI_SLOT_NAME", "/bus/pci/devices/${PCI_SLOT_NAME}"])
def test_a_script_knows_the_device_of_the_event_by_its_variables(tree: Tree, path: str) -> None:
    (found,) = of_rule(tree, f'echo vfio-pci >"/sys{path}/driver_override"')
    assert found.addresses == frozenset({EVENT_DEVICE})


def test_the_device_above_that_of_an_event_is_not_known(tree: Tree) -> None:
    (found,) = of_rule(tree, 'echo 1 >"/sys$(dirname $DEVPATH)/remove"')
    assert found.addresses is None


@pytest.mark.parametrize(
    "line",
    [
        "kexec -l /boot/vmlinuz --reuse-cmdline && systemctl kexec",
        "systemctl soft-reboot",
        "ansible-pull -U https://example.org/site -i localhost,",
        "ansible-playbook /opt/site/gpu.yml",
        "docker run --rm --privileged site/gpu",
        "podman run -v /sys:/sys site/gpu",
        "docker run --cap-add SYS_ADMIN site/gpu",
        "cp /opt/site/gpu.rules /run/udev/rules.d/",
        "echo blacklist nouveau > /etc/modprobe.d/site.conf",
    ],
)
def test_what_hands_over_to_something_that_is_not_read_may_do_anything(tree: Tree, line: str) -> None:
    (influence,) = of_script(tree, line)
    assert {"unbind", "override", "remove"} <= influence.acts
    assert influence.addresses is None


@pytest.mark.parametrize("line", ["docker run --rm site/web", "systemctl restart web", "cat /run/udev/rules.d/1.rules", "cp /etc/a /etc/b"])
def test_what_resembles_it_is_inert(tree: Tree, line: str) -> None:
    assert of_script(tree, line) == ()


@pytest.mark.parametrize(
    ("line", "act"),
    [
        (f"echo {CARD} > /sys/bus/pci/dri*/nouveau/unbin?", "unbind"),
        (f"echo 1 > /sys/bus/pci/devices/{CARD}/rem*", "remove"),
        (f"echo 0 > /sys/bus/pci/devices/{CARD}/dri*/u*d", "unbind"),
    ],
)
def test_an_attribute_that_a_pattern_stands_for_is_written(tree: Tree, line: str, act: str) -> None:
    (influence,) = of_script(tree, line)
    assert act in influence.acts


def test_a_command_that_no_shell_is_given_may_do_anything(tree: Tree) -> None:
    (influence,) = judged(tree, "/bin/true " + "a;" * 100_000)
    assert (influence.source, influence.fact, influence.acts) == (SOURCE, "runs a command of more than 128 KiB", UNBOUNDED)


def test_a_program_is_looked_up_once_however_often_it_is_named(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = Host.is_file

    def is_file(host: Host, path: str) -> bool:
        asked.append(path)
        return real(host, path)

    monkeypatch.setattr(Host, "is_file", is_file)
    of_script(tree, "abc | " * 500)
    assert len([path for path in asked if path.endswith("/abc")]) < 50
