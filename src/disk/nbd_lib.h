/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libnbd, loaded when the first NBD export is opened; for nbd.c and nbd_write.c
 * alone, which include this instead of libnbd.h.
 *
 * It stands on gnutls and libxml2, and these on ten more, ICU's tables of 30 MB
 * among them: to load them is more than half of what a start of the program costs,
 * and hardly a command has anything to do with NBD.
 */
#ifndef SRC_DISK_NBD_LIB_H
#define SRC_DISK_NBD_LIB_H

#include "store/base/attrs.h"

#include <libnbd.h>

/* Each function of it that is called; F(name) is made of nbd_<name>. */
#define NBD_LIB_FUNCTIONS(F)                                                   \
	F(add_meta_context)                                                    \
	F(aio_block_status)                                                    \
	F(aio_command_completed)                                               \
	F(aio_connect_unix)                                                    \
	F(aio_connect_uri)                                                     \
	F(aio_flush)                                                           \
	F(aio_is_closed)                                                       \
	F(aio_is_dead)                                                         \
	F(aio_is_ready)                                                        \
	F(aio_pread)                                                           \
	F(aio_pwrite)                                                          \
	F(aio_zero)                                                            \
	F(can_flush)                                                           \
	F(can_meta_context)                                                    \
	F(can_multi_conn)                                                      \
	F(can_zero)                                                            \
	F(close)                                                               \
	F(create)                                                              \
	F(get_block_size)                                                      \
	F(get_errno)                                                           \
	F(get_error)                                                           \
	F(get_size)                                                            \
	F(poll)                                                                \
	F(set_pread_initialize)

#define F(name) __typeof__(nbd_##name) *name;
struct nbd_lib {
	NBD_LIB_FUNCTIONS(F)
};
#undef F

extern struct nbd_lib nbd_lib;

/* Load it. After 0 the functions can be called. Return 0 or -ELIBACC, said in words.
 * Any thread. */
MUST_CHECK int nbd_lib_load(void);

#define nbd_add_meta_context nbd_lib.add_meta_context
#define nbd_aio_block_status nbd_lib.aio_block_status
#define nbd_aio_command_completed nbd_lib.aio_command_completed
#define nbd_aio_connect_unix nbd_lib.aio_connect_unix
#define nbd_aio_connect_uri nbd_lib.aio_connect_uri
#define nbd_aio_flush nbd_lib.aio_flush
#define nbd_aio_is_closed nbd_lib.aio_is_closed
#define nbd_aio_is_dead nbd_lib.aio_is_dead
#define nbd_aio_is_ready nbd_lib.aio_is_ready
#define nbd_aio_pread nbd_lib.aio_pread
#define nbd_aio_pwrite nbd_lib.aio_pwrite
#define nbd_aio_zero nbd_lib.aio_zero
#define nbd_can_flush nbd_lib.can_flush
#define nbd_can_meta_context nbd_lib.can_meta_context
#define nbd_can_multi_conn nbd_lib.can_multi_conn
#define nbd_can_zero nbd_lib.can_zero
#define nbd_close nbd_lib.close
#define nbd_create nbd_lib.create
#define nbd_get_block_size nbd_lib.get_block_size
#define nbd_get_errno nbd_lib.get_errno
#define nbd_get_error nbd_lib.get_error
#define nbd_get_size nbd_lib.get_size
#define nbd_poll nbd_lib.poll
#define nbd_set_pread_initialize nbd_lib.set_pread_initialize

#endif
