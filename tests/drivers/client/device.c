/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every PCI function offers: its regions, config space and BARs. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "function.h"
#include "cases.h"
#include "tap.h"

void show_plain_device(char **words)
{
	struct function function, second;
	unsigned int index;
	int refused = 0;

	function_must_open(&function, words[0]);
	check_equal(config_read(&function, 0, 2), (int64_t)number(words[1]), "config space has the vendor");
	check_equal(config_read(&function, 2, 2), (int64_t)number(words[2]), "config space has the device");
	config_write(&function, 0, 2, 0x1234);
	check_equal(config_read(&function, 0, 2), (int64_t)number(words[1]), "config space lets nobody change the vendor");
	check_equal(interrupt_count(&function, VFIO_PCI_INTX_IRQ_INDEX), 1, "the function has an INTx");
	for (index = 0; index < VFIO_PCI_NUM_REGIONS; index++) {
		struct region region;

		refused += function_region(&function, index, &region) != 0 && index != VFIO_PCI_VGA_REGION_INDEX;
	}
	check_equal(refused, 0, "each region of a PCI function is described");
	check_equal(function_open(&second, words[0]), by_cdev ? EINVAL : EBUSY, "a device is open for one user only");
	function_close(&function);
}

void show_no_link(char **words)
{
	struct function function;
	struct region region;

	function_must_open(&function, words[0]);
	check(function_regions(&function) == VFIO_PCI_NUM_REGIONS &&
	      function_region(&function, VENDOR_REGION, &region) == EINVAL, "the function has no region beside those of every PCI function");
	function_close(&function);
}

void show_bar(char **words)
{
	uint32_t wanted = number(words[1]);
	struct function function;
	struct region region;
	volatile uint32_t *mapped;

	function_must_open(&function, words[0]);
	config_write(&function, 4, 2, config_read(&function, 4, 2) | 0x2);
	check_equal(bar_read(&function, 0), wanted, "BAR 0 answers when it is read");
	if (function_region(&function, VFIO_PCI_BAR0_REGION_INDEX, &region))
		bail("BAR 0 is not described");
	mapped = region_map(&function, &region, 4096, 0);
	check(mapped && *mapped == wanted, "BAR 0 answers when it is mapped");
	if (mapped)
		munmap((void *)mapped, 4096);
	function_close(&function);
}
