/* SPDX-License-Identifier: GPL-2.0-only */
/* SPDX-FileCopyrightText: The vfio.variants authors */
/*
 * Put in front of a driver's source (-include), it lets one call after the
 * other fail that the driver makes, and keeps count of what the driver holds.
 *
 * Debian's kernels are built without CONFIG_FAULT_INJECTION, CONFIG_FAILSLAB
 * and CONFIG_DEBUG_KMEMLEAK, so the kernel cannot be asked to do this. It would
 * not be as exact, either: this way it is the driver's own calls that fail, and
 * every one of them, and a single thing that is not given back is seen.
 *
 * Each function below does what the one of its name does, and then takes its
 * name. The kernel's headers come first, so that only the driver is changed.
 */
#ifndef LEAK_COUNTER_H
#define LEAK_COUNTER_H

/* As the drivers have it; printk.h, which comes in here, would else set it. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>
#include <linux/property.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

static unsigned int counter_calls;
module_param_named(calls, counter_calls, uint, 0600);
MODULE_PARM_DESC(calls, "How many calls that can fail were made");

static unsigned int counter_fail_at;
module_param_named(fail_at, counter_fail_at, uint, 0600);
MODULE_PARM_DESC(fail_at, "Which of those calls is to fail; 0 for none");

static char counter_failed[48];
module_param_string(failed, counter_failed, sizeof(counter_failed), 0600);
MODULE_PARM_DESC(failed, "The function that failed");

static int counter_held;
module_param_named(held, counter_held, int, 0400);
MODULE_PARM_DESC(held, "How many things the driver holds");

static inline bool counter_fails(const char *call)
{
	if (++counter_calls != counter_fail_at)
		return false;
	strscpy(counter_failed, call, sizeof(counter_failed));
	return true;
}

static inline void *counter_hold(void *thing)
{
	if (!IS_ERR_OR_NULL(thing))
		counter_held++;
	return thing;
}

static inline void counter_give_back(const void *thing)
{
	if (!IS_ERR_OR_NULL(thing))
		counter_held--;
}

static inline int counter_hold_unless(int ret)
{
	if (!ret)
		counter_held++;
	return ret;
}

/* Memory */

static inline void *counter_kcalloc(size_t n, size_t size, gfp_t flags)
{
	if (counter_fails("kcalloc"))
		return NULL;
	return counter_hold(kcalloc(n, size, flags));
}

#undef kcalloc
#define kcalloc counter_kcalloc

static inline void *counter_kzalloc(size_t size, gfp_t flags)
{
	if (counter_fails("kzalloc"))
		return NULL;
	return counter_hold(kzalloc(size, flags));
}

#undef kzalloc
#define kzalloc counter_kzalloc

static inline void counter_kfree(const void *memory)
{
	counter_give_back(memory);
	kfree(memory);
}

#undef kfree
#define kfree counter_kfree

/* Mappings for the kernel */

static inline void *counter_memremap(resource_size_t at, size_t size,
				    unsigned long flags)
{
	if (counter_fails("memremap"))
		return NULL;
	return counter_hold(memremap(at, size, flags));
}

#undef memremap
#define memremap counter_memremap

static inline void counter_memunmap(void *memory)
{
	counter_give_back(memory);
	memunmap(memory);
}

#undef memunmap
#define memunmap counter_memunmap

static inline void __iomem *counter_ioremap(phys_addr_t at, size_t size)
{
	if (counter_fails("ioremap"))
		return NULL;
	return (void __iomem *)counter_hold((void __force *)ioremap(at, size));
}

#undef ioremap
#define ioremap counter_ioremap

static inline void counter_iounmap(void __iomem *memory)
{
	counter_give_back((void __force *)memory);
	iounmap(memory);
}

#undef iounmap
#define iounmap counter_iounmap

/* Programs' memory */

static inline unsigned long counter_copy_to_user(void __user *to,
						const void *from,
						unsigned long n)
{
	return counter_fails("copy_to_user") ? n : copy_to_user(to, from, n);
}

#undef copy_to_user
#define copy_to_user counter_copy_to_user

static inline unsigned long counter_copy_from_user(void *to,
						  const void __user *from,
						  unsigned long n)
{
	return counter_fails("copy_from_user") ? n : copy_from_user(to, from, n);
}

#undef copy_from_user
#define copy_from_user counter_copy_from_user

static inline int counter_io_remap_pfn_range(struct vm_area_struct *vma,
					    unsigned long at,
					    unsigned long pfn,
					    unsigned long size,
					    pgprot_t prot)
{
	if (counter_fails("io_remap_pfn_range"))
		return -ENOMEM;
	return io_remap_pfn_range(vma, at, pfn, size, prot);
}

#undef io_remap_pfn_range
#define io_remap_pfn_range counter_io_remap_pfn_range

static inline vm_fault_t counter_vmf_insert_pfn(struct vm_area_struct *vma,
					       unsigned long at,
					       unsigned long pfn)
{
	if (counter_fails("vmf_insert_pfn"))
		return VM_FAULT_SIGBUS;
	return vmf_insert_pfn(vma, at, pfn);
}

#undef vmf_insert_pfn
#define vmf_insert_pfn counter_vmf_insert_pfn

/* References: taking one cannot fail for want of memory. */

static inline struct fwnode_handle *
counter_fwnode_find_reference(const struct fwnode_handle *node,
			     const char *name, unsigned int index)
{
	return counter_hold(fwnode_find_reference(node, name, index));
}

#undef fwnode_find_reference
#define fwnode_find_reference counter_fwnode_find_reference

static inline void counter_fwnode_handle_put(struct fwnode_handle *node)
{
	counter_give_back(node);
	fwnode_handle_put(node);
}

#undef fwnode_handle_put
#define fwnode_handle_put counter_fwnode_handle_put

/* Its types differ between kernels. */
#define bus_find_device(...) \
	((struct device *)counter_hold(bus_find_device(__VA_ARGS__)))

static inline void counter_put_device(struct device *dev)
{
	counter_give_back(dev);
	put_device(dev);
}

#undef put_device
#define put_device counter_put_device

/* VFIO */

#define _vfio_alloc_device(...) \
	(counter_fails("_vfio_alloc_device") ? ERR_PTR(-ENOMEM) : \
	 counter_hold(_vfio_alloc_device(__VA_ARGS__)))

static inline void counter_release_dev(struct vfio_device *vdev)
{
	counter_give_back(vdev);
	vfio_pci_core_release_dev(vdev);
}

#undef vfio_pci_core_release_dev
#define vfio_pci_core_release_dev counter_release_dev

static inline int counter_register_device(struct vfio_pci_core_device *core)
{
	if (counter_fails("vfio_pci_core_register_device"))
		return -ENOMEM;
	return counter_hold_unless(vfio_pci_core_register_device(core));
}

#undef vfio_pci_core_register_device
#define vfio_pci_core_register_device counter_register_device

static inline void counter_unregister_device(struct vfio_pci_core_device *core)
{
	counter_give_back(core);
	vfio_pci_core_unregister_device(core);
}

#undef vfio_pci_core_unregister_device
#define vfio_pci_core_unregister_device counter_unregister_device

static inline int counter_enable(struct vfio_pci_core_device *core)
{
	if (counter_fails("vfio_pci_core_enable"))
		return -ENOMEM;
	return counter_hold_unless(vfio_pci_core_enable(core));
}

#undef vfio_pci_core_enable
#define vfio_pci_core_enable counter_enable

static inline void counter_disable(struct vfio_pci_core_device *core)
{
	counter_give_back(core);
	vfio_pci_core_disable(core);
}

#undef vfio_pci_core_disable
#define vfio_pci_core_disable counter_disable

static inline void counter_close_device(struct vfio_device *vdev)
{
	counter_give_back(vdev);
	vfio_pci_core_close_device(vdev);
}

#undef vfio_pci_core_close_device
#define vfio_pci_core_close_device counter_close_device

static inline int
counter_register_dev_region(struct vfio_pci_core_device *core,
			   unsigned int type, unsigned int subtype,
			   const struct vfio_pci_regops *ops, size_t size,
			   u32 flags, void *data)
{
	if (counter_fails("vfio_pci_core_register_dev_region"))
		return -ENOMEM;
	return vfio_pci_core_register_dev_region(core, type, subtype, ops,
						 size, flags, data);
}

#undef vfio_pci_core_register_dev_region
#define vfio_pci_core_register_dev_region counter_register_dev_region

static inline int counter_add_capability(struct vfio_info_cap *caps,
					struct vfio_info_cap_header *cap,
					size_t size)
{
	if (counter_fails("vfio_info_add_capability"))
		return -ENOMEM;
	return vfio_info_add_capability(caps, cap, size);
}

#undef vfio_info_add_capability
#define vfio_info_add_capability counter_add_capability

/* The driver */

static inline int counter_register_driver(struct pci_driver *driver,
					 struct module *owner,
					 const char *name)
{
	if (counter_fails("__pci_register_driver"))
		return -ENOMEM;
	return __pci_register_driver(driver, owner, name);
}

#undef __pci_register_driver
#define __pci_register_driver counter_register_driver

#define pci_add_dynid(...) \
	(counter_fails("pci_add_dynid") ? -ENOMEM : pci_add_dynid(__VA_ARGS__))

#endif /* LEAK_COUNTER_H */
