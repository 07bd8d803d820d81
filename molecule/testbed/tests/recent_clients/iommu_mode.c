// SPDX-License-Identifier: GPL-2.0-only
// SPDX-FileCopyrightText: The vfio.variants authors
/*
 * Linked into the kernel's own VFIO tests. Those that know one way only into the IOMMU take IOMMUFD, which Debian's kernels
 * do not have; this lets them take VFIO's own type 1 container instead.
 */
extern const char *default_iommu_mode;

__attribute__((constructor)) static void choose_type1(void)
{
	default_iommu_mode = "vfio_type1v2_iommu";
}
