// SPDX-License-Identifier: GPL-2.0-only
// SPDX-FileCopyrightText: The vfio.variants authors
/*
 * A second native driver for devices that have one, or none: it takes them and
 * does nothing. Installed where DKMS installs, after the kernel's own.
 */
#include <linux/module.h>
#include <linux/pci.h>

static int rival_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return 0;
}

static const struct pci_device_id rival_table[] = {
	/* e1000e's */
	{ PCI_DEVICE(0x8086, 0x10d3) },
	/* edu, which has no driver of its own */
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{}
};
MODULE_DEVICE_TABLE(pci, rival_table);

static struct pci_driver rival_driver = {
	.name		= KBUILD_MODNAME,
	.id_table	= rival_table,
	.probe		= rival_probe,
};
module_pci_driver(rival_driver);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The vfio.variants authors");
MODULE_DESCRIPTION("Rival of native PCI drivers, for tests");
