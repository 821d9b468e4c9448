/* SPDX-License-Identifier: Apache-2.0
 * The Hugging Face hub as a client sees it: what a revision of a model holds, and its files. Where it is, the token and
 * the rest of the environment are read as the hub's own tools read them (HF_ENDPOINT, HF_TOKEN, HF_HOME, …). */
#ifndef ILKI_NET_HUB_H
#define ILKI_NET_HUB_H

#include "net/net.h"

typedef struct ilki_hub_file {
    const char *path; /* relative, "/" between parts, none of them "" or "." or ".." */
    uint64_t n_bytes;
    char hash[65]; /* hex; 64 digits: SHA-256 of the content; 40: git's name of it; "": not told */
    bool wanted;
} ilki_hub_file;

/* A revision. Strings live as long as it does; licence and languages are the card's, "" where it says nothing. */
typedef struct ilki_hub_model {
    ilki_arena arena;
    char commit[41];
    const char *licence, *languages;
    bool gated;
    ilki_hub_file *files; /* by path */
    size_t n_files;
} ilki_hub_model;

/* The answer of /api/models/ID/revision/REV?blobs=true. `id` is for messages. Errors: BAD_FORMAT, LIMIT, NO_MEMORY. */
ilk_status ilki_net_hub_parse(ilki_hub_model **out, const char *text, size_t n, const char *id, ilk_error *err);
void ilki_net_hub_free(ilki_hub_model *m);

/* Whether a name of a file may be put below a folder. */
bool ilki_net_hub_is_path(const char *path, size_t n);

/* Of the folder `dir` ("", or a module's) of a model: marks the files that ilk reads, weights in the form that it reads
 * first. *index (may be NULL) gets the path of an index whose shards are still to be marked, or NULL. */
void ilki_net_hub_choose(ilki_hub_model *m, const char *dir, const char **index);
/* Marks the shards that an index names (they lie beside it). */
ilk_status ilki_net_hub_choose_shards(ilki_hub_model *m, const char *index, const char *text, size_t n, ilk_error *err);
/* The folders that a modules.json names, one call each; `fn` returns what stops or OK. */
ilk_status ilki_net_hub_modules(const char *text, size_t n,
                                ilk_status (*fn)(void *user, const char *dir, ilk_error *err), void *user,
                                ilk_error *err);
ilki_hub_file *ilki_net_hub_find(const ilki_hub_model *m, const char *path);

typedef struct ilki_hub ilki_hub;

/* UNSUPPORTED where the environment forbids the network (HF_HUB_OFFLINE) or libcurl is absent. */
ilk_status ilki_net_hub_open(ilki_hub **out, ilk_runtime *rt, ilk_error *err);
void ilki_net_hub_close(ilki_hub *hub);
const char *ilki_net_hub_endpoint(const ilki_hub *hub); /* as messages may hold it */

/* NOT_FOUND: no such model or revision, or a private one. IO: gated, refused, or no answer. */
ilk_status ilki_net_hub_ask(ilki_hub *hub, const char *id, const char *revision, ilk_job *job, ilki_hub_model **out,
                            ilk_error *err);

/* Marks all files of the model that ilk reads; asks for modules.json and the index of shards where they decide. */
ilk_status ilki_net_hub_choose_all(ilki_hub *hub, const char *id, ilki_hub_model *m, ilk_job *job, ilk_error *err);

/* A file's bytes from `from` on. */
ilk_status ilki_net_hub_get(ilki_hub *hub, const char *id, const char *commit, const ilki_hub_file *file, uint64_t from,
                            const ilki_net_sink *sink, ilk_job *job, ilk_error *err);

#endif
