/* SPDX-License-Identifier: Apache-2.0
 * ilk index: folders into a store, only what changed since the last time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "indexing.h"

static const cli_flag flags[] = {
    {"dry-run", 'n', CLI_SWITCH, NULL, "only say what would be done, and why", 0, 0},
    {"no-exif", 0, CLI_SWITCH, NULL, "pictures: do not turn them as EXIF says, keep nothing that it tells", 0, 0},
    {"exif", 0, CLI_SWITCH, NULL, "the opposite: the default, but where the store was made with --no-exif", 0, 0},
    {"ocr", 0, CLI_SWITCH, NULL, "pictures: read the text in them with tesseract, and find them by it", 0, 0},
    {"ocr-languages", 0, CLI_TEXT, "LANG", "of that text, as tesseract names them: eng+deu (default: eng)", 0, 0},
    {"no-ocr", 0, CLI_SWITCH, NULL, "the opposite: the default, but where the store was made with --ocr", 0, 0},
    {"strict", 0, CLI_SWITCH, NULL, "a file that cannot be read is fatal", 0, 0},
    {"json", 0, CLI_SWITCH, NULL, "print what was done as one JSON document", 0, 0},
    {0},
};

/* Several folders share a store only where they lie in the one that has it, or where it is named. */
static bool check_folders(cli *c, const cli_place *p)
{
    const char *given = cli_setting_text(c, "store", NULL);
    for (size_t i = 0; i < c->n_operands; i++) {
        char *absolute = realpath(c->operands[i], NULL);
        if (!absolute) {
            cli_fail(c, "%s: %s", c->operands[i], strerror(errno));
            return false;
        }
        size_t n = strlen(p->folder);
        bool inside = strncmp(absolute, p->folder, n) == 0 && (n == 1 || absolute[n] == '/' || absolute[n] == 0);
        free(absolute);
        if (c->n_operands > 1 && !given && !(inside && p->exists)) {
            cli_usage(c, "several folders: say with --store PATH where their store is");
            return false;
        }
    }
    return true;
}

static bool check_opposites(cli *c)
{
    bool words = cli_on(c, "ocr") || cli_given(c, "ocr-languages");
    if (!(words && cli_on(c, "no-ocr")) && !(cli_on(c, "exif") && cli_on(c, "no-exif")))
        return true;
    cli_usage(c, words && cli_on(c, "no-ocr") ? "--ocr and --no-ocr exclude each other"
                                              : "--exif and --no-exif exclude each other");
    return false;
}

static int run(cli *c)
{
    cli_place p;
    if (!check_opposites(c))
        return CLI_FAILED;
    cli_config_read_user(c);
    if (!cli_place_find(c, c->n_operands ? c->operands[0] : "", &p))
        return CLI_FAILED;
    int status = CLI_FAILED;
    if (check_folders(c, &p)) {
        /* without a folder: all of the one whose store this is, as git does */
        const char *whole = cli_setting_text(c, "store", NULL) ? "." : p.folder;
        const char *const *paths = c->n_operands ? c->operands : &whole;
        size_t n = c->n_operands ? c->n_operands : 1;
        status = cli_on(c, "dry-run") ? cli_index_preview(c, &p, paths, n) : cli_index(c, &p, paths, n, NULL);
    }
    cli_place_free(&p);
    return status;
}

const cli_command cli_cmd_index = {
    "index",
    "read folders into a store; again: only what changed",
    "[DIR...]",
    CLI_DIR,
    0,
    UINT32_MAX,
    "ilk index ~/notes -m ORG/NAME\tthe first time\n"
    "ilk index\tthis folder again: only what changed\n"
    "ilk index ~/Pictures -m ORG/CLIP\tpictures, and texts beside them, by a model that sees\n"
    "ilk index ~/all -m ORG/TEXT -m ORG/CLIP\ttexts by both models, pictures by the second\n"
    "ilk index --dry-run\twhat would be done, and why\n"
    "ilk index --store all.ilk src docs\tseveral folders into one store\n",
    "Text, Markdown, reStructuredText, manual pages (also gzipped), source code, HTML, PDF, EPUB, Word and OpenDocument "
    "texts, JSON lines and CSV are cut into passages, and each passage gets a vector of every model that reads text. JPEG, "
    "PNG, WebP, GIF, BMP, TIFF and what else ilk doctor names are pictures: each gets a vector of every model that sees, "
    "with size, date, camera and place as metadata. What a hostile file could break is "
    "read by a helper program in a sandbox (ilk doctor tells what it reads). The store is DIR/.ilk, or the nearest .ilk above DIR. .gitignore and .ignore are honoured, "
    "hidden and binary files passed over. A moved file keeps its vectors; what a file that is gone left is removed.\n\n"
    "A store keeps to how it was made: later runs take its models, and --ocr or --no-exif where its pictures were read so.\n\n"
    "Work is kept as it is done: after Ctrl-C, or worse, the same command goes on from there.\n\n"
    "With --dry-run files are read and judged, nothing is written or embedded. Every file that is not as the store has it is "
    "a line on standard output: index, move, remove, skip or fail, the path, and why, with a tab between.",
    (const cli_flag *const[]){cli_model_flags, cli_store_flags, cli_chunk_flags, flags, NULL},
    run,
};
