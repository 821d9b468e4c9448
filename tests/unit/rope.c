/* SPDX-License-Identifier: Apache-2.0
 * Rotary positions: axes, sections, pairings, the share that is not turned. */
#include "alloc_count.h"
#include "nn/layers.h"
#include "nn_test.h"

enum { N = 300, HEADS = 3, D = 32, LD = 120 };

typedef struct call {
    ilki_rope rope;
    const int32_t *positions; /* [3][N] */
    const float *x;
    float *y; /* [N][LD] */
} call;

static void run_rope(ilki_nn *ctx, void *arg)
{
    call *c = arg;
    size_t half = c->rope.dim / 2, mark = ilki_base_ws_mark(ctx->ws);
    float *cos_ = ilki_nn_take(ctx, N * half, sizeof *cos_), *sin_ = ilki_nn_take(ctx, N * half, sizeof *sin_);
    ilki_nn_rope_table(ctx, &c->rope, c->positions, N, cos_, sin_);
    if (!ilki_nn_measuring(ctx))
        memcpy(c->y, c->x, (size_t)N * LD * sizeof *c->y);
    ilki_nn_rope(ctx, &c->rope, &(ilki_rope_args){c->y, cos_, sin_, N, HEADS, D, LD});
    ilki_base_ws_release(ctx->ws, mark);
}

/* Which axis turns each frequency, written out. */
static const struct {
    ilki_rope rope;
    const char *axes;
} cases[] = {
    {{.theta = 10000, .dim = 32, .n_axes = 1}, "0000000000000000"},
    {{.theta = 500, .dim = 20, .n_axes = 1, .pairing = ILKI_ROPE_INTERLEAVED}, "0000000000"},
    {{.theta = 1000, .dim = 16, .freq_dim = 32, .n_axes = 1}, "00000000"},
    {{.theta = 700, .dim = 16, .freq_div = 1.5F, .n_axes = 1}, "00000000"},
    {{.theta = 100, .dim = 32, .n_axes = 3, .section = {6, 6, 4}}, "0000001111112222"},
    {{.theta = 100, .dim = 32, .n_axes = 2, .section = {10, 6}}, "0000000000111111"},
    {{.theta = 100, .dim = 32, .n_axes = 3, .section = {6, 6, 4}, .sections = ILKI_ROPE_STRIDED}, "0120120120120100"},
    {{.theta = 100,
      .dim = 24,
      .n_axes = 2,
      .section = {8, 4},
      .sections = ILKI_ROPE_STRIDED,
      .pairing = ILKI_ROPE_INTERLEAVED},
     "010101010000"},
};

static void check_rope(const ilki_kern_ops *ops, const ilki_rope *r, const char *axes, call *c)
{
    c->rope = *r;
    nn_same(ops, run_rope, c, c->y, (size_t)N * LD);
    size_t half = r->dim / 2;
    bool inter = r->pairing == ILKI_ROPE_INTERLEAVED;
    for (size_t i = 0; i < N; i++) {
        float want[LD];
        memcpy(want, c->x + i * LD, sizeof want);
        for (size_t h = 0; h < HEADS; h++)
            for (size_t f = 0; f < half; f++) {
                double freq = pow((double)r->theta, -2.0 * (double)f / (r->freq_dim ? r->freq_dim : r->dim)) /
                              (r->freq_div > 0 ? (double)r->freq_div : 1);
                double angle = freq * c->positions[(size_t)(axes[f] - '0') * N + i];
                size_t p = h * D + (inter ? 2 * f : f), q = inter ? p + 1 : p + half;
                const float *x = c->x + i * LD;
                want[p] = (float)((double)x[p] * cos(angle) - (double)x[q] * sin(angle));
                want[q] = (float)((double)x[q] * cos(angle) + (double)x[p] * sin(angle));
            }
        if (!CHECK_FLOATS(c->y + i * LD, want, LD, 4e-5, 0)) /* angles to 500 in f32 */
            return;
        for (size_t j = 0; j < LD; j++) /* the rest is untouched */
            if (j >= HEADS * D || j % D >= r->dim)
                CHECK_NEAR(c->y[i * LD + j], c->x[i * LD + j], 0);
    }
}

static void turns(void)
{
    ilki_kern_ops ops[NN_TABLES];
    uint64_t seed = 4;
    int32_t positions[3 * N];
    for (size_t i = 0; i < 3 * (size_t)N; i++)
        positions[i] = (int32_t)(test_random(&seed) % 500);
    call c = {.positions = positions, .x = nn_random(&seed, N * LD), .y = malloc((size_t)N * LD * sizeof(float))};
    for (size_t t = 0, n = nn_tables(ops); t < n; t++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            int failed = test_n_failed;
            CHECK_INT(strlen(cases[i].axes), cases[i].rope.dim / 2);
            check_rope(&ops[t], &cases[i].rope, cases[i].axes, &c);
            if (test_n_failed != failed)
                printf("    case %zu, table %s\n", i, ops[t].name);
        }
    float *x = (float *)(uintptr_t)c.x;
    free(x);
    free(c.y);
}

/* Angles are rounded to f32 as torch does: position 8000 at frequency 1/3 in f32. */
static void f32_angles(void)
{
    int32_t position = 8000;
    float cos_[1], sin_[1];
    unsigned char memory[512];
    ilki_ws ws;
    ilki_base_ws_init(&ws, memory, sizeof memory);
    ilki_nn ctx = {.ops = &ilki_kern_ref, .ws = &ws};
    ilki_rope r = {.theta = 9, .dim = 2, .n_axes = 1};
    ilki_nn_rope_table(&ctx, &r, &position, 1, cos_, sin_);
    CHECK_NEAR(cos_[0], cos(8000.0), 6e-8);
    float two[2], sines[2];
    r.dim = 4;
    ilki_nn_rope_table(&ctx, &r, &position, 1, two, sines);
    CHECK_STATUS(ctx.status, ILK_OK, NULL);
    float angle = 8000.0f * (float)(1.0 / 3.0);
    CHECK_NEAR(two[1], cos((double)angle), 6e-8);
    CHECK(fabs((double)two[1] - cos(8000.0 / 3.0)) > 1e-6);
}

TEST_MAIN({"turns", turns}, {"f32 angles", f32_angles})
