/* SPDX-License-Identifier: Apache-2.0
 * model.safetensors.index.json and pytorch_model.bin.index.json: {"metadata": ..., "weight_map": {tensor name: file
 * name}}. The files lie beside the index; a name with a path separator is refused, so that an index cannot point out of
 * its folder. Each tensor of the map must be in the file that it says; the files may hold more, as in the reference. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "format/set.h"

#define MAX_INDEX 100000000 /* bytes */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), n_end = strlen(end);
    return n >= n_end && strcmp(s + n - n_end, end) == 0;
}

static bool probe(const unsigned char *head, size_t n, const char *path)
{
    return n > 0 && head[0] != 0 && ends_with(path, ".index.json");
}

static ilk_status check_name(const char *path, const char *tensor, const char *name, size_t len, ilk_error *err)
{
    if (!name)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor %s: expected a file's name, found another value", path,
                              tensor);
    if (len == 0 || memchr(name, 0, len) || strpbrk(name, "/\\") || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor %s: expected a file's name without a path, found \"%s\"",
                              path, tensor, name);
    return ILK_OK;
}

/* The file beside the index; opened at its first mention. */
static ilk_status add_shard(ilki_weights *w, const char *index_path, const char *name, ilki_map *seen, ilk_error *err)
{
    size_t dir = (size_t)(ilki_base_path_name(index_path) - index_path);
    uint32_t old = ILKI_MAP_NONE;
    if (!ilki_base_map_put(seen, name, strlen(name), 1, &old))
        return ilki_base_fail_memory(err, strlen(name), "a shard's name");
    if (old != ILKI_MAP_NONE)
        return ILK_OK;
    char *path = ilki_base_zalloc(dir + strlen(name) + 1, 1);
    if (!path)
        return ilki_base_fail_memory(err, dir + strlen(name) + 1, "a path");
    memcpy(path, index_path, dir);
    memcpy(path + dir, name, strlen(name));
    /* by its name, so that no index can name another, or itself */
    const ilki_format *as = ends_with(name, ".bin") || ends_with(name, ".pt") ? &ilki_format_torchzip
                                                                              : &ilki_format_safetensors;
    ilk_status s = ilki_format_add_file(w, path, as, err);
    free(path);
    return s;
}

static ilk_status read_map(ilki_weights *w, const char *path, const ilki_json *j, ilki_map *seen, ilk_error *err)
{
    ilki_json_node map = ilki_base_json_get(j, ilki_base_json_root(j), "weight_map"), node;
    size_t len = 0;
    if (ilki_base_json_type(j, map) != ILKI_JSON_OBJECT)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected an object \"weight_map\", found none", path);
    for (node = ilki_base_json_first(j, map); node; node = ilki_base_json_next(j, node)) {
        const char *tensor = ilki_base_json_key(j, node, &len), *name = ilki_base_json_string(j, node, &len);
        ilk_status s = check_name(path, tensor, name, len, err);
        if (s == ILK_OK)
            s = add_shard(w, path, name, seen, err);
        if (s != ILK_OK)
            return s;
    }
    for (node = ilki_base_json_first(j, map); node; node = ilki_base_json_next(j, node)) {
        const char *tensor = ilki_base_json_key(j, node, &len), *name = ilki_base_json_string(j, node, &len);
        const ilki_tensor *t = ilki_format_find(w, tensor);
        if (!t || strcmp(ilki_base_path_name(t->file), name) != 0)
            return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor %s: expected it in %s, found it in %s", path, tensor,
                                  name, t ? t->file : "no file");
    }
    return ILK_OK;
}

static ilk_status read_index(ilki_weights *w, ilk_error *err)
{
    /* `files` moves while shards are added; the path and the mapped bytes do not */
    const char *path = w->files[w->n_files - 1].path;
    const ilki_mapped m = w->files[w->n_files - 1].bytes;
    ilki_json_limits limits = {.max_bytes = MAX_INDEX, .max_depth = 16, .unique_keys = true};
    ilki_json *json = NULL;
    ilki_map seen = {0};
    ilk_status s = ilki_base_json_parse(&json, (const char *)m.data, m.size, path, &limits, err);
    if (s == ILK_OK)
        s = read_map(w, path, json, &seen, err);
    ilki_base_map_deinit(&seen);
    ilki_base_json_free(json);
    return s;
}

const ilki_format ilki_format_shards = {"safetensors index", probe, read_index};
