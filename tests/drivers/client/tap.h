/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What holds and what does not, in the words of the Test Anything Protocol. */
#ifndef TAP_H
#define TAP_H

#include <stdint.h>

/* "ok - sentence" if it holds, else "not ok - sentence"; returns whether it holds. */
int check(int holds, const char *sentence, ...) __attribute__((format(printf, 2, 3)));
/* The same for two numbers that must be equal; says both when they are not. */
int check_equal(int64_t seen, int64_t wanted, const char *sentence, ...) __attribute__((format(printf, 3, 4)));
/* A remark. */
void note(const char *remark, ...) __attribute__((format(printf, 1, 2)));
/* Ends the program: the checks that were to follow are missing then, which the plan tells. */
void bail(const char *why, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Writes into a file of the kernel's or ends the program. */
void put(const char *path, const char *text);

#endif
