# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that claim devices for drivers."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  claims:
    description:
      - The devices to claim, and the driver for each.
      - A device that matches several claims must have the same driver in all of them.
      - Mutually exclusive with O(devices), O(driver), O(allow_missing), O(guards), O(node), and O(expect), which define a single claim.
    type: list
    elements: dict
    suboptions:
      devices:
        description:
          - The devices, in any of the forms that O(devices) takes.
        type: raw
        required: true
      driver:
        description:
          - V(auto) selects the best variant driver that the kernel has for the device, which is the one with the most specific
            C(vfio_pci:) alias, as libvirt does, and whose file exists; if there is none, C(vfio-pci).
          - V(variant) does the same, and fails if there is no variant driver for a device.
          - Anything else is the name of a driver or of its module; V(-) and V(_) are equivalent.
        type: str
        default: auto
      expect:
        description:
          - The vendor and device ID that each device must have, such as V(8086:1592).
          - With it, a claim by address cannot bind another card after the addresses have changed.
        type: str
      strategy:
        description:
          - How the driver wins at boot, for M(vfio.variants.boot_policy). The default is O(vfio.variants.boot_policy#module:strategy).
        type: str
        choices: [override, ids, blacklist]
      allow_missing:
        description:
          - Whether it is not an error if nothing matches. The default is V(false), except in M(vfio.variants.claim_info) where nothing is
            required.
        type: bool
      guards: &guards
        description:
          - Reasons to leave a device with its driver that V(ignore) overrides, each by its name. Without it a claim that would take
            from the host what it needs is refused before anything is changed.
          - Applies to the claimed devices, to those in their IOMMU groups, and to those that lose their driver by the strategy
            V(blacklist).
          - Nothing overrides that a device is kept which has the root file system, C(/boot), the EFI partition, swap, the default
            route or the current SSH connection.
        type: dict
        suboptions:
          console:
            description:
              - The display that the firmware shows, or on which the console is, the card of a serial console, and the USB controller
                of a keyboard.
            type: str
            choices: [ignore]
          data_mounts:
            description:
              - Mounted file systems, those of C(/etc/fstab) and systemd that are needed at boot, and disks that the kernel has open.
            type: str
            choices: [ignore]
          in_use:
            description:
              - Running guests, device nodes that a process has open, virtual functions, mediated devices, and interfaces that have an
                address or belong to a bridge or bond.
            type: str
            choices: [ignore]
          companions:
            description:
              - Unclaimed devices of an IOMMU group that are on another card, or are storage controllers or network cards.
            type: str
            choices: [ignore]
          identical:
            description:
              - A claim by address, while a card with the same IDs is not claimed, which would be taken if it had that address after
                the next boot. By default this is a warning, and is refused if the host cannot run without that other card.
            type: str
            choices: [ignore]
      vfs:
        description:
          - How many virtual functions (SR-IOV) each of the devices is to have. The claim is for these then, and the devices themselves
            keep their native driver.
          - They are created at each boot by a udev rule before any driver is offered to them, so that they need not exist when the
            policy is written. Goes with the strategy V(override) alone.
        type: int
      node: &node
        description:
          - To whom the device nodes are handed by which user space opens the devices through VFIO, C(/dev/vfio/N) of the IOMMU group and
            C(/dev/vfio/devices/vfioN) of the device. Without it they are left as they are, which is root's alone.
          - M(vfio.variants.boot_policy) writes a udev rule for it, M(vfio.variants.device_claim) does it at once, and makes the nodes
            root's again with V(absent). The numbers of IOMMU groups can change; the rule is for the devices at their addresses.
          - Libvirt hands the nodes to its guests by itself. This is for QEMU, Cloud Hypervisor, DPDK and others that run without root.
          - The same for all devices of an IOMMU group, which have one node together.
        type: dict
        suboptions:
          owner:
            description: The user, by a name in C(/etc/passwd) or a number. The default is C(root).
            type: str
          group:
            description: The group, by a name in C(/etc/group) or a number. The default is C(root).
            type: str
          mode:
            description:
              - The mode in octal digits, in quotes, at most V('0666').
              - The default is V('0660') with O(claims[].node.group), else V('0600').
            type: raw
          memlock:
            description:
              - How much memory the O(claims[].node.owner), or where that is root the O(claims[].node.group), may lock, as V(64G) or
                V(unlimited). A guest with VFIO locks all of its memory.
              - M(vfio.variants.boot_policy) writes it to C(/etc/security/limits.d), which holds from the account's next login on. A systemd
                service takes C(LimitMEMLOCK=) of its own unit instead.
            type: str
      reload:
        description:
          - Whether M(vfio.variants.device_claim) may unload the devices' VFIO driver and load it again where another version of it is
            loaded than is installed, as after an upgrade of its package. The devices are without a driver for that moment.
          - It does so where nothing holds the driver, and where the kernel will take the installed one; see C(docs/drivers.md). Otherwise,
            and with V(false), RV(vfio.variants.device_claim#module:reboot_required) is set.
          - The default is V(true).
        type: bool
  devices:
    description:
      - The devices, as an ID (V(10de:1db1), V(10de:*), with subsystem V(10de:1db1:10de:1212)), an address (V(0000:3b:00.0), or
        V(3b:00.0) in domain 0000; globs such as V(0000:3b:00.*)), a class (V(class:0302), V(class:03)), a dictionary of the fields
        C(address), C(vendor), C(device), C(subsystem_vendor), C(subsystem_device), and C(class), all of which must agree, or a
        list of any of these. A string may contain several, separated by commas.
      - B(Write addresses in quotes.) YAML reads an unquoted V(0000:03:00.1) as the number 180.1.
      - A wildcard or a class never selects PCI bridges; selecting one explicitly is an error.
    type: raw
  driver:
    description:
      - The driver for O(devices), by default V(auto); see O(claims[].driver).
    type: str
  expect:
    description:
      - The vendor and device ID that each of O(devices) must have.
    type: str
  allow_missing:
    description:
      - Whether it is not an error if O(devices) matches nothing; see O(claims[].allow_missing).
    type: bool
  guards: *guards
  node: *node
  pending_modules:
    description:
      - Kernel modules that another task of the same play installs, as M(vfio.variants.dkms_package) returns them.
      - They are treated as installed, so that check mode predicts the result of the whole play.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The module's name.
        type: str
        required: true
      aliases:
        description: The module's aliases, such as V(vfio_pci:v000010DEd00001DB1sv*sd*bc*sc*i*).
        type: list
        elements: str
        default: []
      kernels:
        description:
          - The kernels for which it is installed then.
          - The default is all.
        type: list
        elements: str
      new_for:
        description: Those of them that do not have it yet, or of other sources.
        type: list
        elements: str
        default: []
      replaces_loaded:
        description:
          - Whether the running kernel has loaded another version of the module than there will be, so that it is loaded again, or a
            reboot is required; see O(claims[].reload).
        type: bool
        default: false
"""
