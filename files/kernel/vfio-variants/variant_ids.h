/* SPDX-License-Identifier: GPL-2.0-only */
/* SPDX-FileCopyrightText: The vfio.variants authors */
/*
 * The module parameters of vfio-pci, with their syntax, limits and messages, so
 * that documentation of those applies. Include this once per module.
 *
 * The entries of ids= become dynamic IDs. Unlike the driver's own table they
 * match without a driver_override, and match every device with that ID.
 */
#ifndef VARIANT_IDS_H
#define VARIANT_IDS_H

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/mod_devicetable.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>
#include <linux/printk.h>
#include <linux/string.h>

#include "variant_compat.h"

#ifdef CONFIG_PCI_IOV
static bool variant_enable_sriov;
module_param_named(enable_sriov, variant_enable_sriov, bool, 0644);
MODULE_PARM_DESC(enable_sriov, "Enable support for SR-IOV configuration. Enabling SR-IOV on a PF typically requires support of the userspace PF driver, enabling VFs without such support may result in non-functional VFs or PF.");
#endif

/*
 * The user of the PF controls its VFs, so that nobody is to make some without
 * knowing it: as with vfio-pci, there are none unless that was asked for.
 */
static int variant_sriov_configure(struct pci_dev *pdev, int nr_virtfn)
{
#ifdef CONFIG_PCI_IOV
	if (variant_enable_sriov)
		return variant_core_sriov_configure(pdev, nr_virtfn);
#endif
	return -ENOENT;
}

/*
 * Before v7.2 what vfio-pci was loaded with holds for the devices of every
 * driver, and a driver that set it would set it for all of them.
 */
#ifdef VARIANT_HAVE_DEVICE_OPTIONS
static bool variant_nointxmask;
module_param_named(nointxmask, variant_nointxmask, bool, 0644);
MODULE_PARM_DESC(nointxmask, "Disable support for PCI 2.3 style INTx masking.  If this resolves problems for specific devices, report lspci -vvvxxx to linux-pci@vger.kernel.org so the device can be fixed automatically via the broken_intx_masking flag.");

static bool variant_disable_idle_d3;
module_param_named(disable_idle_d3, variant_disable_idle_d3, bool, 0644);
MODULE_PARM_DESC(disable_idle_d3, "Disable using the PCI D3 low power state for idle, unused devices");

#ifdef CONFIG_VFIO_PCI_VGA
static bool variant_disable_vga;
module_param_named(disable_vga, variant_disable_vga, bool, 0444);
MODULE_PARM_DESC(disable_vga, "Disable VGA resource access through the driver");
#endif
#endif /* VARIANT_HAVE_DEVICE_OPTIONS */

#ifdef VARIANT_HAVE_ALLOC_DEVICE
/* The .init of a variant, or the end of its own. A later write is for later devices. */
static inline int variant_init_dev(struct vfio_device *vdev)
{
#ifdef VARIANT_HAVE_DEVICE_OPTIONS
	struct vfio_pci_core_device *core =
		container_of(vdev, struct vfio_pci_core_device, vdev);

	core->nointxmask = variant_nointxmask;
	core->disable_idle_d3 = variant_disable_idle_d3;
#ifdef CONFIG_VFIO_PCI_VGA
	core->disable_vga = variant_disable_vga;
#endif
#endif
	return vfio_pci_core_init_dev(vdev);
}
#endif /* VARIANT_HAVE_ALLOC_DEVICE */

static char variant_ids[1024] __initdata;
module_param_string(ids, variant_ids, sizeof(variant_ids), 0);
MODULE_PARM_DESC(ids, "Initial PCI IDs to add to the driver, format is \"vendor:device[:subvendor[:subdevice[:class[:class_mask]]]]\" and multiple comma separated entries can be specified");

static void __init variant_add_id(struct pci_driver *driver, const char *entry)
{
	struct pci_device_id id = {
		.subvendor = PCI_ANY_ID,
		.subdevice = PCI_ANY_ID,
	};
	int ret;

	if (sscanf(entry, "%x:%x:%x:%x:%x:%x", &id.vendor, &id.device,
		   &id.subvendor, &id.subdevice, &id.class,
		   &id.class_mask) < 2) {
		pr_warn("invalid id string \"%s\"\n", entry);
		return;
	}

	ret = pci_add_dynid(driver, id.vendor, id.device, id.subvendor,
			    id.subdevice, id.class, id.class_mask, 0);
	if (ret)
		pr_warn("failed to add dynamic id [%04x:%04x[%04x:%04x]] class %#08x/%08x (%d)\n",
			id.vendor, id.device, id.subvendor, id.subdevice,
			id.class, id.class_mask, ret);
	else
		pr_info("add [%04x:%04x[%04x:%04x]] class %#08x/%08x\n",
			id.vendor, id.device, id.subvendor, id.subdevice,
			id.class, id.class_mask);
}

/* An invalid entry is skipped; the driver is registered all the same. */
static void __init variant_add_ids(struct pci_driver *driver)
{
	char *rest = variant_ids;
	char *entry;

	while ((entry = strsep(&rest, ","))) {
		if (*entry)
			variant_add_id(driver, entry);
	}
}

/* A module's init: registers the driver, then adds the IDs. */
static int __init variant_register_driver(struct pci_driver *driver)
{
	int ret = pci_register_driver(driver);

	if (!ret)
		variant_add_ids(driver);
	return ret;
}

#endif /* VARIANT_IDS_H */
