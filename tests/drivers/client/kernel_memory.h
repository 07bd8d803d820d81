/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How much memory the kernel has in use, to the object and to the page. */
#ifndef KERNEL_MEMORY_H
#define KERNEL_MEMORY_H

/*
 * "kept NAME N": as many free objects of the cache each CPU may have at hand, which would be counted as used. Says nothing of
 * caches that are counted exactly.
 */
void memory_tell_kept(void);
/* "sample ROUNDS NAME=N ...": how many objects of each cache are in use, and how many pages that nothing accounts for. */
void memory_tell(long rounds);

#endif
