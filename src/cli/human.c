/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sizes, durations, times and modes as people read them. */
#include "config.h"

#include "src/cli/output.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/stat.h>

/* Lists have a number or two in each of many lines, and printf() takes its time. */
const char *output_number(uint64_t v, char out[OUTPUT_SIZE_LEN])
{
	char digits[20];
	size_t n = 0, i;

	do
		digits[n++] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	for (i = 0; i < n; i++)
		out[i] = digits[n - 1 - i];
	out[n] = '\0';
	return out;
}

static const char *scaled(uint64_t bytes, double base, const char *const *units,
			  char out[OUTPUT_SIZE_LEN])
{
	double v = (double)bytes;
	size_t i = 0;

	/* What would be shown as 1024.000 is one of the next. */
	while (i < 6 && v >= base - 0.0005) {
		v /= base;
		i++;
	}
	if (i == 0)
		snprintf(out, OUTPUT_SIZE_LEN, "%" PRIu64 " B", bytes);
	else
		snprintf(out, OUTPUT_SIZE_LEN, "%.3f %s", v, units[i - 1]);
	return out;
}

/* As scaled() does, for what a double holds in full. */
static const char *scaled_iec(uint64_t bytes, const char *const *units,
			      char out[OUTPUT_SIZE_LEN])
{
	unsigned int i = 1;
	uint64_t n, rest, half;
	size_t len;

	while (i < 6 && bytes >= (UINT64_C(1) << (10 * i + 10)) -
					 (UINT64_C(1) << (10 * i)) / 2000)
		i++;
	n = bytes * 1000 >> (10 * i);
	half = UINT64_C(1) << (10 * i - 1);
	rest = bytes * 1000 & (2 * half - 1);
	/* To the even one, where two are as near. */
	n += rest > half || (rest == half && n % 2 == 1);
	output_number(n / 1000, out);
	len = strlen(out);
	out[len++] = '.';
	out[len++] = (char)('0' + n / 100 % 10);
	out[len++] = (char)('0' + n / 10 % 10);
	out[len++] = (char)('0' + n % 10);
	out[len++] = ' ';
	memcpy(out + len, units[i - 1], strlen(units[i - 1]) + 1);
	return out;
}

const char *output_size(uint64_t bytes, char out[OUTPUT_SIZE_LEN])
{
	static const char *const iec[] = { "KiB", "MiB", "GiB",
					   "TiB", "PiB", "EiB" };
	static const char *const si[] = { "kB", "MB", "GB", "TB", "PB", "EB" };
	const char *units = getenv("VMBACKUP_UNITS");

	if (units && !strcmp(units, "raw"))
		return output_number(bytes, out);
	if (units && !strcmp(units, "si"))
		return scaled(bytes, 1000, si, out);
	return bytes >= 1024 && bytes < UINT64_C(1) << 53
		       ? scaled_iec(bytes, iec, out)
		       : scaled(bytes, 1024, iec, out);
}

const char *output_duration(double seconds, char out[OUTPUT_DURATION_LEN])
{
	uint64_t s;

	if (!(seconds > 0))
		seconds = 0;
	if (seconds > 1e9)
		seconds = 1e9;
	s = (uint64_t)floor(seconds);
	if (s >= 3600)
		snprintf(out, OUTPUT_DURATION_LEN,
			 "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600,
			 s / 60 % 60, s % 60);
	else
		snprintf(out, OUTPUT_DURATION_LEN, "%" PRIu64 ":%02" PRIu64,
			 s / 60, s % 60);
	return out;
}

/* Years that struct tm or four digits do not hold are given in seconds. */
static bool broken_down(int64_t sec, struct tm *tm)
{
	time_t t = (time_t)sec;

	return gmtime_r(&t, tm) && tm->tm_year >= -1900 && tm->tm_year <= 8099;
}

const char *output_timespec(int64_t sec, uint32_t nsec,
			    char out[OUTPUT_TIME_LEN])
{
	struct tm tm;
	size_t n;

	if (!broken_down(sec, &tm)) {
		snprintf(out, OUTPUT_TIME_LEN, "@%" PRId64 ".%09" PRIu32, sec,
			 nsec);
		return out;
	}
	n = strftime(out, OUTPUT_TIME_LEN, "%Y-%m-%dT%H:%M:%S", &tm);
	if (nsec)
		snprintf(out + n, OUTPUT_TIME_LEN - n, ".%09" PRIu32 "Z", nsec);
	else
		snprintf(out + n, OUTPUT_TIME_LEN - n, "Z");
	return out;
}

const char *output_time(int64_t time_ns, char out[OUTPUT_TIME_LEN])
{
	int64_t sec = time_ns / 1000000000;
	int64_t nsec = time_ns % 1000000000;

	if (nsec < 0) {
		sec--;
		nsec += 1000000000;
	}
	return output_timespec(sec, (uint32_t)nsec, out);
}

const char *output_short_time(int64_t sec, char out[OUTPUT_TIME_LEN])
{
	struct tm tm;

	if (broken_down(sec, &tm))
		strftime(out, OUTPUT_TIME_LEN, "%Y-%m-%d %H:%M:%S", &tm);
	else
		snprintf(out, OUTPUT_TIME_LEN, "@%" PRId64, sec);
	return out;
}

static char type_letter(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFBLK:
		return 'b';
	case S_IFCHR:
		return 'c';
	case S_IFIFO:
		return 'p';
	case S_IFSOCK:
		return 's';
	case S_IFREG:
		return '-';
	}
	return '?';
}

const char *output_mode(mode_t mode, char out[OUTPUT_MODE_LEN])
{
	static const char rwx[] = "rwxrwxrwx";
	int i;

	out[0] = type_letter(mode);
	for (i = 0; i < 9; i++)
		out[i + 1] = mode & (0400 >> i) ? rwx[i] : '-';
	if (mode & S_ISUID)
		out[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		out[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		out[9] = mode & S_IXOTH ? 't' : 'T';
	out[10] = 0;
	return out;
}

const char *output_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "dir";
	case S_IFLNK:
		return "symlink";
	case S_IFBLK:
		return "dev";
	case S_IFCHR:
		return "chardev";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	}
	return "file";
}
