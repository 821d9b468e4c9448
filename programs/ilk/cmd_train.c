/* SPDX-License-Identifier: Apache-2.0
 * ilk train projection: joins two models' spaces by a linear projection, kept only where it is worth something. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/choose.h"
#include "commands.h"

static const cli_flag flags[] = {
    {"from", 0, CLI_MODEL, "MODEL", "the model that the projection is to stand behind", 0, 0},
    {"into", 0, CLI_MODEL, "MODEL", "the model into whose space it leads", 0, 0},
    {"output", 'o', CLI_FILE, "DIR", "where the Dense folder goes; new or empty", 0, 0},
    {"side", 0, CLI_CHOICE, "pictures|captions",
     "what --from embeds (default: pictures, where it sees them and --into reads texts)", 0, 0},
    {"method", 0, CLI_CHOICE, "ridge|procrustes", "(default: whichever finds more of the pairs set aside to choose by)",
     0, 0},
    {"seed", 0, CLI_COUNT, "N", "which pairs are held out (default: 0)", 0, UINT32_MAX},
    {"no-mmap", 0, CLI_SWITCH, NULL, "read the weights instead of mapping them", 0, 0},
    {"strict", 0, CLI_SWITCH, NULL,
     "a file or line that is not what it should be is fatal (default: named and passed over)", 0, 0},
    {"json", 0, CLI_SWITCH, NULL, "print one JSON document", 0, 0},
    {0},
};

static void tell(void *user, const char *message)
{
    cli_warn(user, "%s", message);
}

static const char *const rows[] = {"fit", "none", "shuffled"};

static void put_json(cli *c, const ilk_train_result *r)
{
    const double *const values[] = {r->fit, r->none, r->shuffled};
    ilki_buf b;
    ilki_jsonw w;
    ilki_base_buf_init(&b, (size_t)1 << 20);
    ilki_base_jsonw_init(&w, &b);
    ilki_base_jsonw_open(&w, '{');
    cli_json_bool(&w, "kept", r->kept);
    if (r->kept)
        cli_json_string(&w, "folder", cli_text(c, "output"));
    cli_json_string(&w, "method", r->method);
    cli_json_number(&w, "lambda", r->lambda);
    cli_json_uint(&w, "pairs", r->n_pairs);
    cli_json_uint(&w, "groups", r->n_groups);
    cli_json_uint(&w, "passed_over", r->n_junk);
    cli_json_uint(&w, "held_out_pictures", r->n_test_pictures);
    cli_json_uint(&w, "held_out_texts", r->n_test_texts);
    for (size_t i = 0; i < 3; i++) {
        ilki_base_jsonw_key(&w, rows[i]);
        ilki_base_jsonw_open(&w, '{');
        cli_json_number(&w, "text_to_image_r@5", values[i][0]);
        cli_json_number(&w, "image_to_text_r@5", values[i][1]);
        ilki_base_jsonw_close(&w, '}');
    }
    cli_json_number(&w, "margin", r->margin);
    cli_json_number(&w, "seconds", r->seconds);
    ilki_base_jsonw_close(&w, '}');
    cli_put_json(c, &b);
}

static void put_fields(cli *c, const ilk_train_result *r)
{
    const double *const values[] = {r->fit, r->none, r->shuffled};
    cli_field(c, "pairs", "%llu in %llu groups", (unsigned long long)r->n_pairs, (unsigned long long)r->n_groups);
    cli_field(c, "passed_over", "%llu", (unsigned long long)r->n_junk);
    cli_field(c, "held_out", "%llu pictures, %llu captions", (unsigned long long)r->n_test_pictures,
              (unsigned long long)r->n_test_texts);
    if (r->lambda > 0)
        cli_field(c, "method", "%s, lambda %g", r->method, r->lambda);
    else
        cli_field(c, "method", "%s", r->method);
    for (size_t i = 0; i < 3; i++) {
        char key[48];
        snprintf(key, sizeof key, "recall@5_%s", rows[i]);
        cli_field(c, key, "%.4f captions to pictures, %.4f back", values[i][0], values[i][1]);
    }
    cli_field(c, "margin", "%.4f", r->margin);
    if (r->kept)
        cli_field(c, "kept", "%s", cli_text(c, "output"));
    else
        cli_field(c, "kept", "nothing");
    cli_field(c, "seconds", "%.1f", r->seconds);
}

static int train(cli *c, ilk_model *from, ilk_model *into)
{
    ilk_train_options o;
    ilk_train_result r;
    ilk_train_options_init(&o);
    ilk_train_result_init(&r);
    o.method = cli_text(c, "method");
    o.side = cli_text(c, "side");
    o.seed = cli_count(c, "seed", 0);
    o.strict = cli_on(c, "strict");
    o.note = tell;
    o.user = c;
    ilk_status st = ilk_train_projection(from, into, c->operands[1], cli_text(c, "output"), &o, c->job, &r, &c->err);
    cli_progress_erase(c);
    if (st != ILK_OK)
        return cli_fail_err(c);
    if (cli_on(c, "json"))
        put_json(c, &r);
    else
        put_fields(c, &r);
    if (!r.kept)
        cli_note(c, "nothing kept: on pairs that were held out the fit finds no more than %s, beyond chance",
                 r.none[0] > r.shuffled[0] ? "the vectors do without it" : "a fit on shuffled pairs");
    return r.kept ? CLI_FOUND : CLI_NOTHING;
}

static int run(cli *c)
{
    static const char *const needed[] = {"from", "into", "output"};
    ilk_model *from = NULL, *into = NULL;
    if (strcmp(c->operands[0], "projection") != 0)
        return cli_usage(c, "expected \"projection PAIRS\", found \"%s\"", c->operands[0]);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!cli_given(c, needed[i]))
            return cli_usage(c, "train projection: --%s is needed", needed[i]);
    cli_config_read_user(c);
    int status = CLI_FAILED;
    if (cli_open_reference(c, cli_text(c, "from"), &from) && cli_open_reference(c, cli_text(c, "into"), &into))
        status = train(c, from, into);
    ilk_model_close(into);
    ilk_model_close(from);
    return status;
}

const cli_command cli_cmd_train = {
    "train",
    "join two models' spaces by a projection",
    "projection PAIRS",
    CLI_FILE,
    2,
    2,
    "ilk train projection a.jsonl --from ORG/CLIP --into bge-m3 -o joined\tpictures beside texts\n"
    "ilk index photos -m ORG/CLIP --projection joined\tand pictures answer bge-m3\n"
    "ilk search --store photos/.ilk -m bge-m3 \"a red bicycle\"\tlike this\n"
    "ilk train projection photos --from bge-m3 --into ORG/CLIP -o other\tthe other side\n",
    "PAIRS is pictures with captions, in the layouts of \"ilk eval retrieval\": captions.jsonl, .csv, .tsv, or a folder with a "
    ".txt beside each picture. Both models stay as they are; a ridge or a rotation (Procrustes) is fitted between their unit "
    "vectors, in f32.\n\n"
    "A fifth of the pairs is held out, a fifth chooses the method; pictures and captions that share something lie on one side of "
    "that cut. The projection is kept only where its Recall@5 on the pairs held out is above both no fit and a fit on shuffled "
    "pairs, by more than twice the standard error; the figures are printed either way. DIR is then a Dense module as "
    "sentence-transformers reads it, with ilk.json beside it, which says whose vectors it takes and into whose space it "
    "leads.\n\n"
    "Exit status 1: nothing was kept.",
    (const cli_flag *const[]){flags, NULL},
    run,
};
