/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record.h"

#include "store_test.h"

typedef struct bytes {
    ilki_buf buf;
    ilki_encoder e;
} bytes;

static void begin(bytes *b, size_t n)
{
    ilki_base_buf_init(&b->buf, 1 << 20);
    b->e = (ilki_encoder){.buf = &b->buf, .salt = 77, .batch = 5, .lsn = 5, .durable = 3, .n_left = n};
}

/* The only record in b, checked. */
static const unsigned char *body_of(bytes *b, ilki_record_head *h)
{
    const unsigned char *p = (const unsigned char *)b->buf.data;
    if (!CHECK(ilki_store_head_get(p, 77, h)))
        return NULL;
    CHECK_INT(ilki_store_head_total(h), b->buf.len);
    CHECK_INT(b->buf.len % 8, 0);
    CHECK_STR(ilki_store_body_check(h, p + ILKI_HEAD_BYTES), NULL);
    CHECK_STR(ilki_store_data_check(h, p + ILKI_HEAD_BYTES, p + ILKI_HEAD_BYTES + ilki_pad8(h->body_bytes)), NULL);
    return p + ILKI_HEAD_BYTES;
}

static void item_round_trip(void)
{
    static const float dense[3] = {1, -2, 0.5F}, multi[6] = {1, 2, 3, 4, 5, 6}, weights[2] = {0.25F, 9};
    static const uint32_t indices[2] = {3, 70000};
    ilk_vector v[3] = {{sizeof v[0], "d", dense, NULL, 1, 3},
                       {sizeof v[0], "m", multi, NULL, 2, 3},
                       {sizeof v[0], "s", weights, indices, 1, 2}};
    ilki_space_ref refs[3] = {{1, ILK_DENSE}, {2, ILK_MULTI}, {9, ILK_SPARSE}};
    ilk_field f[7];
    memset(f, 0, sizeof f);
    static const char *const names[7] = {"null", "bool", "int", "real", "text", "raw", "time"};
    for (int i = 0; i < 7; i++)
        f[i] = (ilk_field){
            .size = sizeof f[0], .name = names[i], .value = {.size = sizeof(ilk_value), .type = (ilk_value_type)i}};
    f[1].value.i = 7;
    f[2].value.i = INT64_MIN;
    f[3].value.d = -1e300;
    f[4].value.text = "Gr\xc3\xbc\xc3\x9f";
    f[4].value.n_bytes = 6;
    f[5].value.text = "\0\xff";
    f[5].value.n_bytes = 2;
    f[6].value.i = -5;
    ilk_item item = {
        .size = sizeof item, .id = "a#1", .parent = "a", .fields = f, .n_fields = 7, .vectors = v, .n_vectors = 3};
    item.segment = (ilk_segment){sizeof(ilk_segment), 0.5, 1.5, 2, 0, 10, 12, {0.1F, 0.2F, 0.3F, 0.4F}};
    item.content_hash[31] = 1;
    bytes b;
    begin(&b, 1);
    ilki_store_put_item(&b.e, &item, refs);
    CHECK(ilki_store_item_bytes(&item) >= b.buf.len);
    ilki_record_head h;
    const unsigned char *body = body_of(&b, &h);
    REQUIRE(body != NULL);
    CHECK_INT(h.type, ILKI_RECORD_ITEM);
    CHECK_INT(h.flags, ILKI_RECORD_FIRST | ILKI_RECORD_LAST);
    CHECK(h.lsn == 5 && h.batch == 5 && h.durable == 3);
    ilki_item_body got;
    REQUIRE(CHECK(ilki_store_get_item(body, h.body_bytes, &got)));
    CHECK_STR(got.id, "a#1");
    CHECK_STR(got.parent, "a");
    CHECK_MEM(&got.segment, &item.segment, sizeof got.segment);
    CHECK_MEM(got.content_hash, item.content_hash, 32);
    for (uint32_t i = 0; i < 7; i++) {
        ilk_field g;
        ilki_store_next_field(&got.fields, &g);
        CHECK_STR(g.name, names[i]);
        CHECK_INT(g.value.type, i);
        CHECK_INT(g.value.i, i == 1 ? 1 : f[i].value.i);
        CHECK(g.value.d == f[i].value.d && g.value.n_bytes == f[i].value.n_bytes);
        CHECK_MEM(g.value.text, f[i].value.text, f[i].value.n_bytes);
    }
    ilki_vector_entry e = {0};
    const unsigned char *data = body + ilki_pad8(h.body_bytes);
    float x[6];
    uint32_t ix[2];
    ilki_store_next_vector(&got.vectors, &e);
    ilki_store_get_f32(x, data + e.at, 3);
    CHECK(e.space == 1 && e.kind == ILK_DENSE && e.rows == 1 && e.dim == 3);
    CHECK_MEM(x, dense, sizeof dense);
    ilki_store_next_vector(&got.vectors, &e);
    ilki_store_get_f32(x, data + e.at, 6);
    CHECK(e.space == 2 && e.kind == ILK_MULTI && e.rows == 2 && e.at == 16);
    CHECK_MEM(x, multi, sizeof multi);
    ilki_store_next_vector(&got.vectors, &e);
    ilki_store_get_u32(ix, data + e.at, 2);
    ilki_store_get_f32(x, data + e.at + 8, 2);
    CHECK(e.space == 9 && e.kind == ILK_SPARSE && e.dim == 2);
    CHECK_MEM(ix, indices, sizeof indices);
    CHECK_MEM(x, weights, sizeof weights);
    ilki_base_buf_deinit(&b.buf);
}

static void empty_item(void)
{
    ilk_item item = {.size = sizeof item, .id = "x"};
    item.segment = st_no_segment();
    bytes b;
    begin(&b, 1);
    ilki_store_put_item(&b.e, &item, NULL);
    ilki_record_head h;
    const unsigned char *body = body_of(&b, &h);
    ilki_item_body got;
    REQUIRE(body && CHECK(ilki_store_get_item(body, h.body_bytes, &got)));
    CHECK_STR(got.parent, NULL);
    CHECK(got.content_hash == NULL && got.n_fields == 0 && got.n_vectors == 0);
    CHECK(isnan(got.segment.t0) && isnan(got.segment.bbox[3]) && got.segment.page == ILK_ABSENT);
    ilki_base_buf_deinit(&b.buf);
}

static void others_round_trip(void)
{
    ilki_record_head h;
    bytes b;
    ilk_space sp = st_space("body", ILK_SPARSE, 30522), got;
    sp.fingerprint = "ff";
    sp.prompt[1] = "passage: ";
    sp.normalized = 1;
    uint32_t id;
    begin(&b, 1);
    ilki_store_put_space(&b.e, &sp, 3);
    const unsigned char *body = body_of(&b, &h);
    REQUIRE(body && CHECK(ilki_store_get_space(body, h.body_bytes, &got, &id)));
    CHECK(id == 3 && got.kind == ILK_SPARSE && got.dim == 30522 && got.layer == -1 && got.normalized == 1);
    CHECK_STR(got.name, "body");
    CHECK_STR(got.fingerprint, "ff");
    CHECK_STR(got.prompt[0], NULL);
    CHECK_STR(got.prompt[1], "passage: ");
    CHECK_STR(got.projection[1], NULL);
    ilki_base_buf_deinit(&b.buf);

    const char *name, *value;
    for (int with = 0; with < 2; with++) {
        begin(&b, 1);
        ilki_store_put_meta(&b.e, "root", with ? "" : NULL);
        body = body_of(&b, &h);
        REQUIRE(body && CHECK(ilki_store_get_meta(body, h.body_bytes, &name, &value)));
        CHECK_STR(name, "root");
        CHECK_STR(value, with ? "" : NULL);
        ilki_base_buf_deinit(&b.buf);
    }

    ilki_source src = {
        .id = "f1", .path = "a/\xff\xfe", .root = "", .dev = 1, .ino = UINT64_MAX, .n_bytes = 3, .mtime_ns = -1};
    src.state = ILKI_SOURCE_SKIPPED;
    src.reason = "binary";
    src.n_items = 4;
    src.content_hash[0] = 9;
    src.settings_hash[31] = 8;
    ilki_source back;
    begin(&b, 1);
    ilki_store_put_source(&b.e, &src);
    body = body_of(&b, &h);
    REQUIRE(body && CHECK(ilki_store_get_source(body, h.body_bytes, &back)));
    CHECK_STR(back.path, src.path);
    CHECK_STR(back.root, "");
    CHECK_STR(back.reason, "binary");
    CHECK(back.ino == UINT64_MAX && back.mtime_ns == -1 && back.n_items == 4 && back.state == ILKI_SOURCE_SKIPPED);
    CHECK_MEM(back.content_hash, src.content_hash, 32);
    CHECK_MEM(back.settings_hash, src.settings_hash, 32);
    ilki_base_buf_deinit(&b.buf);

    size_t len;
    begin(&b, 1);
    ilki_store_put_delete(&b.e, "gone", 4);
    body = body_of(&b, &h);
    REQUIRE(body && CHECK(ilki_store_get_key(body, h.body_bytes, &name, &len)));
    CHECK_STR(name, "gone");
    CHECK_INT(len, 4);
    ilki_base_buf_deinit(&b.buf);
}

static void flags_frame_a_batch(void)
{
    bytes b;
    begin(&b, 3);
    for (int i = 0; i < 3; i++)
        ilki_store_put_delete(&b.e, "x", 1);
    const unsigned char *p = (const unsigned char *)b.buf.data;
    for (int i = 0; i < 3; i++) {
        ilki_record_head h;
        REQUIRE(CHECK(ilki_store_head_get(p, 77, &h)));
        CHECK_INT(h.flags, i == 0 ? ILKI_RECORD_FIRST : i == 2 ? ILKI_RECORD_LAST : 0);
        CHECK_INT(h.lsn, 5 + i);
        CHECK_INT(h.batch, 5);
        p += ilki_store_head_total(&h);
    }
    ilki_base_buf_deinit(&b.buf);
}

/* Valid record with every byte changed, at its true place: nothing wrong is taken for right. */
/* A body that is not what its head says, and types that came later: refused, or passed over where that does no harm. */
static void bodies_of_other_types(void)
{
    bytes b;
    ilki_record_head h;
    begin(&b, 1);
    ilki_store_put_delete(&b.e, "an id", 5);
    unsigned char *p = (unsigned char *)b.buf.data;
    REQUIRE(CHECK(!b.buf.failed && ilki_store_head_get(p, b.e.salt, &h)));
    CHECK_STR(ilki_store_body_check(&h, p + ILKI_HEAD_BYTES), NULL);
    static const uint8_t known[] = {ILKI_RECORD_ITEM, ILKI_RECORD_SPACE, ILKI_RECORD_META, ILKI_RECORD_SOURCE};
    for (size_t i = 0; i < sizeof known; i++) {
        h.type = known[i];
        CHECK_STR(ilki_store_body_check(&h, p + ILKI_HEAD_BYTES), "its body is malformed");
    }
    h.type = ILKI_RECORD_SOURCE + 1;
    CHECK_STR(ilki_store_body_check(&h, p + ILKI_HEAD_BYTES), "its type is not known to this version");
    h.type = ILKI_RECORD_SKIPPABLE;
    CHECK_STR(ilki_store_body_check(&h, p + ILKI_HEAD_BYTES), NULL);
    ilki_base_buf_deinit(&b.buf);
}

static void every_flip_is_seen(void)
{
    st_batch batch = {0};
    ilki_space_ref ref = {1, ILK_DENSE};
    bytes b;
    st_put(&batch, "item", "whole", 3);
    begin(&b, 1);
    ilki_store_put_item(&b.e, &batch.items[0], &ref);
    unsigned char *p = (unsigned char *)b.buf.data;
    for (size_t i = 0; i < b.buf.len; i++) {
        for (int bit = 0; bit < 8; bit += 7) {
            ilki_record_head h;
            p[i] ^= (unsigned char)(1 << bit);
            const unsigned char *body = p + ILKI_HEAD_BYTES;
            bool seen = !ilki_store_head_get(p, 77, &h) || ilki_store_body_check(&h, body) ||
                        ilki_store_data_check(&h, body, body + ilki_pad8(h.body_bytes));
            if (!seen)
                CHECK_INT(i, -1);
            p[i] ^= (unsigned char)(1 << bit);
        }
    }
    ilki_record_head h;
    CHECK(ilki_store_head_get(p, 77, &h) && !ilki_store_head_get(p, 78, &h));
    ilki_base_buf_deinit(&b.buf);
}

/* Bodies cut anywhere, in memory of exactly that size. */
static void every_cut_is_seen(void)
{
    st_batch batch = {0};
    ilki_space_ref ref = {1, ILK_DENSE};
    for (int kind = 0; kind < 4; kind++) {
        bytes b;
        ilk_space sp = st_space("s", ILK_DENSE, 4);
        ilki_source src = {.id = "i", .path = "p", .root = "r", .state = ILKI_SOURCE_FAILED, .reason = "why"};
        begin(&b, 1);
        batch.n = 0;
        st_put(&batch, "item", "whole", 3);
        if (kind == 0)
            ilki_store_put_item(&b.e, &batch.items[0], &ref);
        else if (kind == 1)
            ilki_store_put_space(&b.e, &sp, 1);
        else if (kind == 2)
            ilki_store_put_source(&b.e, &src);
        else
            ilki_store_put_meta(&b.e, "name", "value");
        ilki_record_head h;
        const unsigned char *body = body_of(&b, &h);
        for (size_t n = 0; body && n <= h.body_bytes; n++) {
            unsigned char *copy = malloc(n ? n : 1);
            REQUIRE(CHECK(copy != NULL));
            memcpy(copy, body, n);
            ilki_item_body item;
            ilk_space space;
            ilki_source source;
            const char *name, *value;
            uint32_t id;
            bool ok = kind == 0   ? ilki_store_get_item(copy, n, &item)
                      : kind == 1 ? ilki_store_get_space(copy, n, &space, &id)
                      : kind == 2 ? ilki_store_get_source(copy, n, &source)
                                  : ilki_store_get_meta(copy, n, &name, &value);
            CHECK_INT(ok, n == h.body_bytes);
            free(copy);
        }
        ilki_base_buf_deinit(&b.buf);
    }
}

TEST_MAIN({"item_round_trip", item_round_trip}, {"empty_item", empty_item}, {"others_round_trip", others_round_trip},
          {"bodies_of_other_types", bodies_of_other_types}, {"flags_frame_a_batch", flags_frame_a_batch},
          {"every_flip_is_seen", every_flip_is_seen}, {"every_cut_is_seen", every_cut_is_seen})
