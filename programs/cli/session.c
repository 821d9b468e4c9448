/* SPDX-License-Identifier: Apache-2.0
 * What a command works with: one runtime, one job that signals cancel, a model. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

static void log_message(void *user, ilk_log_level level, const char *message)
{
    cli *c = user;
    if (level <= ILK_LOG_WARN)
        cli_warn(c, "%s", message);
    else
        cli_note(c, "%s", message);
}

int cli_fail_err(cli *c)
{
    if (c->err.status == ILK_CANCELLED && (cli_signal_caught() || c->out.closed))
        return CLI_FAILED; /* main turns it into the signal's status */
    return cli_fail(c, "%s", c->err.message[0] ? c->err.message : ilk_status_string(c->err.status));
}

bool cli_open_runtime(cli *c)
{
    ilk_runtime_options o;
    ilk_job_options j;
    uint64_t threads = 0;
    if (c->rt)
        return true;
    if (!cli_setting_count(c, "threads", 1, 1024, &threads))
        return false;
    ilk_runtime_options_init(&o);
    o.n_threads = (unsigned)threads;
    o.cpu = cli_setting_text(c, "cpu", NULL);
    o.log = log_message;
    o.log_user = c;
    o.log_level = c->verbose ? ILK_LOG_INFO : ILK_LOG_WARN;
    if (ilk_runtime_open(&c->rt, &o, &c->err) != ILK_OK) {
        cli_fail_err(c);
        return false;
    }
    ilk_job_options_init(&j);
    j.progress = cli_progress_tick;
    j.progress_user = c;
    c->job = ilk_job_new(&j);
    if (!c->job) {
        cli_fail(c, "out of memory for a job");
        return false;
    }
    cli_signals_watch(c->job);
    return true;
}

void cli_close(cli *c)
{
    cli_signals_watch(NULL);
    ilk_job_free(c->job);
    ilk_runtime_close(c->rt);
    c->job = NULL;
    c->rt = NULL;
    for (size_t i = 0; i < c->n_settings; i++) {
        free(c->settings[i].key);
        free(c->settings[i].value);
    }
    free(c->settings);
    free(c->user_config);
    free(c->folder_config);
    free(c->operands);
    ilki_base_buf_deinit(&c->out.buf);
}
