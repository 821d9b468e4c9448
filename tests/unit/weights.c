/* SPDX-License-Identifier: Apache-2.0
 * The loader of weight lists, on files of a few tensors made here. */
#include "models/weights.h"

#include <stdlib.h>
#include <unistd.h>

#include "alloc_count.h"
#include "base/buf.h"
#include "test.h"

typedef struct layer {
    ilki_linear qk;
    ilki_norm norm;
} layer;

typedef struct net {
    const ilki_tensor *table;
    const float *scale;
    ilki_linear head;
    layer layers[2];
} net;

enum { N = 1, D, K, N_DIMS };
static uint64_t dims[N_DIMS] = {[N] = 5, [D] = 4, [K] = 2};
static ilki_form form = ILKI_FORM_F32;

static const ilki_weight rows[] = {
    {.kind = ILKI_WEIGHT_TABLE, .name = "emb.weight", .offset = offsetof(net, table), .cols = D, .rows = {N}},
    {.kind = ILKI_WEIGHT_LINEAR,
     .name = "l.%u.%s",
     .offset = offsetof(layer, qk),
     .cols = D,
     .rows = {D, K},
     .parts = {"q", "k"},
     .bias = ILKI_BIAS_OPTIONAL},
    {.kind = ILKI_WEIGHT_NORM, .name = "l.%u.norm", .offset = offsetof(layer, norm), .cols = D},
    {.kind = ILKI_WEIGHT_VECTOR, .name = "/scale", .offset = offsetof(net, scale), .cols = K, .optional = true},
    {.kind = ILKI_WEIGHT_LINEAR,
     .name = "head",
     .offset = offsetof(net, head),
     .cols = D,
     .rows = {K},
     .bias = ILKI_BIAS_NONE,
     .optional = true},
};
static const char *const prefixes[] = {"", "p.", NULL};
static const char *const ignored[] = {"cls.*", "*position_ids", "exact", NULL};
static const ilki_weight_list list = {"sample", rows, sizeof rows / sizeof *rows, prefixes, ignored};

/* "name rank d0 d1"; the numbers of a file count 1, 2, 3 ... through all its tensors */
typedef struct spec {
    const char *name;
    unsigned rank, d0, d1;
} spec;

static const spec good[] = {
    {"emb.weight", 2, 5, 4},    {"l.0.q.weight", 2, 4, 4},    {"l.0.q.bias", 1, 4, 0},    {"l.0.k.weight", 2, 2, 4},
    {"l.0.k.bias", 1, 2, 0},    {"l.0.norm.weight", 1, 4, 0}, {"l.0.norm.bias", 1, 4, 0}, {"l.1.q.weight", 2, 4, 4},
    {"l.1.q.bias", 1, 4, 0},    {"l.1.k.weight", 2, 2, 4},    {"l.1.k.bias", 1, 2, 0},    {"l.1.norm.gamma", 1, 4, 0},
    {"l.1.norm.beta", 1, 4, 0},
};
#define N_GOOD (sizeof good / sizeof *good)

static char path[256];
static char logged[512];
static int n_logged;

static void keep_log(void *user, ilk_log_level level, const char *message)
{
    (void)user;
    n_logged += level == ILK_LOG_WARN;
    snprintf(logged, sizeof logged, "%s", message);
}

static void put_file(const spec *specs, size_t n, const char *prefix, float first)
{
    ilki_buf h, data;
    ilki_base_buf_init(&h, 1 << 16);
    ilki_base_buf_init(&data, 1 << 18);
    ilki_base_buf_adds(&h, "{");
    for (size_t i = 0; i < n; i++) {
        const spec *s = &specs[i];
        size_t begin = data.len, count = s->d0 * (s->rank == 2 ? s->d1 : 1);
        for (size_t k = 0; k < count; k++)
            ilki_base_buf_put_f32(&data, first++);
        ilki_base_buf_addf(&h, "%s\"%s%s\":{\"dtype\":\"F32\",\"shape\":[%u", i ? "," : "",
                           s->name[0] == '/' ? "" : prefix, s->name + (s->name[0] == '/'), s->d0);
        if (s->rank == 2)
            ilki_base_buf_addf(&h, ",%u", s->d1);
        ilki_base_buf_addf(&h, "],\"data_offsets\":[%zu,%zu]}", begin, data.len);
    }
    ilki_base_buf_adds(&h, "}");
    FILE *f = fopen(path, "wb");
    if (CHECK(f != NULL)) {
        uint64_t len = h.len;
        fwrite(&len, 8, 1, f);
        fwrite(h.data, 1, h.len, f);
        if (data.len)
            fwrite(data.data, 1, data.len, f);
        fclose(f);
    }
    ilki_base_buf_deinit(&h);
    ilki_base_buf_deinit(&data);
}

typedef struct loaded {
    ilk_runtime *rt;
    ilki_weights *w;
    ilki_arena arena;
    net n;
    ilki_weight_target to;
} loaded;

static ilk_status load(loaded *l, ilk_error *err)
{
    const char *const paths[] = {path};
    ilk_runtime_options opt;
    ilk_runtime_options_init(&opt);
    opt.n_threads = 2;
    opt.log = keep_log;
    n_logged = 0;
    *l = (loaded){0};
    ilk_error_init(err);
    ilk_status s = ilk_runtime_open(&l->rt, &opt, err);
    if (s == ILK_OK)
        s = ilki_format_open(&l->w, &ilki_base_vfs_posix, paths, 1, false, err);
    if (s != ILK_OK)
        return s;
    ilki_model_source src = {
        .dir = "dir", .weights = l->w, .ops = l->rt->ops, .pool = l->rt->pool, .form = form, .rt = l->rt};
    l->to = (ilki_weight_target){.net = &l->n,
                                 .layers = l->n.layers,
                                 .layer_size = sizeof(layer),
                                 .n_layers = 2,
                                 .dims = dims,
                                 .arena = &l->arena};
    return ilki_models_load(&list, &src, &l->to, err);
}

static void unload(loaded *l)
{
    ilki_models_unload(&list, &l->to);
    ilki_format_close(l->w);
    ilk_runtime_close(l->rt);
}

static bool begin(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/ilk-weights-XXXXXX", tmp ? tmp : "/tmp");
    int fd = mkstemp(path);
    if (fd >= 0)
        close(fd);
    return CHECK(fd >= 0);
}

/* y = x W^T + b of one row, by the packed form */
static void apply(const loaded *l, const ilki_linear *w, const float *x, float *y)
{
    size_t n_scratch = l->rt->ops->gemm_scratch_f32(1, w->n_in);
    void *scratch = ilki_base_alloc_aligned(n_scratch + 1, 1);
    ilki_gemm_f32 g = {.a = x,
                       .packed = w->packed,
                       .bias = w->bias,
                       .c = y,
                       .scratch = scratch,
                       .m = 1,
                       .n = w->n_out,
                       .k = w->n_in,
                       .lda = w->n_in,
                       .ldc = w->n_out,
                       .j1 = w->n_out};
    l->rt->ops->gemm_f32(&g);
    free(scratch);
}

static void fills_members(void)
{
    REQUIRE(begin());
    static const char *const before[] = {"",
                                         "p.",
                                         "module.",
                                         "module.p.",
                                         "state_dict.model.p.",
                                         "model.",
                                         "0.auto_model.",
                                         "state_dict.model.module.auto_model.p.",
                                         "_orig_mod.p."};
    for (size_t p = 0; p < sizeof before / sizeof *before; p++) {
        loaded l;
        ilk_error err;
        put_file(good, N_GOOD, before[p], 1);
        if (CHECK_OK(load(&l, &err), &err)) {
            const float e1[] = {0, 1, 0, 0};
            float y[6] = {0};
            CHECK_INT(l.n.table->shape[0], 5);
            CHECK(l.n.scale == NULL && l.n.head.n_out == 0);
            CHECK_INT(l.n.layers[0].qk.n_out, 6);
            apply(&l, &l.n.layers[0].qk, e1, y); /* column 1 of q and k, with their biases: 1-based count of elements */
            CHECK_FLOATS(y, ((float[]){22 + 37, 26 + 38, 30 + 39, 34 + 40, 42 + 49, 46 + 50}), 6, 0, 0);
            CHECK_FLOATS(l.n.layers[0].norm.w, ((float[]){51, 52, 53, 54}), 4, 0, 0);
            CHECK_FLOATS(l.n.layers[1].norm.b, ((float[]){93, 94, 95, 96}), 4, 0, 0);
            CHECK_INT(l.n.layers[1].norm.dim, 4);
            CHECK_INT(l.to.n_parameters, 96);
            CHECK(l.to.memory_bytes > 4 * (2 * 6 * 4));
            CHECK_INT(n_logged, 0);
        }
        unload(&l);
    }
    unlink(path);
}

/* A name that takes no prefix of the list, with what wraps the whole and, where a file has it so, with the prefix; what
 * stands elsewhere is refused, and so are two models. */
static void finds_prefix(void)
{
    static const struct {
        const char *prefix, *scale, *says;
    } cases[] = {
        {"p.", "/scale", NULL},
        {"module.p.", "/module.scale", NULL},
        {"model.p.", "/model.scale", NULL},
        {"module.p.", "/module.p.scale", NULL},
        {"module.p.", "/module.cls.x", ""},
        {"student.", "/scale", "tensor student.emb.weight: expected it behind a known prefix"},
        {"xp.", "/scale", "tensor xp.emb.weight: expected it behind a known prefix"},
        {"module.p.", "/p.emb.weight", "expected one sample model, found two: tensors"},
        {"model.", "/emb.weight", "expected one sample model, found two: tensors"},
    };
    REQUIRE(begin());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        spec more[N_GOOD + 1];
        loaded l;
        ilk_error err;
        memcpy(more, good, sizeof good);
        more[N_GOOD] = (spec){cases[i].scale, 1, 2, 0};
        put_file(more, N_GOOD + 1, cases[i].prefix, 1);
        if (!cases[i].says || !*cases[i].says) {
            if (CHECK_OK(load(&l, &err), &err))
                CHECK((l.n.scale != NULL) == !cases[i].says);
            CHECK_THAT(n_logged == 0, "%s%s: %s", cases[i].prefix, cases[i].scale, logged);
        } else {
            CHECK_STATUS(load(&l, &err), ILK_BAD_FORMAT, &err);
            CHECK_THAT(strstr(err.message, cases[i].says) != NULL, "%s", err.message);
        }
        unload(&l);
    }
    unlink(path);
}

static void reads_optional(void)
{
    REQUIRE(begin());
    spec more[N_GOOD + 2];
    memcpy(more, good, sizeof good);
    more[N_GOOD] = (spec){"/scale", 1, 2, 0};
    more[N_GOOD + 1] = (spec){"head.weight", 2, 2, 4};
    loaded l;
    ilk_error err;
    put_file(more, N_GOOD + 2, "p.", 1);
    if (CHECK_OK(load(&l, &err), &err)) {
        CHECK_FLOATS(l.n.scale, ((float[]){97, 98}), 2, 0, 0);
        CHECK(l.n.head.n_out == 2 && l.n.head.bias == NULL);
        CHECK_INT(n_logged, 0);
    }
    unload(&l);
    unlink(path);
}

/* Each tensor in turn left out, and with another shape. */
static void names_what_is_wrong(void)
{
    REQUIRE(begin());
    for (size_t i = 0; i < N_GOOD; i++) {
        spec some[N_GOOD];
        loaded l;
        ilk_error err;
        memcpy(some, good, i * sizeof *good);
        memcpy(some + i, good + i + 1, (N_GOOD - i - 1) * sizeof *good);
        put_file(some, N_GOOD - 1, "", 1);
        CHECK_STATUS(load(&l, &err), ILK_BAD_FORMAT, &err);
        char want[64], old[64];
        snprintf(want, sizeof want, "%s", good[i].name);
        snprintf(old, sizeof old, "%s", i == 11 ? "l.1.norm.weight" : i == 12 ? "l.1.norm.bias" : "l.0.q.weight");
        CHECK_THAT(strstr(err.message, path) && (strstr(err.message, want) || strstr(err.message, old) ||
                                                 strstr(err.message, "biases of all parts")),
                   "without %s: %s", want, err.message);
        unload(&l);

        memcpy(some, good, sizeof good);
        some[i].d0++;
        put_file(some, N_GOOD, "", 1);
        CHECK_STATUS(load(&l, &err), ILK_BAD_FORMAT, &err);
        CHECK_THAT(strstr(err.message, path) && strstr(err.message, want) && strstr(err.message, "expected shape ["),
                   "%s", err.message);
        unload(&l);
    }
    spec flat[N_GOOD];
    loaded l;
    ilk_error err;
    memcpy(flat, good, sizeof good);
    flat[0] = (spec){"emb.weight", 1, 20, 0};
    put_file(flat, N_GOOD, "", 1);
    CHECK_STATUS(load(&l, &err), ILK_BAD_FORMAT, &err);
    char message[512];
    snprintf(message, sizeof message, "%s: tensor emb.weight: expected shape [5, 4], as config.json has it, found [20]",
             path);
    CHECK_STR(err.message, message);
    unload(&l);
    put_file(NULL, 0, "", 1);
    CHECK_STATUS(load(&l, &err), ILK_BAD_FORMAT, &err);
    CHECK_STR(err.message, "dir: tensor emb.weight: expected shape [5, 4], found no tensor of this name");
    unload(&l);
    unlink(path);
}

static void refuses_nan(void)
{
    REQUIRE(begin());
    loaded l;
    ilk_error err;
    put_file(good, N_GOOD, "", NAN); /* all of it; the table is read later, the norm of layer 0 first */
    CHECK_STATUS(load(&l, &err), ILK_NOT_FINITE, &err);
    CHECK(strstr(err.message, "l.0.norm.weight") != NULL);
    unload(&l);
    unlink(path);
}

static void tells_unused(void)
{
    static const char *const names[] = {"cls.predictions.bias", "embeddings.position_ids", "exact", "exactly", "other"};
    REQUIRE(begin());
    spec more[N_GOOD + 5];
    memcpy(more, good, sizeof good);
    for (size_t i = 0; i < 5; i++)
        more[N_GOOD + i] = (spec){names[i], 1, 1, 0};
    loaded l;
    ilk_error err;
    put_file(more, N_GOOD + 3, "p.", 1);
    CHECK_OK(load(&l, &err), &err);
    CHECK_INT(n_logged, 0);
    unload(&l);
    put_file(more, N_GOOD + 5, "p.", 1);
    CHECK_OK(load(&l, &err), &err);
    CHECK_INT(n_logged, 1);
    char want[512];
    snprintf(want, sizeof want, "%s: 2 tensors are not used by sample: p.exactly, p.other", path);
    CHECK_STR(logged, want);
    unload(&l);
    unlink(path);
}

static void every_allocation_may_fail(void)
{
    REQUIRE(begin());
    put_file(good, N_GOOD, "", 1);
    uint64_t n = 1;
    for (bool failed = true; failed; n++) {
        loaded l;
        ilk_error err;
        alloc_fail_at(n, false);
        ilk_status s = load(&l, &err);
        failed = alloc_fail_off();
        CHECK_STATUS(s, failed ? ILK_NO_MEMORY : ILK_OK, &err);
        unload(&l);
    }
    CHECK(n > 12);
    unlink(path);
}

/* With layers of 8 bits a large table is codes with a scale per row; heads stay f32. */
static void codes_tables(void)
{
    enum { ROWS = 5000 };
    spec large[N_GOOD + 1];
    loaded l;
    ilk_error err;
    float row[4];
    memcpy(large, good, sizeof good);
    large[N_GOOD] = (spec){"head.weight", 2, 2, 4};
    for (int f = 0; f < 2; f++) {
        form = f ? ILKI_FORM_I8 : ILKI_FORM_F32;
        large[0].d0 = ROWS;
        dims[N] = ROWS;
        put_file(large, N_GOOD + 1, "", 1);
        if (CHECK_OK(load(&l, &err), &err)) {
            CHECK_INT(l.n.table->dtype, f ? ILKI_DTYPE_I8 : ILKI_DTYPE_F32);
            CHECK_INT(l.n.head.form, ILKI_FORM_F32);
            CHECK_INT(l.n.layers[1].qk.form, form);
            CHECK(l.to.memory_bytes > (f ? (uint64_t)ROWS * 8 : 0));
            for (size_t i = 0; i < ROWS; i += 499) {
                float most = (float)(4 * i + 4);
                CHECK_OK(ilki_tensor_read_f32(l.n.table, 4 * i, 4, row, &err), &err);
                for (size_t k = 0; k < 4; k++)
                    CHECK_NEAR(row[k], (float)(4 * i + 1 + k), f ? most / 253 : 0);
                float across[6]; /* the end of a row, one, and the beginning of another */
                if (i > 0 && CHECK_OK(ilki_tensor_read_f32(l.n.table, 4 * i - 1, 6, across, &err), &err))
                    for (size_t k = 0; k < 4; k++)
                        CHECK_NEAR(across[1 + k], row[k], 0);
            }
        }
        unload(&l);
    }
    form = ILKI_FORM_F32;
    dims[N] = 5;
    unlink(path);
}

TEST_MAIN({"fills_members", fills_members}, {"finds_prefix", finds_prefix}, {"reads_optional", reads_optional},
          {"names_what_is_wrong", names_what_is_wrong}, {"refuses_nan", refuses_nan}, {"tells_unused", tells_unused},
          {"every_allocation_may_fail", every_allocation_may_fail}, {"codes_tables", codes_tables})
