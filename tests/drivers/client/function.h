/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A PCI function, opened through VFIO's groups as a hypervisor does it, or by its own node (cdev.h). */
#ifndef FUNCTION_H
#define FUNCTION_H

#include <linux/vfio.h>
#include <stddef.h>
#include <stdint.h>

/* Whether function_open() takes the function's own node, and not its group. */
extern int by_cdev;

struct function {
	const char *address;
	int container;
	int group;
	int device;
};

/* A region, with those of its capabilities that it has. */
struct region {
	struct vfio_region_info info;
	uint32_t type, subtype;	/* 0 without */
	uint64_t tgt;
	uint32_t speed;
	int has_tgt, has_speed;
};

/* Each returns 0, or the errno of what failed. */
int function_open(struct function *function, const char *address);
int function_group(struct function *function, const char *address);
int function_device(struct function *function);
void function_close(struct function *function);
/* Opens it or ends the program. */
void function_must_open(struct function *function, const char *address);

int function_regions(const struct function *function);
int function_region(const struct function *function, unsigned int index, struct region *region);
/* As pread(2), at an offset in a region; a negative errno on failure. */
long region_read(const struct function *function, const struct region *region, void *to, size_t count, uint64_t at);
long region_write(const struct function *function, const struct region *region, const void *from, size_t count, uint64_t at);
/* NULL, and errno set, on failure. */
void *region_map(const struct function *function, const struct region *region, size_t size, uint64_t at);

/* How many eventfds' worth of an interrupt's index; a negative errno on failure. */
int interrupt_count(const struct function *function, unsigned int index);
int interrupt_send_to(const struct function *function, unsigned int index, int eventfd);
int interrupt_unmask(const struct function *function, unsigned int index);
int interrupt_disable(const struct function *function, unsigned int index);

uint32_t config_read(const struct function *function, uint64_t at, size_t width);
void config_write(const struct function *function, uint64_t at, size_t width, uint32_t value);
uint32_t bar_read(const struct function *function, uint64_t at);
void bar_write(const struct function *function, uint64_t at, uint32_t value);

#endif
