// SPDX-License-Identifier: GPL-2.0-only
// SPDX-FileCopyrightText: The vfio.variants authors
/*
 * example_vfio_pci: a VFIO PCI variant driver that adds nothing to vfio-pci yet.
 *
 * It takes a device only when the device's driver_override or the module's
 * parameter ids= names it. Runtime power management, reset, SR-IOV and error
 * recovery are the core's.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "variant_compat.h"
#include "variant_ids.h"

/* One a device, from probe to remove. What the driver knows of it goes here. */
struct example_vfio_pci_device {
	struct vfio_pci_core_device core;	/* VFIO wants it first */
};

/* Regions beside those of the PCI device. -ENODEV: none, a plain device. */
static int example_vfio_pci_add_regions(struct vfio_pci_core_device *core)
{
	return -ENODEV;
}

/* Called for the first of those who have the device open at a time. */
static int example_vfio_pci_open_device(struct vfio_device *vdev)
{
	struct vfio_pci_core_device *core =
		container_of(vdev, struct vfio_pci_core_device, vdev);

	return variant_open_device(core, example_vfio_pci_add_regions);
}

/* All others are the core's, and become the driver's own as it needs them. */
static const struct vfio_device_ops example_vfio_pci_ops = {
	.open_device		= example_vfio_pci_open_device,
	.close_device		= vfio_pci_core_close_device,
	VARIANT_CORE_OPS
};

/* A device forced on the driver has no entry in the table: @id says nothing. */
static int
example_vfio_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct example_vfio_pci_device *own;

	own = variant_alloc_device(example_vfio_pci_device, core, pdev,
				   &example_vfio_pci_ops);
	if (IS_ERR(own))
		return PTR_ERR(own);

	return variant_register_device(&own->core);
}

/* Announces the devices to user space; the kernel by itself matches none. */
static const struct pci_device_id example_vfio_pci_table[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(0x1234, 0x11e8) },
	{}
};
MODULE_DEVICE_TABLE(pci, example_vfio_pci_table);

/* Its name is the module's, as its removal is the core's. */
static struct pci_driver example_vfio_pci_driver = {
	.id_table		= example_vfio_pci_table,
	.probe			= example_vfio_pci_probe,
	VARIANT_CORE_DRIVER
};

static int __init example_vfio_pci_init(void)
{
	return variant_register_driver(&example_vfio_pci_driver);
}
module_init(example_vfio_pci_init);

static void __exit example_vfio_pci_exit(void)
{
	pci_unregister_driver(&example_vfio_pci_driver);
}
module_exit(example_vfio_pci_exit);

MODULE_LICENSE("GPL");
MODULE_VERSION(VARIANT_VERSION);
MODULE_DESCRIPTION("VFIO PCI variant driver that adds nothing to vfio-pci yet");
