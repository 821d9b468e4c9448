/* SPDX-License-Identifier: Apache-2.0
 * ilk similar: what is like a file. One that is in the store asks with what is kept of it; another is embedded first, by the
 * model of one of the store's spaces: a picture as it is, a document as the mean of its passages. */
#include <stdlib.h>
#include <string.h>

#include "base/vfs.h"
#include "cli/whole_file.h"
#include "commands.h"
#include "show_hits.h"

static const cli_flag flags[] = {
    {"space", 0, CLI_TEXT, "NAME", "compare in this space of the store (default: the first that has the file)", 0, 0},
    {0},
};

enum { BATCH = 256 };

/* ------------------------------------------------------------------ a file that is not in the store */

/* The parts of a file: one picture, or the passages of a document, which stays open. NULL: a message has been printed. */
static ilk_part *parts_of(cli *c, ilk_model *m, const char *file, bool picture, ilk_document **d, size_t *n)
{
    ilk_document_info info;
    ilk_passage p;
    ilk_document_info_init(&info);
    ilk_passage_init(&p);
    *n = 1;
    if (!picture && (ilk_document_open(d, c->rt, m, file, NULL, c->job, &c->err) != ILK_OK ||
                     ilk_document_get_info(*d, &info, &c->err) != ILK_OK)) {
        cli_fail_err(c);
        return NULL;
    }
    *n = picture ? 1 : info.n_passages;
    if (*n == 0) {
        cli_fail(c, "%s: no text in it", file);
        return NULL;
    }
    ilk_part *parts = ilki_base_zalloc(*n, sizeof *parts);
    for (size_t i = 0; parts && i < *n; i++) {
        ilk_part_init(&parts[i]);
        parts[i].kind = picture ? ILK_PART_PATH : ILK_PART_TEXT;
        parts[i].modality = picture ? ILK_IMAGE : ILK_TEXT;
        parts[i].data = file;
        if (!picture && ilk_document_get_passage(*d, i, &p, NULL) == ILK_OK) {
            parts[i].data = p.input;
            parts[i].n_bytes = p.n_input;
        }
    }
    return parts;
}

/* Adds the vectors of n parts to sum; how many there were. */
static ilk_status add_vectors(cli *c, ilk_model *m, const ilk_part *parts, size_t n, double *sum, size_t *n_added)
{
    ilk_input in[BATCH];
    ilk_vectors *v = NULL;
    const char *message = NULL;
    size_t dim = 0;
    memset(in, 0, sizeof in);
    for (size_t i = 0; i < n; i++) {
        ilk_input_init(&in[i]);
        in[i].parts = &parts[i];
        in[i].n_parts = 1;
        in[i].role = ILK_ROLE_DOCUMENT;
    }
    ilk_status st = ilk_embed(m, in, n, NULL, c->job, &v, &c->err);
    for (size_t i = 0; st == ILK_OK && i < n; i++) {
        const float *one = ilk_vectors_get_dense(v, i, &dim);
        for (size_t k = 0; one && k < dim; k++)
            sum[k] += (double)one[k];
        *n_added += one != NULL;
        if (!one && n == 1) {
            st = ilk_vectors_get_status(v, i, &message);
            ilki_base_fail(&c->err, st, "%s", message ? message : ilk_status_string(st));
        }
    }
    ilk_vectors_free(v);
    return st;
}

/* The file's vector, freed with free(); NULL: a message has been printed. */
static float *embed_file(cli *c, ilk_model *m, const char *file, bool picture, size_t dim)
{
    ilk_document *d = NULL;
    size_t n, n_added = 0;
    double *sum = ilki_base_zalloc(dim, sizeof *sum);
    float *vector = ilki_base_zalloc(dim, sizeof *vector);
    ilk_part *parts = sum && vector ? parts_of(c, m, file, picture, &d, &n) : NULL;
    ilk_status st = parts ? ILK_OK : ILK_NO_MEMORY;
    for (size_t i = 0; st == ILK_OK && i < n; i += BATCH)
        st = add_vectors(c, m, parts + i, n - i < BATCH ? n - i : BATCH, sum, &n_added);
    if (parts && st != ILK_OK)
        cli_fail_err(c);
    for (size_t k = 0; st == ILK_OK && k < dim; k++)
        vector[k] = (float)(sum[k] / (double)(n_added ? n_added : 1));
    free(parts);
    free(sum);
    ilk_document_close(d);
    if (st == ILK_OK)
        return vector;
    free(vector);
    return NULL;
}

/* The first model that reads the file, and the space it made. */
static ilk_model *reader_of(cli *c, ilk_store *s, const cli_models *m, ilk_modality modality, ilk_space *space)
{
    const char *hex, *name = cli_text(c, "space");
    ilk_model_info info;
    ilk_model_info_init(&info);
    for (size_t k = 0; k < m->n; k++) {
        if (ilk_model_get_info(m->list[k], &info, &c->err) != ILK_OK || !(info.modalities & 1U << modality) ||
            ilk_model_get_fingerprint(m->list[k], c->job, &hex, &c->err) != ILK_OK)
            continue;
        for (size_t i = 0; ilk_store_get_space(s, i, space, NULL) == ILK_OK; i++)
            if (space->fingerprint && strcmp(space->fingerprint, hex) == 0 && (!name || strcmp(space->name, name) == 0))
                return m->list[k];
    }
    cli_fail(
        c,
        "no space of the store was made by a model that reads %s; `ilk index -m MODEL` with one that does gives the store "
        "such a space, and -m says where a model is now",
        modality == ILK_IMAGE ? "pictures" : "texts");
    return NULL;
}

static ilk_status ask_with_file(cli *c, ilk_store *s, const char *file, ilk_query *q, ilk_hits **h)
{
    cli_models models;
    ilk_space space;
    bool picture = false;
    char *data = NULL;
    size_t n;
    ilk_space_init(&space);
    c->err.status = ILK_BAD_ARGUMENT;
    if (!cli_file_take(c, file, &picture, &data, &n))
        return ILK_BAD_ARGUMENT;
    free(data); /* it is read again, in passages or by the helper */
    if (!cli_choose_models(c, s, cli_text(c, "space"), &models))
        return ILK_BAD_ARGUMENT;
    ilk_status st = ILK_BAD_ARGUMENT;
    ilk_model *m = reader_of(c, s, &models, picture ? ILK_IMAGE : ILK_TEXT, &space);
    float *vector = m ? embed_file(c, m, file, picture, space.dim) : NULL;
    if (vector) {
        q->vector.space = space.name;
        q->vector.data = vector;
        q->vector.rows = 1;
        q->vector.dim = space.dim;
        st = ilk_store_search(s, q, 1, c->job, h, &c->err);
        if (st != ILK_OK)
            cli_fail_err(c);
    }
    free(vector);
    cli_close_models(&models);
    return st;
}

/* ------------------------------------------------------------------ the command */

static int similar(cli *c, const cli_place *p, ilk_store *s, const char *file)
{
    ilk_query q;
    ilk_hits *h = NULL;
    char *name = file ? cli_place_name(p, file) : NULL;
    cli_hits_query(c, &q);
    q.vector.space = cli_text(c, "space");
    ilk_status st = ilk_similar(s, name ? name : c->operands[0], &q, c->job, &h, &c->err);
    bool bare = st == ILK_NOT_FOUND && file && cli_store_is_bare(c, p, s);
    if (bare)
        st = ILK_OK;
    else if (st == ILK_NOT_FOUND && file)
        st = ask_with_file(c, s, c->operands[0], &q, &h);
    else if (st != ILK_OK)
        cli_fail_err(c);
    int status = st == ILK_OK ? cli_hits_show(c, p, s, h, NULL, NULL) : CLI_FAILED;
    free(name);
    ilk_hits_free(h);
    return status;
}

/* The store that is about the file's folder; where there is none, and for an id, that of the current one. */
static bool find_place(cli *c, const char *file, cli_place *p)
{
    if (!cli_place_find(c, file ? file : "", p))
        return false;
    if (!file || p->exists)
        return true;
    cli_place_free(p);
    return cli_place_find(c, "", p);
}

static int run(cli *c)
{
    cli_place p;
    ilk_store *s = NULL;
    ilki_stat st;
    int status = CLI_FAILED;
    if (!cli_hits_one_form(c))
        return CLI_FAILED;
    cli_config_read_user(c);
    char *file = realpath(c->operands[0], NULL);
    if (!find_place(c, file, &p)) {
        free(file);
        return CLI_FAILED;
    }
    bool is_file = file && ilki_base_vfs_posix.stat(&ilki_base_vfs_posix, file, true, &st, NULL) == ILK_OK &&
                   st.type == ILKI_FILE_REGULAR;
    if (cli_store_need(c, &p, CLI_OPEN_READ, &s))
        status = similar(c, &p, s, is_file ? file : NULL);
    free(file);
    ilk_store_close(s);
    cli_place_free(&p);
    return status;
}

const cli_command cli_cmd_similar = {
    "similar",
    "what else is like a file",
    "FILE",
    CLI_FILE,
    1,
    1,
    "ilk similar notes/plan.md\tthe ten passages nearest to it\n"
    "ilk similar cat.jpg\tpictures like this one\n"
    "ilk similar -l -k 30 notes/plan.md\tthe files they are in\n",
    "FILE is one that was indexed, or the id of an item: its own passages are left out, and no model is needed. Any other "
    "file is embedded first, by a model that the store was made with; the store is that of its folder, else that of this one, or --store. A "
    "picture asks with its vector, a text with the mean of its passages'.",
    (const cli_flag *const[]){flags, cli_hit_flags, cli_record_flags, cli_model_flags, cli_store_flags, NULL},
    run,
};
