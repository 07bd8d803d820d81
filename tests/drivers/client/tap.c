/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Each line at once: what follows may stop the kernel. */
static void line(const char *head, const char *text, va_list values)
{
	char words[512];

	vsnprintf(words, sizeof(words), text, values);
	printf("%s%s\n", head, words);
	fflush(stdout);
}

int check(int holds, const char *sentence, ...)
{
	va_list values;

	va_start(values, sentence);
	line(holds ? "ok - " : "not ok - ", sentence, values);
	va_end(values);
	return holds;
}

int check_equal(int64_t seen, int64_t wanted, const char *sentence, ...)
{
	va_list values;

	va_start(values, sentence);
	line(seen == wanted ? "ok - " : "not ok - ", sentence, values);
	va_end(values);
	if (seen != wanted)
		note("it is %lld (%#llx) and not %lld (%#llx)", (long long)seen, (unsigned long long)seen, (long long)wanted,
		     (unsigned long long)wanted);
	return seen == wanted;
}

void note(const char *remark, ...)
{
	va_list values;

	va_start(values, remark);
	line("# ", remark, values);
	va_end(values);
}

void bail(const char *why, ...)
{
	va_list values;

	va_start(values, why);
	line("# given up: ", why, values);
	va_end(values);
	exit(1);
}

void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		bail("%s: %s", path, strerror(errno));
	close(fd);
}
