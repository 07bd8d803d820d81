/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The region of a GPU's memory, and who may map it. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "function.h"
#include "cases.h"
#include "tap.h"

#define PAGE 4096ul
#define ALL_FLAGS (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE | VFIO_REGION_INFO_FLAG_MMAP)

static void fill(unsigned char *bytes, size_t count, unsigned char seed)
{
	size_t i;

	for (i = 0; i < count; i++)
		bytes[i] = (unsigned char)(seed + i * 7 + (i >> 8));
}

static void show_region(const struct function *gpu, const struct region *region, uint64_t size, uint64_t tgt)
{
	check_equal(function_regions(gpu), VFIO_PCI_NUM_REGIONS + 1, "the GPU has one region more");
	check_equal(region->type, VFIO_REGION_TYPE_PCI_VENDOR_TYPE | 0x10deu, "it is of NVIDIA's type");
	check_equal(region->subtype, VFIO_REGION_SUBTYPE_NVIDIA_NVLINK2_RAM, "it is the NVLink2 memory");
	check_equal((int64_t)region->info.size, (int64_t)size, "its size is that of the aperture");
	check_equal(region->info.flags & ALL_FLAGS, ALL_FLAGS, "it can be read, written and mapped");
	check(region->has_tgt == 1 && region->tgt == tgt, "a capability has the address that the NPU knows it by");
	check(!region->has_speed, "no capability has a link's speed");
}

static void show_ends(const struct function *gpu, const struct region *region, uint64_t size)
{
	unsigned char bytes[64];

	check_equal(region_read(gpu, region, bytes, sizeof(bytes), size - 8), 8, "a read that goes beyond the end ends there");
	check_equal(region_write(gpu, region, bytes, sizeof(bytes), size - 3), 3, "so does a write");
	check_equal(region_read(gpu, region, bytes, 1, size), -EINVAL, "nothing is read at the end");
	check_equal(region_write(gpu, region, bytes, 1, size + PAGE), -EINVAL, "nothing is written behind it");
	check_equal(region_read(gpu, region, bytes, 0, 0), 0, "a read of nothing reads nothing");
	check_equal(region_read(gpu, region, (void *)16, 8, 0), -EFAULT, "a bad buffer is refused");
}

void show_memory(char **words)
{
	static unsigned char wanted[3 * PAGE], seen[3 * PAGE];
	uint64_t size = number(words[1]);
	struct function gpu;
	struct region region;
	unsigned char *mapped;

	function_must_open(&gpu, words[0]);
	if (function_region(&gpu, VENDOR_REGION, &region))
		bail("the GPU's memory is not described");
	show_region(&gpu, &region, size, number(words[2]));

	mapped = region_map(&gpu, &region, size, 0);
	if (!mapped)
		bail("the GPU's memory cannot be mapped: %s", strerror(errno));
	fill(wanted, sizeof(wanted), 1);
	memcpy(mapped + size - sizeof(wanted), wanted, sizeof(wanted));
	check(region_read(&gpu, &region, seen, sizeof(seen), size - sizeof(seen)) == sizeof(seen) && !memcmp(seen, wanted, sizeof(seen)),
	      "what is written through a mapping is read");
	fill(wanted, sizeof(wanted), 2);
	check_equal(region_write(&gpu, &region, wanted, 2 * PAGE + 5, PAGE - 3), 2 * PAGE + 5, "a write may begin and end inside a page");
	check(!memcmp(mapped + PAGE - 3, wanted, 2 * PAGE + 5), "what is written is seen through a mapping");
	check(mapped[PAGE - 4] == 0 && mapped[3 * PAGE + 2] == 0, "and nothing beside it is changed");
	munmap(mapped, size);

	show_ends(&gpu, &region, size);
	function_close(&gpu);
	function_must_open(&gpu, words[0]);
	check(region_read(&gpu, &region, seen, 2 * PAGE + 5, PAGE - 3) == 2 * PAGE + 5 && !memcmp(seen, wanted, 2 * PAGE + 5),
	      "it is the same memory when the device is opened again");
	function_close(&gpu);
}

/* Whether the mapping at `place` has all these of the two-letter flags of proc(5). */
static int has_flags(const void *place, const char *flags)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	char line[512], name[3] = "";
	int inside = 0, all = 0;

	while (smaps && fgets(line, sizeof(line), smaps)) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start == (unsigned long)place;
		else if (inside && !strncmp(line, "VmFlags:", 8))
			for (all = 1; *flags; flags += 2) {
				memcpy(name, flags, 2);
				all = all && strstr(line, name);
			}
	}
	if (smaps)
		fclose(smaps);
	return all;
}

/* Mappings of a VFIO device in this process. */
static int mappings_left(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	int count = 0;

	while (maps && fgets(line, sizeof(line), maps))
		count += strstr(line, "vfio") != NULL;
	if (maps)
		fclose(maps);
	return count;
}

/* How a child ends that reads a byte of it. */
static int signal_of_reader(const volatile unsigned char *place)
{
	pid_t child = fork();
	int status = 0;

	if (!child)
		_exit(*place & 0);
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void show_refusals(const struct function *gpu, const struct region *region, uint64_t size)
{
	check(!region_map(gpu, region, size + PAGE, 0) && errno == EINVAL, "a mapping longer than the region is refused");
	check(!region_map(gpu, region, 2 * PAGE, size - PAGE) && errno == EINVAL, "so is one that goes beyond the end");
	check(!region_map(gpu, region, PAGE, size) && errno == EINVAL, "and one that begins there");
	check(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, gpu->device, (off_t)region->info.offset) == MAP_FAILED && errno == EINVAL,
	      "and a private one");
}

static void show_one_at_a_time(const struct function *gpu, const struct region *region)
{
	unsigned char *mapped = region_map(gpu, region, 4 * PAGE, 2 * PAGE);

	if (!mapped)
		bail("a part cannot be mapped: %s", strerror(errno));
	mapped[PAGE] = 0x5a;
	check(has_flags(mapped, "iopfdedddc"), "a mapping is neither copied, extended nor dumped");
	check_equal(signal_of_reader(mapped), SIGSEGV, "a child does not inherit it");
	check(mremap(mapped, 4 * PAGE, 5 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED, "it cannot be extended");
	check(!region_map(gpu, region, PAGE, 0) && errno == EPERM, "a second mapping is refused");
	munmap(mapped + PAGE, PAGE);
	check(!region_map(gpu, region, PAGE, 0) && errno == EPERM, "also when a part of the first is gone");
	munmap(mapped, 4 * PAGE);
	check_equal(mappings_left(), 0, "nothing of it is left when it is unmapped");
	mapped = region_map(gpu, region, PAGE, 3 * PAGE);
	check(mapped && *mapped == 0x5a, "a new one may be made then, and an offset leads to the right page");
	if (mapped)
		munmap(mapped, PAGE);
}

/* A mapping keeps the device open; that of a process which is killed goes with it. */
static void show_ends_of_mappings(const char *address, const struct region *region)
{
	struct function gpu;
	unsigned char *mapped;
	pid_t child;

	function_must_open(&gpu, address);
	mapped = region_map(&gpu, region, PAGE, 3 * PAGE);
	function_close(&gpu);
	check(mapped && *mapped == 0x5a, "a mapping outlives the file descriptors");
	check_equal(function_open(&gpu, address), by_cdev ? EINVAL : EBUSY, "and keeps the device open");
	if (mapped)
		munmap(mapped, PAGE);
	check_equal(function_open(&gpu, address), 0, "the device can be opened again when it is unmapped");
	function_close(&gpu);

	child = fork();
	if (!child) {
		function_must_open(&gpu, address);
		mapped = region_map(&gpu, region, PAGE, 0);
		if (mapped)
			*mapped = 0x77;
		kill(getpid(), SIGKILL);
	}
	waitpid(child, NULL, 0);
	function_must_open(&gpu, address);
	mapped = region_map(&gpu, region, PAGE, 0);
	check(mapped && *mapped == 0x77, "the mapping of a program that was killed is gone with it, and what it wrote is there");
	if (mapped)
		munmap(mapped, PAGE);
	function_close(&gpu);
}

void show_mappings(char **words)
{
	uint64_t size = number(words[1]);
	struct function gpu;
	struct region region;

	function_must_open(&gpu, words[0]);
	if (function_region(&gpu, VENDOR_REGION, &region))
		bail("the GPU's memory is not described");
	show_refusals(&gpu, &region, size);
	show_one_at_a_time(&gpu, &region);
	function_close(&gpu);
	show_ends_of_mappings(words[0], &region);
}
