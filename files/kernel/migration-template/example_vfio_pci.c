// SPDX-License-Identifier: GPL-2.0-only
// SPDX-FileCopyrightText: The vfio.variants authors
/*
 * example_vfio_pci: a VFIO PCI variant driver whose device can be migrated.
 *
 * The device is QEMU's edu, whose state here is what its registers for DMA
 * hold. A driver of a real device has more to save, and a way to stop it; where
 * that belongs is said below.
 *
 * It binds only to a device whose driver_override names it or whose ID is in
 * the module's parameter ids=. Runtime power management, reset, SR-IOV and
 * error recovery are those of the core. On a kernel before v6.1 the device
 * cannot be migrated.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "variant_compat.h"
#include "variant_ids.h"

struct example_file;

/* One per device, from probe to remove. Add the driver's own state here. */
struct example_device {
	struct vfio_pci_core_device core;	/* must be first for VFIO */
	struct mutex lock;	/* protects @state and @file */
	enum vfio_device_mig_state state;
	struct example_file *file;
	spinlock_t reset_lock;	/* protects @was_reset */
	bool was_reset;
};

#ifdef VARIANT_HAVE_ALLOC_DEVICE

/* The registers that make up the device's state. */
static const u16 example_registers[] = { 0x80, 0x88, 0x90 };

#define EXAMPLE_REGISTERS	ARRAY_SIZE(example_registers)
#define EXAMPLE_STATE_SIZE	(EXAMPLE_REGISTERS * sizeof(__le32))

/*
 * What a user reads the saved state from, or writes the state to restore into.
 * The user can keep it open longer than it is of use.
 */
struct example_file {
	struct file *filp;
	struct mutex lock;	/* protects what follows */
	bool over;
	size_t used;
	__le32 state[EXAMPLE_REGISTERS];
};

static struct example_device *example_of(struct vfio_device *vdev)
{
	return container_of(vdev, struct example_device, core.vdev);
}

/* BAR 0 answers only while the device decodes memory and is awake. */
static void __iomem *example_map(struct example_device *own)
{
	u16 command;

	pci_read_config_word(own->core.pdev, PCI_COMMAND, &command);
	if (!(command & PCI_COMMAND_MEMORY) || variant_is_asleep(&own->core))
		return NULL;
	return pci_iomap(own->core.pdev, 0, 0);
}

static int example_save(struct example_device *own, struct example_file *file)
{
	void __iomem *registers;
	size_t i;

	down_read(&own->core.memory_lock);
	registers = example_map(own);
	for (i = 0; registers && i < EXAMPLE_REGISTERS; i++) {
		u32 value = ioread32(registers + example_registers[i]);

		file->state[i] = cpu_to_le32(value);
	}
	if (registers)
		pci_iounmap(own->core.pdev, registers);
	up_read(&own->core.memory_lock);

	file->used = EXAMPLE_STATE_SIZE;
	return registers ? 0 : -EIO;
}

static int example_restore(struct example_device *own,
			   const struct example_file *file)
{
	void __iomem *registers;
	size_t i;

	if (file->used != EXAMPLE_STATE_SIZE)
		return -EINVAL;

	down_read(&own->core.memory_lock);
	registers = example_map(own);
	for (i = 0; registers && i < EXAMPLE_REGISTERS; i++)
		iowrite32(le32_to_cpu(file->state[i]),
			  registers + example_registers[i]);
	if (registers)
		pci_iounmap(own->core.pdev, registers);
	up_read(&own->core.memory_lock);

	return registers ? 0 : -EIO;
}

static ssize_t example_file_read(struct file *filp, char __user *buf,
				 size_t count, loff_t *pos)
{
	struct example_file *file = filp->private_data;
	ssize_t done = -ENODEV;

	if (pos)
		return -ESPIPE;

	mutex_lock(&file->lock);
	if (!file->over)
		done = simple_read_from_buffer(buf, count, &filp->f_pos,
					       file->state, file->used);
	mutex_unlock(&file->lock);
	return done;
}

static ssize_t example_file_write(struct file *filp, const char __user *buf,
				  size_t count, loff_t *pos)
{
	struct example_file *file = filp->private_data;
	ssize_t done = -ENODEV;

	if (pos)
		return -ESPIPE;

	mutex_lock(&file->lock);
	if (!file->over)
		done = simple_write_to_buffer(file->state, EXAMPLE_STATE_SIZE,
					      &filp->f_pos, buf, count);
	if (done > 0)
		file->used = filp->f_pos;
	mutex_unlock(&file->lock);

	/* A state that is longer than the device's is not one of its own. */
	return done || !count ? done : -ENOSPC;
}

static int example_file_release(struct inode *inode, struct file *filp)
{
	kfree(filp->private_data);
	return 0;
}

static const struct file_operations example_save_fops = {
	.owner		= THIS_MODULE,
	.read		= example_file_read,
	.release	= example_file_release,
};

static const struct file_operations example_restore_fops = {
	.owner		= THIS_MODULE,
	.write		= example_file_write,
	.release	= example_file_release,
};

static struct example_file *
example_open_file(const struct file_operations *fops, int flags)
{
	struct example_file *file = kzalloc(sizeof(*file), GFP_KERNEL);
	int ret;

	if (!file)
		return ERR_PTR(-ENOMEM);

	file->filp = anon_inode_getfile("example_migration", fops, file, flags);
	if (IS_ERR(file->filp)) {
		ret = PTR_ERR(file->filp);
		kfree(file);
		return ERR_PTR(ret);
	}

	stream_open(file->filp->f_inode, file->filp);
	mutex_init(&file->lock);
	return file;
}

/* The user may have the file open still, and finds nothing in it any more. */
static void example_end_file(struct example_device *own)
{
	if (!own->file)
		return;

	mutex_lock(&own->file->lock);
	own->file->over = true;
	own->file->used = 0;
	mutex_unlock(&own->file->lock);
	fput(own->file->filp);
	own->file = NULL;
}

/* The one that is returned to the user; the driver keeps its own reference. */
static struct file *example_hand_out(struct example_device *own,
				     struct example_file *file)
{
	own->file = file;
	get_file(file->filp);
	return file->filp;
}

static struct file *example_begin_save(struct example_device *own)
{
	struct example_file *file;
	int ret;

	file = example_open_file(&example_save_fops, O_RDONLY);
	if (IS_ERR(file))
		return ERR_CAST(file);

	ret = example_save(own, file);
	if (ret) {
		fput(file->filp);
		return ERR_PTR(ret);
	}
	return example_hand_out(own, file);
}

static struct file *example_begin_restore(struct example_device *own)
{
	struct example_file *file;

	file = example_open_file(&example_restore_fops, O_WRONLY);
	if (IS_ERR(file))
		return ERR_CAST(file);

	return example_hand_out(own, file);
}

static struct file *example_end_restore(struct example_device *own)
{
	int ret;

	mutex_lock(&own->file->lock);
	ret = example_restore(own, own->file);
	mutex_unlock(&own->file->lock);
	if (!ret)
		example_end_file(own);
	return ERR_PTR(ret);
}

/* One arc between two states; VFIO knows which ways consist of which arcs. */
static struct file *example_step(struct example_device *own,
				 enum vfio_device_mig_state next)
{
	if (next == VFIO_DEVICE_STATE_STOP) {
		if (own->state == VFIO_DEVICE_STATE_RESUMING)
			return example_end_restore(own);
		/* From RUNNING: this is where the device is told to stop. */
		example_end_file(own);
		return NULL;
	}
	if (next == VFIO_DEVICE_STATE_STOP_COPY)
		return example_begin_save(own);
	if (next == VFIO_DEVICE_STATE_RESUMING)
		return example_begin_restore(own);
	/* From STOP to RUNNING: the device is told to go on. */
	return next == VFIO_DEVICE_STATE_RUNNING ? NULL : ERR_PTR(-EINVAL);
}

/*
 * A reset makes the device run, and ends what was going on. It is told while
 * the core holds memory_lock, which the holder of @lock may wait for; that one
 * then does it.
 */
static void example_unlock(struct example_device *own)
{
	bool was_reset;

	do {
		spin_lock(&own->reset_lock);
		was_reset = own->was_reset;
		own->was_reset = false;
		spin_unlock(&own->reset_lock);

		if (was_reset) {
			example_end_file(own);
			own->state = VFIO_DEVICE_STATE_RUNNING;
		}
	} while (was_reset);
	mutex_unlock(&own->lock);
}

static struct file *example_set_state(struct vfio_device *vdev,
				      enum vfio_device_mig_state wanted)
{
	struct example_device *own = example_of(vdev);
	enum vfio_device_mig_state next;
	struct file *filp = NULL;
	int ret;

	mutex_lock(&own->lock);
	while (own->state != wanted) {
		ret = vfio_mig_get_next_state(vdev, own->state, wanted, &next);
		if (ret) {
			filp = ERR_PTR(ret);
			break;
		}
		filp = example_step(own, next);
		if (IS_ERR(filp))
			break;
		own->state = next;
		if (WARN_ON(filp && next != wanted)) {
			fput(filp);
			filp = ERR_PTR(-EINVAL);
			break;
		}
	}
	example_unlock(own);
	return filp;
}

static int example_get_state(struct vfio_device *vdev,
			     enum vfio_device_mig_state *state)
{
	struct example_device *own = example_of(vdev);

	mutex_lock(&own->lock);
	*state = own->state;
	example_unlock(own);
	return 0;
}

static int __maybe_unused example_get_data_size(struct vfio_device *vdev,
						unsigned long *size)
{
	*size = EXAMPLE_STATE_SIZE;
	return 0;
}

static const struct vfio_migration_ops example_migration_ops = {
	.migration_set_state	= example_set_state,
	.migration_get_state	= example_get_state,
/* Since v6.2 the core refuses a device without this one. */
#ifdef VARIANT_HAVE_MIGRATION_DATA_SIZE
	.migration_get_data_size = example_get_data_size,
#endif
};

static int example_init_dev(struct vfio_device *vdev)
{
	struct example_device *own = example_of(vdev);

	mutex_init(&own->lock);
	spin_lock_init(&own->reset_lock);
	own->state = VFIO_DEVICE_STATE_RUNNING;

	/* Without STOP_COPY the core refuses a device that has mig_ops. */
	vdev->migration_flags = VFIO_MIGRATION_STOP_COPY;
	vdev->mig_ops = &example_migration_ops;
	return variant_init_dev(vdev);
}

static void example_end_migration(struct vfio_device *vdev)
{
	struct example_device *own = example_of(vdev);

	mutex_lock(&own->lock);
	example_end_file(own);
	own->state = VFIO_DEVICE_STATE_RUNNING;
	example_unlock(own);
}

static void example_note_reset(struct vfio_device *vdev)
{
	struct example_device *own = example_of(vdev);

	spin_lock(&own->reset_lock);
	own->was_reset = true;
	if (!mutex_trylock(&own->lock)) {
		spin_unlock(&own->reset_lock);
		return;
	}
	spin_unlock(&own->reset_lock);
	example_unlock(own);
}

#else

static void example_end_migration(struct vfio_device *vdev)
{
}

static void example_note_reset(struct vfio_device *vdev)
{
}

#endif /* VARIANT_HAVE_ALLOC_DEVICE */

/* Adds regions to those of the PCI device. -ENODEV: there are none. */
static int example_add_regions(struct vfio_pci_core_device *core)
{
	return -ENODEV;
}

static int example_open_device(struct vfio_device *vdev)
{
	struct vfio_pci_core_device *core =
		container_of(vdev, struct vfio_pci_core_device, vdev);

	return variant_open_device(core, example_add_regions);
}

static void example_close_device(struct vfio_device *vdev)
{
	example_end_migration(vdev);
	vfio_pci_core_close_device(vdev);
}

static const struct vfio_device_ops example_ops = {
	.open_device		= example_open_device,
	.close_device		= example_close_device,
	VARIANT_CORE_OPS
#ifdef VARIANT_HAVE_ALLOC_DEVICE
	.init			= example_init_dev,
#endif
};

static void example_reset_done(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	example_note_reset(&core->vdev);
}

/* A device bound by driver_override may not be in the table: do not use @id. */
static int example_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct example_device *own;

	own = variant_alloc_device(example_device, core, pdev, &example_ops);
	if (IS_ERR(own))
		return PTR_ERR(own);

	return variant_register_device(&own->core);
}

/* For user space: the kernel matches these only with a driver_override. */
static const struct pci_device_id example_vfio_pci_table[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(0x1234, 0x11e8) },
	{}
};
MODULE_DEVICE_TABLE(pci, example_vfio_pci_table);

/* The core's, and to be told of resets: see example_vfio_pci_init(). */
static struct pci_error_handlers example_err_handlers;

static struct pci_driver example_vfio_pci_driver = {
	.id_table		= example_vfio_pci_table,
	.probe			= example_probe,
	VARIANT_CORE_DRIVER
	.err_handler		= &example_err_handlers,
};

static int __init example_vfio_pci_init(void)
{
	example_err_handlers = vfio_pci_core_err_handlers;
	example_err_handlers.reset_done = example_reset_done;
	return variant_register_driver(&example_vfio_pci_driver);
}
module_init(example_vfio_pci_init);

static void __exit example_vfio_pci_exit(void)
{
	pci_unregister_driver(&example_vfio_pci_driver);
}
module_exit(example_vfio_pci_exit);

MODULE_LICENSE("GPL");
MODULE_VERSION(VARIANT_VERSION);
MODULE_DESCRIPTION("VFIO PCI variant driver whose device can be migrated");
