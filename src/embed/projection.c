/* SPDX-License-Identifier: Apache-2.0
 * A projection is two modules more at the end of the chain, a Dense one and what brings its output to unit length; before
 * it stands unit length too, whatever the checkpoint's own chain ends with: both ends are compared by the cosine, so a fit
 * on unit vectors has no other meaning. */
#include "embed/projection.h"

#include <stdlib.h>
#include <string.h>

ilk_status ilki_embed_split_where(const ilki_vfs *vfs, const char *where, char **model, char **path, ilk_error *err)
{
    const char *mark = strstr(where, ILKI_PROJECTION_MARK);
    ilki_stat info;
    *path = NULL;
    if (mark && vfs->stat(vfs, where, true, &info, NULL) == ILK_OK)
        mark = NULL;
    *model = ilki_base_strndup(where, mark ? (size_t)(mark - where) : strlen(where));
    if (mark)
        *path = ilki_base_strndup(mark + strlen(ILKI_PROJECTION_MARK), strlen(mark + strlen(ILKI_PROJECTION_MARK)));
    if (*model && (!mark || *path))
        return ILK_OK;
    free(*model);
    *model = NULL;
    return ilki_base_fail_memory(err, strlen(where), "a name");
}

/* ------------------------------------------------------------------ its files */

/* A folder has a Dense module's files; else `path` is its weights. */
static ilk_status find_files(ilki_projection *p, const ilki_vfs *vfs, const char *path, ilk_error *err)
{
    ilki_stat info;
    ilk_status st = vfs->stat(vfs, path, true, &info, err);
    if (st != ILK_OK) {
        ilki_base_error_prefix(err, "projection");
        return st;
    }
    bool folder = info.type == ILKI_FILE_DIR;
    const char *name = folder ? ilki_embed_dense_file(vfs, path) : ilki_base_path_name(path);
    p->dir = folder ? ilki_base_strndup(path, strlen(path)) : ilki_base_path_dir(path);
    p->weights = ilki_base_strndup(name, strlen(name));
    if (folder)
        p->config = ilki_base_strndup("config.json", strlen("config.json"));
    return p->dir && p->weights && (!folder || p->config) ? ILK_OK : ilki_base_fail_memory(err, strlen(path), "a path");
}

static ilk_status read_folder(ilki_projection *p, ilki_module *to, const ilki_vfs *vfs, uint32_t dim,
                              const ilki_kern_ops *ops, ilk_error *err)
{
    ilki_json *j = NULL;
    char *label = ilki_base_path_join(p->dir, p->config);
    ilk_status st = label ? ilki_embed_read_json(&j, vfs, p->dir, p->config, true, err)
                          : ilki_base_fail_memory(err, strlen(p->dir), "a path");
    if (st == ILK_OK)
        st = ilki_embed_read_dense(to, vfs, p->dir, label, j, ops, dim, err);
    ilki_base_json_free(j);
    free(label);
    return st;
}

static ilk_status read_file(ilki_projection *p, ilki_module *to, const ilki_vfs *vfs, uint32_t dim,
                            const ilki_kern_ops *ops, ilk_error *err)
{
    char *path = ilki_base_path_join(p->dir, p->weights), found[96] = "nothing";
    const char *paths[1] = {path};
    ilk_status st = path ? ilki_format_open(&to->weights, vfs, paths, 1, false, err)
                         : ilki_base_fail_memory(err, strlen(p->dir), "a path");
    const ilki_tensor *w = st == ILK_OK ? ilki_format_find(to->weights, "linear.weight") : NULL,
                      *b = st == ILK_OK ? ilki_format_find(to->weights, "linear.bias") : NULL;
    if (w)
        ilki_tensor_print_shape(w, found, sizeof found);
    if (st == ILK_OK && !(w && w->rank == 2 && w->shape[0] >= 1 && w->shape[0] <= 1 << 20 && w->shape[1] == dim))
        st = ilki_base_fail(err, w && w->rank == 2 ? ILK_MISMATCH : ILK_BAD_FORMAT,
                            "%s: tensor linear.weight: expected [out, %u], %u being what comes in, found %s", path, dim,
                            dim, found);
    if (b)
        ilki_tensor_print_shape(b, found, sizeof found);
    if (st == ILK_OK && b && !(b->rank == 1 && b->shape[0] == w->shape[0]))
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor linear.bias: expected [%llu], found %s", path,
                            (unsigned long long)w->shape[0], found);
    const ilki_tensor *biases[1] = {b};
    if (st == ILK_OK)
        st = ilki_tensor_linear_init(&to->dense, ops, &w, biases, 1, err);
    free(path);
    return st;
}

/* ------------------------------------------------------------------ what ilk keeps beside it */

static ilk_status read_side(const ilki_json *j, const char *name, char hex[65], const char **model, ilki_arena *arena,
                            ilk_error *err)
{
    size_t n, n_model;
    ilki_json_node side = ilki_base_json_get(j, ilki_base_json_root(j), name);
    const char *s = ilki_base_json_string(j, ilki_base_json_get(j, side, "fingerprint"), &n);
    const char *said = ilki_base_json_string(j, ilki_base_json_get(j, side, "model"), &n_model);
    if (s && (n != 64 || strspn(s, "0123456789abcdef") != 64))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s.fingerprint: expected 64 hexadecimal digits, found \"%.80s\"",
                              name, s);
    if (s)
        memcpy(hex, s, 65);
    if (said && !(*model = ilki_base_arena_strndup(arena, said, n_model)))
        return ilki_base_fail_memory(err, n_model, "a name");
    return ILK_OK;
}

static ilk_status read_about(ilki_projection *p, const ilki_vfs *vfs, ilki_arena *arena, ilk_error *err)
{
    ilki_json *j = NULL;
    ilk_status st = ilki_embed_read_json(&j, vfs, p->dir, ILKI_PROJECTION_ABOUT, false, err);
    if (st == ILK_OK && j) {
        st = read_side(j, "source", p->source, &p->source_model, arena, err);
        if (st == ILK_OK)
            st = read_side(j, "target", p->target, &p->target_model, arena, err);
        if (st != ILK_OK)
            ilki_base_error_prefix(err, "%s/" ILKI_PROJECTION_ABOUT, p->dir);
    }
    ilki_base_json_free(j);
    return st;
}

/* ------------------------------------------------------------------ the chain */

ilk_status ilki_embed_open_projection(ilki_projection **out, ilki_modules *m, const ilki_vfs *vfs, const char *path,
                                      uint32_t dim, const ilki_kern_ops *ops, ilki_arena *arena, ilk_error *err)
{
    bool unit = m->n && m->list[m->n - 1].kind == ILKI_MODULE_NORMALIZE;
    ilki_projection *p = ilki_base_zalloc(1, sizeof *p);
    *out = p;
    if (!p)
        return ilki_base_fail_memory(err, sizeof *p, "a projection");
    if (m->truncate_dim && m->truncate_dim < dim)
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "projection %s: expected vectors that the checkpoint leaves whole, found truncate_dim %u",
                              path, m->truncate_dim);
    if (m->n + 2u + !unit > ILKI_EMBED_MODULES)
        return ilki_base_fail(err, ILK_LIMIT, "projection %s: more than %d modules", path, ILKI_EMBED_MODULES);
    ilk_status st = find_files(p, vfs, path, err);
    if (st != ILK_OK)
        return st;
    if (!unit)
        m->list[m->n++].kind = ILKI_MODULE_NORMALIZE;
    ilki_module *to = &m->list[m->n++]; /* first, so that half of it is freed too */
    to->kind = ILKI_MODULE_DENSE;
    st = p->config ? read_folder(p, to, vfs, dim, ops, err) : read_file(p, to, vfs, dim, ops, err);
    if (st == ILK_OK)
        st = read_about(p, vfs, arena, err);
    if (st != ILK_OK) {
        ilki_base_error_prefix(err, "projection");
        return st;
    }
    p->n_in = dim;
    p->n_out = (uint32_t)to->dense.n_out;
    m->list[m->n++].kind = ILKI_MODULE_NORMALIZE;
    m->similarity = "cosine";
    return ILK_OK;
}

void ilki_embed_free_projection(ilki_projection *p)
{
    if (!p)
        return;
    free(p->dir);
    free(p->weights);
    free(p->config);
    free(p);
}
