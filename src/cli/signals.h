/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SIGINT, SIGTERM and SIGHUP ask a verb to stop; a second one, or one where the
 * verb does not look, ends the program at once with 130. SIGUSR1 asks for a
 * status line. SIGPIPE is ignored: writes tell.
 */
#ifndef SRC_CLI_SIGNALS_H
#define SRC_CLI_SIGNALS_H

#include <stdbool.h>

/* Install the handlers; what was ignored stays ignored. */
void signals_init(void);
/* From now on the verb looks at signals_stop() itself (or no more). Return
 * what was before. */
bool signals_watch(bool on);
/* True once the user asked to stop. */
const volatile bool *signals_stop(void);
/* True once for each SIGUSR1. */
bool signals_take_status(void);
/* End as a program whose reader went away does. */
void signals_die_of_pipe(void);

#endif
