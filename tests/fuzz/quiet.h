/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_FUZZ_QUIET_H
#define TESTS_FUZZ_QUIET_H

/* Nearly every input is damaged, and each would be told of: let nothing be said
 * from now on, though the words are still put together. */
void fuzz_quiet(void);

#endif
