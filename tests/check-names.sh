#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Names and sizes in src, fs and store. No name is both a struct and a function,
# in whichever files: a reader who meets "struct report" and "report()" takes
# them for one thing. No file has over 600 lines, no function over 60, counted
# from its first line to its last. The code is read as clang-format leaves it,
# which tests/check-format.sh sees to. Before the tree is judged, planted
# violations must be found.
set -eu
cd "${srcdir:-.}"

# Judge the files below the current directory; print what is wrong.
judge()
{
	find src fs store -name '*.[ch]' -print | LC_ALL=C sort |
	xargs -r awk '
	function wrong(what)
	{
		print FILENAME ":" FNR ": " what
	}

	# The name right before the first parenthesis, if there is one. What has
	# no small letter is a macro.
	function function_name(line)
	{
		gsub(/__attribute__\(\([^)]*(\([^)]*\))?\)\)/, "", line)
		gsub(/(^|[ \t])[A-Z][A-Z0-9_]*\([^)]*\)[ \t]/, " ", line)
		if (!match(line, /^[^(]*[a-zA-Z0-9_]\(/))
			return ""
		line = substr(line, 1, RLENGTH - 1)
		sub(/^.*[^a-zA-Z0-9_]/, "", line)
		return line ~ /[a-z]/ ? line : ""
	}

	function end_file()
	{
		if (lines > 600)
			print file ": " lines " lines, more than 600"
		comment = macro = begin = 0
	}

	FNR == 1 { end_file(); file = FILENAME }
	{ lines = FNR }

	# Comments begin a line of their own here, or stand behind code.
	comment { if (/\*\//) comment = 0; next }
	/^[ \t]*\/\*/ { if (!/\*\//) comment = 1; next }

	# A macro goes on where its line ends in a backslash.
	/^#/ || macro { macro = /\\$/; next }

	match($0, /^[ \t]*((static|const|extern|typedef) )*struct [a-z_0-9]+( \{|;)$/) {
		name = $0
		sub(/^.*struct /, "", name)
		sub(/[ ;].*$/, "", name)
		if (!(name in structs))
			structs[name] = FILENAME ":" FNR
	}

	# At the left edge stand what declares and what ends; a type on a line
	# of its own belongs to the name on the next one.
	/^[a-zA-Z_]/ && !/^(typedef|extern|(struct|enum|union) [a-z_0-9]* ?\{$)/ {
		if (!begin)
			begin = FNR
		name = function_name($0)
		if (name != "" && $0 !~ /^[^(]*=/) {
			if (!(name in functions))
				functions[name] = FILENAME ":" FNR
			current = name
		}
	}
	/^}/ && body {
		if (FNR - begin + 1 > 60)
			wrong(current "() has " FNR - begin + 1 " lines, more than 60")
		body = 0
	}
	/^\{/ { body = 1 }
	/[;}]$/ && !body { begin = 0; current = "" }
	/^}/ { begin = 0; current = "" }

	END {
		end_file()
		for (name in structs)
			if (name in functions)
				print structs[name] ": struct " name " has the name of a function: " functions[name]
	}' | LC_ALL=C sort
}

# Each of these files, planted in an empty tree, must be found wrong, or not.
plant()
{
	mkdir -p "$tmp/src" "$tmp/fs" "$tmp/store"
	cat >"$tmp/$2"
	found=$(cd "$tmp" && judge)
	rm -r "$tmp/src" "$tmp/fs" "$tmp/store"
	case $1 in
	bad) [ -z "$found" ] || return 0 ;;
	ok) [ -n "$found" ] || return 0 ;;
	esac
	echo "self-test: this is not '$1': $found"
	exit 1
}

body()
{
	i=0
	while [ "$i" -lt "$1" ]; do
		printf '\t%s\n' "$2"
		i=$((i + 1))
	done
}

self_test()
{
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	plant bad src/a.c <<'END'
struct report {
	int x;
};
static int report(struct report *r)
{
	return r->x;
}
END
	plant bad fs/a.h <<'END'
struct point_disk;
MUST_CHECK const struct disk *point_disk(const struct point *p,
					 const char *name);
END
	plant bad fs/a.h <<'END'
struct loop_stats {
	int x;
};
PRINTF(2, 3) MUST_CHECK int
loop_stats(struct loop *l, const char *fmt, ...);
END
	plant bad store/a.c <<'END'
static struct table *table(void)
{
	struct table {
		int x;
	};
	return NULL;
}
END
	plant ok src/a.c <<'END'
/*
 * struct walk {
 */
static int walk(struct walker *w)
{
	return other(w);
}
struct other {
	int (*call)(struct other *o);
};
static int (*other_calls[])(void) = { other() };
#define reader(x)                                                      \
struct {                                                               \
	int x;                                                         \
}
struct reader {
	int x;
};
CLEANUP(reader) static struct reader r;
END
	{
		printf 'int f(void)\n{\n'
		body 57 'x++;'
		printf '}\n'
	} | plant ok src/a.c
	{
		printf 'int f(void)\n{\n'
		body 58 'x++;'
		printf '}\n'
	} | plant bad src/a.c
	{
		printf 'static const struct a *\nf(int a,\n  int b)\n{\n'
		body 56 'x++;'
		printf '}\n'
	} | plant bad src/a.c
	body 600 '' | plant ok src/a.c
	body 601 '' | plant bad src/a.c
}

self_test
found=$(judge)
if [ -n "$found" ]; then
	printf '%s\n' "$found"
	exit 1
fi
