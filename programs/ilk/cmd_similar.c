/* SPDX-License-Identifier: Apache-2.0
 * ilk similar: what is like a file that is in the store. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "show_hits.h"

static int run(cli *c)
{
    cli_place p;
    ilk_query q;
    ilk_store *s = NULL;
    ilk_hits *h = NULL;
    int status = CLI_FAILED;
    if (!cli_hits_one_form(c))
        return CLI_FAILED;
    cli_config_read_user(c);
    /* an id is no file: then the store of this folder is meant */
    char *file = realpath(c->operands[0], NULL);
    if (!cli_place_find(c, file ? file : "", &p)) {
        free(file);
        return CLI_FAILED;
    }
    if (cli_store_need(c, &p, CLI_OPEN_READ, &s)) {
        char *name = file ? cli_place_name(&p, file) : NULL;
        cli_hits_query(c, &q);
        if (ilk_similar(s, name ? name : c->operands[0], &q, c->job, &h, &c->err) == ILK_OK)
            status = cli_hits_show(c, &p, h, NULL, NULL);
        else
            cli_fail_err(c);
        free(name);
    }
    free(file);
    ilk_hits_free(h);
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
    "ilk similar -l -k 30 notes/plan.md\tthe files they are in\n",
    "FILE is one that was indexed, or the id of an item. Its own passages are left out. No model is needed.",
    (const cli_flag *const[]){cli_hit_flags, cli_record_flags, cli_store_flags, NULL},
    run,
};
