# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where what boots is made of the generator's image, a copy or a unified kernel image, both are built again, and both or none are new."""

from __future__ import annotations

import sys
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.boot_menus import bzimage, efi_variable
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.image_machine import Machine
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13

if t.TYPE_CHECKING:
    from pathlib import Path

MACHINE = "0123456789abcdef0123456789abcdef"
UNIFIED = f"/boot/efi/EFI/Linux/{MACHINE}-{DEBIAN_13}.efi"
COUNTED = f"/boot/efi/EFI/Linux/{MACHINE}-{DEBIAN_13}+3.efi"
COPY = f"/boot/efi/{MACHINE}/{DEBIAN_13}/initrd.img-{DEBIAN_13}"
# In turn as 55-initrd.install, 90-loaderentry.install, 60-ukify.install and 90-uki-copy.install of systemd 257 do it.
KERNEL_INSTALL = """\
echo "$@" >> $R/told
[ "$1" = add ] || exit 9
[ -e $R/refuse ] && exit 1
initrd=${4:-$R/boot/initrd.img-$2}
[ -e $R/dracut-plugin ] && initrd=$R/to-build
folder=$R/boot/efi/MACHINE/$2
if [ -d $folder ]; then
  for target in $folder/initrd.img-$2; do
    install -m 0644 $initrd $target || exit 1
  done
else
  target=$R/boot/efi/EFI/Linux/MACHINE-$2
  counter=
  if [ -e $R/etc/kernel/tries ]; then
    counter=+$(cat $R/etc/kernel/tries)
    rm -f $target.efi $target+*.efi
  fi
  exec PYTHON $R/unify.py $initrd $target$counter.efi $2
fi
"""
UNIFY = """\
import pathlib, sys
sys.path[:0] = {path!r}
from ansible_collections.vfio.variants.tests.unit.boot_menus import unified_image
initrd, target, release = sys.argv[1:]
sections = [(".osrel", b"ID=debian\\nPRETTY_NAME=Debian\\n"), (".cmdline", b"root=/dev/vda2 ro"), (".uname", release.encode())]
pathlib.Path(target).write_bytes(unified_image([*sections, (".linux", b"MZ"), (".initrd", pathlib.Path(initrd).read_bytes())]))
"""
ENTRY = f"""\
version {DEBIAN_13}
options root=/dev/vda2 ro
linux /{MACHINE}/{DEBIAN_13}/linux
initrd /{MACHINE}/{DEBIAN_13}/initrd.img-{DEBIAN_13}
"""


class MadeMachine(Machine):
    """A Debian that systemd-boot starts, with kernel-install; its hook for initramfs-tools is that of Debian's package systemd-boot."""

    def __init__(self, root: Path, generator: str = "initramfs-tools", hook: bool = True) -> None:
        super().__init__(root, generator)
        tree = self.has_policy().tree
        tree.directory("/sys/firmware/efi").cmdline("root=/dev/vda2 ro").file("/etc/machine-id", f"{MACHINE}\n")
        tree.file("/etc/os-release", "ID=debian\n").file(f"/boot/vmlinuz-{DEBIAN_13}", bzimage(DEBIAN_13))
        efi_variable(tree, "LoaderInfo", "systemd-boot 257.13")
        tree.file("/boot/efi/loader/loader.conf", "timeout 3\n").directory("/boot/efi/EFI/Linux").file(
            "/unify.py", UNIFY.format(path=sys.path)
        )
        script = KERNEL_INSTALL.replace("MACHINE", MACHINE).replace("PYTHON", sys.executable)
        tree.file("/usr/bin/kernel-install", f"#!/bin/sh\nR={tree.root}\n{script}", 0o755)
        if hook:
            tree.file("/etc/initramfs/post-update.d/systemd-boot", "", 0o755)
            call = f"exec kernel-install add ${{1#--arg=}} {tree.root}/boot/vmlinuz ${{2#--arg=}}"
            tree.file("/usr/bin/run-parts", f"#!/bin/sh\nset -- $1 --arg={tree.root}${{2#--arg=}}\n{call}\n", 0o755)

    def boots_unified(self, content: bytes) -> MadeMachine:
        self.has_image(content)
        self.make()
        return self

    def boots_copy(self, content: bytes) -> MadeMachine:
        tree = self.has_image(content).tree
        tree.file(f"/boot/efi/{MACHINE}/{DEBIAN_13}/linux", bzimage(DEBIAN_13))
        tree.file(f"/boot/efi/loader/entries/{MACHINE}-{DEBIAN_13}.conf", ENTRY)
        self.make()
        return self

    def make(self) -> None:
        """A kernel's package does the same."""
        self.tree.host(self.commands).run(["kernel-install", "add", DEBIAN_13, "x"], 60)
        self.tree.place("/told").unlink()

    def held(self, path: str) -> bytes:
        """What the file holds of an image: all of it, or the last part of a unified kernel image."""
        found = self.tree.place(path).read_bytes()
        return found[found.index(b"MZ", 2) + 2 :] if found.startswith(b"MZ") else found

    @property
    def unified(self) -> list[str]:
        return sorted(f"/boot/efi/EFI/Linux/{path.name}" for path in self.tree.place(UNIFIED).parent.iterdir())

    @property
    def told(self) -> list[str]:
        place = self.tree.place("/told")
        return place.read_text().splitlines() if place.exists() else []


def machine_that_boots(root: Path, made: str, content: bytes, **options: t.Any) -> MadeMachine:
    machine = MadeMachine(root, **options)
    return machine.boots_unified(content) if made == UNIFIED else machine.boots_copy(content)


@pytest.fixture(params=[UNIFIED, COPY])
def made(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("hook", [True, False])
def test_the_generators_image_and_what_is_made_of_it_are_built_again(tmp_path: Path, made: str, hook: bool) -> None:
    machine = MadeMachine(tmp_path, hook=hook)
    machine = machine_that_boots(tmp_path, made, machine.content(rules=None), hook=hook)
    machine.will_build(machine.content())
    predicted = machine.sync(check_mode=True).result()
    done = machine.sync().result()

    assert done == predicted
    assert (done["kernels"][DEBIAN_13]["image"], done["kernels"][DEBIAN_13]["rebuilt"]) == (made, True)
    assert machine.booted == machine.held(made) == machine.content()
    assert len(machine.told) == 1
    assert not machine.sync().result()["changed"]


def test_an_image_that_only_its_source_lacks_is_made_again_lest_the_next_kernel_package_brings_it_back(tmp_path: Path, made: str) -> None:
    machine = MadeMachine(tmp_path)
    machine = machine_that_boots(tmp_path, made, machine.content())
    machine.has_image(machine.content(rules=None)).will_build(machine.content())

    assert machine.sync().plans[0].reasons == (f"It matches, but {machine.image}, of which it is made, does not.",)
    assert machine.booted == machine.held(made) == machine.content()


@pytest.mark.parametrize("hook", [True, False])
def test_both_are_as_before_when_what_boots_cannot_be_made(tmp_path: Path, made: str, hook: bool) -> None:
    machine = MadeMachine(tmp_path, hook=hook)
    old = machine.content(rules=None)
    machine = machine_that_boots(tmp_path, made, old, hook=hook)
    machine.will_build(machine.content()).tree.file("/refuse")

    with pytest.raises(HostError, match="run-parts" if hook else "kernel-install"):
        machine.sync()
    assert machine.booted == machine.held(made) == old


def test_what_was_made_of_something_else_is_an_error_and_made_of_the_image_before(tmp_path: Path) -> None:
    machine = MadeMachine(tmp_path)
    old = machine.content(rules=None)
    machine.boots_unified(old).will_build(machine.content())
    machine.tree.file("/usr/bin/kernel-install", "#!/bin/sh\nexit 0\n", 0o755)

    with pytest.raises(HostError, match=r"which boots, does not match the policy after .* /etc/udev/rules\.d/70-gpus\.rules is not in it"):
        machine.sync()
    assert machine.booted == machine.held(UNIFIED) == old


def test_where_kernel_install_calls_the_generator_itself_it_alone_is_run(tmp_path: Path) -> None:
    machine = MadeMachine(tmp_path, "dracut")
    machine.boots_unified(machine.content(rules=None)).will_build(machine.content())
    machine.tree.place(machine.image).unlink()
    machine.tree.file("/dracut-plugin")
    machine.sync()

    assert machine.held(UNIFIED) == machine.content()
    assert machine.told == [f"add {DEBIAN_13} /boot/vmlinuz-{DEBIAN_13}"]
    assert not machine.tree.place(machine.image).exists()


def test_a_unified_image_that_it_makes_wrong_comes_back(tmp_path: Path) -> None:
    machine = MadeMachine(tmp_path, "dracut")
    old = machine.content(rules=None)
    machine.boots_unified(old).will_build(machine.content(options=None))
    machine.tree.place(machine.image).unlink()
    machine.tree.file("/dracut-plugin")

    with pytest.raises(HostError, match=r"/etc/modprobe\.d/gpus\.conf is not in it"):
        machine.sync()
    assert machine.held(UNIFIED) == old
    assert machine.unified == [UNIFIED]


@pytest.mark.parametrize("hook", [True, False])
def test_where_boots_are_counted_the_image_of_another_name_is_read_back(tmp_path: Path, hook: bool) -> None:
    machine = MadeMachine(tmp_path, hook=hook)
    machine.boots_unified(machine.content(rules=None)).will_build(machine.content())
    machine.tree.file("/etc/kernel/tries", "3\n")

    assert machine.sync().result()["changed"]
    assert machine.unified == [COUNTED]
    assert machine.booted == machine.held(COUNTED) == machine.content()
    assert len(machine.told) == 1
    assert not machine.sync().result()["changed"]


def test_where_boots_are_counted_a_wrong_image_goes_and_the_one_before_comes_back(tmp_path: Path) -> None:
    machine = MadeMachine(tmp_path, "dracut")
    old = machine.content(rules=None)
    machine.boots_unified(old).will_build(machine.content(options=None))
    machine.tree.place(machine.image).unlink()
    machine.tree.file("/dracut-plugin").file("/etc/kernel/tries", "3\n")

    with pytest.raises(HostError, match=r"/etc/modprobe\.d/gpus\.conf is not in it"):
        machine.sync()
    assert machine.held(UNIFIED) == old
    assert machine.unified == [UNIFIED]


def test_a_unified_image_of_another_maker_is_refused(tmp_path: Path) -> None:
    machine = MadeMachine(tmp_path)
    machine.boots_unified(machine.content(rules=None))
    machine.tree.place(UNIFIED).rename(machine.tree.place("/boot/efi/EFI/Linux/own.efi"))

    with pytest.raises(HostError, match=r"own\.efi is a unified kernel image whose initramfs does not match the policy"):
        machine.sync(check_mode=True)


def test_copies_of_another_program_are_left_to_its_hook(tmp_path: Path) -> None:
    """Proxmox VE's, where its partition is mounted."""
    machine = MadeMachine(tmp_path, hook=False)
    old = machine.content(rules=None)
    machine.boots_copy(old).will_build(machine.content())
    folder = "/boot/efi/EFI/proxmox"
    machine.tree.directory(folder)
    machine.tree.place(f"/boot/efi/{MACHINE}/{DEBIAN_13}").rename(machine.tree.place(f"{folder}/{DEBIAN_13}"))
    entry = machine.tree.place(f"/boot/efi/loader/entries/{MACHINE}-{DEBIAN_13}.conf")
    entry.write_text(entry.read_text().replace(f"/{MACHINE}/", "/EFI/proxmox/"))

    with pytest.raises(HostError, match=r"which boots, does not match the policy after .* is not in it"):
        machine.sync()
    assert machine.told == []
    assert machine.booted == machine.held(f"{folder}/{DEBIAN_13}/initrd.img-{DEBIAN_13}") == old
