/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/repair/internal.h"

#include <stdarg.h>
#include <stdio.h>

void repair_say(const struct repair_options *o, struct repair_result *out,
		enum repair_verdict verdict, const char *object,
		const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	out->repaired += verdict == REPAIR_WOULD || verdict == REPAIR_DONE;
	out->left += verdict == REPAIR_LEFT;
	if (o->say)
		o->say(o->say_arg, verdict, object, text);
}
