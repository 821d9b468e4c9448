/* SPDX-License-Identifier: Apache-2.0
 * ilk status: what a store holds, and what of it is out of date. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/vfs.h"
#include "cli/choose.h"
#include "commands.h"

static const cli_flag flags[] = {
    {"json", 0, CLI_SWITCH, NULL, "print one JSON document", 0, 0},
    {0},
};

typedef struct tally {
    cli *c;
    const cli_place *p;
    uint64_t n_indexed, n_skipped, n_failed, n_changed, n_gone;
} tally;

/* Changed is what the next `index` will look into: another size or time than when it was read. */
static int count_source(void *user, const ilk_source *src)
{
    tally *t = user;
    ilki_stat st;
    if (src->state != ILK_SOURCE_INDEXED) {
        ++*(src->state == ILK_SOURCE_FAILED ? &t->n_failed : &t->n_skipped);
        if (t->c->verbose)
            cli_note(t->c, "%s: %s: %s", src->path, src->state == ILK_SOURCE_FAILED ? "failed" : "skipped",
                     src->reason ? src->reason : "no reason is known");
        return !cli_signal_caught();
    }
    char *path = src->path[0] == '/' || !t->p->home ? strdup(src->path) : ilki_base_path_join(t->p->home, src->path);
    ilk_status found = path ? ilki_base_vfs_posix.stat(&ilki_base_vfs_posix, path, true, &st, NULL) : ILK_NO_MEMORY;
    const char *what = NULL;
    t->n_indexed++;
    if (found == ILK_NOT_FOUND) {
        t->n_gone++;
        what = "gone";
    } else if (found == ILK_OK && (st.size != src->n_bytes || (src->mtime_ns && st.mtime_ns != src->mtime_ns))) {
        t->n_changed++;
        what = "changed";
    }
    if (what && t->c->verbose)
        cli_note(t->c, "%s: %s", src->path, what);
    free(path);
    return !cli_signal_caught();
}

typedef struct newest {
    const char *dir;
    int64_t ns;
} newest;

static bool look_at(void *user, const char *name, ilki_file_type type)
{
    newest *n = user;
    ilki_stat st;
    char *path = ilki_base_path_join(n->dir, name);
    if (type == ILKI_FILE_REGULAR && path &&
        ilki_base_vfs_posix.stat(&ilki_base_vfs_posix, path, false, &st, NULL) == ILK_OK && st.mtime_ns > n->ns)
        n->ns = st.mtime_ns;
    free(path);
    return true;
}

/* When the log was last written, as "2026-01-31 12:00:00" in local time. */
static void last_update(const ilk_store_info *info, char to[32])
{
    char *log = ilki_base_path_join(info->path, "log");
    newest n = {log, 0};
    struct tm tm;
    to[0] = 0;
    if (log)
        ilki_base_vfs_posix.list(&ilki_base_vfs_posix, log, look_at, &n, NULL);
    time_t t = (time_t)(n.ns / 1000000000);
    if (n.ns > 0 && localtime_r(&t, &tm))
        strftime(to, 32, "%Y-%m-%d %H:%M:%S", &tm);
    free(log);
}

static uint64_t count_pictures(ilk_store *s)
{
    uint64_t n = 0;
    ilk_value image;
    ilk_filter pictures = cli_store_equals("modality", "image", &image);
    return ilk_store_count(s, &pictures, &n, NULL) == ILK_OK ? n : 0;
}

static void put_json(cli *c, ilk_store *s, const ilk_store_info *i, const tally *t, const char *updated)
{
    const struct {
        const char *key;
        uint64_t n;
    } counts[] = {{"indexed", t->n_indexed},   {"pictures", count_pictures(s)},     {"skipped", t->n_skipped},
                  {"failed", t->n_failed},     {"changed", t->n_changed},           {"gone", t->n_gone},
                  {"items", i->n_items},       {"vectors", i->n_vectors},           {"superseded", i->n_deleted},
                  {"log_bytes", i->log_bytes}, {"derived_bytes", i->derived_bytes}, {"last_lsn", i->last_lsn}};
    ilki_buf b;
    ilki_jsonw w;
    ilk_space space;
    ilki_base_buf_init(&b, 1 << 24);
    ilki_base_jsonw_init(&w, &b);
    ilki_base_jsonw_open(&w, '{');
    ilki_base_jsonw_key(&w, "store");
    ilki_base_jsonw_cstring(&w, i->path);
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        ilki_base_jsonw_key(&w, counts[k].key);
        ilki_base_jsonw_uint(&w, counts[k].n);
    }
    ilki_base_jsonw_key(&w, "updated");
    ilki_base_jsonw_cstring(&w, *updated ? updated : NULL);
    ilki_base_jsonw_key(&w, "spaces");
    ilki_base_jsonw_open(&w, '[');
    ilk_space_init(&space);
    for (size_t k = 0; ilk_store_get_space(s, k, &space, NULL) == ILK_OK; k++) {
        static const char *const metrics[] = {[ILK_COSINE] = "cosine", [ILK_DOT] = "dot", [ILK_NEG_L2] = "neg_l2"};
        const char *const strings[][2] = {
            {"name", space.name},       {"model", space.model},         {"fingerprint", space.fingerprint},
            {"pooling", space.pooling}, {"precision", space.precision}, {"metric", metrics[space.metric]}};
        ilki_base_jsonw_open(&w, '{');
        for (size_t n = 0; n < sizeof strings / sizeof *strings; n++) {
            ilki_base_jsonw_key(&w, strings[n][0]);
            ilki_base_jsonw_cstring(&w, strings[n][1]);
        }
        ilki_base_jsonw_key(&w, "dim");
        ilki_base_jsonw_uint(&w, space.dim);
        ilki_base_jsonw_close(&w, '}');
    }
    ilki_base_jsonw_close(&w, ']');
    ilki_base_jsonw_close(&w, '}');
    cli_put_json(c, &b);
}

static void put_fields(cli *c, ilk_store *s, const ilk_store_info *i, const tally *t, const char *updated)
{
    ilk_space space;
    unsigned long long stale = t->n_changed + t->n_gone;
    cli_field(c, "store", "%s", i->path);
    unsigned long long n_pictures = count_pictures(s);
    if (n_pictures)
        cli_field(c, "files", "%llu indexed, %llu of them pictures", (unsigned long long)t->n_indexed, n_pictures);
    else
        cli_field(c, "files", "%llu indexed", (unsigned long long)t->n_indexed);
    if (stale)
        cli_field(c, "stale", "%llu changed, %llu gone: ilk index brings them up to date",
                  (unsigned long long)t->n_changed, (unsigned long long)t->n_gone);
    if (t->n_skipped)
        cli_field(c, "skipped", "%llu (-v names them)", (unsigned long long)t->n_skipped);
    if (t->n_failed)
        cli_field(c, "failed", "%llu (-v names them)", (unsigned long long)t->n_failed);
    cli_field(c, "items", "%llu, with %llu vectors", (unsigned long long)i->n_items, (unsigned long long)i->n_vectors);
    ilk_space_init(&space);
    for (size_t k = 0; ilk_store_get_space(s, k, &space, NULL) == ILK_OK; k++)
        cli_field(c, "space", "%s: %u dimensions%s%s", space.name, space.dim, space.model ? ", " : "",
                  space.model ? space.model : "");
    cli_field(c, "size", "%.1f MB, and %.1f MB that can be made again", (double)i->log_bytes * 1e-6,
              (double)i->derived_bytes * 1e-6);
    cli_field(c, "updated", "%s", *updated ? updated : "never");
}

static int run(cli *c)
{
    cli_place p;
    ilk_store *s = NULL;
    ilk_store_info info;
    tally t = {.c = c, .p = &p};
    char updated[32];
    cli_config_read_user(c);
    if (!cli_place_find(c, c->n_operands ? c->operands[0] : "", &p))
        return CLI_FAILED;
    int status = CLI_FAILED;
    if (cli_store_need(c, &p, CLI_OPEN_READ, &s)) {
        ilk_store_info_init(&info);
        ilk_status st = ilk_store_get_info(s, &info, &c->err);
        if (st == ILK_OK)
            st = ilk_store_list_sources(s, count_source, &t, &c->err);
        if (st == ILK_OK) {
            last_update(&info, updated);
            cli_on(c, "json") ? put_json(c, s, &info, &t, updated) : put_fields(c, s, &info, &t, updated);
            status = CLI_FOUND;
        } else {
            cli_fail_err(c);
        }
    }
    ilk_store_close(s);
    cli_place_free(&p);
    return status;
}

const cli_command cli_cmd_status = {
    "status",
    "what a store holds, and what of it is out of date",
    "[DIR]",
    CLI_DIR,
    0,
    1,
    "ilk status\tthe store of this folder\n"
    "ilk status -v\tnames what was skipped, failed, changed or is gone\n"
    "ilk status --json\tfor a program\n",
    "",
    (const cli_flag *const[]){cli_store_flags, flags, NULL},
    run,
};
