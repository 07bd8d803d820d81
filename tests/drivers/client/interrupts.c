/* SPDX-FileCopyrightText: The vfio.variants authors */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Interrupts of QEMU's edu function, which raises one when it is told to. */
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "function.h"
#include "cases.h"
#include "tap.h"

/* docs/specs/edu.rst of QEMU */
#define RAISE 0x60
#define ACKNOWLEDGE 0x64
#define MEMORY_AND_MASTER 0x6
#define PATIENCE_MS 5000

static uint64_t events(int fd, int patience)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	uint64_t count = 0;

	if (poll(&one, 1, patience) == 1 && read(fd, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

static void raise_once(const struct function *edu)
{
	bar_write(edu, RAISE, 1);
}

static void show_msi(const struct function *edu)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	check_equal(interrupt_send_to(edu, VFIO_PCI_MSI_IRQ_INDEX, fd), 0, "an MSI is sent to an eventfd");
	raise_once(edu);
	check_equal((int64_t)events(fd, PATIENCE_MS), 1, "the eventfd gets it");
	bar_write(edu, ACKNOWLEDGE, 1);
	raise_once(edu);
	check_equal((int64_t)events(fd, PATIENCE_MS), 1, "and the next one");
	bar_write(edu, ACKNOWLEDGE, 1);
	check_equal(interrupt_disable(edu, VFIO_PCI_MSI_IRQ_INDEX), 0, "MSIs are disabled");
	close(fd);
}

/* VFIO masks an INTx when it comes, until its user has served it. */
static void show_intx(const struct function *edu)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	check_equal(interrupt_send_to(edu, VFIO_PCI_INTX_IRQ_INDEX, fd), 0, "an INTx is sent to an eventfd");
	raise_once(edu);
	check_equal((int64_t)events(fd, PATIENCE_MS), 1, "the eventfd gets it once, although the line stays up");
	check_equal(interrupt_unmask(edu, VFIO_PCI_INTX_IRQ_INDEX), 0, "it is unmasked");
	check_equal((int64_t)events(fd, PATIENCE_MS), 1, "and comes again, as nobody served it");
	bar_write(edu, ACKNOWLEDGE, 1);
	check_equal(interrupt_unmask(edu, VFIO_PCI_INTX_IRQ_INDEX), 0, "it is unmasked when it was served");
	check_equal((int64_t)events(fd, 200), 0, "and does not come again");
	check_equal(interrupt_disable(edu, VFIO_PCI_INTX_IRQ_INDEX), 0, "INTx is disabled");
	close(fd);
}

void show_interrupts(char **words)
{
	struct function edu;

	function_must_open(&edu, words[0]);
	config_write(&edu, 4, 2, config_read(&edu, 4, 2) | MEMORY_AND_MASTER);
	show_msi(&edu);
	show_intx(&edu);
	function_close(&edu);
}
