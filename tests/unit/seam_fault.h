/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A seam that fails, or kills the process, at the nth call.
 *
 *     struct seam_fault f;
 *
 *     seam_fault_init(&f, NULL);
 *     backend_open(path, &f.seam, &b);
 *     (run once; f.calls is how many calls there are to fail at)
 *     seam_fault_at(&f, n, SEAM_FAULT_FAIL, -EIO, false);
 *
 * Counted are the calls that change something: those of enum seam_fault_call.
 * It may be stacked on another seam (seam_crash). Clock and random bytes are
 * the next seam's, unless they are set here.
 */
#ifndef TESTS_UNIT_SEAM_FAULT_H
#define TESTS_UNIT_SEAM_FAULT_H

#include "store/base/seam.h"

#include <pthread.h>
#include <stdbool.h>

enum seam_fault_call {
	SEAM_FAULT_OPENAT, /* that creates: O_CREAT, O_TMPFILE */
	SEAM_FAULT_PWRITE,
	SEAM_FAULT_FTRUNCATE,
	SEAM_FAULT_FDATASYNC,
	SEAM_FAULT_FSYNC,
	SEAM_FAULT_CLOSE,
	SEAM_FAULT_LINKAT,
	SEAM_FAULT_RENAMEAT,
	SEAM_FAULT_UNLINKAT,
	SEAM_FAULT_MKDIRAT,
	SEAM_FAULT_CALLS,
};

enum seam_fault_action {
	SEAM_FAULT_NONE,
	/* not done, and fails (a close is done all the same) */
	SEAM_FAULT_FAIL,
	SEAM_FAULT_FAIL_AFTER, /* done, and fails: a lost reply */
	SEAM_FAULT_SHORT, /* a pwrite of some bytes only; others as usual */
	SEAM_FAULT_KILL_BEFORE, /* SIGKILL to this very process */
	SEAM_FAULT_KILL_AFTER,
};

struct seam_fault {
	struct seam seam; /* what to hand on */
	struct seam *next; /* borrowed */
	pthread_mutex_t lock; /* protects all below */
	unsigned long calls; /* counted so far */
	unsigned long calls_of[SEAM_FAULT_CALLS];
	unsigned long hits; /* how often the fault has happened */
	enum seam_fault_call hit; /* the last of them */
	unsigned long at; /* 0: never */
	enum seam_fault_action action;
	int err;
	bool sticky;
	unsigned int only; /* 1 << enum seam_fault_call; 0: all count */
	bool own_clock, own_random;
	int64_t now_ns, step_ns;
	uint64_t random;
};

/* @next: NULL is seam_system(). */
void seam_fault_init(struct seam_fault *f, struct seam *next);
void seam_fault_release(struct seam_fault *f);
/*
 * Let it happen at the @n-th call from now (from 1; the count begins anew), and
 * at all after it when @sticky. @err is the negative errno for FAIL.
 */
void seam_fault_at(struct seam_fault *f, unsigned long n,
		   enum seam_fault_action action, int err, bool sticky);
/* Count these calls only, 1 << enum seam_fault_call; 0: all. */
void seam_fault_only(struct seam_fault *f, unsigned int calls);
/* Both clocks stand at @now_ns and go on by @step_ns each time one is read, and
 * by what is slept, which takes no time then. May be called again, to let the
 * clock jump. */
void seam_fault_clock(struct seam_fault *f, int64_t now_ns, int64_t step_ns);
/* Random bytes follow from @seed alone. */
void seam_fault_random(struct seam_fault *f, uint64_t seed);
const char *seam_fault_name(enum seam_fault_call call);

#endif
