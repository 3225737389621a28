/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The backend of containers of Azure Blob Storage, and of Azurite.
 *
 *     azure:https://HOST/CONTAINER[/PREFIX]          HOST is ACCOUNT.blob.core...
 *     azure:http[s]://HOST[:PORT]/ACCOUNT/CONTAINER[/PREFIX]   Azurite
 *     azure:CONTAINER[/PREFIX]                       of the account of the environment
 *
 * Keys come from AZURE_STORAGE_CONNECTION_STRING, or from AZURE_STORAGE_ACCOUNT with
 * AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or from AZURE_ACCOUNT_NAME with
 * AZURE_ACCOUNT_KEY or AZURE_ACCOUNT_SAS.
 */
#ifndef STORE_BACKEND_AZURE_H
#define STORE_BACKEND_AZURE_H

#include "store/base/attrs.h"

#include <stdbool.h>

struct backend;
struct backend_options;

/* Nothing is asked of the store. Return 0, -EINVAL, -ENOKEY (there are no keys) or
 * another negative errno, said in words. */
MUST_CHECK int backend_azure_open(const char *url, const char *rest,
				  const struct backend_options *o, bool create,
				  struct backend **out);

#endif
