/* SPDX-License-Identifier: Apache-2.0
 * Which model, which store. */
#ifndef CLI_CHOOSE_H
#define CLI_CHOOSE_H

#include "cli.h"

/* ---- choose.c: models */

/* A checkpoint of the Hugging Face cache that is complete: config, weights and a tokenizer. */
typedef struct cli_cached_model {
    char *id, *dir;
} cli_cached_model;

/* The cache's folder; freed with free(), NULL where no variable says it. */
char *cli_cache_dir(void);
/* Sorted by id; freed with cli_cache_free. */
size_t cli_cache_list(cli_cached_model **out);
void cli_cache_free(cli_cached_model *list, size_t n);

/* Opens the model that is meant: the flag, else the one that the first space of `store` (NULL: none) was made
 * with, else the environment and the configuration, else the only one of the cache that fits; in the precision of the
 * flag, else of that space. False: a message has been printed. */
bool cli_choose_model(cli *c, ilk_store *store, ilk_model **m);

/* The models that a question to a store goes to: that of the command line; else those of all its spaces, or of the space
 * `space` (NULL: all), each once in the precision of its space; else what cli_choose_model finds. One that cannot be
 * opened is told and left out, where another can. False: a message has been printed. */
typedef struct cli_models {
    ilk_model **list;
    size_t n;
} cli_models;
bool cli_choose_models(cli *c, ilk_store *store, const char *space, cli_models *m);
/* Those that `index` needs: all that the command line names and, where they are among the store's own, or read or see
 * something that those do not, the store's own too; without any named, the store's own; else as cli_choose_model. */
bool cli_choose_index_models(cli *c, ilk_store *store, cli_models *m);
void cli_close_models(cli_models *m);

/* As cli_open_model, in f32: what vectors of somebody else's are compared with. */
bool cli_open_reference(cli *c, const char *where, ilk_model **m);

/* Decides what auto means for a model, once for a machine, and says so. A model that stays f32 is no failure: the status
 * tells, nothing is printed but with --verbose. */
ilk_status cli_calibrate(cli *c, const char *where, ilk_calibration *k);
/* The same for a model that was opened for a store that is yet to be made: *m is opened again where its precision is
 * another. False: cancelled, or a message has been printed. */
bool cli_settle_auto(cli *c, ilk_model **m);

/* Says which short name is near to a word that was meant as one. */
void cli_suggest_model(cli *c, const char *word);

/* ---- place.c: stores */
typedef struct cli_place {
    char *store;  /* the store's directory */
    char *folder; /* absolute: the folder it is about */
    char *home;   /* absolute: the directory that holds the store, to which relative paths of hits refer */
    bool exists;  /* the directory does */
    bool apart;   /* below the XDG data directory, since the folder cannot be written */
} cli_place;

/* For a folder (existing, or ""): --store or ILK_STORE, else the nearest .ilk upwards, else one in the folder. Also reads the
 * folder's configuration. False: a message has been printed. */
bool cli_place_find(cli *c, const char *folder, cli_place *p);
void cli_place_free(cli_place *p);

/* Opens the store of a place. NOT_FOUND is left to the caller, who knows what to offer; c->err says it. Other failures
 * have been printed. */
typedef enum cli_open_mode { CLI_OPEN_READ, CLI_OPEN_WRITE, CLI_OPEN_CREATE, CLI_OPEN_REPAIR } cli_open_mode;
ilk_status cli_store_open(cli *c, const cli_place *p, cli_open_mode mode, ilk_store **s);
/* For commands that need a store: says how to make one where there is none. */
bool cli_store_need(cli *c, const cli_place *p, cli_open_mode mode, ilk_store **s);

/* The store's first space that a model made; false: there is none. Its strings are borrowed from the store. */
bool cli_store_space(ilk_store *s, ilk_space *space);

/* The filter "`field` is `text`"; both are borrowed, and *value has to live as long as the filter. */
ilk_filter cli_store_equals(const char *field, const char *text, ilk_value *value);

/* True, and told: the store has no space at all, and no -m says what to ask it with. */
bool cli_store_is_bare(cli *c, const cli_place *p, ilk_store *s);

/* A path of a hit as it can be opened from here: relative to the current directory where it is below it. */
void cli_place_path(ilki_buf *b, const cli_place *p, const char *path);

/* The other way: an existing file as the store names it; NULL where it does not exist. Freed with free(). */
char *cli_place_name(const cli_place *p, const char *file);

#endif
