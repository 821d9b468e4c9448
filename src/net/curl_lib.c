/* SPDX-License-Identifier: Apache-2.0
 * Loading libcurl. Version 7.84 is the first whose global initialisation may be called from any thread at any time, which
 * a library needs that may live beside another user of curl in one process. It is never unloaded: the TLS library behind
 * it has hooks that run at exit. */
#include "net/curl_lib.h"

#include <dlfcn.h>
#include <string.h>

#define OLDEST_VERSION 0x075400

static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.4.dylib"};

static ilk_status find_functions(ilki_curl *c, void *lib, ilk_error *err)
{
    static const char *const symbols[] = {
#define SYMBOL(name) "curl_" #name,
        ILKI_CURL_FUNCTIONS(SYMBOL)
#undef SYMBOL
    };
    void *found[sizeof symbols / sizeof *symbols];
    _Static_assert(sizeof found == sizeof *c, "one pointer for each function");
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        found[i] = dlsym(lib, symbols[i]);
        if (found[i] == NULL)
            return ilki_base_fail(err, ILK_UNSUPPORTED, "libcurl: it has no %s; 7.84 or newer is needed", symbols[i]);
    }
    memcpy(c, found, sizeof *c); /* as POSIX has it: a pointer of dlsym holds a function's */
    return ILK_OK;
}

ilk_status ilki_net_curl_load(ilki_curl *c, ilk_error *err)
{
    void *lib = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && lib == NULL; i++)
        lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (lib == NULL)
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "libcurl.so.4 is not there, and ilk reaches the network through it: install Debian's "
                              "package libcurl4 (apt install libcurl4)");
    ilk_status st = find_functions(c, lib, err);
    dlclose(lib); /* one reference less; NODELETE keeps the library */
    if (st != ILK_OK)
        return st;
    const curl_version_info_data *v = c->version_info(CURLVERSION_NOW);
    if (v->version_num < OLDEST_VERSION)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "libcurl: expected version 7.84 or newer, found %s", v->version);
    if (c->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "libcurl %s: it cannot be initialised", v->version);
    return ILK_OK;
}
