/* SPDX-License-Identifier: Apache-2.0
 * What people do with models and stores while memory is short: the n-th allocation of a whole call fails, for n in growing
 * steps. The call says NO_MEMORY or gets by, and a call that got by has the figures of one that lacked nothing; what fails
 * leaves nothing behind (the sanitizers' part), and the same call succeeds afterwards. */
#include <math.h>
#include <unistd.h>

#include "alloc_count.h"
#include "base/runtime.h"
#include "test.h"
#include "tree.h"

#define FIXTURES ILK_TEST_DIR "/fixtures/"
#define PICTURES FIXTURES "picture-eval"

enum { N_COLOURS = 60, MOST_FIGURES = 8 };

typedef struct place {
    char *top;
    ilk_runtime *rt;
    ilk_model *texts, *pictures;
    ilk_store *store;
    double figures[MOST_FIGURES]; /* what the call found */
    bool passed_over;             /* and said that it left something out */
} place;

typedef ilk_status (*use)(place *p, ilk_error *err);

static bool open_place(place *p)
{
    ilk_runtime_options o;
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options_init(&o);
    *p = (place){.top = tree_new()};
    setenv("XDG_CACHE_HOME", p->top, 1);
    o.n_threads = 1;
    o.media_helper = ILK_TEST_MEDIA;
    bool good = CHECK_OK(ilk_runtime_open(&p->rt, &o, &err), &err) &&
                CHECK_OK(ilk_model_open(&p->texts, p->rt, FIXTURES "bert-mean", NULL, &err), &err) &&
                CHECK_OK(ilk_model_open(&p->pictures, p->rt, FIXTURES "clip-quick", NULL, &err), &err);
    if (good)
        p->rt->packed_least_ns = 0; /* or no model of a test is worth a file of packed weights */
    return good;
}

static void close_place(place *p)
{
    ilk_store_close(p->store);
    ilk_model_close(p->texts);
    ilk_model_close(p->pictures);
    ilk_runtime_close(p->rt);
    tree_free(p->top);
}

/* Fails the allocations of a use; `also`: a status that it may end with beside NO_MEMORY. */
static void fail_each(place *p, const char *name, use call, ilk_status also)
{
    double want[MOST_FIGURES] = {0};
    ilk_error err;
    ilk_error_init(&err);
    memset(p->figures, 0, sizeof p->figures);
    if (!CHECK_OK(call(p, &err), &err))
        return;
    memcpy(want, p->figures, sizeof want);
    uint64_t n = 1;
    for (bool failed = true; failed; n += 1 + n / 10) {
        memset(p->figures, 0, sizeof p->figures);
        p->passed_over = false;
        alloc_fail_at(n, false);
        ilk_status st = call(p, &err);
        failed = alloc_fail_off();
        bool said = failed && (st == ILK_NO_MEMORY || st == also);
        if (!CHECK_THAT(st == ILK_OK || said, "%s: allocation %d: status %d: %s", name, (int)n, (int)st, err.message))
            break;
        if (st == ILK_OK && !p->passed_over)
            CHECK_THAT(memcmp(p->figures, want, sizeof want) == 0, "%s: allocation %d: other figures", name, (int)n);
    }
    printf("%s: %d allocations\n", name, (int)n);
    CHECK_THAT(n > 5, "%s: expected more allocations", name);
}

/* What is made anew each time. */
static void remove_tree(const char *path)
{
    alloc_count_pause(1);
    char *args = malloc(strlen(path) + 16);
    TREE_NEED(args);
    sprintf(args, "rm -rf '%s'", path);
    CHECK_INT(system(args), 0);
    free(args);
    alloc_count_pause(-1);
}

/* ---- models */

static ilk_status open_and_embed(place *p, ilk_error *err)
{
    float v[32];
    ilk_model *m = NULL;
    ilk_model_options o;
    ilk_model_options_init(&o);
    o.precision = ILK_PRECISION_INT8;
    ilk_status st = ilk_model_open(&m, p->rt, FIXTURES "bert-mean", &o, err);
    if (st == ILK_OK)
        st = ilk_embed_text(m, "a red bicycle", ILK_ROLE_NONE, v, 32, err);
    for (int i = 0; st == ILK_OK && i < MOST_FIGURES; i++)
        p->figures[i] = (double)v[i];
    ilk_model_close(m);
    return st;
}

/* A file of packed weights is written each time. */
static ilk_status pack(place *p, ilk_error *err)
{
    remove_tree(tree_path(p->top, "ilk"));
    return open_and_embed(p, err);
}

static ilk_status rerank(place *p, ilk_error *err)
{
    static const char *const words[] = {"red", "a red bicycle", "the dogs at the river"};
    ilk_model *m = NULL;
    ilk_part parts[3];
    ilk_input in[3];
    float scores[2] = {0};
    for (int i = 0; i < 3; i++) {
        ilk_part_init(&parts[i]);
        ilk_input_init(&in[i]);
        parts[i].kind = ILK_PART_TEXT;
        parts[i].modality = ILK_TEXT;
        parts[i].data = words[i];
        parts[i].n_bytes = strlen(words[i]);
        in[i].parts = &parts[i];
        in[i].n_parts = 1;
    }
    ilk_status st = ilk_model_open(&m, p->rt, FIXTURES "bert-rerank", NULL, err);
    if (st == ILK_OK)
        st = ilk_rerank(m, in, in + 1, 2, NULL, NULL, scores, err);
    p->figures[0] = (double)scores[0];
    p->figures[1] = (double)scores[1];
    ilk_model_close(m);
    return st;
}

static ilk_status calibrate(place *p, ilk_error *err)
{
    ilk_calibration c;
    ilk_calibration_init(&c);
    ilk_status st = ilk_model_calibrate(p->rt, FIXTURES "bert-mean", NULL, NULL, &c, err);
    p->figures[0] = c.chosen;
    return st;
}

static void models(void)
{
    place p;
    if (open_place(&p)) {
        fail_each(&p, "packing weights", pack, ILK_OK);
        fail_each(&p, "reading packed weights", open_and_embed, ILK_OK);
        fail_each(&p, "rerank", rerank, ILK_OK);
        fail_each(&p, "calibrate", calibrate, ILK_OK);
    }
    close_place(&p);
}

/* ---- how good a model is */

static ilk_status retrieval(place *p, ilk_error *err)
{
    ilk_eval_result r;
    ilk_eval_result_init(&r);
    ilk_status st = ilk_eval_retrieval(p->rt, p->texts, FIXTURES "eval/tiny", NULL, NULL, &r, err);
    p->figures[0] = (double)r.n_queries;
    p->figures[1] = (double)r.n_documents;
    p->figures[2] = r.mean.ndcg[0];
    p->passed_over = r.n_junk > 0;
    return st;
}

static ilk_status sts(place *p, ilk_error *err)
{
    ilk_sts_result r;
    ilk_sts_result_init(&r);
    ilk_status st = ilk_eval_sts(p->texts, FIXTURES "eval/tiny/pairs.csv", NULL, NULL, &r, err);
    memcpy(p->figures, r.spearman, sizeof r.spearman);
    memcpy(p->figures + 4, r.pearson, sizeof r.pearson);
    p->figures[0] += (double)r.n_pairs;
    return st;
}

static ilk_status zeroshot(place *p, ilk_error *err)
{
    ilk_zeroshot_result r;
    ilk_zeroshot_result_init(&r);
    ilk_status st = ilk_eval_zeroshot(p->pictures, PICTURES "/classes", NULL, NULL, &r, err);
    p->figures[0] = r.top1;
    p->figures[1] = (double)r.n_pictures;
    p->figures[2] = (double)r.n_classes;
    p->passed_over = r.n_junk > 0;
    return st;
}

static ilk_status captions(place *p, ilk_error *err)
{
    ilk_captions_result r;
    ilk_captions_result_init(&r);
    ilk_status st = ilk_eval_captions(p->pictures, PICTURES, NULL, NULL, &r, err);
    p->figures[0] = (double)r.all.n_pictures;
    p->figures[1] = (double)r.all.n_texts;
    p->passed_over = r.n_junk > 0;
    return st;
}

static ilk_status known(place *p, ilk_error *err)
{
    ilk_golden_result g;
    ilk_verify_options o;
    ilk_golden_result_init(&g);
    ilk_verify_options_init(&o);
    o.known = "minilm";
    ilk_status st = ilk_verify_known(p->texts, &o, NULL, &g, err);
    p->figures[0] = (double)g.n_held;
    p->figures[1] = (double)g.n_failed;
    return st;
}

static ilk_status against(place *p, ilk_error *err)
{
    ilk_against_result a;
    ilk_against_result_init(&a);
    char *texts = strdup(tree_path(p->top, "texts")), *vectors = strdup(tree_path(p->top, "vectors.jsonl"));
    ilk_status st = texts && vectors ? ilk_verify_against(p->texts, texts, vectors, NULL, NULL, &a, err)
                                     : ILK_NO_MEMORY;
    p->figures[0] = (double)a.n_compared;
    p->figures[1] = a.mean_cosine;
    p->figures[2] = a.cause_mean;
    free(texts);
    free(vectors);
    return st;
}

/* Two texts, and vectors of each other. */
static void put_vectors(place *p)
{
    static const char *const words[] = {"a red bicycle", "the dogs at the river"};
    char line[4096];
    size_t n = 0;
    tree_put(tree_path(p->top, "texts"), "a red bicycle\nthe dogs at the river\n");
    for (int i = 0; i < 2; i++) {
        float v[32];
        ilk_model_info info;
        ilk_model_info_init(&info);
        CHECK_OK(ilk_model_get_info(p->texts, &info, NULL), NULL);
        CHECK_OK(ilk_embed_text(p->texts, words[1 - i], ILK_ROLE_NONE, v, 32, NULL), NULL);
        for (uint32_t k = 0; k < info.dim; k++)
            n += (size_t)snprintf(line + n, sizeof line - n, "%s%.6f", k ? "," : "[", (double)v[k]);
        n += (size_t)snprintf(line + n, sizeof line - n, "]\n");
    }
    tree_write(tree_path(p->top, "vectors.jsonl"), line, n);
}

static void measures(void)
{
    place p;
    if (open_place(&p)) {
        put_vectors(&p);
        fail_each(&p, "eval retrieval", retrieval, ILK_OK);
        fail_each(&p, "eval sts", sts, ILK_OK);
        fail_each(&p, "eval zeroshot", zeroshot, ILK_OK);
        fail_each(&p, "eval captions", captions, ILK_OK);
        fail_each(&p, "verify known", known, ILK_OK);
        fail_each(&p, "verify against", against, ILK_OK);
    }
    close_place(&p);
}

/* ---- training */

static ilk_status train(place *p, ilk_error *err)
{
    ilk_train_result r;
    ilk_train_result_init(&r);
    char folder[600], photos[600];
    snprintf(folder, sizeof folder, "%s/projection", p->top);
    snprintf(photos, sizeof photos, "%s/photos", p->top);
    remove_tree(folder);
    ilk_status st = ilk_train_projection(p->pictures, p->texts, photos, folder, NULL, NULL, &r, err);
    p->figures[0] = (double)r.n_pairs;
    p->figures[1] = r.fit[0];
    p->figures[2] = r.fit[1];
    p->figures[3] = r.kept;
    p->passed_over = r.n_junk > 0;
    if (st != ILK_OK)
        CHECK_THAT(access(folder, F_OK) != 0, "a folder is left: %s", err->message);
    return st;
}

static void training(void)
{
    place p;
    if (open_place(&p)) {
        static char rows[N_COLOURS * 64];
        size_t n = 0;
        TREE_NEED(mkdir(tree_path(p.top, "photos"), 0700) == 0);
        for (int i = 0; i < N_COLOURS; i++) {
            char ppm[11 + 48] = "P6 4 4 255\n", name[32];
            for (int k = 0; k < 48; k++)
                ppm[11 + k] = (char)(k % 3 == 0 ? i / 16 * 60 : k % 3 == 1 ? i / 4 % 4 * 60 : i % 4 * 60);
            snprintf(name, sizeof name, "%d.ppm", i);
            tree_write(tree_path(p.top, "photos/%s", name), ppm, sizeof ppm);
            n += (size_t)snprintf(rows + n, sizeof rows - n, "{\"image\": \"%s\", \"caption\": \"cat %d\"}\n", name, i);
        }
        tree_write(tree_path(p.top, "photos/captions.jsonl"), rows, n);
        fail_each(&p, "train projection", train, ILK_OK);
    }
    close_place(&p);
}

/* ---- what a store tells */

static int count_source(void *user, const ilk_source *s)
{
    *(double *)user += s->n_items;
    return 0;
}

static ilk_status sources(place *p, ilk_error *err)
{
    return ilk_store_list_sources(p->store, count_source, &p->figures[0], err);
}

static ilk_status thumbnails(place *p, ilk_error *err)
{
    static const char *const paths[] = {"a.jpg", "b.png", "none.jpg"};
    ilk_thumbnails *t = NULL;
    remove_tree(tree_path(p->top, "ilk"));
    ilk_status st = ilk_store_get_thumbnails(p->store, paths, 3, NULL, NULL, &t, err);
    for (size_t i = 0; st == ILK_OK && i < 3; i++) {
        ilk_thumbnail x;
        ilk_thumbnail_init(&x);
        CHECK_OK(ilk_thumbnails_get(t, i, &x, NULL), NULL);
        p->figures[i] = (double)x.n_bytes;
        p->passed_over |= x.status == ILK_NO_MEMORY;
    }
    ilk_thumbnails_free(t);
    return st;
}

static void count_finding(void *user, const char *object, const char *finding, int repaired)
{
    (void)object, (void)finding, (void)repaired;
    *(double *)user += 1;
}

static ilk_status check_store(place *p, ilk_error *err)
{
    return ilk_store_check(p->store, 0, count_finding, &p->figures[0], NULL, err);
}

static ilk_status prune(place *p, ilk_error *err)
{
    ilk_ingest_result r;
    ilk_ingest_result_init(&r);
    ilk_status st = ilk_prune(p->store, 1, NULL, NULL, NULL, &r, err);
    p->figures[0] = (double)r.n_removed;
    return st;
}

static ilk_status similar(place *p, ilk_error *err)
{
    ilk_hits *h = NULL;
    ilk_status st = ilk_similar(p->store, "a.jpg", NULL, NULL, &h, err);
    p->figures[0] = (double)ilk_hits_get_count(h, 0);
    ilk_hits_free(h);
    return st;
}

static void copy_picture(const char *fixture, const char *to)
{
    char data[1 << 16];
    FILE *f = fopen(tree_path(FIXTURES "picture-files", "%s", fixture), "rb");
    TREE_NEED(f);
    size_t n = fread(data, 1, sizeof data, f);
    fclose(f);
    tree_write(to, data, n);
}

static void stores(void)
{
    place p;
    ilk_error err;
    ilk_error_init(&err);
    if (!open_place(&p))
        goto end;
    char *dir = strdup(tree_path(p.top, "docs"));
    const char *paths[] = {dir};
    ilk_model *both[] = {p.texts, p.pictures};
    TREE_NEED(mkdir(dir, 0700) == 0);
    copy_picture("jpeg-420.jpg", tree_path(dir, "a.jpg"));
    copy_picture("png-pattern.png", tree_path(dir, "b.png"));
    tree_put(tree_path(dir, "c.txt"), "the dogs at the river\n");
    tree_put(tree_path(dir, "gone.txt"), "a red bicycle\n");
    bool good = CHECK_OK(ilk_store_open(&p.store, p.rt, tree_path(dir, ".ilk"), NULL, &err), &err) &&
                CHECK_OK(ilk_ingest(p.store, both, 2, paths, 1, NULL, NULL, NULL, &err), &err);
    TREE_NEED(unlink(tree_path(dir, "gone.txt")) == 0);
    free(dir);
    if (good) {
        fail_each(&p, "sources", sources, ILK_OK);
        fail_each(&p, "thumbnails", thumbnails, ILK_OK);
        fail_each(&p, "check", check_store, ILK_OK);
        fail_each(&p, "prune", prune, ILK_OK);
        fail_each(&p, "similar", similar, ILK_OK);
    }
end:
    close_place(&p);
}

TEST_MAIN({"models", models}, {"measures", measures}, {"training", training}, {"stores", stores})
