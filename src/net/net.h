/* SPDX-License-Identifier: Apache-2.0
 * The one way out to the network: HTTP GET through libcurl, with certificates verified always, http and https
 * alone, a bounded number of redirects, a secret that goes to its own origin and nowhere else, bounds on size and time,
 * retries with growing pauses, and a job that can stop it within 50 ms. Proxies and their environment are libcurl's. */
#ifndef ILKI_NET_NET_H
#define ILKI_NET_NET_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/runtime.h"

typedef struct ilki_net ilki_net;

typedef struct ilki_net_options {
    double connect_seconds; /* 0: 15 */
    double stall_seconds;   /* without a byte; 0: 30 */
    double pause_seconds;   /* before the first retry, then doubled; 0: 0.5 */
    unsigned n_tries;       /* in a row without a byte of progress; 0: 5. One that finds nobody counts as two */
} ilki_net_options;

/* A client with its open connections; for one thread at a time. Errors: UNSUPPORTED where libcurl is absent. */
ilk_status ilki_net_open(ilki_net **out, ilk_runtime *rt, const ilki_net_options *opt, ilk_error *err);
void ilki_net_close(ilki_net *net);

/* "7.88.1 OpenSSL/3.0.11", or NULL with the reason in err. The string is the library's own. */
const char *ilki_net_version(ilk_error *err);

/* What the last answer said. */
typedef struct ilki_net_answer {
    int status;           /* 200, 404, … */
    char code[64];        /* X-Error-Code, "" where absent */
    char message[256];    /* X-Error-Message */
    double retry_seconds; /* Retry-After; 0: none */
} ilki_net_answer;

/* Takes the body as it comes. */
typedef struct ilki_net_sink {
    /* Before the first byte of every try: the body begins at `at`, which is where the sink stands, or 0 where the server
     * would not resume; `total` is the length of the whole file, UINT64_MAX where the server does not say. */
    ilk_status (*begin)(void *user, uint64_t at, uint64_t total, ilk_error *err);
    ilk_status (*add)(void *user, const void *data, size_t n, ilk_error *err);
    void *user;
} ilki_net_sink;

typedef struct ilki_net_request {
    const char *url;
    const char *secret; /* "Authorization: Bearer …" for the url's own scheme, host and port; NULL: none */
    uint64_t from;      /* the first byte wanted */
    uint64_t max_bytes; /* of the whole file; more is LIMIT */
    const ilki_net_sink *sink;
} ilki_net_request;

/* OK with whatever status the server gave, after retries of 408, 429, 5xx and of connections that broke; the body of a
 * 2xx went to the sink. IO: no answer, or the transfer broke too often; LIMIT; CANCELLED, DEADLINE; what the sink said.
 * Messages hold scheme, host and path: no query, no user, no secret. */
ilk_status ilki_net_fetch(ilki_net *net, const ilki_net_request *req, ilk_job *job, ilki_net_answer *answer,
                          ilk_error *err);

/* The same into a buffer, whose ceiling bounds the body. */
ilk_status ilki_net_fetch_text(ilki_net *net, const char *url, const char *secret, ilk_job *job, ilki_buf *body,
                               ilki_net_answer *answer, ilk_error *err);

/* An address as messages may hold it. */
void ilki_net_name_url(const ilki_net *net, const char *url, char *to, size_t n);

/* Appends s with all but [A-Za-z0-9._~-] and the characters of `keep` as %XX. */
void ilki_net_add_quoted(ilki_buf *url, const char *s, const char *keep);

#endif
