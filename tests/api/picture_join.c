/* SPDX-License-Identifier: Apache-2.0
 * Spaces that a projection joins: pictures of one model answer questions of another, whichever of the two stands behind
 * the projection; what is joined with nothing is refused. Which picture is the nearest is checked by hand: a score is the
 * dot product of what both models give. */
#include "test.h"
#include "tree.h"

#define FIXTURES ILK_TEST_DIR "/fixtures"
#define CLASSES  FIXTURES "/picture-eval/classes"

typedef struct place {
    ilk_runtime *rt;
    char *top;
    ilk_error err;
} place;

static void open_place(place *p)
{
    ilk_runtime_options opt;
    ilk_error_init(&p->err);
    ilk_runtime_options_init(&opt);
    opt.n_threads = 2;
    opt.media_helper = ILK_TEST_MEDIA;
    p->top = tree_new();
    CHECK_OK(ilk_runtime_open(&p->rt, &opt, &p->err), &p->err);
}

static void close_place(place *p)
{
    ilk_runtime_close(p->rt);
    tree_free(p->top);
}

static ilk_model *open_model(place *p, const char *where, const char *projection)
{
    ilk_model *m = NULL;
    ilk_model_options opt;
    ilk_model_options_init(&opt);
    opt.projection = projection;
    CHECK_OK(ilk_model_open(&m, p->rt, where, &opt, &p->err), &p->err);
    return m;
}

static void copy_file(const char *from, const char *to)
{
    char bytes[65536];
    FILE *f = fopen(from, "rb");
    TREE_NEED(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    tree_write(to, bytes, n);
}

/* A copy of a projection that says whose vectors go in, and whose space they lead into. */
static const char *make_projection(place *p, const char *name, const char *from, const char *source, const char *target)
{
    char about[512];
    mkdir(tree_path(p->top, "%s", name), 0700);
    copy_file(tree_path(from, "config.json"), tree_path(p->top, "%s/config.json", name));
    copy_file(tree_path(from, "model.safetensors"), tree_path(p->top, "%s/model.safetensors", name));
    int n = snprintf(
        about, sizeof about,
        "{\"source\": {\"fingerprint\": \"%s\", \"model\": \"one\"}, \"target\": {\"fingerprint\": \"%s\"}}", source,
        target);
    tree_write(tree_path(p->top, "%s/ilk.json", name), about, (size_t)n);
    return tree_path(p->top, "%s", name);
}

static ilk_status index_pictures(place *p, ilk_model *m, const char *store, ilk_store **s)
{
    ilk_store_options so;
    ilk_ingest_options io;
    const char *paths[1] = {CLASSES};
    ilk_store_options_init(&so);
    ilk_ingest_options_init(&io);
    CHECK_OK(ilk_store_open(s, p->rt, tree_path(p->top, "%s", store), &so, &p->err), &p->err);
    return ilk_ingest(*s, &m, 1, paths, 1, &io, NULL, NULL, &p->err);
}

static ilk_status ask(place *p, ilk_store *s, ilk_model *m, const char *text, ilk_hits **h)
{
    ilk_query q;
    ilk_input in;
    ilk_part part;
    ilk_query_init(&q);
    q.k = 100;
    ilk_part_init(&part);
    part.kind = ILK_PART_TEXT;
    part.modality = ILK_TEXT;
    part.data = text;
    part.n_bytes = strlen(text);
    ilk_input_init(&in);
    in.parts = &part;
    in.n_parts = 1;
    *h = NULL;
    return ilk_search(s, m, &in, &q, NULL, h, &p->err);
}

/* The hit's score is what the two models' vectors make of it. */
static void check_score(place *p, ilk_model *pictures, ilk_model *texts, const char *text, const ilk_hit *hit)
{
    ilk_part part[2];
    ilk_input in[2];
    ilk_vectors *v[2] = {NULL, NULL};
    double dot = 0;
    size_t dim[2];
    for (size_t i = 0; i < 2; i++) {
        ilk_part_init(&part[i]);
        part[i].kind = i ? ILK_PART_TEXT : ILK_PART_PATH;
        part[i].modality = i ? ILK_TEXT : ILK_IMAGE;
        part[i].data = i ? text : hit->path;
        part[i].n_bytes = strlen(part[i].data);
        ilk_input_init(&in[i]);
        in[i].parts = &part[i];
        in[i].n_parts = 1;
        in[i].role = i ? ILK_ROLE_QUERY : ILK_ROLE_DOCUMENT;
        CHECK_OK(ilk_embed(i ? texts : pictures, &in[i], 1, NULL, NULL, &v[i], &p->err), &p->err);
    }
    const float *a = ilk_vectors_get_dense(v[0], 0, &dim[0]), *b = ilk_vectors_get_dense(v[1], 0, &dim[1]);
    if (CHECK(a && b && dim[0] == dim[1]))
        for (size_t i = 0; i < dim[0]; i++)
            dot += (double)a[i] * (double)b[i];
    CHECK_NEAR((double)hit->score, dot, 1e-5);
    ilk_vectors_free(v[0]);
    ilk_vectors_free(v[1]);
}

/* A store of `pictures`, asked by `texts`. */
static void check_join(place *p, ilk_model *pictures, ilk_model *texts, const char *store)
{
    ilk_store *s = NULL;
    ilk_hits *h = NULL;
    REQUIRE(CHECK_OK(index_pictures(p, pictures, store, &s), &p->err));
    if (CHECK_OK(ask(p, s, texts, "the red planet", &h), &p->err)) {
        size_t n = ilk_hits_get_count(h, 0);
        CHECK_INT(n, 25);
        ilk_hit hit;
        ilk_hit_init(&hit);
        for (size_t i = 0; i < n; i += 8)
            if (CHECK_OK(ilk_hits_get(h, 0, i, &hit, &p->err), &p->err))
                check_score(p, pictures, texts, "the red planet", &hit);
    }
    ilk_hits_free(h);
    ilk_store_close(s);
}

static void on_either_side(void)
{
    place p;
    char clip_hex[65], bert_hex[65];
    const char *hex;
    open_place(&p);
    ilk_model *clip = open_model(&p, FIXTURES "/clip-quick", NULL), *bert = open_model(&p, FIXTURES "/bert-mean", NULL);
    CHECK_OK(ilk_model_get_fingerprint(clip, NULL, &hex, &p.err), &p.err);
    snprintf(clip_hex, sizeof clip_hex, "%s", hex);
    CHECK_OK(ilk_model_get_fingerprint(bert, NULL, &hex, &p.err), &p.err);
    snprintf(bert_hex, sizeof bert_hex, "%s", hex);
    const char *into_bert = make_projection(&p, "into-bert", FIXTURES "/projection/dense", clip_hex, bert_hex);
    ilk_model *joined = open_model(&p, FIXTURES "/clip-quick", into_bert);
    check_join(&p, joined, bert, "a");
    const char *into_clip = make_projection(&p, "into-clip", FIXTURES "/projection/tanh", bert_hex, clip_hex);
    ilk_model *asking = open_model(&p, FIXTURES "/bert-mean", into_clip);
    check_join(&p, clip, asking, "b");
    /* and neither store answers the other model without it */
    ilk_store *s = NULL;
    ilk_hits *h = NULL;
    CHECK_OK(index_pictures(&p, clip, "b", &s), &p.err); /* again: nothing changed */
    CHECK_STATUS(ask(&p, s, bert, "mars", &h), ILK_MISMATCH, &p.err);
    CHECK_STATUS(ask(&p, s, joined, "mars", &h), ILK_MISMATCH, &p.err);
    ilk_store_close(s);
    ilk_model_close(asking);
    ilk_model_close(joined);
    ilk_model_close(bert);
    ilk_model_close(clip);
    close_place(&p);
}

static void behind_the_wrong_model(void)
{
    place p;
    char other[65];
    ilk_store *s = NULL;
    open_place(&p);
    memset(other, 'a', 64);
    other[64] = 0;
    const char *path = make_projection(&p, "p", FIXTURES "/projection/dense", other, other);
    ilk_model *m = open_model(&p, FIXTURES "/clip-quick", path);
    CHECK_STATUS(index_pictures(&p, m, "s", &s), ILK_MISMATCH, &p.err);
    CHECK_THAT(strstr(p.err.message, "was fitted behind one (aaaaaaaaaaaa), the model before it is") != NULL, "%s",
               p.err.message);
    ilk_store_close(s);
    ilk_model_close(m);
    close_place(&p);
}

TEST_MAIN({"on either side", on_either_side}, {"behind the wrong model", behind_the_wrong_model})
