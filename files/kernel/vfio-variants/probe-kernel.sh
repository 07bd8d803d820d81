#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# SPDX-FileCopyrightText: The vfio.variants authors
#
# Usage: sh <this file> <include directory of a kernel> [<compiler> <flag>...]
#
# Prints one -D switch for each interface that the kernel's headers declare,
# for variant_compat.h. Kernel versions do not matter: distributions and stable
# trees back-port, so the version does not tell which interfaces exist.
# With a compiler, the declarations are looked for in what it makes of the
# headers, because distributions wrap additions in macros of their own, such as
# RH_KABI_FILL_HOLE(bool driver_managed_dma).
# The last word is -DVARIANT_PROBED; if it is missing, something failed.
set -eu

include=$1/linux
shift

for header in vfio.h vfio_pci_core.h pci.h mm.h; do
	if [ ! -r "$include/$header" ]; then
		echo "$0: cannot read $include/$header" >&2
		exit 1
	fi
done

# A header without comments, on one line: a name that is only mentioned in a
# comment must not count, and a declaration may be wrapped anywhere.
declarations() {
	awk '
	{
		line = $0
		while (line != "") {
			if (comment) {
				end = index(line, "*/")
				if (!end)
					break
				line = substr(line, end + 2)
				comment = 0
				printf " "
				continue
			}
			block = index(line, "/*")
			rest = index(line, "//")
			if (rest && (!block || rest < block)) {
				printf "%s", substr(line, 1, rest - 1)
				break
			}
			if (!block) {
				printf "%s", line
				break
			}
			printf "%s", substr(line, 1, block - 1)
			line = substr(line, block + 2)
			comment = 1
		}
		printf " "
	}' "$1" | tr -s '[:space:]' ' '
}

# has <declarations> <extended regular expression> <switch>
has() {
	if printf '%s\n' "$1" | grep -Eq "$2"; then
		echo "-D$3"
	fi
}

# op <name> <switch>: struct vfio_device_ops has a member of that name.
op() {
	has "$vfio" "\( ?\* ?$1 ?\)" "$2"
}

# What the compiler, given with its flags, makes of the headers, on one line.
preprocessed() {
	text=$(printf '#include <linux/%s>\n' mm.h pci.h vfio.h vfio_pci_core.h |
		"$@" -E -P -x c -) || exit 1
	printf '%s' "$text" | tr -s '[:space:]' ' '
}

if [ $# -gt 0 ]; then
	vfio=$(preprocessed "$@")
	core=$vfio
	pci=$vfio
	mm=$vfio
else
	vfio=$(declarations "$include/vfio.h")
	core=$(declarations "$include/vfio_pci_core.h")
	pci=$(declarations "$include/pci.h")
	mm=$(declarations "$include/mm.h")
fi

# v5.18
op device_feature VARIANT_HAVE_DEVICE_FEATURE
# v5.19
has "$pci" 'bool driver_managed_dma ?;' VARIANT_HAVE_DRIVER_MANAGED_DMA
has "$core" 'vfio_pci_core_sriov_configure ?\( ?struct vfio_pci_core_device ' \
	VARIANT_HAVE_SRIOV_CONFIGURE_CORE
# v6.1
has "$vfio" '[ *]_vfio_alloc_device ?\(' VARIANT_HAVE_ALLOC_DEVICE
has "$core" ' vfio_pci_core_register_dev_region ?\(' \
	VARIANT_HAVE_CORE_REGISTER_REGION
has "$core" ' pm_runtime_engaged ?[;:]' VARIANT_HAVE_LOW_POWER
# v6.2
op bind_iommufd VARIANT_HAVE_BIND_IOMMUFD
op migration_get_data_size VARIANT_HAVE_MIGRATION_DATA_SIZE
# v6.3
has "$mm" ' vm_flags_set ?\( ?struct vm_area_struct ' VARIANT_HAVE_VM_FLAGS_SET
# v6.6
op detach_ioas VARIANT_HAVE_DETACH_IOAS
# v6.15
op pasid_attach_ioas VARIANT_HAVE_PASID_ATTACH_IOAS
# v6.17
op match_token_uuid VARIANT_HAVE_MATCH_TOKEN_UUID
# v6.19
op get_region_info_caps VARIANT_HAVE_GET_REGION_INFO_CAPS
has "$core" '\( ?\* ?get_dmabuf_phys ?\)' VARIANT_HAVE_PCI_DEVICE_OPS
# v7.2; disable_idle_d3 alone is also in v6.12.117, where the core sets it
has "$core" 'bool nointxmask ?(: ?1 ?)?;' VARIANT_HAVE_DEVICE_OPTIONS

echo -DVARIANT_PROBED
