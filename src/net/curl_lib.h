/* SPDX-License-Identifier: Apache-2.0
 * libcurl, loaded when it is first needed and never linked: a program that fetches nothing starts without it. The
 * functions have the types of curl's own header. */
#ifndef ILKI_NET_CURL_LIB_H
#define ILKI_NET_CURL_LIB_H

#define CURL_DISABLE_DEPRECATION
#include <curl/curl.h>

#include "base/error.h"

#ifdef curl_easy_setopt /* checks of arguments that curl's header puts around the names */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt
#endif

/* clang-format off */
#define ILKI_CURL_FUNCTIONS(X) \
    X(easy_init) X(easy_cleanup) X(easy_reset) X(easy_setopt) X(easy_getinfo) X(easy_strerror) \
    X(multi_init) X(multi_cleanup) X(multi_add_handle) X(multi_remove_handle) X(multi_perform) X(multi_poll) \
    X(multi_info_read) X(multi_strerror) \
    X(slist_append) X(slist_free_all) X(url) X(url_cleanup) X(url_get) X(url_set) X(free) \
    X(global_init) X(version_info)
/* clang-format on */

typedef struct ilki_curl {
#define ILKI_CURL_MEMBER(name) __typeof__(curl_##name) *name;
    ILKI_CURL_FUNCTIONS(ILKI_CURL_MEMBER)
#undef ILKI_CURL_MEMBER
} ilki_curl;

/* Loads the library (again: finds it) and initialises it. UNSUPPORTED, with the name of Debian's package, where it is
 * absent or too old. It stays loaded until the process ends. */
ilk_status ilki_net_curl_load(ilki_curl *c, ilk_error *err);

#endif
