// SPDX-License-Identifier: GPL-2.0-only
// SPDX-FileCopyrightText: The vfio.variants authors
/*
 * VFIO PCI variant driver for the links of the NPU2, the NVLink2 bridge of
 * IBM's POWER9.
 *
 * If firmware describes a link to a GPU, the device has an additional region
 * with the link's properties as capabilities and the registers by which a guest
 * shoots down translations that the GPU holds (address translation shootdown,
 * ATSD), with the layout that it had in vfio-pci from v5.0 to v5.12. Otherwise,
 * and if the parameter nvlink= says so, the device has no such region.
 *
 * It binds only to a device whose driver_override names it or whose ID is in
 * the module's parameter ids=. Runtime power management, reset, SR-IOV and
 * error recovery are those of the core.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/io.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pfn.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "nvlink2_firmware.h"
#include "variant_compat.h"
#include "variant_ids.h"

/*
 * The state of the link is part of the device and not of the region, so that no
 * open can leak it and no registration move it. It is written only by
 * open_device, which VFIO calls when the device is not open, and can therefore
 * be read without a lock.
 */
struct npu2_device {
	struct vfio_pci_core_device core;
	phys_addr_t atsd;	/* the page of the registers, 0 without */
	u64 tgt;		/* the GPU's memory as the NPU compresses it */
	u32 speed;		/* as the device tree has it */
};

static struct npu2_device *npu2_of(struct vfio_pci_core_device *core)
{
	return container_of(core, struct npu2_device, core);
}

static size_t npu2_atsd_size(const struct npu2_device *npu)
{
	return npu->atsd ? PAGE_SIZE : 0;
}

/* A register is 64 bits wide, and should be accessed as a whole if possible. */
static size_t npu2_access_width(size_t pos, size_t count)
{
	if (IS_ALIGNED(pos, 8) && count >= 8)
		return 8;
	if (IS_ALIGNED(pos, 4) && count >= 4)
		return 4;
	return 1;
}

union npu2_value {
	__le64 q;
	__le32 l;
	u8 b;
};

/*
 * Bytes are copied in the order of the page, as seen by a program that maps the
 * page; hence the conversion of the little-endian accessors is undone.
 */
static int npu2_read_register(void __iomem *reg, char __user *buf,
			      size_t width)
{
	union npu2_value value;

	if (width == 8)
		value.q = cpu_to_le64(readq(reg));
	else if (width == 4)
		value.l = cpu_to_le32(readl(reg));
	else
		value.b = readb(reg);

	return copy_to_user(buf, &value, width) ? -EFAULT : 0;
}

static int npu2_write_register(void __iomem *reg, const char __user *buf,
			       size_t width)
{
	union npu2_value value;

	if (copy_from_user(&value, buf, width))
		return -EFAULT;

	if (width == 8)
		writeq(le64_to_cpu(value.q), reg);
	else if (width == 4)
		writel(le32_to_cpu(value.l), reg);
	else
		writeb(value.b, reg);
	return 0;
}

static ssize_t npu2_atsd_rw(struct vfio_pci_core_device *core,
			    char __user *buf, size_t count, loff_t *ppos,
			    bool iswrite)
{
	struct npu2_device *npu = npu2_of(core);
	u64 pos = *ppos & VFIO_PCI_OFFSET_MASK;
	size_t done = 0;
	void __iomem *page;
	int ret = 0;

	if (pos >= npu2_atsd_size(npu))
		return -EINVAL;

	count = min_t(size_t, count, npu2_atsd_size(npu) - pos);

	page = ioremap(npu->atsd, PAGE_SIZE);
	if (!page)
		return -ENOMEM;

	while (done < count) {
		size_t width = npu2_access_width(pos + done, count - done);
		void __iomem *reg = page + pos + done;

		if (iswrite)
			ret = npu2_write_register(reg, buf + done, width);
		else
			ret = npu2_read_register(reg, buf + done, width);
		if (ret)
			break;

		done += width;
	}

	iounmap(page);
	*ppos += done;
	return done ? done : ret;
}

static int npu2_atsd_mmap(struct vfio_pci_core_device *core,
			  struct vfio_pci_region *region,
			  struct vm_area_struct *vma)
{
	struct npu2_device *npu = npu2_of(core);

	if (!npu->atsd || vma_pages(vma) != 1 ||
	    (vma->vm_pgoff & (VFIO_PCI_OFFSET_MASK >> PAGE_SHIFT)))
		return -EINVAL;

	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	return io_remap_pfn_range(vma, vma->vm_start, PHYS_PFN(npu->atsd),
				  PAGE_SIZE, vma->vm_page_prot);
}

static int npu2_atsd_caps(struct vfio_pci_core_device *core,
			  struct vfio_pci_region *region,
			  struct vfio_info_cap *caps)
{
	struct npu2_device *npu = npu2_of(core);
	struct vfio_region_info_cap_nvlink2_ssatgt tgt = {
		.header.id	= VFIO_REGION_INFO_CAP_NVLINK2_SSATGT,
		.header.version	= 1,
		.tgt		= npu->tgt,
	};
	struct vfio_region_info_cap_nvlink2_lnkspd speed = {
		.header.id	= VFIO_REGION_INFO_CAP_NVLINK2_LNKSPD,
		.header.version	= 1,
		.link_speed	= npu->speed,
	};
	int ret;

	ret = vfio_info_add_capability(caps, &tgt.header, sizeof(tgt));
	if (ret)
		return ret;

	return vfio_info_add_capability(caps, &speed.header, sizeof(speed));
}

/* The core requires it, but the region owns nothing. */
static void npu2_atsd_release(struct vfio_pci_core_device *core,
			      struct vfio_pci_region *region)
{
}

static const struct vfio_pci_regops npu2_atsd_ops = {
	.rw		= npu2_atsd_rw,
	.mmap		= npu2_atsd_mmap,
	.add_capability	= npu2_atsd_caps,
	.release	= npu2_atsd_release,
};

/*
 * The host bridge's property. In a device tree the bridge's node is that of the
 * root bus, or that of the device for which the platform registered the bridge;
 * the bridge itself can have a software node.
 */
static struct fwnode_handle *npu2_find_bridge_node(struct pci_dev *pdev,
						   const char *property)
{
	struct pci_bus *root = pdev->bus;
	struct device *holders[3];
	size_t i;

	while (!pci_is_root_bus(root))
		root = root->parent;

	holders[0] = &root->dev;
	holders[1] = root->bridge;
	holders[2] = root->bridge->parent;

	for (i = 0; i < ARRAY_SIZE(holders); i++) {
		struct fwnode_handle *node;

		node = holders[i] ? dev_fwnode(holders[i]) : NULL;
		if (node && fwnode_property_count_u64(node, property) > 0)
			return node;
	}
	return NULL;
}

/*
 * The bridge has a few more ATSD registers than links. Each link uses the one
 * with its index, or the first one if there is none with that index, because
 * the guest needs at least one. A bridge without any is not an error: the
 * region is then empty and exists for its capabilities.
 */
static int npu2_read_atsd(struct npu2_device *npu, u32 link)
{
	static const char * const property = "ibm,mmio-atsd";
	struct pci_dev *pdev = npu->core.pdev;
	struct fwnode_handle *node;
	u64 *registers;
	int count;
	int ret;

	npu->atsd = 0;

	node = npu2_find_bridge_node(pdev, property);
	if (!node)
		return 0;

	count = fwnode_property_count_u64(node, property);
	registers = kcalloc(count, sizeof(*registers), GFP_KERNEL);
	if (!registers)
		return -ENOMEM;

	ret = nvlink2_read_u64s(pdev, node, property, registers, count);
	if (ret)
		goto out_free;

	if (link >= count)
		link = 0;

	if (!registers[link])
		goto out_free;

	ret = nvlink2_check_range(pdev, node, property, registers[link],
				  PAGE_SIZE);
	if (!ret)
		npu->atsd = registers[link];

out_free:
	kfree(registers);
	return ret;
}

static int npu2_read_u32(struct pci_dev *pdev, const struct fwnode_handle *node,
			 const char *property, u32 *value)
{
	if (fwnode_property_read_u32(node, property, value))
		return nvlink2_distrust(pdev, node, property, "cannot be read");
	return 0;
}

static int npu2_read_link(struct npu2_device *npu)
{
	struct pci_dev *pdev = npu->core.pdev;
	struct fwnode_handle *node = dev_fwnode(&pdev->dev);
	struct fwnode_handle *nvlink;
	u32 link;
	int ret;

	ret = nvlink2_read_u64s(pdev, node, "ibm,device-tgt-addr", &npu->tgt,
				1);
	if (ret)
		return ret;

	ret = npu2_read_u32(pdev, node, "ibm,nvlink-speed", &npu->speed);
	if (ret)
		return ret;

	nvlink = nvlink2_get_referred(pdev, node, "ibm,nvlink");
	if (IS_ERR(nvlink))
		return PTR_ERR(nvlink);

	ret = npu2_read_u32(pdev, nvlink, "ibm,npu-link-index", &link);
	fwnode_handle_put(nvlink);
	if (ret)
		return ret;

	return npu2_read_atsd(npu, link);
}

static int npu2_add_atsd_region(struct vfio_pci_core_device *core)
{
	struct npu2_device *npu = npu2_of(core);
	struct pci_dev *pdev = core->pdev;
	struct fwnode_handle *gpu;
	u32 flags = 0;
	int ret;

	gpu = nvlink2_get_other_end(pdev, "ibm,gpu");
	if (IS_ERR(gpu))
		return PTR_ERR(gpu);
	fwnode_handle_put(gpu);

	ret = npu2_read_link(npu);
	if (ret)
		return ret;

	if (npu->atsd)
		flags = VFIO_REGION_INFO_FLAG_READ |
			VFIO_REGION_INFO_FLAG_WRITE |
			VFIO_REGION_INFO_FLAG_MMAP;

	nvlink2_warn_of_force(pdev);
	return variant_register_region(core, PCI_VENDOR_ID_IBM,
				       VFIO_REGION_SUBTYPE_IBM_NVLINK2_ATSD,
				       &npu2_atsd_ops, npu2_atsd_size(npu),
				       flags);
}

static int npu2_open_device(struct vfio_device *vdev)
{
	struct vfio_pci_core_device *core =
		container_of(vdev, struct vfio_pci_core_device, vdev);

	return variant_open_device(core, npu2_add_atsd_region);
}

static const struct vfio_device_ops npu2_ops = {
	.open_device		= npu2_open_device,
	.close_device		= vfio_pci_core_close_device,
	VARIANT_CORE_OPS
};

static int npu2_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct npu2_device *npu;

	npu = variant_alloc_device(npu2_device, core, pdev, &npu2_ops);
	if (IS_ERR(npu))
		return PTR_ERR(npu);

	return variant_register_device(&npu->core);
}

static const struct pci_device_id npu2_table[] = {
	/* a link of the POWER9's NPU2 */
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_VENDOR_ID_IBM, 0x04ea) },
	{}
};
MODULE_DEVICE_TABLE(pci, npu2_table);

static struct pci_driver npu2_driver = {
	.id_table		= npu2_table,
	.probe			= npu2_probe,
	VARIANT_CORE_DRIVER
};

static int __init npu2_init(void)
{
	return variant_register_driver(&npu2_driver);
}
module_init(npu2_init);

static void __exit npu2_exit(void)
{
	pci_unregister_driver(&npu2_driver);
}
module_exit(npu2_exit);

MODULE_LICENSE("GPL");
MODULE_VERSION(VARIANT_VERSION);
MODULE_AUTHOR("The vfio.variants authors");
MODULE_DESCRIPTION("VFIO PCI variant driver for the NVLink2 bridge of POWER9");
