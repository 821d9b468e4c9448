/* SPDX-License-Identifier: Apache-2.0
 * An ingest and its report: what failed is named always, what was passed over is counted by reason, or named with -v. A
 * preview of one names everything that is not as the store has it. */
#include "indexing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vfs.h"
#include "show_hits.h"

const cli_flag cli_chunk_flags[] = {
    {"chunk-tokens", 0, CLI_COUNT, "N", "tokens of a passage at most (default: 200, or what the model reads)", 8,
     1 << 20},
    {"overlap", 0, CLI_COUNT, "N", "tokens that neighbouring passages share (default: an eighth)", 0, 1 << 20},
    {"exclude", 0, CLI_LIST, "GLOB", "pass over what matches, in .gitignore syntax; may be repeated", 0, 0},
    {"hidden", 0, CLI_SWITCH, NULL, "also hidden files and folders", 0, 0},
    {"no-ignore", 0, CLI_SWITCH, NULL, "do not honour .gitignore and .ignore", 0, 0},
    {"max-file-mb", 0, CLI_COUNT, "N", "pass over files larger than N MB (default: 32)", 1, 1 << 20},
    {0},
};

#define MAX_REASONS  24
#define REASON_BYTES 160

/* Files passed over for one reason. */
typedef struct group {
    char reason[REASON_BYTES], example[256];
    uint64_t n;
} group;

typedef struct report {
    cli *c;
    group groups[MAX_REASONS];
    size_t n_groups;
    uint64_t n_more;          /* of reasons past the last group */
    const cli_place *preview; /* NULL: it is done */
    ilki_jsonw *json;         /* of a preview as JSON: its list */
} report;

static const char unsupported[] = "not supported yet: ";

static bool is_unsupported(const group *g)
{
    return strncmp(g->reason, unsupported, sizeof unsupported - 1) == 0;
}

static void count_skip(report *r, const ilk_event *e)
{
    char reason[REASON_BYTES];
    snprintf(reason, sizeof reason, "%s", e->reason ? e->reason : "passed over");
    size_t i = 0;
    while (i < r->n_groups && strcmp(r->groups[i].reason, reason) != 0)
        i++;
    if (i == MAX_REASONS) {
        r->n_more++;
        return;
    }
    group *g = &r->groups[i];
    if (i == r->n_groups) {
        memcpy(g->reason, reason, sizeof reason);
        snprintf(g->example, sizeof g->example, "%s", e->path);
        r->n_groups++;
    }
    g->n++;
}

/* Paths and reasons hold names of other people's: none may steer a terminal or break a line. */
static void add_cell(const cli *c, ilki_buf *b, const char *s)
{
    if (c->out.out_terminal)
        cli_escape(b, s, strlen(s), "");
    else
        cli_escape_tsv(b, s, strlen(s));
}

static void preview_event(report *r, const ilk_event *e)
{
    static const char *const names[] = {[ILK_EVENT_INDEXED] = "index",
                                        [ILK_EVENT_MOVED] = "move",
                                        [ILK_EVENT_REMOVED] = "remove",
                                        [ILK_EVENT_SKIPPED] = "skip",
                                        [ILK_EVENT_FAILED] = "fail"};
    if (e->kind == ILK_EVENT_UNCHANGED)
        return;
    if (r->json) {
        ilki_base_jsonw_open(r->json, '{');
        ilki_base_jsonw_key(r->json, "do");
        ilki_base_jsonw_cstring(r->json, names[e->kind]);
        cli_json_path(r->json, r->preview, e->path);
        if (e->reason) {
            ilki_base_jsonw_key(r->json, "reason");
            ilki_base_jsonw_cstring(r->json, e->reason);
        }
        ilki_base_jsonw_close(r->json, '}');
        return;
    }
    ilki_buf b, path;
    ilki_base_buf_init(&b, 1 << 22);
    ilki_base_buf_init(&path, 1 << 20);
    cli_place_path(&path, r->preview, e->path);
    ilki_base_buf_addf(&b, "%s\t", names[e->kind]);
    add_cell(r->c, &b, ilki_base_buf_view(&path));
    if (e->reason) {
        ilki_base_buf_addc(&b, '\t');
        add_cell(r->c, &b, e->reason);
    }
    ilki_base_buf_addc(&b, '\n');
    cli_put(r->c, ilki_base_buf_view(&b), b.len);
    ilki_base_buf_deinit(&b);
    ilki_base_buf_deinit(&path);
}

static void on_event(void *user, const ilk_event *e)
{
    report *r = user;
    static const char *const names[] = {[ILK_EVENT_INDEXED] = "indexed",
                                        [ILK_EVENT_MOVED] = "moved",
                                        [ILK_EVENT_REMOVED] = "removed",
                                        [ILK_EVENT_SKIPPED] = "skipped"};
    if (r->preview) {
        preview_event(r, e);
        return;
    }
    if (e->kind == ILK_EVENT_FAILED)
        cli_warn(r->c, "%s: %s", e->path, e->reason ? e->reason : "could not be read");
    else if (e->kind == ILK_EVENT_INDEXED && e->reason)
        cli_warn(r->c, "%s: %s", e->path, e->reason);
    else if (r->c->verbose && e->kind != ILK_EVENT_UNCHANGED)
        cli_note(r->c, "%s: %s%s%s", e->path, names[e->kind], e->reason ? ": " : "", e->reason ? e->reason : "");
    if (e->kind == ILK_EVENT_SKIPPED)
        count_skip(r, e);
}

static void add_count(ilki_buf *b, uint64_t n, const char *what)
{
    if (n)
        ilki_base_buf_addf(b, ", %llu %s", (unsigned long long)n, what);
}

/* "12 RAW photos (a.cr2, ...), 3 videos (b.mp4): not supported yet": what no reader exists for is one line. */
static void add_unsupported(ilki_buf *b, const report *r)
{
    static const char *const plurals[][3] = {{"a RAW photo", "RAW photo", "RAW photos"},
                                             {"a video", "video", "videos"},
                                             {"an SVG drawing", "SVG drawing", "SVG drawings"}};
    bool any = false;
    for (size_t i = 0; i < r->n_groups; i++)
        for (size_t k = 0; k < sizeof plurals / sizeof *plurals && is_unsupported(&r->groups[i]); k++) {
            const group *g = &r->groups[i];
            if (strcmp(g->reason + sizeof unsupported - 1, plurals[k][0]) != 0)
                continue;
            ilki_base_buf_addf(b, "%s%llu %s (%s%s)", any ? ", " : "\n  ", (unsigned long long)g->n,
                               plurals[k][g->n == 1 ? 1 : 2], g->example, g->n > 1 ? ", ..." : "");
            any = true;
        }
    if (any)
        ilki_base_buf_adds(b, ": not supported yet");
}

static void add_skipped(ilki_buf *b, const report *r)
{
    bool blind = false;
    for (size_t i = 0; i < r->n_groups; i++) {
        const group *g = &r->groups[i];
        blind |= strcmp(g->reason, "a picture: no model here sees") == 0;
        if (!is_unsupported(g))
            ilki_base_buf_addf(b, "\n  %llu skipped: %s (%s%s)", (unsigned long long)g->n, g->reason, g->example,
                               g->n > 1 ? ", ..." : "");
    }
    add_unsupported(b, r);
    if (r->n_more)
        ilki_base_buf_addf(b, "\n  %llu skipped for other reasons (-v names all)", (unsigned long long)r->n_more);
    if (blind)
        ilki_base_buf_adds(b, "\n  for the pictures, add a model that sees: ilk index -m openai/clip-vit-base-patch32");
}

static void tell(cli *c, const report *r, const ilk_ingest_result *res)
{
    ilki_buf b;
    ilki_base_buf_init(&b, 65536);
    ilki_base_buf_addf(&b, "%llu %s", (unsigned long long)res->n_files, res->n_files == 1 ? "file" : "files");
    add_count(&b, res->n_indexed, "indexed");
    add_count(&b, res->n_unchanged, "unchanged");
    add_count(&b, res->n_moved, "moved");
    add_count(&b, res->n_removed, "removed");
    add_count(&b, res->n_skipped, "skipped");
    add_count(&b, res->n_failed, "failed");
    if (res->n_chunks)
        ilki_base_buf_addf(&b, "; %llu %s, %llu tokens", (unsigned long long)res->n_chunks,
                           res->n_chunks == 1 ? "passage" : "passages", (unsigned long long)res->n_tokens);
    if (res->n_pictures)
        ilki_base_buf_addf(&b, "%s %llu picture%s", res->n_chunks ? "," : ";", (unsigned long long)res->n_pictures,
                           res->n_pictures == 1 ? "" : "s");
    ilki_base_buf_addf(&b, "; %.1f s", res->seconds);
    if (res->n_pictures && !res->n_tokens && res->seconds > 0)
        ilki_base_buf_addf(&b, ", %.0f pictures/s", (double)res->n_pictures / res->seconds);
    if (res->n_tokens && res->seconds > 0)
        ilki_base_buf_addf(&b, ", %.0f tokens/s", (double)res->n_tokens / res->seconds);
    if (!c->verbose)
        add_skipped(&b, r);
    cli_note(c, "%s%s", r->preview ? "would be: " : "", ilki_base_buf_view(&b));
    ilki_base_buf_deinit(&b);
}

static void put_counts(ilki_jsonw *w, const cli_place *p, const ilk_ingest_result *r)
{
    const struct {
        const char *key;
        uint64_t n;
    } counts[] = {{"files", r->n_files},   {"indexed", r->n_indexed}, {"unchanged", r->n_unchanged},
                  {"moved", r->n_moved},   {"removed", r->n_removed}, {"skipped", r->n_skipped},
                  {"failed", r->n_failed}, {"passages", r->n_chunks}, {"pictures", r->n_pictures},
                  {"tokens", r->n_tokens}, {"bytes", r->n_bytes}};
    ilki_base_jsonw_key(w, "store");
    ilki_base_jsonw_cstring(w, p->store);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        ilki_base_jsonw_key(w, counts[i].key);
        ilki_base_jsonw_uint(w, counts[i].n);
    }
    ilki_base_jsonw_key(w, "seconds");
    ilki_base_jsonw_double(w, r->seconds);
}

static void put_json(cli *c, const cli_place *p, const ilk_ingest_result *r)
{
    ilki_buf b;
    ilki_jsonw w;
    ilki_base_buf_init(&b, 1 << 20);
    ilki_base_jsonw_init(&w, &b);
    ilki_base_jsonw_open(&w, '{');
    put_counts(&w, p, r);
    ilki_base_jsonw_close(&w, '}');
    cli_put_json(c, &b);
}

/* Chunking and ignore rules, from flags and configuration. */
static bool read_options(cli *c, ilk_ingest_options *o, const char **exclude)
{
    uint64_t chunk = 0, overlap = ILK_ABSENT;
    bool hidden = false, no_ignore = false;
    if (!cli_setting_count(c, "chunk-tokens", 8, 1 << 20, &chunk) ||
        !cli_setting_count(c, "overlap", 0, 1 << 20, &overlap) || !cli_setting_on(c, "hidden", &hidden) ||
        !cli_setting_on(c, "no-ignore", &no_ignore))
        return false;
    o->chunk_tokens = (uint32_t)chunk;
    o->overlap_tokens = (uint32_t)overlap;
    o->hidden = hidden;
    o->no_ignore = no_ignore;
    o->exclude = exclude;
    o->n_exclude = cli_setting_list(c, "exclude", exclude, CLI_MAX_LIST);
    return true;
}

/* What is not said here is as the store's pictures were read. */
static void read_picture_options(cli *c, ilk_ingest_options *o)
{
    o->no_exif = cli_on(c, "no-exif") - cli_on(c, "exif");
    if (cli_given(c, "ocr-languages"))
        o->ocr = cli_text(c, "ocr-languages");
    else if (cli_on(c, "ocr"))
        o->ocr = "eng";
    else if (cli_on(c, "no-ocr"))
        o->ocr = "";
}

static ilk_status ingest(cli *c, ilk_store *s, const cli_models *m, const char *const *paths, size_t n, report *r,
                         ilk_ingest_result *result)
{
    ilk_ingest_options o;
    const char *exclude[CLI_MAX_LIST];
    ilk_ingest_options_init(&o);
    if (!read_options(c, &o, exclude)) {
        c->err.status = ILK_BAD_ARGUMENT;
        c->err.message[0] = 0;
        return ILK_BAD_ARGUMENT;
    }
    bool full = strcmp(c->command->name, "index") == 0; /* search has only the configuration */
    o.strict = full && cli_on(c, "strict");
    if (full)
        read_picture_options(c, &o);
    o.max_file_bytes = full ? cli_count(c, "max-file-mb", 0) << 20 : 0;
    o.event = on_event;
    o.event_user = r;
    o.dry_run = r->preview != NULL;
    o.runtime = c->rt;
    o.where = r->preview ? r->preview->store : NULL;
    return ilk_ingest(s, m->list, m->n, paths, n, &o, c->job, result, &c->err);
}

static int count_indexed(void *user, const ilk_source *source)
{
    *(uint64_t *)user += source->state == ILK_SOURCE_INDEXED;
    return 1;
}

/* What an end before the end has left. */
static void tell_kept(cli *c, ilk_store *s, const char *why)
{
    uint64_t n = 0;
    if (ilk_store_list_sources(s, count_indexed, &n, NULL) == ILK_OK)
        cli_warn(c, "%s%llu %s in the store; the same command goes on from there", why, (unsigned long long)n,
                 n == 1 ? "file is" : "files are");
}

/* Whoever removed a store while it was filled should not read that it was. */
static bool still_there(cli *c, const cli_place *p)
{
    ilki_stat st;
    char *manifest = ilki_base_path_join(p->store, "manifest");
    bool there = !manifest ||
                 ilki_base_vfs_posix.stat(&ilki_base_vfs_posix, manifest, true, &st, NULL) != ILK_NOT_FOUND;
    free(manifest);
    if (!there)
        cli_fail(c, "%s: the store was removed while it was written; nothing of it is left", p->store);
    return there;
}

/* A new store's models keep the precision that they begin with. */
static bool settle_all(cli *c, cli_models *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (!cli_settle_auto(c, &m->list[i]))
            return false;
    return true;
}

int cli_index(cli *c, const cli_place *p, const char *const *paths, size_t n, ilk_store **s)
{
    ilk_store *store = NULL;
    cli_models models = {0};
    ilk_ingest_result result;
    report *r = ilki_base_zalloc(1, sizeof *r);
    ilk_ingest_result_init(&result);
    int status = CLI_FAILED;
    /* an existing store first, since it knows its models; a new one is made only once there is a model */
    ilk_status st = r ? cli_store_open(c, p, CLI_OPEN_WRITE, &store) : ILK_NO_MEMORY;
    if ((st != ILK_OK && st != ILK_NOT_FOUND) || !cli_choose_index_models(c, store, &models))
        goto end;
    if (!store && !settle_all(c, &models))
        goto end;
    if (!store && (st = cli_store_open(c, p, CLI_OPEN_CREATE, &store)) != ILK_OK) {
        if (st == ILK_NOT_FOUND)
            cli_fail_err(c);
        goto end;
    }
    r->c = c;
    st = ingest(c, store, &models, paths, n, r, &result);
    cli_progress_erase(c);
    if (st == ILK_CANCELLED && cli_signal_caught()) {
        tell_kept(c, store, "interrupted: ");
    } else if (st != ILK_OK) {
        if (c->err.message[0])
            cli_fail_err(c);
        if (result.n_indexed)
            tell_kept(c, store, "");
    } else if (still_there(c, p)) {
        tell(c, r, &result);
        if (strcmp(c->command->name, "index") == 0 && cli_on(c, "json"))
            put_json(c, p, &result);
        status = result.n_files > 0 ? CLI_FOUND : CLI_NOTHING;
    }
end:
    if (status == CLI_FOUND && s)
        *s = store;
    else
        ilk_store_close(store);
    cli_close_models(&models);
    free(r);
    return status;
}

/* Does the store hold files, so that it matters what they were indexed with? */
static bool holds_files(ilk_store *s)
{
    ilk_store_info info;
    ilk_store_info_init(&info);
    return s && ilk_store_get_info(s, &info, NULL) == ILK_OK && info.n_sources > 0;
}

static ilk_status preview(cli *c, ilk_store *s, const cli_models *m, const char *const *paths, size_t n, report *r)
{
    ilki_buf b;
    ilki_jsonw w;
    ilk_ingest_result result;
    ilk_ingest_result_init(&result);
    ilki_base_buf_init(&b, 1 << 28);
    ilki_base_jsonw_init(&w, &b);
    if (cli_on(c, "json")) {
        r->json = &w;
        ilki_base_jsonw_open(&w, '{');
        ilki_base_jsonw_key(&w, "dry_run");
        ilki_base_jsonw_bool(&w, true);
        ilki_base_jsonw_key(&w, "would");
        ilki_base_jsonw_open(&w, '[');
    }
    ilk_status st = ingest(c, s, m, paths, n, r, &result);
    cli_progress_erase(c);
    if (st == ILK_OK) {
        tell(c, r, &result);
        if (r->json) {
            ilki_base_jsonw_close(&w, ']');
            put_counts(&w, r->preview, &result);
            ilki_base_jsonw_close(&w, '}');
            cli_put_json(c, &b);
        }
        return result.n_files > 0 || result.n_removed > 0 ? ILK_OK : ILK_NOT_FOUND;
    }
    ilki_base_buf_deinit(&b);
    if (c->err.message[0] && !(st == ILK_CANCELLED && cli_signal_caught()))
        cli_fail_err(c);
    return st;
}

int cli_index_preview(cli *c, const cli_place *p, const char *const *paths, size_t n)
{
    ilk_store *store = NULL;
    cli_models models = {0};
    report *r = ilki_base_zalloc(1, sizeof *r);
    int status = CLI_FAILED;
    ilk_status st = r ? cli_store_open(c, p, CLI_OPEN_READ, &store) : ILK_NO_MEMORY;
    if (st == ILK_OK || st == ILK_NOT_FOUND) {
        r->c = c;
        r->preview = p;
        if (!holds_files(store) || cli_choose_index_models(c, store, &models)) {
            st = preview(c, store, &models, paths, n, r);
            status = st == ILK_OK ? CLI_FOUND : st == ILK_NOT_FOUND ? CLI_NOTHING : CLI_FAILED;
        }
    }
    ilk_store_close(store);
    cli_close_models(&models);
    free(r);
    return status;
}
