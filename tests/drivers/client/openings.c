/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A device opened and closed again and again, and one that is held open while its driver is to let go of it. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "function.h"
#include "scenes.h"
#include "tap.h"

#define PAGE 4096ul
#define WARM_UP 10
#define PARTS 3
#define MOST_TRIES 20
#define GRACE_US 50000
#define SLABS "/sys/kernel/slab"

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		bail("%s: %s", path, strerror(errno));
	close(fd);
}

/* The sum of the numbers in the lines of a file that look so. */
static long sum_in(const char *path, const char *format)
{
	FILE *file = fopen(path, "r");
	long sum = 0, value, lines = 0;
	char line[512];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, format, &value) == 1) {
			sum += value;
			lines++;
		}
	if (!file || fclose(file) || !lines)
		bail("%s tells nothing of %s", path, format);
	return sum;
}

/* With those that a CPU has at hand, hundreds at times, from which a lost page would be taken first. */
static long free_pages(void)
{
	return sum_in("/proc/vmstat", "nr_free_pages %ld") + sum_in("/proc/zoneinfo", " count: %ld");
}

/* The allocator keeps freed objects and pages at hand for each CPU. This has it put them back, so that they do not count. */
static void put_back(void)
{
	DIR *slabs = opendir(SLABS);
	struct dirent *slab;
	char path[512];

	put("/proc/sys/vm/drop_caches", "3");
	while (slabs && (slab = readdir(slabs))) {
		snprintf(path, sizeof(path), SLABS "/%s/shrink", slab->d_name);
		if (!strncmp(slab->d_name, "kmalloc", 7) && !access(path, W_OK))
			put(path, "1");
	}
	if (slabs)
		closedir(slabs);
	put("/proc/sys/vm/compact_memory", "1");
}

/* What is freed after RCU's grace period is free a little later, and each time it lets go of more. */
static void settle(void)
{
	int tries = MOST_TRIES;
	long before;

	do {
		before = free_pages();
		put_back();
		usleep(GRACE_US);
	} while (free_pages() > before && --tries);
}

struct usage {
	long objects;	/* of all kmalloc caches */
	long pages;	/* that are not free */
};

static struct usage measure(void)
{
	struct usage usage = { 0 };
	char line[512], name[64];
	FILE *file;
	long value;

	settle();
	usage.pages = -free_pages();
	file = fopen("/proc/slabinfo", "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %ld", name, &value) == 2 && !strncmp(name, "kmalloc", 7))
			usage.objects += value;
	if (!file || fclose(file))
		bail("/proc/slabinfo: %s", strerror(errno));
	return usage;
}

static void open_and_close(const char *address)
{
	unsigned char byte = 0;
	struct function function;
	struct region region;
	unsigned char *mapped;

	function_must_open(&function, address);
	if (function_region(&function, VENDOR_REGION, &region))
		bail("the vendor's region is not described");
	mapped = region_map(&function, &region, PAGE, 0);
	if (!mapped)
		bail("the vendor's region cannot be mapped: %s", strerror(errno));
	*(volatile unsigned char *)mapped = 1;
	if (region_read(&function, &region, &byte, 1, 0) != 1)
		bail("the vendor's region cannot be read");
	munmap(mapped, PAGE);
	function_close(&function);
}

static int compare(const void *one, const void *other)
{
	long difference = *(const long *)one - *(const long *)other;

	return difference < 0 ? -1 : difference > 0;
}

static long median(long *values)
{
	qsort(values, PARTS, sizeof(*values), compare);
	return values[PARTS / 2];
}

/*
 * Three parts of so many rounds each. What a round loses it loses in every part, whereas other parts of the kernel were seen
 * to take some pages or up to 63 objects during one part and to give back as many in the next. Hence the median of the parts
 * tells, and half of what one page or object a round would come to is the bound.
 */
void show_openings(char **words)
{
	long rounds = (long)number(words[1]), objects[PARTS], pages[PARTS], i, part;
	struct usage before, after;

	/* What is made once and kept is made now. */
	for (i = 0; i < WARM_UP; i++)
		open_and_close(words[0]);
	before = measure();
	for (part = 0; part < PARTS; part++) {
		for (i = 0; i < rounds; i++)
			open_and_close(words[0]);
		after = measure();
		objects[part] = after.objects - before.objects;
		pages[part] = after.pages - before.pages;
		note("%ld rounds: %+ld objects, %+ld pages", rounds, objects[part], pages[part]);
		before = after;
	}
	check(median(objects) < rounds / 2, "%ld rounds of opening and closing lose no object", PARTS * rounds);
	check(median(pages) < rounds / 2, "nor a page");
}

/* By a child, as it waits until nobody has the device open; nor must the child have it. */
static pid_t unbind(struct function *function, const char *driver)
{
	pid_t child = fork();
	char path[128];

	if (!child) {
		function_close(function);
		snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/unbind", driver);
		put(path, function->address);
		_exit(0);
	}
	return child;
}

/* Whether a child ends in so many tenths of a second, and how. */
static int ends_within(pid_t child, int tenths, int *status)
{
	while (waitpid(child, status, WNOHANG) == 0) {
		if (!tenths--)
			return 0;
		usleep(100000);
	}
	return 1;
}

void show_unbinding(char **words)
{
	int request = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), status = -1;
	struct pollfd asked = { .fd = request, .events = POLLIN };
	struct function function;
	uint32_t vendor;
	pid_t child;

	function_must_open(&function, words[0]);
	vendor = config_read(&function, 0, 2);
	check_equal(interrupt_send_to(&function, VFIO_PCI_REQ_IRQ_INDEX, request), 0, "a user lets itself be asked to close the device");
	child = unbind(&function, words[1]);
	check_equal(poll(&asked, 1, 5000), 1, "it is asked when the device is to be unbound");
	check(!ends_within(child, 10, &status), "the unbinding waits as long as the device is open");
	check_equal(config_read(&function, 0, 2), vendor, "and the device works");
	function_close(&function);
	check(ends_within(child, 50, &status) && status == 0, "the unbinding completes when it is closed");
	check_equal(function_open(&function, words[0]), ENOENT, "and nobody can open it any more");
	close(request);
}
