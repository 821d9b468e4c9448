/* SPDX-License-Identifier: Apache-2.0
 * A decoder's library that is loaded and not linked: the loader needs longer for it and what is behind it than most files
 * need to be read, so only a helper that was asked to pays for it, before it enters its sandbox. */
#ifndef ILK_MEDIA_LIBRARY_H
#define ILK_MEDIA_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

typedef struct media_library {
    const char *name;           /* as people call it */
    const char *file;           /* as the build found it: the name with the version that fits the headers */
    const char *const *symbols; /* n of them */
    void *functions;            /* [n], as many pointers to functions in the same order */
    size_t n;
    bool loaded;
} media_library;

/* It stays loaded until the process ends. False: it, or one of its symbols, is not there. */
bool media_library_load(media_library *l);

#endif
