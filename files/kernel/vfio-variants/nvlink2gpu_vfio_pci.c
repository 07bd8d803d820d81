// SPDX-License-Identifier: GPL-2.0-only
// SPDX-FileCopyrightText: The vfio.variants authors
/*
 * VFIO PCI variant driver for GPUs attached by NVLink2: the SXM2 and SXM3
 * modules of NVIDIA's V100.
 *
 * If firmware describes a link to an NPU, the GPU's memory is part of the
 * host's physical address space and is available as an additional region, with
 * the layout that it had in vfio-pci from v5.0 to v5.12. Otherwise, and if the
 * parameter nvlink= says so, the device has no such region.
 *
 * It binds only to a device whose driver_override names it or whose ID is in
 * the module's parameter ids=. Runtime power management, reset, SR-IOV and
 * error recovery are those of the core; the mapping of the memory is taken away
 * for the time of a reset, and while the device sleeps.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pfn.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "nvlink2_firmware.h"
#include "variant_compat.h"
#include "variant_ids.h"

/*
 * The state of the GPU's memory is part of the device and not of the region,
 * so that no open can leak it and no registration move it. What is above
 * @mappings is written only by open_device, which VFIO calls when the device is
 * not open, and can therefore be read without a lock.
 */
struct nvlink2gpu_device {
	struct vfio_pci_core_device core;
	phys_addr_t ram;	/* where the CPUs see the GPU's memory */
	size_t ram_size;	/* the aperture, more than there is memory */
	u64 tgt;		/* the same place as the NPU compresses it */
	atomic_t mappings;	/* the pieces that the one mapping is in */
	/* Protects what follows; is taken inside the core's memory_lock. */
	struct mutex lock;
	unsigned int barred;	/* who keeps the memory from being mapped */
	struct address_space *space;	/* that the mapping is in, or NULL */
	loff_t space_start;
	loff_t space_size;
};

static struct nvlink2gpu_device *
nvlink2gpu_of(struct vfio_pci_core_device *core)
{
	return container_of(core, struct nvlink2gpu_device, core);
}

/*
 * Only one page is mapped, and only for the time of the copy. The CPU may
 * prefetch from what is mapped, and a prefetch from a link that has been fenced
 * meanwhile raises a hypervisor maintenance interrupt. It is also unknown how
 * much of the aperture has memory behind it.
 */
static int nvlink2gpu_copy_in_page(phys_addr_t from, char __user *buf,
				   size_t count, bool iswrite)
{
	size_t offset = offset_in_page(from);
	unsigned long left;
	void *page;

	page = memremap(from - offset, PAGE_SIZE, MEMREMAP_WB);
	if (!page)
		return -ENOMEM;

	if (iswrite)
		left = copy_from_user(page + offset, buf, count);
	else
		left = copy_to_user(buf, page + offset, count);

	memunmap(page);
	return left ? -EFAULT : 0;
}

static ssize_t nvlink2gpu_ram_rw(struct vfio_pci_core_device *core,
				 char __user *buf, size_t count, loff_t *ppos,
				 bool iswrite)
{
	struct nvlink2gpu_device *gpu = nvlink2gpu_of(core);
	u64 pos = *ppos & VFIO_PCI_OFFSET_MASK;
	size_t done = 0;
	int ret = 0;

	if (pos >= gpu->ram_size)
		return -EINVAL;

	count = min_t(size_t, count, gpu->ram_size - pos);

	while (done < count) {
		phys_addr_t from = gpu->ram + pos + done;
		size_t in_page = min_t(size_t, count - done,
				       PAGE_SIZE - offset_in_page(from));

		ret = nvlink2gpu_copy_in_page(from, buf + done, in_page,
					      iswrite);
		if (ret)
			break;

		done += in_page;
		cond_resched();
	}

	*ppos += done;
	return done ? done : ret;
}

/* A VMA is split when part of it is unmapped, and copied when it is moved. */
static void nvlink2gpu_ram_vm_open(struct vm_area_struct *vma)
{
	struct nvlink2gpu_device *gpu = vma->vm_private_data;

	atomic_inc(&gpu->mappings);
}

static void nvlink2gpu_ram_vm_close(struct vm_area_struct *vma)
{
	struct nvlink2gpu_device *gpu = vma->vm_private_data;

	atomic_dec(&gpu->mappings);
}

/*
 * A reset by VFIO holds memory_lock for writing, so that a fault waits for its
 * end. One that does not, such as that of sysfs, and the way into low power have
 * the mapping barred: the access is then tried again until that is over.
 */
static vm_fault_t nvlink2gpu_ram_vm_fault(struct vm_fault *vmf)
{
	struct nvlink2gpu_device *gpu = vmf->vma->vm_private_data;
	unsigned long page = vmf->pgoff & (VFIO_PCI_OFFSET_MASK >> PAGE_SHIFT);
	vm_fault_t ret = VM_FAULT_NOPAGE;
	bool barred;

	down_read(&gpu->core.memory_lock);
	mutex_lock(&gpu->lock);

	barred = gpu->barred;
	if (!barred && variant_is_asleep(&gpu->core))
		ret = VM_FAULT_SIGBUS;
	else if (!barred)
		ret = vmf_insert_pfn(vmf->vma, vmf->address,
				     PHYS_PFN(gpu->ram) + page);

	mutex_unlock(&gpu->lock);
	up_read(&gpu->core.memory_lock);

	if (barred)
		usleep_range(1000, 2000);
	return ret;
}

/* Nothing of the memory is mapped from here to nvlink2gpu_admit(). */
static void nvlink2gpu_bar(struct nvlink2gpu_device *gpu)
{
	mutex_lock(&gpu->lock);
	gpu->barred++;
	if (gpu->space)
		unmap_mapping_range(gpu->space, gpu->space_start,
				    gpu->space_size, true);
	mutex_unlock(&gpu->lock);
}

static void nvlink2gpu_admit(struct nvlink2gpu_device *gpu)
{
	mutex_lock(&gpu->lock);
	gpu->barred--;
	mutex_unlock(&gpu->lock);
}

static const struct vm_operations_struct nvlink2gpu_ram_vm_ops = {
	.open	= nvlink2gpu_ram_vm_open,
	.close	= nvlink2gpu_ram_vm_close,
	.fault	= nvlink2gpu_ram_vm_fault,
};

/*
 * One mapping at a time, as it always was for this region. Several programs or
 * threads may call this at once, hence the atomic: the one that increments it
 * from 0 wins. The page protection is not changed: memory is to be cached.
 */
static int nvlink2gpu_ram_mmap(struct vfio_pci_core_device *core,
			       struct vfio_pci_region *region,
			       struct vm_area_struct *vma)
{
	struct nvlink2gpu_device *gpu = nvlink2gpu_of(core);
	u64 first = vma->vm_pgoff & (VFIO_PCI_OFFSET_MASK >> PAGE_SHIFT);
	u64 pages = gpu->ram_size >> PAGE_SHIFT;

	if (first >= pages || vma_pages(vma) > pages - first)
		return -EINVAL;

	if (atomic_cmpxchg(&gpu->mappings, 0, 1))
		return -EPERM;

	variant_vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND |
			     VM_DONTDUMP | VM_DONTCOPY);
	vma->vm_private_data = gpu;
	vma->vm_ops = &nvlink2gpu_ram_vm_ops;

	mutex_lock(&gpu->lock);
	gpu->space = vma->vm_file->f_mapping;
	gpu->space_start = (loff_t)vma->vm_pgoff << PAGE_SHIFT;
	gpu->space_size = vma->vm_end - vma->vm_start;
	mutex_unlock(&gpu->lock);
	return 0;
}

static int nvlink2gpu_ram_caps(struct vfio_pci_core_device *core,
			       struct vfio_pci_region *region,
			       struct vfio_info_cap *caps)
{
	struct vfio_region_info_cap_nvlink2_ssatgt cap = {
		.header.id	= VFIO_REGION_INFO_CAP_NVLINK2_SSATGT,
		.header.version	= 1,
		.tgt		= nvlink2gpu_of(core)->tgt,
	};

	return vfio_info_add_capability(caps, &cap.header, sizeof(cap));
}

/*
 * The file is closed, and no mapping outlives its file. The count is already 0,
 * unless the kernel dropped a mapping between .mmap and the end of mmap()
 * without calling .close, as some kernels do on an error.
 */
static void nvlink2gpu_ram_release(struct vfio_pci_core_device *core,
				   struct vfio_pci_region *region)
{
	struct nvlink2gpu_device *gpu = nvlink2gpu_of(core);

	atomic_set(&gpu->mappings, 0);
	mutex_lock(&gpu->lock);
	gpu->space = NULL;
	mutex_unlock(&gpu->lock);
}

static const struct vfio_pci_regops nvlink2gpu_ram_ops = {
	.rw		= nvlink2gpu_ram_rw,
	.mmap		= nvlink2gpu_ram_mmap,
	.add_capability	= nvlink2gpu_ram_caps,
	.release	= nvlink2gpu_ram_release,
};

static int nvlink2gpu_read_npu(struct nvlink2gpu_device *gpu,
			       struct fwnode_handle *npu)
{
	struct pci_dev *pdev = gpu->core.pdev;
	struct fwnode_handle *memory;
	u64 range[2];
	int ret;

	ret = nvlink2_read_u64s(pdev, npu, "ibm,device-tgt-addr", &gpu->tgt, 1);
	if (ret)
		return ret;

	memory = nvlink2_get_referred(pdev, npu, "memory-region");
	if (IS_ERR(memory))
		return PTR_ERR(memory);

	ret = nvlink2_read_u64s(pdev, memory, "reg", range, ARRAY_SIZE(range));
	if (!ret)
		ret = nvlink2_check_range(pdev, memory, "reg", range[0],
					  range[1]);
	if (!ret) {
		gpu->ram = range[0];
		gpu->ram_size = range[1];
	}

	fwnode_handle_put(memory);
	return ret;
}

static int nvlink2gpu_add_ram_region(struct vfio_pci_core_device *core)
{
	struct nvlink2gpu_device *gpu = nvlink2gpu_of(core);
	struct pci_dev *pdev = core->pdev;
	struct fwnode_handle *npu;
	int ret;

	npu = nvlink2_get_other_end(pdev, "ibm,npu");
	if (IS_ERR(npu))
		return PTR_ERR(npu);

	ret = nvlink2gpu_read_npu(gpu, npu);
	fwnode_handle_put(npu);
	if (ret)
		return ret;

	nvlink2_warn_of_force(pdev);
	return variant_register_region(core, PCI_VENDOR_ID_NVIDIA,
				       VFIO_REGION_SUBTYPE_NVIDIA_NVLINK2_RAM,
				       &nvlink2gpu_ram_ops, gpu->ram_size,
				       VFIO_REGION_INFO_FLAG_READ |
				       VFIO_REGION_INFO_FLAG_WRITE |
				       VFIO_REGION_INFO_FLAG_MMAP);
}

static int nvlink2gpu_open_device(struct vfio_device *vdev)
{
	struct vfio_pci_core_device *core =
		container_of(vdev, struct vfio_pci_core_device, vdev);

	return variant_open_device(core, nvlink2gpu_add_ram_region);
}

/*
 * The core unmaps BARs when the device goes to sleep, not a driver's regions.
 * Once the core has taken note of it, faults find the device asleep.
 */
#ifdef VARIANT_HAVE_DEVICE_FEATURE
static int nvlink2gpu_device_feature(struct vfio_device *vdev, u32 flags,
				     void __user *arg, size_t argsz)
{
	struct nvlink2gpu_device *gpu =
		container_of(vdev, struct nvlink2gpu_device, core.vdev);
	int ret;

	if (!variant_is_low_power(flags))
		return vfio_pci_core_ioctl_feature(vdev, flags, arg, argsz);

	nvlink2gpu_bar(gpu);
	ret = vfio_pci_core_ioctl_feature(vdev, flags, arg, argsz);
	nvlink2gpu_admit(gpu);
	return ret;
}
#endif

/* A user can also put the device to sleep by its configuration space. */
static ssize_t nvlink2gpu_write(struct vfio_device *vdev,
				const char __user *buf, size_t count,
				loff_t *ppos)
{
	struct nvlink2gpu_device *gpu =
		container_of(vdev, struct nvlink2gpu_device, core.vdev);
	ssize_t ret;

	if (VFIO_PCI_OFFSET_TO_INDEX(*ppos) != VFIO_PCI_CONFIG_REGION_INDEX)
		return vfio_pci_core_write(vdev, buf, count, ppos);

	ret = vfio_pci_core_write(vdev, buf, count, ppos);
	if (variant_is_asleep(&gpu->core)) {
		nvlink2gpu_bar(gpu);
		nvlink2gpu_admit(gpu);
	}
	return ret;
}

static const struct vfio_device_ops nvlink2gpu_ops = {
	.open_device		= nvlink2gpu_open_device,
	.close_device		= vfio_pci_core_close_device,
	VARIANT_CORE_OPS
	.write			= nvlink2gpu_write,
#ifdef VARIANT_HAVE_DEVICE_FEATURE
	.device_feature		= nvlink2gpu_device_feature,
#endif
};

static int nvlink2gpu_probe(struct pci_dev *pdev,
			    const struct pci_device_id *id)
{
	struct nvlink2gpu_device *gpu;

	gpu = variant_alloc_device(nvlink2gpu_device, core, pdev,
				   &nvlink2gpu_ops);
	if (IS_ERR(gpu))
		return PTR_ERR(gpu);

	mutex_init(&gpu->lock);
	return variant_register_device(&gpu->core);
}

static const struct pci_device_id nvlink2gpu_table[] = {
	/* V100-SXM2-16GB */
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_VENDOR_ID_NVIDIA, 0x1db1) },
	/* V100-SXM2-32GB */
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_VENDOR_ID_NVIDIA, 0x1db5) },
	/* V100-SXM3-32GB */
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_VENDOR_ID_NVIDIA, 0x1db8) },
	/* V100-SXM2-16GB as well */
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_VENDOR_ID_NVIDIA, 0x1df5) },
	{}
};
MODULE_DEVICE_TABLE(pci, nvlink2gpu_table);

/* Before and after every reset, whoever asked for it. */
static void nvlink2gpu_reset_prepare(struct pci_dev *pdev)
{
	nvlink2gpu_bar(nvlink2gpu_of(dev_get_drvdata(&pdev->dev)));
}

static void nvlink2gpu_reset_done(struct pci_dev *pdev)
{
	nvlink2gpu_admit(nvlink2gpu_of(dev_get_drvdata(&pdev->dev)));
}

/* The core's, with these two: see nvlink2gpu_init(). */
static struct pci_error_handlers nvlink2gpu_err_handlers;

static struct pci_driver nvlink2gpu_driver = {
	.id_table		= nvlink2gpu_table,
	.probe			= nvlink2gpu_probe,
	VARIANT_CORE_DRIVER
	.err_handler		= &nvlink2gpu_err_handlers,
};

static int __init nvlink2gpu_init(void)
{
	nvlink2gpu_err_handlers = vfio_pci_core_err_handlers;
	nvlink2gpu_err_handlers.reset_prepare = nvlink2gpu_reset_prepare;
	nvlink2gpu_err_handlers.reset_done = nvlink2gpu_reset_done;
	return variant_register_driver(&nvlink2gpu_driver);
}
module_init(nvlink2gpu_init);

static void __exit nvlink2gpu_exit(void)
{
	pci_unregister_driver(&nvlink2gpu_driver);
}
module_exit(nvlink2gpu_exit);

MODULE_LICENSE("GPL");
MODULE_VERSION(VARIANT_VERSION);
MODULE_AUTHOR("The vfio.variants authors");
MODULE_DESCRIPTION("VFIO PCI variant driver for NVLink2 attached GPUs");
