/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Seconds since 1970 of a date as FAT, exFAT and ISO 9660 write it. */
#ifndef FS_GUEST_CALENDAR_H
#define FS_GUEST_CALENDAR_H

#include <stdint.h>

/* Fields that are out of range (a 31st of February, hour 31) carry over; a
 * month of 0 or over 12 is taken as the nearest. */
static inline int64_t calendar_seconds(unsigned int year, unsigned int month,
				       unsigned int day, unsigned int hour,
				       unsigned int minute, unsigned int second)
{
	int64_t y, days;
	unsigned int m;

	m = month < 1 ? 1 : month > 12 ? 12 : month;
	/* Years that begin in March: the leap day is the last one. */
	y = (int64_t)year - (m <= 2);
	m = m > 2 ? m - 3 : m + 9;
	days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day -
	       1 - 719468;
	return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

#endif
