/* SPDX-License-Identifier: Apache-2.0
 * One request per picture; DICOM becomes a PNM before. */
#include "media/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "media/dicom.h"

static const ilki_picture_kind kinds[ILKI_MEDIA_FORMS] = {
    [ILKI_MEDIA_FORM_PICKED] = ILKI_PICTURE_PICKED, [ILKI_MEDIA_FORM_ALPHA] = ILKI_PICTURE_ALPHA,
    [ILKI_MEDIA_FORM_INK] = ILKI_PICTURE_INK,       [ILKI_MEDIA_FORM_GRAY16] = ILKI_PICTURE_GRAY16,
    [ILKI_MEDIA_FORM_GRAY32] = ILKI_PICTURE_GRAY32,
};

static bool is_expected(const ilki_media_answer *a, bool as_stored)
{
    if (a->form == ILKI_MEDIA_FORM_PIXELS)
        return a->channels == 3 && a->frames == 1;
    return as_stored && a->form > ILKI_MEDIA_FORM_PIXELS && a->form != ILKI_MEDIA_FORM_FILE;
}

static ilk_status lied(const ilki_media_answer *a, const char *expected, ilk_error *err)
{
    return ilki_base_fail(err, ILK_BAD_FORMAT, "its reader broke the protocol: expected %s, found form %d", expected,
                          (int)a->form);
}

/* Copied before it is parsed: where the helper wrote, it might still write. */
static ilk_status take_fields(ilki_media_picture *out, ilk_error *err)
{
    unsigned char bytes[ILKI_MEDIA_FIELDS_BYTES];
    const ilki_media_answer *a = &out->held.about;
    const unsigned char *from = out->held.view ? out->held.view : out->held.data;
    memcpy(bytes, from + a->n_bytes, a->n_fields);
    out->fields = ilki_base_zalloc(1, sizeof *out->fields);
    return out->fields ? ilki_media_get_fields(out->fields, bytes, a->n_fields, err)
                       : ilki_base_fail_memory(err, sizeof *out->fields, "fields");
}

void ilki_media_add_picture_ops(ilki_buf *ops, unsigned how)
{
    static const uint8_t channels = 3;
    ilki_media_add_open(ops, "");
    if (how & ILKI_MEDIA_WITH_FIELDS)
        ilki_media_add_op(ops, ILKI_MEDIA_FIELDS, NULL, 0);
    if (how & ILKI_MEDIA_TURNED)
        ilki_media_add_op(ops, ILKI_MEDIA_ORIENT, NULL, 0);
    if (how & ILKI_MEDIA_PAINTED && !(how & ILKI_MEDIA_AS_STORED))
        ilki_media_add_op(ops, ILKI_MEDIA_PAINT, NULL, 0);
    if (how & ILKI_MEDIA_AS_STORED)
        ilki_media_add_op(ops, ILKI_MEDIA_STORED, NULL, 0);
    else
        ilki_media_add_op(ops, ILKI_MEDIA_PIXELS, &channels, 1);
}

ilk_status ilki_media_take_picture(ilki_media_picture *out, unsigned how, ilk_error *err)
{
    const ilki_media_answer *a = &out->held.about;
    ilk_status st = is_expected(a, how & ILKI_MEDIA_AS_STORED) ? ILK_OK : lied(a, "one picture", err);
    if (st == ILK_OK && how & ILKI_MEDIA_WITH_FIELDS)
        st = take_fields(out, err);
    if (st != ILK_OK)
        return st;
    out->width = a->width;
    out->height = a->height;
    out->kind = kinds[a->form];
    out->pixels = out->held.view ? out->held.view : out->held.data;
    return ILK_OK;
}

static ilk_status ask(ilki_media *m, const void *data, size_t n, unsigned how, ilk_job *job, ilki_media_picture *out,
                      ilk_error *err)
{
    ilki_buf ops;
    ilki_base_buf_init(&ops, 4096);
    ilki_media_add_picture_ops(&ops, how);
    ilk_status st = ilki_media_borrow(m, data, n, &ops, 0, job, &out->held, err);
    ilki_base_buf_deinit(&ops);
    if (st == ILK_OK)
        st = ilki_media_take_picture(out, how, err);
    if (st != ILK_OK)
        ilki_media_end_picture(m, out);
    return st;
}

/* Midnight at the beginning of the day, microseconds since 1970; false: it is no date. */
static bool day_of(const char *date, int64_t *us)
{
    struct tm day = {0};
    if (sscanf(date, "%4d-%2d-%2d", &day.tm_year, &day.tm_mon, &day.tm_mday) != 3 || day.tm_year < 1 ||
        day.tm_mon < 1 || day.tm_mon > 12 || day.tm_mday < 1 || day.tm_mday > 31)
        return false;
    day.tm_year -= 1900;
    day.tm_mon -= 1;
    *us = (int64_t)timegm(&day) * 1000000;
    return true;
}

/* What its PNM does not say. A file whose facts cannot be read still is a picture. */
static ilk_status add_dicom_fields(ilki_media *m, const void *data, size_t n, ilk_job *job, ilki_media_fields *f,
                                   ilk_error *err)
{
    ilki_dicom_facts facts;
    int64_t us;
    ilk_error why;
    ilk_error_init_sized(&why, sizeof why);
    if (ilki_media_read_dicom_facts(m, data, n, job, &facts, &why) != ILK_OK)
        return ilki_base_job_check(job, err);
    if (day_of(facts.study_date, &us))
        ilki_media_add_int_field(f, "study_date", ILK_VALUE_TIME, us);
    ilki_media_add_text_field(f, "study_modality", facts.modality, strlen(facts.modality));
    ilki_media_add_text_field(f, "body_part", facts.body_part, strlen(facts.body_part));
    return ILK_OK;
}

ilk_status ilki_media_read_picture(ilki_media *m, const void *data, size_t n, unsigned how, ilk_job *job,
                                   ilki_media_picture *out, ilk_error *err)
{
    char *pnm;
    size_t n_pnm;
    memset(out, 0, sizeof *out);
    if (!ilki_media_is_dicom(data, n))
        return ask(m, data, n, how, job, out, err);
    ilk_status st = ilki_media_convert_dicom(m, data, n, job, &pnm, &n_pnm, err);
    if (st == ILK_OK)
        st = ask(m, pnm, n_pnm, how, job, out, err);
    free(pnm);
    if (st == ILK_OK && out->fields) {
        st = add_dicom_fields(m, data, n, job, out->fields, err);
        if (st != ILK_OK)
            ilki_media_end_picture(m, out);
    }
    return st;
}

static ilk_status ask_small(ilki_media *m, const void *data, size_t n, uint16_t side, bool turned, ilk_job *job,
                            ilki_media_small *out, ilk_error *err)
{
    const uint8_t args[] = {(uint8_t)(side & 255), (uint8_t)(side >> 8), turned};
    ilki_media_result r = {.data = NULL};
    ilki_buf ops;
    ilki_base_buf_init(&ops, 4096);
    ilki_media_add_open(&ops, "");
    ilki_media_add_op(&ops, ILKI_MEDIA_THUMBNAIL, args, sizeof args);
    ilk_status st = ilki_media_run(m, data, n, &ops, 0, job, &r, err);
    ilki_base_buf_deinit(&ops);
    const ilki_media_answer *a = &r.about;
    if (st == ILK_OK && (a->form != ILKI_MEDIA_FORM_FILE || a->n_bytes < 4 || memcmp(r.data, "\xff\xd8\xff", 3) != 0 ||
                         a->width == 0 || a->width > side || a->height == 0 || a->height > side))
        st = lied(a, "a small JPEG", err);
    if (st != ILK_OK) {
        free(r.data);
        return st;
    }
    *out = (ilki_media_small){a->width, a->height, r.data, (size_t)a->n_bytes};
    return ILK_OK;
}

ilk_status ilki_media_make_small(ilki_media *m, const void *data, size_t n, uint16_t side, bool turned, ilk_job *job,
                                 ilki_media_small *out, ilk_error *err)
{
    char *pnm;
    size_t n_pnm;
    memset(out, 0, sizeof *out);
    if (!ilki_media_is_dicom(data, n))
        return ask_small(m, data, n, side, turned, job, out, err);
    ilk_status st = ilki_media_convert_dicom(m, data, n, job, &pnm, &n_pnm, err);
    if (st == ILK_OK)
        st = ask_small(m, pnm, n_pnm, side, turned, job, out, err);
    free(pnm);
    return st;
}

/* As a PNM, so that no decoder but ours sees the file. */
ilk_status ilki_media_read_words(ilki_media *m, const ilki_media_picture *p, const char *language, ilk_job *job,
                                 char **text, size_t *n, ilk_error *err)
{
    enum { HEAD = 32, MOST_TEXT = 1 << 20, SECONDS = 60 };
    size_t n_pixels = (size_t)p->width * p->height * 3;
    ilki_media_converted r = {.out = NULL};
    *text = NULL;
    *n = 0;
    if (p->kind != ILKI_PICTURE_PLAIN)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "words: expected a plain picture, found kind %d", (int)p->kind);
    char *pnm = malloc(HEAD + n_pixels);
    if (!pnm)
        return ilki_base_fail_memory(err, HEAD + n_pixels, "a picture to read");
    size_t head = (size_t)snprintf(pnm, HEAD, "P6\n%u %u\n255\n", p->width, p->height);
    memcpy(pnm + head, p->pixels, n_pixels);
    const ilki_media_conversion c = {.converter = "ocr",
                                     .language = language,
                                     .data = pnm,
                                     .n = head + n_pixels,
                                     .most_bytes = MOST_TEXT,
                                     .seconds = SECONDS};
    ilk_status st = ilki_media_convert_as(m, &c, job, &r, err);
    free(pnm);
    if (st == ILK_OK && r.exit_status != 0)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "tesseract: %.*s", (int)strcspn(r.said, "\n"),
                            r.said[0] ? r.said : "it says no more");
    if (st != ILK_OK) {
        free(r.out);
        return st;
    }
    *text = r.out;
    *n = r.n_out;
    return ILK_OK;
}

void ilki_media_end_picture(ilki_media *m, ilki_media_picture *p)
{
    ilki_media_give_back(m, &p->held);
    free(p->fields);
    memset(p, 0, sizeof *p);
}

ilki_picture ilki_media_view_picture(const ilki_media_picture *p)
{
    static const uint8_t channels[] = {3, 3, 4, 4, 2, 2};
    size_t n = (size_t)p->width * p->height * channels[p->kind];
    return (ilki_picture){p->pixels,         p->width, p->height,
                          channels[p->kind], p->kind,  p->kind == ILKI_PICTURE_PICKED ? p->pixels + n : NULL};
}
