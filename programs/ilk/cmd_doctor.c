/* SPDX-License-Identifier: Apache-2.0
 * ilk doctor: what this machine gives ilk, which models are there, which files are read. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/choose.h"
#include "commands.h"

static const cli_flag flags[] = {
    {"json", 0, CLI_SWITCH, NULL, "print one JSON document", 0, 0},
    {0},
};

/* One finding goes to both forms: a member of the document, or a line. */
typedef struct report {
    cli *c;
    ilki_buf b;
    ilki_jsonw w;
    bool json;
} report;

static void put_text(report *r, const char *key, const char *name, const char *value)
{
    if (r->json) {
        ilki_base_jsonw_key(&r->w, key);
        ilki_base_jsonw_cstring(&r->w, value);
    } else {
        cli_field(r->c, name, "%s", value ? value : "none");
    }
}

static void put_number(report *r, const char *key, const char *name, uint64_t value, double scale, const char *unit)
{
    if (r->json) {
        ilki_base_jsonw_key(&r->w, key);
        ilki_base_jsonw_uint(&r->w, value);
    } else {
        cli_field(r->c, name, scale == 1 ? "%.0f%s" : "%.1f%s", (double)value * scale, unit);
    }
}

static void put_models(report *r)
{
    cli_cached_model *list;
    size_t n = cli_cache_list(&list);
    char *dir = cli_cache_dir();
    put_text(r, "cache", "model cache", dir);
    if (r->json) {
        ilki_base_jsonw_key(&r->w, "models");
        ilki_base_jsonw_open(&r->w, '[');
    }
    for (size_t i = 0; i < n && !cli_signal_caught(); i++) {
        ilk_model *m = NULL;
        ilk_error err;
        ilk_model_options o;
        ilk_error_init(&err);
        ilk_model_options_init(&o);
        o.packed_cache = ILK_PACKED_LOOK;
        bool fits = ilk_model_open(&m, r->c->rt, list[i].id, &o, &err) == ILK_OK;
        ilk_model_close(m);
        if (r->json) {
            ilki_base_jsonw_open(&r->w, '{');
            put_text(r, "id", NULL, list[i].id);
            put_text(r, "path", NULL, list[i].dir);
            put_text(r, "error", NULL, fits ? NULL : err.message);
            ilki_base_jsonw_close(&r->w, '}');
        } else {
            cli_field(r->c, "model", "%s%s%s", list[i].id, fits ? "" : ": cannot be used: ", fits ? "" : err.message);
        }
    }
    if (r->json)
        ilki_base_jsonw_close(&r->w, ']');
    else if (n == 0)
        cli_field(r->c, "model", "none in the cache");
    cli_cache_free(list, n);
    free(dir);
}

static void put_packed(report *r)
{
    ilk_packed_info p;
    ilk_packed_info_init(&p);
    if (ilk_runtime_get_packed_info(r->c->rt, &p, NULL) != ILK_OK)
        return;
    put_text(r, "packed_folder", "packed weights", p.ceiling_bytes ? p.folder : NULL);
    put_number(r, "packed_files", "", p.n_files, 1, " files");
    put_number(r, "packed_bytes", "", p.n_bytes, 1e-6, " MB");
}

/* Without libcurl everything works but `ilk pull`. */
static void put_network(report *r)
{
    ilk_error err;
    ilk_error_init(&err);
    const char *version = ilk_network_version(&err);
    if (r->json) {
        put_text(r, "libcurl", NULL, version);
        put_text(r, "libcurl_error", NULL, version ? NULL : err.message);
    } else {
        cli_field(r->c, "network", version ? "libcurl %s" : "none: %s", version ? version : err.message);
    }
}

/* Where the store of this folder is, and whether it opens. */
static void put_store(report *r, const cli_place *p)
{
    cli *c = r->c;
    ilk_store *s = NULL;
    ilk_store_options o;
    ilk_store_info info;
    ilk_error err;
    put_text(r, "store", "store", p->exists ? p->store : NULL);
    if (!p->exists)
        return;
    ilk_error_init(&err);
    ilk_store_options_init(&o);
    ilk_store_info_init(&info);
    o.read_only = o.no_create = 1;
    ilk_status st = ilk_store_open(&s, c->rt, p->store, &o, &err);
    if (st == ILK_OK)
        st = ilk_store_get_info(s, &info, &err);
    if (st == ILK_OK)
        put_number(r, "store_items", "", info.n_items, 1, " items");
    else
        put_text(r, "store_error", "", err.message);
    ilk_store_close(s);
}

/* What the helper program reads, and how well it is locked in. */
static void put_media(report *r)
{
    ilk_media_info m;
    ilk_error err;
    ilk_error_init(&err);
    ilk_media_info_init(&m);
    if (ilk_runtime_get_media_info(r->c->rt, &m, &err) != ILK_OK) {
        put_text(r, "media_helper", "media helper", NULL);
        put_text(r, "media_error", "", err.message);
        return;
    }
    put_text(r, "media_helper", "media helper", m.helper);
    put_text(r, "media_sandbox", "  sandbox", m.sandbox);
    if (*m.note)
        put_text(r, "media_note", "", m.note);
    put_text(r, "media_reads", "  reads", m.reads);
    put_text(r, "media_lacks", "  lacks", *m.lacks ? m.lacks : NULL);
}

static void put_terminal(report *r)
{
    const cli_out *o = &r->c->out;
    if (r->json) {
        ilki_base_jsonw_key(&r->w, "terminal");
        ilki_base_jsonw_bool(&r->w, o->out_terminal);
        return;
    }
    if (o->out_terminal)
        cli_field(r->c, "terminal", "%d columns, %s, %s", cli_columns(1), o->color ? "colour" : "no colour",
                  o->utf8 ? "UTF-8" : "ASCII");
    else
        cli_field(r->c, "terminal", "no: standard output is a file or a pipe");
}

static int run(cli *c)
{
    report r = {.c = c, .json = cli_on(c, "json")};
    cli_place place;
    ilk_runtime_info info;
    cli_config_read_user(c);
    if (!cli_open_runtime(c))
        return CLI_FAILED;
    ilk_runtime_info_init(&info);
    if (ilk_runtime_get_info(c->rt, &info, &c->err) != ILK_OK || !cli_place_find(c, "", &place))
        return c->err.status == ILK_OK ? CLI_FAILED : cli_fail_err(c);
    ilki_base_buf_init(&r.b, 1 << 24);
    ilki_base_jsonw_init(&r.w, &r.b);
    if (r.json)
        ilki_base_jsonw_open(&r.w, '{');
    put_text(&r, "version", "version", ilk_version());
    put_text(&r, "cpu_features", "CPU has", *info.cpu_features ? info.cpu_features : NULL);
    put_text(&r, "kernels", "kernels", info.kernels);
    put_number(&r, "threads", "threads", info.n_threads, 1, "");
    put_number(&r, "cpus", "CPUs", info.n_cpus, 1, " may be used");
    put_number(&r, "memory_ceiling_bytes", "memory ceiling", info.memory_ceiling_bytes, 1e-9, " GB");
    put_network(&r);
    put_media(&r);
    put_models(&r);
    put_packed(&r);
    put_text(&r, "config", "configuration", c->user_config);
    put_text(&r, "folder_config", "of this folder", c->folder_config);
    put_store(&r, &place);
    put_terminal(&r);
    if (r.json) {
        ilki_base_jsonw_close(&r.w, '}');
        cli_put_json(c, &r.b);
    }
    ilki_base_buf_deinit(&r.b);
    cli_place_free(&place);
    return CLI_FOUND;
}

const cli_command cli_cmd_doctor = {
    "doctor",
    "what this machine offers, which models and files are found",
    "",
    CLI_TEXT,
    0,
    0,
    "ilk doctor\tto be sent along with a question\n"
    "ilk doctor --json\tfor a program\n",
    "",
    (const cli_flag *const[]){flags, NULL},
    run,
};
