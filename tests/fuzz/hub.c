/* SPDX-License-Identifier: Apache-2.0
 * What the hub answers: a list that is accepted holds paths that stay below their folder, in order and once each, and
 * hashes that can be names of files. The same bytes are read as modules.json and as an index of shards. */
#include "net/hub.h"

#include <stdlib.h>
#include <string.h>

#include "must.h"

static void check_path(const char *path)
{
    MUST(path[0] && path[0] != '/' && path[strlen(path) - 1] != '/');
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        MUST(*part && *part != '/');
        MUST(strcmp(part, ".") && strcmp(part, "..") && strncmp(part, "./", 2) && strncmp(part, "../", 3));
    }
}

static ilk_status folder(void *user, const char *dir, ilk_error *err)
{
    (void)err;
    check_path(dir);
    ilki_net_hub_choose(user, dir, NULL);
    return ILK_OK;
}

static void check_model(ilki_hub_model *m, const char *text, size_t n)
{
    const char *index = NULL;
    MUST(strlen(m->commit) == 40 && m->licence && m->languages);
    for (size_t i = 0; i < m->n_files; i++) {
        const ilki_hub_file *f = &m->files[i];
        check_path(f->path);
        MUST(i == 0 || strcmp(m->files[i - 1].path, f->path) < 0);
        MUST(ilki_net_hub_find(m, f->path) == f);
        size_t hash = strlen(f->hash);
        MUST((hash == 0 || hash == 40 || hash == 64) && strspn(f->hash, "0123456789abcdef") == hash);
    }
    ilki_net_hub_choose(m, "", &index);
    MUST(index == NULL || ilki_net_hub_find(m, index)->wanted);
    ilki_net_hub_choose_shards(m, "model.safetensors.index.json", text, n, NULL);
    ilki_net_hub_modules(text, n, folder, m, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    ilki_hub_model *m;
    ilk_error err;
    ilk_error_init(&err);
    const char *text = (const char *)data;
    if (ilki_net_hub_parse(&m, text, n, "org/model", &err) != ILK_OK)
        MUST(m == NULL && err.message[0]);
    else
        check_model(m, text, n);
    ilki_net_hub_free(m);
    /* modules and shards against a list that has something to choose from */
    static const char list[] = "{\"sha\":\"0123456789abcdef0123456789abcdef01234567\",\"siblings\":["
                               "{\"rfilename\":\"config.json\"},{\"rfilename\":\"1_Pooling/config.json\"},"
                               "{\"rfilename\":\"a.safetensors\"},{\"rfilename\":\"model.safetensors.index.json\"}]}";
    MUST(ilki_net_hub_parse(&m, list, sizeof list - 1, "org/model", &err) == ILK_OK && m->n_files == 4);
    check_model(m, text, n);
    ilki_net_hub_free(m);
    return 0;
}

#include "fuzz_main.h"
