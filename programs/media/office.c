/* SPDX-License-Identifier: Apache-2.0
 * See office.h. */
#include "office.h"

#if ILK_MEDIA_DOCS
#include <stdlib.h>
#include <string.h>

#include "html.h"

void media_office_prepare(void)
{
    media_html_prepare();
    media_archive_prepare();
}

typedef struct title {
    ilki_buf text;
    bool inside, done;
} title;

static void title_start(void *user, const char *name, const media_xml_attributes *a)
{
    title *t = user;
    (void)a;
    t->inside = !t->done && strcmp(name, "title") == 0;
}

static void title_end(void *user, const char *name)
{
    title *t = user;
    (void)name;
    t->done |= t->inside;
    t->inside = false;
}

static void title_text(void *user, const char *s, size_t n)
{
    title *t = user;
    if (t->inside)
        ilki_base_buf_add(&t->text, s, n);
}

ilk_status media_office_title(const media_parts *parts, const char *part, ilki_doc *doc, ilk_error *err)
{
    title t = {.done = false};
    const media_xml x = {title_start, title_end, title_text, &t};
    const media_part *p = media_parts_find(parts, part);
    if (!p || doc->title)
        return ILK_OK;
    ilki_base_buf_init(&t.text, 1000);
    media_xml_parse(&x, p->data, p->n, part, NULL);
    const char *s = ilki_base_buf_view(&t.text);
    size_t n = t.text.len;
    while (n && ilki_docs_blank(s, 1))
        s++, n--;
    while (n && ilki_docs_blank(s + n - 1, 1))
        n--;
    doc->title = n ? ilki_base_strndup(s, n) : NULL;
    ilk_status st = n && !doc->title ? ilki_base_fail_memory(err, n, "a title") : ILK_OK;
    ilki_base_buf_deinit(&t.text);
    return st;
}

long media_xml_number(const media_xml_attributes *a, const char *name, long otherwise)
{
    char value[32];
    return media_xml_attribute(a, name, value, sizeof value) ? strtol(value, NULL, 10) : otherwise;
}

#endif
