/* SPDX-License-Identifier: Apache-2.0
 * Where a model is read from. An existing path wins; else "org/name" or "org/name@revision" is looked for in the Hugging
 * Face cache, in place: models--org--name/refs/REV holds a commit, snapshots/COMMIT the files, most of them links into
 * blobs/. A short name of known.def stands for its id where the cache has nothing of its own spelling. Nothing is
 * fetched. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "embed/embed.h"
#include "embed/known.h"

#define MAX_PATH_BYTES 4096

/* The cache's folder as huggingface_hub finds it. */
static bool hub_dir(ilki_buf *to)
{
    static const struct {
        const char *variable, *below;
    } places[] = {{"HF_HUB_CACHE", ""},
                  {"HUGGINGFACE_HUB_CACHE", ""},
                  {"HF_HOME", "/hub"},
                  {"XDG_CACHE_HOME", "/huggingface/hub"},
                  {"HOME", "/.cache/huggingface/hub"}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *value = getenv(places[i].variable);
        if (value && *value)
            return ilki_base_buf_addf(to, "%s%s", value, places[i].below);
    }
    return false;
}

/* One or two parts of [A-Za-z0-9._-], no part "." or "..", as the hub has it. */
static bool is_id(const char *s, size_t n)
{
    size_t slashes = 0, part = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '/') {
            if (part == 0 || ++slashes > 1)
                return false;
            part = 0;
        } else if (isalnum((unsigned char)s[i]) || strchr("._-", s[i])) {
            part++;
        } else {
            return false;
        }
    }
    return part > 0 && s[0] != '.' && !strstr(s, "..");
}

static bool is_commit(const char *s)
{
    return strlen(s) == 40 && strspn(s, "0123456789abcdef") == 40;
}

/* The commit that refs/REVISION names; REVISION itself where it is one. */
static ilk_status read_ref(const ilki_vfs *vfs, const char *repo, const char *revision, char commit[41], ilk_error *err)
{
    char *text = NULL;
    size_t n;
    ilki_buf path;
    if (is_commit(revision)) {
        memcpy(commit, revision, 41);
        return ILK_OK;
    }
    ilki_base_buf_init(&path, MAX_PATH_BYTES);
    ilki_base_buf_addf(&path, "%s/refs/%s", repo, revision);
    ilk_status st = ilki_base_buf_check(&path, "a path", err);
    if (st == ILK_OK)
        st = ilki_base_read_file(vfs, path.data, 4096, &text, &n, err);
    if (st == ILK_OK) {
        text[strcspn(text, " \t\r\n")] = 0;
        if (is_commit(text))
            memcpy(commit, text, 41);
        else
            st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected a commit of 40 hex digits", path.data);
    }
    free(text);
    ilki_base_buf_deinit(&path);
    return st;
}

/* "minilm@v1" is a short name and a revision. */
static const ilk_known *short_name(const char *where)
{
    const ilk_known *known = ilki_embed_known_find(where, strcspn(where, "@"));
    return known && !strchr(where, '/') ? known : NULL;
}

ilk_status ilki_embed_cache_repo(const char *where, ilki_model_id *id, ilk_error *err)
{
    const char *at = strchr(where, '@');
    size_t n = at ? (size_t)(at - where) : strlen(where);
    ilki_buf repo;
    *id = (ilki_model_id){.revision = at ? at + 1 : "main"};
    if (!is_id(where, n) || *id->revision == 0 || strstr(id->revision, "..") || *id->revision == '/')
        return ilki_base_fail(err, ILK_NOT_FOUND,
                              "%s: no such file or directory, and not an id \"org/name\", and not a short name", where);
    ilki_base_buf_init(&repo, MAX_PATH_BYTES);
    if (!hub_dir(&repo)) {
        ilki_base_buf_deinit(&repo);
        return ilki_base_fail(err, ILK_NOT_FOUND,
                              "%s: no such directory, and no Hugging Face cache: none of HF_HUB_CACHE, HF_HOME, "
                              "XDG_CACHE_HOME and HOME is set",
                              where);
    }
    id->n_hub = repo.len;
    ilki_base_buf_adds(&repo, "/models--");
    for (size_t i = 0; i < n; i++)
        ilki_base_buf_adds(&repo, where[i] == '/' ? "--" : (char[2]){where[i], 0});
    ilk_status st = ilki_base_buf_check(&repo, "a path", err);
    id->id = ilki_base_strndup(where, n);
    if (st == ILK_OK && !id->id)
        st = ilki_base_fail_memory(err, n, "an id");
    if (st == ILK_OK)
        id->repo = ilki_base_buf_take(&repo, NULL);
    else
        ilki_embed_free_id(id);
    ilki_base_buf_deinit(&repo);
    return st;
}

void ilki_embed_free_id(ilki_model_id *id)
{
    free(id->id);
    free(id->repo);
    id->id = id->repo = NULL;
}

/* The snapshot of id@revision. */
static ilk_status snapshot(const ilki_vfs *vfs, const ilki_model_id *id, const char *where, char **dir, ilk_error *err)
{
    ilki_stat info;
    ilki_buf path;
    char commit[41];
    ilk_status st = read_ref(vfs, id->repo, id->revision, commit, err);
    if (st == ILK_NOT_FOUND) /* so it is while a fetch has not ended */
        return ilki_base_fail(err, st, "%s: revision %s is not in the cache: no %s/refs/%s", where, id->revision,
                              id->repo, id->revision);
    if (st != ILK_OK)
        return st;
    ilki_base_buf_init(&path, MAX_PATH_BYTES);
    ilki_base_buf_addf(&path, "%s/snapshots/%s", id->repo, commit);
    if (path.failed || vfs->stat(vfs, path.data, true, &info, NULL) != ILK_OK || info.type != ILKI_FILE_DIR)
        st = ilki_base_fail(err, ILK_NOT_FOUND, "%s: revision %s is not in the cache: no %s", where, id->revision,
                            ilki_base_buf_view(&path));
    else
        *dir = ilki_base_buf_take(&path, NULL);
    ilki_base_buf_deinit(&path);
    return st;
}

static ilk_status in_cache(const ilki_vfs *vfs, const char *where, char **dir, char **name, ilk_error *err)
{
    ilki_stat info;
    ilki_model_id id;
    char *full = NULL;
    const ilk_known *known = short_name(where);
    ilk_status st = ilki_embed_cache_repo(where, &id, err);
    bool there = st == ILK_OK && vfs->stat(vfs, id.repo, true, &info, NULL) == ILK_OK;
    if (st == ILK_OK && !there && known) {
        const char *revision = strchr(where, '@');
        ilki_buf b;
        ilki_embed_free_id(&id);
        ilki_base_buf_init(&b, MAX_PATH_BYTES);
        ilki_base_buf_addf(&b, "%s%s", known->id, revision ? revision : "");
        st = ilki_base_buf_check(&b, "an id", err);
        full = ilki_base_buf_take(&b, NULL);
        if (st == ILK_OK)
            st = ilki_embed_cache_repo(full, &id, err);
        there = st == ILK_OK && vfs->stat(vfs, id.repo, true, &info, NULL) == ILK_OK;
    }
    if (st == ILK_OK && !there && full)
        st = ilki_base_fail(err, ILK_NOT_FOUND, "%s (%s): not in the Hugging Face cache (%s)", where, full, id.repo);
    else if (st == ILK_OK && !there)
        st = ilki_base_fail(err, ILK_NOT_FOUND, "%s: no such directory, and not in the Hugging Face cache (%s)", where,
                            id.repo);
    if (st == ILK_OK)
        st = snapshot(vfs, &id, where, dir, err);
    ilki_embed_free_id(&id);
    if (st == ILK_OK && full)
        *name = full;
    else
        free(full);
    return st;
}

ilk_status ilki_embed_resolve(const ilki_vfs *vfs, const char *where, char **dir, char **name, ilk_error *err)
{
    ilki_stat info;
    ilk_status st = ILK_OK;
    *dir = *name = NULL;
    if (*where == 0)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "model: expected a directory or an id, found an empty name");
    if (strlen(where) > MAX_PATH_BYTES)
        return ilki_base_fail(err, ILK_LIMIT, "model: a name of %zu bytes, at most %d", strlen(where), MAX_PATH_BYTES);
    if (vfs->stat(vfs, where, true, &info, NULL) != ILK_OK)
        st = in_cache(vfs, where, dir, name, err);
    else if (info.type == ILKI_FILE_DIR || info.type == ILKI_FILE_REGULAR)
        *dir = ilki_base_strndup(where, strlen(where));
    else
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: expected a directory or a file, found neither", where);
    if (st == ILK_OK && !*name)
        *name = ilki_base_strndup(where, strlen(where));
    if (st == ILK_OK && *dir && *name)
        return ILK_OK;
    free(*dir);
    free(*name);
    *dir = *name = NULL;
    return st != ILK_OK ? st : ilki_base_fail_memory(err, strlen(where), "a path");
}
