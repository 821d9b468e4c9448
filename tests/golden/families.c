/* SPDX-License-Identifier: Apache-2.0
 * Every folder of tests/fixtures that holds a family.json (tools/make_families.py): text in, vector or score out, through
 * the library, against sentence-transformers: the tokenizer, the prompts of either side, the limit, the network and the
 * modules behind it at once. golden/checkpoints has the stages. ILK_TEST_FIXTURES names another folder of folders. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/vfs.h"
#include "ilk.h"
#include "stages.h"
#include "test.h"

#define SCORE_ABS 1e-4

typedef struct family {
    const char *dir;
    ilk_runtime *rt;
    ilk_model *m;
    ilki_json *j;
    char *text; /* of family.json, which the JSON borrows */
    size_t n_checked;
} family;

static void make(ilk_part *part, ilk_input *in, const ilki_json *j, ilki_json_node text)
{
    size_t n = 0;
    ilk_part_init(part);
    ilk_input_init(in);
    part->kind = ILK_PART_TEXT;
    part->modality = ILK_TEXT;
    part->data = ilki_base_json_string(j, text, &n);
    part->n_bytes = n;
    in->parts = part;
    in->n_parts = 1;
}

static void check_vector(family *f, ilki_json_node node, size_t index)
{
    const ilki_json *j = f->j;
    ilki_json_node list = ilki_base_json_get(j, node, "vector");
    const char *as = ilki_base_json_string(j, ilki_base_json_get(j, node, "as"), NULL);
    ilk_embed_options o;
    ilk_vectors *v = NULL;
    ilk_part part;
    ilk_input in;
    ilk_error err;
    size_t n = 0, i = 0;
    int64_t dim = 0;
    double worst = 0, length = 0;
    ilk_error_init(&err);
    ilk_embed_options_init(&o);
    make(&part, &in, j, ilki_base_json_get(j, node, "text"));
    in.role = strcmp(as, "query") == 0      ? ILK_ROLE_QUERY
              : strcmp(as, "document") == 0 ? ILK_ROLE_DOCUMENT
                                            : ILK_ROLE_NONE;
    in.prompt_name = ilki_base_json_string(j, ilki_base_json_get(j, node, "prompt_name"), NULL);
    CHECK(ilki_base_json_int(j, ilki_base_json_get(j, node, "dim"), 0, 4096, &dim));
    o.dim = (uint32_t)dim;
    o.normalize = dim ? 1 : 0;
    if (!CHECK_OK(ilk_embed(f->m, &in, 1, &o, NULL, &v, &err), &err))
        return;
    const float *got = ilk_vectors_get_dense(v, 0, &n);
    if (CHECK_INT(n, ilki_base_json_count(j, list)) && CHECK(got != NULL))
        for (ilki_json_node x = ilki_base_json_first(j, list); x; x = ilki_base_json_next(j, x), i++) {
            double want = ilki_base_json_double(j, x, 0), off = fabs((double)got[i] - want);
            worst = off > worst ? off : worst;
            length += want * want;
        }
    length = sqrt(length);
    CHECK_THAT(i > 0 && worst <= VECTOR_ABS * (length > 1 ? length : 1), "%s: case %zu is off by %g of length %g",
               f->dir, index, worst, length);
    f->n_checked += i > 0;
    ilk_vectors_free(v);
}

static void check_pair(family *f, ilki_json_node node, size_t index)
{
    ilk_rerank_options o;
    ilk_part parts[2];
    ilk_input q, d;
    ilk_error err;
    ilk_error_init(&err);
    ilk_rerank_options_init(&o);
    make(&parts[0], &q, f->j, ilki_base_json_get(f->j, node, "query"));
    make(&parts[1], &d, f->j, ilki_base_json_get(f->j, node, "document"));
    for (int raw = 0; raw < 2; raw++) {
        double want = ilki_base_json_double(f->j, ilki_base_json_get(f->j, node, raw ? "raw" : "score"), NAN);
        float got = 0;
        o.raw_scores = raw;
        if (CHECK_OK(ilk_rerank(f->m, &q, &d, 1, &o, NULL, &got, &err), &err))
            CHECK_THAT(fabs((double)got - want) <= SCORE_ABS, "%s: pair %zu: %g, want %g", f->dir, index, (double)got,
                       want);
        f->n_checked++;
    }
}

static bool open_family(family *f, const char *dir)
{
    char path[1024];
    size_t n;
    ilk_error err;
    ilk_runtime_options o;
    ilk_error_init(&err);
    ilk_runtime_options_init(&o);
    o.n_threads = 2;
    *f = (family){.dir = dir};
    snprintf(path, sizeof path, "%s/family.json", dir);
    return CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, path, 1U << 22, &f->text, &n, &err), &err) &&
           CHECK_OK(ilki_base_json_parse(&f->j, f->text, n, "family.json", NULL, &err), &err) &&
           CHECK_OK(ilk_runtime_open(&f->rt, &o, &err), &err) &&
           CHECK_OK(ilk_model_open(&f->m, f->rt, dir, NULL, &err), &err);
}

static void check_family(const char *dir)
{
    family f;
    size_t i = 0;
    if (open_family(&f, dir)) {
        ilki_json_node root = ilki_base_json_root(f.j);
        ilk_model_info info;
        int64_t most = 0;
        ilk_model_info_init(&info);
        CHECK_OK(ilk_model_get_info(f.m, &info, NULL), NULL);
        CHECK(ilki_base_json_int(f.j, ilki_base_json_get(f.j, root, "max_tokens"), 1, 1 << 20, &most));
        CHECK_THAT(info.max_tokens == most, "%s: a limit of %u tokens, want %d", dir, info.max_tokens, (int)most);
        ilki_json_node cases = ilki_base_json_get(f.j, root, "cases"), pairs = ilki_base_json_get(f.j, root, "pairs");
        for (ilki_json_node x = ilki_base_json_first(f.j, cases); x; x = ilki_base_json_next(f.j, x))
            check_vector(&f, x, i++);
        for (ilki_json_node x = ilki_base_json_first(f.j, pairs); x; x = ilki_base_json_next(f.j, x))
            check_pair(&f, x, i++);
        CHECK(f.n_checked > 0);
        printf("%s: %zu checked\n", dir, f.n_checked);
    }
    ilk_model_close(f.m);
    ilk_runtime_close(f.rt);
    ilki_base_json_free(f.j);
    free(f.text);
}

static void folders(void)
{
    each_golden("family.json", check_family, 15);
}

TEST_MAIN({"folders", folders})
