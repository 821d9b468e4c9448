/* SPDX-License-Identifier: Apache-2.0
 * Each allocation of opening a tokenizer and of encoding fails once: NO_MEMORY, nothing leaked, and the same objects
 * work after. */
#include "text/tokenizer.h"
#include "alloc_count.h"
#include "test.h"

static const char json[] =
    "{\"added_tokens\":[{\"id\":1,\"content\":\"[X]\",\"special\":true},{\"id\":9,\"content\":\"\u00c9y\",\"normalized\":true}],"
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKD\"},{\"type\":\"Lowercase\"},"
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"q\"},\"content\":\"aaa\"}]},"
    "\"pre_tokenizer\":{\"type\":\"Whitespace\"},"
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"x\",0],\"cls\":[\"y\",1]},"
    "\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"[UNK]\":0,\"a\":1,\"##a\":2,\"b\":3}}}";
static const char config[] =
    "{\"added_tokens_decoder\":{\"4\":{\"content\":\"<z>\"},\"2\":\"<w>\"},\"cls_token\":\"<c>\"}";
static const char vocab[] = "[UNK]\na\n##a\nb\n";

static void open_one(bool literal)
{
    ilki_tokenizer_files f = {.tokenizer_config = {.data = config, .n = sizeof config - 1}};
    if (literal)
        f.tokenizer_json = (ilki_text_file){.data = json, .n = sizeof json - 1};
    else
        f.vocab_txt = (ilki_text_file){.data = vocab, .n = sizeof vocab - 1};
    for (uint64_t n = 1;; n++) {
        ilk_error err;
        ilk_error_init(&err);
        ilki_tokenizer *t = NULL;
        alloc_fail_at(n, false);
        ilk_status status = ilki_text_tokenizer_open(&t, &f, &err);
        bool failed = alloc_fail_off();
        if (failed)
            CHECK_STATUS(status, ILK_NO_MEMORY, &err);
        else
            CHECK_OK(status, &err);
        CHECK((t != NULL) == (status == ILK_OK));
        ilki_text_tokenizer_free(t);
        if (!failed) {
            CHECK(n > 10);
            break;
        }
    }
}

static void opens(void)
{
    open_one(false);
    open_one(true);
}

static void encodes(void)
{
    static const char text[] =
        "Aaa [X] q\u00e9\u0323 \u00e9Y b\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301"
        "\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0323\u0301\u0301\u0301";
    ilki_tokenizer_files f = {.tokenizer_json = {.data = json, .n = sizeof json - 1}, .mode = ILKI_TOKENIZER_LITERAL};
    ilki_encode_options o = {.add_specials = true, .pair = text, .n_pair = sizeof text - 1};
    ilk_error err;
    ilk_error_init(&err);
    ilki_tokenizer *t = NULL;
    REQUIRE(CHECK_OK(ilki_text_tokenizer_open(&t, &f, &err), &err));
    size_t want = 0;
    for (uint64_t n = 1;; n++) {
        ilki_encoding e = {0};
        alloc_fail_at(n, false);
        ilki_text_scratch *s = ilki_text_scratch_new();
        ilk_status status = s ? ilki_text_encode(t, s, text, sizeof text - 1, &o, &e, &err) : ILK_NO_MEMORY;
        bool failed = alloc_fail_off();
        CHECK_INT(status, failed ? ILK_NO_MEMORY : ILK_OK);
        CHECK(!failed || e.n == 0);
        if (s && CHECK_OK(ilki_text_encode(t, s, text, sizeof text - 1, &o, &e, &err), &err)) {
            CHECK(e.n > 8 && (want == 0 || e.n == want));
            want = e.n;
        }
        ilki_text_encoding_deinit(&e);
        ilki_text_scratch_free(s);
        if (!failed) {
            CHECK(n > 5);
            break;
        }
    }
    ilki_text_tokenizer_free(t);
}

TEST_MAIN({"opens", opens}, {"encodes", encodes})
