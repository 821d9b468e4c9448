/* SPDX-License-Identifier: Apache-2.0
 * Questions of several terms, kinds and spaces. Vectors of questions are golden/composed's part; here: which space answers,
 * how lists are merged, and what is refused. */
#include <math.h>

#include "folder.h"
#include "text_part.h"

enum { DIM = 20 };

typedef struct room {
    folder f;
    ilk_model *other; /* of texts: bert-mean, 32 entries */
    const char *hex, *other_hex;
    uint8_t pixels[12 * 12 * 3];
} room;

static bool open_room(room *r)
{
    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < sizeof r->pixels; i++)
        r->pixels[i] = (uint8_t)(i * 11);
    ilk_error *err = &r->f.err;
    return folder_open(&r->f, "clip-quick") &&
           CHECK_OK(ilk_model_open(&r->other, r->f.rt, ILK_TEST_DIR "/fixtures/bert-mean", NULL, err), err) &&
           CHECK_OK(ilk_model_get_fingerprint(r->f.m, NULL, &r->hex, err), err) &&
           CHECK_OK(ilk_model_get_fingerprint(r->other, NULL, &r->other_hex, err), err);
}

static void close_room(room *r)
{
    ilk_model_close(r->other);
    folder_close(&r->f);
}

static ilk_part picture(const room *r)
{
    ilk_part p;
    ilk_part_init(&p);
    p.kind = ILK_PART_PIXELS;
    p.modality = ILK_IMAGE;
    p.data = r->pixels;
    p.shape[0] = p.shape[1] = 12;
    p.shape[2] = 3;
    return p;
}

static void put_space(room *r, const char *name, const char *hex, uint32_t dim, ilk_metric metric)
{
    ilk_space space;
    ilk_space_init(&space);
    space.name = name;
    space.dim = dim;
    space.metric = metric;
    space.fingerprint = hex;
    CHECK_OK(ilk_store_ensure_space(r->f.s, &space, &r->f.err), &r->f.err);
}

/* An item with the model's vector of a part; a NULL modality is left out. */
static void put_item(room *r, const char *id, const char *modality, const char *space, ilk_model *m,
                     const ilk_part *part)
{
    ilk_input in;
    ilk_vectors *v = NULL;
    ilk_item item;
    ilk_field field;
    ilk_vector vector;
    size_t dim;
    ilk_input_init(&in);
    in.parts = part;
    in.n_parts = 1;
    if (!CHECK_OK(ilk_embed(m, &in, 1, NULL, NULL, &v, &r->f.err), &r->f.err))
        return;
    ilk_vector_init(&vector);
    vector.space = space;
    vector.data = ilk_vectors_get_dense(v, 0, &dim);
    vector.rows = 1;
    vector.dim = (uint32_t)dim;
    ilk_field_init(&field);
    field.name = "modality";
    field.value.type = ILK_VALUE_TEXT;
    field.value.text = modality;
    field.value.n_bytes = modality ? strlen(modality) : 0;
    ilk_item_init(&item);
    item.id = id;
    item.fields = &field;
    item.n_fields = modality != NULL;
    item.vectors = &vector;
    item.n_vectors = 1;
    CHECK_OK(ilk_store_upsert(r->f.s, &item, 1, NULL, &r->f.err), &r->f.err);
    ilk_vectors_free(v);
}

/* Three texts, one of them without a modality, and two pictures, in the space "clip". */
static void fill(room *r)
{
    static const char *const texts[] = {"a red bicycle", "a cat", "the dogs at the river"};
    static const char *const ids[] = {"t0", "t1", "t2"};
    put_space(r, "clip", r->hex, DIM, ILK_COSINE);
    for (size_t i = 0; i < 3; i++) {
        ilk_part p = test_text_part(texts[i]);
        put_item(r, ids[i], i ? "text" : NULL, "clip", r->f.m, &p);
    }
    ilk_part p = picture(r);
    put_item(r, "p0", "image", "clip", r->f.m, &p);
    r->pixels[7] = 200;
    r->pixels[8] = 0;
    put_item(r, "p1", "image", "clip", r->f.m, &p);
}

static ilk_hits *ask(room *r, ilk_model *const *models, size_t n_models, const ilk_part *parts, const float *weights,
                     size_t n, ilk_modality modality, const ilk_query *q, ilk_status want)
{
    ilk_input terms[4];
    ilk_question question;
    ilk_hits *h = NULL;
    for (size_t i = 0; i < n; i++) {
        ilk_input_init(&terms[i]);
        terms[i].parts = &parts[i];
        terms[i].n_parts = 1;
    }
    ilk_question_init(&question);
    question.terms = terms;
    question.n_terms = n;
    question.weights = weights;
    question.modality = modality;
    CHECK_STATUS(ilk_ask(r->f.s, models, n_models, &question, q, NULL, &h, &r->f.err), want, &r->f.err);
    CHECK_INT(h == NULL, want != ILK_OK);
    return h;
}

static void check_ids(const ilk_hits *h, const char *want)
{
    char got[256] = "";
    for (size_t i = 0; i < ilk_hits_get_count(h, 0); i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i ? " " : "", folder_hit(h, i).id);
    CHECK_STR(got, want);
}

static void kinds_in_turn(void)
{
    room r;
    REQUIRE(open_room(&r));
    fill(&r);
    ilk_part t = test_text_part("a red bicycle");
    ilk_hits *h = ask(&r, &r.f.m, 1, &t, NULL, 1, 0, NULL, ILK_OK);
    CHECK_INT(ilk_hits_get_count(h, 0), 5);
    CHECK_STR(folder_hit(h, 0).id, "t0"); /* texts and pictures take turns, the text first where ranks are equal */
    CHECK(folder_hit(h, 1).modality && folder_hit(h, 3).modality && folder_hit(h, 3).id[0] == 'p');
    for (size_t i = 0; i < 5; i++) {
        CHECK_INT(folder_hit(h, i).score_kind, ILK_SCORE_RRF);
        CHECK_NEAR((double)folder_hit(h, i).score, 1.0 / (61 + (int)(i / 2)), 1e-7);
        CHECK_INT(folder_hit(h, i).rank, i + 1);
    }
    ilk_hits_free(h);
    h = ask(&r, &r.f.m, 1, &t, NULL, 1, ILK_IMAGE, NULL, ILK_OK); /* one kind keeps its scores */
    CHECK_INT(ilk_hits_get_count(h, 0), 2);
    CHECK_INT(folder_hit(h, 0).score_kind, ILK_SCORE_COSINE);
    CHECK(folder_hit(h, 0).score < 0.9f);
    ilk_hits_free(h);
    h = ask(&r, &r.f.m, 1, &t, NULL, 1, ILK_TEXT, NULL, ILK_OK);
    CHECK_INT(ilk_hits_get_count(h, 0), 3);
    CHECK_NEAR((double)folder_hit(h, 0).score, 1, 1e-5);
    ilk_hits_free(h);
    h = ask(&r, &r.f.m, 1, &t, NULL, 1, ILK_AUDIO, NULL, ILK_OK);
    CHECK_INT(ilk_hits_get_count(h, 0), 0);
    ilk_hits_free(h);
    ilk_query q; /* k and the least score hold for what is shown */
    ilk_query_init(&q);
    q.k = 3;
    h = ask(&r, &r.f.m, 1, &t, NULL, 1, 0, &q, ILK_OK);
    CHECK_INT(ilk_hits_get_count(h, 0), 3);
    ilk_hits_free(h);
    q.min_score = 1.0f / 61.5f;
    h = ask(&r, &r.f.m, 1, &t, NULL, 1, 0, &q, ILK_OK);
    CHECK_INT(ilk_hits_get_count(h, 0), 2);
    ilk_hits_free(h);
    ilk_value value; /* a filter that leaves one kind leaves its scores, too */
    ilk_filter filter = folder_filter(ILK_FILTER_PREFIX, "id", "p", &value);
    q.filter = &filter;
    q.min_score = -1;
    h = ask(&r, &r.f.m, 1, &t, NULL, 1, 0, &q, ILK_OK);
    CHECK_INT(ilk_hits_get_count(h, 0), 2);
    CHECK_INT(folder_hit(h, 0).score_kind, ILK_SCORE_COSINE);
    ilk_hits_free(h);
    close_room(&r);
}

static void pictures_ask(void)
{
    room r;
    REQUIRE(open_room(&r));
    fill(&r);
    ilk_part parts[2] = {picture(&r), test_text_part("a red bicycle")};
    ilk_hits *h = ask(&r, &r.f.m, 1, parts, NULL, 1, ILK_IMAGE, NULL, ILK_OK);
    check_ids(h, "p1 p0");
    CHECK_NEAR((double)folder_hit(h, 0).score, 1, 1e-5);
    ilk_hits_free(h);
    float weights[2] = {1, 0.001f};
    h = ask(&r, &r.f.m, 1, parts, weights, 2, ILK_IMAGE, NULL, ILK_OK);
    CHECK_STR(folder_hit(h, 0).id, "p1");
    CHECK_INT(folder_hit(h, 0).score_kind, ILK_SCORE_WEIGHTED);
    ilk_hits_free(h);
    weights[0] = -1; /* away from it: the other picture */
    h = ask(&r, &r.f.m, 1, parts, weights, 1, ILK_IMAGE, NULL, ILK_OK);
    check_ids(h, "p0 p1");
    CHECK_INT(folder_hit(h, 0).score_kind, ILK_SCORE_WEIGHTED);
    CHECK(folder_hit(h, 0).score < 0);
    ilk_hits_free(h);
    h = NULL; /* what is stored asks with its own vector, and is left out */
    CHECK_OK(ilk_similar(r.f.s, "p0", NULL, NULL, &h, &r.f.err), &r.f.err);
    CHECK_INT(ilk_hits_get_count(h, 0), 4);
    CHECK_STR(folder_hit(h, 0).id, "p1");
    ilk_hits_free(h);
    close_room(&r);
}

static void several_spaces(void)
{
    room r;
    ilk_query q;
    REQUIRE(open_room(&r));
    fill(&r);
    put_space(&r, "words", r.other_hex, 32, ILK_COSINE);
    ilk_part cat = test_text_part("a cat"), dogs = test_text_part("the dogs at the river"),
             ask_cat = test_text_part("a cat");
    put_item(&r, "w1", "text", "words", r.other, &cat);
    put_item(&r, "p2", "image", "words", r.other, &dogs); /* the text in a picture, say */
    ilk_model *models[] = {r.f.m, r.other};
    ilk_hits *h = ask(&r, models, 2, &ask_cat, NULL, 1, 0, NULL, ILK_OK);
    CHECK_INT(ilk_hits_get_count(h, 0), 7);
    CHECK_STR(folder_hit(h, 0).id, "t1"); /* first of three lists, in the order of spaces and kinds */
    CHECK_INT(folder_hit(h, 1).id[0], 'p');
    CHECK_STR(folder_hit(h, 2).id, "w1");
    CHECK(strstr(folder_hit(h, 0).model ? folder_hit(h, 0).model : "", "words") == NULL);
    ilk_hits_free(h);
    ilk_part see = picture(&r); /* a picture is no question for the other model */
    h = ask(&r, models, 2, &see, NULL, 1, ILK_IMAGE, NULL, ILK_OK);
    check_ids(h, "p1 p0");
    ilk_hits_free(h);
    ilk_query_init(&q);
    q.vector.space = "words";
    h = ask(&r, models, 2, &ask_cat, NULL, 1, 0, &q, ILK_OK);
    check_ids(h, "w1 p2");
    CHECK_INT(folder_hit(h, 0).score_kind, ILK_SCORE_COSINE);
    ilk_hits_free(h);
    ask(&r, models, 2, &see, NULL, 1, 0, &q, ILK_MISMATCH);
    CHECK_THAT(strstr(r.f.err.message, "`ilk index -m MODEL`"), "%s", r.f.err.message);
    ask(&r, models, 1, &ask_cat, NULL, 1, 0, &q, ILK_MISMATCH);
    CHECK_THAT(strstr(r.f.err.message, "words") && strstr(r.f.err.message, "clip-quick"), "%s", r.f.err.message);
    q.vector.space = "nothing";
    ask(&r, models, 2, &ask_cat, NULL, 1, 0, &q, ILK_MISMATCH);
    CHECK_THAT(strstr(r.f.err.message, "nothing"), "%s", r.f.err.message);
    ask(&r, &models[1], 1, &see, NULL, 1, 0, NULL, ILK_MISMATCH);
    CHECK_THAT(strstr(r.f.err.message, "made of pictures") && strstr(r.f.err.message, "bert-mean reads texts"), "%s",
               r.f.err.message);
    close_room(&r);
}

/* An item that two spaces hold counts in both, and comes before those that one has. */
static void one_item_in_two_spaces(void)
{
    room r;
    REQUIRE(open_room(&r));
    put_space(&r, "a", r.hex, DIM, ILK_COSINE);
    put_space(&r, "b", r.hex, DIM, ILK_COSINE);
    ilk_part cat = test_text_part("a cat"), other = test_text_part("the dogs at the river");
    float va[3][DIM], vb[3][DIM];
    static const char *const ids[] = {"x", "y", "z"};
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(ilk_embed_text(r.f.m,
                                i == 0   ? "a cat"
                                : i == 1 ? "a red cat"
                                         : "the dogs",
                                0, va[i], DIM, NULL),
                 NULL);
        CHECK_OK(ilk_embed_text(r.f.m,
                                i == 2   ? "a cat"
                                : i == 1 ? "a red cat"
                                         : "the dogs",
                                0, vb[i], DIM, NULL),
                 NULL);
    }
    for (size_t i = 0; i < 3; i++) {
        ilk_item item;
        ilk_vector v[2];
        ilk_item_init(&item);
        for (size_t k = 0; k < 2; k++) {
            ilk_vector_init(&v[k]);
            v[k].space = k ? "b" : "a";
            v[k].data = k ? vb[i] : va[i];
            v[k].rows = 1;
            v[k].dim = DIM;
        }
        item.id = ids[i];
        item.vectors = v;
        item.n_vectors = 2;
        CHECK_OK(ilk_store_upsert(r.f.s, &item, 1, NULL, &r.f.err), &r.f.err);
    }
    ilk_hits *h = ask(&r, &r.f.m, 1, &cat, NULL, 1, 0, NULL, ILK_OK);
    check_ids(h, "x z y"); /* ranks 1 and 3, 3 and 1, 2 and 2: 1/61 + 1/63 > 2/62 */
    CHECK_NEAR((double)folder_hit(h, 0).score, 1.0 / 61 + 1.0 / 63, 1e-8);
    CHECK_NEAR((double)folder_hit(h, 2).score, 2.0 / 62, 1e-8);
    ilk_hits_free(h);
    ilk_part both[2] = {cat, other};
    h = ask(&r, &r.f.m, 1, both, NULL, 2, 0, NULL, ILK_OK);
    CHECK_INT(ilk_hits_get_count(h, 0), 3);
    ilk_hits_free(h);
    close_room(&r);
}

static void refusals(void)
{
    room r;
    ilk_hits *h = NULL;
    ilk_question question;
    REQUIRE(open_room(&r));
    fill(&r);
    ilk_part parts[2] = {test_text_part("a cat"), test_text_part("a cat")};
    float weights[2] = {1, -1};
    ask(&r, &r.f.m, 1, parts, weights, 2, 0, NULL, ILK_BAD_ARGUMENT);
    CHECK_THAT(strstr(r.f.err.message, "2 terms cancel each other out"), "%s", r.f.err.message);
    weights[1] = 0;
    ask(&r, &r.f.m, 1, parts, weights, 2, 0, NULL, ILK_BAD_ARGUMENT);
    CHECK_THAT(strstr(r.f.err.message, "term 2: expected a finite weight"), "%s", r.f.err.message);
    weights[1] = NAN;
    ask(&r, &r.f.m, 1, parts, weights, 2, 0, NULL, ILK_BAD_ARGUMENT);
    ask(&r, &r.f.m, 1, parts, NULL, 1, (ilk_modality)8, NULL, ILK_BAD_ARGUMENT);
    ask(&r, &r.f.m, 1, parts, NULL, 0, 0, NULL, ILK_BAD_ARGUMENT);
    ask(&r, NULL, 1, parts, NULL, 1, 0, NULL, ILK_BAD_ARGUMENT);
    ilk_part broken = picture(&r);
    broken.shape[0] = 0;
    parts[1] = broken;
    ask(&r, &r.f.m, 1, parts, NULL, 2, 0, NULL, ILK_BAD_ARGUMENT);
    CHECK_THAT(strstr(r.f.err.message, "the query: term 2: part 0: pixels"), "%s", r.f.err.message);
    put_space(&r, "far", r.hex, DIM, ILK_NEG_L2);
    ilk_query q;
    ilk_query_init(&q);
    q.vector.space = "far";
    parts[1] = test_text_part("a dog");
    ask(&r, &r.f.m, 1, parts, NULL, 2, 0, &q, ILK_UNSUPPORTED);
    ilk_hits_free(ask(&r, &r.f.m, 1, parts, NULL, 1, 0, &q, ILK_OK));
    ilk_question_init(&question);
    question.size = 3;
    CHECK_STATUS(ilk_ask(r.f.s, &r.f.m, 1, &question, NULL, NULL, &h, &r.f.err), ILK_BAD_ARGUMENT, &r.f.err);
    CHECK_STATUS(ilk_ask(r.f.s, &r.f.m, 1, NULL, NULL, NULL, &h, &r.f.err), ILK_BAD_ARGUMENT, &r.f.err);
    CHECK_STATUS(ilk_ask(NULL, &r.f.m, 1, &question, NULL, NULL, &h, &r.f.err), ILK_BAD_ARGUMENT, &r.f.err);
    CHECK_STATUS(ilk_ask(r.f.s, &r.f.m, 1, &question, NULL, NULL, NULL, &r.f.err), ILK_BAD_ARGUMENT, &r.f.err);
    close_room(&r);
}

TEST_MAIN({"kinds_in_turn", kinds_in_turn}, {"pictures_ask", pictures_ask}, {"several_spaces", several_spaces},
          {"one_item_in_two_spaces", one_item_in_two_spaces}, {"refusals", refusals})
