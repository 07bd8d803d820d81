/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Both ways in which a user of VFIO resets a function. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "function.h"
#include "cases.h"
#include "tap.h"

#define MARK 0x00001234

static int reset_function(const struct function *function)
{
	return ioctl(function->device, VFIO_DEVICE_RESET) ? errno : 0;
}

/* That of its slot or bus, which asks for every group that has a function there. */
static int reset_hot(const struct function *function)
{
	char info_bytes[sizeof(struct vfio_pci_hot_reset_info) + 16 * sizeof(struct vfio_pci_dependent_device)] = { 0 };
	char bytes[sizeof(struct vfio_pci_hot_reset) + sizeof(int32_t)] = { 0 };
	struct vfio_pci_hot_reset_info *info = (struct vfio_pci_hot_reset_info *)info_bytes;
	struct vfio_pci_hot_reset *reset = (struct vfio_pci_hot_reset *)bytes;

	info->argsz = sizeof(info_bytes);
	if (ioctl(function->device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info))
		return errno;
	if (info->count != 1)
		return EXDEV;
	reset->argsz = sizeof(bytes);
	/* By its node, it is the iommufd that says which functions are the caller's. */
	reset->count = !by_cdev;
	memcpy(reset->group_fds, &function->group, sizeof(int32_t));
	return ioctl(function->device, VFIO_DEVICE_PCI_HOT_RESET, reset) ? errno : 0;
}

static void show(const struct function *function, uint64_t at, int (*reset)(const struct function *), const char *name)
{
	config_write(function, 4, 2, config_read(function, 4, 2) | 0x2);
	bar_write(function, at, MARK);
	if (bar_read(function, at) != MARK)
		bail("the register %#llx keeps nothing", (unsigned long long)at);
	check_equal(reset(function), 0, "a user resets the function: %s", name);
	config_write(function, 4, 2, config_read(function, 4, 2) | 0x2);
	check_equal(bar_read(function, at), 0, "its registers are as after power-on: %s", name);
}

void show_resets(char **words)
{
	uint64_t at = number(words[1]);
	struct function function;

	function_must_open(&function, words[0]);
	show(&function, at, reset_function, "function reset");
	show(&function, at, reset_hot, "hot reset");
	function_close(&function);
}
