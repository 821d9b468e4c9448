/* SPDX-License-Identifier: Apache-2.0
 * LoRA as peft 0.21 saves it (adapter_config.json, adapter_model.safetensors): for a module M of the base model two
 * tensors base_model.model.M.lora_A.weight [rank][in] and .lora_B.weight [out][rank];
 *
 *   M.weight += scale * B A,  scale = lora_alpha / rank, with use_rslora lora_alpha / sqrt(rank)
 *
 * in f32, row by row; the rank is the tensors' own, so rank_pattern needs no reading. Which modules are changed is told by
 * the tensors too. What else an adapter may hold (biases, whole modules, magnitudes, embeddings) is refused by name. */
#include "embed/adapter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "embed/modules.h"

/* ------------------------------------------------------------------ its config */

static bool is_set(const ilki_json *j, ilki_json_node n)
{
    ilki_json_type type = ilki_base_json_type(j, n);
    if (type == ILKI_JSON_ARRAY || type == ILKI_JSON_OBJECT)
        return ilki_base_json_count(j, n) > 0;
    return type > ILKI_JSON_FALSE;
}

static ilk_status check_config(const ilki_json *j, const char *file, ilk_error *err)
{
    static const char *const refused[] = {
        "fan_in_fan_out",    "use_dora",   "modules_to_save", "alpha_pattern",   "layer_replication",      "lora_bias",
        "target_parameters", "use_qalora", "use_bdlora",      "megatron_config", "trainable_token_indices"};
    static const char *const plain[] = {"gaussian", "eva", "orthogonal", "true"};
    ilki_json_node root = ilki_base_json_root(j);
    const char *type = ilki_base_json_string(j, ilki_base_json_get(j, root, "peft_type"), NULL),
               *bias = ilki_base_json_string(j, ilki_base_json_get(j, root, "bias"), NULL),
               *init = ilki_base_json_string(j, ilki_base_json_get(j, root, "init_lora_weights"), NULL);
    if (!type || strcmp(type, "LORA") != 0)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: peft_type: expected LORA, found \"%.64s\"", file,
                              type ? type : "");
    if (bias && strcmp(bias, "none") != 0)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: bias: expected none, found \"%.64s\"", file, bias);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (is_set(j, ilki_base_json_get(j, root, refused[i])))
            return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: %s: expected none, found some", file, refused[i]);
    for (size_t i = 0; init && i < sizeof plain / sizeof *plain; i++)
        if (strcmp(init, plain[i]) == 0)
            init = NULL;
    if (init) /* those change the base as well */
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: init_lora_weights \"%.64s\" is not built", file, init);
    return ILK_OK;
}

static ilk_status find_weights(ilki_adapter *a, const ilki_vfs *vfs, ilk_error *err)
{
    static const char *const names[] = {"adapter_model.safetensors", "adapter_model.bin"};
    for (size_t i = 0; i < 2; i++) {
        ilki_stat info;
        free(a->weights);
        a->weights = ilki_base_path_join(a->dir, names[i]);
        if (!a->weights)
            return ilki_base_fail_memory(err, strlen(a->dir), "a path");
        if (vfs->stat(vfs, a->weights, true, &info, NULL) == ILK_OK)
            return ILK_OK;
    }
    return ilki_base_fail(err, ILK_NOT_FOUND, "%s: expected adapter_model.safetensors beside " ILKI_ADAPTER_CONFIG,
                          a->dir);
}

static ilk_status take_config(ilki_adapter *a, const ilki_json *j, const char *dir, ilk_error *err)
{
    ilki_json_node root = ilki_base_json_root(j);
    size_t n = 0;
    const char *base = ilki_base_json_string(j, ilki_base_json_get(j, root, "base_model_name_or_path"), &n);
    a->alpha = ilki_base_json_double(j, ilki_base_json_get(j, root, "lora_alpha"), 8);
    a->rslora = ilki_base_json_bool(j, ilki_base_json_get(j, root, "use_rslora"), false);
    a->dir = ilki_base_strndup(dir, strlen(dir));
    a->base = base && n ? ilki_base_strndup(base, n) : NULL;
    if (!a->dir || (base && n && !a->base))
        return ilki_base_fail_memory(err, n + strlen(dir), "an adapter");
    if (!(fabs(a->alpha) <= 1e6))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s/" ILKI_ADAPTER_CONFIG ": lora_alpha: expected a number", dir);
    return ILK_OK;
}

ilk_status ilki_embed_read_adapter(ilki_adapter **out, const ilki_vfs *vfs, const char *dir, ilk_error *err)
{
    ilki_json *j = NULL;
    *out = NULL;
    ilk_status st = ilki_embed_read_json(&j, vfs, dir, ILKI_ADAPTER_CONFIG, false, err);
    if (st != ILK_OK || !j)
        return st;
    ilki_adapter *a = ilki_base_zalloc(1, sizeof *a);
    st = a ? check_config(j, ILKI_ADAPTER_CONFIG, err) : ilki_base_fail_memory(err, sizeof *a, "an adapter");
    if (st == ILK_OK)
        st = take_config(a, j, dir, err);
    if (st == ILK_OK)
        st = find_weights(a, vfs, err);
    ilki_base_json_free(j);
    if (st != ILK_OK) {
        ilki_embed_free_adapter(a);
        return st;
    }
    *out = a;
    return ILK_OK;
}

void ilki_embed_free_adapter(ilki_adapter *a)
{
    if (!a)
        return;
    free(a->dir);
    free(a->base);
    free(a->weights);
    free(a);
}

/* ------------------------------------------------------------------ merging */

#define WRAP "base_model.model."

/* The module's name out of WRAP M .lora_A.weight, an adapter's name (".default") allowed; 0: it is another tensor. */
static size_t module_of(const char *name, const char *which, const char **module)
{
    static const char *const ends[] = {".weight", ".default.weight"};
    size_t n = strlen(name), m = strlen(which);
    *module = strncmp(name, WRAP, strlen(WRAP)) == 0 ? name + strlen(WRAP) : name;
    n -= (size_t)(*module - name);
    for (size_t i = 0; i < 2; i++) {
        size_t e = strlen(ends[i]);
        if (n > m + e && strcmp(*module + n - e, ends[i]) == 0 && memcmp(*module + n - e - m, which, m) == 0)
            return n - e - m;
    }
    return 0;
}

/* M.weight: of this very name, else the one tensor whose name ends with it behind a dot. */
static const ilki_tensor *find_base(const ilki_weights *w, const char *module, size_t n)
{
    static const char weight[] = ".weight";
    const ilki_tensor *found = NULL;
    for (size_t i = 0; i < ilki_format_count(w); i++) {
        const ilki_tensor *t = ilki_format_view(w, i);
        size_t len = strlen(t->name), end = n + sizeof weight - 1;
        if (len < end || strcmp(t->name + len - sizeof weight + 1, weight) != 0 ||
            memcmp(t->name + len - end, module, n) != 0)
            continue;
        if (len == end)
            return t;
        if (t->name[len - end - 1] == '.') {
            if (found)
                return NULL;
            found = t;
        }
    }
    return found;
}

typedef struct change {
    const ilki_tensor *a, *b, *base;
    float *rows, *low; /* of A; one row of B */
} change;

static ilk_status check_shapes(const change *c, ilk_error *err)
{
    char found[ILKI_SHAPE_TEXT];
    bool fits = c->base->rank == 2 && c->a->rank == 2 && c->b->rank == 2 && c->a->shape[0] == c->b->shape[1] &&
                c->a->shape[0] > 0 && c->b->shape[0] == c->base->shape[0] && c->a->shape[1] == c->base->shape[1];
    if (fits)
        return ILK_OK;
    ilki_tensor_print_shape(c->base, found, sizeof found);
    return ilki_base_fail(err, ILK_BAD_FORMAT,
                          "%s: tensor %s: expected a pair of matrices that fits %s %s, found another", c->a->file,
                          c->a->name, c->base->name, found);
}

static ilk_status add_product(const change *c, double scale, const ilki_kern_ops *ops, ilki_weights *w, ilk_error *err)
{
    size_t rank = (size_t)c->a->shape[0], n_in = (size_t)c->a->shape[1], n_out = (size_t)c->b->shape[0];
    float *to = NULL;
    ilk_status st = ilki_tensor_read_f32(c->a, 0, rank * n_in, c->rows, err);
    if (st == ILK_OK)
        st = ilki_format_own_f32(w, c->base, &to, err);
    for (size_t i = 0; i < n_out && st == ILK_OK; i++) {
        st = ilki_tensor_read_f32(c->b, i * rank, rank, c->low, err);
        for (size_t r = 0; r < rank && st == ILK_OK; r++)
            ops->axpy_f32(to + i * n_in, c->rows + r * n_in, (float)(scale * (double)c->low[r]), n_in);
    }
    return st;
}

static ilk_status merge_one(ilki_adapter *a, const ilki_weights *from, const ilki_tensor *lora_a, const char *module,
                            size_t n, const ilki_kern_ops *ops, ilki_weights *w, ilk_error *err)
{
    change c = {.a = lora_a, .base = find_base(w, module, n)};
    for (size_t i = 0; i < ilki_format_count(from) && !c.b; i++) {
        const char *other;
        const ilki_tensor *t = ilki_format_view(from, i);
        if (module_of(t->name, ".lora_B", &other) == n && memcmp(other, module, n) == 0)
            c.b = t;
    }
    if (!c.base || !c.b)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor %s: expected %s, found none or several", lora_a->file,
                              lora_a->name, c.b ? "a module of the base model" : "its lora_B");
    ilk_status st = check_shapes(&c, err);
    if (st != ILK_OK)
        return st;
    size_t rank = (size_t)lora_a->shape[0];
    c.rows = ilki_base_alloc_aligned(rank * (size_t)lora_a->shape[1], sizeof *c.rows);
    c.low = ilki_base_alloc_aligned(rank, sizeof *c.low);
    if (c.rows && c.low)
        st = add_product(&c, a->alpha / (a->rslora ? sqrt((double)rank) : (double)rank), ops, w, err);
    else
        st = ilki_base_fail_memory(err, rank * (size_t)lora_a->shape[1] * sizeof *c.rows, "an adapter");
    free(c.rows);
    free(c.low);
    a->n_changed++;
    a->rank = rank > a->rank ? rank : a->rank;
    return st;
}

ilk_status ilki_embed_merge_adapter(ilki_adapter *a, const ilki_vfs *vfs, const ilki_kern_ops *ops, ilki_weights *w,
                                    ilk_error *err)
{
    ilki_weights *from = NULL;
    const char *paths[] = {a->weights}, *module;
    size_t n_a = 0, n_b = 0;
    ilk_status st = ilki_format_open(&from, vfs, paths, 1, false, err);
    for (size_t i = 0; st == ILK_OK && i < ilki_format_count(from); i++) {
        const ilki_tensor *t = ilki_format_view(from, i);
        size_t n = module_of(t->name, ".lora_A", &module);
        n_a += n != 0;
        if (n)
            st = merge_one(a, from, t, module, n, ops, w, err);
        else if (module_of(t->name, ".lora_B", &module))
            n_b++;
        else
            st = ilki_base_fail(err, ILK_UNSUPPORTED,
                                "%s: tensor %s: expected lora_A or lora_B of a linear, found another", t->file,
                                t->name);
    }
    if (st == ILK_OK && a->n_changed == 0)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected tensors lora_A and lora_B, found none", a->weights);
    if (st == ILK_OK && n_a != n_b)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected as many tensors lora_B as lora_A, %zu, found %zu",
                            a->weights, n_a, n_b);
    ilki_format_close(from);
    return st;
}
