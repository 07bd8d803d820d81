/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When the mapping of a GPU's memory is taken away: for the time of a reset, and while the GPU sleeps. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "function.h"
#include "cases.h"
#include "tap.h"

#define PAGE 4096ul
#define MARK 0x5a
#define A_BIT_US 20000
/* pci_regs.h */
#define CAPABILITY_LIST 0x34
#define CAPABILITY_PM 0x01
#define PM_CTRL 4
#define PM_CTRL_STATE 0x3

static sigjmp_buf before_access;

static void jump_back(int signal)
{
	siglongjmp(before_access, signal);
}

/* The signal that a read of a byte ends with, or 0. */
static int signal_of_access(const volatile unsigned char *place)
{
	struct sigaction jump = { .sa_handler = jump_back }, old;
	int signal;

	sigaction(SIGBUS, &jump, &old);
	signal = sigsetjmp(before_access, 1);
	if (!signal)
		(void)*place;
	sigaction(SIGBUS, &old, NULL);
	return signal;
}

/* How many times the kernel had to be asked for the page when a byte is read, which must be the mark. */
static long faults_of_access(const volatile unsigned char *place)
{
	struct rusage before, after;
	unsigned char seen;

	getrusage(RUSAGE_THREAD, &before);
	seen = *place;
	getrusage(RUSAGE_THREAD, &after);
	return seen == MARK ? after.ru_minflt - before.ru_minflt : -1;
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ll + now.tv_nsec / 1000;
}

struct resetting {
	const struct function *gpu;
	void (*reset)(const struct function *gpu);
	volatile int begun;
	int64_t end;
};

static void reset_by_vfio(const struct function *gpu)
{
	if (ioctl(gpu->device, VFIO_DEVICE_RESET))
		bail("the GPU cannot be reset: %s", strerror(errno));
}

static void reset_by_sysfs(const struct function *gpu)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", gpu->address);
	put(path, "1");
}

static void *run_reset(void *of)
{
	struct resetting *resetting = of;

	resetting->begun = 1;
	resetting->reset(resetting->gpu);
	resetting->end = now_us();
	return NULL;
}

static void show_reset(const struct function *gpu, const volatile unsigned char *place, void (*reset)(const struct function *), const char *name)
{
	struct resetting resetting = { .gpu = gpu, .reset = reset };
	int64_t begin, end, left;
	pthread_t thread;

	check_equal(faults_of_access(place), 0, "what was accessed stays mapped: %s", name);
	if (pthread_create(&thread, NULL, run_reset, &resetting))
		bail("no thread can be made");
	while (!resetting.begun)
		usleep(100);
	usleep(A_BIT_US);
	begin = now_us();
	(void)*place;
	end = now_us();
	pthread_join(thread, NULL);
	/* It is let go on before the one that asked for the reset is told. */
	left = resetting.end - begin;
	check(left > 0 && end - begin > left / 2, "an access during a reset waits for its end: %s", name);
	reset(gpu);
	check(faults_of_access(place) > 0, "a reset takes the mapping away, and the memory is the same afterwards: %s", name);
}

static int set_feature(const struct function *gpu, uint32_t feature)
{
	struct vfio_device_feature set = { .argsz = sizeof(set), .flags = VFIO_DEVICE_FEATURE_SET | feature };

	return ioctl(gpu->device, VFIO_DEVICE_FEATURE, &set) ? errno : 0;
}

static void show_low_power(const struct function *gpu, const volatile unsigned char *place)
{
	check_equal(faults_of_access(place), 0, "what was accessed stays mapped until the GPU sleeps");
	check_equal(set_feature(gpu, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY), 0, "a user lets the GPU sleep");
	check_equal(signal_of_access(place), SIGBUS, "nothing of its memory can be accessed then");
	check_equal(set_feature(gpu, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT), 0, "it is woken");
	check(faults_of_access(place) > 0, "and its memory is there again");
}

static uint64_t find_power_management(const struct function *gpu)
{
	uint32_t at = config_read(gpu, CAPABILITY_LIST, 1);

	while (at && config_read(gpu, at, 1) != CAPABILITY_PM)
		at = config_read(gpu, at + 1, 1);
	if (!at)
		bail("the GPU has no power management");
	return at;
}

static void show_d3hot(const struct function *gpu, const volatile unsigned char *place)
{
	uint64_t at = find_power_management(gpu) + PM_CTRL;

	check_equal(faults_of_access(place), 0, "what was accessed stays mapped until the GPU is put into D3hot");
	config_write(gpu, at, 2, config_read(gpu, at, 2) | PM_CTRL_STATE);
	check_equal(signal_of_access(place), SIGBUS, "nothing of its memory can be accessed in D3hot");
	config_write(gpu, at, 2, config_read(gpu, at, 2) & ~PM_CTRL_STATE);
	check(faults_of_access(place) > 0, "and its memory is there again in D0");
}

void show_absences(char **words)
{
	struct function gpu;
	struct region region;
	unsigned char *mapped;

	function_must_open(&gpu, words[0]);
	if (function_region(&gpu, VENDOR_REGION, &region))
		bail("the GPU's memory is not described");
	mapped = region_map(&gpu, &region, 2 * PAGE, PAGE);
	if (!mapped)
		bail("the GPU's memory cannot be mapped: %s", strerror(errno));
	mapped[PAGE] = MARK;
	/* What the function itself takes for the first time is taken now. */
	faults_of_access(mapped + PAGE);
	show_reset(&gpu, mapped + PAGE, reset_by_vfio, "VFIO");
	show_reset(&gpu, mapped + PAGE, reset_by_sysfs, "sysfs");
	show_low_power(&gpu, mapped + PAGE);
	show_d3hot(&gpu, mapped + PAGE);
	munmap(mapped, 2 * PAGE);
	function_close(&gpu);
}
