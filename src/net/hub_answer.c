/* SPDX-License-Identifier: Apache-2.0
 * What the hub says of a revision, as a list that can be trusted: a commit of 40 hex digits, names that stay below the
 * folder they are put in, sizes and hashes that are well-formed. One that is not makes the whole answer malformed: what
 * sends such a name is no hub to fetch weights from. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "net/hub.h"

enum {
    MAX_FILES = 100000,
    MAX_PATH = 1024,
    MAX_WORDS = 512, /* bytes of the card's licence or languages that are kept */
    MAX_DEPTH = 32
};
#define MAX_FILE_BYTES ((int64_t)1 << 50)

bool ilki_net_hub_is_path(const char *path, size_t n)
{
    size_t part = 0;
    if (n == 0 || n > MAX_PATH || !ilki_base_utf8_valid(path, n))
        return false;
    for (size_t i = 0; i <= n; i++) {
        if (i < n && path[i] != '/') {
            if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f || path[i] == '\\')
                return false;
            part++;
            continue;
        }
        if (part == 0 || part > 255 || (part <= 2 && strncmp(path + i - part, "..", part) == 0))
            return false;
        part = 0;
    }
    return true;
}

static bool is_hex(const char *s, size_t n, size_t want)
{
    return s != NULL && n == want && strspn(s, "0123456789abcdef") == want;
}

/* A string, or an array of strings with commas between; "" for anything else, NULL where memory is short. */
static const char *words(ilki_hub_model *m, const ilki_json *j, ilki_json_node node)
{
    ilki_buf b;
    size_t n;
    const char *s = ilki_base_json_string(j, node, &n);
    ilki_base_buf_init(&b, 4096);
    if (s != NULL)
        ilki_base_buf_adds(&b, n < MAX_WORDS ? s : "");
    for (ilki_json_node i = ilki_base_json_first(j, node); s == NULL && i; i = ilki_base_json_next(j, i)) {
        const char *word = ilki_base_json_string(j, i, &n);
        if (word != NULL && b.len + n + 2 < MAX_WORDS)
            ilki_base_buf_addf(&b, "%s%s", b.len ? ", " : "", word);
    }
    s = b.failed ? NULL : ilki_base_arena_strndup(&m->arena, ilki_base_buf_view(&b), b.len);
    ilki_base_buf_deinit(&b);
    return s;
}

static ilk_status take_file(ilki_hub_model *m, const ilki_json *j, ilki_json_node node, const char *id, ilk_error *err)
{
    size_t n = 0, n_hash = 0;
    int64_t size = -1;
    ilki_hub_file *f = &m->files[m->n_files];
    ilki_json_node lfs = ilki_base_json_get(j, node, "lfs");
    const char *path = ilki_base_json_string(j, ilki_base_json_get(j, node, "rfilename"), &n);
    if (path == NULL || !ilki_net_hub_is_path(path, n))
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "%s: the hub's list of files has \"%.200s\": expected a path below the model's folder",
                              id, path ? path : "(no name)");
    bool large = ilki_base_json_type(j, lfs) == ILKI_JSON_OBJECT;
    ilki_json_node size_node = ilki_base_json_get(j, large ? lfs : node, "size");
    const char *hash = ilki_base_json_string(j, ilki_base_json_get(j, large ? lfs : node, large ? "sha256" : "blobId"),
                                             &n_hash);
    if (size_node && !ilki_base_json_int(j, size_node, 0, MAX_FILE_BYTES, &size))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: the hub's size of %s is no number of bytes", id, path);
    if (hash != NULL && !is_hex(hash, n_hash, large ? 64 : 40))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: the hub's checksum of %s is not %d hex digits", id, path,
                              large ? 64 : 40);
    f->path = ilki_base_arena_strndup(&m->arena, path, n);
    if (f->path == NULL)
        return ilki_base_fail_memory(err, n, "a list of files");
    if (size >= 0 && hash != NULL) { /* without both it cannot be fetched; most are not wanted anyway */
        f->n_bytes = (uint64_t)size;
        memcpy(f->hash, hash, n_hash + 1);
    }
    m->n_files++;
    return ILK_OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const ilki_hub_file *)a)->path, ((const ilki_hub_file *)b)->path);
}

static ilk_status take_files(ilki_hub_model *m, const ilki_json *j, const char *id, ilk_error *err)
{
    ilki_json_node list = ilki_base_json_get(j, ilki_base_json_root(j), "siblings");
    size_t n = ilki_base_json_count(j, list);
    if (ilki_base_json_type(j, list) != ILKI_JSON_ARRAY)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: the hub's answer has no list of files (\"siblings\")", id);
    if (n > MAX_FILES)
        return ilki_base_fail(err, ILK_LIMIT, "%s: %zu files, at most %d", id, n, MAX_FILES);
    m->files = ilki_base_arena_alloc(&m->arena, n, sizeof *m->files);
    if (m->files == NULL)
        return ilki_base_fail_memory(err, n * sizeof *m->files, "a list of files");
    for (ilki_json_node i = ilki_base_json_first(j, list); i; i = ilki_base_json_next(j, i)) {
        ilk_status st = take_file(m, j, i, id, err);
        if (st != ILK_OK)
            return st;
    }
    if (n > 1)
        qsort(m->files, n, sizeof *m->files, by_path);
    for (size_t i = 1; i < n; i++)
        if (by_path(&m->files[i - 1], &m->files[i]) == 0)
            return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: the hub's list of files has %s twice", id,
                                  m->files[i].path);
    return ILK_OK;
}

static ilk_status take_answer(ilki_hub_model *m, const ilki_json *j, const char *id, ilk_error *err)
{
    size_t n = 0;
    ilki_json_node root = ilki_base_json_root(j), card = ilki_base_json_get(j, root, "cardData");
    ilki_json_node gated = ilki_base_json_get(j, root, "gated");
    const char *commit = ilki_base_json_string(j, ilki_base_json_get(j, root, "sha"), &n);
    if (!is_hex(commit, n, 40))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: the hub's answer has no commit of 40 hex digits (\"sha\")", id);
    memcpy(m->commit, commit, 41);
    m->gated = ilki_base_json_type(j, gated) == ILKI_JSON_STRING || ilki_base_json_bool(j, gated, false);
    m->licence = words(m, j, ilki_base_json_get(j, card, "license"));
    if (m->licence != NULL && strcmp(m->licence, "other") == 0)
        m->licence = words(m, j, ilki_base_json_get(j, card, "license_name"));
    m->languages = words(m, j, ilki_base_json_get(j, card, "language"));
    if (m->licence == NULL || m->languages == NULL)
        return ilki_base_fail_memory(err, MAX_WORDS, "a model's card");
    return take_files(m, j, id, err);
}

ilk_status ilki_net_hub_parse(ilki_hub_model **out, const char *text, size_t n, const char *id, ilk_error *err)
{
    static const ilki_json_limits limits = {
        .max_bytes = (size_t)64 << 20, .max_nodes = 2000000, .max_depth = MAX_DEPTH};
    ilki_json *j = NULL;
    *out = NULL;
    ilki_hub_model *m = ilki_base_zalloc(1, sizeof *m);
    if (m == NULL)
        return ilki_base_fail_memory(err, sizeof *m, "a revision");
    m->arena.max_bytes = (size_t)256 << 20;
    ilk_status st = ilki_base_json_parse(&j, text, n, "the hub's answer", &limits, err);
    if (st != ILK_OK)
        ilki_base_error_prefix(err, "%s", id);
    else
        st = take_answer(m, j, id, err);
    ilki_base_json_free(j);
    if (st == ILK_OK)
        *out = m;
    else
        ilki_net_hub_free(m);
    return st;
}

void ilki_net_hub_free(ilki_hub_model *m)
{
    if (m == NULL)
        return;
    ilki_base_arena_deinit(&m->arena);
    free(m);
}

ilki_hub_file *ilki_net_hub_find(const ilki_hub_model *m, const char *path)
{
    ilki_hub_file key = {.path = path};
    return m->n_files ? bsearch(&key, m->files, m->n_files, sizeof key, by_path) : NULL;
}
