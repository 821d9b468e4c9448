/* SPDX-License-Identifier: Apache-2.0
 * JSON reader and writer: whatever is accepted is a tree that holds together, and written out it reads back as the same
 * text again. */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "must.h"

enum { DEPTH = 60 };

static void write_scalar(const ilki_json *j, ilki_json_node i, ilki_jsonw *w)
{
    int64_t v;
    size_t len;
    const char *s = ilki_base_json_string(j, i, &len);
    double d = ilki_base_json_double(j, i, (double)NAN);
    switch (ilki_base_json_type(j, i)) {
    case ILKI_JSON_STRING:
        MUST(s && s[len] == '\0' && ilki_base_utf8_valid(s, len));
        ilki_base_jsonw_string(w, s, len);
        break;
    case ILKI_JSON_NUMBER:
        MUST(isfinite(d));
        if (ilki_base_json_int(j, i, INT64_MIN, INT64_MAX, &v))
            MUST((double)v == d);
        ilki_base_jsonw_double(w, d);
        break;
    case ILKI_JSON_TRUE:
    case ILKI_JSON_FALSE:
        ilki_base_jsonw_bool(w, ilki_base_json_bool(j, i, false));
        break;
    default:
        MUST(ilki_base_json_type(j, i) == ILKI_JSON_NULL);
        ilki_base_jsonw_null(w);
    }
}

/* Keys with a NUL inside cannot be written; they are told apart no further than to it. */
static void write_tree(const ilki_json *j, ilki_buf *out)
{
    ilki_json_node stack[DEPTH + 1], i = ilki_base_json_root(j);
    char close[DEPTH + 1];
    size_t seen[DEPTH + 1] = {0};
    int depth = 0;
    ilki_jsonw w;
    ilki_base_jsonw_init(&w, out);
    for (;;) {
        ilki_json_type type = ilki_base_json_type(j, i);
        const char *key = ilki_base_json_key(j, i, NULL);
        if (key)
            ilki_base_jsonw_key(&w, key);
        if (type == ILKI_JSON_OBJECT || type == ILKI_JSON_ARRAY) {
            MUST(depth < DEPTH);
            ilki_base_jsonw_open(&w, type == ILKI_JSON_OBJECT ? '{' : '[');
            close[depth] = type == ILKI_JSON_OBJECT ? '}' : ']';
            seen[depth] = 0;
            stack[depth++] = i;
            i = ilki_base_json_first(j, i);
        } else {
            write_scalar(j, i, &w);
            i = ilki_base_json_next(j, i);
        }
        if (depth > 0 && i)
            seen[depth - 1]++;
        while (depth > 0 && !i) {
            depth--;
            MUST(seen[depth] == ilki_base_json_count(j, stack[depth]));
            ilki_base_jsonw_close(&w, close[depth]);
            i = ilki_base_json_next(j, stack[depth]);
            if (depth > 0 && i)
                seen[depth - 1]++;
        }
        if (depth == 0)
            break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    ilki_json_limits limits = {.max_depth = DEPTH, .max_nodes = 100000, .unique_keys = n % 2};
    ilki_json *j, *again;
    ilki_buf first, second;
    ilk_error err;
    ilk_error_init(&err);
    if (ilki_base_json_parse(&j, (const char *)data, n, "fuzz", &limits, &err)) {
        MUST(!j && err.message[0] && strlen(err.message) < sizeof err.message);
        return 0;
    }
    limits.unique_keys = false;
    ilki_base_buf_init(&first, 64 << 20);
    ilki_base_buf_init(&second, 64 << 20);
    write_tree(j, &first);
    MUST(ilki_base_buf_check(&first, "first", &err) == ILK_OK);
    MUST(ilki_base_json_parse(&again, first.data, first.len, "again", &limits, &err) == ILK_OK);
    write_tree(again, &second);
    MUST(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    ilki_base_json_free(j);
    ilki_base_json_free(again);
    ilki_base_buf_deinit(&first);
    ilki_base_buf_deinit(&second);
    return 0;
}

#include "fuzz_main.h"
