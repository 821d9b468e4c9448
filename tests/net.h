/* SPDX-License-Identifier: Apache-2.0
 * A net of a fixture folder, opened below embed/: runtime, config.json, weights; and one pass of it with a workspace that
 * was measured before. For tests of models and for goldens. */
#ifndef ILK_TEST_NET_H
#define ILK_TEST_NET_H

#include <stdlib.h>

#include "base/runtime.h"
#include "models/model.h"
#include "test.h"

typedef struct test_net {
    ilk_runtime *rt;
    ilki_json *config;
    ilki_weights *weights;
    ilki_net *net;
    const char *dir; /* the caller's */
} test_net;

static inline ilk_status test_read_json(ilki_json **out, const char *dir, const char *name, ilk_error *err)
{
    char *path = ilki_base_path_join(dir, name), *text = NULL;
    size_t n = 0;
    *out = NULL;
    if (!path)
        return ilki_base_fail_memory(err, strlen(dir), "a path");
    ilk_status s = ilki_base_read_file(&ilki_base_vfs_posix, path, 1 << 26, &text, &n, err);
    if (s == ILK_OK)
        s = ilki_base_json_parse(out, text, n, path, NULL, err);
    free(text);
    free(path);
    return s;
}

static inline ilk_status test_open_weights(ilki_weights **out, const char *dir, const char *name, ilk_error *err)
{
    char *path = ilki_base_path_join(dir, name);
    const char *const paths[] = {path};
    *out = NULL;
    ilk_status s = path ? ilki_format_open(out, &ilki_base_vfs_posix, paths, 1, false, err)
                        : ilki_base_fail_memory(err, strlen(dir), "a path");
    free(path);
    return s;
}

static inline void test_net_close(test_net *t)
{
    ilki_models_close(t->net);
    ilki_format_close(t->weights);
    ilki_base_json_free(t->config);
    ilk_runtime_close(t->rt);
    *t = (test_net){0};
}

/* cpu: NULL for what the machine has; log may be NULL. *t is empty after a failure. */
static inline ilk_status test_net_open_log(test_net *t, const char *dir, unsigned n_threads, const char *cpu,
                                           ilk_log_fn log, void *user, ilk_error *err)
{
    *t = (test_net){0};
    ilk_runtime_options opt;
    ilk_runtime_options_init(&opt);
    opt.n_threads = n_threads;
    opt.cpu = cpu;
    opt.log = log;
    opt.log_user = user;
    t->dir = dir;
    ilk_status s = ilk_runtime_open(&t->rt, &opt, err);
    static const char *const configs[] = {"config.json", "open_clip_config.json"};
    static const char *const weights[] = {"model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors",
                                          "open_clip_pytorch_model.bin", "epoch_3.pt"};
    if (s == ILK_OK)
        s = ILK_NOT_FOUND;
    for (size_t i = 0; s == ILK_NOT_FOUND && i < sizeof configs / sizeof *configs; i++)
        s = test_read_json(&t->config, dir, configs[i], err);
    if (s == ILK_OK)
        s = test_open_weights(&t->weights, dir, weights[0], err);
    for (size_t i = 1; s == ILK_NOT_FOUND && !t->weights && i < sizeof weights / sizeof *weights; i++)
        s = test_open_weights(&t->weights, dir, weights[i], err);
    if (s == ILK_OK) {
        ilki_model_source src = {.dir = t->dir,
                                 .config = t->config,
                                 .weights = t->weights,
                                 .ops = t->rt->ops,
                                 .pool = t->rt->pool,
                                 .rt = t->rt};
        s = ilki_models_open(&t->net, &src, err);
    }
    if (s != ILK_OK)
        test_net_close(t);
    return s;
}

static inline ilk_status test_net_open(test_net *t, const char *dir, unsigned n_threads, ilk_error *err)
{
    return test_net_open_log(t, dir, n_threads, NULL, NULL, NULL, err);
}

/* A pass on `pool` with a workspace of exactly the bytes that it measured. */
static inline ilk_status test_net_run_tower(const test_net *t, unsigned tower, ilki_pool *pool, const ilki_tower_in *in,
                                            ilki_tower_out *out, ilk_error *err)
{
    ilki_ws ws;
    ilki_nn ctx = {.ops = t->rt->ops, .pool = pool, .ws = &ws, .err = err};
    size_t n = 0;
    ilk_status s = ilki_models_measure(t->net, tower, &ctx, in, out, &n, err);
    if (s != ILK_OK)
        return s;
    void *memory = ilki_base_alloc_aligned(n, 1);
    if (!memory)
        return ilki_base_fail_memory(err, n, "a workspace");
    ilki_base_ws_init(&ws, memory, n);
    s = ilki_models_forward(t->net, tower, &ctx, in, out);
    if (s == ILK_OK && (ws.overrun || ws.peak > n))
        s = ilki_base_fail(err, ILK_LIMIT, "the pass took %zu bytes, %zu were measured", ws.peak, n);
    free(memory);
    return s;
}

static inline ilk_status test_net_run(const test_net *t, ilki_pool *pool, const ilki_tower_in *in, ilki_tower_out *out,
                                      ilk_error *err)
{
    return test_net_run_tower(t, 0, pool, in, out, err);
}

#endif
