#!/usr/bin/python
# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: device_info
short_description: Tell which PCI devices a host has, who owns them, who could, and who will after the next boot
version_added: 0.1.0
author:
  - The vfio.variants authors (@vfio-variants)
description:
  - Returns each PCI function with its owner, its IOMMU group, the modules that contend for it, and the best variant driver that
    each installed kernel has for it.
  - Forecasts for each installed kernel who will own each device once that kernel has booted, with the facts that decide, and says
    which kernel boots next. What cannot be seen makes the answer V(unknown), never a guess.
  - Names what is contradictory or without effect in the host's C(modprobe.d), udev rules, C(modules-load.d), C(driverctl.d), and
    command line, whoever wrote it.
  - Everything is read from C(/sys), C(/lib/modules), C(/boot), C(/etc), and their like; no device is touched and no module loaded.
  - What boot images and modules hold, and what was concluded from all that was read, is remembered in C(/var/cache/vfio-variants),
    for as long as everything stays the same. Deleting it costs time and nothing else; in check mode nothing is written there. That
    of an image (O(root)) is remembered on the machine that looks at it, never in the image.
  - Also says what C(modprobe.d) and the kernel's command line tell kmod about modules that drive PCI devices, with file and line.
extends_documentation_fragment:
  - vfio.variants._attributes
  - vfio.variants._attributes.reads
options:
  devices:
    description:
      - The devices to return, in any of the forms that O(vfio.variants.device_claim#module:devices) takes. Without it, all of them.
      - B(Write addresses in quotes.) YAML reads an unquoted V(0000:03:00.1) as the number 180.1.
    type: raw
  allow_missing:
    description:
      - Whether O(devices) may be absent from this host. Without it, what matches no device is an error.
    type: bool
    default: false
  root:
    description:
      - The root of the host to look at, such as a mounted image.
      - An image has no C(/sys) and thus no devices; without O(hardware), RV(devices) is empty and only RV(kernels), RV(modprobe),
        RV(next_boot), and RV(policy_warnings) are told.
    type: path
    default: /
  hardware:
    description:
      - The devices that O(root) is for, each as RV(devices) returned it on a host that has them; only C(modalias) is needed.
      - They are judged in place of what C(/sys) shows, so that a forecast can be had for an image that is being baked, or, with
        O(root=/), for a card that is not there yet.
      - A device without C(address) is given one in the PCI domain V(ffff). The numbers are those of C(modalias); where they are
        given as well, they must agree.
    type: list
    elements: dict
  forecast:
    description:
      - Whether to forecast who will own the devices. Without it, the boot loader and the boot images are not read.
    type: bool
    default: true
notes:
  - Needs no privileges, except that a boot image, a boot loader's configuration, or a policy that only root may read is reported as
    unknown to others.
seealso:
  - module: vfio.variants.claim_info
  - module: vfio.variants.device_claim
  - module: vfio.variants.boot_policy
  - plugin: vfio.variants.select_devices
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Look at every display controller
  vfio.variants.device_info:
    devices: "class:03"
  register: info

- name: Show the cards that nouveau owns and that have a variant driver
  ansible.builtin.debug:
    msg: "{{ info.devices | vfio.variants.select_devices(\"[?driver=='nouveau' && variant && variant.module!='vfio_pci'].address\") }}"

- name: Show the devices that will have another owner after the next boot
  ansible.builtin.debug:
    msg: "{{ info.devices | vfio.variants.select_devices('[?next_boot.winner!=driver].[address, next_boot.winner, next_boot.because]') }}"

- name: Look at what an image would boot
  vfio.variants.device_info:
    root: /mnt/image

- name: Ask what would become of a card in an image that is being baked
  vfio.variants.device_info:
    root: /mnt/image
    hardware:
      - modalias: pci:v000010DEd00001DB1sv000010DEsd00001212bc03sc02i00
"""

RETURN = r"""
devices:
  description:
    - The devices, by address.
    - Vendor, device, subsystem, class and revision are hexadecimal digits without a prefix, as selectors take them.
  returned: success
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
    vendor:
      description: The vendor, four digits.
      type: str
      sample: "10de"
    device:
      description: The device, four digits.
      type: str
      sample: "1db1"
    subsystem_vendor:
      description: The subsystem's vendor, four digits.
      type: str
      sample: "10de"
    subsystem_device:
      description: The subsystem's device, four digits.
      type: str
      sample: "1212"
    class:
      description: Base class, subclass and programming interface, six digits.
      type: str
      sample: "030200"
    revision:
      description: The revision, two digits.
      type: str
      sample: "a1"
    modalias:
      description: What udev asks kmod for when the device appears.
      type: str
      sample: pci:v000010DEd00001DB1sv000010DEsd00001212bc03sc02i00
    bridge:
      description: Whether this is a host, PCI or CardBus bridge, which VFIO does not count in an IOMMU group.
      type: bool
      sample: false
    boot_vga:
      description: Whether the firmware used this device as the boot display.
      type: bool
      sample: false
    numa_node:
      description: The NUMA node, none where the firmware does not say.
      type: int
      sample: 0
    physical_function:
      description: The address of a virtual function's physical one; none for all others.
      type: str
      sample: null
    virtual_functions:
      description: The addresses of a physical function's virtual ones.
      type: list
      elements: str
      sample: []
    max_virtual_functions:
      description: How many virtual functions the device could have.
      type: int
      sample: 0
    driver:
      description: The owner, the driver that has the device now; none where nobody has it.
      type: str
      sample: nouveau
    driver_override:
      description: The only driver that the kernel may bind, none where any may.
      type: str
      sample: null
    iommu_group:
      description: The number of the IOMMU group; none where there is no IOMMU.
      type: int
      sample: 15
    group_devices:
      description: The addresses of all functions in the group, this one included.
      type: list
      elements: str
      sample: ["0000:3b:00.0"]
    nodes:
      description: What user space uses the device through.
      type: list
      elements: str
      sample: ["drm/card0"]
    variant:
      description: The best VFIO driver that the running kernel has for the device, none where it has none at all.
      type: dict
      contains:
        module:
          description: The module's name, with underscores.
          type: str
          sample: nvlink2gpu_vfio_pci
        driver:
          description:
            - The name of the driver, which O(vfio.variants.device_claim#module:driver) and C(driver_override) take.
            - Read from the kernel where the module is loaded; else the name that the module's source gives it, by rule the module's own.
          type: str
          sample: nvlink2gpu_vfio_pci
        alias:
          description: The C(vfio_pci:) alias that matches the device.
          type: str
          sample: vfio_pci:v000010DEd00001DB1sv*sd*bc*sc*i*
        wildcards:
          description: How many of seven fields the alias leaves open; the fewer, the better the match.
          type: int
          sample: 5
    contenders:
      description: The modules of the running kernel that could take the device, natives as udev loads them, then VFIO drivers, best first.
      type: list
      elements: dict
      contains:
        module:
          description: The module's name, with underscores.
          type: str
          sample: nouveau
        kind:
          description: V(native) for a module that udev loads for the device, V(variant) for a VFIO driver.
          type: str
          sample: native
        alias:
          description: The alias that matches the device.
          type: str
          sample: pci:v000010DEd*sv*sd*bc03sc*i*
        source:
          description: The file that has the alias, with the line where it is in C(modprobe.d).
          type: str
          sample: /lib/modules/6.12.107+deb13-amd64/modules.alias
        loaded:
          description: Whether the module is in the kernel now.
          type: bool
          sample: true
        built_in:
          description: Whether it is built into the kernel.
          type: bool
          sample: false
        blacklisted_by:
          description: Where the module is blacklisted, which keeps udev from loading it, as file and line.
          type: list
          elements: str
          sample: []
    kernels:
      description:
        - What each installed kernel has for the device and who will own it once that kernel has booted, a dictionary by release.
        - Each has the fields of RV(devices[].next_boot), without C(release) and C(reason); without O(forecast) only C(natives),
          C(variants), and C(variant).
      type: dict
      sample:
        6.12.107+deb13-amd64:
          natives: [nouveau]
          variants: [nvlink2gpu_vfio_pci, vfio_pci]
          variant: nvlink2gpu_vfio_pci
          winner: nouveau
          certainty: certain
          stage: initramfs
          because:
            - "modules.alias in /boot/initrd.img-6.12.107+deb13-amd64: pci:v000010DEd*sv*sd*bc03sc*i* nouveau"
            - "/boot/initrd.img-6.12.107+deb13-amd64: holds nouveau"
          outcomes: [nouveau]
          claimed: null
          would_change: null
    next_boot:
      description: The same for the kernel that boots next if nobody intervenes.
      returned: with O(forecast)
      type: dict
      contains:
        release:
          description: The kernel's release; none where it cannot be told which one boots next.
          type: str
          sample: 6.12.107+deb13-amd64
        reason:
          description: Why this kernel boots next, or why that is not known.
          type: str
          sample: /boot/grub/grub.cfg default="0", 'Debian GNU/Linux'
        natives:
          description: The modules that udev would load for the device, in its order.
          type: list
          elements: str
          sample: [nouveau]
        variants:
          description: The VFIO drivers' modules for the device, best first.
          type: list
          elements: str
          sample: [nvlink2gpu_vfio_pci, vfio_pci]
        variant:
          description: The best of them.
          type: str
          sample: nvlink2gpu_vfio_pci
        winner:
          description: The driver that will own the device, none where nobody will. With the certainty V(race) the likelier one.
          type: str
          sample: nouveau
        certainty:
          description:
            - V(certain) where the facts leave one outcome.
            - V(race) where programs that run at the same time decide; RV(devices[].next_boot.outcomes) holds what can come.
            - V(unknown) where something that may matter cannot be seen; RV(devices[].next_boot.because) says what.
          type: str
          sample: certain
        stage:
          description: When it is decided, one of V(kernel), V(initramfs), V(root), V(runtime); none where nobody gets the device.
          type: str
          sample: initramfs
        because:
          description: The facts that decide, each with its source in front.
          type: list
          elements: str
          sample:
            - "modules.alias in /boot/initrd.img-6.12.107+deb13-amd64: pci:v000010DEd*sv*sd*bc03sc*i* nouveau"
            - "/boot/initrd.img-6.12.107+deb13-amd64: holds nouveau"
        outcomes:
          description: All drivers that can come out, none among them where nobody may get the device.
          type: list
          elements: str
          sample: [nouveau]
        claimed:
          description:
            - The driver that the host's own policy means the device to have, by C(driverctl), else by the last udev rule that sets its
              C(driver_override), else by an C(ids=) parameter; none where no policy is about the device.
          type: str
          sample: vfio-pci
        would_change:
          description: The smallest change that makes the claimed driver win; none where it wins for certain, or no change is known.
          type: str
          sample: "Build /boot/initrd.img-6.12.107+deb13-amd64 anew: it does not hold what the root's files say."
    warnings:
      description: What is contradictory or without effect in the policy about this device, each with its file and line.
      returned: with O(forecast)
      type: list
      elements: str
      sample: ["/etc/modprobe.d/gpu.conf:2: ids= of vfio_pci is given again in /etc/modprobe.d/vfio.conf:1, which alone counts."]
kernels:
  description: The installed kernels, oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    release:
      description: The kernel's release.
      type: str
      sample: 6.12.107+deb13-amd64
    running:
      description: Whether it runs now.
      type: bool
      sample: true
    headers_package:
      description: The package that brings the kernel's headers on this host's distribution.
      type: str
      sample: linux-headers-6.12.107+deb13-amd64
    headers:
      description: Whether modules can be built for it.
      type: bool
      sample: true
next_boot:
  description: The kernel that boots next if nobody intervenes.
  returned: with O(forecast)
  type: dict
  contains:
    release:
      description: Its release; none where that cannot be told.
      type: str
      sample: 6.12.107+deb13-amd64
    reason:
      description: Why this kernel boots next, or why that is not known.
      type: str
      sample: /boot/grub/grub.cfg default="0", 'Debian GNU/Linux'
policy_warnings:
  description: What is contradictory or without effect in the host's policy and concerns none of its devices, each with its file and line.
  returned: with O(forecast)
  type: list
  elements: str
  sample: ["/etc/modprobe.d/gpu.conf:3: `blacklist nouveua` names the module nouveua, which no installed kernel has. Did you mean nouveau?"]
modprobe:
  description: What C(modprobe.d) and the kernel's command line say about modules that drive PCI devices, in kmod's order.
  returned: success
  type: list
  elements: dict
  contains:
    command:
      description: The directive.
      type: str
      sample: blacklist
    module:
      description: The module it is about, with underscores.
      type: str
      sample: nouveau
    arguments:
      description: What else the directive says.
      type: list
      elements: str
      sample: []
    source:
      description: File and line.
      type: str
      sample: /etc/modprobe.d/nvidia.conf:1
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import run_module
from ansible_collections.vfio.variants.plugins.module_utils._core.report.device_facts import gather


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "devices": {"type": "raw"},
            "allow_missing": {"type": "bool", "default": False},
            "root": {"type": "path", "default": "/"},
            "hardware": {"type": "list", "elements": "dict"},
            "forecast": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    devices, allow_missing, hardware, forecast = (module.params[option] for option in ("devices", "allow_missing", "hardware", "forecast"))
    run_module(
        module,
        lambda host: gather(host, devices, allow_missing, hardware, forecast, module.check_mode),
        module.params["root"],
    )


if __name__ == "__main__":
    main()
