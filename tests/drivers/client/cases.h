/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the client can be asked to do. Words are those after the case's name, as its usage in client.c names them. */
#ifndef CASES_H
#define CASES_H

void show_plain_device(char **words);
void show_no_link(char **words);
void show_bar(char **words);
void show_memory(char **words);
void show_mappings(char **words);
void show_registers(char **words);
void show_no_registers(char **words);
void show_resets(char **words);
void show_interrupts(char **words);
void show_openings(char **words);
void show_unbinding(char **words);
void show_faults(char **words);
void show_migration(char **words);
void show_cdev(char **words);
void show_absences(char **words);
void show_memory_of_bars(char **words);

/* Of the command line: decimal, or hexadecimal after 0x. */
unsigned long long number(const char *word);
/* The first region that is not one of every PCI function's. */
#define VENDOR_REGION VFIO_PCI_NUM_REGIONS

#endif
