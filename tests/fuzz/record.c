/* SPDX-License-Identifier: Apache-2.0
 * Bodies of records from bytes that nobody checked: the first byte chooses the type, the rest is the body. What is taken
 * for valid is walked to the end and must encode to a body that is valid again. */
#include "store/record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void walk_item(const uint8_t *body, size_t n)
{
    ilki_item_body item;
    size_t sum = 0;
    if (!ilki_store_get_item(body, n, &item))
        return;
    for (uint32_t i = 0; i < item.n_fields; i++) {
        ilk_field f;
        ilki_store_next_field(&item.fields, &f);
        for (size_t k = 0; f.value.text && k <= f.value.n_bytes; k++)
            sum += (unsigned char)f.value.text[k];
        sum += (unsigned char)f.name[0];
    }
    ilki_vector_entry e = {0};
    for (uint32_t i = 0; i < item.n_vectors; i++)
        ilki_store_next_vector(&item.vectors, &e);
    if (item.fields.bad || item.vectors.bad || item.id[item.id_bytes] != 0 || sum == SIZE_MAX)
        abort();
    ilki_record_head h = {.type = ILKI_RECORD_ITEM, .body_bytes = (uint32_t)n, .data_bytes = 0};
    if (item.n_vectors && e.bytes && !ilki_store_data_check(&h, body, body))
        abort();
}

static void again(void (*put)(ilki_encoder *e, const void *x), const void *x, ilki_record_type type)
{
    ilki_buf b;
    ilki_record_head h;
    ilki_base_buf_init(&b, 1 << 24);
    ilki_encoder e = {.buf = &b, .batch = 1, .lsn = 1, .n_left = 1};
    put(&e, x);
    const unsigned char *p = (const unsigned char *)b.data;
    if (b.failed || !ilki_store_head_get(p, 0, &h) || h.type != type || ilki_store_body_check(&h, p + ILKI_HEAD_BYTES))
        abort();
    ilki_base_buf_deinit(&b);
}

static void put_space(ilki_encoder *e, const void *x)
{
    ilki_store_put_space(e, x, 1);
}

static void put_source(ilki_encoder *e, const void *x)
{
    ilki_store_put_source(e, x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    const uint8_t *body = data + 1;
    const char *name, *value;
    size_t len;
    ilk_space space;
    ilki_source source;
    uint32_t id;
    n--;
    switch (data[0] % 6) {
    case 0:
        if (n >= ILKI_HEAD_BYTES) {
            ilki_record_head h;
            ilki_store_head_get(body, data[0], &h);
        }
        break;
    case ILKI_RECORD_ITEM:
        walk_item(body, n);
        break;
    case ILKI_RECORD_DELETE:
        if (ilki_store_get_key(body, n, &name, &len) && name[len] != 0)
            abort();
        break;
    case ILKI_RECORD_SPACE:
        if (ilki_store_get_space(body, n, &space, &id))
            again(put_space, &space, ILKI_RECORD_SPACE);
        break;
    case ILKI_RECORD_META:
        ilki_store_get_meta(body, n, &name, &value);
        break;
    default:
        if (ilki_store_get_source(body, n, &source))
            again(put_source, &source, ILKI_RECORD_SOURCE);
    }
    return 0;
}

#include "fuzz_main.h"
