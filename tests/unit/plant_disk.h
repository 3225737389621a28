/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Disks and config files in planted points. */
#ifndef TESTS_UNIT_PLANT_DISK_H
#define TESTS_UNIT_PLANT_DISK_H

#include "store/content.h"
#include "tests/unit/plant.h"

#define PLANT_CELL (256u << 10) /* of a disk: its chunks */

/* A piece of a disk; @data, of @len bytes, where it is EXTENT_DATA. */
struct plant_range {
	uint64_t len;
	enum extent_type type;
	const uint8_t *data;
};

/* Between plant_begin() and plant_commit(). */
void plant_disk(struct plant *p, const char *name, const struct plant_range *x,
		size_t n);
/* A disk of one image; its cells of zeros are holes. */
void plant_image(struct plant *p, const char *name, const uint8_t *image,
		 size_t len);
void plant_config(struct plant *p, const char *name, const char *text);

#endif
