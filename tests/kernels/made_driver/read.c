// SPDX-License-Identifier: GPL-2.0-only
// SPDX-FileCopyrightText: The vfio.variants authors
/* Becomes a part of the first file, in front of its operations. */
#include "made.h"

static bool made_refuses;
module_param_named(refuses, made_refuses, bool, 0644);
MODULE_PARM_DESC(refuses, "Whether nothing of the device is read");

static ssize_t made_read(struct vfio_device *vdev, char __user *buf,
			 size_t count, loff_t *ppos)
{
	if (made_refuses)
		return made_command();
	return vfio_pci_core_read(vdev, buf, count, ppos);
}

