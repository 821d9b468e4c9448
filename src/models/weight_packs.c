/* SPDX-License-Identifier: Apache-2.0
 * The packed forms of what a list found: linears are packed and tables coded on the pool, one task each, into one block of
 * huge pages, and the pages of their sources given back. Or they were packed at an earlier start (src->packs): then the
 * same tasks check the bytes that are mapped, and sources are not read. */
#include <stdint.h>

#include "base/cpu.h"
#include "models/loader.h"

/* ---- one task */

static ilk_status pack_linear(const ilki_loader *l, const ilki_pack_job *job, ilk_error *err)
{
    const ilki_tensor *const *biases = job->biases[0] ? job->biases : NULL;
    ilki_packing how = {.form = job->form, .streamed = job->streamed};
    if (!job->streamed)
        how.room = l->block + job->at;
    for (size_t p = 0; p < job->n_parts && !job->streamed; p++)
        ilki_format_will_need(l->src->weights, job->weights[p]);
    ilk_status s = ilki_tensor_linear_init_at(job->to, &how, l->src->ops, job->weights, biases, job->n_parts, err);
    for (size_t p = 0; s == ILK_OK && p < job->n_parts; p++)
        ilki_format_done_with(l->src->weights, job->weights[p]);
    return s;
}

static ilk_status take_packed(const ilki_loader *l, const ilki_pack_job *job, ilk_error *err)
{
    const ilki_tensor *const *biases = job->biases[0] ? job->biases : NULL;
    const ilki_pack *pack = job->ready;
    ilk_status s = ilki_tensor_packs_check(l->src->packs, pack, err);
    if (s == ILK_OK && job->table)
        s = ilki_tensor_packs_check(l->src->packs, job->ready_scales, err);
    if (s != ILK_OK)
        return s;
    if (job->table) {
        job->table->data = pack->data;
        job->table->row_scales = job->ready_scales->data;
        return ILK_OK;
    }
    ilki_packing how = {.form = job->form,
                        .room = (void *)(uintptr_t)pack->data,
                        .ready = true,
                        .n_exact = pack->n_exact,
                        .exact = pack->exact};
    return ilki_tensor_linear_init_at(job->to, &how, l->src->ops, job->weights, biases, job->n_parts, err);
}

/* Of a table that is read where it lies. */
static bool is_plain(const ilki_pack_job *job)
{
    return !job->to && !job->table;
}

static void pack_one(void *arg, size_t i, unsigned slot)
{
    ilki_loader *l = arg;
    const ilki_pack_job *job = &l->jobs[i];
    ilk_error err;
    ilk_error_init(&err);
    (void)slot;
    if (is_plain(job))
        return;
    ilk_status s = l->ready     ? take_packed(l, job, &err)
                   : job->table ? ilki_models_code_table(l, job, &err)
                                : pack_linear(l, job, &err);
    if (s == ILK_OK)
        return;
    pthread_mutex_lock(&l->lock);
    if (i < l->failed) { /* the lowest, so that the message does not depend on the threads */
        l->failed = i;
        l->status = s;
        ilki_base_error_copy(l->err, &err);
    }
    pthread_mutex_unlock(&l->lock);
}

/* ---- all of them */

/* Zeroed by the system, so nothing is touched before a thread packs into it. */
static ilk_status alloc_block(ilki_loader *l, ilk_error *err)
{
    size_t n_bytes, slack = l->n_bytes < ILKI_HUGE_BYTES ? ILKI_ALIGN : ILKI_HUGE_BYTES;
    unsigned char *p = NULL;
    if (l->n_bytes == 0)
        return ILK_OK;
    if (ilki_base_add(l->n_bytes, slack, &n_bytes))
        p = ilki_base_arena_alloc(l->to->arena, n_bytes, 1);
    if (!p)
        return ilki_base_fail_memory(err, l->n_bytes, "packed weights");
    ilki_base_advise_huge(p, n_bytes);
    l->block = p + (slack - (uintptr_t)p % slack) % slack;
    return ILK_OK;
}

static ilk_status pack_all(ilki_loader *l, ilk_error *err)
{
    ilk_error first;
    ilk_error_init(&first);
    l->failed = l->n_jobs;
    l->err = &first;
    ilki_run run = {.fn = pack_one, .arg = l, .n_tasks = l->n_jobs, .job = l->src->job};
    ilk_status s = ilki_base_pool_run(l->src->pool, &run, err);
    if (s == ILK_OK && l->failed < l->n_jobs) {
        s = l->status;
        if (err)
            ilki_base_error_copy(err, &first);
    }
    return s;
}

/* ---- packed weights on disk */

/* What a job makes: of a linear its packed form, of a table codes and scales, or that it has none. */
static unsigned describe_packs(const ilki_loader *l, const ilki_pack_job *job, ilki_pack to[2])
{
    if (is_plain(job)) {
        to[0] = (ilki_pack){
            .kind = ILKI_PACK_PLAIN, .n_out = job->weights[0]->shape[0], .n_in = job->weights[0]->shape[1]};
        return 1;
    }
    if (job->table) {
        uint64_t rows = job->table->shape[0], cols = job->table->shape[1];
        to[0] = (ilki_pack){.kind = ILKI_PACK_CODES, .n_out = rows, .n_in = cols, .n_bytes = rows * cols};
        to[1] = (ilki_pack){.kind = ILKI_PACK_SCALES, .n_out = rows, .n_in = 1, .n_bytes = rows * sizeof(float)};
        to[0].data = job->codes;
        to[1].data = job->scales;
        return 2;
    }
    size_t n_bytes = 0;
    to[0] = (ilki_pack){.kind = ILKI_PACK_LINEAR, .form = job->form, .linear = job->to};
    for (size_t i = 0; i < job->n_parts; i++)
        to[0].n_out += job->weights[i]->shape[0];
    to[0].n_in = job->weights[0]->shape[1];
    if (ilki_tensor_packed_bytes(l->src->ops, job->form, (size_t)to[0].n_out, (size_t)to[0].n_in, &n_bytes))
        to[0].n_bytes = n_bytes; /* what was checked when the block was measured */
    to[0].data = l->block ? l->block + job->at : NULL;
    return 1;
}

ilk_status ilki_models_find_packs(ilki_loader *l, ilki_pack_job *job, ilk_error *err)
{
    ilki_pack wanted[2];
    if (!l->ready)
        return ILK_OK;
    unsigned n = describe_packs(l, job, wanted);
    ilk_status s = ilki_tensor_packs_next(l->src->packs, &wanted[0], &job->ready, err);
    if (s == ILK_OK && n > 1)
        s = ilki_tensor_packs_next(l->src->packs, &wanted[1], &job->ready_scales, err);
    return s;
}

static ilk_status add_packs(const ilki_loader *l, ilk_error *err)
{
    ilk_status s = ILK_OK;
    for (size_t i = 0; i < l->n_jobs && s == ILK_OK; i++) {
        ilki_pack made[2];
        unsigned n = describe_packs(l, &l->jobs[i], made);
        for (unsigned k = 0; k < n && s == ILK_OK; k++)
            s = ilki_tensor_packs_add(l->src->packs, &made[k], err);
    }
    return s;
}

ilk_status ilki_models_pack(ilki_loader *l, ilk_error *err)
{
    ilk_status s = l->ready ? ILK_OK : alloc_block(l, err);
    if (s == ILK_OK)
        s = pack_all(l, err);
    if (s == ILK_OK && l->src->packs && !l->ready)
        s = add_packs(l, err);
    return s;
}
