/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/cli/signals.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "store/base/attrs.h"

/* Handlers have no other way to leave word than globals. */
static volatile bool stop;
static volatile sig_atomic_t watching;
static volatile sig_atomic_t status;

static void on_stop(int sig)
{
	(void)sig;
	if (stop || !watching)
		_exit(130);
	stop = true;
}

static void on_status(int sig)
{
	(void)sig;
	status = 1;
}

static void install(int sig, void (*handler)(int))
{
	/* Reads and writes go on; ppoll() does not, and the prompt uses it. */
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct sigaction old;

	sigemptyset(&sa.sa_mask);
	if (sigaction(sig, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
		return; /* nohup, or a shell's background job */
	sigaction(sig, &sa, NULL);
}

void signals_init(void)
{
	static const int stops[] = { SIGINT, SIGTERM, SIGHUP };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(stops); i++)
		install(stops[i], on_stop);
	install(SIGUSR1, on_status);
	signal(SIGPIPE, SIG_IGN);
}

bool signals_watch(bool on)
{
	bool before = watching != 0;

	watching = on;
	/* Nobody saw it, and nobody will. */
	if (!on && stop)
		_exit(130);
	return before;
}

const volatile bool *signals_stop(void)
{
	return &stop;
}

bool signals_take_status(void)
{
	if (!status)
		return false;
	status = 0;
	return true;
}

void signals_die_of_pipe(void)
{
	signal(SIGPIPE, SIG_DFL);
	raise(SIGPIPE);
	_exit(141);
}
