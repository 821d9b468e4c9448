/* SPDX-License-Identifier: Apache-2.0
 * The guarded fetch. A fetch is tries, a try is hops. A hop is one exchange of curl's multi interface, polled every 20 ms
 * so that a job can stop it; redirects are followed here and not by curl, since each is judged: http and https only,
 * never from https to http, the secret kept back as soon as scheme, host or port differ. A try that breaks is followed by
 * another that begins at the first redirect again (addresses of a CDN expire) and asks for the bytes behind those that
 * the sink has. A server that answers such a question with the whole file makes the sink begin anew. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cpu.h"
#include "net/curl_lib.h"
#include "net/net.h"

enum {
    MAX_HOPS = 8,
    MAX_TRIES = 1000,   /* of a fetch, those with progress included */
    MAX_PAGE = 1 << 20, /* bytes of an answer that nobody wants */
    MAX_URL = 32 << 10, /* signed addresses are long */
    POLL_MS = 20
};
#define MAX_PAUSE_SECONDS 60.0

struct ilki_net {
    ilki_curl curl;
    ilk_runtime *rt;
    ilki_net_options opt;
    CURLM *multi;
    CURL *easy;
};

typedef enum outcome { DONE, AGAIN, FAILED } outcome; /* AGAIN and FAILED: the error says why */

typedef struct transfer {
    ilki_net *net;
    const ilki_net_request *req;
    ilk_job *job;
    ilki_net_answer *answer;
    ilk_error *err;
    uint64_t at, best;   /* where the sink stands; the furthest it has been */
    uint64_t range_from; /* of Content-Range; UINT64_MAX: none */
    uint64_t total;      /* of the whole file; UINT64_MAX: not said */
    uint64_t heard_ns;   /* when the last byte came */
    uint64_t page;       /* bytes passed over */
    bool begun;          /* this try's body has */
    bool unreached;      /* this try has found nobody */
    ilk_status status;   /* of the sink, or LIMIT: it ends the fetch */
    char name[512];      /* the url for messages */
} transfer;

/* ---- client */

ilk_status ilki_net_open(ilki_net **out, ilk_runtime *rt, const ilki_net_options *opt, ilk_error *err)
{
    *out = NULL;
    ilki_net *net = ilki_base_zalloc(1, sizeof *net);
    if (net == NULL)
        return ilki_base_fail_memory(err, sizeof *net, "a client");
    net->rt = rt;
    if (opt != NULL)
        net->opt = *opt;
    if (net->opt.connect_seconds <= 0)
        net->opt.connect_seconds = 15;
    if (net->opt.stall_seconds <= 0)
        net->opt.stall_seconds = 30;
    if (net->opt.pause_seconds <= 0)
        net->opt.pause_seconds = 0.5;
    if (net->opt.n_tries == 0)
        net->opt.n_tries = 5;
    ilk_status st = ilki_net_curl_load(&net->curl, err);
    if (st == ILK_OK && ((net->multi = net->curl.multi_init()) == NULL || (net->easy = net->curl.easy_init()) == NULL))
        st = ilki_base_fail(err, ILK_NO_MEMORY, "out of memory for libcurl's handles");
    if (st == ILK_OK)
        *out = net;
    else
        ilki_net_close(net);
    return st;
}

void ilki_net_close(ilki_net *net)
{
    if (net == NULL)
        return;
    if (net->easy != NULL)
        net->curl.easy_cleanup(net->easy);
    if (net->multi != NULL)
        net->curl.multi_cleanup(net->multi);
    free(net);
}

const char *ilki_net_version(ilk_error *err)
{
    ilki_curl c;
    return ilki_net_curl_load(&c, err) == ILK_OK ? c.version_info(CURLVERSION_NOW)->version : NULL;
}

/* ---- addresses */

/* One part of an address, or NULL; freed with curl's free. */
static char *url_part(const ilki_curl *c, CURLU *url, CURLUPart part)
{
    char *s = NULL;
    return c->url_get(url, part, &s, CURLU_DEFAULT_PORT) == CURLUE_OK ? s : NULL;
}

static CURLU *parse_url(const ilki_curl *c, const char *text)
{
    CURLU *url = c->url();
    if (url != NULL && c->url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK) {
        c->url_cleanup(url);
        return NULL;
    }
    return url;
}

static bool part_same(const ilki_curl *c, CURLU *a, CURLU *b, CURLUPart part)
{
    char *x = url_part(c, a, part), *y = url_part(c, b, part);
    bool same = x != NULL && y != NULL && strcasecmp(x, y) == 0;
    c->free(x);
    c->free(y);
    return same;
}

/* scheme://host:port/path: a query of a CDN is a secret, and so is a user. */
static void name_url(const ilki_curl *c, const char *text, char *to, size_t n)
{
    CURLU *url = parse_url(c, text);
    char *scheme = url ? url_part(c, url, CURLUPART_SCHEME) : NULL,
         *host = url ? url_part(c, url, CURLUPART_HOST) : NULL;
    char *port = NULL, *path = url ? url_part(c, url, CURLUPART_PATH) : NULL;
    if (url != NULL && c->url_get(url, CURLUPART_PORT, &port, 0) != CURLUE_OK)
        port = NULL;
    if (scheme != NULL && host != NULL && path != NULL)
        snprintf(to, n, "%s://%s%s%s%s", scheme, host, port ? ":" : "", port ? port : "", path);
    else
        snprintf(to, n, "%s", "an address that cannot be read");
    c->free(scheme);
    c->free(host);
    c->free(port);
    c->free(path);
    c->url_cleanup(url);
}

/* What may follow: *same says whether the secret may go along. */
static outcome judge_redirect(transfer *t, const char *from, const char *to, bool *same)
{
    const ilki_curl *c = &t->net->curl;
    CURLU *a = parse_url(c, from), *b = parse_url(c, to);
    char *was = a ? url_part(c, a, CURLUPART_SCHEME) : NULL, *is = b ? url_part(c, b, CURLUPART_SCHEME) : NULL;
    outcome o = FAILED;
    if (was == NULL || is == NULL || strlen(to) > MAX_URL)
        t->status = ilki_base_fail(t->err, ILK_BAD_FORMAT, "%s: a redirect to an address that cannot be read", t->name);
    else if (strcasecmp(is, "https") != 0 && strcasecmp(is, "http") != 0)
        t->status = ilki_base_fail(t->err, ILK_BAD_FORMAT, "%s: a redirect to %s:, expected http or https", t->name,
                                   is);
    else if (strcasecmp(was, "https") == 0 && strcasecmp(is, "http") == 0)
        t->status = ilki_base_fail(t->err, ILK_BAD_FORMAT, "%s: a redirect from https to http is not followed",
                                   t->name);
    else
        o = DONE;
    if (o == DONE)
        *same = *same && part_same(c, a, b, CURLUPART_SCHEME) && part_same(c, a, b, CURLUPART_HOST) &&
                part_same(c, a, b, CURLUPART_PORT);
    c->free(was);
    c->free(is);
    c->url_cleanup(a);
    c->url_cleanup(b);
    return o;
}

void ilki_net_name_url(const ilki_net *net, const char *url, char *to, size_t n)
{
    name_url(&net->curl, url, to, n);
}

void ilki_net_add_quoted(ilki_buf *url, const char *s, const char *keep)
{
    for (; *s; s++) {
        unsigned char ch = (unsigned char)*s;
        bool plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9');
        if (plain || strchr("._~-", *s) || strchr(keep, *s))
            ilki_base_buf_addc(url, *s);
        else
            ilki_base_buf_addf(url, "%%%02X", ch);
    }
}

/* ---- what comes */

/* True where the line is this header; its value without blanks around is copied, cut to n. */
static bool header_is(const char *line, size_t len, const char *key, char *to, size_t n)
{
    size_t k = strlen(key);
    if (len <= k || strncasecmp(line, key, k) != 0 || line[k] != ':')
        return false;
    line += k + 1, len -= k + 1;
    while (len > 0 && (*line == ' ' || *line == '\t'))
        line++, len--;
    while (len > 0 && strchr(" \t\r\n", line[len - 1]))
        len--;
    len = len < n - 1 ? len : n - 1;
    memcpy(to, line, len);
    to[len] = 0;
    return true;
}

/* Digits alone; UINT64_MAX otherwise. */
static uint64_t number(const char **s)
{
    char *end;
    if (**s < '0' || **s > '9')
        return UINT64_MAX;
    errno = 0;
    unsigned long long v = strtoull(*s, &end, 10);
    *s = end;
    return errno == 0 ? v : UINT64_MAX;
}

static size_t take_header(char *line, size_t size, size_t n, void *user)
{
    transfer *t = user;
    size_t len = size * n;
    char value[256];
    const char *s = value;
    t->heard_ns = ilki_base_now_ns();
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
        *t->answer = (ilki_net_answer){0};
        t->range_from = t->total = UINT64_MAX;
    } else if (header_is(line, len, "Content-Range", value, sizeof value) && strncasecmp(value, "bytes ", 6) == 0) {
        s = value + 6;
        t->range_from = number(&s);
        s = strchr(s, '/');
        t->total = s ? number((s++, &s)) : UINT64_MAX;
    } else if (header_is(line, len, "Content-Length", value, sizeof value)) {
        if (t->range_from == UINT64_MAX)
            t->total = number(&s);
    } else if (header_is(line, len, "Retry-After", value, sizeof value)) {
        uint64_t seconds = number(&s);
        t->answer->retry_seconds = seconds < 86400 ? (double)seconds : 0;
    } else {
        (void)(header_is(line, len, "X-Error-Code", t->answer->code, sizeof t->answer->code) ||
               header_is(line, len, "X-Error-Message", t->answer->message, sizeof t->answer->message));
    }
    return len;
}

/* The body of a 2xx is about to come, or there is none. */
static ilk_status begin_body(transfer *t)
{
    uint64_t at = t->answer->status == 206 ? t->range_from : 0, max = t->req->max_bytes;
    if (at == UINT64_MAX)
        return ilki_base_fail(t->err, ILK_BAD_FORMAT,
                              "%s: asked for the bytes from %llu, and the answer does not say where "
                              "it begins",
                              t->name, (unsigned long long)t->at);
    if (at != 0 && at != t->at)
        return ilki_base_fail(t->err, ILK_BAD_FORMAT, "%s: asked for the bytes from %llu, got those from %llu", t->name,
                              (unsigned long long)t->at, (unsigned long long)at);
    if (t->total != UINT64_MAX && t->total > max)
        return ilki_base_fail(t->err, ILK_LIMIT, "%s: %llu bytes, at most %llu were expected", t->name,
                              (unsigned long long)t->total, (unsigned long long)max);
    t->begun = true;
    t->at = at;
    return t->req->sink->begin(t->req->sink->user, at, t->total, t->err);
}

static size_t take_body(char *data, size_t size, size_t n, void *user)
{
    transfer *t = user;
    size_t len = size * n;
    long status = 0;
    t->heard_ns = ilki_base_now_ns();
    t->net->curl.easy_getinfo(t->net->easy, CURLINFO_RESPONSE_CODE, &status);
    t->answer->status = (int)status;
    if (status / 100 != 2) {
        t->page += len;
        return t->page > MAX_PAGE ? 0 : len;
    }
    if (!t->begun)
        t->status = begin_body(t);
    if (t->status == ILK_OK && len > t->req->max_bytes - t->at)
        t->status = ilki_base_fail(t->err, ILK_LIMIT, "%s: more than the %llu bytes that were expected", t->name,
                                   (unsigned long long)t->req->max_bytes);
    if (t->status == ILK_OK)
        t->status = t->req->sink->add(t->req->sink->user, data, len, t->err);
    if (t->status != ILK_OK)
        return len == 0; /* anything but len ends the exchange */
    t->at += len;
    return len;
}

/* ---- one exchange */

static void set_guards(ilki_net *net, CURL *e)
{
    const ilki_curl *c = &net->curl;
    const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR");
    c->easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    c->easy_setopt(e, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    c->easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    c->easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    c->easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    if (file != NULL && *file)
        c->easy_setopt(e, CURLOPT_CAINFO, file);
    if (dir != NULL && *dir)
        c->easy_setopt(e, CURLOPT_CAPATH, dir);
    c->easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(net->opt.connect_seconds * 1000));
    c->easy_setopt(e, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* a proxy is not told the secret */
    c->easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    c->easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* a lookup that hangs does not hold up a cancel */
    c->easy_setopt(e, CURLOPT_BUFFERSIZE, 256L << 10);
    c->easy_setopt(e, CURLOPT_USERAGENT, "ilk/" ILK_VERSION);
}

static struct curl_slist *set_request(transfer *t, const char *url, bool secret)
{
    const ilki_curl *c = &t->net->curl;
    CURL *e = t->net->easy;
    struct curl_slist *headers = NULL;
    char range[32];
    c->easy_reset(e);
    set_guards(t->net, e);
    c->easy_setopt(e, CURLOPT_URL, url);
    c->easy_setopt(e, CURLOPT_HEADERFUNCTION, take_header);
    c->easy_setopt(e, CURLOPT_HEADERDATA, t);
    c->easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body);
    c->easy_setopt(e, CURLOPT_WRITEDATA, t);
    snprintf(range, sizeof range, "%llu-", (unsigned long long)t->at);
    if (t->at > 0)
        c->easy_setopt(e, CURLOPT_RANGE, range);
    if (secret) {
        ilki_buf b;
        ilki_base_buf_init(&b, 16 << 10);
        ilki_base_buf_addf(&b, "Authorization: Bearer %s", t->req->secret);
        if (!b.failed)
            headers = c->slist_append(NULL, b.data);
        ilki_base_buf_deinit(&b);
        c->easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    }
    return headers;
}

static bool is_passing(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return true;
    default:
        return false;
    }
}

static outcome judge_end(transfer *t, CURLcode code)
{
    long status = 0;
    t->net->curl.easy_getinfo(t->net->easy, CURLINFO_RESPONSE_CODE, &status);
    t->answer->status = (int)status;
    if (t->status != ILK_OK)
        return FAILED;
    if (code == CURLE_WRITE_ERROR && t->page > MAX_PAGE)
        return DONE; /* the status says enough */
    if (status == 416 && t->at > 0) {
        t->at = 0;
        ilki_base_fail(t->err, ILK_IO, "%s: the server does not resume", t->name);
        return AGAIN;
    }
    if (code != CURLE_OK) {
        const char *hint = code == CURLE_SSL_CACERT_BADFILE
                               ? "; Debian's certificates are in its package ca-certificates"
                               : "";
        ilk_status st = ilki_base_fail(t->err, ILK_IO, "%s: %s%s", t->name, t->net->curl.easy_strerror(code), hint);
        t->status = is_passing(code) ? ILK_OK : st;
        t->unreached = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT;
        return is_passing(code) ? AGAIN : FAILED;
    }
    if (status == 408 || status == 429 || (status >= 500 && status <= 599)) {
        ilki_base_fail(t->err, ILK_IO, "%s: HTTP %ld", t->name, status);
        return AGAIN;
    }
    if (status / 100 == 2 && !t->begun)
        t->status = begin_body(t);
    return t->status == ILK_OK ? DONE : FAILED;
}

/* Runs what is set until it ends, stalls or the job stops. */
static outcome exchange(transfer *t)
{
    const ilki_curl *c = &t->net->curl;
    CURLM *m = t->net->multi;
    int running = 1, queued;
    CURLcode code = CURLE_OK;
    CURLMcode mc = c->multi_add_handle(m, t->net->easy);
    t->heard_ns = ilki_base_now_ns();
    bool stalled = false, stopped = false;
    while (mc == CURLM_OK && running && !stalled && !stopped) {
        mc = c->multi_perform(m, &running);
        if (mc == CURLM_OK && running)
            mc = c->multi_poll(m, NULL, 0, POLL_MS, NULL);
        stopped = ilki_base_job_stopped(t->job);
        stalled = (double)(ilki_base_now_ns() - t->heard_ns) * 1e-9 > t->net->opt.stall_seconds;
    }
    for (CURLMsg *msg; (msg = c->multi_info_read(m, &queued)) != NULL;)
        if (msg->msg == CURLMSG_DONE)
            code = msg->data.result;
    c->multi_remove_handle(m, t->net->easy);
    if (mc != CURLM_OK) {
        t->status = ilki_base_fail(t->err, ILK_IO, "%s: %s", t->name, c->multi_strerror(mc));
        return FAILED;
    }
    if (!running)
        return judge_end(t, code);
    if (stopped) {
        t->status = ilki_base_job_check(t->job, t->err);
        return FAILED;
    }
    ilki_base_fail(t->err, ILK_IO, "%s: no byte for %g s", t->name, t->net->opt.stall_seconds);
    return AGAIN;
}

/* ---- hops and tries */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static outcome try_once(transfer *t)
{
    const ilki_curl *c = &t->net->curl;
    char *url = ilki_base_strndup(t->req->url, strlen(t->req->url));
    bool same = t->req->secret != NULL;
    outcome o = url ? DONE : FAILED;
    if (url == NULL)
        t->status = ilki_base_fail_memory(t->err, strlen(t->req->url), "an address");
    for (unsigned hop = 0; o == DONE; hop++) {
        char *to = NULL;
        name_url(c, url, t->name, sizeof t->name);
        t->begun = t->unreached = false;
        t->page = 0;
        struct curl_slist *headers = set_request(t, url, same);
        o = exchange(t);
        c->slist_free_all(headers);
        if (o != DONE || !is_redirect(t->answer->status))
            break;
        c->easy_getinfo(t->net->easy, CURLINFO_REDIRECT_URL, &to);
        if (hop + 1 == MAX_HOPS || to == NULL) {
            t->status = ilki_base_fail(t->err, ILK_BAD_FORMAT,
                                       to ? "%s: more than %d redirects" : "%s: HTTP %d without an address", t->name,
                                       to ? MAX_HOPS : t->answer->status);
            o = FAILED;
            break;
        }
        o = judge_redirect(t, url, to, &same);
        free(url);
        url = ilki_base_strndup(to, strlen(to));
        if (url == NULL) {
            t->status = ilki_base_fail_memory(t->err, strlen(to), "an address");
            o = FAILED;
        }
    }
    free(url);
    return o;
}

static ilk_status pause_for(transfer *t, double seconds)
{
    uint64_t end = ilki_base_now_ns() + (uint64_t)(seconds * 1e9);
    while (ilki_base_now_ns() < end) {
        if (ilki_base_job_stopped(t->job))
            return ilki_base_job_check(t->job, t->err);
        t->net->curl.multi_poll(t->net->multi, NULL, 0, POLL_MS, NULL);
    }
    return ILK_OK;
}

ilk_status ilki_net_fetch(ilki_net *net, const ilki_net_request *req, ilk_job *job, ilki_net_answer *answer,
                          ilk_error *err)
{
    ilk_error why;
    ilk_error_init(&why);
    *answer = (ilki_net_answer){0};
    transfer t = {
        .net = net, .req = req, .job = job, .answer = answer, .err = &why, .at = req->from, .best = req->from};
    outcome o = FAILED;
    double seconds = net->opt.pause_seconds;
    if (strncasecmp(req->url, "http://", 7) != 0 && strncasecmp(req->url, "https://", 8) != 0)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "an address to fetch from: expected http:// or https://");
    if (strlen(req->url) > MAX_URL)
        return ilki_base_fail(err, ILK_LIMIT, "an address of %zu bytes, at most %d", strlen(req->url), MAX_URL);
    t.status = ilki_base_job_check(job, &why);
    for (unsigned n = 0, all = 0; t.status == ILK_OK; all++) {
        o = try_once(&t);
        if (o != AGAIN || all == MAX_TRIES)
            break;
        if (t.at > t.best) {
            t.best = t.at;
            n = 0;
            seconds = net->opt.pause_seconds;
        }
        n += t.unreached ? 2 : 1; /* somebody without a network does not wait long to be told */
        if (n >= net->opt.n_tries)
            break;
        double wait = answer->retry_seconds > seconds ? answer->retry_seconds : seconds;
        wait = wait < MAX_PAUSE_SECONDS ? wait : MAX_PAUSE_SECONDS;
        seconds *= 2;
        ilki_base_log(net->rt, ILK_LOG_INFO, "%s; trying again in %.1f s", why.message, wait);
        t.status = pause_for(&t, wait);
    }
    if (o == DONE || (o == AGAIN && t.status == ILK_OK && answer->status >= 400))
        return ILK_OK;
    ilki_base_error_copy(err, &why);
    return t.status != ILK_OK ? t.status : ILK_IO;
}

/* ---- into a buffer */

static ilk_status text_begin(void *user, uint64_t at, uint64_t total, ilk_error *err)
{
    ilki_buf *b = user;
    (void)total, (void)err;
    if (at == 0)
        ilki_base_buf_truncate(b, 0);
    return ILK_OK;
}

static ilk_status text_add(void *user, const void *data, size_t n, ilk_error *err)
{
    ilki_buf *b = user;
    ilki_base_buf_add(b, data, n);
    return ilki_base_buf_check(b, "an answer", err);
}

ilk_status ilki_net_fetch_text(ilki_net *net, const char *url, const char *secret, ilk_job *job, ilki_buf *body,
                               ilki_net_answer *answer, ilk_error *err)
{
    ilki_net_sink sink = {text_begin, text_add, body};
    ilki_net_request req = {.url = url, .secret = secret, .max_bytes = body->max, .sink = &sink};
    return ilki_net_fetch(net, &req, job, answer, err);
}
