/* SPDX-License-Identifier: Apache-2.0
 * Documents that docs recognises and the helper program reads: a request to a helper in its sandbox, or a converter for
 * this one file. Whatever comes back is parsed as a stranger's. */
#include <stdlib.h>
#include <string.h>

#include "engine/ingest.h"
#include "media/media.h"

enum { SECONDS = 30, PDF_SECONDS = 120 };

static ilk_status ask_helper(ilki_media *m, const ilki_doc_outside *o, const void *data, size_t n, size_t most,
                             ilk_job *job, ilki_doc **doc, ilk_error *err)
{
    ilki_buf ops;
    ilki_media_result r;
    ilki_base_buf_init(&ops, ILKI_MEDIA_FRAME);
    ilki_media_add_open(&ops, o->reader);
    ilki_media_add_text(&ops, most);
    ilk_status st = ilki_media_run(m, data, n, &ops, SECONDS, job, &r, err);
    ilki_base_buf_deinit(&ops);
    if (st == ILK_OK && r.about.form != ILKI_MEDIA_FORM_TEXT)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "its reader gave no text");
    if (st == ILK_OK)
        st = ilki_docs_unpack(doc, o->kind, r.data, (size_t)r.about.n_bytes, most, err);
    free(r.data);
    return st;
}

/* pdftotext ends with 1 where it could not open the file and 3 where the file forbids it; what it says has the reason. */
static ilk_status convert(ilki_media *m, const ilki_doc_outside *o, const void *data, size_t n, size_t most,
                          ilk_job *job, ilki_doc **doc, ilk_error *err)
{
    ilki_media_converted c;
    ilk_status st = ilki_media_convert(m, o->reader, data, n, most, PDF_SECONDS, job, &c, err);
    if (st == ILK_OK && (strstr(c.said, "Incorrect password") || c.exit_status == 3))
        st = ilki_base_fail(err, ILK_UNSUPPORTED, "an encrypted document, which needs a password");
    else if (st == ILK_OK && c.exit_status != 0)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "it cannot be read: %.*s", (int)strcspn(c.said, "\n"),
                            c.said[0] ? c.said : "it says no more");
    if (st == ILK_OK)
        st = ilki_docs_read_pages(doc, o->kind, c.out, c.n_out, err);
    free(c.out);
    return st;
}

ilk_status ilki_engine_media_info(ilk_runtime *rt, ilk_media_info *info, ilk_error *err)
{
    ilki_media *m;
    const ilki_media_hello *h;
    ilk_status st = ilki_media_of(rt, &m, err);
    if (st == ILK_OK)
        info->helper = ilki_media_path(m);
    if (st == ILK_OK)
        st = ilki_media_hello_of(m, NULL, &h, err);
    if (st != ILK_OK)
        return st;
    info->sandbox = h->sandbox == ILKI_MEDIA_SECCOMP ? "seccomp" : "limits";
    info->note = h->note;
    ilki_media_list(m, &info->reads, &info->lacks);
    return ILK_OK;
}

ilk_status ilki_engine_read_document(ilki_ingest *g, ilki_file_work *w, ilk_error *err)
{
    ilki_media *m;
    ilki_buf unpacked;
    const void *plain;
    size_t n, most = (size_t)g->max_bytes;
    const ilki_doc_outside *o = ilki_docs_outside(w->src.path, w->data, w->n_data);
    if (!o)
        return ilki_docs_read_under(g->job, &w->doc, w->src.path, w->data, w->n_data, most, err);
    w->by_helper = true;
    ilk_status st = ilki_media_of(g->rt, &m, err);
    if (st == ILK_OK)
        st = ilki_media_check(m, o->reader, g->job, err);
    w->lacking = st == ILK_UNSUPPORTED;
    if (st != ILK_OK)
        return st;
    ilki_base_buf_init(&unpacked, most + 32768);
    st = ilki_docs_plain(w->data, w->n_data, most, &unpacked, &plain, &n, err);
    if (st == ILK_OK)
        st = (o->converter ? convert : ask_helper)(m, o, plain, n, most, g->job, &w->doc, err);
    ilki_base_buf_deinit(&unpacked);
    return st;
}
