#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation and options of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rehearse
short_description: Boot a host's own kernel, initramfs and root in a virtual machine, and see which driver each PCI device is offered to
version_added: "0.1.0"
author: "The vfio.variants authors (@vfio-variants)"
description:
  - Fetches what a host's boot is made of, without secrets, and boots it on the controller in a machine that has emulated PCI functions
    with the host's identities at the host's addresses. The host itself is not changed and not rebooted.
  - The kernel says to which driver it offers each function, and which program made it do so. A probe of an emulated function fails
    that would succeed on the card, so that the offer counts and not the binding.
  - Fails if a device is offered to another driver than it is claimed for, or than the forecast is certain of. What the forecast calls
    unknown, such as what a site's own program does, is shown.
  - C(docs/rehearsal.md) says what leaves the host, what a rehearsal costs, and what it cannot show.
  - Requires root on the controller, the Debian package C(e2fsprogs), and the requirements of M(vfio.variants.test_vm) for QEMU.
  - On one machine O(forks) rehearsals run at a time. The others wait.
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.controller
attributes:
  check_mode:
    support: full
    details: In check mode it does the same, because it changes nothing.
  diff_mode:
    support: N/A
    details: It changes nothing.
  idempotent:
    support: full
options:
  claims:
    description:
      - Claims as in O(vfio.variants.boot_policy#module:claims), whose policy is planned. The files that M(vfio.variants.boot_policy)
        would write are laid over the host's, in the root and in the initramfs.
      - Without claims the host boots as it is, and the claims are those of its own policy.
    type: list
    elements: dict
    default: []
  strategy:
    description: How the drivers of O(claims) win at boot.
    type: str
    choices: [override, ids, blacklist]
    default: override
  group:
    description: What to do with unclaimed devices in the IOMMU group of a claimed device.
    type: str
    choices: [claim, ignore]
    default: claim
  kernels:
    description: The kernels to boot, V(next) for the one that boots by default, V(all), or releases.
    type: list
    elements: str
    default: [next]
  repeat:
    description: How often to boot each kernel, from 1 to 20. Programs that race may come to another end each time.
    type: int
    default: 1
  hold:
    description: How many seconds after the end of the boot to wait for what starts later, from 1 to 3600.
    type: int
    default: 20
  require:
    description:
      - With V(agreement) the module fails if a device is offered to another driver than it is claimed for, or than the forecast is
        certain of.
      - With V(rehearsed) also if a claimed device could not be rehearsed; V(nothing) only shows.
    type: str
    choices: [agreement, rehearsed, nothing]
    default: agreement
  root:
    description: The root of the host, such as a mounted image. O(hardware) then describes the devices of the machines that it is for.
    type: path
    default: /
  hardware:
    description:
      - The devices in place of those in C(/sys), each as in RV(vfio.variants.device_info#module:devices) of a host that has them, with
        O(vfio.variants.device_info#module:detail=full); only C(modalias) is required.
      - A device with C(address) is at that address in the machine as far as it can be; others are somewhere.
    type: list
    elements: dict
  size_limit:
    description: The most that the host's files may have together, such as V(4G). More is an error.
    type: str
    default: 4G
  exclude:
    description: Files and directories of the host to leave out.
    type: list
    elements: path
    default: []
  memory:
    description: Memory of the machine.
    type: str
    default: 2G
  cpus:
    description: Processors of the machine, from 1 to 64.
    type: int
    default: 2
  forks:
    description:
      - How many machines may run at a time on this controller, from 1 to 64, when several hosts are rehearsed. Each host's kernels and
        repeats come one after the other.
      - Together they have O(memory) that many times, and 20 MiB for each function, and 1 GiB stays free; more than the controller has is
        refused.
    type: int
    default: 1
  part:
    description:
      - V(all) fetches the host's files and boots them on the controller.
      - To boot them on another host, V(collect) fetches them, and V(boot), in a task that is delegated to that host, sends them there and
        boots them. That host needs root, Python 3.11 or newer and what M(vfio.variants.test_vm) requires; it uses its own O(cache), and
        O(forks) counts there.
      - What V(collect) has fetched stays on the controller, for root alone, until V(boot) has ended.
    type: str
    choices: [all, collect, boot]
    default: all
  accelerator:
    description: V(auto) for KVM where it works, else emulation.
    type: str
    choices: [auto, kvm, tcg]
    default: auto
  keep:
    description:
      - Whether to keep the machine's disk, its console and report, and all files of the host on the controller, for root alone.
      - Otherwise only files that packages bring, below C(/usr), are kept, so that they need not be sent again.
    type: bool
    default: false
  mirror:
    description: Address of a Debian archive for QEMU. The default is the archive in this machine's apt configuration.
    type: str
  cache:
    description: Directory of the cache. The default is C($XDG_CACHE_HOME/vfio-variants), where C(XDG_CACHE_HOME) defaults to C(~/.cache).
    type: path
  timeout:
    description: Time limit of each boot in seconds, from 1 to 86400. On a busy controller it is stretched.
    type: int
    default: 900
seealso:
  - module: vfio.variants.device_info
  - module: vfio.variants.rehearsal_files
"""

EXAMPLES = r"""
- name: Boot the host as it is before it reboots
  vfio.variants.rehearse:

- name: Boot it with a policy that is not written yet, three times
  vfio.variants.rehearse:
    claims:
      - devices: "10de:1db1"
        driver: vfio-pci
    repeat: 3

- name: Fetch what the host's boot is made of
  vfio.variants.rehearse:
    part: collect

- name: Boot it on a machine with KVM
  vfio.variants.rehearse:
    part: boot
  delegate_to: virtualisation1

- name: Boot a mounted image with the devices of the machines that it is for
  vfio.variants.rehearse:
    root: /mnt/image
    hardware:
      - address: "0000:3b:00.0"
        modalias: pci:v000010DEd00001DB1sv000010DEsd00001212bc03sc02i00
    claims:
      - devices: "10de:1db1"
        driver: vfio-pci
"""

RETURN = r"""
kernels:
  description: The kernels that were booted.
  returned: unless the host could not be asked or no machine ran
  type: list
  elements: dict
  contains:
    release:
      description: The kernel's release.
      type: str
      sample: 6.12.107+deb13-amd64
    boots:
      description: How often it was booted.
      type: int
      sample: 1
    boot_seconds:
      description: Seconds from the start of the kernel to its report, of each boot.
      type: list
      elements: float
      sample: [61.2]
    refused:
      description: What the kernel said about modules that it would not load.
      type: list
      elements: str
      sample: []
    devices:
      description: The devices, by address.
      type: list
      elements: dict
      contains:
        address:
          description: The function's address.
          type: str
          sample: "0000:3b:00.0"
        machine_address:
          description:
            - The function's address in the machine. It is another one for a function in another PCI domain, and for one whose place the
              machine needs for itself; RV(different) says why. V(null) if it was not rehearsed.
            - What names the address on the host does not act on it there. So a row with another address never fails the task.
          type: str
          sample: "0000:3b:00.0"
        claimed:
          description: The driver that it is claimed for; V(null) if there is no claim.
          type: str
          sample: vfio-pci
        predicted:
          description: The driver that the forecast names; V(null) if none, or with a policy that is only planned.
          type: str
          sample: vfio-pci
        certainty:
          description: The forecast's certainty, as in RV(vfio.variants.device_info#module:devices[].certainty).
          type: str
          sample: certain
        result:
          description:
            - V(agrees) if every boot did as the forecast is certain of, V(differs) if one did not.
            - V(shown) if the forecast is not certain, so that only the rehearsal says something.
            - V(varies) if the boots had several outcomes, or if a program asked for another driver of a device whose first probe has failed
              in the machine. On the host it may have unbound it first. So it is if the forecast is not certain because of a program that
              has acted on the device here, and may come earlier or later beside udev; and if the forecast is certain of another owner
              because of a rule for udev's event C(bind) or C(unbind), which does not come where the probe fails.
            - V(not rehearsed) if the machine cannot have the function, or what may act on it was not collected.
          type: str
          sample: agrees
        rehearsed:
          description: The driver that would own it at the end, in most of the boots; V(null) if none.
          type: str
          sample: vfio-pci
        outcomes:
          description: Each driver, and in how many boots it would own the device, or may do so.
          type: list
          elements: dict
          contains:
            driver:
              description: The driver; V(null) if none.
              type: str
              sample: vfio-pci
            boots:
              description: The number of boots.
              type: int
              sample: 1
        first_offer:
          description: The driver that it was offered to first.
          returned: if it was rehearsed
          type: str
          sample: vfio-pci
        program:
          description: The program that caused the deciding offer, as the kernel names it.
          returned: if it was rehearsed
          type: str
          sample: (udev-worker)
        stage:
          description: When, one of V(kernel), V(initramfs), V(root).
          returned: if it was rehearsed
          type: str
          sample: initramfs
        decided_by:
          description: The line of the kernel's trace that decided.
          returned: if it was rehearsed
          type: str
        later_offers:
          description: Other drivers that it was offered to.
          returned: if it was rehearsed
          type: list
          elements: str
          sample: []
        driver_override:
          description:
            - The only driver that the kernel could bind to it when the deciding offer was made; V(null) if it was not restricted.
            - That of the end if it was offered to none, or if the kernel does not say when it was set, as those before Linux 5.19 do not.
          returned: if it was rehearsed
          type: str
        why:
          description: The result in a sentence.
          type: str
        stops:
          description: Whether this fails with O(require=agreement).
          type: bool
          sample: false
different:
  description: In what the rehearsed boot was not the host's.
  returned: if a machine ran
  type: list
  elements: str
seconds:
  description: How long all of it took.
  returned: if a machine ran
  type: float
  sample: 95.1
sent_bytes:
  description: How many bytes the host has sent.
  returned: if a machine ran
  type: int
  sample: 81231223
files:
  description: How many files, directories and links the host's boot is made of.
  returned: if a machine ran
  type: int
  sample: 14321
folder:
  description: Where the disk, the console and the report are.
  returned: with O(keep=true)
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule


def argument_spec() -> dict[str, t.Any]:
    return {
        "claims": {"type": "list", "elements": "dict", "default": []},
        "strategy": {"type": "str", "choices": ["override", "ids", "blacklist"], "default": "override"},
        "group": {"type": "str", "choices": ["claim", "ignore"], "default": "claim"},
        "kernels": {"type": "list", "elements": "str", "default": ["next"]},
        "repeat": {"type": "int", "default": 1},
        "hold": {"type": "int", "default": 20},
        "require": {"type": "str", "choices": ["agreement", "rehearsed", "nothing"], "default": "agreement"},
        "root": {"type": "path", "default": "/"},
        "hardware": {"type": "list", "elements": "dict"},
        "size_limit": {"type": "str", "default": "4G"},
        "exclude": {"type": "list", "elements": "path", "default": []},
        "memory": {"type": "str", "default": "2G"},
        "cpus": {"type": "int", "default": 2},
        "forks": {"type": "int", "default": 1},
        "part": {"type": "str", "choices": ["all", "collect", "boot"], "default": "all"},
        "accelerator": {"type": "str", "choices": ["auto", "kvm", "tcg"], "default": "auto"},
        "keep": {"type": "bool", "default": False},
        "mirror": {"type": "str"},
        "cache": {"type": "path"},
        "timeout": {"type": "int", "default": 900},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    module.fail_json(msg="rehearse runs on the controller. Use its full name, vfio.variants.rehearse, in a task.")


if __name__ == "__main__":
    main()
