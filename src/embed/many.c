/* SPDX-License-Identifier: Apache-2.0
 * The list in batches, small ones of pictures, whose pixels all stand in memory at once. */
#include "embed/many.h"

#include <string.h>

#include "embed/state.h"

enum { BATCH_TEXTS = 512, BATCH_PICTURES = 64 };

/* Why an input failed, without its path in front. */
static const char *reason(const struct ilki_vector_state *state, const char *path)
{
    size_t n = strlen(path);
    const char *said = state->message ? state->message : "not embedded";
    return strncmp(said, path, n) == 0 && strncmp(said + n, ": ", 2) == 0 ? said + n + 2 : said;
}

static ilk_status run_batch(ilk_model *m, const char *const *strings, size_t first, size_t n, const ilki_many *how,
                            ilk_job *job, float *rows, ilk_error *err)
{
    bool pictures = how->modality == ILK_IMAGE;
    ilk_part part[BATCH_TEXTS];
    ilk_input in[BATCH_TEXTS];
    const ilk_input *list[BATCH_TEXTS];
    ilk_embed_options opt = {.size = sizeof opt, .dim = how->dim, .normalize = 1};
    ilki_embed_plan plan;
    ilk_vectors *v = NULL;
    for (size_t i = 0; i < n; i++) {
        const char *s = strings[first + i];
        part[i] = (ilk_part){.size = sizeof part[i],
                             .kind = pictures ? ILK_PART_PATH : ILK_PART_TEXT,
                             .modality = how->modality,
                             .data = s,
                             .n_bytes = strlen(s)};
        in[i] = (ilk_input){
            .size = sizeof in[i], .parts = &part[i], .n_parts = 1, .role = how->role, .prompt = how->prompt};
        list[i] = &in[i];
    }
    ilk_status st = ilki_embed_make_plan(m, &opt, &plan, err);
    plan.quiet = true;
    if (st == ILK_OK)
        st = ilki_embed_vectors_new(&v, n, plan.dim, err);
    if (st == ILK_OK)
        st = ilki_embed_batch(m, list, n, &plan, job, v, err);
    for (size_t i = 0; st == ILK_OK && i < n; i++)
        if (v->state[i].status == ILK_NO_MEMORY) /* no fault of the input's */
            st = ilki_base_fail(err, ILK_NO_MEMORY, "%s", reason(&v->state[i], strings[first + i]));
        else if (v->state[i].status != ILK_OK)
            st = how->failed(how->user, first + i, reason(&v->state[i], strings[first + i]), err);
    if (st == ILK_OK)
        memcpy(rows + first * plan.dim, v->data, n * plan.dim * sizeof *rows);
    ilki_embed_vectors_free(v);
    return st;
}

ilk_status ilki_embed_many(ilk_model *m, const char *const *strings, size_t n, const ilki_many *how, ilk_job *job,
                           float *rows, ilk_error *err)
{
    size_t batch = how->modality == ILK_IMAGE ? BATCH_PICTURES : BATCH_TEXTS;
    const char *unit = how->modality == ILK_IMAGE ? "pictures" : "texts";
    ilk_status st = ILK_OK;
    for (size_t first = 0; st == ILK_OK && first < n; first += batch) {
        size_t some = n - first < batch ? n - first : batch;
        ilki_base_job_progress(job, how->stage, unit, how->done + first, how->total, 0, false);
        st = run_batch(m, strings, first, some, how, job, rows, err);
    }
    if (st == ILK_OK)
        ilki_base_job_progress(job, how->stage, unit, how->done + n, how->total, 0, how->done + n == how->total);
    return st;
}
