/* SPDX-License-Identifier: Apache-2.0
 * What a vector depends on, as one SHA-256: over the sorted lines "role<TAB>sha256<LF>" of every file that decides it. A
 * role is the file's name in the folder; the weights' role is "weights" whatever their file is called. A file that is a
 * link to a blob of the hub with a 64-hex name has that name as its SHA-256; others are read once and remembered in
 * XDG_CACHE_HOME/ilk/hashes by device, inode, size and modification time, at most HASH_LINES of them; and so is the result
 * by the folder at a glance (auto.c), for those who want to know it without reading anything. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/map.h"
#include "embed/state.h"

#define MAX_ROLES  64
#define HASH_LINES 1000
#define BLOCK      ((size_t)1 << 20)

typedef struct entry {
    const char *role, *dir, *path; /* path: relative to the folder `dir` */
    char hex[65];
} entry;

/* ------------------------------------------------------------------ remembered hashes */

char *ilki_embed_cache_path(const char *name)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char path[128];
    bool own = xdg && *xdg;
    snprintf(path, sizeof path, "%silk/%s", own ? "" : ".cache/", name);
    return own || (home && *home) ? ilki_base_path_join(own ? xdg : home, path) : NULL;
}

static int key_of(const ilki_stat *st, char *to, size_t n)
{
    return snprintf(to, n, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " ", st->dev, st->ino, st->size,
                    st->mtime_ns, st->ctime_ns);
}

static bool is_hex64(const char *s)
{
    return strspn(s, "0123456789abcdef") == 64 && (s[64] == 0 || s[64] == '\n');
}

static bool recall(const ilki_vfs *vfs, const char *cache, const char *key, char hex[65])
{
    char *text = NULL;
    size_t n, len = strlen(key);
    bool found = false;
    if (ilki_base_read_file(vfs, cache, BLOCK, &text, &n, NULL) != ILK_OK)
        return false;
    for (const char *line = text; line && *line && !found; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, key, len) == 0 && is_hex64(line + len)) {
            memcpy(hex, line + len, 64);
            hex[64] = 0;
            found = true;
        }
    free(text);
    return found;
}

/* The newest line first; a cache that cannot be written costs time, nothing else. */
static void remember(const ilki_vfs *vfs, const char *cache, const char *key, const char *hex)
{
    char *old = NULL;
    size_t n = 0, lines = 0, end = 0;
    ilki_buf b;
    ilki_base_read_file(vfs, cache, BLOCK, &old, &n, NULL);
    while (end < n && lines < HASH_LINES)
        lines += old[end++] == '\n';
    ilki_base_buf_init(&b, 2 * BLOCK);
    ilki_base_buf_addf(&b, "%s%s\n", key, hex);
    if (old)
        ilki_base_buf_add(&b, old, end);
    char *dir = ilki_base_path_dir(cache);
    if (!b.failed && dir && ilki_base_make_dirs(vfs, dir, 0700, NULL) == ILK_OK)
        ilki_base_write_file(vfs, cache, b.data, b.len, NULL);
    free(dir);
    free(old);
    ilki_base_buf_deinit(&b);
}

/* A folder's line: which fingerprint a model had that was opened from files that lay there so. */
static void folder_key(const ilk_model *m, char key[128])
{
    snprintf(key, 128, "folder %s ", m->glance);
}

bool ilki_embed_recall_folder(const ilk_model *m, char hex[65])
{
    char key[128], *cache = ilki_embed_cache_path("hashes");
    folder_key(m, key);
    bool found = cache && recall(m->rt->vfs, cache, key, hex);
    free(cache);
    return found;
}

static void remember_folder(const ilk_model *m, const char *hex)
{
    char key[128], old[65], *cache = ilki_embed_cache_path("hashes");
    folder_key(m, key);
    if (cache && m->glance[0] && !(recall(m->rt->vfs, cache, key, old) && strcmp(old, hex) == 0))
        remember(m->rt->vfs, cache, key, hex);
    free(cache);
}

/* ------------------------------------------------------------------ one file */

static ilk_status hash_bytes(const ilki_vfs *vfs, const char *path, ilk_job *job, ilki_stat *st, char hex[65],
                             ilk_error *err)
{
    ilki_file *f = NULL;
    ilki_sha256 sha;
    uint8_t digest[32];
    uint64_t at = 0;
    size_t got = 0;
    unsigned char *block = ilki_base_alloc_aligned(BLOCK, 1);
    ilk_status s = block ? vfs->open(vfs, &f, path, ILKI_OPEN_READ, err)
                         : ilki_base_fail_memory(err, BLOCK, "hashing a file");
    if (s == ILK_OK)
        s = vfs->fstat(f, st, err);
    ilki_base_sha256_init(&sha);
    while (s == ILK_OK) {
        s = ilki_base_job_check(job, err);
        if (s == ILK_OK)
            s = vfs->read(f, at, block, BLOCK, &got, err);
        if (s == ILK_OK)
            ilki_base_sha256_add(&sha, block, got);
        at += got;
        ilki_base_job_progress(job, "fingerprint", "bytes", at, st->size, 0, false);
        if (s == ILK_OK && got < BLOCK)
            break;
    }
    ilki_base_sha256_end(&sha, digest);
    ilki_base_hex(digest, sizeof digest, hex);
    if (f)
        vfs->close(f);
    free(block);
    return s;
}

static ilk_status hash_file(ilk_model *m, const char *dir, const char *name, ilk_job *job, char hex[65], ilk_error *err)
{
    const ilki_vfs *vfs = m->rt->vfs;
    char key[128], link[4096], *path = ilki_base_path_join(dir, name), *cache = ilki_embed_cache_path("hashes");
    ilki_stat st;
    ilk_status s = path ? ILK_OK : ilki_base_fail_memory(err, strlen(name), "a path");
    if (s != ILK_OK)
        goto end;
    s = vfs->stat(vfs, path, false, &st, err);
    if (s != ILK_OK)
        goto end;
    if (st.type == ILKI_FILE_LINK && vfs->read_link(vfs, path, link, sizeof link, NULL) == ILK_OK &&
        strstr(link, "blobs/") && is_hex64(ilki_base_path_name(link))) {
        memcpy(hex, ilki_base_path_name(link), 65);
        goto end;
    }
    s = vfs->stat(vfs, path, true, &st, err);
    if (s == ILK_OK)
        key_of(&st, key, sizeof key);
    if (s != ILK_OK || (cache && recall(vfs, cache, key, hex)))
        goto end;
    s = hash_bytes(vfs, path, job, &st, hex, err);
    if (s == ILK_OK && cache) {
        key_of(&st, key, sizeof key);
        remember(vfs, cache, key, hex);
    }
end:
    free(path);
    free(cache);
    return s;
}

/* ------------------------------------------------------------------ all of them */

static int by_role(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->role, ((const entry *)b)->role);
}

static void add(entry *list, size_t *n, const char *role, const char *dir, const char *path)
{
    if (*n < MAX_ROLES)
        list[(*n)++] = (entry){.role = role, .dir = dir, .path = path};
}

/* Files that are there of those that decide a vector, of one before the projection where not `projected`. */
static size_t collect(const ilk_model *m, bool projected, entry *list)
{
    static const char *const tokenizer[] = {"tokenizer.json", "tokenizer_config.json",   "special_tokens_map.json",
                                            "vocab.txt",      "added_tokens.json",       "vocab.json",
                                            "merges.txt",     "sentencepiece.bpe.model", "spiece.model",
                                            "tokenizer.model"};
    size_t n = 0;
    add(list, &n, m->config_name, m->dir, m->config_name);
    for (size_t i = 0; i < sizeof tokenizer / sizeof *tokenizer; i++) {
        ilki_stat st;
        char *path = ilki_base_path_join(m->dir, tokenizer[i]);
        if (path && m->rt->vfs->stat(m->rt->vfs, path, true, &st, NULL) == ILK_OK)
            add(list, &n, tokenizer[i], m->dir, tokenizer[i]);
        free(path);
    }
    for (unsigned i = 0; i < m->modules.n_files; i++)
        add(list, &n, m->modules.files[i], m->root, m->modules.files[i]);
    if (m->adapter) {
        add(list, &n, "adapter", m->dir, m->adapter->weights);
        add(list, &n, "adapter_config.json", m->dir, m->adapter_config);
    }
    if (m->processor)
        add(list, &n, m->processor, m->dir, m->processor);
    if (m->projection && projected) {
        add(list, &n, "projection", m->projection->dir, m->projection->weights);
        if (m->projection->config)
            add(list, &n, "projection_config.json", m->projection->dir, m->projection->config);
    }
    add(list, &n, "weights", m->dir, m->weights_path);
    return n;
}

/* Shards: the index names its files; each becomes a line of its own. */
static ilk_status hash_shards(ilk_model *m, ilk_job *job, ilki_sha256 *sha, ilk_error *err)
{
    ilki_json *j = NULL;
    char hex[65];
    ilk_status st = ilki_embed_read_json(&j, m->rt->vfs, m->dir, m->weights_path, true, err);
    ilki_map seen = {0};
    ilki_json_node map = st == ILK_OK ? ilki_base_json_get(j, ilki_base_json_root(j), "weight_map") : 0;
    for (ilki_json_node i = ilki_base_json_first(j, map); i && st == ILK_OK; i = ilki_base_json_next(j, i)) {
        size_t n;
        uint32_t old;
        const char *name = ilki_base_json_string(j, i, &n);
        if (!name || !ilki_base_map_put(&seen, name, n, 1, &old) || old != ILKI_MAP_NONE)
            continue;
        st = hash_file(m, m->dir, name, job, hex, err);
        ilki_base_sha256_add(sha, "shard\t", 6);
        ilki_base_sha256_add(sha, hex, 64);
        ilki_base_sha256_add(sha, "\n", 1);
    }
    ilki_base_map_deinit(&seen);
    ilki_base_json_free(j);
    return st;
}

static ilk_status compute(ilk_model *m, bool projected, ilk_job *job, char out[65], ilk_error *err)
{
    entry list[MAX_ROLES];
    ilki_sha256 sha;
    uint8_t digest[32];
    size_t n = collect(m, projected, list);
    ilk_status st = ILK_OK;
    qsort(list, n, sizeof *list, by_role);
    ilki_base_sha256_init(&sha);
    for (size_t i = 0; i < n && st == ILK_OK; i++) {
        st = hash_file(m, list[i].dir, list[i].path, job, list[i].hex, err);
        ilki_base_sha256_add(&sha, list[i].role, strlen(list[i].role));
        ilki_base_sha256_add(&sha, "\t", 1);
        ilki_base_sha256_add(&sha, list[i].hex, 64);
        ilki_base_sha256_add(&sha, "\n", 1);
    }
    size_t len = strlen(m->weights_path);
    if (st == ILK_OK && len > 5 && strcmp(m->weights_path + len - 5, ".json") == 0)
        st = hash_shards(m, job, &sha, err);
    ilki_base_sha256_end(&sha, digest);
    if (st == ILK_OK) {
        ilki_base_hex(digest, sizeof digest, out);
        remember_folder(m, out);
    }
    return st;
}

ilk_status ilki_embed_fingerprint(ilk_model *m, ilk_job *job, const char **hex, ilk_error *err)
{
    char out[65];
    pthread_mutex_lock(&m->lock);
    bool known = m->fingerprint[0] != 0;
    pthread_mutex_unlock(&m->lock);
    if (!known) {
        ilk_status st = compute(m, true, job, out, err);
        if (st != ILK_OK)
            return st;
        pthread_mutex_lock(&m->lock);
        if (!m->fingerprint[0])
            memcpy(m->fingerprint, out, sizeof out);
        m->info.fingerprint = m->fingerprint;
        pthread_mutex_unlock(&m->lock);
    }
    *hex = m->fingerprint;
    return ILK_OK;
}

/* A projection says whose vectors it was fitted on: behind another model, even one of the same dimension, it gives noise. */
static ilk_status check_source(ilk_model *m, ilk_job *job, ilk_error *err)
{
    const ilki_projection *p = m->projection;
    char hex[65];
    if (!p || !p->source[0])
        return ILK_OK;
    ilk_status st = compute(m, false, job, hex, err);
    if (st == ILK_OK && strcmp(hex, p->source) != 0)
        st = ilki_base_fail(
            err, ILK_MISMATCH,
            "projection %s was fitted behind %s (%.12s), the model before it is %.12s: vectors of the one "
            "mean nothing to the other",
            m->info.projection, p->source_model ? p->source_model : "another model", p->source, hex);
    return st;
}

bool ilki_embed_joins(const ilk_model *m, const char *hex, const ilk_space *space)
{
    const char *own[2] = {hex, m->projection && m->projection->target[0] ? m->projection->target : NULL};
    const char *theirs[2] = {space->fingerprint, space->projection[1]};
    for (size_t i = 0; i < 4; i++)
        if (own[i / 2] && theirs[i % 2] && strcmp(own[i / 2], theirs[i % 2]) == 0)
            return true;
    return false;
}

ilk_status ilki_embed_space(ilk_model *m, ilk_job *job, const ilk_space **space, ilk_error *err)
{
    const char *hex;
    const char *target = m->projection && m->projection->target[0] ? m->projection->target : NULL;
    ilk_status st = ilki_embed_fingerprint(m, job, &hex, err);
    pthread_mutex_lock(&m->lock);
    bool made = m->space.size != 0;
    pthread_mutex_unlock(&m->lock);
    if (st == ILK_OK && !made)
        st = check_source(m, job, err);
    if (st != ILK_OK)
        return st;
    pthread_mutex_lock(&m->lock);
    if (m->space.size == 0)
        m->space = (ilk_space){.size = sizeof m->space,
                               .name = m->image_tower < 0 ? "text" : "image",
                               .kind = ILK_DENSE,
                               .dim = m->info.dim,
                               .metric = strcmp(m->info.similarity, "dot") == 0         ? ILK_DOT
                                         : strcmp(m->info.similarity, "euclidean") == 0 ? ILK_NEG_L2
                                                                                        : ILK_COSINE,
                               .normalized = m->info.normalized,
                               .fingerprint = hex,
                               .model = m->info.id,
                               .pooling = m->info.pooling,
                               .layer = -1,
                               .precision = m->info.precision_name,
                               .tokenizer = "default",
                               .prompt = {m->info.prompt_query, m->info.prompt_document},
                               .projection = {target, target}};
    pthread_mutex_unlock(&m->lock);
    *space = &m->space;
    return ILK_OK;
}
