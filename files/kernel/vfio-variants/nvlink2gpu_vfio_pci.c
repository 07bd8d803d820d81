// SPDX-License-Identifier: GPL-2.0-only
// SPDX-FileCopyrightText: The vfio.variants authors
/*
 * VFIO PCI variant driver for GPUs attached by NVLink2: the SXM2 and SXM3
 * modules of NVIDIA's V100.
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

struct nvlink2gpu_device {
	struct vfio_pci_core_device core;
};

/*
 * Device regions live from here to close_device, and can be registered only
 * between the two calls.
 */
static int nvlink2gpu_open_device(struct vfio_device *vdev)
{
	struct vfio_pci_core_device *core =
		container_of(vdev, struct vfio_pci_core_device, vdev);
	int ret;

	ret = vfio_pci_core_enable(core);
	if (ret)
		return ret;

	vfio_pci_core_finish_enable(core);
	return 0;
}

static const struct vfio_device_ops nvlink2gpu_ops = {
	.open_device		= nvlink2gpu_open_device,
	.close_device		= vfio_pci_core_close_device,
	VARIANT_CORE_OPS
};

static int nvlink2gpu_probe(struct pci_dev *pdev,
			    const struct pci_device_id *id)
{
	struct nvlink2gpu_device *gpu;
	int ret;

	gpu = variant_alloc_device(nvlink2gpu_device, core, pdev,
				   &nvlink2gpu_ops);
	if (IS_ERR(gpu))
		return PTR_ERR(gpu);

	ret = variant_register_device(&gpu->core);
	if (ret)
		variant_put_device(&gpu->core);
	return ret;
}

static void nvlink2gpu_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	vfio_pci_core_unregister_device(core);
	variant_put_device(core);
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

static struct pci_driver nvlink2gpu_driver = {
	.id_table		= nvlink2gpu_table,
	.probe			= nvlink2gpu_probe,
	.remove			= nvlink2gpu_remove,
	VARIANT_CORE_DRIVER
};

static int __init nvlink2gpu_init(void)
{
	int ret;

	ret = pci_register_driver(&nvlink2gpu_driver);
	if (ret)
		return ret;

	variant_add_ids(&nvlink2gpu_driver);
	return 0;
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
