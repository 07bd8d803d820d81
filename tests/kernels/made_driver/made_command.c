// SPDX-License-Identifier: GPL-2.0-only
// SPDX-FileCopyrightText: The vfio.variants authors
/* The second file of a driver that new-variant has made. */
#include <linux/errno.h>

#include "made.h"

int made_command(void)
{
	return -ENODEV;
}
