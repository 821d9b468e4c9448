/* SPDX-License-Identifier: Apache-2.0
 * Loading a decoder's library, once, and finding its functions. Bound lazily, as what is linked is: most of such a library
 * encodes, and is never called. */
#include "library.h"

#include <dlfcn.h>
#include <string.h>

bool media_library_load(media_library *l)
{
    void *lib = l->loaded ? NULL : dlopen(l->file, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
    if (!lib)
        return l->loaded;
    l->loaded = true;
    for (size_t i = 0; i < l->n; i++) {
        void *found = dlsym(lib, l->symbols[i]);
        l->loaded &= found != NULL;
        memcpy((char *)l->functions + i * sizeof found, &found, sizeof found); /* POSIX: it holds a function's */
    }
    dlclose(lib); /* one reference less; NODELETE keeps the library */
    return l->loaded;
}
