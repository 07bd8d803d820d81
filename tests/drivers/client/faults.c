/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each call that a driver makes in a task, failing once: the task has to fail with the error that belongs to the call, the
 * driver must hold afterwards what it held before, and the next try must succeed. The drivers are those with the leak counter.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "function.h"
#include "cases.h"
#include "tap.h"

#define PAGE 4096ul
#define MOST_CALLS 100

struct subject {
	const char *address;
	const char *driver;
	struct function function;
	struct region region;
};

static void parameter_path(const struct subject *subject, const char *name, char *path, size_t size)
{
	snprintf(path, size, "/sys/module/%s/parameters/%s", subject->driver, name);
}

static void set_parameter(const struct subject *subject, const char *name, int value)
{
	char path[256], text[16];

	parameter_path(subject, name, path, sizeof(path));
	snprintf(text, sizeof(text), "%d", value);
	put(path, text);
}

static void get_parameter(const struct subject *subject, const char *name, char *text, size_t size)
{
	char path[256];
	ssize_t length;
	int fd;

	parameter_path(subject, name, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, text, size - 1);
	if (length < 0)
		bail("%s: %s", path, strerror(errno));
	close(fd);
	text[length] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

static int held(const struct subject *subject)
{
	char text[32];

	get_parameter(subject, "held", text, sizeof(text));
	return atoi(text);
}

static int put_address(const struct subject *subject, const char *file)
{
	char path[256];
	ssize_t done;
	int error, fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/%s", subject->driver, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	done = write(fd, subject->address, strlen(subject->address));
	error = done < 0 ? errno : 0;
	close(fd);
	return error;
}

/* The tasks. Each returns an errno, and undoes what it did. */

static int bind(struct subject *subject)
{
	int error = put_address(subject, "bind");

	return error ? error : put_address(subject, "unbind");
}

static int open_it(struct subject *subject)
{
	struct function function;
	int error = function_open(&function, subject->address);

	if (!error)
		function_close(&function);
	return error;
}

static int describe(struct subject *subject)
{
	struct region region;

	return function_region(&subject->function, VENDOR_REGION, &region);
}

/* Over the border of two pages. Who is given less than was asked for learns the error by asking for the rest. */
static int transfer(struct subject *subject, long (*move)(const struct function *, const struct region *, void *, size_t, uint64_t))
{
	size_t size = subject->region.info.size, at = size > PAGE ? PAGE - 8 : 8;
	char bytes[16] = { 0 };
	long done = move(&subject->function, &subject->region, bytes, sizeof(bytes), at);

	return done < 0 ? (int)-done : done == (long)sizeof(bytes) ? 0 : EAGAIN;
}

static int read_it(struct subject *subject)
{
	return transfer(subject, region_read);
}

static long write_from(const struct function *function, const struct region *region, void *from, size_t count, uint64_t at)
{
	return region_write(function, region, from, count, at);
}

static int write_it(struct subject *subject)
{
	return transfer(subject, write_from);
}

static sigjmp_buf after_fault;

static void leave_fault(int number)
{
	siglongjmp(after_fault, number);
}

static int map_it(struct subject *subject)
{
	volatile unsigned char *mapped = region_map(&subject->function, &subject->region, PAGE, 0);
	volatile int error = mapped ? 0 : errno;

	if (!mapped)
		return error;
	signal(SIGBUS, leave_fault);
	if (sigsetjmp(after_fault, 1))
		error = EFAULT;
	else
		*mapped = 1;
	munmap((void *)mapped, PAGE);
	return error;
}

static const struct task {
	const char *name;
	int (*run)(struct subject *subject);
	int needs_open;
	const char *done;
} tasks[] = {
	{ "bind", bind, 0, "bound" },
	{ "open", open_it, 0, "opened" },
	{ "describe", describe, 1, "described" },
	{ "read", read_it, 1, "read" },
	{ "write", write_it, 1, "written" },
	{ "map", map_it, 1, "mapped" },
};

/* What a user is to see of a call's failure. A part that was done before it is told instead, with what is left to ask for. */
static int is_right(const char *failed, int error)
{
	if (!strncmp(failed, "copy_", 5) || !strcmp(failed, "vmf_insert_pfn"))
		return error == EFAULT || error == EAGAIN;
	return error == ENOMEM || (error == EAGAIN && !strcmp(failed, "memremap"));
}

/* Whether the task took notice of its call number `at` failing; the name of the call, or nothing where there is no such call. */
static int fails_cleanly(const struct task *task, struct subject *subject, int at, char *failed, size_t size)
{
	int before = held(subject), error;

	set_parameter(subject, "calls", 0);
	set_parameter(subject, "fail_at", at);
	error = task->run(subject);
	set_parameter(subject, "fail_at", 0);
	get_parameter(subject, "failed", failed, size);
	if (!*failed)
		return error == 0;
	note("%s: %s fails: %s, %+d held", task->name, failed, strerror(error), held(subject) - before);
	return is_right(failed, error) && held(subject) == before && task->run(subject) == 0 && held(subject) == before;
}

static void clear_failed(const struct subject *subject)
{
	char path[256];

	parameter_path(subject, "failed", path, sizeof(path));
	put(path, "\n");
}

void show_faults(char **words)
{
	struct subject subject = { .address = words[0], .driver = words[1] };
	const struct task *task = tasks;
	char failed[64];
	int at, clean = 1;

	while (strcmp(task->name, words[2]))
		if (++task == tasks + sizeof(tasks) / sizeof(tasks[0]))
			bail("no task %s", words[2]);
	if (task->needs_open) {
		function_must_open(&subject.function, subject.address);
		if (function_region(&subject.function, VENDOR_REGION, &subject.region))
			bail("the vendor's region is not described");
	}
	for (at = 1; at < MOST_CALLS; at++) {
		clear_failed(&subject);
		clean = fails_cleanly(task, &subject, at, failed, sizeof(failed)) && clean;
		if (!*failed)
			break;
	}
	check(clean && at > 1 && at < MOST_CALLS, "%s: whichever call fails when it is %s, the error is right and nothing stays held",
	      subject.driver, task->done);
	if (task->needs_open)
		function_close(&subject.function);
}
