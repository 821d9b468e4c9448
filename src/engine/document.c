/* SPDX-License-Identifier: Apache-2.0
 * What a file is. */
#include <string.h>

#include "docs/docs.h"
#include "engine/collection.h"
#include "media/sniff.h"

ilk_status ilki_engine_probe(const char *name, const void *head, size_t n, ilk_file_info *info, ilk_error *err)
{
    static const unsigned char gzip[] = {0x1f, 0x8b};
    ilki_sniff s = ilki_media_sniff(name, head, n);
    if (s.is == ILKI_SNIFFED_LATER)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s, which is not supported as yet", s.what);
    if (s.is == ILKI_SNIFFED_PICTURE) {
        info->modality = ILK_IMAGE;
        info->kind = s.reader;
        info->plain = 0;
        return ILK_OK;
    }
    ilk_status st = ilki_docs_probe(name, head, n, err);
    if (st)
        return st;
    const ilki_doc_outside *outside = ilki_docs_outside(name, head, n);
    info->modality = ILK_TEXT;
    info->kind = outside ? outside->kind : "text";
    info->plain = !outside && !(n >= sizeof gzip && memcmp(head, gzip, sizeof gzip) == 0);
    return ILK_OK;
}
