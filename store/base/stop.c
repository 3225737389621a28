/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/base/stop.h"

#include <stddef.h>

_Thread_local struct stop *stop_of_thread = NULL;
