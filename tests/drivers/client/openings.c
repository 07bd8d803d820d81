/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A device opened and closed again and again, and one that is held open while its driver is to let go of it. */
#define _GNU_SOURCE
#include <errno.h>
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
#include "kernel_memory.h"
#include "cases.h"
#include "tap.h"

#define PAGE 4096ul
#define WARM_UP 10
#define PARTS 3

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

/* What the kernel has in use before, between and after so many rounds in parts; whoever reads the report judges it. */
void show_openings(char **words)
{
	long rounds = (long)number(words[1]) / PARTS, i, part;

	/* What is made once and kept is made now. */
	for (i = 0; i < WARM_UP; i++)
		open_and_close(words[0]);
	printf("series %s is opened and closed\n", words[0]);
	memory_tell_kept();
	memory_tell(0);
	for (part = 1; part <= PARTS; part++) {
		for (i = 0; i < rounds; i++)
			open_and_close(words[0]);
		memory_tell(part * rounds);
	}
	printf("end of series\n");
	fflush(stdout);
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
