/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A user of VFIO, one case a run: client [--cdev] CASE [WORD ...] */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "function.h"
#include "tap.h"

static const struct {
	const char *name;
	int words;
	void (*show)(char **words);
	const char *usage;
} cases[] = {
	{ "plain", 3, show_plain_device, "ADDRESS VENDOR DEVICE" },
	{ "no-link", 1, show_no_link, "ADDRESS" },
	{ "bar", 2, show_bar, "ADDRESS VALUE" },
	{ "memory", 3, show_memory, "GPU SIZE TGT" },
	{ "mappings", 2, show_mappings, "GPU SIZE" },
	{ "registers", 5, show_registers, "NPU TGT SPEED GPU WHERE-IN-ITS-MEMORY" },
	{ "no-registers", 3, show_no_registers, "NPU TGT SPEED" },
	{ "resets", 2, show_resets, "ADDRESS REGISTER" },
	{ "interrupts", 1, show_interrupts, "EDU" },
	{ "openings", 2, show_openings, "ADDRESS ROUNDS" },
	{ "unbinding", 2, show_unbinding, "ADDRESS DRIVER" },
	{ "faults", 3, show_faults, "ADDRESS DRIVER TASK" },
	{ "migration", 1, show_migration, "EDU" },
	{ "cdev", 1, show_cdev, "ADDRESS" },
	{ "absences", 1, show_absences, "GPU" },
	{ "memory-of-bars", 3, show_memory_of_bars, "GPU USABLE RESERVED" },
};

unsigned long long number(const char *word)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(word, &end, 0);
	if (errno || end == word || *end)
		bail("%s is not a number", word);
	return value;
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc > 1 && !strcmp(argv[1], "--cdev")) {
		by_cdev = 1;
		argc--;
		argv++;
	}
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (argc < 2 || strcmp(argv[1], cases[i].name))
			continue;
		if (argc - 2 != cases[i].words)
			bail("usage: client %s %s", cases[i].name, cases[i].usage);
		cases[i].show(argv + 2);
		return 0;
	}
	bail("no case %s", argc < 2 ? "given" : argv[1]);
}
