// SPDX-License-Identifier: GPL-2.0-only
// SPDX-FileCopyrightText: The vfio.variants authors
/*
 * Describes an NVLink2 link between two PCI functions, as the device tree of a
 * POWER9 does, with software nodes. The nodes are there from the loading of
 * the module to its unloading; each parameter is a piece of the description.
 */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/property.h>
#include <linux/string.h>

static char *gpu;
module_param(gpu, charp, 0);
MODULE_PARM_DESC(gpu, "Address of the GPU's function");

static char *npu;
module_param(npu, charp, 0);
MODULE_PARM_DESC(npu, "Address of the NPU's function; without it the NPU is a node that no function has");

static u64 memory[2];
module_param_array(memory, ullong, NULL, 0);
MODULE_PARM_DESC(memory, "Where the GPU's memory is, and its size");

static u64 atsd[4];
static int atsd_count;
module_param_array(atsd, ullong, &atsd_count, 0);
MODULE_PARM_DESC(atsd, "The host bridge's ATSD registers; without it the bridge is not described");

static unsigned int link_index;
module_param(link_index, uint, 0);
MODULE_PARM_DESC(link_index, "Number of the link");

static u64 tgt;
module_param(tgt, ullong, 0);
MODULE_PARM_DESC(tgt, "Where the NPU sees the GPU's memory");

static unsigned int speed;
module_param(speed, uint, 0);
MODULE_PARM_DESC(speed, "Speed of the link");

static char *without = "";
module_param(without, charp, 0);
MODULE_PARM_DESC(without, "Name of a property to leave out");

#define PROPERTIES 6

/* One more than there can be: an entry without a name ends a list. */
static struct property_entry gpu_properties[PROPERTIES + 1];
static struct property_entry npu_properties[PROPERTIES + 1];
static struct property_entry memory_properties[PROPERTIES + 1];
static struct property_entry link_properties[PROPERTIES + 1];
static struct property_entry bridge_properties[PROPERTIES + 1];

static const struct software_node gpu_node = {
	.name = "test-gpu", .properties = gpu_properties
};

static const struct software_node npu_node = {
	.name = "test-npu", .properties = npu_properties
};

static const struct software_node memory_node = {
	.name = "test-memory", .properties = memory_properties
};

static const struct software_node link_node = {
	.name = "test-link", .properties = link_properties
};

static const struct software_node bridge_node = {
	.name = "test-bridge", .properties = bridge_properties
};

static const struct software_node *nodes[] = {
	&memory_node, &link_node, &gpu_node, &npu_node, &bridge_node, NULL
};

static const struct software_node_ref_args to_gpu[] = {
	SOFTWARE_NODE_REFERENCE(&gpu_node)
};

static const struct software_node_ref_args to_npu[] = {
	SOFTWARE_NODE_REFERENCE(&npu_node)
};

static const struct software_node_ref_args to_memory[] = {
	SOFTWARE_NODE_REFERENCE(&memory_node)
};

static const struct software_node_ref_args to_link[] = {
	SOFTWARE_NODE_REFERENCE(&link_node)
};

/* The devices that have a node, each held. */
static struct device *described[3];

static void add(struct property_entry *list, struct property_entry entry)
{
	if (!strcmp(entry.name, without))
		return;
	while (list->name)
		list++;
	*list = entry;
}

static void fill_in(void)
{
	add(gpu_properties, PROPERTY_ENTRY_REF_ARRAY("ibm,npu", to_npu));
	add(npu_properties, PROPERTY_ENTRY_REF_ARRAY("ibm,gpu", to_gpu));
	add(npu_properties,
	    PROPERTY_ENTRY_REF_ARRAY("memory-region", to_memory));
	add(npu_properties, PROPERTY_ENTRY_REF_ARRAY("ibm,nvlink", to_link));
	add(npu_properties, PROPERTY_ENTRY_U64("ibm,device-tgt-addr", tgt));
	add(npu_properties, PROPERTY_ENTRY_U32("ibm,nvlink-speed", speed));
	add(memory_properties, PROPERTY_ENTRY_U64_ARRAY("reg", memory));
	add(link_properties,
	    PROPERTY_ENTRY_U32("ibm,npu-link-index", link_index));
	if (atsd_count)
		add(bridge_properties,
		    PROPERTY_ENTRY_U64_ARRAY_LEN("ibm,mmio-atsd", atsd,
						 atsd_count));
}

static int describe(size_t slot, struct device *dev,
		    const struct software_node *node)
{
	int ret = device_add_software_node(dev, node);

	if (!ret)
		described[slot] = get_device(dev);
	return ret;
}

static int describe_function(size_t slot, const char *address,
			     const struct software_node *node)
{
	struct device *dev;
	int ret;

	dev = bus_find_device_by_name(&pci_bus_type, NULL, address);
	if (!dev)
		return -ENODEV;

	ret = describe(slot, dev, node);
	put_device(dev);
	return ret;
}

static int describe_bridge(void)
{
	struct pci_bus *root = pci_find_bus(0, 0);

	if (!root)
		return -ENODEV;
	return describe(2, root->bridge, &bridge_node);
}

static void forget(void)
{
	size_t slot;

	for (slot = 0; slot < ARRAY_SIZE(described); slot++) {
		if (!described[slot])
			continue;
		device_remove_software_node(described[slot]);
		put_device(described[slot]);
	}
	software_node_unregister_node_group(nodes);
}

static int __init link_firmware_init(void)
{
	int ret;

	fill_in();
	ret = software_node_register_node_group(nodes);
	if (ret)
		return ret;

	if (gpu)
		ret = describe_function(0, gpu, &gpu_node);
	if (!ret && npu)
		ret = describe_function(1, npu, &npu_node);
	if (!ret && atsd_count)
		ret = describe_bridge();
	if (ret)
		forget();
	return ret;
}
module_init(link_firmware_init);

static void __exit link_firmware_exit(void)
{
	forget();
}
module_exit(link_firmware_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The vfio.variants authors");
MODULE_DESCRIPTION("Description of an NVLink2 link by software nodes, for tests");
