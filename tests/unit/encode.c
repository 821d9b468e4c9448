/* SPDX-License-Identifier: Apache-2.0
 * What a limit spares: for any parts, the tokens that a limit leaves are the first (or last) of all, and no more of a text
 * is looked at than they need. Counted in bytes that the parts were given, not in seconds. */
#include <stdlib.h>

#include "base/vfs.h"
#include "beginnings.h"
#include "random.h"
#include "test.h"

#define WORDS_MODEL                                                                                                    \
    "{\"type\":\"WordLevel\",\"unk_token\":\"?\",\"vocab\":{\"?\":0,\"a\":1,\"b\":2,\"ab\":3,\" \":4,\"\\n\":5,"       \
    "\"<x>\":6}}"
#define BPE_MODEL                                                                                                      \
    "{\"type\":\"BPE\",\"unk_token\":\"?\",\"fuse_unk\":true,\"vocab\":{\"?\":0,\"a\":1,\"b\":2,\"ab\":3,\" \":4,"     \
    "\"\\u2581\":5,\"aa\":6,\"\\u2581a\":7,\"e\":8,\"abab\":9,\"\\u0120\":10,\"\\u0120a\":11,\"\\n\":12},"             \
    "\"merges\":[\"a b\",\"a a\",\"\\u2581 a\",\"ab ab\",\"\\u0120 a\"]}"
#define UNIGRAM_MODEL                                                                                                  \
    "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"?\",0],[\"a\",-1],[\"aa\",-1.5],[\"ab\",-2],[\"\\u2581\",-2],"   \
    "[\"\\u2581a\",-2.5],[\"b\",-3],[\" \",-3],[\"aaa\",-2.25]]}"
#define SPLIT(pattern, behaviour, invert)                                                                              \
    "{\"type\":\"Split\",\"pattern\":" pattern ",\"behavior\":\"" behaviour "\",\"invert\":" invert "}"
#define UNKNOWN SPLIT("{\"Regex\":\"[ab]+|[0-9]{1,3}|[^\\\\s\\\\p{L}]+|\\\\s+\"}", "Isolated", "false")
#define GPT2_PATTERN                                                                                                   \
    "{\"Regex\":\"'s|'t|'re|'ve|'m|'ll|'d| ?\\\\p{L}+| ?\\\\p{N}+| ?[^\\\\s\\\\p{L}\\\\p{N}]+|\\\\s+(?!\\\\S)|\\\\s+\"}"
#define QWEN2_PATTERN                                                                                                  \
    "{\"Regex\":\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| "                     \
    "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"}"
#define CLIP_PATTERN                                                                                                   \
    "{\"Regex\":\"<\\\\|startoftext\\\\|>|<\\\\|endoftext\\\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+|[\\\\p{N}]|["      \
    "^\\\\s\\\\p{L}\\\\p{N}]+\"}"
#define REPLACE(pattern, content) "{\"type\":\"Replace\",\"pattern\":" pattern ",\"content\":\"" content "\"}"
#define SEQUENCE_N(list)          "{\"type\":\"Sequence\",\"normalizers\":[" list "]}"
#define SEQUENCE_S(list)          "{\"type\":\"Sequence\",\"pretokenizers\":[" list "]}"
#define BERT                      "{\"type\":\"BertNormalizer\"}"
#define BYTES(regex)              "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":" regex "}"
#define METASPACE(scheme, split)  "{\"type\":\"Metaspace\",\"prepend_scheme\":\"" scheme "\",\"split\":" split "}"
#define ADDED(id, s, left, right, word)                                                                                \
    "{\"id\":" #id ",\"content\":\"" s "\",\"normalized\":true,\"lstrip\":" left ",\"rstrip\":" right                  \
    ",\"single_word\":" word "}"

static const char *const normalizers[] = {
    "null",
    "{\"type\":\"NFC\"}",
    "{\"type\":\"NFKD\"}",
    "{\"type\":\"Strip\"}",
    "{\"type\":\"Lowercase\"}",
    BERT,
    REPLACE("{\"String\":\"aba\"}", "xy"),
    REPLACE("{\"String\":\"ab\"}", ""),
    REPLACE("{\"Regex\":\"\\\\s{2,}|[\\\\n\\\\r\\\\t]\"}", " "),
    REPLACE("{\"Regex\":\" {2,}\"}", "\\u2581"),
    REPLACE("{\"Regex\":\"a+b|a\"}", "x"),
    REPLACE("{\"Regex\":\"(?<=b)a|(?=\\\\s)|$\"}", "-"),
    REPLACE("{\"Regex\":\"b*\"}", ""),
    "{\"type\":\"ByteLevel\"}",
    SEQUENCE_N("{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":false}"
               "," REPLACE("{\"String\":\"  \"}", "b") ","
                                                       "{\"type\":\"NFKC\"}"
                                                       ","
                                                       "{\"type\":\"StripAccents\"}"
                                                       ","
                                                       "{\"type\":\"Prepend\",\"prepend\":\"\\u2581\"}"),
    SEQUENCE_N("{\"type\":\"Nmt\"}"
               ","
               "{\"type\":\"NFD\"}"
               "," REPLACE("{\"Regex\":\"\\\\s+\"}", " ") ","
                                                          "{\"type\":\"Strip\"}"),
};
static const char *const splitters[] = {
    "null",
    UNKNOWN,
    SPLIT("{\"Regex\":\"[ab]+\"}", "Removed", "false"),
    SPLIT("{\"Regex\":\"[ab]+\"}", "Removed", "true"),
    SPLIT("{\"Regex\":\"a+b|a\"}", "MergedWithPrevious", "false"),
    SPLIT("{\"Regex\":\"\\\\s\"}", "MergedWithNext", "false"),
    SPLIT("{\"Regex\":\"(?<=b)a|(?=\\\\s)|$\"}", "Isolated", "false"),
    SPLIT("{\"Regex\":\"b*\"}", "Contiguous", "true"),
    SPLIT("{\"String\":\"ab\"}", "MergedWithPrevious", "false"),
    SPLIT("{\"String\":\"aba\"}", "Contiguous", "true"),
    SPLIT("{\"String\":\" \"}", "MergedWithNext", "true"),
    SPLIT(GPT2_PATTERN, "Isolated", "false"),
    SPLIT(QWEN2_PATTERN, "Isolated", "false"),
    SPLIT(QWEN2_PATTERN, "MergedWithPrevious", "true"),
    SPLIT(CLIP_PATTERN, "Removed", "true"),
    SPLIT("{\"Regex\":\"\\\\s+\"}", "Removed", "false"),
    BYTES("true"),
    SEQUENCE_S("{\"type\":\"Digits\"}"
               "," UNKNOWN "," BYTES("false")),
    SEQUENCE_S("{\"type\":\"Punctuation\",\"behavior\":\"MergedWithPrevious\"}"
               "," METASPACE("first", "true")),
    SEQUENCE_S("{\"type\":\"WhitespaceSplit\"}"
               "," METASPACE("always", "false")),
    SEQUENCE_S("{\"type\":\"CharDelimiterSplit\",\"delimiter\":\" \"}"
               ","
               "{\"type\":\"Whitespace\"}"),
    "{\"type\":\"BertPreTokenizer\"}",
};
static const char *const models[] = {WORDS_MODEL, BPE_MODEL, UNIGRAM_MODEL};
static const char *const added[] = {
    "", ADDED(20, "ba", "false", "false", "false"),
    ADDED(20, "<x>", "true", "true", "false") "," ADDED(21, "ab", "false", "true", "true")};
enum {
    N_NORMALIZERS = sizeof normalizers / sizeof *normalizers,
    N_SPLITTERS = sizeof splitters / sizeof *splitters,
    N_MODELS = sizeof models / sizeof *models,
    N_ADDED = sizeof added / sizeof *added
};

static ilki_tokenizer *open_parts(const char *normalizer, const char *splitter, const char *model, const char *tokens,
                                  bool left)
{
    ilki_tokenizer *t = NULL;
    ilk_error err;
    ilk_error_init(&err);
    char json[4096];
    int n = snprintf(json, sizeof json,
                     "{\"added_tokens\":[%s],\"truncation\":{\"direction\":\"%s\"},\"normalizer\":%s,"
                     "\"pre_tokenizer\":%s,\"model\":%s}",
                     tokens, left ? "Left" : "Right", normalizer, splitter, model);
    ilki_tokenizer_files files = {.tokenizer_json = {.data = json, .n = (size_t)n}, .mode = ILKI_TOKENIZER_LITERAL};
    CHECK(n > 0 && (size_t)n < sizeof json);
    CHECK_OK(ilki_text_tokenizer_open(&t, &files, &err), &err);
    return t;
}

static const char *const bits[] = {"a",        "ab",
                                   "aba",      "b",
                                   " ",        "  ",
                                   "    ",     "\n",
                                   "\r\n",     " \n ",
                                   "\t",       "'s",
                                   "'r",       "12",
                                   "3",        ".",
                                   ",,",       "<x>",
                                   "<x",       " <x>  ",
                                   "A",        "\u00e9",
                                   "\u0301",   "e",
                                   "\u0323",   "\uac01",
                                   "\u1100",   "\u1161",
                                   "\u11a8",   "\u5c71",
                                   "\u0130",   "\xff",
                                   "\xe5\xb1", "\u00a0",
                                   "\u3000",   "\ufb01",
                                   "\u200d",   "<|endoftext|>",
                                   "\u2581",   "\u00e5\u0323",
                                   "ll",       "re"};
enum { N_BITS = sizeof bits / sizeof *bits };

/* Of few kinds of bits in each stretch, so that runs come about. */
static size_t make_text(char *to, size_t cap, uint64_t *state)
{
    size_t n = 0, left = 0, first = 0, kinds = 1;
    while (n + 16 < cap) {
        if (left == 0) {
            left = 1 + test_random(state) % 40;
            kinds = 1 + test_random(state) % 4;
            first = test_random(state) % N_BITS;
        }
        const char *b = bits[(first + test_random(state) % kinds) % N_BITS];
        memcpy(to + n, b, strlen(b));
        n += strlen(b);
        left--;
    }
    return n;
}

/* Every normalizer with every pre-tokenizer and model, every place to cut. */
static void beginnings(void)
{
    enum { BYTES_OF_TEXT = 160 };
    uint64_t state = 1;
    char text[BYTES_OF_TEXT];
    size_t most = 0, sum = 0;
    for (size_t i = 0; i < (size_t)N_NORMALIZERS * N_SPLITTERS * N_MODELS; i++) {
        size_t normalizer = i % N_NORMALIZERS, k = i / N_NORMALIZERS, splitter = k % N_SPLITTERS, tokens = i % N_ADDED;
        k /= N_SPLITTERS;
        ilki_tokenizer *t = open_parts(normalizers[normalizer], splitters[splitter], models[k], added[tokens], false);
        REQUIRE(t != NULL);
        for (unsigned round = 0; round < 2 * test_scale(); round++) {
            size_t n = make_text(text, sizeof text, &state), wrong = test_wrong_beginning(t, text, n, 1, &most);
            sum += most;
            CHECK_THAT(wrong == SIZE_MAX,
                       "normalizer %zu, pre-tokenizer %zu, model %zu, added %zu: %zu bytes of \"%.*s\"", normalizer,
                       splitter, k, tokens, wrong, (int)n, text);
        }
        ilki_text_tokenizer_free(t);
    }
    CHECK_THAT(sum > 6000, "%zu tokens were sure", sum); /* a part that is never sure shows here */
}

/* The map of a real class and what it maps, marks and what vanishes among them; and the class that drops punctuation. */
static void clusters(void)
{
    static const struct {
        const char *folder, *config;
        ilki_tokenizer_mode mode;
    } files[] = {{"tok-xlm-r", "{}", ILKI_TOKENIZER_LITERAL},
                 {"tok-t5", "{\"tokenizer_class\":\"SiglipTokenizer\"}", ILKI_TOKENIZER_DEFAULT}};
    static const char *const mapped[] = {"a",      "e",      "\u0301", "\u0345", "\u00ad", "\ufeff", "\u2460",     "!",
                                         "\u00bd", "\u1100", "\u1161", "\u11a8", "\ufb01", "\u200d", "\U0001f44d", "\r",
                                         "\n",     " ",      "\u0600", "\uff76", "\uff9e", ". "};
    enum { N = sizeof mapped / sizeof *mapped };
    uint64_t state = 2;
    char text[120], path[4096];
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        ilk_error err;
        ilk_error_init(&err);
        ilki_tokenizer *t = NULL;
        char *json = NULL;
        size_t n_json = 0;
        snprintf(path, sizeof path, ILK_TEST_DIR "/fixtures/%s/tokenizer.json", files[k].folder);
        REQUIRE(CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, path, 1 << 20, &json, &n_json, &err), &err));
        ilki_tokenizer_files f = {.tokenizer_json = {.data = json, .n = n_json},
                                  .tokenizer_config = {.data = files[k].config, .n = strlen(files[k].config)},
                                  .mode = files[k].mode};
        REQUIRE(CHECK_OK(ilki_text_tokenizer_open(&t, &f, &err), &err));
        for (unsigned round = 0; round < 500 * test_scale(); round++) {
            size_t n = 0;
            while (n + 8 < sizeof text) {
                const char *b = mapped[(test_random(&state) % 5 + round) % N];
                memcpy(text + n, b, strlen(b));
                n += strlen(b);
            }
            size_t wrong = test_wrong_beginning(t, text, n, 1, NULL);
            REQUIRE(CHECK_THAT(wrong == SIZE_MAX, "%s: %zu bytes of \"%.*s\"", files[k].folder, wrong, (int)n, text));
        }
        ilki_text_tokenizer_free(t);
        free(json);
    }
}

/* ------------------------------------------------------------------ limits */

static void check_cut(const ilki_encoding *all, const ilki_encoding *some, size_t limit, bool left, const char *what)
{
    size_t kept = limit < all->n ? limit : all->n, first = left ? all->n - kept : 0;
    if (!CHECK_INT(some->n, kept) || !CHECK_MEM(some->ids, all->ids + first, kept * sizeof *all->ids) ||
        !CHECK_MEM(some->spans, all->spans + first, kept * sizeof *all->spans))
        printf("    %s, to %zu\n", what, limit);
    CHECK(some->n_dropped_more ? some->n_dropped <= all->n - kept : some->n_dropped == all->n - kept);
}

/* Every fifth combination of normalizer and pre-tokenizer, on texts of some blocks, with added tokens of both passes. */
static void limits_of(bool left)
{
    enum { SIZE = 40000 };
    static const char raw[] = ",{\"id\":22,\"content\":\"<x\",\"normalized\":false,\"lstrip\":true}";
    ilk_error err;
    ilk_error_init(&err);
    char *text = malloc(SIZE), what[64];
    ilki_text_scratch *s = ilki_text_scratch_new();
    ilki_encoding all = {0}, some = {0};
    uint64_t state = 3 + left;
    REQUIRE(CHECK(text && s));
    for (size_t i = left; i < (size_t)N_NORMALIZERS * N_SPLITTERS; i += 5) {
        const char *tokens = i % 2 ? added[1] : "";
        char both[512];
        snprintf(both, sizeof both, "%s%s", tokens, i % 4 == 1 ? raw : "");
        ilki_tokenizer *t = open_parts(normalizers[i % N_NORMALIZERS], splitters[i / N_NORMALIZERS],
                                       models[i % N_MODELS], both, left);
        REQUIRE(t != NULL);
        size_t n = make_text(text, SIZE, &state);
        snprintf(what, sizeof what, "combination %zu", i);
        CHECK_OK(ilki_text_encode(t, s, text, n, NULL, &all, &err), &err);
        for (size_t limit = 1; limit < all.n + 600; limit += 1 + limit * 3) {
            ilki_encode_options o = {.max_tokens = limit};
            CHECK_OK(ilki_text_encode(t, s, text, n, &o, &some, &err), &err);
            check_cut(&all, &some, limit, left, what);
        }
        ilki_text_tokenizer_free(t);
    }
    free(text);
    ilki_text_encoding_deinit(&all);
    ilki_text_encoding_deinit(&some);
    ilki_text_scratch_free(s);
}

static void right_limits(void)
{
    limits_of(false);
}

/* Of an odd room the longer of two long texts has one token more, however far behind the limit the shorter one ends; the
 * second where they are of one length. So says the reference (tokenizers 0.23.3, `enable_truncation`). */
static void odd_pairs(void)
{
    static const size_t sizes[][2] = {{2000, 1000}, {1000, 2000}, {1500, 1500}, {9000, 8999}, {3, 8000}, {8000, 4}};
    ilk_error err;
    ilk_error_init(&err);
    ilki_tokenizer *t = open_parts("null", "{\"type\":\"WhitespaceSplit\"}", WORDS_MODEL, "", false);
    ilki_text_scratch *s = ilki_text_scratch_new();
    ilki_encoding e = {0};
    char *text = malloc(2 * 9000);
    REQUIRE(CHECK(t && s && text));
    for (size_t i = 0; i < 9000; i++)
        memcpy(text + 2 * i, "a ", 2);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t room = 8; room < 10; room++) {
            size_t a = sizes[i][0], b = sizes[i][1], first = 0, half = room / 2;
            ilki_encode_options o = {.max_tokens = room, .pair = text, .n_pair = 2 * b};
            CHECK_OK(ilki_text_encode(t, s, text, 2 * a, &o, &e, &err), &err);
            for (size_t k = 0; k < e.n; k++)
                first += e.from[k] == ILKI_FROM_TEXT;
            CHECK_INT(e.n, room);
            CHECK_INT(first, a <= half ? a : b <= half ? room - b : a > b ? room - half : half);
        }
    free(text);
    ilki_text_encoding_deinit(&e);
    ilki_text_scratch_free(s);
    ilki_text_tokenizer_free(t);
}

static void left_limits(void)
{
    limits_of(true);
}

/* ------------------------------------------------------------------ what is looked at */

enum { LONG = 200000, LIMIT = 512 };

static char *repeat(const char *unit, const char *end, size_t *n)
{
    size_t len = strlen(unit), n_end = strlen(end);
    char *text = malloc(LONG + n_end);
    *n = 0;
    for (; text && *n + len <= LONG; *n += len)
        memcpy(text + *n, unit, len);
    if (text)
        memcpy(text + *n, end, n_end);
    *n += n_end;
    return text;
}

/* The bytes that are looked at of a long text of `unit`s, to LIMIT tokens; `*few`: it has less. */
static size_t looked_at(const ilki_tokenizer *t, const char *unit, const char *end, bool *few)
{
    ilk_error err;
    ilk_error_init(&err);
    size_t n, seen = 0;
    char *text = repeat(unit, end, &n);
    ilki_text_scratch *s = ilki_text_scratch_new();
    ilki_encoding e = {0};
    ilki_encode_options o = {.max_tokens = LIMIT};
    if (CHECK(t && text && s) && CHECK_OK(ilki_text_encode(t, s, text, n, &o, &e, &err), &err)) {
        seen = s->n_loaded;
        *few = e.n < LIMIT;
        CHECK(*few || (e.n == LIMIT && e.n_dropped_more));
        CHECK(e.cap < 4 * LIMIT);
        if (seen < LONG / 2)
            CHECK(s->tokens[0].cap < 200 * LIMIT && s->str.cap < 800 * LIMIT);
    }
    free(text);
    ilki_text_encoding_deinit(&e);
    ilki_text_scratch_free(s);
    return seen;
}

/* No parts need more than some bytes for each token, where there are so many: Unigram's windows have 16,384 characters. */
static void spared(void)
{
    static const char *const units[] = {"ab, 12 abab\n", "ab.\xe5\xb1\xb1"};
    size_t n_many = 0;
    for (size_t i = 0; i < (size_t)N_NORMALIZERS * N_SPLITTERS; i++) {
        size_t normalizer = i % N_NORMALIZERS, splitter = i / N_NORMALIZERS, model = i % N_MODELS;
        const char *unit = units[(normalizer + splitter) % 2];
        ilki_tokenizer *t = open_parts(normalizers[normalizer], splitters[splitter], models[model],
                                       added[splitter % N_ADDED], false);
        bool few = false;
        size_t seen = looked_at(t, unit, "", &few);
        n_many += !few;
        CHECK_THAT(few || seen < 300 * LIMIT, "normalizer %zu, pre-tokenizer %zu, model %zu: %zu bytes of \"%s\"",
                   normalizer, splitter, model, seen, unit);
        ilki_text_tokenizer_free(t);
    }
    CHECK_THAT(n_many > (size_t)N_NORMALIZERS * N_SPLITTERS / 2, "%zu texts of many tokens", n_many);
}

/* From the left: of what white space divides the end alone, of all else no more is held than is wanted. */
static void spared_at_the_left(void)
{
    static const struct {
        const char *normalizer, *splitter, *model, *tokens;
        bool end;
    } cases[] = {{BERT, "{\"type\":\"BertPreTokenizer\"}", WORDS_MODEL, "", true},
                 {"null", SPLIT(GPT2_PATTERN, "Isolated", "false"), BPE_MODEL, "", true},
                 {"null", METASPACE("first", "true"), UNIGRAM_MODEL, added[1], true},
                 {"null", METASPACE("always", "true"), UNIGRAM_MODEL, added[2], false},
                 {"{\"type\":\"Prepend\",\"prepend\":\"b\"}", "{\"type\":\"WhitespaceSplit\"}", WORDS_MODEL, "", false},
                 {"{\"type\":\"Strip\"}", UNKNOWN, WORDS_MODEL, "", false}};
    ilk_error err;
    ilk_error_init(&err);
    size_t n;
    char *text = repeat("ab, abab a ", "", &n);
    ilki_encoding all = {0}, some = {0};
    ilki_encode_options o = {.max_tokens = LIMIT};
    REQUIRE(CHECK(text != NULL));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ilki_tokenizer *t = open_parts(cases[i].normalizer, cases[i].splitter, cases[i].model, cases[i].tokens, true);
        ilki_text_scratch *s = ilki_text_scratch_new(), *other = ilki_text_scratch_new();
        REQUIRE(CHECK(t && s && other));
        CHECK_OK(ilki_text_encode(t, other, text, n, NULL, &all, &err), &err);
        CHECK_OK(ilki_text_encode(t, s, text, n, &o, &some, &err), &err);
        check_cut(&all, &some, LIMIT, true, "from the left");
        CHECK_THAT(cases[i].end ? s->n_loaded < 40 * LIMIT : s->n_loaded >= n, "case %zu: %zu bytes", i, s->n_loaded);
        CHECK_THAT(s->tokens[0].cap < 16 * LIMIT, "case %zu: room for %zu tokens", i, s->tokens[0].cap);
        ilki_text_scratch_free(s);
        ilki_text_scratch_free(other);
        ilki_text_tokenizer_free(t);
    }
    free(text);
    ilki_text_encoding_deinit(&all);
    ilki_text_encoding_deinit(&some);
}

/* Texts whose first tokens are others with another end: these are read whole, here as by the reference. */
static void forced(void)
{
    static const struct {
        const char *normalizer, *splitter, *model, *unit, *ends[2];
    } cases[] = {
        {"null", "null", UNIGRAM_MODEL, "a", {"", "a"}}, /* "aaa" or "aa" comes first */
        {"{\"type\":\"NFD\"}",
         SPLIT("{\"String\":\"\u0323\"}", "Isolated", "false"),
         WORDS_MODEL,
         "\u0345\u0301",
         {"\u0345", "\u0323"}},                                        /* a mark goes before all others */
        {"{\"type\":\"Strip\"}", "null", WORDS_MODEL, " ", {"", "b"}}, /* no token, or one */
    };
    ilki_text_scratch *s = ilki_text_scratch_new();
    ilki_encode_options o = {.max_tokens = 3};
    ilki_encoding e[2] = {{0}, {0}}, all = {0};
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK(s != NULL));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ilki_tokenizer *t = open_parts(cases[i].normalizer, cases[i].splitter, cases[i].model, "", false);
        REQUIRE(t != NULL);
        for (int k = 0; k < 2; k++) {
            size_t n;
            char *text = repeat(cases[i].unit, cases[i].ends[k], &n);
            CHECK_OK(ilki_text_encode(t, s, text, n, NULL, &all, &err), &err);
            CHECK_OK(ilki_text_encode(t, s, text, n, &o, &e[k], &err), &err);
            CHECK(s->n_loaded >= n && s->n_loaded <= 2 * n);
            check_cut(&all, &e[k], 3, false, cases[i].unit);
            free(text);
        }
        size_t n = e[0].n;
        CHECK(n != e[1].n || memcmp(e[0].ids, e[1].ids, n * sizeof *e[0].ids) != 0 ||
              memcmp(e[0].spans, e[1].spans, n * sizeof *e[0].spans) != 0);
        ilki_text_tokenizer_free(t);
    }
    for (int k = 0; k < 2; k++)
        ilki_text_encoding_deinit(&e[k]);
    ilki_text_encoding_deinit(&all);
    ilki_text_scratch_free(s);
}

TEST_MAIN({"beginnings", beginnings}, {"clusters", clusters}, {"right_limits", right_limits}, {"odd_pairs", odd_pairs},
          {"spared", spared}, {"left_limits", left_limits}, {"spared_at_the_left", spared_at_the_left},
          {"forced", forced})
