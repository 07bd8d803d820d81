/* SPDX-License-Identifier: GPL-2.0-only */
/* SPDX-FileCopyrightText: The vfio.variants authors */
/*
 * Firmware's description of an NVLink2 link between a GPU and an NPU. It is
 * read when a device is opened, as properties of firmware nodes, which may be
 * in a device tree or software nodes.
 *
 * The functions return 0, or -ENODEV if the device is to have no region of the
 * link: silently if no link is described or wanted, with one warning if the
 * description is invalid.
 */
#ifndef NVLINK2_FIRMWARE_H
#define NVLINK2_FIRMWARE_H

#include <linux/align.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fwnode.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/property.h>
#include <linux/types.h>
#include <linux/vfio_pci_core.h>

#include "nvlink2_parameter.h"

static int nvlink2_distrust(struct pci_dev *pdev,
			    const struct fwnode_handle *node,
			    const char *property, const char *why)
{
	pci_warn(pdev, "NVLink2: property %s of %pfw %s; going on without the link's region\n",
		 property, node, why);
	return -ENODEV;
}

/* If a device has several nodes, its software node is the secondary one. */
static int nvlink2_has_node(struct device *dev, const void *wanted)
{
	struct fwnode_handle *node = dev_fwnode(dev);

	while (!IS_ERR_OR_NULL(node)) {
		if (node == wanted)
			return 1;
		node = node->secondary;
	}
	return 0;
}

/*
 * The platform initialises a link from the NPU's side. A platform that does
 * also creates PCI functions for the NPU's links; powernv since v5.13 does
 * neither, although its device tree still describes them.
 */
static bool nvlink2_is_set_up(const struct fwnode_handle *other_end)
{
	struct device *function = bus_find_device(&pci_bus_type, NULL,
						  other_end, nvlink2_has_node);
	bool found = function;

	put_device(function);
	return found;
}

/*
 * The node at the other end of the device's link, if the link is to be used.
 * The caller must put it.
 */
static struct fwnode_handle *nvlink2_get_other_end(struct pci_dev *pdev,
						   const char *property)
{
	struct fwnode_handle *node = dev_fwnode(&pdev->dev);
	struct fwnode_handle *other_end;

	if (nvlink2_mode == NVLINK2_OFF || !node)
		return ERR_PTR(-ENODEV);

	other_end = fwnode_find_reference(node, property, 0);
	if (IS_ERR(other_end)) {
		/* No such property, or a node that cannot have any. */
		if (PTR_ERR(other_end) == -ENOENT ||
		    PTR_ERR(other_end) == -ENXIO)
			return ERR_PTR(-ENODEV);
		return ERR_PTR(nvlink2_distrust(pdev, node, property,
						"refers to nothing"));
	}

	if (nvlink2_mode == NVLINK2_AUTO && !nvlink2_is_set_up(other_end)) {
		pci_dbg(pdev, "NVLink2: no PCI function is %pfw, so the link is not set up\n",
			other_end);
		fwnode_handle_put(other_end);
		return ERR_PTR(-ENODEV);
	}
	return other_end;
}

/* The node that a property of @node refers to. The caller must put it. */
static struct fwnode_handle *nvlink2_get_referred(struct pci_dev *pdev,
						  struct fwnode_handle *node,
						  const char *property)
{
	struct fwnode_handle *referred =
		fwnode_find_reference(node, property, 0);

	if (IS_ERR(referred))
		return ERR_PTR(nvlink2_distrust(pdev, node, property,
						"refers to nothing"));
	return referred;
}

static int nvlink2_read_u64s(struct pci_dev *pdev,
			     const struct fwnode_handle *node,
			     const char *property, u64 *values, size_t count)
{
	if (fwnode_property_read_u64_array(node, property, values, count))
		return nvlink2_distrust(pdev, node, property, "cannot be read");
	return 0;
}

/*
 * Whether the physical range in a property can be given to user space: it must
 * consist of whole pages, because only these can be mapped; fit into the 40
 * bits that VFIO has for the offset in a region; and not be the kernel's memory.
 */
static int nvlink2_check_range(struct pci_dev *pdev,
			       const struct fwnode_handle *node,
			       const char *property, u64 start, u64 size)
{
	u64 end;

	if (!size || !IS_ALIGNED(start | size, PAGE_SIZE) ||
	    size - 1 > VFIO_PCI_OFFSET_MASK || size != (size_t)size ||
	    check_add_overflow(start, size, &end) ||
	    end != (resource_size_t)end)
		return nvlink2_distrust(pdev, node, property,
					"gives no range of whole pages");

	if (region_intersects(start, size, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT)
		return nvlink2_distrust(pdev, node, property,
					"gives memory that the kernel uses");
	return 0;
}

/* Call this when the link's region is added. */
static void nvlink2_warn_of_force(struct pci_dev *pdev)
{
	if (nvlink2_mode == NVLINK2_FORCE)
		pci_warn(pdev, "NVLink2: nvlink=force adds the link's region unchecked; if the platform has not set the link up, touching the region can raise hypervisor maintenance interrupts and stop the host\n");
}

#endif /* NVLINK2_FIRMWARE_H */
