/* SPDX-License-Identifier: Apache-2.0
 * Models of two towers while memory is short: each allocation of opening and of embedding fails once. What fails says so and
 * leaves nothing behind (the sanitizers' part); what gets by without is right. And a pass allocates nothing. */
#include <stdlib.h>

#include "alloc_count.h"
#include "ilk.h"
#include "models/model.h"
#include "net.h"

#define FIXTURES ILK_TEST_DIR "/fixtures/"

enum { SIDE = 12, N_INPUTS = 4 };

static ilk_runtime *open_runtime(void)
{
    ilk_runtime *rt = NULL;
    ilk_runtime_options opt;
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options_init(&opt);
    opt.n_threads = 1;
    opt.media_helper = ILK_TEST_MEDIA;
    CHECK_OK(ilk_runtime_open(&rt, &opt, &err), &err);
    return rt;
}

static void opening(void)
{
    static const char *const names[] = {"clip-quick",      "clip-lora",      "clip-st",     "clip-vision",
                                        "openclip-custom", "siglip-bicubic", "chinese-clip"};
    ilk_runtime *rt = open_runtime();
    for (size_t i = 0; rt && i < sizeof names / sizeof *names; i++) {
        char where[512];
        uint64_t n = 1;
        snprintf(where, sizeof where, FIXTURES "%s", names[i]);
        for (bool failed = true; failed; n++) {
            ilk_model *m = NULL;
            ilk_error err;
            ilk_error_init(&err);
            alloc_fail_at(n, false);
            ilk_status st = ilk_model_open(&m, rt, where, NULL, &err);
            failed = alloc_fail_off();
            if (!CHECK_THAT((st == ILK_OK) == (m != NULL) && (st == ILK_OK || (failed && st == ILK_NO_MEMORY)),
                            "%s: allocation %d: status %d: %s", names[i], (int)n, (int)st, err.message))
                failed = false;
            ilk_model_close(m);
        }
        CHECK_THAT(n > 40, "%s: expected many allocations, found %d", names[i], (int)n);
    }
    ilk_runtime_close(rt);
}

/* A text, a picture, both, and a file. */
typedef struct inputs {
    uint8_t pixels[SIDE * SIDE * 3];
    uint8_t file[4096];
    ilk_part parts[3];
    ilk_input in[N_INPUTS];
} inputs;

static void make_inputs(inputs *x)
{
    *x = (inputs){0};
    for (size_t i = 0; i < sizeof x->pixels; i++)
        x->pixels[i] = (uint8_t)(i * 5);
    for (size_t i = 0; i < 3; i++)
        ilk_part_init(&x->parts[i]);
    x->parts[0].kind = ILK_PART_TEXT;
    x->parts[0].data = "a red bicycle";
    x->parts[0].n_bytes = strlen("a red bicycle");
    x->parts[1].kind = ILK_PART_PIXELS;
    x->parts[1].data = x->pixels;
    x->parts[1].shape[0] = x->parts[1].shape[1] = SIDE;
    x->parts[1].shape[2] = 3;
    FILE *f = fopen(FIXTURES "picture-files/png-pattern.png", "rb");
    x->parts[2].kind = ILK_PART_ENCODED;
    x->parts[2].modality = ILK_IMAGE;
    x->parts[2].data = x->file;
    x->parts[2].n_bytes = f ? fread(x->file, 1, sizeof x->file, f) : 0;
    if (CHECK(f != NULL))
        fclose(f);
    for (size_t i = 0; i < N_INPUTS; i++) {
        ilk_input_init(&x->in[i]);
        x->in[i].parts = &x->parts[i == 3 ? 2 : i == 1];
        x->in[i].n_parts = i == 2 ? 2 : 1;
    }
}

static void embedding(void)
{
    ilk_runtime *rt = open_runtime();
    ilk_model *m = NULL;
    ilk_vectors *good = NULL;
    inputs x;
    ilk_error err;
    ilk_error_init(&err);
    make_inputs(&x);
    if (CHECK_OK(ilk_model_open(&m, rt, FIXTURES "clip-quick", NULL, &err), &err))
        CHECK_OK(ilk_embed(m, x.in, N_INPUTS, NULL, NULL, &good, &err), &err);
    uint64_t n = 1;
    for (bool failed = good != NULL; failed; n++) {
        ilk_vectors *v = NULL;
        alloc_fail_at(n, false);
        ilk_status st = ilk_embed(m, x.in, N_INPUTS, NULL, NULL, &v, &err);
        failed = alloc_fail_off();
        CHECK_THAT((st == ILK_OK) == (v != NULL) && (st == ILK_OK || (failed && st == ILK_NO_MEMORY)),
                   "allocation %d: status %d: %s", (int)n, (int)st, err.message);
        for (size_t i = 0; v && i < N_INPUTS; i++) {
            size_t dim = 0;
            const float *a = ilk_vectors_get_dense(v, i, &dim), *b = ilk_vectors_get_dense(good, i, &dim);
            ilk_status one = ilk_vectors_get_status(v, i, NULL);
            if (!b)
                continue; /* the file, in a build without libpng */
            if (CHECK_THAT(a || one == ILK_NO_MEMORY, "allocation %d: input %zu: status %d", (int)n, i, (int)one) && a)
                CHECK_MEM(a, b, dim * sizeof *a);
        }
        ilk_vectors_free(v);
    }
    CHECK(n > 10);
    ilk_vectors_free(good);
    ilk_model_close(m);
    ilk_runtime_close(rt);
}

/* The workspace is all that a pass of pictures takes. */
static void pass(void)
{
    static const char *const names[] = {FIXTURES "clip-quick", FIXTURES "siglip-bicubic"};
    for (size_t i = 0; i < 2; i++) {
        test_net t = {0};
        size_t n = 0;
        ilk_error err;
        ilk_error_init(&err);
        REQUIRE(CHECK_OK(test_net_open(&t, names[i], 1, &err), &err));
        const ilki_tower_info *tower = &t.net->tower[1];
        uint32_t offsets[2] = {0, tower->max_tokens};
        float *rows = calloc((size_t)tower->max_tokens * tower->row_dim, sizeof *rows), own[64];
        ilki_tower_in in = {.n_seqs = 1, .n_tokens = tower->max_tokens, .offsets = offsets, .rows = rows};
        in.row_dim = tower->row_dim;
        ilki_tower_out out = {.embedded = own};
        ilki_ws ws;
        ilki_nn ctx = {.ops = t.rt->ops, .pool = t.rt->pool, .ws = &ws, .err = &err};
        CHECK_OK(ilki_models_measure(t.net, 1, &ctx, &in, &out, &n, &err), &err);
        void *memory = ilki_base_alloc_aligned(n, 1);
        REQUIRE(CHECK(memory && rows));
        ilki_base_ws_init(&ws, memory, n);
        alloc_count_reset();
        CHECK_OK(ilki_models_forward(t.net, 1, &ctx, &in, &out), &err);
        CHECK_INT(alloc_count(), 0);
        CHECK(!ws.overrun);
        free(memory);
        free(rows);
        test_net_close(&t);
    }
}

TEST_MAIN({"opening", opening}, {"embedding", embedding}, {"pass", pass})
