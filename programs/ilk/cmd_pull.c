/* SPDX-License-Identifier: Apache-2.0
 * ilk pull: models of the hub into the Hugging Face cache. What a model is, is said before anything is fetched; on standard
 * output stands where it is, or with --dry-run and --json what it is made of. */
#include <stdio.h>
#include <string.h>

#include "cli/choose.h"
#include "commands.h"

static const cli_flag flags[] = {
    {"revision", 0, CLI_TEXT, "REV", "a branch, a tag or a commit instead of main", 0, 0},
    {"yes", 'y', CLI_SWITCH, NULL, "do not ask", 0, 0},
    {"dry-run", 'n', CLI_SWITCH, NULL, "only say which files would be fetched", 0, 0},
    {"json", 0, CLI_SWITCH, NULL, "print one JSON document", 0, 0},
    {0},
};

static void put_model(ilki_jsonw *w, const ilk_pull *p, const ilk_pull_info *i)
{
    ilk_pull_file f;
    ilk_pull_file_init(&f);
    ilki_base_jsonw_open(w, '{');
    cli_json_string(w, "id", i->id);
    cli_json_string(w, "revision", i->revision);
    cli_json_string(w, "commit", i->commit);
    cli_json_string(w, "endpoint", i->endpoint);
    cli_json_string(w, "path", i->path);
    cli_json_string(w, "licence", i->licence);
    cli_json_string(w, "languages", i->languages);
    ilki_base_jsonw_key(w, "gated");
    ilki_base_jsonw_bool(w, i->gated != 0);
    cli_json_uint(w, "bytes", i->n_bytes);
    cli_json_uint(w, "present_bytes", i->n_present_bytes);
    ilki_base_jsonw_key(w, "files");
    ilki_base_jsonw_open(w, '[');
    for (size_t k = 0; ilk_pull_get_file(p, k, &f, NULL) == ILK_OK; k++) {
        ilki_base_jsonw_open(w, '{');
        cli_json_string(w, "path", f.path);
        cli_json_uint(w, "bytes", f.n_bytes);
        cli_json_uint(w, "present_bytes", f.n_present_bytes);
        ilki_base_jsonw_close(w, '}');
    }
    ilki_base_jsonw_close(w, ']');
    ilki_base_jsonw_close(w, '}');
}

/* "91.6 MB"; what is small is told as it is. */
static const char *megabytes(char *to, size_t n, uint64_t bytes)
{
    if (bytes < 100000)
        snprintf(to, n, "%llu bytes", (unsigned long long)bytes);
    else
        snprintf(to, n, "%.1f MB", (double)bytes * 1e-6);
    return to;
}

/* The strings are the hub's: a message escapes what could steer a terminal. */
static void describe(cli *c, const ilk_pull_info *i)
{
    char all[32], left[32];
    cli_note(c, "%s (%s, commit %.12s): %llu files, %s; licence: %s; languages: %s%s", i->id, i->revision, i->commit,
             (unsigned long long)i->n_files, megabytes(all, sizeof all, i->n_bytes),
             i->licence ? i->licence : "not stated", i->languages ? i->languages : "not stated",
             i->gated ? "; gated by its owner" : "");
    if (i->n_present_bytes < i->n_bytes)
        cli_note(c, "%s to be fetched from %s", megabytes(left, sizeof left, i->n_bytes - i->n_present_bytes),
                 i->endpoint);
    else
        cli_note(c, "all of it is in the cache");
}

static void put_files(cli *c, const ilk_pull *p)
{
    ilk_pull_file f;
    ilki_buf b;
    ilk_pull_file_init(&f);
    ilki_base_buf_init(&b, 1 << 20);
    for (size_t k = 0; ilk_pull_get_file(p, k, &f, NULL) == ILK_OK; k++) {
        const char *state = f.whole ? "present" : f.n_present_bytes ? "begun" : "to fetch";
        ilki_base_buf_reset(&b);
        if (c->out.out_terminal)
            cli_escape(&b, f.path, strlen(f.path), "");
        else
            cli_escape_tsv(&b, f.path, strlen(f.path));
        cli_putf(c, c->out.out_terminal ? "%12llu  %-8s  %s\n" : "%llu\t%s\t%s\n", (unsigned long long)f.n_bytes, state,
                 ilki_base_buf_view(&b));
    }
    ilki_base_buf_deinit(&b);
}

/* Without a terminal nobody can be asked, and the command has been given. */
static bool is_wanted(cli *c, const ilk_pull_info *i)
{
    char question[64], left[32];
    if (cli_on(c, "yes") || i->n_present_bytes == i->n_bytes || !c->out.err_terminal)
        return true;
    snprintf(question, sizeof question, "Fetch %s?", megabytes(left, sizeof left, i->n_bytes - i->n_present_bytes));
    return cli_ask(c, true, question);
}

static int pull(cli *c, const char *id, ilki_jsonw *w)
{
    ilk_pull_options o;
    ilk_pull_info i;
    ilk_pull *p = NULL;
    int status = CLI_FAILED;
    bool dry = cli_on(c, "dry-run");
    ilk_pull_options_init(&o);
    ilk_pull_info_init(&i);
    ilk_error_init(&c->err);
    o.revision = cli_text(c, "revision");
    if (ilk_pull_open(&p, c->rt, id, &o, c->job, &c->err) != ILK_OK || ilk_pull_get_info(p, &i, &c->err) != ILK_OK)
        goto done;
    describe(c, &i);
    if (!dry && !is_wanted(c, &i)) {
        status = CLI_NOTHING;
        goto done;
    }
    if (!dry && ilk_pull_run(p, c->job, &c->err) != ILK_OK)
        goto done;
    status = CLI_FOUND;
    ilk_pull_get_info(p, &i, NULL);
    ilk_calibration k;
    if (!dry)
        cli_calibrate(c, i.path, &k);
    if (w)
        put_model(w, p, &i);
    else if (dry)
        put_files(c, p);
    else
        cli_putf(c, "%s\n", i.path);
done:
    if (status == CLI_FAILED)
        cli_fail_err(c);
    if (status == CLI_FAILED && c->err.status == ILK_NOT_FOUND)
        cli_suggest_model(c, id);
    ilk_pull_close(p);
    return status;
}

static int run(cli *c)
{
    ilki_buf b;
    ilki_jsonw w;
    int worst = CLI_FOUND;
    bool json = cli_on(c, "json");
    cli_config_read_user(c);
    if (!cli_open_runtime(c))
        return CLI_FAILED;
    ilki_base_buf_init(&b, 1 << 28);
    ilki_base_jsonw_init(&w, &b);
    if (json)
        ilki_base_jsonw_open(&w, '[');
    for (size_t i = 0; i < c->n_operands && !cli_signal_caught() && cli_out_ok(c); i++) {
        int status = pull(c, c->operands[i], json ? &w : NULL);
        worst = status > worst ? status : worst;
    }
    if (json) {
        ilki_base_jsonw_close(&w, ']');
        cli_put_json(c, &b);
    }
    ilki_base_buf_deinit(&b);
    return worst;
}

const cli_command cli_cmd_pull = {
    "pull",
    "fetch models into the Hugging Face cache",
    "MODEL...",
    CLI_MODEL,
    1,
    256,
    "ilk pull minilm\tby a short name; ilk models --known lists them\n"
    "ilk pull ORG/NAME@REVISION\tby its id at the hub\n"
    "ilk pull --dry-run ORG/NAME\twhich files, how many bytes, which licence\n",
    "Only files that ilk reads are fetched: configuration, tokenizer, modules, and the weights in one form. Each is checked "
    "against the hub's checksum. A fetch that was interrupted goes on where it ended; a model shows when it is whole. Other "
    "programs find it in the same cache, and what they have fetched is not fetched again. Then it is measured, once on a machine, "
    "which precision --precision auto takes for the model.\n\n"
    "HF_ENDPOINT names another hub, HF_TOKEN (or hf auth login) opens what is gated or private. On standard output stands "
    "the directory of each model.",
    (const cli_flag *const[]){flags, NULL},
    run,
};
