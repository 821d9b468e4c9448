/* SPDX-License-Identifier: Apache-2.0
 * Correlations against scipy (tests/fixtures/eval/measures.json, made by tools/make_eval_goldens.py). */
#include "tasks/correlate.h"

#include "base/json.h"
#include "base/vfs.h"
#include "test.h"

static double spearman(const double *x, const double *y, size_t n)
{
    double r = 7;
    CHECK_OK(ilki_tasks_spearman(&r, x, y, n, NULL), NULL);
    return r;
}

static size_t read_list(const ilki_json *j, ilki_json_node list, double *to, size_t room)
{
    size_t n = 0;
    for (ilki_json_node i = ilki_base_json_first(j, list); i && n < room; i = ilki_base_json_next(j, i))
        to[n++] = ilki_base_json_double(j, i, NAN);
    return n;
}

static void same_as_scipy(void)
{
    double x[100], y[100];
    ilki_json *j = NULL;
    char *text = NULL;
    size_t bytes;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, ILK_TEST_DIR "/fixtures/eval/measures.json", 1 << 20,
                                         &text, &bytes, &err),
                     &err));
    REQUIRE(CHECK_OK(ilki_base_json_parse(&j, text, bytes, "measures.json", NULL, &err), &err));
    ilki_json_node c = ilki_base_json_get(j, ilki_base_json_root(j), "correlate");
    size_t n = read_list(j, ilki_base_json_get(j, c, "x"), x, 100);
    CHECK_INT(read_list(j, ilki_base_json_get(j, c, "y"), y, 100), n);
    CHECK_INT(n, 60);
    CHECK_NEAR(ilki_tasks_pearson(x, y, n), ilki_base_json_double(j, ilki_base_json_get(j, c, "pearson"), NAN), 1e-13);
    CHECK_NEAR(spearman(x, y, n), ilki_base_json_double(j, ilki_base_json_get(j, c, "spearman"), NAN), 1e-13);
    ilki_base_json_free(j);
    free(text);
}

static void ends(void)
{
    double up[] = {1, 2, 3}, down[] = {9, 4, 1}, flat[] = {2, 2, 2};
    CHECK_NEAR(spearman(up, down, 3), -1, 1e-15);
    CHECK_NEAR(ilki_tasks_pearson(up, up, 3), 1, 1e-15);
    CHECK(isnan(ilki_tasks_pearson(up, flat, 3)) && isnan(spearman(flat, up, 3)));
    CHECK(isnan(ilki_tasks_pearson(up, up, 1)) && isnan(spearman(up, up, 0)));
}

TEST_MAIN({"same as scipy", same_as_scipy}, {"ends", ends})
