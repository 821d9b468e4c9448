/* SPDX-License-Identifier: Apache-2.0
 * The choice of a model. What fits is what the library can open: no list of names decides. */
#include "choose.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/vfs.h"

#define MAX_CACHED 1024

static const char advice[] = "Good ones to begin with, each fetched once:\n"
                             "  ilk pull minilm         English, 91 MB, fast\n"
                             "  ilk pull bge-small-en   English, 133 MB, better\n"
                             "  ilk pull e5-small       99 languages, 471 MB\n"
                             "then: -m NAME; more with `ilk models --known`; or -m DIR for a checkpoint in a directory";

char *cli_cache_dir(void)
{
    static const char *const places[][2] = {{"HF_HUB_CACHE", ""},
                                            {"HUGGINGFACE_HUB_CACHE", ""},
                                            {"HF_HOME", "hub"},
                                            {"XDG_CACHE_HOME", "huggingface/hub"},
                                            {"HOME", ".cache/huggingface/hub"}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *value = getenv(places[i][0]);
        if (value && *value)
            return *places[i][1] ? ilki_base_path_join(value, places[i][1]) : strdup(value);
    }
    return NULL;
}

static bool is_file(const char *dir, const char *name)
{
    ilki_stat st;
    char *path = ilki_base_path_join(dir, name);
    bool is = path && ilki_base_vfs_posix.stat(&ilki_base_vfs_posix, path, true, &st, NULL) == ILK_OK &&
              st.type == ILKI_FILE_REGULAR;
    free(path);
    return is;
}

static bool is_complete(const char *dir)
{
    static const char *const weights[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                          "pytorch_model.bin.index.json"};
    static const char *const tokenizer[] = {"tokenizer.json",          "vocab.txt",    "vocab.json",
                                            "sentencepiece.bpe.model", "spiece.model", "tokenizer.model"};
    bool w = false, t = false;
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        w |= is_file(dir, weights[i]);
    for (size_t i = 0; i < sizeof tokenizer / sizeof *tokenizer; i++)
        t |= is_file(dir, tokenizer[i]);
    return is_file(dir, "config.json") && w && t;
}

struct listing {
    const char *hub;
    cli_cached_model *list;
    size_t n;
};

static bool first_name(void *user, const char *name, ilki_file_type type)
{
    char **only = user;
    (void)type;
    if (name[0] == '.')
        return true;
    *only = strdup(name);
    return false;
}

/* The snapshot that refs/main names, else any. */
static char *snapshot_dir(const char *repo)
{
    const ilki_vfs *vfs = &ilki_base_vfs_posix;
    char *ref = ilki_base_path_join(repo, "refs/main"), *snapshots = ilki_base_path_join(repo, "snapshots");
    char *commit = NULL, *dir = NULL;
    size_t n;
    if (ref && ilki_base_read_file(vfs, ref, 4096, &commit, &n, NULL) == ILK_OK)
        commit[strcspn(commit, " \t\r\n/")] = 0;
    else if (snapshots)
        vfs->list(vfs, snapshots, first_name, &commit, NULL);
    if (snapshots && commit && *commit)
        dir = ilki_base_path_join(snapshots, commit);
    free(ref);
    free(snapshots);
    free(commit);
    return dir;
}

static bool add_repo(void *user, const char *name, ilki_file_type type)
{
    struct listing *l = user;
    (void)type;
    if (strncmp(name, "models--", 8) != 0 || l->n == MAX_CACHED)
        return true;
    char *repo = ilki_base_path_join(l->hub, name), *dir = repo ? snapshot_dir(repo) : NULL;
    free(repo);
    if (!dir || !is_complete(dir)) {
        free(dir);
        return true;
    }
    cli_cached_model *m = &l->list[l->n];
    m->dir = dir;
    m->id = ilki_base_zalloc(strlen(name), 1);
    if (!m->id) {
        free(dir);
        return true;
    }
    for (char *to = m->id, *s = strcpy(m->id, name + 8); (*to = *s); to++, s++)
        if (s[0] == '-' && s[1] == '-') {
            *to = '/';
            s++;
        }
    l->n++;
    return true;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const cli_cached_model *)a)->id, ((const cli_cached_model *)b)->id);
}

size_t cli_cache_list(cli_cached_model **out)
{
    char *hub = cli_cache_dir();
    struct listing l = {hub, ilki_base_zalloc(MAX_CACHED, sizeof *l.list), 0};
    if (hub && l.list)
        ilki_base_vfs_posix.list(&ilki_base_vfs_posix, hub, add_repo, &l, NULL);
    if (l.n > 1)
        qsort(l.list, l.n, sizeof *l.list, by_id);
    free(hub);
    *out = l.list;
    return l.n;
}

void cli_cache_free(cli_cached_model *list, size_t n)
{
    for (size_t i = 0; list && i < n; i++) {
        free(list[i].id);
        free(list[i].dir);
    }
    free(list);
}

/* What is no precision leaves AUTO. */
static void take_precision(const char *name, ilk_model_options *o)
{
    if (!name || ilk_precision_parse(name, &o->precision, &o->attention, NULL) != ILK_OK) {
        o->precision = ILK_PRECISION_AUTO;
        o->attention = ILK_ATTENTION_AUTO;
    }
}

/* `stored`: the precision of the store that the model is for; NULL: none. */
static void model_options(cli *c, const char *stored, ilk_model_options *o)
{
    ilk_model_options_init(o);
    take_precision(stored, o);
    for (size_t i = 0; i < c->n_flags; i++) { /* not every command that opens a model has them all */
        const char *name = c->flags[i]->name;
        if (strcmp(name, "max-tokens") == 0) {
            o->max_tokens = (uint32_t)cli_count(c, "max-tokens", 0);
            o->no_mmap = cli_on(c, "no-mmap");
        }
        if (strcmp(name, "precision") == 0 && cli_given(c, "precision"))
            take_precision(cli_text(c, "precision"), o);
    }
}

/* NULL: not given, or not a flag of this command. */
static const char *flag_projection(const cli *c)
{
    for (size_t i = 0; i < c->n_flags; i++)
        if (strcmp(c->flags[i]->name, "projection") == 0)
            return cli_text(c, "projection");
    return NULL;
}

void cli_suggest_model(cli *c, const char *word)
{
    cli_suggestion s = {word, NULL, 0};
    ilk_known known;
    ilk_known_init(&known);
    for (size_t i = 0; !strchr(word, '/') && ilk_known_get(i, &known, NULL) == ILK_OK; i++)
        cli_suggest(&s, known.name);
    if (s.best)
        cli_note(c, "did you mean %s?", s.best);
}

static const char mark[] = "#projection=";

/* Whether something is there; a directory or, of a projection, also a file, becomes its full name. */
static bool full_name(ilki_buf *b, const char *path, bool projection)
{
    ilki_stat st;
    bool is_path = ilki_base_vfs_posix.stat(&ilki_base_vfs_posix, path, true, &st, NULL) == ILK_OK;
    char *full = is_path && (projection || st.type == ILKI_FILE_DIR) ? realpath(path, NULL) : NULL;
    ilki_base_buf_addf(b, "%s", full ? full : path);
    free(full);
    return is_path;
}

/* A directory is kept by its full name, so that a store finds its model again from anywhere; so is a projection. */
static bool full_where(ilki_buf *b, const char *where)
{
    const char *at = strstr(where, mark);
    char *model = at ? ilki_base_strndup(where, (size_t)(at - where)) : NULL;
    ilki_stat st;
    if (!model || ilki_base_vfs_posix.stat(&ilki_base_vfs_posix, where, true, &st, NULL) == ILK_OK) {
        free(model);
        return full_name(b, where, false);
    }
    bool is_path = full_name(b, model, false);
    ilki_base_buf_addf(b, "%s", mark);
    full_name(b, at + sizeof mark - 1, true);
    free(model);
    return is_path;
}

static bool open_model(cli *c, const char *where, const char *stored, ilk_model **m)
{
    ilk_model_options o;
    ilki_buf name;
    if (!cli_open_runtime(c))
        return false;
    model_options(c, stored, &o);
    ilki_base_buf_init(&name, 65536);
    bool is_path = full_where(&name, where);
    ilk_status status = ilk_model_open(m, c->rt, ilki_base_buf_view(&name), &o, &c->err);
    ilki_base_buf_deinit(&name);
    if (status == ILK_OK)
        return true;
    cli_fail_err(c);
    ilk_known known;
    ilk_known_init(&known);
    bool is_id = strchr(where, '/') && where[0] != '/' && where[0] != '.';
    if (is_path)
        return false; /* what stands there lacks something, and the message says what */
    if (status == ILK_NOT_FOUND && (is_id || ilk_known_find(where, &known, NULL) == ILK_OK))
        cli_note(c, "to fetch it: ilk pull %s", where);
    else if (status == ILK_NOT_FOUND)
        cli_suggest_model(c, where);
    return false;
}

bool cli_open_model(cli *c, const char *where, ilk_model **m)
{
    return open_model(c, where, NULL, m);
}

bool cli_open_reference(cli *c, const char *where, ilk_model **m)
{
    return open_model(c, where, "f32", m);
}

ilk_status cli_calibrate(cli *c, const char *where, ilk_calibration *k)
{
    ilk_model_options o;
    model_options(c, NULL, &o);
    ilk_calibration_init(k);
    ilk_status st = ilk_model_calibrate(c->rt, where, &o, c->job, k, &c->err);
    cli_progress_erase(c);
    if (st == ILK_OK && (!k->cached || c->verbose))
        cli_note(c, "auto: %s for %s: %s", ilk_precision_name(k->chosen), where, k->why);
    else if (st == ILK_BUSY || (st != ILK_OK && st != ILK_CANCELLED && c->verbose))
        cli_note(c, "auto: not decided: %s", c->err.message);
    ilk_error_init(&c->err);
    return st;
}

bool cli_settle_auto(cli *c, ilk_model **m)
{
    ilk_model_info info;
    ilk_model_options o;
    ilk_calibration k;
    ilk_model *chosen = NULL;
    model_options(c, NULL, &o);
    ilk_model_info_init(&info);
    if (o.precision != ILK_PRECISION_AUTO || ilk_model_get_info(*m, &info, &c->err) != ILK_OK)
        return true;
    ilk_status st = cli_calibrate(c, info.id, &k);
    if (st != ILK_OK)
        return st != ILK_CANCELLED && st != ILK_DEADLINE;
    o.precision = k.chosen;
    o.attention = k.attention[k.chosen];
    if (o.precision == info.precision && (o.attention == ILK_ATTENTION_AUTO || o.attention == info.attention))
        return true;
    if (ilk_model_open(&chosen, c->rt, info.id, &o, &c->err) != ILK_OK) {
        cli_fail_err(c);
        return false;
    }
    ilk_model_close(*m);
    *m = chosen;
    return true;
}

static bool has_flag(const cli *c, const char *name)
{
    for (size_t i = 0; i < c->n_flags; i++)
        if (strcmp(c->flags[i]->name, name) == 0)
            return true;
    return false;
}

/* The only model of the cache that can be opened. */
static bool from_cache(cli *c, const char *stored, ilk_model **m)
{
    cli_cached_model *list;
    size_t n = cli_cache_list(&list), n_fit = 0, fit = 0;
    ilk_model_options o;
    ilk_error err;
    model_options(c, stored, &o);
    for (size_t i = 0; i < n && n_fit < 2; i++) {
        ilk_model *one = NULL;
        ilk_error_init(&err);
        if (ilk_model_open(&one, c->rt, list[i].id, &o, &err) != ILK_OK)
            continue;
        if (n_fit++ == 0) {
            *m = one;
            fit = i;
        } else {
            ilk_model_close(one);
            ilk_model_close(*m);
            *m = NULL;
        }
    }
    if (n_fit == 1) {
        if (c->verbose)
            cli_note(c, "model: %s, the only one in the cache", list[fit].id);
    } else if (n_fit > 1) {
        ilki_buf b;
        ilki_base_buf_init(&b, 65536);
        for (size_t i = 0; i < n && i < 20; i++)
            ilki_base_buf_addf(&b, "\n  %s%s", has_flag(c, "model") ? "-m " : "", list[i].id);
        cli_fail(c, "which model? The cache has several:%s", ilki_base_buf_view(&b));
        ilki_base_buf_deinit(&b);
    } else {
        cli_fail(c, "no model: %s. %s%s", has_flag(c, "model") ? "give one with -m" : "name one",
                 n ? "None in the cache can be used. " : "", advice);
    }
    cli_cache_free(list, n);
    return n_fit == 1;
}

static bool projection_fits(cli *c, const char *where, const char *from)
{
    if (!flag_projection(c) || (where && strcmp(from, "command line") == 0))
        return true;
    cli_usage(c, "--projection stands behind a model: give that with -m");
    return false;
}

/* The model that the caller names, with the projection of the flag. */
static bool open_named(cli *c, const char *where, const char *stored, ilk_model **m)
{
    const char *projection = flag_projection(c);
    ilki_buf b;
    ilki_base_buf_init(&b, 65536);
    ilki_base_buf_addf(&b, "%s%s%s", where, projection ? mark : "", projection ? projection : "");
    bool ok = open_model(c, ilki_base_buf_view(&b), stored, m);
    ilki_base_buf_deinit(&b);
    return ok;
}

bool cli_choose_model(cli *c, ilk_store *store, ilk_model **m)
{
    const char *from = NULL, *where = cli_setting_text(c, "model", &from);
    ilk_space space;
    bool made = store && cli_store_space(store, &space);
    const char *stored = made ? space.precision : NULL;
    *m = NULL;
    if (!cli_open_runtime(c))
        return false;
    if (!projection_fits(c, where, from))
        return false;
    if (made && (!where || strcmp(from, "command line") != 0)) {
        if (open_model(c, space.model, stored, m))
            return true;
        cli_note(c, "the store was made with this model; if it has moved, give its place with -m");
        return false;
    }
    if (!where)
        return from_cache(c, stored, m);
    if (open_named(c, where, stored, m))
        return true;
    if (strcmp(from, "command line") != 0)
        cli_note(c, "\"%s\" comes from %s", where, from);
    return false;
}

/* ------------------------------------------------------------------ several */

/* Has an earlier space the same model in the same precision? */
static bool seen_before(ilk_store *store, size_t at, const ilk_space *space)
{
    ilk_space other;
    ilk_space_init(&other);
    for (size_t i = 0; i < at && ilk_store_get_space(store, i, &other, NULL) == ILK_OK; i++)
        if (other.fingerprint && space->fingerprint && strcmp(other.fingerprint, space->fingerprint) == 0)
            return true;
    return false;
}

static bool add_model(cli_models *m, ilk_model *model)
{
    ilk_model **more = realloc(m->list, (m->n + 1) * sizeof *more);
    if (!more) {
        ilk_model_close(model);
        return false;
    }
    m->list = more;
    m->list[m->n++] = model;
    return true;
}

bool cli_choose_models(cli *c, ilk_store *store, const char *space_name, cli_models *m)
{
    const char *from = NULL, *where = cli_setting_text(c, "model", &from);
    ilk_space space;
    ilk_model *one = NULL;
    size_t n_made = 0;
    bool ok = true;
    *m = (cli_models){0};
    ilk_space_init(&space);
    bool given = where && strcmp(from, "command line") == 0;
    if (!projection_fits(c, where, from))
        return false;
    for (size_t i = 0; ok && !given && store && ilk_store_get_space(store, i, &space, NULL) == ILK_OK; i++) {
        if (!space.model || (space_name && strcmp(space.name, space_name) != 0) ||
            (!space_name && seen_before(store, i, &space)))
            continue;
        n_made++;
        if (open_model(c, space.model, space.precision, &one))
            ok = add_model(m, one);
        else
            cli_note(
                c,
                "its space \"%s\" is not asked; if the model has moved, give its place with -m, which asks that space "
                "alone, or put a link to it where it was",
                space.name);
        ilk_error_init(&c->err);
    }
    if (m->n && ok)
        return true;
    if (!n_made && cli_choose_model(c, store, &one))
        return add_model(m, one);
    cli_close_models(m);
    return false;
}

/* A model that is named for a store: in the precision of its space, where there is one; *own: then, or in that one anyway. */
static bool open_for_store(cli *c, ilk_store *store, const char *where, ilk_model **m, bool *own)
{
    const char *hex = NULL;
    ilk_model *again = NULL;
    ilk_model_info info;
    ilk_space space;
    ilk_model_info_init(&info);
    ilk_space_init(&space);
    *own = false;
    if (!open_named(c, where, NULL, m))
        return false;
    if (!store)
        return true;
    if (ilk_model_get_fingerprint(*m, c->job, &hex, &c->err) != ILK_OK ||
        ilk_model_get_info(*m, &info, &c->err) != ILK_OK) {
        cli_fail_err(c);
        return false;
    }
    for (size_t i = 0; ilk_store_get_space(store, i, &space, NULL) == ILK_OK; i++) {
        if (!space.fingerprint || strcmp(space.fingerprint, hex) != 0)
            continue;
        *own = true;
        if (space.precision && !cli_given(c, "precision") && strcmp(space.precision, info.precision_name) != 0) {
            if (!open_named(c, where, space.precision, &again))
                return false;
            ilk_model_close(*m);
            *m = again;
        }
        return true;
    }
    return true;
}

/* The store's models that are not among m: into `others`. False: one could not be opened. */
static bool open_others(cli *c, ilk_store *store, const cli_models *m, cli_models *others)
{
    ilk_space space;
    ilk_space_init(&space);
    bool ok = true;
    for (size_t i = 0; ok && store && ilk_store_get_space(store, i, &space, NULL) == ILK_OK; i++) {
        bool here = !space.model || !space.fingerprint || seen_before(store, i, &space);
        for (size_t k = 0; !here && k < m->n; k++) {
            const char *hex = "";
            here = ilk_model_get_fingerprint(m->list[k], c->job, &hex, &c->err) == ILK_OK &&
                   strcmp(hex, space.fingerprint) == 0;
        }
        ilk_model *one = NULL;
        if (!here)
            ok = open_model(c, space.model, space.precision, &one) && add_model(others, one);
        if (!ok)
            cli_note(c,
                     "the store has vectors of %s in its space \"%s\"; if that model has moved, give its place with "
                     "-m, or, for good, put a link to it where it was",
                     space.model, space.name);
    }
    return ok;
}

static uint32_t senses(const cli_models *m)
{
    uint32_t all = 0;
    ilk_model_info info;
    ilk_model_info_init(&info);
    for (size_t i = 0; i < m->n; i++)
        if (ilk_model_get_info(m->list[i], &info, NULL) == ILK_OK)
            all |= info.modalities;
    return all;
}

bool cli_choose_index_models(cli *c, ilk_store *store, cli_models *m)
{
    const char *names[CLI_MAX_LIST];
    cli_models others = {0};
    ilk_model *one = NULL;
    size_t n = cli_given_list(c, "model", names, CLI_MAX_LIST), n_own = 0;
    bool ok = true, own;
    *m = (cli_models){0};
    for (size_t i = 0; ok && i < n; i++) {
        ok = open_for_store(c, store, names[i], &one, &own);
        n_own += own;
        if (one)
            ok = add_model(m, one) && ok;
        one = NULL;
    }
    if (ok)
        ok = open_others(c, store, m, &others);
    /* a stranger that adds nothing to what the store's can do is rather a mistake, which the library tells */
    if (ok && (n_own == n || senses(m) & ~senses(&others)))
        for (size_t i = 0; i < others.n; i++) {
            ok = add_model(m, others.list[i]) && ok;
            others.list[i] = NULL;
        }
    cli_close_models(&others);
    if (ok && m->n == 0 && (ok = cli_choose_model(c, store, &one)))
        ok = add_model(m, one);
    if (!ok)
        cli_close_models(m);
    return ok;
}

void cli_close_models(cli_models *m)
{
    for (size_t i = 0; i < m->n; i++)
        ilk_model_close(m->list[i]);
    free(m->list);
    *m = (cli_models){0};
}
