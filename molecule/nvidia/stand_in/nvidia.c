// SPDX-License-Identifier: GPL-2.0-only
// SPDX-FileCopyrightText: The vfio.variants authors
/*
 * Stands in for NVIDIA's driver where no card answers: the real one gives up
 * then. A PCI driver of its name has the same cards, each with a character
 * device of its major number and a file in /proc, as nv.c, nv-pci.c and
 * nv-procfs.c of version 550 make them. Nodes for the devices are made by
 * nvidia-modprobe, as for the real one.
 *
 * A card that is taken away while somebody has its device open is waited for,
 * as there: nv_pci_remove() returns once nobody has.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/cdev.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

#define NVIDIA_MAJOR	195
#define NVIDIA_CARDS	32

struct card {
	struct pci_dev *pdev;
	struct proc_dir_entry *entry;
	atomic_t users;
	unsigned int minor;
};

static struct card cards[NVIDIA_CARDS];
static DECLARE_BITMAP(taken, NVIDIA_CARDS);
static struct proc_dir_entry *root, *gpus;
static struct cdev nodes;

static int card_open(struct inode *inode, struct file *file)
{
	struct card *card = &cards[iminor(inode)];

	if (!card->pdev)
		return -ENODEV;
	atomic_inc(&card->users);
	file->private_data = card;
	return 0;
}

static int card_release(struct inode *inode, struct file *file)
{
	struct card *card = file->private_data;

	atomic_dec(&card->users);
	return 0;
}

static const struct file_operations card_operations = {
	.owner		= THIS_MODULE,
	.open		= card_open,
	.release	= card_release,
};

static int information_show(struct seq_file *seq, void *unused)
{
	struct card *card = seq->private;

	seq_puts(seq, "Model: \t\t Stand-in\n");
	seq_printf(seq, "IRQ:   \t\t %u\n", card->pdev->irq);
	seq_puts(seq, "GPU UUID: \t GPU-????????-????-????-????-????????????\n");
	seq_puts(seq, "Video BIOS: \t ??.??.??.??.??\n");
	seq_puts(seq, "Bus Type: \t PCIe\n");
	seq_printf(seq, "Bus Location: \t %s\n", pci_name(card->pdev));
	seq_printf(seq, "Device Minor: \t %u\n", card->minor);
	seq_puts(seq, "GPU Excluded:\t No\n");
	return 0;
}

static int card_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	unsigned int minor = find_first_zero_bit(taken, NVIDIA_CARDS);
	struct card *card = &cards[minor];

	if (minor == NVIDIA_CARDS)
		return -ENOSPC;
	card->minor = minor;
	card->pdev = pdev;
	card->entry = proc_mkdir(pci_name(pdev), gpus);
	if (!card->entry ||
	    !proc_create_single_data("information", 0444, card->entry,
				     information_show, card)) {
		proc_remove(card->entry);
		card->pdev = NULL;
		return -ENOMEM;
	}
	set_bit(minor, taken);
	pci_set_drvdata(pdev, card);
	return 0;
}

static void card_remove(struct pci_dev *pdev)
{
	struct card *card = pci_get_drvdata(pdev);

	if (atomic_read(&card->users))
		pci_err(pdev, "removed while it is in use\n");
	while (atomic_read(&card->users))
		msleep(100);
	proc_remove(card->entry);
	card->pdev = NULL;
	clear_bit(card->minor, taken);
}

static const struct pci_device_id card_table[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_NVIDIA, PCI_ANY_ID),
	  .class = PCI_CLASS_DISPLAY_VGA << 8, .class_mask = ~0 },
	{ PCI_DEVICE(PCI_VENDOR_ID_NVIDIA, PCI_ANY_ID),
	  .class = PCI_CLASS_DISPLAY_3D << 8, .class_mask = ~0 },
	{}
};

static struct pci_driver card_driver = {
	.name		= "nvidia",
	.id_table	= card_table,
	.probe		= card_probe,
	.remove		= card_remove,
};

static int __init stand_in_init(void)
{
	dev_t first = MKDEV(NVIDIA_MAJOR, 0);
	int ret;

	root = proc_mkdir("driver/nvidia", NULL);
	gpus = proc_mkdir("gpus", root);
	if (!root || !gpus) {
		ret = -ENOMEM;
		goto remove_proc;
	}
	ret = register_chrdev_region(first, NVIDIA_CARDS, "nvidia");
	if (ret)
		goto remove_proc;
	cdev_init(&nodes, &card_operations);
	nodes.owner = THIS_MODULE;
	ret = cdev_add(&nodes, first, NVIDIA_CARDS);
	if (ret)
		goto unregister_region;
	ret = pci_register_driver(&card_driver);
	if (ret)
		goto delete_nodes;
	return 0;

delete_nodes:
	cdev_del(&nodes);
unregister_region:
	unregister_chrdev_region(first, NVIDIA_CARDS);
remove_proc:
	proc_remove(root);
	return ret;
}
module_init(stand_in_init);

static void __exit stand_in_exit(void)
{
	pci_unregister_driver(&card_driver);
	cdev_del(&nodes);
	unregister_chrdev_region(MKDEV(NVIDIA_MAJOR, 0), NVIDIA_CARDS);
	proc_remove(root);
}
module_exit(stand_in_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The vfio.variants authors");
MODULE_DESCRIPTION("PCI driver with the name and the device nodes of NVIDIA's, for tests");
