/* SPDX-License-Identifier: Apache-2.0
 * ilk prune: removes what files that are gone have left in the store. */
#include <string.h>

#include "cli/choose.h"
#include "commands.h"

static const cli_flag flags[] = {
    {"dry-run", 'n', CLI_SWITCH, NULL, "only say what would be removed", 0, 0},
    {0},
};

static void on_event(void *user, const ilk_event *e)
{
    cli *c = user;
    ilki_buf b;
    if (e->kind == ILK_EVENT_FAILED)
        cli_warn(c, "%s: %s", e->path, e->reason ? e->reason : "could not be removed");
    if (e->kind != ILK_EVENT_REMOVED)
        return;
    ilki_base_buf_init(&b, 1 << 22);
    if (c->out.out_terminal)
        cli_escape(&b, e->path, strlen(e->path), "");
    else
        ilki_base_buf_adds(&b, e->path);
    ilki_base_buf_addc(&b, '\n');
    cli_put(c, ilki_base_buf_view(&b), b.len);
    ilki_base_buf_deinit(&b);
}

static int run(cli *c)
{
    cli_place p;
    ilk_store *s = NULL;
    ilk_ingest_result r;
    bool dry = cli_on(c, "dry-run");
    int status = CLI_FAILED;
    cli_config_read_user(c);
    if (!cli_place_find(c, c->n_operands ? c->operands[0] : "", &p))
        return CLI_FAILED;
    ilk_ingest_result_init(&r);
    if (cli_store_need(c, &p, dry ? CLI_OPEN_READ : CLI_OPEN_WRITE, &s)) {
        if (ilk_prune(s, dry, on_event, c, c->job, &r, &c->err) == ILK_OK) {
            cli_note(c, "%llu %s %s", (unsigned long long)r.n_removed, r.n_removed == 1 ? "file" : "files",
                     dry ? "would be removed" : "removed");
            status = CLI_FOUND;
        } else {
            cli_fail_err(c);
        }
    }
    ilk_store_close(s);
    cli_place_free(&p);
    return status;
}

const cli_command cli_cmd_prune = {
    "prune",
    "remove what files that are gone have left in the store",
    "[DIR]",
    CLI_DIR,
    0,
    1,
    "ilk prune --dry-run\twhat would be removed\n"
    "ilk prune\tremove it\n",
    "The paths are printed, one a line. `ilk index` does the same for the folders it reads.",
    (const cli_flag *const[]){flags, cli_store_flags, NULL},
    run,
};
