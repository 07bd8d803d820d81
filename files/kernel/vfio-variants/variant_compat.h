/* SPDX-License-Identifier: GPL-2.0-only */
/* SPDX-FileCopyrightText: The vfio.variants authors */
/*
 * One interface to the vfio-pci-core of every kernel from v5.15 on, so that
 * the drivers read as if written for the newest. What a kernel has is known by
 * the VARIANT_HAVE_* switches of probe-kernel.sh.
 */
#ifndef VARIANT_COMPAT_H
#define VARIANT_COMPAT_H

#include <linux/build_bug.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

/* v6.1 moved the life of the structure into VFIO. */
#ifdef VARIANT_HAVE_ALLOC_DEVICE
#define VARIANT_OPS_LIFETIME						\
	.init			= vfio_pci_core_init_dev,		\
	.release		= vfio_pci_core_release_dev,
#else
#define VARIANT_OPS_LIFETIME
#endif

#ifdef VARIANT_HAVE_DEVICE_FEATURE
#define VARIANT_OPS_FEATURE						\
	.device_feature		= vfio_pci_core_ioctl_feature,
#else
#define VARIANT_OPS_FEATURE
#endif

/* From v6.19 on .ioctl does not answer VFIO_DEVICE_GET_REGION_INFO any more. */
#ifdef VARIANT_HAVE_GET_REGION_INFO_CAPS
#define VARIANT_OPS_REGION_INFO						\
	.get_region_info_caps	= vfio_pci_ioctl_get_region_info,
#else
#define VARIANT_OPS_REGION_INFO
#endif

/* Without it a VF's token is not asked for when it is bound to an iommufd. */
#ifdef VARIANT_HAVE_MATCH_TOKEN_UUID
#define VARIANT_OPS_TOKEN						\
	.match_token_uuid	= vfio_pci_core_match_token_uuid,
#else
#define VARIANT_OPS_TOKEN
#endif

/* With CONFIG_IOMMUFD, VFIO refuses a device that lacks one of these. */
#ifdef VARIANT_HAVE_BIND_IOMMUFD
#define VARIANT_OPS_IOMMUFD						\
	.bind_iommufd		= vfio_iommufd_physical_bind,		\
	.unbind_iommufd		= vfio_iommufd_physical_unbind,		\
	.attach_ioas		= vfio_iommufd_physical_attach_ioas,
#else
#define VARIANT_OPS_IOMMUFD
#endif

#ifdef VARIANT_HAVE_DETACH_IOAS
#define VARIANT_OPS_DETACH						\
	.detach_ioas		= vfio_iommufd_physical_detach_ioas,
#else
#define VARIANT_OPS_DETACH
#endif

#ifdef VARIANT_HAVE_PASID_ATTACH_IOAS
#define VARIANT_OPS_PASID						\
	.pasid_attach_ioas	= vfio_iommufd_physical_pasid_attach_ioas, \
	.pasid_detach_ioas	= vfio_iommufd_physical_pasid_detach_ioas,
#else
#define VARIANT_OPS_PASID
#endif

/*
 * The members of struct vfio_device_ops that a variant leaves to the core; it
 * adds .open_device and .close_device, and the others that it has a use for
 * become parameters of this macro.
 *
 * .name has to be the name of the pci_driver, which is the module's: the core
 * writes it to the driver_override of the VFs of a PF that it drives, and a
 * name that no driver has would leave them without one.
 */
#define VARIANT_CORE_OPS						\
	.name			= KBUILD_MODNAME,			\
	VARIANT_OPS_LIFETIME						\
	.ioctl			= vfio_pci_core_ioctl,			\
	VARIANT_OPS_REGION_INFO						\
	VARIANT_OPS_FEATURE						\
	.read			= vfio_pci_core_read,			\
	.write			= vfio_pci_core_write,			\
	.mmap			= vfio_pci_core_mmap,			\
	.request		= vfio_pci_core_request,		\
	.match			= vfio_pci_core_match,			\
	VARIANT_OPS_TOKEN						\
	VARIANT_OPS_IOMMUFD						\
	VARIANT_OPS_DETACH						\
	VARIANT_OPS_PASID

/*
 * VFIO claims the DMA ownership of the whole group by itself. A driver that
 * does not say so has it claimed for the kernel's DMA API when it is bound,
 * and the group is never viable.
 */
#ifdef VARIANT_HAVE_DRIVER_MANAGED_DMA
#define VARIANT_CORE_DRIVER						\
	.name			= KBUILD_MODNAME,			\
	.remove			= variant_remove,			\
	.sriov_configure	= variant_sriov_configure,		\
	.err_handler		= &vfio_pci_core_err_handlers,		\
	.driver_managed_dma	= true,
#else
#define VARIANT_CORE_DRIVER						\
	.name			= KBUILD_MODNAME,			\
	.remove			= variant_remove,			\
	.sriov_configure	= variant_sriov_configure,		\
	.err_handler		= &vfio_pci_core_err_handlers,
#endif

static inline int variant_sriov_configure(struct pci_dev *pdev, int nr_virtfn)
{
#ifdef VARIANT_HAVE_SRIOV_CONFIGURE_CORE
	return vfio_pci_core_sriov_configure(dev_get_drvdata(&pdev->dev),
					     nr_virtfn);
#else
	return vfio_pci_core_sriov_configure(pdev, nr_virtfn);
#endif
}

/*
 * variant_alloc_device(type, member, pdev, ops) - a new struct @type, zeroed
 * but for its @member, the struct vfio_pci_core_device that comes first in it.
 * Returns an ERR_PTR() on failure.
 */
#ifdef VARIANT_HAVE_ALLOC_DEVICE

#define variant_alloc_device(type, member, pdev, ops)			\
	vfio_alloc_device(type, member.vdev, &(pdev)->dev, ops)

static inline void variant_put_device(struct vfio_pci_core_device *core)
{
	vfio_put_device(&core->vdev);
}

#else

static inline void *__variant_alloc_device(size_t size, struct pci_dev *pdev,
					   const struct vfio_device_ops *ops)
{
	struct vfio_pci_core_device *core = kzalloc(size, GFP_KERNEL);

	if (!core)
		return ERR_PTR(-ENOMEM);

	vfio_pci_core_init_device(core, pdev, ops);
	return core;
}

#define variant_alloc_device(type, member, pdev, ops)			\
	((struct type *)__variant_alloc_device(sizeof(struct type) +	\
		BUILD_BUG_ON_ZERO(offsetof(struct type, member)),	\
		pdev, ops))

static inline void variant_put_device(struct vfio_pci_core_device *core)
{
	vfio_pci_core_uninit_device(core);
	kfree(core);
}

#endif /* VARIANT_HAVE_ALLOC_DEVICE */

/* The BARs can be shared as DMA-BUFs only by a driver that names its way. */
static inline void variant_set_pci_ops(struct vfio_pci_core_device *core)
{
#ifdef VARIANT_HAVE_PCI_DEVICE_OPS
	static const struct vfio_pci_device_ops pci_ops = {
		.get_dmabuf_phys = vfio_pci_core_get_dmabuf_phys,
	};

	core->pci_ops = &pci_ops;
#endif
}

/* The end of a driver's probe: a @core that cannot be registered is put. */
static inline int variant_register_device(struct vfio_pci_core_device *core)
{
	int ret;

	/* The core finds itself there, and refuses the device if it does not. */
	dev_set_drvdata(&core->pdev->dev, core);
	variant_set_pci_ops(core);
	ret = vfio_pci_core_register_device(core);
	if (ret)
		variant_put_device(core);
	return ret;
}

static inline void variant_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	vfio_pci_core_unregister_device(core);
	variant_put_device(core);
}

/*
 * A region of a PCI vendor's own type. The next registration moves the struct
 * vfio_pci_region, so a driver never keeps a pointer to one.
 */
static inline int variant_register_region(struct vfio_pci_core_device *core,
					  u32 vendor, u32 subtype,
					  const struct vfio_pci_regops *ops,
					  size_t size, u32 flags)
{
	u32 type = VFIO_REGION_TYPE_PCI_VENDOR_TYPE | vendor;

#ifdef VARIANT_HAVE_CORE_REGISTER_REGION
	return vfio_pci_core_register_dev_region(core, type, subtype, ops, size,
						 flags, NULL);
#else
	return vfio_pci_register_dev_region(core, type, subtype, ops, size,
					    flags, NULL);
#endif
}

/*
 * The body of an open_device. Regions live until close_device and can be
 * registered only here, between the core's two calls; that is for @add_regions,
 * which returns -ENODEV for a device that is to have none of its own.
 */
static inline int
variant_open_device(struct vfio_pci_core_device *core,
		    int (*add_regions)(struct vfio_pci_core_device *core))
{
	int ret;

	ret = vfio_pci_core_enable(core);
	if (ret)
		return ret;

	ret = add_regions(core);
	if (ret && ret != -ENODEV) {
		vfio_pci_core_disable(core);
		return ret;
	}

	vfio_pci_core_finish_enable(core);
	return 0;
}

/* Each change of a VMA's flags is seen by those who walk VMAs from v6.3 on. */
static inline void variant_vm_flags_set(struct vm_area_struct *vma,
					unsigned long flags)
{
#ifdef VARIANT_HAVE_VM_FLAGS_SET
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

#endif /* VARIANT_COMPAT_H */
