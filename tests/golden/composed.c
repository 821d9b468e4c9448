/* SPDX-License-Identifier: Apache-2.0
 * Questions of several terms against NumPy's sum of transformers' vectors (tools/make_composed.py), through the public
 * calls: a store whose items are the axes of the space shows the question's vector as its scores. */
#include "embed/state.h"
#include "net.h"
#include "tree.h"

#define ENTRY_ABS 5e-6
enum { MAX_TERMS = 4, MAX_DIM = 64 };

typedef struct place {
    const char *folder;
    ilk_runtime *rt;
    ilk_model *m;
    ilk_store *s;
    ilki_weights *w;
    ilki_json *about; /* towers.json */
    uint32_t dim;
} place;

static bool put_axes(place *p, ilk_error *err)
{
    const char *hex;
    float axes[MAX_DIM][MAX_DIM] = {{0}};
    ilk_item items[MAX_DIM];
    ilk_vector vectors[MAX_DIM];
    char ids[MAX_DIM][12];
    ilk_space space;
    ilk_space_init(&space);
    if (!CHECK(p->dim <= MAX_DIM) || !CHECK_OK(ilk_model_get_fingerprint(p->m, NULL, &hex, err), err))
        return false;
    space.name = "axes";
    space.dim = p->dim;
    space.fingerprint = hex;
    for (uint32_t i = 0; i < p->dim; i++) {
        axes[i][i] = 1;
        snprintf(ids[i], sizeof ids[i], "%u", i);
        ilk_item_init(&items[i]);
        ilk_vector_init(&vectors[i]);
        vectors[i].space = "axes";
        vectors[i].data = axes[i];
        vectors[i].rows = 1;
        vectors[i].dim = p->dim;
        items[i].id = ids[i];
        items[i].vectors = &vectors[i];
        items[i].n_vectors = 1;
    }
    return CHECK_OK(ilk_store_ensure_space(p->s, &space, err), err) &&
           CHECK_OK(ilk_store_upsert(p->s, items, p->dim, NULL, err), err);
}

static bool open_place(place *p, const char *top, const char *folder)
{
    ilk_error err;
    ilk_model_info info;
    char dir[512];
    ilk_error_init(&err);
    ilk_model_info_init(&info);
    *p = (place){.folder = folder};
    snprintf(dir, sizeof dir, ILK_TEST_DIR "/fixtures/%s", folder);
    if (!CHECK_OK(ilk_runtime_open(&p->rt, NULL, &err), &err) ||
        !CHECK_OK(ilk_model_open(&p->m, p->rt, dir, NULL, &err), &err) ||
        !CHECK_OK(ilk_model_get_info(p->m, &info, &err), &err) ||
        !CHECK_OK(ilk_store_open(&p->s, p->rt, tree_path(top, "%s", folder), NULL, &err), &err) ||
        !CHECK_OK(test_open_weights(&p->w, dir, "towers.safetensors", &err), &err) ||
        !CHECK_OK(test_read_json(&p->about, dir, "towers.json", &err), &err))
        return false;
    p->dim = info.dim;
    return put_axes(p, &err);
}

static void close_place(place *p)
{
    ilk_store_close(p->s);
    ilk_model_close(p->m);
    ilk_runtime_close(p->rt);
    ilki_format_close(p->w);
    ilki_base_json_free(p->about);
}

/* A term's part, of what the reference was given. */
static bool get_part(const place *p, const ilki_json *j, ilki_json_node term, ilk_part *part)
{
    int64_t n;
    char name[32];
    ilk_part_init(part);
    if (ilki_base_json_int(j, ilki_base_json_get(j, term, "text"), 0, 99, &n)) {
        ilki_json_node text = ilki_base_json_first(
            p->about, ilki_base_json_get(p->about, ilki_base_json_root(p->about), "texts"));
        for (; n > 0; n--)
            text = ilki_base_json_next(p->about, text);
        part->kind = ILK_PART_TEXT;
        part->data = ilki_base_json_string(p->about, text, &part->n_bytes);
        return CHECK(part->data);
    }
    CHECK(ilki_base_json_int(j, ilki_base_json_get(j, term, "image"), 0, 99, &n));
    snprintf(name, sizeof name, "pixels.%d", (int)n);
    const ilki_tensor *t = ilki_format_find(p->w, name);
    part->kind = ILK_PART_PIXELS;
    part->modality = ILK_IMAGE;
    if (!CHECK(t && t->rank == 3))
        return false;
    part->data = t->data;
    for (unsigned i = 0; i < 3; i++)
        part->shape[i] = (uint32_t)t->shape[i];
    return true;
}

static void check_question(const place *p, const ilki_json *j, ilki_json_node q, size_t number)
{
    ilk_part parts[MAX_TERMS];
    ilk_input terms[MAX_TERMS];
    float weights[MAX_TERMS], got[MAX_DIM], want[MAX_DIM];
    ilk_question question;
    ilk_query query;
    ilk_hits *h = NULL;
    ilk_hit hit;
    ilk_error err;
    size_t n = 0;
    ilk_error_init(&err);
    ilk_question_init(&question);
    ilk_query_init(&query);
    ilki_json_node list = ilki_base_json_get(j, q, "terms");
    for (ilki_json_node t = ilki_base_json_first(j, list); t && n < MAX_TERMS; t = ilki_base_json_next(j, t), n++) {
        if (!get_part(p, j, t, &parts[n]))
            return;
        ilk_input_init(&terms[n]);
        terms[n].parts = &parts[n];
        terms[n].n_parts = 1;
        weights[n] = (float)ilki_base_json_double(j, ilki_base_json_get(j, t, "weight"), 0);
    }
    question.terms = terms;
    question.n_terms = n;
    question.weights = weights;
    query.k = p->dim;
    REQUIRE(CHECK_OK(ilk_ask(p->s, &p->m, 1, &question, &query, NULL, &h, &err), &err));
    CHECK_INT(ilk_hits_get_count(h, 0), p->dim);
    ilk_hit_init(&hit);
    bool plain = n == 1 && weights[0] > 0;
    for (size_t i = 0; i < p->dim && ilk_hits_get(h, 0, i, &hit, &err) == ILK_OK; i++) {
        got[atoi(hit.id)] = hit.score;
        CHECK_INT(hit.score_kind, plain ? ILK_SCORE_COSINE : ILK_SCORE_WEIGHTED);
    }
    ilki_json_node x = ilki_base_json_first(j, ilki_base_json_get(j, q, "vector"));
    for (uint32_t i = 0; i < p->dim; i++, x = ilki_base_json_next(j, x))
        want[i] = (float)ilki_base_json_double(j, x, NAN);
    for (uint32_t i = 0; i < p->dim; i++)
        CHECK_THAT(fabsf(got[i] - want[i]) <= (float)ENTRY_ABS, "%s, question %zu, entry %u: got %.8g, want %.8g",
                   p->folder, number, i, (double)got[i], (double)want[i]);
    ilk_hits_free(h);
}

static void composed(void)
{
    ilki_json *j = NULL;
    ilk_error err;
    place p = {0};
    char *top = tree_new();
    size_t number = 0;
    ilk_error_init(&err);
    if (!CHECK_OK(test_read_json(&j, ILK_TEST_DIR "/fixtures/composed", "composed.json", &err), &err))
        goto end;
    for (ilki_json_node q = ilki_base_json_first(j, ilki_base_json_root(j)); q; q = ilki_base_json_next(j, q)) {
        size_t n;
        const char *folder = ilki_base_json_string(j, ilki_base_json_get(j, q, "folder"), &n);
        if (!p.folder || strcmp(p.folder, folder) != 0) {
            close_place(&p);
            if (!open_place(&p, top, folder))
                break;
        }
        check_question(&p, j, q, number++);
    }
    CHECK_INT(number, 24);
end:
    close_place(&p);
    ilki_base_json_free(j);
    tree_free(top);
}

TEST_MAIN({"composed", composed})
