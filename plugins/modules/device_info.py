#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: device_info
short_description: Return a host's PCI devices, their drivers, and the drivers they will be bound to after the next boot
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Returns one flat entry for each PCI function. It says what the function is, its driver now and after the next boot with the reason,
    its IOMMU group, its variant driver, and what is wrong with the policy for it. O(detail=full) returns all that is known, including
    the modules that could bind to it and the best variant driver that each installed kernel has for it.
  - Predicts for each installed kernel which driver each device will be bound to after that kernel has booted, with the facts that
    decide it, and which kernel boots next. If something that may matter cannot be determined, the result is V(unknown).
  - Reports contradictions and lines without effect in the host's C(modprobe.d), udev rules, C(modules-load.d), C(driverctl.d), and
    kernel command line, including those that this collection did not write.
  - Everything is read from files in C(/sys), C(/lib/modules), C(/boot), C(/etc) and similar; no module is loaded, and of
    devices at most the configuration space of bridges is read.
  - The contents of initramfs images and modules, and results, are cached in C(/var/cache/vfio-variants) while the files they
    depend on are unchanged. Deleting the cache costs only time; in check mode it is not written. For another O(root) the cache is
    on the machine that runs the module, never in the image.
  - O(detail=full) also returns the lines of C(modprobe.d) and the kernel's arguments that concern modules for the returned devices.
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.reads
options:
  devices:
    description:
      - The devices to return, in any of the forms of O(vfio.variants.device_claim#module:devices). The default is all of them.
      - B(Write addresses in quotes.) YAML reads an unquoted V(0000:03:00.1) as the number 180.1.
    type: raw
  detail:
    description:
      - V(brief) returns one flat entry for each device, for people and for conditions on a driver.
      - V(full) returns the same fields and all others, about each kernel, each device's modules, and the C(modprobe.d) lines about them.
      - V(line) returns RV(summary) alone, so that an ad-hoc command prints one line for each host. It is the default where
        C(ansible) has its option C(--one-line).
    type: str
    choices: [line, brief, full]
    default: brief
  allow_missing:
    description:
      - Whether it is not an error if O(devices), or one of its selectors, matches nothing; RV(devices) is an empty list then.
    type: bool
    default: true
  root:
    description:
      - The root of the host to examine, such as a mounted image.
      - An image has no C(/sys) and thus no devices; without O(hardware), RV(devices) is empty and only RV(next_boot) and
        RV(policy_warnings) have content, and with O(detail=full) RV(kernels) and all of RV(modprobe).
    type: path
    default: /
  hardware:
    description:
      - The devices that O(root) is for, each as in RV(devices) of a host that has them, with O(detail=full); only C(modalias) is
        required.
      - They are used in place of those in C(/sys), to get a forecast for a disk image that is being built, or, with
        O(root=/), for a card that is not installed yet.
      - A device without C(address) is assigned one in the PCI domain V(ffff). The IDs are taken from C(modalias); if they are
        given too, they must agree.
    type: list
    elements: dict
  forecast:
    description:
      - Whether to predict the drivers after a boot. Without it, the boot loader's files and the initramfs images are not read.
    type: bool
    default: true
  assumes:
    description:
      - Whether to say, for each forecast, what it takes for granted, in RV(devices[].next_boot.assumes); O(detail=full) shows it.
    type: bool
    default: false
notes:
  - Does not require root, but without root privileges an initramfs, a boot loader's configuration, or a policy that only root can
    read is unknown.
seealso:
  - module: vfio.variants.claim_info
  - module: vfio.variants.device_claim
  - module: vfio.variants.boot_policy
  - plugin: vfio.variants.select_devices
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Examine every display controller
  vfio.variants.device_info:
    devices: "class:03"
  register: info

- name: Show the cards that are bound to nouveau and have a variant driver
  ansible.builtin.debug:
    msg: "{{ info.devices | vfio.variants.select_devices(on_nouveau) }}"
  vars:
    on_nouveau: "[?driver=='nouveau' && variant_driver].address"

- name: Show the devices that will be bound to another driver after the next boot
  ansible.builtin.debug:
    msg: "{{ info.devices | vfio.variants.select_devices(changing) }}"
  vars:
    changing: "[?certainty=='certain' && next_driver!=driver].[address, driver, next_driver, because]"

- name: Show the devices whose driver after the next boot depends on timing or cannot be determined
  ansible.builtin.debug:
    msg: "{{ info.devices | vfio.variants.select_devices(doubtful) }}"
  vars:
    doubtful: "[?certainty!='certain'].[address, certainty, because]"

- name: Get everything about one card, for every installed kernel
  vfio.variants.device_info:
    devices: "0000:3b:00.0"
    detail: full

- name: Get the whole host in one line
  vfio.variants.device_info:
    detail: line

- name: Show which kernel a disk image boots
  vfio.variants.device_info:
    root: /mnt/image

- name: Predict which driver a card will be bound to on a disk image that is being built
  vfio.variants.device_info:
    root: /mnt/image
    hardware:
      - modalias: pci:v000010DEd00001DB1sv000010DEsd00001212bc03sc02i00
"""

RETURN = r"""
devices:
  description:
    - The devices, by address.
    - Fields that are not there have no value in this answer; what a device does not have is V(null) or an empty list.
    - Vendor, device, subsystem, class and revision are hexadecimal digits without a prefix, as in selectors.
  returned: with another O(detail) than V(line)
  type: list
  elements: dict
  contains:
    address:
      description: The function's address.
      type: str
      sample: "0000:3b:00.0"
    id:
      description: Vendor and device.
      type: str
      sample: "10de:1db1"
    name:
      description: Vendor and device in words, from the host's C(pci.ids); V(null) if the host has none or it does not have the device.
      type: str
      sample: NVIDIA Corporation GV100GL [Tesla V100 SXM2 16GB]
    next_driver:
      description:
        - The driver that the device will be bound to after the next boot; V(null) if none. With RV(devices[].certainty=race) the likelier
          one.
        - V(null) also with RV(devices[].certainty=unknown).
      returned: with O(forecast)
      type: str
      sample: nouveau
    certainty:
      description:
        - V(certain) if there is only one possible outcome, V(race) if it depends on the timing of concurrent programs, V(unknown) if
          something that may matter cannot be determined.
      returned: with O(forecast)
      type: str
      sample: certain
    because:
      description:
        - The fact that decides the driver after the next boot, with its file and line; with RV(devices[].certainty=race) each
          outcome with its fact, with RV(devices[].certainty=unknown) what cannot be determined.
        - RV(devices[].next_boot.because) has all of them.
      returned: with O(forecast)
      type: str
      sample: "modules.alias in /boot/initrd.img-6.12.107+deb13-amd64: pci:v000010DEd*sv*sd*bc03sc*i* nouveau"
    missing_variants:
      description: A sentence for each of Linux's own variants for the device that a kernel here lacks, with the option that builds it.
      returned: if there is one
      type: list
      elements: str
      sample: ["mlx5_vfio_pci serves 15b3:101e; kernel 6.12.117+deb13-amd64 does not have it; `vfio_drivers_variants: [mlx5]` builds it"]
    variant_driver:
      description: The best variant driver that the running kernel has for the device, by its name; V(null) if it has none.
      type: str
      sample: nvlink2gpu_vfio_pci
    vendor: {description: "The vendor, four digits.", returned: with O(detail=full), type: str}
    device: {description: "The device, four digits.", returned: with O(detail=full), type: str}
    subsystem_vendor: {description: "The subsystem's vendor, four digits.", returned: with O(detail=full), type: str}
    subsystem_device: {description: "The subsystem's device, four digits.", returned: with O(detail=full), type: str}
    class:
      description: Base class, subclass and programming interface, six digits.
      returned: with O(detail=full)
      type: str
    revision:
      description: The revision, two digits.
      returned: with O(detail=full)
      type: str
    modalias:
      description: The alias by which udev loads drivers for the device.
      returned: with O(detail=full)
      type: str
    bridge:
      description: Whether this is a host, PCI or CardBus bridge, which does not affect the viability of an IOMMU group.
      returned: with O(detail=full)
      type: bool
    boot_vga:
      description: Whether the firmware used this device as the boot display.
      returned: with O(detail=full)
      type: bool
    numa_node:
      description: The NUMA node; V(null) if the firmware does not report it.
      returned: with O(detail=full)
      type: int
    parent:
      description: The address of the bridge that the device is directly below; V(null) if it is on a root bus.
      returned: with O(detail=full)
      type: str
    physical_function:
      description: For a virtual function, the address of its physical function; else V(null).
      returned: with O(detail=full)
      type: str
    virtual_functions:
      description: The addresses of a physical function's virtual functions.
      returned: with O(detail=full)
      type: list
      elements: str
    max_virtual_functions:
      description: The number of virtual functions that the device supports.
      returned: with O(detail=full)
      type: int
    driver:
      description: The driver that the device is bound to now; V(null) if it is not bound.
      type: str
      sample: nouveau
    driver_override:
      description: The only driver that the kernel can bind to the device; V(null) if it is not restricted.
      returned: with O(detail=full)
      type: str
    iommu_group:
      description: The number of the IOMMU group; V(null) if there is no IOMMU.
      type: int
      sample: 15
    group_because:
      description: Who else is in the IOMMU group, and which bridge has no ACS. C(pcie_acs_override) would only claim that they are apart.
      returned: with O(detail=full)
      type: str
    group_devices:
      description: The addresses of all functions in the group, including this one.
      returned: with O(detail=full)
      type: list
      elements: str
    nodes:
      description: The interfaces and device nodes of the device.
      returned: with O(detail=full)
      type: list
      elements: str
    vfio_nodes:
      description: Those of VFIO, each with C(path), C(owner), C(group) and C(mode), without O(hardware).
      returned: with O(detail=full)
      type: list
      elements: dict
    handed_out:
      description:
        - Whether VFIO offers the device to guests now, by a VFIO driver, or, as with virtual functions of NVIDIA's vGPU, by the card's own.
      returned: with O(detail=full)
      type: bool
    variant:
      description:
        - The best variant driver that the running kernel has for the device; V(null) if it has none.
        - C(vfio_pci), which takes any device, is not a variant.
      returned: with O(detail=full)
      type: dict
      contains:
        module:
          description: The module's name, with underscores.
          type: str
        driver:
          description:
            - The name of the driver, for O(vfio.variants.device_claim#module:driver) and C(driver_override).
            - Read from the kernel if the module is loaded, else from its file; if that is impossible, the module's name.
          type: str
        alias:
          description: The C(vfio_pci:) alias that matches the device.
          type: str
        wildcards:
          description: The number of fields, of seven, that the alias does not fix. The fewer, the better the match.
          type: int
    contenders:
      description:
        - The modules of the running kernel that could bind to the device, native drivers in udev's order, then VFIO drivers, best first.
      returned: with O(detail=full)
      type: list
      elements: dict
      contains:
        module:
          description: The module's name, with underscores.
          type: str
        kind:
          description:
            - V(native) for a module that udev loads for the device, V(variant) for a VFIO driver for certain devices, V(generic) for
              C(vfio_pci).
          type: str
        alias:
          description: The alias that matches the device.
          type: str
        source:
          description: The file that has the alias, with the line if it is in C(modprobe.d).
          type: str
        loaded:
          description: Whether the module is loaded or built in.
          type: bool
        built_in:
          description: Whether it is built into the kernel.
          type: bool
        blacklisted_by:
          description: The files and lines that blacklist the module, which keeps udev from loading it.
          type: list
          elements: str
    kernels:
      description:
        - By release, the drivers that each installed kernel has for the device, and the driver that it will be bound to after a boot.
        - Each has the fields of RV(devices[].next_boot) except C(release) and C(reason); without O(forecast) only C(natives),
          C(variants), and C(variant).
      returned: with O(detail=full)
      type: dict
    next_boot:
      description: The same for the kernel that boots by default.
      returned: with O(forecast) and O(detail=full)
      type: dict
      contains:
        release:
          description: The kernel's release; V(null) if it cannot be determined which one boots next.
          type: str
        reason:
          description: Why this kernel boots next, or why that cannot be determined.
          type: str
        natives:
          description: The modules that udev would load for the device, in udev's order.
          type: list
          elements: str
        variants:
          description: The modules of variant drivers for the device, best first.
          type: list
          elements: str
        variant:
          description: The best of them.
          type: str
        winner:
          description:
            - The driver that the device will be bound to; V(null) if none. With the certainty V(race) the likelier one.
            - V(null) also with the certainty V(unknown), where RV(devices[].next_boot.outcomes) has the possible drivers.
          type: str
        certainty:
          description:
            - V(certain) if there is only one possible outcome.
            - V(race) if it depends on the timing of concurrent programs; RV(devices[].next_boot.outcomes) has the possible outcomes.
            - V(unknown) if something that may matter cannot be determined; RV(devices[].next_boot.because) says what.
          type: str
        stage:
          description:
            - When the device is bound, one of V(kernel), V(initramfs), V(root), V(runtime).
            - V(null) if it is not bound, or if that cannot be determined.
          type: str
        because:
          description: The facts that decide the outcome, each prefixed with its source.
          type: list
          elements: str
          sample:
            - "modules.alias in /boot/initrd.img-6.12.107+deb13-amd64: pci:v000010DEd*sv*sd*bc03sc*i* nouveau"
            - "/boot/initrd.img-6.12.107+deb13-amd64: contains nouveau"
        outcomes:
          description:
            - All possible drivers, including V(null) if the device may remain unbound.
            - With the certainty V(unknown), V(another driver) stands for one that cannot be named.
          type: list
          elements: str
        assumes:
          description: What the forecast takes for granted.
          returned: with O(assumes)
          type: list
          elements: str
        claimed:
          description:
            - The driver that the host's policy assigns to the device, by C(driverctl), else by the last udev rule that sets its
              C(driver_override), else by an C(ids=) parameter; V(null) if no policy is about the device.
          type: str
        would_change:
          description: The smallest change that makes the claimed driver win; V(null) if it is certain to win, or no change is known.
          type: str
    warnings:
      description: Contradictions and lines without effect in the policy about this device, each with file and line.
      returned: with O(forecast)
      type: list
      elements: str
      sample:
        - "/etc/modprobe.d/gpu.conf:1 blacklists vfio_pci, but the policy assigns 0000:3b:00.0 to it: udev and systemd-modules-load will not
          load it. Remove that line."
iommu:
  description:
    - Whether the running kernel has one, the firmware describes one, interrupts are remapped, and VFIO does without that
      (C(allow_unsafe_interrupts)) or without an IOMMU (C(enable_unsafe_noiommu_mode)), so that a guest can reach the host. Null if unknown.
    - Whether interrupts are remapped shows on a PC, and on an Arm with an ITS.
  returned: with O(detail=full)
  type: dict
kernels:
  description: The installed kernels, oldest first.
  returned: with O(detail=full)
  type: list
  elements: dict
  contains:
    release: {description: The kernel's release., type: str}
    running: {description: Whether it is the running kernel., type: bool}
    headers: {description: Whether its headers are installed., type: bool}
    headers_package: {description: The package with its headers on this distribution; null where its name is not known., type: str}
old_in_use:
  description: VFIO drivers of which the running kernel has loaded another version than is installed. A warning says so too.
  returned: if there are any
  type: list
  elements: str
summary:
  description:
    - How many functions there are, and by which drivers; those first that change it, or of which that is not certain.
    - Identical cards with the same answer stand together; of many only the first two addresses are named.
  returned: with O(detail=line)
  type: str
  sample: "8 functions, next boot 6.12.107+deb13-amd64: 10de:1db1 at 0000:3b:00.0 nouveau -> vfio-pci; unchanged: nvme 6, nouveau 1"
next_boot:
  description: The kernel that boots by default.
  returned: with O(forecast), unless O(detail=line)
  type: dict
  contains:
    release: {description: Its release; V(null) if it cannot be determined., type: str, sample: 6.12.107+deb13-amd64}
    reason:
      description: Why this kernel boots next, or why that is not known.
      type: str
      sample: /boot/grub/grub.cfg default="0", 'Debian GNU/Linux'
policy_warnings:
  description: Contradictions and lines without effect in the host's policy that are not about one of its devices, each with file and line.
  returned: with O(forecast)
  type: list
  elements: str
  sample: ["/etc/modprobe.d/gpu.conf:3: `blacklist nouveua` names the module nouveua, which no installed kernel has. Did you mean nouveau?"]
modprobe:
  description:
    - The directives of C(modprobe.d) and the kernel's command line about modules for the returned devices, or soft dependencies on one,
      in kmod's order. For a root without devices, those about all modules with PCI drivers.
  returned: with O(detail=full)
  type: list
  elements: dict
  contains:
    command: {description: The directive., type: str}
    module: {description: "The module that it applies to, with underscores.", type: str}
    arguments: {description: The directive's other words., type: list, elements: str}
    source: {description: File and line., type: str}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.host.module_call import readable_options
from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.hardware import parse as parse_hardware
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import parse as parse_selectors
from ansible_collections.vfio.variants.plugins.module_utils._core.report.device_facts import DeviceReportRequest, gather
from ansible_collections.vfio.variants.plugins.module_utils._core.report.summary import Detail

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "devices": {"type": "raw"},
    "allow_missing": {"type": "bool", "default": True},
    "root": {"type": "path", "default": "/"},
    "hardware": {"type": "list", "elements": "dict"},
    "forecast": {"type": "bool", "default": True},
    "assumes": {"type": "bool", "default": False},
    "detail": {"type": "str", "choices": [*t.get_args(Detail)], "default": "brief"},
}


def request(options: t.Mapping[str, t.Any]) -> DeviceReportRequest:
    return DeviceReportRequest(
        selectors=None if options["devices"] is None else parse_selectors(options["devices"]),
        allow_missing=options["allow_missing"],
        hardware=None if options["hardware"] is None else parse_hardware(options["hardware"]),
        forecast=options["forecast"],
        assumes=options["assumes"],
        detail=options["detail"],
    )


def main() -> None:
    with readable_options(ARGUMENTS):
        module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, lambda host: gather(host, request(module.params), module.check_mode), module.params["root"])


if __name__ == "__main__":
    main()
