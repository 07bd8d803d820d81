/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cdev.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cases.h"
#include "tap.h"

/* The headers of Debian 12 know nothing of all this, nor does its kernel. */
#if __has_include(<linux/iommufd.h>)
#include <linux/iommufd.h>

#define PAGE 4096ul
#define IOVA 0x100000ul

int cdev_node(const char *address)
{
	char path[128], node[300] = "";
	struct dirent *entry;
	DIR *folder;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", address);
	folder = opendir(path);
	if (!folder)
		return -errno;
	while ((entry = readdir(folder)))
		if (!strncmp(entry->d_name, "vfio", 4))
			snprintf(node, sizeof(node), "/dev/vfio/devices/%s", entry->d_name);
	closedir(folder);
	fd = open(node, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int allocate_space(int iommufd, uint32_t *space)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc))
		return errno;
	*space = alloc.out_ioas_id;
	return 0;
}

static int attach(int device, uint32_t space)
{
	struct vfio_device_attach_iommufd_pt to = { .argsz = sizeof(to), .pt_id = space };

	return ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &to) ? errno : 0;
}

static int detach(int device)
{
	struct vfio_device_detach_iommufd_pt from = { .argsz = sizeof(from) };

	return ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &from) ? errno : 0;
}

static int bind_to(int device, int iommufd)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommufd };

	return ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind) ? errno : 0;
}

int cdev_open(struct function *function, const char *address)
{
	uint32_t space;
	int error;

	*function = (struct function){ .address = address, .container = -1, .group = -1, .device = -1 };
	function->device = cdev_node(address);
	if (function->device < 0)
		return -function->device;
	function->container = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (function->container < 0)
		return errno;
	error = bind_to(function->device, function->container);
	if (!error)
		error = allocate_space(function->container, &space);
	return error ? error : attach(function->device, space);
}

static int map_page(int iommufd, uint32_t space, void *page)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = space,
		.user_va = (uintptr_t)page,
		.length = PAGE,
		.iova = IOVA,
	};

	return ioctl(iommufd, IOMMU_IOAS_MAP, &map) ? errno : 0;
}

static void show_unbound(const char *address)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int device = cdev_node(address);

	check(device >= 0, "the function's own node can be opened");
	check(ioctl(device, VFIO_DEVICE_GET_INFO, &info) && errno == EINVAL, "it answers nothing before it is bound to an iommufd");
	check_equal(attach(device, 1), EINVAL, "nor is it attached to anything");
	close(device);
}

static void show_spaces(const struct function *function)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	uint32_t other;

	check_equal(detach(function->device), 0, "it is detached from its address space");
	check_equal(allocate_space(function->container, &other), 0, "an iommufd has a second address space");
	check_equal(attach(function->device, other), 0, "and the function is attached to it");
	check_equal(map_page(function->container, other, page), 0, "memory is mapped for the function's DMA");
	check_equal(map_page(function->container, other, page), EEXIST, "once at one address");
	munmap(page, PAGE);
}

/* What only this way has; the other cases show the rest, with --cdev in front of their names. */
void show_cdev(char **words)
{
	struct function function, group;
	int error;

	show_unbound(words[0]);
	error = cdev_open(&function, words[0]);
	if (error)
		bail("%s cannot be opened by its node: %s", words[0], strerror(error));
	show_spaces(&function);
	error = function_group(&group, words[0]);
	function_close(&group);
	check_equal(error, EBUSY, "nobody can open its group meanwhile");
	function_close(&function);
	error = function_group(&group, words[0]);
	if (!error)
		error = function_device(&group);
	check_equal(error, 0, "and the group can be used afterwards");
	check_equal(cdev_open(&function, words[0]), EBUSY, "then it cannot be bound by its node");
	function_close(&function);
	function_close(&group);
}

#else

int cdev_node(const char *address)
{
	(void)address;
	return -ENOSYS;
}

int cdev_open(struct function *function, const char *address)
{
	*function = (struct function){ .address = address, .container = -1, .group = -1, .device = -1 };
	return ENOSYS;
}

void show_cdev(char **words)
{
	bail("the headers that this was built with have no iommufd: %s", words[0]);
}

#endif
