/* SPDX-License-Identifier: Apache-2.0
 * Every folder of tests/fixtures that holds a towers.json (tools/make_clip_goldens.py) against the reference, stage by
 * stage: ids, hidden states and own vector of texts; rows, hidden states and own vector of pictures; what the two
 * together are worth. A new folder needs no line here. ILK_TEST_FIXTURES names another folder of folders. */
#include "embed/state.h"
#include "net.h"
#include "nn/layers.h"
#include "stages.h"

#define LOGITS_ABS 5e-5 /* a cosine's error times the scale */

typedef struct golden {
    test_net t;
    ilki_weights *w;
    ilki_json *j;
    size_t n_texts, n_pictures;
    bool public; /* what opens it is above the models: the public calls alone */
} golden;

static numbers read_golden(const golden *g, const char *kind, int i)
{
    numbers to = read_numbers(g->w, kind, i);
    CHECK_THAT(to.x != NULL, "%s: expected %s of input %d", g->t.dir, kind, i);
    return to;
}

/* Every tensor has its place: nothing to warn of. */
static void no_warning(void *user, ilk_log_level level, const char *message)
{
    (void)user;
    CHECK_THAT(level > ILK_LOG_WARN, "expected no warning, got: %s", message);
}

static bool open_golden(golden *g, const char *dir)
{
    ilk_error err;
    ilk_error_init(&err);
    *g = (golden){.t.dir = dir};
    if (!CHECK_OK(test_read_json(&g->j, dir, "towers.json", &err), &err) ||
        !CHECK_OK(test_open_weights(&g->w, dir, "towers.safetensors", &err), &err))
        return false;
    g->public = ilki_base_json_bool(g->j, ilki_base_json_get(g->j, ilki_base_json_root(g->j), "public"), false);
    if (g->public ? !CHECK_OK(ilk_runtime_open(&g->t.rt, NULL, &err), &err)
                  : !CHECK_OK(test_net_open_log(&g->t, dir, 2, NULL, no_warning, NULL, &err), &err))
        return false;
    ilki_json_node root = ilki_base_json_root(g->j);
    g->n_texts = ilki_base_json_count(g->j, ilki_base_json_get(g->j, root, "texts"));
    g->n_pictures = (size_t)ilki_base_json_double(g->j, ilki_base_json_get(g->j, root, "pictures"), 0);
    return CHECK(g->n_texts + g->n_pictures > 0);
}

static void close_golden(golden *g)
{
    test_net_close(&g->t);
    ilki_format_close(g->w);
    ilki_base_json_free(g->j);
}

/* The tower that reads this modality. */
static unsigned tower_of(const golden *g, ilk_modality modality)
{
    for (unsigned t = 0; t < g->t.net->n_towers; t++)
        if (g->t.net->tower[t].modalities & 1u << modality)
            return t;
    CHECK_THAT(false, "%s: expected a tower of modality %d", g->t.dir, (int)modality);
    return 0;
}

/* Hidden states and own vector of one sequence; its own vector again in company must be of the same bits. */
static void check_sequence(const golden *g, unsigned t, const ilki_tower_in *in, const char *kind, int i)
{
    const ilki_tower_info *tower = &g->t.net->tower[t];
    char name[32];
    ilk_error err;
    ilk_error_init(&err);
    snprintf(name, sizeof name, "%s.hidden", kind);
    numbers hidden = read_golden(g, name, i);
    snprintf(name, sizeof name, "%s.embedded", kind);
    numbers want = read_golden(g, name, i);
    size_t n = in->n_tokens * tower->dim;
    float *got = calloc(n + 1, sizeof *got), *own = calloc(tower->embed_dim + 1, sizeof *own),
          *with = calloc(tower->embed_dim + 1, sizeof *with);
    bool ok = CHECK(got && own && with && hidden.n == n * (tower->n_layers + 1) && want.n == tower->embed_dim);
    for (uint32_t k = 0; ok && k <= tower->n_layers; k++) {
        ilki_tower_out out = {.layer = (int32_t)k, .layer_tokens = got};
        ok = CHECK_OK(test_net_run_tower(&g->t, t, g->t.rt->pool, in, &out, &err), &err) &&
             is_near(got, hidden.x + k * n, n, HIDDEN_ABS, HIDDEN_REL, kind, g->t.dir, i, (int)k);
    }
    ilki_tower_out out = {.embedded = own}, both = {.embedded = with, .tokens = got};
    if (ok && CHECK_OK(test_net_run_tower(&g->t, t, g->t.rt->pool, in, &out, &err), &err) &&
        CHECK_OK(test_net_run_tower(&g->t, t, g->t.rt->pool, in, &both, &err), &err)) {
        CHECK_THAT(memcmp(own, with, want.n * sizeof *own) == 0, "%s: %s %d: other bits beside all tokens", g->t.dir,
                   kind, i);
        is_near(own, want.x, want.n, HIDDEN_ABS, HIDDEN_REL, "embedded", g->t.dir, i, 0);
        make_unit(own, want.n);
        make_unit(want.x, want.n);
        is_near(own, want.x, want.n, VECTOR_ABS, 0, "unit vector", g->t.dir, i, 0);
    }
    free(hidden.x);
    free(want.x);
    free(got);
    free(own);
    free(with);
}

static void check_text(const golden *g, int i)
{
    numbers ids = read_golden(g, "ids", i);
    int32_t list[128];
    uint32_t offsets[2] = {0, (uint32_t)ids.n};
    if (!CHECK(ids.n > 0 && ids.n <= 128))
        return;
    for (size_t k = 0; k < ids.n; k++)
        list[k] = (int32_t)ids.x[k];
    ilki_tower_in in = {.n_seqs = 1, .n_tokens = ids.n, .offsets = offsets, .ids = list};
    check_sequence(g, tower_of(g, ILK_TEXT), &in, "text", i);
    free(ids.x);
}

/* values [3][h][w] to rows of patches, those that the tower makes itself before them. */
static float *make_rows(const ilki_tower_info *t, const float *values, size_t *n)
{
    size_t side = t->image_size / t->patch_size, p = t->patch_size, at = t->n_own_rows * (size_t)t->row_dim;
    *n = side * side + t->n_own_rows;
    float *rows = calloc(*n * t->row_dim, sizeof *rows);
    for (size_t patch = 0; rows && patch < side * side; patch++)
        for (size_t c = 0; c < t->row_dim / (p * p); c++)
            for (size_t k = 0; k < p * p; k++)
                rows[at++] =
                    values[(c * t->image_size + patch / side * p + k / p) * t->image_size + patch % side * p + k % p];
    return rows;
}

static void check_picture(const golden *g, int i)
{
    unsigned t = tower_of(g, ILK_IMAGE);
    const ilki_tower_info *tower = &g->t.net->tower[t];
    numbers values = read_golden(g, "values", i);
    size_t n = 0;
    if (!CHECK(values.n == (size_t)3 * tower->image_size * tower->image_size))
        return;
    float *rows = make_rows(tower, values.x, &n);
    uint32_t offsets[2] = {0, (uint32_t)n};
    ilki_tower_in in = {.n_seqs = 1, .n_tokens = n, .offsets = offsets, .rows = rows, .row_dim = tower->row_dim};
    if (CHECK(rows))
        check_sequence(g, t, &in, "vision", i);
    free(rows);
    free(values.x);
}

/* ---- the same through the public calls */

/* The pixels as the processor leaves them, every number exactly. */
static void check_values(const golden *g, const ilk_model *m, int i, const ilk_part *part)
{
    const ilki_tower_info *t = &m->net->tower[m->image_tower];
    numbers values = read_golden(g, "values", i);
    size_t n = 0, n_bad = 0;
    float *want = make_rows(t, values.x, &n), *got = calloc(n * t->row_dim, sizeof *got);
    ilk_error err;
    ilk_error_init(&err);
    const ilki_modality *row = ilki_embed_modality(ILK_IMAGE);
    if (CHECK(want && got && row) &&
        CHECK_OK(row->fill(m, part, false, NULL, got + t->n_own_rows * (size_t)t->row_dim, &err), &err)) {
        for (size_t k = 0; k < n * t->row_dim; k++)
            n_bad += memcmp(&got[k], &want[k], sizeof *got) != 0 && got[k] != want[k];
        CHECK_THAT(n_bad == 0, "%s: picture %d: %zu of %zu values differ", g->t.dir, i, n_bad, n * t->row_dim);
    }
    free(values.x);
    free(want);
    free(got);
}

static void check_ids(const golden *g, ilk_model *m, int i, const char *text)
{
    ilk_tokens *tokens = NULL;
    ilk_error err;
    size_t n = 0, n_bad = 0, n_pads = 0;
    numbers want = read_golden(g, "ids", i);
    ilk_error_init(&err);
    if (CHECK_OK(ilk_tokenize(m, text, strlen(text), &tokens, &err), &err)) {
        const int32_t *got = ilk_tokens_get_ids(tokens, &n);
        n_pads = m->net->tower[m->text_tower].pad_to && want.n > n ? want.n - n : 0;
        size_t at = m->pad_left ? n_pads : 0;
        for (size_t k = 0; k < want.n; k++)
            n_bad += (k >= at && k - at < n ? got[k - at] : m->pad_id) != (int32_t)want.x[k];
        CHECK_THAT(n + n_pads == want.n && n_bad == 0, "%s: text %d: %zu ids and %zu pads, want %zu; %zu differ",
                   g->t.dir, i, n, n_pads, want.n, n_bad);
    }
    ilk_tokens_free(tokens);
    free(want.x);
}

typedef struct batch {
    ilk_part *parts;
    ilk_input *in;
    uint8_t *bytes;
    size_t n;
} batch;

/* Every text, then every picture, then each text with the first picture. */
static void fill_batch(const golden *g, batch *b, uint32_t side)
{
    size_t n_fused = g->n_pictures ? g->n_texts : 0, n_bytes = (size_t)side * side * 3;
    ilki_json_node text = ilki_base_json_first(g->j, ilki_base_json_get(g->j, ilki_base_json_root(g->j), "texts"));
    b->n = g->n_texts + g->n_pictures + n_fused;
    b->parts = calloc(b->n + n_fused + 1, sizeof *b->parts);
    b->in = calloc(b->n + 1, sizeof *b->in);
    b->bytes = calloc(g->n_pictures * n_bytes + 1, 1);
    for (size_t i = 0; i < b->n + n_fused; i++)
        ilk_part_init(&b->parts[i]);
    for (size_t i = 0; i < g->n_texts; i++, text = ilki_base_json_next(g->j, text)) {
        b->parts[i].kind = ILK_PART_TEXT;
        b->parts[i].data = ilki_base_json_string(g->j, text, &b->parts[i].n_bytes);
    }
    for (size_t i = 0; i < g->n_pictures; i++) {
        ilk_part *p = &b->parts[g->n_texts + i];
        numbers pixels = read_golden(g, "pixels", (int)i);
        for (size_t k = 0; k < n_bytes && k < pixels.n; k++)
            b->bytes[i * n_bytes + k] = (uint8_t)pixels.x[k];
        free(pixels.x);
        p->kind = ILK_PART_PIXELS;
        p->modality = ILK_IMAGE;
        p->data = b->bytes + i * n_bytes;
        p->shape[0] = p->shape[1] = side;
        p->shape[2] = 3;
    }
    for (size_t i = 0; i < b->n; i++) {
        size_t alone = g->n_texts + g->n_pictures;
        ilk_input_init(&b->in[i]);
        b->in[i].parts = i < alone ? &b->parts[i] : &b->parts[alone + 2 * (i - alone)];
        b->in[i].n_parts = i < alone ? 1 : 2;
        if (i < alone)
            continue;
        b->parts[alone + 2 * (i - alone)] = b->parts[g->n_texts];
        b->parts[alone + 2 * (i - alone) + 1] = b->parts[i - alone];
    }
}

static void check_unit(const golden *g, const ilk_vectors *v, size_t row, const char *kind, int i)
{
    size_t n = 0;
    numbers want = read_golden(g, kind, i);
    const float *got = ilk_vectors_get_dense(v, row, &n);
    make_unit(want.x, want.n);
    if (CHECK(got && n == want.n))
        is_near(got, want.x, n, VECTOR_ABS, 0, kind, g->t.dir, i, 0);
    CHECK_INT(ilk_vectors_get_fused(v, row), 0);
    free(want.x);
}

/* The unit sum of the two, with the text's share. */
static void check_fused(const golden *g, const ilk_vectors *v, size_t row, size_t text, float share)
{
    size_t n = 0;
    const float *a = ilk_vectors_get_dense(v, text, &n), *b = ilk_vectors_get_dense(v, g->n_texts, &n),
                *got = ilk_vectors_get_dense(v, row, &n);
    float *want = calloc(n + 1, sizeof *want);
    if (!CHECK(a && b && got && want))
        return;
    for (size_t k = 0; k < n; k++)
        want[k] = share * a[k] + (1 - share) * b[k];
    make_unit(want, n);
    is_near(got, want, n, 1e-6, 0, "fused", g->t.dir, (int)text, 0);
    CHECK_INT(ilk_vectors_get_fused(v, row), 1 << ILK_TEXT | 1 << ILK_IMAGE);
    free(want);
}

/* Scores and probabilities of each picture against all texts. */
static void check_comparison(const golden *g, const ilk_model_info *info, const ilk_vectors *v)
{
    numbers logits = read_golden(g, "logits", -1), probs = read_golden(g, "probs", -1);
    size_t n = 0;
    float got[64];
    for (size_t i = 0; i < g->n_pictures && CHECK(g->n_texts <= 64 && logits.n == g->n_texts * g->n_pictures); i++) {
        double sum = 0, row[64];
        for (size_t k = 0; k < g->n_texts; k++) {
            const float *a = ilk_vectors_get_dense(v, g->n_texts + i, &n), *b = ilk_vectors_get_dense(v, k, &n);
            double dot = 0;
            for (size_t e = 0; e < n; e++)
                dot += (double)a[e] * (double)b[e];
            row[k] = (double)info->compare_scale * dot + (double)info->compare_bias;
            got[k] = (float)row[k];
            sum += exp(row[k]);
        }
        is_near(got, logits.x + i * g->n_texts, g->n_texts, LOGITS_ABS, 0, "logits", g->t.dir, (int)i, 0);
        for (size_t k = 0; k < g->n_texts; k++)
            got[k] = (float)(strcmp(info->compare_by, "softmax") == 0 ? exp(row[k]) / sum : 1 / (1 + exp(-row[k])));
        is_near(got, probs.x + i * g->n_texts, g->n_texts, LOGITS_ABS, 0, "probabilities", g->t.dir, (int)i, 0);
    }
    free(logits.x);
    free(probs.x);
}

static void check_batch(const golden *g, ilk_model *m, const ilk_model_info *info, float share)
{
    batch b = {0};
    ilk_vectors *v = NULL;
    ilk_embed_options opt;
    ilk_error err;
    ilk_error_init(&err);
    ilk_embed_options_init(&opt);
    opt.normalize = 1;
    opt.text_share = share;
    fill_batch(g, &b, info->image_size);
    if (CHECK_OK(ilk_embed(m, b.in, b.n, &opt, NULL, &v, &err), &err)) {
        size_t alone = g->n_texts + g->n_pictures;
        for (size_t i = 0; i < g->n_texts; i++)
            check_unit(g, v, i, "text.embedded", (int)i);
        for (size_t i = 0; i < g->n_pictures; i++)
            check_unit(g, v, g->n_texts + i, "vision.embedded", (int)i);
        for (size_t i = alone; i < b.n; i++)
            check_fused(g, v, i, i - alone, share > 0 ? share : 0.5f);
        if (b.n > alone)
            check_comparison(g, info, v);
    }
    for (size_t i = 0; i < g->n_pictures; i++)
        check_values(g, m, (int)i, &b.parts[g->n_texts + i]);
    for (size_t i = 0; i < g->n_texts; i++)
        check_ids(g, m, (int)i, b.parts[i].data);
    ilk_vectors_free(v);
    free(b.parts);
    free(b.in);
    free(b.bytes);
}

/* Weights of 8 bits: nearly the same direction. */
static void check_int8w(const golden *g, const char *where)
{
    ilk_model *m = NULL;
    batch b = {0};
    ilk_vectors *v = NULL;
    ilk_model_info info;
    ilk_model_options opt;
    ilk_error err;
    ilk_error_init(&err);
    ilk_model_info_init(&info);
    ilk_model_options_init(&opt);
    opt.precision = ILK_PRECISION_INT8W;
    if (!CHECK_OK(ilk_model_open(&m, g->t.rt, where, &opt, &err), &err))
        return;
    CHECK_OK(ilk_model_get_info(m, &info, &err), &err);
    fill_batch(g, &b, info.image_size);
    CHECK_OK(ilk_embed(m, b.in, b.n, NULL, NULL, &v, &err), &err);
    for (size_t i = 0; v && i < g->n_texts + g->n_pictures; i++) {
        bool text = i < g->n_texts;
        numbers want = read_golden(g, text ? "text.embedded" : "vision.embedded", (int)(text ? i : i - g->n_texts));
        size_t n = 0;
        double dot = 0, aa = 0, bb = 0;
        const float *got = ilk_vectors_get_dense(v, i, &n);
        for (size_t k = 0; CHECK(got && n == want.n) && k < n; k++) {
            dot += (double)got[k] * (double)want.x[k];
            aa += (double)got[k] * (double)got[k];
            bb += (double)want.x[k] * (double)want.x[k];
        }
        CHECK_THAT(dot >= 0.999 * sqrt(aa * bb), "%s: int8w: input %zu: cosine %.5f", g->t.dir, i, dot / sqrt(aa * bb));
        free(want.x);
    }
    ilk_vectors_free(v);
    ilk_model_close(m);
    free(b.parts);
    free(b.in);
    free(b.bytes);
}

static void check_public(const golden *g)
{
    ilk_model *m = NULL;
    ilk_model_info info;
    ilk_model_options opt;
    ilk_error err;
    ilk_error_init(&err);
    ilk_model_info_init(&info);
    ilk_model_options_init(&opt);
    const char *file = ilki_base_json_string(g->j, ilki_base_json_get(g->j, ilki_base_json_root(g->j), "weights"),
                                             NULL);
    char where[1200];
    snprintf(where, sizeof where, "%s%s%s", g->t.dir, file ? "/" : "", file ? file : "");
    check_int8w(g, where);
    for (opt.batch_tokens = 8; opt.batch_tokens <= 1024; opt.batch_tokens *= 128) {
        if (!CHECK_OK(ilk_model_open(&m, g->t.rt, where, &opt, &err), &err))
            return;
        CHECK_OK(ilk_model_get_info(m, &info, &err), &err);
        CHECK_INT(info.modalities, (g->n_texts ? 1 << ILK_TEXT : 0) | (g->n_pictures ? 1 << ILK_IMAGE : 0));
        CHECK_INT(info.normalized,
                  !ilki_base_json_bool(g->j, ilki_base_json_get(g->j, ilki_base_json_root(g->j), "raw"), false));
        check_batch(g, m, &info, opt.batch_tokens == 8 ? 0 : 0.75f);
        ilk_model_close(m);
    }
}

static void check_folder(const char *dir)
{
    golden g;
    if (open_golden(&g, dir)) {
        for (size_t i = 0; i < g.n_texts && !g.public; i++)
            check_text(&g, (int)i);
        for (size_t i = 0; i < g.n_pictures && !g.public; i++)
            check_picture(&g, (int)i);
        check_public(&g);
    }
    close_golden(&g);
}

static void every_fixture(void)
{
    each_golden("towers.json", check_folder, 15);
}

TEST_MAIN({"every_fixture", every_fixture})
