/* SPDX-License-Identifier: Apache-2.0
 * Text in pictures: tesseract reads it off the decoded pixels, it is cut like any other text, and the mean of its passages'
 * vectors becomes the picture's in the spaces of models that read text and do not see. A store whose pictures were read so
 * goes on with it: each says by a field in which languages, and likewise that nothing of its EXIF was taken. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ingest.h"
#include "media/decode.h"

/* ------------------------------------------------------------------ as before */

/* The value of a field that one of the store's pictures has; *r holds it. */
static ilk_status any_field(ilki_ingest *g, const char *name, ilki_record **r, const ilk_value **value, ilk_error *err)
{
    static const ilk_value image = {.size = sizeof image, .type = ILK_VALUE_TEXT, .text = "image", .n_bytes = 5};
    const ilk_filter parts[2] = {
        {.size = sizeof *parts, .op = ILK_FILTER_EXISTS, .field = name},
        {.size = sizeof *parts, .op = ILK_FILTER_EQ, .field = "modality", .values = &image, .n_values = 1}};
    const ilk_filter has = {.size = sizeof has, .op = ILK_FILTER_AND, .children = parts, .n_children = 2};
    size_t n = 0;
    *r = NULL;
    *value = NULL;
    ilk_status st = g->store ? g->s->backend->type->scan(g->s->backend, &has, NULL, 1, r, &n, err) : ILK_OK;
    for (size_t i = 0; !st && n && i < (*r)->item.n_fields; i++)
        if (strcmp((*r)->item.fields[i].name, name) == 0)
            *value = &(*r)->item.fields[i].value;
    return st;
}

ilk_status ilki_engine_recall_pictures(ilki_ingest *g, ilk_error *err)
{
    ilki_record *r = NULL;
    const ilk_value *v;
    ilk_status st = ILK_OK;
    g->ocr = g->opt->ocr && *g->opt->ocr ? g->opt->ocr : NULL;
    g->no_exif = g->opt->no_exif > 0;
    if (!g->opt->ocr) {
        st = any_field(g, ILKI_FIELD_OCR, &r, &v, err);
        if (!st && v && v->type == ILK_VALUE_TEXT) {
            g->ocr = g->kept_ocr = ilki_base_strndup(v->text, v->n_bytes);
            st = g->ocr ? ILK_OK : ilki_base_fail_memory(err, v->n_bytes, "a language");
        }
        ilki_store_record_free(r);
    }
    if (!st && g->opt->no_exif == 0) {
        st = any_field(g, ILKI_FIELD_EXIF, &r, &v, err);
        g->no_exif = !st && v && v->type == ILK_VALUE_BOOL && v->i == 0;
        ilki_store_record_free(r);
    }
    return st;
}

/* ------------------------------------------------------------------ reading */

ilk_status ilki_engine_check_words(ilki_ingest *g, ilk_error *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_+";
    const char *l = g->ocr;
    ilki_media *media;
    if (*l == '+' || l[strspn(l, letters)] || strlen(l) > 64)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ocr: expected languages as \"eng+deu\", found \"%s\"", l);
    ilk_status st = ilki_media_of(g->rt, &media, err);
    if (!st && ilki_media_check(media, "ocr", g->job, NULL))
        st = ilki_base_fail(err, ILK_UNSUPPORTED,
                            "ocr: text in pictures is read by tesseract, which is not installed (Debian's package "
                            "tesseract-ocr, and tesseract-ocr-deu and the like for other languages)%s",
                            g->kept_ocr ? "; the store's pictures were read so, and --no-ocr forgets their words" : "");
    return st;
}

ilk_status ilki_engine_check_language(ilki_ingest *g, ilk_error *err)
{
    enum { SIDE = 32 };
    uint8_t white[SIDE * SIDE * 3];
    ilki_media_picture p = {.width = SIDE, .height = SIDE, .pixels = white, .kind = ILKI_PICTURE_PLAIN};
    ilki_media *media;
    ilk_error why;
    char *text = NULL;
    size_t n;
    memset(white, 0xff, sizeof white);
    ilk_error_init_sized(&why, sizeof why);
    ilk_status st = ilki_media_of(g->rt, &media, err);
    if (st)
        return st;
    st = ilki_media_read_words(media, &p, g->ocr, g->job, &text, &n, &why);
    free(text);
    g->ocr_checked = true;
    if (st == ILK_BAD_FORMAT)
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "ocr: expected languages that tesseract has, found \"%s\": %s (tesseract --list-langs; "
                              "Debian's packages are tesseract-ocr-deu and the like)",
                              g->ocr, why.message);
    if (st)
        ilki_base_error_copy(err, &why);
    return st;
}

ilk_status ilki_engine_read_words(ilki_ingest *g, ilki_file_work *w, ilki_media *media, const ilki_media_picture *p,
                                  ilk_error *err)
{
    static const char blanks[] = " \t\r\n\f";
    char *text = NULL;
    size_t n = 0;
    ilk_error why;
    ilk_error_init_sized(&why, sizeof why);
    ilk_status st = ilki_media_read_words(media, p, g->ocr, g->job, &text, &n, &why);
    size_t from = st ? 0 : strspn(text, blanks);
    while (!st && n > from && strchr(blanks, text[n - 1]))
        n--;
    if (!st && from < n)
        st = ilki_docs_read_under(g->job, &w->doc, "words.txt", text + from, n - from, (size_t)g->max_bytes, &why);
    free(text);
    if (st == ILK_NO_MEMORY || st == ILK_CANCELLED || st == ILK_DEADLINE) {
        ilki_base_error_copy(err, &why);
        return st;
    }
    if (st && st != ILK_UNSUPPORTED && !w->reason) {
        ilki_buf b;
        ilki_base_buf_init(&b, 2048);
        ilki_base_buf_addf(&b, "no text was read in it: %s", why.message);
        w->reason = ilki_base_buf_take(&b, &n);
    }
    return ILK_OK;
}

void ilki_engine_join_words(const ilki_ingest *g, ilki_file_work *w)
{
    for (size_t m = 0; w->vectors && w->n_passages > 1 && m < g->n_models; m++) {
        size_t dim = g->spaces[m]->dim;
        if (!(g->reads_words >> m & 1) || !w->vectors[m])
            continue;
        double squares = 0;
        for (size_t i = 0; i < dim; i++) {
            double sum = 0;
            for (size_t k = 1; k < w->n_passages; k++)
                sum += (double)w->vectors[m][k * dim + i];
            w->vectors[m][i] = (float)(sum / (double)(w->n_passages - 1));
            squares += (double)w->vectors[m][i] * (double)w->vectors[m][i];
        }
        for (size_t i = 0; g->spaces[m]->normalized && squares > 0 && i < dim; i++)
            w->vectors[m][i] = (float)((double)w->vectors[m][i] / sqrt(squares));
    }
}
