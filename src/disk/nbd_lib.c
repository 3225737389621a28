/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/disk/nbd_lib.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

#include "store/base/log.h"

/* Of the interface that libnbd.h describes: libnbd promises that it stays. */
#define LIBRARY "libnbd.so.0"

struct nbd_lib nbd_lib;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool is_loaded;

/* It stays loaded until the program ends. */
static void load(void)
{
	void *lib = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);

	is_loaded = lib != NULL;
#define F(name)                                                                \
	if (is_loaded)                                                         \
		is_loaded = (nbd_lib.name = dlsym(lib, "nbd_" #name)) != NULL;
	NBD_LIB_FUNCTIONS(F)
#undef F
	if (!is_loaded) {
		const char *why = dlerror();

		(void)fail(-ELIBACC,
			   "%s, which speaks to NBD servers, cannot be loaded:"
			   " %s",
			   LIBRARY, why ? why : "it lacks a function");
	}
}

int nbd_lib_load(void)
{
	pthread_once(&once, load);
	return is_loaded ? 0 : -ELIBACC;
}
