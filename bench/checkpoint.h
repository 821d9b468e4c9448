/* SPDX-License-Identifier: Apache-2.0
 * A checkpoint's network opened without tokenizer, pooling and batches, for programs that measure passes. */
#ifndef BENCH_CHECKPOINT_H
#define BENCH_CHECKPOINT_H

#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/runtime.h"
#include "models/model.h"

typedef struct setup {
    ilk_runtime *rt;
    const ilki_kern_ops *ops; /* set before setup_open: used instead of the runtime's */
    ilki_json *config;
    ilki_weights *weights;
    ilki_net *net;
    ilki_form form;
    double open_ms;
    ilk_error err;
} setup;

/* Whether `word` is a precision, which is taken then. */
static bool setup_form(setup *s, const char *word)
{
    static const char *const forms[] = {"f32", "bf16", "int8", "int8w"};
    for (int f = 0; f < 4; f++)
        if (strcmp(word, forms[f]) == 0) {
            s->form = (ilki_form)f;
            return true;
        }
    return false;
}

static ilk_status setup_runtime(setup *s, unsigned n_threads)
{
    ilk_runtime_options opt;
    ilk_runtime_options_init(&opt);
    opt.n_threads = n_threads;
    return s->rt ? ILK_OK : ilk_runtime_open(&s->rt, &opt, &s->err);
}

static ilk_status setup_open(setup *s, const char *dir, unsigned n_threads)
{
    char *text = NULL, *config = ilki_base_path_join(dir, "config.json");
    char *file = ilki_base_path_join(dir, "model.safetensors");
    const char *const paths[] = {file};
    size_t n = 0;
    ilk_status st = setup_runtime(s, n_threads);
    uint64_t start = ilki_base_now_ns();
    if (st == ILK_OK)
        st = ilki_base_read_file(s->rt->vfs, config, 1 << 20, &text, &n, &s->err);
    if (st == ILK_OK)
        st = ilki_base_json_parse(&s->config, text, n, config, NULL, &s->err);
    if (st == ILK_OK)
        st = ilki_format_open(&s->weights, s->rt->vfs, paths, 1, false, &s->err);
    if (st == ILK_OK) {
        ilki_model_source src = {.dir = dir,
                                 .config = s->config,
                                 .weights = s->weights,
                                 .ops = s->ops ? s->ops : s->rt->ops,
                                 .pool = s->rt->pool,
                                 .form = s->form,
                                 .rt = s->rt};
        st = ilki_models_open(&s->net, &src, &s->err);
    }
    s->open_ms = (double)(ilki_base_now_ns() - start) / 1e6;
    free(text);
    free(config);
    free(file);
    return st;
}

static void setup_close(setup *s)
{
    ilki_models_close(s->net);
    ilki_format_close(s->weights);
    ilki_base_json_free(s->config);
    ilk_runtime_close(s->rt);
}

#endif
