/* SPDX-License-Identifier: Apache-2.0
 * The set of tensors behind one model, and the table of formats. Files stay mapped (or in memory) until the set is
 * closed; names are found by a hash map. */
#include "format/format.h"

#include <stdlib.h>
#include <string.h>

#include "format/set.h"

static const ilki_format *const formats[] = {&ilki_format_shards, &ilki_format_safetensors, &ilki_format_torchzip,
                                             &ilki_format_npy};

static ilk_status grow(void **array, size_t *cap, size_t n, size_t size, const char *what, ilk_error *err)
{
    size_t want = *cap ? *cap : 8, n_bytes = 0;
    while (want < n && ilki_base_mul(want, 2, &want))
        ;
    if (n <= *cap)
        return ILK_OK;
    if (want < n || !ilki_base_mul(want, size, &n_bytes) || n_bytes > SIZE_MAX / 2)
        return ilki_base_fail(err, ILK_LIMIT, "%zu %s", n, what);
    void *p = realloc(*array, n_bytes);
    if (!p)
        return ilki_base_fail_memory(err, n_bytes, what);
    *array = p;
    *cap = want;
    return ILK_OK;
}

ilk_status ilki_format_reserve(ilki_weights *w, size_t n, ilk_error *err)
{
    size_t total = 0;
    if (!ilki_base_add(w->n_tensors, n, &total) || total >= ILKI_MAP_NONE)
        return ilki_base_fail(err, ILK_LIMIT, "%s: %zu tensors", w->files[w->n_files - 1].path, n);
    if (!ilki_base_map_reserve(&w->by_name, total))
        return ilki_base_fail_memory(err, total, "tensor names");
    return grow((void **)&w->tensors, &w->cap_tensors, total, sizeof *w->tensors, "tensors", err);
}

ilk_status ilki_format_add(ilki_weights *w, const ilki_tensor *t, size_t n_name, ilk_error *err)
{
    uint32_t old = ILKI_MAP_NONE;
    const char *file = w->files[w->n_files - 1].path, *name = ilki_base_arena_strndup(&w->arena, t->name, n_name);
    if (!name)
        return ilki_base_fail_memory(err, n_name, "a tensor's name");
    ilk_status s = ilki_format_reserve(w, 1, err);
    if (s != ILK_OK)
        return s;
    if (!ilki_base_map_put(&w->by_name, name, n_name, (uint32_t)w->n_tensors, &old))
        return ilki_base_fail_memory(err, n_name, "a tensor's name");
    if (old != ILKI_MAP_NONE)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: %s: expected a name of its own, found it in %s too", file, name,
                              w->tensors[old].file);
    ilki_tensor *to = &w->tensors[w->n_tensors++];
    *to = *t;
    to->name = name;
    to->file = file;
    return ILK_OK;
}

static const ilki_format *find_format(const ilki_format_file *f)
{
    unsigned char head[16] = {0};
    size_t n = f->bytes.size < sizeof head ? f->bytes.size : sizeof head;
    if (n)
        memcpy(head, f->bytes.data, n);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i]->probe(head, n, f->path))
            return formats[i];
    return NULL;
}

ilk_status ilki_format_add_file(ilki_weights *w, const char *path, const ilki_format *as, ilk_error *err)
{
    ilk_status s = grow((void **)&w->files, &w->cap_files, w->n_files + 1, sizeof *w->files, "weight files", err);
    if (s != ILK_OK)
        return s;
    ilki_format_file *f = &w->files[w->n_files];
    *f = (ilki_format_file){.path = ilki_base_arena_strndup(&w->arena, path, strlen(path))};
    if (!f->path)
        return ilki_base_fail_memory(err, strlen(path), "a path");
    s = ilki_base_map_file(w->vfs, path, w->no_mmap, &f->bytes, err);
    if (s != ILK_OK)
        return s;
    w->n_files++;
    const ilki_format *found = as ? as : find_format(f);
    if (!found)
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "%s: expected a weight file (safetensors, zip of torch.save), found none by its name "
                              "or first bytes",
                              path);
    return found->read(w, err);
}

ilk_status ilki_format_open(ilki_weights **out, const ilki_vfs *vfs, const char *const *paths, size_t n_paths,
                            bool no_mmap, ilk_error *err)
{
    *out = NULL;
    ilki_weights *w = ilki_base_zalloc(1, sizeof *w);
    if (!w)
        return ilki_base_fail_memory(err, sizeof *w, "weights");
    w->vfs = vfs;
    w->no_mmap = no_mmap;
    for (size_t i = 0; i < n_paths; i++) {
        ilk_status s = ilki_format_add_file(w, paths[i], NULL, err);
        if (s != ILK_OK) {
            ilki_format_close(w);
            return s;
        }
    }
    *out = w;
    return ILK_OK;
}

void ilki_format_close(ilki_weights *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n_files; i++)
        ilki_base_unmap_file(&w->files[i].bytes);
    free(w->files);
    free(w->tensors);
    ilki_base_map_deinit(&w->by_name);
    ilki_base_arena_deinit(&w->arena);
    free(w);
}

size_t ilki_format_count(const ilki_weights *w)
{
    return w->n_tensors;
}

const ilki_tensor *ilki_format_view(const ilki_weights *w, size_t i)
{
    return i < w->n_tensors ? &w->tensors[i] : NULL;
}

const ilki_tensor *ilki_format_find(const ilki_weights *w, const char *name)
{
    uint32_t i = ilki_base_map_get(&w->by_name, name, strlen(name));
    return i == ILKI_MAP_NONE ? NULL : &w->tensors[i];
}

ilk_status ilki_format_own_f32(ilki_weights *w, const ilki_tensor *t, float **data, ilk_error *err)
{
    ilki_tensor *own = &w->tensors[t - w->tensors];
    size_t n = 0;
    float *copy = ilki_tensor_count(t, &n) ? ilki_base_arena_alloc(&w->arena, n, sizeof *copy) : NULL;
    if (!copy)
        return ilki_base_fail_memory(err, n * sizeof *copy, t->name);
    ilk_status s = ilki_tensor_read_f32(t, 0, n, copy, err);
    if (s != ILK_OK)
        return s;
    own->dtype = ILKI_DTYPE_F32;
    own->data = (const unsigned char *)copy;
    own->n_bytes = n * sizeof *copy;
    *data = copy;
    return ILK_OK;
}

uint64_t ilki_format_bytes(const ilki_weights *w)
{
    uint64_t n = 0;
    for (size_t i = 0; i < w->n_files; i++)
        n += w->files[i].bytes.size;
    return n;
}

void ilki_format_will_need(const ilki_weights *w, const ilki_tensor *t)
{
    for (size_t i = 0; i < w->n_files; i++)
        ilki_base_will_need(&w->files[i].bytes, t->data, (size_t)t->n_bytes);
}

void ilki_format_done_with(const ilki_weights *w, const ilki_tensor *t)
{
    for (size_t i = 0; i < w->n_files; i++)
        ilki_base_done_with(&w->files[i].bytes, t->data, (size_t)t->n_bytes);
}
