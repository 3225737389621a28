/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/placement.h"

#include <stdlib.h>

struct placement {
	uint64_t moves;
};

struct placement *placement_new(void)
{
	return NULL;
}

void placement_free(struct placement *p)
{
	free(p);
}

void placement_follow(struct placement *p, pid_t client)
{
	(void)p;
	(void)client;
}

uint64_t placement_moves(const struct placement *p)
{
	return p->moves;
}
