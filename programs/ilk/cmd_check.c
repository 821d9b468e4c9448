/* SPDX-License-Identifier: Apache-2.0
 * ilk check: reads all of a store and compares it. */
#include "cli/choose.h"
#include "commands.h"

static const cli_flag flags[] = {
    {"repair", 0, CLI_SWITCH, NULL, "make again what is derived and wrong", 0, 0},
    {"json", 0, CLI_SWITCH, NULL, "print one JSON document", 0, 0},
    {0},
};

typedef struct findings {
    cli *c;
    ilki_buf b;
    ilki_jsonw w;
    bool json;
    uint64_t n, n_repaired;
} findings;

static void on_finding(void *user, const char *object, const char *finding, int repaired)
{
    findings *f = user;
    f->n++;
    f->n_repaired += repaired != 0;
    if (!f->json) {
        cli_field(f->c, repaired ? "repaired" : "wrong", "%s: %s", object, finding);
        return;
    }
    ilki_base_jsonw_open(&f->w, '{');
    ilki_base_jsonw_key(&f->w, "object");
    ilki_base_jsonw_cstring(&f->w, object);
    ilki_base_jsonw_key(&f->w, "finding");
    ilki_base_jsonw_cstring(&f->w, finding);
    ilki_base_jsonw_key(&f->w, "repaired");
    ilki_base_jsonw_bool(&f->w, repaired != 0);
    ilki_base_jsonw_close(&f->w, '}');
}

static int report(findings *f, ilk_status st)
{
    cli *c = f->c;
    bool sound = st == ILK_OK && f->n == f->n_repaired;
    if (f->json) {
        ilki_base_jsonw_close(&f->w, ']');
        ilki_base_jsonw_key(&f->w, "sound");
        ilki_base_jsonw_bool(&f->w, sound);
        ilki_base_jsonw_close(&f->w, '}');
        cli_put_json(c, &f->b);
    }
    if (st != ILK_OK)
        return cli_fail_err(c);
    if (!sound)
        return cli_fail(c, "%llu findings; ilk check --repair makes again what is derived",
                        (unsigned long long)(f->n - f->n_repaired));
    cli_note(c, f->n ? "repaired: %llu findings" : "sound", (unsigned long long)f->n);
    return CLI_FOUND;
}

static int run(cli *c)
{
    cli_place p;
    ilk_store *s = NULL;
    findings f = {.c = c, .json = cli_on(c, "json")};
    bool repair = cli_on(c, "repair");
    int status = CLI_FAILED;
    cli_config_read_user(c);
    if (!cli_place_find(c, c->n_operands ? c->operands[0] : "", &p))
        return CLI_FAILED;
    if (cli_store_need(c, &p, repair ? CLI_OPEN_REPAIR : CLI_OPEN_READ, &s)) {
        ilki_base_buf_init(&f.b, (size_t)1 << 30);
        ilki_base_jsonw_init(&f.w, &f.b);
        if (f.json) {
            ilki_base_jsonw_open(&f.w, '{');
            ilki_base_jsonw_key(&f.w, "findings");
            ilki_base_jsonw_open(&f.w, '[');
        }
        status = report(&f, ilk_store_check(s, repair, on_finding, &f, c->job, &c->err));
        ilki_base_buf_deinit(&f.b);
    }
    ilk_store_close(s);
    cli_place_free(&p);
    return status;
}

const cli_command cli_cmd_check = {
    "check",
    "read all of a store and compare it with its checksums and with itself",
    "[DIR]",
    CLI_DIR,
    0,
    1,
    "ilk check\tis the store of this folder sound?\n"
    "ilk check --repair\tmake again what is derived and wrong\n",
    "What is wrong is printed, one finding a line, and the exit status is 2. With --repair a manifest that is missing or "
    "damaged is made again from the log files, and tables and codes from the log; that the last log "
    "file is lost with the manifest may not be noticed, so the one taken for the last is named. Damage in the log itself cannot be "
    "repaired: index the folder again into a new store.",
    (const cli_flag *const[]){flags, cli_store_flags, NULL},
    run,
};
