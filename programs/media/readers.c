/* SPDX-License-Identifier: Apache-2.0
 * The tables of readers and converters. */
#include "readers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "documents.h"
#include "picture.h"

const media_reader *const media_readers[] = {&media_html, &media_epub, &media_docx, &media_odt, &media_jpeg,
                                             &media_png,  &media_webp, &media_gif,  &media_bmp, &media_pnm,
                                             &media_tiff, &media_heif, &media_avif};
const size_t media_n_readers = sizeof media_readers / sizeof *media_readers;

const char *media_reader_lacks(const media_reader *r)
{
    return r->library && !r->library->loaded ? r->library->name : r->lacks;
}

void media_readers_prepare(bool heavy)
{
    for (size_t i = 0; i < media_n_readers; i++) {
        const media_reader *r = media_readers[i];
        if (r->library && heavy)
            (void)media_library_load(r->library);
        if (r->prepare && !media_reader_lacks(r))
            r->prepare();
    }
}

const media_reader *media_reader_find(const char *name, const unsigned char *head, size_t n)
{
    for (size_t i = 0; i < media_n_readers; i++) {
        const media_reader *r = media_readers[i];
        if (*name ? strcmp(r->name, name) == 0 : r->probe && r->probe(head, n))
            return r;
    }
    return NULL;
}

/* In the order of reading, pages ended by form feeds. */
static const char *const pdftotext[] = {"pdftotext", "-enc", "UTF-8", "-eol", "unix", "-", "-", NULL};

/* DICOM: the first frame through its first window, or through one from the least to the largest value; no overlays. */
static const char *const dicom[] = {"dcmj2pnm", "-q", "-O", "+Wi", "1", "+op", "-", NULL};
static const char *const dicom_minmax[] = {"dcmj2pnm", "-q", "-O", "+Wm", "+op", "-", NULL};
/* study date, modality, body part: nothing else of the file is printed */
static const char *const dicom_facts[] = {"dcmdump",   "-q", "+P",        "0008,0020", "+P",
                                          "0008,0060", "+P", "0018,0015", "-",         NULL};

/* Words in a PNM, page segmentation as it comes. */
const char media_language[] = "eng";
static const char *const tesseract[] = {"tesseract", "stdin", "stdout", "-l", media_language, NULL};

const media_converter media_converters[] = {
    {"ocr", tesseract, (uint64_t)2 << 30},
    {"pdf", pdftotext, 0},
    {"dicom", dicom, (uint64_t)1 << 30},
    {"dicom-minmax", dicom_minmax, (uint64_t)1 << 30},
    {"dicom-facts", dicom_facts, (uint64_t)1 << 30},
};
const size_t media_n_converters = sizeof media_converters / sizeof *media_converters;

char *media_converter_path(const media_converter *c)
{
    const char *list = getenv("PATH");
    size_t n_name = strlen(c->argv[0]);
    for (list = list ? list : "/usr/bin:/bin"; *list;) {
        size_t n = strcspn(list, ":");
        char *path = *list == '/' ? malloc(n + n_name + 2) : NULL; /* nothing of the folder where somebody stands */
        if (path) {
            snprintf(path, n + n_name + 2, "%.*s/%s", (int)n, list, c->argv[0]);
            if (access(path, X_OK) == 0)
                return path;
            free(path);
        }
        list += n + (list[n] == ':');
    }
    return NULL;
}
