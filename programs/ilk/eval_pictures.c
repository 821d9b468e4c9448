/* SPDX-License-Identifier: Apache-2.0
 * ilk eval zeroshot, and ilk eval retrieval over pictures with captions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vfs.h"
#include "evaluation.h"

static void put_cell(cli *c, const char *s)
{
    ilki_buf b;
    ilki_base_buf_init(&b, 65536);
    if (c->out.out_terminal)
        cli_escape(&b, s, strlen(s), "");
    else
        cli_escape_tsv(&b, s, strlen(s));
    cli_put(c, ilki_base_buf_view(&b), b.len);
    ilki_base_buf_deinit(&b);
}

/* ------------------------------------------------------------------ zero-shot classification */

static void put_class(void *user, const ilk_zeroshot_class *k)
{
    evaluation *e = user;
    cli *c = e->c;
    if (cli_on(c, "json")) {
        ilki_base_jsonw_open(&e->w, '{');
        cli_json_string(&e->w, "class", k->id);
        cli_json_string(&e->w, "name", k->name);
        cli_json_uint(&e->w, "pictures", k->n_pictures);
        cli_json_uint(&e->w, "top1", k->n_top1);
        cli_json_uint(&e->w, "top5", k->n_top5);
        ilki_base_jsonw_close(&e->w, '}');
        return;
    }
    cli_progress_erase(c);
    cli_putf(c, "class\t");
    put_cell(c, k->id);
    cli_putf(c, "\tpictures\t%llu\ttop1\t%llu\ttop5\t%llu\n", (unsigned long long)k->n_pictures,
             (unsigned long long)k->n_top1, (unsigned long long)k->n_top5);
}

int evaluation_run_zeroshot(evaluation *e)
{
    cli *c = e->c;
    ilk_zeroshot_options o;
    ilk_zeroshot_result r;
    bool classes = cli_on(c, "per-class"), json = cli_on(c, "json");
    ilk_zeroshot_options_init(&o);
    ilk_zeroshot_result_init(&r);
    if (cli_given(c, "prompts"))
        o.prompts = (uint32_t)strtoul(cli_text(c, "prompts"), NULL, 10);
    o.templates = cli_text(c, "templates");
    o.classnames = cli_text(c, "classnames");
    o.strict = cli_on(c, "strict");
    o.note = evaluation_tell;
    o.each = classes ? put_class : NULL;
    o.user = e;
    evaluation_begin(e);
    if (json && classes) {
        ilki_base_jsonw_key(&e->w, "per_class");
        ilki_base_jsonw_open(&e->w, '[');
    }
    ilk_status st = ilk_eval_zeroshot(e->m, c->operands[1], &o, c->job, &r, &c->err);
    cli_progress_erase(c);
    if (json && classes)
        ilki_base_jsonw_close(&e->w, ']');
    if (st == ILK_OK)
        st = evaluation_put_model(e);
    if (st != ILK_OK)
        return evaluation_drop(e);
    evaluation_put_count(e, "pictures", r.n_pictures);
    evaluation_put_count(e, "classes", r.n_classes);
    evaluation_put_count(e, "prompts", r.n_prompts);
    evaluation_put_count(e, "passed_over", r.n_junk);
    evaluation_put_number(e, "top1", r.top1);
    evaluation_put_number(e, "top5", r.top5);
    evaluation_put_number(e, "mean_per_class", r.mean_per_class);
    evaluation_put_number(e, "seconds", r.seconds);
    evaluation_end(e);
    return CLI_FOUND;
}

/* ------------------------------------------------------------------ captions */

static const int cuts[ILK_CAPTION_CUTS] = {1, 5, 10};

/* "text_to_image_r@1" and the like, five decimal places shorter on a line of one's own. */
static void put_scores(evaluation *e, const ilk_captions_scores *s)
{
    char key[40];
    evaluation_put_count(e, "pictures", s->n_pictures);
    evaluation_put_count(e, "texts", s->n_texts);
    for (int way = 0; way < 2; way++)
        for (size_t i = 0; i < ILK_CAPTION_CUTS; i++) {
            snprintf(key, sizeof key, "%s_r@%d", way ? "image_to_text" : "text_to_image", cuts[i]);
            evaluation_put_number(e, key, (way ? s->image_to_text : s->text_to_image)[i]);
        }
}

static void put_language(void *user, const ilk_captions_scores *s)
{
    evaluation *e = user;
    cli *c = e->c;
    if (cli_on(c, "json")) {
        ilki_base_jsonw_open(&e->w, '{');
        cli_json_string(&e->w, "language", s->language);
        put_scores(e, s);
        ilki_base_jsonw_close(&e->w, '}');
        return;
    }
    cli_progress_erase(c);
    cli_putf(c, "language\t");
    put_cell(c, s->language);
    cli_putf(c, "\tpictures\t%llu\ttexts\t%llu\ttext_to_image\t%.4f\t%.4f\t%.4f\timage_to_text\t%.4f\t%.4f\t%.4f\n",
             (unsigned long long)s->n_pictures, (unsigned long long)s->n_texts, s->text_to_image[0],
             s->text_to_image[1], s->text_to_image[2], s->image_to_text[0], s->image_to_text[1], s->image_to_text[2]);
}

int evaluation_run_captions(evaluation *e)
{
    cli *c = e->c;
    ilk_captions_options o;
    ilk_captions_result r;
    bool by = cli_text(c, "by") != NULL, json = cli_on(c, "json");
    ilk_captions_options_init(&o);
    ilk_captions_result_init(&r);
    o.prompt = cli_text(c, "query-prompt");
    o.strict = cli_on(c, "strict");
    o.note = evaluation_tell;
    o.each = by ? put_language : NULL;
    o.user = e;
    evaluation_begin(e);
    if (json && by) {
        ilki_base_jsonw_key(&e->w, "by_language");
        ilki_base_jsonw_open(&e->w, '[');
    }
    ilk_status st = ilk_eval_captions(e->m, c->operands[1], &o, c->job, &r, &c->err);
    cli_progress_erase(c);
    if (json && by)
        ilki_base_jsonw_close(&e->w, ']');
    if (st == ILK_OK)
        st = evaluation_put_model(e);
    if (st != ILK_OK)
        return evaluation_drop(e);
    evaluation_put_count(e, "captions", r.n_captions);
    evaluation_put_count(e, "passed_over", r.n_junk);
    put_scores(e, &r.all);
    evaluation_put_number(e, "seconds", r.seconds);
    evaluation_end(e);
    return CLI_FOUND;
}

static bool see_entry(void *user, const char *name, ilki_file_type type)
{
    (void)type;
    *(bool *)user |= name[0] != '.';
    return name[0] == '.';
}

bool evaluation_is_captions(const char *place)
{
    static const char *const beir[] = {"corpus.jsonl", "queries.jsonl", "qrels"};
    const ilki_vfs *vfs = &ilki_base_vfs_posix;
    ilki_stat info;
    if (vfs->stat(vfs, place, true, &info, NULL) != ILK_OK)
        return false;
    if (info.type != ILKI_FILE_DIR)
        return true;
    for (size_t i = 0; i < sizeof beir / sizeof *beir; i++) {
        char *path = ilki_base_path_join(place, beir[i]);
        bool there = path && vfs->stat(vfs, path, true, &info, NULL) == ILK_OK;
        free(path);
        if (there)
            return false;
    }
    bool any = false; /* of an empty folder nothing is known: what a data set lacks is said better */
    return vfs->list(vfs, place, see_entry, &any, NULL) == ILK_OK && any;
}
