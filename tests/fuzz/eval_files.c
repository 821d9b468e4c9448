/* SPDX-License-Identifier: Apache-2.0
 * Files of data sets out of memory. The first byte of the input chooses what the rest is: a run, judgements, or pairs as
 * .csv, .tsv or .jsonl; vectors or texts; captions of pictures in the same forms; prompts of classes. What is accepted lies within what was read. */
#include <math.h>
#include <stdio.h>

#include "memory_vfs.h"
#include "must.h"
#include "tasks/captions.h"
#include "tasks/pairs.h"
#include "tasks/prompts.h"
#include "tasks/trec.h"
#include "tasks/vectors.h"

static void check_run(const ilki_vfs *vfs, const char *path, ilki_notes *notes)
{
    ilki_ranking r;
    if (ilki_tasks_read_run(&r, vfs, path, notes, NULL) == ILK_OK) {
        MUST(r.first[r.queries.n] == r.n && r.n > 0);
        for (size_t q = 0; q < r.queries.n; q++)
            for (size_t i = r.first[q]; i + 1 < r.first[q + 1]; i++)
                MUST(ilki_tasks_before(&r.docs, r.ranked[i], r.ranked[i + 1]));
    }
    ilki_tasks_ranking_deinit(&r);
}

static void check_judgements(const ilki_vfs *vfs, const char *path, ilki_notes *notes)
{
    ilki_judgements j;
    if (ilki_tasks_read_judgements(&j, vfs, path, notes, NULL) == ILK_OK)
        for (size_t i = 0; i < j.n; i++)
            MUST(j.list[i].query < j.queries.n && j.list[i].doc < j.docs.n);
    ilki_tasks_judgements_deinit(&j);
}

static void check_pairs(const ilki_vfs *vfs, const char *path, ilki_notes *notes)
{
    ilki_pairs p;
    if (ilki_tasks_read_pairs(&p, vfs, path, notes, NULL) == ILK_OK)
        for (size_t i = 0; i < p.n; i++)
            for (size_t k = 0; k < 2; k++)
                MUST(p.list[i].text[k] + p.list[i].n[k] <= p.texts.len && isfinite(p.list[i].score));
    ilki_tasks_pairs_deinit(&p);
}

static void check_vectors(const ilki_vfs *vfs, const char *path)
{
    ilki_rows r;
    ilki_row_texts t;
    if (ilki_tasks_read_rows(&r, vfs, path, NULL) == ILK_OK)
        for (size_t i = 0; i < r.n * r.dim; i++)
            MUST(isfinite(r.data[i]));
    free(r.data);
    if (ilki_tasks_read_texts(&t, vfs, path, NULL) == ILK_OK)
        MUST(t.at[t.n] == t.texts.len);
    ilki_tasks_texts_deinit(&t);
}

static void check_captions(const ilki_vfs *vfs, const char *path, ilki_said said, ilki_notes *notes)
{
    ilki_captions c;
    if (ilki_tasks_read_captions(&c, vfs, path, said, notes, NULL) == ILK_OK) {
        MUST(c.n > 0);
        for (size_t i = 0; i < c.n; i++)
            MUST(c.list[i].picture < c.pictures.n && c.list[i].text < c.texts.n && c.list[i].language < c.languages.n &&
                 (!i || c.list[i - 1].picture <= c.list[i].picture));
    }
    ilki_tasks_captions_deinit(&c);
}

static void check_prompts(const ilki_vfs *vfs, const char *path, ilki_notes *notes)
{
    ilki_prompts p;
    ilki_buf b;
    ilki_base_buf_init(&b, 1 << 20);
    if (ilki_tasks_read_prompts(&p, vfs, path, notes, NULL) == ILK_OK)
        for (size_t i = 0; i < p.n; i++)
            ilki_tasks_fill_prompt(&b, p.text[i], "a class");
    ilki_base_buf_deinit(&b);
    ilki_tasks_prompts_deinit(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const paths[] = {"a.run",   "a.qrels", "a.csv", "a.tsv",   "a.jsonl",
                                        "b.jsonl", "c.csv",   "c.txt", "c.jsonl", "p.txt"};
    if (n == 0)
        return 0;
    size_t kind = data[0] % 10;
    memory_bytes files[] = {{paths[kind], data + 1, n - 1}, {NULL, NULL, 0}};
    ilki_vfs vfs = memory_vfs(files);
    ilki_notes notes = {0};
    if (kind == 0)
        check_run(&vfs, paths[kind], &notes);
    else if (kind == 1)
        check_judgements(&vfs, paths[kind], &notes);
    else if (kind < 5)
        check_pairs(&vfs, paths[kind], &notes);
    else if (kind == 5)
        check_vectors(&vfs, paths[kind]);
    else if (kind < 9)
        check_captions(&vfs, paths[kind], data[0] & 0x80 ? ILKI_SAID_LABEL : ILKI_SAID_CAPTION, &notes);
    else
        check_prompts(&vfs, paths[kind], &notes);
    return 0;
}

#include "fuzz_main.h"
