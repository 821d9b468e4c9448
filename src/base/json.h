/* SPDX-License-Identifier: Apache-2.0
 * JSON (RFC 8259). The reader builds a flat array of nodes without recursion, under limits on depth, bytes and nodes;
 * it takes UTF-8 only, no comments, no trailing commas, no NaN. The writer appends to an ilki_buf. */
#ifndef ILKI_BASE_JSON_H
#define ILKI_BASE_JSON_H

#include "base/buf.h"

typedef enum ilki_json_type {
    ILKI_JSON_NONE = 0, /* what an accessor gives for something absent: every accessor takes it too */
    ILKI_JSON_NULL,
    ILKI_JSON_FALSE,
    ILKI_JSON_TRUE,
    ILKI_JSON_NUMBER,
    ILKI_JSON_STRING,
    ILKI_JSON_ARRAY,
    ILKI_JSON_OBJECT
} ilki_json_type;

typedef struct ilki_json_limits {
    size_t max_bytes;   /* of the text; 0: 256 MiB */
    size_t max_nodes;   /* 0: 16 million */
    unsigned max_depth; /* 0: 64; at most 1024 */
    bool unique_keys;   /* a repeated key is an error; otherwise the last one wins, as in Python */
} ilki_json_limits;

typedef struct ilki_json ilki_json;

/* Nodes are indices; 0 is "absent" (type NONE), the root is ilki_base_json_root. */
typedef uint32_t ilki_json_node;

/* Parses n bytes. `name` stands in messages ("config.json: byte 17: expected ',' or '}', found 'x'"). The text is
 * copied where needed; it may be freed after. Errors: BAD_FORMAT, LIMIT, NO_MEMORY. */
ilk_status ilki_base_json_parse(ilki_json **out, const char *text, size_t n, const char *name,
                                const ilki_json_limits *limits, ilk_error *err);
void ilki_base_json_free(ilki_json *j);

ilki_json_node ilki_base_json_root(const ilki_json *j);
ilki_json_type ilki_base_json_type(const ilki_json *j, ilki_json_node node);
size_t ilki_base_json_count(const ilki_json *j, ilki_json_node node);         /* members or elements; 0 for others */
ilki_json_node ilki_base_json_first(const ilki_json *j, ilki_json_node node); /* first child, 0 if none */
ilki_json_node ilki_base_json_next(const ilki_json *j, ilki_json_node node);  /* next sibling, 0 at the end */
/* the key of a member; NULL for what is not one */
const char *ilki_base_json_key(const ilki_json *j, ilki_json_node node, size_t *len);
/* member by name (a scan), 0 if absent or not an object */
ilki_json_node ilki_base_json_get(const ilki_json *j, ilki_json_node object, const char *key);
ilki_json_node ilki_base_json_at(const ilki_json *j, ilki_json_node array, size_t i); /* a scan */

/* Values. A string is NUL-terminated and may hold NULs before its length; NULL for what is not a string. */
const char *ilki_base_json_string(const ilki_json *j, ilki_json_node node, size_t *len);
bool ilki_base_json_bool(const ilki_json *j, ilki_json_node node, bool otherwise);
double ilki_base_json_double(const ilki_json *j, ilki_json_node node, double otherwise);
/* True when the number is an integer (1, 1.0, 1e3) within [min, max]. */
bool ilki_base_json_int(const ilki_json *j, ilki_json_node node, int64_t min, int64_t max, int64_t *out);

/* ---- writer: commas and colons are put by themselves. Misuse (a second value outside, a value without its key, the
 * wrong bracket, more than 63 levels) and numbers that are not finite set the buffer's failure: ilki_base_buf_check gives
 * BAD_ARGUMENT or NOT_FINITE. */
typedef struct ilki_jsonw {
    ilki_buf *out;
    unsigned depth;
    uint64_t has;    /* a bit per level: something was written there */
    uint64_t object; /* a bit per level: it is an object */
    bool key;        /* a key was just written */
} ilki_jsonw;

void ilki_base_jsonw_init(ilki_jsonw *w, ilki_buf *out);
void ilki_base_jsonw_open(ilki_jsonw *w, char bracket);  /* '{' or '[' */
void ilki_base_jsonw_close(ilki_jsonw *w, char bracket); /* '}' or ']' */
void ilki_base_jsonw_key(ilki_jsonw *w, const char *key);
/* invalid UTF-8 becomes U+FFFD; control characters and U+2028/9 are escaped */
void ilki_base_jsonw_string(ilki_jsonw *w, const char *s, size_t n);
void ilki_base_jsonw_cstring(ilki_jsonw *w, const char *s); /* NULL gives null */
void ilki_base_jsonw_int(ilki_jsonw *w, int64_t v);
void ilki_base_jsonw_uint(ilki_jsonw *w, uint64_t v);
void ilki_base_jsonw_double(ilki_jsonw *w, double v); /* shortest form that reads back as the same double */
void ilki_base_jsonw_float(ilki_jsonw *w, float v);   /* shortest form that reads back as the same float */
void ilki_base_jsonw_bool(ilki_jsonw *w, bool v);
void ilki_base_jsonw_null(ilki_jsonw *w);

#endif
