/* SPDX-License-Identifier: Apache-2.0
 * The table of known models: every row is whole, names are unique and cannot be taken for ids. */
#include "embed/known.h"

#include "test.h"

static void rows(void)
{
    size_t n = 0;
    for (const ilk_known *k; (k = ilki_embed_known_at(n)); n++) {
        CHECK_THAT(k->name[0] && !strpbrk(k->name, "/@ "), "%s: a short name is one word", k->name);
        CHECK_THAT(strchr(k->id, '/') && !strchr(k->id, '@'), "%s: %s is no id", k->name, k->id);
        CHECK_THAT(strcmp(k->kind, "text") == 0 || strcmp(k->kind, "rerank") == 0, "%s: kind %s", k->name, k->kind);
        CHECK_THAT((k->dim > 0) == (strcmp(k->kind, "text") == 0), "%s: dim %u of kind %s", k->name, k->dim, k->kind);
        CHECK_THAT(k->licence[0] && k->languages[0] && k->source[0], "%s: an empty column", k->name);
        CHECK_THAT(k->weights_bytes > 10000000 && k->max_tokens >= 128, "%s: size or length", k->name);
        CHECK(ilki_embed_known_find(k->name, strlen(k->name)) == k);
        CHECK(ilki_embed_known_find(k->id, strlen(k->id)) == k);
    }
    CHECK(n >= 12);
}

static void finds(void)
{
    CHECK_STR(ilki_embed_known_find("minilm@v1", 6)->id, "sentence-transformers/all-MiniLM-L6-v2");
    CHECK(ilki_embed_known_find("minil", 5) == NULL);
    CHECK(ilki_embed_known_find("MiniLM", 6) == NULL);
    CHECK(ilki_embed_known_find("", 0) == NULL);
}

static void public_calls(void)
{
    ilk_known k;
    ilk_error err;
    ilk_error_init(&err);
    ilk_known_init(&k);
    CHECK_OK(ilk_known_find("BAAI/bge-m3", &k, &err), &err);
    CHECK_STR(k.name, "bge-m3");
    CHECK_INT(k.dim, 1024);
    CHECK_STATUS(ilk_known_find("nobody/nothing", &k, &err), ILK_NOT_FOUND, &err);
    CHECK_STATUS(ilk_known_get(1000, &k, &err), ILK_NOT_FOUND, &err);
    CHECK_STATUS(ilk_known_find(NULL, &k, &err), ILK_BAD_ARGUMENT, &err);
}

TEST_MAIN({"rows", rows}, {"finds", finds}, {"public_calls", public_calls})
