/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A PCI function, opened through its own node below /dev/vfio/devices and an iommufd. */
#ifndef CDEV_H
#define CDEV_H

#include "function.h"

/* As function_open() does it: .container is the iommufd, and there is no group. */
int cdev_open(struct function *function, const char *address);
/* Only what opens the node, or an errno. */
int cdev_node(const char *address);

#endif
