/* SPDX-License-Identifier: Apache-2.0
 * Reading texts. A line that is too long or a record that is not what it should be is named on standard error with its
 * place and passed over; the rest goes on. A batch ends early where the input pauses, so that a program which writes a
 * line and waits for its vector gets it. */
#include "records.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/json.h"

#define READ_BYTES 65536

void cli_record_name(const cli_record *rec, char *to, size_t n)
{
    const char *file = strcmp(rec->file, "-") == 0 ? "standard input" : rec->file;
    if (rec->line)
        snprintf(to, n, "%s:%llu", file, (unsigned long long)rec->line);
    else
        snprintf(to, n, "%s", file);
}

bool cli_records_open(cli_records *r, cli *c, cli_records_kind kind, const char *const *files, size_t n_files)
{
    static const char *const standard_input[] = {"-"};
    memset(r, 0, sizeof *r);
    r->c = c;
    r->kind = kind;
    r->files = n_files ? files : standard_input;
    r->n_files = n_files ? n_files : 1;
    r->several = n_files > 1;
    r->fd = -1;
    ilki_base_buf_init(&r->ids, (size_t)1 << 30);
    ilki_base_buf_init(&r->text, (size_t)1 << 31);
    r->list = ilki_base_zalloc(CLI_BATCH_RECORDS, sizeof *r->list);
    if (!r->list)
        ilki_base_fail_memory(&c->err, CLI_BATCH_RECORDS * sizeof *r->list, "a batch");
    return r->list != NULL;
}

void cli_records_close(cli_records *r)
{
    if (r->fd > 0)
        close(r->fd);
    ilk_document_close(r->doc);
    free(r->buf);
    free(r->list);
    free(r->parts);
    ilki_base_buf_deinit(&r->ids);
    ilki_base_buf_deinit(&r->text);
}

/* Opens the next file that can be opened; false when there is none left. */
static bool next_file(cli_records *r)
{
    while (r->at_file < r->n_files) {
        const char *name = r->files[r->at_file++];
        r->fd = strcmp(name, "-") == 0 ? 0 : open(name, O_RDONLY | O_CLOEXEC);
        r->line = 0;
        r->len = r->from = 0;
        r->at_start = true;
        r->too_long = r->encoded = false;
        if (r->fd >= 0)
            return true;
        cli_warn(r->c, "%s: %s", name, strerror(errno));
        r->n_unreadable++;
    }
    return false;
}

static void end_file(cli_records *r)
{
    if (r->fd > 0)
        close(r->fd);
    r->fd = -1;
}

/* Reads more behind what is there. Bytes read; 0 at the end, on an error and on a signal. */
static size_t fill(cli_records *r)
{
    if (r->from > 0) {
        memmove(r->buf, r->buf + r->from, r->len - r->from);
        r->len -= r->from;
        r->from = 0;
    }
    if (r->len + READ_BYTES > r->cap) {
        size_t cap = r->cap * 2 > r->len + READ_BYTES ? r->cap * 2 : r->len + READ_BYTES;
        char *more = realloc(r->buf, cap);
        if (!more) {
            ilki_base_fail_memory(&r->c->err, cap, "a line");
            return 0;
        }
        r->buf = more;
        r->cap = cap;
    }
    for (;;) {
        ssize_t n = read(r->fd, r->buf + r->len, r->cap - r->len);
        if (n >= 0) {
            r->len += (size_t)n;
            return (size_t)n;
        }
        if (cli_signal_caught())
            return 0;
        if (errno != EINTR) {
            cli_warn(r->c, "%s: %s", r->files[r->at_file - 1], strerror(errno));
            r->n_unreadable++;
            return 0;
        }
    }
}

static bool paused(const cli_records *r)
{
    struct pollfd p = {r->fd, POLLIN, 0};
    return poll(&p, 1, 0) == 0;
}

static bool add_part(cli_records *r, ilk_part_kind kind, const char *s, size_t n)
{
    if (r->n_parts == r->cap_parts) {
        size_t cap = r->cap_parts ? r->cap_parts * 2 : CLI_BATCH_RECORDS;
        ilk_part *more = realloc(r->parts, cap * sizeof *more);
        if (!more)
            return false;
        r->parts = more;
        r->cap_parts = cap;
    }
    ilk_part *p = &r->parts[r->n_parts++];
    ilk_part_init(p);
    p->kind = kind;
    p->modality = kind == ILK_PART_TEXT ? ILK_TEXT : ILK_IMAGE;
    p->n_bytes = n;
    return ilki_base_buf_add(&r->text, s, n) && (kind != ILK_PART_PATH || ilki_base_buf_addc(&r->text, 0));
}

static cli_record *new_record(cli_records *r, uint64_t line)
{
    cli_record *rec = &r->list[r->n++];
    memset(rec, 0, sizeof *rec);
    rec->file = r->files[r->at_file - 1];
    rec->line = line;
    rec->part = r->n_parts;
    return rec;
}

static void set_id_default(cli_records *r, cli_record *rec)
{
    ilki_jsonw w;
    rec->id = r->ids.len;
    ilki_base_jsonw_init(&w, &r->ids);
    if (rec->line && !r->several) {
        ilki_base_jsonw_uint(&w, rec->line);
    } else if (rec->line) {
        char name[8192];
        int n = snprintf(name, sizeof name, "%s:%llu", rec->file, (unsigned long long)rec->line);
        ilki_base_jsonw_string(&w, name, n < 0 ? 0 : (size_t)n < sizeof name ? (size_t)n : sizeof name - 1);
    } else {
        ilki_base_jsonw_cstring(&w, rec->file);
    }
    rec->id_len = r->ids.len - rec->id;
}

static bool set_id(cli_records *r, cli_record *rec, const ilki_json *j, ilki_json_node id)
{
    ilki_jsonw w;
    int64_t i;
    size_t n;
    rec->id = r->ids.len;
    ilki_base_jsonw_init(&w, &r->ids);
    if (ilki_base_json_type(j, id) == ILKI_JSON_STRING) {
        const char *s = ilki_base_json_string(j, id, &n);
        ilki_base_jsonw_string(&w, s, n);
    } else if (ilki_base_json_int(j, id, INT64_MIN, INT64_MAX, &i)) {
        ilki_base_jsonw_int(&w, i);
    } else if (ilki_base_json_type(j, id) == ILKI_JSON_NUMBER) {
        ilki_base_jsonw_double(&w, ilki_base_json_double(j, id, 0));
    } else {
        return false;
    }
    rec->id_len = r->ids.len - rec->id;
    return true;
}

/* The member `key` of a record, or of a part of one: a string, or a list of strings. Returns what is wrong, or NULL. */
static const char *take_member(cli_records *r, const ilki_json *j, ilki_json_node value, bool image)
{
    ilk_part_kind kind = image ? ILK_PART_PATH : ILK_PART_TEXT;
    size_t n;
    const char *s = ilki_base_json_string(j, value, &n);
    if (s && image && (n == 0 || memchr(s, 0, n)))
        return "expected \"image\" as the name of a file";
    if (s)
        return add_part(r, kind, s, n) ? NULL : "out of memory";
    if (ilki_base_json_type(j, value) != ILKI_JSON_ARRAY || ilki_base_json_count(j, value) == 0)
        return image ? "expected \"image\" as the name of a file or a list of names"
                     : "expected \"text\" as a string or a list of strings";
    for (ilki_json_node e = ilki_base_json_first(j, value); e; e = ilki_base_json_next(j, e)) {
        if (ilki_base_json_type(j, e) != ILKI_JSON_STRING)
            return image ? "expected every element of \"image\" to be the name of a file"
                         : "expected every element of \"text\" to be a string";
        const char *wrong = take_member(r, j, e, image);
        if (wrong)
            return wrong;
    }
    return NULL;
}

/* "text" and "image" of an object, in this order. */
static const char *take_members(cli_records *r, const ilki_json *j, ilki_json_node object)
{
    static const char *const later[] = {"audio", "video", "depth", "thermal", "imu"};
    ilki_json_node text = ilki_base_json_get(j, object, "text"), image = ilki_base_json_get(j, object, "image");
    for (size_t i = 0; r->by_kind && i < sizeof later / sizeof *later; i++)
        if (ilki_base_json_get(j, object, later[i]))
            return "audio, video, depth, thermal and imu are not supported yet";
    const char *wrong = text || !image || !r->by_kind ? take_member(r, j, text, false) : NULL;
    return !wrong && image && r->by_kind ? take_member(r, j, image, true) : wrong;
}

/* What a record is made of; returns what is wrong, or NULL. */
static const char *take_parts(cli_records *r, const ilki_json *j, ilki_json_node record)
{
    ilki_json_node parts = r->by_kind ? ilki_base_json_get(j, record, "parts") : 0;
    if (!parts)
        return take_members(r, j, record);
    if (ilki_base_json_get(j, record, "text") || ilki_base_json_get(j, record, "image"))
        return "expected either \"parts\" or \"text\" and \"image\"";
    if (ilki_base_json_type(j, parts) != ILKI_JSON_ARRAY || ilki_base_json_count(j, parts) == 0)
        return "expected \"parts\" as a list of {\"text\"} and {\"image\"}";
    for (ilki_json_node e = ilki_base_json_first(j, parts); e; e = ilki_base_json_next(j, e)) {
        const char *wrong = ilki_base_json_type(j, e) == ILKI_JSON_OBJECT
                                ? take_members(r, j, e)
                                : "expected every element of \"parts\" to be {\"text\"} or {\"image\"}";
        if (wrong)
            return wrong;
    }
    return NULL;
}

static void take_json(cli_records *r, cli_record *rec, const char *s, size_t n)
{
    char name[8192];
    ilki_json *j = NULL;
    ilk_error err;
    const char *wrong = NULL;
    ilk_error_init(&err);
    cli_record_name(rec, name, sizeof name);
    if (ilki_base_json_parse(&j, s, n, name, NULL, &err) != ILK_OK) {
        cli_warn(r->c, "%s", err.message);
        rec->bad = true;
    } else {
        ilki_json_node root = ilki_base_json_root(j), id = ilki_base_json_get(j, root, "id");
        if (ilki_base_json_type(j, root) != ILKI_JSON_OBJECT)
            wrong = r->by_kind ? "expected a record {\"id\", \"text\", \"image\"}"
                               : "expected a record {\"id\", \"text\"}";
        else if (id && !set_id(r, rec, j, id))
            wrong = "expected \"id\" as a string or a number";
        else
            wrong = take_parts(r, j, root);
    }
    if (wrong)
        cli_warn(r->c, "%s: %s", name, wrong);
    rec->bad |= wrong != NULL;
    ilki_base_json_free(j);
}

static void take_record(cli_records *r, const char *s, size_t n)
{
    cli_record *rec = new_record(r, r->line);
    if (r->at_start && n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0) {
        s += 3;
        n -= 3;
    }
    r->at_start = false;
    if (n > 0 && s[n - 1] == '\r' && r->kind != CLI_RECORDS_WHOLE && !r->encoded)
        n--;
    if (n > CLI_RECORD_BYTES || r->too_long) {
        char name[8192];
        cli_record_name(rec, name, sizeof name);
        cli_warn(r->c, "%s: longer than %zu MiB: passed over", name, CLI_RECORD_BYTES >> 20);
        rec->bad = true;
    } else if (r->kind == CLI_RECORDS_JSON) {
        size_t blank = 0;
        while (blank < n && (s[blank] == ' ' || s[blank] == '\t'))
            blank++;
        if (blank == n) {
            r->n--; /* blank lines between records mean nothing */
            return;
        }
        take_json(r, rec, s, n);
    } else {
        rec->bad = !add_part(r, r->encoded ? ILK_PART_ENCODED : ILK_PART_TEXT, s, n);
    }
    rec->n_parts = r->n_parts - rec->part;
    if (rec->id_len == 0)
        set_id_default(r, rec);
}

/* ---- what is no text */

/* The open file as one record; its name is read again by whoever decodes it. */
static bool take_picture(cli_records *r)
{
    cli_record *rec = new_record(r, 0);
    const char *name = rec->file;
    rec->bad = !add_part(r, ILK_PART_PATH, name, strlen(name));
    rec->n_parts = 1;
    set_id_default(r, rec);
    return false;
}

static bool open_document(cli_records *r)
{
    const char *name = r->files[r->at_file - 1];
    ilk_document_info info;
    ilk_error err;
    ilk_error_init(&err);
    ilk_document_info_init(&info);
    r->doc_at = 0;
    if (ilk_document_open(&r->doc, r->c->rt, r->model, name, NULL, r->c->job, &err) != ILK_OK) {
        if (err.status != ILK_CANCELLED)
            cli_warn(r->c, "%s", err.message);
        r->n_unreadable++;
    } else if (ilk_document_get_info(r->doc, &info, NULL) == ILK_OK && info.n_passages == 0) {
        cli_warn(r->c, "%s: no text in it", name);
    } else if (info.note) {
        cli_note(r->c, "%s: %s", name, info.note);
    }
    return false;
}

/* The next passage of the document that is being told; false at its end. */
static bool take_passage(cli_records *r)
{
    ilk_passage p;
    char number[32];
    ilk_passage_init(&p);
    if (ilk_document_get_passage(r->doc, r->doc_at, &p, NULL) != ILK_OK) {
        ilk_document_close(r->doc);
        r->doc = NULL;
        return false;
    }
    cli_record *rec = new_record(r, 0);
    rec->bad = !add_part(r, ILK_PART_TEXT, p.input, p.n_input);
    rec->n_parts = 1;
    ilki_buf id;
    ilki_base_buf_init(&id, 65536);
    snprintf(number, sizeof number, "#%zu", r->doc_at++);
    ilki_base_buf_adds(&id, rec->file);
    ilki_base_buf_adds(&id, number);
    rec->id = r->ids.len;
    ilki_jsonw w;
    ilki_base_jsonw_init(&w, &r->ids);
    ilki_base_jsonw_string(&w, ilki_base_buf_view(&id), id.len);
    rec->id_len = r->ids.len - rec->id;
    ilki_base_buf_deinit(&id);
    return true;
}

/* What the open file is, by its first bytes; its name alone makes no text something that is refused. */
static ilk_status probe(const cli_records *r, const char *name, ilk_file_info *info, ilk_error *err)
{
    ilk_file_info_init(info);
    ilk_status st = ilk_file_probe(name, r->buf, r->len, info, err);
    if (st == ILK_UNSUPPORTED && ilk_file_probe("text", r->buf, r->len, info, NULL) == ILK_OK && info->plain)
        return ILK_OK;
    return st;
}

/* May the lines of the open file be read? If not, it has been told why, or its records come in another way. */
static bool is_text(cli_records *r)
{
    const char *name = r->files[r->at_file - 1];
    ilk_file_info info;
    ilk_error err;
    ilk_error_init(&err);
    if (r->kind == CLI_RECORDS_JSON || (r->fd == 0 && !r->by_kind))
        return true;
    ilk_status st = probe(r, name, &info, &err);
    if (r->fd == 0) { /* taken as it is, unless it is a picture */
        r->encoded = st == ILK_OK && info.modality == ILK_IMAGE;
        return true;
    }
    if (st == ILK_OK && info.plain)
        return true;
    if (st == ILK_OK && r->by_kind && info.modality == ILK_IMAGE)
        return take_picture(r);
    if (st == ILK_OK && r->by_kind)
        return open_document(r);
    if (st == ILK_OK)
        cli_warn(r->c,
                 "%s: a file of kind %s, expected text: ilk embed and ilk index read it; standard input is taken as "
                 "it is",
                 name, info.kind);
    else
        cli_warn(r->c, "%s: %s", name, err.message);
    r->n_unreadable++;
    return false;
}

/* One record of the file that is open. False at its end. */
static bool take_one(cli_records *r, bool *wait)
{
    for (;;) {
        size_t have = r->len - r->from;
        bool whole = r->kind == CLI_RECORDS_WHOLE || r->encoded;
        char *end = whole || have == 0 ? NULL : memchr(r->buf + r->from, '\n', have);
        if (end) {
            char *s = r->buf + r->from;
            r->line++;
            r->from += (size_t)(end - s) + 1;
            take_record(r, s, (size_t)(end - s));
            r->too_long = false;
            return true;
        }
        if (have > CLI_RECORD_BYTES + 1) {
            r->too_long = true;
            r->from = r->len - 1; /* what stands before is of no use */
        }
        if (r->n > 0 && paused(r)) {
            *wait = true;
            return true;
        }
        bool begins = r->at_start && r->len == 0;
        if (fill(r) > 0) {
            if (begins && !is_text(r))
                return false;
            continue;
        }
        if (cli_signal_caught() || r->c->err.status == ILK_NO_MEMORY)
            return false;
        if (r->len - r->from > 0 || (whole && r->at_start)) {
            r->line = whole ? 0 : r->line + 1;
            take_record(r, r->buf ? r->buf + r->from : "", r->len - r->from);
        }
        return false;
    }
}

bool cli_records_next(cli_records *r)
{
    bool wait = false;
    r->n = r->n_parts = 0;
    ilki_base_buf_reset(&r->ids);
    ilki_base_buf_reset(&r->text);
    while (!wait && r->n < CLI_BATCH_RECORDS && r->text.len < CLI_BATCH_BYTES) {
        if (r->doc && take_passage(r))
            continue;
        if (cli_signal_caught() || (r->fd < 0 && !next_file(r)))
            break;
        if (!take_one(r, &wait))
            end_file(r);
        if (r->c->err.status == ILK_NO_MEMORY)
            return false;
    }
    if (r->ids.failed || r->text.failed) {
        ilki_base_buf_check(r->ids.failed ? &r->ids : &r->text, "a batch of texts", &r->c->err);
        return false;
    }
    const char *at = ilki_base_buf_view(&r->text);
    for (size_t i = 0; i < r->n_parts; i++) {
        r->parts[i].data = at;
        at += r->parts[i].n_bytes + (r->parts[i].kind == ILK_PART_PATH);
    }
    return r->n > 0 && !cli_signal_caught();
}
