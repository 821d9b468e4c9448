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
static const char bpe[] =
    "{\"added_tokens\":[{\"id\":6,\"content\":\"<x>\"}],\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"_\"},"
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"post_processor\":{\"type\":\"RobertaProcessing\",\"sep\":[\"x\",0],"
    "\"cls\":[\"y\",1]},\"model\":{\"type\":\"BPE\",\"unk_token\":\"a\",\"ignore_merges\":true,\"vocab\":{\"a\":0,\"q\":1,"
    "\"aa\":2,\"\u0120\":3,\"aaaa\":4},\"merges\":[\"a a\",\"aa aa\"]}}";
static const char unigram[] =
    "{\"added_tokens\":[{\"id\":6,\"content\":\"<x>\"}],\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\""
    "IAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\"},"
    "\"pre_tokenizer\":{\"type\":\"Metaspace\"},\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],"
    "[\"\u2581\",-1],[\"a\",-1],[\"aa\",-1.5]]}}";
static const char vocab_json[] = "{\"a\":0,\"aa\":1,\"</s>\":2}";
static const char merges_txt[] = "#version: 0.2\na a\n";
static const char bpe_model[] =
    "\x0a\x0e\x0a\x05\x3c\x70\x61\x64\x3e\x15\x00\x00\x00\x00\x18\x03\x0a\x0e\x0a\x05\x3c\x65\x6f\x73"
    "\x3e\x15\x00\x00\x00\x00\x18\x03\x0a\x0e\x0a\x05\x3c\x62\x6f\x73\x3e\x15\x00\x00\x00\x00\x18\x03"
    "\x0a\x0e\x0a\x05\x3c\x75\x6e\x6b\x3e\x15\x00\x00\x00\x00\x18\x02\x0a\x08\x0a\x01\x61\x15\x00\x00"
    "\x00\x00\x0a\x09\x0a\x02\x61\x61\x15\x00\x00\x00\x00\x0a\x0c\x0a\x03\x3c\x78\x3e\x15\x00\x00\x00"
    "\x00\x18\x04\x12\x08\x18\x02\x98\x02\x00\xc0\x02\x03\x1a\x05\x0a\x03\x6f\x77\x6e";
static const char gemma[] = "{\"tokenizer_class\":\"GemmaTokenizer\"}";
static const char unigram_model[] =
    "\x0a\x0e\x0a\x05\x3c\x75\x6e\x6b\x3e\x15\x00\x00\x00\x00\x18\x02\x0a\x0c\x0a\x03\x3c\x73\x3e\x15"
    "\x00\x00\x00\x00\x18\x03\x0a\x0d\x0a\x04\x3c\x2f\x73\x3e\x15\x00\x00\x00\x00\x18\x03\x0a\x08\x0a"
    "\x01\x61\x15\x00\x00\x80\xbf\x12\x08\x18\x01\x98\x02\x00\xc0\x02\x00\x1a\x2c\x0a\x03\x6f\x77\x6e"
    "\x12\x25\x20\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
static const char xlm_r[] = "{\"tokenizer_class\":\"XLMRobertaTokenizer\"}";
static const char roberta[] = "{\"tokenizer_class\":\"RobertaTokenizer\"}";
static const char added_json[] = "{\"<z>\":4,\"<s>\":3}";
static const char config[] =
    "{\"added_tokens_decoder\":{\"4\":{\"content\":\"<z>\"},\"2\":\"<w>\"},\"cls_token\":\"<c>\"}";
static const char vocab[] = "[UNK]\na\n##a\nb\n";

#define FILE_OF(text) ((ilki_text_file){.data = text, .n = sizeof text - 1})
enum { WORDPIECE_TXT, WORDPIECE_JSON, BPE_JSON, UNIGRAM_JSON, BPE_MODEL, UNIGRAM_MODEL, BPE_FILES };

static void open_one(int kind)
{
    ilki_tokenizer_files f = {.tokenizer_config = FILE_OF(config)};
    if (kind == WORDPIECE_TXT) {
        f.vocab_txt = FILE_OF(vocab);
    } else if (kind == BPE_FILES) {
        f.tokenizer_config = FILE_OF(roberta);
        f.vocab_json = FILE_OF(vocab_json);
        f.merges_txt = FILE_OF(merges_txt);
        f.added_tokens = FILE_OF(added_json);
    } else if (kind == BPE_MODEL || kind == UNIGRAM_MODEL) {
        f.tokenizer_config = kind == BPE_MODEL ? FILE_OF(gemma) : FILE_OF(xlm_r);
        f.model = kind == BPE_MODEL ? FILE_OF(bpe_model) : FILE_OF(unigram_model);
    } else {
        f.tokenizer_json = kind == BPE_JSON ? FILE_OF(bpe) : kind == UNIGRAM_JSON ? FILE_OF(unigram) : FILE_OF(json);
        f.mode = ILKI_TOKENIZER_LITERAL;
    }
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
    for (int kind = WORDPIECE_TXT; kind <= BPE_FILES; kind++)
        open_one(kind);
}

static void encode_with(ilki_text_file file)
{
    static const char text[] =
        "Aaa [X] q\u00e9\u0323 \u00e9Y b\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301"
        "\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0323\u0301\u0301\u0301 <x> aaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    ilki_tokenizer_files f = {.tokenizer_json = file, .mode = ILKI_TOKENIZER_LITERAL};
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

static void encodes(void)
{
    encode_with(FILE_OF(json));
    encode_with(FILE_OF(bpe));
    encode_with(FILE_OF(unigram));
}

TEST_MAIN({"opens", opens}, {"encodes", encodes})
