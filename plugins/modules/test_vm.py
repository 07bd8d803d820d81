#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation and options of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: test_vm
short_description: Run a virtual machine with emulated PCI functions
version_added: "0.1.0"
author: "The vfio.variants authors (@vfio-variants)"
description:
  - Runs an image of M(vfio.variants.test_image) in QEMU, with an IOMMU and with PCI functions of any identity.
  - The machine boots with its own boot loader and initramfs, so that a play's changes take effect at its next boot.
  - Its disk is a copy-on-write overlay; the image is not changed. It has no outbound network, and is reachable only by SSH
    through a port of the loopback interface.
  - Runs on the controller and does not require root. If the installed QEMU has no vfio-user client (10.1 and newer have one), a
    newer QEMU is unpacked into the cache with C(mmdebstrap); the system's packages are not changed.
  - KVM is used only if a stock kernel boots in it; the result of that test is cached until this machine reboots.
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.controller
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: partial
    details: O(state=restarted) reboots each time.
options:
  name:
    description: Name of the machine.
    type: str
    required: true
  state:
    description:
      - V(started) starts it, with its existing disk or a new one, and waits until it responds.
      - V(restarted) reboots the guest and waits until it responds again; starts it if it is not running.
      - V(stopped) shuts the guest down and keeps its disk.
      - V(absent) stops it and removes its disk and its logs.
    type: str
    choices: [started, stopped, restarted, absent]
    default: started
  image:
    description:
      - The path that M(vfio.variants.test_image) returned, or an image's key in the cache.
      - Required for O(state=started), and for O(state=restarted) unless the machine exists.
    type: str
  memory:
    description: Memory of the machine.
    type: str
    default: 2G
  cpus:
    description: Number of processors.
    type: int
    default: 2
  iommu:
    description: The emulated IOMMU.
    type: str
    choices: [intel, amd, none]
    default: intel
  firmware:
    description:
      - What starts the machine. V(uefi) and V(secure_boot) need an image with the same O(vfio.variants.test_image#module:firmware), which
        they start by shim and GRUB as Debian has signed them.
      - With V(secure_boot) Secure Boot is on with Microsoft's keys, so that Debian's kernel accepts only signed modules.
    type: str
    choices: [bios, uefi, secure_boot]
    default: bios
  enrolled:
    description:
      - Certificates on the controller, in PEM or DER, that are enrolled as the machine owner's keys (MOK) before it starts, as if they had
        been confirmed in shim's menu. Only with O(firmware=secure_boot).
      - The firmware's variables are made again when the list has changed; the machine has to be stopped for that.
    type: list
    elements: path
    default: []
  accelerator:
    description:
      - V(auto) is V(kvm) if a stock kernel boots in it, else V(tcg), which emulates the processor.
      - V(counted) emulates it by one thread, with a clock that counts instructions. What takes processor time in such a machine takes the
        same however busy the controller is, and every run is alike, so that it serves for measurements. It is slower.
    type: str
    choices: [auto, kvm, tcg, counted]
    default: auto
  functions:
    description: PCI functions of the machine.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Name of the function. Letters, digits and hyphens.
        type: str
        required: true
      preset:
        description:
          - A card by its name, with the IDs, class, subsystem and BARs of a real one, or several functions at once. The
            L(table, https://github.com/vfio-variants/vfio.variants/blob/main/docs/testbed.md) has what each is, and its sources.
          - V(two-v100) and V(connectx7-two-ports) are two functions, and their names end in V(-1) and V(-2), V(-port0) and V(-port1).
          - Instead of O(functions[].emulate), O(functions[].qemu) and O(functions[].options).
        type: str
        choices: [a100, connectx7, connectx7-two-ports, connectx7-vf, gh200, h100, mi300x, nvme, pm9a3, two-v100, v100]
      emulate:
        description:
          - A function that this collection emulates; each access to it is logged.
          - Requires O(functions[].emulate.profile), or O(functions[].emulate.vendor) and O(functions[].emulate.device). Other fields
            take the place of the profile's.
          - Numbers can be written as 4318 or as V("0x10de"), and sizes as 65536, V("0x10000"), V(64K), V(16M) or V(16G).
        type: dict
        suboptions:
          profile:
            description: A whole identity.
            type: str
            choices: [npu2, v100-sxm2-16gb, v100-sxm2-16gb-1df5, v100-sxm2-32gb, v100-sxm3-32gb]
          vendor:
            description: Vendor ID, a number from 0 to 0xfffe.
            type: raw
          device:
            description: Device ID, a number from 0 to 0xfffe.
            type: raw
          subsystem_vendor:
            description: Vendor ID of the subsystem, a number up to 0xffff; 0 without a profile.
            type: raw
          subsystem_device:
            description: Device ID of the subsystem, a number up to 0xffff; 0 without a profile.
            type: raw
          class_code:
            description: Class, subclass and programming interface, a number up to 0xffffff; 0xff0000 without a profile.
            type: raw
          revision:
            description: Revision, a number up to 0xff; 0 without a profile.
            type: raw
          bars:
            description: The base address registers; these alone, if it is given with a profile.
            type: list
            elements: dict
            suboptions:
              index:
                description: Its index, from 0 to 5; V(mem64) also takes the next one.
                type: raw
                required: true
              size:
                description: Its size in bytes, a power of two from 4 to 256 for V(io), 16 to 2G for V(mem32), 16 to 1024G for V(mem64).
                type: raw
                required: true
              kind:
                description: Memory below 4 GiB, memory anywhere, or I/O ports.
                type: str
                choices: [mem32, mem64, io]
                default: mem32
              prefetchable:
                description: Whether reads of it have no side effects; only for memory.
                type: bool
                default: false
          registers:
            description:
              - Values of 32-bit registers after each reset, a dictionary from a BAR's index to a dictionary from offset to value.
              - Added to those of the profile.
            type: dict
          capabilities:
            description:
              - The capabilities, a list of names, or a dictionary from the name to its options, V(true) or V(false). What is not named is
                not there. Without this option and a profile they are C(pm), C(msi) and C(pcie).
              - C(msi) has the option C(vectors) (1, 2, 4, 8, 16 or 32); C(msix) requires C(vectors) (1 to 2048), C(bar), and the offsets
                C(table) and C(pending) in it; C(dsn) requires C(serial), a number of 64 bits, and C(pcie).
            type: raw
          flr:
            description: Whether it has function level reset, which requires the capability C(pcie). V(false) without a profile.
            type: bool
          reset:
            description: Whether it can be reset in any way. V(true) without a profile.
            type: bool
          rom:
            description: Absolute path of the file with its option ROM, of 1 byte to 16 MiB, or V(none).
            type: path
          model:
            description: What answers behind its registers. V(gv100) requires a memory BAR 0 of at least 16M. V(none) is memory.
            type: str
            choices: [gv100, none]
      qemu:
        description: A device that QEMU emulates, such as V(e1000e), V(igb), V(nvme), V(edu) or V(bochs-display).
        type: str
      options:
        description:
          - Options of the device O(functions[].qemu).
          - C(sriov_max_vfs) of C(nvme) brings the NVM subsystem, queues and interrupts along that its virtual functions need.
        type: dict
      size:
        description:
          - Size of a disk, such as V(300M), that the device O(functions[].qemu) has, which has to be one for disks, such as
            C(virtio-blk-pci) or C(nvme).
          - It is empty at first, and lasts as long as the machine. With UEFI firmware and a C(bootindex) from 1 to 8 among the
            O(functions[].options) it is looked into before the partition that the image brings.
        type: str
      behind_root_port:
        description:
          - Whether it is behind its own PCI Express root port, or directly on the root bus.
          - A function on the root bus cannot be reset with a bus reset. Conventional PCI devices belong there.
        type: bool
        default: true
      slot:
        description: Functions with the same value are functions of one device.
        type: str
  arguments:
    description: Additional arguments for QEMU's command line.
    type: list
    elements: str
    default: []
  mirror:
    description: Address of the Debian archive that QEMU is taken from. The default is the one in this machine's apt configuration.
    type: str
  cache:
    description: Directory of the cache. The default is C($XDG_CACHE_HOME/vfio-variants), where C(XDG_CACHE_HOME) defaults to C(~/.cache).
    type: path
  timeout:
    description:
      - Time limit for a boot in seconds, from 1 to 86400, on an idle machine.
      - While this machine is overloaded the limit grows, up to six times.
    type: int
    default: 300
seealso:
  - module: vfio.variants.test_image
"""

EXAMPLES = r"""
- name: Start a machine with two emulated V100 and a network card
  vfio.variants.test_vm:
    name: gpu-host
    image: "{{ image.path }}"
    functions:
      - id: gpu0
        emulate: {profile: v100-sxm2-16gb}
      - id: gpu1
        emulate: {profile: v100-sxm2-16gb}
      - id: nic1
        qemu: e1000e
  register: machine

- name: Start a machine with an A100 and two identical cards
  vfio.variants.test_vm:
    name: three-cards
    image: "{{ image.path }}"
    functions:
      - id: gpu
        preset: a100
      - id: same
        preset: two-v100

- name: Add it to the inventory
  ansible.builtin.add_host:
    name: gpu-host
    ansible_host: "{{ machine.address }}"
    ansible_port: "{{ machine.port }}"
    ansible_user: "{{ machine.user }}"
    ansible_ssh_private_key_file: "{{ machine.identity_file }}"
    ansible_ssh_common_args: "{{ machine.ssh_args }}"

- name: Reboot it
  vfio.variants.test_vm:
    name: gpu-host
    state: restarted

- name: Remove it
  vfio.variants.test_vm:
    name: gpu-host
    state: absent
"""

RETURN = r"""
address:
  description: Address of the machine's SSH server.
  returned: when it runs
  type: str
  sample: 127.0.0.1
port:
  description: Port of the machine's SSH server.
  returned: when it runs
  type: int
  sample: 40123
user:
  description: User to log in as.
  returned: when it runs
  type: str
  sample: root
identity_file:
  description: Private key to log in with.
  returned: when it runs
  type: str
  sample: /root/.cache/vfio-variants/ssh/id_ed25519
ssh_args:
  description: Options for ssh that make it verify the machine's host key, for C(ansible_ssh_common_args).
  returned: when it runs
  type: str
  sample: -o UserKnownHostsFile=/root/.cache/vfio-variants/machines/gpu-host/known_hosts -o StrictHostKeyChecking=yes
ssh_command:
  description: The command to log in.
  returned: when it runs
  type: str
  sample: ssh -i /root/.cache/vfio-variants/ssh/id_ed25519 -p 40123 root@127.0.0.1
boot_id:
  description: The C(boot_id) of the current boot.
  returned: when it runs
  type: str
  sample: 3fa85f64-5717-4562-b3fc-2c963f66afa6
boot_seconds:
  description: How long that boot took.
  returned: when it runs
  type: float
  sample: 31.4
accelerator:
  description: QEMU's accelerator, V(kvm), V(tcg) or V(counted).
  returned: when it runs
  type: str
  sample: tcg
console:
  description: Path of the serial console's log.
  returned: when it runs
  type: str
  sample: /root/.cache/vfio-variants/machines/gpu-host/console.log
functions:
  description: The PCI functions.
  returned: when it runs
  type: list
  elements: dict
  contains:
    id:
      description: Name of the function.
      type: str
      sample: gpu0
    address:
      description: Its address in the guest.
      type: str
      sample: "0000:01:00.0"
    log:
      description: Path of the access log; only for functions that this collection emulates.
      type: str
      sample: /root/.cache/vfio-variants/machines/gpu-host/gpu0.log
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

# The names in plugin_utils, which a module cannot import.
PRESETS = ["a100", "connectx7", "connectx7-two-ports", "connectx7-vf", "gh200", "h100", "mi300x", "nvme", "pm9a3", "two-v100", "v100"]


def argument_spec() -> dict[str, t.Any]:
    return {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["started", "stopped", "restarted", "absent"], "default": "started"},
        "image": {"type": "str"},
        "memory": {"type": "str", "default": "2G"},
        "cpus": {"type": "int", "default": 2},
        "iommu": {"type": "str", "choices": ["intel", "amd", "none"], "default": "intel"},
        "firmware": {"type": "str", "choices": ["bios", "uefi", "secure_boot"], "default": "bios"},
        "enrolled": {"type": "list", "elements": "path", "default": [], "no_log": False},
        "accelerator": {"type": "str", "choices": ["auto", "kvm", "tcg", "counted"], "default": "auto"},
        "functions": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "id": {"type": "str", "required": True},
                "preset": {"type": "str", "choices": PRESETS},
                "emulate": {"type": "dict", "options": emulated_function_spec()},
                "qemu": {"type": "str"},
                "options": {"type": "dict"},
                "size": {"type": "str"},
                "behind_root_port": {"type": "bool", "default": True},
                "slot": {"type": "str"},
            },
        },
        "arguments": {"type": "list", "elements": "str", "default": []},
        "mirror": {"type": "str"},
        "cache": {"type": "path"},
        "timeout": {"type": "int", "default": 300},
    }


def emulated_function_spec() -> dict[str, t.Any]:
    """Without defaults: what is not given is the profile's."""
    numbers = ("vendor", "device", "subsystem_vendor", "subsystem_device", "class_code", "revision")
    memory_or_ports = {
        "index": {"type": "raw", "required": True},
        "size": {"type": "raw", "required": True},
        "kind": {"type": "str", "choices": ["mem32", "mem64", "io"], "default": "mem32"},
        "prefetchable": {"type": "bool", "default": False},
    }
    profiles = ["npu2", "v100-sxm2-16gb", "v100-sxm2-16gb-1df5", "v100-sxm2-32gb", "v100-sxm3-32gb"]
    return {
        "profile": {"type": "str", "choices": profiles},
        **{name: {"type": "raw"} for name in numbers},
        "bars": {"type": "list", "elements": "dict", "options": memory_or_ports},
        "registers": {"type": "dict"},
        "capabilities": {"type": "raw"},
        "flr": {"type": "bool"},
        "reset": {"type": "bool"},
        "rom": {"type": "path"},
        "model": {"type": "str", "choices": ["gv100", "none"]},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    module.fail_json(msg="test_vm runs on the controller. Use its full name, vfio.variants.test_vm, in a task.")


if __name__ == "__main__":
    main()
