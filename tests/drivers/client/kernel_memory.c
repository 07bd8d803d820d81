/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Counts what the kernel has allocated. leak_series.py, which judges the counts, says why they are exact: the guest is started
 * with slab_debug=F, and then no CPU keeps freed objects at hand.
 */
#define _GNU_SOURCE
#include "kernel_memory.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tap.h"

#define SLABS "/sys/kernel/slab"
#define MOST_CACHES 600
#define NAME_SIZE 48
#define FEWEST_READINGS 6
#define MOST_READINGS 30
#define PAGES "pages"

struct counter {
	char name[NAME_SIZE];
	long count;
};

struct memory {
	struct counter counters[MOST_CACHES];
	size_t number;
};

static FILE *must_open(const char *path)
{
	FILE *file = fopen(path, "r");

	if (!file)
		bail("%s: %s", path, strerror(errno));
	return file;
}

/* The sum of the numbers in the lines of a file that look so. */
static long sum_in(const char *path, const char *format)
{
	FILE *file = must_open(path);
	long sum = 0, value;
	char line[512];

	while (fgets(line, sizeof(line), file))
		if (sscanf(line, format, &value) == 1)
			sum += value;
	fclose(file);
	return sum;
}

static long lines_in(const char *path, const char *text)
{
	FILE *file = must_open(path);
	char line[512];
	long found = 0;

	while (fgets(line, sizeof(line), file))
		found += strstr(line, text) != NULL;
	fclose(file);
	return found;
}

static void count(struct memory *memory, const char *name, long value)
{
	struct counter *counter = &memory->counters[memory->number];

	if (++memory->number > MOST_CACHES)
		bail("there are more than %d caches", MOST_CACHES);
	snprintf(counter->name, sizeof(counter->name), "%s", name);
	counter->count = value;
}

/* Objects in use by cache. Returns the pages of all caches. */
static long count_objects(struct memory *memory)
{
	FILE *file = must_open("/proc/slabinfo");
	char line[512], name[NAME_SIZE];
	long active, pages_a_slab, slabs, pages = 0;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%47s %ld %*d %*d %*d %ld : tunables %*d %*d %*d : slabdata %*d %ld", name, &active, &pages_a_slab,
			   &slabs) != 4)
			continue;
		/* Areas are freed many at a time (mm/vmalloc.c: free_vmap_area_noflush()). */
		if (!strcmp(name, "vmap_area"))
			active -= lines_in("/proc/vmallocinfo", "unpurged vm_area");
		count(memory, name, active);
		pages += pages_a_slab * slabs;
	}
	fclose(file);
	if (!memory->number)
		bail("/proc/slabinfo names no cache");
	return pages;
}

/*
 * In lists of all and of a CPU. A page goes from the one to the other at any time, so that both are read at once: a zone's are
 * printed together (mm/vmstat.c: zoneinfo_show_print()).
 */
static long free_pages(void)
{
	FILE *file = must_open("/proc/zoneinfo");
	long sum = 0, value;
	char line[512];

	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " pages free %ld", &value) == 1 || sscanf(line, " count: %ld", &value) == 1)
			sum += value;
	fclose(file);
	return sum;
}

/*
 * Less the free pages, those that a CPU has at hand, those of caches, whose objects are counted, and those that programs, files
 * and their tables take up.
 */
static void count_pages(struct memory *memory, long slabs)
{
	static const char statistics[] = "/proc/vmstat";
	long known = slabs + free_pages();

	known += sum_in(statistics, "nr_anon_pages %ld") + sum_in(statistics, "nr_file_pages %ld");
	known += sum_in(statistics, "nr_page_table_pages %ld") + sum_in(statistics, "nr_kernel_stack %ld") / (sysconf(_SC_PAGESIZE) >> 10);
	count(memory, PAGES, -known);
}

static void await_grace_period(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		bail("membarrier: %s", strerror(errno));
}

/* With all freed that can be: what only speeds things up, what waits for RCU, and kfree_rcu()'s batches, which a shrinker ends. */
static void read_memory(struct memory *memory)
{
	put("/proc/sys/vm/drop_caches", "3");
	await_grace_period();
	await_grace_period();
	/* Else each CPU would have up to 125 pages in a counter of its own. */
	put("/proc/sys/vm/stat_refresh", "1");
	memory->number = 0;
	count_pages(memory, count_objects(memory));
}

static struct counter *find(struct memory *memory, const char *name)
{
	size_t i;

	for (i = 0; i < memory->number; i++)
		if (!strcmp(memory->counters[i].name, name))
			return &memory->counters[i];
	return NULL;
}

/* Whether a count is not yet what it stays: objects fell below the least so far, or pages are not what they were just now. */
static int take(struct memory *so_far, const struct memory *now)
{
	int changed = 0;
	size_t i;

	for (i = 0; i < now->number; i++) {
		const struct counter *counter = &now->counters[i];
		struct counter *known = find(so_far, counter->name);
		int is_pages = !strcmp(counter->name, PAGES);

		if (!known) {
			count(so_far, counter->name, counter->count);
		} else if (is_pages ? counter->count != known->count : counter->count < known->count) {
			known->count = counter->count;
			changed = 1;
		}
	}
	return changed;
}

/*
 * Dentries and inodes that were used since the last drop_caches go only at a later one, the fifth at most, so a few readings are
 * made in any case. Work that was put off adds to the objects in use and takes none away: the least of some readings is without
 * it. The pages are put together from files that are read one after the other, and a page that changes sides meanwhile counts
 * twice or not at all: two readings in a row have to agree.
 */
void memory_tell(long rounds)
{
	static struct memory so_far, now;
	int readings = 1, changed;
	size_t i;

	read_memory(&so_far);
	do {
		read_memory(&now);
		changed = take(&so_far, &now);
		readings++;
	} while ((changed || readings < FEWEST_READINGS) && readings < MOST_READINGS);
	printf("sample %ld", rounds);
	for (i = 0; i < so_far.number; i++)
		printf(" %s=%ld", so_far.counters[i].name, so_far.counters[i].count);
	printf("\n");
	fflush(stdout);
}

/* 0 where there is no such attribute. */
static long attribute(const char *cache, const char *name)
{
	char path[256];
	long value = 0;
	FILE *file;

	snprintf(path, sizeof(path), SLABS "/%s/%s", cache, name);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%ld", &value) != 1)
		value = 0;
	if (file)
		fclose(file);
	return value;
}

/*
 * mm/slub.c: a CPU has a slab of its own and, by slub_set_cpu_partial(), further ones with twice cpu_partial objects in all;
 * since Linux 6.19 three sheaves (struct slub_percpu_sheaves), and a node ten (MAX_FULL_SHEAVES). Of a cache that is debugged it
 * has none (kmem_cache_debug()).
 */
static long kept_objects(const char *cache)
{
	long a_slab = attribute(cache, "objs_per_slab"), sheaf = attribute(cache, "sheaf_capacity");
	long partial = attribute(cache, "cpu_partial");

	if (attribute(cache, "sanity_checks"))
		return 0;
	if (!a_slab)
		bail("nothing is known of the cache %s", cache);
	return sysconf(_SC_NPROCESSORS_CONF) * (a_slab * (1 + (2 * partial + a_slab - 1) / a_slab) + 3 * sheaf) + 10 * sheaf;
}

void memory_tell_kept(void)
{
	struct memory memory = { .number = 0 };
	size_t i;
	long kept;

	count_objects(&memory);
	for (i = 0; i < memory.number; i++) {
		kept = kept_objects(memory.counters[i].name);
		if (kept)
			printf("kept %s %ld\n", memory.counters[i].name, kept);
	}
	fflush(stdout);
}
