/* SPDX-License-Identifier: Apache-2.0
 * The files of a sentence-transformers folder, in the layouts before and since 5.4 (names of types moved, pooling_mode
 * became one member). A module is known by the last component of its type. What is not built is refused by name: a chain
 * that is half applied gives wrong vectors that look right. */
#include "embed/modules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_JSON_BYTES ((size_t)64 << 20)

ilk_status ilki_embed_read_json(ilki_json **out, const ilki_vfs *vfs, const char *dir, const char *name, bool required,
                                ilk_error *err)
{
    *out = NULL;
    char *text = NULL, *path = ilki_base_path_join(dir, name);
    size_t n = 0;
    if (!path)
        return ilki_base_fail_memory(err, strlen(dir) + strlen(name), "a path");
    ilk_status st = ilki_base_read_file(vfs, path, MAX_JSON_BYTES, &text, &n, err);
    if (st == ILK_NOT_FOUND && !required)
        st = ILK_OK;
    else if (st == ILK_OK)
        st = ilki_base_json_parse(out, text, n, path, NULL, err);
    free(text);
    free(path);
    return st;
}

/* ------------------------------------------------------------------ pooling */

static const struct {
    unsigned bit;
    const char *flag, *name; /* before 5.4; since */
} poolings[] = {
    {ILKI_POOL_CLS, "pooling_mode_cls_token", "cls"},
    {ILKI_POOL_MAX, "pooling_mode_max_tokens", "max"},
    {ILKI_POOL_MEAN, "pooling_mode_mean_tokens", "mean"},
    {ILKI_POOL_MEAN_SQRT, "pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"},
    {ILKI_POOL_WEIGHTED, "pooling_mode_weightedmean_tokens", "weightedmean"},
    {ILKI_POOL_LAST, "pooling_mode_lasttoken", "lasttoken"},
};

void ilki_embed_pooling_name(unsigned pooling, char *to, size_t n_bytes)
{
    size_t used = 0;
    to[0] = 0;
    for (size_t i = 0; i < sizeof poolings / sizeof *poolings; i++)
        if (pooling & poolings[i].bit && used < n_bytes)
            used += (size_t)snprintf(to + used, n_bytes - used, "%s%s", used ? "+" : "", poolings[i].name);
}

static ilk_status add_pooling(const ilki_json *j, ilki_json_node node, const char *file, unsigned *pooling,
                              ilk_error *err)
{
    const char *name = ilki_base_json_string(j, node, NULL);
    for (size_t i = 0; name && i < sizeof poolings / sizeof *poolings; i++)
        if (strcmp(name, poolings[i].name) == 0 || strcmp(name, poolings[i].flag + strlen("pooling_mode_")) == 0) {
            *pooling |= poolings[i].bit;
            return ILK_OK;
        }
    return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: pooling_mode \"%s\" is not one that is built", file,
                          name ? name : "?");
}

static ilk_status read_pooling(ilki_modules *m, const ilki_json *j, const char *file, uint32_t dim, ilk_error *err)
{
    ilki_json_node root = ilki_base_json_root(j), mode = ilki_base_json_get(j, root, "pooling_mode");
    ilk_status st = ILK_OK;
    int64_t said = dim;
    if (ilki_base_json_type(j, mode) == ILKI_JSON_ARRAY)
        for (ilki_json_node i = ilki_base_json_first(j, mode); i && st == ILK_OK; i = ilki_base_json_next(j, i))
            st = add_pooling(j, i, file, &m->pooling, err);
    else if (mode)
        st = add_pooling(j, mode, file, &m->pooling, err);
    else
        for (size_t i = 0; i < sizeof poolings / sizeof *poolings; i++)
            if (ilki_base_json_bool(j, ilki_base_json_get(j, root, poolings[i].flag), false))
                m->pooling |= poolings[i].bit;
    if (st != ILK_OK)
        return st;
    if (m->pooling == 0)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: expected a pooling mode, found none that is on", file);
    ilki_json_node width = ilki_base_json_get(j, root, "word_embedding_dimension");
    if (!width)
        width = ilki_base_json_get(j, root, "embedding_dimension");
    if (width && (!ilki_base_json_int(j, width, 1, INT32_MAX, &said) || said != (int64_t)dim))
        return ilki_base_fail(err, ILK_MISMATCH, "%s: embedding dimension %lld, but the network's is %u", file,
                              (long long)said, dim);
    m->skip_prompt = !ilki_base_json_bool(j, ilki_base_json_get(j, root, "include_prompt"), true);
    return ILK_OK;
}

/* ------------------------------------------------------------------ dense */

static ilk_status read_activation(const ilki_json *j, const char *file, ilki_act *act, ilk_error *err)
{
    static const struct {
        const char *name;
        ilki_act act;
    } acts[] = {{"Identity", ILKI_ACT_NONE}, {"Tanh", ILKI_ACT_TANH}, {"GELU", ILKI_ACT_GELU},
                {"ReLU", ILKI_ACT_RELU},     {"SiLU", ILKI_ACT_SILU}, {"Sigmoid", ILKI_ACT_SIGMOID}};
    ilki_json_node node = ilki_base_json_get(j, ilki_base_json_root(j), "activation_function");
    const char *name = ilki_base_json_string(j, node, NULL), *dot;
    *act = ILKI_ACT_TANH; /* the reference's default */
    if (!name)
        return ILK_OK;
    if ((dot = strrchr(name, '.')) != NULL)
        name = dot + 1;
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (strcmp(name, acts[i].name) == 0) {
            *act = acts[i].act;
            return ILK_OK;
        }
    return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: activation_function \"%s\" is not one that is built", file, name);
}

static ilk_status check_shape(const ilki_tensor *t, const char *file, const char *name, unsigned rank, int64_t rows,
                              int64_t cols, ilk_error *err)
{
    char found[96] = "nothing";
    if (t)
        ilki_tensor_print_shape(t, found, sizeof found);
    if (t && t->rank == rank && t->shape[0] == (uint64_t)rows && (rank == 1 || t->shape[1] == (uint64_t)cols))
        return ILK_OK;
    if (rank == 1)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor %s: expected [%lld], found %s", file, name,
                              (long long)rows, found);
    return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor %s: expected [%lld, %lld], found %s", file, name,
                          (long long)rows, (long long)cols, found);
}

/* Its weights' file: what the reference looks for first, else what older folders have. */
const char *ilki_embed_dense_file(const ilki_vfs *vfs, const char *dir)
{
    static const char *const names[] = {"model.safetensors", "pytorch_model.bin"};
    char *bin = ilki_base_path_join(dir, names[1]), *path = ilki_base_path_join(dir, names[0]);
    ilki_stat info;
    bool old = bin && path && vfs->stat(vfs, path, true, &info, NULL) != ILK_OK &&
               vfs->stat(vfs, bin, true, &info, NULL) == ILK_OK;
    free(path);
    free(bin);
    return names[old];
}

ilk_status ilki_embed_read_dense(ilki_module *to, const ilki_vfs *vfs, const char *dir, const char *file,
                                 const ilki_json *j, const ilki_kern_ops *ops, uint32_t dim, ilk_error *err)
{
    ilki_json_node root = ilki_base_json_root(j);
    int64_t in = 0, out = 0;
    if (!ilki_base_json_int(j, ilki_base_json_get(j, root, "in_features"), 1, 1 << 20, &in) ||
        !ilki_base_json_int(j, ilki_base_json_get(j, root, "out_features"), 1, 1 << 20, &out))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected in_features and out_features from 1 to %d", file,
                              1 << 20);
    if (in != (int64_t)dim)
        return ilki_base_fail(err, ILK_MISMATCH, "%s: in_features %lld, but what comes in has %u", file, (long long)in,
                              dim);
    if (ilki_base_json_bool(j, ilki_base_json_get(j, root, "use_residual"), false))
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: use_residual is not built", file);
    bool bias = ilki_base_json_bool(j, ilki_base_json_get(j, root, "bias"), true);
    ilk_status st = read_activation(j, file, &to->act, err);
    char *path = st == ILK_OK ? ilki_base_path_join(dir, ilki_embed_dense_file(vfs, dir)) : NULL;
    if (st == ILK_OK && !path)
        st = ilki_base_fail_memory(err, strlen(dir), "a path");
    const char *paths[1] = {path};
    if (st == ILK_OK)
        st = ilki_format_open(&to->weights, vfs, paths, 1, false, err);
    if (st == ILK_OK) {
        const ilki_tensor *w = ilki_format_find(to->weights, "linear.weight"),
                          *b = ilki_format_find(to->weights, "linear.bias");
        st = check_shape(w, path, "linear.weight", 2, out, in, err);
        if (st == ILK_OK && bias)
            st = check_shape(b, path, "linear.bias", 1, out, 0, err);
        const ilki_tensor *biases[1] = {bias ? b : NULL};
        if (st == ILK_OK)
            st = ilki_tensor_linear_init(&to->dense, ops, &w, biases, 1, err);
    }
    free(path);
    return st;
}

/* ------------------------------------------------------------------ the chain */

static ilk_status add_file(ilki_modules *m, ilki_arena *arena, const char *dir, const char *name, ilk_error *err)
{
    char path[512];
    if (m->n_files == ILKI_EMBED_FILES || strlen(dir) + strlen(name) + 2 > sizeof path)
        return ilki_base_fail(err, ILK_LIMIT, "modules.json: more than %d files of modules", ILKI_EMBED_FILES);
    int n = snprintf(path, sizeof path, "%s%s%s", dir, *dir ? "/" : "", name);
    char *copy = ilki_base_arena_strndup(arena, path, (size_t)n);
    if (!copy)
        return ilki_base_fail_memory(err, (size_t)n, "a path");
    m->files[m->n_files++] = copy;
    return ILK_OK;
}

typedef struct chain {
    ilki_modules *m;
    const ilki_vfs *vfs;
    const char *dir;
    const ilki_kern_ops *ops;
    ilki_arena *arena;
    uint32_t network_dim, dim;
} chain;

static ilk_status read_module(chain *c, const char *type, const char *sub, ilk_error *err)
{
    ilki_json *j = NULL;
    const char *dot = strrchr(type, '.');
    char file[512];
    type = dot ? dot + 1 : type;
    if (strcmp(type, "Transformer") == 0 || (c->m->own && strcmp(type, "CLIPModel") == 0))
        return ILK_OK;
    if (c->m->n == ILKI_EMBED_MODULES)
        return ilki_base_fail(err, ILK_LIMIT, "%s/modules.json: more than %d modules", c->dir, ILKI_EMBED_MODULES);
    ilki_module *to = &c->m->list[c->m->n];
    if (strcmp(type, "Normalize") == 0) {
        to->kind = ILKI_MODULE_NORMALIZE;
        c->m->n++;
        return ILK_OK;
    }
    bool pooling = strcmp(type, "Pooling") == 0, dense = strcmp(type, "Dense") == 0;
    if (!pooling && !dense)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s/modules.json: a module of type \"%s\" is not built", c->dir,
                              type);
    if (*sub == '/' || strstr(sub, "..") || strchr(sub, '\\'))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s/modules.json: path \"%s\" leads out of the folder", c->dir, sub);
    if (pooling && c->m->own)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s/modules.json: a Pooling module behind two towers is not built",
                              c->dir);
    if (dense && !c->m->pooling && !c->m->own)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s/modules.json: a Dense module before the pooling is not built",
                              c->dir);
    char *folder = ilki_base_path_join(c->dir, sub);
    if (!folder)
        return ilki_base_fail_memory(err, strlen(sub), "a path");
    snprintf(file, sizeof file, "%s/config.json", sub);
    ilk_status st = ilki_embed_read_json(&j, c->vfs, folder, "config.json", true, err);
    if (st == ILK_OK)
        st = add_file(c->m, c->arena, sub, "config.json", err);
    if (st == ILK_OK && pooling) {
        st = read_pooling(c->m, j, file, c->network_dim, err);
        c->dim = c->network_dim * (uint32_t)__builtin_popcount(c->m->pooling);
    } else if (st == ILK_OK) {
        to->kind = ILKI_MODULE_DENSE;
        c->m->n++; /* first, so that half of it is freed too */
        st = ilki_embed_read_dense(to, c->vfs, folder, file, j, c->ops, c->dim, err);
        if (st == ILK_OK)
            st = add_file(c->m, c->arena, sub, ilki_embed_dense_file(c->vfs, folder), err);
        c->dim = (uint32_t)to->dense.n_out;
    }
    ilki_base_json_free(j);
    free(folder);
    return st;
}

static ilk_status read_chain(chain *c, const ilki_json *j, ilk_error *err)
{
    ilki_json_node root = ilki_base_json_root(j);
    ilk_status st = ILK_OK;
    if (ilki_base_json_type(j, root) != ILKI_JSON_ARRAY || ilki_base_json_count(j, root) == 0)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s/modules.json: expected an array of modules", c->dir);
    for (ilki_json_node i = ilki_base_json_first(j, root); i && st == ILK_OK; i = ilki_base_json_next(j, i)) {
        const char *type = ilki_base_json_string(j, ilki_base_json_get(j, i, "type"), NULL);
        const char *path = ilki_base_json_string(j, ilki_base_json_get(j, i, "path"), NULL);
        if (!type || !path)
            return ilki_base_fail(err, ILK_BAD_FORMAT, "%s/modules.json: expected type and path of each module",
                                  c->dir);
        st = read_module(c, type, path, err);
    }
    return st;
}

/* ------------------------------------------------------------------ prompts and limits */

static ilk_status copy_string(ilki_arena *arena, const ilki_json *j, ilki_json_node node, const char **to,
                              ilk_error *err)
{
    size_t n;
    const char *s = ilki_base_json_string(j, node, &n);
    *to = NULL;
    if (s && !(*to = ilki_base_arena_strndup(arena, s, n)))
        return ilki_base_fail_memory(err, n, "a prompt");
    return ILK_OK;
}

static const char *find_prompt(const ilki_modules *m, const char *name)
{
    for (size_t i = 0; name && i < m->n_prompts; i++)
        if (strcmp(m->prompts[i].name, name) == 0)
            return m->prompts[i].text;
    return NULL;
}

static ilk_status read_prompts(ilki_modules *m, const ilki_json *j, ilki_arena *arena, ilk_error *err)
{
    ilki_json_node root = ilki_base_json_root(j), prompts = ilki_base_json_get(j, root, "prompts");
    size_t n = ilki_base_json_count(j, prompts), i = 0;
    ilk_status st = ILK_OK;
    ilki_prompt *list = n ? ilki_base_arena_alloc(arena, n, sizeof *list) : NULL;
    if (n && !list)
        return ilki_base_fail_memory(err, n * sizeof *list, "prompts");
    for (ilki_json_node p = ilki_base_json_first(j, prompts); p && st == ILK_OK; p = ilki_base_json_next(j, p)) {
        size_t len;
        const char *key = ilki_base_json_key(j, p, &len);
        list[i].name = key ? ilki_base_arena_strndup(arena, key, len) : "";
        if (!list[i].name)
            return ilki_base_fail_memory(err, len, "a prompt");
        st = copy_string(arena, j, p, &list[i].text, err);
        if (st == ILK_OK && !list[i].text)
            return ilki_base_fail(err, ILK_BAD_FORMAT, "config_sentence_transformers.json: prompt \"%s\" is no string",
                                  list[i].name);
        i++;
    }
    m->prompts = list;
    m->n_prompts = i;
    if (st == ILK_OK) {
        const char *name = NULL;
        st = copy_string(arena, j, ilki_base_json_get(j, root, "default_prompt_name"), &name, err);
        m->default_prompt = find_prompt(m, name);
        if (st == ILK_OK && name && !m->default_prompt)
            return ilki_base_fail(err, ILK_BAD_FORMAT,
                                  "config_sentence_transformers.json: default_prompt_name \"%s\" names no prompt",
                                  name);
    }
    if (st == ILK_OK)
        st = copy_string(arena, j, ilki_base_json_get(j, root, "similarity_fn_name"), &m->similarity, err);
    int64_t cut = 0;
    if (ilki_base_json_int(j, ilki_base_json_get(j, root, "truncate_dim"), 1, 1 << 20, &cut))
        m->truncate_dim = (uint32_t)cut;
    return st;
}

/* What a CrossEncoder saves besides: its class and the activation of its scores. */
static ilk_status read_cross_encoder(ilki_modules *m, const ilki_json *j, ilki_arena *arena, ilk_error *err)
{
    ilki_json_node root = ilki_base_json_root(j);
    const char *type = ilki_base_json_string(j, ilki_base_json_get(j, root, "model_type"), NULL);
    m->cross_encoder = type && strcmp(type, "CrossEncoder") == 0;
    return copy_string(arena, j, ilki_base_json_get(j, root, "activation_fn"), &m->activation, err);
}

/* encode_query and encode_document of the reference: which prompt belongs to which side. sentence-transformers 6.2 has both
 * names in its table from the start, empty where the file has none, so that it reaches neither "passage" and "corpus",
 * which it would look for next, nor the default prompt. */
static void choose_prompts(ilki_modules *m)
{
    m->prompt_query = find_prompt(m, "query");
    m->prompt_document = find_prompt(m, "document");
    if (!m->similarity)
        m->similarity = "cosine";
}

static ilk_status read_limits(ilki_modules *m, const ilki_vfs *vfs, const char *dir, ilk_error *err)
{
    ilki_json *j = NULL;
    int64_t n;
    ilk_status st = ilki_embed_read_json(&j, vfs, dir, "sentence_bert_config.json", false, err);
    if (st == ILK_OK && j) {
        ilki_json_node root = ilki_base_json_root(j), max = ilki_base_json_get(j, root, "max_seq_length");
        if (ilki_base_json_int(j, max, 1, INT32_MAX, &n))
            m->max_seq_length = (uint32_t)n;
        else if (max && ilki_base_json_type(j, max) != ILKI_JSON_NULL)
            st = ilki_base_fail(err, ILK_BAD_FORMAT,
                                "%s/sentence_bert_config.json: max_seq_length: expected a positive integer", dir);
        m->lower_case = ilki_base_json_bool(j, ilki_base_json_get(j, root, "do_lower_case"), false);
        m->files[m->n_files++] = "sentence_bert_config.json";
    }
    ilki_base_json_free(j);
    return st;
}

ilk_status ilki_embed_read_modules(ilki_modules *m, const ilki_vfs *vfs, const char *dir, const ilki_kern_ops *ops,
                                   uint32_t pool_dim, ilki_arena *arena, ilk_error *err)
{
    ilki_json *modules = NULL, *prompts = NULL;
    chain c = {m, vfs, dir, ops, arena, pool_dim, pool_dim};
    ilk_status st = read_limits(m, vfs, dir, err);
    if (st == ILK_OK)
        st = ilki_embed_read_json(&modules, vfs, dir, "modules.json", false, err);
    if (st == ILK_OK && modules) {
        m->files[m->n_files++] = "modules.json";
        st = read_chain(&c, modules, err);
    } else if (st == ILK_OK && m->own) {
        m->list[m->n++].kind = ILKI_MODULE_NORMALIZE;
    } else if (st == ILK_OK) {
        m->pooling = ILKI_POOL_MEAN;
    }
    if (st == ILK_OK)
        st = ilki_embed_read_json(&prompts, vfs, dir, "config_sentence_transformers.json", false, err);
    if (st == ILK_OK && prompts) {
        st = add_file(m, arena, "", "config_sentence_transformers.json", err);
        if (st == ILK_OK)
            st = read_prompts(m, prompts, arena, err);
        if (st == ILK_OK)
            st = read_cross_encoder(m, prompts, arena, err);
    }
    if (st == ILK_OK && !m->pooling && !m->cross_encoder && !m->own)
        st = ilki_base_fail(err, ILK_UNSUPPORTED, "%s/modules.json: no Pooling module: vectors per token are not built",
                            dir);
    if (st == ILK_OK && !m->pooling && !m->own)
        m->pooling = ILKI_POOL_MEAN;
    choose_prompts(m);
    ilki_base_json_free(modules);
    ilki_base_json_free(prompts);
    return st;
}

uint32_t ilki_embed_modules_dim(const ilki_modules *m, uint32_t pool_dim)
{
    uint32_t dim = m->own ? pool_dim : pool_dim * (uint32_t)__builtin_popcount(m->pooling);
    for (unsigned i = 0; i < m->n; i++)
        if (m->list[i].kind == ILKI_MODULE_DENSE)
            dim = (uint32_t)m->list[i].dense.n_out;
    return dim;
}

void ilki_embed_free_modules(ilki_modules *m)
{
    for (unsigned i = 0; i < m->n; i++) {
        ilki_tensor_linear_deinit(&m->list[i].dense);
        ilki_format_close(m->list[i].weights);
    }
    *m = (ilki_modules){0};
}
