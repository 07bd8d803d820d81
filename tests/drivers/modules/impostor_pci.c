// SPDX-License-Identifier: GPL-2.0-only
// SPDX-FileCopyrightText: The vfio.variants authors
/*
 * A PCI driver that calls itself vfio-pci. A bus knows no two drivers of one
 * name, so that no other driver can ever answer to an override "vfio-pci".
 */
#include <linux/module.h>
#include <linux/pci.h>

static int impostor_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return -ENODEV;
}

static const struct pci_device_id impostor_table[] = {
	{}
};

static struct pci_driver impostor_driver = {
	.name		= "vfio-pci",
	.id_table	= impostor_table,
	.probe		= impostor_probe,
};
module_pci_driver(impostor_driver);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The vfio.variants authors");
MODULE_DESCRIPTION("PCI driver with a taken name, for tests");
