/* SPDX-License-Identifier: Apache-2.0
 * Each allocation of reading records, tables, pages and packed documents, and of a call of the helper, fails once:
 * NO_MEMORY or an answer, nothing leaked, and the helper answers after. */
#include <stdlib.h>

#include "alloc_count.h"
#include "docs/docs.h"
#include "media/media.h"
#include "test.h"

static const char records[] = "{\"title\":\"t\",\"text\":\"a\\nb\"}\nbroken\n[[\"x\"]]\n";
static const char table[] = "name,\"a b\"\n1,\"2\n3\"\nx,y\n";
static const char pages[] = "one\n\f\xff two\f";

typedef ilk_status (*reader)(ilki_doc **out, ilk_error *err);

static ilk_status read_records(ilki_doc **out, ilk_error *err)
{
    return ilki_docs_read(out, "a.jsonl", records, sizeof records - 1, 0, err);
}

static ilk_status read_table(ilki_doc **out, ilk_error *err)
{
    return ilki_docs_read(out, "a.csv", table, sizeof table - 1, 0, err);
}

static ilk_status read_pages(ilki_doc **out, ilk_error *err)
{
    return ilki_docs_read_pages(out, "pdf", pages, sizeof pages - 1, err);
}

static ilki_buf packed;

static ilk_status read_packed(ilki_doc **out, ilk_error *err)
{
    return ilki_docs_unpack(out, "html", packed.data, packed.len, 0, err);
}

static void fail_each(reader read)
{
    for (uint64_t n = 1;; n++) {
        ilki_doc *doc = NULL;
        ilk_error err;
        ilk_error_init(&err);
        alloc_fail_at(n, false);
        ilk_status st = read(&doc, &err);
        bool failed = alloc_fail_off();
        CHECK(st == ILK_OK ? doc != NULL : st == ILK_NO_MEMORY && doc == NULL);
        ilki_docs_free(doc);
        if (!failed) {
            CHECK_OK(st, &err);
            break;
        }
    }
}

static void kinds(void)
{
    ilki_doc *doc = NULL;
    fail_each(read_records);
    fail_each(read_table);
    fail_each(read_pages);
    REQUIRE(CHECK_OK(read_table(&doc, NULL), NULL));
    ilki_base_buf_init(&packed, 1 << 20);
    ilki_docs_pack(doc, &packed);
    ilki_docs_free(doc);
    fail_each(read_packed);
    ilki_base_buf_deinit(&packed);
}

static ilk_status ask(ilki_media *m, ilki_media_result *r, ilk_error *err)
{
    ilki_buf ops;
    ilki_base_buf_init(&ops, 4096);
    ilki_media_add_open(&ops, "no such");
    ilki_media_add_text(&ops, 1000);
    ilk_status st = ilki_media_run(m, "x", 1, &ops, 10, NULL, r, err);
    ilki_base_buf_deinit(&ops);
    return st;
}

static void helper(void)
{
    ilki_media *m = NULL;
    ilki_media_result r;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(ilki_media_new(&m, ILK_TEST_MEDIA, NULL, &err), &err));
    if (ask(m, &r, &err) != ILK_UNSUPPORTED) {
        ilki_media_free(m);
        TEST_SKIP("ilk-media does not run here: %s", err.message);
    }
    ilki_media_free(m);
    for (uint64_t n = 1;; n++) { /* starting one is part of it */
        m = NULL;
        alloc_fail_at(n, false);
        ilk_status st = ilki_media_new(&m, ILK_TEST_MEDIA, NULL, &err);
        if (st == ILK_OK)
            st = ask(m, &r, &err);
        bool failed = alloc_fail_off();
        CHECK_THAT(st == ILK_NO_MEMORY || st == ILK_UNSUPPORTED || st == ILK_IO, "allocation %d: %s", (int)n,
                   err.message);
        if (m)
            CHECK_STATUS(ask(m, &r, &err), ILK_UNSUPPORTED, &err);
        ilki_media_free(m);
        if (!failed)
            break;
    }
}

TEST_MAIN({"kinds", kinds}, {"helper", helper})
