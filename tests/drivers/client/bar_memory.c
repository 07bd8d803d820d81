/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The memory that nvgrace_gpu_vfio_pci shows as BARs: what ACPI describes, a part of it for general use and a part set aside. */
#include <sys/mman.h>

#include "function.h"
#include "cases.h"
#include "tap.h"

#define PAGE 4096ul
#define MEMORY_SPACE 0x2

static void show_part(const struct function *gpu, unsigned int index, uint64_t size, const char *name)
{
	uint64_t wanted = 0x1122334455667788 + index, seen = 0;
	volatile uint64_t *mapped;
	struct region region;

	if (function_region(gpu, index, &region))
		bail("%s is not described", name);
	check_equal((int64_t)region.info.size, (int64_t)size, "%s has the size that follows from the properties", name);
	check_equal(region_write(gpu, &region, &wanted, sizeof(wanted), size - PAGE), sizeof(wanted), "%s is written", name);
	check(region_read(gpu, &region, &seen, sizeof(seen), size - PAGE) == sizeof(seen) && seen == wanted, "%s is read", name);
	mapped = region_map(gpu, &region, PAGE, size - PAGE);
	check(mapped && *mapped == wanted, "%s is mapped", name);
	if (mapped)
		munmap((void *)mapped, PAGE);
}

void show_memory_of_bars(char **words)
{
	struct function gpu;

	function_must_open(&gpu, words[0]);
	config_write(&gpu, 4, 2, config_read(&gpu, 4, 2) | MEMORY_SPACE);
	show_part(&gpu, VFIO_PCI_BAR4_REGION_INDEX, number(words[1]), "the memory for use");
	show_part(&gpu, VFIO_PCI_BAR2_REGION_INDEX, number(words[2]), "the memory that is set aside");
	function_close(&gpu);
}
