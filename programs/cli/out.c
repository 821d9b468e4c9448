/* SPDX-License-Identifier: Apache-2.0
 * Standard output and standard error. A reader that goes away (EPIPE, as with "| head -1") is no error: the program
 * stops producing and ends with 0. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"

#define FLUSH_BYTES   65536
#define MESSAGE_BYTES 8192

static bool says_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *v = getenv(names[i]);
        if (v && *v)
            return strcasestr(v, "utf-8") || strcasestr(v, "utf8");
    }
    return false;
}

void cli_out_init(cli *c)
{
    /* A file opened later must not become standard output. Read-only, so that writing still fails. */
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDONLY) < 0)
            _exit(CLI_FAILED);
    ilki_base_buf_init(&c->out.buf, SIZE_MAX / 2);
    c->out.out_terminal = isatty(1);
    c->out.err_terminal = isatty(2);
    c->out.utf8 = !c->out.out_terminal || says_utf8();
    cli_out_set_color(c, "auto");
}

void cli_out_set_color(cli *c, const char *when)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    bool allowed = !(no && *no) && term && *term && strcmp(term, "dumb") != 0;
    bool always = strcmp(when, "always") == 0, never = strcmp(when, "never") == 0;
    c->out.color = always || (!never && allowed && c->out.out_terminal);
    c->out.err_color = always || (!never && allowed && c->out.err_terminal);
}

int cli_columns(int fd)
{
    struct winsize w;
    const char *columns = getenv("COLUMNS");
    uint64_t n;
    if (ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
        return w.ws_col;
    return columns && cli_parse_count(columns, 20, 10000, &n) ? (int)n : 80;
}

bool cli_out_ok(const cli *c)
{
    return !c->out.closed && !c->out.failed;
}

bool cli_flush(cli *c)
{
    cli_out *o = &c->out;
    if (o->buf.failed && !o->failed) {
        o->failed = true;
        cli_warn(c, "out of memory for the output");
    }
    if (o->buf.len && o->out_terminal)
        cli_progress_erase(c);
    for (size_t at = 0; cli_out_ok(c) && at < o->buf.len;) {
        ssize_t n = write(1, o->buf.data + at, o->buf.len - at);
        if (n > 0) {
            at += (size_t)n;
        } else if (n < 0 && errno == EPIPE) {
            o->closed = true;
            if (c->job)
                ilk_job_cancel(c->job);
        } else if (n < 0 && errno != EINTR && errno != EAGAIN) {
            o->failed = true;
            cli_warn(c, "cannot write standard output: %s", strerror(errno));
        }
        if (cli_signal_caught())
            break;
    }
    ilki_base_buf_reset(&o->buf);
    return cli_out_ok(c);
}

void cli_put(cli *c, const char *s, size_t n)
{
    if (!cli_out_ok(c))
        return;
    ilki_base_buf_add(&c->out.buf, s, n);
    if (c->out.buf.len >= FLUSH_BYTES || c->out.buf.failed)
        cli_flush(c);
}

void cli_puts(cli *c, const char *s)
{
    cli_put(c, s, strlen(s));
}

void cli_putf(cli *c, const char *fmt, ...)
{
    char text[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n > 0)
        cli_put(c, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

void cli_color(cli *c, const char *sgr)
{
    if (c->out.color)
        cli_putf(c, "\033[%sm", sgr);
}

void cli_field(cli *c, const char *name, const char *fmt, ...)
{
    char text[MESSAGE_BYTES];
    va_list args;
    ilki_buf b;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    ilki_base_buf_init(&b, 8 * MESSAGE_BYTES);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    if (c->out.out_terminal)
        cli_escape(&b, text, len, "");
    else
        cli_escape_tsv(&b, text, len);
    cli_color(c, "1");
    cli_putf(c, c->out.out_terminal ? "%-16s" : "%s\t", name);
    cli_color(c, "0");
    cli_put(c, ilki_base_buf_view(&b), b.len);
    cli_puts(c, "\n");
    ilki_base_buf_deinit(&b);
}

void cli_put_json(cli *c, ilki_buf *b)
{
    ilki_base_buf_addc(b, '\n');
    if (ilki_base_buf_check(b, "the output", &c->err) != ILK_OK) {
        c->out.failed = true;
        cli_fail_err(c);
    } else {
        cli_put(c, ilki_base_buf_view(b), b->len);
    }
    ilki_base_buf_deinit(b);
}

void cli_json_string(ilki_jsonw *w, const char *key, const char *value)
{
    ilki_base_jsonw_key(w, key);
    ilki_base_jsonw_cstring(w, value);
}

void cli_json_uint(ilki_jsonw *w, const char *key, uint64_t value)
{
    ilki_base_jsonw_key(w, key);
    ilki_base_jsonw_uint(w, value);
}

void cli_json_number(ilki_jsonw *w, const char *key, double value)
{
    ilki_base_jsonw_key(w, key);
    if (isfinite(value))
        ilki_base_jsonw_double(w, value);
    else
        ilki_base_jsonw_null(w);
}

void cli_json_bool(ilki_jsonw *w, const char *key, bool value)
{
    ilki_base_jsonw_key(w, key);
    ilki_base_jsonw_bool(w, value);
}

static void message(cli *c, const char *sgr, const char *fmt, va_list args) ILKI_PRINTF(3, 0);

static void message(cli *c, const char *sgr, const char *fmt, va_list args)
{
    char text[MESSAGE_BYTES];
    ilki_buf b;
    int n = vsnprintf(text, sizeof text, fmt, args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    cli_progress_erase(c);
    if (c->out.out_terminal && c->out.err_terminal && c->out.buf.len)
        cli_flush(c);
    ilki_base_buf_init(&b, 8 * MESSAGE_BYTES);
    if (c->out.err_color)
        ilki_base_buf_addf(&b, "\033[%smilk:\033[0m ", sgr);
    else
        ilki_base_buf_adds(&b, "ilk: ");
    if (c->out.err_terminal)
        cli_escape(&b, text, len, "\n");
    else
        ilki_base_buf_add(&b, text, len);
    ilki_base_buf_addc(&b, '\n');
    for (size_t at = 0; at < b.len;) {
        ssize_t w = write(2, b.data + at, b.len - at);
        if (w <= 0 && errno != EINTR)
            break; /* nowhere is left to say so */
        at += w > 0 ? (size_t)w : 0;
    }
    ilki_base_buf_deinit(&b);
}

void cli_note(cli *c, const char *fmt, ...)
{
    va_list args;
    if (c->quiet)
        return;
    va_start(args, fmt);
    message(c, "2", fmt, args);
    va_end(args);
}

void cli_warn(cli *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    message(c, "1;33", fmt, args);
    va_end(args);
}

int cli_fail(cli *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    message(c, "1;31", fmt, args);
    va_end(args);
    return CLI_FAILED;
}

int cli_usage(cli *c, const char *fmt, ...)
{
    char text[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return cli_fail(c, "%s\nTry: ilk %s%s--help", text, c->command ? c->command->name : "", c->command ? " " : "");
}

bool cli_ask(cli *c, bool otherwise, const char *question)
{
    char answer[64];
    if (!isatty(0) || !c->out.err_terminal)
        return false;
    cli_warn(c, "%s [%s]", question, otherwise ? "Y/n" : "y/N");
    ssize_t n = read(0, answer, sizeof answer);
    if (n <= 0)
        return false;
    return answer[0] == 'y' || answer[0] == 'Y' || (otherwise && answer[0] == '\n');
}
