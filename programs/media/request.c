/* SPDX-License-Identifier: Apache-2.0
 * Operations of a request, one row each. They change one object, which lives as long as the request. An operation that no
 * row knows is answered with UNSUPPORTED; so is one that does not suit the reader. */
#include "request.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/utf8.h"
#include "picture.h"
#include "thumbnail.h"

enum { MAX_SIDE = 1024 }; /* of a thumbnail */

typedef struct object {
    const unsigned char *data; /* mapped */
    size_t n;
    const media_reader *reader;
    media_picture picture;
    ilki_media_fields fields;
    bool decoded;
    unsigned char *window;
    ilki_media_answer *answer;
    bool answered;
} object;

/* ------------------------------------------------------------------ operations */

static ilk_status op_open(object *o, ilki_cur *args, ilk_error *err)
{
    char name[64];
    if (!ilki_media_get_str(args, name, sizeof name))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "open: malformed name of a reader");
    o->reader = media_reader_find(name, o->data, o->n);
    if (!o->reader)
        return ilki_base_fail(err, ILK_UNSUPPORTED, *name ? "no reader \"%s\" in this build" : "no reader knows it%s",
                              name);
    const char *lacks = media_reader_lacks(o->reader);
    if (lacks)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: this build has no %s", o->reader->name, lacks);
    return ILK_OK;
}

static ilk_status op_text(object *o, ilki_cur *args, ilk_error *err)
{
    uint64_t most = ilki_base_cur_u64(args);
    if (!o->reader->text)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: not a document", o->reader->name);
    ilki_doc *doc = ilki_base_zalloc(1, sizeof *doc);
    if (!doc)
        return ilki_base_fail_memory(err, sizeof *doc, "a document");
    ilki_buf packed;
    ilki_base_buf_init(&packed, ILKI_MEDIA_WINDOW);
    ilk_status st = o->reader->text(doc, o->data, o->n,
                                    most < ILKI_MEDIA_WINDOW / 4 ? (size_t)most : ILKI_MEDIA_WINDOW / 4, err);
    if (st == ILK_OK) {
        ilki_docs_pack(doc, &packed);
        st = ilki_base_buf_check(&packed, "a document", err);
    }
    if (st == ILK_OK) {
        memcpy(o->window, ilki_base_buf_view(&packed), packed.len);
        o->answer->form = ILKI_MEDIA_FORM_TEXT;
        o->answer->n_bytes = packed.len;
        o->answered = true;
    }
    ilki_base_buf_deinit(&packed);
    ilki_docs_free(doc);
    return st;
}

/* Decoded by the first operation that needs it. */
static ilk_status need_picture(object *o, bool size_only, ilk_error *err)
{
    if (!o->reader->picture)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: not a picture", o->reader->name);
    if (o->decoded)
        return ILK_OK;
    o->picture.size_only = size_only;
    ilk_status st = o->reader->picture(&o->picture, o->data, o->n, err);
    o->decoded = st == ILK_OK;
    o->answer->source_width = o->picture.width;
    o->answer->source_height = o->picture.height;
    return st;
}

static ilk_status op_orient(object *o, ilki_cur *args, ilk_error *err)
{
    (void)args;
    ilk_status st = need_picture(o, false, err);
    return st == ILK_OK ? media_picture_orient(&o->picture, err) : st;
}

static ilk_status op_paint(object *o, ilki_cur *args, ilk_error *err)
{
    (void)args;
    ilk_status st = need_picture(o, false, err);
    if (st == ILK_OK && o->picture.form != ILKI_MEDIA_FORM_PIXELS)
        st = ilki_base_fail(err, ILK_UNSUPPORTED, "paint: expected RGB, found form %d", (int)o->picture.form);
    if (st == ILK_OK)
        media_picture_paint(&o->picture);
    return st;
}

/* Decoders leave alpha out. */
static ilk_status op_composite(object *o, ilki_cur *args, ilk_error *err)
{
    uint8_t mode = ilki_base_cur_u8(args);
    (void)ilki_base_cur_bytes(args, 3);
    if (mode != 0)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "composite: expected mode 0, alpha dropped, found %d", mode);
    return need_picture(o, false, err);
}

static ilk_status op_pixels(object *o, ilki_cur *args, ilk_error *err)
{
    uint8_t channels = ilki_base_cur_u8(args);
    if (channels != 3)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "pixels: expected 3 channels, found %d", channels);
    ilk_status st = need_picture(o, false, err);
    if (st != ILK_OK)
        return st;
    ilki_media_answer *a = o->answer;
    a->form = ILKI_MEDIA_FORM_PIXELS;
    a->width = o->picture.width;
    a->height = o->picture.height;
    a->channels = 3;
    a->frames = 1;
    a->n_bytes = (uint64_t)a->width * a->height * 3;
    if (o->picture.pixels != o->window)
        memcpy(o->window, o->picture.pixels, (size_t)a->n_bytes);
    o->answered = true;
    return ILK_OK;
}

static ilk_status op_stored(object *o, ilki_cur *args, ilk_error *err)
{
    (void)args;
    ilk_status st = need_picture(o, false, err);
    if (st != ILK_OK)
        return st;
    const media_picture *p = &o->picture;
    ilki_media_answer *a = o->answer;
    size_t step = ilki_media_pixel_bytes(p->form), n = (size_t)p->width * p->height * step;
    a->form = p->form;
    a->width = p->width;
    a->height = p->height;
    a->channels = step == 2 ? 1 : (uint32_t)step;
    a->frames = 1;
    a->n_bytes = n + ilki_media_behind_bytes(p->form);
    if (p->pixels != o->window)
        memcpy(o->window, p->pixels, n);
    memcpy(o->window + n, p->palette, ilki_media_behind_bytes(p->form));
    o->answered = true;
    return ILK_OK;
}

static ilk_status op_fields(object *o, ilki_cur *args, ilk_error *err)
{
    (void)args;
    if (o->decoded)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "fields: expected before the picture is decoded");
    o->picture.fields = &o->fields;
    return ILK_OK;
}

static ilk_status op_thumbnail(object *o, ilki_cur *args, ilk_error *err)
{
    uint32_t side = ilki_base_cur_u16(args);
    bool turned = ilki_base_cur_u8(args) != 0;
    unsigned char *file = NULL;
    size_t n = 0;
    if (side == 0 || side > MAX_SIDE || o->decoded)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "thumbnail: expected a side of 1 to %d, first of all, found %u",
                              (int)MAX_SIDE, side);
    o->picture.at_least = side;
    ilk_status st = need_picture(o, false, err);
    if (st == ILK_OK && turned)
        st = media_picture_orient(&o->picture, err);
    if (st == ILK_OK)
        st = media_thumbnail(&o->picture, side, &file, &n, err);
    if (st == ILK_OK && n > ILKI_MEDIA_MAX_FILE)
        st = ilki_base_fail(err, ILK_LIMIT, "thumbnail: expected at most %d bytes, found %zu", (int)ILKI_MEDIA_MAX_FILE,
                            n);
    if (st == ILK_OK) {
        memcpy(o->window, file, n);
        o->answer->form = ILKI_MEDIA_FORM_FILE;
        o->answer->width = o->picture.width;
        o->answer->height = o->picture.height;
        o->answer->n_bytes = n;
        o->answered = true;
    }
    free(file);
    return st;
}

static ilk_status op_size(object *o, ilki_cur *args, ilk_error *err)
{
    (void)args;
    ilk_status st = need_picture(o, true, err);
    o->answered = st == ILK_OK;
    return st;
}

static const struct {
    ilki_media_op op;
    ilk_status (*run)(object *o, ilki_cur *args, ilk_error *err);
} operations[] = {
    {ILKI_MEDIA_OPEN, op_open},     {ILKI_MEDIA_ORIENT, op_orient},       {ILKI_MEDIA_COMPOSITE, op_composite},
    {ILKI_MEDIA_TEXT, op_text},     {ILKI_MEDIA_PIXELS, op_pixels},       {ILKI_MEDIA_SIZE, op_size},
    {ILKI_MEDIA_FIELDS, op_fields}, {ILKI_MEDIA_THUMBNAIL, op_thumbnail}, {ILKI_MEDIA_STORED, op_stored},
    {ILKI_MEDIA_PAINT, op_paint},
};

/* ------------------------------------------------------------------ the list */

static ilk_status run_step(object *o, ilki_media_step *s, ilk_error *err)
{
    if (o->answered || (s->op == ILKI_MEDIA_OPEN) != (o->reader == NULL))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "request: operation %d in a wrong place", (int)s->op);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (operations[i].op != s->op)
            continue;
        ilk_status st = operations[i].run(o, &s->args, err);
        return st == ILK_OK && s->args.bad ? ilki_base_fail(err, ILK_BAD_FORMAT, "request: operation %d has %s",
                                                            (int)s->op, "too few arguments")
                                           : st;
    }
    return ilki_base_fail(err, ILK_UNSUPPORTED, "operation %d is not built", (int)s->op);
}

static ilk_status run_steps(object *o, ilki_media_step *steps, size_t n, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (size_t i = 0; i < n; i++)
        o->picture.as_stored |= steps[i].op == ILKI_MEDIA_STORED; /* asked of whoever decodes first */
    for (size_t i = 0; st == ILK_OK && i < n; i++)
        st = run_step(o, &steps[i], err);
    if (st == ILK_OK && !o->answered)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "request: no operation that answers");
    return st;
}

/* Where the answer goes; *n_taken operations said so. */
static ilk_status take_slot(object *o, ilki_media_step *first, size_t *n_taken, unsigned char *slots, ilk_error *err)
{
    *n_taken = first->op == ILKI_MEDIA_SLOT;
    uint8_t which = *n_taken ? ilki_base_cur_u8(&first->args) : 0;
    if (first->args.bad || which >= ILKI_MEDIA_SLOTS)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "request: expected a slot below %d, found %d", (int)ILKI_MEDIA_SLOTS,
                              which);
    o->window = o->picture.room = slots + (size_t)which * ILKI_MEDIA_SLOT_BYTES;
    return ILK_OK;
}

/* Small files lie behind the window; *taken: an operation said so. */
static ilk_status take_inbox(object *o, ilki_media_step *first, bool *taken, ilk_error *err)
{
    *taken = first->op == ILKI_MEDIA_IN_INBOX;
    if (!*taken)
        return ILK_OK;
    uint64_t n = ilki_base_cur_u64(&first->args);
    if (first->args.bad || n > ILKI_MEDIA_INBOX)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "request: expected a file of at most %d bytes behind the window",
                              (int)ILKI_MEDIA_INBOX);
    o->data = o->window + ILKI_MEDIA_WINDOW;
    o->n = (size_t)n;
    return ILK_OK;
}

/* Behind the answer's bytes, for which every form leaves room. */
static ilk_status put_fields(object *o, ilk_error *err)
{
    ilki_buf b;
    ilki_base_buf_init(&b, ILKI_MEDIA_FIELDS_BYTES);
    ilki_media_put_fields(&b, &o->fields);
    ilk_status st = ilki_base_buf_check(&b, "fields", err);
    if (st == ILK_OK) {
        memcpy(o->window + o->answer->n_bytes, ilki_base_buf_view(&b), b.len);
        o->answer->n_fields = (uint32_t)b.len;
    }
    ilki_base_buf_deinit(&b);
    return st;
}

/* fstat takes a path in newer C libraries, which the sandbox refuses. */
static ilk_status map_input(int input, object *o, ilk_error *err)
{
    off_t n = input >= 0 ? lseek(input, 0, SEEK_END) : -1;
    if (n < 0)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "request: no file came with it");
    void *map = n > 0 ? mmap(NULL, (size_t)n, PROT_READ, MAP_PRIVATE | MAP_POPULATE, input, 0) : NULL;
    if (map == MAP_FAILED)
        return ilki_base_fail_memory(err, (size_t)n, "the file");
    o->data = map;
    o->n = (size_t)n;
    return ILK_OK;
}

void media_answer(const ilki_buf *payload, int input, unsigned char *slots, ilki_media_answer *answer)
{
    object o = {.answer = answer};
    ilki_media_step steps[ILKI_MEDIA_MAX_OPS];
    ilk_error err;
    size_t n;
    ilk_error_init_sized(&err, sizeof err);
    memset(answer, 0, sizeof *answer);
    ilk_status st = ilki_media_get_request(&answer->id, steps, &n, ilki_base_buf_view(payload), payload->len, &err);
    size_t at = 0;
    bool inbox = false;
    if (st == ILK_OK)
        st = take_slot(&o, steps, &at, slots, &err);
    if (st == ILK_OK && at < n)
        st = take_inbox(&o, steps + at, &inbox, &err);
    if (st == ILK_OK && !inbox)
        st = map_input(input, &o, &err);
    at += inbox;
    if (st == ILK_OK)
        st = run_steps(&o, steps + at, n - at, &err);
    if (st == ILK_OK && o.picture.fields)
        st = put_fields(&o, &err);
    if (o.data && !inbox)
        munmap((void *)(uintptr_t)o.data, o.n);
    media_picture_end(&o.picture);
    answer->status = st;
    if (st != ILK_OK) {
        answer->form = ILKI_MEDIA_FORM_NONE;
        answer->n_bytes = 0;
        answer->n_fields = 0;
        size_t n_message = strlen(err.message), most = sizeof answer->message - 1;
        memcpy(answer->message, err.message, n_message <= most ? n_message : ilki_base_utf8_floor(err.message, most));
    }
}
