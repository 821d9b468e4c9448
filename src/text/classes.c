/* SPDX-License-Identifier: Apache-2.0
 * The tokenizer classes of transformers 5.24. A class with a row here takes no more than the vocabulary, the merges and
 * (where it has none of its own) the post-processor from tokenizer.json and rebuilds the rest, so what that file says
 * otherwise does not count; every class that is not listed, and the generic one, takes tokenizer.json by the letter.
 * References: `models/auto/tokenization_auto.py`, `models/<name>/tokenization_<name>.py`. */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "text/checkpoint.h"
#include "text/unicode.h"

typedef struct class_row class_row;
struct class_row {
    const char *name; /* without "Fast" */
    ilk_status (*read)(checkpoint *c, const class_row *row);
    const char *special[ILKI_SPECIAL_COUNT]; /* CLS, SEP, PAD, UNK, MASK, BOS, EOS */
    ilk_status (*parts)(checkpoint *c);      /* normalizers, pre-tokenizers, model */
    ilk_status (*post)(checkpoint *c);       /* NULL: the file's */
};

static ilki_json_node file_member(const checkpoint *c, const char *key)
{
    return c->tokenizer ? ilki_base_json_get(c->tokenizer, ilki_base_json_root(c->tokenizer), key) : 0;
}

static ilk_status config_bool(const checkpoint *c, const char *key, bool otherwise, bool *out)
{
    *out = otherwise;
    return c->config ? ilki_text_read_bool(&c->rc, ilki_base_json_root(c->config), key, otherwise, out) : ILK_OK;
}

/* The content of a named special, NUL-terminated; NULL where there is none. */
static const char *special_name(const checkpoint *c, ilki_special which)
{
    return c->special[which].present ? c->special[which].token.content : NULL;
}

static int32_t special_or(const checkpoint *c, ilki_special which, int32_t otherwise)
{
    int32_t id = c->t->special[which];
    return id >= 0 ? id : otherwise;
}

/* ------------------------------------------------------------------ WordPiece */

/* Lines, without what white space they end in; a repeated one counts at its last place. */
static ilk_status read_vocab_txt(ilki_tokenizer *t, const ilki_text_file *f, const char *name, ilk_error *err)
{
    size_t n_lines = 1, at = 0;
    if (!ilki_base_utf8_valid(f->data, f->n))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: not valid UTF-8", name);
    for (size_t i = 0; i < f->n; i++)
        n_lines += f->data[i] == '\n';
    if (n_lines > ILKI_TEXT_MAX_ID)
        return ilki_base_fail(err, ILK_LIMIT, "%s: %zu lines, at most %d are taken", name, n_lines, ILKI_TEXT_MAX_ID);
    if (!ilki_text_vocab_reserve(&t->vocab, n_lines))
        return ilki_base_fail_memory(err, n_lines, "the vocabulary");
    for (int64_t id = 0; at < f->n; id++) {
        const char *line = f->data + at, *end = memchr(line, '\n', f->n - at);
        size_t n = end ? (size_t)(end - line) : f->n - at, len;
        at += n + (end != NULL);
        while (n) {
            size_t start = n - 1;
            while (start && ((unsigned char)line[start] & 0xc0) == 0x80)
                start--;
            if (!(ilki_text_flags(ilki_base_utf8_get(line + start, n - start, &len)) & ILKI_UNI_SPACE))
                break;
            n = start;
        }
        ilk_status status = ilki_text_vocab_add(&t->vocab, line, n, id, name, err);
        if (status)
            return status;
    }
    return ILK_OK;
}

static ilk_status read_wordpiece_vocab(checkpoint *c)
{
    ilki_tokenizer *t = c->t;
    const ilki_text_file *txt = &c->files->vocab_txt;
    if (c->tokenizer)
        return ilki_text_read_vocab(&t->vocab, &c->r,
                                    ilki_base_json_get(c->tokenizer, file_member(c, "model"), "vocab"));
    if (!txt->data)
        return ilki_base_fail(c->r.err, ILK_NOT_FOUND, "neither tokenizer.json nor vocab.txt");
    c->r.name = txt->name ? txt->name : "vocab.txt";
    return read_vocab_txt(t, txt, c->r.name, c->r.err);
}

static ilk_status wordpiece_parts(checkpoint *c)
{
    ilki_tokenizer *t = c->t;
    ilki_normalizer *n = &t->normalizers[0];
    const char *unk = special_name(c, ILKI_SPECIAL_UNK);
    *n = (ilki_normalizer){
        .row = &ilki_text_bert_normalizer, .local = true, .clean = true, .chinese = true, .lower = true};
    t->n_normalizers = 1;
    t->splitters[0] = (ilki_splitter){.row = &ilki_text_bert_splitter, .drops_space = true};
    t->n_splitters = 1;
    t->model = &ilki_text_wordpiece;
    ilk_status status = config_bool(c, "do_lower_case", true, &n->lower);
    if (!status)
        status = config_bool(c, "tokenize_chinese_chars", true, &n->chinese);
    if (!status)
        status = config_bool(c, "strip_accents", n->lower, &n->strip);
    return status ? status
                  : ilki_text_wordpiece_new(&t->model_state, &t->vocab, unk ? unk : "[UNK]",
                                            unk ? c->special[ILKI_SPECIAL_UNK].token.n : 5, &c->r);
}

/* The reference's own numbers stand where a name is null. */
static ilk_status bert_post(checkpoint *c)
{
    return ilki_text_template_bert(&c->t->single, &c->t->pair, special_or(c, ILKI_SPECIAL_CLS, 2),
                                   special_or(c, ILKI_SPECIAL_SEP, 3), &c->r);
}

static ilk_status mpnet_post(checkpoint *c)
{
    c->t->single.trim = c->t->pair.trim = true;
    return ilki_text_template_roberta(&c->t->single, &c->t->pair, special_or(c, ILKI_SPECIAL_CLS, 0),
                                      special_or(c, ILKI_SPECIAL_SEP, 2), &c->r);
}

/* ------------------------------------------------------------------ BPE */

static ilk_status read_pieces(checkpoint *c)
{
    ilk_status status = ILK_OK;
    if (!ilki_text_vocab_reserve(&c->t->vocab, c->spm.n))
        return ilki_base_fail_memory(c->r.err, c->spm.n, "the vocabulary");
    for (size_t i = 0; i < c->spm.n && !status; i++)
        status = ilki_text_vocab_add(&c->t->vocab, c->spm.pieces[i].text, c->spm.pieces[i].n, (int64_t)i, c->r.name,
                                     c->r.err);
    return status;
}

static ilk_status read_bpe_vocab(checkpoint *c)
{
    c->t->vocab.hashed = true;
    if (c->tokenizer)
        return ilki_text_read_vocab(&c->t->vocab, &c->r,
                                    ilki_base_json_get(c->tokenizer, file_member(c, "model"), "vocab"));
    if (c->spm.n)
        return read_pieces(c);
    if (!c->vocab || !c->files->merges_txt.data)
        return ilki_base_fail(c->r.err, ILK_NOT_FOUND, "neither tokenizer.json nor vocab.json with merges.txt");
    return ilki_text_read_vocab(&c->t->vocab, &c->rv, ilki_base_json_root(c->vocab));
}

static ilk_status make_bpe(checkpoint *c, ilki_bpe_settings *o)
{
    const ilki_text_file *merges = &c->files->merges_txt;
    ilki_text_reader r = c->r;
    c->t->model = &ilki_text_bpe;
    if (c->tokenizer) {
        o->merges = ilki_base_json_get(c->tokenizer, file_member(c, "model"), "merges");
    } else if (c->spm.n) {
        o->generate = true;
    } else {
        o->lines = merges->data;
        o->n_lines = merges->n;
        r.name = merges->name ? merges->name : "merges.txt";
    }
    return ilki_text_bpe_new(&c->t->model_state, &c->t->vocab, o, &r);
}

/* GPT-2 and RoBERTa */
static ilk_status gpt2_parts(checkpoint *c)
{
    ilki_bpe_settings o = {0};
    bool prefix;
    ilk_status status = config_bool(c, "add_prefix_space", false, &prefix);
    if (status)
        return status;
    ilki_text_byte_level_set(&c->t->splitters[0], prefix, true);
    c->t->n_splitters = 1;
    return make_bpe(c, &o);
}

static ilk_status roberta_post(checkpoint *c)
{
    ilki_tokenizer *t = c->t;
    bool trim, prefix;
    ilk_status status = config_bool(c, "trim_offsets", true, &trim);
    if (!status)
        status = config_bool(c, "add_prefix_space", false, &prefix);
    if (status)
        return status;
    t->single.trim = t->pair.trim = trim;
    t->single.trim_prefix = t->pair.trim_prefix = prefix;
    return ilki_text_template_roberta(&t->single, &t->pair, special_or(c, ILKI_SPECIAL_CLS, 0),
                                      special_or(c, ILKI_SPECIAL_SEP, 2), &c->r);
}

static ilk_status neox_parts(checkpoint *c)
{
    c->t->normalizers[c->t->n_normalizers++] = (ilki_normalizer){.row = &ilki_text_nfc, .local = true};
    return gpt2_parts(c);
}

static ilk_status bos_eos_post(checkpoint *c)
{
    bool bos = false, eos = false;
    ilk_status status = config_bool(c, "add_bos_token", false, &bos);
    if (!status)
        status = config_bool(c, "add_eos_token", false, &eos);
    return status ? status
                  : ilki_text_template_around(&c->t->single, &c->t->pair, bos ? c->t->special[ILKI_SPECIAL_BOS] : -1,
                                              eos ? c->t->special[ILKI_SPECIAL_EOS] : -1, &c->r);
}

static ilk_status deberta_post(checkpoint *c)
{
    return ilki_text_template_roberta(&c->t->single, &c->t->pair, special_or(c, ILKI_SPECIAL_CLS, 0),
                                      special_or(c, ILKI_SPECIAL_SEP, 0), &c->r);
}

static ilk_status qwen2_parts(checkpoint *c)
{
    ilki_bpe_settings o = {0};
    bool prefix;
    ilk_status status = config_bool(c, "add_prefix_space", false, &prefix);
    if (status)
        return status;
    c->t->normalizers[0] = (ilki_normalizer){.row = &ilki_text_nfc, .local = true};
    c->t->n_normalizers = 1;
    ilki_text_split_set_qwen2(&c->t->splitters[0]);
    ilki_text_byte_level_set(&c->t->splitters[1], prefix, false);
    c->t->n_splitters = 2;
    return make_bpe(c, &o);
}

static ilk_status clip_parts(checkpoint *c)
{
    static const uint32_t space[] = {' '};
    ilki_bpe_settings o = {.unk = special_name(c, ILKI_SPECIAL_UNK), .suffix = "</w>"};
    ilki_normalizer *n = c->t->normalizers;
    n[0] = (ilki_normalizer){.row = &ilki_text_nfc, .local = true};
    ilki_text_replace_set(&n[1], 0, space, 1);
    n[2] = (ilki_normalizer){.row = &ilki_text_lowercase, .local = true};
    c->t->n_normalizers = 3;
    ilki_text_split_set_clip(&c->t->splitters[0]);
    ilki_text_byte_level_set(&c->t->splitters[1], false, true);
    c->t->n_splitters = 2;
    return make_bpe(c, &o);
}

static ilk_status clip_post(checkpoint *c)
{
    return ilki_text_template_roberta(&c->t->single, &c->t->pair, special_or(c, ILKI_SPECIAL_BOS, 0),
                                      special_or(c, ILKI_SPECIAL_EOS, 0), &c->r);
}

/* A space becomes U+2581 and the text is one word: the pre-tokenizer, which splits at spaces, finds none. */
static ilk_status gemma_parts(checkpoint *c)
{
    static const uint32_t mark[] = {0x2581};
    ilki_bpe_settings o = {.unk = special_name(c, ILKI_SPECIAL_UNK), .fuse_unk = true, .byte_fallback = true};
    ilki_text_replace_set(&c->t->normalizers[c->t->n_normalizers++], ' ', mark, 1);
    return make_bpe(c, &o);
}

/* The text is one word behind a mark; with "legacy" so is what stands behind each added token. */
static ilk_status llama_parts(checkpoint *c)
{
    ilki_bpe_settings o = {.fuse_unk = true, .byte_fallback = true};
    bool prefix, legacy;
    ilk_status status = config_bool(c, "add_prefix_space", true, &prefix);
    if (!status)
        status = config_bool(c, "legacy", false, &legacy);
    if (status)
        return status;
    ilki_text_metaspace_set(&c->t->splitters[0], prefix, !legacy, true);
    c->t->n_splitters = 1;
    return make_bpe(c, &o);
}

static ilk_status siglip2_parts(checkpoint *c)
{
    c->t->normalizers[c->t->n_normalizers++] = (ilki_normalizer){.row = &ilki_text_lowercase, .local = true};
    return gemma_parts(c);
}

/* ------------------------------------------------------------------ Unigram */

static ilki_json_node charsmap_of(const checkpoint *c)
{
    const ilki_json *j = c->tokenizer;
    ilki_json_node n = file_member(c, "normalizer"), list = ilki_base_json_get(j, n, "normalizers");
    ilki_json_node first = list ? ilki_base_json_first(j, list) : n;
    for (ilki_json_node i = first; i; i = list ? ilki_base_json_next(j, i) : 0) {
        const char *type = ilki_base_json_string(j, ilki_base_json_get(j, i, "type"), NULL);
        if (type && strcmp(type, "Precompiled") == 0)
            return i;
    }
    return 0;
}

/* The pieces of a model with what the class puts around: for XLM-R (which names a mask) four names in place of the first
 * three and the mask behind; for T5 the extra ids, from the last down to the first. */
static ilk_status read_scores(checkpoint *c)
{
    static const ilki_special head[] = {ILKI_SPECIAL_BOS, ILKI_SPECIAL_PAD, ILKI_SPECIAL_EOS, ILKI_SPECIAL_UNK};
    ilki_tokenizer *t = c->t;
    const named *mask = &c->special[ILKI_SPECIAL_MASK];
    size_t skip = c->n_extra < 0 ? 3 : 0, id = 0, n_extra = c->n_extra < 0 ? 0 : (size_t)c->n_extra;
    char name[32];
    ilk_status status = ilki_text_unigram_new(&t->model_state, &t->vocab, c->spm.n + n_extra + 5, false, &c->r);
    for (size_t i = 0; i < 4 && skip && !status; i++, id++) {
        const named *s = &c->special[head[i]];
        status = ilki_text_unigram_add(t->model_state, &t->vocab, id, s->present ? s->token.content : "None",
                                       s->present ? s->token.n : 4, 0, &c->r);
    }
    for (size_t i = skip; i < c->spm.n && !status; i++, id++)
        status = ilki_text_unigram_add(t->model_state, &t->vocab, id, c->spm.pieces[i].text, c->spm.pieces[i].n,
                                       (double)c->spm.pieces[i].score, &c->r);
    for (size_t i = n_extra; i-- > 0 && !status; id++) {
        int len = snprintf(name, sizeof name, "<extra_id_%zu>", i);
        status = ilki_text_unigram_add(t->model_state, &t->vocab, id, name, (size_t)len, 0, &c->r);
    }
    if (!status && skip)
        status = ilki_text_unigram_add(t->model_state, &t->vocab, id, mask->present ? mask->token.content : "None",
                                       mask->present ? mask->token.n : 4, 0, &c->r);
    return status;
}

static ilk_status read_unigram_vocab(checkpoint *c)
{
    ilki_tokenizer *t = c->t;
    ilki_json_node list = 0;
    if (c->spm.n)
        return read_scores(c);
    if (!c->tokenizer)
        return ilki_base_fail(c->r.err, ILK_NOT_FOUND, "neither tokenizer.json nor a model of SentencePiece");
    list = ilki_base_json_get(c->tokenizer, file_member(c, "model"), "vocab");
    if (ilki_base_json_type(c->tokenizer, list) != ILKI_JSON_ARRAY)
        return ilki_base_fail(c->r.err, ILK_BAD_FORMAT, "%s: model.vocab: expected a list of tokens and scores",
                              c->r.name);
    ilk_status status = ilki_text_unigram_new(&t->model_state, &t->vocab, ilki_base_json_count(c->tokenizer, list),
                                              false, &c->r);
    return status ? status : ilki_text_unigram_read_vocab(t->model_state, &t->vocab, list, &c->r);
}

/* The map of characters, words apart, a mark before each; `unk` is the place of the unknown token in every such file. */
static ilk_status unigram_parts(checkpoint *c, int64_t unk, bool prefix)
{
    ilki_tokenizer *t = c->t;
    ilki_json_node map = c->tokenizer ? charsmap_of(c) : 0;
    ilk_status status = ILK_OK;
    t->model = &ilki_text_unigram;
    if (map) {
        ilki_normalizer *n = &t->normalizers[t->n_normalizers++];
        *n = (ilki_normalizer){.row = &ilki_text_precompiled};
        status = ilki_text_precompiled.read(n, &c->r, map);
    } else if (c->spm.charsmap && c->spm.n_charsmap) {
        status = ilki_text_charsmap_new(&t->normalizers[t->n_normalizers++], c->spm.charsmap, c->spm.n_charsmap, &c->r);
    }
    t->splitters[0] = (ilki_splitter){.row = &ilki_text_whitespace_split, .drops_space = true};
    ilki_text_metaspace_set(&t->splitters[1], prefix, false, false);
    t->n_splitters = 2;
    return status ? status : ilki_text_unigram_end(t->model_state, &t->vocab, unk, &c->r);
}

/* The place of the unknown token's name, or another. */
static int64_t unk_or(const checkpoint *c, int64_t otherwise)
{
    const named *unk = &c->special[ILKI_SPECIAL_UNK];
    int32_t id = unk->present ? ilki_text_vocab_get(&c->t->vocab, unk->token.content, unk->token.n) : -1;
    return id >= 0 ? id : otherwise;
}

static void add_normalizer(checkpoint *c, const ilki_normalizer_row *row)
{
    c->t->normalizers[c->t->n_normalizers++] = (ilki_normalizer){.row = row, .local = row->local};
}

/* A regular expression of normalise.c's table: runs of white space become a string. */
static void add_runs(checkpoint *c, bool spaces_only, const uint32_t *put)
{
    static const uint32_t space[] = {' '};
    c->t->normalizers[c->t->n_normalizers++] = (ilki_normalizer){.row = &ilki_text_replace,
                                                                 .local = true,
                                                                 .find = spaces_only ? space : NULL,
                                                                 .n_find = 1,
                                                                 .put = put,
                                                                 .n_put = 1,
                                                                 .least = 2,
                                                                 .lines = !spaces_only};
}

/* Quotation marks of LaTeX become plain ones; accents go where they are not kept. */
static ilk_status add_cleaning(checkpoint *c, bool keep, bool lower)
{
    static const uint32_t open[] = {'`', '`'}, close[] = {'\'', '\''}, plain[] = {'"'};
    for (int i = 0; i < 2; i++)
        c->t->normalizers[c->t->n_normalizers++] = (ilki_normalizer){.row = &ilki_text_replace,
                                                                     .local = true, /* no white space in it */
                                                                     .find = i ? close : open,
                                                                     .n_find = 2,
                                                                     .put = plain,
                                                                     .n_put = 1};
    if (!keep) {
        add_normalizer(c, &ilki_text_nfkd);
        add_normalizer(c, &ilki_text_strip_accents);
    }
    if (lower)
        add_normalizer(c, &ilki_text_lowercase);
    return ILK_OK;
}

static ilk_status albert_parts(checkpoint *c)
{
    bool keep, lower, prefix;
    ilk_status status = config_bool(c, "keep_accents", false, &keep);
    if (!status)
        status = config_bool(c, "do_lower_case", true, &lower);
    if (!status)
        status = config_bool(c, "add_prefix_space", true, &prefix);
    if (!status)
        status = add_cleaning(c, keep, lower);
    return status ? status : unigram_parts(c, 1, prefix);
}

/* keep_accents does not count here. */
static ilk_status xlnet_parts(checkpoint *c)
{
    bool lower;
    ilk_status status = config_bool(c, "do_lower_case", false, &lower);
    if (!status)
        status = add_cleaning(c, false, lower);
    return status ? status : unigram_parts(c, 0, true);
}

static ilk_status xlnet_post(checkpoint *c)
{
    return ilki_text_template_xlnet(&c->t->single, &c->t->pair, special_or(c, ILKI_SPECIAL_SEP, 0),
                                    special_or(c, ILKI_SPECIAL_CLS, 0), &c->r);
}

static ilk_status camembert_parts(checkpoint *c)
{
    bool prefix;
    ilk_status status = config_bool(c, "add_prefix_space", true, &prefix);
    return status ? status : unigram_parts(c, unk_or(c, 0), prefix);
}

/* Metaspace alone: white space that no normalizer took is part of a word. */
static ilk_status metaspace_parts(checkpoint *c, int64_t unk, bool prefix, bool first_only)
{
    ilki_tokenizer *t = c->t;
    t->model = &ilki_text_unigram;
    ilki_text_metaspace_set(&t->splitters[t->n_splitters++], prefix, first_only, false);
    return ilki_text_unigram_end(t->model_state, &t->vocab, unk, &c->r);
}

static ilk_status big_bird_parts(checkpoint *c)
{
    static const uint32_t mark[] = {0x2581};
    bool prefix;
    ilk_status status = config_bool(c, "add_prefix_space", true, &prefix);
    add_runs(c, true, mark);
    return status ? status : metaspace_parts(c, unk_or(c, 100), prefix, false);
}

static ilk_status deberta_v2_parts(checkpoint *c)
{
    static const uint32_t space[] = {' '};
    bool lower, punct, prefix;
    ilk_status status = config_bool(c, "do_lower_case", false, &lower);
    if (!status)
        status = config_bool(c, "split_by_punct", false, &punct);
    if (!status)
        status = config_bool(c, "add_prefix_space", true, &prefix);
    if (status)
        return status;
    if (lower)
        add_normalizer(c, &ilki_text_lowercase);
    add_runs(c, false, space);
    add_normalizer(c, &ilki_text_nfc);
    add_normalizer(c, &ilki_text_strip);
    c->t->normalizers[c->t->n_normalizers - 1].strip = true;
    if (punct)
        c->t->splitters[c->t->n_splitters++] = (ilki_splitter){.row = &ilki_text_punctuation, .behaviour = 1};
    return metaspace_parts(c, unk_or(c, 1), true, !prefix);
}

static ilk_status xlm_roberta_parts(checkpoint *c)
{
    bool prefix;
    ilk_status status = config_bool(c, "add_prefix_space", true, &prefix);
    return status ? status : unigram_parts(c, 3, prefix);
}

static ilk_status xlm_roberta_post(checkpoint *c)
{
    return ilki_text_template_roberta(&c->t->single, &c->t->pair, special_or(c, ILKI_SPECIAL_BOS, 0),
                                      special_or(c, ILKI_SPECIAL_EOS, 2), &c->r);
}

static ilk_status t5_parts(checkpoint *c)
{
    return unigram_parts(c, 2, true);
}

/* After models/siglip/tokenization_siglip.py: lower case, no punctuation, then the model's own rules. White space is
 * collapsed where words are split. */
static ilk_status siglip_parts(checkpoint *c)
{
    c->t->normalizers[c->t->n_normalizers++] = (ilki_normalizer){.row = &ilki_text_canonical, .local = true};
    return unigram_parts(c, 2, true);
}

static ilk_status t5_post(checkpoint *c)
{
    ilk_status status = ilki_text_template_around(&c->t->single, &c->t->pair, -1, special_or(c, ILKI_SPECIAL_EOS, 1),
                                                  &c->r);
    for (size_t i = 0; i < c->t->pair.n && !status; i++)
        c->t->pair.items[i].type = 0;
    return status;
}

/* ------------------------------------------------------------------ how a class reads */

static void count_model(checkpoint *c)
{
    const ilki_tokenizer *t = c->t;
    c->n_model = t->model && t->model->counts_places ? t->vocab.n : t->vocab.n_strings;
}

/* Its post-processor, or the file's, or what add_bos_token and add_eos_token say. */
static ilk_status read_class_post(checkpoint *c, const class_row *row)
{
    if (row->post)
        return row->post(c);
    return c->tokenizer ? ilki_text_read_post(c->t, &c->r, file_member(c, "post_processor")) : bos_eos_post(c);
}

static ilk_status read_row(checkpoint *c, const class_row *row, ilk_status (*read_vocab)(checkpoint *c))
{
    ilk_status status = ilki_text_read_specials(c, row->special);
    if (!status)
        status = read_vocab(c);
    if (!status)
        status = row->parts(c);
    count_model(c);
    if (!status)
        status = ilki_text_add_configured(c, true);
    if (!status)
        status = ilki_text_add_pieces(c);
    if (status)
        return status;
    ilki_text_set_special_ids(c);
    return read_class_post(c, row);
}

static ilk_status read_wordpiece(checkpoint *c, const class_row *row)
{
    return read_row(c, row, read_wordpiece_vocab);
}

static ilk_status read_bpe(checkpoint *c, const class_row *row)
{
    return read_row(c, row, read_bpe_vocab);
}

/* Classes whose way to read a model of SentencePiece is not built. */
static ilk_status read_unigram_json(checkpoint *c, const class_row *row)
{
    if (!c->tokenizer)
        return ilki_base_fail(c->r.err, ILK_UNSUPPORTED, "a tokenizer of class %s without tokenizer.json is not built",
                              row->name);
    return read_row(c, row, read_unigram_vocab);
}

static ilk_status read_unigram(checkpoint *c, const class_row *row)
{
    c->n_extra = -1;
    return read_row(c, row, read_unigram_vocab);
}

static ilk_status read_siglip(checkpoint *c, const class_row *row)
{
    c->n_extra = 0;
    return read_row(c, row, read_unigram_vocab);
}

/* <extra_id_0> and on are tokens whether a file names them or not. */
static ilk_status read_t5(checkpoint *c, const class_row *row)
{
    int64_t n = 100;
    char name[32];
    ilki_json_node extra = c->config ? ilki_base_json_get(c->config, ilki_base_json_root(c->config), "extra_ids") : 0;
    if (extra && !ilki_base_json_int(c->config, extra, 0, 65536, &n))
        return ilki_base_fail(c->r.err, ILK_BAD_FORMAT, "%s: extra_ids: expected a number up to 65536", c->rc.name);
    c->n_extra = n;
    ilk_status status = read_row(c, row, read_unigram_vocab);
    for (int64_t i = 0; i < n && !status; i++) {
        int len = snprintf(name, sizeof name, "<extra_id_%d>", (int)i);
        if (ilki_base_map_get(&c->t->added_by_content, name, (size_t)len) == ILKI_MAP_NONE)
            status = ilki_text_add_special(c, name, (size_t)len);
    }
    return status;
}

/* All named tokens are made special once more. */
static ilk_status read_qwen2(checkpoint *c, const class_row *row)
{
    ilk_status status = read_bpe(c, row);
    for (int i = 0; i < ILKI_SPECIAL_COUNT && !status; i++)
        if (c->special[i].present)
            status = ilki_text_add_special(c, c->special[i].token.content, c->special[i].token.n);
    return status;
}

/* tokenizer.json by the letter. */
static ilk_status read_literal(checkpoint *c)
{
    ilki_tokenizer *t = c->t;
    if (!c->tokenizer)
        return ilki_base_fail(c->r.err, ILK_NOT_FOUND, "no tokenizer.json");
    ilk_status status = ilki_text_read_parts(t, &c->r, ilki_base_json_root(c->tokenizer));
    count_model(c);
    if (!status)
        status = ilki_text_add_list(c, file_member(c, "added_tokens"));
    if (!status)
        status = ilki_text_read_specials(c, NULL);
    if (!status && c->files->mode == ILKI_TOKENIZER_DEFAULT)
        status = ilki_text_add_configured(c, false);
    if (!status)
        ilki_text_set_special_ids(c);
    return status;
}

/* A file of Llama 3's kind is taken by the letter. */
static ilk_status read_llama(checkpoint *c, const class_row *row)
{
    if (!c->tokenizer)
        return read_bpe(c, row);
    ilki_json_node n = file_member(c, "pre_tokenizer"), list = ilki_base_json_get(c->tokenizer, n, "pretokenizers");
    for (ilki_json_node i = list ? ilki_base_json_first(c->tokenizer, list) : n; i;
         i = list ? ilki_base_json_next(c->tokenizer, i) : 0) {
        const char *type = ilki_base_json_string(c->tokenizer, ilki_base_json_get(c->tokenizer, i, "type"), NULL);
        if (type && strcmp(type, "ByteLevel") == 0)
            return read_literal(c);
    }
    return read_bpe(c, row);
}

static ilk_status refuse(checkpoint *c, const class_row *row)
{
    return ilki_base_fail(c->r.err, ILK_UNSUPPORTED, "a tokenizer of class %s is not built", row->name);
}

/* ------------------------------------------------------------------ the classes */

#define BERT    {"[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", NULL, NULL}, wordpiece_parts, bert_post
#define ROBERTA {"<s>", "</s>", "<pad>", "<unk>", "<mask>", "<s>", "</s>"}, gpt2_parts, roberta_post
#define GEMMA                                                                                                          \
    {                                                                                                                  \
        NULL, NULL, "<pad>", "<unk>", "<mask>", "<bos>", "<eos>"                                                       \
    }
#define END "<|endoftext|>"

static const class_row classes[] = {
    {"BertTokenizer", read_wordpiece, BERT},
    {"DistilBertTokenizer", read_wordpiece, BERT},
    {"ConvBertTokenizer", read_wordpiece, BERT},
    {"ElectraTokenizer", read_wordpiece, BERT},
    {"MobileBertTokenizer", read_wordpiece, BERT},
    {"SqueezeBertTokenizer", read_wordpiece, BERT},
    {"DPRQuestionEncoderTokenizer", read_wordpiece, BERT},
    {"DPRContextEncoderTokenizer", read_wordpiece, BERT},
    {"DPRReaderTokenizer", read_wordpiece, BERT},
    {"MPNetTokenizer",
     read_wordpiece,
     {"<s>", "</s>", "<pad>", "[UNK]", "<mask>", "<s>", "</s>"},
     wordpiece_parts,
     mpnet_post},
    {"RobertaTokenizer", read_bpe, ROBERTA},
    {"BartTokenizer", read_bpe, ROBERTA},
    {"GPT2Tokenizer", read_bpe, {NULL, NULL, NULL, END, NULL, END, END}, gpt2_parts, NULL},
    {"Qwen2Tokenizer", read_qwen2, {NULL, NULL, END, END, NULL, NULL, END}, qwen2_parts, NULL},
    {"CLIPTokenizer", read_bpe, {NULL, NULL, END, END, NULL, "<|startoftext|>", END}, clip_parts, clip_post},
    {"XLMRobertaTokenizer",
     read_unigram,
     {"<s>", "</s>", "<pad>", "<unk>", "<mask>", "<s>", "</s>"},
     xlm_roberta_parts,
     xlm_roberta_post},
    {"T5Tokenizer", read_t5, {NULL, NULL, "<pad>", "<unk>", NULL, NULL, "</s>"}, t5_parts, t5_post},
    {"GemmaTokenizer", read_bpe, GEMMA, gemma_parts, NULL},
    {"LlamaTokenizer", read_llama, {NULL, NULL, NULL, "<unk>", NULL, "<s>", "</s>"}, llama_parts, NULL},
    {"SiglipTokenizer", read_siglip, {NULL, NULL, "</s>", "<unk>", NULL, NULL, "</s>"}, siglip_parts, t5_post},
    {"Siglip2Tokenizer", read_bpe, GEMMA, siglip2_parts, NULL},
    {"AlbertTokenizer",
     read_unigram_json,
     {"[CLS]", "[SEP]", "<pad>", "<unk>", "[MASK]", "[CLS]", "[SEP]"},
     albert_parts,
     bert_post},
    {"BigBirdTokenizer",
     read_unigram_json,
     {"[CLS]", "[SEP]", "<pad>", "<unk>", "[MASK]", "<s>", "</s>"},
     big_bird_parts,
     bert_post},
    {"CamembertTokenizer",
     read_unigram_json,
     {"<s>", "</s>", "<pad>", "<unk>", "<mask>", "<s>", "</s>"},
     camembert_parts,
     xlm_roberta_post},
    {"DebertaTokenizer",
     read_bpe,
     {"[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "[CLS]", "[SEP]"},
     gpt2_parts,
     deberta_post},
    {"DebertaV2Tokenizer",
     read_unigram_json,
     {"[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "[CLS]", "[SEP]"},
     deberta_v2_parts,
     bert_post},
    {"GPTNeoXTokenizer", read_bpe, {NULL, NULL, "<|padding|>", END, NULL, END, END}, neox_parts, bos_eos_post},
    {"XLNetTokenizer",
     read_unigram_json,
     {"<cls>", "<sep>", "<pad>", "<unk>", "<mask>", "<s>", "</s>"},
     xlnet_parts,
     xlnet_post},
};

/* Classes that do not take tokenizer.json as it is, or do not read it, in a way that is not built here. */
static const char *const refused[] = {"BarthezTokenizer",
                                      "BartphoTokenizer",
                                      "BertGenerationTokenizer",
                                      "BertJapaneseTokenizer",
                                      "BertweetTokenizer",
                                      "BioGptTokenizer",
                                      "BlenderbotSmallTokenizer",
                                      "BlenderbotTokenizer",
                                      "ByT5Tokenizer",
                                      "CTRLTokenizer",
                                      "CanineTokenizer",
                                      "ClvpTokenizer",
                                      "CodeGenTokenizer",
                                      "CodeLlamaTokenizer",
                                      "CohereTokenizer",
                                      "CpmAntTokenizer",
                                      "CpmTokenizer",
                                      "DiaTokenizer",
                                      "EsmTokenizer",
                                      "EsmcTokenizer",
                                      "FNetTokenizer",
                                      "FSMTTokenizer",
                                      "FastSpeech2ConformerTokenizer",
                                      "FlaubertTokenizer",
                                      "FunnelTokenizer",
                                      "GPTNeoXJapaneseTokenizer",
                                      "GPTSw3Tokenizer",
                                      "HerbertTokenizer",
                                      "LasrTokenizer",
                                      "LayoutLMv2Tokenizer",
                                      "LayoutLMv3Tokenizer",
                                      "LayoutXLMTokenizer",
                                      "LukeTokenizer",
                                      "M2M100Tokenizer",
                                      "MBart50Tokenizer",
                                      "MBartTokenizer",
                                      "MLukeTokenizer",
                                      "MarianTokenizer",
                                      "MarkupLMTokenizer",
                                      "MgpstrTokenizer",
                                      "MyT5Tokenizer",
                                      "NllbTokenizer",
                                      "NougatTokenizer",
                                      "OpenAIGPTTokenizer",
                                      "PLBartTokenizer",
                                      "ParakeetTokenizer",
                                      "PegasusTokenizer",
                                      "PerceiverTokenizer",
                                      "PhobertTokenizer",
                                      "Pop2PianoTokenizer",
                                      "ProphetNetTokenizer",
                                      "Qwen3_5Tokenizer",
                                      "ReformerTokenizer",
                                      "RemBertTokenizer",
                                      "RoCBertTokenizer",
                                      "RoFormerTokenizer",
                                      "SeamlessM4TTokenizer",
                                      "Speech2TextTokenizer",
                                      "SpeechT5Tokenizer",
                                      "SplinterTokenizer",
                                      "TapasTokenizer",
                                      "Tipsv2Tokenizer",
                                      "UdopTokenizer",
                                      "VideoPrismTokenizer",
                                      "VitsTokenizer",
                                      "Wav2Vec2CTCTokenizer",
                                      "Wav2Vec2PhonemeCTCTokenizer",
                                      "WhisperTokenizer",
                                      "XGLMTokenizer",
                                      "XLMTokenizer"};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static ilk_status read_named(checkpoint *c, const char *name, size_t n, bool *known)
{
    *known = true;
    for (size_t i = 0; i < COUNT(classes); i++)
        if (strlen(classes[i].name) == n && memcmp(classes[i].name, name, n) == 0)
            return classes[i].read(c, &classes[i]);
    for (size_t i = 0; i < COUNT(refused); i++)
        if (strlen(refused[i]) == n && memcmp(refused[i], name, n) == 0)
            return refuse(c, &(class_row){.name = refused[i]});
    *known = false;
    return ILK_OK;
}

ilk_status ilki_text_read_class(checkpoint *c)
{
    const char *name = NULL, *type = c->files->model_type;
    size_t n = 0;
    bool known = false;
    if (c->files->mode == ILKI_TOKENIZER_LITERAL && c->tokenizer)
        return read_literal(c);
    if (c->config) {
        ilki_json_node root = ilki_base_json_root(c->config);
        ilk_status status = ilki_text_read_string(&c->rc, root, "tokenizer_class", NULL, &name, &n);
        if (status)
            return status;
    }
    if (!name && (name = ilki_text_class_of_type(type)) != NULL)
        n = strlen(name);
    if (name && n > 4 && strcmp(name + n - 4, "Fast") == 0)
        n -= 4;
    ilk_status status = name ? read_named(c, name, n, &known) : ILK_OK;
    if (known || status)
        return status;
    return c->tokenizer || name ? read_literal(c) : read_wordpiece(c, &classes[0]);
}
