/* SPDX-License-Identifier: GPL-2.0-only */
/* SPDX-FileCopyrightText: The vfio.variants authors */
/*
 * The module parameter nvlink=: whether a device with an NVLink2 link has the
 * link's regions. Include this once per module.
 */
#ifndef NVLINK2_PARAMETER_H
#define NVLINK2_PARAMETER_H

#include <linux/errno.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/sysfs.h>

enum nvlink2_mode {
	NVLINK2_OFF,	/* never */
	NVLINK2_AUTO,	/* if the platform has initialised the link */
	NVLINK2_FORCE,	/* whenever firmware describes a link */
};

static const char * const nvlink2_words[] = {
	[NVLINK2_OFF]	= "off",
	[NVLINK2_AUTO]	= "auto",
	[NVLINK2_FORCE]	= "force",
};

static enum nvlink2_mode nvlink2_mode = NVLINK2_AUTO;

static int nvlink2_set_mode(const char *word, const struct kernel_param *kp)
{
	int mode = sysfs_match_string(nvlink2_words, word);

	if (mode < 0) {
		pr_err("parameter nvlink: \"%s\" is none of off, auto, force\n",
		       word);
		return -EINVAL;
	}

	nvlink2_mode = mode;
	return 0;
}

static int nvlink2_get_mode(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", nvlink2_words[nvlink2_mode]);
}

static const struct kernel_param_ops nvlink2_mode_ops = {
	.set = nvlink2_set_mode,
	.get = nvlink2_get_mode,
};

module_param_cb(nvlink, &nvlink2_mode_ops, NULL, 0444);
MODULE_PARM_DESC(nvlink, "Regions of the NVLink2 link: off, auto (where the platform has set the link up; the default) or force (wherever firmware describes one; touching a link that is not set up can stop the host)");

#endif /* NVLINK2_PARAMETER_H */
