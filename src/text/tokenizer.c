/* SPDX-License-Identifier: Apache-2.0
 * The tables of parts, and how a tokenizer is put together from them. A new type of part is a file and a row here. */
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/part.h"
#include "text/regex.h"

enum { MAX_PARTS = 64 };

static const ilki_normalizer_row *const normalizer_rows[] = {&ilki_text_bert_normalizer,
                                                             &ilki_text_normalizer_sequence,
                                                             &ilki_text_lowercase,
                                                             &ilki_text_strip_accents,
                                                             &ilki_text_strip,
                                                             &ilki_text_replace,
                                                             &ilki_text_nfd,
                                                             &ilki_text_nfc,
                                                             &ilki_text_nfkd,
                                                             &ilki_text_nfkc,
                                                             &ilki_text_prepend,
                                                             &ilki_text_byte_level_normalizer,
                                                             &ilki_text_precompiled,
                                                             &ilki_text_nmt};
static const ilki_splitter_row *const splitter_rows[] = {&ilki_text_bert_splitter, &ilki_text_splitter_sequence,
                                                         &ilki_text_whitespace,    &ilki_text_whitespace_split,
                                                         &ilki_text_punctuation,   &ilki_text_digits,
                                                         &ilki_text_split,         &ilki_text_byte_level,
                                                         &ilki_text_metaspace,     &ilki_text_char_delimiter};
static const ilki_text_model_row *const model_rows[] = {&ilki_text_wordpiece, &ilki_text_bpe, &ilki_text_unigram,
                                                        &ilki_text_wordlevel};
static const ilki_post_row *const post_rows[] = {&ilki_text_template_processing, &ilki_text_bert_processing,
                                                 &ilki_text_roberta_processing, &ilki_text_byte_level_processing,
                                                 &ilki_text_post_sequence};

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ------------------------------------------------------------------ settings */

ilk_status ilki_text_read_bool(const ilki_text_reader *r, ilki_json_node o, const char *key, bool otherwise, bool *out)
{
    ilki_json_node v = ilki_base_json_get(r->json, o, key);
    ilki_json_type type = ilki_base_json_type(r->json, v);
    *out = ilki_base_json_bool(r->json, v, otherwise);
    if (type == ILKI_JSON_NONE || type == ILKI_JSON_NULL || type == ILKI_JSON_TRUE || type == ILKI_JSON_FALSE)
        return ILK_OK;
    return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: \"%s\": expected true or false", r->name, key);
}

ilk_status ilki_text_read_string(const ilki_text_reader *r, ilki_json_node o, const char *key, const char *otherwise,
                                 const char **out, size_t *n)
{
    ilki_json_node v = ilki_base_json_get(r->json, o, key);
    ilki_json_type type = ilki_base_json_type(r->json, v);
    size_t len = 0;
    const char *s = ilki_base_json_string(r->json, v, &len);
    if (!s && type != ILKI_JSON_NONE && type != ILKI_JSON_NULL)
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: \"%s\": expected a string", r->name, key);
    *out = s ? s : otherwise;
    if (n)
        *n = s ? len : otherwise ? strlen(otherwise) : 0;
    return ILK_OK;
}

ilk_status ilki_text_read_chars(const ilki_text_reader *r, const char *s, size_t n, const uint32_t **cps, size_t *n_cps)
{
    uint32_t *to = ilki_base_arena_alloc(r->arena, n, sizeof *to);
    size_t count = 0;
    if (!to)
        return ilki_base_fail_memory(r->err, n * sizeof *to, "a pattern");
    for (size_t i = 0, len; i < n; i += len)
        to[count++] = ilki_base_utf8_get(s + i, n - i, &len);
    *cps = to;
    *n_cps = count;
    return ILK_OK;
}

/* ------------------------------------------------------------------ parts */

static ilk_status unknown_part(const ilki_text_reader *r, const char *kind, const char *type)
{
    if (!type)
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: a %s without a type", r->name, kind);
    return ilki_base_fail(r->err, ILK_UNSUPPORTED, "%s: %s \"%s\" is not built", r->name, kind, type);
}

static const char *type_of(const ilki_text_reader *r, ilki_json_node node)
{
    return ilki_base_json_string(r->json, ilki_base_json_get(r->json, node, "type"), NULL);
}

static bool is_null(const ilki_text_reader *r, ilki_json_node node)
{
    ilki_json_type type = ilki_base_json_type(r->json, node);
    return type == ILKI_JSON_NONE || type == ILKI_JSON_NULL;
}

static ilk_status too_many(const ilki_text_reader *r, const char *kind)
{
    return ilki_base_fail(r->err, ILK_LIMIT, "%s: more than %d parts of kind %s", r->name, MAX_PARTS, kind);
}

/* One part, or the members of a sequence in order; JSON's own depth limit bounds the recursion. */
static ilk_status read_normalizer(ilki_tokenizer *t, const ilki_text_reader *r, ilki_json_node node)
{
    const ilki_normalizer_row *row = NULL;
    const char *type = type_of(r, node);
    ilk_status status = ILK_OK;
    for (size_t i = 0; type && i < COUNT(normalizer_rows); i++)
        if (strcmp(normalizer_rows[i]->type, type) == 0)
            row = normalizer_rows[i];
    if (!row)
        return unknown_part(r, "normalizer", type);
    if (row->members) {
        ilki_json_node list = ilki_base_json_get(r->json, node, row->members);
        for (ilki_json_node i = ilki_base_json_first(r->json, list); i && !status; i = ilki_base_json_next(r->json, i))
            status = read_normalizer(t, r, i);
        return status;
    }
    if (t->n_normalizers == MAX_PARTS)
        return too_many(r, "normalizer");
    ilki_normalizer *p = &t->normalizers[t->n_normalizers++];
    p->row = row;
    p->local = row->local;
    return row->read ? row->read(p, r, node) : ILK_OK;
}

static ilk_status read_splitter(ilki_tokenizer *t, const ilki_text_reader *r, ilki_json_node node)
{
    const ilki_splitter_row *row = NULL;
    const char *type = type_of(r, node);
    ilk_status status = ILK_OK;
    for (size_t i = 0; type && i < COUNT(splitter_rows); i++)
        if (strcmp(splitter_rows[i]->type, type) == 0)
            row = splitter_rows[i];
    if (!row)
        return unknown_part(r, "pre-tokenizer", type);
    if (row->members) {
        ilki_json_node list = ilki_base_json_get(r->json, node, row->members);
        for (ilki_json_node i = ilki_base_json_first(r->json, list); i && !status; i = ilki_base_json_next(r->json, i))
            status = read_splitter(t, r, i);
        return status;
    }
    if (t->n_splitters == MAX_PARTS)
        return too_many(r, "pre-tokenizer");
    ilki_splitter *p = &t->splitters[t->n_splitters++];
    p->row = row;
    p->drops_space = row->drops_space;
    return row->read ? row->read(p, r, node) : ILK_OK;
}

static ilk_status read_model(ilki_tokenizer *t, const ilki_text_reader *r, ilki_json_node node)
{
    const char *type = type_of(r, node);
    /* files of before 2020 have no type here; only WordPiece has this member */
    if (!type && ilki_base_json_get(r->json, node, "max_input_chars_per_word"))
        type = ilki_text_wordpiece.type;
    for (size_t i = 0; type && i < COUNT(model_rows); i++)
        if (strcmp(model_rows[i]->type, type) == 0) {
            t->model = model_rows[i];
            return t->model->read(&t->model_state, &t->vocab, r, node);
        }
    return unknown_part(r, "model", type);
}

/* `*adders` counts the processors that add tokens: a second one is refused. */
static ilk_status read_post(ilki_tokenizer *t, const ilki_text_reader *r, ilki_json_node node, int *adders)
{
    const char *type = type_of(r, node);
    const ilki_post_row *row = NULL;
    ilk_status status = ILK_OK;
    for (size_t i = 0; type && i < COUNT(post_rows); i++)
        if (strcmp(post_rows[i]->type, type) == 0)
            row = post_rows[i];
    if (!row)
        return unknown_part(r, "post-processor", type);
    if (row->members) {
        ilki_json_node list = ilki_base_json_get(r->json, node, row->members);
        for (ilki_json_node i = ilki_base_json_first(r->json, list); i && !status; i = ilki_base_json_next(r->json, i))
            status = read_post(t, r, i, adders);
        return status;
    }
    if (!row->adds_nothing && ++*adders > 1)
        return ilki_base_fail(r->err, ILK_UNSUPPORTED, "%s: more than one post-processor that adds tokens is not built",
                              r->name);
    return row->read(&t->single, &t->pair, r, node);
}

ilk_status ilki_text_read_post(ilki_tokenizer *t, const ilki_text_reader *r, ilki_json_node node)
{
    int adders = 0;
    ilk_status status = is_null(r, node) ? ILK_OK : read_post(t, r, node, &adders);
    return status || t->single.n ? status : ilki_text_template_around(&t->single, &t->pair, -1, -1, r);
}

ilk_status ilki_text_read_parts(ilki_tokenizer *t, const ilki_text_reader *r, ilki_json_node root)
{
    const ilki_json *j = r->json;
    ilki_json_node normalizer = ilki_base_json_get(j, root, "normalizer");
    ilki_json_node splitter = ilki_base_json_get(j, root, "pre_tokenizer");
    ilk_status status = ILK_OK;
    if (!is_null(r, normalizer))
        status = read_normalizer(t, r, normalizer);
    if (!status && !is_null(r, splitter))
        status = read_splitter(t, r, splitter);
    if (!status)
        status = ilki_text_read_post(t, r, ilki_base_json_get(j, root, "post_processor"));
    return status ? status : read_model(t, r, ilki_base_json_get(j, root, "model"));
}

/* ------------------------------------------------------------------ open */

enum { MARK = 0x2581 }; /* a space, as SentencePiece writes it */

/* What the parts make of white space. */
typedef struct spaces {
    bool begin, end;   /* what Replace puts for it begins and ends in white space */
    bool marked;       /* a space becomes MARK */
    bool begin_marked; /* `begin`, or with MARK */
    bool dropped;      /* no pre-token holds any, and nothing looks across it before it is dropped */
    bool border;       /* a pre-token begins at a space behind a word, and nothing looks across before */
    bool pattern, prefix;
} spaces;

static spaces follow_spaces(const ilki_tokenizer *t)
{
    spaces s = {.begin = true, .end = true, .begin_marked = true};
    bool near = true; /* pre-tokenizers so far cut at single characters */
    for (size_t i = 0; i < t->n_normalizers; i++) {
        const ilki_normalizer *p = &t->normalizers[i];
        if (p->row != &ilki_text_replace || !(p->least || (p->n_find == 1 && p->find[0] == ' ')))
            continue;
        bool begin = p->n_put && p->put[0] == ' ', mark = p->n_put && p->put[0] == MARK;
        s.begin &= begin;
        s.begin_marked &= begin || mark;
        s.end &= p->n_put && p->put[p->n_put - 1] == ' ';
        s.marked |= mark && !p->least;
    }
    for (size_t i = 0; i < t->n_splitters; i++) {
        const ilki_splitter *p = &t->splitters[i];
        bool metaspace = p->row == &ilki_text_metaspace, pattern = p->before_space && p->next;
        s.dropped |= near && p->drops_space;
        s.border |= near && p->before_space && (pattern ? s.begin : s.begin_marked);
        s.pattern |= pattern;
        s.prefix |= p->prefix;
        s.marked |= metaspace && p->mark == MARK;
        near &= !metaspace && !p->next && !p->regex && p->row != &ilki_text_byte_level;
    }
    return s;
}

/* What the parts allow: where a text may be cut, and whether the ASCII lane stands for them. */
static void derive_cuts(ilki_tokenizer *t)
{
    bool local = true, quiet = true;
    spaces s = follow_spaces(t);
    for (size_t i = 0; i < t->n_normalizers; i++)
        local &= t->normalizers[i].local;
    for (size_t i = 0; i < t->n_added; i++)
        quiet &= !t->added[i].normalized || !t->added[i].rstrip;
    t->cut_space = local && s.dropped && s.end && !t->normalized.has_space;
    t->cut_by_model = !s.border && s.marked && s.begin_marked && t->model->ends_before_space != NULL;
    t->cut_before = local && quiet && !t->normalized.has_space && !t->cut_space && (s.border || t->cut_by_model);
    t->cut_line = t->cut_before && s.border && s.pattern && !s.prefix;
    t->cut_end = !t->raw.has_space;
    for (size_t i = 0; i < t->n_added; i++)
        t->cut_end &= t->added[i].normalized || !t->added[i].rstrip;
    for (size_t i = 0; i < t->n_normalizers; i++)
        t->cut_end &= t->normalizers[i].row != &ilki_text_prepend && t->normalizers[i].row != &ilki_text_canonical;
    t->ascii_lane = t->n_normalizers == 1 && t->normalizers[0].row == &ilki_text_bert_normalizer &&
                    t->n_splitters == 1 && t->splitters[0].row == &ilki_text_bert_splitter && t->model->encode_ascii &&
                    t->normalized.n == 0;
    t->ascii_lower = t->ascii_lane && t->normalizers[0].lower;
    t->lane_chinese = t->ascii_lane && t->normalizers[0].chinese;
}

static ilk_status derive(ilki_tokenizer *t, ilk_error *err)
{
    ilki_text_tokens one = {0};
    ilk_status status = ILK_OK;
    derive_cuts(t);
    for (uint32_t c = 0; t->ascii_lane && c < 128; c++) {
        ilki_text_char ch = {c, {0, 1}};
        one.n = 0;
        if (!t->model->encode(t->model_state, &t->vocab, NULL, &ch, 1, &one)) {
            status = ilki_base_fail_memory(err, sizeof one, "a token");
            break;
        }
        t->ascii_punct[c] = one.ids[0]; /* WordPiece gives one token for one character */
    }
    free(one.ids);
    free(one.spans);
    if (status)
        return status;
    t->is_special = ilki_base_zalloc(t->vocab.n, 1);
    if (!t->is_special)
        return ilki_base_fail_memory(err, t->vocab.n, "a tokenizer");
    for (size_t i = 0; i < t->n_added; i++)
        t->is_special[t->added[i].id] |= t->added[i].special;
    for (int i = 0; i < ILKI_SPECIAL_COUNT; i++)
        if (t->special[i] >= 0)
            t->is_special[t->special[i]] = 1;
    return ILK_OK;
}

ilk_status ilki_text_tokenizer_open(ilki_tokenizer **out, const ilki_tokenizer_files *files, ilk_error *err)
{
    *out = NULL;
    ilki_tokenizer *t = ilki_base_zalloc(1, sizeof *t);
    if (!t)
        return ilki_base_fail_memory(err, sizeof *t, "a tokenizer");
    ilk_status status = ILK_OK;
    ilki_text_vocab_init(&t->vocab);
    for (int i = 0; i < ILKI_SPECIAL_COUNT; i++)
        t->special[i] = -1;
    t->normalizers = ilki_base_arena_alloc(&t->arena, MAX_PARTS, sizeof *t->normalizers);
    t->splitters = ilki_base_arena_alloc(&t->arena, MAX_PARTS, sizeof *t->splitters);
    if (!t->normalizers || !t->splitters)
        status = ilki_base_fail_memory(err, MAX_PARTS * sizeof *t->normalizers, "a tokenizer");
    if (!status)
        status = ilki_text_read_checkpoint(t, files, err);
    if (!status)
        status = ilki_text_added_build(t, err);
    if (!status)
        status = derive(t, err);
    if (status)
        ilki_text_tokenizer_free(t);
    else
        *out = t;
    return status;
}

void ilki_text_set_cleaning(ilki_tokenizer *t, ilki_text_cleaning how)
{
    t->cleaning = how;
}

void ilki_text_tokenizer_free(ilki_tokenizer *t)
{
    if (!t)
        return;
    ilki_text_trie_deinit(&t->raw.trie);
    ilki_text_trie_deinit(&t->normalized.trie);
    ilki_base_map_deinit(&t->added_by_content);
    ilki_text_vocab_deinit(&t->vocab);
    for (size_t i = 0; i < t->n_splitters; i++)
        ilki_text_regex_free(t->splitters[i].regex);
    for (size_t i = 0; i < t->n_normalizers; i++)
        ilki_text_regex_free(t->normalizers[i].regex);
    ilki_base_arena_deinit(&t->arena);
    free(t->added);
    free(t->is_special);
    free(t);
}

/* ------------------------------------------------------------------ what it holds */

size_t ilki_text_vocab_size(const ilki_tokenizer *t)
{
    return t->vocab.n;
}

const char *ilki_text_token(const ilki_tokenizer *t, int32_t id, size_t *n)
{
    bool known = id >= 0 && (size_t)id < t->vocab.n;
    if (n)
        *n = known ? t->vocab.lengths[id] : 0;
    return known ? t->vocab.strings[id] : NULL;
}

int32_t ilki_text_token_id(const ilki_tokenizer *t, const char *token, size_t n)
{
    uint32_t i = ilki_base_map_get(&t->added_by_content, token, n);
    return i != ILKI_MAP_NONE ? t->added[i].id : ilki_text_vocab_get(&t->vocab, token, n);
}

int32_t ilki_text_special_id(const ilki_tokenizer *t, ilki_special which)
{
    return (unsigned)which < ILKI_SPECIAL_COUNT ? t->special[which] : -1;
}

bool ilki_text_is_special(const ilki_tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->vocab.n && t->is_special[id];
}

size_t ilki_text_n_added(const ilki_tokenizer *t, bool pair)
{
    return pair ? t->pair.n_added : t->single.n_added;
}

size_t ilki_text_max_length(const ilki_tokenizer *t)
{
    return t->max_length;
}
