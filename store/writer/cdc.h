/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Content-defined chunk boundaries: gear hash with normalised chunking
 * (Xia et al., FastCDC, USENIX ATC 2016, section 4), keyed by the table.
 * Pure: no state, no allocation.
 *
 * The hash at n is that of the 64 bytes before n, whatever the chunk's start:
 *
 *     H(n) = sum over k = 0..63 of gear[data[n - 1 - k]] << k   (mod 2^64)
 *
 * so that H(n + 1) = 2 H(n) + gear[data[n]]. Data of up to CDC_MIN bytes is one
 * chunk. Of more, the first chunk ends at the smallest n with
 *
 *     CDC_MIN <= n < CDC_SWITCH  and  (H(n) & CDC_MASK_HARD) == 0,  or
 *     CDC_SWITCH <= n < CDC_MAX  and  (H(n) & CDC_MASK_EASY) == 0,
 *
 * at CDC_MAX where there is none, and at the end of the data if that comes
 * first. The hard mask has 22 bits, the easy one 18: two more and two fewer
 * than 1 MiB would ask for (normalisation level 2), which crowds the lengths
 * around the switch. The bits are high ones, which depend on many bytes. The
 * switch is where it makes the mean length 1016 KiB on random data:
 * min + 2^22 (1 - q) + 2^18 q, where q = exp(-(switch - min) / 2^22).
 */
#ifndef STORE_WRITER_CDC_H
#define STORE_WRITER_CDC_H

#include <stddef.h>
#include <stdint.h>

#define CDC_MIN (256u << 10)
#define CDC_AVG (1u << 20)
#define CDC_MAX (4u << 20)
#define CDC_SWITCH (832u << 10)
#define CDC_WINDOW 64
/* 22 and 18 bits, spread over the upper half; the easy are among the hard. */
#define CDC_MASK_HARD 0xedb6db6d00000000u
#define CDC_MASK_EASY 0xada6da6900000000u

/*
 * Length of the first chunk of @data: at least CDC_MIN and at most CDC_MAX, or
 * @len where the data ends before a boundary. The answer for @len >= CDC_MAX
 * does not depend on what follows.
 */
size_t cdc_cut(const uint64_t gear[256], const uint8_t *data, size_t len);

#endif
