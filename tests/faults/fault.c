// SPDX-FileCopyrightText: The vfio.variants authors
// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Loaded into a process (LD_PRELOAD), this counts the calls by which it and the programs that it starts change files below one folder.
 * At the call that is asked for it kills them all, sends the first of them a signal, lets a program that was started never go on, or lets
 * that call, or that one and all after it, fail.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HANGS 10000

/* One page that all processes of a trial share; trial.py writes it. */
struct state {
	int count;   /* calls so far */
	int at;      /* the call that is disturbed; 0 for none */
	int error;   /* 0 to kill, the errno, the negative number of a signal, or HANGS */
	int lasting; /* whether all later calls fail as well */
	int group;   /* the process group to kill */
	char below[PATH_MAX];
};

static struct state *state;

void fault_use(const char *path)
{
	int handle = open(path, O_RDWR | O_CLOEXEC);

	state = NULL;
	if (handle < 0)
		return;
	void *page = mmap(NULL, sizeof(struct state), PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
	close(handle);
	if (page != MAP_FAILED)
		state = page;
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAULT_STATE");

	if (path)
		fault_use(path);
}

static int is_below(const char *path)
{
	size_t length = strlen(state->below);

	return !strncmp(path, state->below, length) && (path[length] == '/' || !path[length]);
}

/* Whether a call on this path is to fail; does not return if it is the one at which the process is killed. */
static int fails(int folder, const char *path)
{
	char full[PATH_MAX * 2], link[64];
	int number;

	if (!state || !state->at)
		return 0;
	if (path[0] != '/') {
		ssize_t length;

		snprintf(link, sizeof(link), folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
		length = readlink(link, full, PATH_MAX - 1);
		if (length < 0)
			return 0;
		snprintf(full + length, sizeof(full) - length, "/%s", path);
		path = full;
	}
	if (!is_below(path))
		return 0;
	number = __atomic_add_fetch(&state->count, 1, __ATOMIC_SEQ_CST);
	if (number < state->at || (number > state->at && !state->lasting))
		return 0;
	if (!state->error) {
		/* A program that is run with a time limit is in a group of its own. */
		kill(-state->group, SIGKILL);
		kill(0, SIGKILL);
		pause();
	}
	if (state->error < 0) {
		kill(state->group, -state->error);
		return 0;
	}
	if (state->error == HANGS) {
		while (getpid() != state->group)
			pause();
		return 0;
	}
	errno = state->error;
	return 1;
}

static int fails_at(int handle)
{
	char link[64], full[PATH_MAX];
	ssize_t length;

	if (!state || !state->at)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", handle);
	length = readlink(link, full, sizeof(full) - 1);
	if (length < 0)
		return 0;
	full[length] = 0;
	return full[0] == '/' && fails(AT_FDCWD, full);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define CHANGES(flags) ((flags) & (O_CREAT | O_TRUNC))

#define OPEN(name)                                             \
	int name(const char *path, int flags, ...)             \
	{                                                      \
		mode_t mode = 0;                               \
		va_list rest;                                  \
		va_start(rest, flags);                         \
		if (flags & (O_CREAT | O_TMPFILE))             \
			mode = va_arg(rest, mode_t);           \
		va_end(rest);                                  \
		if (CHANGES(flags) && fails(AT_FDCWD, path))   \
			return -1;                             \
		return REAL(name)(path, flags, mode);          \
	}
#define OPENAT(name)                                                 \
	int name(int folder, const char *path, int flags, ...)       \
	{                                                            \
		mode_t mode = 0;                                     \
		va_list rest;                                        \
		va_start(rest, flags);                               \
		if (flags & (O_CREAT | O_TMPFILE))                   \
			mode = va_arg(rest, mode_t);                 \
		va_end(rest);                                        \
		if (CHANGES(flags) && fails(folder, path))           \
			return -1;                                   \
		return REAL(name)(folder, path, flags, mode);        \
	}
#define ON_PATH(name, arguments, call, folder, path)        \
	int name arguments                                  \
	{                                                   \
		return fails(folder, path) ? -1 : REAL(name) call; \
	}

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
ON_PATH(rename, (const char *from, const char *to), (from, to), AT_FDCWD, to)
ON_PATH(renameat, (int folder, const char *from, int other, const char *to), (folder, from, other, to), other, to)
ON_PATH(renameat2, (int folder, const char *from, int other, const char *to, unsigned int flags), (folder, from, other, to, flags), other, to)
ON_PATH(unlink, (const char *path), (path), AT_FDCWD, path)
ON_PATH(unlinkat, (int folder, const char *path, int flags), (folder, path, flags), folder, path)
ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode), AT_FDCWD, path)
ON_PATH(mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode), folder, path)
ON_PATH(rmdir, (const char *path), (path), AT_FDCWD, path)
ON_PATH(link, (const char *from, const char *to), (from, to), AT_FDCWD, to)
ON_PATH(linkat, (int folder, const char *from, int other, const char *to, int flags), (folder, from, other, to, flags), other, to)
ON_PATH(symlink, (const char *target, const char *path), (target, path), AT_FDCWD, path)
ON_PATH(symlinkat, (const char *target, int folder, const char *path), (target, folder, path), folder, path)
ON_PATH(chmod, (const char *path, mode_t mode), (path, mode), AT_FDCWD, path)

int fchmod(int handle, mode_t mode)
{
	return fails_at(handle) ? -1 : REAL(fchmod)(handle, mode);
}

int fsync(int handle)
{
	return fails_at(handle) ? -1 : REAL(fsync)(handle);
}

ssize_t write(int handle, const void *data, size_t size)
{
	return fails_at(handle) ? -1 : REAL(write)(handle, data, size);
}
