/* SPDX-License-Identifier: Apache-2.0
 * Every folder of tests/fixtures that holds a towers.json (tools/make_clip_goldens.py) against the reference, stage by
 * stage: ids, hidden states and own vector of texts; rows, hidden states and own vector of pictures; what the two
 * together are worth. A new folder needs no line here. */
#include <dirent.h>

#include "net.h"
#include "nn/layers.h"

#define HIDDEN_ABS 1e-5
#define HIDDEN_REL 1e-5
#define VECTOR_ABS 5e-6 /* entries of a unit vector */
#define LOGITS_ABS 5e-5 /* a cosine's error times the scale */

typedef struct golden {
    test_net t;
    ilki_weights *w;
    ilki_json *j;
    size_t n_texts, n_pictures;
} golden;

typedef struct numbers {
    float *x;
    size_t n;
} numbers;

static numbers read_golden(const golden *g, const char *kind, int i)
{
    char name[64];
    numbers to = {0};
    snprintf(name, sizeof name, i < 0 ? "%s" : "%s.%d", kind, i);
    const ilki_tensor *t = ilki_format_find(g->w, name);
    if (!CHECK_THAT(t && ilki_tensor_count(t, &to.n), "%s: expected %s", g->t.dir, name))
        return (numbers){0};
    to.x = malloc((to.n + 1) * sizeof *to.x);
    if (!CHECK(to.x) || !CHECK_OK(ilki_tensor_read_f32(t, 0, to.n, to.x, NULL), NULL))
        return (numbers){0};
    return to;
}

static bool same(const float *got, const float *want, size_t n, double abs, double rel, const char *what,
                 const char *dir, int i, int layer)
{
    double worst = 0;
    for (size_t k = 0; k < n; k++) {
        double over = fabs((double)got[k] - (double)want[k]) / (abs + rel * fabs((double)want[k]));
        worst = over > worst || isnan(over) ? over : worst;
    }
    return CHECK_THAT(worst <= 1, "%s: input %d: %s %d: %.2f times the bound", dir, i, what, layer, worst);
}

static void make_unit(float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    for (size_t i = 0; i < n && sum > 0; i++)
        x[i] = (float)((double)x[i] / sqrt(sum));
}

static bool open_golden(golden *g, const char *dir)
{
    ilk_error err;
    ilk_error_init(&err);
    *g = (golden){0};
    if (!CHECK_OK(test_read_json(&g->j, dir, "towers.json", &err), &err) ||
        !CHECK_OK(test_open_weights(&g->w, dir, "towers.safetensors", &err), &err) ||
        !CHECK_OK(test_net_open(&g->t, dir, 2, &err), &err))
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
             same(got, hidden.x + k * n, n, HIDDEN_ABS, HIDDEN_REL, kind, g->t.dir, i, (int)k);
    }
    ilki_tower_out out = {.embedded = own}, both = {.embedded = with, .tokens = got};
    if (ok && CHECK_OK(test_net_run_tower(&g->t, t, g->t.rt->pool, in, &out, &err), &err) &&
        CHECK_OK(test_net_run_tower(&g->t, t, g->t.rt->pool, in, &both, &err), &err)) {
        CHECK_THAT(memcmp(own, with, want.n * sizeof *own) == 0, "%s: %s %d: other bits beside all tokens", g->t.dir,
                   kind, i);
        same(own, want.x, want.n, HIDDEN_ABS, HIDDEN_REL, "embedded", g->t.dir, i, 0);
        make_unit(own, want.n);
        make_unit(want.x, want.n);
        same(own, want.x, want.n, VECTOR_ABS, 0, "unit vector", g->t.dir, i, 0);
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

static void check_folder(const char *dir)
{
    golden g;
    if (open_golden(&g, dir)) {
        for (size_t i = 0; i < g.n_texts; i++)
            check_text(&g, (int)i);
        for (size_t i = 0; i < g.n_pictures; i++)
            check_picture(&g, (int)i);
    }
    close_golden(&g);
}

static void every_fixture(void)
{
    const char *root = ILK_TEST_DIR "/fixtures";
    int n = 0;
    DIR *d = opendir(root);
    REQUIRE(CHECK(d != NULL));
    for (struct dirent *e; (e = readdir(d));) {
        char dir[1024], file[1100];
        snprintf(dir, sizeof dir, "%s/%s", root, e->d_name);
        snprintf(file, sizeof file, "%s/towers.json", dir);
        FILE *f = fopen(file, "rb");
        if (!f)
            continue;
        fclose(f);
        check_folder(dir);
        n++;
    }
    closedir(d);
    CHECK(n >= 5);
}

TEST_MAIN({"every_fixture", every_fixture})
