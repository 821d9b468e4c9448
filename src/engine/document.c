/* SPDX-License-Identifier: Apache-2.0
 * One document apart from any store: what a file is, and its passages as an ingest would cut them. It goes the way of an
 * ingest's files (reading.c, by_helper.c, chunking.c) with a plan of its own, which has no store to write to. */
#include <stdlib.h>
#include <string.h>

#include "engine/ingest.h"

struct ilk_document {
    ilki_file_work *work;
    ilki_arena arena;
    ilk_passage *passages; /* [n] */
    size_t n;
};

enum { DEFAULT_MAX_BYTES = 32 << 20, MAX_PICTURE_BYTES = 256 << 20 };

ilk_status ilki_engine_probe(const char *name, const void *head, size_t n, ilk_file_info *info, ilk_error *err)
{
    static const unsigned char gzip[] = {0x1f, 0x8b};
    ilki_sniff s = ilki_media_sniff(name, head, n);
    if (s.is == ILKI_SNIFFED_LATER)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "not supported yet: %s", s.what);
    if (s.is == ILKI_SNIFFED_PICTURE) {
        info->modality = ILK_IMAGE;
        info->kind = s.reader;
        info->plain = 0;
        return ILK_OK;
    }
    ilk_status st = ilki_docs_probe(name, head, n, err);
    if (st)
        return st;
    const ilki_doc_outside *outside = ilki_docs_outside(name, head, n);
    info->modality = ILK_TEXT;
    info->kind = outside ? outside->kind : "text";
    info->plain = !outside && !(n >= sizeof gzip && memcmp(head, gzip, sizeof gzip) == 0);
    return ILK_OK;
}

/* ------------------------------------------------------------------ passages */

static ilk_passage *add(ilk_document *d, const char *text, size_t n, const char *context)
{
    ilk_passage *p = &d->passages[d->n];
    *p = (ilk_passage){.size = sizeof *p, .text = text, .n_bytes = n, .context = context ? context : ""};
    p->input = text;
    p->n_input = n;
    p->segment = ilki_engine_no_place;
    p->segment.chunk = (uint32_t)d->n++;
    return p;
}

static void place(ilk_passage *p, uint32_t page, uint32_t line_first, uint32_t line_last)
{
    if (page)
        p->segment.page = page;
    if (line_first) {
        p->segment.line_first = line_first;
        p->segment.line_last = line_last;
    }
}

static ilk_status take_passages(ilk_document *d, bool cut, ilk_error *err)
{
    const ilki_file_work *w = d->work;
    size_t n = cut ? w->n_passages : w->doc->n_segments;
    d->passages = ilki_base_arena_alloc(&d->arena, n, sizeof *d->passages);
    for (size_t i = 0; d->passages && i < n; i++) {
        if (!cut) {
            const ilki_doc_segment *s = &w->doc->segments[i];
            place(add(d, w->doc->text + s->start, s->end - s->start, s->context), s->page,
                  w->doc->no_lines ? 0 : s->line_first, s->line_last);
            continue;
        }
        const ilki_passage *from = &w->passages[i];
        ilk_passage *p = add(d, w->doc->text + from->start, from->end - from->start, from->context);
        place(p, from->page, from->line_first, from->line_last);
        p->input = ilki_engine_passage_text(&d->arena, w, from, &p->n_input);
        if (!p->input)
            d->passages = NULL;
    }
    return d->passages ? ILK_OK : ilki_base_fail_memory(err, n * sizeof *d->passages, "passages");
}

static ilk_status read_file(ilki_ingest *g, const char *path, ilki_file_work *w, ilk_error *err)
{
    ilki_content c;
    ilki_stat st;
    ilk_status status = ilki_engine_read_source(g, path, path, &c, &st, err);
    if (!status && c.is.is == ILKI_SNIFFED_PICTURE)
        status = ilki_base_fail(err, ILK_UNSUPPORTED, "a picture (%s), expected a document", c.is.reader);
    w->data = c.data;
    w->n_data = c.n;
    return status;
}

ilk_status ilki_engine_document_open(ilk_document **out, ilk_runtime *rt, ilk_model *m, const char *path,
                                     const ilk_document_options *opt, ilk_job *job, ilk_error *err)
{
    ilk_ingest_options plan = {.size = sizeof plan, .dry_run = 1, .overlap_tokens = opt->overlap_tokens};
    ilki_ingest g = {.rt = rt, .vfs = rt->vfs, .opt = &plan, .job = job, .models = &m, .n_models = m != NULL};
    ilk_space own = {.size = sizeof own, .model = m ? ilki_embed_info(m)->id : NULL, .fingerprint = ""};
    ilki_text_scratch *scratch = NULL;
    ilk_document *d = ilki_base_zalloc(1, sizeof *d);
    *out = NULL;
    plan.chunk_tokens = opt->chunk_tokens;
    g.max_bytes = opt->max_file_bytes ? opt->max_file_bytes : DEFAULT_MAX_BYTES;
    g.max_picture_bytes = MAX_PICTURE_BYTES;
    g.sees = 1; /* what is wrong with a picture is said here */
    g.own = &own;
    g.reads_text = m != NULL && ilki_embed_tokenizer(m);
    if (!d)
        return ilki_base_fail_memory(err, sizeof *d, "a document");
    d->work = ilki_engine_work_new(NULL, &(ilki_source){.path = path});
    if (!d->work || !(scratch = ilki_text_scratch_new()))
        goto no_memory;
    ilk_status st = ILK_OK;
    if (m && !g.reads_text)
        st = ilki_base_fail(err, ILK_UNSUPPORTED, "a text, which %s does not read", ilki_embed_info(m)->id);
    if (!st && m)
        st = ilki_engine_decide_room(&g, err);
    if (!st)
        st = read_file(&g, path, d->work, err);
    if (!st)
        st = ilki_engine_cut_document(&g, d->work, scratch, err);
    if (!st)
        st = take_passages(d, m != NULL, err);
    ilki_text_scratch_free(scratch);
    if (st) {
        ilki_base_error_prefix(err, "%s", path);
        ilki_engine_document_close(d);
    } else {
        *out = d;
    }
    return st;
no_memory:
    ilki_engine_document_close(d);
    return ilki_base_fail_memory(err, sizeof *d, "a document");
}

void ilki_engine_document_close(ilk_document *d)
{
    if (!d)
        return;
    ilki_engine_work_free(d->work);
    ilki_base_arena_deinit(&d->arena);
    free(d);
}

void ilki_engine_document_info(const ilk_document *d, ilk_document_info *info)
{
    const ilki_doc *doc = d->work->doc;
    info->kind = doc->kind;
    info->title = doc->title;
    info->language = doc->language;
    info->note = doc->note;
    info->n_passages = d->n;
}

const ilk_passage *ilki_engine_document_passage(const ilk_document *d, size_t i)
{
    return i < d->n ? &d->passages[i] : NULL;
}
