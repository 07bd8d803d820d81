/* SPDX-License-Identifier: GPL-2.0-only */
/* SPDX-FileCopyrightText: The vfio.variants authors */
/*
 * One interface to the vfio-pci-core of every kernel since v5.15, so that the
 * drivers can be written for the newest. The VARIANT_HAVE_* switches of
 * probe-kernel.sh say which interfaces the kernel has.
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

/* Since v6.1 VFIO manages the lifetime of the structure. */
#ifdef VARIANT_HAVE_ALLOC_DEVICE
#define VARIANT_OPS_LIFETIME						\
	.init			= variant_init_dev,			\
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

/* Since v6.19 .ioctl does not handle VFIO_DEVICE_GET_REGION_INFO any more. */
#ifdef VARIANT_HAVE_GET_REGION_INFO_CAPS
#define VARIANT_OPS_REGION_INFO						\
	.get_region_info_caps	= vfio_pci_ioctl_get_region_info,
#else
#define VARIANT_OPS_REGION_INFO
#endif

/* Without it a VF's token is not checked when it is bound to an iommufd. */
#ifdef VARIANT_HAVE_MATCH_TOKEN_UUID
#define VARIANT_OPS_TOKEN						\
	.match_token_uuid	= vfio_pci_core_match_token_uuid,
#else
#define VARIANT_OPS_TOKEN
#endif

/* With CONFIG_IOMMUFD, VFIO refuses a device without one of these. */
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
 * The members of struct vfio_device_ops that a variant leaves to the core. The
 * variant adds .open_device and .close_device.
 *
 * .name must be the name of the pci_driver, which is the module's: the core
 * writes it to the driver_override of a PF's VFs, and with a name that is not a
 * driver's they would stay unbound.
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
 * VFIO itself claims the DMA ownership of the whole group. Without this flag it
 * is claimed for the kernel's DMA API when the driver is bound, and the group is
 * never viable.
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

/* What a PF's driver does once it is allowed to: see variant_ids.h. */
static inline int variant_core_sriov_configure(struct pci_dev *pdev,
					       int nr_virtfn)
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
 * except for @member, its struct vfio_pci_core_device, which must be first.
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

/* The BARs can be shared as DMA-BUFs only by a driver that sets pci_ops. */
static inline void variant_set_pci_ops(struct vfio_pci_core_device *core)
{
#ifdef VARIANT_HAVE_PCI_DEVICE_OPS
	static const struct vfio_pci_device_ops pci_ops = {
		.get_dmabuf_phys = vfio_pci_core_get_dmabuf_phys,
	};

	core->pci_ops = &pci_ops;
#endif
}

/* The end of a driver's probe. Puts @core if it cannot be registered. */
static inline int variant_register_device(struct vfio_pci_core_device *core)
{
	int ret;

	/* The core looks for itself there, and otherwise refuses the device. */
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
 * Registers a region of a PCI vendor's type. The next registration moves the
 * struct vfio_pci_region, so a driver must not keep a pointer to one.
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
 * The body of an open_device. Regions exist until close_device and can be
 * registered only here, between the core's two calls. @add_regions does that,
 * and returns -ENODEV for a device without additional regions.
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

/* Whether the device is in a state in which nothing of it may be accessed. */
static inline bool variant_is_asleep(const struct vfio_pci_core_device *core)
{
	pci_power_t state = core->pdev->current_state;

#ifdef VARIANT_HAVE_LOW_POWER
	if (core->pm_runtime_engaged)
		return true;
#endif
	return state == PCI_D3hot || state == PCI_D3cold;
}

/* Whether these flags of a VFIO_DEVICE_FEATURE put the device to sleep. */
static inline bool variant_is_low_power(u32 flags)
{
#ifdef VARIANT_HAVE_LOW_POWER
	u32 feature = flags & VFIO_DEVICE_FEATURE_MASK;

	return (flags & VFIO_DEVICE_FEATURE_SET) &&
	       (feature == VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY ||
		feature == VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP);
#else
	return false;
#endif
}

/* Since v6.3 changes of a VMA's flags must be visible to walkers of VMAs. */
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
