/* SPDX-License-Identifier: Apache-2.0
 * Opening a tokenizer, what it says of itself, limits, and what no fixture shows: that blocks and lanes change nothing,
 * that work is bounded and linear, that steady state allocates nothing, that threads share. Equality with the reference
 * is golden/tokenizer. */
#include "text/tokenizer.h"

#include <pthread.h>
#include <stdlib.h>

#include "alloc_count.h"
#include "clock.h"
#include "random.h"
#include "test.h"

#define SPECIAL(id, s)                                                                                                 \
    "{\"id\":" #id ",\"content\":\"" s "\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"                   \
    "\"normalized\":false,\"special\":true}"
#define SPECIALS SPECIAL(0, "[PAD]") "," SPECIAL(1, "[UNK]") "," SPECIAL(2, "[CLS]") "," SPECIAL(3, "[SEP]")
#define VOCAB                                                                                                          \
    "{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"[MASK]\":4,\"a\":5,\"b\":6,\"##b\":7,\"ab\":8,\"e\":9,"        \
    "\",\":10,\".\":11,\"##a\":12,\"\xe5\xb1\xb1\":13,\"##e\":14,\"[\":15,\"]\":16,\"sep\":17}"
#define MODEL                                                                                                          \
    "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","                            \
    "\"max_input_chars_per_word\":100,\"vocab\":" VOCAB "}"
#define BERT "{\"type\":\"BertNormalizer\"}"
#define FILE_OF(added, normalizer, splitter, post, model)                                                              \
    "{\"version\":\"1.0\",\"added_tokens\":[" added "],\"normalizer\":" normalizer ",\"pre_tokenizer\":" splitter      \
    ",\"post_processor\":" post ",\"model\":" model "}"
#define POST  "{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]}"
#define PLAIN FILE_OF(SPECIALS, BERT, "{\"type\":\"BertPreTokenizer\"}", POST, MODEL)

static ilki_text_file file_of(const char *s)
{
    return (ilki_text_file){.data = s, .n = s ? strlen(s) : 0};
}

static ilk_status open_files(ilki_tokenizer **t, const char *json, const char *config, const char *vocab,
                             ilki_tokenizer_mode mode, ilk_error *err)
{
    ilki_tokenizer_files f = {.tokenizer_json = file_of(json),
                              .tokenizer_config = file_of(config),
                              .vocab_txt = file_of(vocab),
                              .mode = mode};
    return ilki_text_tokenizer_open(t, &f, err);
}

static ilki_tokenizer *open_literal(const char *json)
{
    ilk_error err;
    ilk_error_init(&err);
    ilki_tokenizer *t = NULL;
    CHECK_OK(open_files(&t, json, NULL, NULL, ILKI_TOKENIZER_LITERAL, &err), &err);
    return t;
}

static void getters(void)
{
    ilk_error err;
    ilk_error_init(&err);
    ilki_tokenizer *t = NULL;
    size_t n = 0;
    const char *config =
        "{\"tokenizer_class\":\"BertTokenizer\",\"model_max_length\":512,\"extra_special_tokens\":[\"<x>\"]}";
    REQUIRE(CHECK_OK(open_files(&t, PLAIN, config, NULL, ILKI_TOKENIZER_DEFAULT, &err), &err));
    CHECK_INT(ilki_text_vocab_size(t), 19);
    CHECK_STR(ilki_text_token(t, 8, &n), "ab");
    CHECK_INT(n, 2);
    CHECK_STR(ilki_text_token(t, 18, NULL), "<x>");
    CHECK(!ilki_text_token(t, 19, NULL) && !ilki_text_token(t, -1, &n));
    CHECK_INT(ilki_text_token_id(t, "##b", 3), 7);
    CHECK_INT(ilki_text_token_id(t, "<x>", 3), 18);
    CHECK_INT(ilki_text_token_id(t, "<y>", 3), -1);
    CHECK_INT(ilki_text_special_id(t, ILKI_SPECIAL_PAD), 0);
    CHECK_INT(ilki_text_special_id(t, ILKI_SPECIAL_UNK), 1);
    CHECK_INT(ilki_text_special_id(t, ILKI_SPECIAL_CLS), 2);
    CHECK_INT(ilki_text_special_id(t, ILKI_SPECIAL_SEP), 3);
    CHECK_INT(ilki_text_special_id(t, ILKI_SPECIAL_MASK), 4);
    CHECK_INT(ilki_text_special_id(t, ILKI_SPECIAL_BOS), -1);
    CHECK(ilki_text_is_special(t, 2) && ilki_text_is_special(t, 18) && !ilki_text_is_special(t, 5));
    CHECK(!ilki_text_is_special(t, -1) && !ilki_text_is_special(t, 19));
    CHECK_INT(ilki_text_n_added(t, false), 2);
    CHECK_INT(ilki_text_n_added(t, true), 3);
    CHECK_INT(ilki_text_max_length(t), 512);
    ilki_text_tokenizer_free(t);
    config = "{\"model_max_length\":1000000000000000019884624838656}";
    REQUIRE(CHECK_OK(open_files(&t, NULL, config, "[UNK]\n[CLS]\r\n[SEP]  \n\na\n##b\na", ILKI_TOKENIZER_DEFAULT, &err),
                     &err));
    CHECK_INT(ilki_text_max_length(t), 0);
    CHECK_INT(ilki_text_token_id(t, "a", 1), 6);
    CHECK_INT(ilki_text_token_id(t, "[CLS]", 5), 1);
    CHECK_INT(ilki_text_token_id(t, "[SEP]", 5), 2);
    CHECK_INT(ilki_text_token_id(t, "[MASK]", 6), 7); /* behind the six different lines, then behind [PAD] */
    ilki_text_tokenizer_free(t);
    ilki_text_tokenizer_free(NULL);
}

typedef struct bad_file {
    const char *json, *says;
    ilk_status status;
} bad_file;

static void refusals(void)
{
    static const bad_file files[] = {
        {"{", "tokenizer.json", ILK_BAD_FORMAT},
        {"[]", "expected an object", ILK_BAD_FORMAT},
        {"{}", "model", ILK_BAD_FORMAT},
        {FILE_OF("", "{\"type\":\"Nmtx\"}", "null", "null", MODEL), "normalizer \"Nmtx\"", ILK_UNSUPPORTED},
        {FILE_OF("", "{}", "null", "null", MODEL), "normalizer without a type", ILK_BAD_FORMAT},
        {FILE_OF("", BERT, "{\"type\":\"FixedLength\"}", "null", MODEL), "pre-tokenizer \"FixedLength\"",
         ILK_UNSUPPORTED},
        {FILE_OF("", BERT, "null", "{\"type\":\"RobertaProcessing\"}", MODEL), "cls", ILK_BAD_FORMAT},
        {FILE_OF("", BERT, "null", "null", "{\"type\":\"BPE\",\"vocab\":{}}"), "merges", ILK_BAD_FORMAT},
        {FILE_OF("", BERT, "null", "null", "{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}"),
         "merge 0: \"a\" and \"b\": the second", ILK_BAD_FORMAT},
        {FILE_OF("", BERT, "null", "null", "{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a a\"]}"),
         "what they make", ILK_BAD_FORMAT},
        {FILE_OF("", BERT, "null", "null", "{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a  a\"]}"),
         "a space between", ILK_BAD_FORMAT},
        {FILE_OF("", BERT, "null", "null", "{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}"), "a pair",
         ILK_BAD_FORMAT},
        {FILE_OF("", BERT, "null", "null", "{\"type\":\"BPE\",\"vocab\":{},\"merges\":[],\"dropout\":0.5}"), "dropout",
         ILK_UNSUPPORTED},
        {FILE_OF("", BERT, "null", "null", "{\"type\":\"WordGuess\",\"vocab\":{}}"), "model \"WordGuess\"",
         ILK_UNSUPPORTED},
        {FILE_OF("", BERT, "null", "null", "{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]]}"), "unk_id", ILK_UNSUPPORTED},
        {FILE_OF("", BERT, "null", "null", "{\"type\":\"Unigram\",\"unk_id\":1,\"vocab\":[[\"a\",0]]}"), "unk_id 1",
         ILK_BAD_FORMAT},
        {FILE_OF("", BERT, "null", "null", "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"a\"]]}"), "element 0",
         ILK_BAD_FORMAT},
        {FILE_OF("", "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"A-A=\"}", "null", "null", MODEL),
         "not base64", ILK_BAD_FORMAT},
        {FILE_OF("", "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/wAAAAAAAAA=\"}", "null", "null", MODEL),
         "a trie of 255 bytes", ILK_BAD_FORMAT},
        {FILE_OF("", "null", "{\"type\":\"Metaspace\",\"prepend_scheme\":\"x\"}", "null", MODEL), "prepend_scheme",
         ILK_BAD_FORMAT},
        {FILE_OF("", "null", "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\h\"},\"behavior\":\"Isolated\"}", "null",
                 MODEL),
         "pattern \\h", ILK_UNSUPPORTED},
        {FILE_OF("", "null", "{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},\"behavior\":\"X\"}", "null", MODEL),
         "behavior", ILK_BAD_FORMAT},
        {FILE_OF("", BERT, "null",
                 "{\"type\":\"Sequence\",\"processors\":[{\"type\":\"BertProcessing\",\"sep\":[\"x\",0],\"cls\":[\"y\","
                 "1]},{\"type\":\"BertProcessing\",\"sep\":[\"x\",0],\"cls\":[\"y\",1]}]}",
                 MODEL),
         "more than one", ILK_UNSUPPORTED},
        {FILE_OF("", "{\"type\":\"BertNormalizer\",\"lowercase\":1}", "null", "null", MODEL), "lowercase",
         ILK_BAD_FORMAT},
        {FILE_OF("", "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\h\"},\"content\":\"\"}", "null", "null",
                 MODEL),
         "pattern \\h", ILK_UNSUPPORTED},
        {FILE_OF("", "{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},\"content\":\"\"}", "null", "null", MODEL),
         "Replace", ILK_BAD_FORMAT},
        {FILE_OF("", "null", "{\"type\":\"Punctuation\",\"behavior\":\"X\"}", "null", MODEL), "\"X\"", ILK_BAD_FORMAT},
        {FILE_OF("{\"id\":1}", BERT, "null", "null", MODEL), "added token", ILK_BAD_FORMAT},
        {FILE_OF("", BERT, "null", "null", "{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}"), "[UNK]", ILK_BAD_FORMAT},
        {FILE_OF("", BERT, "null", "null", "{\"type\":\"WordPiece\",\"vocab\":{\"a\":-1}}"), "\"a\"", ILK_BAD_FORMAT},
        {FILE_OF("", BERT, "null", "null", "{\"type\":\"WordPiece\",\"vocab\":{\"a\":4194304}}"), "4194304", ILK_LIMIT},
        {FILE_OF("", BERT, "null", "null", "{\"type\":\"WordPiece\",\"vocab\":[\"a\"]}"), "vocab", ILK_BAD_FORMAT},
        {FILE_OF("", BERT, "null",
                 "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"C\",\"type_id\":0}}]}", MODEL),
         "\"C\"", ILK_BAD_FORMAT},
        {FILE_OF(
             "", BERT, "null",
             "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}],\"pair\":[]}",
             MODEL),
         "second text", ILK_BAD_FORMAT},
        {FILE_OF("", BERT, "null", "{\"type\":\"TemplateProcessing\",\"single\":[],\"pair\":[]}", MODEL), "both texts",
         ILK_BAD_FORMAT},
        {FILE_OF("", BERT, "null",
                 "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}}]}",
                 MODEL),
         "\"x\"", ILK_BAD_FORMAT},
        {FILE_OF("", BERT, "null", "{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3]}", MODEL), "cls",
         ILK_BAD_FORMAT},
    };
    ilk_error err;
    ilki_tokenizer *t = NULL;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        ilk_error_init(&err);
        CHECK_STATUS(open_files(&t, files[i].json, NULL, NULL, ILKI_TOKENIZER_LITERAL, &err), files[i].status, &err);
        if (!CHECK(t == NULL && strstr(err.message, files[i].says)))
            printf("    \"%s\" does not say %s\n", err.message, files[i].says);
        ilki_text_tokenizer_free(t);
    }
    ilk_error_init(&err);
    CHECK_STATUS(open_files(&t, NULL, NULL, NULL, ILKI_TOKENIZER_DEFAULT, &err), ILK_NOT_FOUND, &err);
    CHECK_STATUS(
        open_files(&t, PLAIN, "{\"tokenizer_class\":\"PegasusTokenizerFast\"}", NULL, ILKI_TOKENIZER_DEFAULT, &err),
        ILK_UNSUPPORTED, &err);
    CHECK(strstr(err.message, "PegasusTokenizer") != NULL);
    CHECK_STATUS(open_files(&t, NULL, "{\"tokenizer_class\":\"Other\"}", "[UNK]\n", ILKI_TOKENIZER_DEFAULT, &err),
                 ILK_NOT_FOUND, &err);
    CHECK_STATUS(open_files(&t, NULL, NULL, "[UNK]\n\xff\n", ILKI_TOKENIZER_DEFAULT, &err), ILK_BAD_FORMAT, &err);
    CHECK_STATUS(open_files(&t, PLAIN, "{\"added_tokens_decoder\":{\"x\":\"y\"}}", NULL, ILKI_TOKENIZER_DEFAULT, &err),
                 ILK_BAD_FORMAT, &err);
}

/* Replacements of replacements end in an error, not in all of the memory. */
/* Each kind of part has a limit, which a file cannot pass by writing a sequence. */
static void many_parts(void)
{
    enum { MOST = 64, ROOM = 8192 };
    for (int kind = 0; kind < 2; kind++)
        for (int n = MOST; n <= MOST + 1; n++) {
            char *parts = malloc(ROOM), *json = malloc(ROOM * 2), *at = parts;
            REQUIRE(CHECK(parts && json));
            at += sprintf(at, "{\"type\":\"Sequence\",\"%s\":[", kind ? "pretokenizers" : "normalizers");
            for (int i = 0; i < n; i++)
                at += sprintf(at, "%s{\"type\":\"%s\"}", i ? "," : "", kind ? "WhitespaceSplit" : "Lowercase");
            sprintf(at, "]}");
            snprintf(json, ROOM * 2, FILE_OF("", "%s", "%s", "null", MODEL), kind ? "null" : parts,
                     kind ? parts : "null");
            ilki_tokenizer *t = NULL;
            ilk_error err;
            ilk_error_init(&err);
            ilk_status st = open_files(&t, json, NULL, NULL, ILKI_TOKENIZER_LITERAL, &err);
            CHECK_STATUS(st, n > MOST ? ILK_LIMIT : ILK_OK, &err);
            CHECK(st == ILK_OK || strstr(err.message, kind ? "more than 64 parts of kind pre-tokenizer"
                                                           : "more than 64 parts of kind normalizer"));
            ilki_text_tokenizer_free(t);
            free(parts);
            free(json);
        }
}

static void growth(void)
{
    char json[16384];
    size_t n = 0;
    ilk_error err;
    ilk_error_init(&err);
    ilki_encoding e = {0};
    n += (size_t)snprintf(json + n, sizeof json - n,
                          "{\"model\":%s,\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[", MODEL);
    for (int i = 0; i < 60; i++)
        n += (size_t)snprintf(json + n, sizeof json - n,
                              "%s{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aa\"}",
                              i ? "," : "");
    snprintf(json + n, sizeof json - n, "]}}");
    ilki_tokenizer *t = open_literal(json);
    ilki_text_scratch *s = ilki_text_scratch_new();
    REQUIRE(CHECK(t && s));
    CHECK_STATUS(ilki_text_encode(t, s, "a", 1, NULL, &e, &err), ILK_LIMIT, &err);
    CHECK_OK(ilki_text_encode(t, s, "b", 1, NULL, &e, &err), &err);
    CHECK_INT(e.n, 1);
    ilki_text_encoding_deinit(&e);
    ilki_text_scratch_free(s);
    ilki_text_tokenizer_free(t);
}

static void long_added_token(void)
{
    char json[2048], content[600];
    ilk_error err;
    ilk_error_init(&err);
    ilki_tokenizer *t = NULL;
    memset(content, 'x', 513);
    content[513] = '\0';
    snprintf(json, sizeof json, "{\"added_tokens\":[{\"id\":0,\"content\":\"%s\"}],\"model\":%s}", content, MODEL);
    CHECK_STATUS(open_files(&t, json, NULL, NULL, ILKI_TOKENIZER_LITERAL, &err), ILK_LIMIT, &err);
    content[512] = '\0';
    snprintf(json, sizeof json, "{\"added_tokens\":[{\"id\":0,\"content\":\"%s\"}],\"model\":%s}", content, MODEL);
    CHECK_OK(open_files(&t, json, NULL, NULL, ILKI_TOKENIZER_LITERAL, &err), &err);
    ilki_text_tokenizer_free(t);
}

static void check_ids(const ilki_encoding *e, const int32_t *want, size_t n)
{
    if (CHECK_INT(e->n, n))
        for (size_t i = 0; i < n; i++)
            CHECK_INT(e->ids[i], want[i]);
}

static void options(void)
{
    ilk_error err;
    ilk_error_init(&err);
    ilki_tokenizer *t = open_literal(PLAIN);
    ilki_text_scratch *s = ilki_text_scratch_new();
    ilki_encoding e = {0};
    ilki_encode_options o = {0};
    REQUIRE(CHECK(t && s));
    CHECK_OK(ilki_text_encode(t, s, "ab, [SEP]", 9, NULL, &e, &err), &err);
    check_ids(&e, (int32_t[]){8, 10, 3}, 3);
    o.no_special_parsing = true;
    CHECK_OK(ilki_text_encode(t, s, "ab, [SEP]", 9, &o, &e, &err), &err);
    check_ids(&e, (int32_t[]){8, 10, 15, 17, 16}, 5);
    o = (ilki_encode_options){.add_specials = true, .max_tokens = 2};
    CHECK_OK(ilki_text_encode(t, s, "a b", 3, &o, &e, &err), &err);
    check_ids(&e, (int32_t[]){2, 3}, 2);
    CHECK_INT(e.n_dropped, 2);
    CHECK(!e.n_dropped_more);
    o.max_tokens = 1;
    CHECK_STATUS(ilki_text_encode(t, s, "a b", 3, &o, &e, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_INT(e.n, 0);
    o = (ilki_encode_options){.max_tokens = 2, .pair = "a a a", .n_pair = 5, .truncate = ILKI_TRUNCATE_ONLY_FIRST};
    CHECK_STATUS(ilki_text_encode(t, s, "a b", 3, &o, &e, &err), ILK_BAD_ARGUMENT, &err);
    o.truncate = ILKI_TRUNCATE_ONLY_SECOND;
    o.pair = NULL;
    CHECK_STATUS(ilki_text_encode(t, s, "a b e", 5, &o, &e, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilki_text_encode(t, s, "", (size_t)INT32_MAX + 1, NULL, &e, &err), ILK_LIMIT, &err);
    size_t count = 0;
    CHECK_OK(ilki_text_count(t, s, "ab e, a", 7, 0, &count, &err), &err);
    CHECK_INT(count, 4);
    CHECK_OK(ilki_text_count(t, s, "", 0, 0, &count, &err), &err);
    CHECK_INT(count, 0);
    ilki_text_encoding_deinit(&e);
    ilki_text_scratch_free(s);
    ilki_text_tokenizer_free(t);
}

/* ------------------------------------------------------------------ blocks and lanes */

static const char *const bits[] = {"a",
                                   "ab",
                                   "B",
                                   " ",
                                   "  ",
                                   ",",
                                   ".",
                                   "[SEP]",
                                   "[",
                                   "e\u0301",
                                   "\u00e9",
                                   "\u5c71",
                                   "\u5c71\u5c71",
                                   "\u0301",
                                   "\u0323",
                                   "\xff",
                                   "\xe5\xb1",
                                   "\x01",
                                   "\t",
                                   "\n",
                                   "\u00a0",
                                   "\u3000",
                                   "\u3002",
                                   "\uac01",
                                   "\v",
                                   "ababab",
                                   "\u0e01",
                                   "bbbbbbbbbbbb",
                                   "\U00020000",
                                   "\u0130",
                                   "\ufeff",
                                   "#",
                                   "abba,abba",
                                   "\U0002b820",
                                   "\xc3"};

static size_t make_text(char *to, size_t cap, uint64_t *state, unsigned kinds)
{
    size_t n = 0;
    while (n + 16 < cap) {
        const char *b = bits[test_random(state) % kinds % (sizeof bits / sizeof *bits)];
        size_t len = strlen(b);
        memcpy(to + n, b, len);
        n += len;
    }
    return n;
}

static void check_same(const ilki_encoding *a, const ilki_encoding *b, const char *what)
{
    if (!CHECK_INT(a->n, b->n)) {
        printf("    %s\n", what);
        return;
    }
    for (size_t i = 0; i < a->n; i++)
        if (!CHECK(a->ids[i] == b->ids[i] && a->spans[i].start == b->spans[i].start &&
                   a->spans[i].end == b->spans[i].end)) {
            printf("    %s: token %zu of %zu\n", what, i, a->n);
            return;
        }
}

/* One tokenizer may cut where it likes; its twins differ only in an added token that no text holds, whose white space
 * forbids every cut (the first) or only the ASCII lane (the second). */
static void blocks(void)
{
    enum { BYTES = 200000 };
    static const char *const twins[] = {FILE_OF(SPECIALS ",{\"id\":18,\"content\":\"a never b\",\"normalized\":true}",
                                                BERT, "{\"type\":\"BertPreTokenizer\"}", POST, MODEL),
                                        FILE_OF(SPECIALS ",{\"id\":18,\"content\":\"never\",\"normalized\":true}", BERT,
                                                "{\"type\":\"BertPreTokenizer\"}", POST, MODEL)};
    ilk_error err;
    ilk_error_init(&err);
    ilki_text_scratch *s = ilki_text_scratch_new();
    ilki_tokenizer *t = open_literal(PLAIN);
    ilki_encoding a = {0}, b = {0};
    char *text = malloc(BYTES);
    uint64_t state = 11;
    REQUIRE(CHECK(s && t && text));
    for (int twin = 0; twin < 2; twin++) {
        ilki_tokenizer *other = open_literal(twins[twin]);
        REQUIRE(CHECK(other != NULL));
        for (int round = 0; round < 40; round++) {
            size_t n = make_text(text, round < 30 ? 3000 : BYTES, &state, round % 2 ? 35 : 6);
            CHECK_OK(ilki_text_encode(t, s, text, n, NULL, &a, &err), &err);
            CHECK_OK(ilki_text_encode(other, s, text, n, NULL, &b, &err), &err);
            check_same(&a, &b, twin ? "lane against blocks" : "lane against whole");
        }
        ilki_text_tokenizer_free(other);
    }
    free(text);
    ilki_text_encoding_deinit(&a);
    ilki_text_encoding_deinit(&b);
    ilki_text_tokenizer_free(t);
    ilki_text_scratch_free(s);
}

/* A limit gives the first tokens of what no limit gives, wherever it falls. */
static void limits(void)
{
    enum { BYTES = 60000 };
    ilk_error err;
    ilk_error_init(&err);
    ilki_text_scratch *s = ilki_text_scratch_new();
    ilki_tokenizer *t = open_literal(PLAIN);
    ilki_encoding all = {0}, some = {0};
    char *text = malloc(BYTES);
    uint64_t state = 3;
    REQUIRE(CHECK(s && t && text));
    size_t n = make_text(text, BYTES, &state, 35), count;
    CHECK_OK(ilki_text_encode(t, s, text, n, NULL, &all, &err), &err);
    CHECK(all.n > 4000);
    for (size_t limit = 1; limit < all.n + 300; limit += 1 + limit / 3) {
        ilki_encode_options o = {.max_tokens = limit};
        CHECK_OK(ilki_text_encode(t, s, text, n, &o, &some, &err), &err);
        size_t kept = limit < all.n ? limit : all.n;
        CHECK_INT(some.n, kept);
        CHECK_MEM(some.ids, all.ids, kept * sizeof *all.ids);
        CHECK(some.n_dropped_more ? some.n_dropped <= all.n - kept && some.n_dropped >= 256
                                  : some.n_dropped == all.n - kept);
        CHECK_OK(ilki_text_count(t, s, text, n, limit, &count, &err), &err);
        CHECK(count >= kept && (count == all.n || count < limit + 2000));
    }
    free(text);
    ilki_text_encoding_deinit(&all);
    ilki_text_encoding_deinit(&some);
    ilki_text_tokenizer_free(t);
    ilki_text_scratch_free(s);
}

/* ------------------------------------------------------------------ time and memory */

typedef struct hard_text {
    const char *name, *unit;
    size_t n_tokens; /* of ten million bytes; 0: not checked */
} hard_text;

/* Ten million bytes of anything take seconds at most, and a limit makes them cheap where a cut is possible. */
static void linear(void)
{
    enum { BYTES = 10000000 };
    static const hard_text hard[] = {{"no space", "a", 1},
                                     {"marks", "\u0301\u0323", 0},
                                     {"marks that stay", "\u302e\u0345", 0},
                                     {"thai without a space", "\u0e01", 1},
                                     {"ideographs", "\u5c71", BYTES / 3},
                                     {"punctuation", "[", BYTES},
                                     {"spaces", " ", 0},
                                     {"half a special", "[SE", 0},
                                     {"controls", "\x01", 0},
                                     {"broken", "\xff", 0},
                                     {"words", "ab ", BYTES / 3 + 1},
                                     {"hangul", "\uac01", 1}};
    ilk_error err;
    ilk_error_init(&err);
    ilki_text_scratch *s = ilki_text_scratch_new();
    ilki_tokenizer *t = open_literal(PLAIN);
    ilki_encoding e = {0};
    char *text = malloc(BYTES);
    REQUIRE(CHECK(s && t && text));
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) {
        size_t len = strlen(hard[i].unit), n = BYTES / len * len;
        for (size_t k = 0; k < n; k += len)
            memcpy(text + k, hard[i].unit, len);
        double start = test_thread_ms();
        CHECK_OK(ilki_text_encode(t, s, text, n, NULL, &e, &err), &err);
        double seconds = (test_thread_ms() - start) / 1e3;
        if (!CHECK(seconds < 20))
            printf("    %s: %.2f s\n", hard[i].name, seconds);
        if (hard[i].n_tokens && !CHECK(e.n + 1 >= hard[i].n_tokens && e.n <= hard[i].n_tokens))
            printf("    %s: %zu tokens\n", hard[i].name, e.n);
    }
    for (size_t k = 0; k + 1 < BYTES; k += 2)
        memcpy(text + k, "a ", 2);
    ilki_encode_options o = {.max_tokens = 16};
    double start = test_thread_ms();
    for (int i = 0; i < 1000; i++)
        CHECK_OK(ilki_text_encode(t, s, text, BYTES, &o, &e, &err), &err);
    CHECK(test_thread_ms() - start < 2000 * TEST_SLOWNESS); /* 2 ms a call; looking at all of the text takes 50 */
    CHECK_INT(e.n, 16);
    CHECK(e.n_dropped_more && e.n_dropped >= 256 && e.n_dropped < 4000);
    free(text);
    ilki_text_encoding_deinit(&e);
    ilki_text_tokenizer_free(t);
    ilki_text_scratch_free(s);
}

static void steady(void)
{
    ilk_error err;
    ilk_error_init(&err);
    ilki_text_scratch *s = ilki_text_scratch_new();
    ilki_tokenizer *t = open_literal(PLAIN);
    ilki_encoding e = {0};
    char text[5000];
    uint64_t state = 5;
    ilki_encode_options o = {.add_specials = true, .max_tokens = 300, .pair = text};
    REQUIRE(CHECK(s && t));
    o.n_pair = make_text(text, sizeof text, &state, 35);
    for (int round = 0; round < 2; round++) {
        alloc_count_reset();
        for (size_t n = o.n_pair; n > 0; n /= 2)
            CHECK_OK(ilki_text_encode(t, s, text, n, &o, &e, &err), &err);
        CHECK(round == 0 ? alloc_count() > 0 : alloc_count() == 0);
    }
    ilki_text_encoding_deinit(&e);
    ilki_text_tokenizer_free(t);
    ilki_text_scratch_free(s);
}

typedef struct shared {
    const ilki_tokenizer *t;
    const char *text;
    size_t n;
    ilki_encoding e;
    bool ok;
} shared;

static void *encode_often(void *arg)
{
    shared *x = arg;
    ilki_text_scratch *s = ilki_text_scratch_new();
    x->ok = s != NULL;
    for (int i = 0; i < 50 && x->ok; i++)
        x->ok = ilki_text_encode(x->t, s, x->text, x->n, NULL, &x->e, NULL) == ILK_OK;
    ilki_text_scratch_free(s);
    return NULL;
}

static void threads(void)
{
    char text[4000];
    uint64_t state = 9;
    size_t n = make_text(text, sizeof text, &state, 35);
    ilki_tokenizer *t = open_literal(PLAIN);
    shared x[3];
    pthread_t id[3];
    REQUIRE(CHECK(t != NULL));
    for (int i = 0; i < 3; i++) {
        x[i] = (shared){.t = t, .text = text, .n = n};
        REQUIRE(CHECK(pthread_create(&id[i], NULL, encode_often, &x[i]) == 0));
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(id[i], NULL);
        CHECK(x[i].ok);
        check_same(&x[0].e, &x[i].e, "threads");
    }
    for (int i = 0; i < 3; i++)
        ilki_text_encoding_deinit(&x[i].e);
    ilki_text_tokenizer_free(t);
}

TEST_MAIN({"getters", getters}, {"refusals", refusals}, {"many_parts", many_parts}, {"growth", growth},
          {"long_added_token", long_added_token}, {"options", options}, {"blocks", blocks}, {"limits", limits},
          {"linear", linear}, {"steady", steady}, {"threads", threads})
