/* SPDX-License-Identifier: Apache-2.0
 * One request per picture. */
#include "media/decode.h"

#include <stdlib.h>
#include <string.h>

ilk_status ilki_media_read_picture(ilki_media *m, const void *data, size_t n, bool orient, ilk_job *job,
                                   ilki_media_picture *out, ilk_error *err)
{
    static const uint8_t channels = 3;
    ilki_media_result r = {.data = NULL};
    ilki_buf ops;
    memset(out, 0, sizeof *out);
    ilki_base_buf_init(&ops, 4096);
    ilki_media_add_open(&ops, "");
    if (orient)
        ilki_media_add_op(&ops, ILKI_MEDIA_ORIENT, NULL, 0);
    ilki_media_add_op(&ops, ILKI_MEDIA_PIXELS, &channels, 1);
    ilk_status st = ilki_media_run(m, data, n, &ops, 0, job, &r, err);
    ilki_base_buf_deinit(&ops);
    const ilki_media_answer *a = &r.about;
    if (st == ILK_OK && (a->form != ILKI_MEDIA_FORM_PIXELS || a->channels != 3 || a->frames != 1))
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "its reader broke the protocol: expected one picture of 3 channels");
    if (st != ILK_OK) {
        free(r.data);
        return st;
    }
    *out = (ilki_media_picture){.width = a->width, .height = a->height, .pixels = r.data};
    return ILK_OK;
}
