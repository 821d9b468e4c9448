/* SPDX-License-Identifier: Apache-2.0
 * One line on standard error, on a terminal only, after a second: count, rate, time left. It is redrawn ten times a
 * second at most, cut to the width of the terminal, and wiped before anything else is written. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"
#include "cli.h"

#define REDRAW_NS 100000000u
#define SMOOTH_S  5.0 /* the rate forgets what is older */

/* One per process: there is one terminal. */
static struct {
    uint64_t begun_ns, drawn_ns, rated_ns, rated_done;
    double rate;
    char stage[32];
} now;

void cli_progress_erase(cli *c)
{
    static const char wipe[] = "\r\033[K";
    if (c->out.progress_shown && write(2, wipe, sizeof wipe - 1) < 0)
        return;
    c->out.progress_shown = false;
}

static void add_seconds(ilki_buf *b, double s)
{
    if (s >= 3600)
        ilki_base_buf_addf(b, "%dh%02dm", (int)(s / 3600), (int)fmod(s / 60, 60));
    else if (s >= 60)
        ilki_base_buf_addf(b, "%dm%02ds", (int)(s / 60), (int)fmod(s, 60));
    else
        ilki_base_buf_addf(b, "%ds", (int)ceil(s));
}

static void update_rate(const ilk_progress *p, uint64_t t)
{
    double dt = (double)(t - now.rated_ns) * 1e-9;
    if (dt < 0.25 || p->done <= now.rated_done) /* counts that come in leaps are rated leap by leap */
        return;
    double rate = (double)(p->done - now.rated_done) / dt, weight = 1 - exp(-dt / SMOOTH_S);
    now.rate = now.rate > 0 ? now.rate + weight * (rate - now.rate) : rate;
    now.rated_ns = t;
    now.rated_done = p->done;
}

/* Bytes are told in megabytes. */
static void add_counts(ilki_buf *b, const ilk_progress *p, const char *dot)
{
    bool bytes = p->unit && strcmp(p->unit, "bytes") == 0;
    double scale = bytes ? 1e-6 : 1, rate = now.rate * scale;
    ilki_base_buf_addf(b, bytes ? "%.1f" : "%.0f", (double)p->done * scale);
    if (p->total)
        ilki_base_buf_addf(b, bytes ? "/%.1f" : "/%.0f", (double)p->total * scale);
    ilki_base_buf_addf(b, " %s", bytes ? "MB" : p->unit ? p->unit : "");
    if (now.rate > 0)
        ilki_base_buf_addf(b, rate < 10 ? "%s%.1f%s/s" : "%s%.0f%s/s", dot, rate, bytes ? " MB" : "");
}

static void draw(cli *c, const ilk_progress *p)
{
    ilki_buf b, line;
    const char *dot = c->out.utf8 ? " \xc2\xb7 " : ", ";
    ilki_base_buf_init(&b, 4096);
    ilki_base_buf_init(&line, 4096);
    ilki_base_buf_addf(&b, "%s ", p->stage ? p->stage : "working");
    add_counts(&b, p, dot);
    if (now.rate > 0 && p->total > p->done) {
        ilki_base_buf_adds(&b, dot);
        add_seconds(&b, (double)(p->total - p->done) / now.rate);
        ilki_base_buf_adds(&b, " left");
    }
    if (p->skipped)
        ilki_base_buf_addf(&b, "%s%llu skipped", dot, (unsigned long long)p->skipped);
    size_t n = cli_fit(ilki_base_buf_view(&b), b.len, (size_t)cli_columns(2) - 1);
    ilki_base_buf_addf(&line, "\r%.*s\033[K", (int)n, ilki_base_buf_view(&b));
    if (write(2, ilki_base_buf_view(&line), line.len) > 0)
        c->out.progress_shown = true;
    ilki_base_buf_deinit(&b);
    ilki_base_buf_deinit(&line);
}

void cli_progress_tick(void *user, const ilk_progress *p)
{
    cli *c = user;
    const char *term = getenv("TERM"), *stage = p->stage ? p->stage : "";
    uint64_t t = ilki_base_now_ns();
    if (c->quiet || !c->out.err_terminal || !term || strcmp(term, "dumb") == 0)
        return;
    if (now.begun_ns == 0 || strncmp(stage, now.stage, sizeof now.stage - 1) != 0) {
        uint64_t begun = now.begun_ns ? now.begun_ns : t;
        memset(&now, 0, sizeof now);
        snprintf(now.stage, sizeof now.stage, "%s", stage);
        now.begun_ns = begun;
        now.rated_ns = t;
        now.rated_done = p->done;
    }
    update_rate(p, t);
    if (t - now.begun_ns < CLI_PROGRESS_AFTER_NS || t - now.drawn_ns < REDRAW_NS)
        return;
    now.drawn_ns = t;
    draw(c, p);
}
