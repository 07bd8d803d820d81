/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The states of a device that can be migrated (VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE), on QEMU's edu. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "function.h"
#include "cases.h"
#include "tap.h"

/* docs/specs/edu.rst of QEMU: where a transfer comes from, where it goes, and how long it is. */
#define SOURCE 0x80
#define TARGET 0x88
#define COUNT 0x90
#define MEMORY 0x2
#define STATE_SIZE 12

static int get(const struct function *edu, uint32_t feature, void *data, size_t size)
{
	char bytes[sizeof(struct vfio_device_feature) + 64] = { 0 };
	struct vfio_device_feature *asked = (struct vfio_device_feature *)bytes;

	asked->argsz = sizeof(*asked) + size;
	asked->flags = VFIO_DEVICE_FEATURE_GET | feature;
	if (ioctl(edu->device, VFIO_DEVICE_FEATURE, asked))
		return errno;
	memcpy(data, asked->data, size);
	return 0;
}

/* The errno; `file` gets what is to be read or written in the new state, or -1. */
static int set_state(const struct function *edu, uint32_t state, int *file)
{
	char bytes[sizeof(struct vfio_device_feature) + sizeof(struct vfio_device_feature_mig_state)] = { 0 };
	struct vfio_device_feature *asked = (struct vfio_device_feature *)bytes;
	struct vfio_device_feature_mig_state *wanted = (struct vfio_device_feature_mig_state *)asked->data;

	asked->argsz = sizeof(bytes);
	asked->flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
	wanted->device_state = state;
	if (ioctl(edu->device, VFIO_DEVICE_FEATURE, asked))
		return errno;
	*file = wanted->data_fd;
	return 0;
}

static uint32_t state_of(const struct function *edu)
{
	struct vfio_device_feature_mig_state state = { 0 };

	if (get(edu, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &state, sizeof(state)))
		bail("the device has no state");
	return state.device_state;
}

static void set_registers(const struct function *edu, uint32_t first)
{
	bar_write(edu, SOURCE, first);
	bar_write(edu, TARGET, first + 1);
	bar_write(edu, COUNT, first + 2);
}

static int has_registers(const struct function *edu, uint32_t first)
{
	return bar_read(edu, SOURCE) == first && bar_read(edu, TARGET) == first + 1 && bar_read(edu, COUNT) == first + 2;
}

static void save(const struct function *edu, char *state)
{
	char more;
	int file;

	check_equal(set_state(edu, VFIO_DEVICE_STATE_STOP_COPY, &file), 0, "a running device is stopped, and its state saved");
	check_equal(state_of(edu), VFIO_DEVICE_STATE_STOP_COPY, "it is in that state");
	check_equal(read(file, state, STATE_SIZE), STATE_SIZE, "the state is read");
	check_equal(read(file, &more, 1), 0, "and is no longer than that");
	check(pread(file, &more, 1, 0) < 0 && errno == ESPIPE, "once, from its beginning to its end");
	close(file);
	check_equal(set_state(edu, VFIO_DEVICE_STATE_RUNNING, &file), 0, "the device runs again");
}

static void restore(const struct function *edu, const char *state)
{
	int file;

	check_equal(set_state(edu, VFIO_DEVICE_STATE_RESUMING, &file), 0, "a device is stopped to get another state");
	check_equal(write(file, state, STATE_SIZE), STATE_SIZE, "the state is written");
	check(write(file, state, 1) < 0 && errno == ENOSPC, "and nothing behind it");
	check_equal(set_state(edu, VFIO_DEVICE_STATE_RUNNING, &file), 0, "the device runs with it");
}

static void show_half_a_state(const struct function *edu, const char *state)
{
	int file;

	if (set_state(edu, VFIO_DEVICE_STATE_RESUMING, &file) || write(file, state, 4) != 4)
		bail("a part of the state cannot be written");
	check_equal(set_state(edu, VFIO_DEVICE_STATE_RUNNING, &file), EINVAL, "a part of a state is refused");
}

void show_migration(char **words)
{
	struct vfio_device_feature_migration migration = { 0 };
	char state[STATE_SIZE];
	struct function edu;
	int file;

	function_must_open(&edu, words[0]);
	config_write(&edu, 4, 2, config_read(&edu, 4, 2) | MEMORY);
	check_equal(get(&edu, VFIO_DEVICE_FEATURE_MIGRATION, &migration, sizeof(migration)), 0, "the device can be migrated");
	check_equal((int64_t)migration.flags, VFIO_MIGRATION_STOP_COPY, "by being stopped and copied");
	check_equal(state_of(&edu), VFIO_DEVICE_STATE_RUNNING, "a device that is opened runs");
	set_registers(&edu, 0x1000);
	save(&edu, state);
	set_registers(&edu, 0x2000);
	restore(&edu, state);
	check(has_registers(&edu, 0x1000), "the device is as it was when it was saved");
	show_half_a_state(&edu, state);
	function_close(&edu);

	function_must_open(&edu, words[0]);
	check_equal(state_of(&edu), VFIO_DEVICE_STATE_RUNNING, "the next user finds a device that runs");
	check_equal(set_state(&edu, VFIO_DEVICE_STATE_STOP, &file), 0, "it can be stopped alone");
	function_close(&edu);
}
