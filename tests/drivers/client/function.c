/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "function.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cdev.h"
#include "tap.h"

int by_cdev;

static int group_number(const char *address)
{
	char link[128], target[256];
	ssize_t length;

	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s/iommu_group", address);
	length = readlink(link, target, sizeof(target) - 1);
	if (length < 0)
		return -1;
	target[length] = '\0';
	return atoi(strrchr(target, '/') + 1);
}

int function_group(struct function *function, const char *address)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[64];

	*function = (struct function){ .address = address, .container = -1, .group = -1, .device = -1 };
	snprintf(path, sizeof(path), "/dev/vfio/%d", group_number(address));
	function->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (function->container < 0)
		return errno;
	function->group = open(path, O_RDWR | O_CLOEXEC);
	if (function->group < 0)
		return errno;
	if (ioctl(function->group, VFIO_GROUP_GET_STATUS, &status))
		return errno;
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return EPERM;
	if (ioctl(function->group, VFIO_GROUP_SET_CONTAINER, &function->container))
		return errno;
	return ioctl(function->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) ? errno : 0;
}

int function_device(struct function *function)
{
	function->device = ioctl(function->group, VFIO_GROUP_GET_DEVICE_FD, function->address);
	return function->device < 0 ? errno : 0;
}

int function_open(struct function *function, const char *address)
{
	int error = by_cdev ? cdev_open(function, address) : function_group(function, address);

	if (!error && !by_cdev)
		error = function_device(function);
	if (error)
		function_close(function);
	return error;
}

void function_must_open(struct function *function, const char *address)
{
	int error = function_open(function, address);

	if (error)
		bail("%s cannot be opened: %s", address, strerror(error));
}

void function_close(struct function *function)
{
	int *fds[] = { &function->device, &function->group, &function->container };
	size_t i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

int function_regions(const struct function *function)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	return ioctl(function->device, VFIO_DEVICE_GET_INFO, &info) ? -errno : (int)info.num_regions;
}

static void take_capability(struct region *region, const void *at)
{
	const struct vfio_info_cap_header *header = at;

	if (header->id == VFIO_REGION_INFO_CAP_TYPE) {
		const struct vfio_region_info_cap_type *cap = at;

		region->type = cap->type;
		region->subtype = cap->subtype;
	} else if (header->id == VFIO_REGION_INFO_CAP_NVLINK2_SSATGT) {
		region->has_tgt++;
		region->tgt = ((const struct vfio_region_info_cap_nvlink2_ssatgt *)at)->tgt;
	} else if (header->id == VFIO_REGION_INFO_CAP_NVLINK2_LNKSPD) {
		region->has_speed++;
		region->speed = ((const struct vfio_region_info_cap_nvlink2_lnkspd *)at)->link_speed;
	}
}

int function_region(const struct function *function, unsigned int index, struct region *region)
{
	union {
		struct vfio_region_info info;
		char bytes[1024];
	} answer = { .info = { .argsz = sizeof(answer), .index = index } };
	uint32_t at;

	memset(region, 0, sizeof(*region));
	if (ioctl(function->device, VFIO_DEVICE_GET_REGION_INFO, &answer))
		return errno;
	region->info = answer.info;
	at = answer.info.flags & VFIO_REGION_INFO_FLAG_CAPS ? answer.info.cap_offset : 0;
	while (at) {
		take_capability(region, answer.bytes + at);
		at = ((const struct vfio_info_cap_header *)(answer.bytes + at))->next;
	}
	return 0;
}

long region_read(const struct function *function, const struct region *region, void *to, size_t count, uint64_t at)
{
	ssize_t done = pread(function->device, to, count, region->info.offset + at);

	return done < 0 ? -errno : done;
}

long region_write(const struct function *function, const struct region *region, const void *from, size_t count, uint64_t at)
{
	ssize_t done = pwrite(function->device, from, count, region->info.offset + at);

	return done < 0 ? -errno : done;
}

void *region_map(const struct function *function, const struct region *region, size_t size, uint64_t at)
{
	void *place = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, function->device, region->info.offset + at);

	return place == MAP_FAILED ? NULL : place;
}

int interrupt_count(const struct function *function, unsigned int index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	return ioctl(function->device, VFIO_DEVICE_GET_IRQ_INFO, &info) ? -errno : (int)info.count;
}

static int set_interrupt(const struct function *function, unsigned int index, uint32_t flags, unsigned int count, const int *eventfd)
{
	char bytes[sizeof(struct vfio_irq_set) + sizeof(int)];
	struct vfio_irq_set *set = (struct vfio_irq_set *)bytes;

	*set = (struct vfio_irq_set){ .argsz = sizeof(*set), .index = index, .count = count, .flags = flags };
	if (eventfd) {
		set->argsz = sizeof(bytes);
		memcpy(set->data, eventfd, sizeof(*eventfd));
	}
	return ioctl(function->device, VFIO_DEVICE_SET_IRQS, set) ? errno : 0;
}

int interrupt_send_to(const struct function *function, unsigned int index, int eventfd)
{
	return set_interrupt(function, index, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 1, &eventfd);
}

int interrupt_unmask(const struct function *function, unsigned int index)
{
	return set_interrupt(function, index, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 1, NULL);
}

int interrupt_disable(const struct function *function, unsigned int index)
{
	return set_interrupt(function, index, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, NULL);
}

static void fixed_region(const struct function *function, unsigned int index, struct region *region)
{
	if (function_region(function, index, region))
		bail("region %u: %s", index, strerror(errno));
}

static void move(const struct function *function, unsigned int index, uint64_t at, void *value, size_t width, int write)
{
	struct region region;
	long done;

	fixed_region(function, index, &region);
	done = write ? region_write(function, &region, value, width, at) : region_read(function, &region, value, width, at);
	if (done != (long)width)
		bail("%s: %zu bytes at %#llx of region %u: %ld", function->address, width, (unsigned long long)at, index, done);
}

uint32_t config_read(const struct function *function, uint64_t at, size_t width)
{
	uint32_t value = 0;

	move(function, VFIO_PCI_CONFIG_REGION_INDEX, at, &value, width, 0);
	return value;
}

void config_write(const struct function *function, uint64_t at, size_t width, uint32_t value)
{
	move(function, VFIO_PCI_CONFIG_REGION_INDEX, at, &value, width, 1);
}

uint32_t bar_read(const struct function *function, uint64_t at)
{
	uint32_t value = 0;

	move(function, VFIO_PCI_BAR0_REGION_INDEX, at, &value, sizeof(value), 0);
	return value;
}

void bar_write(const struct function *function, uint64_t at, uint32_t value)
{
	move(function, VFIO_PCI_BAR0_REGION_INDEX, at, &value, sizeof(value), 1);
}
