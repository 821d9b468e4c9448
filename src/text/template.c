/* SPDX-License-Identifier: Apache-2.0
 * The post-processors: each is read into two templates, for one text and for a pair. Follows tokenizers 0.23,
 * `processors/`. */
#include <string.h>

#include "text/part.h"

enum { MAX_ITEMS = 4096 };

static ilk_status allot(ilki_template *t, size_t n, const ilki_text_reader *r)
{
    t->n = t->n_added = 0;
    t->items = ilki_base_arena_alloc(r->arena, n, sizeof *t->items);
    return t->items ? ILK_OK : ilki_base_fail_memory(r->err, n * sizeof *t->items, "a template");
}

static void put_text(ilki_template *t, int from, int32_t type)
{
    t->items[t->n++] = (ilki_template_item){.from = (uint8_t)from, .type = type};
}

static void put_token(ilki_template *t, int32_t id, int32_t type)
{
    t->items[t->n++] = (ilki_template_item){.from = ILKI_FROM_TEMPLATE, .id = id, .type = type};
    t->n_added++;
}

ilk_status ilki_text_template_bert(ilki_template *single, ilki_template *pair, int32_t cls, int32_t sep,
                                   const ilki_text_reader *r)
{
    ilk_status status = allot(single, 3, r);
    if (!status)
        status = allot(pair, 5, r);
    if (status)
        return status;
    put_token(single, cls, 0);
    put_text(single, ILKI_FROM_TEXT, 0);
    put_token(single, sep, 0);
    put_token(pair, cls, 0);
    put_text(pair, ILKI_FROM_TEXT, 0);
    put_token(pair, sep, 0);
    put_text(pair, ILKI_FROM_PAIR, 1);
    put_token(pair, sep, 1);
    return ILK_OK;
}

ilk_status ilki_text_template_around(ilki_template *single, ilki_template *pair, int32_t before, int32_t behind,
                                     const ilki_text_reader *r)
{
    ilk_status status = allot(single, 3, r);
    if (!status)
        status = allot(pair, 6, r);
    if (status)
        return status;
    for (int k = 0; k < 3; k++) { /* the single text, then both of a pair */
        ilki_template *t = k ? pair : single;
        if (before >= 0)
            put_token(t, before, k == 2);
        put_text(t, k == 2 ? ILKI_FROM_PAIR : ILKI_FROM_TEXT, k == 2);
        if (behind >= 0)
            put_token(t, behind, k == 2);
    }
    return ILK_OK;
}

ilk_status ilki_text_template_roberta(ilki_template *single, ilki_template *pair, int32_t cls, int32_t sep,
                                      const ilki_text_reader *r)
{
    ilk_status status = allot(single, 3, r);
    if (!status)
        status = allot(pair, 6, r);
    if (status)
        return status;
    for (int k = 0; k < 2; k++) {
        ilki_template *t = k ? pair : single;
        put_token(t, cls, 0);
        put_text(t, ILKI_FROM_TEXT, 0);
        put_token(t, sep, 0);
    }
    put_token(pair, sep, 0);
    put_text(pair, ILKI_FROM_PAIR, 0);
    put_token(pair, sep, 0);
    return ILK_OK;
}

ilk_status ilki_text_template_xlnet(ilki_template *single, ilki_template *pair, int32_t sep, int32_t cls,
                                    const ilki_text_reader *r)
{
    ilk_status status = allot(single, 3, r);
    if (!status)
        status = allot(pair, 5, r);
    if (status)
        return status;
    for (int k = 0; k < 2; k++) {
        ilki_template *t = k ? pair : single;
        put_text(t, ILKI_FROM_TEXT, 0);
        put_token(t, sep, 0);
    }
    put_text(pair, ILKI_FROM_PAIR, 1);
    put_token(pair, sep, 1);
    put_token(single, cls, 2);
    put_token(pair, cls, 2);
    return ILK_OK;
}

/* ------------------------------------------------------------------ BertProcessing */

/* [token, id] */
static ilk_status read_token(const ilki_text_reader *r, ilki_json_node node, const char *key, int32_t *id)
{
    ilki_json_node list = ilki_base_json_get(r->json, node, key);
    int64_t v;
    if (!ilki_base_json_int(r->json, ilki_base_json_at(r->json, list, 1), 0, ILKI_TEXT_MAX_ID, &v))
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: post_processor.%s: expected [token, id]", r->name, key);
    *id = (int32_t)v;
    return ILK_OK;
}

static ilk_status bert_read(ilki_template *single, ilki_template *pair, const ilki_text_reader *r, ilki_json_node node)
{
    int32_t cls, sep;
    ilk_status status = read_token(r, node, "cls", &cls);
    if (!status)
        status = read_token(r, node, "sep", &sep);
    return status ? status : ilki_text_template_bert(single, pair, cls, sep, r);
}

const ilki_post_row ilki_text_bert_processing = {.type = "BertProcessing", .read = bert_read};

/* ------------------------------------------------------------------ RobertaProcessing, ByteLevel */

static ilk_status read_trim(ilki_template *single, ilki_template *pair, const ilki_text_reader *r, ilki_json_node node)
{
    bool trim, prefix;
    ilk_status status = ilki_text_read_bool(r, node, "trim_offsets", true, &trim);
    if (!status)
        status = ilki_text_read_bool(r, node, "add_prefix_space", true, &prefix);
    if (!status && trim) {
        single->trim = pair->trim = true;
        single->trim_prefix = pair->trim_prefix = prefix;
    }
    return status;
}

static ilk_status roberta_read(ilki_template *single, ilki_template *pair, const ilki_text_reader *r,
                               ilki_json_node node)
{
    int32_t cls, sep;
    ilk_status status = read_token(r, node, "cls", &cls);
    if (!status)
        status = read_token(r, node, "sep", &sep);
    if (!status)
        status = read_trim(single, pair, r, node);
    return status ? status : ilki_text_template_roberta(single, pair, cls, sep, r);
}
const ilki_post_row ilki_text_roberta_processing = {.type = "RobertaProcessing", .read = roberta_read};

static ilk_status byte_level_read(ilki_template *single, ilki_template *pair, const ilki_text_reader *r,
                                  ilki_json_node node)
{
    ilk_status status = read_trim(single, pair, r, node);
    return status || single->n ? status : ilki_text_template_around(single, pair, -1, -1, r);
}
const ilki_post_row ilki_text_byte_level_processing = {
    .type = "ByteLevel", .adds_nothing = true, .read = byte_level_read};

const ilki_post_row ilki_text_post_sequence = {.type = "Sequence", .members = "processors"};

/* ------------------------------------------------------------------ TemplateProcessing */

/* The ids of a special token of the template, put under `type`; counts only where t->items is NULL. */
static ilk_status read_special(ilki_template *t, const ilki_text_reader *r, ilki_json_node specials, const char *name,
                               int32_t type, size_t *n)
{
    const ilki_json *j = r->json;
    ilki_json_node ids = ilki_base_json_get(j, ilki_base_json_get(j, specials, name), "ids");
    if (ilki_base_json_type(j, ids) != ILKI_JSON_ARRAY)
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: post_processor.special_tokens has no ids for \"%s\"",
                              r->name, name);
    for (ilki_json_node i = ilki_base_json_first(j, ids); i; i = ilki_base_json_next(j, i)) {
        int64_t id;
        if (!ilki_base_json_int(j, i, 0, ILKI_TEXT_MAX_ID, &id))
            return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: post_processor.special_tokens: an id of \"%s\" is no id",
                                  r->name, name);
        if (t->items)
            put_token(t, (int32_t)id, type);
        (*n)++;
    }
    return ILK_OK;
}

/* One pass over "single" or "pair": counts what it holds while t->items is NULL, else puts it. */
static ilk_status read_items(ilki_template *t, const ilki_text_reader *r, ilki_json_node node, const char *key,
                             size_t *n)
{
    const ilki_json *j = r->json;
    ilki_json_node list = ilki_base_json_get(j, node, key), specials = ilki_base_json_get(j, node, "special_tokens");
    if (ilki_base_json_type(j, list) != ILKI_JSON_ARRAY)
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: post_processor.%s: expected a list", r->name, key);
    for (ilki_json_node i = ilki_base_json_first(j, list); i; i = ilki_base_json_next(j, i)) {
        ilki_json_node text = ilki_base_json_get(j, i, "Sequence"), token = ilki_base_json_get(j, i, "SpecialToken");
        ilki_json_node item = text ? text : token;
        const char *name = ilki_base_json_string(j, ilki_base_json_get(j, item, "id"), NULL);
        int64_t type;
        if (!name || !ilki_base_json_int(j, ilki_base_json_get(j, item, "type_id"), 0, INT32_MAX, &type))
            return ilki_base_fail(r->err, ILK_BAD_FORMAT,
                                  "%s: post_processor.%s: expected Sequence or SpecialToken with id and type_id",
                                  r->name, key);
        if (token && !text) {
            ilk_status status = read_special(t, r, specials, name, (int32_t)type, n);
            if (status)
                return status;
        } else if (strcmp(name, "A") != 0 && strcmp(name, "B") != 0) {
            return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: post_processor.%s: a Sequence is A or B, found \"%s\"",
                                  r->name, key, name);
        } else {
            if (t->items)
                put_text(t, name[0] == 'A' ? ILKI_FROM_TEXT : ILKI_FROM_PAIR, (int32_t)type);
            (*n)++;
        }
        if (*n > MAX_ITEMS)
            return ilki_base_fail(r->err, ILK_LIMIT, "%s: post_processor.%s: more than %d parts", r->name, key,
                                  MAX_ITEMS);
    }
    return ILK_OK;
}

static ilk_status read_template(ilki_template *t, const ilki_text_reader *r, ilki_json_node node, const char *key)
{
    size_t n = 0;
    *t = (ilki_template){.trim = t->trim, .trim_prefix = t->trim_prefix};
    ilk_status status = read_items(t, r, node, key, &n);
    if (!status)
        status = allot(t, n, r);
    n = 0;
    return status ? status : read_items(t, r, node, key, &n);
}

static ilk_status template_read(ilki_template *single, ilki_template *pair, const ilki_text_reader *r,
                                ilki_json_node node)
{
    ilk_status status = read_template(single, r, node, "single");
    if (!status)
        status = read_template(pair, r, node, "pair");
    if (status)
        return status;
    bool a = false, b = false;
    for (size_t i = 0; i < single->n; i++)
        if (single->items[i].from == ILKI_FROM_PAIR)
            return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: post_processor.single holds a second text", r->name);
    for (size_t i = 0; i < pair->n; i++) {
        a |= pair->items[i].from == ILKI_FROM_TEXT;
        b |= pair->items[i].from == ILKI_FROM_PAIR;
    }
    if (!a || !b)
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: post_processor.pair does not hold both texts", r->name);
    return ILK_OK;
}

const ilki_post_row ilki_text_template_processing = {.type = "TemplateProcessing", .read = template_read};
