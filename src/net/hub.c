/* SPDX-License-Identifier: Apache-2.0
 * Talking to the hub: where it is, who asks, what its refusals mean. A missing model, a private one, a gated one and a
 * hub that is ill are told apart as far as the hub lets them. */
#include "net/hub.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HUB_ADDRESS "https://huggingface.co"

enum { MAX_ANSWER = 32 << 20, MAX_SMALL = 64 << 20, MAX_TOKEN = 4096, MAX_ADDRESS = 32 << 10, MAX_NAME = 600 };

struct ilki_hub {
    ilki_net *net;
    char *endpoint, *token; /* token NULL: none */
    char name[MAX_NAME];    /* of the endpoint, for messages */
};

/* ---- the environment */

static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static bool env_true(const char *name)
{
    static const char *const yes[] = {"1", "on", "yes", "true"};
    const char *value = env(name);
    for (size_t i = 0; value && i < sizeof yes / sizeof *yes; i++)
        if (strcasecmp(value, yes[i]) == 0)
            return true;
    return false;
}

/* The file in which the hub's tools keep a token. */
static bool token_path(ilki_buf *to)
{
    static const char *const places[][2] = {{"HF_TOKEN_PATH", ""},
                                            {"HF_HOME", "/token"},
                                            {"XDG_CACHE_HOME", "/huggingface/token"},
                                            {"HOME", "/.cache/huggingface/token"}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (env(places[i][0]))
            return ilki_base_buf_addf(to, "%s%s", env(places[i][0]), places[i][1]);
    return false;
}

/* A line of visible ASCII: what else it held would get into a header. The token itself stands in no message. */
static ilk_status take_token(ilki_hub *hub, const char *text, const char *from, ilk_error *err)
{
    text += strspn(text, " \t\r\n");
    size_t n = strcspn(text, " \t\r\n");
    for (size_t i = 0; i < n; i++)
        if (text[i] < 0x21 || text[i] > 0x7e)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: expected a token of visible ASCII", from);
    if (text[n + strspn(text + n, " \t\r\n")] != 0)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: expected one token, found blanks inside", from);
    if (n == 0)
        return ILK_OK;
    hub->token = ilki_base_strndup(text, n);
    return hub->token ? ILK_OK : ilki_base_fail_memory(err, n, "a token");
}

static ilk_status read_token(ilki_hub *hub, const ilki_vfs *vfs, ilk_error *err)
{
    ilki_buf path;
    char *text = NULL;
    size_t n;
    ilk_status st = ILK_OK;
    if (env_true("HF_HUB_DISABLE_IMPLICIT_TOKEN"))
        return ILK_OK;
    if (env("HF_TOKEN"))
        return take_token(hub, env("HF_TOKEN"), "HF_TOKEN", err);
    if (env("HUGGING_FACE_HUB_TOKEN"))
        return take_token(hub, env("HUGGING_FACE_HUB_TOKEN"), "HUGGING_FACE_HUB_TOKEN", err);
    ilki_base_buf_init(&path, 4096);
    /* no file, or one that is not ours to read: no token */
    if (token_path(&path) && ilki_base_read_file(vfs, path.data, MAX_TOKEN, &text, &n, NULL) == ILK_OK)
        st = take_token(hub, text, path.data, err);
    free(text);
    ilki_base_buf_deinit(&path);
    return st;
}

ilk_status ilki_net_hub_open(ilki_hub **out, ilk_runtime *rt, ilk_error *err)
{
    static const char *const offline[] = {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"};
    ilki_net_options opt = {0};
    const char *endpoint = env("HF_ENDPOINT") ? env("HF_ENDPOINT") : HUB_ADDRESS,
               *stall = env("HF_HUB_DOWNLOAD_TIMEOUT");
    *out = NULL;
    for (size_t i = 0; i < 2; i++)
        if (env_true(offline[i]))
            return ilki_base_fail(err, ILK_UNSUPPORTED, "%s is set: nothing is fetched from the hub; unset it to pull",
                                  offline[i]);
    if (strncasecmp(endpoint, "http://", 7) != 0 && strncasecmp(endpoint, "https://", 8) != 0)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "HF_ENDPOINT: expected http:// or https:// and a host");
    if (stall) /* 0 where it is no number, which is the default */
        opt.stall_seconds = (double)strtoul(stall, NULL, 10);
    ilki_hub *hub = ilki_base_zalloc(1, sizeof *hub);
    if (hub == NULL)
        return ilki_base_fail_memory(err, sizeof *hub, "a hub");
    size_t n = strlen(endpoint);
    while (n > 0 && endpoint[n - 1] == '/')
        n--;
    hub->endpoint = ilki_base_strndup(endpoint, n);
    ilk_status st = hub->endpoint ? read_token(hub, rt->vfs, err) : ilki_base_fail_memory(err, n, "an address");
    if (st == ILK_OK)
        st = ilki_net_open(&hub->net, rt, &opt, err);
    if (st != ILK_OK) {
        ilki_net_hub_close(hub);
        return st;
    }
    ilki_net_name_url(hub->net, hub->endpoint, hub->name, sizeof hub->name);
    n = strlen(hub->name);
    if (n > 0 && hub->name[n - 1] == '/')
        hub->name[n - 1] = 0;
    *out = hub;
    return ILK_OK;
}

void ilki_net_hub_close(ilki_hub *hub)
{
    if (hub == NULL)
        return;
    ilki_net_close(hub->net);
    free(hub->endpoint);
    free(hub->token);
    free(hub);
}

const char *ilki_net_hub_endpoint(const ilki_hub *hub)
{
    return hub->name;
}

/* ---- refusals */

static ilk_status refuse_gated(const ilki_hub *hub, const char *id, ilk_error *err)
{
    return ilki_base_fail(err, ILK_IO,
                          hub->token ? "%s is gated, and the account of your token has no access: ask for it at %s/%s"
                                     : "%s is gated: accept its conditions at %s/%s, then give a token (hf auth login, "
                                       "or HF_TOKEN)",
                          id, hub->name, id);
}

static ilk_status refuse(const ilki_hub *hub, const char *id, const char *what, const ilki_net_answer *a,
                         ilk_error *err)
{
    bool denied = a->status == 401 || a->status == 403;
    if (denied && strcmp(a->code, "GatedRepo") == 0)
        return refuse_gated(hub, id, err);
    if (a->status == 404 && strcmp(a->code, "RevisionNotFound") == 0)
        return ilki_base_fail(err, ILK_NOT_FOUND, "%s: %s has no revision %s of it", id, hub->name, what);
    if (a->status == 404 && strcmp(a->code, "EntryNotFound") == 0)
        return ilki_base_fail(err, ILK_NOT_FOUND, "%s: %s has no file %s of it", id, hub->name, what);
    if (a->status == 401 && hub->token && strcmp(a->code, "RepoNotFound") != 0)
        return ilki_base_fail(err, ILK_IO, "%s: %s does not accept the token (HF_TOKEN, or hf auth login)", id,
                              hub->name);
    /* the hub does not tell whether a model is missing or private */
    if (a->status == 404 || a->status == 401)
        return ilki_base_fail(err, ILK_NOT_FOUND, "%s: no such model at %s, or a private one%s", id, hub->name,
                              hub->token ? " that your token may not see" : ", and no token was given");
    if (a->status == 403)
        return ilki_base_fail(err, ILK_IO, "%s: %s denies access%s%s", id, hub->name, *a->message ? ": " : "",
                              a->message);
    if (a->status == 429)
        return ilki_base_fail(err, ILK_IO, "%s: %s asks for fewer requests (HTTP 429): try later%s", id, hub->name,
                              hub->token ? "" : ", or with a token");
    return ilki_base_fail(err, ILK_IO, "%s: %s answers with HTTP %d%s%s", id, hub->name, a->status,
                          *a->message ? ": " : "", a->message);
}

/* ---- questions */

ilk_status ilki_net_hub_ask(ilki_hub *hub, const char *id, const char *revision, ilk_job *job, ilki_hub_model **out,
                            ilk_error *err)
{
    ilki_buf url, body;
    ilki_net_answer answer;
    *out = NULL;
    ilki_base_buf_init(&url, MAX_ADDRESS);
    ilki_base_buf_init(&body, MAX_ANSWER);
    ilki_base_buf_addf(&url, "%s/api/models/%s/revision/", hub->endpoint, id);
    ilki_net_add_quoted(&url, revision, "");
    ilki_base_buf_adds(&url, "?blobs=true");
    ilk_status st = ilki_base_buf_check(&url, "an address", err);
    if (st == ILK_OK)
        st = ilki_net_fetch_text(hub->net, url.data, hub->token, job, &body, &answer, err);
    if (st == ILK_OK && answer.status / 100 != 2)
        st = refuse(hub, id, revision, &answer, err);
    if (st == ILK_OK)
        st = ilki_net_hub_parse(out, ilki_base_buf_view(&body), body.len, id, err);
    ilki_base_buf_deinit(&url);
    ilki_base_buf_deinit(&body);
    return st;
}

ilk_status ilki_net_hub_get(ilki_hub *hub, const char *id, const char *commit, const ilki_hub_file *file, uint64_t from,
                            const ilki_net_sink *sink, ilk_job *job, ilk_error *err)
{
    ilki_buf url;
    ilki_net_answer answer;
    ilki_base_buf_init(&url, MAX_ADDRESS);
    ilki_base_buf_addf(&url, "%s/%s/resolve/%s/", hub->endpoint, id, commit);
    ilki_net_add_quoted(&url, file->path, "/");
    ilk_status st = ilki_base_buf_check(&url, "an address", err);
    ilki_net_request req = {
        .url = url.data, .secret = hub->token, .from = from, .max_bytes = file->n_bytes, .sink = sink};
    if (st == ILK_OK)
        st = ilki_net_fetch(hub->net, &req, job, &answer, err);
    if (st == ILK_OK && answer.status / 100 != 2)
        st = refuse(hub, id, file->path, &answer, err);
    ilki_base_buf_deinit(&url);
    return st;
}

/* ---- what is wanted */

typedef struct choosing {
    ilki_hub *hub;
    const char *id;
    ilki_hub_model *m;
    ilk_job *job;
} choosing;

static ilk_status add_text(void *user, const void *data, size_t n, ilk_error *err)
{
    ilki_base_buf_add(user, data, n);
    return ilki_base_buf_check(user, "an answer", err);
}

static ilk_status begin_text(void *user, uint64_t at, uint64_t total, ilk_error *err)
{
    (void)total, (void)err;
    if (at == 0)
        ilki_base_buf_truncate(user, 0);
    return ILK_OK;
}

static ilk_status check_told(const choosing *c, const ilki_hub_file *f, ilk_error *err)
{
    if (f->hash[0])
        return ILK_OK;
    return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: %s tells no size and checksum of %s", c->id, c->hub->name, f->path);
}

/* A file that decides about others, read into memory. */
static ilk_status read_small(const choosing *c, const ilki_hub_file *f, ilki_buf *to, ilk_error *err)
{
    ilki_net_sink sink = {begin_text, add_text, to};
    ilk_status st = check_told(c, f, err);
    if (st != ILK_OK)
        return st;
    if (f->n_bytes > MAX_SMALL)
        return ilki_base_fail(err, ILK_LIMIT, "%s: %s has %llu bytes, at most %d", c->id, f->path,
                              (unsigned long long)f->n_bytes, MAX_SMALL);
    return ilki_net_hub_get(c->hub, c->id, c->m->commit, f, 0, &sink, c->job, err);
}

static ilk_status choose_folder(void *user, const char *dir, ilk_error *err)
{
    const choosing *c = user;
    const char *index;
    ilki_buf text;
    ilki_net_hub_choose(c->m, dir, &index);
    if (index == NULL)
        return ILK_OK;
    ilki_base_buf_init(&text, MAX_SMALL + 1);
    ilk_status st = read_small(c, ilki_net_hub_find(c->m, index), &text, err);
    if (st == ILK_OK)
        st = ilki_net_hub_choose_shards(c->m, index, ilki_base_buf_view(&text), text.len, err);
    ilki_base_buf_deinit(&text);
    return st;
}

static bool is_weights(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL && (strcmp(dot, ".safetensors") == 0 || strcmp(dot, ".bin") == 0);
}

static ilk_status check_choice(const choosing *c, ilk_error *err)
{
    bool weights = false;
    for (size_t i = 0; i < c->m->n_files; i++) {
        const ilki_hub_file *f = &c->m->files[i];
        ilk_status st = f->wanted ? check_told(c, f, err) : ILK_OK;
        if (st != ILK_OK)
            return st;
        weights |= f->wanted && is_weights(f->path);
    }
    if (!weights)
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "%s: expected model.safetensors, pytorch_model.bin or their shards, found none among %zu "
                              "files",
                              c->id, c->m->n_files);
    return ILK_OK;
}

ilk_status ilki_net_hub_choose_all(ilki_hub *hub, const char *id, ilki_hub_model *m, ilk_job *job, ilk_error *err)
{
    choosing c = {hub, id, m, job};
    ilki_buf text;
    const ilki_hub_file *modules = ilki_net_hub_find(m, "modules.json");
    ilk_status st = choose_folder(&c, "", err);
    ilki_base_buf_init(&text, MAX_SMALL + 1);
    if (st == ILK_OK && modules != NULL)
        st = read_small(&c, modules, &text, err);
    if (st == ILK_OK && modules != NULL)
        st = ilki_net_hub_modules(ilki_base_buf_view(&text), text.len, choose_folder, &c, err);
    ilki_base_buf_deinit(&text);
    return st == ILK_OK ? check_choice(&c, err) : st;
}
