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

# declarations <header>: without comments, because a name that is only mentioned
# in one must not count.
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
	}' "$include/$1"
}

# has <switch> <extended regular expression>: one line of what is looked for. A
# declaration ends at its semicolon, so that is the end of the line ($).
has() {
	printf '%s %s\n' "$1" "$2"
}

# op <switch> <name>: struct vfio_device_ops has a member of that name.
op() {
	has "$1" "\( ?\* ?$2 ?\)"
}

interfaces() {
	# v5.18
	op VARIANT_HAVE_DEVICE_FEATURE device_feature
	# v5.19
	has VARIANT_HAVE_DRIVER_MANAGED_DMA 'bool driver_managed_dma ?$'
	has VARIANT_HAVE_SRIOV_CONFIGURE_CORE \
		'vfio_pci_core_sriov_configure ?\( ?struct vfio_pci_core_device '
	# v6.1
	has VARIANT_HAVE_ALLOC_DEVICE '[ *]_vfio_alloc_device ?\('
	has VARIANT_HAVE_CORE_REGISTER_REGION \
		' vfio_pci_core_register_dev_region ?\('
	has VARIANT_HAVE_LOW_POWER ' pm_runtime_engaged ?(:|$)'
	# v6.2
	op VARIANT_HAVE_BIND_IOMMUFD bind_iommufd
	op VARIANT_HAVE_MIGRATION_DATA_SIZE migration_get_data_size
	# v6.3
	has VARIANT_HAVE_VM_FLAGS_SET \
		' vm_flags_set ?\( ?struct vm_area_struct '
	# v6.6
	op VARIANT_HAVE_DETACH_IOAS detach_ioas
	# v6.15
	op VARIANT_HAVE_PASID_ATTACH_IOAS pasid_attach_ioas
	# v6.17
	op VARIANT_HAVE_MATCH_TOKEN_UUID match_token_uuid
	# v6.19
	op VARIANT_HAVE_GET_REGION_INFO_CAPS get_region_info_caps
	has VARIANT_HAVE_PCI_DEVICE_OPS '\( ?\* ?get_dmabuf_phys ?\)'
	# v7.2; disable_idle_d3 alone is also in v6.12.117, where the core sets it
	has VARIANT_HAVE_DEVICE_OPTIONS 'bool nointxmask ?(: ?1 ?)?$'
}

if [ $# -gt 0 ]; then
	text=$(printf '#include <linux/%s>\n' mm.h pci.h vfio.h vfio_pci_core.h |
		"$@" -E -P -x c -) || exit 1
else
	text=$(declarations mm.h && declarations pci.h && declarations vfio.h &&
		declarations vfio_pci_core.h) || exit 1
fi

# The compiler makes megabytes of them: gone through once for all interfaces.
wanted=$(interfaces)
found=$(printf '%s\n' "$text" | tr -s '[:space:]' ' ' | tr ';' '\n' |
	LC_ALL=C grep -E "$(printf '%s\n' "$wanted" | cut -d ' ' -f 2-)") || :

printf '%s\n' "$wanted" | while IFS= read -r line; do
	if printf '%s\n' "$found" | LC_ALL=C grep -Eq "${line#* }"; then
		echo "-D${line%% *}"
	fi
done

echo -DVARIANT_PROBED
