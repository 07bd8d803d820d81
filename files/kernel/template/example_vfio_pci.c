// SPDX-License-Identifier: GPL-2.0-only
// SPDX-FileCopyrightText: The vfio.variants authors
/*
 * example_vfio_pci: a VFIO PCI variant driver that adds nothing to vfio-pci yet.
 *
 * It binds only to a device whose driver_override names it or whose ID is in
 * the module's parameter ids=. Runtime power management, reset, SR-IOV and
 * error recovery are those of the core.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "variant_compat.h"
#include "variant_ids.h"

/* One per device, from probe to remove. Add the driver's own state here. */
struct example_vfio_pci_device {
	struct vfio_pci_core_device core;	/* must be first for VFIO */
};

/* Adds regions to those of the PCI device. -ENODEV: there are none. */
static int example_vfio_pci_add_regions(struct vfio_pci_core_device *core)
{
	return -ENODEV;
}

/* Called when the first user opens the device. */
static int example_vfio_pci_open_device(struct vfio_device *vdev)
{
	struct vfio_pci_core_device *core =
		container_of(vdev, struct vfio_pci_core_device, vdev);

	return variant_open_device(core, example_vfio_pci_add_regions);
}

/* All others are the core's; replace those that the driver needs. */
static const struct vfio_device_ops example_vfio_pci_ops = {
	.open_device		= example_vfio_pci_open_device,
	.close_device		= vfio_pci_core_close_device,
	VARIANT_CORE_OPS
};

/* A device bound by driver_override may not be in the table: do not use @id. */
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

/* For user space: the kernel matches these only with a driver_override. */
static const struct pci_device_id example_vfio_pci_table[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(0x1234, 0x11e8) },
	{}
};
MODULE_DEVICE_TABLE(pci, example_vfio_pci_table);

/* The macro sets the name to the module's, and remove to the core's. */
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
