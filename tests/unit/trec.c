/* SPDX-License-Identifier: Apache-2.0
 * Measures against pytrec_eval (tests/fixtures/eval, made by tools/make_eval_goldens.py), and what is read and refused. */
#include "tasks/trec.h"

#include <stdio.h>

#include "base/json.h"
#include "test.h"
#include "tree.h"

#define FIXTURE(name) ILK_TEST_DIR "/fixtures/eval/" name

static const ilki_vfs *const vfs = &ilki_base_vfs_posix;

/* ------------------------------------------------------------------ against the reference */

typedef struct golden {
    ilki_json *json;
    ilki_json_node queries;
    size_t n_seen;
} golden;

static double want(const golden *g, ilki_json_node query, const char *name, uint32_t cut)
{
    char key[40];
    snprintf(key, sizeof key, cut ? "%s_%u" : "%s", name, cut);
    return ilki_base_json_double(g->json, ilki_base_json_get(g->json, query, key), NAN);
}

static void compare(void *user, const ilk_eval_scores *s)
{
    golden *g = user;
    ilki_json_node query = ilki_base_json_get(g->json, g->queries, s->query);
    g->n_seen++;
    REQUIRE(CHECK_THAT(query != 0, "query %s: the reference has none", s->query));
    for (uint32_t i = 0; i < s->n_cuts; i++) {
        double ndcg = want(g, query, "ndcg_cut", s->cuts[i]), recall = want(g, query, "recall", s->cuts[i]);
        CHECK_THAT(fabs(s->ndcg[i] - ndcg) < 1e-12, "query %s: ndcg@%u: got %.17g, want %.17g", s->query, s->cuts[i],
                   s->ndcg[i], ndcg);
        CHECK_THAT(fabs(s->recall[i] - recall) < 1e-12, "query %s: recall@%u: got %.17g, want %.17g", s->query,
                   s->cuts[i], s->recall[i], recall);
    }
    double map = want(g, query, "map", 0), mrr = want(g, query, "recip_rank", 0);
    CHECK_THAT(fabs(s->map - map) < 1e-12, "query %s: map: got %.17g, want %.17g", s->query, s->map, map);
    CHECK_THAT(fabs(s->mrr - mrr) < 1e-12, "query %s: mrr: got %.17g, want %.17g", s->query, s->mrr, mrr);
    CHECK_THAT(s->mrr10 == (s->mrr >= 0.1 ? s->mrr : 0), "query %s: mrr@10 of mrr %g: got %g", s->query, s->mrr,
               s->mrr10);
}

static void same_as_pytrec_eval(void)
{
    static const uint32_t cuts[] = {1, 5, 10, 20, 50, 100};
    ilk_error err;
    ilki_notes notes = {0};
    ilki_judgements j;
    ilki_ranking r;
    golden g = {0};
    char *text = NULL;
    size_t n = 0;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(ilki_base_read_file(vfs, FIXTURE("measures.json"), 1 << 20, &text, &n, &err), &err));
    REQUIRE(CHECK_OK(ilki_base_json_parse(&g.json, text, n, "measures.json", NULL, &err), &err));
    g.queries = ilki_base_json_get(g.json, ilki_base_json_root(g.json), "queries");
    CHECK_OK(ilki_tasks_read_judgements(&j, vfs, FIXTURE("qrels.tsv"), &notes, &err), &err);
    CHECK_OK(ilki_tasks_read_run(&r, vfs, FIXTURE("random.run"), &notes, &err), &err);
    CHECK_INT(notes.n_junk, 0);
    ilk_eval_result result = {.mean.n_cuts = 6};
    memcpy(result.mean.cuts, cuts, sizeof cuts);
    ilki_tasks_evaluate(&r, &j, false, compare, &g, &result);
    size_t n_golden = ilki_base_json_count(g.json, g.queries);
    CHECK_INT(g.n_seen, n_golden);
    CHECK_INT(result.n_queries, n_golden);
    CHECK_INT(result.n_missing, 1);
    double mean = 0;
    for (ilki_json_node q = ilki_base_json_first(g.json, g.queries); q; q = ilki_base_json_next(g.json, q))
        mean += want(&g, q, "map", 0) / (double)n_golden;
    CHECK_NEAR(result.mean.map, mean, 1e-12);
    ilk_eval_result all = {.mean.n_cuts = 6};
    memcpy(all.mean.cuts, cuts, sizeof cuts);
    ilki_tasks_evaluate(&r, &j, true, NULL, NULL, &all);
    CHECK_INT(all.n_queries, n_golden + 1);
    CHECK_NEAR(all.mean.map, mean * (double)n_golden / (double)(n_golden + 1), 1e-12);
    ilki_tasks_judgements_deinit(&j);
    ilki_tasks_ranking_deinit(&r);
    ilki_base_json_free(g.json);
    free(text);
}

/* ------------------------------------------------------------------ files */

typedef struct told {
    char text[8192];
} told;

static void tell(void *user, const char *message)
{
    told *t = user;
    size_t n = strlen(t->text);
    snprintf(t->text + n, sizeof t->text - n, "%s\n", message);
}

#define CHECK_HAS(text, part) CHECK_THAT(strstr((text), (part)) != NULL, "told\n%s---- but not \"%s\"", (text), (part))

static void junk_is_named(void)
{
    static const char lines[] = "q1 Q0 b 1 0.5 t\r\n"
                                "\n"
                                "q1 Q0 a 2 5e-1 t\n"
                                "q1 Q0 c 3 NaN t\n"
                                "q1 Q0 d 4 inf t\n"
                                "q1 Q0 e 5 x t\n"
                                "q1 Q0 b 6 9 t\n"
                                "q1 Q0 f 7\n"
                                "q2 Q0 b 1 -.5 t and more\n"
                                "q2\tQ0\tc\t1\t+1.\tt";
    char *top = tree_new();
    told t = {""};
    ilki_notes notes = {.fn = tell, .user = &t};
    ilki_ranking r;
    ilk_error err;
    ilk_error_init(&err);
    const char *path = tree_path(top, "a.run");
    tree_write(path, lines, sizeof lines - 1);
    REQUIRE(CHECK_OK(ilki_tasks_read_run(&r, vfs, path, &notes, &err), &err));
    CHECK_INT(notes.n_junk, 5);
    CHECK_HAS(t.text, "a.run:4: expected a finite number as the score, found \"NaN\"");
    CHECK_HAS(t.text, "a.run:5: expected a finite number as the score, found \"inf\"");
    CHECK_HAS(t.text, "a.run:6: expected a finite number as the score, found \"x\"");
    CHECK_HAS(t.text, "a.run:7: query q1 has document b already");
    CHECK_HAS(t.text, "a.run:8: expected \"query Q0 document rank score tag\", found too few fields");
    CHECK_INT(r.n, 4);
    CHECK_STR(r.docs.name[r.ranked[0].doc], "b"); /* a tie: the later id first */
    CHECK_STR(r.docs.name[r.ranked[1].doc], "a");
    CHECK_STR(r.docs.name[r.ranked[r.first[1]].doc], "c");
    CHECK_NEAR(r.ranked[r.first[1] + 1].score, -0.5, 0);
    CHECK_OK(ilki_tasks_write_run(&r, vfs, tree_path(top, "b.run"), "mine", &err), &err);
    char *text = NULL;
    size_t n;
    CHECK_OK(ilki_base_read_file(vfs, tree_path(top, "b.run"), 1 << 20, &text, &n, &err), &err);
    CHECK_STR(text, "q1 Q0 b 1 0.5 mine\nq1 Q0 a 2 0.5 mine\nq2 Q0 c 1 1 mine\nq2 Q0 b 2 -0.5 mine\n");
    free(text);
    CHECK_STATUS(ilki_tasks_write_run(&r, vfs, tree_path(top, "b.run"), "my tag", &err), ILK_BAD_ARGUMENT, &err);
    ilki_tasks_ranking_deinit(&r);
    notes.strict = true;
    CHECK_STATUS(ilki_tasks_read_run(&r, vfs, path, &notes, &err), ILK_BAD_FORMAT, &err);
    CHECK_HAS(err.message, "a.run:4: ");
    ilki_tasks_ranking_deinit(&r);
    tree_free(top);
}

static void judgements_of_both_forms(void)
{
    static const char beir[] =
        "query-id\tcorpus-id\tscore\nq 1\td\t2\nq 1\te\t-1\nq 1\td\t0\nq2\tx\t1.5\nq2\tx\tno\nq2\n";
    static const char trec[] = "q1 0 d 1\nq1 0 e 0\n";
    char *top = tree_new();
    told t = {""};
    ilki_notes notes = {.fn = tell, .user = &t};
    ilki_judgements j;
    ilk_error err;
    ilk_error_init(&err);
    tree_write(tree_path(top, "a.tsv"), beir, sizeof beir - 1);
    REQUIRE(CHECK_OK(ilki_tasks_read_judgements(&j, vfs, tree_path(top, "a.tsv"), &notes, &err), &err));
    CHECK_INT(j.n, 2);
    CHECK_INT(j.list[0].grade, 2);
    CHECK_INT(j.list[1].grade, -1);
    CHECK_INT(notes.n_junk, 4);
    CHECK_HAS(t.text, "a.tsv:4: query q 1 has a judgement of document d already: the first one counts");
    CHECK_HAS(t.text, "a.tsv:5: expected a whole number as the grade, found \"1.5\"");
    CHECK_HAS(t.text, "a.tsv:6: expected a whole number as the grade, found \"no\"");
    CHECK_HAS(t.text, "a.tsv:7: expected query, document and grade, found another number of fields");
    ilki_tasks_judgements_deinit(&j);
    tree_write(tree_path(top, "b.tsv"), trec, sizeof trec - 1);
    CHECK_OK(ilki_tasks_read_judgements(&j, vfs, tree_path(top, "b.tsv"), &notes, &err), &err);
    CHECK_INT(j.n, 2);
    ilki_tasks_judgements_deinit(&j);
    tree_write(tree_path(top, "c.tsv"), "", 0);
    CHECK_STATUS(ilki_tasks_read_judgements(&j, vfs, tree_path(top, "c.tsv"), &notes, &err), ILK_BAD_FORMAT, &err);
    ilki_tasks_judgements_deinit(&j);
    CHECK_STATUS(ilki_tasks_read_judgements(&j, vfs, tree_path(top, "d.tsv"), &notes, &err), ILK_NOT_FOUND, &err);
    ilki_tasks_judgements_deinit(&j);
    tree_free(top);
}

/* A NUL, and more bytes than an id may have. */
static void ids_that_are_none(void)
{
    static char run[6000], qrels[6000];
    char *top = tree_new();
    ilki_notes notes = {0};
    ilki_ranking r;
    ilki_judgements j;
    ilk_error err;
    ilk_error_init(&err);
    memset(run, 'x', 5000);
    memset(qrels, 'x', 5000);
    strcpy(run + 5000, " Q0 d 1 1 t\nq Q0 d\1e 1 1 t\nq Q0 d 1 1 t\n");
    strcpy(qrels + 5000, "\td\t1\nq\td\1e\t1\nq\td\t1\n");
    size_t n_run = strlen(run), n_qrels = strlen(qrels);
    *strchr(run, '\1') = 0;
    *strchr(qrels, '\1') = 0;
    tree_write(tree_path(top, "a.run"), run, n_run);
    tree_write(tree_path(top, "a.tsv"), qrels, n_qrels);
    CHECK_OK(ilki_tasks_read_run(&r, vfs, tree_path(top, "a.run"), &notes, &err), &err);
    CHECK_INT(r.n, 1);
    CHECK_INT(notes.n_junk, 2);
    CHECK_OK(ilki_tasks_read_judgements(&j, vfs, tree_path(top, "a.tsv"), &notes, &err), &err);
    CHECK_INT(j.n, 1);
    CHECK_INT(notes.n_junk, 4);
    ilki_tasks_ranking_deinit(&r);
    ilki_tasks_judgements_deinit(&j);
    tree_free(top);
}

static void sorts_any_number(void)
{
    uint64_t rng = 7;
    ilki_ids ids = {0};
    ilki_ranked list[300];
    for (uint32_t i = 0; i < 300; i++) {
        char name[16];
        uint32_t number;
        int n = snprintf(name, sizeof name, "%u", i);
        ilki_tasks_ids_add(&ids, name, (size_t)n, &number, NULL, NULL);
    }
    for (size_t n = 0; n <= 300; n += n < 20 ? 1 : 28) {
        for (size_t i = 0; i < n; i++)
            list[i] = (ilki_ranked){(uint32_t)i, (float)(test_random(&rng) % 7)};
        ilki_tasks_sort(&ids, list, n);
        for (size_t i = 1; i < n; i++)
            CHECK_THAT(ilki_tasks_before(&ids, list[i - 1], list[i]), "%zu of %zu is not behind its neighbour", i, n);
    }
    ilki_tasks_ids_deinit(&ids);
}

TEST_MAIN({"same as pytrec_eval", same_as_pytrec_eval}, {"junk is named", junk_is_named},
          {"judgements of both forms", judgements_of_both_forms}, {"ids that are none", ids_that_are_none},
          {"sorts any number", sorts_any_number})
