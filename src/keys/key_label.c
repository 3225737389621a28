/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/keys/key_label.h"

#include <jansson.h>
#include <pwd.h>
#include <unistd.h>

#include "src/cli/context.h"
#include "src/cli/output.h"
#include "store/base/seam.h"

char *key_label(struct context *ctx, const char *host, const char *user,
		const char *label, const char *machine)
{
	int64_t now = ctx->seam->ops->realtime_ns(ctx->seam);
	char name[256] = "";
	struct passwd *pw = getpwuid(getuid());
	json_t *o = json_object();
	char *text;

	gethostname(name, sizeof(name) - 1);
	output_set_time(o, "created", now / 1000000000 * 1000000000);
	output_set_string(o, "host", host ? host : name);
	output_set_string(o, "user", user ? user : pw ? pw->pw_name : "");
	if (label)
		output_set_string(o, "label", label);
	if (machine)
		output_set_string(o, "role", "put-only");
	if (machine && *machine)
		output_set_string(o, "machine", machine);
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}
