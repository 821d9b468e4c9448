/* SPDX-License-Identifier: Apache-2.0
 * Runs dcmj2pnm and dcmdump, and reads what the second prints: lines of "(0008,0060) CS [CT]   #   2, 1 Modality", one
 * for each element that was asked for. Values are cut to what their kinds may have: 16 characters, eight digits of a date. */
#include "media/dicom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FACTS = 4096, SECONDS = 30 };
static const size_t most_pnm = ((size_t)256 << 20) + 64; /* three bytes of as many pixels as a picture may have */

bool ilki_media_is_dicom(const void *data, size_t n)
{
    return n >= 132 && memcmp((const char *)data + 128, "DICM", 4) == 0;
}

/* What it says without its own prefixes, one line. */
static ilk_status said(const ilki_media_converted *r, ilk_error *err)
{
    const char *line = strncmp(r->said, "F: ", 3) == 0 ? r->said + 3 : r->said;
    return ilki_base_fail(err, ILK_BAD_FORMAT, "dicom: %.*s", (int)strcspn(line, "\n"),
                          *line ? line : "its converter made no picture of it");
}

ilk_status ilki_media_convert_dicom(ilki_media *m, const void *data, size_t n, ilk_job *job, char **pnm, size_t *n_pnm,
                                    ilk_error *err)
{
    static const char *const ways[] = {"dicom", "dicom-minmax"};
    ilk_status st = ILK_OK;
    *pnm = NULL;
    for (size_t i = 0; i < sizeof ways / sizeof *ways && st == ILK_OK && !*pnm; i++) {
        ilki_media_converted r;
        st = ilki_media_convert(m, ways[i], data, n, most_pnm, SECONDS, job, &r, err);
        if (st == ILK_OK && r.exit_status == 0 && r.n_out > 0) {
            *pnm = r.out;
            *n_pnm = r.n_out;
            return ILK_OK;
        }
        free(r.out);
        if (st == ILK_OK && i + 1 == sizeof ways / sizeof *ways)
            st = said(&r, err);
    }
    return st;
}

/* The value of the element whose line begins with `tag`, its first where there are several. */
static void take_value(const char *lines, const char *tag, char *to, size_t n_to)
{
    const char *line = strstr(lines, tag), *end = line ? line + strcspn(line, "\n") : NULL,
               *from = line ? strchr(line, '[') : NULL;
    size_t n = 0;
    if (from && from < end)
        for (from++; from < end && *from != ']' && *from != '\\' && n + 1 < n_to; from++)
            if (*from > ' ' && *from <= '~')
                to[n++] = *from;
    to[n] = '\0';
}

ilk_status ilki_media_read_dicom_facts(ilki_media *m, const void *data, size_t n, ilk_job *job, ilki_dicom_facts *out,
                                       ilk_error *err)
{
    ilki_media_converted r;
    char date[9];
    memset(out, 0, sizeof *out);
    ilk_status st = ilki_media_convert(m, "dicom-facts", data, n, MOST_FACTS, SECONDS, job, &r, err);
    if (st != ILK_OK)
        return st;
    if (r.exit_status == 0) {
        take_value(r.out, "(0008,0020)", date, sizeof date);
        take_value(r.out, "(0008,0060)", out->modality, sizeof out->modality);
        take_value(r.out, "(0018,0015)", out->body_part, sizeof out->body_part);
        if (strspn(date, "0123456789") == 8)
            snprintf(out->study_date, sizeof out->study_date, "%.4s-%.2s-%.2s", date, date + 4, date + 6);
    } else {
        st = said(&r, err);
    }
    free(r.out);
    return st;
}
