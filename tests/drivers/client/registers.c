/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The region of an NPU's link: the page of its ATSD register. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "function.h"
#include "cases.h"
#include "tap.h"

#define PAGE 4096ul
#define ALL_FLAGS (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE | VFIO_REGION_INFO_FLAG_MMAP)

static void show_region(const struct function *npu, const struct region *region, char **words)
{
	check_equal(function_regions(npu), VFIO_PCI_NUM_REGIONS + 1, "the NPU has one region more");
	check(region->type == (VFIO_REGION_TYPE_PCI_VENDOR_TYPE | 0x1014u) && region->subtype == VFIO_REGION_SUBTYPE_IBM_NVLINK2_ATSD,
	      "it is IBM's, for ATSD registers");
	check(region->has_tgt == 1 && region->tgt == number(words[1]), "a capability has the address that the NPU knows the GPU by");
	check(region->has_speed == 1 && region->speed == number(words[2]), "a capability has the link's speed");
}

/* What the page holds as the GPU shows it, in whose memory it lies here, so that the right page is known to be written. */
static uint64_t seen_by_gpu(const char *address, uint64_t at)
{
	struct function gpu;
	struct region region;
	uint64_t value = 0;

	function_must_open(&gpu, address);
	if (function_region(&gpu, VENDOR_REGION, &region) || region_read(&gpu, &region, &value, sizeof(value), at) != sizeof(value))
		bail("the GPU's memory cannot be read at %#llx", (unsigned long long)at);
	function_close(&gpu);
	return value;
}

static void show_access(const struct function *npu, const struct region *region)
{
	uint64_t wide = 0x1122334455667788, seen = 0;
	unsigned char odd[11] = "ten letters";

	check_equal(region_write(npu, region, &wide, sizeof(wide), 8), sizeof(wide), "a register is written");
	check(region_read(npu, region, &seen, sizeof(seen), 8) == sizeof(seen) && seen == wide, "and read");
	check_equal(region_write(npu, region, odd, sizeof(odd), 33), sizeof(odd), "any bytes may be written");
	memset(odd, 0, sizeof(odd));
	check(region_read(npu, region, odd, sizeof(odd), 33) == sizeof(odd) && !memcmp(odd, "ten letters", sizeof(odd)), "and read");
	check_equal(region_read(npu, region, odd, sizeof(odd), PAGE - 4), 4, "a read that goes beyond the end ends there");
	check_equal(region_write(npu, region, odd, 1, PAGE), -EINVAL, "nothing is written at the end");
	check_equal(region_read(npu, region, (void *)16, 8, 0), -EFAULT, "a bad buffer is refused");
}

void show_registers(char **words)
{
	uint64_t at = number(words[4]);
	volatile uint64_t *mapped;
	struct function npu;
	struct region region;

	function_must_open(&npu, words[0]);
	if (function_region(&npu, VENDOR_REGION, &region))
		bail("the ATSD register is not described");
	show_region(&npu, &region, words);
	check_equal((int64_t)region.info.size, PAGE, "the region is a page");
	check_equal(region.info.flags & ALL_FLAGS, ALL_FLAGS, "it can be read, written and mapped");
	show_access(&npu, &region);
	check_equal((int64_t)seen_by_gpu(words[3], at + 8), 0x1122334455667788, "it is the page of the register that belongs to the link");

	check(!region_map(&npu, &region, 2 * PAGE, 0) && errno == EINVAL, "a mapping of two pages is refused");
	check(!region_map(&npu, &region, PAGE, PAGE) && errno == EINVAL, "so is one of the page behind");
	mapped = region_map(&npu, &region, PAGE, 0);
	if (!mapped)
		bail("the register cannot be mapped: %s", strerror(errno));
	check(mapped[1] == 0x1122334455667788, "the register is seen through a mapping");
	mapped[2] = 0x99;
	munmap((void *)mapped, PAGE);
	check_equal((int64_t)seen_by_gpu(words[3], at + 16), 0x99, "and written through it");
	function_close(&npu);
}

void show_no_registers(char **words)
{
	struct function npu;
	struct region region;
	char byte = 0;

	function_must_open(&npu, words[0]);
	if (function_region(&npu, VENDOR_REGION, &region))
		bail("the link is not described");
	show_region(&npu, &region, words);
	check(region.info.size == 0 && !(region.info.flags & ALL_FLAGS), "the region is empty and can be used for nothing");
	check_equal(region_read(&npu, &region, &byte, 1, 0), -EINVAL, "it cannot be read");
	check_equal(region_write(&npu, &region, &byte, 1, 0), -EINVAL, "nor written");
	check(!region_map(&npu, &region, PAGE, 0) && errno == EINVAL, "nor mapped");
	function_close(&npu);
}
